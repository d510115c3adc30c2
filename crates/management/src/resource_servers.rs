//! `/api/v2/resource-servers` (management contract §4.4). In a path an API goes by its id or by its identifier.

use std::borrow::Cow;

use axum::extract::State;
use axum::http::StatusCode;
use db::Batch;
use model::document::object;
use model::resource_servers::{self, Filter, ResourceServer};
use model::roles::permissions;
use model::{App, Model};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::access::Grant;
use crate::answers::{Answer, Created, NoContent};
use crate::changes::Change;
use crate::documents::{Document, patch_schema, unfit};
use crate::errors::{Error, Missing};
use crate::fields::Fields;
use crate::lists::{Pages, Style};
use crate::paths::Path;
use crate::requests::{Json, Query};
use crate::signing_keys::provide_keys;

type Object = Map<String, Value>;

const LIST: Style = Style::offsets("resource_servers");

/// What may be set of the My Account API: its tokens' lifetimes, and what Auth0's deploy CLI gives back of it beside them.
const OF_MY_ACCOUNT: [&str; 4] = [
    "token_lifetime",
    "token_lifetime_for_web",
    "proof_of_possession",
    "skip_consent_for_verifiable_first_party_clients",
];

/// The query of `GET /resource-servers`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ListResourceServers {
    /// The page.
    #[serde(flatten)]
    pub pages: Pages,
    /// The fields.
    #[serde(flatten)]
    pub fields: Fields,
    /// An optional filter on the resource server identifier. Must be URL encoded and may be specified multiple times (max 10).
    #[schemars(length(max = 10), inner(length(min = 1)))]
    pub identifiers: Option<Vec<String>>,
}

/// The body of `POST /resource-servers`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct CreateResourceServer {
    /// Friendly name for this resource server. Can not contain `<` or `>` characters.
    #[schemars(length(max = 200), regex(pattern = "^[^<>]+$"))]
    pub name: Option<String>,
    /// Unique identifier for the API used as the audience parameter on authorization calls. Can not be changed once set.
    #[schemars(length(min = 1, max = 600))]
    pub identifier: String,
    /// List of permissions (scopes) that this API uses.
    #[schemars(length(max = 1000))]
    pub scopes: Option<Vec<Scope>>,
    /// Algorithm used to sign JWTs. Can be `HS256` or `RS256`. `PS256` available via addon.
    #[schemars(extend("enum" = ["HS256", "RS256", "RS512", "PS256", "ES256", "EdDSA"]))]
    pub signing_alg: Option<String>,
    /// Secret used to sign tokens when using symmetric algorithms (HS256).
    #[schemars(length(min = 16, max = 1024))]
    pub signing_secret: Option<String>,
    /// Whether refresh tokens can be issued for this API (true) or not (false).
    pub allow_offline_access: Option<bool>,
    /// Whether online refresh tokens can be issued for this API (true) or not (false).
    pub allow_online_access: Option<bool>,
    /// Whether online refresh tokens can be issued with sessions that end with the browser.
    pub allow_online_access_with_ephemeral_sessions: Option<bool>,
    /// Expiration value (in seconds) for access tokens issued for this API from the token endpoint.
    #[schemars(range(min = 0, max = 2_592_000))]
    pub token_lifetime: Option<i64>,
    /// Expiration value (in seconds) for access tokens issued for this API via Implicit or Hybrid Flows. Cannot be greater than the `token_lifetime` value.
    #[schemars(range(min = 0, max = 2_592_000))]
    pub token_lifetime_for_web: Option<i64>,
    /// Dialect of issued access tokens.
    #[schemars(extend("enum" = ["access_token", "access_token_authz", "rfc9068_profile", "rfc9068_profile_authz"]))]
    pub token_dialect: Option<String>,
    /// Whether to skip user consent for applications flagged as first party (true) or not (false).
    pub skip_consent_for_verifiable_first_party_clients: Option<bool>,
    /// Whether to enforce authorization policies (true) or to ignore them (false).
    pub enforce_policies: Option<bool>,
    /// How access tokens are encrypted.
    #[schemars(default)]
    pub token_encryption: Change<Object>,
    /// How consent is asked for.
    #[schemars(default, extend("enum" = ["transactional-authorization-with-mfa", null]))]
    pub consent_policy: Change<String>,
    /// Types of authorization details.
    #[schemars(default)]
    pub authorization_details: Change<Vec<Value>>,
    /// Proof-of-Possession configuration for access tokens
    #[schemars(default)]
    pub proof_of_possession: Change<Object>,
    /// Defines application access permission for a resource server
    pub subject_type_authorization: Option<SubjectTypes>,
    /// The policy that decides about access.
    #[schemars(default)]
    pub authorization_policy: Change<Object>,
}

/// A permission.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// Value of this scope.
    #[schemars(length(min = 1, max = 280))]
    pub value: String,
    /// User-friendly description of this scope.
    #[schemars(length(max = 500))]
    pub description: Option<String>,
}

/// Who needs a client grant.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SubjectTypes {
    /// Tokens for a user.
    pub user: Option<UserPolicy>,
    /// Tokens that a client gets for itself.
    pub client: Option<ClientPolicy>,
}

/// The policy for users.
#[derive(Deserialize, JsonSchema)]
pub struct UserPolicy {
    /// Which.
    #[schemars(extend("enum" = ["allow_all", "deny_all", "require_client_grant"]))]
    pub policy: String,
}

/// The policy for clients.
#[derive(Deserialize, JsonSchema)]
pub struct ClientPolicy {
    /// Which.
    #[schemars(extend("enum" = ["deny_all", "require_client_grant"]))]
    pub policy: String,
}

/// The body of `PATCH /resource-servers/{id}`: that of POST without the identifier, which never changes.
pub struct UpdateResourceServer;

impl JsonSchema for UpdateResourceServer {
    fn schema_name() -> Cow<'static, str> {
        "UpdateResourceServer".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = patch_schema(CreateResourceServer::json_schema(generator), &[]);
        schema.remove("minProperties");
        if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
            properties.shift_remove("identifier");
        }
        schema
    }
}

/// `GET /resource-servers`.
///
/// # Errors
/// 400 `invalid_query_string`.
pub async fn list(
    State(app): State<App>,
    grant: Grant,
    Query(query): Query<ListResourceServers>,
) -> Result<Answer<Value>, Error> {
    let paging = LIST.paging(&query.pages)?;
    let filter = Filter { identifiers: query.identifiers.unwrap_or_default() };
    let page = resource_servers::list(&app, &grant.tenant.id, &filter, &paging).await?;
    let page = page.map(|api| Ok::<_, Error>(query.fields.of(object(&api))))?;
    Ok(Answer(LIST.answer(&paging, page)))
}

/// `GET /resource-servers/{id}`.
///
/// # Errors
/// 404 `inexistent_resource_server`.
pub async fn get(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<String>,
    Query(fields): Query<Fields>,
) -> Result<Answer<Object>, Error> {
    Ok(Answer(fields.of(object(&load(&app, &grant, &id).await?))))
}

/// `POST /resource-servers`.
///
/// # Errors
/// 400 `invalid_body`, 409 for a taken identifier.
pub async fn create(
    State(app): State<App>,
    grant: Grant,
    Json(body): Json<Document<CreateResourceServer>>,
) -> Result<Created<Object>, Error> {
    let api = ResourceServer::new(&app.random, &body.keys).map_err(unfit)?;
    if api.identifier == grant.tenant.userinfo_audience() {
        return Err(Error::NotSupported("The selected identifier is reserved.".into()));
    }
    check(&api)?;
    provide_keys(&app, &grant, body.text("signing_alg")).await?;
    let mut batch = Batch::new();
    resource_servers::insert(&app, &mut batch, &grant.tenant.id, &api, app.clock.now());
    let answer = object(&api);
    grant.wrote(&app, &mut batch, StatusCode::CREATED, &answer);
    app.db.commit(batch).await.map_err(|error| match Error::from(error) {
        error if error.taken().is_some() => {
            Error::AlreadyExists("A resource server with the same identifier already exists.")
        }
        error => error,
    })?;
    Ok(Created(answer))
}

/// `PATCH /resource-servers/{id}`: replaces the named keys.
///
/// # Errors
/// 404 `inexistent_resource_server`; 400 `operation_not_supported` for the Management API, `invalid_body` for what is not to be set of the
/// My Account API.
pub async fn update(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<String>,
    Json(body): Json<Document<UpdateResourceServer>>,
) -> Result<Answer<Object>, Error> {
    may_set(&grant, &load(&app, &grant, &id).await?, &body.keys)?;
    provide_keys(&app, &grant, body.text("signing_alg")).await?;
    let decide = async || {
        let before = load(&app, &grant, &id).await?;
        let mut api = before.patched(&app.random, &body.keys).map_err(unfit)?;
        check(&api)?;
        let mut batch = Batch::new();
        resource_servers::save(&app, &mut batch, &grant.tenant.id, &mut api);
        let gone = before.scopes.iter().flatten().filter(|scope| !api.has_scope(&scope.value));
        let gone: Vec<_> = gone.map(|scope| scope.value.clone()).collect();
        permissions::forget(&mut batch, &grant.tenant.id, &api.identifier, &gone);
        let answer = object(&api);
        grant.wrote(&app, &mut batch, StatusCode::OK, &answer);
        Ok::<_, Error>((batch, answer))
    };
    Ok(Answer(app.db.retry(decide).await?))
}

/// `DELETE /resource-servers/{id}`: deletes an API and the grants for it; one that is not there is deleted already.
///
/// # Errors
/// 400 for the tenant's own API.
pub async fn delete(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<String>,
) -> Result<NoContent, Error> {
    let decide = async || {
        let mut batch = Batch::new();
        if let Some(api) = resource_servers::load(&app, &grant.tenant.id, &id).await? {
            if api.is_fixed() {
                return Err(Error::NotSupported("System resource servers cannot be deleted.".into()));
            }
            resource_servers::remove(&mut batch, &grant.tenant.id, &api);
        }
        grant.wrote(&app, &mut batch, StatusCode::NO_CONTENT, &Value::Null);
        Ok((batch, NoContent))
    };
    app.db.retry(decide).await
}

async fn load(app: &Model, grant: &Grant, id: &str) -> Result<ResourceServer, Error> {
    resource_servers::load(app, &grant.tenant.id, id).await?.ok_or(Error::NotFound(Missing::ResourceServer))
}

/// Of the tenant's own APIs only the My Account API has settings, and few.
fn may_set(grant: &Grant, api: &ResourceServer, patch: &Object) -> Result<(), Error> {
    if !api.is_fixed() {
        return Ok(());
    }
    if api.identifier != grant.tenant.my_account_audience() {
        return Err(Error::NotSupported("System resource servers cannot be patched.".into()));
    }
    let others: Vec<_> =
        patch.keys().map(String::as_str).filter(|key| !OF_MY_ACCOUNT.contains(key)).collect();
    if others.is_empty() {
        return Ok(());
    }
    let said =
        format!("Payload validation error: 'Additional properties not allowed: {}'.", others.join(","));
    Err(Error::InvalidBody(said.into()))
}

/// What no schema can say of an API: each scope is there once.
fn check(api: &ResourceServer) -> Result<(), Error> {
    let mut seen = std::collections::HashSet::new();
    match api.scopes.iter().flatten().find(|scope| !seen.insert(&scope.value)) {
        None => Ok(()),
        Some(twice) => Err(Error::InvalidBody(format!("Duplicate scope values: {}", twice.value).into())),
    }
}
