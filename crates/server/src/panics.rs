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
