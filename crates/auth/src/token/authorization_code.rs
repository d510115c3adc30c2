//! The `authorization_code` grant (RFC 6749 §4.1.3, RFC 7636 §4.6).

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use db::Batch;
use model::Timestamp;
use model::access_tokens::{self, AccessToken};
use model::authorization_codes::{self, Challenge, ChallengeMethod, Code};
use model::authorization_details::AuthorizationDetails;
use model::clients::Client;
use model::refresh_tokens::{self, Family};
use model::resource_servers::ResourceServer;
use model::seal::{digest, same};
use model::users::{self, User};

use super::{Tokens, granted_now};
use crate::errors::OAuthError;
use crate::events;
use crate::issue::{self, Assurance, FrontChannel, How, IdToken, Via};
use crate::params::Params;
use crate::possession;
use crate::scopes::Scopes;
use crate::visit::Visit;

/// How an exchange went, as far as the database is concerned.
enum Outcome {
    Redeemed(Box<Redeemed>),
    Refused { reason: String, error: OAuthError },
}

/// What a committed exchange handed out.
struct Redeemed {
    code: Code,
    user: User,
    api: Option<Arc<ResourceServer>>,
    refresh_token: Option<String>,
    opaque: Option<String>,
}

/// Exchanges a code for tokens.
///
/// Spending the code and storing what it buys are one batch, decided anew when something moved in between: of two racing
/// exchanges the second meets a spent code, and ends everything the first one bought.
pub async fn exchange(visit: &Visit, client: &Client, params: &Params) -> Result<Tokens, OAuthError> {
    let app = &visit.app;
    let token = params.get("code").ok_or_else(|| OAuthError::missing("code"))?;
    match app.db.retry(async || decide(visit, client, token, params).await).await? {
        Outcome::Redeemed(redeemed) => answer(visit, client, *redeemed).await,
        Outcome::Refused { reason, error } => {
            app.audit.push(events::code_refused(visit, client, &reason));
            Err(error)
        }
    }
}

async fn decide(
    visit: &Visit,
    client: &Client,
    token: &str,
    params: &Params,
) -> Result<(Batch, Outcome), db::Error> {
    let (app, tenant) = (&visit.app, &visit.tenant.id);
    let now = app.clock.now();
    let nothing = |reason| Ok((Batch::new(), invalid_code(reason)));
    let code = authorization_codes::find(&app.db, tenant, &digest(token)).await?;
    let Some(code) = code.filter(|code| code.client_id == client.client_id) else {
        return nothing("unknown");
    };
    if code.spent_at.is_some() {
        return Ok((end_what_it_bought(visit, &code), invalid_code("used before")));
    }
    if code.expires_at <= now {
        // It is spent too: a clock that is set back does not revive it.
        let mut batch = Batch::new();
        authorization_codes::spend(&mut batch, tenant, &code.hash, now);
        return Ok((batch, invalid_code("expired")));
    }
    if let Err(error) = bound(visit, &code, params) {
        // In the wrong hands, it seems: it is spent for nothing.
        let mut batch = Batch::new();
        authorization_codes::spend(&mut batch, tenant, &code.hash, now);
        return Ok((batch, Outcome::Refused { reason: error.description.to_string(), error }));
    }
    let Some(user) = users::find(&app.db, tenant, &code.user_id).await? else {
        return nothing("user is gone");
    };
    if user.is_blocked() {
        let error = OAuthError::user_blocked();
        return Ok((Batch::new(), Outcome::Refused { reason: error.description.to_string(), error }));
    }
    let asked = Scopes::parse(&code.scope);
    let Some((audience, scopes)) = granted_now(visit, client, &code.user_id, &code.audience, &asked).await?
    else {
        let error = OAuthError::access_denied(format!("Service not found: {}", code.audience));
        return Ok((
            Batch::new(),
            Outcome::Refused { reason: "the API is closed to the client".into(), error },
        ));
    };
    if let Err(error) = possession::demanded_by_api(visit, client, audience.api()) {
        return Ok((Batch::new(), Outcome::Refused { reason: error.description.to_string(), error }));
    }
    let code = Code { scope: scopes.to_string(), ..code };
    let (batch, redeemed) = redeem(visit, client, code, user, audience.into_api(), now);
    Ok((batch, Outcome::Redeemed(Box::new(redeemed))))
}

/// What the code is bound to: redirect URI, key and PKCE verifier.
fn bound(visit: &Visit, code: &Code, params: &Params) -> Result<(), OAuthError> {
    redirect_uri(code, params.get("redirect_uri"))?;
    key(code, visit.jkt.as_deref())?;
    verifier(code.challenge.as_ref(), params.get("code_verifier"))
}

/// RFC 6749 §4.1.3: the redirect URI of the request, if it was in it, is repeated.
fn redirect_uri(code: &Code, given: Option<&str>) -> Result<(), OAuthError> {
    match &code.redirect_uri {
        Some(expected) if given != Some(expected) => Err(OAuthError::wrong_redirect_uri(given, expected)),
        _ => Ok(()),
    }
}

/// RFC 9449 §10: the key that the request named, if it named one, is the one that is proven now.
fn key(code: &Code, proven: Option<&str>) -> Result<(), OAuthError> {
    match &code.jkt {
        Some(jkt) if proven != Some(jkt) => {
            Err(OAuthError::invalid_grant("The code is bound to another key"))
        }
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

/// The batch that spends the code, and what it buys.
fn redeem(
    visit: &Visit,
    client: &Client,
    code: Code,
    user: User,
    api: Option<Arc<ResourceServer>>,
    now: Timestamp,
) -> (Batch, Redeemed) {
    let (app, tenant) = (&visit.app, &visit.tenant.id);
    let offline = Scopes::parse(&code.scope).has("offline_access");
    let refresh_token = offline.then(|| refresh_tokens::new_token(app));
    let opaque = api.is_none().then(|| app.random.token());

    let mut batch = Batch::new();
    users::unchanged(&mut batch, &user);
    authorization_codes::spend(&mut batch, tenant, &code.hash, now);
    let mut family = None;
    if let Some(token) = &refresh_token {
        let begun = Family {
            code_hash: Some(code.hash),
            claims: code.claims.clone(),
            details: code.details.clone(),
            ..Family::begin(
                app,
                client,
                user.id.clone(),
                &code.sid,
                &code.audience,
                &code.scope,
                visit.jkt.as_deref(),
            )
        };
        refresh_tokens::insert(&mut batch, tenant, &begun, token, &visit.peer);
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
            jkt: visit.jkt.clone(),
            certificate: visit.binding_certificate(client, None).map(str::to_owned),
            claims: code.claims.clone(),
            expires_at: now.plus_seconds(issue::OPAQUE_LIFETIME),
        };
        access_tokens::insert(&mut batch, tenant, &stored);
    }
    (batch, Redeemed { code, user, api, refresh_token, opaque })
}

async fn answer(visit: &Visit, client: &Client, redeemed: Redeemed) -> Result<Tokens, OAuthError> {
    let (app, tenant) = (&visit.app, &visit.tenant);
    let Redeemed { code, user, api, refresh_token, opaque } = redeemed;
    let scopes = Scopes::parse(&code.scope);
    let access_token = match (&api, opaque) {
        (Some(api), _) => {
            let claims = code.claims.as_ref();
            let how = How {
                via: Via::Code,
                sid: &code.sid,
                bond: visit.bond(client, Some(api)),
                claims,
                details: code.details.as_ref(),
            };
            issue::user_access_token(app, tenant, api, client, &user.id, &scopes, how).await?
        }
        (None, token) => issue::opaque(token.unwrap_or_default(), issue::OPAQUE_LIFETIME),
    };
    let id_token = match scopes.has("openid") {
        false => None,
        true => {
            let id_token = IdToken {
                client,
                user: &user,
                scopes: &scopes,
                claims: code.claims.as_ref(),
                nonce: code.nonce.as_deref(),
                sid: Some(&code.sid),
                auth_time: code.auth_time,
                assurance: Assurance { multi_factor: code.mfa, acr: code.acr.clone() },
                front: FrontChannel::default(),
            };
            Some(id_token.sign(app, tenant).await?)
        }
    };
    app.audit.push(events::code_exchanged(visit, client, &user, &code.audience, &code.scope));
    Ok(Tokens {
        access_token: access_token.token,
        refresh_token,
        id_token,
        scope: Some(scopes.to_string()),
        expires_in: access_token.expires_in,
        token_type: "Bearer",
        recovery_code: None,
        issued_token_type: None,
        authorization_details: code.details.as_ref().map(AuthorizationDetails::to_wire),
    })
}

/// RFC 6749 §4.1.2: a code that comes twice takes back what it bought.
fn end_what_it_bought(visit: &Visit, code: &Code) -> Batch {
    let tenant = &visit.tenant.id;
    let mut batch = Batch::new();
    access_tokens::remove_for_code(&mut batch, tenant, &code.hash);
    refresh_tokens::remove_for_code(&mut batch, tenant, &code.hash);
    batch
}

/// Why exactly is for the log alone.
fn invalid_code(reason: &str) -> Outcome {
    let error = OAuthError::invalid_grant("Invalid authorization code");
    Outcome::Refused { reason: reason.to_owned(), error }
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
