//! Backups of a server that is writing, putting them back elsewhere, and moving to PostgreSQL.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::running::Program;
use crate::running::http::{Connection, request};
use crate::support::Engine;
use crate::support::binary::{Site, bounded, complaint, mode};

async fn program(name: &str) -> (Program, PathBuf) {
    let directory = std::env::temp_dir().join(format!("doorward-{name}-{}", std::process::id()));
    let binary: PathBuf = Path::new(env!("CARGO_BIN_EXE_doorward")).into();
    (Program::start(&binary, directory.clone(), None).await, directory)
}

/// Runs a command on the program's configuration, on another thread; what it said, and whether it ended well.
async fn command(directory: &Path, arguments: &[&str]) -> (bool, String) {
    let mut command = bounded(&arguments[..1]);
    command.arg("--config").arg(directory.join("doorward.toml")).args(&arguments[1..]);
    let output = tokio::task::spawn_blocking(move || command.output().expect("the binary runs"));
    let output = output.await.expect("it does not panic");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), complaint(&output));
    (output.status.success(), said)
}

/// What writers have done so far, and whether they are to go on.
#[derive(Default)]
struct Progress {
    answered: AtomicUsize,
    stop: AtomicBool,
}

impl Progress {
    /// Returns once more than ten writes were answered.
    async fn is_good(&self) {
        let begun = Instant::now();
        while self.answered.load(Ordering::SeqCst) <= 10 {
            assert!(begun.elapsed() < Duration::from_secs(60), "nothing is written");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Writers that note each API whose creation was answered, until they are stopped.
fn writers(
    program: &Program,
    admin: &str,
    name: &'static str,
    progress: &Arc<Progress>,
) -> JoinSet<Vec<String>> {
    let mut writers = JoinSet::new();
    for writer in 0..8 {
        let (address, admin, progress) = (program.address, admin.to_owned(), progress.clone());
        writers.spawn(async move {
            let mut made = Vec::new();
            let mut connection = Connection::open(address).await.expect("the server accepts connections");
            let authorization = format!("Bearer {admin}");
            let headers = [("content-type", "application/json"), ("authorization", &*authorization)];
            while !progress.stop.load(Ordering::SeqCst) {
                let identifier = format!("https://{name}-{writer}-{}.test", made.len());
                let body = json!({ "identifier": identifier }).to_string();
                let bytes = request("POST", "/api/v2/resource-servers", &headers, &body);
                let (status, _, body) = connection.call(&bytes).await.expect("an answer");
                assert_eq!(status, 201, "{}", String::from_utf8_lossy(&body));
                let api: Value = serde_json::from_slice(&body).expect("is JSON");
                made.push(api["id"].as_str().expect("an id").to_owned());
                progress.answered.fetch_add(1, Ordering::SeqCst);
            }
            made
        });
    }
    writers
}

async fn status(program: &Program, admin: &str, path: &str) -> u16 {
    program.json("GET", path, Some(admin), &Value::Null).await.0
}

/// UP-03: a backup is made while the server writes, and holds every write that was answered before it began; what is no
/// whole backup is refused before anything is touched.
#[tokio::test(flavor = "multi_thread")]
async fn up_03_a_backup_of_a_writing_server_is_consistent() {
    let (mut program, directory) = program("backup").await;
    let admin = program.admin_token().await;
    let (early, late) = (Arc::<Progress>::default(), Arc::<Progress>::default());
    let before = writers(&program, &admin, "before", &early);
    early.is_good().await;
    early.stop.store(true, Ordering::SeqCst);
    let before: Vec<String> = before.join_all().await.concat();
    let during = writers(&program, &admin, "during", &late);
    let file = directory.join("backup.db");
    let (ok, said) = command(&directory, &["backup", &file.to_string_lossy()]).await;
    late.is_good().await;
    late.stop.store(true, Ordering::SeqCst);
    let during: Vec<String> = during.join_all().await.concat();
    assert!(ok && said.contains("the master key is not inside"), "{said}");
    assert!(before.len() > 10 && during.len() > 10, "{} and {}", before.len(), during.len());
    assert_eq!(mode(&file), 0o600);
    let (ok, said) = command(&directory, &["backup", &file.to_string_lossy()]).await;
    assert!(!ok && said.contains("exists already"), "{said}");

    let (ok, said) = command(&directory, &["restore", &file.to_string_lossy(), "--replace"]).await;
    assert!(!ok && said.contains("in use by another process"), "{said}");
    assert!(program.terminate());
    let database = directory.join("doorward.db");
    let live = std::fs::read(&database).expect("reads");
    let whole = std::fs::read(&file).expect("reads");
    for bad in [&whole[..whole.len() / 2], &whole[..4096], b"foreign"] {
        let path = directory.join("bad.db");
        std::fs::write(&path, bad).expect("writes");
        let (ok, said) = command(&directory, &["restore", &path.to_string_lossy(), "--replace"]).await;
        assert!(!ok && said.contains("nothing was restored from"), "{said}");
        assert_eq!(std::fs::read(&database).expect("reads"), live);
    }
    let (ok, said) = command(&directory, &["restore", &file.to_string_lossy()]).await;
    assert!(!ok && said.contains("doorward.db exists already"), "{said}");
    let (ok, said) = command(&directory, &["restore", &file.to_string_lossy(), "--replace"]).await;
    assert!(ok && said.contains("doorward.db.replaced"), "{said}");

    program.restart().await;
    for id in &before {
        assert_eq!(
            status(&program, &admin, &format!("/api/v2/resource-servers/{id}")).await,
            200,
            "{id} is lost"
        );
    }
    let mut found = 0;
    for id in &during {
        found +=
            usize::from(status(&program, &admin, &format!("/api/v2/resource-servers/{id}")).await == 200);
    }
    assert!(found < during.len(), "the backup is from before the end");
    let path = program.people[0].path();
    let token = program.people[0].token.clone();
    assert_eq!(program.json("GET", &path, Some(&token), &Value::Null).await.0, 200, "tokens stay good");
    assert!(program.terminate());
    assert_eq!(db::testing::integrity(&program.database()), "ok");
}

/// A backup with the master key inside brings it to a machine that has none, and never over another.
#[tokio::test]
async fn a_master_key_inside_a_backup_is_told_and_restored() {
    let site = Site::with("sqlite:doorward.db", "issuer = \"https://id.test/\"");
    let listed = |site: &Site| String::from_utf8(site.command(&["keys", "list"]).stdout).expect("is text");
    let keys = listed(&site);
    let file = site.directory.path().join("backup.db");
    let made = site.command(&["backup", "--with-master-key", &file.to_string_lossy()]);
    let said = String::from_utf8(made.stdout.clone()).expect("is text");
    assert!(said.contains("the master key is inside"), "{said}{}", complaint(&made));

    let other = Site::with("sqlite:doorward.db", "issuer = \"https://id.test/\"");
    let refused = other.command(&["restore", &file.to_string_lossy()]);
    assert!(
        complaint(&refused).contains("does not open what is sealed in the backup"),
        "{}",
        complaint(&refused)
    );
    assert!(!other.directory.path().join("doorward.db").exists());
    let key = other.directory.path().join("master.key");
    std::fs::remove_file(&key).expect("removes");
    let restored = other.command(&["restore", &file.to_string_lossy()]);
    assert!(restored.status.success(), "{}", complaint(&restored));
    assert_eq!(mode(&key), 0o600);
    assert_eq!(
        std::fs::read(&key).expect("reads"),
        std::fs::read(site.directory.path().join("master.key")).expect("reads")
    );
    assert_eq!(listed(&other), keys);
    let server = other.serve();
    assert!(server.ask("GET", "/.well-known/jwks.json", "", "").await.starts_with("HTTP/1.1 200 OK"));
}

#[tokio::test]
async fn a_backup_of_postgresql_is_left_to_its_own_tools() {
    let site = Site::new(Engine::Postgres).await;
    for command in ["backup", "restore"] {
        let refused = site.command(&[command, "x.db"]);
        assert_eq!(refused.status.code(), Some(1));
        let said = complaint(&refused);
        assert!(said.contains(if command == "backup" { "pg_dump" } else { "pg_restore" }), "{said}");
    }
}

/// One command moves everything to PostgreSQL: sessions, tokens and secrets stay good.
#[tokio::test(flavor = "multi_thread")]
async fn everything_moves_to_postgresql() {
    let (mut program, directory) = program("copy").await;
    let code = program.code("openid offline_access read:things").await;
    let (_, answer) = program.json("POST", "/oauth/token", None, &program.code_exchange(&code)).await;
    let refresh = answer["refresh_token"].as_str().expect("a token").to_owned();
    let target = Engine::Postgres.database().await;
    let (ok, said) = command(&directory, &["copy", "--to", &target]).await;
    assert!(!ok && said.contains("in use by another process"), "{said}");
    assert!(program.terminate());
    let (ok, said) = command(&directory, &["copy", "--to", &target]).await;
    assert!(ok && said.contains("rows and read them back: SHA-256 "), "{said}");
    let (ok, said) = command(&directory, &["copy", "--to", &target]).await;
    assert!(!ok && said.contains("the other database is not empty"), "{said}");
    let (ok, said) = command(&directory, &["copy", "--to", "sqlite:x.db"]).await;
    assert!(!ok && said.contains("must be the address of a PostgreSQL database"), "{said}");

    let config = directory.join("doorward.toml");
    let text = std::fs::read_to_string(&config).expect("reads");
    let lines: String =
        text.lines().filter(|line| !line.starts_with("database")).map(|line| format!("{line}\n")).collect();
    std::fs::write(&config, format!("database = \"{target}\"\n{lines}")).expect("writes");
    program.restart().await;
    let (path, token) = (program.people[0].path(), program.people[0].token.clone());
    let (status, user) = program.json("GET", &path, Some(&token), &Value::Null).await;
    assert_eq!(
        (status, &user["user_metadata"]["color"]),
        (200, &json!("teal")),
        "the token is good, and so is the user"
    );
    let body = json!({ "grant_type": "refresh_token", "client_id": program.spa, "refresh_token": refresh });
    let (status, answer) = program.json("POST", "/oauth/token", None, &body).await;
    assert_eq!(status, 200, "{answer}");
    program.code("openid read:things").await;
    program.admin_token().await;
}
