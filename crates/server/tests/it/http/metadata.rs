//! The documents that every app and API reads.

use axum::body::{Body, Bytes, to_bytes};
use axum::http::Request;
use db::Batch;
use model::tenants;
use serde_json::{Value, json};
use server::peer::RemoteAddress;
use tower::ServiceExt;

use crate::support::{Answer, TestApp};

const PATHS: [&str; 3] = [
    "/.well-known/jwks.json",
    "/.well-known/openid-configuration",
    "/.well-known/oauth-authorization-server",
];

async fn body(app: &TestApp, path: &str) -> Bytes {
    let request = Request::get(path).header("host", "id.test");
    let request = request.extension(RemoteAddress("203.0.113.9:4711".parse().expect("is an address")));
    let request = request.body(Body::empty()).expect("is a request");
    let response = app.router.clone().oneshot(request).await.expect("is answered");
    assert_eq!(response.status(), 200);
    to_bytes(response.into_body(), 1 << 20).await.expect("is whole")
}

/// Two answers, of which the second was kept: it asked the cache for nothing. Slow machines may need to try again.
async fn twice(app: &TestApp, path: &str) -> (Answer, Answer) {
    for _ in 0..50 {
        let first = app.caller().get(path).await;
        let asked = app.app.db.stats();
        let again = app.caller().get(path).await;
        let stats = app.app.db.stats();
        if (asked.cache_hits, asked.cache_misses) == (stats.cache_hits, stats.cache_misses) {
            return (first, again);
        }
    }
    panic!("{path} is never kept")
}

both_databases! {
    /// They are asked for without a token: an answer costs neither a rendering nor a copy.
    async fn public_documents_are_sent_from_where_they_are_kept(app: TestApp) {
        for path in ["/.well-known/jwks.json", "/.well-known/openid-configuration"] {
            let (one, two) = (body(&app, path).await, body(&app, path).await);
            assert_eq!(one.as_ptr(), two.as_ptr(), "{path}");
        }
        let kept = app.app.keys.published(&app.app, &app.tenant.id).await.expect("reads");
        assert_eq!(body(&app, "/.well-known/jwks.json").await.as_ptr(), kept.jwks.as_ptr());
    }

    /// What was just answered is answered again, without a question to anything: with its own id, and in nothing else otherwise.
    async fn a_document_is_given_again_with_all_its_headers(app: TestApp) {
        for path in PATHS {
            let (first, again) = twice(&app, path).await;
            let headers = |answer: &Answer| {
                let mut headers = answer.headers.clone();
                assert!(headers.remove("x-request-id").is_some(), "{answer:?}");
                // The connection writes it where it is not there.
                headers.remove("content-length");
                headers
            };
            assert_eq!((again.status, headers(&again), &again.text), (200, headers(&first), &first.text), "{path}");
            assert_ne!(again.header("x-request-id"), first.header("x-request-id"));
            assert_eq!(again.header("access-control-allow-origin"), "*");
            // Nobody gets more of it than on the whole way.
            let caller = app.caller();
            twice(&app, path).await;
            assert!(!caller.at(&app.other).get(path).await.text.contains("https://id.test/"), "{path}");
            assert_eq!(caller.with("x-forwarded-host", "other.test").get(path).await.text, first.text, "{path}");
            assert_eq!(caller.with("host", "id.test").with("host", "other.test").get(path).await.status, 400, "two hosts");
            assert_eq!(caller.with("x", &"y".repeat(40_000)).get(path).await.status, 431);
            assert_eq!(caller.with("content-length", "2000000").get(path).await.status, 413);
            assert_eq!(caller.get(&format!("{path}?x=%ff")).await.status, 400);
            assert_eq!(caller.get(&format!("{path}/")).await.status, 404);
            assert_eq!(caller.post(path, Value::Null).await.status, 405);
        }
    }

    async fn a_document_of_a_moment_ago_is_not_given_after_a_change(app: TestApp) {
        let admin = app.admin();
        for named in [true, false, true, false] {
            let patch = json!({ "oidc_logout": { "rp_logout_end_session_endpoint_discovery": named } });
            assert_eq!(admin.patch("/api/v2/tenants/settings", patch).await.status, 200);
            for _ in 0..2 {
                let document = app.caller().get(PATHS[1]).await.body;
                assert_eq!(document.get("end_session_endpoint").is_some(), named);
            }
        }
        let before = [app.caller().get(PATHS[0]).await, app.caller().get(PATHS[0]).await];
        let rotated = app.machine("create:signing_keys update:signing_keys").post("/api/v2/keys/signing/rotate", Value::Null).await;
        assert_eq!(rotated.status, 201);
        assert_ne!(app.caller().get(PATHS[0]).await.text, before[1].text);
        // A host that is taken away.
        let mut batch = Batch::new();
        tenants::remove_domain(&mut batch, &app.tenant);
        app.app.db.commit(batch).await.expect("commits");
        assert_eq!(app.caller().get(PATHS[0]).await.status, 404);
    }

    /// RFC 9110 §13.1.2: who has the document is told so, until it changes.
    async fn a_document_that_is_known_is_not_sent_again(app: TestApp) {
        for path in PATHS {
            let ask = async |known: &str| app.caller().with("if-none-match", known).get(path).await;
            let first = app.caller().get(path).await;
            let etag = first.header("etag").to_owned();
            assert!(etag.starts_with('"') && etag.ends_with('"') && etag.len() == 45, "{etag}");
            for known in [etag.clone(), format!("W/{etag}"), format!("\"other\", {etag}"), "*".to_owned()] {
                let answer = ask(&known).await;
                assert_eq!((answer.status, answer.text.as_str(), answer.header("etag")), (304, "", etag.as_str()), "{known}");
                assert_eq!(answer.header("cache-control"), first.header("cache-control"));
            }
            assert_eq!(ask("\"other\"").await.text, first.text);
            assert_eq!(ask("").await.text, first.text);
        }
        let before = app.caller().get("/.well-known/jwks.json").await;
        let rotated = app.machine("create:signing_keys update:signing_keys").post("/api/v2/keys/signing/rotate", Value::Null).await;
        assert_eq!(rotated.status, 201);
        let asked = app.caller().with("if-none-match", before.header("etag")).get("/.well-known/jwks.json").await;
        assert_eq!(asked.status, 200);
        assert_ne!(asked.header("etag"), before.header("etag"));
    }
}
