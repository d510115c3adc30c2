//! Whom a tenant names as its administrators: addresses that are told of what happened to the tenant. Who administers it holds a token of
//! the Management API, which has no address; so none is known until it is named.

use std::sync::Arc;

use db::{Batch, params};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::Model;
use crate::clock::Timestamp;
use crate::ids::TenantId;
use crate::mail::{self, Kind, Letter};
use crate::tenant_documents::{self, TenantDocument};

/// The addresses: the body of `GET /api/v2/doorward/administrators`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Administrators {
    /// Where letters go. Nobody is told of anything where it is empty.
    pub emails: Vec<String>,
    /// The row's version; 0 when there is none.
    #[serde(skip)]
    pub version: i64,
}

impl TenantDocument for Administrators {
    const TABLE: &'static str = "administrators";

    fn version(&self) -> i64 {
        self.version
    }

    fn at(self, version: i64) -> Self {
        Self { version, ..self }
    }
}

/// The tenant's administrators. Cached.
pub async fn find(app: &Model, tenant: &TenantId) -> Result<Arc<Administrators>, db::Error> {
    tenant_documents::find(app, tenant).await
}

/// The tenant's administrators as they stand in the database: what a change begins with.
pub async fn load(app: &Model, tenant: &TenantId) -> Result<Administrators, db::Error> {
    tenant_documents::load(app, tenant).await
}

/// Writes changed administrators, if nobody else has since they were read.
pub fn save(batch: &mut Batch, tenant: &TenantId, administrators: &mut Administrators, now: Timestamp) {
    tenant_documents::save(batch, tenant, administrators, now);
}

/// Queues a letter to each of the administrators, in the batch of what it tells of.
pub fn queue(
    batch: &mut Batch,
    app: &Model,
    tenant: &TenantId,
    administrators: &Administrators,
    kind: Kind,
    variables: &Map<String, Value>,
) {
    for email in &administrators.emails {
        let mut letter = Letter::new(kind, email);
        letter.variables.clone_from(variables);
        mail::queue(batch, app, tenant, letter);
    }
}

/// Tells the administrators what happened, unless they were told the like, which is `about`, within so many seconds. Of two nodes
/// one does.
pub async fn tell(
    app: &Model,
    tenant: &TenantId,
    (about, seconds): (&str, i64),
    kind: Kind,
    variables: &Map<String, Value>,
) -> Result<(), db::Error> {
    let administrators = find(app, tenant).await?;
    if administrators.emails.is_empty() {
        return Ok(());
    }
    let now = app.clock.now();
    let before = now.plus_seconds(-seconds);
    // Most of a flood ends here, at a read.
    let sql = "SELECT 1 FROM administrator_notices WHERE tenant = $1 AND about = $2 AND told_at > $3";
    if app.db.read_one(sql, params![tenant, about, before]).await?.is_some() {
        return Ok(());
    }
    let mut batch = Batch::new();
    batch
        .execute(
            "INSERT INTO administrator_notices (tenant, about, told_at) VALUES ($1, $2, $3)
             ON CONFLICT (tenant, about) DO UPDATE SET told_at = excluded.told_at
             WHERE administrator_notices.told_at <= $4",
            params![tenant, about, now, before],
        )
        .expect(1);
    queue(&mut batch, app, tenant, &administrators, kind, variables);
    match app.db.commit(batch).await {
        // Another request told them.
        Ok(_) | Err(db::Error::Conflict { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestModel;

    #[tokio::test]
    async fn the_like_is_told_once_in_its_time_to_everybody_who_is_named() {
        for app in TestModel::each().await {
            let tell_twice = async || {
                for about in ["one", "two"] {
                    for _ in 0..2 {
                        tell(&app, &app.tenant, (about, 60), Kind::AttackNoticed, &Map::new()).await.unwrap();
                    }
                }
                mail::newest(&app, &app.tenant, 100).await.unwrap().len()
            };
            assert_eq!(tell_twice().await, 0, "nobody is named");
            let mut named = load(&app, &app.tenant).await.unwrap();
            named.emails = vec!["a@acme.test".into(), "b@acme.test".into()];
            let mut batch = Batch::new();
            save(&mut batch, &app.tenant, &mut named, app.clock.now());
            app.db.commit(batch).await.unwrap();
            assert_eq!(tell_twice().await, 4);
            app.clock.advance(59);
            assert_eq!(tell_twice().await, 4);
            app.clock.advance(1);
            assert_eq!(tell_twice().await, 8);
        }
    }
}
