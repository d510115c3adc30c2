//! MG-09: files of users that are meant to do harm.

use std::io::Write;

use axum::http::Method;
use flate2::Compression;
use flate2::write::GzEncoder;
use model::jobs;
use serde_json::{Value, json};

use crate::support::app::CONNECTION;
use crate::support::{Answer, TestApp};

/// Brings in a file and runs the job to its end: the job, and what is told of its errors.
async fn import(app: &TestApp, file: &[u8]) -> (Value, Answer) {
    let admin = app.admin();
    let found = admin.get(&format!("/api/v2/connections?name={CONNECTION}")).await;
    let id = found.body[0]["id"].as_str().expect("every tenant has it");
    let head = format!(
        "--x\r\ncontent-disposition: form-data; name=\"connection_id\"\r\n\r\n{id}\r\n\
         --x\r\ncontent-disposition: form-data; name=\"users\"; filename=\"users.json\"\r\n\r\n"
    );
    let body = [head.as_bytes(), file, b"\r\n--x--\r\n"].concat();
    let kind = "multipart/form-data; boundary=x";
    let answer = admin.send_bytes(Method::POST, "/api/v2/jobs/users-imports", kind, body).await;
    assert_eq!(answer.status, 202, "{}", answer.text);
    while jobs::run_next(&app.app).await.expect("it runs") {}
    let path = format!("/api/v2/jobs/{}", answer.body["id"].as_str().expect("it has an id"));
    (admin.get(&path).await.body, admin.get(&format!("{path}/errors")).await)
}

fn codes(errors: &Answer) -> Vec<String> {
    let rows = errors.body.as_array().unwrap_or_else(|| panic!("no list: {}", errors.text));
    let code = |row: &Value| row["errors"][0]["code"].as_str().expect("it has a code").to_owned();
    rows.iter().map(code).collect()
}

both_databases! {
    async fn mg_09_a_bad_row_is_told_and_the_others_come_in(app: TestApp) {
        let argon2 = "$argon2id$v=19$m=4194304,t=1,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        let scrypt = json!({
            "algorithm": "scrypt", "hash": { "value": "00".repeat(64), "encoding": "hex" }, "keylen": 64, "cost": 1 << 30,
        });
        let pbkdf2 = format!("$pbkdf2-sha512$i=4000000000,l=64$c2FsdA${}", "A".repeat(86));
        let rows = [
            r#"{"email":"good0@example.com"}"#.to_owned(),
            r#"{"email": }"#.into(),
            r#"{'email':'single@example.com'}"#.into(),
            "nonsense".into(),
            "[]".into(),
            "null".into(),
            format!("{}{}", "[".repeat(5000), "]".repeat(5000)),
            // As deep as can be read, before it is told of.
            format!("{}{}", "[".repeat(127), "]".repeat(127)),
            r#"{"email":"a\ud800@example.com"}"#.into(),
            r#"{"email":"nul@example.com","name":"a\u0000b"}"#.into(),
            json!({ "email": "a1@example.com", "password_hash": format!("$2b$10${}é", "C".repeat(51)) }).to_string(),
            json!({ "email": "a2@example.com", "password_hash": format!("$2b$31${}", "C".repeat(53)) }).to_string(),
            json!({ "email": "a3@example.com", "custom_password_hash": { "algorithm": "argon2", "hash": { "value": argon2 } } }).to_string(),
            json!({ "email": "a4@example.com", "custom_password_hash": scrypt }).to_string(),
            json!({ "email": "a5@example.com", "custom_password_hash": { "algorithm": "pbkdf2", "hash": { "value": pbkdf2 } } }).to_string(),
            r#"{"email":"GOOD0@example.com"}"#.into(),
            json!({ "email": "a6@example.com", "name": "' OR 1=1 --", "user_id": "x'; DROP TABLE users; --" }).to_string(),
            json!({ "email": "good1@example.com", "name": "' OR 1=1 --" }).to_string(),
        ];
        let (done, errors) = import(&app, format!("[{}]", rows.join(",\n")).as_bytes()).await;
        assert_eq!((&done["status"], &done["summary"]), (&json!("completed"), &json!({ "failed": 16, "updated": 0, "inserted": 2, "total": 18 })));
        assert_eq!(codes(&errors), [
            "FORMAT", "FORMAT", "FORMAT", "INVALID_TYPE", "INVALID_TYPE", "FORMAT", "INVALID_TYPE", "FORMAT", "FORMAT",
            "PATTERN", "MAXIMUM", "MAXIMUM", "MAXIMUM", "MAXIMUM", "DUPLICATED_USER", "PATTERN",
        ]);
        assert!(!errors.text.contains("CCCC") && !errors.text.contains("$argon2"), "{}", errors.text);
        let users = app.admin().get("/api/v2/users?fields=email").await.body;
        assert_eq!(users.as_array().map(Vec::len), Some(2));
    }

    /// A hundred megabytes in a hundred kilobytes: it is never unpacked.
    async fn mg_09_a_bomb_is_no_json(app: TestApp) {
        let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
        for _ in 0..100 {
            bomb.write_all(&vec![b' '; 1024 * 1024]).expect("memory");
        }
        let bomb = bomb.finish().expect("memory");
        assert!(bomb.len() < 500_000, "{}", bomb.len());
        let (done, errors) = import(&app, &bomb).await;
        let told = "Failed to parse users file JSON when importing users. Make sure it is valid JSON.";
        assert_eq!((&done["status"], &done["status_details"], &done["summary"]["total"]), (&json!("failed"), &json!(told), &json!(0)));
        assert_eq!(errors.body["status_details"], told);
    }

    /// As many rows, and as deep, as the default size has room for.
    async fn mg_09_a_file_of_nothing_but_rows_ends(app: TestApp) {
        let (done, _) = import(&app, format!("[{}1]", "1,".repeat(20_000)).as_bytes()).await;
        assert_eq!((&done["status"], &done["summary"]["failed"]), (&json!("completed"), &json!(20_001)));
        let (done, errors) = import(&app, format!("[{}", "[".repeat(400_000)).as_bytes()).await;
        assert_eq!((&done["status"], errors.status), (&json!("failed"), 200));
    }
}
