//! `POST /mfa/associate`: begins the enrolment of a second factor. The grant that gives its first code ends it.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, header};
use db::Batch;
use model::clients::{self, Client};
use model::factors::sending::Destination;
use model::factors::{self, Factor, Kind, recovery_code, totp};
use model::guardian::{self, Guardian};
use model::{App, sms, tenants, users};
use serde_json::{Map, Value, json};

use super::bearer::{Bearer, Proof};
use super::{oob_channel, oob_purpose, send_code};
use crate::client_authentication;
use crate::errors::{NoStore, OAuthError};
use crate::factors::{Missing, next};
use crate::params::Params;
use crate::visit::Visit;

/// Answers the seed of an authenticator app, or an `oob_code` for the code that was sent; with a recovery code where the user has
/// none yet.
///
/// # Errors
/// 400 `invalid_request`; 401; 403 `access_denied` for a user who is enrolled already, `invalid_grant`, `insufficient_scope`,
/// `insufficient_user_authentication` where the self-service policy asks for a later or surer sign-in; 429.
pub async fn associate(
    State(_): State<App>,
    visit: Visit,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Result<NoStore<Value>, OAuthError> {
    let (visit, query, headers) = (&visit, query.as_deref(), &headers);
    let body_params = Params::parse_body(headers, &body)?;
    let body = Params::parse_object(headers, &body)?;
    let bearer = Bearer::of_header(visit, headers).await?;
    bearer.may("enroll")?;
    let client = calling_client(visit, query, headers, &body_params, &bearer).await?;
    let strict = visit.is_strict_for(&client).await?;
    associated(&visit.told_by(&client, headers), &client, &bearer, &body)
        .await
        .map(NoStore)
        .map_err(|error| error.told(strict))
}

async fn associated(
    visit: &Visit,
    client: &Client,
    bearer: &Bearer,
    body: &Map<String, Value>,
) -> Result<Value, OAuthError> {
    let (app, tenant) = (&visit.app, &visit.tenant.id);
    let guardian = guardian::find(app, tenant).await?;
    let (kind, address) = wanted(body, &guardian, bearer)?;
    let all = factors::list(&app.db, tenant, &bearer.user.id).await?;
    match bearer.proof {
        // An address that codes go to protects too, though nobody enrolled it.
        Proof::First(_) if !matches!(next(&guardian, &all, &bearer.user), Missing::Enrollment(_)) => {
            return Err(OAuthError::access_denied("User is already enrolled."));
        }
        // A factor that is added opens as much as one that is taken away.
        Proof::Whole { .. } if all.iter().any(Factor::protects) => bearer.may_change_factors(visit).await?,
        _ => {}
    }
    if all.len() >= factors::MOST {
        return Err(OAuthError::access_denied("The user has too many authenticators."));
    }
    // A recovery code stands in for a factor, and comes with the first.
    let needs_code = guardian.offers(Kind::RecoveryCode) && !all.iter().any(Factor::is_good_recovery_code);
    let recovery = needs_code.then(|| recovery_code::new(&app.random));
    let begun = |factor: Factor, purpose: &str| {
        let code = recovery.as_ref();
        let code = code.map(|code| Factor::begin_recovery_code(app, &bearer.user.id, code, purpose));
        [Some(factor), code].into_iter().flatten().collect::<Vec<_>>()
    };
    let mut answer = match (kind, address) {
        (kind, Some(address)) => {
            let oob_code = app.random.token();
            let purpose = oob_purpose(&bearer.token, &oob_code);
            let factor = Factor::begin(app, &bearer.user.id, kind, &purpose).with_address(&address);
            let begun = begun(factor, &purpose);
            let to = Destination { kind, address, enrolling: true };
            send_code(visit, client, bearer, &to, &oob_code, &begun).await?;
            json!({
                "authenticator_type": "oob",
                "binding_method": "prompt",
                "oob_channel": oob_channel(kind),
                "oob_code": oob_code,
            })
        }
        (_, None) => {
            let seed = totp::new_seed(&app.random);
            let factor = Factor::begin(app, &bearer.user.id, Kind::Totp, &bearer.token);
            let factor = factor.with_seed(app, tenant, &seed);
            let mut batch = Batch::new();
            users::unchanged(&mut batch, &bearer.user);
            for factor in begun(factor, &bearer.token) {
                factors::begin(&mut batch, tenant, &factor);
            }
            app.db.commit(batch).await?;
            let settings = tenants::settings(app, tenant).await?;
            let issuer = settings.friendly_name.as_deref().unwrap_or(&visit.tenant.name);
            json!({
                "authenticator_type": "otp",
                "secret": totp::encode(&seed),
                "barcode_uri": totp::key_uri(issuer, &totp::account(&bearer.user), &seed),
            })
        }
    };
    if let Some(code) = recovery {
        answer["recovery_codes"] = json!([code]);
    }
    Ok(answer)
}

/// The client that calls, which is the one that the token was issued to. `Authorization` holds the token here, so that it proves
/// itself in the body; a public client, which proves nothing, need not even name itself.
async fn calling_client(
    visit: &Visit,
    query: Option<&str>,
    headers: &HeaderMap,
    params: &Params,
    bearer: &Bearer,
) -> Result<Arc<Client>, OAuthError> {
    if params.get("client_id").is_none() && params.get("client_assertion").is_none() {
        let client = clients::find(&visit.app, &visit.tenant.id, bearer.client_id.as_str()).await?;
        return client.filter(|client| client.is_public()).ok_or_else(|| OAuthError::missing("client_id"));
    }
    let mut headers = headers.clone();
    headers.remove(header::AUTHORIZATION);
    let client = client_authentication::authenticate(visit, query, &headers, params).await?;
    bearer.is_for(&client)?;
    Ok(client)
}

/// What is to be enrolled, and where its codes go.
fn wanted(
    body: &Map<String, Value>,
    guardian: &Guardian,
    bearer: &Bearer,
) -> Result<(Kind, Option<String>), OAuthError> {
    let types = texts(body.get("authenticator_types"));
    let channels = texts(body.get("oob_channels"));
    let invalid = |text: &'static str| Err(OAuthError::invalid_request(text));
    if types.is_empty() {
        return Err(OAuthError::missing("authenticator_types"));
    }
    if types.contains(&"otp") && guardian.offers(Kind::Totp) {
        return Ok((Kind::Totp, None));
    }
    let sent = [Kind::Phone, Kind::Email];
    if !types.contains(&"oob") || !sent.iter().any(|kind| guardian.offers(*kind)) {
        return invalid("None of the authenticator_types is supported");
    }
    let asked = |kind: &&Kind| guardian.offers(**kind) && channels.contains(&oob_channel(**kind));
    let Some(kind) = sent.iter().find(asked) else {
        return invalid("None of the oob_channels is supported");
    };
    let (name, known) = match kind {
        Kind::Phone => ("phone_number", None),
        _ => ("email", bearer.user.email.clone()),
    };
    let address = match (body.get(name), kind) {
        (None | Some(Value::Null), _) => known,
        (Some(Value::String(number)), Kind::Phone) if sms::typed(number).is_some() => sms::typed(number),
        (Some(_), Kind::Phone) => return invalid("phone_number must be a number with its country code"),
        (Some(Value::String(email)), _) if users::is_email(email.trim()) => Some(email.trim().to_lowercase()),
        (Some(_), _) => return invalid("email must be an e-mail address"),
    };
    match address {
        Some(address) => Ok((*kind, Some(address))),
        None => Err(OAuthError::missing(name)),
    }
}

/// A list of texts; a form has but one.
fn texts(value: Option<&Value>) -> Vec<&str> {
    match value {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}
