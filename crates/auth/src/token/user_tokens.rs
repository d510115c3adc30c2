//! What a proof that came to the token endpoint buys: first what is stored, in the batch of the proof, then what is signed.

use db::Batch;
use model::access_tokens::{self, AccessToken};
use model::clients::Client;
use model::grants;
use model::refresh_tokens::{self, Family};
use model::seal::digest;
use model::users::User;

use super::Tokens;
use crate::authorize::audience::{Audience, AudienceError};
use crate::errors::OAuthError;
use crate::issue::{self, Assurance, FrontChannel, How, IdToken, Via};
use crate::params::Params;
use crate::possession;
use crate::scopes::Scopes;
use crate::visit::Visit;

/// No browser session stands behind these tokens.
const NO_SESSION: &str = "";

/// What is to be issued, and to whom.
pub struct Purchase {
    /// Who gave the proof.
    pub user: User,
    /// What the access token is for.
    pub audience: Audience,
    /// What is granted.
    pub scopes: Scopes,
    /// How the access token says it was got.
    pub via: Via,
    /// Whether a second factor was given.
    pub multi_factor: bool,
}

/// What was stored of it.
pub struct Stored {
    refresh_token: Option<String>,
    opaque: Option<String>,
}

impl Purchase {
    /// Adds what is stored to the batch of the proof: the grant that a user sees and can take back, a refresh token where offline
    /// access is granted, and an opaque access token where there is no API.
    pub async fn store(
        &self,
        visit: &Visit,
        client: &Client,
        batch: &mut Batch,
    ) -> Result<Stored, db::Error> {
        let (app, tenant) = (&visit.app, &visit.tenant.id);
        let (user, client_id, audience) = (&self.user.id, &client.client_id, self.audience.identifier());
        if self.audience.api().is_some() {
            let known = grants::find(&app.db, tenant, user, client_id, audience).await?;
            match &known {
                Some(grant) if self.scopes.within(&grant.scopes) => grants::unchanged(batch, tenant, grant),
                known => {
                    let whose = (user, client_id, audience);
                    grants::grow(batch, app, tenant, whose, known.as_ref(), &self.scopes.to_vec());
                }
            }
        }
        let scope = self.scopes.to_string();
        let mut family = None;
        let refresh_token = self.scopes.has("offline_access").then(|| refresh_tokens::new_token(app));
        if let Some(token) = &refresh_token {
            let begun =
                Family::begin(app, client, user.clone(), NO_SESSION, audience, &scope, visit.jkt.as_deref());
            refresh_tokens::insert(batch, tenant, &begun, token, &visit.peer);
            family = Some(begun.id);
        }
        let opaque = self.audience.api().is_none().then(|| app.random.token());
        if let Some(token) = &opaque {
            let stored = AccessToken {
                hash: digest(token),
                client_id: client_id.clone(),
                user_id: user.clone(),
                scope,
                code_hash: None,
                family,
                jkt: visit.jkt.clone(),
                certificate: visit.binding_certificate(client, None).map(str::to_owned),
                claims: None,
                expires_at: app.clock.now().plus_seconds(issue::OPAQUE_LIFETIME),
            };
            access_tokens::insert(batch, tenant, &stored);
        }
        Ok(Stored { refresh_token, opaque })
    }

    /// Signs the rest, once the batch is committed.
    pub async fn issue(&self, visit: &Visit, client: &Client, stored: Stored) -> Result<Tokens, OAuthError> {
        let (app, tenant, scopes) = (&visit.app, &visit.tenant, &self.scopes);
        let access_token = match (self.audience.api(), stored.opaque) {
            (Some(api), _) => {
                let how = How {
                    via: self.via,
                    sid: NO_SESSION,
                    bond: visit.bond(client, Some(api)),
                    claims: None,
                    details: None,
                };
                issue::user_access_token(app, tenant, api, client, &self.user.id, scopes, how).await?
            }
            (None, token) => issue::opaque(token.unwrap_or_default(), issue::OPAQUE_LIFETIME),
        };
        let id_token = match scopes.has("openid") {
            false => None,
            true => {
                let id_token = IdToken {
                    client,
                    user: &self.user,
                    scopes,
                    claims: None,
                    nonce: None,
                    sid: None,
                    auth_time: None,
                    assurance: Assurance { multi_factor: self.multi_factor, acr: None },
                    front: FrontChannel::default(),
                };
                Some(id_token.sign(app, tenant).await?)
            }
        };
        Ok(Tokens {
            access_token: access_token.token,
            refresh_token: stored.refresh_token,
            id_token,
            scope: Some(scopes.to_string()),
            expires_in: access_token.expires_in,
            token_type: "Bearer",
            recovery_code: None,
            issued_token_type: None,
            authorization_details: None,
        })
    }
}

/// What a grant that asks nobody for consent is for (authentication contract §3.4). No scope means every one that the API has for
/// users, and `openid` alone every one of OpenID Connect's.
///
/// # Errors
/// 403 `access_denied` for an API that is not there or is closed to the client; 400 for an organization.
pub async fn sought(
    visit: &Visit,
    client: &Client,
    params: &Params,
) -> Result<(Audience, Scopes), OAuthError> {
    if params.get("organization").is_some() {
        return Err(OAuthError::invalid_request("parameter organization is not allowed for this client"));
    }
    let (app, tenant) = (&visit.app, &*visit.tenant);
    let audience = audience(visit, params).await?;
    possession::demanded_by_api(visit, client, audience.api())?;
    let found = async {
        let scopes = Scopes::parse(params.get("scope").unwrap_or_default());
        let scopes = match scopes.iter().collect::<Vec<_>>()[..] {
            [] => audience.every_scope(app, tenant, client).await?,
            ["openid"] => Scopes::every_openid(),
            _ => scopes,
        };
        audience.grantable(app, tenant, client, &scopes, true).await
    };
    let granted = found.await.map_err(closed)?;
    Ok((audience, granted))
}

/// The audience that a request to this endpoint names, or the tenant's own.
///
/// # Errors
/// 403 `access_denied` for an API that is not there.
pub async fn audience(visit: &Visit, params: &Params) -> Result<Audience, OAuthError> {
    let settings = visit.settings().await?;
    let asked = params.get("audience").or_else(|| settings.default_audience());
    Audience::find(&visit.app, &visit.tenant, asked).await.map_err(closed)
}

/// Why an API gives a client nothing.
pub fn closed(error: AudienceError) -> OAuthError {
    match error {
        AudienceError::Database(error) => error.into(),
        AudienceError::Unknown(identifier) => {
            OAuthError::access_denied(format!("Service not enabled within domain: {identifier}"))
        }
        error @ AudienceError::Denied(_) => OAuthError::access_denied(error.to_string()),
    }
}
