//! Devices that wait for their user (RFC 8628; authentication contract §4.1). Only digests of both codes are stored.

pub mod limits;
mod user_code;

use db::{Batch, Db, Row, params};

pub use user_code::{UserCodes, shown, typed};

use crate::app::Model;
use crate::clock::Timestamp;
use crate::ids::{ClientId, TenantId, UserId};
use crate::seal::digest;

/// Seconds that a device waits (authentication contract §2.2).
pub const LIFETIME: i64 = 900;

/// Seconds between two polls.
pub const INTERVAL: i64 = 5;

/// A device that waits.
#[derive(Clone, Debug)]
pub struct DeviceCode {
    /// SHA-256 of the code that the device polls with.
    pub hash: [u8; 32],
    /// The client that runs on it.
    pub client_id: ClientId,
    /// The API's identifier; empty for `/userinfo` alone.
    pub audience: String,
    /// The scopes that are to be granted, separated by spaces.
    pub scope: String,
    /// What its user has said.
    pub answer: Answer,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// What a device's user has said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nothing yet.
    Pending,
    /// The device may act for this user.
    Approved {
        /// Who.
        user_id: UserId,
        /// Whether they gave a second factor.
        mfa: bool,
    },
    /// It may not.
    Denied,
}

impl DeviceCode {
    /// Whether its user can still answer.
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.answer == Answer::Pending && self.expires_at > now
    }
}

/// Adds a device that begins to wait now. A user code that is taken is `Unique` of `device_codes_user_code`.
pub fn insert(
    batch: &mut Batch,
    app: &Model,
    tenant: &TenantId,
    (device_code, user_code): (&str, &str),
    client_id: &ClientId,
    audience: &str,
    scope: &str,
) {
    let now = app.clock.now();
    batch
        .execute(
            "INSERT INTO device_codes (tenant, hash, user_code, client_id, audience, scope, mfa, denied, created_at,
                 expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $8, $9)",
            params![
                tenant,
                digest(device_code),
                digest(user_code),
                client_id,
                audience,
                scope,
                false,
                now,
                now.plus_seconds(LIFETIME)
            ],
        )
        .expect(1);
}

/// The device with this code, expired or answered as it may be.
pub async fn find(db: &Db, tenant: &TenantId, hash: &[u8; 32]) -> Result<Option<DeviceCode>, db::Error> {
    let row = db
        .read_one(
            "SELECT hash, client_id, audience, scope, user_id, mfa, denied, expires_at FROM device_codes
             WHERE tenant = $1 AND hash = $2",
            params![tenant, *hash],
        )
        .await?;
    row.map(from_row).transpose()
}

/// The device whose user types `user_code` ([`typed`]), while it can still be answered.
pub async fn find_open(
    db: &Db,
    tenant: &TenantId,
    user_code: &str,
    now: Timestamp,
) -> Result<Option<DeviceCode>, db::Error> {
    let row = db
        .read_one(
            "SELECT hash, client_id, audience, scope, user_id, mfa, denied, expires_at FROM device_codes
             WHERE tenant = $1 AND user_code = $2",
            params![tenant, digest(user_code)],
        )
        .await?;
    let found = row.map(from_row).transpose()?;
    Ok(found.filter(|code| code.is_open(now)))
}

fn from_row(mut row: Row) -> Result<DeviceCode, db::Error> {
    Ok(DeviceCode {
        hash: row.take()?,
        client_id: row.take()?,
        audience: row.take()?,
        scope: row.take()?,
        answer: {
            let (user_id, mfa, denied) = (row.take::<Option<UserId>>()?, row.take()?, row.take()?);
            match user_id {
                _ if denied => Answer::Denied,
                Some(user_id) => Answer::Approved { user_id, mfa },
                None => Answer::Pending,
            }
        },
        expires_at: row.take()?,
    })
}

/// Notes that the device asks how things are. One that asks again before the interval is over is a `Conflict`.
pub fn polled(batch: &mut Batch, tenant: &TenantId, hash: &[u8; 32], now: Timestamp) {
    batch
        .execute(
            "UPDATE device_codes SET polled_at = $1
             WHERE tenant = $2 AND hash = $3 AND (polled_at IS NULL OR polled_at <= $4)",
            params![now, tenant, *hash, now.plus_seconds(-INTERVAL)],
        )
        .expect(1);
}

/// Lets the device act for a user, once: one that was answered meanwhile, or has ended, is a `Conflict`.
pub fn approve(
    batch: &mut Batch,
    tenant: &TenantId,
    hash: &[u8; 32],
    user_id: &UserId,
    mfa: bool,
    now: Timestamp,
) {
    batch
        .execute(
            "UPDATE device_codes SET user_id = $1, mfa = $2
             WHERE tenant = $3 AND hash = $4 AND user_id IS NULL AND denied = $5 AND expires_at > $6",
            params![user_id, mfa, tenant, *hash, false, now],
        )
        .expect(1);
}

/// Says no to the device. One that was answered meanwhile is a `Conflict`.
pub fn deny(batch: &mut Batch, tenant: &TenantId, hash: &[u8; 32]) {
    batch
        .execute(
            "UPDATE device_codes SET denied = $1
             WHERE tenant = $2 AND hash = $3 AND user_id IS NULL AND denied = $4",
            params![true, tenant, *hash, false],
        )
        .expect(1);
}

/// Spends the code of a device that was let in, once: of two racing polls the other is a `Conflict`.
pub fn spend(batch: &mut Batch, tenant: &TenantId, hash: &[u8; 32], user_id: &UserId) {
    batch
        .execute(
            "DELETE FROM device_codes WHERE tenant = $1 AND hash = $2 AND user_id = $3",
            params![tenant, *hash, user_id],
        )
        .expect(1);
}

/// Takes away a device that has waited in vain.
pub fn remove(batch: &mut Batch, tenant: &TenantId, hash: &[u8; 32]) {
    batch.execute("DELETE FROM device_codes WHERE tenant = $1 AND hash = $2", params![tenant, *hash]);
}

/// Ends the devices that a user let in and that have not come for their tokens yet.
pub fn remove_for_user(batch: &mut Batch, tenant: &TenantId, user_id: &UserId) {
    batch.execute("DELETE FROM device_codes WHERE tenant = $1 AND user_id = $2", params![tenant, user_id]);
}
