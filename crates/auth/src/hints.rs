//! `id_token_hint`: an ID token of ours that a client hands back, expired or not (OIDC Core §3.1.2.1).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::jose::{Verified, VerifyError, VerifyingKey, verify_jwt_of_any_age};
use model::{UserId, clients, subjects};

use crate::visit::Visit;

/// What a hint says.
pub struct Hint {
    /// The user.
    pub sub: String,
    /// The client it was issued to.
    pub client_id: String,
    /// The session it was issued in.
    pub sid: Option<String>,
}

impl Hint {
    /// Whether the hint is about this user, whom its client may know by a name of its own.
    pub async fn is_about(&self, visit: &Visit, user: &UserId) -> Result<bool, db::Error> {
        let (app, tenant) = (&visit.app, &visit.tenant.id);
        let Some(client) = clients::find(app, tenant, &self.client_id).await? else { return Ok(false) };
        Ok(subjects::of(app, tenant, &client, user).await? == self.sub)
    }
}

/// Reads an ID token that we signed; its lifetime does not matter. `None` for anything else.
pub async fn id_token(visit: &Visit, hint: &str) -> Result<Option<Hint>, db::Error> {
    let verified = match visit.app.keys.verify_hint(&visit.app, &visit.tenant.id, hint).await {
        Ok(verified) => verified,
        Err(VerifyError::Failed(error)) => return Err(error),
        Err(VerifyError::Invalid) => match signed_by_secret(visit, hint).await? {
            Some(verified) => verified,
            None => return Ok(None),
        },
        Err(_) => return Ok(None),
    };
    if verified.issuer() != visit.tenant.issuer {
        return Ok(None);
    }
    let text = |name: &str| verified.text(name).map(str::to_owned);
    // What says that it serves another purpose, as a logout token does, is none.
    if !matches!(verified.header.typ.as_deref(), None | Some("JWT")) {
        return Ok(None);
    }
    // An access token has an `azp` or `client_id` and an API as audience: it is no hint.
    if ["azp", "client_id", "scope"].iter().any(|name| verified.claims.contains_key(*name)) {
        return Ok(None);
    }
    let (Some(sub), Some(client_id)) = (text("sub"), text("aud")) else { return Ok(None) };
    Ok(Some(Hint { sub, client_id, sid: text("sid") }))
}

/// The hint as one that the secret of the client it names signed, where the client's ID tokens are HS256. What a client signs
/// itself in this way speaks for that client alone.
async fn signed_by_secret(visit: &Visit, hint: &str) -> Result<Option<Verified>, db::Error> {
    let (app, tenant) = (&visit.app, &visit.tenant.id);
    let Some(client_id) = claimed_audience(hint) else { return Ok(None) };
    let client = clients::find(app, tenant, &client_id).await?;
    let Some(client) = client.filter(|client| !client.global && client.id_token_algorithm() == "HS256")
    else {
        return Ok(None);
    };
    let Some(secret) = clients::secret(app, tenant, &client.client_id).await? else { return Ok(None) };
    let key = VerifyingKey::hs256(None, secret.as_bytes());
    Ok(verify_jwt_of_any_age(hint, &[key], app.clock.now()).ok())
}

/// The client that a token says it is for, before anything of it is proven.
fn claimed_audience(token: &str) -> Option<String> {
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: serde_json::Value = serde_json::from_slice(&payload).ok()?;
    Some(claims.get("aud")?.as_str()?.to_owned()).filter(|client_id| !client_id.contains('\0'))
}
