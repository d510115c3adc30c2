//! `/api/v2/client-grants` (management contract §4.7).

use axum::extract::State;
use axum::http::StatusCode;
use db::Batch;
use model::client_grants::{self, ClientGrant, Filter};
use model::document::object;
use model::{App, Model, clients, resource_servers};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::access::Grant;
use crate::answers::{Answer, Created, NoContent};
use crate::changes::Change;
use crate::documents::{Document, unfit};
use crate::errors::{Error, Missing};
use crate::lists::{Pages, Style};
use crate::paths::Path;
use crate::requests::{Json, Query};

type Object = Map<String, Value>;

const LIST: Style = Style::checkpoints("client_grants");

/// The query of `GET /client-grants`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ListClientGrants {
    /// The page.
    #[serde(flatten)]
    pub pages: Pages,
    /// Optional filter on audience.
    pub audience: Option<String>,
    /// Optional filter on client_id.
    pub client_id: Option<String>,
    /// Optional filter on allow_any_organization.
    #[schemars(extend("enum" = [true]))]
    pub allow_any_organization: Option<bool>,
    /// The type of application access the client grant allows.
    #[schemars(extend("enum" = ["client", "user"]))]
    pub subject_type: Option<String>,
    /// Optional filter on the default for which the client grant applies.
    #[schemars(extend("enum" = ["third_party_clients"]))]
    pub default_for: Option<String>,
}

/// The body of `POST /client-grants`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct CreateClientGrant {
    /// ID of the client.
    #[schemars(length(min = 1, max = 64))]
    pub client_id: Option<String>,
    /// The audience (API identifier) of this client grant.
    #[schemars(length(min = 1, max = 600))]
    pub audience: String,
    /// Applies this client grant as the default for all clients in the specified group.
    #[schemars(extend("enum" = ["third_party_clients"]))]
    pub default_for: Option<String>,
    /// Defines whether organizations can be used with client credentials exchanges for this grant.
    #[schemars(extend("enum" = ["deny", "allow", "require"]))]
    pub organization_usage: Option<String>,
    /// If enabled, any organization can be used with this grant. If disabled (default), the grant must be explicitly assigned to the desired organizations.
    pub allow_any_organization: Option<bool>,
    /// Scopes allowed for this client grant.
    #[schemars(length(max = 1000), inner(length(min = 1, max = 280)))]
    pub scope: Option<Vec<String>>,
    /// The type of application access the client grant allows.
    #[schemars(extend("enum" = ["client", "user"]))]
    pub subject_type: Option<String>,
    /// Types of authorization_details allowed for this client grant.
    #[schemars(inner(length(min = 1, max = 255)))]
    pub authorization_details_types: Option<Vec<String>>,
    /// If enabled, all scopes configured on the resource server are allowed for this grant.
    pub allow_all_scopes: Option<bool>,
}

/// The body of `PATCH /client-grants/{id}`: whom and what a grant is for never changes.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("minProperties" = 1))]
pub struct UpdateClientGrant {
    /// Scopes allowed for this client grant.
    #[schemars(default, length(max = 1000), inner(length(min = 1, max = 280)))]
    pub scope: Change<Vec<String>>,
    /// Controls how organizations may be used with this grant
    #[schemars(default, extend("enum" = ["deny", "allow", "require", null]))]
    pub organization_usage: Change<String>,
    /// Controls allowing any organization to be used with this grant
    #[schemars(default)]
    pub allow_any_organization: Change<bool>,
    /// Types of authorization_details allowed for this client grant.
    #[schemars(inner(length(min = 1, max = 255)))]
    pub authorization_details_types: Option<Vec<String>>,
    /// If enabled, all scopes configured on the resource server are allowed for this grant.
    #[schemars(default)]
    pub allow_all_scopes: Change<bool>,
}

/// `GET /client-grants`.
///
/// # Errors
/// 400 `invalid_query_string`.
pub async fn list(
    State(app): State<App>,
    grant: Grant,
    Query(query): Query<ListClientGrants>,
) -> Result<Answer<Value>, Error> {
    let paging = LIST.paging(&query.pages)?;
    let filter = Filter {
        allow_any_organization: query.allow_any_organization,
        audience: query.audience,
        client_id: query.client_id,
        subject_type: query.subject_type,
        default_for: query.default_for,
    };
    let page = client_grants::list(&app, &grant.tenant.id, &filter, &paging).await?;
    let page = page.map(|found| Ok::<_, Error>(object(&found)))?;
    Ok(Answer(LIST.answer(&paging, page)))
}

/// `GET /client-grants/{id}`.
///
/// # Errors
/// 404 `inexistent_client_grant`.
pub async fn get(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<String>,
) -> Result<Answer<Object>, Error> {
    Ok(Answer(object(&load(&app, &grant, &id).await?)))
}

/// `POST /client-grants`: lets a client ask for scopes of an API.
///
/// # Errors
/// 400 `invalid_body`, 404 for an unknown client or API, 409 for a second grant.
pub async fn create(
    State(app): State<App>,
    grant: Grant,
    Json(body): Json<Document<CreateClientGrant>>,
) -> Result<Created<Object>, Error> {
    let tenant = &grant.tenant.id;
    match (body.text("client_id"), body.text("default_for")) {
        (Some(client), None) => {
            clients::load(&app, tenant, client).await?.ok_or(Error::NotFound(Missing::Client))?;
        }
        (None, Some(_)) => {}
        (None, None) => {
            return Err(Error::InvalidBody(
                "Payload validation error: 'Missing required property: client_id'.".into(),
            ));
        }
        (Some(_), Some(_)) => {
            return Err(Error::InvalidBody("client_id and default_for cannot be set together.".into()));
        }
    }
    let audience = body.text("audience").unwrap_or_default();
    let api = resource_servers::find_by_identifier(&app, tenant, audience).await?;
    api.ok_or(Error::NotFound(Missing::ResourceServer))?;

    let made = ClientGrant::new(&app.random, &body.keys).map_err(unfit)?;
    let mut batch = Batch::new();
    client_grants::insert(&mut batch, tenant, &made, app.clock.now());
    let answer = object(&made);
    grant.wrote(&app, &mut batch, StatusCode::CREATED, &answer);
    app.db.commit(batch).await.map_err(|error| match Error::from(error) {
        error if error.taken().is_some() => {
            Error::AlreadyExists("A client grant for this client and audience already exists.")
        }
        Error::Database(db::Error::ForeignKey) => Error::NotFound(Missing::ResourceServer),
        error => error,
    })?;
    Ok(Created(answer))
}

/// `PATCH /client-grants/{id}`.
///
/// # Errors
/// 404 `inexistent_client_grant`.
pub async fn update(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<String>,
    Json(body): Json<Document<UpdateClientGrant>>,
) -> Result<Answer<Object>, Error> {
    let decide = async || {
        let mut changed = load(&app, &grant, &id).await?.patched(&body.keys).map_err(unfit)?;
        let mut batch = Batch::new();
        client_grants::save(&mut batch, &grant.tenant.id, &mut changed);
        let answer = object(&changed);
        grant.wrote(&app, &mut batch, StatusCode::OK, &answer);
        Ok::<_, Error>((batch, answer))
    };
    Ok(Answer(app.db.retry(decide).await?))
}

/// `DELETE /client-grants/{id}`; one that is not there is deleted already.
pub async fn delete(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<String>,
) -> Result<NoContent, Error> {
    let decide = async || {
        let mut batch = Batch::new();
        if let Some(found) = client_grants::load(&app, &grant.tenant.id, &id).await? {
            client_grants::remove(&mut batch, &grant.tenant.id, &found);
        }
        grant.wrote(&app, &mut batch, StatusCode::NO_CONTENT, &Value::Null);
        Ok::<_, Error>((batch, NoContent))
    };
    app.db.retry(decide).await
}

async fn load(app: &Model, grant: &Grant, id: &str) -> Result<ClientGrant, Error> {
    client_grants::load(app, &grant.tenant.id, id).await?.ok_or(Error::NotFound(Missing::ClientGrant))
}
