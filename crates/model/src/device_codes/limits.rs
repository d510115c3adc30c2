//! How many codes an address or a session may guess, and how many devices may begin to wait at an address.

use std::net::IpAddr;

use db::{Batch, params};

use crate::app::Model;
use crate::attack_protection::network;
use crate::clock::SKEW;
use crate::ids::TenantId;
use crate::seal::digest;

/// How many in a row.
pub const MOST: i64 = 100;

/// Seconds after which one more is free.
pub const EVERY: i64 = 36;

/// What is limited, and for whom.
#[derive(Clone, Debug)]
pub struct Share {
    who: [u8; 32],
}

impl Share {
    /// Guesses from an address; of IPv6 from its whole network.
    pub fn guesses_from(ip: IpAddr) -> Self {
        Self { who: digest(&format!("guess/ip/{}", network(ip))) }
    }

    /// Guesses within a session.
    pub fn guesses_in(sid: &str) -> Self {
        Self { who: digest(&format!("guess/sid/{sid}")) }
    }

    /// Devices that begin to wait at an address.
    pub fn devices_at(ip: IpAddr) -> Self {
        Self { who: digest(&format!("device/ip/{}", network(ip))) }
    }
}

/// Takes one of each share before it is looked at, so that a hundred at once are no more than that. Answers whether there was one
/// left of each.
pub async fn take(app: &Model, tenant: &TenantId, mut shares: Vec<Share>) -> Result<bool, db::Error> {
    let now = app.clock.now();
    // In the order of the keys, like every batch.
    shares.sort_unstable_by_key(|share| share.who);
    let mut batch = Batch::new();
    for share in &shares {
        batch
            .execute(
                "INSERT INTO device_limits (tenant, who, free_at) VALUES ($1, $2, $3)
                 ON CONFLICT (tenant, who) DO UPDATE
                 SET free_at = CASE WHEN device_limits.free_at > $4 AND device_limits.free_at <= $7
                     THEN device_limits.free_at + $5 ELSE $3 END
                 WHERE device_limits.free_at <= $6 OR device_limits.free_at > $7",
                params![
                    tenant,
                    share.who,
                    now.plus_seconds(EVERY),
                    now,
                    EVERY * 1000,
                    now.plus_seconds((MOST - 1) * EVERY),
                    now.plus_seconds(MOST * EVERY + SKEW),
                ],
            )
            .expect(1);
    }
    match app.db.commit(batch).await {
        Ok(_) => Ok(true),
        Err(db::Error::Conflict { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Gives one of each share back: the guess was right.
pub async fn give_back(app: &Model, tenant: &TenantId, mut shares: Vec<Share>) -> Result<(), db::Error> {
    shares.sort_unstable_by_key(|share| share.who);
    let mut batch = Batch::new();
    for share in &shares {
        batch.execute(
            "UPDATE device_limits SET free_at = free_at - $1 WHERE tenant = $2 AND who = $3",
            params![EVERY * 1000, tenant, share.who],
        );
    }
    app.db.commit(batch).await.map(drop)
}
