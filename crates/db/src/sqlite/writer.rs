//! The one thread that writes: it takes what is queued, runs each batch in a savepoint, commits once, and answers all.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};
use tokio::sync::mpsc::Receiver;
use tokio::sync::oneshot::Sender;

use super::migrate::migrate;
use super::statements::{Failure, run};
use super::{Broken, Lock};
use crate::cache::Cache;
use crate::stats::Tally;
use crate::{Batch, Error, Migration, Outcome};

/// The most batches that share a commit.
const MOST_BATCHES: usize = 512;
/// How long a group may take in batches that wait already. It never waits for one that has not come.
const LONGEST: Duration = Duration::from_millis(10);

/// A log of so many bytes is moved into the file even while others read and write.
const LONG_LOG: u64 = 16 << 20;
/// How long emptying the log may wait for readers.
const FOR_READERS: Duration = Duration::from_millis(20);

/// What the thread is asked for.
pub(super) enum Job {
    Commit(Work),
    /// Empty the log if nothing was written since the last time, or if it is long: a start after a crash reads all of it.
    Tidy,
    Migrate(&'static [Migration], Sender<Result<(), Error>>),
    /// Finish what is queued, take nothing more, move the log into the file and end.
    Close(Sender<()>),
}

/// A batch and who waits for it. Its caller may have gone; it runs all the same.
pub(super) struct Work {
    pub batch: Batch,
    pub reply: Sender<Result<Outcome, Error>>,
}

impl Work {
    fn answer(self, result: Result<Outcome, Error>) {
        let _ = self.reply.send(result);
    }
}

pub(super) struct Writer {
    pub connection: Connection,
    /// The log beside the file.
    pub log: PathBuf,
    pub queue: Receiver<Job>,
    pub cache: Arc<Cache>,
    pub tally: Arc<Tally>,
    pub broken: Arc<Broken>,
    /// Held as long as the connection is open.
    pub lock: Lock,
}

/// Why a group cannot go on as it is.
enum Stop {
    /// SQLite has rolled the whole transaction back (`SQLITE_FULL`, for one): each batch has to run alone.
    RolledBack(Error),
    /// The file cannot be trusted.
    Broken(String),
}

impl Writer {
    /// Works until the queue is closed, or the file breaks.
    pub fn run(mut self) {
        let on_panic = OnPanic(self.broken.clone());
        let mut next = self.queue.blocking_recv();
        let mut closed = Vec::new();
        let mut busy = false;
        while let Some(job) = next {
            let after = match job {
                Job::Commit(work) => {
                    busy = true;
                    self.group(work)
                }
                Job::Tidy => {
                    self.tidy(busy);
                    busy = false;
                    Ok(None)
                }
                Job::Migrate(migrations, reply) => {
                    let _ = reply.send(migrate(&mut self.connection, migrations));
                    Ok(None)
                }
                Job::Close(done) => {
                    self.queue.close();
                    closed.push(done);
                    Ok(None)
                }
            };
            next = match after {
                Ok(Some(job)) => Some(job),
                Ok(None) => self.queue.blocking_recv(),
                Err(cause) => return self.broken.report(&cause),
            };
        }
        if let Err(failure) = self.simple("PRAGMA wal_checkpoint(TRUNCATE)") {
            let cause = failure.into_error(&self.connection, "closing");
            tracing::warn!(%cause, "the log stays beside the database file until the next start");
        }
        drop(self.connection);
        drop(self.lock);
        drop(on_panic);
        for done in closed {
            let _ = done.send(());
        }
    }

    /// Commits move the log into the file as it grows, but only a moment without readers lets it begin anew.
    fn tidy(&self, busy: bool) {
        let length = self.log.metadata().map_or(0, |log| log.len());
        if length == 0 || (busy && length < LONG_LOG) {
            return;
        }
        let emptied = self.connection.busy_timeout(FOR_READERS).map_err(Failure::from);
        let emptied = emptied.and_then(|()| self.simple("PRAGMA wal_checkpoint(TRUNCATE)"));
        // That readers were in the way is no error: there is a next time.
        if let Err(failure) = emptied {
            let cause = failure.into_error(&self.connection, "emptying the log");
            tracing::warn!(%cause, "the log cannot be moved into the database file");
        }
        if let Err(error) = self.connection.busy_timeout(super::BUSY) {
            tracing::error!(%error, "the writer waits for locks no longer than it empties the log");
        }
    }

    /// Runs `first` and what waits behind it, and commits it all at once. Answers the job that ended the group, if one did;
    /// the error says why the thread has to end.
    fn group(&mut self, first: Work) -> Result<Option<Job>, String> {
        if let Err(failure) = self.simple("BEGIN IMMEDIATE") {
            first.answer(Err(began(failure, &self.connection)));
            return Ok(None);
        }
        let started = Instant::now();
        let mut done = Vec::new();
        let mut ended_by = None;
        let mut next = Some(first);
        while let Some(work) = next.take() {
            match self.attempt(&work.batch) {
                Ok(result) => done.push((work, result)),
                Err(stop) => {
                    done.push((work, Err(Error::Retry)));
                    return self.stopped(done, stop).map(|()| None);
                }
            }
            if done.len() < MOST_BATCHES && started.elapsed() < LONGEST {
                match self.queue.try_recv() {
                    Ok(Job::Commit(work)) => next = Some(work),
                    Ok(other) => ended_by = Some(other),
                    Err(_) => {}
                }
            }
        }
        if let Err(failure) = self.simple("COMMIT") {
            let stop = self.commit_failed(failure);
            self.stopped(done, stop)?;
        } else {
            self.answer(done);
        }
        Ok(ended_by)
    }

    /// Runs one batch in a savepoint. The inner result is the batch's own, and after an error nothing of it is left.
    fn attempt(&self, batch: &Batch) -> Result<Result<Outcome, Error>, Stop> {
        self.control("SAVEPOINT batch")?;
        let mut outcome = Outcome::default();
        let mut failed = None;
        for (position, statement) in batch.statements.iter().enumerate() {
            match run(&self.connection, &statement.sql, &statement.params) {
                Ok((rows, affected)) if statement.expect.holds(affected) => {
                    outcome.affected.push(affected);
                    outcome.rows.push(rows);
                }
                Ok((_, affected)) => {
                    failed = Some(Error::Conflict { statement: position, affected });
                    break;
                }
                Err(failure) => {
                    failed = Some(self.survive(failure, &statement.sql)?);
                    break;
                }
            }
        }
        if failed.is_some() {
            self.control("ROLLBACK TO batch")?;
        }
        self.control("RELEASE batch")?;
        Ok(failed.map_or(Ok(outcome), Err))
    }

    /// The batch's own error, if the transaction has outlived it.
    fn survive(&self, failure: Failure, sql: &str) -> Result<Error, Stop> {
        if failure.breaks_the_file() {
            return Err(Stop::Broken(format!("{}", failure.into_error(&self.connection, sql))));
        }
        let gone = failure.code() == Some(ErrorCode::DiskFull) || self.connection.is_autocommit();
        let error = failure.into_error(&self.connection, sql);
        if gone { Err(Stop::RolledBack(error)) } else { Ok(error) }
    }

    /// A savepoint's own statements never fail but with the transaction.
    fn control(&self, sql: &'static str) -> Result<(), Stop> {
        self.simple(sql).map_err(|failure| match self.survive(failure, sql) {
            Ok(error) => Stop::Broken(error.to_string()),
            Err(stop) => stop,
        })
    }

    /// A full disk leaves no commit frame, and a busy file none either; after anything else the transaction may be in the log.
    fn commit_failed(&self, failure: Failure) -> Stop {
        let known = matches!(failure.code(), Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy));
        let error = failure.into_error(&self.connection, "COMMIT");
        if known { Stop::RolledBack(error) } else { Stop::Broken(error.to_string()) }
    }

    /// Answers a group whose transaction has failed.
    fn stopped(&mut self, done: Vec<(Work, Result<Outcome, Error>)>, stop: Stop) -> Result<(), String> {
        let mut works = done.into_iter().map(|(work, _)| work);
        let mut broken = match stop {
            Stop::RolledBack(_) => Ok(()),
            Stop::Broken(cause) => Err(cause),
        };
        while broken.is_ok()
            && let Some(work) = works.next()
        {
            broken = self.alone(work);
        }
        self.unknown(works);
        broken
    }

    /// Runs a batch as its own transaction.
    fn alone(&mut self, work: Work) -> Result<(), String> {
        if !self.connection.is_autocommit() {
            let _ = self.simple("ROLLBACK");
        }
        if let Err(failure) = self.simple("BEGIN IMMEDIATE") {
            work.answer(Err(began(failure, &self.connection)));
            return Ok(());
        }
        let committed = self.attempt(&work.batch).and_then(|result| match self.simple("COMMIT") {
            Ok(()) => Ok(result),
            Err(failure) => Err(self.commit_failed(failure)),
        });
        match committed {
            Ok(result) => self.answer(vec![(work, result)]),
            Err(Stop::RolledBack(error)) => {
                if !self.connection.is_autocommit() {
                    let _ = self.simple("ROLLBACK");
                }
                work.answer(Err(error));
            }
            Err(Stop::Broken(cause)) => {
                self.unknown([work]);
                return Err(cause);
            }
        }
        Ok(())
    }

    /// Drops what the batches changed from the cache, and then answers: whoever has the answer reads its own write.
    fn answer(&self, done: Vec<(Work, Result<Outcome, Error>)>) {
        self.tally.group(done.len());
        for (work, _) in done.iter().filter(|(_, result)| result.is_ok()) {
            work.batch.changes.iter().for_each(|key| self.cache.invalidate(key));
        }
        for (work, result) in done {
            work.answer(result);
        }
    }

    fn unknown(&self, works: impl IntoIterator<Item = Work>) {
        for work in works {
            work.batch.changes.iter().for_each(|key| self.cache.invalidate(key));
            work.answer(Err(Error::Unknown));
        }
    }

    fn simple(&self, sql: &'static str) -> Result<(), Failure> {
        run(&self.connection, &sql.into(), &[]).map(|_| ())
    }
}

/// Nothing runs without a transaction, so nothing was written.
fn began(failure: Failure, connection: &Connection) -> Error {
    tracing::warn!(cause = %failure.into_error(connection, "BEGIN IMMEDIATE"), "no transaction could be begun");
    Error::Retry
}

/// Without the thread nothing can be written, and what its last group wrote is not known: the process has to end.
struct OnPanic(Arc<Broken>);

impl Drop for OnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.report("the writer panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use tokio::sync::oneshot;

    use super::*;
    use crate::params;

    fn insert(id: &str, bytes: usize) -> Batch {
        let mut batch = Batch::new();
        batch.execute("INSERT INTO files VALUES ($1, $2)", params![id, vec![7_u8; bytes]]).expect(1);
        batch
    }

    /// A writer on a database that has room for about 100 kB more, and what its hook is told.
    fn writer(queue: tokio::sync::mpsc::Receiver<Job>) -> (Writer, mpsc::Receiver<String>) {
        let url = crate::testing::sqlite();
        let path = std::path::Path::new(url.trim_start_matches("sqlite:"));
        let lock = super::super::lock(path).unwrap();
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE | rusqlite::OpenFlags::SQLITE_OPEN_CREATE;
        let connection = super::super::connect(path, flags).unwrap();
        connection.pragma_update(None, "journal_mode", "WAL").unwrap();
        connection.execute_batch("CREATE TABLE files (id TEXT PRIMARY KEY, content BYTEA NOT NULL)").unwrap();
        connection.pragma_update(None, "max_page_count", 30).unwrap();
        let broken = Arc::new(Broken::new());
        let (told, hears) = mpsc::channel();
        broken.set(Arc::new(move |cause| told.send(cause.to_owned()).unwrap()));
        let log = path.with_extension("none");
        let (cache, tally) = (Arc::new(Cache::new()), Arc::default());
        (Writer { connection, log, queue, cache, tally, broken, lock }, hears)
    }

    /// Queues the batches before the writer starts, so that they are one group, and answers what became of each.
    fn run_group(batches: Vec<Batch>) -> (Vec<Result<Outcome, Error>>, Option<String>) {
        let (queue, jobs) = tokio::sync::mpsc::channel(16);
        let (writer, hears) = writer(jobs);
        let mut answers = Vec::new();
        for batch in batches {
            let (reply, answer) = oneshot::channel();
            queue.blocking_send(Job::Commit(Work { batch, reply })).ok().unwrap();
            answers.push(answer);
        }
        drop(queue);
        std::thread::spawn(|| writer.run()).join().unwrap();
        (answers.into_iter().map(|answer| answer.blocking_recv().unwrap()).collect(), hears.try_recv().ok())
    }

    #[test]
    fn a_full_disk_fails_only_what_does_not_fit() {
        let (answers, told) =
            run_group(vec![insert("a", 10), insert("b", 1 << 20), insert("a", 10), insert("c", 10)]);
        assert!(matches!(&answers[0], Ok(outcome) if outcome.affected == [1]), "{answers:?}");
        assert!(matches!(&answers[1], Err(Error::Retry)), "{answers:?}");
        assert!(matches!(&answers[2], Err(Error::Unique(index)) if index == "files_pkey"), "{answers:?}");
        assert!(answers[3].is_ok(), "{answers:?}");
        assert_eq!(told, None);
    }

    #[test]
    fn a_group_is_answered_though_nothing_of_it_could_begin() {
        let (queue, jobs) = tokio::sync::mpsc::channel(16);
        let (writer, _hears) = writer(jobs);
        writer.connection.busy_timeout(Duration::ZERO).unwrap();
        let path = writer.connection.path().unwrap().to_owned();
        let other = Connection::open(path).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let (reply, answer) = oneshot::channel();
        queue.blocking_send(Job::Commit(Work { batch: insert("a", 1), reply })).ok().unwrap();
        drop(queue);
        writer.run();
        assert!(matches!(answer.blocking_recv().unwrap(), Err(Error::Retry)));
    }

    #[test]
    fn a_panic_of_the_writer_is_told() {
        let broken = Arc::new(Broken::new());
        let (told, hears) = mpsc::channel();
        broken.set(Arc::new(move |cause| told.send(cause.to_owned()).unwrap()));
        let panicked = std::thread::spawn(move || {
            let _on_panic = OnPanic(broken);
            panic!("as a test");
        });
        assert!(panicked.join().is_err());
        assert_eq!(hears.recv().unwrap(), "the writer panicked");
    }
}
