//! Authorization requests that clients pushed before they sent the browser (RFC 9126).

use db::{Batch, Db, params};
use serde_json::{Map, Value as Json};

use crate::clock::Timestamp;
use crate::ids::{ClientId, TenantId};

/// A pushed request.
#[derive(Clone, Debug)]
pub struct PushedRequest {
    /// SHA-256 of the random end of its `request_uri`.
    pub hash: [u8; 32],
    /// Whose it is.
    pub client_id: ClientId,
    /// Its parameters, in the order they came.
    pub params: Vec<(String, String)>,
    /// Whether the client signed them.
    pub signed: bool,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When it was used.
    pub spent_at: Option<Timestamp>,
}

/// Adds `request`.
pub fn insert(batch: &mut Batch, tenant: &TenantId, request: &PushedRequest) {
    let pairs: Map<String, Json> =
        request.params.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    batch
        .execute(
            "INSERT INTO pushed_requests (tenant, hash, client_id, params, signed, expires_at) VALUES ($1, $2, $3, $4, $5, $6)",
            params![tenant, request.hash, &request.client_id, pairs, request.signed, request.expires_at],
        )
        .expect(1);
}

/// The request with this digest, spent and expired ones included.
pub async fn find(db: &Db, tenant: &TenantId, hash: &[u8; 32]) -> Result<Option<PushedRequest>, db::Error> {
    let sql = "SELECT client_id, params, signed, expires_at, spent_at FROM pushed_requests WHERE tenant = $1 AND hash = $2";
    let Some(mut row) = db.read_one(sql, params![tenant, *hash]).await? else { return Ok(None) };
    let client_id = row.take()?;
    let pairs: Map<String, Json> = row.take()?;
    let text = |value: Json| match value {
        Json::String(text) => Ok(text),
        _ => Err(db::Error::Failed("a pushed request holds what is no text".into())),
    };
    let params =
        pairs.into_iter().map(|(name, value)| Ok((name, text(value)?))).collect::<Result<_, db::Error>>()?;
    Ok(Some(PushedRequest {
        hash: *hash,
        client_id,
        params,
        signed: row.take()?,
        expires_at: row.take()?,
        spent_at: row.take()?,
    }))
}

/// Spends a request: of two racing uses one commits and the other gets `Conflict`.
pub fn spend(batch: &mut Batch, tenant: &TenantId, hash: &[u8; 32], now: Timestamp) {
    batch
        .execute(
            "UPDATE pushed_requests SET spent_at = $1 WHERE tenant = $2 AND hash = $3 AND spent_at IS NULL",
            params![now, tenant, *hash],
        )
        .expect(1);
}
