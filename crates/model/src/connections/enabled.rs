//! Which clients a connection is enabled for: one table behind the connection's and the client's view of it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use db::{Batch, Value, params};

use super::{Connection, find, store};
use crate::Model;
use crate::clock::Timestamp;
use crate::ids::{ClientId, TenantId};
use crate::paging::{self, List, Page, Paging};

/// The connections that are enabled for a client, oldest first. Cached.
pub async fn enabled_for(
    app: &Model,
    tenant: &TenantId,
    client_id: &ClientId,
) -> Result<Vec<Arc<Connection>>, db::Error> {
    let ids = app
        .db
        .cached("enabled_connections", tenant.as_str(), client_id.as_str(), async {
            let sql = "SELECT c.id FROM connection_clients e \
                       JOIN connections c ON c.tenant = e.tenant AND c.id = e.connection_id \
                       WHERE e.tenant = $1 AND e.client_id = $2 ORDER BY c.created_at, c.id LIMIT 1000";
            let rows = app.db.read(sql, params![tenant, client_id]).await?;
            rows.into_iter().map(|mut row| row.take::<String>()).collect::<Result<Vec<_>, _>>().map(Some)
        })
        .await?;
    let mut connections = Vec::new();
    for id in ids.iter().flat_map(|ids| ids.iter()) {
        connections.extend(find(app, tenant, id).await?);
    }
    Ok(connections)
}

/// A page of the clients that a connection is enabled for.
pub async fn list_clients(
    app: &Model,
    tenant: &TenantId,
    connection_id: &str,
    paging: &Paging,
) -> Result<Page<ClientId>, paging::Error> {
    let mut list = List::new(tenant, "connection_clients", ["created_at", "client_id"], "client_id");
    list.equals("connection_id", Some(connection_id));
    Ok(list.read(app, paging).await?.map(|mut row| row.take())?)
}

/// A page of the connections that are enabled for a client, oldest first.
pub async fn list_for_client(
    app: &Model,
    tenant: &TenantId,
    client_id: &ClientId,
    strategies: &[String],
    paging: &Paging,
) -> Result<Page<Connection>, paging::Error> {
    let mut list = List::new(tenant, "connections", ["created_at", "id"], store::COLUMNS);
    list.such_that(
        "id IN (SELECT connection_id FROM connection_clients WHERE tenant = $1 AND client_id = $?)",
        client_id,
    );
    list.one_of("strategy", strategies);
    let mut page = list.read(app, paging).await?.map(|row| store::parse(app, tenant, row))?;
    fill(app, tenant, &mut page.items).await?;
    Ok(page)
}

/// Enables the connection for a client, or no longer. An unknown connection or client is `ForeignKey`.
pub fn set_client(
    batch: &mut Batch,
    tenant: &TenantId,
    connection_id: &str,
    client_id: &ClientId,
    enabled: bool,
    now: Timestamp,
) {
    if enabled {
        batch.execute(
            "INSERT INTO connection_clients (tenant, connection_id, client_id, created_at) \
             VALUES ($1, $2, $3, $4) ON CONFLICT (tenant, connection_id, client_id) DO NOTHING",
            params![tenant, connection_id, client_id, now],
        );
    } else {
        batch.execute(
            "DELETE FROM connection_clients WHERE tenant = $1 AND connection_id = $2 AND client_id = $3",
            params![tenant, connection_id, client_id],
        );
    }
    batch.changed("connections", tenant.as_str(), connection_id);
    batch.changed("enabled_connections", tenant.as_str(), client_id.as_str());
}

/// Enables the connection, as it was read, for these clients and no others.
pub fn set_clients(
    batch: &mut Batch,
    tenant: &TenantId,
    connection: &mut Connection,
    clients: Vec<ClientId>,
    now: Timestamp,
) {
    let wanted: HashSet<_> = clients.iter().collect();
    let present: HashSet<_> = connection.enabled_clients.iter().collect();
    for client_id in connection.enabled_clients.iter().filter(|client_id| !wanted.contains(client_id)) {
        set_client(batch, tenant, &connection.id, client_id, false, now);
    }
    for client_id in clients.iter().filter(|client_id| !present.contains(client_id)) {
        set_client(batch, tenant, &connection.id, client_id, true, now);
    }
    connection.enabled_clients = clients;
}

/// Reads whom the connections are enabled for.
pub(super) async fn fill(
    app: &Model,
    tenant: &TenantId,
    connections: &mut [Connection],
) -> Result<(), db::Error> {
    if connections.is_empty() {
        return Ok(());
    }
    let markers: Vec<_> = (2..connections.len() + 2).map(|number| format!("${number}")).collect();
    let sql = format!(
        "SELECT connection_id, client_id FROM connection_clients WHERE tenant = $1 AND connection_id IN ({}) \
         ORDER BY connection_id, created_at, client_id",
        markers.join(", ")
    );
    let mut params = params![tenant];
    params.extend(connections.iter().map(|connection| Value::from(&connection.id)));
    let mut enabled: HashMap<String, Vec<ClientId>> = HashMap::new();
    for mut row in app.db.read(sql, params).await? {
        enabled.entry(row.take()?).or_default().push(row.take()?);
    }
    for connection in connections {
        connection.enabled_clients = enabled.remove(&connection.id).unwrap_or_default();
    }
    Ok(())
}
