//! All of a batch or nothing, and which error says why not.

use db::{Batch, Error, MOST_STATEMENTS, params};

use crate::{Store, insert_token, insert_user, take};

crate::on_both!(
    a_batch_is_written_whole,
    a_failed_expectation_writes_nothing_and_names_the_statement,
    a_single_statement_that_touches_too_much_is_undone,
    without_an_expectation_any_number_is_fine,
    returned_rows_come_by_position,
    a_unique_violation_names_the_index,
    a_missing_or_needed_parent_is_a_foreign_key_error,
    a_refused_value_is_a_failure_that_shows_no_value,
    a_guard_lets_pass_what_it_finds_only,
    a_guard_sees_what_the_batch_has_written,
    a_nul_is_refused,
    json_is_an_object,
    a_thousand_statements_are_the_most,
    an_empty_batch_does_nothing,
    markers_and_parameters_agree,
    what_failed_leaves_no_trace,
);

async fn a_batch_is_written_whole(store: Store) {
    let mut batch = Batch::new();
    insert_user(&mut batch, "a");
    insert_token(&mut batch, "a1", "a");
    batch.execute("UPDATE users SET logins = logins + $1 WHERE id = $2", params![2, "a"]);
    let outcome = store.db.commit(batch).await.unwrap();
    assert_eq!(outcome.affected, [1, 1, 1]);
    assert_eq!(store.one::<i64>("SELECT logins FROM users", vec![]).await, 2);
    assert_eq!(store.count("tokens").await, 1);
}

async fn a_failed_expectation_writes_nothing_and_names_the_statement(store: Store) {
    store.add_user("a").await;
    let mut batch = Batch::new();
    insert_user(&mut batch, "b");
    batch.execute("UPDATE users SET version = 2 WHERE id = $1 AND version = $2", params!["a", 7]).expect(1);
    insert_user(&mut batch, "c");
    let result = store.db.commit(batch).await;
    assert!(matches!(result, Err(Error::Conflict { statement: 1, affected: 0 })), "{result:?}");
    assert_eq!(store.count("users").await, 1);
}

async fn a_single_statement_that_touches_too_much_is_undone(store: Store) {
    store.add_user("a").await;
    store.add_user("b").await;
    let mut batch = Batch::new();
    batch.execute("UPDATE users SET logins = 9", params![]).expect(1);
    let result = store.db.commit(batch).await;
    assert!(matches!(result, Err(Error::Conflict { statement: 0, affected: 2 })), "{result:?}");
    assert_eq!(store.one::<i64>("SELECT MAX(logins) FROM users", vec![]).await, 0);
}

async fn without_an_expectation_any_number_is_fine(store: Store) {
    store.add_user("a").await;
    store.add_user("b").await;
    for (sql, touched) in [
        ("UPDATE users SET logins = 9", 2),
        ("UPDATE users SET logins = 9 WHERE id = 'c'", 0),
        ("INSERT INTO users (tenant, id, logins, version) VALUES ('t', 'a', 0, 1) ON CONFLICT DO NOTHING", 0),
        ("DELETE FROM users", 2),
    ] {
        let mut batch = Batch::new();
        batch.execute(sql, params![]);
        assert_eq!(store.db.commit(batch).await.unwrap().affected, [touched], "{sql}");
    }
}

async fn returned_rows_come_by_position(store: Store) {
    let mut batch = Batch::new();
    insert_user(&mut batch, "a");
    insert_user(&mut batch, "b");
    batch.guard("SELECT 1 FROM users WHERE id = $1", params!["a"]);
    batch.execute("UPDATE users SET logins = logins + 1 RETURNING id, logins", params![]).expect(2);
    batch.execute("UPDATE users SET logins = 0", params![]);
    let mut outcome = store.db.commit(batch).await.unwrap();
    assert_eq!(outcome.affected, [1, 1, 1, 2, 2]);
    assert_eq!(outcome.rows.iter().map(Vec::len).collect::<Vec<_>>(), [0, 0, 1, 2, 0]);
    let mut ids: Vec<String> = take(outcome.rows.swap_remove(3));
    ids.sort();
    assert_eq!(ids, ["a", "b"]);
}

async fn a_unique_violation_names_the_index(store: Store) {
    store.add_user("a").await;
    let mut batch = Batch::new();
    batch.execute("UPDATE users SET phone = '1'", params![]);
    insert_token(&mut batch, "x", "a");
    store.db.commit(batch).await.unwrap();
    for (sql, index) in [
        ("INSERT INTO users (tenant, id, logins, version) VALUES ('t', 'a', 0, 1)", "users_pkey"),
        (
            "INSERT INTO users (tenant, id, email, logins, version) VALUES ('t', 'b', 'a', 0, 1)",
            "users_by_email",
        ),
        (
            "INSERT INTO users (tenant, id, phone, logins, version) VALUES ('t', 'b', '1', 0, 1)",
            "users_by_phone",
        ),
        ("INSERT INTO tokens (tenant, id, owner) VALUES ('t', 'X', 'a')", "tokens_folded"),
    ] {
        for expected in [false, true] {
            let mut batch = Batch::new();
            let added = batch.execute(sql, params![]);
            if expected {
                added.expect(1);
            }
            let result = store.db.commit(batch).await;
            assert!(matches!(&result, Err(Error::Unique(name)) if name == index), "{sql}: {result:?}");
        }
    }
    // What is null is not compared.
    let mut batch = Batch::new();
    batch.execute("INSERT INTO users (tenant, id, logins, version) VALUES ('t', 'b', 0, 1)", params![]);
    batch.execute("INSERT INTO users (tenant, id, logins, version) VALUES ('t', 'c', 0, 1)", params![]);
    store.db.commit(batch).await.unwrap();
}

async fn a_missing_or_needed_parent_is_a_foreign_key_error(store: Store) {
    let mut batch = Batch::new();
    insert_token(&mut batch, "a1", "nobody");
    let result = store.db.commit(batch).await;
    assert!(matches!(result, Err(Error::ForeignKey)), "{result:?}");

    let mut batch = Batch::new();
    insert_user(&mut batch, "a");
    insert_token(&mut batch, "a1", "a");
    store.db.commit(batch).await.unwrap();
    let mut batch = Batch::new();
    batch.execute("DELETE FROM users", params![]);
    let result = store.db.commit(batch).await;
    assert!(matches!(result, Err(Error::ForeignKey)), "{result:?}");
}

async fn a_refused_value_is_a_failure_that_shows_no_value(store: Store) {
    for sql in [
        "INSERT INTO users (tenant, id, email, logins, version) VALUES ('t', NULL, $1, 0, 1)",
        "INSERT INTO users (tenant, id, email, logins, version) VALUES ('t', 'a', $1, 0, 0)",
        "INSERT INTO nowhere (email) VALUES ($1)",
        "INSERT INTO",
    ] {
        let mut batch = Batch::new();
        batch.execute(sql, params!["confidential"]);
        let result = store.db.commit(batch).await;
        assert!(
            matches!(&result, Err(Error::Failed(text)) if !text.contains("confidential") && text.contains(sql)),
            "{sql}: {result:?}"
        );
    }
}

async fn a_guard_lets_pass_what_it_finds_only(store: Store) {
    store.add_user("a").await;
    for (version, passes) in [(1, true), (2, false)] {
        let mut batch = Batch::new();
        batch.execute("UPDATE users SET logins = logins + 1", params![]).expect(1);
        batch.guard("SELECT 1 FROM users WHERE id = $1 AND version = $2", params!["a", version]);
        match store.db.commit(batch).await {
            Ok(outcome) => assert!(passes && outcome.affected == [1, 1]),
            Err(error) => assert!(!passes && matches!(error, Error::Conflict { statement: 1, affected: 0 })),
        }
    }
    assert_eq!(store.one::<i64>("SELECT logins FROM users", vec![]).await, 1);
}

async fn a_guard_sees_what_the_batch_has_written(store: Store) {
    let mut batch = Batch::new();
    insert_user(&mut batch, "a");
    batch.guard("SELECT 1 FROM users WHERE id = $1", params!["a"]);
    store.db.commit(batch).await.unwrap();
}

async fn a_nul_is_refused(store: Store) {
    let mut batch = Batch::new();
    insert_user(&mut batch, "a\0b");
    assert!(matches!(store.db.commit(batch).await, Err(Error::Failed(_))));
    let read = store.db.read("SELECT 1 FROM users WHERE id = $1", params!["a\0b"]).await;
    assert!(matches!(read, Err(Error::Failed(_))));
    let scan = store.db.scan("SELECT 1 FROM users WHERE id = $1", params!["a\0b"]).await;
    assert!(matches!(scan, Err(Error::Failed(_))));
    let snapshot = store.db.snapshot(vec![("SELECT 1 FROM users WHERE id = $1".into(), params!["\0"])]).await;
    assert!(matches!(snapshot, Err(Error::Failed(_))));
}

async fn json_is_an_object(store: Store) {
    store.add_user("a").await;
    let mut batch = Batch::new();
    batch.execute("UPDATE users SET doc = $1", params![serde_json::json!([1, 2])]);
    assert!(matches!(store.db.commit(batch).await, Err(Error::Failed(_))));
}

async fn a_thousand_statements_are_the_most(store: Store) {
    store.add_user("a").await;
    for (more, fits) in [(0, true), (1, false)] {
        let mut batch = Batch::new();
        for _ in 0..MOST_STATEMENTS + more {
            batch.execute("UPDATE users SET logins = logins + 1 WHERE id = $1", params!["a"]).expect(1);
        }
        assert_eq!(store.db.commit(batch).await.is_ok(), fits);
    }
    assert_eq!(store.one::<i64>("SELECT logins FROM users", vec![]).await, 1000);
}

async fn an_empty_batch_does_nothing(store: Store) {
    let batch = Batch::new();
    assert!(batch.is_empty());
    assert!(store.db.commit(batch).await.unwrap().affected.is_empty());
}

async fn markers_and_parameters_agree(store: Store) {
    for (sql, params) in [
        ("UPDATE users SET email = $1", params![]),
        ("UPDATE users SET email = $1", params!["a", "b"]),
        ("UPDATE users SET email = $2", params!["a", "b"]),
        ("UPDATE users SET email = $1 WHERE id = $3", params!["a", "b"]),
    ] {
        let mut batch = Batch::new();
        batch.execute(sql, params);
        let result = store.db.commit(batch).await;
        assert!(matches!(result, Err(Error::Failed(_))), "{sql}: {result:?}");
    }
}

async fn what_failed_leaves_no_trace(store: Store) {
    store.add_user("a").await;
    for _ in 0..50 {
        let mut batch = Batch::new();
        insert_user(&mut batch, "b");
        insert_user(&mut batch, "a");
        assert!(matches!(store.db.commit(batch).await, Err(Error::Unique(_))));
    }
    store.add_user("b").await;
    assert_eq!(store.count("users").await, 2);
}
