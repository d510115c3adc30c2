//! The router: both HTTP crates, the account page, and every layer in the order a request meets it.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Response;
use management::Limits;
use model::App;
use tower::ServiceBuilder;

use crate::peer::Proxies;
use crate::refusal::Refusal;
use crate::request_log::Counter;
use crate::{account, cors, host, limits, panics, peer, request_log, security_headers};

/// What `serve` serves, with the default limits.
pub fn router(app: App, proxies: Proxies) -> Router {
    layered(app, proxies, Limits::default(), |routes| routes)
}

/// [`router`] with other limits, and with what `extend` makes of the routes, inside the same layers. `doorward dev` alone
/// makes anything of them.
pub fn layered(
    app: App,
    proxies: Proxies,
    limits: Limits,
    extend: impl FnOnce(Router<App>) -> Router<App>,
) -> Router {
    let counter = Arc::new(Counter::new(&app.random));
    let routes =
        Router::new().merge(auth::routes()).merge(management::routes_with(limits)).merge(account::routes());
    extend(routes)
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(
            ServiceBuilder::new()
                .layer(from_fn_with_state(counter, request_log::record))
                .layer(from_fn(security_headers::add))
                .layer(from_fn(limits::enforce))
                .layer(from_fn_with_state(proxies, peer::identify))
                .layer(from_fn_with_state(app.clone(), host::resolve))
                .layer(from_fn_with_state(app.clone(), cors::enforce))
                .layer(from_fn(panics::answer)),
        )
        .with_state(app)
}

async fn not_found(request: Request) -> Response {
    Refusal::NOT_FOUND.answer(&request)
}

async fn method_not_allowed(request: Request) -> Response {
    Refusal::METHOD.answer(&request)
}
