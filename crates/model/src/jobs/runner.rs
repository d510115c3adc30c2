//! Running jobs: whoever takes one up has it for a few seconds, and for a few more with each step. After a crash another goes on where
//! the last step ended.

use super::{Job, Kind, Status, export, import, store};
use crate::{App, tenants};

/// Seconds that a job is its runner's after each step.
pub(super) const LEASE: i64 = 5;

/// Seconds after which a job has failed.
const LONGEST: i64 = 2 * 3600;

/// Takes up the job that has waited longest, and runs it to its end. `false` if none waits.
///
/// # Errors
/// When the database fails. The job goes on when its lease is over.
pub async fn run_next(app: &App) -> Result<bool, db::Error> {
    for mut job in store::waiting(app).await? {
        match claim(app, &mut job).await {
            Ok(()) => {}
            // Another was faster.
            Err(db::Error::Conflict { .. }) => continue,
            Err(error) => return Err(error),
        }
        return match run(app, &mut job).await {
            Ok(()) => Ok(true),
            Err(db::Error::Conflict { .. }) => {
                tracing::warn!(job = job.id, "another runner took the job over");
                Ok(true)
            }
            Err(error) => Err(error),
        };
    }
    Ok(false)
}

/// Takes a job up, and does one step of it: for tests of what is left when a runner dies.
///
/// # Errors
/// As [`run_next`].
pub async fn step_next(app: &App) -> Result<bool, db::Error> {
    let Some(mut job) = store::waiting(app).await?.into_iter().next() else { return Ok(false) };
    claim(app, &mut job).await?;
    step(app, &mut job).await?;
    Ok(true)
}

async fn claim(app: &App, job: &mut Job) -> Result<(), db::Error> {
    let now = app.clock.now();
    job.status = Status::Processing;
    job.progress.started_at.get_or_insert(now.millis());
    let mut batch = db::Batch::new();
    store::save(&mut batch, job, now);
    app.db.commit(batch).await.map(drop)
}

async fn run(app: &App, job: &mut Job) -> Result<(), db::Error> {
    while !job.is_over() {
        step(app, job).await?;
    }
    Ok(())
}

async fn step(app: &App, job: &mut Job) -> Result<(), db::Error> {
    let tenants = tenants::all(app).await?;
    let Some(tenant) = tenants.iter().find(|tenant| tenant.id == job.tenant) else {
        // It went with its tenant.
        return Err(db::Error::Conflict { statement: 0, affected: 0 });
    };
    let started = job.progress.started_at.unwrap_or_default();
    let is_late = app.clock.now().millis() - started > LONGEST * 1000;
    match (job.kind, is_late) {
        (Kind::UsersImport, false) => import::step(app, tenant, job).await,
        (Kind::UsersImport, true) => {
            let told = "The job did not complete within two hours.";
            import::end(app, tenant, job, Status::Failed, Some(told)).await
        }
        (Kind::UsersExport, false) => export::step(app, job).await,
        (Kind::UsersExport, true) => {
            export::fail(app, job, "The job did not complete within two hours.").await
        }
        (Kind::VerificationEmail, _) => Err(db::Error::Failed("a verification mail is not run here".into())),
    }
}
