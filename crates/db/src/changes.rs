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
        if rows.is_empty() && counter(db).await? < position {
            // A primary that had not heard of the last changes has taken over.
            return restart(db).await;
        }
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
        forget_old(db, before, position).await?;
        if !full {
            return Ok(position);
        }
    }
}

/// Reads the position first and drops everything then: whatever was loaded before is gone, whatever comes later is followed.
async fn restart(db: &Db) -> Result<i64, Error> {
    let position = counter(db).await?;
    db.0.cache.clear();
    Ok(position)
}

/// The number of the last change.
async fn counter(db: &Db) -> Result<i64, Error> {
    let row = db.read_one("SELECT seq FROM changes_counter", params![]).await?;
    row.ok_or_else(|| Error::Failed("the changes have no counter".into()))?.take()
}

/// Deletes old entries, once every so many new ones.
async fn forget_old(db: &Db, before: i64, position: i64) -> Result<(), Error> {
    if position / PAGE == before / PAGE {
        return Ok(());
    }
    let mut batch = Batch::new();
    batch.execute("DELETE FROM changes WHERE seq <= $1", params![position - KEPT]);
    db.commit(batch).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A database with `count` changes, and the value 1 cached under `(kind, t, id)`.
    async fn changed(count: usize) -> Db {
        let db = Db::open(&crate::testing::sqlite()).await.unwrap();
        db.migrate(&[]).await.unwrap();
        for at in 0..count {
            let mut batch = Batch::new();
            batch.changed("other", "t", &at.to_string());
            db.commit(batch).await.unwrap();
        }
        assert_eq!(cached(&db, 1).await, 1);
        db
    }

    async fn cached(db: &Db, loaded: i64) -> i64 {
        *db.cached("kind", "t", "id", async { Ok(Some(loaded)) }).await.unwrap().unwrap()
    }

    /// As another node would write it.
    async fn changed_elsewhere(db: &Db) {
        let mut batch = Batch::new();
        batch.changed("kind", "t", "id");
        batch.log_changes();
        batch.changes.clear();
        db.commit(batch).await.unwrap();
    }

    #[tokio::test]
    async fn an_entry_is_dropped_once_when_it_is_behind_the_position() {
        let db = changed(3).await;
        assert_eq!(poll(&db, Some(3)).await.unwrap(), 3);
        assert_eq!(cached(&db, 2).await, 1);
        changed_elsewhere(&db).await;
        assert_eq!(poll(&db, Some(3)).await.unwrap(), 4);
        assert_eq!(cached(&db, 2).await, 2);
        assert_eq!(poll(&db, Some(4)).await.unwrap(), 4);
        assert_eq!(cached(&db, 3).await, 2);
    }

    /// A standby that had not heard of the last changes has taken its primary's place.
    #[tokio::test]
    async fn a_counter_that_went_back_drops_everything() {
        let db = changed(3).await;
        assert_eq!(poll(&db, Some(7)).await.unwrap(), 3);
        assert_eq!(cached(&db, 2).await, 2);
        changed_elsewhere(&db).await;
        assert_eq!(poll(&db, Some(3)).await.unwrap(), 4);
        assert_eq!(cached(&db, 3).await, 3);
    }

    #[tokio::test]
    async fn without_a_position_or_with_a_gap_everything_is_dropped() {
        let db = changed(3).await;
        assert_eq!(poll(&db, None).await.unwrap(), 3);
        assert_eq!(cached(&db, 2).await, 2);
        let mut batch = Batch::new();
        batch.execute("DELETE FROM changes WHERE seq < 3", params![]);
        db.commit(batch).await.unwrap();
        assert_eq!(poll(&db, Some(1)).await.unwrap(), 3);
        assert_eq!(cached(&db, 3).await, 3);
    }

    #[tokio::test]
    async fn old_entries_are_forgotten_now_and_then() {
        let db = changed(3).await;
        let seqs = async || {
            let rows = db.read("SELECT seq FROM changes ORDER BY seq", params![]).await.unwrap();
            rows.into_iter().map(|mut row| row.take::<i64>().unwrap()).collect::<Vec<_>>()
        };
        forget_old(&db, PAGE, PAGE + 1).await.unwrap();
        forget_old(&db, PAGE - 1, PAGE).await.unwrap();
        assert_eq!(seqs().await, [1, 2, 3]);
        let mut batch = Batch::new();
        batch.execute("UPDATE changes SET seq = seq + $1", params![PAGE]);
        db.commit(batch).await.unwrap();
        forget_old(&db, PAGE + KEPT + 1, PAGE + KEPT + 2).await.unwrap();
        assert_eq!(seqs().await, [PAGE + 1, PAGE + 2, PAGE + 3]);
        forget_old(&db, KEPT + 1, KEPT + PAGE + 2).await.unwrap();
        assert_eq!(seqs().await, [PAGE + 3]);
    }
}
