//! The codes: one for each address on a connection, for the client that asked, a few tries, spent once. Only digests are kept.

use db::{Batch, Db, params};

use super::PAUSE;
use crate::app::Model;
use crate::clock::{SKEW, Timestamp};
use crate::connections::Connection;
use crate::ids::{ClientId, TenantId};
use crate::seal::{digest, same};

/// How often one code may be tried.
const MOST_TRIES: i64 = 5;

/// A code that was sent.
#[derive(Clone, Debug)]
pub struct Code {
    /// SHA-256 of what it is bound to and of the code.
    hash: [u8; 32],
    /// The client that asked for it.
    pub client_id: ClientId,
    /// When it was sent.
    sent_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// Whether it was tried as often as it may be.
    pub is_worn_out: bool,
}

impl Code {
    /// Seconds until another may be sent; 0 when it may be now.
    pub fn pause(&self, now: Timestamp) -> i64 {
        (self.sent_at.plus_seconds(PAUSE).seconds() - now.seconds()).max(0)
    }
}

/// Keeps a code for an address, folded as addresses are compared, in the place of the one before. One that was sent a moment ago is
/// a `Conflict`.
pub fn send(
    batch: &mut Batch,
    app: &Model,
    tenant: &TenantId,
    (connection, address): (&Connection, &str),
    client_id: &ClientId,
    code: &str,
    lifetime: i64,
) {
    let now = app.clock.now();
    batch
        .execute(
            "INSERT INTO passwordless_codes (tenant, connection, address, hash, client_id, tries, sent_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
             ON CONFLICT (tenant, connection, address) DO UPDATE
             SET hash = $4, client_id = $5, tries = $6, sent_at = $7, expires_at = $8
             WHERE passwordless_codes.sent_at <= $9 OR passwordless_codes.sent_at > $10",
            params![
                tenant,
                &connection.name,
                address,
                hash(&connection.name, address, code),
                client_id,
                0_i64,
                now,
                now.plus_seconds(lifetime),
                now.plus_seconds(-PAUSE),
                now.plus_seconds(SKEW),
            ],
        )
        .expect(1);
}

/// With the place in the digest a table made in advance is of no use, and no code opens another address.
fn hash(connection: &str, address: &str, code: &str) -> [u8; 32] {
    digest(&format!("{connection}\n{address}\n{code}"))
}

/// The code that was last sent to an address, expired and worn out ones included.
pub async fn find(
    db: &Db,
    tenant: &TenantId,
    connection: &str,
    address: &str,
) -> Result<Option<Code>, db::Error> {
    let row = db
        .read_one(
            "SELECT hash, client_id, sent_at, expires_at, tries FROM passwordless_codes
             WHERE tenant = $1 AND connection = $2 AND address = $3",
            params![tenant, connection, address],
        )
        .await?;
    row.map(|mut row| {
        Ok(Code {
            hash: row.take()?,
            client_id: row.take()?,
            sent_at: row.take()?,
            expires_at: row.take()?,
            is_worn_out: row.take::<i64>()? > MOST_TRIES,
        })
    })
    .transpose()
}

/// Whether `given` is this code; its end and its tries do not matter here.
pub fn is_right(code: &Code, connection: &str, address: &str, given: &str) -> bool {
    same(&code.hash, &hash(connection, address, given))
}

/// Counts a try, before the code is looked at. Where there is no code nothing is counted.
pub async fn try_once(
    app: &Model,
    tenant: &TenantId,
    connection: &str,
    address: &str,
) -> Result<(), db::Error> {
    let mut batch = Batch::new();
    batch.execute(
        "UPDATE passwordless_codes SET tries = tries + 1
         WHERE tenant = $1 AND connection = $2 AND address = $3 AND tries <= $4",
        params![tenant, connection, address, MOST_TRIES],
    );
    app.db.commit(batch).await.map(drop)
}

/// Spends a code, once: of two racing sign-ins the other is a `Conflict`.
pub fn spend(batch: &mut Batch, tenant: &TenantId, connection: &str, address: &str, code: &Code) {
    batch
        .execute(
            "DELETE FROM passwordless_codes WHERE tenant = $1 AND connection = $2 AND address = $3 AND hash = $4",
            params![tenant, connection, address, code.hash],
        )
        .expect(1);
}
