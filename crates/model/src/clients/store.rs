//! The `clients` table.

use std::collections::HashMap;
use std::sync::Arc;

use db::{Batch, Row, params};

use super::{Client, origins};
use crate::clock::Timestamp;
use crate::ids::{ClientId, TenantId};
use crate::paging::{self, List, Page, Paging};
use crate::{Model, document, seal};

/// What a list is narrowed to.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only, or all but, the client that stands for all applications.
    pub is_global: Option<bool>,
    /// Only the tenant's own clients, or only others'.
    pub is_first_party: Option<bool>,
    /// Clients of these types; all when empty.
    pub app_types: Vec<String>,
}

const COLUMNS: &str = "secret_digest, doc, created_at, version";

pub(super) fn parse(mut row: Row) -> Result<Client, db::Error> {
    let digest: Vec<u8> = row.take()?;
    let doc = row.take()?;
    let mut client: Client = document::parse(doc)?;
    client.secret_digest =
        digest.try_into().map_err(|_| db::Error::Failed("a client's digest is not of SHA-256".into()))?;
    client.created_at = row.take()?;
    client.version = row.take()?;
    client.stored_origins = origins::stored(&client);
    Ok(client)
}

fn seal_context(tenant: &TenantId, client_id: &ClientId) -> String {
    seal::context("clients", &[tenant.as_str(), client_id.as_str()], "secret")
}

/// The client of an id. Cached.
pub async fn find(app: &Model, tenant: &TenantId, client_id: &str) -> Result<Option<Arc<Client>>, db::Error> {
    app.db.cached("clients", tenant.as_str(), client_id, load(app, tenant, client_id)).await
}

/// The client as it stands in the database: what a change begins with.
pub async fn load(app: &Model, tenant: &TenantId, client_id: &str) -> Result<Option<Client>, db::Error> {
    let sql =
        "SELECT secret_digest, doc, created_at, version FROM clients WHERE tenant = $1 AND client_id = $2";
    app.db.read_one(sql, params![tenant, client_id]).await?.map(parse).transpose()
}

/// A page of clients, oldest first.
pub async fn list(
    app: &Model,
    tenant: &TenantId,
    filter: &Filter,
    paging: &Paging,
) -> Result<Page<Client>, paging::Error> {
    let mut list = List::new(tenant, "clients", ["created_at", "client_id"], COLUMNS);
    list.equals("is_global", filter.is_global);
    list.equals("is_first_party", filter.is_first_party);
    list.one_of("app_type", &filter.app_types);
    Ok(list.read(app, paging).await?.map(parse)?)
}

/// The client's secret, for callers who may see it.
pub async fn secret(
    app: &Model,
    tenant: &TenantId,
    client_id: &ClientId,
) -> Result<Option<String>, db::Error> {
    Ok(secrets(app, tenant, std::slice::from_ref(client_id)).await?.remove(client_id))
}

/// The secrets of the clients on a page.
pub async fn secrets(
    app: &Model,
    tenant: &TenantId,
    client_ids: &[ClientId],
) -> Result<HashMap<ClientId, String>, db::Error> {
    if client_ids.is_empty() {
        return Ok(HashMap::new());
    }
    let markers: Vec<_> = (2..client_ids.len() + 2).map(|number| format!("${number}")).collect();
    let sql = format!(
        "SELECT client_id, secret FROM clients WHERE tenant = $1 AND client_id IN ({}) ORDER BY client_id",
        markers.join(", ")
    );
    let mut params = params![tenant];
    params.extend(client_ids.iter().map(db::Value::from));
    let rows = app.db.read(sql, params).await?;
    rows.into_iter()
        .map(|mut row| {
            let client_id: ClientId = row.take()?;
            let sealed: Vec<u8> = row.take()?;
            let secret = document::unseal(app, &seal_context(tenant, &client_id), &sealed)?;
            Ok((client_id, secret))
        })
        .collect()
}

/// Adds a client with its secret.
pub fn insert(
    app: &Model,
    batch: &mut Batch,
    tenant: &TenantId,
    client: &mut Client,
    secret: &str,
    now: Timestamp,
) {
    client.created_at = now;
    client.secret_digest = seal::digest(secret);
    batch
        .execute(
            "INSERT INTO clients (tenant, client_id, name, app_type, is_first_party, is_global, secret, \
             secret_digest, doc, created_at, version, told_of_logout)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
            params![
                tenant,
                &client.client_id,
                &client.name,
                client.app_type.as_deref(),
                client.is_first_party,
                client.global,
                app.seal.seal(&seal_context(tenant, &client.client_id), secret.as_bytes()),
                client.secret_digest,
                document::column(client, &[]),
                now,
                client.version,
                client.backchannel_logout_url().is_some()
            ],
        )
        .expect(1);
    origins::store(batch, tenant, client);
    batch.changed("clients", tenant.as_str(), client.client_id.as_str());
}

/// Writes a changed client, if nobody else has since it was read.
pub fn save(batch: &mut Batch, tenant: &TenantId, client: &mut Client) {
    let read = client.version;
    client.version += 1;
    batch
        .execute(
            "UPDATE clients SET name = $1, app_type = $2, is_first_party = $3, doc = $4, version = $5, told_of_logout = $6
             WHERE tenant = $7 AND client_id = $8 AND version = $9",
            params![
                &client.name,
                client.app_type.as_deref(),
                client.is_first_party,
                document::column(client, &[]),
                client.version,
                client.backchannel_logout_url().is_some(),
                tenant,
                &client.client_id,
                read
            ],
        )
        .expect(1);
    origins::store(batch, tenant, client);
    batch.changed("clients", tenant.as_str(), client.client_id.as_str());
}

/// Gives the client another secret, if nobody has changed the client since it was read.
pub fn set_secret(app: &Model, batch: &mut Batch, tenant: &TenantId, client: &mut Client, secret: &str) {
    let read = client.version;
    client.version += 1;
    client.secret_digest = seal::digest(secret);
    batch
        .execute(
            "UPDATE clients SET secret = $1, secret_digest = $2, version = $3 \
             WHERE tenant = $4 AND client_id = $5 AND version = $6",
            params![
                app.seal.seal(&seal_context(tenant, &client.client_id), secret.as_bytes()),
                client.secret_digest,
                client.version,
                tenant,
                &client.client_id,
                read
            ],
        )
        .expect(1);
    batch.changed("clients", tenant.as_str(), client.client_id.as_str());
}

/// Removes a client with its grants, its connections and the tokens given to it, if nobody has changed it since it was read.
pub fn remove(batch: &mut Batch, tenant: &TenantId, client: &Client) {
    batch
        .execute(
            "DELETE FROM clients WHERE tenant = $1 AND client_id = $2 AND version = $3 AND NOT is_global",
            params![tenant, &client.client_id, client.version],
        )
        .expect(1);
    origins::forget(batch, tenant, client);
    batch.changed("clients", tenant.as_str(), client.client_id.as_str());
    batch.changed("enabled_connections", tenant.as_str(), client.client_id.as_str());
}
