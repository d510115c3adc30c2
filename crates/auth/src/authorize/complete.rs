//! The answer of a satisfied authorize request: codes and tokens, and everything that goes with them in one batch.

use axum::response::Response;
use db::Batch;
use model::access_tokens::AccessToken;
use model::authorization_codes::{self, Code};
use model::sessions::{self, Limits, Session};
use model::users::{self, User};
use model::{access_tokens, device_codes, grants, transactions};
use serde_json::Map;

use super::request::{MULTI_FACTOR, Refusal, Request};
use super::{needs_consent, pushed};
use crate::device;
use crate::events;
use crate::issue::{self, Assurance, FrontChannel, How, IdToken};
use crate::pages::DeviceEnd;
use crate::visit::{Visit, with_cookie};

/// Why nothing was issued.
pub enum Incomplete {
    /// The session, the user, their consent or the transaction moved since they were read: all of it is to be looked at anew.
    Changed,
    /// Something that looking again does not mend.
    Refused(Refusal),
}

impl From<db::Error> for Incomplete {
    fn from(error: db::Error) -> Self {
        if error.may_retry() { Self::Changed } else { Self::Refused(error.into()) }
    }
}

/// Issues what `request` asks for to the user of `session`.
///
/// The code, the session's use, the consent and the end of the transaction are one batch: a user who changed
/// meanwhile, a session that ended or a transaction that was completed elsewhere leaves nothing behind.
pub async fn complete(
    visit: &Visit,
    request: &Request,
    session: &Session,
    user: &User,
    transaction: Option<&str>,
) -> Result<Response, Incomplete> {
    let (app, tenant) = (&visit.app, &visit.tenant);
    let now = app.clock.now();
    let settings = visit.settings().await?;
    let limits = Limits::of(&settings);
    let asked_when = request.claims.id_token.iter().any(|claim| claim.name == "auth_time");
    let wants_always = request.client.protocol.require_auth_time == Some(true);
    let tells_when = request.max_age.is_some()
        || request.prompt.login
        || request.multi_factor
        || asked_when
        || wants_always;
    let auth_time = tells_when.then_some(session.authenticated_at);
    let assurance = Assurance::of(request, session);
    let (code_token, access_token) = (app.random.token(), app.random.token());
    let opaque = request.response_type.token && request.audience.api().is_none();

    let mut batch = Batch::new();
    users::unchanged(&mut batch, user);
    if let Some(id) = transaction {
        transactions::done(&mut batch, &tenant.id, id, now);
    }
    sessions::touch(&mut batch, (&tenant.id, &visit.peer), session, &request.client.client_id, now, limits);
    if request.audience.api().is_some() || needs_consent(request) {
        let (client_id, audience) = (&request.client.client_id, request.audience.identifier());
        let known = grants::find(&app.db, &tenant.id, &user.id, client_id, audience).await?;
        let covered = known.as_ref().filter(|grant| request.consented().within(&grant.scopes));
        if let Some(grant) = covered {
            grants::unchanged(&mut batch, &tenant.id, grant);
        } else if needs_consent(request) {
            // It was there a moment ago: it is asked for again, never made up.
            return Err(Incomplete::Changed);
        } else {
            let scopes = request.consented().to_vec();
            grants::grow(
                &mut batch,
                app,
                &tenant.id,
                (&user.id, client_id, audience),
                known.as_ref(),
                &scopes,
            );
        }
    }
    if let Some(device) = &request.device {
        device_codes::approve(&mut batch, &tenant.id, device, &user.id, session.mfa_at.is_some(), now);
        match app.db.commit(batch).await {
            Err(db::Error::Conflict { .. }) if !device::waits(visit, device).await? => {
                return Ok(device::end(visit, DeviceEnd::Over).await);
            }
            committed => committed?,
        };
        let cookie = visit.moved_session_cookie(&settings, session, limits, now);
        return Ok(with_cookie(device::end(visit, DeviceEnd::Allowed).await, cookie));
    }
    if let Some(hash) = &request.pushed {
        pushed::spend(visit, &mut batch, hash).await.map_err(Incomplete::Refused)?;
    }
    if request.response_type.code {
        authorization_codes::insert(
            &mut batch,
            &tenant.id,
            &code(request, session, &code_token, auth_time, now),
        );
    }
    if opaque {
        let token = AccessToken {
            hash: model::seal::digest(&access_token),
            client_id: request.client.client_id.clone(),
            user_id: user.id.clone(),
            scope: request.granted.to_string(),
            code_hash: request.response_type.code.then(|| model::seal::digest(&code_token)),
            family: None,
            jkt: None,
            certificate: None,
            claims: request.named_claims(),
            expires_at: now.plus_seconds(issue::OPAQUE_FRONT_CHANNEL_LIFETIME),
        };
        access_tokens::insert(&mut batch, &tenant.id, &token);
    }
    app.db.commit(batch).await?;
    if request.prompt.none {
        app.audit.push(events::silent_success(visit, request, user));
    }

    let mut params = Map::new();
    let mut front = FrontChannel::default();
    if request.response_type.token {
        let issued = match request.audience.api() {
            None => issue::opaque(access_token, issue::OPAQUE_FRONT_CHANNEL_LIFETIME),
            Some(api) => {
                issue::user_access_token(
                    app,
                    tenant,
                    api,
                    &request.client,
                    &user.id,
                    &request.granted,
                    How {
                        via: issue::Via::FrontChannel,
                        sid: &session.sid,
                        bond: None,
                        claims: Some(&request.claims),
                        details: request.details.as_ref(),
                    },
                )
                .await?
            }
        };
        params.insert("access_token".into(), issued.token.as_str().into());
        params.insert("scope".into(), request.granted.to_string().into());
        params.insert("expires_in".into(), issued.expires_in.into());
        params.insert("token_type".into(), "Bearer".into());
        front.access_token = Some(issued.token);
    }
    if request.response_type.code {
        params.insert("code".into(), code_token.as_str().into());
        front.code = Some(code_token);
    }
    request.target.add_state(&mut params);
    if request.response_type.id_token {
        let id_token = IdToken {
            client: &request.client,
            user,
            scopes: &request.granted,
            claims: Some(&request.claims),
            nonce: request.nonce.as_deref(),
            sid: Some(&session.sid),
            auth_time,
            assurance,
            front,
        };
        params.insert("id_token".into(), id_token.sign(app, tenant).await?.into());
    }
    let response = request.target.answer(visit, params).await;
    Ok(with_cookie(response, visit.moved_session_cookie(&settings, session, limits, now)))
}

impl Assurance {
    /// What the session and the request tell (authentication contract §2.4).
    fn of(request: &Request, session: &Session) -> Self {
        let multi_factor = session.mfa_at.is_some();
        let acr = (request.multi_factor && multi_factor).then(|| MULTI_FACTOR.to_owned());
        Self { multi_factor, acr }
    }
}

fn code(
    request: &Request,
    session: &Session,
    token: &str,
    auth_time: Option<model::Timestamp>,
    now: model::Timestamp,
) -> Code {
    Code {
        hash: model::seal::digest(token),
        client_id: request.client.client_id.clone(),
        user_id: session.user_id.clone(),
        sid: session.sid.clone(),
        redirect_uri: request.redirect_uri_sent.then(|| request.target.redirect_uri.clone()),
        challenge: request.challenge.clone(),
        nonce: request.nonce.clone(),
        scope: request.granted.to_string(),
        requested_scope: request.requested.to_string(),
        audience: request.audience.identifier().to_owned(),
        auth_time,
        mfa: session.mfa_at.is_some(),
        acr: Assurance::of(request, session).acr,
        jkt: request.dpop_jkt.clone(),
        claims: request.named_claims(),
        details: request.details.clone(),
        issued_at: now,
        expires_at: now.plus_seconds(authorization_codes::LIFETIME),
        spent_at: None,
    }
}
