//! `/api/v2/grants`: what users consented to (management contract §4.16).

use axum::extract::State;
use axum::http::StatusCode;
use db::Batch;
use model::grants::{self, Filter};
use model::paging::{Page, Paging};
use model::{App, ClientId, UserId, access_tokens, authorization_codes, refresh_tokens};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::access::Grant;
use crate::answers::{Answer, NoContent};
use crate::errors::Error;
use crate::lists::{Pages, Style};
use crate::paths::Path;
use crate::requests::Query;

const LIST: Style = Style::offsets("grants");

/// The query of `GET /grants`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ListGrants {
    /// The page.
    #[serde(flatten)]
    pub pages: Pages,
    /// user_id of the grants to retrieve.
    pub user_id: Option<String>,
    /// client_id of the grants to retrieve.
    pub client_id: Option<String>,
    /// audience of the grants to retrieve.
    pub audience: Option<String>,
}

/// The query of `DELETE /grants`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct DeleteGrants {
    /// user_id of the grant to delete.
    #[schemars(length(min = 1))]
    pub user_id: String,
}

/// `GET /grants`.
///
/// # Errors
/// 400 `invalid_query_string`.
pub async fn list(
    State(app): State<App>,
    grant: Grant,
    Query(query): Query<ListGrants>,
) -> Result<Answer<Value>, Error> {
    let paging = LIST.paging(&query.pages)?;
    let Paging::Offset { page, per_page, .. } = paging else { return Err(Error::Internal) };
    let filter = Filter {
        user_id: query.user_id.map(UserId::from),
        client_id: query.client_id.map(ClientId::from),
        audience: query.audience,
    };
    let offset = i64::from(page) * i64::from(per_page);
    let (found, total) =
        grants::list(&app.db, &grant.tenant.id, &filter, offset, i64::from(per_page)).await?;
    let items = found.iter().map(grants::Grant::to_wire).collect();
    Ok(Answer(LIST.answer(&paging, Page { items, total: u64::try_from(total).ok(), next: None })))
}

/// `DELETE /grants/{id}`: withdraws a consent, and ends the codes and tokens that came of it; one that is not there is
/// withdrawn already.
pub async fn delete(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<String>,
) -> Result<NoContent, Error> {
    let tenant = &grant.tenant.id;
    let mut batch = Batch::new();
    if let Some(found) = grants::find_by_id(&app.db, tenant, &id).await? {
        let grants::Grant { id, user_id, client_id, audience, .. } = &found;
        grants::remove(&mut batch, tenant, id);
        authorization_codes::remove_for_grant(&mut batch, tenant, user_id, client_id, audience);
        refresh_tokens::remove_for_grant(&mut batch, tenant, user_id, client_id, audience);
        if audience.is_empty() {
            // Opaque tokens are for no API.
            access_tokens::remove_for_client(&mut batch, tenant, user_id, client_id);
        }
    }
    grant.wrote(&app, &mut batch, StatusCode::NO_CONTENT, &Value::Null);
    app.db.commit(batch).await?;
    Ok(NoContent)
}

/// `DELETE /grants?user_id=`: withdraws all that a user consented to, and ends the codes and tokens that came of it.
///
/// # Errors
/// 400 `invalid_query_string`.
pub async fn delete_of_user(
    State(app): State<App>,
    grant: Grant,
    Query(query): Query<DeleteGrants>,
) -> Result<NoContent, Error> {
    let (tenant, user) = (&grant.tenant.id, UserId::from(query.user_id));
    let mut batch = Batch::new();
    grants::remove_of_user(&mut batch, tenant, &user);
    authorization_codes::remove_for_user(&mut batch, tenant, &user);
    refresh_tokens::remove_for_user(&mut batch, tenant, &user);
    access_tokens::remove_for_user(&mut batch, tenant, &user);
    grant.wrote(&app, &mut batch, StatusCode::NO_CONTENT, &Value::Null);
    app.db.commit(batch).await?;
    Ok(NoContent)
}
