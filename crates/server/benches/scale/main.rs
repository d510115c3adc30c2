//! `make bench-scale`: what is looked up costs hardly more among a million users than among ten thousand.
//!
//! The rows are written to the database itself; then single calls, one after another, to the built program under `serve`: each asks for
//! another user, chosen at random, so that nothing is found where it was left. `SIZES="10000 100000"` names other sizes, and
//! `BENCH_DATABASE` an empty PostgreSQL database instead of SQLite; then it also says what a request costs at one node and at two.

#[allow(dead_code, reason = "the other bench uses the rest")]
#[path = "../hot/load.rs"]
mod load;
mod nodes;
#[allow(dead_code, reason = "the crash tests use the rest")]
#[path = "../../tests/running/mod.rs"]
mod running;
#[allow(dead_code, reason = "the other bench uses the rest")]
#[path = "../hot/scenarios.rs"]
mod scenarios;
mod tokens;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use db::Db;
use model::users;
use serde_json::{Value, json};

use running::http::{Connection, request};
use running::{Program, rows};

/// Calls of each kind at each size.
const CALLS: u64 = 2_000;
/// Calls before them, which warm what can be warm.
const WARMING: u64 = 200;
/// The most that the largest size may cost, of what the smallest does.
const MOST: f64 = 1.5;

const CONNECTION: &str = "Username-Password-Authentication";
const API: &str = "https://api.bench.test";
const SCOPE: &str = "openid offline_access read:things";

const NAMES: [&str; 6] = [
    "login look-up",
    "refresh",
    "`GET /users/{id}`",
    "`users-by-email`",
    "users, first page",
    "users, page 19",
];

#[tokio::main]
async fn main() {
    let sizes = std::env::var("SIZES").unwrap_or_else(|_| "10000 100000 1000000".to_owned());
    let sizes: Vec<u64> =
        sizes.split_whitespace().map(|size| size.parse().expect("SIZES are numbers")).collect();
    assert!(sizes.is_sorted(), "SIZES grow");
    let binary = PathBuf::from(env!("CARGO_BIN_EXE_doorward"));
    let directory = std::env::temp_dir().join(format!("doorward-scale-{}", std::process::id()));
    let database = std::env::var("BENCH_DATABASE").ok();
    let mut program = Program::start(&binary, directory, database.as_deref()).await;
    let url = database.unwrap_or_else(|| program.database());
    let mut picked = Picked(0x2545_f491_4f6c_dd1d);
    let (mut there, mut all) = (0, Vec::new());
    for size in &sizes {
        assert!(program.terminate(), "it stops when asked");
        let db = Db::open(&url).await.expect("the database opens");
        let tenant = tenant(&db).await;
        let begun = Instant::now();
        if there == 0 && url.starts_with("postgres") {
            // So that references are checked by their keys from the beginning.
            there = rows::AT_A_TIME;
            rows::add_users(&db, &tenant, CONNECTION, 0..there, "none").await.expect("users are written");
            tokens::add(&db, &tenant, (&program.spa, API, SCOPE), 0..there)
                .await
                .expect("tokens are written");
            analyze(&url).await;
        }
        rows::add_users(&db, &tenant, CONNECTION, there..*size, "none").await.expect("users are written");
        tokens::add(&db, &tenant, (&program.spa, API, SCOPE), there..*size)
            .await
            .expect("tokens are written");
        let loaded = begun.elapsed();
        if url.starts_with("postgres") {
            analyze(&url).await;
        }
        // The tokens of this size's own are not spent yet.
        let fresh = there..*size;
        there = *size;
        let looked_up = look_up(&db, &tenant, *size, &mut picked).await;
        db.close().await;
        let begun = Instant::now();
        program.restart().await;
        let started = begun.elapsed();
        let mut of_size = vec![looked_up];
        of_size.extend(calls(&program, *size, fresh, &mut picked).await);
        let space = space(&url).await >> 20;
        println!("{size} users: written in {loaded:.1?}, {space} MiB, started in {started:.0?}");
        all.push(of_size);
    }
    if url.starts_with("postgres") {
        nodes::compare(&mut program, &url).await;
    }
    let grew = report(&sizes, &all);
    // It ends with its value, and `exit` drops none.
    drop(program);
    std::process::exit(i32::from(grew));
}

/// What the database takes, in bytes.
async fn space(url: &str) -> u64 {
    if let Some(file) = url.strip_prefix("sqlite:") {
        return std::fs::metadata(file).map_or(0, |file| file.len());
    }
    let db = Db::open(url).await.expect("the database opens");
    let row = db.read_one("SELECT pg_database_size(current_database())", vec![]).await.expect("reads");
    let bytes: i64 = row.expect("a row").take().expect("is a number");
    db.close().await;
    bytes.unsigned_abs()
}

/// Prints the table; whether something grew too much.
fn report(sizes: &[u64], all: &[Vec<Duration>]) -> bool {
    println!("\np50 in µs of {CALLS} calls, one after another\n");
    let heads: Vec<String> = sizes.iter().map(u64::to_string).collect();
    println!("| users | {} | last : first |", heads.join(" | "));
    println!("|---|{}---|", "---|".repeat(sizes.len()));
    let mut missed = Vec::new();
    for (place, name) in NAMES.into_iter().enumerate() {
        let times: Vec<f64> = all.iter().map(|of_size| of_size[place].as_secs_f64() * 1e6).collect();
        let ratio = times[times.len() - 1] / times[0];
        let cells: Vec<String> = times.iter().map(|time| format!("{time:.0}")).collect();
        println!("| {name} | {} | {ratio:.2} |", cells.join(" | "));
        if ratio > MOST {
            missed.push(name);
        }
    }
    match missed.is_empty() {
        true => println!("\nnothing grew to more than {MOST} times"),
        false => println!("\nmore than {MOST} times: {}", missed.join(", ")),
    }
    !missed.is_empty()
}

/// A sequence of numbers without an order, the same in each run: xorshift.
struct Picked(u64);

impl Picked {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

async fn tenant(db: &Db) -> String {
    let row = db.read_one("SELECT id FROM tenants", vec![]).await.expect("reads");
    row.expect("there is one").take().expect("is text")
}

/// PostgreSQL plans by statistics, which it gathers by itself within a minute or so.
async fn analyze(url: &str) {
    db::testing::Postgres::execute(url, "ANALYZE").await;
}

/// What finds the user who signs in, without the hash of their password, which is the same however many there are.
async fn look_up(db: &Db, tenant: &str, size: u64, picked: &mut Picked) -> Duration {
    let tenant = tenant.into();
    let mut times = Vec::new();
    for call in 0..CALLS + WARMING {
        let address = rows::address(picked.below(size));
        let begun = Instant::now();
        let found = users::find_login(db, &tenant, CONNECTION, &address).await.expect("reads");
        if call >= WARMING {
            times.push(begun.elapsed());
        }
        assert!(found.is_some(), "{address}");
    }
    median(times)
}

/// The median of each kind of call, in the order of [`NAMES`] behind the first.
async fn calls(
    program: &Program,
    size: u64,
    mut fresh: std::ops::Range<u64>,
    picked: &mut Picked,
) -> Vec<Duration> {
    let admin = program.admin_token().await;
    let authorization = format!("Bearer {admin}");
    let get = |path: String| request("GET", &path, &[("authorization", &authorization)], "");
    let refresh = |number| {
        let body = json!({ "grant_type": "refresh_token", "client_id": program.spa,
            "refresh_token": tokens::refresh_token(number) });
        request("POST", "/oauth/token", &[("content-type", "application/json")], &body.to_string())
    };
    let mut medians = Vec::new();
    // Each is spent: they are taken in their order, which is none in the tables.
    medians.push(time(program, || refresh(fresh.next().expect("there are as many users"))).await);
    medians.push(
        time(program, || get(format!("/api/v2/users/auth0%7C{}", rows::subject(picked.below(size))))).await,
    );
    let mut by_email = || {
        let address = rows::address(picked.below(size)).replace('@', "%40");
        get(format!("/api/v2/users-by-email?email={address}"))
    };
    medians.push(time(program, &mut by_email).await);
    medians.push(time(program, || get("/api/v2/users?per_page=50".into())).await);
    medians.push(time(program, || get("/api/v2/users?per_page=50&page=19".into())).await);
    medians
}

async fn time(program: &Program, mut next: impl FnMut() -> Vec<u8>) -> Duration {
    let mut connection = Connection::open(program.address).await.expect("the server accepts connections");
    let mut times = Vec::new();
    for call in 0..CALLS + WARMING {
        let bytes = next();
        let begun = Instant::now();
        let (status, _, body) = connection.exchange(&bytes).await.expect("an answer");
        if call >= WARMING {
            times.push(begun.elapsed());
        }
        let answer = || serde_json::from_slice::<Value>(body).unwrap_or_default();
        assert!(status == 200 && body.len() > 2, "{status}: {}", answer());
    }
    median(times)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
