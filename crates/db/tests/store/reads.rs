//! What is written comes back as it was, and several queries see one moment.

use db::{Batch, Error, Sql, Value, params};
use serde_json::{Map, json};

use crate::{Store, take};

crate::on_both!(
    every_kind_comes_back,
    null_fits_every_column,
    json_keeps_its_text,
    markers_are_bound_by_number,
    built_text_works_as_a_literal_does,
    a_query_does_not_write,
    a_wrong_query_fails_and_the_next_one_works,
    like_heeds_case_and_text_sorts_by_bytes,
    a_snapshot_sees_one_moment,
    a_failing_snapshot_fails_whole,
    a_scan_answers_as_a_read_does,
    a_reader_sees_what_was_committed_before,
);

const INSERT: &str = "INSERT INTO users (tenant, id, email, phone, logins, version, blocked, score, picture, doc) \
                      VALUES ('t', 'a', $1, $2, $3, 1, $4, $5, $6, $7)";
const SELECT: &str = "SELECT email, phone, logins, blocked, score, picture, doc FROM users";

async fn every_kind_comes_back(store: Store) {
    let doc = json!({ "zebra": 1, "ant": [true, null, "ü"] });
    for logins in [0, i64::MAX, i64::MIN] {
        let mut batch = Batch::new();
        batch.execute("DELETE FROM users", params![]);
        let picture: &[u8] = &[0, 255, 0];
        batch
            .execute(INSERT, params!["ü\u{10ffff}", None::<&str>, logins, true, -0.1, picture, doc.clone()])
            .expect(1);
        store.db.commit(batch).await.unwrap();
        let mut row = store.db.read_one(SELECT, params![]).await.unwrap().unwrap();
        assert_eq!(row.take::<String>().unwrap(), "ü\u{10ffff}");
        assert_eq!(row.take::<Option<String>>().unwrap(), None);
        assert_eq!(row.take::<i64>().unwrap(), logins);
        assert!(row.take::<bool>().unwrap());
        assert_eq!(row.take::<f64>().unwrap().to_bits(), (-0.1_f64).to_bits());
        assert_eq!(row.take::<Vec<u8>>().unwrap(), picture);
        assert_eq!(row.take::<Map<_, _>>().unwrap(), *doc.as_object().unwrap());
    }
}

async fn null_fits_every_column(store: Store) {
    let mut batch = Batch::new();
    let null = || Value::Null;
    batch.execute(INSERT, vec![null(), null(), 1.into(), null(), null(), null(), null()]).expect(1);
    store.db.commit(batch).await.unwrap();
    let mut row = store.db.read_one(SELECT, params![]).await.unwrap().unwrap();
    assert_eq!((row.take().unwrap(), row.take().unwrap()), (None::<String>, None::<String>));
    assert_eq!((row.take().unwrap(), row.take().unwrap()), (1, None::<bool>));
    assert_eq!((row.take().unwrap(), row.take().unwrap()), (None::<f64>, None::<Vec<u8>>));
    assert_eq!(row.take::<Option<serde_json::Value>>().unwrap(), None);
}

async fn json_keeps_its_text(store: Store) {
    let text = r#"{"b": 1,  "a": "\u00e4", "b": 2}"#;
    let mut batch = Batch::new();
    let doc = Value::Json(text.into());
    batch.execute(INSERT, params!["a", "1", 1, false, 1.5, vec![1_u8], doc]).expect(1);
    store.db.commit(batch).await.unwrap();
    assert_eq!(store.one::<String>("SELECT doc FROM users", vec![]).await, text);
}

async fn markers_are_bound_by_number(store: Store) {
    store.add_user("a").await;
    store.add_user("b").await;
    let found = store
        .db
        .read(
            "SELECT id FROM users WHERE tenant = $2 AND id = $1 AND email = $1 AND version = $3",
            params!["b", "t", 1],
        )
        .await
        .unwrap();
    assert_eq!(take::<String>(found), ["b"]);
    let many = store
        .db
        .read(
            "SELECT id FROM users WHERE id = $11 AND id <> $10 AND id <> $9 AND id <> $8 AND id <> $7 AND id <> $6 \
             AND id <> $5 AND id <> $4 AND id <> $3 AND id <> $2 AND id <> $1",
            params!["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "a"],
        )
        .await
        .unwrap();
    assert_eq!(take::<String>(many), ["a"]);
}

async fn built_text_works_as_a_literal_does(store: Store) {
    store.add_user("a").await;
    for column in ["id", "email"] {
        let sql = format!("SELECT {column} FROM users WHERE {column} = $1");
        assert_eq!(take::<String>(store.db.read(sql, params!["a"]).await.unwrap()), ["a"]);
    }
    let mut batch = Batch::new();
    batch.execute(String::from("UPDATE users SET logins = $1"), params![5]).expect(1);
    batch.guard(String::from("SELECT 1 FROM users WHERE logins = $1"), params![5]);
    store.db.commit(batch).await.unwrap();
}

async fn a_query_does_not_write(store: Store) {
    store.add_user("a").await;
    for sql in [
        "DELETE FROM users",
        "UPDATE users SET logins = 1 RETURNING id",
        "INSERT INTO users (id) VALUES ('b')",
    ] {
        assert!(matches!(store.db.read(sql, vec![]).await, Err(Error::Failed(_))), "{sql}");
        assert!(matches!(store.db.scan(sql, vec![]).await, Err(Error::Failed(_))), "{sql}");
        assert!(
            matches!(store.db.snapshot(vec![(sql.into(), vec![])]).await, Err(Error::Failed(_))),
            "{sql}"
        );
    }
    assert_eq!(store.count("users").await, 1);
    store.db.read("\n  with found AS (SELECT 1) select * FROM found", vec![]).await.unwrap();
}

async fn a_wrong_query_fails_and_the_next_one_works(store: Store) {
    for sql in [
        "SELECT nothing FROM users",
        "SELECT 1 FROM nowhere",
        "SELECT FROM FROM",
        "SELECT 1 FROM users WHERE id = \"a\"",
    ] {
        assert!(matches!(store.db.read(sql, vec![]).await, Err(Error::Failed(_))), "{sql}");
    }
    assert_eq!(store.count("users").await, 0);
}

async fn like_heeds_case_and_text_sorts_by_bytes(store: Store) {
    for id in ["b", "B", "ä", "z"] {
        store.add_user(id).await;
    }
    let found =
        store.db.read("SELECT id FROM users WHERE id LIKE $1 ESCAPE '!'", params!["b%"]).await.unwrap();
    assert_eq!(take::<String>(found), ["b"]);
    let sorted = store.db.read("SELECT id FROM users ORDER BY id", vec![]).await.unwrap();
    assert_eq!(take::<String>(sorted), ["B", "b", "z", "ä"]);
}

async fn a_snapshot_sees_one_moment(store: Store) {
    store.add_user("a").await;
    store.add_user("b").await;
    let writer = tokio::spawn({
        let db = store.db.clone();
        async move {
            for step in 0..200 {
                let mut batch = Batch::new();
                batch.execute("UPDATE users SET logins = $1 WHERE id = 'a'", params![step]).expect(1);
                batch.execute("UPDATE users SET logins = $1 WHERE id = 'b'", params![-step]).expect(1);
                db.commit(batch).await.unwrap();
            }
        }
    });
    let of = |id: &str| (Sql::Borrowed("SELECT logins FROM users WHERE id = $1"), params![id]);
    while !writer.is_finished() {
        let answers = store.db.snapshot(vec![of("a"), of("b"), of("a")]).await.unwrap();
        let seen: Vec<i64> = answers.into_iter().flat_map(take::<i64>).collect();
        assert!(seen[0] == -seen[1] && seen[0] == seen[2], "{seen:?}");
    }
    writer.await.unwrap();
}

async fn a_failing_snapshot_fails_whole(store: Store) {
    for _ in 0..30 {
        let queries =
            vec![("SELECT 1 FROM users".into(), vec![]), ("SELECT nothing FROM users".into(), vec![])];
        assert!(matches!(store.db.snapshot(queries).await, Err(Error::Failed(_))));
    }
    store.add_user("a").await;
    let answers = store.db.snapshot(vec![("SELECT id FROM users".into(), vec![])]).await.unwrap();
    assert_eq!(answers.len(), 1);
    assert!(store.db.snapshot(vec![]).await.unwrap().is_empty());
}

async fn a_scan_answers_as_a_read_does(store: Store) {
    for id in ["a", "b", "c"] {
        store.add_user(id).await;
    }
    let scanned =
        store.db.scan("SELECT id FROM users WHERE id > $1 ORDER BY id", params!["a"]).await.unwrap();
    assert_eq!(take::<String>(scanned), ["b", "c"]);
}

async fn a_reader_sees_what_was_committed_before(store: Store) {
    store.add_user("a").await;
    for step in 1..200_i64 {
        let mut batch = Batch::new();
        batch.execute("UPDATE users SET logins = $1", params![step]);
        store.db.commit(batch).await.unwrap();
        assert_eq!(store.one::<i64>("SELECT logins FROM users", vec![]).await, step);
    }
}
