//! Opening and closing.

use db::{Batch, Db, Error, params, testing};
use tokio::task::JoinSet;

use crate::{MIGRATIONS, Store, insert_user};

crate::on_both!(closing_finishes_what_was_begun, nothing_works_after_closing,);

async fn closing_finishes_what_was_begun(store: Store) {
    let mut writers = JoinSet::new();
    for writer in 0..64 {
        let db = store.db.clone();
        writers.spawn(async move {
            let mut batch = Batch::new();
            insert_user(&mut batch, &format!("user {writer}"));
            db.commit(batch).await.is_ok()
        });
    }
    let first = writers.join_next().await.unwrap().unwrap();
    store.db.close().await;
    let mut written = writers.join_all().await;
    written.push(first);
    let written = written.into_iter().filter(|ok| *ok).count();
    let store = Store { db: Db::open(&store.url).await.unwrap(), url: store.url };
    assert_eq!(usize::try_from(store.count("users").await).unwrap(), written);
}

async fn nothing_works_after_closing(store: Store) {
    store.db.close().await;
    store.db.close().await;
    let mut batch = Batch::new();
    insert_user(&mut batch, "a");
    let closed = |error: Error| assert_eq!(error.to_string(), "the database is closed");
    closed(store.db.commit(batch).await.unwrap_err());
    closed(store.db.read("SELECT 1 FROM users", vec![]).await.unwrap_err());
    closed(store.db.scan("SELECT 1 FROM users", vec![]).await.unwrap_err());
    closed(store.db.snapshot(vec![("SELECT 1 FROM users".into(), params![])]).await.unwrap_err());
    closed(store.db.migrate(&MIGRATIONS).await.unwrap_err());
}

#[tokio::test]
async fn a_file_belongs_to_one() {
    let url = testing::sqlite();
    let db = Db::open(&url).await.unwrap();
    let text = Db::open(&url).await.unwrap_err().to_string();
    assert!(text.contains(" is in use by another process; only one may open it"), "{text}");
    db.close().await;
    Db::open(&url).await.unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_is_its_owners_only_and_has_one_name() {
    use std::os::unix::fs::PermissionsExt;
    let url = testing::sqlite();
    let db = Db::open(&url).await.unwrap();
    db.migrate(&MIGRATIONS).await.unwrap();
    let path = url.trim_start_matches("sqlite:");
    for beside in ["", "-wal", "-shm", ".lock"] {
        let mode = std::fs::metadata(format!("{path}{beside}")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{beside}");
    }
    let alias = format!("{url}.alias");
    std::os::unix::fs::symlink(path, alias.trim_start_matches("sqlite:")).unwrap();
    assert!(Db::open(&alias).await.unwrap_err().to_string().contains("is in use by another process"));
}

#[tokio::test]
async fn what_is_no_database_is_refused() {
    for url in ["", "sqlite:", "sqlite::memory:", "mysql://localhost/x", "postgres", "/tmp/x.db"] {
        let text = Db::open(url).await.unwrap_err().to_string();
        assert_eq!(text, "a database is named sqlite:PATH or postgres://…", "{url}");
    }
    let file = testing::sqlite();
    std::fs::write(
        file.trim_start_matches("sqlite:"),
        "not a database, and longer than a header of SQLite is: ".repeat(9),
    )
    .unwrap();
    assert!(Db::open(&file).await.unwrap_err().to_string().contains("file is not a database"));
    assert!(Db::open("sqlite:/nowhere/at/all.db").await.is_err());
    assert!(Db::open("postgres://u@127.0.0.1:1/d").await.unwrap_err().to_string().contains("cannot connect"));
}
