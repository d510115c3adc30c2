//! Stopping: what was accepted is answered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::program;
use crate::running::http::{Connection, request};

/// ST-08: SIGTERM under load drops no request that was accepted, and the process ends with 0.
#[tokio::test(flavor = "multi_thread")]
async fn st_08_a_stop_answers_what_was_accepted() {
    let mut program = program("shutdown").await;
    let address = program.address;
    let stopping = Arc::new(AtomicBool::new(false));
    let answered = Arc::new(AtomicU64::new(0));
    let mut callers = JoinSet::new();
    for _ in 0..16 {
        let (stopping, answered) = (stopping.clone(), answered.clone());
        let (token, path) = (program.people[0].token.clone(), program.people[0].path());
        callers.spawn(async move {
            let authorization = format!("Bearer {token}");
            let headers = [("authorization", authorization.as_str()), ("connection", "close")];
            let bytes = request("GET", &path, &headers, "");
            loop {
                let before = stopping.load(Ordering::SeqCst);
                let Ok(mut connection) = Connection::open(address).await else {
                    assert!(stopping.load(Ordering::SeqCst), "refused before the stop");
                    return;
                };
                match connection.call(&bytes).await {
                    Ok((200, _, _)) => answered.fetch_add(1, Ordering::Relaxed),
                    Ok((status, _, _)) => panic!("answered {status}"),
                    // The connection was made before the signal: its request was owed an answer.
                    Err(error) if !before && !stopping.load(Ordering::SeqCst) => panic!("dropped: {error}"),
                    Err(_) => return,
                };
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
    }
    while answered.load(Ordering::Relaxed) < 500 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut accepted = JoinSet::new();
    let bytes = request("GET", "/.well-known/jwks.json", &[("connection", "close")], "");
    for _ in 0..64 {
        let mut connection = Connection::open(address).await.expect("it still accepts");
        let bytes = bytes.clone();
        accepted.spawn(async move { connection.call(&bytes).await.map(|answer| answer.0) });
    }
    stopping.store(true, Ordering::SeqCst);
    let ended = tokio::task::spawn_blocking(move || program.terminate());
    for answer in accepted.join_all().await {
        assert_eq!(answer.expect("an accepted request is answered"), 200);
    }
    assert!(ended.await.expect("the wait does not panic"), "it ended with another status than 0");
    callers.join_all().await;
}

/// One caller of a balanced load: it keeps its connection until it is told to go, as a load balancer does. How many were answered, and
/// how many were sent on an open connection and got nothing.
async fn balanced(address: SocketAddr, bytes: Vec<u8>, every: Duration, over: Arc<AtomicBool>) -> (u64, u64) {
    let (mut answered, mut dropped) = (0, 0);
    let mut kept: Option<Connection> = None;
    let mut clock = tokio::time::interval(every);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !over.load(Ordering::Relaxed) {
        clock.tick().await;
        let mut connection = match kept.take() {
            Some(connection) => connection,
            // Refused: the server is not there, and nothing was sent.
            None => match Connection::open(address).await {
                Ok(connection) => connection,
                Err(_) => continue,
            },
        };
        match connection.call(&bytes).await {
            Ok((200, headers, _)) => {
                answered += 1;
                if !headers.to_lowercase().contains("connection: close") {
                    kept = Some(connection);
                }
            }
            Ok((status, _, body)) => panic!("{status}: {}", String::from_utf8_lossy(&body)),
            Err(_) => dropped += 1,
        }
    }
    (answered, dropped)
}

/// ST-08: stops at 500 requests a second, one after another, drop none. `STOPS=50` makes it long (`make torture`).
#[tokio::test(flavor = "multi_thread")]
async fn st_08_stops_under_a_steady_load_drop_nothing() {
    const RATE: u32 = 500;
    const CALLERS: u32 = 16;
    let stops = super::size("STOPS", 2_usize);
    let mut program = program("stops").await;
    let over = Arc::new(AtomicBool::new(false));
    let authorization = format!("Bearer {}", program.people[0].token);
    let bytes = request("GET", &program.people[0].path(), &[("authorization", &authorization)], "");
    let every = Duration::from_secs(1) * CALLERS / RATE;
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        callers.spawn(balanced(program.address, bytes.clone(), every, over.clone()));
    }
    let mut slowest = Duration::ZERO;
    for _ in 0..stops {
        tokio::time::sleep(Duration::from_millis(700)).await;
        let begun = Instant::now();
        let (stopped, well) = tokio::task::spawn_blocking(move || {
            let well = program.terminate();
            (program, well)
        })
        .await
        .expect("the wait does not panic");
        assert!(well, "it ended with another status than 0");
        slowest = slowest.max(begun.elapsed());
        program = stopped;
        program.restart().await;
    }
    over.store(true, Ordering::Relaxed);
    let (answered, dropped) =
        callers.join_all().await.into_iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    super::ledger(&format!("{stops} stops at {RATE}/s: requests"), answered + dropped, answered, dropped);
    println!(
        "{stops} stops at {RATE}/s: {answered} answered, {dropped} dropped; the longest took {slowest:?}"
    );
    assert_eq!(dropped, 0);
    assert!(answered > stops as u64 * 50, "{answered}");
    assert!(slowest < Duration::from_secs(30), "{slowest:?}");
}
