//! Clients that registered themselves (RFC 7591, RFC 7592): what is known of that, and how many an address may make.

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use db::{Batch, params};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::Client;
use crate::Model;
use crate::attack_protection::network;
use crate::ids::TenantId;
use crate::seal::{digest, same};

/// How many clients an address may register in a row.
const MOST: i64 = 20;

/// Seconds after which one more is free.
const EVERY: i64 = 180;

/// What a client said of itself that nothing else of it holds, and the token that lets it say something else.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Registration {
    /// SHA-256 of its registration access token, base64url.
    token: String,
    /// `response_types`.
    pub response_types: Vec<String>,
    /// `sector_identifier_uri`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sector_identifier_uri: Option<String>,
    /// `jwks`, as it was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks: Option<Json>,
    /// `backchannel_logout_session_required`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backchannel_logout_session_required: Option<bool>,
}

impl Registration {
    /// A registration whose client shows `token` to see and change it.
    pub fn new(token: &str) -> Self {
        Self { token: URL_SAFE_NO_PAD.encode(digest(token)), ..Self::default() }
    }
}

impl Client {
    /// Its registration, if `token` is the one that lets it be changed; compared in constant time.
    pub fn registered_with(&self, token: &str) -> Option<&Registration> {
        let given = URL_SAFE_NO_PAD.encode(digest(token));
        self.registration.as_ref().filter(|known| same(known.token.as_bytes(), given.as_bytes()))
    }
}

/// Takes one registration from the share of an address, of IPv6 from that of its whole network. Answers whether there was one left: of a
/// hundred at once no more are let in than that.
///
/// # Errors
/// When the database fails.
pub async fn admit(app: &Model, tenant: &TenantId, ip: IpAddr) -> Result<bool, db::Error> {
    let now = app.clock.now();
    let mut batch = Batch::new();
    batch
        .execute(
            "INSERT INTO registration_limits (tenant, who, free_at) VALUES ($1, $2, $3)
             ON CONFLICT (tenant, who) DO UPDATE SET free_at =
                 CASE WHEN registration_limits.free_at > $4 THEN registration_limits.free_at + $5 ELSE $3 END
             WHERE registration_limits.free_at <= $6",
            params![
                tenant,
                digest(&network(ip)),
                now.plus_seconds(EVERY),
                now,
                EVERY * 1000,
                now.plus_seconds((MOST - 1) * EVERY)
            ],
        )
        .expect(1);
    match app.db.commit(batch).await {
        Ok(_) => Ok(true),
        Err(db::Error::Conflict { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
