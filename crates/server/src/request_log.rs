//! One line for each request, and the id that ties other lines to it. It names the route, not the path, and never a
//! query, a header or a body: those hold tokens, codes and addresses.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use model::Random;
use tracing::{Instrument, Level};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Numbers the requests of one process, after a random prefix that sets processes apart.
pub struct Counter {
    prefix: String,
    next: AtomicU32,
}

impl Counter {
    /// Starts at 1 with a fresh prefix.
    pub fn new(random: &Random) -> Self {
        Self { prefix: random.hex(8), next: AtomicU32::new(1) }
    }

    fn next(&self) -> String {
        format!("{}{:08x}", self.prefix, self.next.fetch_add(1, Ordering::Relaxed))
    }
}

/// Runs the request in a span with its id, and logs what came of it.
pub async fn record(
    State(counter): State<std::sync::Arc<Counter>>,
    request: Request,
    next: Next,
) -> Response {
    let id = counter.next();
    let span = tracing::info_span!(
        "request",
        id,
        method = %request.method(),
        route = request.extensions().get().map_or("", MatchedPath::as_str),
        ip = tracing::field::Empty,
        tenant = tracing::field::Empty,
    );
    let started = Instant::now();
    let mut response = next.run(request).instrument(span.clone()).await;
    let status = response.status();
    let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    span.in_scope(|| match status.is_server_error() {
        true => tracing::event!(Level::ERROR, status = status.as_u16(), micros, "answered"),
        false => tracing::event!(Level::INFO, status = status.as_u16(), micros, "answered"),
    });
    if let Ok(id) = HeaderValue::try_from(id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}
