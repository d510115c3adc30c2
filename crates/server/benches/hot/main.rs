//! `make bench`: the hot endpoints of the built program, each as a multiple of one RS256 signature of the same run.
//!
//! The server runs under `serve` on SQLite with `synchronous=FULL` and audit events on, plain HTTP with keep-alive. Each
//! figure is the median of the runs. `--quick` runs once and shortly, to see that everything still works; any other word picks
//! the parts whose name holds it, to look at one with a profiler.

mod beside;
mod figures;
mod limits;
mod load;
mod memory;
#[allow(dead_code, reason = "the crash tests use the rest")]
#[path = "../../tests/running/mod.rs"]
mod running;
mod scenarios;
mod storm;

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use figures::{Bound, Figures, table};
use load::{Pace, Run, Target, memory};
use running::http::request;
use running::{Program, free_address};

/// As many people are signed in: each connection writes to its own.
const MOST_CONNECTIONS: usize = 128;

/// A scenario; the most server CPU that a request may take, in signatures; and the least rate at 32 connections, in S.
const SCENARIOS: [(&str, Option<f64>, Option<f64>); 8] = [
    ("client_credentials", Some(1.25), Some(0.72)),
    ("client_credentials, ES256", Some(0.27), None),
    // Two signatures each.
    ("refresh", Some(3.2), Some(0.5 / 2.0)),
    ("code exchange", Some(3.5), None),
    ("GET /users/{id}", Some(0.25), None),
    ("PATCH /users/{id}", Some(0.5), None),
    ("JWKS", None, None),
    ("discovery", None, None),
];

/// The public documents, which are held against an empty handler.
const DOCUMENTS: [&str; 2] = ["JWKS", "discovery"];

/// How long and how often is measured, and what.
struct Bench {
    picked: Vec<String>,
    runs: usize,
    duration: Duration,
    cores: usize,
    /// RS256 signatures a second of all cores (S).
    signing_rate: f64,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--serve-one") {
        let address = arguments[at + 1].parse().expect("an address follows");
        limits::serve(address, arguments.get(at + 2).map(Path::new));
    }
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let (runs, duration) = if quick { (1, Duration::from_millis(500)) } else { (3, Duration::from_secs(3)) };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let bench = Bench {
        picked: arguments.into_iter().filter(|argument| !argument.starts_with("--")).collect(),
        runs,
        duration,
        cores,
        signing_rate: limits::signing_rate(cores),
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
    if !runtime.block_on(bench.run()) {
        std::process::exit(1);
    }
}

impl Bench {
    fn is_picked(&self, name: &str) -> bool {
        self.picked.is_empty() || self.picked.iter().any(|word| name.contains(word.as_str()))
    }

    /// Measures what was picked; whether all figures were reached.
    async fn run(&self) -> bool {
        let binary = PathBuf::from(env!("CARGO_BIN_EXE_doorward"));
        let directory = std::env::temp_dir().join(format!("doorward-bench-{}", std::process::id()));
        let mut program = Program::start(&binary, directory.clone(), None).await;
        program.add_es256_api().await;
        program.invite(MOST_CONNECTIONS).await;
        let mut figures = Figures::default();
        println!(
            "{} cores shared with the load; one RS256 signature takes {:.0} µs of CPU (s), and all cores make {:.0}/s (S)\n",
            self.cores,
            limits::signature(),
            self.signing_rate
        );
        self.endpoints(&program, &mut figures).await;
        self.documents(&program, &mut figures).await;
        if self.is_picked("constant") {
            self.constant(&program, &mut figures).await;
        }
        if self.is_picked("storm") {
            let (machine, runs) = ((self.cores, self.signing_rate), (self.runs, self.duration));
            storm::measure(&program, machine, runs, &mut figures).await;
        }
        if self.is_picked("process") {
            self.process(&mut program, &binary, &mut figures).await;
        }
        if self.is_picked("beside") {
            beside::measure(&program, self.duration, &mut figures).await;
        }
        if self.is_picked("postgres") {
            self.postgres(&program, &binary, &directory, &mut figures).await;
        }
        if self.is_picked("tls") {
            self.tls(&mut program, &mut figures).await;
        }
        figures.end()
    }

    async fn endpoints(&self, program: &Program, figures: &mut Figures) {
        let picked: Vec<_> = SCENARIOS.into_iter().filter(|(name, ..)| self.is_picked(name)).collect();
        if picked.is_empty() {
            return;
        }
        println!(
            "| endpoint | connections | rate/s | of S | p50 ms | p99 ms | errors | server CPU in s | asked |"
        );
        println!("|---|---|---|---|---|---|---|---|---|");
        for (name, most, least) in picked {
            for connections in [32, MOST_CONNECTIONS] {
                let s = limits::signature();
                let run = median(self.runs, async || {
                    scenarios::measure(program, name, connections, self.duration).await
                });
                let run = run.await;
                let (cost, of_s) = (run.cpu / s, run.rate / self.signing_rate);
                let most = most.map(Bound::AtMost);
                let least = least.filter(|_| connections == 32).map(Bound::AtLeast);
                let asked = match (most, least) {
                    (Some(most), Some(least)) => format!("{most}, {least} of S"),
                    (Some(most), None) => most.to_string(),
                    (None, _) => "–".to_owned(),
                };
                println!(
                    "| {name} | {connections} | {:.0} | {of_s:.2} | {:.2} | {:.2} | {} | {cost:.2} | {asked} |",
                    run.rate, run.p50, run.p99, run.errors
                );
                let at = format!("{name} at {connections} connections");
                if let Some(most) = most {
                    figures.check(&format!("{at}, CPU in s"), cost, most);
                }
                if let Some(least) = least {
                    figures.check(&format!("{at}, of S"), of_s, least);
                }
                if run.errors > 0 || run.rate == 0.0 {
                    figures.fail(format!("{at}: {} errors, {:.0}/s", run.errors, run.rate));
                }
            }
        }
    }

    async fn documents(&self, program: &Program, figures: &mut Figures) {
        let picked: Vec<_> = DOCUMENTS.into_iter().filter(|name| self.is_picked(name)).collect();
        if !picked.is_empty() {
            table("of an empty handler's rate");
        }
        for name in picked {
            let same = scenarios::document(program, name).await;
            // By turns, so that all meet the same noise.
            let (mut shares, mut most) = (Vec::new(), Vec::new());
            for _ in 0..self.runs {
                let document = scenarios::measure(program, name, 32, self.duration).await;
                let nothing = handler(None, self.duration).await;
                shares.push(document.rate / nothing.rate);
                most.push(handler(Some(&same), self.duration).await.rate / nothing.rate);
            }
            for shares in [&mut shares, &mut most] {
                shares.sort_by(f64::total_cmp);
            }
            figures.line(name, shares[shares.len() / 2], "", Bound::AtLeast(0.8));
            println!(
                "| a handler that holds the same {} bytes | {:.2} | |",
                same.len(),
                most[most.len() / 2]
            );
        }
    }

    /// Half the signing rate, evenly, over more connections than are needed.
    async fn constant(&self, program: &Program, figures: &mut Figures) {
        let rate = self.signing_rate / 2.0;
        let callers = scenarios::callers(program, "client_credentials", 64, self.duration).await;
        let target = Target::plain(program.address, program.pid());
        let run = load::run(&target, callers, Pace::Constant(rate), self.duration).await;
        table(&format!(
            "client_credentials at a constant {rate:.0}/s (S/2), latency from when a request was due"
        ));
        println!("| p50, p99 | {:.2} ms, {:.2} ms | |", run.p50, run.p99);
        figures.line("of that rate", run.rate / rate, "", Bound::AtLeast(0.98));
        if run.errors > 0 {
            figures.fail(format!("the constant rate: {} errors", run.errors));
        }
    }

    /// Memory, start and size of the process.
    async fn process(&self, program: &mut Program, binary: &Path, figures: &mut Figures) {
        let killed = program.restart().await;
        let mut starts: Vec<Duration> = Vec::new();
        for _ in 0..5 {
            tokio::time::sleep(Duration::from_millis(300)).await;
            if !program.terminate() {
                figures.fail("the process did not end as it should".to_owned());
            }
            starts.push(program.start_again().await);
        }
        starts.sort_unstable();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let millis = |time: Duration| time.as_secs_f64() * 1e3;
        table("the process");
        figures.line("ready on the database of this run", millis(starts[2]), " ms", Bound::AtMost(40.0));
        println!("| ready after a kill in the midst of the load | {:.2} ms | |", millis(killed));
        figures.line("resident when idle", memory(program.pid()).0, " MiB", Bound::AtMost(20.0));
        scenarios::measure(program, "client_credentials", 32, self.duration).await;
        figures.line("anonymous under token load", memory(program.pid()).1, " MiB", Bound::AtMost(50.0));
        memory::idle_connections(program, figures).await;
        let size = std::fs::metadata(binary).map_or(0.0, |file| file.len() as f64 / 1e6);
        figures.line("binary", size, " MB", Bound::AtMost(20.0));
    }

    /// The same endpoints on PostgreSQL, by turns with SQLite.
    async fn postgres(&self, sqlite: &Program, binary: &Path, directory: &Path, figures: &mut Figures) {
        let database = db::testing::Postgres::durable_database().await;
        let mut program = Program::start(binary, directory.join("postgres"), Some(&database)).await;
        program.add_es256_api().await;
        program.invite(32).await;
        table("PostgreSQL, of SQLite's rate");
        for (name, least) in [("client_credentials", 0.95), ("refresh", 0.6), ("PATCH /users/{id}", 0.5)] {
            let mut shares = Vec::new();
            for _ in 0..self.runs {
                let here = scenarios::measure(sqlite, name, 32, self.duration).await;
                let there = scenarios::measure(&program, name, 32, self.duration).await;
                if there.errors > 0 {
                    figures.fail(format!("{name} on PostgreSQL: {} errors", there.errors));
                }
                shares.push(there.rate / here.rate);
            }
            shares.sort_by(f64::total_cmp);
            figures.line(name, shares[shares.len() / 2], "", Bound::AtLeast(least));
        }
    }

    /// The token endpoint where the program ends TLS itself. It stays so afterwards.
    async fn tls(&self, program: &mut Program, figures: &mut Figures) {
        let callers = scenarios::callers(program, "client_credentials", 32, self.duration).await;
        let config = program.restart_with_tls().await;
        let target = Target { tls: Some(config), ..Target::plain(program.address, program.pid()) };
        let s = limits::signature();
        let run = load::run(&target, callers, Pace::AnswerByAnswer, self.duration).await;
        table("client_credentials over TLS, 32 connections kept alive");
        println!("| rate, p50, p99 | {:.0}/s, {:.2} ms, {:.2} ms | |", run.rate, run.p50, run.p99);
        println!("| server CPU in s | {:.2} | – |", run.cpu / s);
        if run.errors > 0 || run.rate == 0.0 {
            figures.fail(format!("TLS: {} errors, {:.0}/s", run.errors, run.rate));
        }
    }
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

/// The load against a process of the same stack that always gives one answer: an empty one, or this.
async fn handler(answer: Option<&[u8]>, duration: Duration) -> Run {
    let address = free_address();
    let file = answer.map(|answer| {
        let path = std::env::temp_dir().join(format!("doorward-bench-{}.http", std::process::id()));
        std::fs::write(&path, answer).expect("a file is written");
        path
    });
    let child = Command::new(std::env::current_exe().expect("this program has a path"))
        .args(["--serve-one", &address.to_string()])
        .args(&file)
        .spawn()
        .expect("this program starts again");
    let child = Ended(child);
    while std::net::TcpStream::connect(address).is_err() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    if let Some(file) = file {
        std::fs::remove_file(file).expect("it was read before it served");
    }
    let callers = (0..32).map(|_| scenarios::fixed(request("GET", "/", &[], ""))).collect();
    load::run(&Target::plain(address, child.0.id()), callers, Pace::AnswerByAnswer, duration).await
}

/// A process that ends with its owner.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
