//! `POST /oauth/device/code`: a device begins to wait (RFC 8628 §3.1, §3.2).

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use db::Batch;
use model::App;
use model::device_codes::{self, UserCodes, limits, typed};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::GRANT;
use crate::client_authentication;
use crate::errors::{NoStore, OAuthError};
use crate::events;
use crate::params::Params;
use crate::scopes::Scopes;
use crate::token::user_tokens;
use crate::visit::Visit;

/// What a user code may hold that a query takes as it is.
const QUERY_VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-');

/// How often another user code is tried where one is taken: that any is, is a matter of millions.
const TRIES: usize = 8;

/// Answers the code to poll with, the one to type, and where.
///
/// # Errors
/// 400 `invalid_request`; 401; 403 `unauthorized_client`, `access_denied`; 429 for too many devices at one address.
pub async fn begin(
    State(_): State<App>,
    visit: Visit,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Result<NoStore<Value>, OAuthError> {
    let (visit, query, headers) = (&visit, query.as_deref(), &headers);
    let (app, tenant) = (&visit.app, &*visit.tenant);
    let params = Params::parse_body(headers, &body)?;
    let client = client_authentication::authenticate(visit, query, headers, &params).await?;
    let strict = visit.is_strict_for(&client).await?;
    let refused = |error: OAuthError| {
        app.audit.push(events::device_not_begun(visit, &client, &error.description));
        error.told(strict)
    };
    if !client.allows_grant(GRANT) {
        return Err(refused(OAuthError::grant_not_allowed(GRANT)));
    }
    if params.get("organization").is_some() {
        let description = "parameter organization is not allowed for this client";
        return Err(refused(OAuthError::invalid_request(description)));
    }
    let audience = user_tokens::audience(visit, &params).await.map_err(refused)?;
    let asked = Scopes::parse(params.get("scope").unwrap_or_default());
    let granted = audience.grantable(app, tenant, &client, &asked, true).await;
    let granted = granted.map_err(user_tokens::closed).map_err(refused)?;
    let share = limits::Share::devices_at(visit.peer.ip);
    if !limits::take(app, &tenant.id, vec![share]).await? {
        return Err(refused(OAuthError::too_many("Too many devices begin here. Please try again later.")));
    }
    let codes = UserCodes::of(&*visit.settings().await?);
    let device_code = app.random.token();
    for _ in 0..TRIES {
        let user_code = codes.new_code(&app.random);
        let Some(plain) = typed(&user_code) else { continue };
        let (mut batch, scope) = (Batch::new(), granted.to_string());
        let both = (device_code.as_str(), plain.as_str());
        let (client_id, audience) = (&client.client_id, audience.identifier());
        device_codes::insert(&mut batch, app, &tenant.id, both, client_id, audience, &scope);
        match app.db.commit(batch).await {
            Err(db::Error::Unique(_)) => continue,
            committed => committed?,
        };
        let uri = format!("{}activate", tenant.issuer);
        let query = utf8_percent_encode(&user_code, QUERY_VALUE);
        return Ok(NoStore(json!({
            "device_code": device_code,
            "user_code": user_code,
            "verification_uri": uri,
            "expires_in": device_codes::LIFETIME,
            "interval": device_codes::INTERVAL,
            "verification_uri_complete": format!("{uri}?user_code={query}"),
        })));
    }
    Err(OAuthError::busy())
}
