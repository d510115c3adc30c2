//! Signing keys that change while tokens are made and verified. `ROTATIONS=30` makes it long (`make torture`).

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::JwkSet;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::nodes::{jwks, two, verifies};
use crate::running::http::{Connection, request};
use crate::running::{HOST, json_at};

/// How long a verifier keeps what it has read, as most libraries do. Like them it looks anew for a key that it does not know.
const KEPT: Duration = Duration::from_secs(60);
const VERIFIERS: usize = 8;

/// A verifier's copy of the keys.
struct Cache {
    from: SocketAddr,
    keys: JwkSet,
    read: Instant,
}

impl Cache {
    async fn of(from: SocketAddr) -> Self {
        Self { from, keys: jwks(from).await, read: Instant::now() }
    }

    /// Whether the token is good, and whether the keys had to be read for it.
    async fn verify(&mut self, token: &str) -> (bool, bool) {
        if self.read.elapsed() < KEPT
            && let Some(good) = verifies(token, &self.keys)
        {
            return (good, false);
        }
        *self = Self::of(self.from).await;
        (verifies(token, &self.keys) == Some(true), true)
    }
}

/// JW-06: while both nodes issue tokens and keys change at either, every token of one verifies by what the other publishes.
#[tokio::test(flavor = "multi_thread")]
async fn jw_06_no_verification_fails_while_keys_change_under_load() {
    let rotations = super::size("ROTATIONS", 3_usize);
    let every = Duration::from_secs(if rotations > 3 { 3 } else { 1 });
    let (first, second) = two("load-rotation").await;
    let nodes = [first.address, second.address];
    let body = json!({ "grant_type": "client_credentials", "client_id": first.machine.0,
        "client_secret": first.machine.1, "audience": format!("https://{HOST}/api/v2/") });
    let bytes = request("POST", "/oauth/token", &[("content-type", "application/json")], &body.to_string());
    let stop = Arc::new(AtomicBool::new(false));
    let mut verifiers = JoinSet::new();
    for place in 0..VERIFIERS {
        let (stop, bytes) = (stop.clone(), bytes.clone());
        let (issuer, published) = (nodes[place % 2], nodes[(place + 1) % 2]);
        verifiers.spawn(async move {
            let mut connection = Connection::open(issuer).await.expect("it accepts");
            let mut cache = Cache::of(published).await;
            let (mut verified, mut failed, mut looked) = (0_u64, 0_u64, 0_u64);
            while !stop.load(Ordering::Relaxed) {
                let (status, _, body) = connection.call(&bytes).await.expect("an answer");
                assert_eq!(status, 200);
                let answer: Value = serde_json::from_slice(&body).expect("is JSON");
                let (good, read) = cache.verify(answer["access_token"].as_str().expect("a token")).await;
                verified += u64::from(good);
                failed += u64::from(!good);
                looked += u64::from(read);
            }
            (verified, failed, looked)
        });
    }
    let admin = first.admin_token().await;
    for rotation in 0..rotations {
        tokio::time::sleep(every).await;
        let path = "/api/v2/keys/signing/rotate";
        let (status, answer) = json_at(nodes[rotation % 2], "POST", path, Some(&admin), &Value::Null).await;
        assert_eq!(status, 201, "{answer}");
    }
    tokio::time::sleep(every).await;
    stop.store(true, Ordering::Relaxed);
    let counts = verifiers.join_all().await;
    let (verified, failed, looked) =
        counts.iter().fold((0, 0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1, sum.2 + one.2));
    super::ledger(
        &format!("{rotations} key rotations, two nodes: tokens verified by 60 s copies"),
        verified + failed,
        verified,
        failed,
    );
    println!(
        "{rotations} rotations: {verified} tokens verified, {failed} failed; keys were read anew {looked} times"
    );
    assert_eq!(failed, 0, "of {verified}");
    assert!(verified > rotations as u64 * 10, "{verified}");
}
