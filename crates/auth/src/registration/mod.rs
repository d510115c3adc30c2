//! `/oidc/register`: clients that register themselves (RFC 7591, OpenID Connect Registration; authentication contract §11), and see, change
//! and remove themselves after that (RFC 7592).
//!
//! What registers itself is a third party's: its users are always asked for consent, and no system API is within its reach.

mod manage;
mod metadata;
mod sector;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use db::Batch;
use model::clients::{self, Client, Registration};
use model::jose::{Algorithm, VerifyError};
use model::protocol::Protocol;
use model::{App, connections, protocol};
use serde_json::{Map, Value, json};

use crate::errors::{OAuthError, no_store_json};
use crate::events;
use crate::visit::Visit;
pub use manage::{get, remove, replace};
use metadata::{Metadata, invalid};

/// The scope of the Management API that lets a machine register clients here, where the tenant asks for a token.
const SCOPE: &str = "create:clients";

/// `POST /oidc/register`. Errors: 404 `endpoint_disabled`, 401 `invalid_token`, 429 `too_many_requests`, 400 `invalid_redirect_uri`,
/// `invalid_client_metadata`.
pub async fn register(State(_): State<App>, visit: Visit, headers: HeaderMap, body: Bytes) -> Response {
    match accept(&visit, &headers, &body).await {
        Ok(answer) => no_store_json(StatusCode::CREATED, &answer),
        Err(error) => error.into_response(),
    }
}

/// Refuses where the tenant takes no registrations.
async fn is_on(visit: &Visit) -> Result<(), OAuthError> {
    if visit.settings().await?.flag("enable_dynamic_client_registration") {
        return Ok(());
    }
    let description = "Dynamic client registration is not enabled for the tenant";
    Err(OAuthError::new(StatusCode::NOT_FOUND, "endpoint_disabled", description))
}

/// The token of the one `Authorization` header (RFC 6750 §2.1).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (value, None) = (values.next()?, values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

async fn accept(visit: &Visit, headers: &HeaderMap, body: &[u8]) -> Result<Map<String, Value>, OAuthError> {
    let (app, tenant) = (&visit.app, &visit.tenant.id);
    let protocol = protocol::find(app, tenant).await?;
    is_on(visit).await?;
    if protocol.registration_needs_token && !may_register(visit, headers).await? {
        let description = "An access token of the Management API with the scope create:clients is required";
        return Err(OAuthError::new(StatusCode::UNAUTHORIZED, "invalid_token", description));
    }
    let metadata = Metadata::read(body)?;
    admit(visit, &protocol).await?;
    check_addresses(visit, &metadata).await?;
    let (mut client, secret, token) = make(visit, &protocol, &metadata)?;
    provide(visit, &protocol, &metadata).await?;
    let now = app.clock.now();
    let mut batch = Batch::new();
    clients::insert(app, &mut batch, tenant, &mut client, &secret, now);
    for connection in connections::domain_level(app, tenant).await? {
        connections::set_client(&mut batch, tenant, &connection.id, &client.client_id, true, now);
    }
    model::logs::record(&mut batch, events::client_registered(visit, &client));
    app.db.commit(batch).await?;
    Ok(answer(visit, &client, &metadata, Some(&secret), &token))
}

/// Counts a stranger's call, before anything is fetched or stored for it.
async fn admit(visit: &Visit, protocol: &Protocol) -> Result<(), OAuthError> {
    let (app, tenant) = (&visit.app, &visit.tenant.id);
    if protocol.registration_needs_token || clients::admit(app, tenant, visit.peer.ip).await? {
        return Ok(());
    }
    let description = "Too many clients were registered or changed from this address";
    Err(OAuthError::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", description))
}

/// Makes the keys that the client's answers are to be signed with. For a stranger no other kind of key is published than there is: programs
/// that know RSA alone would read none of them any more.
async fn provide(visit: &Visit, protocol: &Protocol, metadata: &Metadata) -> Result<(), OAuthError> {
    let (app, tenant) = (&visit.app, &visit.tenant.id);
    let published = app.keys.published(app, tenant).await?;
    for algorithm in metadata.algorithms() {
        let other = matches!(algorithm, Algorithm::ES256 | Algorithm::EdDSA);
        if other && published.current(algorithm).is_none() && !protocol.registration_needs_token {
            return Err(invalid("The tenant does not sign with that algorithm"));
        }
        app.keys.provide(app, tenant, algorithm).await?;
    }
    Ok(())
}

/// Whether the caller shows an access token of a machine that may create clients: for the Management API, bound to no key.
async fn may_register(visit: &Visit, headers: &HeaderMap) -> Result<bool, db::Error> {
    let Some(token) = bearer(headers) else { return Ok(false) };
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

/// The client, its secret, and the token by which it sees and changes itself.
fn make(
    visit: &Visit,
    protocol: &Protocol,
    metadata: &Metadata,
) -> Result<(Client, String, String), OAuthError> {
    let app = &visit.app;
    let mut body = metadata.client_body();
    let credentials = take_credentials(visit, &mut body)?;
    body.retain(|_, value| !value.is_null());
    let client = Client::new(clients::new_id(&app.random), &body);
    let mut client = client.map_err(|error| metadata::invalid(error.to_string()))?;
    client.is_first_party = false;
    client.oidc_conformant = true;
    client.credentials = credentials;
    client.protocol = metadata.protocol(protocol.strict_registration.then_some(true));
    let token = app.random.token();
    let mut registration = Registration::new(&token);
    metadata.note(&mut registration);
    client.registration = Some(registration);
    Ok((client, clients::new_secret(&app.random), token))
}

/// The keys of the metadata, taken out of the body.
fn take_credentials(
    visit: &Visit,
    body: &mut Map<String, Value>,
) -> Result<Vec<clients::Credential>, OAuthError> {
    clients::take_credentials(&visit.app.random, visit.app.clock.now(), body)
        .map_err(|error| metadata::invalid(format!("jwks: {error}")))
}

/// What a client may say of addresses that are looked at: those that we would speak to, and the document that joins its callbacks.
async fn check_addresses(visit: &Visit, metadata: &Metadata) -> Result<(), OAuthError> {
    for (name, uri) in metadata.spoken_to() {
        visit.app.net.check(uri).map_err(|error| metadata::invalid(format!("{name}: {error}")))?;
    }
    sector::check(visit, metadata).await
}

/// RFC 7591 §3.2.1, RFC 7592 §3.
fn answer(
    visit: &Visit,
    client: &Client,
    metadata: &Metadata,
    secret: Option<&str>,
    token: &str,
) -> Map<String, Value> {
    let mut answer = Map::new();
    answer.insert("client_id".into(), json!(client.client_id));
    answer.insert("client_id_issued_at".into(), client.created_at.seconds().into());
    if let Some(secret) = secret.filter(|_| metadata.keeps_secret()) {
        answer.insert("client_secret".into(), secret.into());
        answer.insert("client_secret_expires_at".into(), 0.into());
    }
    answer.insert("registration_access_token".into(), token.into());
    let uri = format!("{}oidc/register/{}", visit.tenant.issuer, client.client_id);
    answer.insert("registration_client_uri".into(), uri.into());
    answer.extend(metadata.to_wire());
    answer
}
