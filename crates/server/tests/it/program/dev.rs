//! `doorward dev`, and that nothing of it is left under `serve`.

use std::collections::HashSet;

use axum::http::Method;
use management::Limits;
use model::Random;
use model::mail::{self, Delivery, Kind, Letter};
use serde_json::json;
use server::dev::routes::{Tools, extend};
use server::dev::seed;
use server::peer::Proxies;
use server::router;

use crate::support::binary::{Server, complaint, mode, run};
use crate::support::{Caller, TestApp, tls};

/// Every development route.
const ROUTES: &[(Method, &str)] = &[
    (Method::GET, "/dev"),
    (Method::POST, "/dev/clock"),
    (Method::GET, "/dev/faults"),
    (Method::POST, "/dev/faults"),
    (Method::DELETE, "/dev/faults"),
    (Method::GET, "/dev/explain"),
    (Method::GET, "/dev/outbox"),
    (Method::POST, "/dev/outbox"),
    (Method::GET, "/dev/outbox/some-letter"),
    (Method::GET, "/dev/outbox/some-letter/html"),
];

/// The seeded tenant of `dev`, behind the router that `dev` builds; and the token.
async fn started(app: &TestApp) -> (Caller, seed::Credentials, Tools) {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("credentials.json");
    let (tenant, credentials) = seed::seed(&app.app, "localhost:8443", &file).await.expect("seeds");
    assert_eq!(mode(&file), 0o600);
    let tools = Tools::new(&Random::system(), &app.app.clock);
    let mut caller = app.caller().at(&tenant.into());
    caller.set_router(router::layered(app.app.clone(), Proxies::default(), Limits::default(), |all| {
        extend(all, tools.clone())
    }));
    (caller, credentials, tools)
}

both_databases! {
    /// They are in no router but `dev`'s: with any token, under any host.
    async fn development_routes_are_404_under_serve(app: TestApp) {
        let (dev, _, tools) = started(&app).await;
        let mut serve = dev.with("authorization", &format!("Bearer {}", tools.token()));
        serve.set_router(app.router.clone());
        for (method, path) in ROUTES.iter().cloned() {
            let answer = serve.send(method.clone(), path, None, String::new()).await;
            assert_eq!(answer.status, 404, "{method} {path}");
        }
    }

    async fn development_routes_ask_for_the_token_and_for_localhost(app: TestApp) {
        let (dev, _, tools) = started(&app).await;
        let token = format!("Bearer {}", tools.token());
        for (method, path) in ROUTES.iter().cloned() {
            let place = format!("{method} {path}");
            assert_eq!(dev.send(method.clone(), path, None, String::new()).await.status, 401, "{place}");
            let wrong = dev.with("authorization", "Bearer wrong");
            assert_eq!(wrong.send(method.clone(), path, None, String::new()).await.status, 401, "{place}");
            let elsewhere = dev.with("authorization", &token).at(&app.tenant);
            assert_eq!(elsewhere.send(method.clone(), path, None, String::new()).await.status, 404, "{place}");
        }
        let page = dev.get(&format!("/dev?token={}", tools.token())).await;
        assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    }

    async fn the_clock_is_moved_for_everything(app: TestApp) {
        let (dev, _, tools) = started(&app).await;
        let dev = dev.with("authorization", &format!("Bearer {}", tools.token()));
        let before = app.app.clock.now();
        let moved = dev.post("/dev/clock", json!({ "advance_seconds": 3600 })).await;
        assert_eq!((moved.status, moved.body), (200, json!({ "now": before.plus_seconds(3600) })));
        assert_eq!(app.app.clock.now(), before.plus_seconds(3600));
        let pressed = dev.form("/dev/clock", &[("advance_seconds", "60")]).await;
        assert_eq!((pressed.status, pressed.location()), (303, format!("/dev?token={}", tools.token()).as_str()));
        for nonsense in [json!({}), json!({ "advance_seconds": -1 }), json!([])] {
            assert_eq!(dev.post("/dev/clock", nonsense).await.status, 400);
        }
        assert_eq!(app.app.clock.now(), before.plus_seconds(3660));
    }

    /// A fault answers in the shape of the surface, for as many requests as it was switched on for.
    async fn a_fault_is_switched_on_and_runs_out(app: TestApp) {
        let (dev, _, tools) = started(&app).await;
        let switch = dev.with("authorization", &format!("Bearer {}", tools.token()));
        let fault = json!({ "path": "/oauth/token", "status": 503, "times": 2 });
        let on = switch.post("/dev/faults", fault.clone()).await;
        assert_eq!((on.status, on.body), (201, fault));
        let ask = || dev.form("/oauth/token", &[("grant_type", "client_credentials")]);
        let first = ask().await;
        let unavailable = json!({ "error": "temporarily_unavailable", "error_description": "Temporarily unavailable" });
        assert_eq!((first.status, &first.body, first.header("retry-after")), (503, &unavailable, "1"));
        let left = switch.get("/dev/faults").await;
        assert_eq!(left.body, json!([{ "path": "/oauth/token", "status": 503, "times": 1 }]));
        assert_eq!(ask().await.status, 503);
        assert_eq!(ask().await.status, 400);
        assert_eq!(switch.get("/dev/faults").await.body, json!([]));
        // What everybody gets meets the switch each time, too.
        for status in [200, 503, 503, 200] {
            assert_eq!(dev.get("/.well-known/jwks.json").await.status, status);
            if status == 200 {
                let fault = json!({ "path": "/.well-known/*", "status": 503, "times": 2 });
                assert_eq!(switch.post("/dev/faults", fault).await.status, 201);
            }
        }
    }

    /// One for many paths, of one method, until it is switched off; the development routes themselves never fail.
    async fn a_fault_is_for_a_method_and_the_beginning_of_a_path(app: TestApp) {
        let (dev, _, tools) = started(&app).await;
        let switch = dev.with("authorization", &format!("Bearer {}", tools.token()));
        assert_eq!(switch.post("/dev/faults", json!({ "path": "/*", "method": "GET", "status": 429 })).await.status, 201);
        let limited = dev.get("/api/v2/users").await;
        let body = json!({ "statusCode": 429, "error": "Too Many Requests",
            "message": "A fault switch of doorward dev answers here" });
        assert_eq!((limited.status, limited.body), (429, body));
        assert_eq!(dev.form("/oauth/token", &[]).await.status, 400);
        let off = switch.delete("/dev/faults").await;
        assert_eq!(off.status, 204);
        assert_eq!(dev.get("/api/v2/users").await.status, 401);
        for nonsense in [
            json!({}),
            json!({ "path": "oauth", "status": 503 }),
            json!({ "path": "/", "status": 200 }),
            json!({ "path": "/" }),
            json!({ "path": "/", "delay_ms": 60_001 }),
            json!({ "path": "/", "status": 503, "times": 0 }),
            json!({ "path": "/", "status": 503, "method": "a b" }),
            json!({ "path": "/", "status": 503, "probability": 1 }),
        ] {
            assert_eq!(switch.post("/dev/faults", nonsense.clone()).await.status, 400, "{nonsense}");
        }
        assert_eq!(switch.get("/dev/faults").await.body, json!([]));
        // What everybody gets meets the switch each time, too.
        for status in [200, 503, 503, 200] {
            assert_eq!(dev.get("/.well-known/jwks.json").await.status, status);
            if status == 200 {
                let fault = json!({ "path": "/.well-known/*", "status": 503, "times": 2 });
                assert_eq!(switch.post("/dev/faults", fault).await.status, 201);
            }
        }
    }

    /// Each refusal is shown with the rule and the setting; what strangers write there is only data.
    async fn a_refused_request_is_explained(app: TestApp) {
        let (dev, credentials, tools) = started(&app).await;
        let bearer = dev.with("authorization", &format!("Bearer {}", tools.token())).with("accept", "application/json");
        assert_eq!(bearer.get("/dev/explain").await.body, json!([]));
        let client = &credentials.spa.client_id;
        let query = format!("client_id={client}&response_type=code&redirect_uri=https://evil.test/%3Cscript%3E&scope=openid");
        assert_eq!(dev.get(&format!("/authorize?{query}")).await.status, 403);
        let silent = format!("client_id={client}&response_type=code&redirect_uri=https://localhost:5173/&prompt=none&scope=openid\
            &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256");
        assert_eq!(dev.get(&format!("/authorize?{silent}")).await.status, 302);
        let wrong = [("grant_type", "client_credentials"), ("client_id", credentials.m2m.client_id.as_str()), ("client_secret", "wrong")];
        assert_eq!(dev.form("/oauth/token", &wrong).await.status, 401);
        assert_eq!(dev.get("/api/v2/users").await.status, 401);
        assert_eq!(dev.get("/.well-known/jwks.json").await.status, 200);
        let refused = bearer.get("/dev/explain").await.body;
        let shown: Vec<_> = refused.as_array().expect("a list").iter().map(|one| {
            let text = |name: &str| one[name].as_str().expect("a text").to_owned();
            (one["status"].as_u64().expect("a number"), text("path"), text("setting"))
        }).collect();
        let settings: Vec<_> = shown.iter().map(|(status, path, setting)| (*status, path.as_str(), setting.split(':').next().expect("a word"))).collect();
        assert_eq!(settings, [
            (401, "/api/v2/users", "Authorization in the app"),
            (401, "/oauth/token", "client_id and client_secret in the app; token_endpoint_auth_method"),
            (302, "/authorize", "sign in first; the app must be on the server's host for its cookie to come along"),
            (403, "/authorize", "callbacks"),
        ]);
        let page = dev.get(&format!("/dev/explain?token={}", tools.token())).await;
        assert!(page.text.contains("403 GET /authorize") && !page.text.contains("<script"), "{}", page.text);
    }

    /// Every letter is there, whole, for tests as JSON; as HTML nothing of it is markup but in a frame where nothing runs.
    async fn the_outbox_shows_every_letter(app: TestApp) {
        let (dev, credentials, tools) = started(&app).await;
        let email = credentials.users[0].email.clone();
        let ask = json!({ "email": email, "connection": "Username-Password-Authentication", "client_id": credentials.spa.client_id });
        assert_eq!(dev.post("/dbconnections/change_password", ask).await.status, 200);
        let mut batch = db::Batch::new();
        let hostile = Letter::new(Kind::FactorAdded, "ann@example.com").with("factor", "<script>alert(1)</script>");
        app.app.clock.advance(1);
        mail::queue(&mut batch, &app.app, &dev.tenant.id, hostile);
        app.app.db.commit(batch).await.expect("queues");
        server::jobs::post(&app.app, Delivery::Outbox).await.expect("the job runs");

        let bearer = dev.with("authorization", &format!("Bearer {}", tools.token()));
        let letters = bearer.with("accept", "application/json").get("/dev/outbox").await;
        let letters = letters.body.as_array().expect("a list").clone();
        let kinds: Vec<_> = letters.iter().map(|letter| letter["kind"].as_str().expect("text")).collect();
        let mut sorted = kinds.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, ["factor_added", "reset_email"]);
        let reset = letters.iter().find(|letter| letter["kind"] == "reset_email").expect("is there");
        assert_eq!((&reset["to"], &reset["state"]), (&json!(email), &json!("sent")));
        assert!(reset["text"].as_str().expect("text").contains("https://localhost:8443/u/reset-password?ticket="), "{reset}");

        let token = format!("token={}", tools.token());
        let page = dev.get(&format!("/dev/outbox?{token}")).await;
        assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
        for letter in &letters {
            let id = letter["id"].as_str().expect("text");
            assert!(page.text.contains(&format!("/dev/outbox/{id}?{token}")), "{}", page.text);
            let shown = dev.get(&format!("/dev/outbox/{id}?{token}")).await;
            assert!(shown.text.contains("<iframe title=\"The letter\" sandbox=\"allow-popups"), "{}", shown.text);
            assert!(!shown.text.contains("allow-scripts") && !shown.text.contains("<script"), "{}", shown.text);
            let html = dev.get(&format!("/dev/outbox/{id}/html?{token}")).await;
            assert!(html.header("content-security-policy").contains("default-src 'none'") && html.header("content-security-policy").contains("sandbox allow-popups"), "{html:?}");
            assert!(!html.text.contains("<script") && html.header("x-frame-options").is_empty(), "{html:?}");
        }
        assert_eq!(bearer.get("/dev/outbox/unknown").await.status, 404);
        assert_eq!(bearer.form("/dev/outbox", &[]).await.status, 303);
        assert_eq!(bearer.with("accept", "application/json").get("/dev/outbox").await.body, json!([]));
    }

    /// What is seeded works, and a second start changes none of it.
    async fn what_is_seeded_is_seeded_once(app: TestApp) {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("credentials.json");
        let (_, first) = seed::seed(&app.app, "localhost:8443", &file).await.expect("seeds");
        let (tenant, second) = seed::seed(&app.app, "localhost:8443", &file).await.expect("seeds");
        let [first, second] = [first, second].map(|credentials| serde_json::to_value(credentials).expect("is JSON"));
        assert_eq!(first, second);
        let keys: HashSet<&str> = first.as_object().expect("is one").keys().map(String::as_str).collect();
        assert_eq!(keys, HashSet::from(["domain", "issuer", "m2m", "spa", "users"]));
        assert_eq!((&first["domain"], &first["issuer"]), (&json!("localhost:8443"), &json!("https://localhost:8443/")));
        assert_eq!(first["users"].as_array().expect("is one").len(), 2);
        let caller = app.caller().at(&tenant.into());
        let config = caller.get("/account/config.json").await;
        assert_eq!(config.body["client_id"], first["spa"]["client_id"]);
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", first["m2m"]["client_id"].as_str().expect("is text")),
            ("client_secret", first["m2m"]["client_secret"].as_str().expect("is text")),
            ("audience", "https://localhost:8443/api/v2/"),
        ];
        let token = caller.form("/oauth/token", &form).await;
        assert_eq!(token.status, 200, "{}", token.text);
    }
}

#[tokio::test]
async fn dev_is_the_whole_product_over_https_and_leaves_nothing_if_told_so() {
    let directory = tempfile::tempdir().expect("a directory");
    let data = directory.path().join("data");
    let server = Server::dev(&data, &["--ephemeral"]);
    let name = format!("localhost:{}", server.address.port());
    let (_, answer) =
        tls::ask(&data.join("ca.pem"), server.address, &name, "/.well-known/openid-configuration").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(answer.contains(&format!("\"issuer\":\"https://{name}/\"")), "{answer}");
    let credentials = std::fs::read_to_string(data.join("credentials.json")).expect("is there");
    assert!(credentials.contains(&format!("\"domain\": \"{name}\"")), "{credentials}");
    for private in ["credentials.json", "ca-key.pem", "localhost-key.pem"] {
        assert_eq!(mode(&data.join(private)), 0o600, "{private}");
    }
    assert_eq!(mode(&data), 0o700);
    assert!(!data.join("doorward.db").exists());
    server.terminate();
    assert_eq!(server.wait().code(), Some(0));
}

/// Kept data is found again, the certificate authority included.
#[tokio::test]
async fn dev_finds_again_what_it_kept() {
    let directory = tempfile::tempdir().expect("a directory");
    let data = directory.path().join("data");
    let read = |name: &str| std::fs::read_to_string(data.join(name)).expect("is there");
    let first = Server::dev(&data, &[]);
    let (authority, master) = (read("ca.pem"), read("master.key"));
    first.terminate();
    assert_eq!(first.wait().code(), Some(0));
    let second = Server::dev(&data, &[]);
    assert_eq!((read("ca.pem"), read("master.key")), (authority, master));
    assert_eq!(mode(&data.join("doorward.db")), 0o600);
    drop(second);
}

#[test]
fn dev_serves_this_machine_only() {
    let directory = tempfile::tempdir().expect("a directory");
    let data = directory.path().join("data");
    let refused = run(&["dev", "--data", &data.to_string_lossy(), "--listen", "0.0.0.0:0"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(complaint(&refused).contains("0.0.0.0:0 is no loopback address"), "{}", complaint(&refused));
}
