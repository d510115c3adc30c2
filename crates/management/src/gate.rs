//! The way of a request: token, limits and access rule first, then the handler, then what every answer carries.

use std::sync::Arc;

use axum::extract::{OriginalUri, Request};
use axum::handler::Handler;
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use model::tenants::Tenant;
use model::{App, Model, Peer, self_service};

use crate::access::{self, Admitted, Grant, Reach, Subject};
use crate::audit::{self, Call};
use crate::bearer;
use crate::errors::Error;
use crate::limits::{Exceeded, Limiter, Standing};
use crate::my_account::problem;
use crate::operations::{Api, Operation};
use crate::paths;
use crate::self_service::rules::check_proof;

/// Serves one request to an operation of the table. The handler runs only with a [`Grant`] in the request.
pub async fn serve<H: Handler<T, App>, T: 'static>(
    operation: Arc<Operation>,
    limiter: Arc<Limiter>,
    app: App,
    request: Request,
    handler: H,
) -> Response {
    let (mut parts, body) = request.into_parts();
    let mut standing = Standing::default();
    let api = operation.api;
    let mut response = match call(operation, &parts) {
        Ok(call) => {
            let response = match admit(&app, &limiter, &call, &mut parts, &mut standing).await {
                Ok(grant) => {
                    parts.extensions.insert(grant);
                    handler.call(Request::from_parts(parts, body), app.clone()).await
                }
                Err(error) => error.into_response(),
            };
            audit::answered(&app, &call, &response);
            response
        }
        Err(error) => error.into_response(),
    };
    finish(&app, api, &mut response, standing);
    response
}

/// The call, of the tenant and the peer that the server found.
fn call(operation: Arc<Operation>, parts: &Parts) -> Result<Arc<Call>, Error> {
    let (Some(tenant), Some(peer)) = (parts.extensions.get::<Arc<Tenant>>(), parts.extensions.get::<Peer>())
    else {
        tracing::error!("a request came without a tenant or a peer");
        return Err(Error::Internal);
    };
    let uri = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |original| &original.0);
    Ok(Arc::new(Call::new(operation, tenant.clone(), peer.clone(), uri.clone())))
}

/// All that comes before the handler: token, limit, the caller as they are now, and the access rule.
async fn admit(
    app: &Model,
    limiter: &Limiter,
    call: &Arc<Call>,
    parts: &mut Parts,
    standing: &mut Standing,
) -> Result<Grant, Error> {
    let tenant = call.tenant();
    let bearer = call.identified(bearer::verify(app, tenant, call.operation().api, parts).await?);
    let counted = match &bearer.subject {
        Subject::User(user) => limiter.user(&app.clock, &tenant.id, user),
        Subject::Client => limiter.machine(&app.clock, &tenant.id),
    };
    *standing = counted.map_err(|Exceeded(seconds, empty)| {
        *standing = empty;
        Error::TooManyRequests(seconds)
    })?;
    let user = bearer::current_user(app, tenant, bearer).await?;
    let params = paths::decoded(parts).await.unwrap_or_default();
    let first = params.first().map(|(_, value)| value.as_str());
    let (reach, powers) = access::decide(call.operation(), bearer, first)?;
    if let (Reach::Own(_), Some(change)) = (&reach, call.operation().asks()) {
        let policy = self_service::find(app, &tenant.id).await?;
        check_proof(&policy, change, bearer, app.clock.now())?;
    }
    let admitted = Admitted::new(user, app.clock.now());
    Ok(Grant { tenant: tenant.clone(), reach, powers, caller: call.clone(), admitted })
}

/// The answer to a route that is not in the table, or not with this method.
pub fn refuse(app: &Model, api: Api, error: Error) -> Response {
    let mut response = error.into_response();
    finish(app, api, &mut response, Standing::default());
    response
}

/// What every answer carries, one without a body too; a refusal in the shape that the API gives it.
fn finish(app: &Model, api: Api, response: &mut Response, standing: Standing) {
    if api == Api::MyAccount {
        problem::shape(response);
    }
    let headers = response.headers_mut();
    // Recorded: what is passed through from a job names no charset.
    headers
        .entry(header::CONTENT_TYPE)
        .or_insert(HeaderValue::from_static("application/json; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    standing.write(headers, app.clock.now().seconds() + 1);
}
