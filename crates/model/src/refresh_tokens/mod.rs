//! Refresh tokens: rotation, reuse detection, lifetimes (authentication contract §3.4).
//!
//! A sign-in with offline access is a *family*. Its tokens are generations of one lineage: the family's row names the
//! present generation, and an exchange moves it by one conditional update, so that of two racing exchanges one commits.
//! Deleting the row ends every token of the family. Only digests of tokens are stored.

mod list;

use db::{Batch, Db, Row, params};

use crate::app::{Model, Peer};
use crate::authorization_details::AuthorizationDetails;
use crate::clients::Client;
use crate::clock::Timestamp;
use crate::ids::{ClientId, TenantId, UserId};
use crate::requested_claims::RequestedClaims;
use crate::seal::digest;

pub use list::{Shown, Which, count, describe, find_by_id, of_user, remove_some};

/// The most families that a user keeps with one client; the oldest end first.
pub const FAMILIES_PER_CLIENT: i64 = 200;

/// A sign-in with offline access.
#[derive(Clone, Debug)]
pub struct Family {
    /// Its own id.
    pub id: String,
    /// The client that may exchange it.
    pub client_id: ClientId,
    /// Who signed in.
    pub user_id: UserId,
    /// The session it was issued in.
    pub sid: String,
    /// The API's identifier; empty for `/userinfo` alone.
    pub audience: String,
    /// The granted scopes, separated by spaces.
    pub scope: String,
    /// Whether each exchange replaces the token.
    pub rotating: bool,
    /// The present generation.
    pub generation: i64,
    /// The digest of the authorization code it came from.
    pub code_hash: Option<[u8; 32]>,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last exchanged.
    pub exchanged_at: Option<Timestamp>,
    /// When it ends unless it is exchanged.
    pub idle_expires_at: Option<Timestamp>,
    /// When it ends in any case.
    pub expires_at: Option<Timestamp>,
    /// The thumbprint of the only key that may exchange it (RFC 9449 §5).
    pub jkt: Option<String>,
    /// The claims that the sign-in named one by one: what comes of it tells them too.
    pub claims: Option<RequestedClaims>,
    /// What the sign-in asked for in detail.
    pub details: Option<AuthorizationDetails>,
}

/// A token as it was presented: its family and its place in it.
#[derive(Clone, Debug)]
pub struct Presented {
    /// The family.
    pub family: Family,
    /// Which generation the token is of.
    pub generation: i64,
}

/// What presenting a token leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exchange {
    /// The token stays; only its idle limit moves.
    Keep,
    /// The token is replaced by one of the next generation.
    Rotate,
    /// The previous token came again within the leeway: another of the present generation is issued.
    Sibling,
    /// An old token came again: the family ends.
    Reused,
}

impl Family {
    /// A family that begins now with the client's settings. A client that proves itself by nothing else is bound to the key `jkt`, where
    /// it showed one.
    pub fn begin(
        app: &Model,
        client: &Client,
        user_id: UserId,
        sid: &str,
        audience: &str,
        scope: &str,
        jkt: Option<&str>,
    ) -> Self {
        let now = app.clock.now();
        let settings = &client.refresh_token;
        Self {
            id: app.random.alphanumeric(24),
            client_id: client.client_id.clone(),
            user_id,
            sid: sid.to_owned(),
            audience: audience.to_owned(),
            scope: scope.to_owned(),
            rotating: settings.rotate(),
            generation: 0,
            code_hash: None,
            created_at: now,
            exchanged_at: None,
            idle_expires_at: settings.idle_lifetime().map(|seconds| now.plus_seconds(seconds)),
            expires_at: settings.lifetime().map(|seconds| now.plus_seconds(seconds)),
            jkt: jkt.filter(|_| client.is_public()).map(str::to_owned),
            claims: None,
            details: None,
        }
    }

    /// Whether one of its limits has passed.
    pub fn expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| end <= now) || self.idle_expires_at.is_some_and(|end| end <= now)
    }
}

impl Presented {
    /// What presenting this token leads to, `leeway` seconds being allowed to a client that lost our last answer.
    pub fn exchange(&self, leeway: i64, now: Timestamp) -> Exchange {
        let Family { rotating, generation, exchanged_at, .. } = &self.family;
        let in_leeway = exchanged_at.is_some_and(|at| leeway > 0 && now <= at.plus_seconds(leeway));
        match (rotating, generation - self.generation) {
            (false, _) => Exchange::Keep,
            (true, 0) => Exchange::Rotate,
            (true, 1) if in_leeway => Exchange::Sibling,
            (true, _) => Exchange::Reused,
        }
    }
}

/// A new token, `v1.` and 256 bits.
pub fn new_token(app: &Model) -> String {
    format!("v1.{}", app.random.token())
}

/// Adds a family and its first token, and ends the oldest families of the user and client beyond the limit.
pub fn insert(batch: &mut Batch, tenant: &TenantId, family: &Family, token: &str, peer: &Peer) {
    batch
        .execute(
            "INSERT INTO refresh_token_families (tenant, id, client_id, user_id, sid, audience, scope, rotating,
                 generation, code_hash, created_at, idle_expires_at, expires_at, ip, user_agent, jkt, claims, details, identity)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
                 (SELECT identity FROM sessions WHERE tenant = $1 AND sid = $5))",
            params![
                tenant,
                &family.id,
                &family.client_id,
                &family.user_id,
                &family.sid,
                &family.audience,
                &family.scope,
                family.rotating,
                family.generation,
                family.code_hash,
                family.created_at,
                family.idle_expires_at,
                family.expires_at,
                peer.ip.to_string(),
                peer.user_agent.clone(),
                family.jkt.clone(),
                RequestedClaims::to_column(family.claims.as_ref()),
                AuthorizationDetails::to_column(family.details.as_ref())
            ],
        )
        .expect(1);
    insert_token(batch, tenant, family, token, family.generation);
    batch.execute(
        "DELETE FROM refresh_token_families WHERE tenant = $1 AND id IN (
             SELECT id FROM refresh_token_families WHERE tenant = $1 AND user_id = $2 AND client_id = $3
             ORDER BY created_at DESC, id LIMIT 1000 OFFSET $4)",
        params![tenant, &family.user_id, &family.client_id, FAMILIES_PER_CLIENT],
    );
}

fn insert_token(batch: &mut Batch, tenant: &TenantId, family: &Family, token: &str, generation: i64) {
    batch
        .execute(
            "INSERT INTO refresh_tokens (tenant, hash, family, generation) VALUES ($1, $2, $3, $4)",
            params![tenant, digest(token), &family.id, generation],
        )
        .expect(1);
}

/// The family and generation of `token`, expired ones included.
pub async fn find(db: &Db, tenant: &TenantId, token: &str) -> Result<Option<Presented>, db::Error> {
    let row = db
        .read_one(
            "SELECT t.generation, f.id, f.client_id, f.user_id, f.sid, f.audience, f.scope, f.rotating, f.generation,
                 f.code_hash, f.created_at, f.exchanged_at, f.idle_expires_at, f.expires_at, f.jkt, f.claims, f.details
             FROM refresh_tokens t JOIN refresh_token_families f ON f.tenant = t.tenant AND f.id = t.family
             WHERE t.tenant = $1 AND t.hash = $2",
            params![tenant, digest(token)],
        )
        .await?;
    row.map(from_row).transpose()
}

fn from_row(mut row: Row) -> Result<Presented, db::Error> {
    Ok(Presented { generation: row.take()?, family: take(&mut row)? })
}

/// Takes the columns of a family from the front of a row.
fn take(row: &mut Row) -> Result<Family, db::Error> {
    Ok(Family {
        id: row.take()?,
        client_id: row.take()?,
        user_id: row.take()?,
        sid: row.take()?,
        audience: row.take()?,
        scope: row.take()?,
        rotating: row.take()?,
        generation: row.take()?,
        code_hash: row.take()?,
        created_at: row.take()?,
        exchanged_at: row.take()?,
        idle_expires_at: row.take()?,
        expires_at: row.take()?,
        jkt: row.take()?,
        claims: RequestedClaims::from_column(row.take()?)?,
        details: AuthorizationDetails::from_column(row.take()?)?,
    })
}

/// Notes an exchange that keeps the token: the idle limit moves. A family that has ended meanwhile is a `Conflict`.
pub fn keep(batch: &mut Batch, tenant: &TenantId, family: &Family, now: Timestamp, idle: Option<i64>) {
    batch
        .execute(
            "UPDATE refresh_token_families SET exchanged_at = $1, idle_expires_at = $2 WHERE tenant = $3 AND id = $4",
            params![now, idle.map(|seconds| now.plus_seconds(seconds)), tenant, &family.id],
        )
        .expect(1);
}

/// Replaces the present generation by `token`. A family that moved meanwhile is a `Conflict`.
pub fn rotate(
    batch: &mut Batch,
    tenant: &TenantId,
    family: &Family,
    token: &str,
    now: Timestamp,
    idle: Option<i64>,
) {
    batch
        .execute(
            "UPDATE refresh_token_families SET generation = $1, exchanged_at = $2, idle_expires_at = $3
             WHERE tenant = $4 AND id = $5 AND generation = $6",
            params![
                family.generation + 1,
                now,
                idle.map(|seconds| now.plus_seconds(seconds)),
                tenant,
                &family.id,
                family.generation
            ],
        )
        .expect(1);
    // Of older generations only the fact that they are old matters, and an unknown token is refused just as well; the
    // last ones are kept so that their reuse is noticed.
    batch.execute(
        "DELETE FROM refresh_tokens WHERE tenant = $1 AND family = $2 AND generation < $3",
        params![tenant, &family.id, family.generation - KEPT_GENERATIONS],
    );
    insert_token(batch, tenant, family, token, family.generation + 1);
}

/// How many old generations stay on record, so that a thief who comes late is still noticed.
const KEPT_GENERATIONS: i64 = 100;

/// Issues another token of the present generation. A family that moved meanwhile is a `Conflict`.
pub fn sibling(
    batch: &mut Batch,
    tenant: &TenantId,
    family: &Family,
    token: &str,
    now: Timestamp,
    idle: Option<i64>,
) {
    batch
        .execute(
            "UPDATE refresh_token_families SET idle_expires_at = $1 WHERE tenant = $2 AND id = $3 AND generation = $4",
            params![idle.map(|seconds| now.plus_seconds(seconds)), tenant, &family.id, family.generation],
        )
        .expect(1);
    insert_token(batch, tenant, family, token, family.generation);
}

/// Ends a family: its refresh tokens, and with them the opaque access tokens that came from it
/// ([`crate::access_tokens::find`]).
pub fn remove(batch: &mut Batch, tenant: &TenantId, family: &str) {
    batch
        .execute("DELETE FROM refresh_token_families WHERE tenant = $1 AND id = $2", params![tenant, family]);
}

/// Ends the families that came from the authorization code with this digest (RFC 6749 §4.1.2).
pub fn remove_for_code(batch: &mut Batch, tenant: &TenantId, code_hash: &[u8; 32]) {
    batch.execute(
        "DELETE FROM refresh_token_families WHERE tenant = $1 AND code_hash = $2",
        params![tenant, *code_hash],
    );
}

/// Ends the families that were issued in a session.
pub fn remove_for_session(batch: &mut Batch, tenant: &TenantId, user_id: &UserId, sid: &str) {
    batch.execute(
        "DELETE FROM refresh_token_families WHERE tenant = $1 AND user_id = $2 AND sid = $3",
        params![tenant, user_id, sid],
    );
}

/// Ends every family of a user: after a change of password, say.
pub fn remove_for_user(batch: &mut Batch, tenant: &TenantId, user_id: &UserId) {
    batch.execute(
        "DELETE FROM refresh_token_families WHERE tenant = $1 AND user_id = $2",
        params![tenant, user_id],
    );
}

/// Ends the families that a consent stood behind.
pub fn remove_for_grant(
    batch: &mut Batch,
    tenant: &TenantId,
    user_id: &UserId,
    client_id: &ClientId,
    audience: &str,
) {
    batch.execute(
        "DELETE FROM refresh_token_families WHERE tenant = $1 AND user_id = $2 AND client_id = $3 AND audience = $4",
        params![tenant, user_id, client_id, audience],
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn presented(rotating: bool, present: i64, given: i64, exchanged_at: Option<i64>) -> Presented {
        let family = Family {
            id: "f".into(),
            client_id: "c".into(),
            user_id: "auth0|a".into(),
            sid: "s".into(),
            audience: String::new(),
            scope: "openid".into(),
            rotating,
            generation: present,
            code_hash: None,
            created_at: Timestamp::from_millis(0),
            exchanged_at: exchanged_at.map(Timestamp::from_millis),
            idle_expires_at: None,
            expires_at: None,
            jkt: None,
            claims: None,
            details: None,
        };
        Presented { family, generation: given }
    }

    #[test]
    fn the_present_generation_rotates_and_older_ones_are_reuse() {
        let now = Timestamp::from_millis(10_000);
        assert_eq!(presented(true, 3, 3, Some(9_000)).exchange(0, now), Exchange::Rotate);
        assert_eq!(presented(true, 3, 2, Some(9_000)).exchange(0, now), Exchange::Reused);
        assert_eq!(presented(true, 3, 2, Some(10_000)).exchange(0, now), Exchange::Reused);
        assert_eq!(presented(false, 0, 0, None).exchange(0, now), Exchange::Keep);
    }

    #[test]
    fn the_leeway_forgives_the_previous_token_only_and_only_for_its_seconds() {
        let now = Timestamp::from_millis(10_000);
        assert_eq!(presented(true, 3, 2, Some(5_000)).exchange(5, now), Exchange::Sibling);
        assert_eq!(presented(true, 3, 2, Some(4_999)).exchange(5, now), Exchange::Reused);
        assert_eq!(presented(true, 3, 1, Some(9_000)).exchange(5, now), Exchange::Reused);
    }

    #[test]
    fn either_limit_ends_a_family() {
        let mut family = presented(true, 0, 0, None).family;
        family.expires_at = Some(Timestamp::from_millis(100));
        assert!(!family.expired(Timestamp::from_millis(99)));
        assert!(family.expired(Timestamp::from_millis(100)));
        family.expires_at = None;
        family.idle_expires_at = Some(Timestamp::from_millis(50));
        assert!(family.expired(Timestamp::from_millis(50)));
    }
}
