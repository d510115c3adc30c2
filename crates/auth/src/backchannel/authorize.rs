//! `POST /bc-authorize`: an app asks.

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use db::Batch;
use model::backchannel_requests::{self, INTERVAL, LIFETIME, MOST_OPEN, Wanted};
use model::clients::Client;
use model::users::{self, User};
use model::{App, UserId, logs};
use serde_json::{Value, json};

use super::GRANT;
use crate::aim::Aim;
use crate::client_authentication;
use crate::errors::{NoStore, OAuthError};
use crate::events;
use crate::params::Params;
use crate::scopes::Scopes;
use crate::token::user_tokens;
use crate::visit::Visit;

/// The longest binding message, in characters.
const LONGEST_MESSAGE: usize = 64;

/// Answers what the app polls with, how long it may, and how often.
///
/// # Errors
/// 400 `invalid_request`, `invalid_binding_message`, `unknown_user_id`; 401; 403 `unauthorized_client`, `access_denied`; 429 while too many
/// requests wait for the person's answer.
pub async fn begin(
    State(_): State<App>,
    visit: Visit,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    match accept(&visit, query.as_deref(), &headers, &body).await {
        Ok(answer) => NoStore(answer).into_response(),
        Err(error) => error.into_response(),
    }
}

async fn accept(
    visit: &Visit,
    query: Option<&str>,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Value, OAuthError> {
    let params = Params::parse_body(headers, body)?;
    let client = client_authentication::authenticate(visit, query, headers, &params).await?;
    let strict = visit.is_strict_for(&client).await?;
    begun(visit, &client, &params).await.map_err(|error| {
        visit.app.audit.push(events::backchannel_not_begun(visit, &client, &error.description));
        error.told(strict)
    })
}

async fn begun(visit: &Visit, client: &Client, params: &Params) -> Result<Value, OAuthError> {
    let (app, tenant) = (&visit.app, &*visit.tenant);
    if client.is_public() {
        return Err(OAuthError::unauthorized_caller());
    }
    if !client.allows_grant(GRANT) {
        return Err(OAuthError::grant_not_allowed(GRANT));
    }
    if params.get("organization").is_some() {
        let description = "parameter organization is not allowed for this client";
        return Err(OAuthError::invalid_request(description));
    }
    if params.get("authorization_details").is_some() {
        let description = "authorization_details are not supported";
        return Err(OAuthError::new(StatusCode::BAD_REQUEST, "invalid_authorization_details", description));
    }
    let asked = Scopes::parse(params.get("scope").unwrap_or_default());
    if !asked.has("openid") {
        return Err(OAuthError::invalid_request("openid scope must be requested"));
    }
    let message = binding_message(params)?;
    let lifetime = lifetime(params)?;
    user(visit, params).await?;
    let audience = user_tokens::audience(visit, params).await?;
    let granted = audience.grantable(app, tenant, client, &asked, true).await.map_err(user_tokens::closed)?;
    let (token, scope) = (app.random.token(), granted.to_string());
    let decide = async || {
        let now = app.clock.now();
        let user = match user(visit, params).await {
            Ok(user) => user,
            Err(error) => return Ok((Batch::new(), Err(error))),
        };
        let open = backchannel_requests::open_of_user(&app.db, &tenant.id, &user.id, now).await?;
        if open.len() as i64 >= MOST_OPEN {
            let error = OAuthError::too_many("Too many requests wait for an answer of this user.");
            return Ok((Batch::new(), Err(error)));
        }
        let wanted = Wanted {
            client_id: &client.client_id,
            user_id: &user.id,
            audience: audience.identifier(),
            scope: &scope,
            binding_message: message,
            lifetime,
        };
        let mut batch = Batch::new();
        users::hold(&mut batch, &user);
        backchannel_requests::leave_room(&mut batch, &tenant.id, &user.id, now);
        backchannel_requests::insert(&mut batch, app, &tenant.id, &token, wanted);
        let aim = Aim { client, audience: audience.identifier(), scopes: &granted };
        logs::record(&mut batch, events::backchannel_begun(visit, aim, &user));
        Ok::<_, db::Error>((batch, Ok(())))
    };
    app.db.retry(decide).await??;
    Ok(json!({ "auth_req_id": token, "expires_in": lifetime, "interval": INTERVAL }))
}

/// CIBA Core §7.1: a few words, of characters that every display has and that are no markup.
fn binding_message(params: &Params) -> Result<&str, OAuthError> {
    let invalid = |description: &str| {
        OAuthError::new(StatusCode::BAD_REQUEST, "invalid_binding_message", description.to_owned())
    };
    let message = params.get("binding_message").map(str::trim).filter(|message| !message.is_empty());
    let message = message.ok_or_else(|| invalid("binding_message is required"))?;
    let plain = |char: char| char.is_ascii_alphanumeric() || " +-_.,:#".contains(char);
    match message.chars().count() <= LONGEST_MESSAGE && message.chars().all(plain) {
        true => Ok(message),
        false => Err(invalid(
            "binding_message must be 64 characters at most, of A-Z a-z 0-9 + - _ . , : # and blanks",
        )),
    }
}

/// Seconds that the app wants to wait: 1 to 300.
fn lifetime(params: &Params) -> Result<i64, OAuthError> {
    let Some(text) = params.get("requested_expiry") else { return Ok(LIFETIME) };
    match text.parse::<i64>() {
        Ok(seconds) if (1..=LIFETIME).contains(&seconds) => Ok(seconds),
        _ => Err(OAuthError::invalid_request("requested_expiry must be a number of seconds from 1 to 300")),
    }
}

/// The user that `login_hint` names: `{"format":"iss_sub","iss":…,"sub":…}` of this issuer. One who is blocked is unknown.
async fn user(visit: &Visit, params: &Params) -> Result<User, OAuthError> {
    let unknown =
        || OAuthError::new(StatusCode::BAD_REQUEST, "unknown_user_id", "User ID is malformed or unknown");
    let hint = params.get("login_hint").ok_or_else(|| OAuthError::missing("login_hint"))?;
    let hint: Value = serde_json::from_str(hint).map_err(|_| unknown())?;
    let text = |name: &str| hint.get(name).and_then(Value::as_str);
    if text("format") != Some("iss_sub") || text("iss") != Some(visit.tenant.issuer.as_str()) {
        return Err(unknown());
    }
    let id = text("sub").filter(|sub| !sub.contains('\0')).ok_or_else(unknown)?;
    let user = users::find(&visit.app.db, &visit.tenant.id, &UserId::from(id.to_owned())).await?;
    user.filter(|user| !user.is_blocked()).ok_or_else(unknown)
}
