//! Suspicious addresses: each network has a bucket of attempts for each stage, and gets them back one by one. The buckets are in the
//! database, so that all nodes see the same ones; an attempt is taken by one conditional statement (GCRA).

use std::net::IpAddr;

use db::{Batch, params};

use super::notices::{self, Noticed};
use super::settings::{Rate, Shield, SuspiciousIp, find};
use super::{is_listed, network};
use crate::Model;
use crate::clock::{SKEW, Timestamp};
use crate::ids::TenantId;

/// In milliseconds.
const A_DAY: i64 = 24 * 3600 * 1000;

/// Seconds between two entries in the log about one bucket.
const QUIET: i64 = 3600;

/// What is counted apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Failed logins.
    Login,
    /// Sign-ups.
    Signup,
}

impl Stage {
    const ALL: [Self; 2] = [Self::Login, Self::Signup];

    /// What the settings call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Login => "pre-login",
            Self::Signup => "pre-user-registration",
        }
    }

    fn rate(self, settings: &SuspiciousIp) -> Rate {
        match self {
            Self::Login => settings.stage.pre_login,
            Self::Signup => settings.stage.pre_user_registration,
        }
    }
}

/// A network's bucket of a stage.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    stage: Stage,
    ip: String,
    rate: Rate,
    /// Whether an empty bucket holds up; else it is only noted.
    pub(super) blocks: bool,
}

impl Bucket {
    /// The bucket that counts an attempt from this address, if one does.
    pub(super) async fn of(
        app: &Model,
        tenant: &TenantId,
        stage: Stage,
        ip: IpAddr,
    ) -> Result<Option<Self>, db::Error> {
        let settings = find::<SuspiciousIp>(app, tenant).await?;
        if !settings.enabled || is_listed(ip, &settings.allowlist) {
            return Ok(None);
        }
        let blocks = settings.shields.contains(&Shield::Block);
        Ok(Some(Self { stage, ip: network(ip), rate: stage.rate(&settings), blocks }))
    }

    /// Takes an attempt out of the bucket: a `Conflict` when it is empty and blocks, else the statement touches no row.
    pub(super) fn take(&self, batch: &mut Batch, tenant: &TenantId, now: Timestamp) {
        let (now, rate) = (now.millis(), self.rate.rate);
        let added = batch.execute(
            "INSERT INTO address_attempts (tenant, stage, ip, full_at) VALUES ($1, $2, $3, $4)
             ON CONFLICT (tenant, stage, ip) DO UPDATE SET full_at =
                 CASE WHEN address_attempts.full_at > $5 AND address_attempts.full_at <= $8
                      THEN address_attempts.full_at + $6 ELSE excluded.full_at END
             WHERE address_attempts.full_at <= $7 OR address_attempts.full_at > $8",
            params![
                tenant,
                self.stage.name(),
                &self.ip,
                now + rate,
                now,
                rate,
                self.last(now),
                self.farthest(now)
            ],
        );
        if self.blocks {
            added.expect(1);
        }
    }

    /// Puts an attempt back.
    pub(super) fn give_back(&self, batch: &mut Batch, tenant: &TenantId) {
        batch.execute(
            "UPDATE address_attempts SET full_at = full_at - $1 WHERE tenant = $2 AND stage = $3 AND ip = $4",
            params![self.rate.rate, tenant, self.stage.name(), &self.ip],
        );
    }

    /// The latest `full_at` of a bucket that has an attempt left.
    fn last(&self, now: i64) -> i64 {
        now + i64::from(self.rate.max_attempts.saturating_sub(1)) * self.rate.rate
    }

    /// Where no `full_at` lies that was written under a right clock: under other settings than these, it may be a day away.
    fn farthest(&self, now: i64) -> i64 {
        let whole = i64::from(self.rate.max_attempts).saturating_mul(self.rate.rate);
        now + whole.max(A_DAY) + SKEW * 1000
    }
}

/// Counts a sign-up from this address: whether it may go on. `record` puts into the batch what tells that the bucket is
/// empty, once an hour.
pub async fn admit(
    app: &Model,
    tenant: &TenantId,
    stage: Stage,
    ip: IpAddr,
    record: impl FnMut(&mut Batch),
) -> Result<bool, db::Error> {
    let Some(bucket) = Bucket::of(app, tenant, stage, ip).await? else { return Ok(true) };
    let mut batch = Batch::new();
    bucket.take(&mut batch, tenant, app.clock.now());
    let took = match app.db.commit(batch).await {
        Ok(outcome) => outcome.affected.first().is_some_and(|rows| *rows > 0),
        Err(db::Error::Conflict { .. }) => false,
        Err(error) => return Err(error),
    };
    if !took {
        note(app, tenant, stage, ip, record).await?;
    }
    Ok(took || !bucket.blocks)
}

/// Puts into the log that a bucket is empty, unless that was done within the hour.
pub async fn note(
    app: &Model,
    tenant: &TenantId,
    stage: Stage,
    ip: IpAddr,
    mut record: impl FnMut(&mut Batch),
) -> Result<(), db::Error> {
    let (now, ip) = (app.clock.now(), network(ip));
    let before = now.plus_seconds(-QUIET);
    // Most of a flood ends here, at a read.
    let sql = "SELECT 1 FROM address_attempts WHERE tenant = $1 AND stage = $2 AND ip = $3
               AND (noted_at IS NULL OR noted_at <= $4)";
    if app.db.read_one(sql, params![tenant, stage.name(), &ip, before]).await?.is_none() {
        return Ok(());
    }
    let mut batch = Batch::new();
    batch
        .execute(
            "UPDATE address_attempts SET noted_at = $1 WHERE tenant = $2 AND stage = $3 AND ip = $4
             AND (noted_at IS NULL OR noted_at <= $5)",
            params![now, tenant, stage.name(), &ip, before],
        )
        .expect(1);
    record(&mut batch);
    match app.db.commit(batch).await {
        Ok(_) => notices::tell(app, tenant, Noticed::Address).await,
        // Another request noted it.
        Err(db::Error::Conflict { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether an address is throttled at some stage.
pub async fn is_blocked(app: &Model, tenant: &TenantId, ip: IpAddr) -> Result<bool, db::Error> {
    let now = app.clock.now().millis();
    for stage in Stage::ALL {
        let Some(bucket) = Bucket::of(app, tenant, stage, ip).await?.filter(|bucket| bucket.blocks) else {
            continue;
        };
        let sql = "SELECT 1 FROM address_attempts WHERE tenant = $1 AND stage = $2 AND ip = $3 AND full_at > $4 AND full_at <= $5";
        let empty = params![tenant, stage.name(), &bucket.ip, bucket.last(now), bucket.farthest(now)];
        if app.db.read_one(sql, empty).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Fills the buckets of an address.
pub fn lift_address(batch: &mut Batch, tenant: &TenantId, ip: IpAddr) {
    batch.execute("DELETE FROM address_attempts WHERE tenant = $1 AND ip = $2", params![tenant, network(ip)]);
}
