//! Whose roles are: the table `user_roles`.

use db::{Batch, Db, Row, params};
use serde_json::{Map, Value as Json};

use super::{Role, page, window};
use crate::Model;
use crate::clock::Timestamp;
use crate::ids::{TenantId, UserId};
use crate::paging::{self, List, Page, Paging};

/// Gives a user a role; one that they have stays as it is. An unknown user or role is `ForeignKey`.
pub fn assign(batch: &mut Batch, tenant: &TenantId, user_id: &UserId, role: &str, now: Timestamp) {
    batch.execute(
        "INSERT INTO user_roles (tenant, user_id, role_id, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        params![tenant, user_id, role, now],
    );
}

/// Takes a role from a user who has it.
pub fn remove_from(batch: &mut Batch, tenant: &TenantId, user_id: &UserId, role: &str) {
    batch.execute(
        "DELETE FROM user_roles WHERE tenant = $1 AND user_id = $2 AND role_id = $3",
        params![tenant, user_id, role],
    );
}

/// A page of a user's roles, by their names. Checkpoints are not known here.
pub async fn of_user(
    db: &Db,
    tenant: &TenantId,
    user_id: &UserId,
    paging: &Paging,
) -> Result<Page<Role>, db::Error> {
    let (limit, offset, totals) = window(paging);
    let sql = "SELECT r.id, r.name, r.description, r.created_at, r.version
               FROM user_roles u JOIN roles r ON r.tenant = u.tenant AND r.id = u.role_id
               WHERE u.tenant = $1 AND u.user_id = $2 ORDER BY r.name, r.id LIMIT $3 OFFSET $4";
    let mut queries = vec![(sql.into(), params![tenant, user_id, limit, offset])];
    if totals {
        let count = "SELECT COUNT(*) FROM user_roles WHERE tenant = $1 AND user_id = $2";
        queries.push((count.into(), params![tenant, user_id]));
    }
    page(db, queries, super::from_row).await
}

/// A page of the users who have a role, as they are told there, the first who got it first.
pub async fn members(
    app: &Model,
    tenant: &TenantId,
    role: &str,
    paging: &Paging,
) -> Result<Page<Map<String, Json>>, paging::Error> {
    let columns = "user_id, \
        (SELECT email FROM users u WHERE u.tenant = user_roles.tenant AND u.id = user_roles.user_id), \
        (SELECT picture FROM users u WHERE u.tenant = user_roles.tenant AND u.id = user_roles.user_id), \
        (SELECT name FROM users u WHERE u.tenant = user_roles.tenant AND u.id = user_roles.user_id)";
    let mut list = List::new(tenant, "user_roles", ["created_at", "user_id"], columns);
    list.equals("role_id", Some(role));
    Ok(list.read(app, paging).await?.map(member)?)
}

fn member(mut row: Row) -> Result<Map<String, Json>, db::Error> {
    let mut told = Map::new();
    for name in ["user_id", "email", "picture", "name"] {
        if let Some(value) = row.take::<Option<String>>()? {
            told.insert(name.to_owned(), value.into());
        }
    }
    Ok(told)
}
