//! A process that ends in the middle of its writes. The tests marked ignored are the other process.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use db::{Batch, Db, testing};
use tokio::task::JoinSet;

use crate::{MIGRATIONS, Store, insert_token, insert_user};

fn this_program() -> String {
    std::env::current_exe().unwrap().display().to_string()
}

/// Writes users with their token for ever, 16 at a time, and prints each that is acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "run by the tests below, as another process"]
async fn writer() {
    let Ok(url) = std::env::var("WRITER_URL") else { return };
    let db = match Db::open(&url).await {
        Ok(db) => db,
        Err(error) => return say(&format!("refused: {error}")),
    };
    let run = std::process::id();
    say("opened");
    let mut writers = JoinSet::new();
    for writer in 0..16 {
        let db = db.clone();
        writers.spawn(async move {
            for step in 0.. {
                let id = format!("{run}-{writer}-{step}");
                let mut batch = Batch::new();
                insert_user(&mut batch, &id);
                insert_token(&mut batch, &id, &id);
                match db.commit(batch).await {
                    Ok(_) => say(&format!("written {id}")),
                    Err(error) => return say(&format!("failed {error:?}")),
                }
            }
        });
    }
    writers.join_all().await;
}

/// Prints a line in one write to the pipe: the process may end at any moment, and then the line is there or not, never by half.
fn say(line: &str) {
    std::io::stdout().lock().write_all(format!("\n{line}\n").as_bytes()).unwrap();
}

/// The command that runs [`writer`], behind `prefix`.
fn writer_process(prefix: &[&str], url: &str) -> Command {
    let program = this_program();
    let words = [prefix, &[&program, "--exact", "crashes::writer", "--ignored", "--nocapture"]].concat();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).env("WRITER_URL", url).stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

/// Every acknowledged row is there, and none is there by half. Returns how many there are.
async fn check(url: &str, acknowledged: &[String]) -> usize {
    let store = Store { db: Db::open(url).await.unwrap(), url: url.to_owned() };
    for id in acknowledged {
        let found = store.db.read("SELECT 1 FROM tokens WHERE id = $1", db::params![id]).await.unwrap();
        assert_eq!(found.len(), 1, "{id} was acknowledged and is not there");
    }
    let (users, tokens) = (store.count("users").await, store.count("tokens").await);
    assert_eq!(users, tokens, "half a batch");
    store.db.close().await;
    usize::try_from(tokens).unwrap()
}

async fn migrated() -> String {
    let url = testing::sqlite();
    let db = Db::open(&url).await.unwrap();
    db.migrate(&MIGRATIONS).await.unwrap();
    db.close().await;
    url
}

#[tokio::test]
async fn what_was_acknowledged_outlives_a_kill() {
    let url = migrated().await;
    let mut acknowledged = Vec::new();
    for round in 1..=3 {
        let mut process = writer_process(&[], &url).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut of_round = 0;
        for line in lines.by_ref() {
            if let Some(id) = line.unwrap().strip_prefix("written ") {
                acknowledged.push(id.to_owned());
                of_round += 1;
            }
            if of_round == round * 100 {
                process.kill().unwrap();
            }
        }
        process.wait().unwrap();
        assert!(of_round >= round * 100);
        assert!(check(&url, &acknowledged).await >= acknowledged.len());
    }
}

#[tokio::test]
async fn a_second_process_is_refused() {
    let url = migrated().await;
    let db = Db::open(&url).await.unwrap();
    let output = writer_process(&[], &url).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("refused: ") && said.contains("is in use by another process"), "{said}");
    db.close().await;
}

/// A file that cannot grow makes writes fail as a broken disk does: what was acknowledged is there, the answers say that they do not
/// know, and the process ends by itself.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_input_output_error_ends_the_process() {
    let url = migrated().await;
    let limit = ["env", "--ignore-signal=XFSZ", "prlimit", "--fsize=300000"];
    let output = writer_process(&limit, &url).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(70), "{said}");
    let acknowledged: Vec<_> =
        said.lines().filter_map(|line| line.strip_prefix("written ")).map(str::to_owned).collect();
    assert!(!acknowledged.is_empty(), "{said}");
    let failed: Vec<_> = said.lines().filter_map(|line| line.strip_prefix("failed ")).collect();
    assert!(failed.iter().all(|error| *error == "Unknown"), "{failed:?}");
    check(&url, &acknowledged).await;
}
