//! Opaque access tokens, good for `/userinfo` only (authentication contract §2.3). Only their digests are stored.

use db::{Batch, Db, params};

use crate::clock::Timestamp;
use crate::ids::{ClientId, TenantId, UserId};
use crate::requested_claims::RequestedClaims;

/// What an opaque access token stands for.
#[derive(Clone, Debug)]
pub struct AccessToken {
    /// SHA-256 of the token.
    pub hash: [u8; 32],
    /// The client it was issued to.
    pub client_id: ClientId,
    /// Whose claims it reads.
    pub user_id: UserId,
    /// The granted scopes, separated by spaces.
    pub scope: String,
    /// The digest of the authorization code it came from: a code that is used twice ends it.
    pub code_hash: Option<[u8; 32]>,
    /// The refresh token family it came from: it ends with the family.
    pub family: Option<String>,
    /// The thumbprint of the key that it is bound to (RFC 9449 §6).
    pub jkt: Option<String>,
    /// The thumbprint of the certificate that it is bound to (RFC 8705 §3).
    pub certificate: Option<String>,
    /// The claims that it reads besides, whatever its scopes.
    pub claims: Option<RequestedClaims>,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// What a living token opens.
#[derive(Clone, Debug)]
pub struct Opened {
    /// Whose claims it reads.
    pub user_id: UserId,
    /// The client it was issued to.
    pub client_id: ClientId,
    /// The granted scopes, separated by spaces.
    pub scope: String,
    /// The thumbprint of the key that it is bound to.
    pub jkt: Option<String>,
    /// The thumbprint of the certificate that it is bound to.
    pub certificate: Option<String>,
    /// The claims that it reads besides.
    pub claims: Option<RequestedClaims>,
}

/// Adds `token`.
pub fn insert(batch: &mut Batch, tenant: &TenantId, token: &AccessToken) {
    batch
        .execute(
            "INSERT INTO access_tokens (tenant, hash, client_id, user_id, scope, code_hash, family, expires_at, jkt, claims, certificate)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            params![
                tenant,
                token.hash,
                &token.client_id,
                &token.user_id,
                &token.scope,
                token.code_hash,
                token.family.clone(),
                token.expires_at,
                token.jkt.clone(),
                RequestedClaims::to_column(token.claims.as_ref()),
                token.certificate.clone()
            ],
        )
        .expect(1);
}

/// What the living token with this digest opens. One that came from a refresh token ends with it,
/// whatever ended that.
pub async fn find(
    db: &Db,
    tenant: &TenantId,
    hash: &[u8; 32],
    now: Timestamp,
) -> Result<Option<Opened>, db::Error> {
    let row = db
        .read_one(
            "SELECT user_id, client_id, scope, jkt, certificate, claims FROM access_tokens AS t
             WHERE tenant = $1 AND hash = $2 AND expires_at > $3 AND (family IS NULL OR EXISTS (
                 SELECT 1 FROM refresh_token_families AS f WHERE f.tenant = t.tenant AND f.id = t.family))",
            params![tenant, *hash, now],
        )
        .await?;
    let opened = |mut row: db::Row| {
        Ok(Opened {
            user_id: row.take()?,
            client_id: row.take()?,
            scope: row.take()?,
            jkt: row.take()?,
            certificate: row.take()?,
            claims: RequestedClaims::from_column(row.take()?)?,
        })
    };
    row.map(opened).transpose()
}

/// Ends what came from the authorization code with this digest (RFC 6749 §4.1.2).
pub fn remove_for_code(batch: &mut Batch, tenant: &TenantId, code_hash: &[u8; 32]) {
    batch.execute(
        "DELETE FROM access_tokens WHERE tenant = $1 AND code_hash = $2",
        params![tenant, *code_hash],
    );
}

/// Ends every opaque token of a user.
pub fn remove_for_user(batch: &mut Batch, tenant: &TenantId, user_id: &UserId) {
    batch.execute("DELETE FROM access_tokens WHERE tenant = $1 AND user_id = $2", params![tenant, user_id]);
}

/// Ends the opaque tokens that a client has for a user.
pub fn remove_for_client(batch: &mut Batch, tenant: &TenantId, user_id: &UserId, client_id: &ClientId) {
    batch.execute(
        "DELETE FROM access_tokens WHERE tenant = $1 AND user_id = $2 AND client_id = $3",
        params![tenant, user_id, client_id],
    );
}
