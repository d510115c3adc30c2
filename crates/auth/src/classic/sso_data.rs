//! `GET /user/ssodata`: whether somebody is signed in in this browser, and as whom (authentication contract §8.6).

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use model::sessions::{self, Session};
use model::users::User;
use model::{App, clients, connections, subjects};
use serde_json::{Value, json};

use crate::cross_origin::own_origin;
use crate::errors::no_store_json;
use crate::params::Params;
use crate::visit::Visit;

/// Answers `{"sso": false}`, or `sso` with the connection, the user's name and the apps of the session. A page of another origin is
/// told of a session by `client_id` alone: that of an app of the tenant's own that signs its users in on pages of its own, that lists the origin
/// and that shares the session's connection.
pub async fn show(
    State(_): State<App>,
    visit: Visit,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let params = Params::parse_form(query.as_deref().unwrap_or_default()).unwrap_or_default();
    match data(&visit, &headers, params.get("client_id")).await {
        Ok(data) => no_store_json(StatusCode::OK, &data.unwrap_or_else(|| json!({ "sso": false }))),
        Err(error) => Visit::json_error(error),
    }
}

async fn data(
    visit: &Visit,
    headers: &HeaderMap,
    client_id: Option<&str>,
) -> Result<Option<Value>, db::Error> {
    let (app, tenant) = (&visit.app, &visit.tenant.id);
    let Some((session, user)) = visit.session().await? else { return Ok(None) };
    let foreign = headers.get_all(header::ORIGIN).iter().any(|origin| origin != own_origin(visit).as_str());
    if foreign && !may_know(visit, headers, client_id, &session).await? {
        return Ok(None);
    }
    let connection = connections::find_by_name(app, tenant, &session.connection).await?;
    let strategy = connection.as_ref().map(|connection| connection.strategy.as_str());
    let connection = json!({ "name": session.connection, "strategy": strategy });
    let shown = sessions::find(&app.db, tenant, &session.sid, app.clock.now()).await?;
    let mut clients = shown.map(|shown| shown.clients).unwrap_or_default();
    let mut subject = user.id.to_string();
    let client = match client_id {
        Some(client_id) => clients::find(app, tenant, client_id).await?,
        None => None,
    };
    if let Some(client) = client.filter(|client| client.sector().is_some()) {
        // It learns of nobody what another could recognise.
        subject = subjects::of(app, tenant, &client, &user.id).await?;
        clients.retain(|id| *id == client.client_id);
    }
    Ok(Some(json!({
        "sso": true,
        "connection": connection,
        "lastUsedConnection": connection,
        "lastUsedUsername": name(&user),
        "lastUsedUserID": subject,
        "sessionClients": clients,
    })))
}

/// Whether a page of another origin may know of the session.
async fn may_know(
    visit: &Visit,
    headers: &HeaderMap,
    client_id: Option<&str>,
    session: &Session,
) -> Result<bool, db::Error> {
    let (app, tenant) = (&visit.app, &visit.tenant.id);
    let Some(client_id) = client_id else { return Ok(false) };
    let Some(client) = clients::find(app, tenant, client_id).await? else { return Ok(false) };
    let origins: Vec<_> =
        headers.get_all(header::ORIGIN).iter().map(|origin| origin.to_str().unwrap_or_default()).collect();
    let is_own = !client.global
        && client.is_first_party
        && client.cross_origin_authentication
        && client.sso_disabled != Some(true);
    if !is_own || !origins.iter().all(|origin| client.allows_origin(origin)) {
        return Ok(false);
    }
    let enabled = connections::enabled_for(app, tenant, &client.client_id).await?;
    Ok(enabled.iter().any(|connection| connection.name == session.connection && connection.is_active()))
}

/// What the user signs in with.
fn name(user: &User) -> Option<&str> {
    user.email.as_deref().or(user.username.as_deref()).or(user.phone_number.as_deref())
}
