//! Settings of which a tenant has one document, in a table of their own: `tenant`, `doc`, `created_at`, `version`.

use std::sync::Arc;

use db::{Batch, params};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::clock::Timestamp;
use crate::ids::TenantId;
use crate::{Model, document};

/// Such settings. What was never written is their default.
pub trait TenantDocument: Default + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The table, which is their kind in the cache too.
    const TABLE: &'static str;

    /// The row's version, which is no part of the document; 0 when there is none.
    fn version(&self) -> i64;

    /// The same settings, read at or written with this version.
    fn at(self, version: i64) -> Self;

    /// The settings after a PATCH: named keys are replaced whole, and `null` brings back what a new tenant has.
    ///
    /// # Errors
    /// Which value does not fit its field.
    fn patched(&self, patch: &Map<String, Value>) -> Result<Self, serde_json::Error> {
        Ok(document::patch(self, patch)?.at(self.version()))
    }
}

/// The tenant's settings. Cached.
pub(crate) async fn find<T: TenantDocument>(app: &Model, tenant: &TenantId) -> Result<Arc<T>, db::Error> {
    let load = async { load::<T>(app, tenant).await.map(Some) };
    Ok(app.db.cached(T::TABLE, tenant.as_str(), "", load).await?.unwrap_or_default())
}

/// The tenant's settings as they stand in the database: what a change begins with.
pub(crate) async fn load<T: TenantDocument>(app: &Model, tenant: &TenantId) -> Result<T, db::Error> {
    let sql = format!("SELECT doc, version FROM {} WHERE tenant = $1", T::TABLE);
    let Some(mut row) = app.db.read_one(sql, params![tenant]).await? else { return Ok(T::default()) };
    let found: T = document::parse(row.take()?)?;
    Ok(found.at(row.take()?))
}

/// Writes changed settings, if nobody else has since they were read.
pub(crate) fn save<T: TenantDocument>(batch: &mut Batch, tenant: &TenantId, changed: &mut T, now: Timestamp) {
    let (doc, read) = (document::column(changed, &[]), changed.version());
    *changed = std::mem::take(changed).at(read + 1);
    let added = if read == 0 {
        batch.execute(
            format!(
                "INSERT INTO {} (tenant, doc, created_at, version) VALUES ($1, $2, $3, $4) ON CONFLICT (tenant) DO NOTHING",
                T::TABLE
            ),
            params![tenant, doc, now, read + 1],
        )
    } else {
        batch.execute(
            format!("UPDATE {} SET doc = $1, version = $2 WHERE tenant = $3 AND version = $4", T::TABLE),
            params![doc, read + 1, tenant, read],
        )
    };
    added.expect(1);
    batch.changed(T::TABLE, tenant.as_str(), "");
}
