//! `/api/v2/sessions` and a user's sessions (management contract §4.16).

use axum::extract::State;
use axum::http::StatusCode;
use db::Batch;
use model::logout_notices::{End, Initiator};
use model::sessions::{self, Shown};
use model::{App, UserId, authorization_codes, refresh_tokens, users};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::access::Grant;
use crate::answers::{Accepted, Answer};
use crate::changes::Change;
use crate::errors::{Error, Missing};
use crate::lists::{Pages, Style};
use crate::paths::Path;
use crate::requests::{Json, Query};

const LIST: Style = Style::checkpoints("sessions");

/// The query of `GET /users/{user_id}/sessions`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ListSessions {
    /// The page.
    #[serde(flatten)]
    pub pages: Pages,
}

/// The body of `PATCH /sessions/{id}`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 1))]
pub struct UpdateSession {
    /// Metadata associated with the session.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 25))]
    pub session_metadata: Change<Map<String, Value>>,
}

async fn load(app: &App, grant: &Grant, sid: &str) -> Result<Shown, Error> {
    let found = sessions::find(&app.db, &grant.tenant.id, sid, app.clock.now()).await?;
    found.ok_or(Error::NotFound(Missing::Session))
}

/// `GET /sessions/{id}`.
///
/// # Errors
/// 404 for one that is not there, or has ended.
pub async fn get(
    State(app): State<App>,
    grant: Grant,
    Path(sid): Path<String>,
) -> Result<Answer<Map<String, Value>>, Error> {
    Ok(Answer(load(&app, &grant, &sid).await?.to_wire()))
}

/// `PATCH /sessions/{id}`: other metadata in the place of what it has; `null` takes it away.
///
/// # Errors
/// 400 `invalid_body`, 404.
pub async fn update(
    State(app): State<App>,
    grant: Grant,
    Path(sid): Path<String>,
    Json(body): Json<UpdateSession>,
) -> Result<Answer<Map<String, Value>>, Error> {
    let decide = async || {
        let mut shown = load(&app, &grant, &sid).await?;
        body.session_metadata.apply(&mut shown.metadata);
        let mut batch = Batch::new();
        sessions::describe(&mut batch, &grant.tenant.id, &sid, shown.metadata.as_ref());
        let answer = shown.to_wire();
        grant.wrote(&app, &mut batch, StatusCode::OK, &answer);
        Ok::<_, Error>((batch, answer))
    };
    Ok(Answer(app.db.retry(decide).await?))
}

/// `DELETE /sessions/{id}`: ends a session; what it bought stays. One that is not there has ended already.
pub async fn delete(
    State(app): State<App>,
    grant: Grant,
    Path(sid): Path<String>,
) -> Result<Accepted<Value>, Error> {
    let mut batch = Batch::new();
    sessions::remove(&mut batch, &grant.tenant.id, &sid, revoked(&app));
    accepted(&app, &grant, batch).await
}

/// `POST /sessions/{id}/revoke`: ends a session, and the codes and refresh tokens that it bought.
///
/// # Errors
/// 404 for one that is not there, or has ended.
pub async fn revoke(
    State(app): State<App>,
    grant: Grant,
    Path(sid): Path<String>,
) -> Result<Accepted<Value>, Error> {
    let shown = load(&app, &grant, &sid).await?;
    let mut batch = Batch::new();
    end(&app, &mut batch, &grant, &shown);
    accepted(&app, &grant, batch).await
}

/// Ends a session with what it bought.
fn end(app: &App, batch: &mut Batch, grant: &Grant, shown: &Shown) {
    let (tenant, session) = (&grant.tenant.id, &shown.session);
    sessions::remove(batch, tenant, &session.sid, revoked(app));
    authorization_codes::remove_for_session(batch, tenant, &session.user_id, &session.sid);
    refresh_tokens::remove_for_session(batch, tenant, &session.user_id, &session.sid);
}

/// Somebody ends it.
fn revoked(app: &App) -> End {
    End::new(Initiator::SessionRevoked, app.clock.now())
}

/// 202 and nothing to say.
pub(crate) async fn accepted(app: &App, grant: &Grant, mut batch: Batch) -> Result<Accepted<Value>, Error> {
    let answer = json!({});
    grant.wrote(app, &mut batch, StatusCode::ACCEPTED, &answer);
    app.db.commit(batch).await?;
    Ok(Accepted(answer))
}

/// Refuses a user who is not there.
pub(crate) async fn there_is(app: &App, grant: &Grant, id: &UserId) -> Result<(), Error> {
    let found = users::find(&app.db, &grant.tenant.id, id).await?;
    found.map(drop).ok_or(Error::NotFound(Missing::User))
}

/// `GET /users/{user_id}/sessions`: those that have not ended, always by checkpoints.
///
/// # Errors
/// 400 `invalid_query_string`, 404 `inexistent_user`.
pub async fn of_user(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<UserId>,
    Query(query): Query<ListSessions>,
) -> Result<Answer<Value>, Error> {
    let paging = LIST.always_checkpoints(&query.pages)?;
    there_is(&app, &grant, &id).await?;
    let tenant = &grant.tenant.id;
    let page = sessions::of_user(&app, tenant, &id, &paging).await?;
    let page = page.map(|shown| Ok::<_, Error>(shown.to_wire()))?;
    let mut answer = LIST.answer(&paging, page);
    if query.pages.include_totals == Some(true) {
        answer["total"] = sessions::count(&app.db, tenant, &id, app.clock.now()).await?.into();
    }
    Ok(Answer(answer))
}

/// `DELETE /users/{user_id}/sessions`: ends all of them; what they bought stays.
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
    sessions::remove_for_user(&mut batch, &grant.tenant.id, &id, revoked(&app));
    accepted(&app, &grant, batch).await
}

/// The body of `POST /users/{id}/revoke-access`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RevokeAccess {
    /// ID of the session to revoke.
    #[schemars(length(min = 1, max = 50))]
    pub session_id: Option<String>,
    /// Whether to preserve the refresh tokens associated with the session(s).
    #[serde(default)]
    pub preserve_refresh_tokens: bool,
}

/// `POST /users/{id}/revoke-access`: ends the sessions of a user, or the one that is named, and what they bought unless it is to stay.
///
/// # Errors
/// 400 `invalid_body`.
pub async fn revoke_access(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<UserId>,
    Json(body): Json<RevokeAccess>,
) -> Result<Accepted<Value>, Error> {
    let (tenant, now) = (&grant.tenant.id, app.clock.now());
    let mut batch = Batch::new();
    match &body.session_id {
        None if body.preserve_refresh_tokens => {
            sessions::remove_for_user(&mut batch, tenant, &id, revoked(&app))
        }
        None => users::sign_out(&mut batch, tenant, &id, revoked(&app)),
        Some(sid) => {
            // Another user's is as if it were not there.
            let found = sessions::find(&app.db, tenant, sid, now).await?;
            if let Some(shown) = found.filter(|shown| shown.session.user_id == id) {
                match body.preserve_refresh_tokens {
                    true => sessions::remove(&mut batch, tenant, sid, revoked(&app)),
                    false => end(&app, &mut batch, &grant, &shown),
                }
            }
        }
    }
    accepted(&app, &grant, batch).await
}
