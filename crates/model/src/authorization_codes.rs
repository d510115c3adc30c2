//! Authorization codes: single use, bound to client, redirect URI and PKCE challenge. Only their digests are stored.

use db::{Batch, Db, Row, params};

use crate::authorization_details::AuthorizationDetails;
use crate::clock::Timestamp;
use crate::ids::{ClientId, TenantId, UserId};
use crate::requested_claims::RequestedClaims;

/// How long a code lives, in seconds (authentication contract §1.3).
pub const LIFETIME: i64 = 60;

/// How a code is bound to the party that asked for it (RFC 7636 §4.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// `code_challenge` as it was sent.
    pub value: String,
    /// `S256` or `plain`.
    pub method: ChallengeMethod,
}

/// `code_challenge_method` (RFC 7636 §4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChallengeMethod {
    /// The challenge is the base64url SHA-256 of the verifier.
    S256,
    /// The challenge is the verifier.
    Plain,
}

impl ChallengeMethod {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::S256 => "S256",
            Self::Plain => "plain",
        }
    }

    /// The method with this name.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "S256" => Some(Self::S256),
            "plain" => Some(Self::Plain),
            _ => None,
        }
    }
}

/// What an authorization code stands for.
#[derive(Clone, Debug)]
pub struct Code {
    /// SHA-256 of the code.
    pub hash: [u8; 32],
    /// The client that asked for it.
    pub client_id: ClientId,
    /// Who signed in.
    pub user_id: UserId,
    /// The browser session it was issued in.
    pub sid: String,
    /// The `redirect_uri` of the request, when it was sent: the exchange must repeat it (RFC 6749 §4.1.3).
    pub redirect_uri: Option<String>,
    /// The PKCE challenge, when one was sent.
    pub challenge: Option<Challenge>,
    /// The `nonce` of the request.
    pub nonce: Option<String>,
    /// The granted scopes, separated by spaces.
    pub scope: String,
    /// The requested scopes, separated by spaces.
    pub requested_scope: String,
    /// The API's identifier; empty for `/userinfo` alone.
    pub audience: String,
    /// When the user proved who they are, if the ID token must say so.
    pub auth_time: Option<Timestamp>,
    /// Whether the user gave a second factor (`amr`).
    pub mfa: bool,
    /// The `acr` that the ID token tells.
    pub acr: Option<String>,
    /// The thumbprint of the only key that may redeem it (RFC 9449 §10).
    pub jkt: Option<String>,
    /// The claims that the request named one by one.
    pub claims: Option<RequestedClaims>,
    /// What the request asked for in detail.
    pub details: Option<AuthorizationDetails>,
    /// When the code was issued.
    pub issued_at: Timestamp,
    /// When the code ends.
    pub expires_at: Timestamp,
    /// When it was redeemed.
    pub spent_at: Option<Timestamp>,
}

/// Adds `code`.
pub fn insert(batch: &mut Batch, tenant: &TenantId, code: &Code) {
    batch
        .execute(
            "INSERT INTO authorization_codes (tenant, hash, client_id, user_id, sid, redirect_uri, code_challenge,
                 code_challenge_method, nonce, scope, requested_scope, audience, auth_time, issued_at, expires_at,
                 mfa, acr, jkt, claims, details)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)",
            params![
                tenant,
                code.hash,
                &code.client_id,
                &code.user_id,
                &code.sid,
                code.redirect_uri.clone(),
                code.challenge.as_ref().map(|challenge| challenge.value.clone()),
                code.challenge.as_ref().map(|challenge| challenge.method.as_str()),
                code.nonce.clone(),
                &code.scope,
                &code.requested_scope,
                &code.audience,
                code.auth_time,
                code.issued_at,
                code.expires_at,
                code.mfa,
                code.acr.clone(),
                code.jkt.clone(),
                RequestedClaims::to_column(code.claims.as_ref()),
                AuthorizationDetails::to_column(code.details.as_ref())
            ],
        )
        .expect(1);
}

/// The code with this digest, spent and expired ones included: a second use must be told from an unknown code.
pub async fn find(db: &Db, tenant: &TenantId, hash: &[u8; 32]) -> Result<Option<Code>, db::Error> {
    let row = db
        .read_one(
            "SELECT client_id, user_id, sid, redirect_uri, code_challenge, code_challenge_method, nonce, scope,
                 requested_scope, audience, auth_time, mfa, acr, jkt, claims, details, issued_at, expires_at, spent_at
             FROM authorization_codes WHERE tenant = $1 AND hash = $2",
            params![tenant, *hash],
        )
        .await?;
    row.map(|row| from_row(*hash, row)).transpose()
}

fn from_row(hash: [u8; 32], mut row: Row) -> Result<Code, db::Error> {
    Ok(Code {
        hash,
        client_id: row.take()?,
        user_id: row.take()?,
        sid: row.take()?,
        redirect_uri: row.take()?,
        challenge: challenge(row.take()?, row.take()?),
        nonce: row.take()?,
        scope: row.take()?,
        requested_scope: row.take()?,
        audience: row.take()?,
        auth_time: row.take()?,
        mfa: row.take::<Option<bool>>()?.unwrap_or_default(),
        acr: row.take()?,
        jkt: row.take()?,
        claims: RequestedClaims::from_column(row.take()?)?,
        details: AuthorizationDetails::from_column(row.take()?)?,
        issued_at: row.take()?,
        expires_at: row.take()?,
        spent_at: row.take()?,
    })
}

fn challenge(value: Option<String>, method: Option<String>) -> Option<Challenge> {
    Some(Challenge { value: value?, method: ChallengeMethod::parse(&method?)? })
}

/// Spends a code: of two racing calls one commits and the other gets `Conflict` (RFC 6749 §4.1.2).
pub fn spend(batch: &mut Batch, tenant: &TenantId, hash: &[u8; 32], now: Timestamp) {
    batch
        .execute(
            "UPDATE authorization_codes SET spent_at = $1 WHERE tenant = $2 AND hash = $3 AND spent_at IS NULL",
            params![now, tenant, *hash],
        )
        .expect(1);
}

/// Ends the codes of a user that nobody has redeemed.
pub fn remove_for_user(batch: &mut Batch, tenant: &TenantId, user_id: &UserId) {
    batch.execute(
        "DELETE FROM authorization_codes WHERE tenant = $1 AND user_id = $2 AND spent_at IS NULL",
        params![tenant, user_id],
    );
}

/// Ends the codes of a session that nobody has redeemed.
pub fn remove_for_session(batch: &mut Batch, tenant: &TenantId, user_id: &UserId, sid: &str) {
    batch.execute(
        "DELETE FROM authorization_codes WHERE tenant = $1 AND user_id = $2 AND sid = $3 AND spent_at IS NULL",
        params![tenant, user_id, sid],
    );
}

/// Ends the codes that a consent stood behind and nobody has redeemed.
pub fn remove_for_grant(
    batch: &mut Batch,
    tenant: &TenantId,
    user_id: &UserId,
    client_id: &ClientId,
    audience: &str,
) {
    batch.execute(
        "DELETE FROM authorization_codes
         WHERE tenant = $1 AND user_id = $2 AND client_id = $3 AND audience = $4 AND spent_at IS NULL",
        params![tenant, user_id, client_id, audience],
    );
}
