//! Another identity server in the same run: node's oidc-provider with one worker a core.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::figures::{Bound, Figures, table};
use crate::load::{Caller, Pace, Target, run};
use crate::running::http::{Connection, request};
use crate::running::{Program, free_address};
use crate::scenarios::{self, fixed};

/// The program that serves it, and the package it needs.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../e2e/beside/oidc-provider.js");
const PACKAGE: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../e2e/node_modules/oidc-provider/package.json");

/// Its processes: a group of their own, which ends with its owner.
struct Provider(Child);

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status();
        let _ = self.0.wait();
    }
}

/// Measures both by turns, and prints them side by side.
pub async fn measure(program: &Program, duration: Duration, figures: &mut Figures) {
    if !Path::new(PACKAGE).exists() {
        return figures.fail("oidc-provider is not installed: `npm ci` in e2e".to_owned());
    }
    let address = free_address();
    let child = Command::new("node")
        .args([SCRIPT, &address.port().to_string()])
        .stdout(Stdio::null())
        .spawn()
        .expect("node starts");
    let provider = Provider(child);
    let since = Instant::now();
    while Connection::open(address).await.is_err() {
        assert!(since.elapsed() < Duration::from_secs(30), "oidc-provider does not answer");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let other = Target::plain(address, provider.0.id());
    let ours = Target::plain(program.address, program.pid());
    table("beside node's oidc-provider: rate/s here, there");
    for (name, bound) in [("client_credentials", 1.6), ("JWKS", 3.0)] {
        let theirs = || -> Vec<Box<dyn Caller>> {
            let form = [("content-type", "application/x-www-form-urlencoded")];
            let body = "grant_type=client_credentials&client_id=bench&client_secret=bench-secret-of-some-length\
                        &scope=read%3Ausers&resource=https%3A%2F%2Fapi.bench.test";
            let request = match name {
                "JWKS" => request("GET", "/jwks", &[], ""),
                _ => request("POST", "/token", &form, body),
            };
            (0..32).map(|_| fixed(request.clone())).collect()
        };
        let (mut here, mut there) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            let callers = scenarios::callers(program, name, 32, duration).await;
            here.push(run(&ours, callers, Pace::AnswerByAnswer, duration).await);
            there.push(run(&other, theirs(), Pace::AnswerByAnswer, duration).await);
        }
        for run in here.iter().chain(&there) {
            if run.errors > 0 || run.rate == 0.0 {
                return figures.fail(format!("{name} beside oidc-provider: {} errors", run.errors));
            }
        }
        for runs in [&mut here, &mut there] {
            runs.sort_by(|one, two| one.rate.total_cmp(&two.rate));
        }
        let (here, there) = (here[1].rate, there[1].rate);
        figures.line(&format!("{name}: {here:.0}, {there:.0}"), here / there, "", Bound::AtLeast(bound));
    }
}
