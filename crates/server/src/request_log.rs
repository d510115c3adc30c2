//! One line for each request, and the id that ties other lines to it. It names the route, not the path, and never a
//! query, a header or a body: those hold tokens, codes and addresses.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use auth::GrantType;
use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::response::Response;
use model::{Random, TenantId};
use tracing::{Level, Span};

use crate::metrics::{self, Metrics};
use crate::peer::{Proxies, RemoteAddress};

/// The id of a request, on its answer.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const HEX: &[u8; 16] = b"0123456789abcdef";

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
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut id = String::with_capacity(self.prefix.len() + 8);
        id.push_str(&self.prefix);
        let digits = (0..8).rev().map(|place| HEX[(number >> (4 * place) & 15) as usize]);
        id.extend(digits.map(char::from));
        id
    }
}

/// A request that is being answered.
pub struct Entry {
    id: String,
    span: Span,
    traced: Span,
    started: Instant,
    method: Method,
    route: Option<MatchedPath>,
}

impl Entry {
    /// Gives the request its id. What is logged in the span carries it.
    pub fn begin(
        counter: &Counter,
        proxies: &Proxies,
        request: &Request,
        route: Option<MatchedPath>,
    ) -> Self {
        let id = counter.next();
        let pattern = route.as_ref().map_or("", MatchedPath::as_str);
        let traced = trace(&id, proxies, request, pattern);
        let span = tracing::info_span!(
            "request",
            id,
            method = metrics::method(request.method()),
            route = pattern,
            ip = tracing::field::Empty,
            tenant = tracing::field::Empty,
        );
        Self { id, span, traced, started: Instant::now(), method: request.method().clone(), route }
    }

    /// In which the request is to be answered: what is logged there names it.
    pub fn span(&self) -> Span {
        self.span.clone()
    }

    /// Says in the log who asked whom, where it is not found out within the span.
    pub fn tell_who(&self, proxies: &Proxies, request: &Request, tenant: &TenantId) {
        if let (false, Some(remote)) = (self.span.is_disabled(), request.extensions().get::<RemoteAddress>())
        {
            let ip = proxies.client_of(remote.0.ip(), request.headers());
            self.span.record("ip", tracing::field::display(ip)).record("tenant", tenant.as_str());
        }
    }

    /// The span around that one, which a collector gets.
    pub fn traced(&self) -> Span {
        self.traced.clone()
    }

    /// Logs and counts what came of it, and puts the id on the answer.
    pub fn end(self, metrics: &Metrics, response: &mut Response) {
        let (status, took) = (response.status(), self.started.elapsed());
        metrics.request(self.route.as_ref().map_or("", MatchedPath::as_str), &self.method, status, took);
        if let Some(GrantType(grant)) = response.extensions().get() {
            metrics.grant(grant, status, took);
        }
        self.traced.record("http.response.status_code", status.as_u16());
        if status.is_server_error() {
            self.traced.record("otel.status_code", "ERROR");
        }
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.span.in_scope(|| match status {
            // Whoever comes on top is sent away, as it should be. What else is away has said so itself.
            StatusCode::SERVICE_UNAVAILABLE => {
                tracing::event!(Level::WARN, status = status.as_u16(), micros, "answered");
            }
            _ if status.is_server_error() => {
                tracing::event!(Level::ERROR, status = status.as_u16(), micros, "answered");
            }
            _ => tracing::event!(Level::INFO, status = status.as_u16(), micros, "answered"),
        });
        if let Ok(id) = HeaderValue::try_from(self.id) {
            response.headers_mut().insert(REQUEST_ID, id);
        }
    }
}

/// The span for traces, by OpenTelemetry's names. It holds no more of what the caller said than a log line does, and not their address.
fn trace(id: &str, proxies: &Proxies, request: &Request, route: &str) -> Span {
    let method = metrics::method(request.method());
    let span = tracing::debug_span!(
        target: "traces",
        "request",
        otel.name = format!("{method} {route}").trim_end(),
        otel.kind = "server",
        otel.status_code = tracing::field::Empty,
        "http.request.method" = method,
        "http.route" = route,
        "http.response.status_code" = tracing::field::Empty,
        "doorward.request_id" = id,
    );
    #[cfg(feature = "otel")]
    if proxies.began_trace(request) {
        crate::traces::go_on(&span, request.headers());
    }
    #[cfg(not(feature = "otel"))]
    let _ = proxies;
    span
}
