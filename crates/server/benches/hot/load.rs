//! The load: keep-alive HTTP/1.1 connections that each send a request when the last was answered, or when one is due.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustls::ClientConfig;

use crate::running::http::Connection;

/// What one connection sends. It may learn from each answer what to send next.
pub trait Caller: Send + 'static {
    /// The next request, headers and body; `None` when there is nothing left to send.
    fn next(&mut self) -> Option<Vec<u8>>;
    /// Takes the body of the answer and says whether it is the right one.
    fn answered(&mut self, status: u16, body: &[u8]) -> bool;
}

/// A caller whose answers teach it nothing: success is 200.
pub struct Repeat<F>(pub F);

impl<F: FnMut() -> Option<Vec<u8>> + Send + 'static> Caller for Repeat<F> {
    fn next(&mut self) -> Option<Vec<u8>> {
        (self.0)()
    }

    fn answered(&mut self, status: u16, _: &[u8]) -> bool {
        status == 200
    }
}

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// Requests answered as they should be, per second.
    pub rate: f64,
    /// Median latency in milliseconds.
    pub p50: f64,
    /// 99th percentile of the latency in milliseconds.
    pub p99: f64,
    /// Answers that were not as they should be.
    pub errors: u64,
    /// Server CPU per request, in microseconds.
    pub cpu: f64,
}

/// When requests are sent.
#[derive(Clone, Debug)]
pub enum Pace {
    /// One after the other on each connection.
    AnswerByAnswer,
    /// So many a second over all connections, however long the answers take. A latency then counts from when its request was due.
    Constant(f64),
}

/// Where the load goes.
#[derive(Clone)]
pub struct Target {
    /// The address.
    pub address: SocketAddr,
    /// The server's process.
    pub pid: u32,
    /// The certificate that it proves itself with, if it speaks TLS.
    pub tls: Option<Arc<ClientConfig>>,
}

impl Target {
    /// One that speaks plain HTTP.
    pub fn plain(address: SocketAddr, pid: u32) -> Self {
        Self { address, pid, tls: None }
    }

    async fn connect(&self) -> Connection {
        let connection = match &self.tls {
            None => Connection::open(self.address).await,
            Some(config) => Connection::open_tls(self.address, config.clone()).await,
        };
        connection.expect("the server accepts connections")
    }
}

/// Runs one caller a connection for `duration`.
pub async fn run(target: &Target, callers: Vec<Box<dyn Caller>>, pace: Pace, duration: Duration) -> Run {
    let mut connections = Vec::new();
    for caller in callers {
        connections.push((target.connect().await, caller));
    }
    let cpu = process_cpu(target.pid);
    let begun = Instant::now();
    let clock = Arc::new(Schedule { begun, end: begun + duration, pace, sent: AtomicU64::new(0) });
    let tasks = connections
        .into_iter()
        .map(|(connection, caller)| tokio::spawn(drive(connection, caller, clock.clone())));
    let mut latencies = Vec::new();
    let mut errors = 0;
    for task in tasks.collect::<Vec<_>>() {
        let (times, wrong) = task.await.expect("a caller does not panic");
        latencies.extend(times);
        errors += wrong;
    }
    let took = begun.elapsed();
    let cpu = process_cpu(target.pid).saturating_sub(cpu);
    latencies.sort_unstable();
    let at = |share: f64| {
        let place = (latencies.len() as f64 * share) as usize;
        latencies.get(place.min(latencies.len().saturating_sub(1))).copied().unwrap_or_default().as_secs_f64()
            * 1e3
    };
    let done = latencies.len() as f64;
    Run {
        rate: done / took.as_secs_f64(),
        p50: at(0.5),
        p99: at(0.99),
        errors,
        cpu: cpu.as_secs_f64() * 1e6 / done.max(1.0),
    }
}

/// Says to all connections when the next request is due.
struct Schedule {
    begun: Instant,
    end: Instant,
    pace: Pace,
    sent: AtomicU64,
}

impl Schedule {
    /// Waits for the next request's time and answers it; `None` at the end.
    async fn next(&self) -> Option<Instant> {
        let Pace::Constant(rate) = self.pace else {
            let now = Instant::now();
            return (now < self.end).then_some(now);
        };
        let place = self.sent.fetch_add(1, Ordering::Relaxed);
        let due = self.begun + Duration::from_secs_f64(place as f64 / rate);
        if due >= self.end {
            return None;
        }
        if due <= Instant::now() {
            return Some(due);
        }
        // What the timer oversleeps is not the server's.
        tokio::time::sleep_until(due.into()).await;
        Some(Instant::now())
    }
}

async fn drive(
    mut connection: Connection,
    mut caller: Box<dyn Caller>,
    schedule: Arc<Schedule>,
) -> (Vec<Duration>, u64) {
    let (mut times, mut errors) = (Vec::new(), 0);
    while let Some(due) = schedule.next().await {
        let Some(request) = caller.next() else { break };
        match connection.exchange(&request).await {
            Ok((status, _, body)) if caller.answered(status, body) => times.push(due.elapsed()),
            Ok(_) => errors += 1,
            Err(_) => {
                errors += 1;
                break;
            }
        }
    }
    (times, errors)
}

/// CPU time that a process has used, in steps of 10 ms: user and system time of `/proc/PID/stat`.
pub fn process_cpu(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |place: usize| fields.get(place).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}

/// A process's memory in MiB: what is resident, and what of it is nobody else's (`RssAnon`).
pub fn memory(pid: u32) -> (f64, f64) {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let of = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.split_whitespace().next().and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
    };
    (of("VmRSS:"), of("RssAnon:"))
}
