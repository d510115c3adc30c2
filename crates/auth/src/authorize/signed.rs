//! Request objects by value: parameters that the client signed (RFC 9101; authentication contract §10).

use model::Timestamp;
use model::clients::{self, Client};
use model::jose::{Verified, VerifyError};
use model::spent_ids::{self, Kind};
use model::transactions::Source;
use serde_json::Value;

use super::request::Refusal;
use crate::params::Params;
use crate::visit::Visit;

/// Claims of the object itself, which are no parameters of the request (RFC 9101 §4).
const ENVELOPE: [&str; 7] = ["iss", "aud", "exp", "iat", "nbf", "jti", "sub"];

/// The longest `jti`, in bytes.
const LONGEST_ID: usize = 64;

/// How long the object of a client that is held to FAPI 2.0 may count, in seconds.
const LONGEST_LIFE: i64 = 3600;

/// How far the client's clock may be ahead, in seconds.
const SKEW: i64 = 10;

/// Seconds that an object without an end is remembered.
const A_DAY: i64 = 24 * 3600;

/// What stands in the signed object of `params`, in the place of everything but the client; `params` themselves where there is no
/// object, or where the client signs none: that is for the checks to refuse.
pub async fn open(visit: &Visit, params: Params) -> Result<Params, Refusal> {
    let (Some(object), Some(client_id)) = (params.get("request"), params.get("client_id")) else {
        return Ok(params);
    };
    let found = clients::find(&visit.app, &visit.tenant.id, client_id).await?;
    let Some(client) = found.filter(|client| !client.global && client.signs_requests()) else {
        return Ok(params);
    };
    let now = visit.app.clock.now();
    let keys = client.request_object_keys(now);
    let verified = client.verify_signed(&visit.app, &keys, object).await.map_err(|error| match error {
        VerifyError::Failed(error) => error.into(),
        VerifyError::Signature => refused("its signature is not that of a key of the client"),
        _ => refused("it is not a token that the client could have signed"),
    })?;
    holds(visit, &client, &verified)?;
    once(visit, &client, &verified).await?;
    let mut signed = Params::default().sent(Source { signed: true, ..params.source() });
    for (name, value) in verified.claims {
        let text = match value {
            Value::Null => continue,
            Value::String(text) => text,
            other => other.to_string(),
        };
        if !ENVELOPE.contains(&name.as_str()) {
            signed.add(name, text).map_err(|_| refused("it holds what is no parameter"))?;
        }
    }
    Ok(signed)
}

/// RFC 9101 §10.2 (with RFC 7519 §4.1.7): an object that names itself is good once.
async fn once(visit: &Visit, client: &Client, object: &Verified) -> Result<(), Refusal> {
    let Some(jti) = object.text("jti") else { return Ok(()) };
    let now = visit.app.clock.now();
    // One without an end is remembered for a day.
    let end = object.integer("exp").map(|end| Timestamp::from_millis(end.saturating_mul(1000)));
    let forgotten = end.unwrap_or_else(|| now.plus_seconds(A_DAY));
    let owner = (Kind::RequestObject, client.client_id.as_str());
    match spent_ids::spend(&visit.app, &visit.tenant.id, owner, jti, forgotten).await? {
        true => Ok(()),
        false => Err(refused("it was used before")),
    }
}

fn refused(reason: &str) -> Refusal {
    Refusal::page_of("invalid_request_object", &format!("The request object is not valid: {reason}"), None)
}

/// A media type, whose letters may be small or capital, with or without the tree that it is in (RFC 7515 §4.1.9).
fn is_type(typ: &str) -> bool {
    let typ = typ.to_ascii_lowercase();
    matches!(typ.strip_prefix("application/").unwrap_or(&typ), "jwt" | "oauth-authz-req+jwt")
}

/// FAPI 2.0 Message Signing §5.3.1: it says from when to when it counts, and that is an hour at most.
fn fresh(object: &Verified, seconds: i64) -> Result<(), Refusal> {
    let (Some(begins), Some(ends)) = (object.integer("nbf"), object.integer("exp")) else {
        return Err(refused("nbf or exp is missing"));
    };
    if begins < seconds - LONGEST_LIFE || ends.saturating_sub(begins) > LONGEST_LIFE {
        return Err(refused("it counts for too long"));
    }
    Ok(())
}

/// RFC 9101 §5, §6, with the limits of the contract.
fn holds(visit: &Visit, client: &Client, object: &Verified) -> Result<(), Refusal> {
    if !object.header.typ.as_deref().is_none_or(is_type) {
        return Err(refused("its typ"));
    }
    let own = client.client_id.as_str();
    let named = client.protocol.request_object_signing_alg.as_deref();
    if named.is_some_and(|named| named != object.header.alg.name()) {
        return Err(refused("it is not signed by the algorithm that the client registered"));
    }
    if object.issuer() != own || object.text("client_id") != Some(own) {
        return Err(refused("iss and client_id must be the client"));
    }
    if !object.is_for(&visit.tenant.issuer) {
        return Err(refused("aud must be the issuer"));
    }
    if object.text("response_type").is_none() {
        return Err(refused("response_type is missing"));
    }
    if object.claims.contains_key("request") || object.claims.contains_key("request_uri") {
        return Err(refused("it refers to another"));
    }
    let seconds = visit.app.clock.now().seconds();
    if client.protocol.is_fapi2() {
        fresh(object, seconds)?;
    }
    if object.integer("exp").is_some_and(|end| end <= seconds) {
        return Err(refused("it has expired"));
    }
    if object.integer("nbf").max(object.integer("iat")).is_some_and(|begins| begins > seconds + SKEW) {
        return Err(refused("its time has not come"));
    }
    if object.text("jti").is_some_and(|jti| jti.len() > LONGEST_ID) {
        return Err(refused("jti is too long"));
    }
    Ok(())
}
