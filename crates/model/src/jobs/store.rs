//! The tables of jobs.

use db::{Batch, Db, Error, Row, params};
use serde_json::{Map, Value as Json};

use super::{Job, KEPT, Kind, Status, runner};
use crate::clock::Timestamp;
use crate::ids::TenantId;
use crate::{Model, document, seal};

/// The columns that [`from_row`] reads.
macro_rules! columns {
    () => {
        "tenant, id, kind, status, doc, progress, slot, created_at, version"
    };
}

/// The job of an id.
pub async fn find(db: &Db, tenant: &TenantId, id: &str) -> Result<Option<Job>, Error> {
    let row = db.read_one(
        concat!("SELECT ", columns!(), " FROM jobs WHERE tenant = $1 AND id = $2"),
        params![tenant, id],
    );
    row.await?.map(from_row).transpose()
}

fn from_row(mut row: Row) -> Result<Job, Error> {
    let unknown = |what: &str, name: &str| Error::Failed(format!("a job's {what} is {name}"));
    Ok(Job {
        tenant: row.take()?,
        id: row.take()?,
        kind: row
            .take::<String>()
            .and_then(|name| Kind::parse(&name).ok_or_else(|| unknown("kind", &name)))?,
        status: row
            .take::<String>()
            .and_then(|name| Status::parse(&name).ok_or_else(|| unknown("status", &name)))?,
        doc: row.take()?,
        progress: document::parse(row.take()?)?,
        slot: row.take()?,
        created_at: row.take()?,
        version: row.take()?,
    })
}

/// Writes a new job.
pub fn insert(batch: &mut Batch, job: &Job) {
    batch
        .execute(
            "INSERT INTO jobs (tenant, id, kind, status, doc, progress, slot, created_at, expires_at, version)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            params![
                &job.tenant,
                &job.id,
                job.kind.name(),
                job.status.name(),
                &job.doc,
                document::object(&job.progress),
                job.slot,
                job.created_at,
                job.created_at.plus_seconds(KEPT),
                job.version,
            ],
        )
        .expect(1);
}

/// The jobs that nobody runs, the one that has waited longest first.
pub(super) async fn waiting(app: &Model) -> Result<Vec<Job>, Error> {
    let rows = app.db.read(
        concat!(
            "SELECT ",
            columns!(),
            " FROM jobs WHERE status IN ('pending', 'processing') AND kind <> 'verification_email'
               AND (leased_until IS NULL OR leased_until < $1)
             ORDER BY created_at, tenant, id LIMIT 8"
        ),
        params![app.clock.now()],
    );
    rows.await?.into_iter().map(from_row).collect()
}

/// Writes where a job stands, if nobody else has since it was read. It comes first in its batch. A job that goes on is its runner's for
/// some seconds more.
pub(super) fn save(batch: &mut Batch, job: &mut Job, now: Timestamp) {
    let leased_until = (!job.is_over()).then(|| now.plus_seconds(runner::LEASE));
    batch
        .execute(
            "UPDATE jobs SET status = $1, progress = $2, slot = $3, leased_until = $4, version = version + 1
             WHERE tenant = $5 AND id = $6 AND version = $7",
            params![
                job.status.name(),
                document::object(&job.progress),
                job.slot,
                leased_until,
                &job.tenant,
                &job.id,
                job.version,
            ],
        )
        .expect(1);
    job.version += 1;
}

/// A part's number, so that numbers sort as texts.
fn key(number: u64) -> String {
    format!("{number:010}")
}

fn context(job: &Job, number: &str) -> String {
    seal::context("job_parts", &[job.tenant.as_str(), &job.id, number], "data")
}

/// Seals a part of a job's file.
pub(super) fn seal(app: &Model, job: &Job, number: u64, data: &[u8]) -> Vec<u8> {
    app.seal.seal(&context(job, &key(number)), data)
}

/// Writes a sealed part.
pub(super) fn insert_part(batch: &mut Batch, job: &Job, number: u64, sealed: &[u8]) {
    batch
        .execute(
            "INSERT INTO job_parts (tenant, job, number, data) VALUES ($1, $2, $3, $4)",
            params![&job.tenant, &job.id, key(number), sealed],
        )
        .expect(1);
}

/// A part, opened.
pub(super) async fn open_part(app: &Model, job: &Job, number: u64) -> Result<Option<Vec<u8>>, Error> {
    let number = key(number);
    let row = app.db.read_one(
        "SELECT data FROM job_parts WHERE tenant = $1 AND job = $2 AND number = $3",
        params![&job.tenant, &job.id, &number],
    );
    let Some(mut row) = row.await? else { return Ok(None) };
    let sealed: Vec<u8> = row.take()?;
    Ok(Some(app.seal.open(&context(job, &number), &sealed)?.to_vec()))
}

/// A part that is text.
pub(super) async fn part(app: &Model, job: &Job, number: u64) -> Result<Option<String>, Error> {
    let Some(data) = open_part(app, job, number).await? else { return Ok(None) };
    String::from_utf8(data)
        .map(Some)
        .map_err(|_| Error::Failed(format!("a part of {} holds no text", job.id)))
}

/// Drops a part that is done with.
pub(super) fn remove_part(batch: &mut Batch, job: &Job, number: u64) {
    batch.execute(
        "DELETE FROM job_parts WHERE tenant = $1 AND job = $2 AND number = $3",
        params![&job.tenant, &job.id, key(number)],
    );
}

/// Writes what is told of a row that was refused.
pub(super) fn insert_error(batch: &mut Batch, job: &Job, position: u64, told: Map<String, Json>) {
    let position = i64::try_from(position).unwrap_or(i64::MAX);
    batch
        .execute(
            "INSERT INTO job_errors (tenant, job, position, doc) VALUES ($1, $2, $3, $4)",
            params![&job.tenant, &job.id, position, told],
        )
        .expect(1);
}

/// Refused rows after a position, with theirs, at most 100. The first come after -1.
pub async fn errors(db: &Db, job: &Job, after: i64) -> Result<Vec<(i64, Map<String, Json>)>, Error> {
    let rows = db.read(
        "SELECT position, doc FROM job_errors WHERE tenant = $1 AND job = $2 AND position > $3
         ORDER BY position LIMIT 100",
        params![&job.tenant, &job.id, after],
    );
    rows.await?.into_iter().map(|mut row| Ok((row.take()?, row.take()?))).collect()
}
