//! How one gets a token: OAuth 2.0, OpenID Connect and the hosted pages.

mod aim;
mod authorize;
mod backchannel;
mod classic;
mod client_authentication;
mod consent;
mod cross_origin;
mod dbconnections;
mod device;
mod discovery;
mod errors;
mod events;
mod factors;
mod hints;
mod initiate;
mod issue;
mod login;
mod logout;
mod mfa;
pub mod pages;
mod params;
mod passwordless;
mod possession;
mod proof;
mod protection;
mod recovery;
mod registration;
mod revoke;
mod scopes;
mod signup;
mod token;
mod unblock;
mod userinfo;
mod visit;

pub use discovery::ForEverybody;
pub use token::GrantType;

use axum::Router;
use axum::routing::{delete, get, post};
use model::App;

/// Every endpoint of this crate.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/authorize", get(authorize::authorize).post(authorize::authorize))
        .route("/authorize/resume", get(authorize::resume))
        .route("/u/login", get(login::show).post(login::submit))
        .route("/u/signup", get(signup::show).post(signup::submit))
        .route("/u/unblock", get(unblock::show).post(unblock::submit))
        .route(
            "/u/reset-password/request/{connection}",
            get(recovery::request::show).post(recovery::request::submit),
        )
        .route("/u/reset-password", get(recovery::reset::show).post(recovery::reset::submit))
        .route(
            "/u/email-verification",
            get(recovery::verification::show).post(recovery::verification::submit),
        )
        .route("/dbconnections/signup", post(dbconnections::signup::signup))
        .route("/dbconnections/change_password", post(dbconnections::change_password::change_password))
        .route("/co/authenticate", post(cross_origin::authenticate::authenticate))
        .route("/co/verify", post(cross_origin::verified))
        .merge(classic::routes())
        .route("/u/consent", get(consent::show).post(consent::submit))
        .route("/u/mfa-otp-challenge", get(factors::otp::show).post(factors::otp::submit))
        .route("/u/mfa-otp-enrollment", get(factors::enrollment::show).post(factors::enrollment::submit))
        .route("/u/mfa-email-challenge", get(factors::sent::show_email).post(factors::sent::submit_email))
        .route("/u/mfa-sms-challenge", get(factors::sent::show_sms).post(factors::sent::submit_sms))
        .route("/u/mfa-sms-enrollment", get(factors::phone::show).post(factors::phone::submit))
        .route("/u/mfa-recovery-code-challenge", get(factors::recovery::show).post(factors::recovery::submit))
        .route(
            "/u/mfa-recovery-code-enrollment",
            get(factors::recovery::show_new).post(factors::recovery::saved),
        )
        .route("/u/mfa-login-options", get(factors::options::show))
        .route("/u/mfa-enroll-options", get(factors::options::show_enrollable))
        .route("/mfa/enrollment", get(factors::tickets::otp::show).post(factors::tickets::otp::submit))
        .route(
            "/mfa/enrollment/phone",
            get(factors::tickets::phone::show).post(factors::tickets::phone::submit),
        )
        .route(
            "/mfa/enrollment/code",
            get(factors::tickets::phone::show_code).post(factors::tickets::phone::submit_code),
        )
        .route("/activate", get(device::activate::show).post(device::activate::submit))
        .route("/u/device-confirmation", get(device::confirm::show).post(device::confirm::submit))
        .route("/u/passwordless", get(passwordless::hosted::show).post(passwordless::hosted::submit))
        .route(
            "/u/passwordless-challenge",
            get(passwordless::challenge::show).post(passwordless::challenge::submit),
        )
        .route("/bc-authorize", post(backchannel::authorize::begin))
        .route("/u/authorization-requests", get(backchannel::answer::show).post(backchannel::answer::submit))
        .route("/oauth/device/code", post(device::code::begin))
        .route("/oauth/par", post(authorize::push))
        .route("/oidc/register", post(registration::register))
        .route(
            "/oidc/register/{client_id}",
            get(registration::get).put(registration::replace).delete(registration::remove),
        )
        .route("/login", get(initiate::initiate))
        .route("/oauth/token", post(token::token))
        .route("/passwordless/start", post(passwordless::start::start))
        .route("/passwordless/verify", post(passwordless::verify::verify))
        .route(
            "/passwordless/verify_redirect",
            get(passwordless::verify::show).post(passwordless::verify::submit),
        )
        .route("/mfa/challenge", post(mfa::challenge::challenge))
        .route("/mfa/associate", post(mfa::associate::associate))
        .route("/mfa/authenticators", get(mfa::authenticators::list))
        .route("/mfa/authenticators/{id}", delete(mfa::authenticators::remove))
        .route("/oauth/revoke", post(revoke::revoke))
        .route("/userinfo", get(userinfo::userinfo).post(userinfo::userinfo))
        .route("/v2/logout", get(logout::v2))
        .route("/oidc/logout", get(logout::oidc).post(logout::oidc))
        .route("/.well-known/openid-configuration", get(discovery::configuration))
        .route("/.well-known/oauth-authorization-server", get(discovery::configuration))
        .route("/.well-known/jwks.json", get(discovery::jwks))
        .merge(pages::assets::routes())
}
