//! Roles: names for sets of permissions, which are scopes of the tenant's APIs (management contract §4.6). Where an API enforces its
//! policies, a user's token holds no scope of it but those that their roles, or a permission of their own, give them.

mod members;
pub mod permissions;

use db::{Batch, Db, Row, params};
use serde_json::{Map, Value as Json, json};

use crate::clock::Timestamp;
use crate::identities::fold_name;
use crate::ids::TenantId;
use crate::paging::{Page, Paging};
use crate::random::Random;

pub use members::{assign, members, of_user, remove_from};

/// A role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// `rol_` and 16 alphanumerics. Never changes.
    pub id: String,
    /// What people call it: each name is one role's.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// When it was made. Never changes.
    pub created_at: Timestamp,
    /// The row's version.
    pub version: i64,
}

impl Role {
    /// A new role.
    pub fn new(random: &Random, name: &str, description: Option<String>, now: Timestamp) -> Self {
        let id = format!("rol_{}", random.alphanumeric(16));
        Self { id, name: name.to_owned(), description, created_at: now, version: 1 }
    }

    /// As it is told: a description that was never given is `""`.
    pub fn to_wire(&self) -> Map<String, Json> {
        let told = json!({
            "id": self.id, "name": self.name, "description": self.description.as_deref().unwrap_or_default(),
        });
        match told {
            Json::Object(told) => told,
            _ => unreachable!("it is written as an object"),
        }
    }
}

const COLUMNS: &str = "id, name, description, created_at, version";

fn from_row(mut row: Row) -> Result<Role, db::Error> {
    Ok(Role {
        id: row.take()?,
        name: row.take()?,
        description: row.take()?,
        created_at: row.take()?,
        version: row.take()?,
    })
}

/// The role of an id.
pub async fn find(db: &Db, tenant: &TenantId, id: &str) -> Result<Option<Role>, db::Error> {
    let sql = format!("SELECT {COLUMNS} FROM roles WHERE tenant = $1 AND id = $2");
    db.read_one(sql, params![tenant, id]).await?.map(from_row).transpose()
}

/// A page of roles by their names; with `name`, of those whose name has it somewhere, in any case. Checkpoints are not known here.
pub async fn list(
    db: &Db,
    tenant: &TenantId,
    name: Option<&str>,
    paging: &Paging,
) -> Result<Page<Role>, db::Error> {
    let pattern = format!("%{}%", escaped(&fold_name(name.unwrap_or_default())));
    let condition = "tenant = $1 AND name_folded LIKE $2 ESCAPE '\\'";
    let (limit, offset, totals) = window(paging);
    let rows = format!("SELECT {COLUMNS} FROM roles WHERE {condition} ORDER BY name, id LIMIT $3 OFFSET $4");
    let mut queries = vec![(rows.into(), params![tenant, &pattern, limit, offset])];
    if totals {
        queries.push((
            format!("SELECT COUNT(*) FROM roles WHERE {condition}").into(),
            params![tenant, &pattern],
        ));
    }
    page(db, queries, from_row).await
}

/// What stands for itself in a pattern of `LIKE`.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        if matches!(char, '%' | '_' | '\\') {
            escaped.push('\\');
        }
        escaped.push(char);
    }
    escaped
}

/// How many rows, after how many, and whether all are counted.
fn window(paging: &Paging) -> (i64, i64, bool) {
    match paging {
        Paging::Offset { page, per_page, totals } => {
            (i64::from(*per_page), i64::from(*page).saturating_mul(i64::from(*per_page)), *totals)
        }
        Paging::Checkpoint { take, .. } => (i64::from(*take), 0, false),
    }
}

/// The rows of the first query, and the number of the second, if there is one.
async fn page<T>(
    db: &Db,
    queries: Vec<(db::Sql, Vec<db::Value>)>,
    read: impl Fn(Row) -> Result<T, db::Error>,
) -> Result<Page<T>, db::Error> {
    let mut answers = db.snapshot(queries).await?.into_iter();
    let items = answers.next().unwrap_or_default().into_iter().map(read).collect::<Result<_, _>>()?;
    let total = match answers.next().and_then(|rows| rows.into_iter().next()) {
        Some(mut row) => u64::try_from(row.take::<i64>()?).ok(),
        None => None,
    };
    Ok(Page { items, total, next: None })
}

/// Adds a role. A name that is taken is `Unique("roles_name")`.
pub fn insert(batch: &mut Batch, tenant: &TenantId, role: &Role) {
    batch
        .execute(
            "INSERT INTO roles (tenant, id, name, name_folded, description, created_at, version)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
            params![
                tenant,
                &role.id,
                &role.name,
                fold_name(&role.name),
                &role.description,
                role.created_at,
                role.version
            ],
        )
        .expect(1);
}

/// Writes a changed role, if nobody else has since it was read.
pub fn save(batch: &mut Batch, tenant: &TenantId, role: &mut Role) {
    batch
        .execute(
            "UPDATE roles SET name = $1, name_folded = $2, description = $3, version = version + 1
             WHERE tenant = $4 AND id = $5 AND version = $6",
            params![&role.name, fold_name(&role.name), &role.description, tenant, &role.id, role.version],
        )
        .expect(1);
    role.version += 1;
}

/// Deletes a role, with what it permits and whose it is. One that is not there any more is a `Conflict`.
pub fn remove(batch: &mut Batch, tenant: &TenantId, id: &str) {
    batch.execute("DELETE FROM roles WHERE tenant = $1 AND id = $2", params![tenant, id]).expect(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_looked_for_stands_for_itself() {
        assert_eq!(escaped("50%_\\a"), "50\\%\\_\\\\a");
    }
}
