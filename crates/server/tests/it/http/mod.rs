//! What every answer owes, whatever the route: CORS, headers, error shapes, limits, proxies.

mod account;
mod cors;
mod errors;
mod headers;
mod limits;
mod metadata;
mod plans;
mod proxies;
mod rate;
mod smuggling;

use axum::http::Method;

/// Where people come, and what they come with.
const PAGES: &[(Method, &str)] = &[
    (Method::GET, "/authorize"),
    (Method::POST, "/authorize"),
    (Method::GET, "/authorize/resume"),
    (Method::GET, "/u/login"),
    (Method::POST, "/u/login"),
    (Method::GET, "/u/signup"),
    (Method::POST, "/u/signup"),
    (Method::GET, "/u/unblock"),
    (Method::POST, "/u/unblock"),
    (Method::GET, "/passwordless/verify_redirect"),
    (Method::POST, "/passwordless/verify_redirect"),
    (Method::GET, "/activate"),
    (Method::POST, "/activate"),
    (Method::GET, "/u/device-confirmation"),
    (Method::POST, "/u/device-confirmation"),
    (Method::GET, "/u/consent"),
    (Method::POST, "/u/consent"),
    (Method::GET, "/v2/logout"),
    (Method::GET, "/oidc/logout"),
    (Method::POST, "/oidc/logout"),
];

/// What programs call beside the Management API.
const ENDPOINTS: &[(Method, &str)] = &[
    (Method::POST, "/oauth/token"),
    (Method::POST, "/oauth/revoke"),
    (Method::POST, "/oauth/device/code"),
    (Method::POST, "/passwordless/start"),
    (Method::POST, "/passwordless/verify"),
    (Method::POST, "/mfa/challenge"),
    (Method::POST, "/mfa/associate"),
    (Method::GET, "/mfa/authenticators"),
    (Method::DELETE, "/mfa/authenticators/x"),
];

/// Endpoints that back ends call and no page does.
const BACK_ENDS: [(Method, &str); 2] = [(Method::POST, "/oauth/par"), (Method::POST, "/oidc/register")];

/// What answers any origin.
const PUBLIC: [(Method, &str); 5] = [
    (Method::GET, "/userinfo"),
    (Method::POST, "/userinfo"),
    (Method::GET, "/.well-known/openid-configuration"),
    (Method::GET, "/.well-known/oauth-authorization-server"),
    (Method::GET, "/.well-known/jwks.json"),
];

const FILES: [(Method, &str); 3] =
    [(Method::GET, "/account/"), (Method::GET, "/account/config.json"), (Method::GET, "/account/nothing.js")];

/// Every operation of the Management API, its parameters filled in.
fn operations() -> Vec<(Method, String)> {
    let filled = |path: &str| {
        let part = |part: &str| if part.starts_with('{') { "x".to_owned() } else { part.to_owned() };
        format!("/api/v2{}", path.split('/').map(part).collect::<Vec<_>>().join("/"))
    };
    let operations = management::operations().iter();
    operations.map(|operation| (operation.method.clone(), filled(operation.path))).collect()
}

/// Every route that exists.
fn routes() -> Vec<(Method, String)> {
    let fixed = PAGES.iter().chain(ENDPOINTS).chain(&BACK_ENDS).chain(&PUBLIC).chain(&FILES);
    fixed.map(|(method, path)| (method.clone(), (*path).to_owned())).chain(operations()).collect()
}
