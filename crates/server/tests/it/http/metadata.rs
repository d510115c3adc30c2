//! The documents that every app and API reads.

use axum::body::{Body, Bytes, to_bytes};
use axum::http::Request;
use serde_json::Value;
use server::peer::RemoteAddress;
use tower::ServiceExt;

use crate::support::TestApp;

async fn body(app: &TestApp, path: &str) -> Bytes {
    let request = Request::get(path).header("host", "id.test");
    let request = request.extension(RemoteAddress("203.0.113.9:4711".parse().expect("is an address")));
    let request = request.body(Body::empty()).expect("is a request");
    let response = app.router.clone().oneshot(request).await.expect("is answered");
    assert_eq!(response.status(), 200);
    to_bytes(response.into_body(), 1 << 20).await.expect("is whole")
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

    /// RFC 9110 §13.1.2: who has the document is told so, until it changes.
    async fn a_document_that_is_known_is_not_sent_again(app: TestApp) {
        for path in ["/.well-known/jwks.json", "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"] {
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
