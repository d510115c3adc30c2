//! Passwords: the hash of each identity that has one. The hash is a PHC string ([`crate::passwords`]); nothing here sees a password.

use db::{Batch, Db, Error, params};

use crate::attack_protection;
use crate::clock::Timestamp;
use crate::identities::Identity;
use crate::ids::TenantId;

/// An identity's password.
#[derive(Clone)]
pub struct Credential {
    /// The password's hash.
    pub hash: String,
    /// When the password was set; a rehash does not move it.
    pub changed_at: Timestamp,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credential").field("changed_at", &self.changed_at).finish_non_exhaustive()
    }
}

/// The password of an identity. To find it by what a person types there is [`crate::users::find_login`].
pub async fn find(db: &Db, tenant: &TenantId, identity: &Identity) -> Result<Option<Credential>, Error> {
    let row = db.read_one(
        "SELECT hash, changed_at FROM credentials WHERE tenant = $1 AND provider = $2 AND subject = $3",
        params![tenant, &identity.provider, &identity.user_id],
    );
    let Some(mut row) = row.await? else { return Ok(None) };
    Ok(Some(Credential { hash: row.take()?, changed_at: row.take()? }))
}

/// Sets or changes the password of an identity, and lifts the blocks of its user: what was guessed was another password. In a batch that also writes a new user it comes after [`crate::users::insert`].
pub fn set(batch: &mut Batch, tenant: &TenantId, identity: &Identity, hash: &str, now: Timestamp) {
    batch
        .execute(
            "INSERT INTO credentials (tenant, provider, subject, hash, changed_at) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (tenant, provider, subject) DO UPDATE SET hash = excluded.hash, changed_at = excluded.changed_at",
            params![tenant, &identity.provider, &identity.user_id, hash, now],
        )
        .expect(1);
    attack_protection::lift_identity(batch, tenant, identity);
}

/// Replaces the hash of a password by one of today's cost. If the password was changed since it was checked this is a
/// `Conflict`, as with [`unchanged`].
pub fn rehash(batch: &mut Batch, tenant: &TenantId, identity: &Identity, checked: &Credential, hash: &str) {
    batch
        .execute(
            "UPDATE credentials SET hash = $1 WHERE tenant = $2 AND provider = $3 AND subject = $4 AND hash = $5",
            params![hash, tenant, &identity.provider, &identity.user_id, &checked.hash],
        )
        .expect(1);
}

/// Goes on only while the hash is the one that was checked: a login does not outrun a password change. Of two logins that both
/// rehash, one is a `Conflict` and checks anew.
pub fn unchanged(batch: &mut Batch, tenant: &TenantId, identity: &Identity, checked: &Credential) {
    batch.guard(
        "SELECT 1 FROM credentials WHERE tenant = $1 AND provider = $2 AND subject = $3 AND hash = $4",
        params![tenant, &identity.provider, &identity.user_id, &checked.hash],
    );
}

/// Takes an identity's password away.
pub fn remove(batch: &mut Batch, tenant: &TenantId, identity: &Identity) {
    batch.execute(
        "DELETE FROM credentials WHERE tenant = $1 AND provider = $2 AND subject = $3",
        params![tenant, &identity.provider, &identity.user_id],
    );
}
