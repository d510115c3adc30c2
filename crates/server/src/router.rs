//! The router: both HTTP crates, the account page, and what every request meets on its way to them.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use management::{Buckets, Limits};
use model::tenants::Tenant;
use model::{App, TenantId};
use tracing::Instrument;

use crate::cors::Origins;
use crate::metrics::Metrics;
use crate::peer::Proxies;
use crate::refusal::Refusal;
use crate::request_log::{Counter, Entry};
use crate::{account, host, limits, panics, peer, rate, security_headers};

/// What `serve` serves, with the default limits.
pub fn router(app: App, proxies: Proxies) -> Router {
    layered(app, proxies, Limits::default(), |routes| routes)
}

/// [`router`] with other limits, and with what `extend` makes of the routes, whose requests go the same way. `doorward dev`
/// alone makes anything of them.
pub fn layered(
    app: App,
    proxies: Proxies,
    limits: Limits,
    extend: impl FnOnce(Router<App>) -> Router<App>,
) -> Router {
    counted(app, proxies, limits, Metrics::default(), extend)
}

/// [`layered`] with the counters that the requests are counted in.
pub fn counted(
    app: App,
    proxies: Proxies,
    limits: Limits,
    metrics: Metrics,
    extend: impl FnOnce(Router<App>) -> Router<App>,
) -> Router {
    let way = Arc::new(Way {
        counter: Counter::new(&app.random),
        proxies,
        metrics,
        rate: Buckets::new(limits.plan.authentication()),
        app: app.clone(),
    });
    let routes =
        Router::new().merge(auth::routes()).merge(management::routes_with(limits)).merge(account::routes());
    extend(routes)
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn_with_state(way, go))
        .with_state(app)
}

/// What the way to every handler needs. It is one layer: each would be boxed and cloned for every request.
struct Way {
    counter: Counter,
    proxies: Proxies,
    metrics: Metrics,
    /// For each tenant, whatever is not the Management API.
    rate: Buckets<TenantId>,
    app: App,
}

/// From the socket to the handler and back. Whoever refuses the request on its way, the answer has its headers and its line in the log.
async fn go(State(way): State<Arc<Way>>, request: Request, next: Next) -> Response {
    let entry = Entry::begin(&way.counter, &way.proxies, &request);
    let answered = enter(&way, request, next).instrument(entry.span());
    let mut response = answered.instrument(entry.traced()).await;
    security_headers::add(&mut response);
    entry.end(&way.metrics, &mut response);
    response
}

/// Sizes, peer and tenant, in this order.
async fn enter(way: &Way, request: Request, next: Next) -> Response {
    if let Err(refusal) = limits::check(request.uri(), request.headers()) {
        return refusal.answer(&request);
    }
    let mut request = limits::capped(request);
    if let Err(refusal) = peer::identify(&way.proxies, &mut request) {
        return refusal.answer(&request);
    }
    let tenant = match host::resolve(&way.app, &mut request).await {
        Ok(tenant) => tenant,
        Err(refusal) => return refusal.answer(&request),
    };
    let mut response = within(way, &tenant, request, next).await;
    security_headers::promise_https(response.headers_mut(), &tenant.host);
    response
}

/// On a tenant's own host: who may read the answer from a browser, then the handler.
async fn within(way: &Way, tenant: &Tenant, request: Request, next: Next) -> Response {
    let origins = match Origins::of(&way.app, tenant, request.uri().path(), request.headers()).await {
        Ok(origins) => origins,
        Err(refusal) => return refusal.answer(&request),
    };
    if let Some(answer) = origins.preflight(&request) {
        return answer;
    }
    let mut response = match rate::take(&way.rate, &way.app.clock, tenant, &request) {
        Ok(standing) => {
            let mut response = panics::answer(request, next).await;
            // For all that is still to come at once.
            response.headers_mut().reserve(12);
            rate::tell(standing, &way.app.clock, &mut response);
            response
        }
        Err(refused) => refused,
    };
    origins.mark(response.headers_mut());
    response
}

async fn not_found(request: Request) -> Response {
    Refusal::NOT_FOUND.answer(&request)
}

async fn method_not_allowed(request: Request) -> Response {
    Refusal::METHOD.answer(&request)
}
