//! `link_with`: the ID token that proves that an account is the caller's too (management contract §1.5).

use model::jose;
use model::{App, UserId};
use serde_json::Value;

use super::identities::refused;
use crate::access::Grant;
use crate::errors::Error;

/// What a good ID token says.
pub struct Proof {
    /// Whom it is about.
    pub user: UserId,
    /// When it was issued, in seconds since the epoch: a user made later is another.
    pub issued_at: i64,
    /// The browser session that it was issued in.
    pub sid: Option<String>,
}

/// Verifies an ID token of this tenant for the very client that the caller's access token was issued to.
///
/// # Errors
/// 400 `invalid_body`.
pub async fn verify(app: &App, grant: &Grant, token: &str) -> Result<Proof, Error> {
    if jose::named_algorithm(token).is_some_and(|algorithm| algorithm != "RS256") {
        return Err(refused("JWT (link_with) must have an alg of RS256."));
    }
    let verified = app.keys.verify_id_token(app, &grant.tenant.id, token).await?;
    let verified = verified.ok_or_else(|| refused("Invalid token (link_with)."))?;
    if verified.text("iss") != Some(&*grant.tenant.issuer) {
        return Err(refused("JWT (link_with) must have the same issuer as the calling user."));
    }
    let Some(Value::String(audience)) = verified.claims.get("aud") else {
        return Err(refused("JWT (link_with) contains an invalid aud claim."));
    };
    if grant.caller.bearer().is_none_or(|bearer| bearer.client.as_str() != audience) {
        return Err(refused(
            "JWT (link_with) must have an aud claim that matches that of the calling token's azp.",
        ));
    }
    let user = match verified.claims.get("sub") {
        None => return Err(refused("JWT (link_with) must contains sub claim.")),
        Some(Value::String(sub)) => UserId::from(sub.as_str()),
        Some(_) => return Err(refused("JWT (link_with) contains an invalid sub claim.")),
    };
    // A provider and an account's id: not a machine, and not nobody. A NUL is in no id.
    if user.provider().is_empty() || user.subject().is_empty() || user.as_str().contains('\0') {
        return Err(refused("JWT (link_with) contains an invalid sub claim."));
    }
    let issued_at = verified.integer("iat").ok_or_else(|| refused("Invalid token (link_with)."))?;
    Ok(Proof { user, issued_at, sid: verified.text("sid").map(str::to_owned) })
}
