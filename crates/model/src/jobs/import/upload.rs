//! The file of an import while it comes in: cut into rows, and kept in sealed pieces of bounded size.

use db::{Batch, params};
use serde_json::{Map, Value};

use super::splitter::{Item, Splitter};
use super::{BROKEN, TOO_LONG};
use crate::Model;
use crate::ids::TenantId;
use crate::jobs::{Job, Kind, Status, store};

/// Rows of a piece, and about how many bytes.
const ROWS: usize = 100;
const BYTES: usize = 256 * 1024;

/// What is held in memory before it is written, in bytes. A file of the default size is written with its job, in one batch.
const HELD: usize = 1024 * 1024;

/// How many imports of a tenant may run at a time.
pub const AT_A_TIME: i64 = 2;

/// What is told of a file that is no JSON array.
const NO_JSON: &str = "Failed to parse users file JSON when importing users. Make sure it is valid JSON.";

/// There are [`AT_A_TIME`] imports already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "There are {AT_A_TIME} active import users jobs, please wait until some of them are finished and try again"
)]
pub struct TooMany;

/// What is asked for of an import.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// What its caller is told of it.
    pub told: Map<String, Value>,
    /// Whether users who are there already are changed.
    pub upsert: bool,
    /// Whether the administrators are told of its end.
    pub send_completion_email: bool,
}

/// Seconds after which an upload of which nothing more came is lost: its connection broke, or its node died.
const LOST: i64 = 3600;

/// An import in the making.
pub struct Upload {
    job: Job,
    /// `None` once what came is known to be no array.
    splitter: Option<Splitter>,
    /// The piece at hand: a row a line.
    lines: String,
    rows: usize,
    /// Sealed pieces that are not written yet.
    sealed: Vec<Vec<u8>>,
    held: usize,
    /// How many pieces are written, and whether the job is.
    written: u64,
    begun: bool,
    bytes: u64,
}

impl Upload {
    /// An import of which nothing came yet.
    pub fn new(app: &Model, tenant: &TenantId) -> Self {
        let mut job = Job::new(app, tenant, Kind::UsersImport, Map::new());
        job.status = Status::Uploading;
        Self {
            job,
            splitter: Some(Splitter::new()),
            lines: String::new(),
            rows: 0,
            sealed: Vec::new(),
            held: 0,
            written: 0,
            begun: false,
            bytes: 0,
        }
    }

    /// Whether nothing came.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Takes the next part of the file.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn push(&mut self, app: &Model, piece: &[u8]) -> Result<(), db::Error> {
        self.bytes += piece.len() as u64;
        let Some(mut splitter) = self.splitter.take() else { return Ok(()) };
        let mut items = Vec::new();
        if splitter.push(piece, |item| items.push(item)).is_ok() {
            self.splitter = Some(splitter);
        }
        for item in items {
            self.add(app, item);
        }
        if self.held >= HELD { self.flush(app).await } else { Ok(()) }
    }

    fn add(&mut self, app: &Model, item: Item) {
        match item {
            Item::Text(text) => match serde_json::from_slice::<Value>(&text) {
                Ok(value) => self.lines.push_str(&value.to_string()),
                Err(_) => self.lines.push_str(BROKEN),
            },
            Item::TooLong => self.lines.push_str(TOO_LONG),
        }
        self.lines.push('\n');
        self.rows += 1;
        self.job.progress.total += 1;
        if self.rows == ROWS || self.lines.len() >= BYTES {
            self.seal(app);
        }
    }

    /// Ends the piece at hand.
    fn seal(&mut self, app: &Model) {
        let lines = std::mem::take(&mut self.lines);
        self.rows = 0;
        let number = self.job.progress.parts;
        self.job.progress.parts += 1;
        let sealed = store::seal(app, &self.job, number, lines.as_bytes());
        self.held += sealed.len();
        self.sealed.push(sealed);
    }

    /// Writes what is held, under a job that nobody sees yet.
    async fn flush(&mut self, app: &Model) -> Result<(), db::Error> {
        let mut batch = Batch::new();
        if !self.begun {
            store::insert(&mut batch, &self.job);
        }
        // What was taken for lost meanwhile is a `Conflict`.
        batch
            .execute(
                "UPDATE jobs SET leased_until = $1 WHERE tenant = $2 AND id = $3 AND status = 'uploading'",
                params![app.clock.now().plus_seconds(LOST), &self.job.tenant, &self.job.id],
            )
            .expect(1);
        self.write_parts(&mut batch);
        app.db.commit(batch).await?;
        self.begun = true;
        self.written += self.sealed.len() as u64;
        self.sealed.clear();
        self.held = 0;
        Ok(())
    }

    fn write_parts(&self, batch: &mut Batch) {
        for (number, sealed) in (self.written..).zip(&self.sealed) {
            store::insert_part(batch, &self.job, number, sealed);
        }
    }

    /// The file is whole: the job waits for its turn. `record` adds to the batch.
    ///
    /// # Errors
    /// When the database fails. Then, and when there are too many, nothing is left of it.
    pub async fn finish(
        mut self,
        app: &Model,
        wanted: Wanted,
        record: impl Fn(&mut Batch, &Job),
    ) -> Result<Result<Job, TooMany>, db::Error> {
        if !self.lines.is_empty() {
            self.seal(app);
        }
        let is_array = self.splitter.take().is_some_and(|splitter| splitter.finish().is_ok());
        if !is_array {
            self.job.progress.problem = Some(NO_JSON.into());
        }
        self.job.doc = wanted.told;
        self.job.progress.upsert = wanted.upsert;
        self.job.progress.send_completion_email = wanted.send_completion_email;
        self.job.status = Status::Pending;
        for slot in 0..AT_A_TIME {
            self.job.slot = Some(slot);
            let mut batch = Batch::new();
            match self.begun {
                true => publish(&mut batch, &self.job),
                false => store::insert(&mut batch, &self.job),
            }
            self.write_parts(&mut batch);
            record(&mut batch, &self.job);
            match app.db.commit(batch).await {
                Ok(_) => return Ok(Ok(self.job)),
                Err(db::Error::Unique(index)) if index == "jobs_slot" => {}
                Err(error) => {
                    self.abandon(app).await;
                    return Err(error);
                }
            }
        }
        self.abandon(app).await;
        Ok(Err(TooMany))
    }

    /// Nothing is to be left of it.
    pub async fn abandon(self, app: &Model) {
        if !self.begun {
            return;
        }
        let mut batch = Batch::new();
        batch.execute(
            "DELETE FROM jobs WHERE tenant = $1 AND id = $2 AND status = 'uploading'",
            params![&self.job.tenant, &self.job.id],
        );
        if let Err(error) = app.db.commit(batch).await {
            tracing::warn!(%error, "an upload that was given up goes when its time is over");
        }
    }
}

/// Lets a job whose parts are there be seen.
fn publish(batch: &mut Batch, job: &Job) {
    batch
        .execute(
            "UPDATE jobs SET status = $1, doc = $2, progress = $3, slot = $4, leased_until = NULL
             WHERE tenant = $5 AND id = $6 AND status = 'uploading'",
            params![
                job.status.name(),
                &job.doc,
                crate::document::object(&job.progress),
                job.slot,
                &job.tenant,
                &job.id
            ],
        )
        .expect(1);
}
