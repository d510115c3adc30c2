//! Following the `changes` of other nodes.

use std::sync::Weak;
use std::time::Duration;

use crate::Shared;

/// Polls until the database is dropped.
pub(crate) async fn follow(shared: Weak<Shared>) {
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    while let Some(shared) = shared.upgrade() {
        drop(shared);
        ticks.tick().await;
    }
}
