//! A registered client about itself (RFC 7592): `GET`, `PUT` and `DELETE` of its `registration_client_uri`, with its
//! `registration_access_token`.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use db::Batch;
use model::clients::{self, Client, Registration};
use model::{App, protocol};
use serde_json::{Map, Value};

use super::metadata::{self, Metadata};
use super::{admit, answer, bearer, check_addresses, is_on, provide, take_credentials};
use crate::errors::{OAuthError, no_store_json};
use crate::events;
use crate::visit::Visit;

/// What a client must not send back (§2.2).
const OURS: [&str; 4] = [
    "registration_access_token",
    "registration_client_uri",
    "client_secret_expires_at",
    "client_id_issued_at",
];

/// `GET /oidc/register/{client_id}`: the client as it stands. Errors: 401 `invalid_token`.
pub async fn get(State(_): State<App>, visit: Visit, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let found = async {
        let (client, registration, token) = own(&visit, &id, &headers).await?;
        let secret = clients::secret(&visit.app, &visit.tenant.id, &client.client_id).await?;
        Ok(answer(&visit, &client, &Metadata::of(&client, &registration), secret.as_deref(), token))
    };
    told(found.await)
}

/// `PUT /oidc/register/{client_id}`: the metadata in the place of all that was there. Errors: as for a new client.
pub async fn replace(
    State(_): State<App>,
    visit: Visit,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    told(replaced(&visit, &id, &headers, &body).await)
}

async fn replaced(
    visit: &Visit,
    id: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Map<String, Value>, OAuthError> {
    let (app, tenant) = (&visit.app, &visit.tenant.id);
    let (client, _, _) = own(visit, id, headers).await?;
    identified(&client, body)?;
    let protocol = protocol::find(app, tenant).await?;
    let metadata = Metadata::read(body)?;
    admit(visit, &protocol).await?;
    check_addresses(visit, &metadata).await?;
    provide(visit, &protocol, &metadata).await?;
    let decide = async || {
        let made = change(visit, &metadata, own(visit, id, headers).await);
        Ok::<_, db::Error>(match made {
            Ok(mut client) => {
                let mut batch = Batch::new();
                clients::save(&mut batch, tenant, &mut client);
                model::logs::record(&mut batch, events::client_changed_itself(visit, &client));
                (batch, Ok(client))
            }
            Err(error) => (Batch::new(), Err(error)),
        })
    };
    let client = app.db.retry(decide).await??;
    let token = bearer(headers).unwrap_or_default();
    let secret = clients::secret(app, tenant, &client.client_id).await?;
    Ok(answer(visit, &client, &metadata, secret.as_deref(), token))
}

/// `DELETE /oidc/register/{client_id}`: the client goes, and with it all that was given to it. Errors: 401 `invalid_token`.
pub async fn remove(
    State(_): State<App>,
    visit: Visit,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let (app, tenant) = (&visit.app, &visit.tenant.id);
    let decide = async || {
        Ok::<_, db::Error>(match own(&visit, &id, &headers).await {
            Ok((client, _, _)) => {
                let mut batch = Batch::new();
                clients::remove(&mut batch, tenant, &client);
                model::logs::record(&mut batch, events::client_removed_itself(&visit, &client));
                (batch, Ok(()))
            }
            Err(error) => (Batch::new(), Err(error)),
        })
    };
    match app.db.retry(decide).await {
        Ok(Ok(())) => (StatusCode::NO_CONTENT, [(header::CACHE_CONTROL, "no-store")]).into_response(),
        Ok(Err(error)) => error.into_response(),
        Err(error) => OAuthError::from(error).into_response(),
    }
}

/// The client with this metadata in the place of all that it said before.
fn change(
    visit: &Visit,
    metadata: &Metadata,
    own: Result<(Client, Registration, &str), OAuthError>,
) -> Result<Client, OAuthError> {
    let (before, mut registration, _) = own?;
    let mut body = metadata.client_body();
    let credentials = take_credentials(visit, &mut body)?;
    let mut client = before.patched(&body).map_err(|error| metadata::invalid(error.to_string()))?;
    client.credentials = credentials;
    client.protocol = metadata.protocol(before.protocol.strict);
    client.protocol.fapi2_security_profile = before.protocol.fapi2_security_profile;
    metadata.note(&mut registration);
    client.registration = Some(registration);
    Ok(client)
}

fn told(result: Result<Map<String, Value>, OAuthError>) -> Response {
    match result {
        Ok(answer) => no_store_json(StatusCode::OK, &answer),
        Err(error) => error.into_response(),
    }
}

/// The client whose token is shown. Whether there is another of that id is not told.
async fn own<'a>(
    visit: &Visit,
    id: &str,
    headers: &'a HeaderMap,
) -> Result<(Client, Registration, &'a str), OAuthError> {
    is_on(visit).await?;
    let refused = || {
        let description = "The registration access token is not valid for the client";
        OAuthError::new(StatusCode::UNAUTHORIZED, "invalid_token", description)
    };
    let token = bearer(headers).ok_or_else(refused)?;
    if id.contains('\0') {
        return Err(refused());
    }
    let client = clients::load(&visit.app, &visit.tenant.id, id).await?.ok_or_else(refused)?;
    let registration = client.registered_with(token).cloned().ok_or_else(refused)?;
    Ok((client, registration, token))
}

/// §2.2: what is sent is about this very client, with the secret that it has, and nothing that is ours to say.
fn identified(client: &Client, body: &[u8]) -> Result<(), OAuthError> {
    let body: Value =
        serde_json::from_slice(body).map_err(|_| metadata::invalid("The body is not a JSON object"))?;
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    if let Some(name) = OURS.iter().find(|name| body.get(name).is_some()) {
        return Err(metadata::invalid(format!("{name} must not be sent")));
    }
    if text("client_id") != Some(client.client_id.as_str()) {
        return Err(metadata::invalid("client_id must be that of the client"));
    }
    if body.get("client_secret").is_some()
        && !text("client_secret").is_some_and(|secret| client.check_secret(secret))
    {
        return Err(metadata::invalid("client_secret must be that of the client"));
    }
    Ok(())
}
