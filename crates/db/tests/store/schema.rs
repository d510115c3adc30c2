//! Migrations.

use db::{Batch, Db, Error, Migration, params, testing};

use crate::{Store, on_both};

on_both!(
    pending_migrations_run_once,
    an_edited_migration_is_refused,
    a_newer_database_is_refused,
    a_failing_migration_leaves_nothing,
    a_table_with_children_can_be_rebuilt,
);

const fn step(version: u32, sql: &'static str) -> Migration {
    Migration { version, name: "step", sqlite: sql, postgres: sql }
}

static ONE: [Migration; 2] =
    [crate::MIGRATIONS[0], step(2, "CREATE TABLE two (n BIGINT); INSERT INTO two VALUES (2);")];
static EDITED: [Migration; 2] = [ONE[0], step(2, "CREATE TABLE two (n BIGINT);")];
static MORE: [Migration; 3] = [ONE[0], ONE[1], step(5, "INSERT INTO two VALUES (5);")];
static FAILING: [Migration; 3] =
    [ONE[0], ONE[1], step(3, "INSERT INTO two VALUES (3); INSERT INTO nowhere VALUES (1);")];

async fn pending_migrations_run_once(store: Store) {
    for migrations in [&ONE[..], &ONE, &MORE, &MORE] {
        store.db.migrate(migrations).await.unwrap();
    }
    assert_eq!(store.one::<i64>("SELECT CAST(SUM(n) AS BIGINT) FROM two", vec![]).await, 7);
    assert_eq!(store.count("schema_migrations").await, 3);
}

async fn an_edited_migration_is_refused(store: Store) {
    store.db.migrate(&ONE).await.unwrap();
    let text = store.db.migrate(&EDITED).await.unwrap_err().to_string();
    assert_eq!(text, "migration 2 (step) was edited after it ran on this database");
    store.db.migrate(&ONE).await.unwrap();
}

async fn a_newer_database_is_refused(store: Store) {
    store.db.migrate(&MORE).await.unwrap();
    let text = store.db.migrate(&ONE).await.unwrap_err().to_string();
    assert!(text.contains("at version 5") && text.contains("up to 2"), "{text}");
}

async fn a_failing_migration_leaves_nothing(store: Store) {
    let text = store.db.migrate(&FAILING).await.unwrap_err().to_string();
    assert!(text.starts_with("migration 3 (step): "), "{text}");
    assert!(store.db.read("SELECT n FROM two", vec![]).await.is_err());
    assert_eq!(store.count("schema_migrations").await, 1);
    store.db.migrate(&MORE).await.unwrap();
}

const REBUILD: &str = "
    CREATE TABLE new_users (tenant TEXT NOT NULL, id TEXT NOT NULL, logins BIGINT NOT NULL, PRIMARY KEY (tenant, id));
    INSERT INTO new_users SELECT tenant, id, logins FROM users;
    DROP TABLE users;
    ALTER TABLE new_users RENAME TO users;
";
static REBUILT: [Migration; 2] = [
    ONE[0],
    Migration { version: 2, name: "rebuild", sqlite: REBUILD, postgres: "ALTER TABLE users DROP COLUMN doc" },
];
static ORPHANING: [Migration; 3] = [
    REBUILT[0],
    REBUILT[1],
    Migration { version: 3, name: "orphan", sqlite: "DELETE FROM users", postgres: "DELETE FROM users" },
];

async fn a_table_with_children_can_be_rebuilt(store: Store) {
    let mut batch = Batch::new();
    crate::insert_user(&mut batch, "a");
    crate::insert_token(&mut batch, "a1", "a");
    store.db.commit(batch).await.unwrap();
    store.db.migrate(&REBUILT).await.unwrap();
    assert_eq!((store.count("users").await, store.count("tokens").await), (1, 1));
    assert!(store.db.migrate(&ORPHANING).await.is_err());
    assert_eq!(store.count("users").await, 1);
    // Foreign keys are on again.
    let mut batch = Batch::new();
    batch.execute("DELETE FROM users", params![]);
    assert!(matches!(store.db.commit(batch).await, Err(Error::ForeignKey)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nodes_may_start_together() {
    let url = testing::Postgres::database().await;
    let mut nodes = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let url = url.clone();
        nodes.spawn(async move {
            let db = Db::open(&url).await.unwrap();
            db.migrate(&MORE).await.unwrap();
        });
    }
    nodes.join_all().await;
    let store = Store { db: Db::open(&url).await.unwrap(), url };
    assert_eq!(store.count("two").await, 2);
}
