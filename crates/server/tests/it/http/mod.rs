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
    (Method::GET, "/u/passwordless"),
    (Method::POST, "/u/passwordless"),
    (Method::GET, "/u/passwordless-challenge"),
    (Method::POST, "/u/passwordless-challenge"),
    (Method::GET, "/u/authorization-requests"),
    (Method::POST, "/u/authorization-requests"),
    (Method::GET, "/activate"),
    (Method::POST, "/activate"),
    (Method::GET, "/u/device-confirmation"),
    (Method::POST, "/u/device-confirmation"),
    (Method::GET, "/u/consent"),
    (Method::POST, "/u/consent"),
    (Method::POST, "/co/verify"),
    (Method::POST, "/login/callback"),
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
    (Method::POST, "/usernamepassword/challenge"),
    (Method::POST, "/dbconnections/signup/challenge"),
    (Method::POST, "/dbconnections/change_password/challenge"),
    (Method::POST, "/passwordless/challenge"),
    (Method::POST, "/mfa/challenge"),
    (Method::POST, "/mfa/associate"),
    (Method::GET, "/mfa/authenticators"),
    (Method::DELETE, "/mfa/authenticators/x"),
];

/// What pages of apps that sign people in themselves call with cookies.
const CREDENTIALED: [(Method, &str); 2] =
    [(Method::POST, "/co/authenticate"), (Method::GET, "/user/ssodata")];

/// What classic sign-in pages load and call, and what there is no more.
const CLASSIC: [(Method, &str); 10] = [
    (Method::GET, "/client/spa.js"),
    (Method::GET, "/info-v1.js"),
    (Method::GET, "/tenants/v1/id.js"),
    (Method::POST, "/usernamepassword/login"),
    (Method::POST, "/oauth/ro"),
    (Method::POST, "/oauth/access_token"),
    (Method::POST, "/delegation"),
    (Method::POST, "/tokeninfo"),
    (Method::POST, "/login/unlink"),
    (Method::POST, "/users/x/impersonate"),
];

/// Endpoints that back ends call and no page does.
const BACK_ENDS: &[(Method, &str)] =
    &[(Method::POST, "/oauth/par"), (Method::POST, "/oidc/register"), (Method::POST, "/bc-authorize")];

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
    let fixed = PAGES.iter().chain(ENDPOINTS).chain(BACK_ENDS).chain(&PUBLIC).chain(&FILES);
    let fixed = fixed.chain(&CREDENTIALED).chain(&CLASSIC);
    fixed.map(|(method, path)| (method.clone(), (*path).to_owned())).chain(operations()).collect()
}
