//! What runs beside the requests: following other nodes' configuration changes, delivering mail, telling applications of
//! logouts, deleting what has ended, and the jobs that callers of the Management API asked for.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use model::mail::{self, Delivery};
use model::{App, jobs, log_streams, logout_notices, recovery, retention};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// How often what has ended is deleted.
const SWEEP: Duration = Duration::from_secs(10 * 60);
/// The first time: after the start, when the caches are warm.
const FIRST_SWEEP: Duration = Duration::from_secs(30);

/// How often waiting jobs are looked for, and how many run at a time on a node.
const LOOK: Duration = Duration::from_secs(1);
const RUNNERS: usize = 2;

/// How often the queue of letters is looked at.
const POST: Duration = Duration::from_secs(1);

/// How often the log streams are looked at.
const STREAMS: Duration = Duration::from_secs(1);

/// How often it is looked whom to tell of a logout.
const LOGOUTS: Duration = Duration::from_secs(1);

/// The running jobs.
pub struct Jobs(Vec<JoinHandle<()>>);

/// Starts all of them. Letters go where `delivery` says.
pub fn start(app: &App, delivery: Delivery) -> Jobs {
    let mut running = vec![
        app.db.follow_changes(),
        tokio::spawn(sweep(app.clone())),
        tokio::spawn(deliver(app.clone(), delivery)),
        tokio::spawn(stream(app.clone())),
        tokio::spawn(tell(app.clone())),
    ];
    running.extend((0..RUNNERS).map(|_| tokio::spawn(run(app.clone()))));
    Jobs(running)
}

impl Jobs {
    /// Stops them. Each step of a job is one batch, so that it may end anywhere.
    pub async fn stop(self) {
        for job in self.0 {
            job.abort();
            // Aborted: it has nothing to say.
            let _ = job.await;
        }
    }
}

async fn deliver(app: App, delivery: Delivery) {
    let mut clock = interval_at(Instant::now() + POST, POST);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        if let Err(error) = survived(post(&app, delivery)).await {
            tracing::warn!(%error, "cannot look after the mail; trying again later");
        }
    }
}

/// Takes what was written in the log to where the tenants have it go.
async fn stream(app: App) {
    let mut clock = interval_at(Instant::now() + STREAMS, STREAMS);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        match survived(log_streams::deliver(&app)).await {
            Ok(1..) => {}
            Ok(0) => {
                clock.tick().await;
            }
            Err(error) => {
                tracing::warn!(%error, "cannot look after the log streams; trying again later");
                clock.tick().await;
            }
        }
    }
}

/// Tells applications of the sessions that have ended.
async fn tell(app: App) {
    let mut clock = interval_at(Instant::now() + LOGOUTS, LOGOUTS);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        match survived(logout_notices::deliver(&app)).await {
            Ok(1..) => {}
            Ok(0) => {
                clock.tick().await;
            }
            Err(error) => {
                tracing::warn!(%error, "cannot tell applications of logouts; trying again later");
                clock.tick().await;
            }
        }
    }
}

/// One step of the mail job: answers who asked for a new password, then delivers what is due.
///
/// # Errors
/// When the database fails. Nothing is lost: what was not done is done by the next step.
pub async fn post(app: &App, delivery: Delivery) -> Result<(), db::Error> {
    let answered = answer_requests(app).await;
    // Whatever became of those: other letters do not wait for it.
    mail::deliver(app, delivery).await?;
    answered
}

/// Whatever came together is answered together.
async fn answer_requests(app: &App) -> Result<(), db::Error> {
    while recovery::process(app).await? == recovery::AT_A_TIME as usize {}
    Ok(())
}

/// A step to its end. A panic on its way, whose place the log tells, ends the step and not the job.
async fn survived<T>(step: impl Future<Output = Result<T, db::Error>>) -> Result<T, db::Error> {
    // Unwind safety: what the step held is dropped; shared state is the database's, which a panic leaves consistent.
    AssertUnwindSafe(step)
        .catch_unwind()
        .await
        .unwrap_or_else(|_| Err(db::Error::Failed("it panicked".into())))
}

async fn sweep(app: App) {
    let mut clock = interval_at(Instant::now() + FIRST_SWEEP, SWEEP);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        match survived(retention::sweep(&app)).await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "deleted what has ended"),
            Err(error) => tracing::warn!(%error, "cannot delete what has ended; trying again later"),
        }
    }
}

/// Runs what waits. A job that is cut off goes on here or on another node, where its last step ended.
async fn run(app: App) {
    let mut clock = interval_at(Instant::now() + LOOK, LOOK);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        match survived(jobs::run_next(&app)).await {
            Ok(true) => {}
            Ok(false) => {
                clock.tick().await;
            }
            Err(error) => {
                tracing::warn!(%error, "a job did not come to its end; it goes on later");
                clock.tick().await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_job_goes_on_after_a_step_that_panicked() {
        let step = async |number: u32| match number {
            1 => panic!("a defect"),
            number => Ok(number),
        };
        assert!(matches!(survived(step(1)).await, Err(db::Error::Failed(_))));
        assert_eq!(survived(step(2)).await.expect("a step"), 2);
    }
}
