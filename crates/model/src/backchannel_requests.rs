//! Requests of apps that ask a person, who is elsewhere, to let them in (OpenID Connect CIBA Core; authentication contract §4.4). What the app
//! polls with is stored as a digest alone.

use db::{Batch, Db, Row, params};

use crate::app::Model;
use crate::clock::Timestamp;
use crate::ids::{ClientId, TenantId, UserId};
use crate::seal::digest;

/// Seconds that a request waits, unless its app wants it shorter.
pub const LIFETIME: i64 = 300;

/// Seconds between two polls, and what each poll that comes too soon adds.
pub const INTERVAL: i64 = 5;

/// The longest that polls too soon make the interval, in milliseconds.
const LONGEST_PACE: i64 = 60_000;

/// So many requests may wait for one person's answer: who is asked without end says yes to end it.
pub const MOST_OPEN: i64 = 5;

/// A request.
#[derive(Clone, Debug)]
pub struct BackchannelRequest {
    /// SHA-256 of what the app polls with.
    pub hash: [u8; 32],
    /// What the person's answer names.
    pub id: String,
    /// The app that asks.
    pub client_id: ClientId,
    /// Who is asked.
    pub user_id: UserId,
    /// The API's identifier; empty for `/userinfo` alone.
    pub audience: String,
    /// The scopes that are to be granted, separated by spaces.
    pub scope: String,
    /// What the app shows to the person too, so that they know which request is theirs.
    pub binding_message: String,
    /// What the person has said.
    pub answer: Answer,
    /// When it began.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// What the person has said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nothing yet.
    Pending,
    /// The app may act for them.
    Approved {
        /// Whether they gave a second factor in the session in which they said so.
        mfa: bool,
    },
    /// It may not.
    Denied,
}

/// What an app wants.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The app.
    pub client_id: &'a ClientId,
    /// Who is asked.
    pub user_id: &'a UserId,
    /// The API's identifier.
    pub audience: &'a str,
    /// The scopes.
    pub scope: &'a str,
    /// The binding message.
    pub binding_message: &'a str,
    /// Seconds.
    pub lifetime: i64,
}

/// Goes on only while fewer than [`MOST_OPEN`] requests wait for the user's answer; else it is a `Conflict`. It comes after the user's row is
/// held ([`crate::users::hold`]), without which requests at once would not count one another.
pub fn leave_room(batch: &mut Batch, tenant: &TenantId, user_id: &UserId, now: Timestamp) {
    batch
        .execute(
            "UPDATE users SET version = version WHERE tenant = $1 AND id = $2 AND $3 > (
                 SELECT COUNT(*) FROM backchannel_requests
                 WHERE tenant = $1 AND user_id = $2 AND denied = $4 AND approved_at IS NULL AND expires_at > $5)",
            params![tenant, user_id, MOST_OPEN, false, now],
        )
        .expect(1);
}

/// Adds a request that begins to wait now for who polls with `token`.
pub fn insert(batch: &mut Batch, app: &Model, tenant: &TenantId, token: &str, wanted: Wanted<'_>) {
    let now = app.clock.now();
    batch
        .execute(
            "INSERT INTO backchannel_requests (tenant, hash, id, client_id, user_id, audience, scope, binding_message, mfa,
                 denied, pace, created_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, $10, $11, $12)",
            params![
                tenant,
                digest(token),
                app.random.alphanumeric(32),
                wanted.client_id,
                wanted.user_id,
                wanted.audience,
                wanted.scope,
                wanted.binding_message,
                false,
                INTERVAL * 1000,
                now,
                now.plus_seconds(wanted.lifetime)
            ],
        )
        .expect(1);
}

/// The request that somebody polls for, expired or answered as it may be.
pub async fn find(db: &Db, tenant: &TenantId, token: &str) -> Result<Option<BackchannelRequest>, db::Error> {
    let row = db
        .read_one(
            "SELECT hash, id, client_id, user_id, audience, scope, binding_message, mfa, denied, approved_at, created_at,
                 expires_at
             FROM backchannel_requests WHERE tenant = $1 AND hash = $2",
            params![tenant, digest(token)],
        )
        .await?;
    row.map(from_row).transpose()
}

/// The requests that wait for a person's answer, oldest first.
pub async fn open_of_user(
    db: &Db,
    tenant: &TenantId,
    user_id: &UserId,
    now: Timestamp,
) -> Result<Vec<BackchannelRequest>, db::Error> {
    let rows = db
        .read(
            "SELECT hash, id, client_id, user_id, audience, scope, binding_message, mfa, denied, approved_at, created_at,
                 expires_at
             FROM backchannel_requests
             WHERE tenant = $1 AND user_id = $2 AND denied = $3 AND approved_at IS NULL AND expires_at > $4
             ORDER BY created_at, id LIMIT 20",
            params![tenant, user_id, false, now],
        )
        .await?;
    rows.into_iter().map(from_row).collect()
}

fn from_row(mut row: Row) -> Result<BackchannelRequest, db::Error> {
    Ok(BackchannelRequest {
        hash: row.take()?,
        id: row.take()?,
        client_id: row.take()?,
        user_id: row.take()?,
        audience: row.take()?,
        scope: row.take()?,
        binding_message: row.take()?,
        answer: {
            let (mfa, denied, approved) = (row.take()?, row.take()?, row.take::<Option<Timestamp>>()?);
            match approved {
                _ if denied => Answer::Denied,
                Some(_) => Answer::Approved { mfa },
                None => Answer::Pending,
            }
        },
        created_at: row.take()?,
        expires_at: row.take()?,
    })
}

/// Notes a poll. One that comes before its time is a `Conflict`: see [`slow_down`].
pub fn polled(batch: &mut Batch, tenant: &TenantId, request: &BackchannelRequest, now: Timestamp) {
    batch
        .execute(
            "UPDATE backchannel_requests SET polled_at = $1
             WHERE tenant = $2 AND hash = $3 AND (polled_at IS NULL OR polled_at + pace <= $1)",
            params![now, tenant, request.hash],
        )
        .expect(1);
}

/// Makes the interval longer for an app that polls too often, and answers its seconds.
pub async fn slow_down(
    app: &Model,
    tenant: &TenantId,
    request: &BackchannelRequest,
) -> Result<i64, db::Error> {
    let mut batch = Batch::new();
    batch.execute(
        "UPDATE backchannel_requests SET pace = pace + $1 WHERE tenant = $2 AND hash = $3 AND pace < $4",
        params![INTERVAL * 1000, tenant, request.hash, LONGEST_PACE],
    );
    app.db.commit(batch).await?;
    let row = app
        .db
        .read_one(
            "SELECT pace FROM backchannel_requests WHERE tenant = $1 AND hash = $2",
            params![tenant, request.hash],
        )
        .await?;
    let pace = row.map(|mut row| row.take::<i64>()).transpose()?;
    Ok(pace.map_or(INTERVAL, |pace| pace / 1000))
}

/// Lets the app of a request in, once: one that was answered meanwhile, or has ended, is a `Conflict`.
pub fn approve(
    batch: &mut Batch,
    tenant: &TenantId,
    request: &BackchannelRequest,
    mfa: bool,
    now: Timestamp,
) {
    batch
        .execute(
            "UPDATE backchannel_requests SET approved_at = $1, mfa = $2
             WHERE tenant = $3 AND hash = $4 AND user_id = $5 AND approved_at IS NULL AND denied = $6 AND expires_at > $1",
            params![now, mfa, tenant, request.hash, &request.user_id, false],
        )
        .expect(1);
}

/// Says no to a request. One that was answered meanwhile is a `Conflict`.
pub fn deny(batch: &mut Batch, tenant: &TenantId, request: &BackchannelRequest) {
    batch
        .execute(
            "UPDATE backchannel_requests SET denied = $1
             WHERE tenant = $2 AND hash = $3 AND user_id = $4 AND approved_at IS NULL AND denied = $5",
            params![true, tenant, request.hash, &request.user_id, false],
        )
        .expect(1);
}

/// Spends a request whose app was let in, once: of two racing polls the other is a `Conflict`.
pub fn spend(batch: &mut Batch, tenant: &TenantId, request: &BackchannelRequest) {
    batch
        .execute(
            "DELETE FROM backchannel_requests WHERE tenant = $1 AND hash = $2 AND approved_at IS NOT NULL",
            params![tenant, request.hash],
        )
        .expect(1);
}

/// Takes away a request that its app has been told the end of.
pub fn remove(batch: &mut Batch, tenant: &TenantId, request: &BackchannelRequest) {
    batch.execute(
        "DELETE FROM backchannel_requests WHERE tenant = $1 AND hash = $2",
        params![tenant, request.hash],
    );
}

/// Ends the requests that a person was asked, answered or not.
pub fn remove_for_user(batch: &mut Batch, tenant: &TenantId, user_id: &UserId) {
    batch.execute(
        "DELETE FROM backchannel_requests WHERE tenant = $1 AND user_id = $2",
        params![tenant, user_id],
    );
}
