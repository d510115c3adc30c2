//! What an app offers, and what a tenant does, as the scripts that sign-in widgets load (authentication contract §8.7). Nothing in them is
//! more than the sign-in page shows.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use model::App;
use model::clients::{self, Client};
use model::connections::{self, Connection};
use model::password_policies::PasswordPolicy;
use serde_json::{Map, Value, json};

use crate::pages::in_script;
use crate::visit::Visit;

/// As long as discovery is kept.
const CACHED: HeaderValue = HeaderValue::from_static("public, max-age=15, stale-while-revalidate=15");

/// `GET /client/{client_id}.js`: calls `Auth0.setClient` with the app and its connections. 404 for no app.
pub async fn client(State(app): State<App>, visit: Visit, Path(file): Path<String>) -> Response {
    let Some(id) = file.strip_suffix(".js") else { return StatusCode::NOT_FOUND.into_response() };
    let found = async {
        let tenant = &visit.tenant.id;
        let client = clients::find(&app, tenant, id).await?.filter(|client| !client.global);
        let Some(client) = client else { return Ok(None) };
        let enabled = connections::enabled_for(&app, tenant, &client.client_id).await?;
        Ok::<_, db::Error>(Some(described(&visit, &client, &enabled)))
    };
    match found.await {
        Ok(Some(client)) => script("setClient", &client),
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(error) => Visit::json_error(error),
    }
}

/// `GET /info-v1.js`: calls `Auth0.setTenant` with the tenant's connections and the apps they are enabled for.
pub async fn tenant(State(app): State<App>, visit: Visit) -> Response {
    let found = async {
        let settings = visit.settings().await?;
        let connections = connections::all(&app, &visit.tenant.id).await?;
        Ok::<_, db::Error>(tenant_described(&connections, &settings.default_directory))
    };
    match found.await {
        Ok(tenant) => script("setTenant", &tenant),
        Err(error) => Visit::json_error(error),
    }
}

/// `GET /tenants/v1/{tenant}.js`: the same under its other name, for this tenant alone.
pub async fn named_tenant(app: State<App>, visit: Visit, Path(file): Path<String>) -> Response {
    match file.strip_suffix(".js") == Some(visit.tenant.id.as_str()) {
        true => tenant(app, visit).await,
        false => StatusCode::NOT_FOUND.into_response(),
    }
}

/// `Auth0.{function}({…});`, for any page.
fn script(function: &str, value: &Value) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/javascript; charset=utf-8")),
        (header::CACHE_CONTROL, CACHED),
        (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("cross-origin")),
    ];
    (headers, format!("Auth0.{function}({});", in_script(value))).into_response()
}

/// Whether people sign in with it here.
fn is_offered(connection: &Connection) -> bool {
    connection.is_active() && (connection.is_database() || connection.sends_codes())
}

fn described(visit: &Visit, client: &Client, enabled: &[Arc<Connection>]) -> Value {
    let mut strategies: Vec<(&str, Vec<Value>)> = Vec::new();
    for connection in enabled.iter().filter(|connection| is_offered(connection)) {
        let shown = shown_to_client(connection);
        match strategies.iter_mut().find(|(name, _)| *name == connection.strategy) {
            Some((_, connections)) => connections.push(shown),
            None => strategies.push((&connection.strategy, vec![shown])),
        }
    }
    let strategies: Vec<_> = strategies
        .into_iter()
        .map(|(name, connections)| json!({ "name": name, "connections": connections }))
        .collect();
    let listed = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|list| !list.is_empty());
    json!({
        "id": client.client_id,
        "tenant": visit.tenant.id,
        "subscription": "oss",
        "authorize": format!("{}authorize", visit.tenant.issuer),
        "callback": client.callbacks.iter().flatten().next(),
        "hasAllowedOrigins": listed(&client.allowed_origins) || listed(&client.web_origins),
        "strategies": strategies,
    })
}

fn shown_to_client(connection: &Connection) -> Value {
    let mut shown = Map::from_iter([("name".to_owned(), Value::from(connection.name.as_str()))]);
    if let Some(name) = &connection.display_name {
        shown.insert("display_name".into(), name.as_str().into());
    }
    if connection.is_database() {
        let policy = PasswordPolicy::of(connection);
        shown.insert("passwordPolicy".into(), connection.password_policy().into());
        shown.insert("password_complexity_options".into(), json!({ "min_length": policy.min_length }));
        shown.insert("showSignup".into(), connection.allows_signup().into());
        shown.insert("showForgot".into(), connection.allows_password_reset().into());
        shown.insert("requires_username".into(), connection.has_usernames().into());
        shown.insert("validation".into(), validation(connection));
    }
    shown.into()
}

fn validation(connection: &Connection) -> Value {
    let (min, max) = connection.username_length();
    json!({ "username": { "min": min, "max": max } })
}

fn tenant_described(connections: &[Connection], default_directory: &str) -> Value {
    let (mut databases, mut passwordless) = (Vec::new(), Vec::new());
    let mut clients: Map<String, Value> = Map::new();
    for connection in connections.iter().filter(|connection| is_offered(connection)) {
        if connection.is_database() {
            let mut validation = validation(connection);
            validation["passwordPolicy"] = connection.password_policy().into();
            databases.push(json!({
                "name": connection.name,
                "strategy": connection.strategy,
                "validation": validation,
                "allowSignup": connection.allows_signup(),
                "allowForgot": connection.allows_password_reset(),
                "requiresUsername": connection.has_usernames(),
            }));
        } else {
            passwordless.push(json!({ "name": connection.name, "strategy": connection.strategy }));
        }
        for client in &connection.enabled_clients {
            let names = clients.entry(client.as_str()).or_insert_with(|| json!([]));
            if let Some(names) = names.as_array_mut() {
                names.push(connection.name.as_str().into());
            }
        }
    }
    json!({
        "connections": {
            "database": databases,
            "social": [],
            "enterprise": [],
            "passwordless": passwordless,
        },
        "defaultDirectory": Some(default_directory).filter(|name| !name.is_empty()),
        "clientsConnections": clients,
    })
}
