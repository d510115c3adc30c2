//! Crashes: the process is killed at random moments while 32 writers work. A ledger outside the server holds what was
//! acknowledged. `KILLS=200` makes it long (`make torture`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use model::Random;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::program;
use crate::running::Program;
use crate::running::http::{Connection, request};

/// What a writer knows: what was acknowledged, and whether a request was under way when the server died.
#[derive(Default)]
struct Ledger {
    acknowledged: u64,
    users: Vec<(String, String)>,
    apis: Vec<(String, String)>,
    metadata: Option<Counter>,
    family: Option<Chain>,
}

/// A user whose metadata counts up.
#[derive(Clone)]
struct Counter {
    user: String,
    acknowledged: u64,
    sent: u64,
}

/// A rotating refresh token.
#[derive(Clone)]
struct Chain {
    token: String,
    in_flight: bool,
}

/// One way to write.
#[derive(Clone)]
enum Work {
    Users,
    Apis,
    Metadata(Counter),
    Rotation(Chain),
}

fn kills() -> usize {
    super::size("KILLS", 20)
}

/// ST-01: every acknowledged write is there after a kill, none is half there, and the server starts again.
#[tokio::test(flavor = "multi_thread")]
async fn st_01_a_kill_loses_nothing_that_was_acknowledged() {
    let mut program = program("crash").await;
    let random = Random::system();
    let mut work = Vec::new();
    let admin = program.admin_token().await;
    for place in 0..8 {
        let user = create_user(&program, &admin, &format!("counter{place}@bench.test")).await;
        work.push(Work::Metadata(Counter { user, acknowledged: 0, sent: 0 }));
        let code = program.code("openid offline_access read:things").await;
        let (status, answer) =
            program.json("POST", "/oauth/token", None, &program.code_exchange(&code)).await;
        let token =
            answer["refresh_token"].as_str().unwrap_or_else(|| panic!("{status}: {answer}")).to_owned();
        work.push(Work::Rotation(Chain { token, in_flight: false }));
        work.push(Work::Users);
        work.push(Work::Apis);
    }
    let (mut written, mut all) = (0_u64, Vec::new());
    let mut slowest = Duration::ZERO;
    let kills = kills();
    for kill in 0..kills {
        let stop = Arc::new(AtomicBool::new(false));
        let mut writers = JoinSet::new();
        for (place, work) in work.clone().into_iter().enumerate() {
            let write =
                write(program.address, program.spa.clone(), admin.clone(), work, format!("{kill}-{place}"));
            writers.spawn(write(stop.clone()));
        }
        tokio::time::sleep(Duration::from_millis(50 + u64::from(random.bytes::<1>()[0]) * 2)).await;
        program.kill();
        stop.store(true, Ordering::Relaxed);
        let ledgers = writers.join_all().await;
        slowest = slowest.max(program.restart().await);
        work.clear();
        for ledger in ledgers {
            written += ledger.acknowledged;
            work.push(verify(&program, &admin, &ledger).await);
            all.push(ledger);
        }
    }
    for ledger in &all {
        for (id, email) in &ledger.users {
            user_is_whole(&program, &admin, id, email).await;
        }
    }
    assert!(program.terminate(), "it stops when asked");
    assert_eq!(db::testing::integrity(&program.database()), "ok");
    // Whatever is not found has ended the test.
    super::ledger(&format!("{kills} kills under 32 writers"), written, written, 0);
    println!(
        "{kills} kills: {written} acknowledged writes, all found; 0 lost, 0 half written; the slowest start took {slowest:?}"
    );
    assert!(slowest < Duration::from_secs(10), "a start took {slowest:?}");
}

/// ST-02: a code whose redemption was cut off is spent or not, and never twice.
#[tokio::test(flavor = "multi_thread")]
async fn st_02_a_redemption_that_was_cut_off_happens_at_most_once() {
    let mut program = program("cut-off").await;
    let random = Random::system();
    let rounds = kills().div_ceil(4);
    for _ in 0..rounds {
        let code = program.code("openid offline_access read:things").await;
        let body = program.code_exchange(&code);
        let sent = tokio::spawn({
            let (address, body) = (program.address, body.to_string());
            async move {
                let mut connection = Connection::open(address).await.ok()?;
                let headers = [("content-type", "application/json")];
                let answer = connection.call(&request("POST", "/oauth/token", &headers, &body)).await.ok()?;
                Some(answer.0)
            }
        });
        tokio::time::sleep(Duration::from_micros(u64::from(random.bytes::<1>()[0]) * 40)).await;
        program.kill();
        let first = sent.await.expect("the caller does not panic");
        program.restart().await;
        let (second, _) = program.json("POST", "/oauth/token", None, &body).await;
        let (third, refusal) = program.json("POST", "/oauth/token", None, &body).await;
        assert!(first != Some(200) || second == 403, "redeemed before the kill and after it");
        assert!([200, 403].contains(&second), "{second}");
        assert_eq!((third, &refusal["error"]), (403, &json!("invalid_grant")));
    }
    let codes = rounds as u64;
    super::ledger(
        &format!("{rounds} kills under a redemption: codes, redeemed at most once"),
        codes,
        codes,
        0,
    );
}

async fn create_user(program: &Program, admin: &str, email: &str) -> String {
    let body = json!({ "connection": "Username-Password-Authentication", "email": email,
        "password": "correct horse battery 9", "user_metadata": { "count": 0 } });
    let (status, answer) = program.json("POST", "/api/v2/users", Some(admin), &body).await;
    assert_eq!(status, 201, "{answer}");
    answer["user_id"].as_str().expect("a user has an id").to_owned()
}

/// A writer: works until the server dies, and brings back its ledger.
fn write(
    address: std::net::SocketAddr,
    spa: String,
    admin: String,
    work: Work,
    name: String,
) -> impl FnOnce(Arc<AtomicBool>) -> std::pin::Pin<Box<dyn Future<Output = Ledger> + Send>> {
    move |stop| {
        Box::pin(async move {
            let mut ledger = Ledger::default();
            let Ok(mut connection) = Connection::open(address).await else { return carried_over(work) };
            let mut work = work;
            for count in 0.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let (method, path, body) = next(&mut work, &spa, &format!("{name}-{count}"));
                let authorization = format!("Bearer {admin}");
                let headers =
                    [("content-type", "application/json"), ("authorization", authorization.as_str())];
                let headers = if path == "/oauth/token" { &headers[..1] } else { &headers[..] };
                let Ok((status, _, answer)) =
                    connection.call(&request(method, &path, headers, &body.to_string())).await
                else {
                    break;
                };
                let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
                assert!(status == 200 || status == 201, "{method} {path}: {status} {answer}");
                acknowledge(&mut work, &mut ledger, &answer, &body);
                ledger.acknowledged += 1;
            }
            let state = carried_over(work);
            Ledger { metadata: state.metadata, family: state.family, ..ledger }
        })
    }
}

/// What goes on into the next round.
fn carried_over(work: Work) -> Ledger {
    match work {
        Work::Metadata(counter) => Ledger { metadata: Some(counter), ..Ledger::default() },
        Work::Rotation(chain) => Ledger { family: Some(chain), ..Ledger::default() },
        Work::Users | Work::Apis => Ledger::default(),
    }
}

fn next(work: &mut Work, spa: &str, name: &str) -> (&'static str, String, Value) {
    match work {
        Work::Users => {
            let body = json!({ "connection": "Username-Password-Authentication",
                "email": format!("u{name}@bench.test"), "password": "correct horse battery 9" });
            ("POST", "/api/v2/users".into(), body)
        }
        Work::Apis => (
            "POST",
            "/api/v2/resource-servers".into(),
            json!({ "identifier": format!("https://{name}.test") }),
        ),
        Work::Metadata(counter) => {
            counter.sent += 1;
            let path = format!("/api/v2/users/{}", counter.user.replace('|', "%7C"));
            ("PATCH", path, json!({ "user_metadata": { "count": counter.sent } }))
        }
        Work::Rotation(chain) => {
            chain.in_flight = true;
            let body =
                json!({ "grant_type": "refresh_token", "client_id": spa, "refresh_token": chain.token });
            ("POST", "/oauth/token".into(), body)
        }
    }
}

fn acknowledge(work: &mut Work, ledger: &mut Ledger, answer: &Value, body: &Value) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match work {
        Work::Users => ledger.users.push((text(&answer["user_id"]), text(&body["email"]))),
        Work::Apis => ledger.apis.push((text(&answer["id"]), text(&body["identifier"]))),
        Work::Metadata(counter) => counter.acknowledged = counter.sent,
        Work::Rotation(chain) => *chain = Chain { token: text(&answer["refresh_token"]), in_flight: false },
    }
}

/// Compares a ledger with the restarted server; what the writer goes on with.
async fn verify(program: &Program, admin: &str, ledger: &Ledger) -> Work {
    for (id, email) in &ledger.users {
        user_is_whole(program, admin, id, email).await;
    }
    for (id, identifier) in &ledger.apis {
        let (status, api) =
            program.json("GET", &format!("/api/v2/resource-servers/{id}"), Some(admin), &Value::Null).await;
        assert_eq!(
            (status, api["identifier"].as_str()),
            (200, Some(identifier.as_str())),
            "an acknowledged API is lost"
        );
    }
    if let Some(counter) = &ledger.metadata {
        let path = format!("/api/v2/users/{}", counter.user.replace('|', "%7C"));
        let (_, user) = program.json("GET", &path, Some(admin), &Value::Null).await;
        let found = user["user_metadata"]["count"].as_u64().expect("the counter is there");
        let expected = counter.acknowledged..=counter.sent;
        assert!(expected.contains(&found), "found {found}, expected {expected:?}");
        return Work::Metadata(Counter { acknowledged: found, sent: found, ..counter.clone() });
    }
    if let Some(chain) = &ledger.family {
        let body =
            json!({ "grant_type": "refresh_token", "client_id": program.spa, "refresh_token": chain.token });
        let (status, answer) = program.json("POST", "/oauth/token", None, &body).await;
        assert!(
            status == 200 || chain.in_flight && status == 403,
            "an acknowledged token is lost: {status} {answer}"
        );
        let token = match answer["refresh_token"].as_str() {
            Some(token) => token.to_owned(),
            None => new_chain(program).await,
        };
        return Work::Rotation(Chain { token, in_flight: false });
    }
    if ledger.apis.is_empty() { Work::Users } else { Work::Apis }
}

async fn new_chain(program: &Program) -> String {
    let code = program.code("openid offline_access read:things").await;
    let (status, answer) = program.json("POST", "/oauth/token", None, &program.code_exchange(&code)).await;
    answer["refresh_token"].as_str().unwrap_or_else(|| panic!("{status}: {answer}")).to_owned()
}

/// The user, their identity and the audit event were one batch: all of it is there.
async fn user_is_whole(program: &Program, admin: &str, id: &str, email: &str) {
    let path = format!("/api/v2/users/{}", id.replace('|', "%7C"));
    let (status, user) = program.json("GET", &path, Some(admin), &Value::Null).await;
    assert_eq!((status, user["email"].as_str()), (200, Some(email)), "an acknowledged user is lost");
    assert_eq!(user["identities"][0]["provider"], "auth0", "a user without an identity");
    let path = format!("/api/v2/users-by-email?email={}", email.replace('@', "%40"));
    let (_, found) = program.json("GET", &path, Some(admin), &Value::Null).await;
    assert_eq!(found[0]["user_id"].as_str(), Some(id), "a user whose address finds nobody");
}
