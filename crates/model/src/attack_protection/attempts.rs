//! Passwords for one account. An attempt is counted before its password is hashed, by one conditional statement: however many come
//! at once, and to however many nodes, no more are hashed than the tenant allows. What all names of an account share is one
//! counter; a name that is nobody's has one too, and nobody can tell the two apart.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use db::{Batch, params};

use super::addresses::{Bucket, Stage};
use super::notices::{self, Noticed};
use super::settings::{BruteForce, Mode, Shield, find};
use super::{is_listed, network, unblock};
use crate::Model;
use crate::clock::Timestamp;
use crate::identities::{fold_email, fold_phone, fold_username};
use crate::ids::{TenantId, UserId};
use crate::seal::digest;

/// Seconds from the last attempt to the end of a block: 30 days, as published.
pub(super) const KEPT: i64 = 30 * 24 * 3600;

/// Seconds after which an attempt that was neither right nor wrong is taken for abandoned: whoever made it got no answer.
const ABANDONED: i64 = 10;

/// How long an attempt waits for those before it, each time longer, and in all: far longer than a hash takes.
const FIRST_WAIT: Duration = Duration::from_millis(20);
const LONGEST_WAIT: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_secs(10);

/// The most counters of names that are nobody's that a tenant keeps.
pub const MOST_STRANGERS: i64 = 100_000;

/// The longest name that is kept, in characters.
const MOST_CHARACTERS: usize = 128;

/// Whose password is tried.
#[derive(Clone, Copy, Debug)]
pub struct Who<'a> {
    /// The user, if there is one of that name.
    pub user: Option<&'a UserId>,
    /// What was typed.
    pub identifier: &'a str,
    /// The connection.
    pub connection: &'a str,
    /// Whether the connection has brute force protection.
    pub guarded: bool,
}

/// A password that may be checked. It ends as [`cleared`], [`failed`] or [`released`].
#[derive(Clone, Debug)]
pub struct Attempt {
    account: Option<Account>,
    bucket: Option<Bucket>,
    /// Whether the address has had its share, and is only watched.
    pub over: bool,
}

/// Why a password is not even looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Too many were wrong for this account.
    Account {
        /// Whether its user was told by mail.
        notified: bool,
    },
    /// Too many were wrong from this address.
    Address,
    /// Others are being checked, for a long time now.
    Busy,
}

/// The counter of an account.
#[derive(Clone, Debug)]
struct Account {
    subject: String,
    ip: String,
    connection: String,
    identifier: String,
    most: u32,
    blocks: bool,
    notifies: bool,
}

/// Counts an attempt before its password is checked.
pub async fn begin(
    app: &Model,
    tenant: &TenantId,
    ip: IpAddr,
    who: Who<'_>,
) -> Result<Result<Attempt, Refused>, db::Error> {
    let account = Account::of(app, tenant, ip, who).await?;
    let bucket = Bucket::of(app, tenant, Stage::Login, ip).await?;
    let (began, mut wait) = (Instant::now(), FIRST_WAIT);
    while began.elapsed() < PATIENCE {
        let now = app.clock.now();
        let mut batch = Batch::new();
        if let Some(account) = &account {
            account.reserve(&mut batch, app, tenant);
        }
        if let Some(bucket) = &bucket {
            bucket.take(&mut batch, tenant, now);
        }
        match app.db.commit(batch).await {
            Ok(outcome) => {
                let took = |position: usize| outcome.affected.get(position).is_some_and(|rows| *rows > 0);
                let counted = account.as_ref().is_some_and(|_| took(0));
                let second = usize::from(account.is_some());
                let over = bucket.is_some() && !took(second);
                // What was not counted is not ended either: only a tenant that watches and does not block has such attempts.
                let account = account.filter(|_| counted);
                return Ok(Ok(Attempt { account, bucket: bucket.filter(|_| !over), over }));
            }
            Err(db::Error::Conflict { statement, .. }) => match &account {
                Some(account) if statement == 0 && account.blocks => {
                    if account.is_blocked(app, tenant).await? {
                        return Ok(Err(Refused::Account { notified: account.notifies }));
                    }
                    // As many are being checked as may still be wrong: none is looked at before one of them is through.
                    while began.elapsed() < PATIENCE && !account.has_room(app, tenant).await? {
                        tokio::time::sleep(wait).await;
                        wait = (wait * 2).min(LONGEST_WAIT);
                    }
                    continue;
                }
                _ => return Ok(Err(Refused::Address)),
            },
            Err(db::Error::Retry) => {}
            Err(error) => return Err(error),
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
    Ok(Err(Refused::Busy))
}

/// The password was right: nothing that was wrong before counts any more, and the address has its attempt back.
pub fn cleared(batch: &mut Batch, tenant: &TenantId, attempt: &Attempt) {
    if let Some(account) = &attempt.account {
        batch.execute(
            "DELETE FROM login_attempts WHERE tenant = $1 AND subject = $2 AND ip = $3",
            params![tenant, &account.subject, &account.ip],
        );
    }
    if let Some(bucket) = &attempt.bucket {
        bucket.give_back(batch, tenant);
    }
}

/// The password was wrong. The failure that is one too many blocks the account, and `record` puts into its batch what tells so; it is
/// given whether the user is to be told. Of nobody the same is asked of the database.
pub async fn failed(
    app: &Model,
    tenant: &TenantId,
    attempt: &Attempt,
    record: impl Fn(&mut Batch, bool),
) -> Result<(), db::Error> {
    let Some(account) = &attempt.account else { return Ok(()) };
    let blocks = app
        .db
        .retry(|| async {
            let mut batch = Batch::new();
            let sql = "SELECT failures FROM login_attempts WHERE tenant = $1 AND subject = $2 AND ip = $3";
            let key = params![tenant, &account.subject, &account.ip];
            // There is none where a right password came meanwhile.
            let Some(mut row) = app.db.read_one(sql, key).await? else { return Ok((batch, false)) };
            let failures: i64 = row.take()?;
            batch
                .execute(
                    "UPDATE login_attempts SET failures = failures + 1, expires_at = $1
                     WHERE tenant = $2 AND subject = $3 AND ip = $4 AND failures = $5",
                    params![
                        app.clock.now().plus_seconds(KEPT),
                        tenant,
                        &account.subject,
                        &account.ip,
                        failures
                    ],
                )
                .expect(1);
            let blocks = failures + 1 == i64::from(account.most);
            if blocks {
                let due = account.notifies && unblock::is_due(app, tenant, &account.subject).await?;
                record(&mut batch, due);
            }
            Ok::<_, db::Error>((batch, blocks))
        })
        .await?;
    if blocks { notices::tell(app, tenant, Noticed::Account).await } else { Ok(()) }
}

/// Deletes the counters of names that are nobody's beyond the newest `most`: whoever types what comes to mind fills no disk.
/// At most `at_a_time` of them in one statement; answers how many it were.
pub async fn forget_oldest_strangers(
    app: &Model,
    tenant: &TenantId,
    most: i64,
    at_a_time: u32,
) -> Result<u64, db::Error> {
    let oldest = app
        .db
        .scan(
            "SELECT expires_at FROM login_attempts WHERE tenant = $1 AND subject NOT LIKE '%|%'
             ORDER BY expires_at DESC LIMIT 1 OFFSET $2",
            params![tenant, most],
        )
        .await?;
    let Some(mut row) = oldest.into_iter().next() else { return Ok(0) };
    let end: Timestamp = row.take()?;
    let mut removed = 0;
    loop {
        let mut batch = Batch::new();
        batch.execute(
            "DELETE FROM login_attempts WHERE tenant = $1 AND (subject, ip) IN
                 (SELECT subject, ip FROM login_attempts WHERE tenant = $1 AND expires_at <= $2 AND subject NOT LIKE '%|%'
                  ORDER BY expires_at, subject, ip LIMIT $3)",
            params![tenant, end, at_a_time],
        );
        let some = app.db.commit(batch).await?.affected.first().copied().unwrap_or_default();
        removed += some;
        if some < u64::from(at_a_time) {
            return Ok(removed);
        }
    }
}

/// The password was not looked at after all: nothing is counted.
pub async fn released(app: &Model, tenant: &TenantId, attempt: &Attempt) -> Result<(), db::Error> {
    let mut batch = Batch::new();
    if let Some(account) = &attempt.account {
        batch.execute(
            "UPDATE login_attempts SET attempts = attempts - 1
             WHERE tenant = $1 AND subject = $2 AND ip = $3 AND attempts > failures",
            params![tenant, &account.subject, &account.ip],
        );
    }
    if let Some(bucket) = &attempt.bucket {
        bucket.give_back(&mut batch, tenant);
    }
    app.db.commit(batch).await.map(drop)
}

impl Account {
    /// The counter that counts such an attempt, if one does.
    async fn of(app: &Model, tenant: &TenantId, ip: IpAddr, who: Who<'_>) -> Result<Option<Self>, db::Error> {
        let settings = find::<BruteForce>(app, tenant).await?;
        if !settings.enabled || !who.guarded || is_listed(ip, &settings.allowlist) {
            return Ok(None);
        }
        let blocks = settings.shields.contains(&Shield::Block);
        let name = folded(who.identifier);
        Ok(Some(Self {
            subject: who.user.map_or_else(|| nobody(&name), |user| user.as_str().to_owned()),
            ip: match settings.mode {
                Mode::CountPerIdentifierAndIp => network(ip),
                Mode::CountPerIdentifier => String::new(),
            },
            connection: who.connection.to_owned(),
            identifier: shown(&name),
            most: settings.max_attempts,
            blocks,
            notifies: settings.shields.contains(&Shield::UserNotification),
        }))
    }

    /// Counts an attempt, unless as many are counted as may be: then a `Conflict` where that blocks, else it touches no row.
    fn reserve(&self, batch: &mut Batch, app: &Model, tenant: &TenantId) {
        let now = app.clock.now();
        let added = batch.execute(
            "INSERT INTO login_attempts
                 (tenant, subject, ip, connection, identifier, attempts, failures, attempted_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, 1, 0, $6, $7)
             ON CONFLICT (tenant, subject, ip) DO UPDATE SET
                 attempts = CASE WHEN login_attempts.expires_at <= $6 THEN 1
                     WHEN login_attempts.attempted_at <= $8 THEN login_attempts.failures + 1
                     ELSE login_attempts.attempts + 1 END,
                 failures = CASE WHEN login_attempts.expires_at <= $6 THEN 0 ELSE login_attempts.failures END,
                 connection = excluded.connection, identifier = excluded.identifier,
                 attempted_at = excluded.attempted_at, expires_at = excluded.expires_at
             WHERE login_attempts.expires_at <= $6 OR login_attempts.attempts < $9
                 OR (login_attempts.attempted_at <= $8 AND login_attempts.failures < $9)",
            params![
                tenant,
                &self.subject,
                &self.ip,
                &self.connection,
                &self.identifier,
                now,
                now.plus_seconds(KEPT),
                now.plus_seconds(-ABANDONED),
                self.most
            ],
        );
        if self.blocks {
            added.expect(1);
        }
    }

    /// Whether an attempt that is counted now may find a place: what waits for one asks here, and writes nothing meanwhile.
    async fn has_room(&self, app: &Model, tenant: &TenantId) -> Result<bool, db::Error> {
        let now = app.clock.now();
        let sql = "SELECT 1 FROM login_attempts
                   WHERE tenant = $1 AND subject = $2 AND ip = $3 AND expires_at > $4 AND failures < $5
                     AND attempts >= $5 AND attempted_at > $6";
        let key = params![tenant, &self.subject, &self.ip, now, self.most, now.plus_seconds(-ABANDONED)];
        Ok(app.db.read_one(sql, key).await?.is_none())
    }

    /// Whether as many were wrong as may be.
    async fn is_blocked(&self, app: &Model, tenant: &TenantId) -> Result<bool, db::Error> {
        let sql = "SELECT 1 FROM login_attempts
                   WHERE tenant = $1 AND subject = $2 AND ip = $3 AND failures >= $4 AND expires_at > $5";
        let key = params![tenant, &self.subject, &self.ip, self.most, app.clock.now()];
        Ok(app.db.read_one(sql, key).await?.is_some())
    }
}

/// A name as it is compared: as that of an identity would be.
pub(super) fn folded(identifier: &str) -> String {
    let identifier = identifier.trim();
    let phone = fold_phone(identifier);
    match identifier {
        address if address.contains('@') => fold_email(address),
        _ if phone.starts_with('+') => phone,
        name => fold_username(name),
    }
}

/// What a folded name that is no user's is counted as. It has no bar, and so is no user's id.
pub(super) fn nobody(folded: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(folded))
}

/// A folded name, short enough to keep.
fn shown(folded: &str) -> String {
    folded.chars().take(MOST_CHARACTERS).map(|c| if c == '\0' { '\u{fffd}' } else { c }).collect()
}
