//! Stopping: what was accepted is answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;

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
