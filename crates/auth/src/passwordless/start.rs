//! `POST /passwordless/start`: sends a code or a link. The answer tells nothing of whether anybody has the address.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use db::Batch;
use model::clients::{self, Client};
use model::connections::{self, Connection};
use model::{App, passwordless, sms};
use serde_json::{Map, Value, json};

use super::sending::{self, Sending};
use super::{Address, pushed};
use crate::client_authentication;
use crate::errors::{NoStore, OAuthError};
use crate::params::Params;
use crate::visit::Visit;

/// What a body may hold.
const ALLOWED: [&str; 11] = [
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
    "connection",
    "email",
    "phone_number",
    "send",
    "authParams",
    "captcha",
    "state",
];

/// The longest that `authParams` may be together, in bytes: they travel in a link.
const LONGEST_PARAMS: usize = 4096;

/// Answers `_id`, the address, and that it is not verified by this.
///
/// # Errors
/// 400 with dotted codes; 401 for a client that does not prove itself; 429.
pub async fn start(
    State(_): State<App>,
    visit: Visit,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    match begin(&visit, query.as_deref(), &headers, &body).await {
        Ok(answer) => NoStore(answer).into_response(),
        Err(error) => error.into_response(),
    }
}

async fn begin(
    visit: &Visit,
    query: Option<&str>,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Value, OAuthError> {
    let tenant = &visit.tenant.id;
    let params = Params::parse_body(headers, body)?;
    let body = Params::parse_object(headers, body)?;
    if let Some(name) = body.keys().find(|name| !ALLOWED.contains(&name.as_str())) {
        let name: String = name.chars().take(64).collect();
        return Err(bad("bad.request", format!("the following properties are not allowed: {name}")));
    }
    let client = client(visit, query, headers, &params).await?;
    let visit = &visit.told_by(&client, headers);
    let connection = named_connection(visit, &client, params.get("connection")).await?;
    let address = given_address(&connection, &params)?;
    let link = match params.get("send") {
        None | Some("link") => true,
        Some("code") => false,
        Some(_) => return Err(bad("bad.request", "send must be code or link")),
    };
    let auth_params = auth_params(&client, body.get("authParams"))?;
    let by_sms = connection.sends_codes_by_sms();
    // There are no links by SMS.
    let link = link && !by_sms;
    let mut batch = Batch::new();
    let kept = match link {
        true => pushed::keep(visit, &mut batch, &client, &connection, &auth_params).await?,
        false => None,
    };
    let asked = kept.map_or(auth_params, |uri| vec![("request_uri".to_owned(), uri)]);
    let link = link.then_some(asked.as_slice());
    let (sending, found) = sending::send(visit, &client, &connection, &address, batch, link).await?;
    match sending {
        // One has just gone out: it is as good.
        Sending::Sent | Sending::TooSoon => {}
        Sending::TooMany => {
            return Err(OAuthError::too_many("Too many codes were asked for. Please try again later."));
        }
        Sending::Failed => return Err(bad("sms_provider_error", "The SMS gateway did not take the message")),
    }
    let subject = match &found {
        Some(found) => found.user.identities[found.identity].user_id.clone(),
        None => passwordless::subject(tenant, &connection, &address.folded),
    };
    Ok(match by_sms {
        true => json!({ "_id": subject, "phone_number": address.given, "phone_verified": false }),
        false => json!({ "_id": subject, "email": address.given.to_lowercase(), "email_verified": false }),
    })
}

/// The address in the body that the connection sends codes to.
fn given_address(connection: &Connection, params: &Params) -> Result<Address, OAuthError> {
    let (name, error, invalid) = match connection.sends_codes_by_sms() {
        true => ("phone_number", "bad.phone_number", "String does not match pattern: ^\\+[0-9]{1,15}$"),
        false => ("email", "bad.email", "Invalid email address"),
    };
    let given = params.get(name);
    let given = given.ok_or_else(|| bad(error, format!("Missing required property: {name}")))?;
    Address::on(connection, given).ok_or_else(|| bad(error, invalid))
}

/// The client that asks; one that can keep a secret shows it.
async fn client(
    visit: &Visit,
    query: Option<&str>,
    headers: &HeaderMap,
    params: &Params,
) -> Result<Arc<Client>, OAuthError> {
    let Some(client_id) = params.get("client_id") else {
        return Err(bad("bad.client_id", "Missing required property: client_id"));
    };
    let client = clients::find(&visit.app, &visit.tenant.id, client_id).await?;
    let client = client.filter(|client| !client.global);
    let client = client.ok_or_else(|| bad("bad.client_id", "Client does not exist"))?;
    let shows = params.has("client_secret")
        || params.has("client_assertion")
        || headers.contains_key(header::AUTHORIZATION);
    if client.is_public() {
        return Ok(client);
    }
    if !shows {
        let description = "Client authentication is required";
        let error = OAuthError::new(StatusCode::UNAUTHORIZED, "unauthorized_client", description);
        let error = OAuthError { specified: Some("invalid_client"), ..error };
        return Err(error.told(visit.is_strict_for(&client).await?));
    }
    client_authentication::authenticate(visit, query, headers, params).await
}

async fn named_connection(
    visit: &Visit,
    client: &Client,
    name: Option<&str>,
) -> Result<Arc<Connection>, OAuthError> {
    let name = name.ok_or_else(|| bad("bad.connection", "Missing required property: connection"))?;
    let found = connections::find_by_name(&visit.app, &visit.tenant.id, name).await?;
    let found = found.filter(|connection| ["email", "sms"].contains(&connection.strategy.as_str()));
    let found = found.ok_or_else(|| bad("bad.connection", "Connection does not exist"))?;
    if !found.is_active() || !found.is_enabled_for(&client.client_id) {
        return Err(bad("bad.connection", "Connection is disabled"));
    }
    match found.sends_codes_by_email() || sms::has_gateway(&found) {
        true => Ok(found),
        false => Err(bad("sms_provider_error", "No SMS gateway is configured")),
    }
}

/// What the link is to ask for in the app's name, checked as far as it can be here.
fn auth_params(client: &Client, given: Option<&Value>) -> Result<Vec<(String, String)>, OAuthError> {
    let object = match given {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(object)) => object.clone(),
        Some(_) => return Err(bad("bad.authParams", "authParams must be an object")),
    };
    let mut pairs = Vec::new();
    for (name, value) in object {
        match value {
            Value::String(value) if !value.contains('\0') && !name.contains('\0') => {
                pairs.push((name, value))
            }
            _ => return Err(bad("bad.authParams", "authParams must be an object of strings")),
        }
    }
    let length: usize = pairs.iter().map(|(name, value)| name.len() + value.len()).sum();
    if pairs.len() > 30 || length > LONGEST_PARAMS {
        return Err(bad("bad.authParams", "authParams are too long"));
    }
    let uri = pairs.iter().find(|(name, _)| name == "redirect_uri").map(|(_, uri)| uri);
    if uri.is_some_and(|uri| !client.allows_callback(uri)) {
        return Err(bad("bad.authParams", "redirect_uri is not in the list of allowed callback URLs"));
    }
    Ok(pairs)
}

fn bad(error: &'static str, description: impl Into<std::borrow::Cow<'static, str>>) -> OAuthError {
    OAuthError::new(StatusCode::BAD_REQUEST, error, description)
}
