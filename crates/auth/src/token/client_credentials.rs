//! The `client_credentials` grant (RFC 6749 §4.4; authentication contract §3.4).

use std::collections::HashSet;

use model::client_grants;
use model::clients::Client;
use model::resource_servers::{self, CURRENT_USER_SCOPES, Policy, ResourceServer};

use super::Tokens;
use crate::errors::OAuthError;
use crate::events;
use crate::issue;
use crate::params::Params;
use crate::possession;
use crate::scopes::Scopes;
use crate::visit::Visit;

/// Issues a client a token of its own.
pub async fn exchange(visit: &Visit, client: &Client, params: &Params) -> Result<Tokens, OAuthError> {
    let (app, tenant) = (&visit.app, &visit.tenant);
    if client.is_public() {
        return Err(OAuthError::grant_not_allowed("client_credentials"));
    }
    if params.get("organization").is_some() {
        return Err(OAuthError::invalid_request("parameter organization is not allowed for this client"));
    }
    let settings = visit.settings().await?;
    let audience = params
        .get("audience")
        .or_else(|| settings.default_audience())
        .ok_or_else(|| OAuthError::access_denied("Non-global clients are not allowed access to APIv1"))?;
    let api = resource_servers::find_by_identifier(app, &tenant.id, audience)
        .await?
        .ok_or_else(|| refused(visit, client, format!("Service not enabled within domain: {audience}")))?;
    let asked = params.get("scope").map(Scopes::parse);
    let scopes = match api.client_policy() {
        Policy::DenyAll => return Err(refused(visit, client, no_grant(audience))),
        Policy::AllowAll => asked.unwrap_or_else(|| all(&api)).only(|scope| api.has_scope(scope)),
        Policy::RequireClientGrant => {
            let grant = client_grants::find_for(
                app,
                &tenant.id,
                &client.client_id,
                audience,
                client_grants::FOR_CLIENT,
            )
            .await?
            .ok_or_else(|| refused(visit, client, no_grant(audience)))?;
            match asked {
                Some(asked) => asked.only(|scope| grant.allows(scope) && api.has_scope(scope)),
                None if grant.allow_all_scopes == Some(true) => all(&api),
                None => Scopes::from_list(grant.scope.clone().unwrap_or_default()).only(still_listed(&api)),
            }
        }
    };
    // A client is no user: even a grant that lists them gives no current-user scope.
    let scopes = scopes.only(|scope| !CURRENT_USER_SCOPES.contains(&scope)).to_string();
    possession::demanded_by_api(visit, client, Some(&api))?;
    let bond = visit.bond(client, Some(&api));
    let issued = issue::client_access_token(app, tenant, &api, client, scopes.clone(), bond).await?;
    app.audit.push(events::client_credentials(visit, client, audience, &scopes));
    Ok(Tokens {
        access_token: issued.token,
        refresh_token: None,
        id_token: None,
        scope: (!scopes.is_empty()).then_some(scopes),
        expires_in: issued.expires_in,
        token_type: "Bearer",
        recovery_code: None,
        issued_token_type: None,
        authorization_details: None,
    })
}

/// Which scopes an API still has. The system API's never change.
fn still_listed(api: &ResourceServer) -> impl Fn(&str) -> bool {
    let listed: HashSet<&str> = match api.is_system {
        true => HashSet::new(),
        false => api.scopes.iter().flatten().map(|scope| scope.value.as_str()).collect(),
    };
    move |scope| api.is_system || listed.contains(scope)
}

/// Every scope of an API.
fn all(api: &ResourceServer) -> Scopes {
    Scopes::from_list(api.scopes.iter().flatten().map(|scope| scope.value.clone()).collect())
}

fn no_grant(audience: &str) -> String {
    format!(
        "Client is not authorized to access \"{audience}\". You need to create a \"client-grant\" associated to this \
         API. See: https://auth0.com/docs/api/v2#!/Client_Grants/post_client_grants"
    )
}

fn refused(visit: &Visit, client: &Client, description: String) -> OAuthError {
    visit.app.audit.push(events::client_credentials_refused(visit, client, &description));
    OAuthError::access_denied(description)
}
