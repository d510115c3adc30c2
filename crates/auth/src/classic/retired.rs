//! Endpoints of an older time that new tenants never had (authentication contract §8.6): each says that it is disabled.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use model::App;

use crate::errors::OAuthError;

/// What stood here once.
const RETIRED: [&str; 6] = [
    "/oauth/ro",
    "/oauth/access_token",
    "/delegation",
    "/tokeninfo",
    "/login/unlink",
    "/users/{id}/impersonate",
];

/// The routes of all of them.
pub fn routes() -> Router<App> {
    RETIRED.iter().fold(Router::new(), |routes, path| routes.route(path, post(disabled)))
}

/// 404 `endpoint_disabled`, whatever is sent.
async fn disabled() -> OAuthError {
    OAuthError::new(StatusCode::NOT_FOUND, "endpoint_disabled", "The endpoint is disabled.")
}
