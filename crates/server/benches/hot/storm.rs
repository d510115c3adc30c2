//! Everybody signs in at once: logins alone, and five times as many as can be hashed beside token traffic.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::figures::{Bound, Figures, table};
use crate::load::{Caller, Pace, Run, Target, run};
use crate::running::Program;
use crate::{limits, scenarios};

/// Sign-ins that wait at once when they come one after the other.
const PEOPLE: usize = 16;
/// Connections of the storm: more than the server lets wait for a hash.
const CROWD: usize = 128;
/// How many times as many come as can be hashed.
const STORM: f64 = 5.0;
/// What part of the signing rate the token traffic takes.
const TOKENS: f64 = 0.1;

/// Open login pages whose password is still to be proven, and what became of those that were.
#[derive(Default)]
struct Logins {
    open: Mutex<VecDeque<Vec<u8>>>,
    done: AtomicU64,
    turned_away: AtomicU64,
}

struct Login {
    logins: Arc<Logins>,
    at: Vec<u8>,
}

impl Caller for Login {
    fn next(&mut self) -> Option<Vec<u8>> {
        self.at = self.logins.open.lock().expect("no holder panics").pop_front()?;
        Some(self.at.clone())
    }

    /// Who is told to come back later keeps the open page and comes back.
    fn answered(&mut self, status: u16, _: &[u8]) -> bool {
        match status {
            302 => self.logins.done.fetch_add(1, Ordering::Relaxed),
            429 | 503 => {
                self.logins.open.lock().expect("no holder panics").push_back(std::mem::take(&mut self.at));
                self.logins.turned_away.fetch_add(1, Ordering::Relaxed)
            }
            _ => return false,
        };
        true
    }
}

/// Opens login pages for `people` people, `count` in all.
async fn open(program: &Program, people: usize, count: usize) -> Arc<Logins> {
    let logins = Logins::default();
    for place in 0..count {
        let request = program.login_request(place % people).await;
        logins.open.lock().expect("no holder panics").push_back(request);
    }
    Arc::new(logins)
}

fn crowd(logins: &Arc<Logins>, count: usize) -> Vec<Box<dyn Caller>> {
    let login = || Box::new(Login { logins: logins.clone(), at: Vec::new() }) as Box<dyn Caller>;
    (0..count).map(|_| login()).collect()
}

/// Measures both, and prints them.
pub async fn measure(
    program: &Program,
    cores: usize,
    signing_rate: f64,
    duration: Duration,
    figures: &mut Figures,
) {
    let target = Target::plain(program.address, program.pid());
    let enough = |rate: f64| (rate * duration.as_secs_f64() * 1.5) as usize + CROWD;
    let people = program.people.len();

    // The bare rate before and after, so that both meet the same noise.
    let before = limits::hash_rate(cores, duration).await;
    let logins = open(program, people, enough(before)).await;
    let alone = run(&target, crowd(&logins, PEOPLE), Pace::AnswerByAnswer, duration).await;
    let after = limits::hash_rate(cores, duration).await;
    let bare = f64::midpoint(before, after);

    let tokens = async || {
        let callers = scenarios::callers(program, "client_credentials", 32, duration).await;
        run(&target, callers, Pace::Constant(signing_rate * TOKENS), duration).await
    };
    let calm = tokens().await;
    let logins = open(program, people, enough(bare)).await;
    let (storm, beside): (Run, Run) =
        tokio::join!(run(&target, crowd(&logins, CROWD), Pace::Constant(bare * STORM), duration), tokens());
    let seconds = duration.as_secs_f64();
    let done = logins.done.load(Ordering::Relaxed) as f64 / seconds;
    let turned_away = logins.turned_away.load(Ordering::Relaxed) as f64 / seconds;

    table(&format!("logins, of {bare:.0} bare hashes/s"));
    figures.line("logins alone, of the bare hash rate", alone.rate / bare, "", Bound::AtLeast(0.95));
    let hash = 1e6 * cores as f64 / bare;
    println!("| server CPU of a login, of a bare hash | {:.2} | |", alone.cpu / hash);
    println!("| in the storm: logins, and turned away with 503 | {done:.0}/s, {turned_away:.0}/s | |");
    println!(
        "| tokens beside it: rate, p99 without the storm | {:.0}/s, {:.2} ms | |",
        beside.rate, calm.p99
    );
    figures.line("p99 of tokens in the storm, of that", beside.p99 / calm.p99, "", Bound::AtMost(3.0));
    for (name, run) in [("logins", &alone), ("the storm", &storm), ("tokens beside the storm", &beside)] {
        if run.errors > 0 {
            figures.fail(format!("{name}: {} errors", run.errors));
        }
    }
}
