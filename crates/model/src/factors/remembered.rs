//! Browsers in which a user is not asked for a second factor again for a while.

use db::{Batch, Db, params};

use crate::app::Model;
use crate::clock::Timestamp;
use crate::ids::{TenantId, UserId};
use crate::seal::digest;

/// Seconds that a browser is remembered: 30 days.
pub const LIFETIME: i64 = 30 * 24 * 3600;

/// Remembers a browser for the user and answers the token for its cookie: always a new one, so that nobody knows it from
/// before. Whoever else was remembered in it, by the token `before`, stays so.
pub fn remember(
    batch: &mut Batch,
    app: &Model,
    tenant: &TenantId,
    user_id: &UserId,
    before: Option<&str>,
) -> String {
    let (token, now) = (app.random.token(), app.clock.now());
    if let Some(before) = before {
        batch.execute(
            "DELETE FROM remembered_browsers WHERE tenant = $1 AND hash = $2 AND user_id = $3",
            params![tenant, digest(before), user_id],
        );
        batch.execute(
            "UPDATE remembered_browsers SET hash = $1 WHERE tenant = $2 AND hash = $3",
            params![digest(&token), tenant, digest(before)],
        );
    }
    batch
        .execute(
            "INSERT INTO remembered_browsers (tenant, hash, user_id, created_at, expires_at)
             VALUES ($1, $2, $3, $4, $5)",
            params![tenant, digest(&token), user_id, now, now.plus_seconds(LIFETIME)],
        )
        .expect(1);
    token
}

/// Whether the user is remembered in the browser whose cookie holds `token`.
pub async fn holds(
    db: &Db,
    tenant: &TenantId,
    user_id: &UserId,
    token: &str,
    now: Timestamp,
) -> Result<bool, db::Error> {
    let row = db
        .read_one(
            "SELECT 1 FROM remembered_browsers WHERE tenant = $1 AND hash = $2 AND user_id = $3 AND expires_at > $4",
            params![tenant, digest(token), user_id, now],
        )
        .await?;
    Ok(row.is_some())
}

/// Forgets every browser of a user.
pub fn forget(batch: &mut Batch, tenant: &TenantId, user_id: &UserId) {
    batch.execute(
        "DELETE FROM remembered_browsers WHERE tenant = $1 AND user_id = $2",
        params![tenant, user_id],
    );
}
