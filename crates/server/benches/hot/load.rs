//! The load: keep-alive HTTP/1.1 connections that each send a request when the last was answered.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

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

/// Runs one caller a connection for `duration` against the process `pid`.
pub async fn run(address: SocketAddr, pid: u32, callers: Vec<Box<dyn Caller>>, duration: Duration) -> Run {
    let mut connections = Vec::new();
    for caller in callers {
        let connection = Connection::open(address).await.expect("the server accepts connections");
        connections.push((connection, caller));
    }
    let cpu = process_cpu(pid);
    let begun = Instant::now();
    let end = begun + duration;
    let tasks =
        connections.into_iter().map(|(connection, caller)| tokio::spawn(drive(connection, caller, end)));
    let mut latencies = Vec::new();
    let mut errors = 0;
    for task in tasks.collect::<Vec<_>>() {
        let (times, wrong) = task.await.expect("a caller does not panic");
        latencies.extend(times);
        errors += wrong;
    }
    let took = begun.elapsed();
    let cpu = process_cpu(pid).saturating_sub(cpu);
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

async fn drive(
    mut connection: Connection,
    mut caller: Box<dyn Caller>,
    end: Instant,
) -> (Vec<Duration>, u64) {
    let (mut times, mut errors) = (Vec::new(), 0);
    while Instant::now() < end {
        let Some(request) = caller.next() else { break };
        let sent = Instant::now();
        match connection.exchange(&request).await {
            Ok((status, _, body)) if caller.answered(status, body) => times.push(sent.elapsed()),
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

/// Resident memory of a process in MiB.
pub fn resident(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}
