//! `make bench`: the hot endpoints of the built program, each as a multiple of one RS256 signature of the same run.
//!
//! The server runs under `serve` on SQLite with `synchronous=FULL` and audit events on, plain HTTP with keep-alive. Each
//! figure is the median of the runs. `--quick` runs once and shortly, to see that everything still works; any other word picks
//! the endpoints whose name holds it, to look at one with a profiler.

mod limits;
mod load;
#[allow(dead_code, reason = "the crash tests use the rest")]
#[path = "../../tests/running/mod.rs"]
mod running;
mod scenarios;

use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::Duration;

use load::{Run, resident};
use running::http::request;
use running::{Program, free_address};

/// As many people are signed in: each connection writes to its own.
const MOST_CONNECTIONS: usize = 128;

/// A scenario, and the most server CPU that a request may take, in signatures.
const SCENARIOS: [(&str, Option<f64>); 7] = [
    ("client_credentials", Some(1.25)),
    ("refresh", Some(3.2)),
    ("code exchange", Some(3.5)),
    ("GET /users/{id}", Some(0.25)),
    ("PATCH /users/{id}", Some(0.5)),
    ("JWKS", None),
    ("discovery", None),
];

/// The public documents, which are held against an empty handler.
const DOCUMENTS: [&str; 2] = ["JWKS", "discovery"];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--serve-nothing") {
        limits::serve_nothing(arguments[at + 1].parse().expect("an address follows"));
    }
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let (runs, duration) = if quick { (1, Duration::from_millis(500)) } else { (3, Duration::from_secs(3)) };
    let picked: Vec<&str> =
        arguments.iter().map(String::as_str).filter(|argument| !argument.starts_with("--")).collect();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
    runtime.block_on(bench(&picked, runs, duration));
}

async fn bench(picked: &[&str], runs: usize, duration: Duration) {
    let binary = PathBuf::from(env!("CARGO_BIN_EXE_doorward"));
    let directory = std::env::temp_dir().join(format!("doorward-bench-{}", std::process::id()));
    let database = std::env::var("BENCH_DATABASE").ok();
    let mut program = Program::start(&binary, directory, database.as_deref()).await;
    program.invite(MOST_CONNECTIONS).await;
    let signature = limits::signature();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let signing_rate = limits::signing_rate(cores);
    println!(
        "{cores} cores shared with the load; one RS256 signature takes {signature:.0} µs of CPU (s), and all cores make \
         {signing_rate:.0}/s (S)\n"
    );
    println!(
        "| endpoint | connections | rate/s | of S | p50 ms | p99 ms | errors | server CPU in s | at most |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    let mut failed = Vec::new();
    let is_picked = |name: &str| picked.is_empty() || picked.iter().any(|word| name.contains(word));
    for (name, limit) in SCENARIOS.into_iter().filter(|(name, _)| is_picked(name)) {
        for connections in [32, MOST_CONNECTIONS] {
            let s = limits::signature();
            let result =
                median(runs, async || scenarios::measure(&program, name, connections, duration).await).await;
            let cost = result.cpu / s;
            let bound = limit.map_or_else(|| "–".to_owned(), |limit| format!("{limit}"));
            println!(
                "| {name} | {connections} | {:.0} | {:.2} | {:.2} | {:.2} | {} | {cost:.2} | {bound} |",
                result.rate,
                result.rate / signing_rate,
                result.p50,
                result.p99,
                result.errors
            );
            if result.errors > 0 || result.rate == 0.0 || limit.is_some_and(|limit| cost > limit) {
                failed.push(format!("{name} at {connections} connections"));
            }
        }
    }
    for name in DOCUMENTS.into_iter().filter(|name| is_picked(name)) {
        // By turns, so that both meet the same noise.
        let mut shares = Vec::new();
        let nothing = median(runs, async || {
            let document = scenarios::measure(&program, name, 32, duration).await;
            let nothing = empty_handler(duration).await;
            shares.push(document.rate / nothing.rate);
            nothing
        });
        let nothing = nothing.await;
        shares.sort_by(f64::total_cmp);
        let share = shares[shares.len() / 2];
        println!(
            "\n{name} reaches {share:.2} of an empty handler's rate (at least 0.6), which is {:.0}/s",
            nothing.rate
        );
        if share < 0.6 {
            failed.push(format!("{name} against the empty handler"));
        }
    }
    let loaded = resident(program.pid());
    let mut starts: Vec<Duration> = Vec::new();
    for _ in 0..5 {
        starts.push(program.restart().await);
    }
    starts.sort_unstable();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (start, idle) = (starts[2].as_millis(), resident(program.pid()));
    let size = std::fs::metadata(&binary).map_or(0.0, |file| file.len() as f64 / f64::from(1 << 20));
    println!(
        "ready in {start} ms on an existing database (at most 150); idle {idle:.0} MiB (at most 40), {loaded:.0} MiB after the load; binary {size:.0} MiB (at most 30)"
    );
    for (figure, measured, limit) in
        [("ready", start as f64, 150.0), ("idle", idle, 40.0), ("binary", size, 30.0)]
    {
        if measured > limit {
            failed.push(figure.to_owned());
        }
    }
    if !failed.is_empty() {
        println!("\nmissed: {}", failed.join(", "));
        drop(program);
        std::process::exit(1);
    }
    println!("\nall figures reached");
}

/// The run with the median CPU cost; errors are summed.
async fn median(runs: usize, mut measure: impl AsyncFnMut() -> Run) -> Run {
    let mut all = Vec::new();
    for _ in 0..runs {
        all.push(measure().await);
    }
    let errors = all.iter().map(|run| run.errors).sum();
    all.sort_by(|one, two| one.cpu.total_cmp(&two.cpu));
    Run { errors, ..all[all.len() / 2].clone() }
}

/// The load against a process that answers nothing.
async fn empty_handler(duration: Duration) -> Run {
    let address = free_address();
    let child = Command::new(std::env::current_exe().expect("this program has a path"))
        .args(["--serve-nothing", &address.to_string()])
        .spawn()
        .expect("this program starts again");
    let child = Ended(child);
    while std::net::TcpStream::connect(address).is_err() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let callers = (0..32).map(|_| scenarios::fixed(request("GET", "/", &[], ""))).collect();
    load::run(address, child.0.id(), callers, duration).await
}

/// A process that ends with its owner.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
