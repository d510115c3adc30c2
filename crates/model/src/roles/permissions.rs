//! Permissions: scopes of APIs that roles and users have. One that its API lists no more is none.

use std::collections::{BTreeMap, BTreeSet};

use db::{Batch, Db, Row, Value, params};
use serde_json::{Map, Value as Json, json};

use super::{page, window};
use crate::Model;
use crate::ids::{TenantId, UserId};
use crate::paging::{Page, Paging};
use crate::resource_servers::{self, ResourceServer};

/// The most that a role has, or a user for themselves.
pub const MOST: usize = 1000;

/// The most roles whose permissions a user's token looks at.
const MOST_ROWS: i64 = 100_000;

/// Rows that one statement writes.
const AT_A_TIME: usize = 100;

/// A scope of an API.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Permission {
    /// The API's identifier.
    pub audience: String,
    /// The scope.
    pub name: String,
}

/// Whose permissions they are.
#[derive(Clone, Copy, Debug)]
pub enum Holder<'a> {
    /// A role's.
    Role(&'a str),
    /// A user's own.
    User(&'a UserId),
}

impl Holder<'_> {
    /// The table, its column of the holder, and the holder.
    fn place(&self) -> (&'static str, &'static str, Value) {
        match self {
            Self::Role(id) => ("role_permissions", "role_id", Value::from(*id)),
            Self::User(id) => ("user_permissions", "user_id", Value::from(*id)),
        }
    }
}

/// Gives permissions; those that are there stay. An unknown holder or API is `ForeignKey`.
pub fn give(batch: &mut Batch, tenant: &TenantId, holder: Holder<'_>, permissions: &[Permission]) {
    let (table, column, whose) = holder.place();
    for some in permissions.chunks(AT_A_TIME) {
        let mut values = vec![Value::from(tenant), whose.clone()];
        let mut rows = Vec::with_capacity(some.len());
        for permission in some {
            let at = values.len() + 1;
            values.extend([Value::from(&permission.audience), Value::from(&permission.name)]);
            rows.push(format!("($1, $2, ${at}, ${})", at + 1));
        }
        let sql = format!(
            "INSERT INTO {table} (tenant, {column}, audience, name) VALUES {} ON CONFLICT DO NOTHING",
            rows.join(", ")
        );
        batch.execute(sql, values);
    }
}

/// Takes permissions away; those that are not there are gone already.
pub fn take(batch: &mut Batch, tenant: &TenantId, holder: Holder<'_>, permissions: &[Permission]) {
    let (table, column, whose) = holder.place();
    for some in permissions.chunks(AT_A_TIME) {
        let mut values = vec![Value::from(tenant), whose.clone()];
        let mut rows = Vec::with_capacity(some.len());
        for permission in some {
            let at = values.len() + 1;
            values.extend([Value::from(&permission.audience), Value::from(&permission.name)]);
            rows.push(format!("(audience = ${at} AND name = ${})", at + 1));
        }
        let sql =
            format!("DELETE FROM {table} WHERE tenant = $1 AND {column} = $2 AND ({})", rows.join(" OR "));
        batch.execute(sql, values);
    }
}

/// Takes scopes that an API lists no more from every role and user.
pub fn forget(batch: &mut Batch, tenant: &TenantId, audience: &str, scopes: &[String]) {
    for some in scopes.chunks(AT_A_TIME) {
        for table in ["role_permissions", "user_permissions"] {
            let mut values = vec![Value::from(tenant), Value::from(audience)];
            values.extend(some.iter().map(Value::from));
            let markers: Vec<_> = (3..3 + some.len()).map(|number| format!("${number}")).collect();
            let sql = format!(
                "DELETE FROM {table} WHERE tenant = $1 AND audience = $2 AND name IN ({})",
                markers.join(", ")
            );
            batch.execute(sql, values);
        }
    }
}

/// How many permissions a holder has.
pub async fn count(db: &Db, tenant: &TenantId, holder: Holder<'_>) -> Result<usize, db::Error> {
    let (table, column, whose) = holder.place();
    let sql = format!("SELECT COUNT(*) FROM {table} WHERE tenant = $1 AND {column} = $2");
    let row = db.read_one(sql, vec![Value::from(tenant), whose]).await?;
    let count = row.map_or(Ok(0), |mut row| row.take::<i64>())?;
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

/// A page of a role's permissions, by their names, as they are told.
pub async fn of_role(
    app: &Model,
    tenant: &TenantId,
    role: &str,
    paging: &Paging,
) -> Result<Page<Map<String, Json>>, db::Error> {
    let (limit, offset, totals) = window(paging);
    let sql = "SELECT audience, name FROM role_permissions WHERE tenant = $1 AND role_id = $2
               ORDER BY name, audience LIMIT $3 OFFSET $4";
    let mut queries = vec![(sql.into(), params![tenant, role, limit, offset])];
    if totals {
        let count = "SELECT COUNT(*) FROM role_permissions WHERE tenant = $1 AND role_id = $2";
        queries.push((count.into(), params![tenant, role]));
    }
    let Page { items, total, next } = page(&app.db, queries, read).await?;
    let mut told = Vec::with_capacity(items.len());
    for permission in items {
        told.push(to_wire(app, tenant, &permission).await?);
    }
    Ok(Page { items: told, total, next })
}

fn read(mut row: Row) -> Result<Permission, db::Error> {
    Ok(Permission { audience: row.take()?, name: row.take()? })
}

/// A permission with what its API says of it.
async fn to_wire(
    app: &Model,
    tenant: &TenantId,
    permission: &Permission,
) -> Result<Map<String, Json>, db::Error> {
    let api = resource_servers::find_by_identifier(app, tenant, &permission.audience).await?;
    let scope = |api: &ResourceServer| {
        let scope = api.scopes.iter().flatten().find(|scope| scope.value == permission.name);
        scope.and_then(|scope| scope.description.clone())
    };
    let told = json!({
        "permission_name": permission.name,
        "description": api.as_deref().and_then(scope).unwrap_or_default(),
        "resource_server_name": api.as_deref().and_then(|api| api.name.clone()).unwrap_or_default(),
        "resource_server_identifier": permission.audience,
    });
    match told {
        Json::Object(told) => Ok(told),
        _ => unreachable!("it is written as an object"),
    }
}

/// All that a user may do: their own permissions and those of their roles.
const EFFECTIVE: &str = "SELECT audience, name, '' AS role_id, '' AS role_name FROM user_permissions
     WHERE tenant = $1 AND user_id = $2
     UNION ALL
     SELECT p.audience, p.name, r.id, r.name FROM user_roles u
     JOIN roles r ON r.tenant = u.tenant AND r.id = u.role_id
     JOIN role_permissions p ON p.tenant = u.tenant AND p.role_id = u.role_id
     WHERE u.tenant = $1 AND u.user_id = $2";

/// A page of what a user may do, by names, each with where they have it from.
pub async fn of_user(
    app: &Model,
    tenant: &TenantId,
    user_id: &UserId,
    paging: &Paging,
) -> Result<Page<Map<String, Json>>, db::Error> {
    let sql = format!(
        "SELECT audience, name, role_id, role_name FROM ({EFFECTIVE}) AS held ORDER BY name, audience, role_id LIMIT $3"
    );
    let rows = app.db.scan(sql, params![tenant, user_id, MOST_ROWS]).await?;
    let mut held: BTreeMap<(String, String), Vec<Json>> = BTreeMap::new();
    for mut row in rows {
        let (audience, name): (String, String) = (row.take()?, row.take()?);
        let (id, role): (String, String) = (row.take()?, row.take()?);
        let kind = if id.is_empty() { "DIRECT" } else { "ROLE" };
        let source = json!({ "source_id": id, "source_name": role, "source_type": kind });
        held.entry((name, audience)).or_default().push(source);
    }
    let (limit, offset, _) = window(paging);
    let [limit, offset] = [limit, offset].map(|number| usize::try_from(number).unwrap_or(usize::MAX));
    let total = u64::try_from(held.len()).ok();
    let mut items = Vec::new();
    for ((name, audience), sources) in held.into_iter().skip(offset).take(limit) {
        let mut told = to_wire(app, tenant, &Permission { audience, name }).await?;
        told.insert("sources".to_owned(), Json::Array(sources));
        items.push(told);
    }
    Ok(Page { items, total, next: None })
}

/// The scopes of an API that a user has, in order: those that it lists.
pub async fn on_api(
    db: &Db,
    tenant: &TenantId,
    user_id: &UserId,
    api: &ResourceServer,
) -> Result<BTreeSet<String>, db::Error> {
    let sql = "SELECT name FROM user_permissions WHERE tenant = $1 AND user_id = $2 AND audience = $3
               UNION
               SELECT p.name FROM user_roles u
               JOIN role_permissions p ON p.tenant = u.tenant AND p.role_id = u.role_id
               WHERE u.tenant = $1 AND u.user_id = $2 AND p.audience = $3
               ORDER BY name LIMIT $4";
    let rows = db.read(sql, params![tenant, user_id, &api.identifier, MOST_ROWS]).await?;
    let names = rows.into_iter().map(|mut row| row.take::<String>()).collect::<Result<BTreeSet<_>, _>>()?;
    Ok(names.into_iter().filter(|name| api.has_scope(name)).collect())
}
