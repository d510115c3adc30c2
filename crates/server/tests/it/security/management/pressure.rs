//! What comes at once, or in masses, over sockets to the built binary.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::Engine;
use crate::support::app::CONNECTION;
use crate::support::binary::{Server, Site};

const MIB: u64 = 1024 * 1024;

/// A running server and, as a header line, the token of a machine that may do everything.
async fn serving(engine: Engine) -> (Site, Server, String) {
    let site = Site::new(engine).await;
    let made = site.command(&["admin", "create-client", "--all-scopes"]);
    let text = String::from_utf8(made.stdout).expect("is text");
    let printed = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("no {name}: {text}")).trim().to_owned()
    };
    let server = site.serve();
    let credentials = json!({
        "grant_type": "client_credentials",
        "client_id": printed("client_id"),
        "client_secret": printed("client_secret"),
        "audience": printed("audience"),
    });
    let token = server
        .json("POST", "/oauth/token", "content-type: application/json\r\n", &credentials.to_string())
        .await;
    let token = token["access_token"].as_str().unwrap_or_else(|| panic!("{token}"));
    let header = format!("authorization: Bearer {token}\r\ncontent-type: application/json\r\n");
    (site, server, header)
}

fn status(answer: &str) -> u16 {
    answer
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest[..3].parse().ok())
        .unwrap_or_else(|| panic!("no answer: {answer:?}"))
}

/// Sends a head, and then pieces until the server has enough or there are none left; its answer, and how much it let in.
async fn pour(server: &Server, head: &str, piece: &[u8], pieces: usize) -> (String, u64) {
    let stream = TcpStream::connect(server.address).await.expect("the server listens");
    let (mut reader, mut writer) = stream.into_split();
    let head = head.as_bytes().to_vec();
    let piece = piece.to_vec();
    let writing = tokio::spawn(async move {
        let mut sent = 0;
        if writer.write_all(&head).await.is_err() {
            return sent;
        }
        for _ in 0..pieces {
            if writer.write_all(&piece).await.is_err() {
                break;
            }
            sent += piece.len() as u64;
        }
        sent
    });
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    // The server may reset a connection whose sender does not stop: what came before counts.
    while let Ok(Ok(read @ 1..)) =
        tokio::time::timeout(Duration::from_secs(60), reader.read(&mut buffer)).await
    {
        answer.extend_from_slice(&buffer[..read]);
    }
    drop(reader);
    let sent = tokio::time::timeout(Duration::from_secs(60), writing)
        .await
        .expect("it stops taking more")
        .expect("no panic");
    (String::from_utf8_lossy(&answer).into_owned(), sent)
}

both_databases_at_once! {
    /// Bodies that are too much are refused before they are held, and the server goes on.
    async fn mg_06_a_body_that_is_too_much_is_refused_early(engine: Engine) {
        let (_site, server, header) = serving(engine).await;
        let routes = [
            ("POST", "/api/v2/users", &*header),
            ("PATCH", "/api/v2/users/auth0%7Cx", &*header),
            ("PATCH", "/api/v2/tenants/settings", &*header),
            ("POST", "/oauth/token", "content-type: application/json\r\n"),
        ];
        let nested = [b"[".repeat(100_000), b"]".repeat(100_000)].concat();
        let nested = String::from_utf8(nested).expect("is text");
        let objects = format!("{}1{}", r#"{"user_metadata":"#.repeat(40_000), "}".repeat(40_000));
        let attack = async || {
            for (method, path, header) in routes {
                for body in [&nested, &objects, &"[".repeat(100_000)] {
                    let answer = server.ask(method, path, header, body).await;
                    assert_eq!(status(&answer), 400, "{method} {path}: {answer}");
                }
                let long = format!(r#"{{"a":"{}"#, "x".repeat(10_000_000));
                let head = |framing: &str| format!("{method} {path} HTTP/1.1\r\nhost: id.test\r\nconnection: close\r\n{header}{framing}\r\n\r\n");
                let (answer, _) = pour(&server, &head(&format!("content-length: {}", long.len())), long.as_bytes(), 1).await;
                assert_eq!(status(&answer), 413, "{method} {path}: {answer}");
                let (answer, sent) = pour(&server, &head("content-length: 104857600"), &[b' '; 65536], 1600).await;
                assert_eq!(status(&answer), 413, "{method} {path}: {answer}");
                assert!(sent < 64 * MIB, "{method} {path}: it let in {sent}");
                let chunk = [b"10000\r\n".as_slice(), &[b' '; 65536], b"\r\n"].concat();
                let (answer, sent) = pour(&server, &head("transfer-encoding: chunked"), &chunk, 100_000).await;
                assert_eq!(status(&answer), 413, "{method} {path}: {answer}");
                assert!(sent < 64 * MIB, "{method} {path}: it let in {sent}");
            }
        };
        assert_eq!(status(&server.ask("GET", "/api/v2/users", &header, "").await), 200);
        let before = server.peak_memory();
        join_all((0..8).map(|_| attack())).await;
        let after = server.peak_memory();
        assert!(after < before + 50 * MIB, "{before} became {after}");
        assert_eq!(status(&server.ask("GET", "/.well-known/jwks.json", "", "").await), 200);
        assert_eq!(server.json("GET", "/api/v2/users", &header, "").await, json!([]));
    }

    /// Large metadata comes and goes, and what it was held in is free again.
    async fn cu_22_memory_returns_to_its_baseline(engine: Engine) {
        let (_site, server, header) = serving(engine).await;
        let user = json!({ "connection": CONNECTION, "user_id": "x", "email": "x@example.com", "password": "Correct-horse-9" });
        assert_eq!(status(&server.ask("POST", "/api/v2/users", &header, &user.to_string()).await), 201);
        let large = json!({ "user_metadata": { "a": "x".repeat(1_000_000) } }).to_string();
        let round = async || {
            for body in [&*large, r#"{"user_metadata":{}}"#] {
                assert_eq!(status(&server.ask("PATCH", "/api/v2/users/auth0%7Cx", &header, body).await), 200);
            }
        };
        for _ in 0..5 {
            round().await;
        }
        let before = server.memory();
        for _ in 0..40 {
            round().await;
        }
        let after = server.memory();
        assert!(after < before + 50 * MIB, "{before} became {after}");
    }

    /// Of many who ask for one address at the same time, in whatever letters, one gets it.
    async fn mg_10_one_address_is_one_users(engine: Engine) {
        let (_site, server, header) = serving(engine).await;
        let spellings = ["kevin.kr\u{fc}ger@example.com", "KEVIN.KR\u{dc}GER@EXAMPLE.COM", "Kevin.Kr\u{fc}ger@Example.Com", "\u{212a}evin.Kr\u{dc}ger@example.COM", "kevin.krU\u{308}ger@example.com"];
        let start = tokio::sync::Barrier::new(50);
        let create = async |number: usize| {
            let email = spellings[number % spellings.len()];
            let body = json!({ "connection": CONNECTION, "email": email, "password": "Correct-horse-9" }).to_string();
            start.wait().await;
            loop {
                // Those who find no place in the queue for hashing are told to come again, as any SDK then does.
                let answer = server.ask("POST", "/api/v2/users", &header, &body).await;
                match status(&answer) {
                    503 => assert!(answer.contains("retry-after: 1\r\n"), "{answer}"),
                    decided => return (number, decided),
                }
            }
        };
        let answers = join_all((0..50).map(create)).await;
        // The last spelling composes its letter from two: no such address is taken.
        let count = |wanted: u16| answers.iter().filter(|(_, status)| *status == wanted).count();
        assert_eq!((count(201), count(409), count(400)), (1, 39, 10), "{answers:?}");
        assert!(answers.iter().all(|(number, status)| (number % 5 == 4) == (*status == 400)), "{answers:?}");

        let all = server.json("GET", "/api/v2/users?include_totals=true", &header, "").await;
        assert_eq!((&all["total"], &all["users"][0]["email"]), (&json!(1), &json!("kevin.kr\u{fc}ger@example.com")));
        let found = server.json("GET", "/api/v2/users-by-email?email=kevin.kr%C3%BCger%40example.com", &header, "").await;
        assert_eq!(found.as_array().map(Vec::len), Some(1), "{found}");
        let others: [Value; 2] = [json!({ "email": "KEVIN.kr\u{fc}ger@example.com" }), json!({ "email": "\u{212a}evin.kr\u{fc}ger@example.com" })];
        let second = json!({ "connection": CONNECTION, "user_id": "b", "email": "b@example.com", "password": "Correct-horse-9" });
        assert_eq!(status(&server.ask("POST", "/api/v2/users", &header, &second.to_string()).await), 201);
        for body in others {
            let taken = server.json("PATCH", "/api/v2/users/auth0%7Cb", &header, &body.to_string()).await;
            assert_eq!((&taken["statusCode"], &taken["errorCode"]), (&json!(400), &json!("auth0_idp_error")), "{taken}");
        }
    }
}
