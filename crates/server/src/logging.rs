//! Logs on standard error: JSON lines under `serve`, readable ones under `dev`.
//!
//! Those of `serve` are written by a thread of their own: nobody waits for whoever reads them.

use std::io::BufWriter;
use std::sync::{Mutex, OnceLock, PoisonError};

use anyhow::Context;
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

/// Libraries that see headers and bodies before we do: what they would say in detail holds tokens. And the spans of traces, which are
/// for a collector.
const KEPT_SHORT: [&str; 5] = ["h2=info", "hyper=info", "hyper_util=info", "rustls=info", "traces=off"];

/// How many lines wait to be written at most. What comes on top while nobody reads in time is lost, and counted.
const WAITING: usize = 4000;

/// The thread that writes, until [`finish`].
static WRITER: Mutex<Option<WorkerGuard>> = Mutex::new(None);
static LOST: OnceLock<ErrorCounter> = OnceLock::new();

fn writer() -> NonBlocking {
    let builder = NonBlockingBuilder::default().buffered_lines_limit(WAITING).thread_name("log");
    let (lines, thread) = builder.finish(BufWriter::new(std::io::stderr()));
    LOST.get_or_init(|| lines.error_counter());
    *WRITER.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
    lines
}

/// Writes what waits, for a second at most. Nothing is logged any more: to be called where the process ends.
pub fn finish() {
    drop(WRITER.lock().unwrap_or_else(PoisonError::into_inner).take());
}

/// How many lines were lost since nobody read them in time.
pub fn lost() -> usize {
    LOST.get().map_or(0, ErrorCounter::dropped_lines)
}

fn discreet(filter: EnvFilter) -> EnvFilter {
    KEPT_SHORT.iter().fold(filter, |filter, directive| {
        filter.add_directive(directive.parse().expect("it is written as a directive"))
    })
}

fn parse(filter: &str) -> anyhow::Result<EnvFilter> {
    const ADVICE: &str = "`log` is no filter: write \"info\" or \"warn,server=debug\"";
    // A word alone would be taken for a part of the program that has such a name, and everything else would be silent.
    let levels = ["off", "error", "warn", "info", "debug", "trace"];
    let alone = filter.split(',').map(str::trim).filter(|directive| !directive.contains(['=', '[']));
    for word in alone {
        let known = levels.iter().any(|level| level.eq_ignore_ascii_case(word));
        anyhow::ensure!(known, "{ADVICE}; {word:?} is no level");
    }
    let filter = EnvFilter::try_new(filter).context(ADVICE)?;
    Ok(discreet(filter))
}

/// JSON lines at `filter` (`info`, `warn,server=debug`, …).
pub fn structured(filter: &str) -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_span_list(false)
        .with_writer(writer())
        .with_env_filter(parse(filter)?)
        .finish()
        .try_init()
        .context("logging was started before")
}

/// [`structured`], and spans to a collector.
#[cfg(feature = "otel")]
pub fn traced(filter: &str, tracer: opentelemetry_sdk::trace::SdkTracer) -> anyhow::Result<()> {
    use tracing_subscriber::Layer;
    use tracing_subscriber::layer::SubscriberExt;
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_span_list(false)
        .with_writer(writer())
        .with_filter(parse(filter)?);
    let all = tracing_subscriber::registry().with(lines).with(crate::traces::spans(tracer));
    all.try_init().context("logging was started before")
}

/// Lines for a person; `RUST_LOG` overrides the level.
pub fn readable() -> anyhow::Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .compact()
        .with_target(false)
        .with_writer(std::io::stderr)
        .with_env_filter(discreet(filter))
        .finish()
        .try_init()
        .context("logging was started before")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_no_level_is_no_filter() {
        for good in ["info", "WARN", "off", "warn,server=debug", "server[request]=trace,info"] {
            assert!(parse(good).is_ok(), "{good}");
        }
        for bad in ["inof", "warning", "warn,server", ""] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn no_filter_lets_libraries_tell_what_they_read() {
        let filter = discreet(EnvFilter::new("trace,h2=trace"));
        for kept in KEPT_SHORT {
            assert!(filter.to_string().contains(kept), "{filter}");
        }
        assert!(!filter.to_string().contains("h2=trace"), "{filter}");
    }
}
