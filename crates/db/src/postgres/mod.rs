//! PostgreSQL: a pool, prepared statements, and batches in two round trips.

mod commit;
mod connect;
mod errors;
mod migrate;
mod replica;
mod values;

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use deadpool_postgres::{Client, Pool};
use futures_util::TryStreamExt;
use futures_util::future::{MaybeDone, maybe_done};
use tokio::sync::RwLock;
use tokio::time::timeout;
use tokio_postgres::Statement;

use self::replica::Replica;
use self::values::{Column, Param};
use crate::cache::Cache;
use crate::stats::{self, Stats};
use crate::{Batch, Error, Migration, Outcome, Row, Sql, Value};

/// How often a read is tried: a connection may have been cut, or a plan outdated, since it was last used.
const READS: usize = 2;
/// How long the server may take for an answer: more than it waits for a lock. Who does not answer may be gone without a word.
const PATIENCE: Duration = Duration::from_secs(8);

pub(crate) struct Postgres {
    pool: Pool,
    cache: Arc<Cache>,
    /// Held for reading by every commit: closing waits for them.
    committing: Arc<RwLock<()>>,
    replica: Option<Arc<Replica>>,
}

impl Postgres {
    /// Connects, and checks that the database sorts and stores text as SQLite does.
    pub async fn open(url: &str, replica: Option<&str>, cache: Arc<Cache>) -> Result<Self, Error> {
        let replica = replica.map(Replica::new).transpose()?.map(Arc::new);
        let this = Self { pool: connect::pool(url)?, cache, committing: Arc::default(), replica };
        let client = this.pool.get().await.map_err(|error| {
            Error::Failed(format!("cannot connect to the database: {}", errors::chain(&error)))
        })?;
        let fits = "SELECT 'Z' < 'a' AND 'z' < 'é' AND getdatabaseencoding() = 'UTF8'";
        let fits: bool = client
            .query_one(fits, &[])
            .await
            .and_then(|row| row.try_get(0))
            .map_err(|error| errors::error(&error, fits))?;
        if !fits {
            return Err(Error::Failed(
                "the database's collation is not C, or its encoding not UTF8: make it with \
                 CREATE DATABASE … ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
                    .into(),
            ));
        }
        Ok(this)
    }

    pub async fn migrate(&self, migrations: &'static [Migration]) -> Result<(), Error> {
        migrate::migrate(self.client().await?, migrations).await
    }

    pub async fn read(&self, sql: &Sql, params: &[Value]) -> Result<Vec<Row>, Error> {
        let begun = Instant::now();
        for _ in 1..READS {
            match self.read_once(sql, params).await {
                Err(Error::Retry) if begun.elapsed() < PATIENCE => {}
                answer => return answer,
            }
        }
        self.read_once(sql, params).await
    }

    async fn read_once(&self, sql: &Sql, params: &[Value]) -> Result<Vec<Row>, Error> {
        let client = self.client().await?;
        match timeout(PATIENCE, read(&client, sql, params)).await {
            Ok(Err(Error::Retry)) => Err(left(client)),
            Ok(answer) => answer,
            Err(_) => Err(silent(client)),
        }
    }

    /// From the replica where there is one; else, and whenever it is behind or away, from the primary.
    pub async fn list(&self, sql: &Sql, params: &[Value]) -> Result<Vec<Row>, Error> {
        if let Some(replica) = &self.replica
            && let Some(rows) = replica.list(self, sql, params).await
        {
            return Ok(rows);
        }
        self.read(sql, params).await
    }

    pub async fn snapshot(&self, queries: &[(Sql, Vec<Value>)]) -> Result<Vec<Vec<Row>>, Error> {
        let begun = Instant::now();
        for _ in 1..READS {
            match self.snapshot_once(queries).await {
                Err(Error::Retry) if begun.elapsed() < PATIENCE => {}
                answer => return answer,
            }
        }
        self.snapshot_once(queries).await
    }

    /// A connection that does not answer in time is closed with its transaction.
    async fn snapshot_once(&self, queries: &[(Sql, Vec<Value>)]) -> Result<Vec<Vec<Row>>, Error> {
        timeout(PATIENCE, snapshot(self.client().await?, queries)).await.unwrap_or(Err(Error::Retry))
    }

    /// Commits in a task of its own: it runs to its end though the caller goes away.
    pub async fn commit(&self, batch: Batch) -> Result<Outcome, Error> {
        let (pool, cache, replica) = (self.pool.clone(), self.cache.clone(), self.replica.clone());
        let committing = self.committing.clone().read_owned().await;
        let task = tokio::spawn(async move {
            let _committing = committing;
            let client = pool.get().await.map_err(|error| errors::of_pool(&error))?;
            let result = commit::commit(client, &batch.statements).await;
            if matches!(result, Ok(_) | Err(Error::Unknown)) {
                if let Some(replica) = replica {
                    replica.wrote();
                }
                batch.changes.iter().for_each(|key| cache.invalidate(key));
            }
            result
        });
        task.await.unwrap_or(Err(Error::Unknown))
    }

    pub fn read_pool(&self, stats: &mut Stats) {
        let status = self.pool.status();
        let used = status.size.saturating_sub(status.available);
        stats.pool = Some(stats::Pool {
            used: used as u64,
            idle: status.available as u64,
            most: status.max_size as u64,
        });
        stats.waiting = status.waiting as u64;
    }

    pub async fn close(&self) {
        let _none = self.committing.write().await;
        self.pool.close();
        if let Some(replica) = &self.replica {
            replica.close();
        }
    }

    /// Runs statements that are not ours to prepare: for tests, which make databases.
    #[cfg(any(test, feature = "testing"))]
    pub async fn execute_script(url: &str, script: &str) -> Result<(), Error> {
        let client = connect::pool(url)?.get().await.map_err(|error| errors::of_pool(&error))?;
        client.batch_execute(script).await.map_err(|error| errors::error(&error, script))
    }

    /// Has statistics gathered of a table, so that whatever refers to it is checked by its key: while there are none, any index that
    /// begins with the tenant seems as good, and finds all that the tenant has.
    pub async fn analyze(&self, table: &str) -> Result<(), Error> {
        let sql = format!("ANALYZE {table}");
        self.client().await?.batch_execute(&sql).await.map_err(|error| errors::error(&error, &sql))
    }

    async fn client(&self) -> Result<Client, Error> {
        self.pool.get().await.map_err(|error| errors::of_pool(&error))
    }
}

/// A connection on which something failed that may succeed on another: it is closed, never pooled. The server may be a former primary.
fn left(client: Client) -> Error {
    drop(Client::take(client));
    Error::Retry
}

/// A connection that did not answer in time: it is closed, never pooled.
fn silent(client: Client) -> Error {
    tracing::warn!("the database does not answer");
    drop(Client::take(client));
    Error::Retry
}

async fn read(client: &Client, sql: &Sql, params: &[Value]) -> Result<Vec<Row>, Error> {
    let statement = prepare(client, sql, "", params).await?;
    run(client, &statement, params).await.map(|(rows, _)| rows).map_err(|error| failed(client, &error, sql))
}

/// `BEGIN`, the queries and `COMMIT` in one round trip.
async fn snapshot(client: Client, queries: &[(Sql, Vec<Value>)]) -> Result<Vec<Vec<Row>>, Error> {
    let mut statements = Vec::with_capacity(queries.len());
    for (sql, params) in queries {
        statements.push(prepare(&client, sql, "", params).await?);
    }
    let transaction = Transaction::new(client);
    let found = ask(transaction.client(), queries, &statements).await?;
    transaction.ended();
    found
}

/// The outer error leaves it open whether the transaction has ended.
async fn ask(
    client: &Client,
    queries: &[(Sql, Vec<Value>)],
    statements: &[Statement],
) -> Result<Result<Vec<Vec<Row>>, Error>, Error> {
    let mut begin = pin!(maybe_done(client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")));
    send(begin.as_mut()).await;
    let mut answers = Vec::with_capacity(queries.len());
    for ((_, params), statement) in queries.iter().zip(statements) {
        let mut answer = Box::pin(maybe_done(run(client, statement, params)));
        send(answer.as_mut()).await;
        answers.push(answer);
    }
    let mut commit = pin!(maybe_done(client.batch_execute("COMMIT")));
    send(commit.as_mut()).await;

    finished(begin.as_mut()).await.map_err(|error| failed(client, &error, "BEGIN"))?;
    let mut found = Ok(Vec::with_capacity(queries.len()));
    for (mut answer, (sql, _)) in answers.into_iter().zip(queries) {
        let answer = finished(answer.as_mut()).await;
        if let Ok(rows) = &mut found {
            match answer {
                Ok((of_one, _)) => rows.push(of_one),
                Err(error) => found = Err(failed(client, &error, sql)),
            }
        }
    }
    finished(commit.as_mut()).await.map_err(|error| failed(client, &error, "COMMIT"))?;
    Ok(found)
}

/// A literal is prepared once per connection; text that was built is prepared for this use. `suffix` is ours.
async fn prepare(client: &Client, sql: &Sql, suffix: &str, params: &[Value]) -> Result<Statement, Error> {
    let text = if suffix.is_empty() { sql.clone() } else { format!("{sql}{suffix}").into() };
    let prepared = match sql {
        Sql::Borrowed(_) => client.prepare_cached(&text).await,
        Sql::Owned(_) => client.prepare(&text).await,
    };
    let statement = prepared.map_err(|error| failed(client, &error, sql))?;
    values::check(&statement, params, sql)?;
    Ok(statement)
}

/// Runs a statement to its end: its rows, and how many it touched or found.
async fn run(
    client: &Client,
    statement: &Statement,
    params: &[Value],
) -> Result<(Vec<Row>, u64), tokio_postgres::Error> {
    let mut stream = pin!(client.query_raw(statement, params.iter().map(Param)).await?);
    let columns = statement.columns().len();
    let mut found = Vec::new();
    while let Some(row) = stream.try_next().await? {
        let values = (0..columns).map(|column| Ok(row.try_get::<_, Column>(column)?.0));
        found.push(Row::new(values.collect::<Result<_, tokio_postgres::Error>>()?));
    }
    Ok((found, stream.rows_affected().unwrap_or(0)))
}

/// The error for the caller, nothing being written. After a stale plan the next attempt prepares anew, on whichever connection.
fn failed(client: &Client, error: &tokio_postgres::Error, sql: &str) -> Error {
    if !errors::is_stale_plan(error) {
        return errors::error(error, sql);
    }
    if let Some(pool) = Client::pool(client) {
        pool.manager().statement_caches.clear();
    }
    Error::Retry
}

/// Polls once, which sends the request: so requests go out in order, and their answers are awaited afterwards.
async fn send<F: Future>(mut request: Pin<&mut MaybeDone<F>>) {
    poll_fn(|context| {
        let _ = request.as_mut().poll(context);
        Poll::Ready(())
    })
    .await;
}

async fn finished<F: Future>(mut request: Pin<&mut MaybeDone<F>>) -> F::Output {
    request.as_mut().await;
    request.take_output().expect("the request is awaited above and its output taken once")
}

/// A connection that may be in a transaction. Unless it is known to have left it, it is closed and never pooled.
struct Transaction(Option<Client>);

impl Transaction {
    fn new(client: Client) -> Self {
        Self(Some(client))
    }

    fn client(&self) -> &Client {
        self.0.as_ref().expect("the connection is given back only by `ended`, which takes this by value")
    }

    /// The server has answered `COMMIT` or `ROLLBACK`.
    fn ended(mut self) {
        self.0 = None;
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if let Some(client) = self.0.take() {
            drop(Client::take(client));
        }
    }
}
