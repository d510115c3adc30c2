//! The `refresh_token` grant (RFC 6749 §6; authentication contract §3.4).

use std::sync::Arc;

use db::Batch;
use model::access_tokens::{self, AccessToken};
use model::authorization_details::AuthorizationDetails;
use model::clients::Client;
use model::refresh_tokens::{self, Exchange, Family, Presented};
use model::resource_servers::ResourceServer;
use model::seal::digest;
use model::users::{self, User};
use model::{Timestamp, UserId, grants};

use super::{Tokens, granted_now};
use crate::authorize::audience::Audience;
use crate::errors::OAuthError;
use crate::events;
use crate::issue::{self, Assurance, FrontChannel, How, IdToken, Via};
use crate::params::Params;
use crate::possession;
use crate::scopes::{Scopes, is_openid};
use crate::visit::Visit;

/// How an exchange went, as far as the database is concerned.
enum Outcome {
    Issued(Box<Issued>),
    Reused(Box<Family>),
    Refused(&'static str),
    /// Refused for a reason that the client may know.
    Told(OAuthError),
    Blocked,
}

/// What an exchange asks for.
struct Asked<'a> {
    /// Some of the scopes.
    scopes: Option<Scopes>,
    /// Another API than the token's own.
    audience: Option<&'a str>,
}

/// What a committed exchange handed out.
struct Issued {
    family: Family,
    user: User,
    api: Option<Arc<ResourceServer>>,
    scopes: Scopes,
    next: Option<String>,
    opaque: Option<String>,
}

/// Exchanges a refresh token.
///
/// Moving the family and storing what comes of it are one batch, decided anew when something moved in between: of two
/// racing exchanges with one token, the second meets the token's successor and is reuse.
pub async fn exchange(visit: &Visit, client: &Client, params: &Params) -> Result<Tokens, OAuthError> {
    let app = &visit.app;
    let token = params.get("refresh_token").ok_or_else(|| OAuthError::missing("refresh_token"))?;
    let asked = Asked { scopes: params.get("scope").map(Scopes::parse), audience: params.get("audience") };
    let outcome = app.db.retry(async || decide(visit, client, token, &asked).await).await?;
    match outcome {
        Outcome::Issued(issued) => answer(visit, client, *issued).await,
        Outcome::Blocked => {
            app.audit.push(events::refresh_refused(visit, client, "user is blocked"));
            Err(OAuthError::user_blocked())
        }
        Outcome::Told(error) => {
            app.audit.push(events::refresh_refused(visit, client, &error.description));
            Err(error)
        }
        Outcome::Refused(reason) => {
            app.audit.push(events::refresh_refused(visit, client, reason));
            Err(unknown())
        }
        Outcome::Reused(family) => {
            app.audit.push(events::refresh_reused(visit, client, &family.user_id));
            Err(unknown())
        }
    }
}

/// Clients look for these words (authentication contract §3.4).
fn unknown() -> OAuthError {
    OAuthError::invalid_grant("Unknown or invalid refresh token.")
}

async fn decide(
    visit: &Visit,
    client: &Client,
    token: &str,
    asked: &Asked<'_>,
) -> Result<(Batch, Outcome), db::Error> {
    let (app, tenant) = (&visit.app, &visit.tenant.id);
    let now = app.clock.now();
    let nothing = |reason| Ok((Batch::new(), Outcome::Refused(reason)));
    let Some(presented) = refresh_tokens::find(&app.db, tenant, token).await? else {
        return nothing("unknown");
    };
    if presented.family.client_id != client.client_id {
        return nothing("another client's");
    }
    if presented.family.expired(now) {
        return nothing("expired");
    }
    // RFC 9449 §5: a thief without the key neither gets a token nor ends the family.
    if presented.family.jkt.is_some() && presented.family.jkt != visit.jkt {
        return nothing("bound to another key");
    }
    let settings = &client.refresh_token;
    // Whoever switches rotation on does not mean to leave a token alone that never changes.
    if presented.family.rotating != settings.rotate() {
        return Ok((end(visit, &presented.family), Outcome::Refused("of before rotation was switched")));
    }
    let exchange = presented.exchange(settings.leeway, now);
    if exchange == Exchange::Reused {
        return Ok((end(visit, &presented.family), Outcome::Reused(Box::new(presented.family))));
    }
    let Some(user) = users::find(&app.db, tenant, &presented.family.user_id).await? else {
        return nothing("user is gone");
    };
    if user.is_blocked() {
        return Ok((Batch::new(), Outcome::Blocked));
    }
    let held = Scopes::parse(&presented.family.scope);
    let Some((audience, held)) =
        granted_now(visit, client, &presented.family.user_id, &presented.family.audience, &held).await?
    else {
        return nothing("the API gives the client nothing any more");
    };
    if !held.has("offline_access") {
        return nothing("the API gives no offline access");
    }
    let whom = (client, &presented.family.user_id);
    let (audience, held) = match by_policy(visit, whom, asked.audience, (audience, held)).await? {
        Ok(given) => given,
        Err(error) => return Ok((Batch::new(), Outcome::Told(error))),
    };
    if let Err(error) = possession::demanded_by_api(visit, client, audience.api()) {
        return Ok((Batch::new(), Outcome::Told(error)));
    }
    let scopes = match &asked.scopes {
        Some(asked) => held.only(|scope| asked.has(scope)),
        None => held,
    };
    let (batch, issued) = advance(
        (visit, client),
        presented,
        exchange,
        user,
        audience.into_api(),
        scopes,
        now,
        settings.idle_lifetime(),
    );
    Ok((batch, Outcome::Issued(Box::new(issued))))
}

/// What the client's policies make of what the token holds (authentication contract §3.4): on its own API they add scopes, and another API that
/// one of them names is given what that says, with OpenID Connect's scopes. Without policies an audience that is asked for is ignored.
async fn by_policy(
    visit: &Visit,
    (client, user): (&Client, &UserId),
    asked: Option<&str>,
    (own, held): (Audience, Scopes),
) -> Result<Result<(Audience, Scopes), OAuthError>, db::Error> {
    let policies = &client.refresh_token;
    if policies.policies.iter().flatten().next().is_none() || !client.is_first_party {
        return Ok(Ok((own, held)));
    }
    let audience = asked.unwrap_or(own.identifier());
    let is_own = audience == own.identifier();
    let denied =
        || Ok(Err(OAuthError::access_denied(format!("Service not enabled within domain: {audience}"))));
    let policy = match policies.policy(audience) {
        Some(policy) => policy,
        None if is_own => return Ok(Ok((own, held))),
        None => return denied(),
    };
    let mut scopes = held.only(|scope| is_own || is_openid(scope)).to_vec();
    // Nobody is here who could be asked for consent.
    if !is_own || own.api().is_some_and(|api| api.skip_consent_for_verifiable_first_party_clients) {
        scopes.extend(policy.scope.iter().filter(|scope| !held.has(scope)).cloned());
    }
    let scopes = Scopes::from_list(scopes);
    match granted_now(visit, client, user, audience, &scopes).await? {
        Some(given) if is_own => Ok(Ok(given)),
        // What it is exchanged for stays the family's, also where the other API gives no refresh tokens itself.
        Some((audience, given)) if audience.api().is_some_and(may_follow) => {
            let given = scopes.only(|scope| given.has(scope) || scope == "offline_access");
            Ok(Ok((audience, given)))
        }
        _ => denied(),
    }
}

/// Whether a refresh token for another API may be exchanged for one for this: our own APIs are for whoever signs in to them.
fn may_follow(api: &ResourceServer) -> bool {
    !api.is_system && api.skip_consent_for_verifiable_first_party_clients
}

/// The batch that moves the family on, and what it hands out.
#[expect(clippy::too_many_arguments, reason = "the one call is above: what was read, and what was decided")]
fn advance(
    (visit, client): (&Visit, &Client),
    presented: Presented,
    exchange: Exchange,
    user: User,
    api: Option<Arc<ResourceServer>>,
    scopes: Scopes,
    now: Timestamp,
    idle: Option<i64>,
) -> (Batch, Issued) {
    let (app, tenant) = (&visit.app, &visit.tenant.id);
    let family = presented.family;
    let mut batch = Batch::new();
    users::unchanged(&mut batch, &user);
    let next = (exchange != Exchange::Keep).then(|| refresh_tokens::new_token(app));
    match &next {
        None => refresh_tokens::keep(&mut batch, tenant, &family, now, idle),
        Some(token) if exchange == Exchange::Rotate => {
            refresh_tokens::rotate(&mut batch, tenant, &family, token, now, idle);
        }
        Some(token) => refresh_tokens::sibling(&mut batch, tenant, &family, token, now, idle),
    }
    let opaque = api.is_none().then(|| app.random.token());
    if let Some(token) = &opaque {
        let stored = AccessToken {
            hash: digest(token),
            client_id: family.client_id.clone(),
            user_id: user.id.clone(),
            scope: scopes.to_string(),
            code_hash: None,
            family: Some(family.id.clone()),
            jkt: visit.jkt.clone(),
            certificate: visit.binding_certificate(client, None).map(str::to_owned),
            claims: family.claims.clone(),
            expires_at: now.plus_seconds(issue::OPAQUE_LIFETIME),
        };
        access_tokens::insert(&mut batch, tenant, &stored);
    }
    (batch, Issued { family, user, api, scopes, next, opaque })
}

/// Ends a family whose old token came back: whoever has the present one may be the thief. The consent behind it goes too.
fn end(visit: &Visit, family: &Family) -> Batch {
    let mut batch = Batch::new();
    let tenant = &visit.tenant.id;
    refresh_tokens::remove(&mut batch, tenant, &family.id);
    grants::remove_for(&mut batch, tenant, &family.user_id, &family.client_id, &family.audience);
    batch
}

async fn answer(visit: &Visit, client: &Client, issued: Issued) -> Result<Tokens, OAuthError> {
    let (app, tenant) = (&visit.app, &visit.tenant);
    let Issued { family, user, api, scopes, next, opaque } = issued;
    let access_token = match (&api, opaque) {
        (Some(api), _) => {
            let claims = family.claims.as_ref();
            let named = family.details.as_ref().filter(|_| api.identifier == family.audience);
            let how = How {
                via: Via::Refresh,
                sid: &family.sid,
                bond: visit.bond(client, Some(api)),
                claims,
                details: named,
            };
            issue::user_access_token(app, tenant, api, client, &user.id, &scopes, how).await?
        }
        (None, token) => issue::opaque(token.unwrap_or_default(), issue::OPAQUE_LIFETIME),
    };
    // Another API was asked for nothing in detail.
    let own = api.as_ref().is_some_and(|api| api.identifier == family.audience);
    let details = family.details.as_ref().filter(|_| own).map(AuthorizationDetails::to_wire);
    let id_token = match scopes.has("openid") {
        false => None,
        true => {
            let id_token = IdToken {
                client,
                user: &user,
                scopes: &scopes,
                claims: family.claims.as_ref(),
                nonce: None,
                sid: Some(family.sid.as_str()).filter(|sid| !sid.is_empty()),
                auth_time: None,
                assurance: Assurance::default(),
                front: FrontChannel::default(),
            };
            Some(id_token.sign(app, tenant).await?)
        }
    };
    let audience = api.as_ref().map_or("", |api| api.identifier.as_str());
    app.audit.push(events::refreshed(visit, client, &user, audience, &scopes.to_string()));
    Ok(Tokens {
        access_token: access_token.token,
        refresh_token: next,
        id_token,
        scope: Some(scopes.to_string()),
        expires_in: access_token.expires_in,
        token_type: "Bearer",
        recovery_code: None,
        issued_token_type: None,
        authorization_details: details,
    })
}
