//! A mixed load that goes on. `SOAK=3600` seconds make it long (`make torture HOURS=1`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::program;
use crate::running::http::{Connection, request};
use crate::running::{HOST, Program};

/// From here on growth is held against the 5 % of LD-05: before, caches and pools are still filling.
const LONG: u64 = 600;

/// The resident memory of a process, in bytes, and how many descriptors it has open.
fn size_of(pid: u32) -> (u64, u64) {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process is there");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the kernel tells");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("is a number");
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("the kernel tells").count();
    (kib * 1024, open as u64)
}

/// What was asked and what came of it.
#[derive(Default)]
struct Counts {
    answered: AtomicU64,
    failed: AtomicU64,
}

impl Counts {
    fn add(&self, good: bool) {
        if good { &self.answered } else { &self.failed }.fetch_add(1, Ordering::Relaxed);
    }
}

/// Goes on sending the same, some times a second.
async fn repeat(address: std::net::SocketAddr, bytes: Vec<u8>, over: Arc<AtomicBool>, counts: Arc<Counts>) {
    let mut connection = Connection::open(address).await.expect("it accepts");
    while !over.load(Ordering::Relaxed) {
        match connection.call(&bytes).await {
            Ok((status, ..)) => counts.add(status < 400),
            Err(_) => {
                counts.add(false);
                connection = Connection::open(address).await.expect("it accepts");
            }
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Signs in, exchanges the code, refreshes, reads and writes, again and again.
async fn person(program: Arc<Program>, place: usize, over: Arc<AtomicBool>, counts: Arc<Counts>) {
    let (path, token) = (program.people[0].path(), program.people[0].token.clone());
    let mut round = 0_u64;
    while !over.load(Ordering::Relaxed) {
        let code = program.code("openid offline_access read:things").await;
        let exchange = program.code_exchange(&code);
        let (status, bought) = program.json("POST", "/oauth/token", None, &exchange).await;
        counts.add(status == 200);
        let mut refresh = bought["refresh_token"].clone();
        for _ in 0..3 {
            let body =
                json!({ "grant_type": "refresh_token", "client_id": program.spa, "refresh_token": refresh });
            let (status, bought) = program.json("POST", "/oauth/token", None, &body).await;
            counts.add(status == 200);
            refresh = bought["refresh_token"].clone();
        }
        let name = format!("place-{place}");
        let body = json!({ "user_metadata": { name: round } });
        counts.add(program.json("PATCH", &path, Some(&token), &body).await.0 == 200);
        counts.add(program.json("GET", &path, Some(&token), &Value::Null).await.0 == 200);
        let revoke = json!({ "client_id": program.spa, "token": refresh });
        counts.add(program.json("POST", "/oauth/revoke", None, &revoke).await.0 == 200);
        round += 1;
    }
}

/// LD-05: what goes on for long takes no more and more memory or descriptors, and does not fail.
#[tokio::test(flavor = "multi_thread")]
async fn ld_05_a_load_that_goes_on_leaks_nothing() {
    let seconds = super::size("SOAK", 12_u64);
    let program = Arc::new(program("soak").await);
    let (over, counts) = (Arc::new(AtomicBool::new(false)), Arc::new(Counts::default()));
    let admin = program.admin_token().await;
    let credentials = json!({ "grant_type": "client_credentials", "client_id": program.machine.0,
        "client_secret": program.machine.1, "audience": format!("https://{HOST}/api/v2/") });
    let authorization = format!("Bearer {admin}");
    let json = [("content-type", "application/json")];
    let fixed = [
        request("POST", "/oauth/token", &json, &credentials.to_string()),
        request("GET", "/.well-known/jwks.json", &[], ""),
        request("GET", "/api/v2/users?per_page=10", &[("authorization", &authorization)], ""),
        request("GET", "/api/v2/clients", &[("authorization", &authorization)], ""),
    ];
    let mut load = JoinSet::new();
    for bytes in fixed {
        load.spawn(repeat(program.address, bytes, over.clone(), counts.clone()));
    }
    for place in 0..4 {
        load.spawn(person(program.clone(), place, over.clone(), counts.clone()));
    }
    tokio::time::sleep(Duration::from_secs(seconds) / 3).await;
    let (memory, descriptors) = size_of(program.pid());
    tokio::time::sleep(Duration::from_secs(seconds) * 2 / 3).await;
    let (later, open) = size_of(program.pid());
    over.store(true, Ordering::Relaxed);
    load.join_all().await;
    let (answered, failed) = (counts.answered.load(Ordering::Relaxed), counts.failed.load(Ordering::Relaxed));
    let growth = later as f64 / memory as f64 - 1.0;
    super::ledger(&format!("{seconds} s of mixed load: requests"), answered + failed, answered, failed);
    println!(
        "{seconds} s: {answered} answered, {failed} failed; memory {} MiB, then {} MiB ({:+.1} %); descriptors {descriptors}, then {open}",
        memory >> 20,
        later >> 20,
        growth * 100.0
    );
    assert!(failed * 10_000 <= answered, "{failed} of {answered} failed");
    // A connection or a reader more may be open at the moment of one count.
    assert!(open <= descriptors + 16, "{descriptors} descriptors, then {open}");
    let most = if seconds >= LONG { 0.05 } else { 0.5 };
    assert!(growth < most, "{memory} bytes, then {later}");
}
