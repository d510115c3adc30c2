//! What runs beside the requests: following other nodes' configuration changes, deleting what has ended, and the jobs that callers of
//! the Management API asked for.

use std::time::Duration;

use model::{App, jobs, retention};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// How often what has ended is deleted.
const SWEEP: Duration = Duration::from_secs(10 * 60);
/// The first time: after the start, when the caches are warm.
const FIRST_SWEEP: Duration = Duration::from_secs(30);

/// How often waiting jobs are looked for, and how many run at a time on a node.
const LOOK: Duration = Duration::from_secs(1);
const RUNNERS: usize = 2;

/// The running jobs.
pub struct Jobs(Vec<JoinHandle<()>>);

/// Starts all of them.
pub fn start(app: &App) -> Jobs {
    let mut running = vec![app.db.follow_changes(), tokio::spawn(sweep(app.clone()))];
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

async fn sweep(app: App) {
    let mut clock = interval_at(Instant::now() + FIRST_SWEEP, SWEEP);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        match retention::sweep(&app).await {
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
        match jobs::run_next(&app).await {
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
