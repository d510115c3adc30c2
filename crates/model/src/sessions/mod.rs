//! Browser sessions. The cookie holds a token of which only the digest is stored; `sid` is the session's public name.

mod end;
mod list;

use db::{Batch, Db, Row, params};

use crate::app::{Model, Peer};
use crate::clock::Timestamp;
use crate::identities::Identity;
use crate::ids::{ClientId, TenantId, UserId};
use crate::seal::digest;
use crate::tenants::Settings;

pub use end::{end_expired, remove, remove_by_token, remove_for_user};
pub(crate) use end::{remove_of_connection, remove_of_identity, remove_of_users_of};
pub use list::{Shown, count, describe, find, of_user};

/// A browser's sign-in.
#[derive(Clone, Debug)]
pub struct Session {
    /// The public name: 32 characters, the `sid` claim.
    pub sid: String,
    /// SHA-256 of the cookie's token.
    pub hash: [u8; 32],
    /// Who signed in.
    pub user_id: UserId,
    /// The name of the connection they signed in with.
    pub connection: String,
    /// The identity that the session began with, `provider|user_id`; unknown of sessions that are older than the column.
    pub identity: Option<UserId>,
    /// When the session began.
    pub created_at: Timestamp,
    /// When the user last proved who they are.
    pub authenticated_at: Timestamp,
    /// When the user gave a second factor in this session.
    pub mfa_at: Option<Timestamp>,
    /// When the session was last used.
    pub last_interacted_at: Timestamp,
    /// When it ends unless it is used.
    pub idle_expires_at: Timestamp,
    /// When it ends in any case.
    pub expires_at: Timestamp,
    /// The address it was begun from.
    pub ip: String,
    /// The browser it was begun in.
    pub user_agent: Option<String>,
}

/// A session's limits, in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Without use.
    pub idle: i64,
    /// In all.
    pub absolute: i64,
}

impl Limits {
    /// The tenant's `idle_session_lifetime` and `session_lifetime`, which are hours.
    pub fn of(settings: &Settings) -> Self {
        let (absolute, idle) = settings.session_seconds();
        Self { idle, absolute }
    }
}

impl Session {
    /// A session that begins now, and the token for its cookie.
    pub fn begin(
        app: &Model,
        peer: &Peer,
        user_id: UserId,
        identity: &Identity,
        limits: Limits,
    ) -> (Self, String) {
        let now = app.clock.now();
        let token = app.random.token();
        let session = Self {
            sid: app.random.alphanumeric(32),
            hash: digest(&token),
            user_id,
            connection: identity.connection.clone(),
            identity: Some(identity.as_user_id()),
            created_at: now,
            authenticated_at: now,
            mfa_at: None,
            last_interacted_at: now,
            idle_expires_at: now.plus_seconds(limits.idle),
            expires_at: now.plus_seconds(limits.absolute),
            ip: peer.ip.to_string(),
            user_agent: peer.user_agent.clone(),
        };
        (session, token)
    }

    /// When the cookie should end: at the nearer of the two limits.
    pub fn cookie_expires_at(&self) -> Timestamp {
        self.idle_expires_at.min(self.expires_at)
    }
}

/// Adds `session`.
pub fn insert(batch: &mut Batch, tenant: &TenantId, session: &Session) {
    batch
        .execute(
            "INSERT INTO sessions (tenant, sid, hash, user_id, connection, created_at, authenticated_at,
                 last_interacted_at, idle_expires_at, expires_at, ip, user_agent, identity)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
            params![
                tenant,
                &session.sid,
                session.hash,
                &session.user_id,
                &session.connection,
                session.created_at,
                session.authenticated_at,
                session.last_interacted_at,
                session.idle_expires_at,
                session.expires_at,
                &session.ip,
                session.user_agent.clone(),
                &session.identity
            ],
        )
        .expect(1);
}

/// The living session of the cookie with this token.
pub async fn find_by_token(
    db: &Db,
    tenant: &TenantId,
    token: &str,
    now: Timestamp,
) -> Result<Option<Session>, db::Error> {
    let row = db
        .read_one(
            "SELECT sid, hash, user_id, connection, created_at, authenticated_at, mfa_at,
                 last_interacted_at, idle_expires_at, expires_at, ip, user_agent, identity
             FROM sessions WHERE tenant = $1 AND hash = $2 AND idle_expires_at > $3 AND expires_at > $3",
            params![tenant, digest(token), now],
        )
        .await?;
    row.map(from_row).transpose()
}

/// How, and when, the user of a session proved who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof {
    /// When they last did.
    pub authenticated_at: Timestamp,
    /// Whether a second factor was part of it.
    pub mfa: bool,
}

/// The proof that a session rests on, while it lives.
pub async fn proof(
    db: &Db,
    tenant: &TenantId,
    sid: &str,
    user_id: &UserId,
    now: Timestamp,
) -> Result<Option<Proof>, db::Error> {
    let row = db
        .read_one(
            "SELECT authenticated_at, mfa_at FROM sessions
             WHERE tenant = $1 AND sid = $2 AND user_id = $3 AND idle_expires_at > $4 AND expires_at > $4",
            params![tenant, sid, user_id, now],
        )
        .await?;
    row.map(|mut row| {
        Ok(Proof { authenticated_at: row.take()?, mfa: row.take::<Option<Timestamp>>()?.is_some() })
    })
    .transpose()
}

fn from_row(mut row: Row) -> Result<Session, db::Error> {
    take(&mut row)
}

/// Takes the columns of a session from the front of a row.
fn take(row: &mut Row) -> Result<Session, db::Error> {
    Ok(Session {
        sid: row.take()?,
        hash: row.take()?,
        user_id: row.take()?,
        connection: row.take()?,
        created_at: row.take()?,
        authenticated_at: row.take()?,
        mfa_at: row.take()?,
        last_interacted_at: row.take()?,
        idle_expires_at: row.take()?,
        expires_at: row.take()?,
        ip: row.take()?,
        user_agent: row.take()?,
        identity: row.take()?,
    })
}

/// Notes that the user gave a second factor, and gives the session another token for its cookie, which it answers: what was
/// known before opens nothing more. A session that has ended, or has another token by now, is a `Conflict`.
pub fn stepped_up(
    batch: &mut Batch,
    app: &Model,
    tenant: &TenantId,
    session: &Session,
    now: Timestamp,
) -> String {
    let token = app.random.token();
    batch
        .execute(
            "UPDATE sessions SET hash = $1, mfa_at = $2 WHERE tenant = $3 AND sid = $4 AND hash = $5",
            params![digest(&token), now, tenant, &session.sid, session.hash],
        )
        .expect(1);
    token
}

/// Notes that the session was used for `client_id`, and from where, and moves its idle limit. A session that has ended, or has another token by
/// now, is a `Conflict`: an answer would put the old one back.
pub fn touch(
    batch: &mut Batch,
    (tenant, peer): (&TenantId, &Peer),
    session: &Session,
    client_id: &ClientId,
    now: Timestamp,
    limits: Limits,
) {
    batch
        .execute(
            "UPDATE sessions SET last_interacted_at = $1, idle_expires_at = $2, last_ip = $3, last_user_agent = $4
             WHERE tenant = $5 AND sid = $6 AND hash = $7",
            params![
                now,
                now.plus_seconds(limits.idle),
                peer.ip.to_string(),
                &peer.user_agent,
                tenant,
                &session.sid,
                &session.hash
            ],
        )
        .expect(1);
    add_client(batch, tenant, &session.sid, client_id);
}

/// Notes that the session is used by `client_id`.
pub fn add_client(batch: &mut Batch, tenant: &TenantId, sid: &str, client_id: &ClientId) {
    batch.execute(
        "INSERT INTO session_clients (tenant, sid, client_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        params![tenant, sid, client_id],
    );
}

/// Gives a living session of `from` to `to`. It began with an identity that `from` had, and ends when that is unlinked: its browser has proved no
/// other. A second factor that was given in it was `from`'s, and counts no more. One that has ended, or is somebody else's, stays as it is.
pub(crate) fn hand_over(
    batch: &mut Batch,
    tenant: &TenantId,
    sid: &str,
    (from, to): (&UserId, &UserId),
    now: Timestamp,
) {
    batch.execute(
        "UPDATE sessions SET user_id = $1, mfa_at = NULL
         WHERE tenant = $2 AND sid = $3 AND user_id = $4 AND idle_expires_at > $5 AND expires_at > $5",
        params![to, tenant, sid, from, now],
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestModel;

    /// An answer under way would put the cookie back that a second factor has just replaced.
    #[tokio::test]
    async fn a_session_that_got_another_token_is_not_touched_by_its_old_one() {
        for app in TestModel::each().await {
            let user = app.add_user().await;
            let client = app.add_client(serde_json::json!({ "name": "a" })).await;
            let peer = Peer { ip: [10, 0, 0, 1].into(), user_agent: None };
            let limits = Limits { idle: 60, absolute: 600 };
            let (session, token) = Session::begin(&app, &peer, user.id.clone(), user.primary(), limits);
            let touched = async |session: &Session| {
                let mut batch = Batch::new();
                let (whose, now) = ((&app.tenant, &peer), app.clock.now());
                touch(&mut batch, whose, session, &client.client_id, now, limits);
                app.db.commit(batch).await.map(drop)
            };
            let mut batch = Batch::new();
            insert(&mut batch, &app.tenant, &session);
            app.db.commit(batch).await.unwrap();
            touched(&session).await.unwrap();
            let mut batch = Batch::new();
            let next = stepped_up(&mut batch, &app, &app.tenant, &session, app.clock.now());
            app.db.commit(batch).await.unwrap();
            assert!(matches!(touched(&session).await, Err(db::Error::Conflict { .. })));
            let found = async |token: &str| {
                find_by_token(&app.db, &app.tenant, token, app.clock.now()).await.unwrap()
            };
            assert!(found(&token).await.is_none());
            touched(&found(&next).await.unwrap()).await.unwrap();
        }
    }
}
