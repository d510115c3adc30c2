//! `/api/v2/connections` (management contract §4.2).

mod bodies;
mod options;

use axum::extract::State;
use axum::http::StatusCode;
use db::Batch;
use model::connections::{self, Connection, Filter};
use model::document::object;
use model::{App, ClientId, Model};
use serde_json::{Map, Value, json};

pub use bodies::{
    ConnectedAccounts, CreateConnection, EnableClient, EnableClients, ListConnectionClients, ListConnections,
    Purpose, UpdateConnection,
};

use crate::access::Grant;
use crate::answers::{Accepted, Answer, Created, NoContent};
use crate::documents::{Document, unfit};
use crate::errors::{Error, Missing};
use crate::fields::Fields;
use crate::lists::Style;
use crate::paths::Path;
use crate::requests::{Json, Query};

const LIST: Style = Style::checkpoints("connections");
/// Shown whichever fields are asked for.
const ALWAYS: [&str; 4] = ["id", "is_domain_connection", "authentication", "connected_accounts"];
const CLIENTS: Style = Style::offsets("clients").up_to(1000);

/// `GET /connections`. Options are shown whole to whoever may read connections.
///
/// # Errors
/// 400 `invalid_query_string`.
pub async fn list(
    State(app): State<App>,
    grant: Grant,
    Query(query): Query<ListConnections>,
) -> Result<Answer<Value>, Error> {
    let paging = LIST.paging(&query.pages)?;
    let filter = Filter { name: query.name, strategies: query.strategy.unwrap_or_default() };
    let page = connections::list(&app, &grant.tenant.id, &filter, &paging).await?;
    let page = page.map(|connection| Ok::<_, Error>(query.fields.of_with(&ALWAYS, object(&connection))))?;
    Ok(Answer(LIST.answer(&paging, page)))
}

/// `GET /connections/{id}`.
///
/// # Errors
/// 404 `inexistent_connection`.
pub async fn get(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<String>,
    Query(fields): Query<Fields>,
) -> Result<Answer<Map<String, Value>>, Error> {
    let connection = load(&app, &grant, &id).await?;
    Ok(Answer(fields.of_with(&ALWAYS, object(&connection))))
}

/// `POST /connections`: adds a connection with what its strategy fills in.
///
/// # Errors
/// 400 `invalid_body`, 409 for a taken name.
pub async fn create(
    State(app): State<App>,
    grant: Grant,
    Json(body): Json<Document<CreateConnection>>,
) -> Result<Created<Map<String, Value>>, Error> {
    let connection = Connection::new(&app.random, &body.keys).map_err(unfit)?;
    options::check(&connection.strategy, &connection.options)?;
    let mut batch = Batch::new();
    connections::insert(&app, &mut batch, &grant.tenant.id, &connection, app.clock.now());
    let answer = object(&connection);
    grant.wrote(&app, &mut batch, StatusCode::CREATED, &answer);
    app.db.commit(batch).await.map_err(|error| refused(error.into()))?;
    Ok(Created(answer))
}

/// `PATCH /connections/{id}`: replaces the named keys, `options` as a whole.
///
/// # Errors
/// 404 `inexistent_connection`, 400 `invalid_body`.
pub async fn update(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<String>,
    Json(body): Json<Document<UpdateConnection>>,
) -> Result<Answer<Map<String, Value>>, Error> {
    let decide = async || {
        let mut connection = load(&app, &grant, &id).await?.patched(&body.keys).map_err(unfit)?;
        options::check(&connection.strategy, &connection.options)?;
        let mut batch = Batch::new();
        connections::save(&app, &mut batch, &grant.tenant.id, &mut connection);
        if let Some(clients) = body.texts("enabled_clients") {
            let clients = clients.into_iter().map(ClientId::from).collect();
            connections::set_clients(&mut batch, &grant.tenant.id, &mut connection, clients, app.clock.now());
        }
        let answer = object(&connection);
        grant.wrote(&app, &mut batch, StatusCode::OK, &answer);
        Ok::<_, Error>((batch, answer))
    };
    app.db.retry(decide).await.map(Answer).map_err(refused)
}

/// `DELETE /connections/{id}`: deletes a connection and its users; one that is not there is deleted already.
pub async fn delete(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<String>,
) -> Result<Accepted<Value>, Error> {
    let answer = json!({ "deleted_at": app.clock.now() });
    if let Some(connection) = connections::load(&app, &grant.tenant.id, &id).await? {
        connections::clear_users(&app, &grant.tenant.id, &connection).await?;
    }
    let decide = async || {
        let mut batch = Batch::new();
        if let Some(connection) = connections::load(&app, &grant.tenant.id, &id).await? {
            connections::remove(&mut batch, &grant.tenant.id, &connection, app.clock.now());
        }
        grant.wrote(&app, &mut batch, StatusCode::ACCEPTED, &answer);
        Ok::<_, Error>((batch, ()))
    };
    app.db.retry(decide).await?;
    Ok(Accepted(answer))
}

/// `GET /connections/{id}/clients`: the clients that a connection is enabled for.
///
/// # Errors
/// 404 `inexistent_connection`.
pub async fn clients(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<String>,
    Query(query): Query<ListConnectionClients>,
) -> Result<Answer<Value>, Error> {
    let paging = CLIENTS.always_checkpoints(&query.pages)?;
    let connection = load(&app, &grant, &id).await?;
    let page = connections::list_clients(&app, &grant.tenant.id, &connection.id, &paging).await?;
    let page =
        page.map(|client| Ok::<_, Error>(Map::from_iter([("client_id".to_owned(), json!(client))])))?;
    Ok(Answer(CLIENTS.answer(&paging, page)))
}

/// `PATCH /connections/{id}/clients`: enables a connection for clients, or no longer.
///
/// # Errors
/// 404 `inexistent_connection` or `inexistent_client`.
pub async fn enable_clients(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<String>,
    Json(EnableClients(clients)): Json<EnableClients>,
) -> Result<NoContent, Error> {
    let connection = load(&app, &grant, &id).await?;
    let mut batch = Batch::new();
    for client in &clients {
        let client_id = ClientId::from(client.client_id.as_str());
        connections::set_client(
            &mut batch,
            &grant.tenant.id,
            &connection.id,
            &client_id,
            client.status,
            app.clock.now(),
        );
    }
    grant.wrote(&app, &mut batch, StatusCode::NO_CONTENT, &Value::Null);
    app.db.commit(batch).await.map_err(|error| refused(error.into()))?;
    Ok(NoContent)
}

async fn load(app: &Model, grant: &Grant, id: &str) -> Result<Connection, Error> {
    connections::load(app, &grant.tenant.id, id).await?.ok_or(Error::NotFound(Missing::Connection))
}

/// The answer to a write that the database's rules stopped.
fn refused(error: Error) -> Error {
    match error {
        Error::Database(db::Error::Unique(_)) => {
            Error::AlreadyExists("A connection with the same name already exists")
        }
        Error::Database(db::Error::ForeignKey) => Error::NotFound(Missing::Client),
        error => error,
    }
}
