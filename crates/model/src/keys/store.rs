//! The table `signing_keys`.

use db::{Batch, Db, FromValue, Row, params};

use super::Key;
use super::generate::NewKey;
use crate::clock::Timestamp;
use crate::ids::TenantId;
use crate::jose::Algorithm;

/// What a key is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is published, and will be current after the next rotation.
    Next,
    /// It signs.
    Current,
    /// It signed; its tokens are still good.
    Previous,
    /// Nothing it signed is good any more.
    Revoked,
}

impl State {
    const ALL: [Self; 4] = [Self::Next, Self::Current, Self::Previous, Self::Revoked];

    fn name(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Current => "current",
            Self::Previous => "previous",
            Self::Revoked => "revoked",
        }
    }
}

impl FromValue for State {
    fn from_value(value: db::Value) -> Result<Self, db::Error> {
        let name = String::from_value(value)?;
        let state = Self::ALL.into_iter().find(|state| state.name() == name);
        state.ok_or_else(|| db::Error::Failed("a signing key has an unknown state".into()))
    }
}

impl FromValue for Algorithm {
    fn from_value(value: db::Value) -> Result<Self, db::Error> {
        Self::from_name(&String::from_value(value)?)
            .ok_or_else(|| db::Error::Failed("a signing key has an unknown algorithm".into()))
    }
}

/// How many keys of a tenant are read; older revoked ones are not listed, and no more than some dozens are ever of use.
const MOST: i64 = 1000;

pub(super) async fn list(db: &Db, tenant: &TenantId) -> Result<Vec<Key>, db::Error> {
    let rows = db.read(
        "SELECT kid, alg, state, host, jwk, current_since, current_until, revoked_at FROM signing_keys WHERE tenant = $1 \
         ORDER BY CASE alg WHEN 'RS256' THEN 0 ELSE 1 END, alg, \
         CASE state WHEN 'current' THEN 0 WHEN 'next' THEN 1 WHEN 'previous' THEN 2 ELSE 3 END, \
         current_since DESC NULLS LAST, kid LIMIT $2",
        params![tenant, MOST],
    );
    rows.await?.into_iter().map(|mut row| read(&mut row)).collect()
}

/// The keys that are not revoked, in the order of `list`, with their sealed private parts.
pub(super) async fn usable(db: &Db, tenant: &TenantId) -> Result<Vec<(Key, Option<Vec<u8>>)>, db::Error> {
    let rows = db.read(
        "SELECT kid, alg, state, host, jwk, current_since, current_until, revoked_at, private FROM signing_keys \
         WHERE tenant = $1 AND state <> 'revoked' \
         ORDER BY CASE alg WHEN 'RS256' THEN 0 ELSE 1 END, alg, \
         CASE state WHEN 'current' THEN 0 WHEN 'next' THEN 1 ELSE 2 END, current_since DESC NULLS LAST, kid LIMIT $2",
        params![tenant, MOST],
    );
    rows.await?.into_iter().map(|mut row| Ok((read(&mut row)?, row.take()?))).collect()
}

pub(super) async fn find(db: &Db, tenant: &TenantId, kid: &str) -> Result<Option<Key>, db::Error> {
    let row = db.read_one(
        "SELECT kid, alg, state, host, jwk, current_since, current_until, revoked_at FROM signing_keys \
         WHERE tenant = $1 AND kid = $2",
        params![tenant, kid],
    );
    row.await?.map(|mut row| read(&mut row)).transpose()
}

fn read(row: &mut Row) -> Result<Key, db::Error> {
    Ok(Key {
        kid: row.take()?,
        alg: row.take()?,
        state: row.take()?,
        host: row.take()?,
        jwk: row.take()?,
        current_since: row.take()?,
        current_until: row.take()?,
        revoked_at: row.take()?,
    })
}

pub(super) fn insert(batch: &mut Batch, tenant: &TenantId, key: &NewKey, state: State, now: Timestamp) {
    let current_since = (state == State::Current).then_some(now);
    batch.execute(
        "INSERT INTO signing_keys (tenant, kid, alg, state, host, jwk, private, created_at, current_since) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        params![
            tenant,
            &key.kid,
            key.alg.name(),
            state.name(),
            &key.host,
            &key.jwk,
            &key.private,
            now,
            current_since
        ],
    );
}

/// The current key signs no more.
pub(super) fn retire(batch: &mut Batch, tenant: &TenantId, kid: &str, now: Timestamp) {
    batch
        .execute(
            "UPDATE signing_keys SET state = 'previous', current_until = $1 WHERE tenant = $2 AND kid = $3 AND state = 'current'",
            params![now, tenant, kid],
        )
        .expect(1);
}

/// The next key signs from now on.
pub(super) fn promote(batch: &mut Batch, tenant: &TenantId, kid: &str, now: Timestamp) {
    batch
        .execute(
            "UPDATE signing_keys SET state = 'current', current_since = $1 WHERE tenant = $2 AND kid = $3 AND state = 'next'",
            params![now, tenant, kid],
        )
        .expect(1);
}

/// A previous key verifies no more, and cannot be made to.
pub(super) fn revoke(batch: &mut Batch, tenant: &TenantId, kid: &str, now: Timestamp) {
    batch
        .execute(
            "UPDATE signing_keys SET state = 'revoked', revoked_at = $1, private = NULL \
             WHERE tenant = $2 AND kid = $3 AND state = 'previous'",
            params![now, tenant, kid],
        )
        .expect(1);
}
