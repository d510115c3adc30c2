//! `id_token_hint`: an ID token of ours that a client hands back, expired or not (OIDC Core §3.1.2.1).

use model::jose::VerifyError;

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

/// Reads an ID token that we signed; its lifetime does not matter. `None` for anything else.
pub async fn id_token(visit: &Visit, hint: &str) -> Result<Option<Hint>, db::Error> {
    let verified = match visit.app.keys.verify_hint(&visit.app, &visit.tenant.id, hint).await {
        Ok(verified) => verified,
        Err(VerifyError::Failed(error)) => return Err(error),
        Err(_) => return Ok(None),
    };
    if verified.issuer() != visit.tenant.issuer {
        return Ok(None);
    }
    let text = |name: &str| verified.text(name).map(str::to_owned);
    // An access token has an `azp` or `client_id` and an API as audience: it is no hint.
    if verified.claims.contains_key("azp") || verified.claims.contains_key("scope") {
        return Ok(None);
    }
    let (Some(sub), Some(client_id)) = (text("sub"), text("aud")) else { return Ok(None) };
    Ok(Some(Hint { sub, client_id, sid: text("sid") }))
}
