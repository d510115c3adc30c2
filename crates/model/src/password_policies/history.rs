//! The passwords that an identity had, as hashes.

use db::{Batch, Error, params};

use super::Refused;
use crate::clock::Timestamp;
use crate::identities::Identity;
use crate::ids::TenantId;
use crate::{Model, credentials};

/// Whether `password` is the present one, or one of the last `size`. Each is compared on the pool, so that this takes as long as so
/// many logins.
pub(super) async fn holds(
    app: &Model,
    tenant: &TenantId,
    identity: &Identity,
    password: &str,
    size: usize,
) -> Result<bool, Refused> {
    let mut hashes = last(app, tenant, identity, size).await?;
    // One that was set before there was a history.
    if let Some(present) = credentials::find(&app.db, tenant, identity).await?
        && !hashes.contains(&present.hash)
    {
        hashes.insert(0, present.hash);
    }
    for hash in hashes {
        if app.hasher.verify(password.to_owned(), Some(hash)).await?.matches {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn last(
    app: &Model,
    tenant: &TenantId,
    identity: &Identity,
    size: usize,
) -> Result<Vec<String>, Error> {
    let rows = app.db.read(
        "SELECT hash FROM password_history WHERE tenant = $1 AND provider = $2 AND subject = $3
         ORDER BY set_at DESC, hash LIMIT $4",
        params![tenant, &identity.provider, &identity.user_id, bound(size)],
    );
    rows.await?.into_iter().map(|mut row| row.take()).collect()
}

/// Adds a hash, and drops the oldest beyond `size`.
pub(super) fn remember(
    batch: &mut Batch,
    tenant: &TenantId,
    identity: &Identity,
    hash: &str,
    size: usize,
    now: Timestamp,
) {
    batch
        .execute(
            "INSERT INTO password_history (tenant, provider, subject, hash, set_at) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (tenant, provider, subject, hash) DO UPDATE SET set_at = excluded.set_at",
            params![tenant, &identity.provider, &identity.user_id, hash, now],
        )
        .expect(1);
    batch.execute(
        "DELETE FROM password_history WHERE tenant = $1 AND provider = $2 AND subject = $3 AND hash NOT IN
           (SELECT hash FROM password_history WHERE tenant = $1 AND provider = $2 AND subject = $3
            ORDER BY set_at DESC, hash LIMIT $4)",
        params![tenant, &identity.provider, &identity.user_id, bound(size)],
    );
}

fn bound(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
