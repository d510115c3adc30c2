//! `/api/v2/roles`: roles, what they permit and whose they are (management contract §4.6).

use axum::extract::State;
use axum::http::StatusCode;
use db::Batch;
use model::roles::permissions::{self, Holder};
use model::roles::{self, Role};
use model::{App, UserId, users};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::access::Grant;
use crate::answers::{Answer, Created, NoContent};
use crate::changes::Change;
use crate::errors::{Error, Missing};
use crate::lists::{Pages, Style};
use crate::paths::Path;
use crate::permissions::Permissions;
use crate::requests::{Json, Query};

const LIST: Style = Style::offsets("roles");
const PERMISSIONS: Style = Style::offsets("permissions");
const MEMBERS: Style = Style::checkpoints("users");

/// The query of `GET /roles`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ListRoles {
    /// The page.
    #[serde(flatten)]
    pub pages: Pages,
    /// Optional filter on name (case-insensitive).
    #[schemars(length(max = 255))]
    pub name_filter: Option<String>,
    /// Optional filter on the type of role.
    #[serde(rename = "type")]
    #[schemars(extend("enum" = ["tenant"]))]
    pub kind: Option<String>,
}

/// The query of a role's permissions.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ListPermissions {
    /// The page.
    #[serde(flatten)]
    pub pages: Pages,
}

/// The query of a role's users.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ListMembers {
    /// The page.
    #[serde(flatten)]
    pub pages: Pages,
}

/// The body of `POST /roles`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateRole {
    /// Name of the role.
    #[schemars(length(min = 1, max = 255))]
    pub name: String,
    /// Description of the role.
    #[schemars(length(max = 1000))]
    pub description: Option<String>,
    /// The type of role.
    #[serde(rename = "type")]
    #[schemars(extend("enum" = ["tenant"]))]
    pub kind: Option<String>,
}

/// The body of `PATCH /roles/{id}`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateRole {
    /// Name of this role.
    #[schemars(length(min = 1, max = 255))]
    pub name: Option<String>,
    /// Description of this role.
    #[serde(default)]
    #[schemars(length(max = 1000))]
    pub description: Change<String>,
}

/// The body of `POST /roles/{id}/users`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AssignUsers {
    /// user_id's of the users to assign the role to.
    #[schemars(length(min = 1, max = 500))]
    pub users: Vec<Whom>,
}

/// A user's id in a body.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(extend("format" = "user-id"))]
pub struct Whom(#[schemars(length(min = 1, max = 300))] pub String);

async fn load(app: &App, grant: &Grant, id: &str) -> Result<Role, Error> {
    roles::find(&app.db, &grant.tenant.id, id).await?.ok_or(Error::NotFound(Missing::Role))
}

/// The role, for an operation below its path: there the refusal names it.
async fn load_for(app: &App, grant: &Grant, id: &str) -> Result<Role, Error> {
    let found = roles::find(&app.db, &grant.tenant.id, id).await?;
    found.ok_or_else(|| Error::NoSuchRole(id.chars().take(255).collect()))
}

/// A role as this family tells it. There are no others than the tenant's.
fn told(role: &Role) -> Map<String, Value> {
    let mut told = role.to_wire();
    told.insert("type".to_owned(), "tenant".into());
    told
}

fn taken(error: Error) -> Error {
    match error.taken() {
        Some(_) => Error::AlreadyExists("The role already exists."),
        None => error,
    }
}

/// `GET /roles`, by their names.
///
/// # Errors
/// 400 `invalid_query_string`.
pub async fn list(
    State(app): State<App>,
    grant: Grant,
    Query(query): Query<ListRoles>,
) -> Result<Answer<Value>, Error> {
    let paging = LIST.paging(&query.pages)?;
    let page = roles::list(&app.db, &grant.tenant.id, query.name_filter.as_deref(), &paging).await?;
    let page = page.map(|role| Ok::<_, Error>(told(&role)))?;
    Ok(Answer(LIST.answer(&paging, page)))
}

/// `GET /roles/{id}`.
///
/// # Errors
/// 404.
pub async fn get(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<String>,
) -> Result<Answer<Map<String, Value>>, Error> {
    Ok(Answer(told(&load(&app, &grant, &id).await?)))
}

/// `POST /roles`.
///
/// # Errors
/// 400 `invalid_body`, 409 for a name that is taken.
pub async fn create(
    State(app): State<App>,
    grant: Grant,
    Json(body): Json<CreateRole>,
) -> Result<Answer<Map<String, Value>>, Error> {
    let role = Role::new(&app.random, &body.name, body.description, app.clock.now());
    let mut answer = told(&role);
    if role.description.is_none() {
        // Told so just now, and as an empty text ever after, as recorded.
        answer.insert("description".to_owned(), Value::Null);
    }
    let mut batch = Batch::new();
    roles::insert(&mut batch, &grant.tenant.id, &role);
    grant.wrote(&app, &mut batch, StatusCode::OK, &answer);
    app.db.commit(batch).await.map_err(|error| taken(error.into()))?;
    Ok(Answer(answer))
}

/// `PATCH /roles/{id}`.
///
/// # Errors
/// 400 `invalid_body`, 404, 409 for a name that is taken.
pub async fn update(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<String>,
    Json(body): Json<UpdateRole>,
) -> Result<Answer<Map<String, Value>>, Error> {
    let decide = async || {
        let mut role = load(&app, &grant, &id).await?;
        if let Some(name) = &body.name {
            role.name.clone_from(name);
        }
        body.description.apply(&mut role.description);
        let mut batch = Batch::new();
        roles::save(&mut batch, &grant.tenant.id, &mut role);
        let answer = told(&role);
        grant.wrote(&app, &mut batch, StatusCode::OK, &answer);
        Ok::<_, Error>((batch, answer))
    };
    app.db.retry(decide).await.map(Answer).map_err(taken)
}

/// `DELETE /roles/{id}`: with it goes what it permits to whoever has it.
///
/// # Errors
/// 404.
pub async fn delete(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<String>,
) -> Result<Answer<Value>, Error> {
    let decide = async || {
        load(&app, &grant, &id).await?;
        let mut batch = Batch::new();
        roles::remove(&mut batch, &grant.tenant.id, &id);
        let answer = json!({});
        grant.wrote(&app, &mut batch, StatusCode::OK, &answer);
        Ok::<_, Error>((batch, answer))
    };
    app.db.retry(decide).await.map(Answer)
}

/// `GET /roles/{id}/permissions`, by their names.
///
/// # Errors
/// 400 `invalid_query_string`, 404.
pub async fn list_permissions(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<String>,
    Query(query): Query<ListPermissions>,
) -> Result<Answer<Value>, Error> {
    let paging = PERMISSIONS.paging(&query.pages)?;
    load_for(&app, &grant, &id).await?;
    let page = permissions::of_role(&app, &grant.tenant.id, &id, &paging).await?;
    Ok(Answer(PERMISSIONS.answer(&paging, page)))
}

/// `POST /roles/{id}/permissions`: lets whoever has the role do more.
///
/// # Errors
/// 400 `invalid_body`, 404 for the role, and for an API or a scope of it that is not there.
pub async fn add_permissions(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<String>,
    Json(body): Json<Permissions>,
) -> Result<Created<Value>, Error> {
    load_for(&app, &grant, &id).await?;
    body.give(&app, &grant, Holder::Role(&id)).await.map_err(|error| match error {
        // Deleted meanwhile.
        Error::Database(db::Error::ForeignKey) => Error::NotFound(Missing::Role),
        error => error,
    })
}

/// `DELETE /roles/{id}/permissions`.
///
/// # Errors
/// 400 `invalid_body`, 404 for the role.
pub async fn remove_permissions(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<String>,
    Json(body): Json<Permissions>,
) -> Result<NoContent, Error> {
    load_for(&app, &grant, &id).await?;
    body.take(&app, &grant, Holder::Role(&id)).await
}

/// `GET /roles/{id}/users`: who has the role, the first who got it first.
///
/// # Errors
/// 400 `invalid_query_string`, 404.
pub async fn list_users(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<String>,
    Query(query): Query<ListMembers>,
) -> Result<Answer<Value>, Error> {
    let paging = MEMBERS.paging(&query.pages)?;
    load_for(&app, &grant, &id).await?;
    let page = roles::members(&app, &grant.tenant.id, &id, &paging).await?;
    Ok(Answer(MEMBERS.answer(&paging, page)))
}

/// `POST /roles/{id}/users`: gives the role to users; whoever has it keeps it.
///
/// # Errors
/// 400 `invalid_body`, 404 for the role and for a user who is not there; then nobody gets it.
pub async fn assign_users(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<String>,
    Json(body): Json<AssignUsers>,
) -> Result<Answer<Value>, Error> {
    load_for(&app, &grant, &id).await?;
    let tenant = &grant.tenant.id;
    let mut whom: Vec<_> = body.users.iter().map(|Whom(user)| UserId::from(user.as_str())).collect();
    // In the order of the rows that the statements hold.
    whom.sort();
    for user in &whom {
        users::find(&app.db, tenant, user).await?.ok_or(Error::NotFound(Missing::User))?;
    }
    let mut batch = Batch::new();
    for user in &whom {
        roles::assign(&mut batch, tenant, user, &id, app.clock.now());
    }
    let answer = json!({});
    grant.wrote(&app, &mut batch, StatusCode::OK, &answer);
    app.db.commit(batch).await.map_err(|error| match error {
        db::Error::ForeignKey => Error::NotFound(Missing::User),
        error => error.into(),
    })?;
    Ok(Answer(answer))
}
