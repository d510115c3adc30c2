//! What the token endpoint answers in the place of tokens when a second factor is missing (authentication contract §3.5): it
//! stands for a proof that was given, for one client and one purpose, and what it buys spends it. Only digests are stored.

use db::{Batch, Db, params};

use crate::app::Model;
use crate::clock::Timestamp;
use crate::ids::{ClientId, TenantId, UserId};
use crate::seal::digest;

/// Seconds that it lives (authentication contract §2.2).
pub const LIFETIME: i64 = 600;

/// What an `mfa_token` stands for.
#[derive(Clone, Debug)]
pub struct MfaToken {
    /// SHA-256 of the token.
    pub hash: [u8; 32],
    /// Who gave the first proof.
    pub user_id: UserId,
    /// The client that asked.
    pub client_id: ClientId,
    /// The connection that the proof was given on.
    pub connection: String,
    /// The API's identifier; empty for `/userinfo` alone.
    pub audience: String,
    /// The scopes that are to be granted, separated by spaces.
    pub scope: String,
    /// When it ends.
    pub expires_at: Timestamp,
}

impl MfaToken {
    /// One that begins now for `token`.
    pub fn begin(
        app: &Model,
        token: &str,
        (user_id, client_id): (&UserId, &ClientId),
        connection: &str,
        audience: &str,
        scope: String,
    ) -> Self {
        Self {
            hash: digest(token),
            user_id: user_id.clone(),
            client_id: client_id.clone(),
            connection: connection.to_owned(),
            audience: audience.to_owned(),
            scope,
            expires_at: app.clock.now().plus_seconds(LIFETIME),
        }
    }
}

/// Adds `token`.
pub fn insert(batch: &mut Batch, tenant: &TenantId, token: &MfaToken) {
    batch
        .execute(
            "INSERT INTO mfa_tokens (tenant, hash, user_id, client_id, connection, audience, scope, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            params![
                tenant,
                token.hash,
                &token.user_id,
                &token.client_id,
                &token.connection,
                &token.audience,
                &token.scope,
                token.expires_at
            ],
        )
        .expect(1);
}

/// What `token` stands for, also when it has expired; a spent one is not there.
pub async fn find(db: &Db, tenant: &TenantId, token: &str) -> Result<Option<MfaToken>, db::Error> {
    let hash = digest(token);
    let row = db
        .read_one(
            "SELECT user_id, client_id, connection, audience, scope, expires_at FROM mfa_tokens
             WHERE tenant = $1 AND hash = $2",
            params![tenant, hash],
        )
        .await?;
    row.map(|mut row| {
        Ok(MfaToken {
            hash,
            user_id: row.take()?,
            client_id: row.take()?,
            connection: row.take()?,
            audience: row.take()?,
            scope: row.take()?,
            expires_at: row.take()?,
        })
    })
    .transpose()
}

/// Spends a token, once: of two racing calls the other is a `Conflict`.
pub fn spend(batch: &mut Batch, tenant: &TenantId, token: &MfaToken) {
    batch
        .execute("DELETE FROM mfa_tokens WHERE tenant = $1 AND hash = $2", params![tenant, token.hash])
        .expect(1);
}

/// Ends every token of a user: the password that it came of is another by now, say.
pub fn remove_for_user(batch: &mut Batch, tenant: &TenantId, user_id: &UserId) {
    batch.execute("DELETE FROM mfa_tokens WHERE tenant = $1 AND user_id = $2", params![tenant, user_id]);
}
