//! The recorded user that the tests of this family begin with.

use db::{Batch, Db, Error, Outcome, params};
use serde_json::json;

use super::User;
use super::defaults::{NewUser, database_user};
use crate::clock::Timestamp;
use crate::migrations::MIGRATIONS;

/// Management contract §1.3.
pub(crate) fn chuck() -> User {
    let new = NewUser {
        email: Some("chuck878@example.com".into()),
        email_verified: true,
        username: Some("test-user636".into()),
        given_name: Some("Chuck".into()),
        family_name: Some("Sanchez".into()),
        nickname: Some("Chucky".into()),
        picture: Some("https://example-picture-url.jpg".into()),
        blocked: Some(false),
        user_metadata: json!({"favourite_attack": "roundhouse_kick"}).as_object().cloned(),
        app_metadata: json!({"facts": ["count_to_infinity_twice"]}).as_object().cloned(),
        ..NewUser::default()
    };
    let at = Timestamp::from_millis(1_674_673_226_539);
    database_user(&"tenant".into(), "Username-Password-Authentication", "63d17c4a9d503d76c056c160", at, new)
}

/// Another user of the same connection, who gave nothing but an address and a username.
pub(crate) fn ann() -> User {
    let new =
        NewUser { email: Some("ann@example.com".into()), username: Some("ann".into()), ..NewUser::default() };
    let at = Timestamp::from_millis(1_674_673_227_000);
    database_user(&"tenant".into(), "Username-Password-Authentication", "63d17c6b77d74b740960460a", at, new)
}

/// A database of each engine, with the schema, the tenants `tenant` and `other`, and a client `client` in the first.
pub(crate) async fn databases() -> Vec<Db> {
    let mut databases = Vec::new();
    for url in [db::testing::sqlite(), db::testing::Postgres::database().await] {
        let db = Db::open(&url).await.unwrap();
        db.migrate(MIGRATIONS).await.unwrap();
        let mut batch = Batch::new();
        for tenant in ["tenant", "other"] {
            batch.execute("INSERT INTO tenants (id, name, created_at) VALUES ($1, $1, 0)", params![tenant]);
        }
        batch.execute(
            "INSERT INTO clients (tenant, client_id, name, is_first_party, is_global, secret, secret_digest, doc, created_at, version)
             VALUES ('tenant', 'client', 'App', TRUE, FALSE, $1, $1, $2, 0, 1)",
            params![vec![0_u8], json!({})],
        );
        db.commit(batch).await.unwrap();
        databases.push(db);
    }
    databases
}

/// Commits what `write` adds to a batch.
pub(crate) async fn commit(db: &Db, write: impl FnOnce(&mut Batch)) -> Result<Outcome, Error> {
    let mut batch = Batch::new();
    write(&mut batch);
    db.commit(batch).await
}
