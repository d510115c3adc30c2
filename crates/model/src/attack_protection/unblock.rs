//! The link by which a user lifts the blocks of their own account. It comes by mail, works once, and is not used up by being opened.

use db::{Batch, params};

use crate::Model;
use crate::ids::{TenantId, UserId};
use crate::seal::digest;

/// Seconds that a link works: 5 days.
const LIFETIME: i64 = 5 * 24 * 3600;

/// Seconds between two links to one user: whoever blocks an account from many addresses does not flood its mailbox. One link lifts
/// all blocks.
const QUIET: i64 = 3600;

/// Whether nothing was sent within the hour to the user that is counted as `subject`, be it nobody.
pub(super) async fn is_due(app: &Model, tenant: &TenantId, subject: &str) -> Result<bool, db::Error> {
    let sql = "SELECT 1 FROM unblock_tickets WHERE tenant = $1 AND user_id = $2 AND created_at > $3 LIMIT 1";
    let since = app.clock.now().plus_seconds(-QUIET);
    Ok(app.db.read_one(sql, params![tenant, subject, since]).await?.is_none())
}

/// Makes a link's token: it lifts the blocks of this user.
pub fn insert_ticket(batch: &mut Batch, app: &Model, tenant: &TenantId, user: &UserId) -> String {
    let (token, now) = (app.random.token(), app.clock.now());
    batch
        .execute(
            "INSERT INTO unblock_tickets (tenant, hash, user_id, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)",
            params![tenant, digest(&token), user, now, now.plus_seconds(LIFETIME)],
        )
        .expect(1);
    token
}

/// Whose blocks a token lifts, while it does.
pub async fn find_ticket(app: &Model, tenant: &TenantId, token: &str) -> Result<Option<UserId>, db::Error> {
    let sql = "SELECT user_id FROM unblock_tickets
               WHERE tenant = $1 AND hash = $2 AND spent_at IS NULL AND expires_at > $3";
    let row = app.db.read_one(sql, params![tenant, digest(token), app.clock.now()]).await?;
    row.map(|mut row| row.take()).transpose()
}

/// Spends a token: of two who use it one gets a `Conflict`.
pub fn spend_ticket(batch: &mut Batch, app: &Model, tenant: &TenantId, token: &str) {
    let now = app.clock.now();
    batch
        .execute(
            "UPDATE unblock_tickets SET spent_at = $1
             WHERE tenant = $2 AND hash = $3 AND spent_at IS NULL AND expires_at > $1",
            params![now, tenant, digest(token)],
        )
        .expect(1);
}
