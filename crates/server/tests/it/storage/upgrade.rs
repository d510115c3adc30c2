//! Databases of earlier versions, and versions that meet on one database.
//!
//! `tests/fixtures/schema-15` is what the program of the commit before migration 16 left behind after some use: a database with people,
//! sessions and tokens, its master key, and what was handed out. `ROWS=1000000` puts so many users beside them (`make torture`).

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use db::{Db, params};
use model::migrations::MIGRATIONS;
use model::seal::MasterKey;
use model::{Clock, Random, Timestamp, tenants};
use serde_json::{Value, json};
use server::peer::Proxies;
use server::router;
use tokio::task::JoinSet;

use super::{program_on, size};
use crate::running::{HOST, PASSWORD, Program, VERIFIER, rows};
use crate::security::claims;
use crate::support::app::open_with;
use crate::support::binary::{Site, complaint};
use crate::support::{Answer, Browser, Engine, TestApp};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/schema-15").join(name)
}

/// What was handed out while the fixture was made.
fn handed_out() -> Value {
    serde_json::from_slice(&std::fs::read(fixture("handed-out.json")).expect("reads")).expect("is JSON")
}

/// The versions that have run on a database.
async fn versions(db: &Db) -> Vec<i64> {
    let rows =
        db.read("SELECT version FROM schema_migrations ORDER BY version", vec![]).await.expect("reads");
    rows.into_iter().map(|mut row| row.take().expect("is a number")).collect()
}

/// A copy of the fixture's database, as it was, on this engine.
async fn older(engine: Engine) -> String {
    let packed = std::fs::File::open(fixture("doorward.db.gz")).expect("opens");
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(packed).read_to_end(&mut bytes).expect("unpacks");
    let file = Engine::Sqlite.database().await;
    std::fs::write(file.trim_start_matches("sqlite:"), bytes).expect("writes");
    if engine == Engine::Sqlite {
        return file;
    }
    let from = Db::open(&file).await.expect("opens");
    let ran = versions(&from).await.len();
    let url = engine.database().await;
    let to = Db::open(&url).await.expect("opens");
    to.migrate(&MIGRATIONS[..ran]).await.expect("the schema of then");
    from.copy_to(&to).await.expect("copies");
    from.close().await;
    to.close().await;
    url
}

/// What this version makes of an older database, a minute after the other one stopped.
async fn upgraded(engine: Engine, database: String) -> TestApp {
    let told = handed_out();
    let stopped = Timestamp::from_millis(told["stopped_at"].as_i64().expect("a moment"));
    let key = std::fs::read_to_string(fixture("master.key")).expect("reads");
    let key = MasterKey::from_text("the fixture's", &key).expect("a key").remove(0);
    let app = open_with(&database, Clock::fixed(stopped.plus_seconds(60)), Random::seeded(7), &key).await;
    let tenant = Arc::new(tenants::load(&app, HOST).await.expect("reads").expect("the tenant is there"));
    let router = router::router(app.clone(), Proxies::default());
    TestApp { app, router, other: tenant.clone(), tenant, engine, database }
}

fn status_of(answer: &Answer) -> (u16, &Value) {
    (answer.status, &answer.body["error"])
}

both_databases! {
    /// UP-01: all migrations since run, and every login, session, token and key of then works.
    async fn up_01_what_an_older_version_left_is_brought_up_to_date_and_works(engine: Engine) {
        let database = older(engine).await;
        let many = size("ROWS", 2_000_u64);
        let before = Db::open(&database).await.expect("opens");
        let ran = versions(&before).await;
        assert!(ran.len() < MIGRATIONS.len(), "the fixture is of an older version: {ran:?}");
        let row = before.read_one("SELECT tenant FROM domains WHERE host = $1", params![HOST]).await.expect("reads");
        let tenant: String = row.expect("a row").take().expect("is text");
        let add = async |numbers| rows::add_users(&before, &tenant, "Username-Password-Authentication", numbers, "none").await.expect("writes");
        add(0..rows::AT_A_TIME).await;
        if engine == Engine::Postgres {
            // Which a server does by itself: without statistics each reference is looked for among all of the tenant's rows.
            db::testing::Postgres::execute(&database, "ANALYZE").await;
        }
        add(rows::AT_A_TIME..many).await;
        before.close().await;

        let begun = Instant::now();
        let app = upgraded(engine, database).await;
        let took = begun.elapsed();
        println!("{many} users on {engine:?}: from version {} to {} in {took:?}", ran.len(), MIGRATIONS.len());
        assert!(took < Duration::from_secs(60), "{took:?}");
        let expected: Vec<i64> = MIGRATIONS.iter().map(|migration| migration.version.into()).collect();
        assert_eq!(versions(&app.app.db).await, expected);

        let told = handed_out();
        let text = |name: &str| told[name].as_str().unwrap_or_else(|| panic!("{name}")).to_owned();
        let jwks = app.caller().get("/.well-known/jwks.json").await;
        assert_eq!(jwks.body, told["jwks"], "the keys are the same");
        let own = app.caller().with("authorization", &format!("Bearer {}", text("token")));
        let path = format!("/api/v2/users/{}", text("user").replace('|', "%7C"));
        let person = own.get(&path).await;
        assert_eq!((person.status, &person.body["user_metadata"]), (200, &json!({ "color": "teal" })), "{person:?}");
        let changed = own.patch(&path, json!({ "user_metadata": { "color": "red" } })).await;
        assert_eq!((changed.status, &changed.body["user_metadata"]["color"]), (200, &json!("red")), "{changed:?}");

        // The session: a code without a question, and what it buys.
        let mut browser = Browser::new(app.caller());
        for cookie in text("cookies").split("; ") {
            let (name, value) = cookie.split_once('=').expect("a cookie");
            browser.cookies.insert(name.to_owned(), value.to_owned());
        }
        let silent = browser.get(&format!("{}&prompt=none", text("authorize"))).await;
        let exchange = json!({ "grant_type": "authorization_code", "client_id": text("spa"), "code": silent.param("code"),
            "code_verifier": VERIFIER, "redirect_uri": "https://app.bench.test/cb" });
        assert_eq!(status_of(&app.caller().post("/oauth/token", exchange).await), (200, &Value::Null), "{silent:?}");

        let refresh = |token: &Value| json!({ "grant_type": "refresh_token", "client_id": text("spa"), "refresh_token": token });
        let first = app.caller().post("/oauth/token", refresh(&told["refresh_token"])).await;
        assert_eq!(first.status, 200, "{first:?}");
        assert_eq!(claims(first.body["access_token"].as_str().expect("a token"))["sub"], told["user"]);
        let next = app.caller().post("/oauth/token", refresh(&first.body["refresh_token"])).await;
        assert_eq!(next.status, 200, "{next:?}");
        let reused = app.caller().post("/oauth/token", refresh(&told["refresh_token"])).await;
        assert_eq!(status_of(&reused), (403, &json!("invalid_grant")), "one that was spent stays spent");
        let spent = app.caller().post("/oauth/token", refresh(&told["spent_refresh_token"])).await;
        assert_eq!(status_of(&spent), (403, &json!("invalid_grant")), "so does one that was spent by then");

        let machine = json!({ "grant_type": "client_credentials", "client_id": text("machine"),
            "client_secret": text("machine_secret"), "audience": format!("https://{HOST}/api/v2/") });
        assert_eq!(status_of(&app.caller().post("/oauth/token", machine).await), (200, &Value::Null), "the sealed secret opens");

        let mut other = Browser::new(app.caller());
        let page = other.open(&text("authorize")).await;
        let entered = other.submit(&page, &[("username", &text("email")), ("password", PASSWORD)]).await;
        assert!(!entered.param("code").is_empty(), "the password is the same: {entered:?}");
        let found = app.app.db.read("SELECT 1 FROM users WHERE tenant = $1 AND email = $2", params![&tenant, rows::address(many - 1)]).await;
        assert_eq!(found.expect("reads").len(), 1);
    }

    /// UP-02: a program that does not know a database's newest migration ends at once, and changes nothing.
    async fn up_02_an_older_program_refuses_a_newer_database(engine: Engine) {
        let site = Site::new(engine).await;
        assert!(site.command(&["admin", "create-client", "--all-scopes"]).status.success());
        let config = std::fs::read_to_string(&site.config).expect("reads");
        let url = config.lines().next().and_then(|line| line.split('"').nth(1)).expect("the database").to_owned();
        let held = async |db: &Db| {
            let mut all = versions(db).await;
            for table in ["tenants", "clients", "signing_keys", "settings", "logs", "changes"] {
                let row = db.read_one(format!("SELECT COUNT(*) FROM {table}"), vec![]).await.expect("reads");
                all.push(row.expect("a row").take().expect("is a number"));
            }
            all
        };
        let db = Db::open(&url).await.expect("opens");
        let mut batch = db::Batch::new();
        batch.execute("INSERT INTO schema_migrations (version, name, checksum) VALUES (9999, 'later', 'x')", vec![]);
        db.commit(batch).await.expect("writes");
        let before = held(&db).await;
        db.close().await;
        for command in [&["serve"][..], &["migrate"], &["keys", "rotate"], &["admin", "create-client", "--all-scopes"]] {
            let refused = site.command(command);
            let said = complaint(&refused);
            assert_eq!(refused.status.code(), Some(1), "{command:?}: {said}");
            assert!(said.contains("the database is at version 9999 (later)") && said.contains("run a newer program"), "{said}");
        }
        let db = Db::open(&url).await.expect("opens");
        assert_eq!(held(&db).await, before);
        db.close().await;
    }
}

/// UP-02: two versions that start together on one database: each migration runs once, and the older one works or is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn up_02_versions_that_race_run_each_migration_once() {
    let url = Engine::Postgres.database().await;
    let older = &MIGRATIONS[..MIGRATIONS.len() - 3];
    let mut starting = JoinSet::new();
    for node in 0..8 {
        let url = format!("{url}&application_name=node{node}");
        starting.spawn(async move {
            let db = Db::open(&url).await.expect("opens");
            let newer = node % 2 == 0;
            let migrated = db.migrate(if newer { MIGRATIONS } else { older }).await;
            db.close().await;
            (newer, migrated.map_err(|error| error.to_string()))
        });
    }
    for (newer, migrated) in starting.join_all().await {
        match migrated {
            Ok(()) => {}
            Err(error) => assert!(!newer && error.contains("run a newer program"), "{error}"),
        }
    }
    let db = Db::open(&url).await.expect("opens");
    let expected: Vec<i64> = MIGRATIONS.iter().map(|migration| migration.version.into()).collect();
    assert_eq!(versions(&db).await, expected);
    db.close().await;
}

/// A rolling upgrade: what the next version adds to the schema disturbs no node of this one, which goes on until it is replaced.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_goes_on_while_the_schema_is_a_version_ahead() {
    let url = Engine::Postgres.database().await;
    let program = Arc::new(program_on("rolling", &url).await);
    let over = Arc::new(AtomicBool::new(false));
    let mut load = JoinSet::new();
    for place in 0..4 {
        let (program, over) = (program.clone(), over.clone());
        load.spawn(async move { work(&program, place, &over).await });
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    // As a migration does: a transaction that takes each table for a moment.
    let db = Db::open(&url).await.expect("opens");
    let sql =
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY table_name";
    let tables: Vec<String> = db
        .read(sql, vec![])
        .await
        .expect("reads")
        .into_iter()
        .map(|mut row| row.take().expect("is text"))
        .collect();
    db.close().await;
    assert!(tables.len() > 30, "{tables:?}");
    for table in tables.iter().filter(|table| !table.starts_with("schema_")) {
        let script = format!(
            "ALTER TABLE {table} ADD COLUMN of_the_next TEXT, ADD COLUMN counted_next BIGINT NOT NULL DEFAULT 0"
        );
        db::testing::Postgres::execute(&url, &script).await;
    }
    let rest = "CREATE TABLE next_things (tenant TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE, id TEXT NOT NULL, PRIMARY KEY (tenant, id));
         CREATE INDEX users_next ON users (tenant, of_the_next);
         INSERT INTO schema_migrations (version, name, checksum) VALUES (9999, 'next', 'x');";
    db::testing::Postgres::execute(&url, rest).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    over.store(true, Ordering::Relaxed);
    let done: u64 = load.join_all().await.into_iter().sum();
    assert!(done > 40, "{done}");
    println!("{done} requests while {} tables grew, none failed", tables.len());
}

/// Reads, writes, signs in silently and refreshes until told to stop. How many requests it were; each must succeed.
async fn work(program: &Program, place: usize, over: &AtomicBool) -> u64 {
    let mut done = 0;
    let (path, token) = (program.people[0].path(), program.people[0].token.clone());
    while !over.load(Ordering::Relaxed) {
        let name = format!("place-{place}");
        let (status, answer) =
            program.json("PATCH", &path, Some(&token), &json!({ "user_metadata": { name: done } })).await;
        assert_eq!(status, 200, "{answer}");
        let code = program.code("openid offline_access read:things").await;
        let (status, bought) =
            program.json("POST", "/oauth/token", None, &program.code_exchange(&code)).await;
        assert_eq!(status, 200, "{bought}");
        let refresh = json!({ "grant_type": "refresh_token", "client_id": program.spa, "refresh_token": bought["refresh_token"] });
        let (status, answer) = program.json("POST", "/oauth/token", None, &refresh).await;
        assert_eq!(status, 200, "{answer}");
        program.admin_token().await;
        done += 5;
    }
    done
}

/// Makes the fixture of this version with the program that `OLDER` names.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "makes the fixture, with the program of an older commit"]
async fn make_the_fixture() {
    let binary = PathBuf::from(std::env::var_os("OLDER").expect("OLDER names a program"));
    let directory = std::env::temp_dir().join(format!("doorward-older-{}", std::process::id()));
    let mut program = Program::start(&binary, directory.clone(), None).await;
    let buy = async |body: &Value| {
        let (status, answer) = program.json("POST", "/oauth/token", None, body).await;
        assert_eq!(status, 200, "{answer}");
        answer
    };
    let refresh = |token: &Value| json!({ "grant_type": "refresh_token", "client_id": program.spa, "refresh_token": token });
    let code = program.code("openid offline_access read:things").await;
    let bought = buy(&program.code_exchange(&code)).await;
    let code = program.code("openid offline_access read:things").await;
    let spent = buy(&program.code_exchange(&code)).await;
    buy(&refresh(&spent["refresh_token"])).await;
    let (_, jwks) = program.json("GET", "/.well-known/jwks.json", None, &Value::Null).await;
    let person = &program.people[0];
    let authorize = program.authorize_query("https://api.bench.test", "openid offline_access read:things");
    let mut told = json!({
        "user": person.user, "email": "person0@bench.test", "cookies": person.cookies, "token": person.token, "spa": program.spa,
        "machine": program.machine.0, "machine_secret": program.machine.1, "refresh_token": bought["refresh_token"],
        "spent_refresh_token": spent["refresh_token"], "jwks": jwks, "authorize": format!("/authorize?{authorize}"),
    });
    assert!(program.terminate(), "it stops when asked");
    let issued = claims(told["token"].as_str().expect("a token"))["iat"].as_i64().expect("a moment");
    told["stopped_at"] = json!((issued + 5) * 1000);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::copy(&mut std::fs::File::open(directory.join("doorward.db")).expect("opens"), &mut packed)
        .expect("packs");
    std::fs::create_dir_all(fixture("")).expect("is made");
    std::fs::write(fixture("doorward.db.gz"), packed.finish().expect("packs")).expect("writes");
    std::fs::copy(directory.join("master.key"), fixture("master.key")).expect("copies");
    let text = serde_json::to_string_pretty(&told).expect("is JSON");
    std::fs::write(fixture("handed-out.json"), format!("{text}\n")).expect("writes");
}
