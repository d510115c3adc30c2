//! What a token is for, and which scopes a user flow may hold on it (authentication contract §1.6).

use std::sync::Arc;

use model::clients::Client;
use model::resource_servers::{self, CURRENT_USER_SCOPES, MFA_SCOPES, ResourceServer};
use model::roles::permissions;
use model::tenants::Tenant;
use model::{App, UserId, client_grants};

use crate::scopes::{Scopes, is_openid};

/// What an access token is good for.
#[derive(Clone, Debug)]
pub enum Audience {
    /// `/userinfo` alone: the token is opaque.
    UserInfo,
    /// An API: the token is a JWT.
    Api(Arc<ResourceServer>),
}

/// Why no token for an audience may be issued.
#[derive(Debug, thiserror::Error)]
pub enum AudienceError {
    /// No such API.
    #[error("Service not found: {0}")]
    Unknown(String),
    /// The API or the client does not allow it.
    #[error("Client is not authorized to access \"{0}\".")]
    Denied(String),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] db::Error),
}

impl Audience {
    /// The audience with this identifier; the userinfo endpoint's and the issuer's stand for `/userinfo` alone.
    pub async fn find(app: &App, tenant: &Tenant, identifier: Option<&str>) -> Result<Self, AudienceError> {
        let Some(identifier) = identifier.filter(|identifier| !identifier.is_empty()) else {
            return Ok(Self::UserInfo);
        };
        if identifier == tenant.userinfo_audience() || identifier == tenant.issuer.trim_end_matches('/') {
            return Ok(Self::UserInfo);
        }
        if identifier == tenant.mfa_audience() {
            return Ok(Self::Api(Arc::new(ResourceServer::second_factors(identifier.to_owned()))));
        }
        resource_servers::find_by_identifier(app, &tenant.id, identifier)
            .await?
            .map(Self::Api)
            .ok_or_else(|| AudienceError::Unknown(identifier.to_owned()))
    }

    /// The API's identifier; empty for `/userinfo` alone.
    pub fn identifier(&self) -> &str {
        match self {
            Self::UserInfo => "",
            Self::Api(api) => &api.identifier,
        }
    }

    /// The API, if it is for one, by itself.
    pub fn into_api(self) -> Option<Arc<ResourceServer>> {
        match self {
            Self::UserInfo => None,
            Self::Api(api) => Some(api),
        }
    }

    /// The API, if it is for one.
    pub fn api(&self) -> Option<&ResourceServer> {
        match self {
            Self::UserInfo => None,
            Self::Api(api) => Some(api),
        }
    }

    /// Every scope that a user of `client` may have on it, for flows in which asking for none asks for all: what the API has for
    /// users, or OpenID Connect's where there is no API.
    pub async fn every_scope(
        &self,
        app: &App,
        tenant: &Tenant,
        client: &Client,
    ) -> Result<Scopes, AudienceError> {
        match self.api() {
            None => Ok(Scopes::every_openid()),
            Some(api) => Ok(Scopes::from_list(self.user_scopes(app, tenant, client, api).await?)),
        }
    }

    /// Whether it is the API over a person's second factors.
    pub fn is_mfa(&self, tenant: &Tenant) -> bool {
        self.identifier() == tenant.mfa_audience()
    }

    /// Which of the `requested` scopes a user of `client` may have on it: unknown ones are dropped, never refused.
    ///
    /// On the Management API that is the current-user scopes and nothing else, in every user flow. `offline` says whether the flow could
    /// hand out a refresh token. Once it is known who the user is, [`Self::permitted`] says what is left.
    pub async fn grantable(
        &self,
        app: &App,
        tenant: &Tenant,
        client: &Client,
        requested: &Scopes,
        offline: bool,
    ) -> Result<Scopes, AudienceError> {
        let api_scopes = match self.api() {
            None => Vec::new(),
            Some(api) => self.user_scopes(app, tenant, client, api).await?,
        };
        let offline = offline
            && client.allows_grant("refresh_token")
            && self.api().is_none_or(|api| api.allow_offline_access);
        Ok(requested.only(|scope| match scope {
            "offline_access" => offline,
            scope => is_openid(scope) || api_scopes.iter().any(|known| known == scope),
        }))
    }

    /// What is left of grantable scopes for this user: of an API that enforces its policies those that roles, or permissions of their
    /// own, give them (RBAC). Nothing is issued to a user without it.
    pub async fn permitted(
        &self,
        app: &App,
        tenant: &Tenant,
        user: &UserId,
        scopes: Scopes,
    ) -> Result<Scopes, db::Error> {
        let Some(api) = self.api().filter(|api| api.enforce_policies == Some(true)) else {
            return Ok(scopes);
        };
        let theirs = permissions::on_api(&app.db, &tenant.id, user, api).await?;
        Ok(scopes.only(|scope| is_openid(scope) || theirs.contains(scope)))
    }

    /// Whether a user of `client` may be asked for details of this type (RFC 9396).
    pub async fn takes_details_of(
        &self,
        app: &App,
        tenant: &Tenant,
        client: &Client,
        kind: &str,
    ) -> Result<bool, db::Error> {
        let Some(api) = self.api().filter(|api| api.knows_details_of(kind)) else { return Ok(false) };
        let by_grant =
            !client.is_first_party || api.user_policy() == resource_servers::Policy::RequireClientGrant;
        if !by_grant {
            return Ok(true);
        }
        let grant =
            client_grants::find_for(app, &tenant.id, &client.client_id, &api.identifier, "user").await?;
        let named = grant.as_ref().and_then(|grant| grant.authorization_details_types.as_ref());
        Ok(named.into_iter().flatten().any(|named| named == kind))
    }

    /// The API's scopes that its policy for users leaves to `client`.
    async fn user_scopes(
        &self,
        app: &App,
        tenant: &Tenant,
        client: &Client,
        api: &ResourceServer,
    ) -> Result<Vec<String>, AudienceError> {
        let denied = || AudienceError::Denied(api.identifier.clone());
        if api.is_system {
            // Third parties never get a system API.
            let ours = |audience: String| client.is_first_party && api.identifier == audience;
            if ours(tenant.management_audience()) {
                return Ok(CURRENT_USER_SCOPES.map(str::to_owned).to_vec());
            }
            if ours(tenant.mfa_audience()) {
                return Ok(MFA_SCOPES.map(str::to_owned).to_vec());
            }
            // All scopes of the My Account API are over one's own: its policy decides, as any API's.
            if !ours(tenant.my_account_audience()) {
                return Err(denied());
            }
        }
        let listed = || api.scopes.iter().flatten().map(|scope| scope.value.clone()).collect::<Vec<_>>();
        let policy = if client.is_first_party {
            api.user_policy()
        } else {
            resource_servers::Policy::RequireClientGrant
        };
        Ok(match policy {
            resource_servers::Policy::DenyAll => return Err(denied()),
            resource_servers::Policy::AllowAll => listed(),
            resource_servers::Policy::RequireClientGrant => {
                let client_id = &client.client_id;
                let grant =
                    client_grants::find_for(app, &tenant.id, client_id, &api.identifier, "user").await?;
                let grant = grant.ok_or_else(denied)?;
                listed().into_iter().filter(|scope| grant.allows(scope)).collect()
            }
        })
    }
}
