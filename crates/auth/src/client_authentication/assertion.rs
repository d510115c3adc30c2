//! Assertions: `private_key_jwt`, and `client_secret_jwt` for a client that has a secret (RFC 7523 §2.2, §3; OpenID Connect Core §9).

use std::sync::Arc;

use axum::http::{HeaderMap, StatusCode, header};
use model::Timestamp;
use model::clients::{self, Client};
use model::jose::{self, Verified, VerifyError, VerifyingKey};
use model::spent_ids::{self, Kind};
use model::tenants::Tenant;

use super::find;
use crate::errors::OAuthError;
use crate::params::Params;
use crate::visit::Visit;

/// The only type of assertion.
const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The longest assertion, in bytes (authentication contract §3.1).
const LONGEST: usize = 2048;

/// The longest `iss`, `sub` and `jti`, in bytes.
const LONGEST_NAME: usize = 64;

/// How far ahead `exp` may be, in seconds.
const LIFETIME: i64 = 300;

/// How far the client's clock may be ahead, in seconds.
const SKEW: i64 = 10;

/// What every assertion that does not hold is answered: which rule it broke is for the log.
fn refused(reason: &'static str) -> OAuthError {
    tracing::debug!(reason, "a client assertion was refused");
    OAuthError::new(StatusCode::UNAUTHORIZED, "invalid_client", "The client assertion is not valid")
}

/// The client that an assertion proves.
pub(super) async fn authenticate(
    visit: &Visit,
    query: Option<&str>,
    headers: &HeaderMap,
    params: &Params,
) -> Result<Arc<Client>, OAuthError> {
    one_method(query, headers, params)?;
    // Some clients send the type percent-encoded twice (authentication contract §3.1).
    let kind = params.get("client_assertion_type").unwrap_or_default();
    if kind != TYPE && kind != TYPE.replace(':', "%3A") {
        return Err(refused("its type"));
    }
    let assertion = params.get("client_assertion").unwrap_or_default();
    if assertion.is_empty() || assertion.len() > LONGEST {
        return Err(refused("its length"));
    }
    let claims = jose::named_claims(assertion).ok_or_else(|| refused("no token"))?;
    let client_id = claims.get("sub").and_then(serde_json::Value::as_str).ok_or_else(|| refused("no sub"))?;
    let is_name = client_id.len() <= LONGEST_NAME && !client_id.contains('\0');
    if !is_name || params.get("client_id").is_some_and(|given| given != client_id) {
        return Err(refused("another client"));
    }
    let client = find(visit, client_id).await?.ok_or_else(|| refused("unknown client"))?;
    let now = visit.app.clock.now();
    if client.proves_by_certificate() {
        return Err(refused("a client that proves itself by a certificate"));
    }
    let strict = visit.is_strict_for(&client).await?;
    let keys = keys(visit, &client, strict, now).await?;
    // Who proves itself by a secret does not do so by the keys that it publishes for its requests.
    let verified = match client.client_authentication_methods {
        Some(_) => client.verify_signed(&visit.app, &keys, assertion).await,
        None => jose::verify_jwt_of_client(assertion, &keys),
    };
    let verified = verified.map_err(|error| match error {
        VerifyError::Failed(error) => error.into(),
        _ => refused("its form, its key or its signature"),
    })?;
    let (jti, expires) = holds(&visit.tenant, &client, &verified, now)?;
    let owner = (Kind::ClientAssertion, client.client_id.as_str());
    if !spent_ids::spend(&visit.app, &visit.tenant.id, owner, jti, expires).await? {
        return Err(refused("used before"));
    }
    Ok(client)
}

/// RFC 6749 §2.3: a client uses one method a request; and none in the query.
fn one_method(query: Option<&str>, headers: &HeaderMap, params: &Params) -> Result<(), OAuthError> {
    let in_query =
        query.is_some_and(|query| query.contains("client_assertion") || query.contains("client_secret"));
    if in_query || headers.contains_key(header::AUTHORIZATION) || params.has("client_secret") {
        return Err(refused("two methods, or one in the query"));
    }
    Ok(())
}

/// The keys that prove the client: its own, or the secret that it shares with us. A public client has none.
async fn keys(
    visit: &Visit,
    client: &Client,
    strict: bool,
    now: Timestamp,
) -> Result<Vec<VerifyingKey>, OAuthError> {
    if let Some(keys) = client.assertion_keys(now) {
        return Ok(keys);
    }
    // Where the specification counts, the method is the registered one.
    let other_method = strict && client.token_endpoint_auth_method.is_some();
    if client.is_public()
        || client.client_authentication_methods.is_some()
        || client.protocol.is_fapi2()
        || other_method
    {
        return Ok(Vec::new());
    }
    let secret = clients::secret(&visit.app, &visit.tenant.id, &client.client_id).await?;
    Ok(secret.iter().map(|secret| VerifyingKey::hs256(None, secret.as_bytes())).collect())
}

/// RFC 7523 §3: the issuer or the token endpoint. FAPI 2.0 Security Profile §5.3.2.1 has the issuer as a string, and nobody else.
fn is_for_us(tenant: &Tenant, client: &Client, assertion: &Verified) -> bool {
    let issuer = tenant.issuer.as_str();
    if client.protocol.is_fapi2() {
        return assertion.text("aud") == Some(issuer);
    }
    let token_endpoint = format!("{issuer}oauth/token");
    [issuer, issuer.trim_end_matches('/'), &token_endpoint].iter().any(|audience| assertion.is_for(audience))
}

/// RFC 7523 §3, with the limits of the authentication contract §3.1: the assertion's id, and when it may be forgotten.
fn holds<'a>(
    tenant: &Tenant,
    client: &Client,
    assertion: &'a Verified,
    now: Timestamp,
) -> Result<(&'a str, Timestamp), OAuthError> {
    if !matches!(assertion.header.typ.as_deref(), None | Some("JWT" | "jwt" | "client-authentication+jwt")) {
        return Err(refused("its typ"));
    }
    let own = client.client_id.as_str();
    if assertion.issuer() != own || assertion.subject() != own {
        return Err(refused("its issuer"));
    }
    if !is_for_us(tenant, client, assertion) {
        return Err(refused("its audience"));
    }
    let seconds = now.seconds();
    let expires = assertion.integer("exp").ok_or_else(|| refused("no exp"))?;
    if expires <= seconds || expires > seconds + LIFETIME + SKEW {
        return Err(refused("its exp"));
    }
    let begins = assertion.integer("nbf").max(assertion.integer("iat"));
    if begins.is_some_and(|begins| begins > seconds + SKEW) {
        return Err(refused("its iat or nbf"));
    }
    let jti = assertion.text("jti").filter(|jti| (1..=LONGEST_NAME).contains(&jti.len()));
    Ok((jti.ok_or_else(|| refused("its jti"))?, Timestamp::from_millis(expires * 1000)))
}
