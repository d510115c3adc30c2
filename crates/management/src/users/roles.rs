//! A user's roles and permissions (management contract §4.3).

use axum::extract::State;
use axum::http::StatusCode;
use db::Batch;
use model::roles;
use model::roles::permissions::{self, Holder};
use model::{App, UserId};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::access::Grant;
use crate::answers::{Answer, Created, NoContent};
use crate::errors::{Error, Missing};
use crate::lists::{Pages, Style};
use crate::paths::Path;
use crate::permissions::Permissions;
use crate::requests::{Json, Query};
use crate::sessions::there_is;

const ROLES: Style = Style::offsets("roles");
const PERMISSIONS: Style = Style::offsets("permissions");

/// The most roles that a user has.
const MOST_ROLES: u64 = 50;

/// The query of a user's roles, and of their permissions.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ListOfUser {
    /// The page.
    #[serde(flatten)]
    pub pages: Pages,
}

/// The body that gives or takes roles.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Roles {
    /// List of roles IDs.
    #[schemars(length(min = 1, max = 50), inner(length(min = 1, max = 255)))]
    pub roles: Vec<String>,
}

impl Roles {
    /// In the order of their rows, each once.
    fn named(&self) -> Vec<&str> {
        let mut named: Vec<_> = self.roles.iter().map(String::as_str).collect();
        named.sort_unstable();
        named.dedup();
        named
    }
}

/// `GET /users/{id}/roles`, by their names.
///
/// # Errors
/// 400 `invalid_query_string`, 404 `inexistent_user`.
pub async fn list(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<UserId>,
    Query(query): Query<ListOfUser>,
) -> Result<Answer<Value>, Error> {
    let paging = ROLES.paging(&query.pages)?;
    there_is(&app, &grant, &id).await?;
    let page = roles::of_user(&app.db, &grant.tenant.id, &id, &paging).await?;
    let page = page.map(|role| Ok::<_, Error>(role.to_wire()))?;
    Ok(Answer(ROLES.answer(&paging, page)))
}

/// `POST /users/{id}/roles`: gives the user roles; those that they have stay.
///
/// # Errors
/// 400 `invalid_body`, 404 for the user and for a role that is not there; then they get none.
pub async fn assign(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<UserId>,
    Json(body): Json<Roles>,
) -> Result<NoContent, Error> {
    there_is(&app, &grant, &id).await?;
    let tenant = &grant.tenant.id;
    let named = body.named();
    for role in &named {
        roles::find(&app.db, tenant, role).await?.ok_or(Error::NotFound(Missing::Role))?;
    }
    let counted = model::paging::Paging::Offset { page: 0, per_page: 1, totals: true };
    let there = roles::of_user(&app.db, tenant, &id, &counted).await?.total.unwrap_or_default();
    if there + named.len() as u64 > MOST_ROLES {
        return Err(Error::InvalidBody(
            format!("No more than {MOST_ROLES} roles can be assigned to a user.").into(),
        ));
    }
    let mut batch = Batch::new();
    for role in named {
        roles::assign(&mut batch, tenant, &id, role, app.clock.now());
    }
    grant.wrote(&app, &mut batch, StatusCode::NO_CONTENT, &Value::Null);
    app.db.commit(batch).await.map_err(|error| match error {
        db::Error::ForeignKey => Error::NotFound(Missing::Role),
        error => error.into(),
    })?;
    Ok(NoContent)
}

/// `DELETE /users/{id}/roles`.
///
/// # Errors
/// 400 `invalid_body`, 404 `inexistent_user`.
pub async fn remove(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<UserId>,
    Json(body): Json<Roles>,
) -> Result<NoContent, Error> {
    there_is(&app, &grant, &id).await?;
    let mut batch = Batch::new();
    for role in body.named() {
        roles::remove_from(&mut batch, &grant.tenant.id, &id, role);
    }
    grant.wrote(&app, &mut batch, StatusCode::NO_CONTENT, &Value::Null);
    app.db.commit(batch).await?;
    Ok(NoContent)
}

/// `GET /users/{id}/permissions`: what the user may do, by names, and where they have it from.
///
/// # Errors
/// 400 `invalid_query_string`, 404 `inexistent_user`.
pub async fn list_permissions(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<UserId>,
    Query(query): Query<ListOfUser>,
) -> Result<Answer<Value>, Error> {
    let paging = PERMISSIONS.paging(&query.pages)?;
    there_is(&app, &grant, &id).await?;
    let page = permissions::of_user(&app, &grant.tenant.id, &id, &paging).await?;
    Ok(Answer(PERMISSIONS.answer(&paging, page)))
}

/// `POST /users/{id}/permissions`: gives the user permissions of their own, beside those of their roles.
///
/// # Errors
/// 400 `invalid_body`, 404 for the user, and for an API that is not there.
pub async fn add_permissions(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<UserId>,
    Json(body): Json<Permissions>,
) -> Result<Created<Value>, Error> {
    there_is(&app, &grant, &id).await?;
    body.give(&app, &grant, Holder::User(&id)).await.map_err(|error| match error {
        // Deleted meanwhile.
        Error::Database(db::Error::ForeignKey) => Error::NotFound(Missing::User),
        error => error,
    })
}

/// `DELETE /users/{id}/permissions`: takes what the user has for themselves; what their roles permit stays.
///
/// # Errors
/// 400 `invalid_body`, 404 `inexistent_user`.
pub async fn remove_permissions(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<UserId>,
    Json(body): Json<Permissions>,
) -> Result<NoContent, Error> {
    there_is(&app, &grant, &id).await?;
    body.take(&app, &grant, Holder::User(&id)).await
}
