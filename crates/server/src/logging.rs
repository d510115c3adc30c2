//! Logs on standard error: JSON lines under `serve`, readable ones under `dev`.

use anyhow::Context;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

/// JSON lines at `filter` (`info`, `warn,server=debug`, …).
pub fn structured(filter: &str) -> anyhow::Result<()> {
    let filter =
        EnvFilter::try_new(filter).context("`log` is no filter: write \"info\" or \"warn,server=debug\"")?;
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_span_list(false)
        .with_writer(std::io::stderr)
        .with_env_filter(filter)
        .finish()
        .try_init()
        .context("logging was started before")
}

/// Lines for a person; `RUST_LOG` overrides the level.
pub fn readable() -> anyhow::Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .compact()
        .with_target(false)
        .with_writer(std::io::stderr)
        .with_env_filter(filter)
        .finish()
        .try_init()
        .context("logging was started before")
}
