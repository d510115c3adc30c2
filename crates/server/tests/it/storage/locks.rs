//! Other programs that read, copy or lock a SQLite file while the server writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use db::testing::Held;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::program;
use crate::running::Program;
use crate::running::http::{Connection, request};

/// A new API: its status, the headers, and how long it took.
async fn create(program: &Program, admin: &str, name: &str) -> (u16, String, Duration) {
    let authorization = format!("Bearer {admin}");
    let headers = [("content-type", "application/json"), ("authorization", &*authorization)];
    let body = json!({ "identifier": format!("https://{name}.test") }).to_string();
    let mut connection = Connection::open(program.address).await.expect("it accepts");
    let begun = Instant::now();
    let bytes = request("POST", "/api/v2/resource-servers", &headers, &body);
    let (status, headers, _) = connection.call(&bytes).await.expect("an answer");
    (status, headers.to_lowercase(), begun.elapsed())
}

/// ST-05: a long read and a backup stop no writer; one that has to wait for a lock waits as long as is documented, and is then told to
/// come back.
#[tokio::test(flavor = "multi_thread")]
async fn st_05_who_holds_a_lock_is_waited_for_and_then_told_of() {
    let program = program("locks").await;
    let admin = program.admin_token().await;
    let url = program.database();

    let reading = Held::read(&url);
    let over = Arc::new(AtomicBool::new(false));
    let mut writers = JoinSet::new();
    for writer in 0..4 {
        let (address, admin, over) = (program.address, admin.clone(), over.clone());
        writers.spawn(async move {
            let authorization = format!("Bearer {admin}");
            let headers = [("content-type", "application/json"), ("authorization", &*authorization)];
            let mut connection = Connection::open(address).await.expect("it accepts");
            let mut count = 0_u64;
            while !over.load(Ordering::Relaxed) {
                let body = json!({ "identifier": format!("https://w{writer}-{count}.test") }).to_string();
                let bytes = request("POST", "/api/v2/resource-servers", &headers, &body);
                let (status, _, body) = connection.call(&bytes).await.expect("an answer");
                assert_eq!(status, 201, "{}", String::from_utf8_lossy(&body));
                count += 1;
            }
            count
        });
    }
    for copy in 0..3 {
        program.backup(&format!("copy-{copy}.db")).await;
    }
    over.store(true, Ordering::Relaxed);
    let written: u64 = writers.join_all().await.into_iter().sum();
    assert!(written > 10, "{written} beside a reader and three backups");
    drop(reading);

    let locked = Held::write(&url);
    let path = program.people[0].path();
    let (waited, read) = tokio::join!(create(&program, &admin, "waits"), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        program.json("GET", &path, Some(&admin), &Value::Null).await
    });
    let (status, headers, took) = waited;
    assert_eq!(status, 503, "{headers}");
    assert!(headers.contains("retry-after: "), "{headers}");
    assert!(took > Duration::from_secs(4) && took < Duration::from_secs(16), "{took:?}");
    assert_eq!(read.0, 200, "reads wait for nobody");
    let (soon, ()) = tokio::join!(create(&program, &admin, "soon"), async move {
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop(locked);
    });
    assert_eq!(soon.0, 201, "{}", soon.1);
    assert_eq!(create(&program, &admin, "waits").await.0, 201, "it was not written before");
    println!(
        "{written} writes beside a long read and three backups; a locked writer answered after {took:?}"
    );
}
