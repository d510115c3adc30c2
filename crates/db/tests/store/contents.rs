//! What a database holds: its digest, its copy in PostgreSQL, its backup.

use std::path::{Path, PathBuf};

use db::backup::{self, Note};
use db::{Batch, Db, Error, params, total};
use serde_json::json;

use crate::{MIGRATIONS, Store, insert_token, insert_user};

/// A row with something of every kind, one of nothing, and enough of them for several pages.
async fn filled() -> Store {
    let store = Store::sqlite().await;
    let mut batch = Batch::new();
    batch.execute(
        "INSERT INTO users (tenant, id, email, logins, version, blocked, score, picture, doc)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        params!["t", "full", "é@x", i64::MIN, 7, true, -0.5, vec![0_u8, 255], json!({ "b": 1, "a": null })],
    );
    for number in 0..250 {
        insert_user(&mut batch, &format!("user {number}"));
        insert_token(&mut batch, &format!("token {number}"), &format!("user {number}"));
    }
    store.db.commit(batch).await.unwrap();
    store
}

fn file(store: &Store) -> PathBuf {
    store.url.trim_start_matches("sqlite:").into()
}

fn note() -> Note {
    Note { made_at: 1, program: "test".into(), master_key: Some("key\n".into()) }
}

async fn restore(from: &Path, to: &Path, replace: bool) -> Result<backup::Backup, Error> {
    backup::restore(from, to, replace, &MIGRATIONS, async |_, _| Ok(())).await
}

async fn digest_of(path: &Path) -> String {
    let db = Db::open(&format!("sqlite:{}", path.display())).await.unwrap();
    let digest = total(&db.contents().await.unwrap());
    db.close().await;
    digest
}

#[tokio::test]
async fn a_copy_in_postgresql_holds_the_same_to_the_last_byte() {
    let (from, to) = (filled().await, Store::postgres().await);
    let copied = from.db.copy_to(&to.db).await.unwrap();
    let rows: Vec<_> = copied.iter().map(|table| (&*table.table, table.rows)).collect();
    assert_eq!(rows, [("users", 251), ("tokens", 250)], "parents come first");
    assert_eq!(copied, from.db.contents().await.unwrap());
    let doc: String = to.one("SELECT doc FROM users WHERE id = 'full'", vec![]).await;
    assert_eq!(doc, r#"{"b":1,"a":null}"#);
    let known = "SELECT COUNT(*) FROM pg_class WHERE relname IN ('users', 'tokens') AND reltuples > 0";
    assert_eq!(to.one::<i64>(known, vec![]).await, 2, "PostgreSQL knows what is in them");
    let again = from.db.copy_to(&to.db).await.unwrap_err().to_string();
    assert_eq!(again, "the other database is not empty: users has rows");
}

#[tokio::test]
async fn the_digest_tells_every_change() {
    let store = filled().await;
    let mut seen = vec![total(&store.db.contents().await.unwrap())];
    for change in [
        "UPDATE users SET logins = logins + 1 WHERE id = 'full'",
        "UPDATE users SET blocked = FALSE WHERE id = 'full'",
        "UPDATE users SET blocked = NULL WHERE id = 'full'",
        "UPDATE users SET email = NULL, phone = email WHERE id = 'full'",
        "UPDATE users SET doc = '{\"a\":null,\"b\":1}' WHERE id = 'full'",
        "DELETE FROM tokens WHERE id = 'token 7'",
    ] {
        let mut batch = Batch::new();
        batch.execute(change, vec![]).expect(1);
        store.db.commit(batch).await.unwrap();
        let digest = total(&store.db.contents().await.unwrap());
        assert!(!seen.contains(&digest), "{change}");
        seen.push(digest);
    }
}

#[tokio::test]
async fn a_backup_is_whole_and_goes_back() {
    let store = filled().await;
    let before = total(&store.db.contents().await.unwrap());
    store.db.close().await;
    let (database, copy) = (file(&store), file(&store).with_extension("backup"));
    let made = backup::make(&database, &copy, note()).await.unwrap();
    assert_eq!((made.rows, &made.digest), (501, &before));
    let again = backup::make(&database, &copy, note()).await.unwrap_err().to_string();
    assert!(again.ends_with("exists already"), "{again}");

    let elsewhere = database.with_extension("restored");
    assert_eq!(restore(&copy, &elsewhere, false).await.unwrap(), made);
    assert_eq!(digest_of(&elsewhere).await, before);
    assert!(restore(&copy, &elsewhere, false).await.unwrap_err().to_string().contains("exists already"));
    restore(&copy, &elsewhere, true).await.unwrap();
    assert_eq!(digest_of(&elsewhere.with_extension("restored.replaced")).await, before);
}

#[tokio::test]
async fn what_is_no_whole_backup_changes_nothing() {
    let store = filled().await;
    let before = total(&store.db.contents().await.unwrap());
    let (database, copy) = (file(&store), file(&store).with_extension("backup"));
    let busy = restore(&database, &database, true).await.unwrap_err().to_string();
    assert!(busy.contains("in use by another process"), "{busy}");
    store.db.close().await;
    backup::make(&database, &copy, note()).await.unwrap();
    let whole = std::fs::read(&copy).unwrap();
    let mut flipped = whole.clone();
    for place in (0..whole.len() - 8).filter(|place| &whole[*place..place + 8] == b"user 123") {
        flipped[place + 7] = b'x';
    }
    let cases: [(&str, &[u8]); 6] = [
        ("is damaged", &whole[..whole.len() - 4096]),
        ("is damaged", &whole[..whole.len() / 2]),
        ("is damaged", &whole[..1000]),
        ("is damaged", &flipped),
        ("file is not a database", &[b'x'; 10_000]),
        ("no backup of this program", b""),
    ];
    for (number, (said, bytes)) in cases.into_iter().enumerate() {
        let file = database.with_extension("bad");
        std::fs::write(&file, bytes).unwrap();
        let refusal = restore(&file, &database, true).await.unwrap_err().to_string();
        assert!(refusal.contains(said), "{number}: {refusal}");
        assert_eq!(digest_of(&database).await, before, "{number}");
        assert!(!database.with_extension("db.draft").exists(), "{number}");
    }
    let foreign = restore(&database, &database.with_extension("x"), false).await.unwrap_err().to_string();
    assert_eq!(foreign, "the file is no backup of this program", "a database is none");
    let refused: Result<_, Error> =
        backup::restore(&copy, &database, true, &MIGRATIONS, async |_, backup| {
            assert_eq!(backup.master_key.as_deref(), Some("key\n"));
            Err(Error::Failed("not this one".into()))
        })
        .await;
    assert_eq!(refused.unwrap_err().to_string(), "not this one");
    assert_eq!(digest_of(&database).await, before);
}
