//! Which origins may read an answer (authentication contract §0.2, management contract §2.7).

use axum::http::Method;
use db::Batch;
use model::clients;
use serde_json::json;

use super::{BACK_ENDS, CLASSIC, CREDENTIALED, ENDPOINTS, FILES, PAGES, PUBLIC, operations, routes};
use crate::support::{Answer, Caller, TestApp};

const LISTED: [&str; 3] = ["https://callback.test", "https://web.test", "https://allowed.test:8443"];

const UNLISTED: [&str; 9] = [
    "https://evil.test",
    "null",
    "https://web.test.evil.test",
    "https://evilweb.test",
    "http://web.test",
    "https://web.test:444",
    "https://web.test/",
    "https://allowed.test",
    "https://id.test",
];

async fn listed(app: TestApp) -> TestApp {
    let body = json!({
        "app_type": "spa",
        "callbacks": ["https://callback.test/cb?x=1"],
        "web_origins": ["https://web.test"],
        "allowed_origins": ["https://allowed.test:8443"],
    });
    app.add_client("app", body).await;
    app
}

async fn preflight(caller: &Caller, path: &str, origin: &str) -> Answer {
    let caller = caller
        .with("origin", origin)
        .with("access-control-request-method", "POST")
        .with("access-control-request-headers", "authorization,auth0-client,content-type");
    caller.send(Method::OPTIONS, path, None, String::new()).await
}

both_databases! {
    /// A listed origin is echoed, on errors too; any other is not; never `*`, never credentials.
    async fn cu_20_only_listed_origins_are_echoed(app: TestApp) {
        let caller = listed(app).await.caller();
        let api = ENDPOINTS.iter().map(|(method, path)| (method.clone(), (*path).to_owned())).chain(operations());
        for (method, path) in api {
            for origin in LISTED.into_iter().chain(UNLISTED) {
                let asked = preflight(&caller, &path, origin).await;
                let answer = caller.with("origin", origin).send(method.clone(), &path, None, String::new()).await;
                let echoed = if LISTED.contains(&origin) { origin } else { "" };
                for answer in [&asked, &answer] {
                    assert_eq!(answer.header("access-control-allow-origin"), echoed, "{method} {path} from {origin}");
                    assert!(answer.header("vary").contains("Origin"), "{method} {path} from {origin}");
                    assert!(!answer.has("access-control-allow-credentials"));
                }
                assert_eq!(asked.status, 204, "{method} {path} from {origin}");
            }
        }
    }

    /// Cookies are for the two endpoints that are there for pages which sign people in, and for listed origins.
    async fn cu_20_cookies_are_sent_along_to_two_endpoints(app: TestApp) {
        let caller = listed(app).await.caller();
        for (method, path) in &CREDENTIALED {
            for origin in LISTED.into_iter().chain(UNLISTED) {
                let asked = preflight(&caller, path, origin).await;
                let answer = caller.with("origin", origin).send(method.clone(), path, None, String::new()).await;
                let (echoed, allowed) = if LISTED.contains(&origin) { (origin, "true") } else { ("", "") };
                for answer in [asked, answer] {
                    let told = (answer.header("access-control-allow-origin"), answer.header("access-control-allow-credentials"));
                    assert_eq!(told, (echoed, allowed), "{path} from {origin}");
                    assert!(answer.header("vary").contains("Origin"), "{path} from {origin}");
                }
            }
        }
    }

    /// What a browser needs to see before it sends the call, and to read from the answer.
    async fn a_preflight_allows_what_sdks_send(app: TestApp) {
        let caller = listed(app).await.caller();
        let asked = preflight(&caller, "/oauth/token", "https://web.test").await;
        assert_eq!(asked.header("access-control-allow-methods"), "GET,POST,PATCH,PUT,DELETE,OPTIONS");
        assert_eq!(asked.header("access-control-allow-headers"), "authorization,auth0-client,content-type");
        assert_eq!(asked.header("access-control-max-age"), "600");
        let answer = caller.with("origin", "https://web.test").get("/api/v2/users").await;
        assert_eq!(
            answer.header("access-control-expose-headers"),
            "DPoP-Nonce,X-RateLimit-Limit,X-RateLimit-Remaining,X-RateLimit-Reset,Retry-After"
        );
    }

    /// An origin that another tenant's client lists is a stranger here.
    async fn an_origin_is_listed_for_its_tenant_alone(app: TestApp) {
        let app = listed(app).await;
        let other = app.caller().at(&app.other).with("origin", "https://web.test");
        assert!(!other.get("/api/v2/users").await.has("access-control-allow-origin"));
        assert!(!preflight(&other, "/api/v2/users", "https://web.test").await.has("access-control-allow-origin"));
    }

    /// A client that ceases to list an origin shuts it out at once.
    async fn an_origin_ends_with_its_listing(app: TestApp) {
        let app = listed(app).await;
        let caller = app.caller().with("origin", "https://web.test");
        assert!(caller.get("/api/v2/users").await.has("access-control-allow-origin"));
        let stored = clients::load(&app.app, &app.tenant.id, "app").await.expect("reads").expect("is there");
        let mut changed = stored.patched(json!({ "web_origins": [] }).as_object().expect("is one")).expect("fits");
        let mut batch = Batch::new();
        clients::save(&mut batch, &app.tenant.id, &mut changed);
        app.app.db.commit(batch).await.expect("a changed client");
        assert!(!caller.get("/api/v2/users").await.has("access-control-allow-origin"));
    }

    /// Public metadata and `/userinfo` answer anybody, without credentials; pages, files and what back ends call answer nobody.
    async fn ht_04_no_other_route_answers_a_foreign_origin(app: TestApp) {
        let caller = listed(app).await.caller();
        for origin in ["https://evil.test", "null", "https://web.test.evil.test"] {
            for (method, path) in routes() {
                let asked = preflight(&caller, &path, origin).await;
                let answer = caller.with("origin", origin).send(method.clone(), &path, None, String::new()).await;
                let public = PUBLIC.iter().any(|(_, public)| *public == path);
                for answer in [asked, answer] {
                    let expected = if public { "*" } else { "" };
                    assert_eq!(answer.header("access-control-allow-origin"), expected, "{method} {path} from {origin}");
                    assert!(!answer.has("access-control-allow-credentials"), "{method} {path} from {origin}");
                }
            }
        }
        for (method, path) in PAGES.iter().chain(&FILES).chain(BACK_ENDS).chain(&CLASSIC) {
            let answer = caller.with("origin", "https://web.test").send(method.clone(), path, None, String::new()).await;
            assert!(!answer.has("access-control-allow-origin"), "{path}");
        }
    }
}
