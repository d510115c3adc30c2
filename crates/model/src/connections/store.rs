//! The `connections` table.

use std::sync::Arc;

use db::{Batch, Row, params};

use super::{Connection, enabled};
use crate::clock::Timestamp;
use crate::ids::TenantId;
use crate::logout_notices::{End, Initiator};
use crate::paging::{self, List, Page, Paging};
use crate::{Model, document, seal, sessions};

/// What a list is narrowed to.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The connection of this name.
    pub name: Option<String>,
    /// Connections of these strategies; all when empty.
    pub strategies: Vec<String>,
}

/// What is in columns and tables of its own.
const ELSEWHERE: [&str; 2] = ["options", "enabled_clients"];
pub(super) const COLUMNS: &str = "id, options, doc, created_at, version";

/// The connection of a row, yet without its enabled clients.
pub(super) fn parse(app: &Model, tenant: &TenantId, mut row: Row) -> Result<Connection, db::Error> {
    let id: String = row.take()?;
    let sealed: Vec<u8> = row.take()?;
    let doc = row.take()?;
    let options = document::unseal(app, &seal_context(tenant, &id), &sealed)?;
    let options = serde_json::from_str(&options)
        .map_err(|error| db::Error::Failed(format!("the options of {id} do not parse: {error}")))?;
    Ok(Connection { options, created_at: row.take()?, version: row.take()?, ..document::parse(doc)? })
}

fn seal_context(tenant: &TenantId, id: &str) -> String {
    seal::context("connections", &[tenant.as_str(), id], "options")
}

fn sealed_options(app: &Model, tenant: &TenantId, connection: &Connection) -> Vec<u8> {
    let options = serde_json::Value::from(connection.options.clone()).to_string();
    app.seal.seal(&seal_context(tenant, &connection.id), options.as_bytes())
}

/// The connection of an id. Cached; whom it is enabled for is asked of [`super::enabled_for`].
pub async fn find(app: &Model, tenant: &TenantId, id: &str) -> Result<Option<Arc<Connection>>, db::Error> {
    app.db.cached("connections", tenant.as_str(), id, load(app, tenant, id)).await
}

/// The connection of a name. Cached.
pub async fn find_by_name(
    app: &Model,
    tenant: &TenantId,
    name: &str,
) -> Result<Option<Arc<Connection>>, db::Error> {
    let id = app
        .db
        .cached("connection_names", tenant.as_str(), name, async {
            let sql = "SELECT id FROM connections WHERE tenant = $1 AND name = $2";
            let row = app.db.read_one(sql, params![tenant, name]).await?;
            row.map(|mut row| row.take::<String>()).transpose()
        })
        .await?;
    match id {
        Some(id) => find(app, tenant, &id).await,
        None => Ok(None),
    }
}

/// The ids of the connections of strategy `sms`, oldest first: twenty at most. Cached.
pub async fn of_phones(app: &Model, tenant: &TenantId) -> Result<Arc<Vec<String>>, db::Error> {
    let found = app.db.cached("connections_of_phones", tenant.as_str(), "", async {
        let sql = "SELECT id FROM connections WHERE tenant = $1 AND strategy = 'sms' ORDER BY created_at, id LIMIT 20";
        let rows = app.db.read(sql, params![tenant]).await?;
        rows.into_iter().map(|mut row| row.take()).collect::<Result<Vec<String>, _>>().map(Some)
    });
    Ok(found.await?.unwrap_or_default())
}

/// The connection as it stands in the database: what a change begins with.
pub async fn load(app: &Model, tenant: &TenantId, id: &str) -> Result<Option<Connection>, db::Error> {
    let sql = "SELECT id, options, doc, created_at, version FROM connections WHERE tenant = $1 AND id = $2";
    let Some(row) = app.db.read_one(sql, params![tenant, id]).await? else { return Ok(None) };
    let mut connections = [parse(app, tenant, row)?];
    enabled::fill(app, tenant, &mut connections).await?;
    let [connection] = connections;
    Ok(Some(connection))
}

/// A page of connections, oldest first.
pub async fn list(
    app: &Model,
    tenant: &TenantId,
    filter: &Filter,
    paging: &Paging,
) -> Result<Page<Connection>, paging::Error> {
    let mut list = List::new(tenant, "connections", ["created_at", "id"], COLUMNS);
    list.equals("name", filter.name.as_ref());
    list.one_of("strategy", &filter.strategies);
    let mut page = list.read(app, paging).await?.map(|row| parse(app, tenant, row))?;
    enabled::fill(app, tenant, &mut page.items).await?;
    Ok(page)
}

/// The connections that clients of third parties may use: those on the level of the domain, oldest first.
pub async fn domain_level(app: &Model, tenant: &TenantId) -> Result<Vec<Connection>, db::Error> {
    let mut found = first_thousand(app, tenant).await?;
    found.retain(|connection| connection.is_domain_connection);
    Ok(found)
}

/// The connections of a tenant, oldest first: a thousand at most.
pub async fn all(app: &Model, tenant: &TenantId) -> Result<Vec<Connection>, db::Error> {
    let mut found = first_thousand(app, tenant).await?;
    enabled::fill(app, tenant, &mut found).await?;
    Ok(found)
}

async fn first_thousand(app: &Model, tenant: &TenantId) -> Result<Vec<Connection>, db::Error> {
    let sql = "SELECT id, options, doc, created_at, version FROM connections WHERE tenant = $1 \
               ORDER BY created_at, id LIMIT 1000";
    let rows = app.db.read(sql, params![tenant]).await?;
    rows.into_iter().map(|row| parse(app, tenant, row)).collect()
}

/// Adds a connection, enabled for its `enabled_clients`. A second one of the same name is `Unique("connections_name")`,
/// an unknown client `ForeignKey`.
pub fn insert(app: &Model, batch: &mut Batch, tenant: &TenantId, connection: &Connection, now: Timestamp) {
    batch
        .execute(
            "INSERT INTO connections (tenant, id, name, strategy, options, doc, created_at, version) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            params![
                tenant,
                &connection.id,
                &connection.name,
                &connection.strategy,
                sealed_options(app, tenant, connection),
                document::column(connection, &ELSEWHERE),
                now,
                connection.version
            ],
        )
        .expect(1);
    for client_id in &connection.enabled_clients {
        super::set_client(batch, tenant, &connection.id, client_id, true, now);
    }
    batch.changed("connection_names", tenant.as_str(), &connection.name);
    if connection.sends_codes_by_sms() {
        batch.changed("connections_of_phones", tenant.as_str(), "");
    }
    batch.changed("connections", tenant.as_str(), &connection.id);
}

/// Writes a changed connection, but for whom it is enabled, if nobody else has since it was read.
pub fn save(app: &Model, batch: &mut Batch, tenant: &TenantId, connection: &mut Connection) {
    let read = connection.version;
    connection.version += 1;
    batch
        .execute(
            "UPDATE connections SET options = $1, doc = $2, version = $3 \
             WHERE tenant = $4 AND id = $5 AND version = $6",
            params![
                sealed_options(app, tenant, connection),
                document::column(connection, &ELSEWHERE),
                connection.version,
                tenant,
                &connection.id,
                read
            ],
        )
        .expect(1);
    batch.changed("connections", tenant.as_str(), &connection.id);
}

/// Goes on only while the connection is there, however changed: one that was deleted since it was read gets no user. It comes
/// first in its batch, as the connection's row does in [`remove`].
pub fn exists(batch: &mut Batch, tenant: &TenantId, connection: &Connection) {
    batch.guard("SELECT 1 FROM connections WHERE tenant = $1 AND id = $2", params![tenant, &connection.id]);
}

/// How many users [`clear_users`] removes at a time.
const USERS_AT_A_TIME: u32 = 500;

/// Removes the users of a connection that is about to be removed, some at a time so that nobody else waits long.
///
/// [`remove`] removes those that have come meanwhile.
pub async fn clear_users(app: &Model, tenant: &TenantId, connection: &Connection) -> Result<(), db::Error> {
    loop {
        let mut batch = Batch::new();
        let end = End::new(Initiator::AccountDeleted, app.clock.now());
        sessions::remove_of_users_of(&mut batch, tenant, &connection.name, USERS_AT_A_TIME, end);
        batch.execute(
            "DELETE FROM users WHERE tenant = $1 AND id IN \
             (SELECT user_id FROM identities WHERE tenant = $1 AND connection = $2 AND position = 0 \
             ORDER BY user_id LIMIT $3)",
            params![tenant, &connection.name, USERS_AT_A_TIME],
        );
        let removed = app.db.commit(batch).await?.affected.last().copied().unwrap_or_default();
        if removed < u64::from(USERS_AT_A_TIME) {
            return Ok(());
        }
    }
}

/// Removes a connection with its users, if nobody has changed it since it was read. Other users lose the identities
/// that were linked to them, and what began with those.
pub fn remove(batch: &mut Batch, tenant: &TenantId, connection: &Connection, now: Timestamp) {
    batch
        .execute(
            "DELETE FROM connections WHERE tenant = $1 AND id = $2 AND version = $3",
            params![tenant, &connection.id, connection.version],
        )
        .expect(1);
    let end = End::new(Initiator::AccountDeleted, now);
    sessions::remove_of_connection(batch, tenant, &connection.name, end);
    batch.execute(
        "DELETE FROM users WHERE tenant = $1 AND id IN \
         (SELECT user_id FROM identities WHERE tenant = $1 AND connection = $2 AND position = 0)",
        params![tenant, &connection.name],
    );
    batch.execute(
        "UPDATE users SET version = version + 1 WHERE tenant = $1 AND id IN \
         (SELECT user_id FROM identities WHERE tenant = $1 AND connection = $2)",
        params![tenant, &connection.name],
    );
    batch.execute(
        "DELETE FROM identities WHERE tenant = $1 AND connection = $2",
        params![tenant, &connection.name],
    );
    batch.changed("connection_names", tenant.as_str(), &connection.name);
    if connection.sends_codes_by_sms() {
        batch.changed("connections_of_phones", tenant.as_str(), "");
    }
    batch.changed("connections", tenant.as_str(), &connection.id);
    for client_id in &connection.enabled_clients {
        batch.changed("enabled_connections", tenant.as_str(), client_id.as_str());
    }
}
