//! The token exchange grant (RFC 8693; authentication contract §3.4): an API's back end that was called in a user's name calls
//! another API in that name. The new token's `act` says who acts, and for whom they act in turn.
//!
//! Profiles of a tenant's own for other kinds of tokens cannot be made here, and so none is known.

use std::sync::Arc;

use axum::http::StatusCode;
use model::clients::{self, Client};
use model::jose::{Verified, VerifyError};
use model::{UserId, grants, users};
use serde_json::{Value, json};

use super::Tokens;
use super::user_tokens::{audience, closed};
use crate::aim::Aim;
use crate::errors::OAuthError;
use crate::events;
use crate::issue;
use crate::params::Params;
use crate::possession;
use crate::scopes::Scopes;
use crate::visit::Visit;

/// The grant.
pub const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// The kind of token that is taken and given (RFC 8693 §3).
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// How many may act for each other in a row.
const DEEPEST: usize = 4;

/// Exchanges a user's access token for the client's own API for one for another API.
///
/// # Errors
/// 400 `invalid_request` for a token that does not hold and for what is not offered; 403 `unauthorized_client`, `access_denied`,
/// `invalid_grant` for a blocked user.
pub async fn exchange(visit: &Visit, client: &Client, params: &Params) -> Result<Tokens, OAuthError> {
    match exchanged(visit, client, params).await {
        Ok(tokens) => Ok(tokens),
        Err(error) => {
            visit.app.audit.push(events::token_not_exchanged(visit, client, &error.description));
            Err(error)
        }
    }
}

async fn exchanged(visit: &Visit, client: &Client, params: &Params) -> Result<Tokens, OAuthError> {
    let (app, tenant) = (&visit.app, &*visit.tenant);
    let required = |name: &str| params.get(name).ok_or_else(|| OAuthError::missing(name));
    let (kind, token) = (required("subject_token_type")?, required("subject_token")?);
    let invalid = |text: &'static str| Err(OAuthError::invalid_request(text));
    if kind != ACCESS_TOKEN {
        return invalid("No token exchange profile is known for the subject_token_type");
    }
    if params.get("requested_token_type").is_some_and(|kind| kind != ACCESS_TOKEN) {
        return invalid("The requested_token_type is not supported");
    }
    if params.has("actor_token") || params.has("actor_token_type") {
        return invalid("An actor_token is not supported");
    }
    if params.get("organization").is_some() {
        return invalid("parameter organization is not allowed for this client");
    }
    let own = match &client.resource_server_identifier {
        Some(own) if !client.is_public() => own,
        _ => {
            let description = "The client is not linked to an API";
            return Err(OAuthError::new(StatusCode::FORBIDDEN, "unauthorized_client", description));
        }
    };
    required("audience")?;

    let Some(subject) = verified(visit, token, own).await? else {
        return invalid("The subject_token is not valid");
    };
    bound(visit, &subject)?;
    let user = users::find(&app.db, &tenant.id, &UserId::from(subject.subject())).await?;
    // A token older than its user is another user's who had the same id.
    let issued_at = subject.integer("iat");
    let user = user.filter(|user| issued_at.is_some_and(|iat| iat >= user.created_at.seconds()));
    let Some(user) = user else { return invalid("The subject_token is not valid") };
    if user.is_blocked() {
        return Err(OAuthError::user_blocked());
    }
    let before = subject.claims.get("act").cloned();
    if depth(before.as_ref()) >= DEEPEST {
        return invalid("Too many act for each other");
    }

    let audience = audience(visit, params).await?;
    let Some(api) = audience.api().filter(|api| !api.is_system) else {
        return Err(OAuthError::access_denied("The audience is no API that may be called in a user's name"));
    };
    possession::demanded_by_api(visit, client, Some(api))?;
    let asked = Scopes::parse(params.get("scope").unwrap_or_default());
    let scopes = audience.grantable(app, tenant, client, &asked, false).await.map_err(closed)?;
    let scopes = audience.permitted(app, tenant, &user.id, scopes).await?;
    // There is nobody here who could be asked: what needs consent needs it before.
    if !client.is_first_party || !api.skip_consent_for_verifiable_first_party_clients {
        let known = grants::find(&app.db, &tenant.id, &user.id, &client.client_id, &api.identifier).await?;
        if known.is_none_or(|grant| !scopes.within(&grant.scopes)) {
            return Err(OAuthError::access_denied("The user has not consented"));
        }
    }

    let mut act = json!({ "sub": client.client_id });
    if let Some(before) = before {
        act["act"] = before;
    }
    let how = (act, visit.bond(client, Some(api)));
    let issued = issue::delegated_access_token(app, tenant, api, client, &user.id, &scopes, how).await?;
    let aim = Aim { client, audience: &api.identifier, scopes: &scopes };
    app.audit.push(events::token_exchanged(visit, aim, &user));
    Ok(Tokens {
        access_token: issued.token,
        refresh_token: None,
        id_token: None,
        scope: Some(scopes.to_string()),
        expires_in: issued.expires_in,
        token_type: "Bearer",
        recovery_code: None,
        issued_token_type: Some(ACCESS_TOKEN),
        authorization_details: None,
    })
}

/// A user's access token for the API `own`, of this tenant at this host and issued to a client that is still there.
async fn verified(visit: &Visit, token: &str, own: &str) -> Result<Option<Arc<Verified>>, db::Error> {
    let (app, tenant) = (&visit.app, &visit.tenant);
    let verified = match app.keys.verify(app, &tenant.id, token).await {
        Ok(verified) => verified,
        Err(VerifyError::Failed(error)) => return Err(error),
        Err(_) => return Ok(None),
    };
    let client_id = verified.text("azp").or_else(|| verified.text("client_id"));
    let Some(client_id) = client_id.map(str::to_owned) else { return Ok(None) };
    let is_users = !verified.subject().ends_with("@clients");
    let holds = verified.issuer() == tenant.issuer && verified.is_for(own) && is_users;
    let client = clients::find(app, &tenant.id, &client_id).await?;
    Ok((holds && client.is_some()).then_some(verified))
}

/// RFC 9449 §7: a token that is bound to a key is shown with a proof of it, here too; what comes of it is then bound to the same key.
fn bound(visit: &Visit, subject: &Verified) -> Result<(), OAuthError> {
    match subject.bound_to() {
        Ok(None) => Ok(()),
        Ok(Some(jkt)) if visit.jkt.as_deref() == Some(jkt) => Ok(()),
        _ => {
            let description = "The subject_token is bound to a key, of which a DPoP proof is required";
            Err(OAuthError::new(StatusCode::BAD_REQUEST, "invalid_dpop_proof", description))
        }
    }
}

/// How many act for each other.
fn depth(act: Option<&Value>) -> usize {
    let mut depth = 0;
    let mut next = act;
    while let Some(act) = next {
        depth += 1;
        next = act.get("act").filter(|_| depth < DEEPEST);
    }
    depth
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actors_are_counted_as_far_as_it_matters() {
        assert_eq!(depth(None), 0);
        assert_eq!(depth(Some(&json!({ "sub": "a" }))), 1);
        assert_eq!(depth(Some(&json!({ "sub": "a", "act": { "sub": "b" } }))), 2);
        let many = (0..50).fold(json!({ "sub": "a" }), |act, _| json!({ "sub": "b", "act": act }));
        assert_eq!(depth(Some(&many)), DEEPEST);
    }
}
