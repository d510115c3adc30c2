//! What runs beside the requests: following other nodes' configuration changes, and deleting what has ended.

use std::time::Duration;

use model::{App, retention};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// How often what has ended is deleted.
const SWEEP: Duration = Duration::from_secs(10 * 60);
/// The first time: after the start, when the caches are warm.
const FIRST_SWEEP: Duration = Duration::from_secs(30);

/// The running jobs.
pub struct Jobs(Vec<JoinHandle<()>>);

/// Starts all of them.
pub fn start(app: &App) -> Jobs {
    Jobs(vec![app.db.follow_changes(), tokio::spawn(sweep(app.clone()))])
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
