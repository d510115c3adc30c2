//! What watches a running server sees: metrics, health, readiness; and how it stops.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::running::free_address;
use crate::support::Engine;
use crate::support::binary::{Server, Site};

/// A server with a monitoring listener, and where that is.
async fn watched(engine: Engine, lines: &str) -> (Site, Server, SocketAddr) {
    let address = free_address();
    let lines = format!("issuer = \"https://id.test/\"\n[monitoring]\nlisten = \"{address}\"\n{lines}");
    let site = Site::with(&engine.database().await, &lines);
    let server = site.serve();
    (site, server, address)
}

/// The status and the body of an answer of the monitoring listener.
async fn look(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    let request = format!("GET {path} HTTP/1.1\r\nhost: anything\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("it answers");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    (head[9..12].parse().expect("a status"), body.to_owned())
}

/// The value of a line of the metrics.
fn value(text: &str, name: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in\n{text}")).parse().expect("a number")
}

both_databases! {
    /// Also those that are answered with what was answered before.
    async fn a_line_of_the_log_tells_of_each_request(engine: Engine) {
        let (_site, server, monitoring) = watched(engine, "").await;
        let (mut ids, mut kept) = (Vec::new(), 0);
        let questions = async || value(&look(monitoring, "/metrics").await.1, "doorward_cache_questions_total{answer=\"hit\"}");
        for _ in 0..20 {
            let before = questions().await;
            let answer = server.ask("GET", "/.well-known/jwks.json", "", "").await;
            let id = answer.lines().find_map(|line| line.strip_prefix("x-request-id: "));
            ids.push(id.unwrap_or_else(|| panic!("no id: {answer}")).to_owned());
            kept += u32::from(questions().await == before);
        }
        assert!(kept > 0, "each was asked for anew");
        let (mut log, begun) = (server.log(), Instant::now());
        while ids.iter().any(|id| !log.iter().any(|line| line.contains(id))) && begun.elapsed() < Duration::from_secs(20) {
            tokio::time::sleep(Duration::from_millis(20)).await;
            log.extend(server.log());
        }
        for id in ids {
            let lines: Vec<Value> = log.iter().filter(|line| line.contains(&id)).filter_map(|line| serde_json::from_str(line).ok()).collect();
            assert_eq!(lines.len(), 1, "{id}: {log:#?}");
            assert_eq!((&lines[0]["message"], &lines[0]["status"]), (&json!("answered"), &json!(200)));
            let span = json!({ "name": "request", "id": id, "ip": "127.0.0.1", "method": "GET", "route": "/.well-known/jwks.json", "tenant": "id-test" });
            assert_eq!(lines[0]["span"], span);
        }
    }

    async fn metrics_tell_of_requests_grants_hashes_and_the_database(engine: Engine) {
        let (_site, server, monitoring) = watched(engine, "").await;
        for _ in 0..3 {
            assert!(server.ask("GET", "/.well-known/jwks.json", "", "").await.starts_with("HTTP/1.1 200"));
        }
        server.ask("GET", "/wp-login.php?x=1", "", "").await;
        server.ask("GET", "/api/v2/users/auth0%7Cx", "", "").await;
        let form = "content-type: application/x-www-form-urlencoded\r\n";
        server.ask("POST", "/oauth/token", form, "grant_type=client_credentials&client_id=x&client_secret=y").await;
        server.ask("POST", "/oauth/token", form, "grant_type=anything%22&client_id=x").await;
        let (status, text) = look(monitoring, "/metrics").await;
        assert_eq!(status, 200);
        for (name, expected) in [
            (r#"doorward_requests_total{method="GET",route="/.well-known/jwks.json",status="2xx"}"#, 3.0),
            (r#"doorward_request_seconds_count{method="GET",route="/.well-known/jwks.json"}"#, 3.0),
            (r#"doorward_request_seconds_bucket{method="GET",route="/.well-known/jwks.json",le="+Inf"}"#, 3.0),
            (r#"doorward_requests_total{method="GET",route="",status="4xx"}"#, 1.0),
            (r#"doorward_requests_total{method="GET",route="/api/v2/users/{id}",status="4xx"}"#, 1.0),
            (r#"doorward_tokens_total{grant="client_credentials",status="4xx"}"#, 1.0),
            (r#"doorward_token_seconds_count{grant="client_credentials"}"#, 1.0),
            ("doorward_password_queue", 0.0),
            ("doorward_password_refused_total", 0.0),
            (r#"doorward_events_total{fate="dropped"}"#, 0.0),
            ("doorward_connections_total", 7.0),
        ] {
            assert_eq!(value(&text, name), expected, "{name}");
        }
        assert!(value(&text, r#"doorward_cache_questions_total{answer="hit"}"#) > 0.0);
        assert!(value(&text, "doorward_db_batches_total") > 0.0);
        assert!(value(&text, "process_resident_memory_bytes") > 1e6);
        assert!(value(&text, "process_open_fds") > 3.0);
        match engine {
            Engine::Sqlite => assert!(value(&text, "doorward_db_group_size_count") > 0.0),
            Engine::Postgres => assert!(value(&text, "doorward_db_connections_most") > 0.0),
        }
        assert!(!text.contains("wp-login") && !text.contains("anything"), "{text}");
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let name = line.split(['{', ' ']).next().expect("a name");
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
            assert!(text.contains(&format!("# TYPE {name} ")) || text.contains(&format!("# TYPE {base} histogram")), "{line}");
        }
    }

    /// Nothing of it is served to the world, and nothing of the product here.
    async fn monitoring_is_apart_from_the_product(engine: Engine) {
        let (_site, server, monitoring) = watched(engine, "").await;
        for path in ["/metrics", "/health", "/ready"] {
            assert_eq!(look(monitoring, path).await.0, 200, "{path}");
            assert!(server.ask("GET", path, "", "").await.starts_with("HTTP/1.1 404"), "{path}");
        }
        for path in ["/", "/.well-known/jwks.json", "/api/v2/users", "/oauth/token", "/u/login"] {
            assert_eq!(look(monitoring, path).await.0, 404, "{path}");
        }
    }

    /// First it only says that it is not ready, and takes every request; then it stops.
    async fn a_stop_is_announced_before_it_begins(engine: Engine) {
        let (_site, server, monitoring) = watched(engine, "[stopping]\nannounce_seconds = 2").await;
        assert_eq!(look(monitoring, "/ready").await, (200, "ready\n".into()));
        server.terminate();
        while look(monitoring, "/ready").await != (503, "stopping\n".into()) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let answer = server.ask("GET", "/.well-known/jwks.json", "", "").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert_eq!(look(monitoring, "/health").await.0, 200);
        assert_eq!(server.wait().code(), Some(0));
    }
}

/// Whoever is to read the log may be away: what does not fit any more is lost and counted, and requests are answered.
#[tokio::test]
async fn a_log_that_nobody_reads_stops_nobody() {
    let (_site, server, monitoring) = watched(Engine::Sqlite, "").await;
    server.turn_deaf();
    let mut stream = TcpStream::connect(server.address).await.expect("it listens");
    let requests = "GET /nothing HTTP/1.1\r\nhost: id.test\r\n\r\n".repeat(100);
    for _ in 0..60 {
        stream.write_all(requests.as_bytes()).await.expect("it reads");
        let (mut answers, mut piece) = (String::new(), [0; 16 << 10]);
        while answers.matches("HTTP/1.1 404 ").count() < 100 {
            let read = tokio::time::timeout(Duration::from_secs(30), stream.read(&mut piece));
            let read = read.await.expect("it goes on").expect("it answers");
            assert!(read > 0, "it closes");
            answers.push_str(&String::from_utf8_lossy(&piece[..read]));
        }
    }
    let (_, text) = look(monitoring, "/metrics").await;
    assert!(value(&text, "doorward_log_lines_lost_total") > 0.0, "{text}");
    server.terminate();
    assert_eq!(server.wait().code(), Some(0));
}

/// Somebody who never finishes keeps the stop waiting no longer than its bound.
#[tokio::test]
async fn a_stop_ends_within_its_bound() {
    let (_site, server, _) = watched(Engine::Sqlite, "[stopping]\ndrain_seconds = 1").await;
    let mut slow = TcpStream::connect(server.address).await.expect("it listens");
    slow.write_all(b"POST /oauth/token HTTP/1.1\r\nhost: id.test\r\ncontent-length: 100\r\n\r\n")
        .await
        .expect("it reads");
    tokio::time::sleep(Duration::from_millis(100)).await;
    let begun = std::time::Instant::now();
    server.terminate();
    assert_eq!(server.wait().code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
}
