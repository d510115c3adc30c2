//! A PostgreSQL that goes away and comes back: through a proxy of the test's own, which refuses, or says nothing.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::program_on;
use crate::running::http::{Connection, request};
use crate::running::{Program, json_at};
use crate::support::Engine;

/// What the proxy does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Through,
    /// Cuts every connection, and each new one at once.
    Cut,
    /// Takes connections and bytes, and forwards none.
    Silent,
}

struct Proxy {
    address: SocketAddr,
    line: watch::Sender<Line>,
}

impl Proxy {
    /// In front of a server that listens on this port of this machine.
    async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let (line, seen) = watch::channel(Line::Through);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, port, seen.clone()));
            }
        });
        Self { address, line }
    }

    fn set(&self, line: Line) {
        self.line.send(line).expect("the proxy listens");
    }
}

async fn carry(mut client: TcpStream, port: u16, mut line: watch::Receiver<Line>) {
    if *line.borrow() == Line::Cut {
        return;
    }
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    loop {
        let now = *line.borrow_and_update();
        match now {
            Line::Cut => return,
            Line::Silent => {
                if line.changed().await.is_err() {
                    return;
                }
                // What was swallowed is lost, and the connection with it.
                return;
            }
            Line::Through => tokio::select! {
                _ = copy_bidirectional(&mut client, &mut server) => return,
                changed = line.changed() => if changed.is_err() { return },
            },
        }
    }
}

/// A program whose database is behind a proxy.
async fn behind_proxy(name: &str) -> Option<(Program, Proxy)> {
    // Another server than the private one may not listen here.
    if std::env::var_os("TEST_DATABASE_URL").is_some() {
        return None;
    }
    let url = Engine::Postgres.database().await;
    let base = url.split_once('?').map_or(&*url, |(base, _)| base);
    let (authority, database) = base.rsplit_once('/').expect("a name");
    let port = authority.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).expect("a port");
    let proxy = Proxy::to(port).await;
    let through = format!("postgres://doorward@{}/{database}?pool_size=8", proxy.address);
    Some((program_on(name, &through).await, proxy))
}

async fn get(program: &Program, path: &str, token: &str) -> (u16, String) {
    let authorization = format!("Bearer {token}");
    let bytes = request("GET", path, &[("authorization", &authorization)], "");
    let mut connection = Connection::open(program.address).await.expect("it accepts");
    let (status, headers, _) = connection.call(&bytes).await.expect("an answer");
    (status, headers.to_lowercase())
}

const PUBLISHED: [&str; 2] = ["/.well-known/jwks.json", "/.well-known/openid-configuration"];

/// ST-04: while the database is away every call that needs it is told to come back, what is published goes on, nothing that was
/// answered is lost, and nobody restarts anything.
#[tokio::test(flavor = "multi_thread")]
async fn st_04_an_outage_is_told_and_ends_by_itself() {
    let Some((program, proxy)) = behind_proxy("outage").await else { return };
    let admin = program.admin_token().await;
    for path in PUBLISHED {
        assert_eq!(get(&program, path, "").await.0, 200);
    }
    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = JoinSet::new();
    for writer in 0..8 {
        let (address, admin, stop) = (program.address, admin.clone(), stop.clone());
        writers.spawn(async move {
            let (mut made, mut refused) = (Vec::new(), 0);
            let authorization = format!("Bearer {admin}");
            let headers = [("content-type", "application/json"), ("authorization", &*authorization)];
            for count in 0.. {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                let body = json!({ "identifier": format!("https://{writer}-{count}.test") }).to_string();
                let bytes = request("POST", "/api/v2/resource-servers", &headers, &body);
                let mut connection = Connection::open(address).await.expect("it accepts");
                let (status, head, body) = connection.call(&bytes).await.expect("an answer");
                match status {
                    201 => {
                        let api: Value = serde_json::from_slice(&body).expect("is JSON");
                        made.push(api["id"].as_str().expect("an id").to_owned());
                    }
                    503 => {
                        assert!(head.to_lowercase().contains("retry-after: "), "{head}");
                        refused += 1;
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                    _ => panic!("{status}: {}", String::from_utf8_lossy(&body)),
                }
            }
            (made, refused)
        });
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    proxy.set(Line::Cut);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(3) {
        let (status, headers) = get(&program, &program.people[0].path(), &program.people[0].token).await;
        if begun.elapsed() > Duration::from_millis(500) {
            assert_eq!(status, 503, "{headers}");
            assert!(headers.contains("retry-after: "), "{headers}");
        }
        for path in PUBLISHED {
            assert_eq!(get(&program, path, "").await.0, 200, "{path}");
        }
    }
    proxy.set(Line::Through);
    let back = Instant::now();
    while get(&program, &program.people[0].path(), &program.people[0].token).await.0 != 200 {
        assert!(back.elapsed() < Duration::from_secs(10), "it does not come back");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    stop.store(true, Ordering::SeqCst);
    let written = writers.join_all().await;
    let (made, refused) = written.into_iter().fold((Vec::new(), 0), |mut all, (made, refused)| {
        all.0.extend(made);
        (all.0, all.1 + refused)
    });
    assert!(refused > 0, "nobody noticed");
    for id in &made {
        assert_eq!(
            get(&program, &format!("/api/v2/resource-servers/{id}"), &admin).await.0,
            200,
            "{id} is lost"
        );
    }
    println!("{} acknowledged writes, all found; {refused} were told to come back", made.len());
}

/// ST-04: the same where the database says nothing any more, as after a cable was pulled.
#[tokio::test(flavor = "multi_thread")]
async fn st_04_a_silent_database_is_not_waited_for() {
    let Some((program, proxy)) = behind_proxy("silence").await else { return };
    let (path, token) = (program.people[0].path(), program.people[0].token.clone());
    assert_eq!(get(&program, &path, &token).await.0, 200);
    proxy.set(Line::Silent);
    let mut callers = JoinSet::new();
    for _ in 0..16 {
        let (address, path, token) = (program.address, path.clone(), token.clone());
        callers.spawn(async move {
            let authorization = format!("Bearer {token}");
            let bytes = request("GET", &path, &[("authorization", &authorization)], "");
            let mut connection = Connection::open(address).await.expect("it accepts");
            let begun = Instant::now();
            let (status, headers, _) = connection.call(&bytes).await.expect("an answer");
            (status, headers.to_lowercase(), begun.elapsed())
        });
    }
    for (status, headers, took) in callers.join_all().await {
        assert_eq!(status, 503, "{headers}");
        assert!(headers.contains("retry-after: "), "{headers}");
        assert!(took < Duration::from_secs(28), "{took:?}");
    }
    proxy.set(Line::Through);
    let back = Instant::now();
    while get(&program, &path, &token).await.0 != 200 {
        assert!(back.elapsed() < Duration::from_secs(30), "it does not come back");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// ST-04: a primary that fails while its standby takes its place: the address names both, the program finds the one that writes by
/// itself, and nothing that was answered is lost. Lists come from the standby before.
#[tokio::test(flavor = "multi_thread")]
async fn st_04_a_standby_takes_the_place_of_a_primary() {
    let pair = db::testing::Pair::start().await;
    let addresses = pair.database().await;
    let program = program_on("failover", &pair.either(&addresses)).await;
    let node = program.another_node_with(&[("DOORWARD_DATABASE_REPLICA", &addresses[1])]).await;
    let admin = program.admin_token().await;
    let create = async |name: &str| {
        let body = json!({ "connection": "Username-Password-Authentication", "email": format!("{name}@bench.test"),
            "password": "correct horse battery 9" });
        json_at(node.address, "POST", "/api/v2/users", Some(&admin), &body).await
    };
    let mut made = Vec::new();
    for count in 0..10 {
        let (status, answer) = create(&format!("listed{count}")).await;
        assert_eq!(status, 201, "{answer}");
        made.push(answer["user_id"].as_str().expect("an id").to_owned());
        // What a node has written is in the next list of it, wherever that is read.
        let path = "/api/v2/users?include_totals=true";
        let (_, listed) = json_at(node.address, "GET", path, Some(&admin), &Value::Null).await;
        assert_eq!(listed["total"], json!(program.people.len() + count + 1), "{listed}");
    }
    pair.kill_primary();
    let (status, answer) = create("during").await;
    assert_eq!((status, &answer["statusCode"]), (503, &json!(503)), "{answer}");
    pair.promote().await;
    let back = Instant::now();
    while create(&format!("back{}", back.elapsed().as_millis())).await.0 != 201 {
        assert!(back.elapsed() < Duration::from_secs(20), "it does not come back");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let took = back.elapsed();
    for id in &made {
        let path = format!("/api/v2/users/{}", id.replace('|', "%7C"));
        for address in [program.address, node.address] {
            assert_eq!(
                json_at(address, "GET", &path, Some(&admin), &Value::Null).await.0,
                200,
                "{id} is lost"
            );
        }
    }
    super::ledger("a primary that failed", made.len() as u64, made.len() as u64, 0);
    println!("writing again {took:?} after the standby was promoted");
}
