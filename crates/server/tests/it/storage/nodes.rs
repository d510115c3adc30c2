//! Two nodes, two processes, one PostgreSQL: what one does the other knows. `ROUNDS=500` makes the races long.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{DecodingKey, Validation, decode, decode_header};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::program_on;
use crate::running::{HOST, Node, Program, json_at};
use crate::support::Engine;

pub(super) async fn two(name: &str) -> (Program, Node) {
    let program = program_on(name, &Engine::Postgres.database().await).await;
    let node = program.another_node().await;
    (program, node)
}

/// Of the races of two processes; `once.rs` has longer ones.
fn rounds() -> usize {
    super::size("ROUNDS", 20).min(500)
}

/// How long a node may take to hear of a change: a poll a second, and room for a busy machine.
const HEARD_WITHIN: Duration = Duration::from_secs(5);

/// Asks until the answer is as it should be.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < HEARD_WITHIN, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    begun.elapsed()
}

/// Configuration that one node changes is changed at the other within about a second.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_reaches_the_other_node() {
    let (first, second) = two("changes").await;
    let admin = first.admin_token().await;
    let page = async |address| json_at(address, "GET", "/account/config.json", None, &Value::Null).await.1;
    assert_eq!(page(second.address).await["name"], json!(HOST));
    let named = async |address, path: &str| {
        json_at(address, "GET", path, None, &Value::Null).await.1.get("end_session_endpoint").is_some()
    };
    const DISCOVERY: &str = "/.well-known/openid-configuration";
    for published in [false, true, false] {
        let body = json!({ "oidc_logout": { "rp_logout_end_session_endpoint_discovery": published } });
        named(second.address, DISCOVERY).await;
        assert_eq!(first.json("PATCH", "/api/v2/tenants/settings", Some(&admin), &body).await.0, 200);
        assert_eq!(named(first.address, DISCOVERY).await, published, "a node reads its own writes");
        until("discovery", async || named(second.address, DISCOVERY).await == published).await;
    }
    for name in ["Acme", "Acme & Co"] {
        let body = json!({ "friendly_name": name });
        let (status, answer) = first.json("PATCH", "/api/v2/tenants/settings", Some(&admin), &body).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(page(first.address).await["name"], json!(name), "a node reads its own writes");
        until(name, async || page(second.address).await["name"] == json!(name)).await;
    }
}

/// A block at one node ends a person's calls at the other on the very next one: users are never cached.
#[tokio::test(flavor = "multi_thread")]
async fn a_block_acts_at_once_on_every_node() {
    let (first, second) = two("block").await;
    let admin = first.admin_token().await;
    let person = &first.people[0];
    let own =
        async |address| json_at(address, "GET", &person.path(), Some(&person.token), &Value::Null).await.0;
    for _ in 0..5 {
        assert_eq!(own(second.address).await, 200);
        for (blocked, status) in [(true, 401), (false, 200)] {
            let body = json!({ "blocked": blocked });
            assert_eq!(first.json("PATCH", &person.path(), Some(&admin), &body).await.0, 200);
            assert_eq!(own(second.address).await, status);
        }
    }
}

pub(super) async fn jwks(address: SocketAddr) -> JwkSet {
    let answer = json_at(address, "GET", "/.well-known/jwks.json", None, &Value::Null).await.1;
    serde_json::from_value(answer).expect("a set of keys")
}

/// Whether a token is good by these keys. `None` if they do not hold its key.
pub(super) fn verifies(token: &str, keys: &JwkSet) -> Option<bool> {
    let kid = decode_header(token).expect("a token").kid.expect("a key id");
    let key = DecodingKey::from_jwk(keys.find(&kid)?).expect("a key");
    let mut validation = Validation::new(jsonwebtoken::Algorithm::RS256);
    validation.validate_aud = false;
    Some(decode::<Value>(token, &key, &validation).is_ok())
}

pub(super) async fn token(program: &Program, address: SocketAddr) -> String {
    let body = json!({ "grant_type": "client_credentials", "client_id": program.machine.0,
        "client_secret": program.machine.1, "audience": format!("https://{HOST}/api/v2/") });
    let (status, answer) = json_at(address, "POST", "/oauth/token", None, &body).await;
    assert_eq!(status, 200, "{answer}");
    answer["access_token"].as_str().expect("a token").to_owned()
}

/// JW-06: while keys are rotated at either node, every token of either is good by the keys that the other published before it was made.
#[tokio::test(flavor = "multi_thread")]
async fn jw_06_a_key_is_published_everywhere_before_it_signs() {
    let (first, second) = two("rotation").await;
    let admin = first.admin_token().await;
    let nodes = [first.address, second.address];
    let mut checked = 0;
    for rotation in 0..4_usize {
        let (here, there) = (nodes[rotation % 2], nodes[(rotation + 1) % 2]);
        // A verifier's copy, from the other node and from before the rotation.
        let known = jwks(there).await;
        let (status, answer) =
            json_at(here, "POST", "/api/v2/keys/signing/rotate", Some(&admin), &Value::Null).await;
        assert_eq!(status, 201, "{answer}");
        for _ in 0..10 {
            for node in nodes {
                assert_eq!(verifies(&token(&first, node).await, &known), Some(true));
                checked += 1;
            }
        }
        let kid = answer["kid"].as_str().expect("a key id").to_owned();
        // The other node signs with the new key too, and publishes the next one, once it has heard of it.
        until("the rotation", async || {
            decode_header(&token(&first, there).await).expect("a token").kid.as_deref() == Some(&*kid)
        })
        .await;
        assert_eq!(verifies(&token(&first, there).await, &known), Some(true));
    }
    assert_eq!(checked, 80);
}

/// JW-07: a key that is revoked at one node is good at none: at that one from then on, at the other within about a second.
#[tokio::test(flavor = "multi_thread")]
async fn jw_07_a_revoked_key_is_good_at_no_node() {
    let (first, second) = two("revocation").await;
    let old = first.admin_token().await;
    let kid = decode_header(&old).expect("a token").kid.expect("a key id");
    let (status, answer) = first.json("POST", "/api/v2/keys/signing/rotate", Some(&old), &Value::Null).await;
    assert_eq!(status, 201, "{answer}");
    let fresh = first.admin_token().await;
    let clients = async |address, token: &str| {
        json_at(address, "GET", "/api/v2/clients", Some(token), &Value::Null).await.0
    };
    assert_eq!((clients(first.address, &old).await, clients(second.address, &old).await), (200, 200));
    let path = format!("/api/v2/keys/signing/{kid}/revoke");
    let (status, answer) = first.json("PUT", &path, Some(&fresh), &Value::Null).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(clients(first.address, &old).await, 401);
    until("the revocation", async || clients(second.address, &old).await == 401).await;
    for node in [first.address, second.address] {
        assert!(jwks(node).await.find(&kid).is_none(), "it is published no more");
        assert_eq!(clients(node, &fresh).await, 200);
    }
}

/// Sends the same body to both nodes, 32 times each, at once. The statuses.
async fn race(nodes: [SocketAddr; 2], body: &Value) -> Vec<(u16, Value)> {
    let mut callers = JoinSet::new();
    for caller in 0..64 {
        let (node, body) = (nodes[caller % 2], body.clone());
        callers.spawn(async move { json_at(node, "POST", "/oauth/token", None, &body).await });
    }
    callers.join_all().await
}

/// Codes and refresh tokens are spent once, whichever nodes they are brought to at the same moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_redemptions_at_two_nodes_one_succeeds() {
    let (first, second) = two("races").await;
    let nodes = [first.address, second.address];
    for round in 0..rounds() {
        let code = first.code("openid offline_access read:things").await;
        let answers = race(nodes, &first.code_exchange(&code)).await;
        let good: Vec<_> = answers.iter().filter(|(status, _)| *status == 200).collect();
        assert_eq!(good.len(), 1, "round {round}");
        assert!(answers.iter().all(|(status, _)| [200, 403].contains(status)), "round {round}: {answers:?}");
        // A code that is shown again ends what it bought.
        let refresh = json!({ "grant_type": "refresh_token", "client_id": first.spa, "refresh_token": good[0].1["refresh_token"] });
        assert_eq!(json_at(second.address, "POST", "/oauth/token", None, &refresh).await.0, 403);

        let code = first.code("openid offline_access read:things").await;
        let (_, bought) = first.json("POST", "/oauth/token", None, &first.code_exchange(&code)).await;
        let refresh = json!({ "grant_type": "refresh_token", "client_id": first.spa, "refresh_token": bought["refresh_token"] });
        let answers = race(nodes, &refresh).await;
        let good = answers.iter().filter(|(status, _)| *status == 200).count();
        assert!(good <= 1, "round {round}: {good} refreshes");
        assert!(answers.iter().all(|(status, _)| [200, 403].contains(status)), "round {round}: {answers:?}");
    }
    super::ledger("two processes: rounds of 64 at once", 2 * rounds() as u64, 2 * rounds() as u64, 0);
    println!("{} rounds of 64 redemptions each at two nodes, never more than one success", 2 * rounds());
}
