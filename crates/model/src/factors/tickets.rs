//! Tickets: links that let a user enrol a factor without signing in, made by an administrator. Only digests are stored.

use db::{Batch, Db, params};

use crate::app::Model;
use crate::clock::Timestamp;
use crate::ids::{TenantId, UserId};
use crate::seal::digest;

/// Seconds that a ticket lives: five days.
const LIFETIME: i64 = 5 * 24 * 3600;

/// A ticket.
#[derive(Clone, Debug)]
pub struct Ticket {
    hash: [u8; 32],
    /// Who may enrol with it.
    pub user_id: UserId,
    /// The factor it was made for; any, without.
    pub factor: Option<String>,
    /// Whether it is good for a user who has a factor already.
    pub allow_multiple: bool,
}

/// Makes a ticket and answers its id, which is its secret too.
pub fn create(
    batch: &mut Batch,
    app: &Model,
    tenant: &TenantId,
    user_id: &UserId,
    factor: Option<&str>,
    allow_multiple: bool,
) -> String {
    let (id, now) = (app.random.alphanumeric(32), app.clock.now());
    batch
        .execute(
            "INSERT INTO enrollment_tickets (tenant, hash, user_id, factor, allow_multiple, created_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
            params![tenant, digest(&id), user_id, factor, allow_multiple, now, now.plus_seconds(LIFETIME)],
        )
        .expect(1);
    id
}

/// The ticket with this id, if it is still good.
pub async fn find(db: &Db, tenant: &TenantId, id: &str, now: Timestamp) -> Result<Option<Ticket>, db::Error> {
    let hash = digest(id);
    let row = db
        .read_one(
            "SELECT user_id, factor, allow_multiple FROM enrollment_tickets
             WHERE tenant = $1 AND hash = $2 AND spent_at IS NULL AND expires_at > $3",
            params![tenant, hash, now],
        )
        .await?;
    row.map(|mut row| {
        Ok(Ticket { hash, user_id: row.take()?, factor: row.take()?, allow_multiple: row.take()? })
    })
    .transpose()
}

/// Spends a ticket, once.
pub fn spend(batch: &mut Batch, tenant: &TenantId, ticket: &Ticket, now: Timestamp) {
    batch
        .execute(
            "UPDATE enrollment_tickets SET spent_at = $1 WHERE tenant = $2 AND hash = $3 AND spent_at IS NULL",
            params![now, tenant, ticket.hash],
        )
        .expect(1);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestModel;

    #[tokio::test]
    async fn a_ticket_is_spent_once() {
        for app in TestModel::each().await {
            let (user, now) = (app.add_user().await.id, app.clock.now());
            let mut batch = Batch::new();
            let id = create(&mut batch, &app, &app.tenant, &user, None, false);
            app.db.commit(batch).await.unwrap();
            let ticket = find(&app.db, &app.tenant, &id, now).await.unwrap().unwrap();
            for ok in [true, false] {
                let mut batch = Batch::new();
                spend(&mut batch, &app.tenant, &ticket, now);
                assert_eq!(app.db.commit(batch).await.is_ok(), ok);
            }
            assert!(find(&app.db, &app.tenant, &id, now).await.unwrap().is_none());
        }
    }
}
