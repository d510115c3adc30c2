//! The only crate that names a database driver: reads, optimistic batches, the SQLite writer thread,
//! the PostgreSQL pool, the configuration cache and migrations.

pub mod backup;
mod batch;
mod cache;
mod changes;
mod contents;
mod error;
mod health;
mod migrations;
mod postgres;
mod retry;
mod spans;
mod sqlite;
mod stats;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod value;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

pub use batch::{Added, Batch, MOST_STATEMENTS, Outcome, Sql};
pub use contents::{Contents, total};
pub use error::{AsError, Error};
pub use health::Health;
pub use migrations::Migration;
pub use stats::{GROUP_SIZES, Pool, Stats};
pub use tokio::task::JoinHandle;
pub use value::{FromValue, Row, Value};

use cache::{Cache, Key};
use postgres::Postgres;
use spans::Asked;
use sqlite::Sqlite;
use stats::Tally;

/// A database. Clones are handles to the same one.
#[derive(Clone)]
pub struct Db(Arc<Shared>);

struct Shared {
    engine: Engine,
    cache: Arc<Cache>,
    tally: Arc<Tally>,
    closed: AtomicBool,
    #[cfg(any(test, feature = "testing"))]
    noted: testing::Noted,
}

/// What waits for PostgreSQL is boxed: it is large, and every future that holds it would be moved about with it.
enum Engine {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

impl Db {
    /// Opens `sqlite:PATH`, which is created when missing and then belongs to this process alone, or `postgres://…`.
    ///
    /// A PostgreSQL address takes the usual parameters, and of ours `pool_size` (16 unless told). Errors: `Failed`.
    pub async fn open(url: &str) -> Result<Self, Error> {
        Self::open_with(url, None).await
    }

    /// The same with a read replica of a PostgreSQL database, which [`list`](Self::list) asks. It may be away.
    pub async fn open_with(url: &str, replica: Option<&str>) -> Result<Self, Error> {
        let (cache, tally) = (Arc::new(Cache::new()), Arc::new(Tally::default()));
        let engine = match url.split_once(':') {
            Some(("sqlite", _)) if replica.is_some() => {
                return Err(Error::Failed("SQLite has no replicas".into()));
            }
            Some(("sqlite", path)) if !path.is_empty() && path != ":memory:" => {
                Engine::Sqlite(Sqlite::open(path, cache.clone(), tally.clone()).await?)
            }
            Some(("postgres" | "postgresql", _)) => {
                Engine::Postgres(Postgres::open(url, replica, cache.clone()).await?)
            }
            _ => return Err(Error::Failed("a database is named sqlite:PATH or postgres://…".into())),
        };
        Ok(Self(Arc::new(Shared {
            engine,
            cache,
            tally,
            closed: AtomicBool::new(false),
            #[cfg(any(test, feature = "testing"))]
            noted: testing::Noted::default(),
        })))
    }

    /// Brings the schema up to date: all pending migrations or none. Nodes may start at the same time.
    ///
    /// Errors: `Failed` when a migration that ran was edited since, or when the database is newer than this program.
    pub async fn migrate(&self, migrations: &'static [Migration]) -> Result<(), Error> {
        match &self.0.engine {
            Engine::Sqlite(sqlite) => sqlite.migrate(migrations).await,
            Engine::Postgres(postgres) => postgres.migrate(migrations).await,
        }
    }

    /// Runs a `SELECT` by key, or one with a bound: on SQLite it runs right here. Errors: `Retry`, `Failed`.
    pub async fn read(&self, sql: impl Into<Sql>, params: Vec<Value>) -> Result<Vec<Row>, Error> {
        let sql = sql.into();
        batch::check_query(&sql, &params)?;
        self.note([&sql]);
        let asked = Asked::query(&self.0.engine, "read", &sql);
        match &self.0.engine {
            Engine::Sqlite(sqlite) => asked.here(|| sqlite.read(&sql, &params)),
            Engine::Postgres(postgres) => asked.wait(Box::pin(postgres.read(&sql, &params))).await,
        }
    }

    /// The first row of a `SELECT`, if there is one.
    pub async fn read_one(&self, sql: impl Into<Sql>, params: Vec<Value>) -> Result<Option<Row>, Error> {
        Ok(self.read(sql, params).await?.into_iter().next())
    }

    /// A `SELECT` that may take long: it keeps no worker from its other tasks.
    pub async fn scan(&self, sql: impl Into<Sql>, params: Vec<Value>) -> Result<Vec<Row>, Error> {
        let sql = sql.into();
        batch::check_query(&sql, &params)?;
        self.note([&sql]);
        let asked = Asked::query(&self.0.engine, "scan", &sql);
        match &self.0.engine {
            Engine::Sqlite(sqlite) => asked.wait(sqlite.scan(sql, params)).await,
            Engine::Postgres(postgres) => asked.wait(Box::pin(postgres.read(&sql, &params))).await,
        }
    }

    /// As [`scan`](Self::scan), for lists that need not show what other nodes wrote at this very moment: a replica answers, if there is
    /// one and if it has come as far as what this node wrote.
    pub async fn list(&self, sql: impl Into<Sql>, params: Vec<Value>) -> Result<Vec<Row>, Error> {
        let sql = sql.into();
        match &self.0.engine {
            Engine::Sqlite(_) => self.scan(sql, params).await,
            Engine::Postgres(postgres) => {
                batch::check_query(&sql, &params)?;
                self.note([&sql]);
                let asked = Asked::query(&self.0.engine, "list", &sql);
                asked.wait(Box::pin(postgres.list(&sql, &params))).await
            }
        }
    }

    /// Several queries that see one moment, in one round trip. Answers in their order.
    pub async fn snapshot(&self, queries: Vec<(Sql, Vec<Value>)>) -> Result<Vec<Vec<Row>>, Error> {
        queries.iter().try_for_each(|(sql, params)| batch::check_query(sql, params))?;
        self.note(queries.iter().map(|(sql, _)| sql));
        let asked = Asked::several(&self.0.engine, "snapshot", queries.iter().map(|(sql, _)| sql));
        match &self.0.engine {
            Engine::Sqlite(sqlite) => asked.here(|| sqlite.snapshot(&queries)),
            Engine::Postgres(postgres) => asked.wait(Box::pin(postgres.snapshot(&queries))).await,
        }
    }

    /// Writes the whole batch or nothing of it. Once polled it may run to its end though the future is dropped.
    pub async fn commit(&self, mut batch: Batch) -> Result<Outcome, Error> {
        batch.check()?;
        if batch.is_empty() {
            return Ok(Outcome::default());
        }
        self.0.tally.batch();
        let own = batch.statements.len();
        batch.log_changes();
        self.note(batch.statements.iter().map(|statement| &statement.sql));
        let statements = batch.statements.iter().map(|statement| &statement.sql);
        let asked = Asked::several(&self.0.engine, "commit", statements);
        let mut outcome = match &self.0.engine {
            Engine::Sqlite(sqlite) => asked.wait(sqlite.commit(batch)).await?,
            Engine::Postgres(postgres) => asked.wait(Box::pin(postgres.commit(batch))).await?,
        };
        outcome.affected.truncate(own);
        outcome.rows.truncate(own);
        Ok(outcome)
    }

    /// Decides, commits, and decides anew on `Conflict` or `Retry`, also when a read inside `decide` met it: at most 20 times, with
    /// growing random pauses. `decide` reads what it needs each time it is called, and has no effects but its batch.
    pub async fn retry<T, E, F>(&self, mut decide: impl FnMut() -> F) -> Result<T, E>
    where
        E: From<Error> + AsError,
        F: Future<Output = Result<(Batch, T), E>>,
    {
        let started = Instant::now();
        for attempt in 1.. {
            let error = match decide().await {
                Ok((batch, value)) => match self.commit(batch).await {
                    Ok(_) => return Ok(value),
                    Err(error) => E::from(error),
                },
                Err(error) => error,
            };
            let again = error.as_error().is_some_and(Error::may_retry);
            if !again || attempt == retry::ATTEMPTS || started.elapsed() > retry::LONGEST {
                return Err(error);
            }
            tokio::time::sleep(retry::pause(attempt)).await;
        }
        Err(E::from(Error::Retry))
    }

    /// The configuration `(kind, tenant, id)`, or what `load` finds. It is kept for at most 60 seconds, the knowledge that there is
    /// none for 5; a batch that says [`changed`](Batch::changed) drops it, and a value loaded before that is never kept after it.
    /// One `kind` has one type, or the answer is `Failed`. What is named by more than a KiB is loaded each time.
    pub async fn cached<T: Send + Sync + 'static>(
        &self,
        kind: &'static str,
        tenant: &str,
        id: &str,
        load: impl Future<Output = Result<Option<T>, Error>>,
    ) -> Result<Option<Arc<T>>, Error> {
        self.0.cache.get(Key::new(kind, tenant, id), load).await
    }

    /// How often this node dropped something from its cache. What is made of cached values alone, after this was read, is as good as the
    /// cache for as long as it is the same; what only ages is not counted, so that its own life has to be bounded too.
    pub fn cache_drops(&self) -> u64 {
        self.0.cache.drops()
    }

    /// What the database has done since it was opened, and what waits for it now.
    pub fn stats(&self) -> Stats {
        let mut stats = Stats::default();
        self.0.tally.read(&mut stats);
        self.0.cache.read(&mut stats);
        match &self.0.engine {
            Engine::Sqlite(sqlite) => stats.waiting = sqlite.waiting(),
            Engine::Postgres(postgres) => postgres.read_pool(&mut stats),
        }
        stats
    }

    /// Drops from the cache what other nodes change, within about a second, until the database is closed or dropped.
    pub fn follow_changes(&self) -> JoinHandle<()> {
        tokio::spawn(changes::follow(Arc::downgrade(&self.0)))
    }

    /// Sets what is done when the embedded database cannot go on and what it wrote last is not known: an I/O error, or a panic of the
    /// writer. Unless told, the process ends with status 70; a hook has to end it too, since nothing can be written any more.
    pub fn on_broken(&self, hook: impl Fn(&str) + Send + Sync + 'static) {
        if let Engine::Sqlite(sqlite) = &self.0.engine {
            sqlite.on_broken(Arc::new(hook));
        }
    }

    /// Finishes what is being written and closes. Whatever comes later is `Failed`.
    pub async fn close(&self) {
        self.0.closed.store(true, Ordering::Relaxed);
        match &self.0.engine {
            Engine::Sqlite(sqlite) => sqlite.close().await,
            Engine::Postgres(postgres) => postgres.close().await,
        }
    }

    fn is_closed(&self) -> bool {
        self.0.closed.load(Ordering::Relaxed)
    }

    /// Shows the tests which statements are about to run.
    #[cfg(any(test, feature = "testing"))]
    fn note<'a>(&self, statements: impl IntoIterator<Item = &'a Sql>) {
        self.0.noted.add(statements);
    }

    #[cfg(not(any(test, feature = "testing")))]
    fn note<'a>(&self, _: impl IntoIterator<Item = &'a Sql>) {}
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match &self.0.engine {
            Engine::Sqlite(_) => "Db(SQLite)",
            Engine::Postgres(_) => "Db(PostgreSQL)",
        })
    }
}
