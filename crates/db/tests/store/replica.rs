//! A PostgreSQL primary and its standby: lists from the standby, and what happens when it takes the primary's place.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use db::testing::{Pair, Postgres};
use db::{Batch, Db, Error, params};
use tokio::task::JoinSet;

use crate::{MIGRATIONS, insert_user, take};

/// Whether a list comes from the standby.
async fn from_standby(db: &Db) -> bool {
    let rows = db.list("SELECT pg_is_in_recovery()", vec![]).await.unwrap();
    take::<bool>(rows)[0]
}

async fn users(db: &Db) -> i64 {
    take(db.list("SELECT COUNT(*) FROM users", vec![]).await.unwrap())[0]
}

async fn add(db: &Db, id: &str) {
    let mut batch = Batch::new();
    insert_user(&mut batch, id);
    db.commit(batch).await.unwrap();
}

async fn soon(mut holds: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < Duration::from_secs(20), "never");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_list_comes_from_the_replica_and_shows_what_was_written() {
    let pair = Pair::start().await;
    let [primary, standby] = pair.database().await;
    let db = Db::open_with(&primary, Some(&standby)).await.unwrap();
    db.migrate(&MIGRATIONS).await.unwrap();
    for count in 1..=50 {
        add(&db, &format!("user {count}")).await;
        assert_eq!(users(&db).await, count);
    }
    soon(async || from_standby(&db).await).await;

    // One that is behind is not asked: the list is neither old nor late.
    Postgres::execute(&standby, "SELECT pg_wal_replay_pause()").await;
    soon(async || {
        let state = Db::open(&standby).await.unwrap();
        let paused = state.read("SELECT pg_get_wal_replay_pause_state() = 'paused'", vec![]).await.unwrap();
        take::<bool>(paused)[0]
    })
    .await;
    let begun = Instant::now();
    add(&db, "late").await;
    assert_eq!((users(&db).await, from_standby(&db).await), (51, false));
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    Postgres::execute(&standby, "SELECT pg_wal_replay_resume()").await;
    soon(async || from_standby(&db).await).await;
    assert_eq!(users(&db).await, 51);
    let rows = db.read("SELECT pg_is_in_recovery()", vec![]).await.unwrap();
    assert!(!take::<bool>(rows)[0], "nothing but lists");
    db.close().await;
}

#[tokio::test]
async fn a_replica_that_is_away_is_not_missed() {
    let url = Postgres::database().await;
    let db = Db::open_with(&url, Some("postgres://doorward@127.0.0.1:1/none")).await.unwrap();
    db.migrate(&MIGRATIONS).await.unwrap();
    add(&db, "a").await;
    assert_eq!((users(&db).await, from_standby(&db).await), (1, false));
    let text = Db::open_with(&db::testing::sqlite(), Some(&url)).await.unwrap_err().to_string();
    assert_eq!(text, "SQLite has no replicas");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_acknowledged_outlives_a_primary() {
    let pair = Pair::start().await;
    let addresses = pair.database().await;
    let db = Db::open(&pair.either(&addresses)).await.unwrap();
    db.migrate(&MIGRATIONS).await.unwrap();
    let mut writers = JoinSet::new();
    let seen = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
    for writer in 0..8 {
        let (db, seen) = (db.clone(), seen.clone());
        writers.spawn(async move {
            let (mut written, mut refused) = (Vec::new(), 0);
            let begun = Instant::now();
            // Until one is written after others were not.
            for step in 0.. {
                let id = format!("{writer}-{step}");
                let mut batch = Batch::new();
                insert_user(&mut batch, &id);
                match db.commit(batch).await {
                    Ok(_) if refused > 0 => {
                        written.push(id);
                        break;
                    }
                    Ok(_) => {
                        written.push(id);
                        seen[0].fetch_add(1, Ordering::SeqCst);
                    }
                    Err(Error::Retry | Error::Unknown) => {
                        refused += 1;
                        seen[1].fetch_add(1, Ordering::SeqCst);
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                    Err(error) => panic!("{error:?}"),
                }
                assert!(begun.elapsed() < Duration::from_secs(60), "it does not come back");
            }
            written
        });
    }
    soon(async || seen[0].load(Ordering::SeqCst) > 50).await;
    pair.kill_primary();
    soon(async || seen[1].load(Ordering::SeqCst) > 0).await;
    pair.promote().await;
    for id in writers.join_all().await.concat() {
        let found = db.read("SELECT 1 FROM users WHERE id = $1", params![&id]).await.unwrap();
        assert_eq!(found.len(), 1, "{id} was acknowledged and is not there");
    }
    db.close().await;
}
