//! A read replica, for lists: what this node has written shows there before the replica is asked for one.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use deadpool_postgres::Pool;
use tokio::time::{sleep, timeout};

use super::{Postgres, connect, errors, read};
use crate::{Error, Row, Sql, Value};

/// How long a list waits for the replica to hear of what this node wrote before. After that the primary answers.
const CATCHES_UP_WITHIN: Duration = Duration::from_millis(100);
const PAUSE: Duration = Duration::from_millis(4);
/// How long the replica may take for a list. After that the primary answers, too.
const PATIENCE: Duration = Duration::from_secs(4);
/// After it did not answer it is left alone for so long.
const REST: Duration = Duration::from_secs(5);

/// Where the log of the primary ends, in bytes.
const WRITTEN: &str = "SELECT CAST(pg_current_wal_insert_lsn() - '0/0' AS BIGINT)";
/// How far the replica has come in it. A primary has come nowhere.
const REPLAYED: &str = "SELECT CASE WHEN pg_is_in_recovery() THEN CAST(COALESCE(pg_last_wal_replay_lsn() - '0/0', 0) AS BIGINT) ELSE 0 END";

pub(super) struct Replica {
    pool: Pool,
    /// How many batches this node has committed.
    commits: AtomicU64,
    /// As many of them lie before `end`, or more.
    known: AtomicU64,
    /// Where the primary's log ended when it was last asked for.
    end: AtomicI64,
    /// How far the replica was when it was last asked.
    replayed: AtomicI64,
    began: Instant,
    /// Until when it is left alone, in milliseconds since `began`.
    rests_until: AtomicU64,
}

impl Replica {
    /// Nothing is connected yet: the program starts without it.
    pub fn new(url: &str) -> Result<Self, Error> {
        Ok(Self {
            pool: connect::pool(url)?,
            commits: AtomicU64::new(0),
            known: AtomicU64::new(0),
            end: AtomicI64::new(0),
            replayed: AtomicI64::new(0),
            began: Instant::now(),
            rests_until: AtomicU64::new(0),
        })
    }

    /// This node has written something.
    pub fn wrote(&self) {
        self.commits.fetch_add(1, Ordering::SeqCst);
    }

    pub fn close(&self) {
        self.pool.close();
    }

    /// The rows of a list, if the replica has them, and has them in time.
    pub async fn list(&self, primary: &Postgres, sql: &Sql, params: &[Value]) -> Option<Vec<Row>> {
        if self.millis() < self.rests_until.load(Ordering::Relaxed) {
            return None;
        }
        let end = self.end(primary).await?;
        match timeout(PATIENCE, self.ask(end, sql, params)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(cause)) => {
                self.rest(&cause.to_string());
                None
            }
            Err(_) => {
                self.rest("it does not answer");
                None
            }
        }
    }

    /// Where everything that this node has written lies before.
    async fn end(&self, primary: &Postgres) -> Option<i64> {
        let commits = self.commits.load(Ordering::SeqCst);
        if self.known.load(Ordering::SeqCst) < commits {
            let rows = primary.read(&WRITTEN.into(), &[]).await.ok()?;
            self.end.fetch_max(number(rows)?, Ordering::SeqCst);
            self.known.fetch_max(commits, Ordering::SeqCst);
        }
        Some(self.end.load(Ordering::SeqCst))
    }

    async fn ask(&self, end: i64, sql: &Sql, params: &[Value]) -> Result<Option<Vec<Row>>, Error> {
        let client = self.pool.get().await.map_err(|error| errors::of_pool(&error))?;
        let begun = Instant::now();
        while self.replayed.load(Ordering::SeqCst) < end {
            let replayed = number(read(&client, &REPLAYED.into(), &[]).await?).unwrap_or(0);
            self.replayed.fetch_max(replayed, Ordering::SeqCst);
            if replayed < end {
                if begun.elapsed() > CATCHES_UP_WITHIN {
                    return Ok(None);
                }
                sleep(PAUSE).await;
            }
        }
        read(&client, sql, params).await.map(Some)
    }

    fn rest(&self, cause: &str) {
        tracing::warn!(cause, "the replica does not answer; the primary does");
        let until = self.millis() + REST.as_millis() as u64;
        self.rests_until.store(until, Ordering::Relaxed);
    }

    fn millis(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }
}

fn number(rows: Vec<Row>) -> Option<i64> {
    rows.into_iter().next()?.take().ok()
}
