//! What classic sign-in pages and the SDKs that make them ask for (authentication contract §8): what an app and a tenant offer, as scripts;
//! whether somebody is signed in; a sign-in by JSON on this host; and the answers of what there is no more.

mod info;
mod login;
mod retired;
mod sso_data;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::{get, post};
use model::App;
use serde_json::{Value, json};

use crate::errors::{NoStore, OAuthError};
use crate::params::Params;
use crate::visit::Visit;

/// The endpoints of this folder.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/client/{file}", get(info::client))
        .route("/info-v1.js", get(info::tenant))
        .route("/tenants/v1/{file}", get(info::named_tenant))
        .route("/user/ssodata", get(sso_data::show))
        .route("/usernamepassword/login", post(login::login))
        .route("/login/callback", post(login::callback))
        .route("/usernamepassword/challenge", post(challenge))
        .route("/dbconnections/signup/challenge", post(challenge))
        .route("/dbconnections/change_password/challenge", post(challenge))
        .route("/passwordless/challenge", post(challenge))
        .merge(retired::routes())
}

/// Whether a page must show a captcha before it sends a form (authentication contract §8.6): none of ours asks for one.
async fn challenge(
    State(_): State<App>,
    _visit: Visit,
    headers: HeaderMap,
    body: Bytes,
) -> Result<NoStore<Value>, OAuthError> {
    let params = Params::parse_body(&headers, &body)?;
    params.get("state").ok_or_else(|| OAuthError::missing("state"))?;
    Ok(NoStore(json!({ "required": false })))
}
