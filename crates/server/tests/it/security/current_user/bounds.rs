//! How much a token may ask for.

use std::time::Duration;

use axum::http::Method;
use futures_util::future::join_all;
use serde_json::{Map, Value, json};

use super::{ALICE, BOB, every_scope, people};
use crate::security::refusals::{invalid_body, refusal};
use crate::support::socket::Socket;
use crate::support::{Answer, Caller, TestApp};

/// So many callers at the same time, who each ask so many times.
async fn ask(caller: &Caller, path: &'static str, callers: usize, times: usize) -> Vec<Answer> {
    let callers = (0..callers).map(|_| {
        let caller = caller.clone();
        tokio::spawn(async move {
            let mut answers = Vec::new();
            for _ in 0..times {
                answers.push(caller.get(path).await);
            }
            answers
        })
    });
    join_all(callers).await.into_iter().flat_map(|answers| answers.expect("no caller panics")).collect()
}

/// A body of this text, which may be no JSON.
async fn patched(app: &TestApp, body: String) -> Answer {
    app.app.clock.advance(1);
    app.token("auth0|alice", "update:current_user_metadata")
        .send(Method::PATCH, ALICE, Some("application/json"), body)
        .await
}

/// Stores the metadata, reads it back, and reads the log.
async fn assert_stored(app: &TestApp, metadata: &Value) {
    let emptied = patched(app, json!({ "user_metadata": {} }).to_string()).await;
    assert_eq!((emptied.status, &emptied.body["user_metadata"]), (200, &json!({})));
    let answer = patched(app, json!({ "user_metadata": metadata }).to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.text.chars().take(300).collect::<String>());
    assert!(answer.body["user_metadata"] == *metadata);
    let read = app.admin().get(ALICE).await;
    assert!(read.status == 200 && read.body["user_metadata"] == *metadata);
    let listed = app.admin().get("/api/v2/users?per_page=100").await;
    assert_eq!(listed.status, 200, "{}", listed.text.chars().take(300).collect::<String>());
    app.app.audit.flush().await;
    let log = app.admin().get("/api/v2/logs?per_page=5").await;
    assert_eq!(log.status, 200, "{}", log.text.chars().take(300).collect::<String>());
    assert!(log.text.len() < 1_000_000, "{}", log.text.len());
}

both_databases_at_once! {
    /// A person who asks too often is slowed down alone.
    async fn cu_21_one_persons_calls_are_limited_and_nobody_elses(app: TestApp) {
        let app = people(app).await;
        let alice = app.token("auth0|alice", "read:current_user");
        let (bob, admin) = (app.token("auth0|bob", "read:current_user"), app.admin());
        let (hers, his, all) = tokio::join!(ask(&alice, ALICE, 20, 50), ask(&bob, BOB, 1, 40), ask(&admin, ALICE, 1, 60));
        assert!(his.iter().chain(&all).all(|answer| answer.status == 200));
        let (passed, refused): (Vec<_>, Vec<_>) = hers.iter().partition(|answer| answer.status == 200);
        assert_eq!((passed.len(), refused.len()), (50, 950));
        let reset = (app.app.clock.now().seconds() + 1).to_string();
        for answer in &refused {
            assert_eq!(answer.body, refusal(429, "Too Many Requests", "Global limit has been reached", "too_many_requests"));
            let headers = ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "retry-after"];
            assert_eq!(headers.map(|name| answer.header(name)), ["50", "0", &*reset, "1"]);
        }
        let mut remaining: Vec<u32> = passed.iter().map(|answer| answer.header("x-ratelimit-remaining").parse().expect("is a number")).collect();
        remaining.sort_unstable();
        assert_eq!(remaining, (0..50).collect::<Vec<_>>());

        // Another token of the same person, and what would be refused anyway, come out of the same bucket.
        let other = app.token("auth0|alice", "update:current_user_metadata");
        assert_eq!(other.patch(ALICE, json!({})).await.status, 429);
        assert_eq!(other.get(BOB).await.status, 429);
        assert!(app.events().await.iter().any(|kind| kind == "api_limit"));
        app.app.clock.advance(1);
        let later = ask(&alice, ALICE, 4, 5).await;
        assert_eq!(later.iter().filter(|answer| answer.status == 200).count(), 10);
    }

    /// Whatever is sent is refused, or comes back as it was sent.
    /// Metadata lies deeper in a letter than in the body that wrote it, and the letter is read again as a whole.
    async fn cu_22_metadata_as_deep_as_can_be_read_stops_no_letter(app: TestApp) {
        let app = people(app).await;
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let body = |depth: usize| format!("{{\"user_metadata\":{{\"plan\":\"basic\",\"deep\":{}}}}}", nested(depth));
        assert_eq!(patched(&app, body(126)).await.status, 400);
        assert_eq!(patched(&app, body(125)).await.status, 200);
        let factor = json!({ "type": "totp", "totp_secret": "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ" });
        let added = app.admin().post(&format!("{ALICE}/authentication-methods"), factor).await;
        assert_eq!(added.status, 201, "{added:?}");
        let letters = app.letters("factor_added").await;
        assert_eq!((letters.len(), &letters[0].1["user"]["user_metadata"]["plan"]), (1, &json!("basic")));
    }

    async fn cu_22_large_and_odd_metadata_is_stored_exactly_or_refused(app: TestApp) {
        let app = people(app).await;
        let many: Map<String, Value> = (0..10_000).map(|number| (format!("key {number}"), number.into())).collect();
        let nested = |depth: usize| (0..depth).fold(json!("x"), |inner, level| {
            if level % 2 == 0 { json!([inner]) } else { json!({ "a": inner }) }
        });
        for metadata in [
            json!(many),
            json!({ "deep": nested(120) }),
            json!({ "__proto__": { "isAdmin": true }, "constructor": { "prototype": {} }, "": "", " ": null_free() }),
            json!({ "nested": { "a.b": 1, "$where": "1", "x": null } }),
            json!({ "text": "\u{1}\u{7f}\u{fffe}\u{feff}\u{202e}\u{2028}😀\\u0000 '\"`;--%s{{7*7}}</script>" }),
            json!({ "numbers": [0, -0.0, 0.1, -1, 1e308, 5e-324, u64::MAX, i64::MIN, 9_007_199_254_740_993_u64] }),
            json!({ "large": "x".repeat(1_000_000) }),
        ] {
            assert_stored(&app, &metadata).await;
        }
        let kept = app.admin().get(ALICE).await;
        for (body, expected) in [
            (r#"{"user_metadata":{"$where":1}}"#.into(), metadata_name("$where")),
            (r#"{"user_metadata":{"a.b":1}}"#.into(), metadata_name("a.b")),
            (r#"{"user_metadata":{"a":"\u0000"}}"#.into(), not_json(": a string holds a NUL")),
            (r#"{"user_metadata":{"\u0000":1}}"#.into(), not_json(": a string holds a NUL")),
            (r#"{"user_metadata":{"a":"\ud800"}}"#.into(), not_json("")),
            (r#"{"user_metadata":{"a":"\udc00\ud800"}}"#.into(), not_json("")),
            (r#"{"user_metadata":{"a":1e999}}"#.into(), not_json("")),
            (r#"{"user_metadata":{"a":1},"user_metadata":{"b":1}}"#.into(), not_json(": a property is there twice")),
            (r#"{"user_metadata":{"a":{"x":1,"x":2}}}"#.into(), not_json(": a property is there twice")),
            (format!(r#"{{"user_metadata":{{"a":{}}}}}"#, nested(500)), not_json("")),
            (format!(r#"{{"user_metadata":{{"a":{}"#, "[".repeat(100_000)), not_json("")),
            ("\u{feff}{}".into(), not_json("")),
            (json!({ "user_metadata": "x" }).to_string(), mistyped("string")),
            (json!({ "user_metadata": [] }).to_string(), mistyped("array")),
            (json!({ "user_metadata": null }).to_string(), mistyped("null")),
        ] {
            let shown: String = body.chars().take(80).collect();
            let answer = patched(&app, body).await;
            assert_eq!((answer.status, &answer.body), (400, &expected), "{shown}");
        }
        let large = patched(&app, json!({ "user_metadata": { "a": "x".repeat(16 * 1024 * 1024) } }).to_string()).await;
        assert_eq!((large.status, &large.body["error"]), (413, &json!("Payload Too Large")), "{}", large.text);
        // Small enough each, and too large together.
        let grown = patched(&app, json!({ "user_metadata": { "more": "x".repeat(100_000) } }).to_string()).await;
        let too_large = invalid_body("Payload validation error: 'metadata may not be larger than 1048576 bytes'.");
        assert_eq!((grown.status, &grown.body), (400, &too_large));
        assert_eq!(app.admin().get(ALICE).await.text, kept.text);
    }

    /// As many keys as a body has room for: what is done with them takes no time that grows with their square.
    async fn cu_22_very_many_keys_are_merged_and_logged_at_once(app: TestApp) {
        let app = people(app).await;
        let all = |value: Value| (0..70_000).map(|number| (format!("{number:x}"), value.clone())).collect::<Map<_, _>>();
        let work = async {
            for value in [json!(1), json!(2), Value::Null] {
                let answer = patched(&app, json!({ "user_metadata": all(value) }).to_string()).await;
                assert_eq!(answer.status, 200, "{}", answer.text.chars().take(300).collect::<String>());
            }
            let left = app.admin().get(ALICE).await.body;
            assert_eq!(left["user_metadata"], json!({ "color": "teal", "deep": { "a": 1, "b": [1, 2] } }));
        };
        tokio::time::timeout(Duration::from_secs(60), work).await.expect("it takes a few seconds");
    }

    /// Few enough values each, and too many together: short ones take far more memory than their text.
    async fn cu_22_values_are_not_gathered_beyond_what_one_body_may_hold(app: TestApp) {
        let app = people(app).await;
        let with = |name: &str| json!({ "user_metadata": { name: vec![0; 60_000] } }).to_string();
        assert_eq!(patched(&app, with("first")).await.status, 200);
        let kept = app.admin().get(ALICE).await;
        let grown = patched(&app, with("second")).await;
        let too_many = invalid_body("Payload validation error: 'metadata may not have more than 100000 values'.");
        assert_eq!((grown.status, &grown.body), (400, &too_many));
        assert_eq!(app.admin().get(ALICE).await.text, kept.text);
        assert_eq!(patched(&app, with("first")).await.status, 200);
    }

    /// What a refused body leaves behind is short, and tells no secret.
    async fn cu_22_a_large_body_that_is_refused_takes_little_room(app: TestApp) {
        let app = people(app).await;
        let log = async || {
            app.app.audit.flush().await;
            app.admin().get("/api/v2/logs?q=type%3Afapi&per_page=1").await
        };
        let endless = patched(&app, json!({ "user_metadata": vec![0; 500_000] }).to_string()).await;
        assert_eq!((endless.status, &endless.body), (400, &not_json(": too many values")));
        assert!(log().await.text.len() < 4_000);
        let long = json!({ "password": "s3cret", "roles": vec![0; 90_000], "user_metadata": vec!["x".repeat(4_000); 100] });
        let refused = patched(&app, long.to_string()).await;
        assert_eq!((refused.status, &refused.body["errorCode"]), (400, &json!("invalid_body")), "{}", refused.text);
        let entry = log().await;
        assert_eq!(entry.body[0]["details"]["request"]["body"]["password"], "*****");
        assert!(!entry.text.contains("s3cret") && entry.text.len() < 20_000, "{}", entry.text.len());
    }

    /// Bodies that do not say how long they are end where the limit is.
    async fn cu_22_a_body_without_a_length_is_cut_off(app: TestApp) {
        let app = people(app).await;
        let token = app.token("auth0|alice", &every_scope()).bearer().await;
        let socket = Socket::open(app.router.clone()).await;
        let mut request = format!(
            "PATCH /api/v2/users/auth0%7Calice HTTP/1.1\r\nhost: id.test\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        .into_bytes();
        let start = br#"{"user_metadata":{"a":""#;
        request.extend([format!("{:x}\r\n", start.len()).as_bytes(), start, b"\r\n"].concat());
        request.extend([b"10000\r\n".as_slice(), &[b'a'; 0x10000], b"\r\n"].concat().repeat(40));
        request.extend(b"4\r\n\"}}\n\r\n0\r\n\r\n");
        let answer = socket.raw(&request).await;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
        assert!(answer.ends_with(&refusal(413, "Payload Too Large", "Payload content length greater than maximum allowed: 1048576", "").to_string()), "{answer}");
        socket.stop().await;
    }
}

fn null_free() -> Value {
    json!({ "": { "": [] } })
}

fn metadata_name(name: &str) -> Value {
    invalid_body(&format!(
        "Payload validation error: 'Invalid property name {name}: names may not contain '.' or '$''."
    ))
}

fn not_json(more: &str) -> Value {
    invalid_body(&format!("Invalid request payload JSON format{more}"))
}

fn mistyped(found: &str) -> Value {
    invalid_body(&format!(
        "Payload validation error: 'Expected type object but found type {found}' on property user_metadata (User metadata to which \
         this user has read/write access.)."
    ))
}
