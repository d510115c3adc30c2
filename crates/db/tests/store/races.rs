//! Many at once: one winner, nothing lost, nothing half done.

use std::sync::atomic::{AtomicU32, Ordering};

use db::{AsError, Batch, Db, Error, params};
use tokio::task::JoinSet;

use crate::{Store, insert_token, insert_user};

crate::on_both!(
    of_racing_spends_one_wins,
    a_guard_holds_to_the_commit,
    versioned_updates_lose_nothing,
    relative_updates_lose_nothing,
    retry_gives_up_after_twenty_conflicts,
    retry_repeats_what_may_succeed_only,
    a_dropped_commit_is_whole_or_absent,
    a_dropped_query_disturbs_nobody,
);

fn spend(id: &str) -> Batch {
    let mut batch = Batch::new();
    batch.execute("UPDATE tokens SET spent_at = 1 WHERE id = $1 AND spent_at IS NULL", params![id]).expect(1);
    batch.execute("UPDATE users SET logins = logins + 1 WHERE id = 'a'", params![]).expect(1);
    batch
}

async fn of_racing_spends_one_wins(store: Store) {
    store.add_user("a").await;
    for round in 0..20 {
        let id = format!("token {round}");
        let mut batch = Batch::new();
        insert_token(&mut batch, &id, "a");
        store.db.commit(batch).await.unwrap();
        let mut racers = JoinSet::new();
        for _ in 0..64 {
            let (db, batch) = (store.db.clone(), spend(&id));
            racers.spawn(async move { db.commit(batch).await });
        }
        let results = racers.join_all().await;
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
        let lost = |result: &&_| matches!(result, Err(Error::Conflict { statement: 0, affected: 0 }));
        assert_eq!(results.iter().filter(lost).count(), 63);
    }
    assert_eq!(store.one::<i64>("SELECT logins FROM users", vec![]).await, 20);
}

/// A token is given to a user as long as they are as they were read; a block takes all tokens away. No token may outlive it.
async fn a_guard_holds_to_the_commit(store: Store) {
    for round in 0..100 {
        let id = format!("user {round}");
        store.add_user(&id).await;
        let mut give = Batch::new();
        give.guard("SELECT 1 FROM users WHERE tenant = 't' AND id = $1 AND version = 1", params![&id]);
        insert_token(&mut give, &format!("token {round}"), &id);
        let mut block = Batch::new();
        block.execute("UPDATE users SET version = 2 WHERE tenant = 't' AND id = $1", params![&id]).expect(1);
        block.execute("DELETE FROM tokens WHERE tenant = 't' AND owner = $1", params![&id]);
        let (one, other) = (store.db.clone(), store.db.clone());
        let give = tokio::spawn(async move { one.commit(give).await });
        let block = tokio::spawn(async move { other.commit(block).await });
        let given = give.await.unwrap();
        assert!(matches!(given, Ok(_) | Err(Error::Conflict { statement: 0, affected: 0 })), "{given:?}");
        block.await.unwrap().unwrap();
        assert_eq!(store.count("tokens").await, 0, "round {round}");
    }
}

async fn versioned_updates_lose_nothing(store: Store) {
    store.add_user("a").await;
    let mut writers = JoinSet::new();
    for _ in 0..16 {
        let db = store.db.clone();
        writers.spawn(async move {
            for _ in 0..20 {
                while let Err(error) = increment(&db).await {
                    assert!(matches!(error, Error::Conflict { .. }), "{error:?}");
                }
            }
        });
    }
    writers.join_all().await;
    assert_eq!(store.one::<i64>("SELECT logins FROM users", vec![]).await, 320);
    assert_eq!(store.one::<i64>("SELECT version FROM users", vec![]).await, 321);
}

async fn increment(db: &Db) -> Result<i64, Error> {
    db.retry(|| async {
        let row = db.read_one("SELECT logins, version FROM users WHERE id = 'a'", params![]).await?;
        let mut row = row.ok_or(Error::Retry)?;
        let (logins, version): (i64, i64) = (row.take()?, row.take()?);
        let mut batch = Batch::new();
        batch
            .execute(
                "UPDATE users SET logins = $1, version = version + 1 WHERE id = 'a' AND version = $2",
                params![logins + 1, version],
            )
            .expect(1);
        Ok::<_, Error>((batch, logins + 1))
    })
    .await
}

async fn relative_updates_lose_nothing(store: Store) {
    store.add_user("a").await;
    let mut writers = JoinSet::new();
    for _ in 0..64 {
        let db = store.db.clone();
        writers.spawn(async move {
            let mut batch = Batch::new();
            batch.execute("UPDATE users SET logins = logins + 1 WHERE id = 'a'", params![]).expect(1);
            db.commit(batch).await.unwrap();
        });
    }
    writers.join_all().await;
    assert_eq!(store.one::<i64>("SELECT logins FROM users", vec![]).await, 64);
}

async fn retry_gives_up_after_twenty_conflicts(store: Store) {
    let decisions = AtomicU32::new(0);
    let result: Result<(), Error> = store
        .db
        .retry(|| async {
            decisions.fetch_add(1, Ordering::Relaxed);
            let mut batch = Batch::new();
            batch.execute("UPDATE users SET logins = 1", params![]).expect(1);
            Ok((batch, ()))
        })
        .await;
    assert!(matches!(result, Err(Error::Conflict { statement: 0, affected: 0 })), "{result:?}");
    assert_eq!(decisions.into_inner(), 20);
}

/// An error as the crates above have them.
#[derive(Debug)]
enum Refusal {
    NotFound,
    Database(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Database(error)
    }
}

impl AsError for Refusal {
    fn as_error(&self) -> Option<&Error> {
        match self {
            Self::NotFound => None,
            Self::Database(error) => Some(error),
        }
    }
}

async fn retry_repeats_what_may_succeed_only(store: Store) {
    store.add_user("a").await;
    type Make = fn(u32) -> Result<Batch, Refusal>;
    let cases: [(Make, u32); 5] = [
        (|_| Err(Refusal::NotFound), 1),
        (|_| Err(Error::Unknown.into()), 1),
        (|_| Err(Error::Failed("wrong".into()).into()), 1),
        (
            |_| {
                let mut batch = Batch::new();
                insert_user(&mut batch, "a");
                Ok(batch)
            },
            1,
        ),
        (|decision| if decision < 3 { Err(Error::Retry.into()) } else { Ok(Batch::new()) }, 3),
    ];
    for (make, expected) in cases {
        let mut decisions = 0;
        let result = store
            .db
            .retry(|| {
                decisions += 1;
                let made = make(decisions);
                async move { Ok::<_, Refusal>((made?, "decided")) }
            })
            .await;
        assert_eq!(result.is_ok(), expected == 3, "{result:?}");
        assert_eq!(decisions, expected);
    }
}

async fn a_dropped_commit_is_whole_or_absent(store: Store) {
    for round in 0..100 {
        let mut batch = Batch::new();
        let id = format!("user {round}");
        insert_user(&mut batch, &id);
        insert_token(&mut batch, &format!("token {round}"), &id);
        let mut commit = Box::pin(store.db.commit(batch));
        for _ in 0..round % 4 {
            tokio::select! {
                biased;
                _ = &mut commit => break,
                () = tokio::task::yield_now() => {}
            }
        }
    }
    // Nobody is left behind in a transaction either.
    store.add_user("last").await;
    store.db.close().await;
    let db = Db::open(&store.url).await.unwrap();
    let store = Store { url: store.url, db };
    let whole = "SELECT COUNT(*) FROM users u JOIN tokens t ON t.tenant = u.tenant AND t.owner = u.id";
    let whole: i64 = store.one(whole, vec![]).await;
    assert_eq!((store.count("users").await, store.count("tokens").await), (whole + 1, whole));
}

async fn a_dropped_query_disturbs_nobody(store: Store) {
    store.add_user("a").await;
    let sql = "SELECT CAST($1 AS BIGINT) + logins FROM users";
    for round in 0..200_i64 {
        let mut query = Box::pin(async {
            if round % 2 == 0 {
                store.db.read(sql, params![-1]).await.map(|_| ())
            } else {
                store
                    .db
                    .snapshot(vec![(sql.into(), params![-1]), (sql.into(), params![-2])])
                    .await
                    .map(|_| ())
            }
        });
        for _ in 0..round % 5 {
            tokio::select! {
                biased;
                _ = &mut query => break,
                () = tokio::task::yield_now() => {}
            }
        }
        drop(query);
        assert_eq!(store.one::<i64>(sql, params![round]).await, round);
    }
    let mut batch = Batch::new();
    batch.execute("UPDATE users SET logins = 1", params![]).expect(1);
    store.db.commit(batch).await.unwrap();
}
