//! The router: both HTTP crates, the account page, and what a request meets on its way to them, unless it is answered as it just was.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use auth::ForEverybody;
use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::future::RouteFuture;
use futures_util::future::Either;
use management::{Buckets, Limits};
use model::tenants::Tenant;
use model::{App, TenantId};
use tokio::time::timeout;
use tower::Service;
use tracing::Instrument;

use crate::cors::Origins;
use crate::kept::{Kept, KeptAnswers, Question};
use crate::listener::Bounds;
use crate::metrics::Metrics;
use crate::peer::Proxies;
use crate::refusal::{Refusal, Shape};
use crate::request_log::{Counter, Entry};
use crate::{account, host, limits, panics, peer, rate, security_headers};

/// What `serve` serves, with the default limits.
pub fn router(app: App, proxies: Proxies) -> Front {
    layered(app, proxies, Limits::default(), |routes| routes)
}

/// [`router`] with other limits, and with what `extend` makes of the routes, whose requests go the same way. `doorward dev`
/// alone makes anything of them.
pub fn layered(
    app: App,
    proxies: Proxies,
    limits: Limits,
    extend: impl FnOnce(Router<App>) -> Router<App>,
) -> Front {
    counted(app, proxies, limits, (Metrics::default(), Bounds::DEFAULT.request), extend)
}

/// [`layered`] with the counters that the requests are counted in, and how long a handler may take.
pub fn counted(
    app: App,
    proxies: Proxies,
    limits: Limits,
    (metrics, patience): (Metrics, Duration),
    extend: impl FnOnce(Router<App>) -> Router<App>,
) -> Front {
    let way = Arc::new(Way {
        counter: Counter::new(&app.random),
        proxies,
        metrics,
        patience,
        rate: Buckets::new(limits.plan.authentication()),
        kept: KeptAnswers::default(),
        app: app.clone(),
    });
    let routes =
        Router::new().merge(auth::routes()).merge(management::routes_with(limits)).merge(account::routes());
    let routes = extend(routes)
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn_with_state(way.clone(), go))
        .with_state(app);
    Front { way, routes }
}

/// What answers: at once with what everybody gets and was just made, and else by the way to a handler.
#[derive(Clone)]
pub struct Front {
    way: Arc<Way>,
    routes: Router,
}

impl Service<Request> for Front {
    type Response = Response;
    type Error = Infallible;
    type Future = Either<Ready<Result<Response, Infallible>>, RouteFuture<Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<Request>::poll_ready(&mut self.routes, context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        if let Some(question) = Question::of(&self.way.app, &self.way.proxies, &request) {
            if let Some(kept) = self.way.kept.find(&question, request.uri().path()) {
                return Either::Left(ready(Ok(again(&self.way, &kept, &request))));
            }
            request.extensions_mut().insert(question);
        }
        Either::Right(self.routes.call(request))
    }
}

/// A kept answer, logged and counted like any other.
fn again(way: &Way, kept: &Kept, request: &Request) -> Response {
    let entry = Entry::begin(&way.counter, &way.proxies, request, Some(kept.route.clone()));
    entry.tell_who(&way.proxies, request, &kept.tenant);
    let mut response = kept.again();
    entry.end(&way.metrics, &mut response);
    response
}

/// What the way to every handler needs. It is one layer: each would be boxed and cloned for every request.
struct Way {
    counter: Counter,
    proxies: Proxies,
    metrics: Metrics,
    patience: Duration,
    /// For each tenant, whatever is not the Management API.
    rate: Buckets<TenantId>,
    kept: KeptAnswers,
    app: App,
}

/// From the socket to the handler and back. Whoever refuses the request on its way, the answer has its headers and its line in the log.
async fn go(State(way): State<Arc<Way>>, mut request: Request, next: Next) -> Response {
    let question = request.extensions_mut().remove::<Question>();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let entry = Entry::begin(&way.counter, &way.proxies, &request, route.clone());
    let answered = enter(&way, request, next).instrument(entry.span());
    let mut response = answered.instrument(entry.traced()).await;
    security_headers::add(&mut response);
    if let Some((question, route)) = question.zip(route) {
        way.kept.keep(question, route, &response);
    }
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
            let mut response = handled(way, request, next).await;
            // For all that is still to come at once.
            response.headers_mut().reserve(12);
            if let Some(standing) = standing {
                rate::tell(&standing, &way.app.clock, &mut response);
                // Each of them counts.
                response.extensions_mut().remove::<ForEverybody>();
            }
            response
        }
        Err(refused) => refused,
    };
    origins.mark(response.headers_mut());
    response
}

/// What the handler answers, in the shape of its surface also where it is the framework that refuses, or nobody in time.
async fn handled(way: &Way, request: Request, next: Next) -> Response {
    let shape = Shape::of(&request);
    match timeout(way.patience, panics::answer(request, next)).await {
        Ok(response) => shape.of_unread_body(response),
        Err(_) => Refusal::UNAVAILABLE.render(shape),
    }
}

async fn not_found(request: Request) -> Response {
    Refusal::NOT_FOUND.answer(&request)
}

async fn method_not_allowed(request: Request) -> Response {
    Refusal::METHOD.answer(&request)
}
