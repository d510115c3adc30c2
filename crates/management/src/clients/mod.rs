//! `/api/v2/clients` (management contract §4.1).

mod bodies;
pub mod credentials;
mod view;

use axum::extract::State;
use axum::http::StatusCode;
use db::Batch;
use model::clients::{self, Client, Filter};
use model::connections;
use model::{App, ClientId, Model};
use serde_json::{Map, Value};

pub use bodies::{
    AuthenticationMethods, BackchannelLogout, CreateClient, Credential, Credentials, JwtConfiguration,
    ListClientConnections, ListClients, RefreshToken, SignedRequests, UpdateClient,
};

use crate::access::{Grant, Powers};
use crate::answers::{Answer, Created, NoContent};
use crate::documents::{Document, unfit};
use crate::errors::{Error, Missing};
use crate::fields::Fields;
use crate::lists::Style;
use crate::operations::Power;
use crate::paths::Path;
use crate::requests::{Json, Query};
use crate::signing_keys::provide_keys;
use view::{View, signing_keys, written};

const LIST: Style = Style::checkpoints("clients").from_zero();
/// So many credentials a client may ever have been given.
const MOST_CREDENTIALS: usize = 100;
const CONNECTIONS: Style = Style::checkpoints("connections");

/// `GET /clients`.
///
/// # Errors
/// 400 `invalid_query_string`.
pub async fn list(
    State(app): State<App>,
    grant: Grant,
    Query(query): Query<ListClients>,
) -> Result<Answer<Value>, Error> {
    let paging = LIST.paging(&query.pages)?;
    if query.q.is_some() || query.external_client_id.is_some() {
        return Err(Error::InvalidQuery(
            "Query validation error: 'Clients are not searched by q or external_client_id'.".into(),
        ));
    }
    let filter = Filter {
        is_global: query.is_global,
        is_first_party: query.is_first_party,
        app_types: query.app_type.iter().flat_map(|types| types.split(',')).map(str::to_owned).collect(),
    };
    let page = clients::list(&app, &grant.tenant.id, &filter, &paging).await?;
    let view = View::of(&app, &grant, &page.items).await?;
    let page = page.map(|client| Ok::<_, Error>(query.fields.of_with(&["tenant"], view.show(&client))))?;
    Ok(Answer(LIST.answer(&paging, page)))
}

/// `GET /clients/{id}`.
///
/// # Errors
/// 404 `inexistent_client`.
pub async fn get(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<ClientId>,
    Query(fields): Query<Fields>,
) -> Result<Answer<Map<String, Value>>, Error> {
    let client = load(&app, &grant, &id).await?;
    let view = View::of(&app, &grant, std::slice::from_ref(&client)).await?;
    Ok(Answer(fields.of(view.show(&client))))
}

/// `POST /clients`: adds a client, and shows its secret.
///
/// # Errors
/// 400 `invalid_body`.
pub async fn create(
    State(app): State<App>,
    grant: Grant,
    Json(body): Json<Document<CreateClient>>,
) -> Result<Created<Map<String, Value>>, Error> {
    let now = app.clock.now();
    let mut keys = body.keys;
    let credentials =
        clients::take_credentials(&app.random, now, &mut keys).map_err(credentials::unusable)?;
    let mut client = Client::new(clients::new_id(&app.random), &keys).map_err(unfit)?;
    client.credentials = credentials;
    check(&client)?;
    check_references(&client, &keys)?;
    provide_keys(&app, &grant, id_token_algorithm(&keys)).await?;
    let secret = clients::new_secret(&app.random);
    let mut batch = Batch::new();
    clients::insert(&app, &mut batch, &grant.tenant.id, &mut client, &secret, now);
    let mut answer = written(&client, &grant, Some(&secret), Some(signing_keys(&app, &grant).await?));
    clients::show_credentials(&client.credentials, &mut answer);
    answer.insert("encrypted".into(), true.into());
    grant.wrote(&app, &mut batch, StatusCode::CREATED, &answer);
    app.db.commit(batch).await?;
    Ok(Created(answer))
}

/// `PATCH /clients/{id}`: replaces the named keys; `null` unsets, and `client_metadata` merges by key.
///
/// # Errors
/// 403 `insufficient_scope` for keys beyond the caller's scopes, 404 `inexistent_client`, 400 `invalid_body`.
pub async fn update(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<ClientId>,
    Json(body): Json<Document<UpdateClient>>,
) -> Result<Answer<Map<String, Value>>, Error> {
    check_fields(&grant.powers, &body)?;
    let shows_secret = grant.powers.holds(Power::ClientKeys);
    let keys = if shows_secret { Some(signing_keys(&app, &grant).await?) } else { None };
    let mut patch = body.keys;
    let credentials = clients::take_credentials(&app.random, app.clock.now(), &mut patch);
    let credentials = credentials.map_err(credentials::unusable)?;
    let new_secret = patch.shift_remove("client_secret");
    provide_keys(&app, &grant, id_token_algorithm(&patch)).await?;
    let decide = async || {
        let client = load(&app, &grant, &id).await?;
        let mut client = client.patched(&patch).map_err(unfit)?;
        client.credentials.extend(credentials.iter().cloned());
        check(&client)?;
        check_references(&client, &patch)?;
        let mut batch = Batch::new();
        clients::save(&mut batch, &grant.tenant.id, &mut client);
        let secret = match new_secret.as_ref().and_then(Value::as_str) {
            Some(secret) => {
                clients::set_secret(&app, &mut batch, &grant.tenant.id, &mut client, secret);
                Some(secret.to_owned())
            }
            None if shows_secret => clients::secret(&app, &grant.tenant.id, &id).await?,
            None => None,
        };
        let answer = written(&client, &grant, secret.as_deref(), keys.clone());
        grant.wrote(&app, &mut batch, StatusCode::OK, &answer);
        Ok::<_, Error>((batch, answer))
    };
    Ok(Answer(app.db.retry(decide).await?))
}

/// `DELETE /clients/{id}`: deletes a client, its grants and its tokens; one that is not there is deleted already.
///
/// # Errors
/// 400 for the client that stands for all applications.
pub async fn delete(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<ClientId>,
) -> Result<NoContent, Error> {
    let decide = async || {
        let mut batch = Batch::new();
        if let Some(client) = clients::load(&app, &grant.tenant.id, id.as_str()).await? {
            if client.global {
                return Err(Error::NotSupported("Global client cannot be deleted.".into()));
            }
            clients::remove(&mut batch, &grant.tenant.id, &client);
        }
        grant.wrote(&app, &mut batch, StatusCode::NO_CONTENT, &Value::Null);
        Ok((batch, NoContent))
    };
    app.db.retry(decide).await
}

/// `POST /clients/{id}/rotate-secret`: gives the client another secret, and shows it.
///
/// # Errors
/// 404 `inexistent_client`.
pub async fn rotate_secret(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<ClientId>,
) -> Result<Answer<Map<String, Value>>, Error> {
    let keys = signing_keys(&app, &grant).await?;
    let decide = async || {
        let mut client = load(&app, &grant, &id).await?;
        let secret = clients::new_secret(&app.random);
        let mut batch = Batch::new();
        clients::set_secret(&app, &mut batch, &grant.tenant.id, &mut client, &secret);
        let answer = written(&client, &grant, Some(&secret), Some(keys.clone()));
        grant.wrote(&app, &mut batch, StatusCode::OK, &answer);
        Ok::<_, Error>((batch, answer))
    };
    Ok(Answer(app.db.retry(decide).await?))
}

/// `GET /clients/{id}/connections`: the connections that are enabled for a client.
///
/// # Errors
/// 404 `inexistent_client`.
pub async fn connections(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<ClientId>,
    Query(query): Query<ListClientConnections>,
) -> Result<Answer<Value>, Error> {
    let paging = CONNECTIONS.always_checkpoints(&query.pages)?;
    load(&app, &grant, &id).await?;
    let strategies = query.strategy.unwrap_or_default();
    let page = connections::list_for_client(&app, &grant.tenant.id, &id, &strategies, &paging).await?;
    let page =
        page.map(|connection| Ok::<_, Error>(query.fields.of(model::document::object(&connection))))?;
    Ok(Answer(CONNECTIONS.answer(&paging, page)))
}

async fn load(app: &Model, grant: &Grant, id: &ClientId) -> Result<Client, Error> {
    clients::load(app, &grant.tenant.id, id.as_str()).await?.ok_or(Error::NotFound(Missing::Client))
}

/// What no schema can say of a client.
fn check(client: &Client) -> Result<(), Error> {
    let refused = |text: &'static str| Err(Error::InvalidBody(text.into()));
    if client.has_two_authentication_methods() {
        return refused(
            "client_authentication_methods and token_endpoint_auth_method cannot be set together.",
        );
    }
    if client.credentials.len() > MOST_CREDENTIALS {
        return refused("The client has too many credentials.");
    }
    if client.app_type.as_deref() == Some("resource_server") && client.resource_server_identifier.is_none() {
        return refused("Payload validation error: 'Missing required property: resource_server_identifier'.");
    }
    if client.client_metadata.as_ref().is_some_and(|metadata| metadata.len() > 10) {
        return refused(
            "Payload validation error: 'Too many properties defined, maximum 10' on property client_metadata.",
        );
    }
    Ok(())
}

/// The algorithm of ID tokens that a body selects.
fn id_token_algorithm(body: &Map<String, Value>) -> Option<&str> {
    body.get("jwt_configuration")?.get("alg")?.as_str()
}

/// The credentials that a body names are the client's, and no more of them than one use may name.
fn check_references(client: &Client, body: &Map<String, Value>) -> Result<(), Error> {
    if !clients::CREDENTIAL_HOLDERS.iter().any(|holder| body.contains_key(*holder)) {
        return Ok(());
    }
    if client.uses_too_many_credentials() {
        let most = clients::MOST_IN_USE;
        let text =
            format!("Payload validation error: 'Too many items, maximum {most}' on property credentials.");
        return Err(Error::InvalidBody(text.into()));
    }
    match client.unknown_credential() {
        Some(id) => Err(Error::InvalidBody(format!("Credential {id} does not exist").into())),
        None => Ok(()),
    }
}

/// Refuses keys that the caller's scopes do not reach; the secret has a scope of its own.
fn check_fields(powers: &Powers, body: &Document<UpdateClient>) -> Result<(), Error> {
    let within = |power: Power, key: &str| match power {
        Power::ClientKeys => ["client_secret", "encryption_key"].contains(&key),
        Power::ClientCredentials => {
            ["client_authentication_methods", "signed_request_object", "token_vault_privileged_access"]
                .contains(&key)
        }
        Power::TokenVault => key == "token_vault_privileged_access",
        _ => false,
    };
    let limits: Vec<_> = powers.limits().collect();
    let allowed = |key: &str| match limits.is_empty() {
        true => key != "client_secret" || powers.holds(Power::ClientKeys),
        false => limits.iter().any(|limit| within(*limit, key)),
    };
    let forbidden: Vec<_> = body.keys.keys().filter(|key| !allowed(key)).cloned().collect();
    if forbidden.is_empty() { Ok(()) } else { Err(Error::ForbiddenFields(forbidden)) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn client(body: Value) -> Result<(), Error> {
        check(&Client::new("c".into(), body.as_object().unwrap()).unwrap())
    }

    #[test]
    fn a_client_proves_itself_in_one_way() {
        assert!(client(json!({ "name": "a", "token_endpoint_auth_method": "none" })).is_ok());
        let both =
            json!({ "name": "a", "token_endpoint_auth_method": "none", "client_authentication_methods": {} });
        assert!(matches!(client(both), Err(Error::InvalidBody(_))));
        let keys = json!({ "name": "a", "client_authentication_methods": { "private_key_jwt": {} } });
        assert!(client(keys).is_ok());
    }
}
