//! `POST /usernamepassword/login` and `POST /login/callback`: a sign-in by JSON on a page of this host, which gets a form that carries the
//! proof on (authentication contract §8.5).

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use model::App;
use model::clients::{self, Client};
use model::connections::{self, Connection};
use model::jose::{Algorithm, VerifyError};
use model::login_tickets::Place;
use serde_json::{Map, Value, json};

use crate::aim::Aim;
use crate::authorize::request::Request;
use crate::authorize::{self, LONGEST_REQUEST, refuse, refused_params};
use crate::cross_origin::authenticate::issue;
use crate::cross_origin::{own_origin, sign_in, usable};
use crate::errors::{OAuthError, no_store_json};
use crate::events;
use crate::pages::{ErrorKind, HiddenFormPage, LoginError};
use crate::params::{self, Params, ParamsError};
use crate::scopes::Scopes;
use crate::visit::{Visit, with_cookie};

/// What is the page's own, and no part of what the app asks for.
const OWN: [&str; 8] = ["username", "password", "captcha", "_csrf", "_intstate", "tenant", "sso", "realm"];

/// The type of the proof that the form carries.
const PROOF: &str = "login-ticket+jwt";

/// Checks `username` and `password`, and answers the form that leads on. The body is JSON and comes from a page of this host:
/// no other site's page can send that.
///
/// # Errors
/// 400 with `code`: `invalid_user_password`, `blocked_user`, `password_leaked`; 403 `session_missing`; 429 `too_many_attempts`.
pub async fn login(State(_): State<App>, visit: Visit, headers: HeaderMap, body: Bytes) -> Response {
    match accept(&visit, &headers, &body).await {
        Ok(response) | Err(response) => response,
    }
}

async fn accept(visit: &Visit, headers: &HeaderMap, body: &[u8]) -> Result<Response, Response> {
    let failed = |error: db::Error| Visit::json_error(error);
    let mut origins = headers.get_all(header::ORIGIN).iter();
    let own = own_origin(visit);
    let here = origins.next().is_some_and(|origin| origin == own.as_str()) && origins.next().is_none();
    if !here || !params::is_json(headers) {
        let description = "The request is not from a sign-in page of this host.";
        return Err(refused(StatusCode::FORBIDDEN, "session_missing", description));
    }
    let params =
        Params::parse_body(headers, body).map_err(|error| OAuthError::from(error).into_response())?;
    let client = clients::find(&visit.app, &visit.tenant.id, params.get("client_id").unwrap_or_default());
    let client = client.await.map_err(failed)?.filter(|client| !client.global && client.is_first_party);
    let Some(client) = client else {
        return Err(refused(StatusCode::BAD_REQUEST, "invalid_request", "Unknown client"));
    };
    let directories = directories(visit, &client, &params).await.map_err(failed)?;
    if directories.is_empty() {
        return Err(refused(StatusCode::BAD_REQUEST, "invalid_request", "the connection was not found"));
    }
    let username = params.get("username").map(str::trim).unwrap_or_default();
    let password = params.get("password").unwrap_or_default();
    if username.is_empty() || password.is_empty() {
        let description = "username and password are required";
        return Err(refused(StatusCode::BAD_REQUEST, "invalid_request", description));
    }
    let (browser, cookie) = visit.bind_browser();
    let place = Place { client_id: &client.client_id, origin: &own, browser: &browser };
    let scopes = Scopes::default();
    let aim = Aim { client: &client, audience: "", scopes: &scopes };
    let issued = issue(visit, aim, place, &directories, username, password).await.map_err(failed)?;
    let (ticket, told) = issued.map_err(|error| {
        let refused = refusal(error);
        visit.app.audit.push(events::ticket_refused(visit, aim, username, refused.1));
        self::refused(refused.2, refused.0, refused.1)
    })?;
    let claims = json!({
        "iss": visit.tenant.issuer,
        "aud": callback_url(visit),
        "sub": ticket.user_id,
        "iat": ticket.created_at.seconds(),
        "exp": ticket.expires_at.seconds(),
        "jti": told.ticket,
    });
    let app = &visit.app;
    let wresult = app.keys.sign(app, &visit.tenant.id, Algorithm::RS256, PROOF, &claims).await;
    let form = HiddenFormPage {
        action: callback_url(visit),
        wresult: wresult.map_err(failed)?,
        wctx: Value::Object(context(params)).to_string(),
        lang: visit.look().await.lang,
    };
    Ok(with_cookie(form.into_response(), cookie))
}

fn callback_url(visit: &Visit) -> String {
    format!("{}login/callback", visit.tenant.issuer)
}

/// The directories that are searched: the one that is named, else those of the app.
async fn directories(
    visit: &Visit,
    client: &Client,
    params: &Params,
) -> Result<Vec<Arc<Connection>>, db::Error> {
    let named = params.get("connection").or_else(|| params.get("realm"));
    let mut usable = connections::enabled_for(&visit.app, &visit.tenant.id, &client.client_id).await?;
    usable.retain(|connection| connection.is_database() && connection.is_active());
    usable.retain(|connection| named.is_none_or(|named| connection.name == named));
    Ok(usable)
}

/// What the app asks for, as it goes on.
fn context(params: Params) -> Map<String, Value> {
    let asked = params.only(|name| !OWN.contains(&name)).into_pairs();
    asked.into_iter().map(|(name, value)| (name, value.into())).collect()
}

/// `code`, `description` and status of what the sign-in page would say.
fn refusal(error: LoginError) -> (&'static str, &'static str, StatusCode) {
    match error {
        LoginError::UserBlocked => ("blocked_user", "The user is blocked.", StatusCode::BAD_REQUEST),
        LoginError::AccountBlocked { .. } => (
            "too_many_attempts",
            "Your account has been blocked after multiple consecutive login attempts.",
            StatusCode::TOO_MANY_REQUESTS,
        ),
        LoginError::AddressBlocked => (
            "too_many_attempts",
            "We have detected suspicious login behavior and further attempts will be blocked. Please contact the \
             administrator.",
            StatusCode::TOO_MANY_REQUESTS,
        ),
        LoginError::PasswordBreached => (
            "password_leaked",
            "This login has been blocked because your password has been leaked in another website.",
            StatusCode::BAD_REQUEST,
        ),
        LoginError::Busy => (
            "too_many_requests",
            "The server is busy, try again in a moment",
            StatusCode::SERVICE_UNAVAILABLE,
        ),
        LoginError::NoUsername
        | LoginError::NoPassword
        | LoginError::FormExpired
        | LoginError::WrongCredentials => {
            ("invalid_user_password", "Wrong email or password.", StatusCode::BAD_REQUEST)
        }
    }
}

fn refused(status: StatusCode, code: &str, description: &str) -> Response {
    let body = json!({
        "name": "ValidationError", "code": code, "description": description, "statusCode": status.as_u16(),
    });
    no_store_json(status, &body)
}

/// `wa`, `wresult` and `wctx` of the form: signs in whom the proof is of, in the browser that it was given in, and goes on as `/authorize`
/// does.
pub async fn callback(State(_): State<App>, visit: Visit, headers: HeaderMap, body: Bytes) -> Response {
    let form = match Params::parse_body(&headers, &body) {
        Ok(form) => form,
        Err(error) => return refused_params(&visit, &error).await,
    };
    let ticket = match proven(&visit, form.get("wresult").unwrap_or_default()).await {
        Ok(Some(ticket)) => ticket,
        Ok(None) => return visit.error_page(ErrorKind::FormExpired).await.into_response(),
        Err(error) => return visit.failure_page(error).await,
    };
    let params = match Params::parse_json(form.get("wctx").unwrap_or_default()) {
        Ok(params) if params.length() > LONGEST_REQUEST => Err(ParamsError::TooLong),
        params => params,
    };
    let params = match params {
        Ok(params) => params,
        Err(error) => return refused_params(&visit, &error).await,
    };
    let visit = visit.asking(&params);
    let request = match Request::check(&visit, &params).await {
        Ok(request) => request,
        Err(refusal) => return refuse(&visit, refusal).await,
    };
    // Of another browser, spent, or another app's: a form that is not this one's.
    let ticket_of = match usable(&visit, &request, &ticket).await {
        Ok(found) => found.filter(|ticket| ticket.is_of_browser(visit.browser())),
        Err(error) => return visit.failure_page(error).await,
    };
    if ticket_of.is_none() {
        return visit.error_page(ErrorKind::FormExpired).await.into_response();
    }
    match authorize::begin(&visit, params) {
        Ok(begun) => sign_in(&visit, &request, &begun.transaction, &begun.state, &ticket).await,
        Err(error) => refused_params(&visit, &error).await,
    }
}

/// The ticket in a proof that we signed for this endpoint.
async fn proven(visit: &Visit, proof: &str) -> Result<Option<String>, db::Error> {
    let verified = match visit.app.keys.verify_hint(&visit.app, &visit.tenant.id, proof).await {
        Ok(verified) => verified,
        Err(VerifyError::Failed(error)) => return Err(error),
        Err(_) => return Ok(None),
    };
    let is_ours = verified.header.typ.as_deref() == Some(PROOF)
        && verified.issuer() == visit.tenant.issuer
        && verified.is_for(&callback_url(visit));
    Ok(verified.text("jti").filter(|_| is_ours).map(str::to_owned))
}
