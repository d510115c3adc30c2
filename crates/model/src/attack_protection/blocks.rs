//! Accounts that are blocked after too many wrong passwords: `user-blocks` (management contract §4.16).

use db::{Batch, Row, params};
use serde::Serialize;

use super::attempts::{folded, nobody};
use super::settings::{BruteForce, Shield, find};
use crate::Model;
use crate::identities::{Identity, fold_email, fold_phone, fold_username};
use crate::ids::{TenantId, UserId};

/// The most blocks that are told, and users that one name may have: each connection has its own.
const MOST: i64 = 1000;

/// An account that is blocked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Block {
    /// The name that was typed last.
    pub identifier: String,
    /// From where it is blocked: of IPv6 a network. Absent when from everywhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    /// The connection.
    pub connection: String,
}

/// The blocks of a user.
pub async fn of_user(app: &Model, tenant: &TenantId, user: &UserId) -> Result<Vec<Block>, db::Error> {
    of_subject(app, tenant, user.as_str()).await
}

/// The blocks of whoever has this e-mail address, username or phone number, be it nobody.
pub async fn of_identifier(
    app: &Model,
    tenant: &TenantId,
    identifier: &str,
) -> Result<Vec<Block>, db::Error> {
    let mut blocks = Vec::new();
    for subject in subjects(app, tenant, identifier).await? {
        blocks.extend(of_subject(app, tenant, &subject).await?);
    }
    Ok(blocks)
}

/// Lifts all blocks of a user: what was wrong so far counts no more.
pub fn lift(batch: &mut Batch, tenant: &TenantId, user: &UserId) {
    lift_subject(batch, tenant, user.as_str());
}

/// Lifts all blocks of the user whose identity this is.
pub fn lift_identity(batch: &mut Batch, tenant: &TenantId, identity: &Identity) {
    batch.execute(
        "DELETE FROM login_attempts WHERE tenant = $1 AND subject IN
             (SELECT i.user_id FROM identities i WHERE i.tenant = $1 AND i.provider = $2 AND i.subject = $3)",
        params![tenant, &identity.provider, &identity.user_id],
    );
}

/// Lifts all blocks of whoever has this name.
pub async fn lift_identifier(
    app: &Model,
    batch: &mut Batch,
    tenant: &TenantId,
    identifier: &str,
) -> Result<(), db::Error> {
    for subject in subjects(app, tenant, identifier).await? {
        lift_subject(batch, tenant, &subject);
    }
    Ok(())
}

async fn of_subject(app: &Model, tenant: &TenantId, subject: &str) -> Result<Vec<Block>, db::Error> {
    let settings = find::<BruteForce>(app, tenant).await?;
    if !settings.shields.contains(&Shield::Block) {
        return Ok(Vec::new());
    }
    let rows = app.db.read(
        "SELECT identifier, ip, connection FROM login_attempts
         WHERE tenant = $1 AND subject = $2 AND failures >= $3 AND expires_at > $4 ORDER BY ip LIMIT $5",
        params![tenant, subject, settings.max_attempts, app.clock.now(), MOST],
    );
    rows.await?.into_iter().map(from_row).collect()
}

fn from_row(mut row: Row) -> Result<Block, db::Error> {
    let (identifier, ip): (_, String) = (row.take()?, row.take()?);
    Ok(Block { identifier, ip: Some(ip).filter(|ip| !ip.is_empty()), connection: row.take()? })
}

fn lift_subject(batch: &mut Batch, tenant: &TenantId, subject: &str) {
    batch.execute("DELETE FROM login_attempts WHERE tenant = $1 AND subject = $2", params![tenant, subject]);
}

/// What a name is counted as: its users, and nobody.
async fn subjects(app: &Model, tenant: &TenantId, identifier: &str) -> Result<Vec<String>, db::Error> {
    let mut subjects = vec![nobody(&folded(identifier))];
    let identifier = identifier.trim();
    if identifier.contains('\0') {
        return Ok(subjects);
    }
    let rows = app
        .db
        .read(
            "SELECT DISTINCT user_id FROM identities
             WHERE tenant = $1 AND connection IN (SELECT name FROM connections WHERE tenant = $1 AND strategy = 'auth0')
             AND (email = $2 OR username = $3 OR phone = $4) ORDER BY user_id LIMIT $5",
            params![tenant, fold_email(identifier), fold_username(identifier), fold_phone(identifier), MOST],
        )
        .await?;
    for mut row in rows {
        subjects.push(row.take()?);
    }
    Ok(subjects)
}
