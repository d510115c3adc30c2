//! What an authorize request asks for: the connection, the API and its scopes, and what in detail.

use std::sync::Arc;

use model::authorization_details::AuthorizationDetails;
use model::clients::Client;
use model::connections::{self, Connection};

use super::super::audience::{Audience, AudienceError};
use super::super::response::{ResponseType, Target};
use super::Refusal;
use crate::params::Params;
use crate::scopes::Scopes;
use crate::visit::Visit;

pub(super) async fn connection(
    visit: &Visit,
    target: &Target,
    client: &Client,
    params: &Params,
) -> Result<Option<Arc<Connection>>, Refusal> {
    let Some(name) = params.get("connection") else { return Ok(None) };
    let Some(connection) = connections::find_by_name(&visit.app, &visit.tenant.id, name).await? else {
        return Err(Refusal::invalid(target, "the connection was not found"));
    };
    if !connection.is_active() || !connection.is_enabled_for(&client.client_id) {
        return Err(Refusal::invalid(target, "the connection is not enabled"));
    }
    Ok(Some(connection))
}

pub(super) async fn audience(
    visit: &Visit,
    target: &Target,
    client: &Client,
    params: &Params,
    scope: &Scopes,
    response_type: ResponseType,
) -> Result<(Audience, Scopes), Refusal> {
    let settings = visit.settings().await?;
    let asked = params.get("audience").or_else(|| settings.default_audience());
    let found = async {
        let audience = Audience::find(&visit.app, &visit.tenant, asked).await?;
        let (app, tenant) = (&visit.app, &visit.tenant);
        let granted = audience.grantable(app, tenant, client, scope, response_type.code).await?;
        let granted = permitted(visit, &audience, granted).await?;
        Ok((audience, granted))
    };
    found.await.map_err(|error| match error {
        AudienceError::Database(error) => Refusal::Database(error),
        error => Refusal::client(target, "access_denied", error.to_string()),
    })
}

/// What is left for whom the answer will be about, if it is given now: each step of a sign-in checks its request anew, and before
/// anybody has signed in nothing is issued.
pub(super) async fn permitted(
    visit: &Visit,
    audience: &Audience,
    granted: Scopes,
) -> Result<Scopes, db::Error> {
    if audience.api().is_none_or(|api| api.enforce_policies != Some(true)) {
        return Ok(granted);
    }
    match visit.session().await? {
        Some((session, _)) => audience.permitted(&visit.app, &visit.tenant, &session.user_id, granted).await,
        None => Ok(granted),
    }
}

/// RFC 9396 §5: what is asked for in detail is of types that the API knows, and where a client needs a grant for it, of those that the grant names.
pub(super) async fn details(
    visit: &Visit,
    (target, client): (&Target, &Client),
    audience: &Audience,
    params: &Params,
) -> Result<Option<AuthorizationDetails>, Refusal> {
    let Some(text) = params.get("authorization_details") else { return Ok(None) };
    let refused = |description: String| Refusal::client(target, "invalid_authorization_details", description);
    let details = AuthorizationDetails::parse(text).map_err(|error| refused(error.to_string()))?;
    let unknown = |kind: &str| {
        refused(format!(
            "The API knows no authorization_details of type {}",
            kind.chars().take(64).collect::<String>()
        ))
    };
    for kind in details.types() {
        match audience.takes_details_of(&visit.app, &visit.tenant, client, kind).await {
            Ok(true) => {}
            Ok(false) => return Err(unknown(kind)),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Some(details))
}
