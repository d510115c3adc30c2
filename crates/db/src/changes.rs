//! Following the `changes` that other nodes have made.

use std::sync::Weak;
use std::time::Duration;

use crate::cache::Key;
use crate::{Batch, Db, Error, Shared, params};

/// How often the table is asked.
const INTERVAL: Duration = Duration::from_secs(1);
/// The most that is taken at a time.
const PAGE: i64 = 1000;
/// How many entries are kept: a node that is further behind drops its whole cache.
const KEPT: i64 = 10_000;

/// Polls until the database is closed or dropped.
pub(crate) async fn follow(shared: Weak<Shared>) {
    let mut position = None;
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(db) = shared.upgrade().map(Db) else { return };
        if db.is_closed() {
            return;
        }
        match poll(&db, position).await {
            Ok(now) => position = Some(now),
            Err(error) => tracing::warn!(%error, "changes of other nodes are not seen now"),
        }
    }
}

/// Applies what lies behind `position`, this node's own entries included, and answers the new position. Without a position, or when
/// entries behind it are gone already, it drops everything.
async fn poll(db: &Db, position: Option<i64>) -> Result<i64, Error> {
    let Some(mut position) = position else { return restart(db).await };
    loop {
        let rows = db
            .read(
                "SELECT seq, kind, tenant, id FROM changes WHERE seq > $1 ORDER BY seq LIMIT $2",
                params![position, PAGE],
            )
            .await?;
        let full = i64::try_from(rows.len()) == Ok(PAGE);
        let before = position;
        for mut row in rows {
            let seq: i64 = row.take()?;
            if seq != position + 1 {
                return restart(db).await;
            }
            let (kind, tenant, id): (String, String, String) = (row.take()?, row.take()?, row.take()?);
            db.0.cache.invalidate(&Key::new(&kind, &tenant, &id));
            position = seq;
        }
        if position / PAGE > before / PAGE {
            forget(db, position - KEPT).await?;
        }
        if !full {
            return Ok(position);
        }
    }
}

/// Reads the position first and drops everything then: whatever was loaded before is gone, whatever comes later is followed.
async fn restart(db: &Db) -> Result<i64, Error> {
    let row = db.read_one("SELECT seq FROM changes_counter", params![]).await?;
    let position = row.ok_or_else(|| Error::Failed("the changes have no counter".into()))?.take()?;
    db.0.cache.clear();
    Ok(position)
}

async fn forget(db: &Db, upto: i64) -> Result<(), Error> {
    let mut batch = Batch::new();
    batch.execute("DELETE FROM changes WHERE seq <= $1", params![upto]);
    db.commit(batch).await.map(|_| ())
}
