//! SQLite: inline reads on pooled connections, and one thread that writes.

mod migrate;
mod statements;
mod writer;

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::{Semaphore, mpsc, oneshot};

use self::statements::run;
use self::writer::{Job, Work, Writer};
use crate::cache::Cache;
use crate::stats::Tally;
use crate::{Batch, Error, Migration, Outcome, Row, Sql, Value};

/// How many batches may wait for the writer before their callers wait for room.
const QUEUE: usize = 4096;
/// How many scans run at a time.
const SCANS: usize = 8;
/// Prepared statements kept per connection: more than the program has.
const STATEMENTS: usize = 1024;

/// How long a connection waits for another's lock.
const BUSY: Duration = Duration::from_secs(5);
/// How often the writer is asked to look at its log.
const TIDY: Duration = Duration::from_secs(1);

/// Pages kept in memory per connection.
const CACHE_KIB: i64 = 16 << 10;

type Hook = Arc<dyn Fn(&str) + Send + Sync>;

/// What is done when the writer cannot go on: its last answers are `Unknown`, and only a start from the file tells what was written.
pub(crate) struct Broken(RwLock<Hook>);

impl Broken {
    fn new() -> Self {
        Self(RwLock::new(Arc::new(|_| std::process::exit(70))))
    }

    fn set(&self, hook: Hook) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = hook;
    }

    fn report(&self, cause: &str) {
        tracing::error!(cause, "the database's writer has ended");
        let hook = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        hook(cause);
    }
}

pub(crate) struct Sqlite {
    readers: Arc<Readers>,
    scans: Arc<Semaphore>,
    queue: mpsc::Sender<Job>,
    broken: Arc<Broken>,
}

impl Sqlite {
    /// Opens or creates the file and starts the writer.
    pub async fn open(path: &str, cache: Arc<Cache>, tally: Arc<Tally>) -> Result<Self, Error> {
        let path = PathBuf::from(path);
        let opened = tokio::task::spawn_blocking(move || Self::open_file(path, cache, tally)).await;
        let sqlite = opened.map_err(|error| Error::Failed(format!("opening the database: {error}")))??;
        tokio::spawn(tidy(sqlite.queue.downgrade()));
        Ok(sqlite)
    }

    fn open_file(path: PathBuf, cache: Arc<Cache>, tally: Arc<Tally>) -> Result<Self, Error> {
        // By whatever name: the lock lies beside the file itself.
        let path = path.canonicalize().unwrap_or(path);
        let lock = lock(&path)?;
        create(&path).map_err(|error| Error::Failed(format!("{}: {error}", path.display())))?;
        let connection = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)
            .and_then(|connection| {
                connection.pragma_update(None, "journal_mode", "WAL")?;
                connection.pragma_update(None, "synchronous", "FULL")?;
                connection.pragma_update(None, "fullfsync", true)?;
                connection.pragma_update(None, "foreign_keys", true)?;
                connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
                Ok(connection)
            })
            .map_err(|error| Error::Failed(format!("{}: {error}", path.display())))?;
        let (queue, jobs) = mpsc::channel(QUEUE);
        let broken = Arc::new(Broken::new());
        let log = beside(&path, "-wal");
        let writer = Writer { connection, log, queue: jobs, cache, tally, broken: broken.clone(), lock };
        std::thread::Builder::new()
            .name("db-writer".into())
            .spawn(|| writer.run())
            .map_err(|error| Error::Failed(format!("starting the writer: {error}")))?;
        let readers = Arc::new(Readers { path, idle: Mutex::new(Some(Vec::new())) });
        readers.give_back(readers.take()?);
        Ok(Self { readers, scans: Arc::new(Semaphore::new(SCANS)), queue, broken })
    }

    /// How many batches wait for the writer.
    pub fn waiting(&self) -> u64 {
        (self.queue.max_capacity() - self.queue.capacity()) as u64
    }

    pub fn on_broken(&self, hook: Hook) {
        self.broken.set(hook);
    }

    /// On the caller's own thread: a point read is cheaper than a hop.
    pub fn read(&self, sql: &Sql, params: &[Value]) -> Result<Vec<Row>, Error> {
        self.readers.with(|connection| select(connection, sql, params))
    }

    pub async fn scan(&self, sql: Sql, params: Vec<Value>) -> Result<Vec<Row>, Error> {
        let permit = self.scans.clone().acquire_owned().await.map_err(|_| closed())?;
        let readers = self.readers.clone();
        tokio::task::spawn_blocking(move || {
            // Whoever asked may go away, and the scan runs on.
            let _permit = permit;
            readers.with(|connection| select(connection, &sql, &params))
        })
        .await
        .map_err(|error| Error::Failed(format!("a scan: {error}")))?
    }

    pub fn snapshot(&self, queries: &[(Sql, Vec<Value>)]) -> Result<Vec<Vec<Row>>, Error> {
        self.readers.with(|connection| {
            let control = |sql: &'static str| select(connection, &sql.into(), &[]).map(|_| ());
            control("BEGIN")?;
            let answers = queries.iter().map(|(sql, params)| select(connection, sql, params)).collect();
            control("COMMIT")?;
            answers
        })
    }

    pub async fn commit(&self, batch: Batch) -> Result<Outcome, Error> {
        let (reply, answer) = oneshot::channel();
        self.queue.send(Job::Commit(Work { batch, reply })).await.map_err(|_| closed())?;
        answer.await.unwrap_or(Err(Error::Unknown))
    }

    pub async fn migrate(&self, migrations: &'static [Migration]) -> Result<(), Error> {
        let (reply, answer) = oneshot::channel();
        self.queue.send(Job::Migrate(migrations, reply)).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }

    pub async fn close(&self) {
        let (reply, answer) = oneshot::channel();
        self.readers.close();
        if self.queue.send(Job::Close(reply)).await.is_ok() {
            let _ = answer.await;
        }
    }
}

fn closed() -> Error {
    Error::Failed("the database is closed".into())
}

fn select(connection: &Connection, sql: &Sql, params: &[Value]) -> Result<Vec<Row>, Error> {
    run(connection, sql, params).map(|(rows, _)| rows).map_err(|failure| failure.into_error(connection, sql))
}

/// The file that lies beside the database's under its name and `ending`.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Asks the writer to look at its log, as long as there is one.
async fn tidy(queue: mpsc::WeakSender<Job>) {
    loop {
        tokio::time::sleep(TIDY).await;
        let Some(queue) = queue.upgrade() else { return };
        // A full queue is a busy writer, which needs no more work.
        if let Err(mpsc::error::TrySendError::Closed(_)) = queue.try_send(Job::Tidy) {
            return;
        }
    }
}

/// This process's claim on a database file. It ends with this, even if a program that is being started has a copy of the handle just then.
pub(crate) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        if let Err(error) = self.0.unlock() {
            tracing::warn!(%error, "the lock of the database file ends with the process");
        }
    }
}

/// Takes `PATH.lock` for this process: two processes on one file would each have a writer and a cache.
pub(crate) fn lock(path: &Path) -> Result<Lock, Error> {
    let beside = beside(path, ".lock");
    let cannot = |error: &dyn std::fmt::Display| Error::Failed(format!("{}: {error}", beside.display()));
    let file = create(&beside).map_err(|error| cannot(&error))?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => Err(Error::Failed(format!(
            "{} is in use by another process; only one may open it: stop the server first, or ask it by the Management API",
            path.display()
        ))),
        Err(TryLockError::Error(error)) => Err(cannot(&error)),
    }
}

/// Opens a file, made for its owner only when it is missing: it holds password hashes. SQLite's own files follow its mode.
///
/// Never called for a database that this process has open: closing a second handle would drop SQLite's locks on it.
pub(crate) fn create(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// A connection as both the writer and the readers want it: text in double quotes is never taken for a string, and `LIKE`
/// heeds case, as on PostgreSQL.
fn connect(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    // A plan does not look at the values that are bound: otherwise SQLite plans a kept statement anew each time it runs.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "case_sensitive_like", true)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    Ok(connection)
}

/// Copies the database `from`, which another process may be writing to, into the new file `to`, in one read.
///
/// Never called for a database that this process has open.
pub(crate) fn copy_file(from: &Path, to: &Path) -> Result<(), Error> {
    let failed = |error| Error::Failed(format!("{}: {error}", from.display()));
    let source = connect(from, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(failed)?;
    create(to).map_err(|error| Error::Failed(format!("{}: {error}", to.display())))?;
    let mut target = connect(to, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(failed)?;
    match Backup::new(&source, &mut target).and_then(|backup| backup.step(-1)).map_err(failed)? {
        StepResult::Done => Ok(()),
        _ => Err(Error::Failed(format!("{} is busy; try again", from.display()))),
    }
}

/// Drops a table of a database that nobody has open, with what its pages held: a later copy of the file does not hold it either.
pub(crate) fn forget(path: &Path, table: &str) -> Result<(), Error> {
    let failed = |error| Error::Failed(format!("{}: {error}", path.display()));
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(failed)?;
    connection.pragma_update(None, "secure_delete", true).map_err(failed)?;
    connection.execute_batch(&format!("DROP TABLE {table}")).map_err(failed)?;
    connection.close().map_err(|(_, error)| failed(error))
}

/// The connections that read: as many as threads have read at the same time.
struct Readers {
    path: PathBuf,
    /// None of it any more once the database is closed.
    idle: Mutex<Option<Vec<Connection>>>,
}

impl Readers {
    fn with<T>(&self, read: impl FnOnce(&Connection) -> Result<T, Error>) -> Result<T, Error> {
        let connection = self.take()?;
        let result = read(&connection);
        self.give_back(connection);
        result
    }

    fn take(&self) -> Result<Connection, Error> {
        let idle = self.idle().as_mut().ok_or_else(closed)?.pop();
        match idle {
            Some(connection) => Ok(connection),
            None => connect(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY)
                .map_err(|error| Error::Failed(format!("{}: {error}", self.path.display()))),
        }
    }

    /// One that is still in a transaction is closed instead.
    fn give_back(&self, connection: Connection) {
        if connection.is_autocommit()
            && let Some(idle) = self.idle().as_mut()
        {
            idle.push(connection);
        }
    }

    fn close(&self) {
        *self.idle() = None;
    }

    fn idle(&self) -> MutexGuard<'_, Option<Vec<Connection>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use rusqlite::StatementStatus;

    use super::*;

    #[test]
    fn a_lock_ends_with_its_holder() {
        let address = crate::testing::sqlite();
        let path = Path::new(address.trim_start_matches("sqlite:"));
        let held = lock(path).unwrap();
        // As a child process has it between its fork and its start.
        let copy = held.0.try_clone().unwrap();
        assert!(lock(path).is_err());
        drop(held);
        assert!(lock(path).is_ok());
        drop(copy);
    }

    #[test]
    fn a_kept_statement_is_planned_once() {
        let address = crate::testing::sqlite();
        let path = Path::new(address.trim_start_matches("sqlite:"));
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let connection = connect(path, flags).unwrap();
        let tables = "CREATE TABLE users (tenant TEXT NOT NULL, id TEXT NOT NULL, email TEXT, PRIMARY KEY (tenant, id));
             CREATE TABLE identities (tenant TEXT NOT NULL, provider TEXT NOT NULL, user_id TEXT NOT NULL, position BIGINT NOT NULL,
               PRIMARY KEY (tenant, provider));
             CREATE INDEX identities_user ON identities (tenant, user_id, position);";
        connection.execute_batch(tables).unwrap();
        let sql = "SELECT u.email, i.provider FROM users u JOIN identities i ON i.tenant = u.tenant AND i.user_id = u.id
             WHERE u.tenant = $1 AND u.id = $2 ORDER BY i.position";
        for id in ["a", "b", "c"] {
            select(&connection, &sql.into(), &crate::params!["acme", id]).unwrap();
        }
        let kept = connection.prepare_cached(sql).unwrap();
        assert_eq!(kept.get_status(StatementStatus::Run), 3, "it was kept");
        assert_eq!(kept.get_status(StatementStatus::RePrepare), 0);
    }

    #[tokio::test]
    async fn the_log_is_emptied_once_nothing_is_written() {
        let address = crate::testing::sqlite();
        let path = Path::new(address.trim_start_matches("sqlite:"));
        let sqlite =
            Sqlite::open(path.to_str().unwrap(), Arc::new(Cache::new()), Arc::default()).await.unwrap();
        let mut batch = Batch::new();
        batch.execute("CREATE TABLE files (content BYTEA NOT NULL)", crate::params![]);
        batch.execute("INSERT INTO files VALUES ($1)", crate::params![vec![7_u8; 1 << 20]]).expect(1);
        sqlite.commit(batch).await.unwrap();
        let log = beside(path, "-wal");
        assert!(log.metadata().unwrap().len() > 1 << 20);
        for _ in 0..300 {
            if log.metadata().unwrap().len() == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(log.metadata().unwrap().len(), 0);
        assert_eq!(sqlite.read(&"SELECT COUNT(*) FROM files".into(), &[]).unwrap().len(), 1);
        sqlite.close().await;
    }

    #[tokio::test]
    async fn a_scan_that_nobody_waits_for_still_counts_while_it_runs() {
        let address = crate::testing::sqlite();
        let path = address.strip_prefix("sqlite:").unwrap();
        let sqlite = Sqlite::open(path, Arc::new(Cache::new()), Arc::default()).await.unwrap();
        {
            let _no_reader = sqlite.readers.idle();
            assert!(sqlite.scan("SELECT 1".into(), Vec::new()).now_or_never().is_none());
            assert_eq!(sqlite.scans.available_permits(), SCANS - 1);
        }
        drop(sqlite.scans.acquire_many(SCANS as u32).await.unwrap());
        sqlite.close().await;
    }
}
