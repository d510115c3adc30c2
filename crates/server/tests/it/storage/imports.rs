//! A large import: it takes little memory, says how far it is, and survives kills. `KILLS=200` makes it 100,000 users (`make torture`).

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::Engine;
use crate::support::binary::{Server, Site};

/// bcrypt of `hello`, with a cost of ten.
const HASH: &str = "$2b$10$nFguVi9LsCAcvTZFKQlRKeLVydo8ETv483lkNsSFI/Wl1Rz1Ypo1K";

const MIB: u64 = 1024 * 1024;

/// How many users, and how many kills meanwhile.
fn size() -> (usize, usize) {
    match std::env::var("KILLS").ok().and_then(|text| text.parse::<usize>().ok()) {
        Some(100..) => (100_000, 5),
        _ => (12_000, 2),
    }
}

/// The import's form.
fn form(connection: &str, users: usize) -> String {
    let rows: Vec<String> = (0..users)
        .map(|n| json!({ "email": format!("u{n}@example.com"), "password_hash": HASH }).to_string())
        .collect();
    format!(
        "--x\r\ncontent-disposition: form-data; name=\"connection_id\"\r\n\r\n{connection}\r\n\
         --x\r\ncontent-disposition: form-data; name=\"users\"; filename=\"users.json\"\r\n\r\n[{}]\r\n--x--\r\n",
        rows.join(",")
    )
}

/// A running server and, as a header line, the token of a machine that may do everything.
async fn serving(site: &Site) -> (Server, String) {
    // Before it runs: the file belongs to one process.
    let made = site.command(&["admin", "create-client", "--all-scopes"]);
    let text = String::from_utf8(made.stdout).expect("is text");
    let printed = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("no {name}: {text}")).trim().to_owned()
    };
    let credentials = json!({
        "grant_type": "client_credentials",
        "client_id": printed("client_id"),
        "client_secret": printed("client_secret"),
        "audience": printed("audience"),
    });
    let server = site.serve();
    let headers = "content-type: application/json\r\n";
    let token = server.json("POST", "/oauth/token", headers, &credentials.to_string()).await;
    let token = token["access_token"].as_str().unwrap_or_else(|| panic!("{token}"));
    let header = format!("authorization: Bearer {token}\r\n");
    (server, header)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_import_survives_kills_and_takes_little_memory() {
    let (users, kills) = size();
    let lines = "issuer = \"https://id.test/\"\n[imports]\nlargest_file = 100000000";
    let site = Site::with(&Engine::Sqlite.database().await, lines);
    let (mut server, header) = serving(&site).await;
    let connections = server.json("GET", "/api/v2/connections", &header, "").await;
    let connection = connections[0]["id"].as_str().expect("every tenant has one");
    let before = server.memory();
    let headers = format!("{header}content-type: multipart/form-data; boundary=x\r\n");
    let body = form(connection, users);
    let began = Instant::now();
    let job = server.json("POST", "/api/v2/jobs/users-imports", &headers, &body).await;
    let taken = server.peak_memory().saturating_sub(before);
    assert!(taken < 48 * MIB, "{} bytes came in and took {} MiB", body.len(), taken / MIB);
    let path = format!("/api/v2/jobs/{}", job["id"].as_str().unwrap_or_else(|| panic!("{job}")));

    let (mut killed, mut figures, mut most) = (0, Vec::new(), 0);
    let told = loop {
        let told = server.json("GET", &path, &header, "").await;
        if told["status"] == "completed" || told["status"] == "failed" {
            break told;
        }
        let done = told["percentage_done"].as_u64().unwrap_or_default();
        figures.push(done);
        let due = 100 * (killed as u64 + 1) / (kills as u64 + 2);
        if killed < kills && done >= due {
            most = most.max(server.peak_memory().saturating_sub(before));
            drop(server);
            server = site.serve();
            killed += 1;
        }
        assert!(began.elapsed() < Duration::from_secs(900), "it does not end: {told}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    most = most.max(server.peak_memory().saturating_sub(before));
    let took = began.elapsed();
    assert_eq!(told["status"], "completed", "{told}");
    assert_eq!(
        told["summary"],
        json!({ "failed": 0, "updated": 0, "inserted": users, "total": users }),
        "after {killed} kills"
    );
    assert!(killed > 0, "it was over before it was killed: {figures:?}");
    assert!(figures.is_sorted() && figures.iter().any(|done| (1..100).contains(done)), "{figures:?}");
    assert!(most < 64 * MIB, "it took {} MiB", most / MIB);
    let there = server.json("GET", "/api/v2/users?per_page=1&include_totals=true", &header, "").await;
    assert_eq!(there["total"], Value::from(users.min(1000)), "the total stops at 1000");
    println!("{users} users in {took:?}, {killed} kills, {} MiB more than before at most", most / MIB);
}
