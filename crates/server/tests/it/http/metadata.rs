//! The documents that every app and API reads.

use axum::body::{Body, Bytes, to_bytes};
use axum::http::Request;
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
}
