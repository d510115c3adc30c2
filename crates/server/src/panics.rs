//! A panicking handler is a defect of ours: the cause goes to the log, the client gets a plain 500, the others go on.

use std::panic::AssertUnwindSafe;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use futures_util::FutureExt;

use crate::refusal::{Refusal, Shape};

/// Answers 500 for a request whose handler panicked.
pub async fn answer(request: Request, next: Next) -> Response {
    let shape = Shape::of(&request);
    // Unwind safety: what the handler held is dropped; shared state is the database's, which a panic leaves consistent.
    AssertUnwindSafe(next.run(request))
        .catch_unwind()
        .await
        .unwrap_or_else(|_| Refusal::INTERNAL.render(shape))
}

/// Sends the message of a panic to the log, where the span tells which request it was.
pub fn log_them() {
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("no message");
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panic: {message}");
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::body::{Body, to_bytes};
    use axum::middleware::from_fn;
    use axum::routing::get;
    use tower::ServiceExt;

    #[tokio::test]
    async fn a_panic_is_a_plain_500_and_the_next_request_is_served() {
        let defect = get(|| async { panic!("secret of {}", "tenant") as &'static str });
        let router = Router::new()
            .route("/api/v2/defect", defect)
            .route("/api/v2/good", get(|| async { "good" }))
            .layer(from_fn(answer));
        let ask = async |path: &str| {
            let request = Request::builder().uri(path).body(Body::empty()).unwrap();
            let response = router.clone().oneshot(request).await.unwrap();
            (response.status().as_u16(), to_bytes(response.into_body(), 1000).await.unwrap())
        };
        let (status, body) = ask("/api/v2/defect").await;
        let expected = r#"{"statusCode":500,"error":"Internal Server Error","message":"Internal error"}"#;
        assert_eq!((status, &*body), (500, expected.as_bytes()));
        assert_eq!(ask("/api/v2/good").await.0, 200);
    }
}
