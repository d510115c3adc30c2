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

/// Measures both so often, and prints the medians.
pub async fn measure(
    program: &Program,
    (cores, signing_rate): (usize, f64),
    (runs, duration): (usize, Duration),
    figures: &mut Figures,
) {
    let mut all = Vec::new();
    for _ in 0..runs {
        all.push(once(program, cores, signing_rate, duration, figures).await);
    }
    let of = |figure: fn(&Storm) -> f64| {
        let mut values: Vec<f64> = all.iter().map(figure).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    table(&format!("logins, of {:.0} bare hashes/s", of(|storm| storm.bare)));
    let alone = of(|storm| storm.alone.rate / storm.bare);
    figures.line("logins alone, of the bare hash rate", alone, "", Bound::AtLeast(0.95));
    let cost = of(|storm| storm.alone.cpu * storm.bare / 1e6) / cores as f64;
    println!("| server CPU of a login, of a bare hash | {cost:.2} | |");
    println!(
        "| in the storm: logins, and turned away with 503 | {:.0}/s, {:.0}/s | |",
        of(|storm| storm.done),
        of(|storm| storm.turned_away)
    );
    println!(
        "| tokens beside it: rate, p99 without the storm | {:.0}/s, {:.2} ms | |",
        of(|storm| storm.beside.rate),
        of(|storm| storm.calm.p99)
    );
    let p99 = of(|storm| storm.beside.p99 / storm.calm.p99);
    figures.line("p99 of tokens in the storm, of that", p99, "", Bound::AtMost(3.0));
}

/// One run.
struct Storm {
    /// Hashes a second without a server.
    bare: f64,
    alone: Run,
    /// Token traffic before the storm, and in it.
    calm: Run,
    beside: Run,
    /// Sign-ins in the storm that were let in and turned away, a second.
    done: f64,
    turned_away: f64,
}

async fn once(
    program: &Program,
    cores: usize,
    signing_rate: f64,
    duration: Duration,
    figures: &mut Figures,
) -> Storm {
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
    for (name, run) in [("logins", &alone), ("the storm", &storm), ("tokens beside the storm", &beside)] {
        if run.errors > 0 {
            figures.fail(format!("{name}: {} errors", run.errors));
        }
    }
    let a_second = |count: &AtomicU64| count.load(Ordering::Relaxed) as f64 / duration.as_secs_f64();
    let (done, turned_away) = (a_second(&logins.done), a_second(&logins.turned_away));
    Storm { bare, alone, calm, beside, done, turned_away }
}
