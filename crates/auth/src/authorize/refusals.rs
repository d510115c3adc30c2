//! How a refused request is answered: on a page while client and redirect URI are unproven, else at the client.

use axum::response::{IntoResponse, Response};

use super::request::{Refusal, Request};
use crate::events;
use crate::pages::{ErrorKind, ErrorPage};
use crate::params::ParamsError;
use crate::visit::Visit;

/// Answers a refusal: on a page, or to the client.
pub async fn refuse(visit: &Visit, refusal: Refusal) -> Response {
    match refusal {
        Refusal::Page { kind, error, description, detail } => {
            let page = visit.error_page(kind).await.with_error(error, &description);
            let page = match detail {
                Some(detail) => page.with_detail(&detail),
                None => page,
            };
            show(visit, page).await
        }
        Refusal::Client { target, error, description } if target.errors_on_page => {
            let page = visit.error_page(ErrorKind::InvalidRequest).await.with_error(error, &description);
            show(visit, page).await
        }
        Refusal::Client { target, error, description } => target.refuse(visit, error, &description).await,
        Refusal::Database(error) => visit.failure_page(error).await,
    }
}

/// Parameters that cannot be read are answered on a page: there is no redirect URI to trust.
pub async fn refused_params(visit: &Visit, error: &ParamsError) -> Response {
    let page = visit.error_page(ErrorKind::InvalidRequest).await;
    show(visit, page.with_error("invalid_request", &error.to_string())).await
}

/// Notes a refusal that no client hears of, and shows it: on our page, or on the tenant's own.
async fn show(visit: &Visit, page: ErrorPage) -> Response {
    let tracking = visit.app.random.hex(20);
    visit.app.audit.push(events::request_refused(visit, &page, &tracking));
    let page = page.with_tracking(&tracking);
    match visit.own_error_page(&page).await {
        Ok(Some(response)) => response,
        Ok(None) => page.into_response(),
        Err(error) => visit.failure_page(error).await,
    }
}

/// Answers `prompt=none` where a page would be needed, and notes it.
pub async fn silent_failure(
    visit: &Visit,
    request: &Request,
    error: &'static str,
    description: &str,
) -> Response {
    let event = events::silent_failure(visit, request, description);
    visit.app.audit.push(event);
    refuse(visit, Refusal::client(&request.target, error, description)).await
}
