//! `/api/v2/user-blocks`: accounts that are blocked after too many wrong passwords (management contract §4.16).

use axum::extract::State;
use axum::http::StatusCode;
use db::Batch;
use model::attack_protection::{self as protection, Block, BruteForce};
use model::logs::{self, Event, Kind};
use model::{App, UserId, users};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::access::Grant;
use crate::answers::{Answer, NoContent};
use crate::errors::{Error, Missing};
use crate::paths::Path;
use crate::requests::Query;

/// The query of `GET /user-blocks`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct FindBlocks {
    /// Should be any of a username, phone number, or email.
    #[schemars(length(min = 1, max = 1024))]
    pub identifier: String,
    /// If true and Brute Force Protection is enabled and configured to block logins, will return a list of blocked IP addresses. If true and Brute Force Protection is disabled, will return an empty list.
    pub consider_brute_force_enablement: Option<bool>,
}

/// The query of `GET /user-blocks/{id}`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ShowBlocks {
    /// If true and Brute Force Protection is enabled and configured to block logins, will return a list of blocked IP addresses. If true and Brute Force Protection is disabled, will return an empty list.
    pub consider_brute_force_enablement: Option<bool>,
}

/// The query of `DELETE /user-blocks`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct LiftBlocks {
    /// Should be any of a username, phone number, or email.
    #[schemars(length(min = 1, max = 1024))]
    pub identifier: String,
}

/// The blocks of an account.
#[derive(Debug, Serialize)]
pub struct Blocks {
    blocked_for: Vec<Block>,
}

/// `GET /user-blocks?identifier=`: the blocks of whoever has this name. Of nobody there are as well.
///
/// # Errors
/// 400 `invalid_query_string`.
pub async fn find(
    State(app): State<App>,
    grant: Grant,
    Query(query): Query<FindBlocks>,
) -> Result<Answer<Blocks>, Error> {
    let blocks = protection::of_identifier(&app, &grant.tenant.id, &query.identifier).await?;
    considered(&app, &grant, query.consider_brute_force_enablement, blocks).await
}

/// `GET /user-blocks/{id}`: the blocks of a user.
///
/// # Errors
/// 400 `invalid_query_string`, 404 `inexistent_user`.
pub async fn get(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<UserId>,
    Query(query): Query<ShowBlocks>,
) -> Result<Answer<Blocks>, Error> {
    let tenant = &grant.tenant.id;
    users::find(&app.db, tenant, &id).await?.ok_or(Error::NotFound(Missing::User))?;
    let blocks = protection::of_user(&app, tenant, &id).await?;
    considered(&app, &grant, query.consider_brute_force_enablement, blocks).await
}

/// `DELETE /user-blocks?identifier=`: lifts the blocks of whoever has this name.
///
/// # Errors
/// 400 `invalid_query_string`.
pub async fn lift_by_identifier(
    State(app): State<App>,
    grant: Grant,
    Query(query): Query<LiftBlocks>,
) -> Result<NoContent, Error> {
    let mut batch = Batch::new();
    protection::lift_identifier(&app, &mut batch, &grant.tenant.id, &query.identifier).await?;
    let event = Event::new(&app, &grant.tenant, Kind::BlockReleased).user_name(&query.identifier);
    logs::record(&mut batch, event);
    grant.wrote(&app, &mut batch, StatusCode::NO_CONTENT, &Value::Null);
    app.db.commit(batch).await?;
    Ok(NoContent)
}

/// `DELETE /user-blocks/{id}`: lifts the blocks of a user.
///
/// # Errors
/// 404 `inexistent_user`.
pub async fn lift(State(app): State<App>, grant: Grant, Path(id): Path<UserId>) -> Result<NoContent, Error> {
    let tenant = &grant.tenant.id;
    let user = users::find(&app.db, tenant, &id).await?.ok_or(Error::NotFound(Missing::User))?;
    let mut batch = Batch::new();
    protection::lift(&mut batch, tenant, &id);
    logs::record(&mut batch, Event::new(&app, &grant.tenant, Kind::BlockReleased).user(&user));
    grant.wrote(&app, &mut batch, StatusCode::NO_CONTENT, &Value::Null);
    app.db.commit(batch).await?;
    Ok(NoContent)
}

/// The blocks, unless the caller asks only for those of a protection that is on.
async fn considered(
    app: &App,
    grant: &Grant,
    consider: Option<bool>,
    blocks: Vec<Block>,
) -> Result<Answer<Blocks>, Error> {
    let hidden =
        consider == Some(true) && !protection::find::<BruteForce>(app, &grant.tenant.id).await?.enabled;
    Ok(Answer(Blocks { blocked_for: if hidden { Vec::new() } else { blocks } }))
}
