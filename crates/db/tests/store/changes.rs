//! The configuration cache, on one node and between nodes.

use std::sync::Arc;

use db::{Batch, Db, Error, params, testing};
use tokio::task::JoinSet;

use crate::{MIGRATIONS, Store, take};

crate::on_both!(
    a_change_drops_the_cached_value,
    only_a_committed_change_counts,
    a_value_loaded_before_a_change_is_not_kept_after_it,
    changes_are_numbered_without_gaps,
    changes_do_not_show_in_the_outcome,
);

/// `logins` of the user `a`, as a configuration that is cached.
async fn cached(db: &Db) -> Option<i64> {
    let value: Result<Option<Arc<i64>>, Error> = db.cached("logins", "t", "a", load(db)).await;
    value.unwrap().as_deref().copied()
}

async fn load(db: &Db) -> Result<Option<i64>, Error> {
    let row = db.read_one("SELECT logins FROM users WHERE id = 'a'", vec![]).await?;
    row.map(|mut row| row.take()).transpose()
}

fn change(logins: i64) -> Batch {
    let mut batch = Batch::new();
    batch.execute("UPDATE users SET logins = $1 WHERE id = 'a'", params![logins]).expect(1);
    batch.changed("logins", "t", "a");
    batch
}

async fn a_change_drops_the_cached_value(store: Store) {
    assert_eq!(cached(&store.db).await, None);
    store.add_user("a").await;
    assert_eq!(cached(&store.db).await, None);
    for logins in 1..20 {
        store.db.commit(change(logins)).await.unwrap();
        assert_eq!(cached(&store.db).await, Some(logins));
        let mut untold = Batch::new();
        untold.execute("UPDATE users SET logins = 99", params![]);
        store.db.commit(untold).await.unwrap();
        assert_eq!(cached(&store.db).await, Some(logins));
    }
}

async fn only_a_committed_change_counts(store: Store) {
    store.add_user("a").await;
    cached(&store.db).await;
    let mut batch = change(5);
    batch.execute("UPDATE users SET logins = 6 WHERE id = 'nobody'", params![]).expect(1);
    assert!(matches!(store.db.commit(batch).await, Err(Error::Conflict { statement: 1, .. })));
    assert_eq!(store.count("changes").await, 0);
    assert_eq!(store.one::<i64>("SELECT seq FROM changes_counter", vec![]).await, 0);
}

async fn a_value_loaded_before_a_change_is_not_kept_after_it(store: Store) {
    store.add_user("a").await;
    let stale = store.db.cached("logins", "t", "a", async {
        let old = load(&store.db).await;
        store.db.commit(change(1)).await.unwrap();
        old
    });
    assert_eq!(stale.await.unwrap().as_deref(), Some(&0));
    assert_eq!(cached(&store.db).await, Some(1));
}

async fn changes_are_numbered_without_gaps(store: Store) {
    store.add_user("a").await;
    for batch in [change(1), change(2)] {
        store.db.commit(batch).await.unwrap();
    }
    let mut three = Batch::new();
    for id in ["x", "y", "x", "z"] {
        three.changed("kind", "t", id);
    }
    assert!(!three.is_empty());
    store.db.commit(three).await.unwrap();
    let logged = store.db.read("SELECT id FROM changes ORDER BY seq", vec![]).await.unwrap();
    assert_eq!(take::<String>(logged), ["a", "a", "x", "y", "z"]);
    let numbers = store.db.read("SELECT seq FROM changes ORDER BY seq", vec![]).await.unwrap();
    assert_eq!(take::<i64>(numbers), [1, 2, 3, 4, 5]);
}

async fn changes_do_not_show_in_the_outcome(store: Store) {
    store.add_user("a").await;
    let outcome = store.db.commit(change(1)).await.unwrap();
    assert_eq!((outcome.affected.len(), outcome.rows.len()), (1, 1));
}

/// Two nodes on one database.
async fn two_nodes() -> (Store, Db) {
    let store = Store::postgres().await;
    let other = Db::open(&store.url).await.unwrap();
    other.migrate(&MIGRATIONS).await.unwrap();
    (store, other)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_node_learns_what_another_has_changed() {
    let (store, other) = two_nodes().await;
    store.add_user("a").await;
    let following = other.follow_changes();
    assert_eq!(cached(&other).await, Some(0));
    store.db.commit(change(7)).await.unwrap();
    while cached(&other).await != Some(7) {
        tokio::task::yield_now().await;
    }
    other.close().await;
    following.await.unwrap();
}

/// Whoever reads on from the last number it has seen misses nothing, though many commit at once from two nodes.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_numbers_follow_the_order_of_the_commits() {
    let (store, other) = two_nodes().await;
    let mut writers = JoinSet::new();
    for writer in 0..16 {
        let db = if writer % 2 == 0 { store.db.clone() } else { other.clone() };
        writers.spawn(async move {
            for step in 0..25 {
                let mut batch = Batch::new();
                batch.changed("kind", "t", &format!("{writer} {step}"));
                batch.changed("kind", "u", &format!("{writer} {step}"));
                db.commit(batch).await.unwrap();
            }
        });
    }
    let mut seen = 0;
    while seen < 16 * 25 * 2 {
        let sql = "SELECT seq FROM changes WHERE seq > $1 ORDER BY seq";
        for number in take::<i64>(store.db.read(sql, params![seen]).await.unwrap()) {
            seen += 1;
            assert_eq!(number, seen, "a number is missing or came late");
        }
    }
    writers.join_all().await;
    assert_eq!(store.count("changes").await, seen);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn following_ends_when_the_database_is_dropped() {
    let db = Db::open(&testing::sqlite()).await.unwrap();
    db.migrate(&MIGRATIONS).await.unwrap();
    let following = db.follow_changes();
    drop(db);
    following.await.unwrap();
}
