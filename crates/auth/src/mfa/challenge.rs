//! `POST /mfa/challenge`: asks for a second factor, and sends its code where one is sent.

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use model::clients::Client;
use model::factors::sending::Destination;
use model::factors::{self, Kind};
use model::{App, guardian, logs};
use serde_json::{Value, json};

use super::bearer::Bearer;
use super::{oob_channel, send_code};
use crate::client_authentication;
use crate::errors::{NoStore, OAuthError};
use crate::events;
use crate::factors::{Missing, address, next, ways};
use crate::params::Params;
use crate::visit::Visit;

/// Answers `{"challenge_type":"otp"}`, or with an `oob_code` to be given back with the code that was sent.
///
/// # Errors
/// 400 `unsupported_challenge_type`, `association_required`; 401; 403 `invalid_grant`; 429.
pub async fn challenge(
    State(_): State<App>,
    visit: Visit,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Result<NoStore<Value>, OAuthError> {
    let (visit, query, headers) = (&visit, query.as_deref(), &headers);
    let params = Params::parse_body(headers, &body)?;
    let client = client_authentication::authenticate(visit, query, headers, &params).await?;
    let strict = visit.is_strict_for(&client).await?;
    challenged(&visit.told_by(&client, headers), &client, &params)
        .await
        .map(NoStore)
        .map_err(|error| error.told(strict))
}

async fn challenged(visit: &Visit, client: &Client, params: &Params) -> Result<Value, OAuthError> {
    let token = params.get("mfa_token").ok_or_else(|| OAuthError::missing("mfa_token"))?;
    let bearer = Bearer::of(visit, token).await?;
    bearer.is_for(client)?;
    let (app, tenant, user) = (&visit.app, &visit.tenant.id, &bearer.user);
    let guardian = guardian::find(app, tenant).await?;
    let all = factors::list(&app.db, tenant, &user.id).await?;
    if !matches!(next(&guardian, &all, user), Missing::Challenge(_)) {
        return Err(refused(
            "association_required",
            "User is not enrolled. You can use /mfa/associate endpoint to enroll the first authenticator.",
        ));
    }
    let unsupported = || {
        refused(
            "unsupported_challenge_type",
            "User does not have any of the requested challenge types enabled",
        )
    };
    let named = match params.get("authenticator_id") {
        None => None,
        Some(id) => {
            let factor = all.iter().find(|factor| factor.is_confirmed() && factor.authenticator_id() == id);
            Some(factor.ok_or_else(unsupported)?)
        }
    };
    let types = params.get("challenge_type").unwrap_or("otp oob");
    let asked = |kind: &Kind| {
        let wanted = named.is_none_or(|named| named.kind == *kind);
        let channel = params.get("oob_channel").is_none_or(|channel| channel == oob_channel(*kind));
        wanted
            && types.split_ascii_whitespace().any(|name| match kind {
                Kind::Totp => name == "otp",
                Kind::Email | Kind::Phone => name == "oob" && channel,
                Kind::RecoveryCode => false,
            })
    };
    match ways(&guardian, &all, user).into_iter().find(asked) {
        Some(Kind::Totp) => {
            let event = events::factor(visit, logs::Kind::FactorStarted, None, user, Kind::Totp.as_str());
            app.audit.push(event.client(client));
            Ok(json!({ "challenge_type": "otp" }))
        }
        Some(kind) => {
            // Of several numbers the one that was named.
            let named = named.and_then(|factor| factor.address.clone());
            let address = named.or_else(|| address(kind, &all, user)).ok_or_else(unsupported)?;
            let oob_code = app.random.token();
            let to = Destination { kind, address, enrolling: false };
            send_code(visit, client, &bearer, &to, &oob_code, &[]).await?;
            Ok(json!({ "challenge_type": "oob", "oob_code": oob_code, "binding_method": "prompt" }))
        }
        None => Err(unsupported()),
    }
}

fn refused(error: &'static str, description: &'static str) -> OAuthError {
    OAuthError::new(StatusCode::BAD_REQUEST, error, description)
}
