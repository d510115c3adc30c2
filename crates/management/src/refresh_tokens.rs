//! `/api/v2/refresh-tokens` and a user's refresh tokens (management contract §4.16).

use axum::extract::State;
use axum::http::StatusCode;
use db::Batch;
use model::refresh_tokens::{self, Shown, Which};
use model::{App, ClientId, UserId};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::access::Grant;
use crate::answers::{Accepted, Answer};
use crate::changes::Change;
use crate::errors::{Error, Missing};
use crate::fields::Fields;
use crate::lists::{Pages, Style};
use crate::paths::Path;
use crate::requests::{Json, Query};
use crate::sessions::{accepted, there_is};

const LIST: Style = Style::checkpoints("refresh_tokens");

/// A user's own list has another name for its items.
const OF_USER: Style = Style::checkpoints("tokens");

/// Tokens that one batch ends.
const AT_A_TIME: u32 = 500;

/// The query of `GET /refresh-tokens`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ListRefreshTokens {
    /// The page.
    #[serde(flatten)]
    pub pages: Pages,
    /// The fields.
    #[serde(flatten)]
    pub fields: Fields,
    /// ID of the user whose refresh tokens to retrieve.
    #[schemars(length(min = 1, max = 300))]
    pub user_id: String,
    /// Filter results by client ID.
    #[schemars(length(min = 1, max = 64))]
    pub client_id: Option<String>,
}

/// The query of `GET /users/{user_id}/refresh-tokens`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ListOfUser {
    /// The page.
    #[serde(flatten)]
    pub pages: Pages,
}

/// The body of `PATCH /refresh-tokens/{id}`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 1))]
pub struct UpdateRefreshToken {
    /// Metadata associated with the refresh token.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 25))]
    pub refresh_token_metadata: Change<Map<String, Value>>,
}

/// The body of `POST /refresh-tokens/revoke`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 1))]
pub struct RevokeRefreshTokens {
    /// Array of refresh token IDs to revoke.
    #[schemars(length(min = 1, max = 100), inner(length(min = 1, max = 30)))]
    pub ids: Option<Vec<String>>,
    /// Revoke all refresh tokens for this user.
    #[schemars(length(min = 1, max = 300), extend("format" = "user-id"))]
    pub user_id: Option<String>,
    /// Revoke all refresh tokens for this client.
    #[schemars(length(min = 1, max = 64))]
    pub client_id: Option<String>,
    /// Resource server identifier (audience) to scope the revocation.
    #[schemars(length(min = 1, max = 600))]
    pub audience: Option<String>,
}

async fn load(app: &App, grant: &Grant, id: &str) -> Result<Shown, Error> {
    let found = refresh_tokens::find_by_id(&app.db, &grant.tenant.id, id, app.clock.now()).await?;
    found.ok_or(Error::NotFound(Missing::RefreshToken))
}

/// `GET /refresh-tokens`: those of a user, always by checkpoints.
///
/// # Errors
/// 400 `invalid_query_string`.
pub async fn list(
    State(app): State<App>,
    grant: Grant,
    Query(query): Query<ListRefreshTokens>,
) -> Result<Answer<Value>, Error> {
    let paging = LIST.always_checkpoints(&query.pages)?;
    let (user, client) = (UserId::from(query.user_id), query.client_id.map(ClientId::from));
    let page = refresh_tokens::of_user(&app, &grant.tenant.id, &user, client.as_ref(), &paging).await?;
    let page = page.map(|shown| Ok::<_, Error>(query.fields.of(shown.to_wire())))?;
    Ok(Answer(LIST.answer(&paging, page)))
}

/// `GET /refresh-tokens/{id}`.
///
/// # Errors
/// 404 for one that is not there, or has ended.
pub async fn get(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<String>,
) -> Result<Answer<Map<String, Value>>, Error> {
    Ok(Answer(load(&app, &grant, &id).await?.to_wire()))
}

/// `PATCH /refresh-tokens/{id}`: other metadata in the place of what it has; `null` takes it away.
///
/// # Errors
/// 400 `invalid_body`, 404.
pub async fn update(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<String>,
    Json(body): Json<UpdateRefreshToken>,
) -> Result<Answer<Map<String, Value>>, Error> {
    let decide = async || {
        let mut shown = load(&app, &grant, &id).await?;
        body.refresh_token_metadata.apply(&mut shown.metadata);
        let mut batch = Batch::new();
        refresh_tokens::describe(&mut batch, &grant.tenant.id, &id, shown.metadata.as_ref());
        let answer = shown.to_wire();
        grant.wrote(&app, &mut batch, StatusCode::OK, &answer);
        Ok::<_, Error>((batch, answer))
    };
    Ok(Answer(app.db.retry(decide).await?))
}

/// `DELETE /refresh-tokens/{id}`: ends a token, and those that its exchanges made. One that is not there has ended already.
pub async fn delete(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<String>,
) -> Result<Accepted<Value>, Error> {
    let mut batch = Batch::new();
    refresh_tokens::remove(&mut batch, &grant.tenant.id, &id);
    accepted(&app, &grant, batch).await
}

/// `POST /refresh-tokens/revoke`: ends the tokens with these ids, or all of a user's, a client's or both, of one API where that is named.
///
/// # Errors
/// 400 `invalid_body` for a body that means none, or that means them twice.
pub async fn revoke(
    State(app): State<App>,
    grant: Grant,
    Json(body): Json<RevokeRefreshTokens>,
) -> Result<Accepted<Value>, Error> {
    let tenant = &grant.tenant.id;
    let which = Which {
        user_id: body.user_id.map(UserId::from),
        client_id: body.client_id.map(ClientId::from),
        audience: body.audience,
    };
    let names_whose = which.user_id.is_some() || which.client_id.is_some();
    let mut batch = Batch::new();
    match body.ids {
        Some(_) if names_whose || which.audience.is_some() => {
            return Err(Error::InvalidBody(
                "ids cannot be combined with user_id, client_id or audience.".into(),
            ));
        }
        Some(ids) => ids.iter().for_each(|id| refresh_tokens::remove(&mut batch, tenant, id)),
        None if !names_whose => {
            return Err(Error::InvalidBody("One of ids, user_id or client_id is required.".into()));
        }
        // A client may hold any number: most of them end before the call is noted, which happens with the last.
        None => loop {
            let mut some = Batch::new();
            refresh_tokens::remove_some(&mut some, tenant, &which, AT_A_TIME);
            let gone = app.db.commit(some).await?.affected.first().copied().unwrap_or_default();
            if gone < u64::from(AT_A_TIME) {
                break;
            }
        },
    }
    accepted(&app, &grant, batch).await
}

/// `GET /users/{user_id}/refresh-tokens`: those that have not ended, always by checkpoints.
///
/// # Errors
/// 400 `invalid_query_string`, 404 `inexistent_user`.
pub async fn of_user(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<UserId>,
    Query(query): Query<ListOfUser>,
) -> Result<Answer<Value>, Error> {
    let paging = OF_USER.always_checkpoints(&query.pages)?;
    there_is(&app, &grant, &id).await?;
    let tenant = &grant.tenant.id;
    let page = refresh_tokens::of_user(&app, tenant, &id, None, &paging).await?;
    let page = page.map(|shown| Ok::<_, Error>(shown.to_wire()))?;
    let mut answer = OF_USER.answer(&paging, page);
    if query.pages.include_totals == Some(true) {
        answer["total"] = json!(refresh_tokens::count(&app.db, tenant, &id, app.clock.now()).await?);
    }
    Ok(Answer(answer))
}

/// `DELETE /users/{user_id}/refresh-tokens`: ends all of them.
///
/// # Errors
/// 404 `inexistent_user`.
pub async fn delete_of_user(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<UserId>,
) -> Result<Accepted<Value>, Error> {
    there_is(&app, &grant, &id).await?;
    let mut batch = Batch::new();
    refresh_tokens::remove_for_user(&mut batch, &grant.tenant.id, &id);
    accepted(&app, &grant, batch).await
}
