//! What strangers can hold open or ask for at once. `IDLE=10000` and `SLOW=5000` make it as large as the limits are (`make torture`).

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::running::http::{Connection, request};
use crate::support::binary::Site;

const LINES: &str = "issuer = \"https://bench.test/\"\nlog = \"warn,server=info\"\n";

async fn answers(address: SocketAddr) -> u16 {
    let mut connection = Connection::open(address).await.expect("it accepts");
    connection.call(&request("GET", "/.well-known/jwks.json", &[], "")).await.expect("an answer").0
}

/// LD-01: whoever sends a byte now and then, in the headers or in the body, is sent away when the time is up, and keeps nobody waiting.
#[tokio::test(flavor = "multi_thread")]
async fn ld_01_slow_clients_are_sent_away() {
    let site = Site::with(
        "sqlite:doorward.db",
        &format!("{LINES}[limits]\nheaders_seconds = 2\nrequest_seconds = 2"),
    );
    let server = site.serve();
    let address = server.address;
    let mut slow = JoinSet::new();
    for number in 0..super::size("SLOW", 200) {
        slow.spawn(async move {
            let mut stream = TcpStream::connect(address).await.expect("it accepts");
            let start: &[u8] = match number % 2 {
                0 => b"GET /.well-known/jwks.json HTTP/1.1\r\nhost: bench.test\r\nx: ",
                _ => b"POST /oauth/token HTTP/1.1\r\nhost: bench.test\r\nx-forwarded-proto: https\r\ncontent-length: 1000\r\n\r\n",
            };
            stream.write_all(start).await.expect("it reads");
            let (mut read, mut write) = stream.into_split();
            let trickle = tokio::spawn(async move {
                while write.write_all(b"a").await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
            });
            let mut answer = Vec::new();
            // A reset is an end too.
            let ended = tokio::time::timeout(Duration::from_secs(30), read.read_to_end(&mut answer)).await;
            trickle.abort();
            assert!(ended.is_ok(), "it is never sent away");
            let answer = String::from_utf8_lossy(&answer).into_owned();
            assert!(!answer.starts_with("HTTP/1.1 2"), "{answer}");
        });
    }
    for _ in 0..20 {
        assert_eq!(answers(address).await, 200);
    }
    slow.join_all().await;
    assert_eq!(answers(address).await, 200);
    server.terminate();
    assert_eq!(server.wait().code(), Some(0));
}

/// LD-02: connections that only wait cost little, and nobody notices them.
#[tokio::test(flavor = "multi_thread")]
async fn ld_02_idle_connections_cost_little() {
    let site = Site::with("sqlite:doorward.db", LINES);
    let server = site.serve();
    assert_eq!(answers(server.address).await, 200);
    let before = server.memory();
    let count = super::size("IDLE", 2_000_usize);
    let mut idle = Vec::with_capacity(count);
    for _ in 0..count {
        let mut connection = Connection::open(server.address).await.expect("it accepts");
        let answer = connection.call(&request("GET", "/.well-known/jwks.json", &[], "")).await;
        assert_eq!(answer.expect("an answer").0, 200);
        idle.push(connection);
    }
    let each = server.memory().saturating_sub(before) / count as u64;
    assert!(each < 40 << 10, "{each} bytes for each connection");
    assert_eq!(answers(server.address).await, 200);
    println!("{count} idle connections: {each} bytes each");
    drop(idle);
}

/// LD-02: beyond the most connections one waits, and is served when another leaves.
#[tokio::test(flavor = "multi_thread")]
async fn ld_02_connections_are_bounded() {
    let site = Site::with("sqlite:doorward.db", &format!("{LINES}[limits]\nconnections = 3"));
    let server = site.serve();
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut connection = Connection::open(server.address).await.expect("it accepts");
        connection.call(&request("GET", "/.well-known/jwks.json", &[], "")).await.expect("an answer");
        held.push(connection);
    }
    let address = server.address;
    let mut waiting = tokio::spawn(async move { answers(address).await });
    assert!(tokio::time::timeout(Duration::from_millis(300), &mut waiting).await.is_err(), "it waits");
    held.pop();
    assert_eq!(waiting.await.expect("it is served"), 200);
}

/// LD-03: more passwords than can be hashed wait up to a bound; who comes on top is told so at once, and everything else goes on.
#[tokio::test(flavor = "multi_thread")]
async fn ld_03_a_storm_of_passwords_is_bounded() {
    let site = Site::with("sqlite:doorward.db", LINES);
    let server = site.serve();
    let address = server.address;
    let mut connection = Connection::open(address).await.expect("it accepts");
    let config =
        connection.call(&request("GET", "/account/config.json", &[], "")).await.expect("an answer").2;
    let config: serde_json::Value = serde_json::from_slice(&config).expect("is JSON");
    let client = config["client_id"].as_str().expect("the account page has a client").to_owned();
    let stormy = Arc::new(AtomicBool::new(true));
    let mut storm = JoinSet::new();
    for caller in 0..200_u32 {
        let (stormy, client) = (stormy.clone(), client.clone());
        storm.spawn(async move {
            let (mut done, mut sent_away) = (0_u32, 0_u32);
            while stormy.load(Ordering::Relaxed) {
                let mut connection = Connection::open(address).await.expect("it accepts");
                let body = json!({ "client_id": client, "connection": "Username-Password-Authentication",
                    "email": format!("{caller}-{done}-{sent_away}@example.com"), "password": "Correct-horse-9" });
                let from = format!("10.{}.{}.{}", caller, done % 256, sent_away % 256);
                let headers = [("content-type", "application/json"), ("x-forwarded-for", from.as_str())];
                let bytes = request("POST", "/dbconnections/signup", &headers, &body.to_string());
                let (status, headers, body) = connection.call(&bytes).await.expect("an answer");
                match status {
                    200 => done += 1,
                    503 => {
                        assert!(headers.to_lowercase().contains("retry-after: "), "{headers}");
                        sent_away += 1;
                    }
                    _ => panic!("{status}: {}", String::from_utf8_lossy(&body)),
                }
            }
            (done, sent_away)
        });
    }
    for _ in 0..50 {
        let answered = tokio::time::timeout(Duration::from_secs(5), answers(address)).await;
        assert_eq!(answered.expect("others need no password hashed"), 200);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stormy.store(false, Ordering::Relaxed);
    let counts = storm.join_all().await;
    let (done, sent_away) = counts.iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    assert!(done > 0 && sent_away > 0, "{done} hashed, {sent_away} sent away");
    let peak = server.peak_memory();
    assert!(peak < 400 << 20, "{peak}");
    println!("{done} passwords hashed, {sent_away} sent away, {} MiB at most", peak >> 20);
}
