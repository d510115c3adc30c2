//! `/api/v2/logs` and `/api/v2/users/{id}/logs` (management contract §3.4).

use axum::extract::State;
use model::logs::{self, Entry, LOGS, Sort};
use model::paging::{self, Page, Paging};
use model::users::search::Filter;
use model::{App, Model, UserId};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::access::Grant;
use crate::answers::Answer;
use crate::errors::{Error, Missing};
use crate::fields::Fields;
use crate::lists::{Pages, Style};
use crate::paths::Path;
use crate::requests::Query;

const SEARCH: Style = Style { length: true, first_thousand: true, ..Style::offsets("logs").from_zero() };
const CHECKPOINTS: Style = Style::checkpoints("logs").from_zero();

/// The query of `GET /logs`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ListLogs {
    /// The page.
    #[serde(flatten)]
    pub pages: Pages,
    /// The fields.
    #[serde(flatten)]
    pub fields: Fields,
    /// Field to use for sorting appended with `:1` for ascending and `:-1` for descending. e.g. `date:-1`
    pub sort: Option<String>,
    /// Query in Lucene query string syntax.
    pub q: Option<String>,
    /// Retrieves logs that match the specified search criteria. This parameter can be combined with all the others in the /api/logs endpoint but is specified separately for clarity.
    pub search: Option<String>,
}

/// The query of `GET /users/{id}/logs`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ListUserLogs {
    /// The page.
    #[serde(flatten)]
    pub pages: Pages,
    /// Field to sort by. Use `fieldname:1` for ascending order and `fieldname:-1` for descending.
    pub sort: Option<String>,
}

/// `GET /logs`: a search, the newest first; with `from` or `take` what follows that entry, the oldest first.
///
/// # Errors
/// 400 `invalid_query_string`, `invalid_paging`.
pub async fn list(
    State(app): State<App>,
    grant: Grant,
    Query(query): Query<ListLogs>,
) -> Result<Answer<Value>, Error> {
    // Every SDK sends `take` beside a search: a search it is when it says what to look for, or which page.
    let searched = query.q.as_deref().or(query.search.as_deref()).filter(|q| !q.trim().is_empty());
    let is_search =
        searched.is_some() || query.pages.page.is_some() || query.pages.include_totals == Some(true);
    if query.pages.from.is_some() || (query.pages.take.is_some() && !is_search) {
        let Paging::Checkpoint { after, take } = CHECKPOINTS.paging(&query.pages)? else {
            return Err(Error::Internal);
        };
        if after.as_deref().is_some_and(|id| !logs::is_id(id)) {
            return Err(paging::Error::Checkpoint.into());
        }
        let entries = logs::list_after(&app.db, &grant.tenant.id, after.as_deref(), i64::from(take)).await?;
        return Ok(Answer(query.fields.of_each(wire(entries)).into_iter().map(Value::Object).collect()));
    }
    let filter = searched.map(|q| Filter::parse(q, &LOGS)).transpose();
    let filter = filter
        .map_err(|error| Error::InvalidQuery(format!("Query validation error: '{error}' on property q.")))?;
    let wanted = logs::Query { filter, sort: sort(query.sort.as_deref())?, ..logs::Query::default() };
    search(&app, &grant, &query.pages, &query.fields, wanted).await
}

/// `GET /users/{id}/logs`: what concerns one user.
///
/// # Errors
/// 400 `invalid_query_string`, `invalid_paging`.
pub async fn list_of_user(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<UserId>,
    Query(query): Query<ListUserLogs>,
) -> Result<Answer<Value>, Error> {
    let wanted =
        logs::Query { user_id: Some(id), sort: sort(query.sort.as_deref())?, ..logs::Query::default() };
    search(&app, &grant, &query.pages, &Fields::default(), wanted).await
}

/// `GET /logs/{id}`.
///
/// # Errors
/// 404.
pub async fn get(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<String>,
) -> Result<Answer<Map<String, Value>>, Error> {
    let entry = logs::find(&app.db, &grant.tenant.id, &id).await?.ok_or(Error::NotFound(Missing::Log))?;
    Ok(Answer(entry.to_wire()))
}

async fn search(
    app: &Model,
    grant: &Grant,
    pages: &Pages,
    fields: &Fields,
    wanted: logs::Query,
) -> Result<Answer<Value>, Error> {
    let paging = SEARCH.paging(pages)?;
    let Paging::Offset { page, per_page, totals } = paging else { return Err(Error::Internal) };
    let (offset, limit) = (i64::from(page) * i64::from(per_page), i64::from(per_page));
    let wanted = logs::Query { offset, limit, total: totals, ..wanted };
    let found = logs::list(&app.db, &grant.tenant.id, &wanted).await?;
    let total = found.total.and_then(|total| u64::try_from(total).ok());
    let items = fields.of_each(wire(found.entries));
    Ok(Answer(SEARCH.answer(&paging, Page { items, total, next: None })))
}

fn wire(entries: Vec<Entry>) -> Vec<Map<String, Value>> {
    entries.into_iter().map(Entry::to_wire).collect()
}

fn sort(text: Option<&str>) -> Result<Option<Sort>, Error> {
    let Some(text) = text else { return Ok(None) };
    Sort::parse(text).map(Some).ok_or_else(|| {
        let shown: String = text.chars().take(255).collect();
        Error::InvalidQuery(format!("Query validation error: 'Cannot sort by {shown}' on property sort."))
    })
}
