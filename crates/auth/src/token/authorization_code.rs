//! The `authorization_code` grant (RFC 6749 §4.1.3, RFC 7636 §4.6).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use db::Batch;
use model::access_tokens::{self, AccessToken};
use model::authorization_codes::{self, Challenge, ChallengeMethod, Code};
use model::clients::Client;
use model::refresh_tokens::{self, Family};
use model::seal::{digest, same};
use model::users::{self, User};
use model::{Timestamp, resource_servers};

use super::Tokens;
use crate::errors::OAuthError;
use crate::events;
use crate::issue::{self, FrontChannel, IdToken, Via};
use crate::params::Params;
use crate::scopes::Scopes;
use crate::visit::Visit;

/// Exchanges a code for tokens.
///
/// Spending the code and storing what it buys are one batch. A second use ends everything the first one bought.
pub async fn exchange(visit: &Visit, client: &Client, params: &Params) -> Result<Tokens, OAuthError> {
    let (app, tenant) = (&visit.app, &visit.tenant.id);
    let token = params.get("code").ok_or_else(|| OAuthError::missing("code"))?;
    let now = app.clock.now();
    let code = authorization_codes::find(&app.db, tenant, &digest(token)).await?;
    let Some(code) = code.filter(|code| code.client_id == client.client_id) else {
        return Err(invalid_code(visit, client, "unknown"));
    };
    if code.spent_at.is_some() {
        end_what_it_bought(visit, &code).await?;
        return Err(invalid_code(visit, client, "used before"));
    }
    if code.expires_at <= now {
        return Err(invalid_code(visit, client, "expired"));
    }
    if let Err(error) = bound(&code, params) {
        spend_unused(visit, &code, now).await?;
        app.audit.push(events::code_refused(visit, client, &error.description));
        return Err(error);
    }
    let Some(user) = users::find(&app.db, tenant, &code.user_id).await? else {
        return Err(invalid_code(visit, client, "user is gone"));
    };
    if user.is_blocked() {
        return Err(OAuthError::user_blocked());
    }
    redeem(visit, client, &code, &user, now).await
}

/// What the code is bound to: redirect URI and PKCE verifier.
fn bound(code: &Code, params: &Params) -> Result<(), OAuthError> {
    redirect_uri(code, params.get("redirect_uri"))?;
    verifier(code.challenge.as_ref(), params.get("code_verifier"))
}

/// RFC 6749 §4.1.3: the redirect URI of the request, if it was in it, is repeated.
fn redirect_uri(code: &Code, given: Option<&str>) -> Result<(), OAuthError> {
    match &code.redirect_uri {
        Some(expected) if given != Some(expected) => Err(OAuthError::new(
            axum::http::StatusCode::FORBIDDEN,
            "unauthorized_client",
            format!(
                "The redirect URI is wrong. You sent {}, and we expected {expected}",
                given.unwrap_or("null")
            ),
        )),
        _ => Ok(()),
    }
}

/// RFC 7636 §4.6; a verifier without a challenge is refused too, so that nobody strips the challenge on the way.
fn verifier(challenge: Option<&Challenge>, given: Option<&str>) -> Result<(), OAuthError> {
    let holds = match (challenge, given) {
        (None, None) => true,
        (Some(challenge), Some(given)) => {
            let transformed = match challenge.method {
                ChallengeMethod::S256 => URL_SAFE_NO_PAD.encode(digest(given)),
                ChallengeMethod::Plain => given.to_owned(),
            };
            same(transformed.as_bytes(), challenge.value.as_bytes())
        }
        _ => false,
    };
    if holds { Ok(()) } else { Err(OAuthError::invalid_grant("Failed to verify code verifier")) }
}

async fn redeem(
    visit: &Visit,
    client: &Client,
    code: &Code,
    user: &User,
    now: Timestamp,
) -> Result<Tokens, OAuthError> {
    let (app, tenant) = (&visit.app, &visit.tenant);
    let scopes = Scopes::parse(&code.scope);
    let api = match code.audience.as_str() {
        "" => None,
        audience => match resource_servers::find_by_identifier(app, &tenant.id, audience).await? {
            None => return Err(OAuthError::access_denied(format!("Service not found: {audience}"))),
            api => api,
        },
    };
    let refresh_token = scopes.has("offline_access").then(|| refresh_tokens::new_token(app));
    let opaque = api.is_none().then(|| app.random.token());

    let mut batch = Batch::new();
    users::unchanged(&mut batch, user);
    authorization_codes::spend(&mut batch, &tenant.id, &code.hash, now);
    let mut family = None;
    if let Some(token) = &refresh_token {
        let begun = Family {
            code_hash: Some(code.hash),
            ..Family::begin(app, client, user.id.clone(), &code.sid, &code.audience, &code.scope)
        };
        refresh_tokens::insert(&mut batch, &tenant.id, &begun, token, &visit.peer);
        family = Some(begun.id);
    }
    if let Some(token) = &opaque {
        let stored = AccessToken {
            hash: digest(token),
            client_id: client.client_id.clone(),
            user_id: user.id.clone(),
            scope: code.scope.clone(),
            code_hash: Some(code.hash),
            family,
            expires_at: now.plus_seconds(issue::OPAQUE_LIFETIME),
        };
        access_tokens::insert(&mut batch, &tenant.id, &stored);
    }
    match app.db.commit(batch).await {
        Ok(_) => {}
        Err(db::Error::Conflict { .. }) => return Err(lost_race(visit, client, code).await?),
        Err(error) => return Err(error.into()),
    }

    let access_token = match (&api, opaque) {
        (Some(api), _) => {
            issue::user_access_token(app, tenant, api, client, &user.id, &scopes, Via::Code).await?
        }
        (None, token) => issue::opaque(token.unwrap_or_default(), issue::OPAQUE_LIFETIME),
    };
    let id_token = match scopes.has("openid") {
        false => None,
        true => {
            let id_token = IdToken {
                client,
                user,
                scopes: &scopes,
                nonce: code.nonce.as_deref(),
                sid: Some(&code.sid),
                auth_time: code.auth_time,
                front: FrontChannel::default(),
            };
            Some(id_token.sign(app, tenant).await?)
        }
    };
    app.audit.push(events::code_exchanged(visit, client, user, &code.audience, &code.scope));
    Ok(Tokens {
        access_token: access_token.token,
        refresh_token,
        id_token,
        scope: Some(scopes.to_string()),
        expires_in: access_token.expires_in,
        token_type: "Bearer",
    })
}

/// The batch found the code spent or the user changed: which of the two, the code's row tells.
async fn lost_race(visit: &Visit, client: &Client, code: &Code) -> Result<OAuthError, db::Error> {
    let again = authorization_codes::find(&visit.app.db, &visit.tenant.id, &code.hash).await?;
    if again.is_some_and(|code| code.spent_at.is_none()) {
        return Ok(OAuthError::busy());
    }
    end_what_it_bought(visit, code).await?;
    Ok(invalid_code(visit, client, "used before"))
}

/// RFC 6749 §4.1.2: a code that comes twice takes back what it bought.
async fn end_what_it_bought(visit: &Visit, code: &Code) -> Result<(), db::Error> {
    let tenant = &visit.tenant.id;
    let mut batch = Batch::new();
    access_tokens::remove_for_code(&mut batch, tenant, &code.hash);
    refresh_tokens::remove_for_code(&mut batch, tenant, &code.hash);
    visit.app.db.commit(batch).await.map(drop)
}

/// A code shown with the wrong redirect URI or verifier is out of its client's hands: it is spent for nothing.
async fn spend_unused(visit: &Visit, code: &Code, now: Timestamp) -> Result<(), db::Error> {
    let mut batch = Batch::new();
    authorization_codes::spend(&mut batch, &visit.tenant.id, &code.hash, now);
    match visit.app.db.commit(batch).await {
        Ok(_) | Err(db::Error::Conflict { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

fn invalid_code(visit: &Visit, client: &Client, reason: &str) -> OAuthError {
    visit.app.audit.push(events::code_refused(visit, client, reason));
    OAuthError::invalid_grant("Invalid authorization code")
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 7636, Appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    fn challenge(method: ChallengeMethod, value: &str) -> Option<Challenge> {
        Some(Challenge { value: value.into(), method })
    }

    #[test]
    fn a_verifier_answers_its_challenge_and_nothing_else_does() {
        let s256 = challenge(ChallengeMethod::S256, CHALLENGE);
        assert!(verifier(s256.as_ref(), Some(VERIFIER)).is_ok());
        assert!(verifier(s256.as_ref(), None).is_err());
        assert!(verifier(s256.as_ref(), Some(CHALLENGE)).is_err());
        assert!(verifier(None, Some(VERIFIER)).is_err());
        assert!(verifier(None, None).is_ok());
        let plain = challenge(ChallengeMethod::Plain, VERIFIER);
        assert!(verifier(plain.as_ref(), Some(VERIFIER)).is_ok());
        assert!(verifier(plain.as_ref(), Some(CHALLENGE)).is_err());
    }
}
