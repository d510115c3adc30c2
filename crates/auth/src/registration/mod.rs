//! `POST /oidc/register`: clients that register themselves (RFC 7591, OpenID Connect Registration; authentication contract §11).
//!
//! What registers itself is a third party's: its users are always asked for consent, and no system API is within its reach.

mod metadata;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use db::Batch;
use model::clients::{self, Client};
use model::jose::VerifyError;
use model::protocol::{ClientProtocol, Protocol};
use model::{App, connections, protocol};
use serde_json::{Map, Value, json};

use crate::errors::{OAuthError, no_store_json};
use crate::events;
use crate::visit::Visit;
use metadata::Metadata;

/// The scope of the Management API that lets a machine register clients here, where the tenant asks for a token.
const SCOPE: &str = "create:clients";

/// `POST /oidc/register`. Errors: 404 `endpoint_disabled`, 401 `invalid_token`, 400 `invalid_redirect_uri`, `invalid_client_metadata`.
pub async fn register(State(_): State<App>, visit: Visit, headers: HeaderMap, body: Bytes) -> Response {
    match accept(&visit, &headers, &body).await {
        Ok(answer) => no_store_json(StatusCode::CREATED, &answer),
        Err(error) => {
            let challenge = error.status == StatusCode::UNAUTHORIZED;
            let mut response = error.into_response();
            if challenge {
                let value = HeaderValue::from_static("Bearer error=\"invalid_token\"");
                response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
            }
            response
        }
    }
}

async fn accept(visit: &Visit, headers: &HeaderMap, body: &[u8]) -> Result<Map<String, Value>, OAuthError> {
    let (app, tenant) = (&visit.app, &visit.tenant.id);
    let protocol = protocol::find(app, tenant).await?;
    if !visit.settings().await?.flag("enable_dynamic_client_registration") {
        let description = "Dynamic client registration is not enabled for the tenant";
        return Err(OAuthError::new(StatusCode::NOT_FOUND, "endpoint_disabled", description));
    }
    if protocol.registration_needs_token && !may_register(visit, headers).await? {
        let description = "An access token of the Management API with the scope create:clients is required";
        return Err(OAuthError::new(StatusCode::UNAUTHORIZED, "invalid_token", description));
    }
    let metadata = Metadata::read(body)?;
    let (mut client, secret) = make(visit, &protocol, &metadata)?;
    for algorithm in metadata.algorithms() {
        app.keys.provide(app, tenant, algorithm).await?;
    }
    let now = app.clock.now();
    let mut batch = Batch::new();
    clients::insert(app, &mut batch, tenant, &mut client, &secret, now);
    for connection in connections::domain_level(app, tenant).await? {
        connections::set_client(&mut batch, tenant, &connection.id, &client.client_id, true, now);
    }
    model::logs::record(&mut batch, events::client_registered(visit, &client));
    app.db.commit(batch).await?;
    Ok(answer(&client, &metadata, &secret, now.seconds()))
}

/// Whether the caller shows an access token of a machine that may create clients: for the Management API, bound to no key.
async fn may_register(visit: &Visit, headers: &HeaderMap) -> Result<bool, db::Error> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Ok(false) };
    let Some(("Bearer" | "bearer", token)) = value.to_str().ok().and_then(|value| value.split_once(' '))
    else {
        return Ok(false);
    };
    let (app, tenant) = (&visit.app, &visit.tenant);
    let verified = match app.keys.verify(app, &tenant.id, token).await {
        Ok(verified) => verified,
        Err(VerifyError::Failed(error)) => return Err(error),
        Err(_) => return Ok(false),
    };
    let machine = verified.text("azp").filter(|client| verified.subject() == format!("{client}@clients"));
    let scopes = verified.text("scope").unwrap_or_default();
    let good = verified.issuer() == tenant.issuer
        && verified.is_for(&tenant.management_audience())
        && verified.bound_to() == Ok(None)
        && scopes.split(' ').any(|scope| scope == SCOPE);
    match machine.filter(|_| good) {
        Some(machine) => Ok(clients::find(app, &tenant.id, machine).await?.is_some()),
        None => Ok(false),
    }
}

/// The client, and its secret.
fn make(visit: &Visit, protocol: &Protocol, metadata: &Metadata) -> Result<(Client, String), OAuthError> {
    let app = &visit.app;
    let mut body = metadata.client_body();
    let credentials = clients::take_credentials(&app.random, app.clock.now(), &mut body)
        .map_err(|error| metadata::invalid(format!("jwks: {error}")))?;
    let client = Client::new(clients::new_id(&app.random), &body);
    let mut client = client.map_err(|error| metadata::invalid(error.to_string()))?;
    client.is_first_party = false;
    client.oidc_conformant = true;
    client.credentials = credentials;
    client.protocol = ClientProtocol {
        strict: protocol.strict_registration.then_some(true),
        userinfo_signed_response_alg: metadata.userinfo_alg.clone(),
        authorization_signed_response_alg: metadata.authorization_alg.clone(),
    };
    Ok((client, clients::new_secret(&app.random)))
}

/// RFC 7591 §3.2.1.
fn answer(client: &Client, metadata: &Metadata, secret: &str, issued_at: i64) -> Map<String, Value> {
    let mut answer = Map::new();
    answer.insert("client_id".into(), json!(client.client_id));
    answer.insert("client_id_issued_at".into(), issued_at.into());
    if metadata.keeps_secret() {
        answer.insert("client_secret".into(), secret.into());
        answer.insert("client_secret_expires_at".into(), 0.into());
    }
    answer.extend(metadata.to_wire());
    answer
}
