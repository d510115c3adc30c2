//! What the program counts, and how Prometheus reads it (text format 0.0.4).
//!
//! The requests are counted here; everything else is counted where it happens, and read when somebody asks.

mod histogram;
mod process;

use std::collections::HashMap;
use std::fmt::{Display, Write};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use axum::http::{Method, StatusCode};
use db::GROUP_SIZES;
use model::Model;

use crate::logging;

pub use histogram::Histogram;
pub(crate) use process::limit;

/// The media type of [`Metrics::text`].
pub const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

const METHODS: [Method; 7] =
    [Method::GET, Method::POST, Method::PATCH, Method::PUT, Method::DELETE, Method::OPTIONS, Method::HEAD];
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// The method, or `_OTHER` for one that a stranger made up.
pub fn method(method: &Method) -> &str {
    if METHODS.contains(method) { method.as_str() } else { "_OTHER" }
}

/// The counters of one process. Clones are handles to the same ones.
#[derive(Clone, Default)]
pub struct Metrics(Arc<Counters>);

#[derive(Default)]
struct Counters {
    /// By route: there are as many as the router has.
    routes: RwLock<HashMap<Box<str>, Arc<Route>>>,
    grants: RwLock<HashMap<&'static str, Arc<Series>>>,
    connections: AtomicI64,
    connections_total: AtomicU64,
    limited: AtomicU64,
}

#[derive(Default)]
struct Route {
    /// In the order of [`METHODS`]; the last is for any other.
    methods: [OnceLock<Box<Series>>; METHODS.len() + 1],
}

/// Requests of one kind.
#[derive(Default)]
struct Series {
    took: Histogram,
    classes: [AtomicU64; CLASSES.len()],
}

impl Series {
    fn record(&self, status: StatusCode, took: Duration) {
        self.took.record(took);
        if let Some(class) = self.classes.get(usize::from(status.as_u16() / 100).wrapping_sub(1)) {
            class.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Metrics {
    /// Counts an answered request. `route` is the router's pattern, empty where none fits: never what a stranger wrote.
    pub fn request(&self, route: &str, method: &Method, status: StatusCode, took: Duration) {
        let place = METHODS.iter().position(|known| known == method).unwrap_or(METHODS.len());
        find(&self.0.routes, route, || route.into()).methods[place]
            .get_or_init(Box::default)
            .record(status, took);
        if status == StatusCode::TOO_MANY_REQUESTS {
            self.0.limited.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts a request to the token endpoint by its grant.
    pub fn grant(&self, grant: &'static str, status: StatusCode, took: Duration) {
        find(&self.0.grants, grant, || grant).record(status, took);
    }

    /// Counts a connection for as long as the answer lives.
    pub fn connection(&self) -> Open {
        self.0.connections.fetch_add(1, Ordering::Relaxed);
        self.0.connections_total.fetch_add(1, Ordering::Relaxed);
        Open(self.clone())
    }

    /// Everything, as Prometheus reads it.
    pub fn text(&self, app: &Model) -> String {
        let mut text = Text(String::with_capacity(64 << 10));
        self.write_requests(&mut text);
        let counters = &*self.0;
        text.gauge(
            "doorward_connections",
            "Open connections.",
            counters.connections.load(Ordering::Relaxed).max(0),
        );
        text.counter(
            "doorward_connections_total",
            "Connections that were accepted.",
            load(&counters.connections_total),
        );
        text.counter(
            "doorward_rate_limited_total",
            "Requests that were answered 429.",
            load(&counters.limited),
        );
        text.gauge("doorward_password_queue", "Passwords that wait to be hashed.", app.hasher.waiting());
        text.counter(
            "doorward_password_hashes_total",
            "Passwords that were hashed.",
            app.hasher.hashes_done(),
        );
        text.counter(
            "doorward_password_refused_total",
            "Passwords that were not hashed since the queue was full.",
            app.hasher.refused(),
        );
        write_database(&mut text, &app.db.stats());
        let events = app.audit.counts();
        let name = "doorward_events_total";
        text.head(name, "counter", "Audit events beside those that ride in a batch, by what became of them.");
        for (fate, count) in [
            ("written", events.written),
            ("dropped", events.dropped),
            ("capped", events.capped),
            ("failed", events.failed),
        ] {
            text.line(name, &format!("fate=\"{fate}\""), count);
        }
        text.counter(
            "doorward_log_lines_lost_total",
            "Lines of the log that were lost since nobody read them in time.",
            logging::lost(),
        );
        let name = "doorward_build_info";
        text.head(name, "gauge", "1, with the version of the program.");
        text.line(name, concat!("version=\"", env!("CARGO_PKG_VERSION"), "\""), 1);
        process::write(&mut text);
        text.0
    }

    fn write_requests(&self, text: &mut Text) {
        let mut routes = all(&self.0.routes);
        routes.sort_by(|a, b| a.0.cmp(&b.0));
        let mut series = Vec::new();
        for (route, kinds) in &routes {
            for (place, kind) in kinds.methods.iter().enumerate() {
                let method = METHODS.get(place).map_or("other", Method::as_str);
                if let Some(kind) = kind.get() {
                    series.push((format!("method=\"{method}\",route=\"{}\"", escaped(route)), &**kind));
                }
            }
        }
        write_series(text, "doorward_requests_total", "doorward_request_seconds", "requests", &series);
        let mut grants = all(&self.0.grants);
        grants.sort_by_key(|(grant, _)| *grant);
        let grants: Vec<_> = grants
            .iter()
            .map(|(grant, series)| (format!("grant=\"{}\"", escaped(grant)), &**series))
            .collect();
        write_series(text, "doorward_tokens_total", "doorward_token_seconds", "requests for tokens", &grants);
    }
}

/// A connection that is counted as open.
pub struct Open(Metrics);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The entry of a name, made when it is missing.
fn find<K: std::hash::Hash + Eq + std::borrow::Borrow<str>, V: Default>(
    map: &RwLock<HashMap<K, Arc<V>>>,
    name: &str,
    key: impl FnOnce() -> K,
) -> Arc<V> {
    if let Some(found) = map.read().unwrap_or_else(PoisonError::into_inner).get(name) {
        return found.clone();
    }
    map.write().unwrap_or_else(PoisonError::into_inner).entry(key()).or_default().clone()
}

fn all<K: Clone, V>(map: &RwLock<HashMap<K, Arc<V>>>) -> Vec<(K, Arc<V>)> {
    let map = map.read().unwrap_or_else(PoisonError::into_inner);
    map.iter().map(|(name, series)| (name.clone(), series.clone())).collect()
}

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// A label's value (text format: `\`, `"` and line feeds are escaped).
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn write_series(text: &mut Text, total: &str, seconds: &str, what: &str, series: &[(String, &Series)]) {
    text.head(total, "counter", &format!("Answered {what}, by the class of the status."));
    for (labels, series) in series {
        for (class, count) in CLASSES.iter().zip(&series.classes) {
            let count = load(count);
            if count > 0 {
                text.line(total, &format!("{labels},status=\"{class}\""), count);
            }
        }
    }
    text.head(seconds, "histogram", &format!("How long {what} took, in seconds."));
    for (labels, series) in series {
        series.took.write(&mut text.0, seconds, labels);
    }
}

fn write_database(text: &mut Text, stats: &db::Stats) {
    text.counter("doorward_db_batches_total", "Batches of writes.", stats.batches);
    text.gauge(
        "doorward_db_waiting",
        "Batches that wait for SQLite's writer, or callers that wait for a connection to PostgreSQL.",
        stats.waiting,
    );
    match stats.pool {
        Some(pool) => {
            let name = "doorward_db_connections";
            text.head(name, "gauge", "Connections to PostgreSQL.");
            text.line(name, "state=\"used\"", pool.used);
            text.line(name, "state=\"idle\"", pool.idle);
            text.gauge("doorward_db_connections_most", "The most connections there may be.", pool.most);
        }
        None => {
            let name = "doorward_db_group_size";
            text.head(name, "histogram", "How many batches shared one commit of SQLite.");
            let mut commits = 0;
            for (bound, count) in GROUP_SIZES.iter().zip(stats.groups) {
                commits += count;
                text.line(&format!("{name}_bucket"), &format!("le=\"{bound}\""), commits);
            }
            commits += stats.groups[GROUP_SIZES.len()];
            text.line(&format!("{name}_bucket"), "le=\"+Inf\"", commits);
            text.line(&format!("{name}_sum"), "", stats.grouped);
            text.line(&format!("{name}_count"), "", commits);
        }
    }
    let name = "doorward_cache_questions_total";
    text.head(name, "counter", "Questions to the configuration cache.");
    text.line(name, "answer=\"hit\"", stats.cache_hits);
    text.line(name, "answer=\"miss\"", stats.cache_misses);
    text.gauge("doorward_cache_entries", "Entries in the configuration cache.", stats.cache_entries);
}

/// Lines in the text format.
pub(crate) struct Text(String);

impl Text {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}").expect("a string takes all");
    }

    fn line(&mut self, name: &str, labels: &str, value: impl Display) {
        let written = match labels {
            "" => writeln!(self.0, "{name} {value}"),
            labels => writeln!(self.0, "{name}{{{labels}}} {value}"),
        };
        written.expect("a string takes all");
    }

    fn counter(&mut self, name: &str, help: &str, value: impl Display) {
        self.head(name, "counter", help);
        self.line(name, "", value);
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.head(name, "gauge", help);
        self.line(name, "", value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_holds_what_it_is_given() {
        assert_eq!(escaped("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
    }

    #[test]
    fn an_open_connection_is_counted_until_it_ends() {
        let metrics = Metrics::default();
        let (one, two) = (metrics.connection(), metrics.connection());
        drop(one);
        assert_eq!(metrics.0.connections.load(Ordering::Relaxed), 1);
        drop(two);
        assert_eq!(metrics.0.connections.load(Ordering::Relaxed), 0);
        assert_eq!(load(&metrics.0.connections_total), 2);
    }
}
