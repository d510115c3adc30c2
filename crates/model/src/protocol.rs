//! How a tenant's endpoints speak, where that is Doorward's own to say: Auth0's words and statuses, or the specifications'.

use std::sync::Arc;

use db::{Batch, params};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use crate::clients::Client;
use crate::clock::Timestamp;
use crate::ids::TenantId;
use crate::jose::Algorithm;
use crate::{Model, document};

/// A tenant's protocol: the body of `GET /api/v2/doorward/protocol`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Protocol {
    /// Whether the specification's answer is given where Auth0's differs, to clients that do not say otherwise.
    pub strict: bool,
    /// Whether every client must push its authorization requests (RFC 9126 §5).
    pub require_pushed_authorization_requests: bool,
    /// Whether a client registers itself only with a token that may create clients (RFC 7591 §3).
    pub registration_needs_token: bool,
    /// Whether a client that registers itself is strict.
    pub strict_registration: bool,
    /// The row's version; 0 when there is none.
    #[serde(skip)]
    pub version: i64,
}

/// What a client says of its own: the body of `GET /api/v2/doorward/clients/{id}/protocol`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClientProtocol {
    /// Whether the specification's answer is given where Auth0's differs; the tenant decides where it is not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
    /// The algorithm that signs what `/userinfo` tells it (OIDC Core §5.3.2); it is told plainly where none is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub userinfo_signed_response_alg: Option<String>,
    /// The algorithm of signed authorization responses (JARM §3); RS256 where none is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization_signed_response_alg: Option<String>,
}

impl ClientProtocol {
    /// The algorithm that signs what `/userinfo` tells it, if it is signed.
    pub fn userinfo_algorithm(&self) -> Option<Algorithm> {
        Algorithm::from_name(self.userinfo_signed_response_alg.as_deref()?)
    }

    /// The algorithm of its signed authorization responses.
    pub fn authorization_algorithm(&self) -> Algorithm {
        let named = self.authorization_signed_response_alg.as_deref();
        named.and_then(Algorithm::from_name).unwrap_or(Algorithm::RS256)
    }

    /// Whether nothing is set.
    pub fn is_unset(&self) -> bool {
        *self == Self::default()
    }
}

impl Protocol {
    /// Whether the specification's answer is given to `client`.
    pub fn is_strict_for(&self, client: &Client) -> bool {
        client.protocol.strict.unwrap_or(self.strict)
    }

    /// The protocol after a PATCH: named keys are replaced, and `null` brings back what a new tenant has.
    pub fn patched(&self, patch: &Map<String, Json>) -> Result<Self, serde_json::Error> {
        let mut protocol: Self = document::patch(self, patch)?;
        protocol.version = self.version;
        Ok(protocol)
    }
}

/// The tenant's protocol. Cached.
pub async fn find(app: &Model, tenant: &TenantId) -> Result<Arc<Protocol>, db::Error> {
    let load = async { load(app, tenant).await.map(Some) };
    Ok(app.db.cached("protocol", tenant.as_str(), "", load).await?.unwrap_or_default())
}

/// The tenant's protocol as it stands in the database: what a change begins with.
pub async fn load(app: &Model, tenant: &TenantId) -> Result<Protocol, db::Error> {
    let sql = "SELECT doc, version FROM protocol WHERE tenant = $1";
    let Some(mut row) = app.db.read_one(sql, params![tenant]).await? else { return Ok(Protocol::default()) };
    let doc = row.take()?;
    Ok(Protocol { version: row.take()?, ..document::parse(doc)? })
}

/// Writes a changed protocol, if nobody else has since it was read.
pub fn save(batch: &mut Batch, tenant: &TenantId, protocol: &mut Protocol, now: Timestamp) {
    let read = protocol.version;
    protocol.version += 1;
    let doc = document::column(protocol, &[]);
    let added = if read == 0 {
        batch.execute(
            "INSERT INTO protocol (tenant, doc, created_at, version) VALUES ($1, $2, $3, $4) ON CONFLICT (tenant) DO NOTHING",
            params![tenant, doc, now, protocol.version],
        )
    } else {
        batch.execute(
            "UPDATE protocol SET doc = $1, version = $2 WHERE tenant = $3 AND version = $4",
            params![doc, protocol.version, tenant, read],
        )
    };
    added.expect(1);
    batch.changed("protocol", tenant.as_str(), "");
}
