//! The store conformance suite: every rule of the interface, on both engines.

#![allow(clippy::unwrap_used, missing_docs)]

mod batches;
mod changes;
mod contents;
mod crashes;
mod lifecycle;
mod postgres_only;
mod races;
mod reads;
mod replica;
mod schema;

use db::{Db, Migration, Row, Value, params, testing};

/// Runs each test on both engines, as `…::sqlite::NAME` and `…::postgres::NAME`.
#[macro_export]
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                super::$name($crate::Store::sqlite().await).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                super::$name($crate::Store::postgres().await).await;
            })*
        }
    };
}

/// One of each kind of column, a few unique rules, and a parent with children.
const TABLES: &str = "
    CREATE TABLE users (
        tenant TEXT NOT NULL,
        id TEXT NOT NULL,
        email TEXT,
        phone TEXT,
        logins BIGINT NOT NULL,
        version BIGINT NOT NULL,
        blocked BOOLEAN,
        score DOUBLE PRECISION,
        picture BYTEA,
        doc JSON,
        PRIMARY KEY (tenant, id),
        CHECK (version > 0)
    );
    CREATE UNIQUE INDEX users_by_email ON users (tenant, email);
    CREATE UNIQUE INDEX users_by_phone ON users (phone) WHERE phone IS NOT NULL;
    CREATE TABLE tokens (
        tenant TEXT NOT NULL,
        id TEXT NOT NULL PRIMARY KEY,
        owner TEXT NOT NULL,
        spent_at BIGINT,
        FOREIGN KEY (tenant, owner) REFERENCES users (tenant, id)
    );
    CREATE UNIQUE INDEX tokens_folded ON tokens (lower(id));
";

pub static MIGRATIONS: [Migration; 1] =
    [Migration { version: 1, name: "tables", sqlite: TABLES, postgres: TABLES }];

/// A database of a test's own.
pub struct Store {
    pub url: String,
    pub db: Db,
}

impl Store {
    pub async fn sqlite() -> Self {
        Self::migrated(testing::sqlite()).await
    }

    pub async fn postgres() -> Self {
        Self::migrated(testing::Postgres::database().await).await
    }

    async fn migrated(url: String) -> Self {
        let db = Db::open(&url).await.unwrap();
        db.migrate(&MIGRATIONS).await.unwrap();
        Self { url, db }
    }

    /// A user of the tenant `t`, whose e-mail is the id.
    pub async fn add_user(&self, id: &str) {
        let mut batch = db::Batch::new();
        insert_user(&mut batch, id);
        self.db.commit(batch).await.unwrap();
    }

    /// A single value.
    pub async fn one<T: db::FromValue>(&self, sql: &'static str, params: Vec<Value>) -> T {
        self.db.read_one(sql, params).await.unwrap().unwrap().take().unwrap()
    }

    pub async fn count(&self, table: &str) -> i64 {
        let sql = format!("SELECT COUNT(*) FROM {table}");
        self.db.read_one(sql, vec![]).await.unwrap().unwrap().take().unwrap()
    }
}

pub fn insert_user(batch: &mut db::Batch, id: &str) {
    batch
        .execute(
            "INSERT INTO users (tenant, id, email, logins, version) VALUES ($1, $2, $2, 0, 1)",
            params!["t", id],
        )
        .expect(1);
}

pub fn insert_token(batch: &mut db::Batch, id: &str, owner: &str) {
    batch
        .execute("INSERT INTO tokens (tenant, id, owner) VALUES ($1, $2, $3)", params!["t", id, owner])
        .expect(1);
}

pub fn take<T: db::FromValue>(rows: Vec<Row>) -> Vec<T> {
    rows.into_iter().map(|mut row| row.take().unwrap()).collect()
}
