//! The tables of jobs.

use db::{Batch, Db, Error, Row, params};

use super::{Job, KEPT, Kind, Status};
use crate::document;
use crate::ids::TenantId;

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
