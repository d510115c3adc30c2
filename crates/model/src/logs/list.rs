//! Lists of log entries: pages of a search, or what came after an entry.

use std::borrow::Cow;

use db::{Db, Error, Value as Bound, params};

use super::Entry;
use crate::ids::{TenantId, UserId};
use crate::users::search::{Field, Filter, Kind, Schema};

/// The most that `total` counts to; offset paging reaches no further either.
const MOST_TOTAL: i64 = 1000;

/// What the `q` of a list of entries can search.
pub static LOGS: Schema = Schema {
    fields: &[
        Field { name: "log_id", column: "id", kind: Kind::Text },
        Field { name: "_id", column: "id", kind: Kind::Text },
        Field { name: "date", column: "date", kind: Kind::Moment },
        Field { name: "type", column: "type", kind: Kind::Text },
        Field { name: "user_id", column: "user_id", kind: Kind::Text },
        Field { name: "client_id", column: "client_id", kind: Kind::Text },
        Field { name: "connection", column: "connection", kind: Kind::Text },
        Field { name: "ip", column: "ip", kind: Kind::Text },
        Field { name: "description", column: "(doc ->> 'description')", kind: Kind::Text },
        Field { name: "user_name", column: "(doc ->> 'user_name')", kind: Kind::Text },
        Field { name: "client_name", column: "(doc ->> 'client_name')", kind: Kind::Text },
        Field { name: "audience", column: "(doc ->> 'audience')", kind: Kind::Text },
        Field { name: "strategy", column: "(doc ->> 'strategy')", kind: Kind::Text },
        Field { name: "strategy_type", column: "(doc ->> 'strategy_type')", kind: Kind::Text },
        Field { name: "hostname", column: "(doc ->> 'hostname')", kind: Kind::Text },
    ],
    metadata: &[],
    bare: &["type", "user_id", "user_name", "client_id", "client_name", "connection", "ip", "description"],
};

/// Which entries to list.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Only entries that a search query matches, parsed against [`LOGS`].
    pub filter: Option<Filter>,
    /// Only entries of this user.
    pub user_id: Option<UserId>,
    /// In which order; the newest first where nothing is said.
    pub sort: Option<Sort>,
    /// How many to skip.
    pub offset: i64,
    /// How many to answer at most.
    pub limit: i64,
    /// Whether to count all that match.
    pub total: bool,
}

/// A page of a list of entries.
#[derive(Clone, Debug)]
pub struct Page {
    /// The entries on this page.
    pub entries: Vec<Entry>,
    /// How many match, up to 1,000; `None` if it was not asked for.
    pub total: Option<i64>,
}

/// An order of entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sort(&'static str);

impl Sort {
    /// Reads `date:-1`. `None` if nobody can sort by that.
    pub fn parse(text: &str) -> Option<Self> {
        Some(Self(match text {
            // Ids are made when entries are written, and sort by time.
            "date:1" | "_id:1" | "log_id:1" => "id ASC",
            "date:-1" | "_id:-1" | "log_id:-1" => "id DESC",
            "type:1" => "type ASC, id ASC",
            "type:-1" => "type DESC, id DESC",
            "user_id:1" => "user_id ASC NULLS LAST, id ASC",
            "user_id:-1" => "user_id DESC NULLS LAST, id DESC",
            "client_id:1" => "client_id ASC NULLS LAST, id ASC",
            "client_id:-1" => "client_id DESC NULLS LAST, id DESC",
            "connection:1" => "connection ASC NULLS LAST, id ASC",
            "connection:-1" => "connection DESC NULLS LAST, id DESC",
            "ip:1" => "ip ASC NULLS LAST, id ASC",
            "ip:-1" => "ip DESC NULLS LAST, id DESC",
            "description:1" => "(doc ->> 'description') ASC NULLS LAST, id ASC",
            "description:-1" => "(doc ->> 'description') DESC NULLS LAST, id DESC",
            "user_name:1" => "(doc ->> 'user_name') ASC NULLS LAST, id ASC",
            "user_name:-1" => "(doc ->> 'user_name') DESC NULLS LAST, id DESC",
            "client_name:1" => "(doc ->> 'client_name') ASC NULLS LAST, id ASC",
            "client_name:-1" => "(doc ->> 'client_name') DESC NULLS LAST, id DESC",
            "user_agent:1" => "(doc ->> 'user_agent') ASC NULLS LAST, id ASC",
            "user_agent:-1" => "(doc ->> 'user_agent') DESC NULLS LAST, id DESC",
            "strategy:1" => "(doc ->> 'strategy') ASC NULLS LAST, id ASC",
            "strategy:-1" => "(doc ->> 'strategy') DESC NULLS LAST, id DESC",
            "strategy_type:1" => "(doc ->> 'strategy_type') ASC NULLS LAST, id ASC",
            "strategy_type:-1" => "(doc ->> 'strategy_type') DESC NULLS LAST, id DESC",
            _ => return None,
        }))
    }
}

/// A page of the tenant's entries.
pub async fn list(db: &Db, tenant: &TenantId, query: &Query) -> Result<Page, Error> {
    let mut matching = String::from("tenant = $1");
    let mut bound: Vec<Bound> = params![tenant];
    if let Some(filter) = &query.filter {
        matching.push_str(" AND ");
        matching.push_str(filter.sql());
        bound.extend_from_slice(filter.params());
    }
    if let Some(user_id) = &query.user_id {
        bound.push(user_id.into());
        matching.push_str(&format!(" AND user_id = ${}", bound.len()));
    }
    let total = if query.total {
        let count = format!(
            "SELECT COUNT(*) FROM (SELECT 1 AS one FROM logs WHERE {matching} LIMIT {MOST_TOTAL}) AS found"
        );
        let counted = db.list(Cow::Owned(count), bound.clone()).await?;
        Some(counted.into_iter().next().map_or(Ok(0), |mut row| row.take())?)
    } else {
        None
    };
    let order = query.sort.map_or("id DESC", |sort| sort.0);
    bound.extend(params![query.limit, query.offset]);
    let (limit, offset) = (bound.len() - 1, bound.len());
    let page =
        format!("SELECT doc FROM logs WHERE {matching} ORDER BY {order} LIMIT ${limit} OFFSET ${offset}");
    let rows = db.list(Cow::Owned(page), bound).await?;
    Ok(Page { entries: rows.into_iter().map(Entry::from_row).collect::<Result<_, _>>()?, total })
}

/// At most `take` entries after the one with the id `from` and before `before`, the oldest first.
pub async fn list_between(
    db: &Db,
    tenant: &TenantId,
    from: &str,
    before: &str,
    take: i64,
) -> Result<Vec<Entry>, Error> {
    let sql = "SELECT doc FROM logs WHERE tenant = $1 AND id > $2 AND id < $3 ORDER BY id LIMIT $4";
    let rows = db.read(sql, params![tenant, from, before, take]).await?;
    rows.into_iter().map(Entry::from_row).collect()
}

/// The next `take` entries after the one with the id `from`, the oldest first; from the first without `from`. An entry that another
/// node writes at this very moment may sort before an answered one; what is a second old does not move any more.
pub async fn list_after(
    db: &Db,
    tenant: &TenantId,
    from: Option<&str>,
    take: i64,
) -> Result<Vec<Entry>, Error> {
    let rows = db
        .read(
            "SELECT doc FROM logs WHERE tenant = $1 AND id > $2 ORDER BY id LIMIT $3",
            params![tenant, from.unwrap_or_default(), take],
        )
        .await?;
    rows.into_iter().map(Entry::from_row).collect()
}
