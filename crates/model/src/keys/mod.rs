//! The tenants' signing keys.
//!
//! For each algorithm that a tenant uses there is one current key, which signs, and one next, published long before
//! it will sign. Rotation makes the next current and the current previous; a previous key still verifies until it is
//! revoked, when its private part is destroyed.

mod certificate;
mod generate;
mod recent;
mod remote;
mod store;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use db::{AsError, Batch};
use serde::Serialize;
use serde_json::{Map, Value, json};

pub use certificate::Certificate;
pub use generate::Prepared;
pub use store::State;

use crate::clock::Timestamp;
use crate::ids::TenantId;
use crate::jose::{
    Algorithm, KeyError, SigningKey, Verified, VerifyError, VerifyingKey, verify_jwt, verify_jwt_of_any_age,
    verify_jwt_of_client, verify_jwt_unaddressed,
};
use crate::seal::digest;
use crate::{Model, seal};
use generate::{Generator, NewKey};
use recent::Recent;
use remote::RemoteKeys;

/// The kind of the keys in the cache; a tenant's keys are one entry.
const CACHED: &str = "keys";

/// Signs and verifies with the tenants' keys, and rotates them. Parsed keys live in the configuration cache, so that
/// a rotation or revocation by another node counts here within about a second.
#[derive(Debug)]
pub struct Keys {
    generator: Generator,
    recent: Recent,
    remote: RemoteKeys,
}

/// A signing key, without its private part.
#[derive(Clone, Debug)]
pub struct Key {
    /// Its id: 21 characters of base64url.
    pub kid: String,
    /// Its only algorithm.
    pub alg: Algorithm,
    /// What it is used for.
    pub state: State,
    /// The host for which the tenant's certificates are made out.
    pub host: String,
    /// Its public part as it stands in the key set.
    pub jwk: Map<String, Value>,
    /// When it became current.
    pub current_since: Option<Timestamp>,
    /// When it ceased to be.
    pub current_until: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

impl Key {
    /// Its certificate.
    ///
    /// # Errors
    /// When the row is damaged.
    pub fn certificate(&self) -> Result<Certificate, db::Error> {
        let certificate = self.jwk.get("x5c").and_then(Certificate::from_x5c);
        certificate.ok_or_else(|| db::Error::Failed("a signing key has no certificate".into()))
    }

    /// An element of `GET /api/v2/keys/signing` (management contract §4.17).
    ///
    /// # Errors
    /// As [`Key::certificate`].
    pub fn to_wire(&self) -> Result<Map<String, Value>, db::Error> {
        let certificate = self.certificate()?;
        let mut wire = Map::new();
        let mut set = |name: &str, value: Value| wire.insert(name.to_owned(), value);
        set("kid", json!(self.kid));
        set("cert", json!(certificate.pem()));
        set("pkcs7", json!(certificate.pkcs7()));
        set("current", json!(self.state == State::Current));
        set("next", json!(self.state == State::Next));
        set("previous", json!(self.state == State::Previous));
        for (name, moment) in [("current_since", self.current_since), ("current_until", self.current_until)] {
            if let Some(moment) = moment {
                set(name, json!(moment));
            }
        }
        set("fingerprint", json!(certificate.fingerprint()));
        set("thumbprint", json!(certificate.thumbprint()));
        set("revoked", json!(self.state == State::Revoked));
        if let Some(moment) = self.revoked_at {
            set("revoked_at", json!(moment));
        }
        Ok(wire)
    }
}

/// What a tenant signs and verifies with, parsed.
pub struct Published {
    /// The body of `/.well-known/jwks.json` (RFC 7517 §5): public parts of all keys that are not revoked, `RS256` first.
    pub jwks: Arc<[u8]>,
    /// Its entity tag (RFC 9110 §8.8.3): SHA-256 in base64url, in quotes.
    pub jwks_etag: String,
    verifying: Vec<VerifyingKey>,
    current: Vec<Arc<SigningKey>>,
}

impl Published {
    /// The key that signs with the algorithm now, if the tenant has ever used it.
    pub fn current(&self, alg: Algorithm) -> Option<Arc<SigningKey>> {
        self.current.iter().find(|key| key.algorithm() == alg).cloned()
    }
}

/// Why a key was not revoked.
#[derive(Debug, thiserror::Error)]
pub enum RevokeError {
    /// The tenant has no such key.
    #[error("Signing key not found.")]
    NotFound,
    /// It signs or will sign, or is revoked already.
    #[error("only a previous key can be revoked")]
    NotPrevious,
    /// The database failed.
    #[error(transparent)]
    Failed(#[from] db::Error),
}

impl AsError for RevokeError {
    fn as_error(&self) -> Option<&db::Error> {
        match self {
            Self::Failed(error) => Some(error),
            _ => None,
        }
    }
}

impl From<KeyError> for db::Error {
    fn from(error: KeyError) -> Self {
        db::Error::Failed(error.to_string())
    }
}

impl Keys {
    /// Keys that are generated when they are needed.
    pub fn new() -> Self {
        Self { generator: Generator::fresh(), recent: Recent::new(), remote: RemoteKeys::default() }
    }

    /// Keys whose RSA pairs come from a few that the process generates once, since that is slow: for tests only.
    pub fn for_tests() -> Self {
        Self { generator: Generator::pooled(), recent: Recent::new(), remote: RemoteKeys::default() }
    }

    /// Generates a current and a next key of the algorithm for a tenant that has none, to be written with
    /// [`Prepared::insert`] in the batch that makes the tenant. `host` is the common name of their certificates. It
    /// takes a while: call it outside `retry`.
    ///
    /// # Errors
    /// When the library fails, and for `HS256`.
    pub async fn prepare(
        &self,
        app: &Model,
        tenant: &TenantId,
        host: &str,
        alg: Algorithm,
    ) -> Result<Prepared, db::Error> {
        let (current, next) = tokio::try_join!(
            self.generator.generate(app, tenant, host, alg),
            self.generator.generate(app, tenant, host, alg),
        )?;
        Ok(Prepared::new(tenant, current, next))
    }

    /// Makes the tenant's keys of an algorithm, if it has none: to be called when something selects the algorithm, so
    /// that the keys are published before they are used.
    ///
    /// # Errors
    /// When the database fails, when the tenant has no keys at all, and for `HS256`.
    pub async fn provide(&self, app: &Model, tenant: &TenantId, alg: Algorithm) -> Result<(), db::Error> {
        let keys = store::list(&app.db, tenant).await?;
        if keys.iter().any(|key| key.alg == alg && key.state == State::Current) {
            return Ok(());
        }
        let host = &keys.first().ok_or_else(no_keys)?.host;
        let prepared = self.prepare(app, tenant, host, alg).await?;
        let mut batch = Batch::new();
        prepared.insert(&mut batch, app.clock.now());
        match app.db.commit(batch).await {
            // Somebody else was first.
            Err(db::Error::Unique(_)) => Ok(()),
            other => other.map(|_| ()),
        }
    }

    /// The tenant's keys, parsed, from the cache.
    ///
    /// # Errors
    /// When the database fails, when the tenant has no keys, or its rows are damaged.
    pub async fn published(&self, app: &Model, tenant: &TenantId) -> Result<Arc<Published>, db::Error> {
        let load = async { load(app, tenant).await };
        app.db.cached(CACHED, tenant.as_str(), "", load).await?.ok_or_else(no_keys)
    }

    /// The key that signs with the algorithm now; it is made if the tenant has never used the algorithm.
    ///
    /// # Errors
    /// As [`Keys::published`] and [`Keys::provide`].
    pub async fn current(
        &self,
        app: &Model,
        tenant: &TenantId,
        alg: Algorithm,
    ) -> Result<Arc<SigningKey>, db::Error> {
        if let Some(key) = self.published(app, tenant).await?.current(alg) {
            return Ok(key);
        }
        self.provide(app, tenant, alg).await?;
        self.published(app, tenant).await?.current(alg).ok_or_else(no_keys)
    }

    /// A token signed by the tenant's current key of the algorithm. `typ` is `JWT`, `at+jwt`, `logout+jwt`, …
    ///
    /// # Errors
    /// As [`Keys::current`], and when the claims cannot be written as JSON.
    pub async fn sign(
        &self,
        app: &Model,
        tenant: &TenantId,
        alg: Algorithm,
        typ: &str,
        claims: &impl Serialize,
    ) -> Result<String, db::Error> {
        Ok(self.current(app, tenant, alg).await?.sign_jwt(typ, claims)?)
    }

    /// Verifies a token that this tenant signed: with any of its keys that is not revoked, each with its own
    /// algorithm only. `iat` must be there, beside what [`verify_jwt`] requires, and a token that says that it serves
    /// another purpose than access, as a logout token does, is refused (RFC 8725 §3.11). Issuer, audience and meaning
    /// are for the caller to check. The signature of a token that the same keys verified a moment ago is not checked
    /// again; its times are.
    ///
    /// # Errors
    /// See [`VerifyError`].
    pub async fn verify(
        &self,
        app: &Model,
        tenant: &TenantId,
        token: &str,
    ) -> Result<Arc<Verified>, VerifyError> {
        let (keys, now) = (self.published(app, tenant).await?, app.clock.now());
        let digest = seal::digest(token);
        if let Some(known) = self.recent.find(&digest, &keys) {
            known.check_times(now)?;
            return Ok(known);
        }
        let verified = Arc::new(verify_jwt(token, &keys.verifying, now)?);
        let serves_access = matches!(verified.header.typ.as_deref(), None | Some("JWT" | "at+jwt"));
        if !serves_access || verified.integer("iat").is_none() {
            return Err(VerifyError::Invalid);
        }
        self.recent.remember(digest, &keys, Arc::clone(&verified));
        Ok(verified)
    }

    /// Verifies an ID token that this tenant signed with `RS256`. Issuer, audience and subject are for the caller to check, who has
    /// an answer of its own to each: see [`verify_jwt_unaddressed`]. `None` for what does not hold, and for a token with a claim that
    /// only access tokens have, or one that says that it serves another purpose.
    pub async fn verify_id_token(
        &self,
        app: &Model,
        tenant: &TenantId,
        token: &str,
    ) -> Result<Option<Verified>, db::Error> {
        let keys = self.published(app, tenant).await?;
        let Ok(verified) = verify_jwt_unaddressed(token, &keys.verifying, app.clock.now()) else {
            return Ok(None);
        };
        let claims = &verified.claims;
        let is_access = ["azp", "client_id", "scope", "gty"].iter().any(|name| claims.contains_key(*name));
        let typ = verified.header.typ.as_deref();
        let is_id = verified.header.alg == Algorithm::RS256 && matches!(typ, None | Some("JWT"));
        if is_access || !is_id || verified.integer("iat").is_none() {
            return Ok(None);
        }
        Ok(Some(verified))
    }

    /// Verifies what a client signed, by the keys that it publishes at `url`: they are fetched again where those that are known do not do. See
    /// [`verify_jwt_of_client`].
    ///
    /// # Errors
    /// See [`VerifyError`]; without keys `Invalid`.
    pub async fn verify_published(
        &self,
        app: &Model,
        url: &str,
        token: &str,
    ) -> Result<Verified, VerifyError> {
        let known = self.remote.at(app, url, false).await;
        match verify_jwt_of_client(token, &known) {
            Err(VerifyError::Invalid | VerifyError::Signature) => {}
            other => return other,
        }
        let anew = self.remote.at(app, url, true).await;
        if Arc::ptr_eq(&known, &anew) {
            return Err(VerifyError::Invalid);
        }
        verify_jwt_of_client(token, &anew)
    }

    /// Verifies a token that this tenant signed at any time: a hint, which gives no right. See [`verify_jwt_of_any_age`].
    ///
    /// # Errors
    /// See [`VerifyError`].
    pub async fn verify_hint(
        &self,
        app: &Model,
        tenant: &TenantId,
        token: &str,
    ) -> Result<Verified, VerifyError> {
        let keys = self.published(app, tenant).await?;
        verify_jwt_of_any_age(token, &keys.verifying, app.clock.now())
    }

    /// All keys of a tenant: `RS256` before the others; current, next, then the previous and revoked ones, the latest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list(&self, app: &Model, tenant: &TenantId) -> Result<Vec<Key>, db::Error> {
        store::list(&app.db, tenant).await
    }

    /// One key of a tenant.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn find(&self, app: &Model, tenant: &TenantId, kid: &str) -> Result<Option<Key>, db::Error> {
        store::find(&app.db, tenant, kid).await
    }

    /// Rotates the keys of all algorithms that the tenant uses, and returns the `RS256` key that is current now (or
    /// the first, should there be none). `also` adds what belongs to the change, the audit event, to its batch; it
    /// may be called again.
    ///
    /// # Errors
    /// When the database fails or the tenant has no keys.
    pub async fn rotate(
        &self,
        app: &Model,
        tenant: &TenantId,
        also: impl Fn(&mut Batch, &Key),
    ) -> Result<Key, db::Error> {
        let mut replacements = Vec::new();
        for key in store::list(&app.db, tenant).await? {
            if key.state == State::Current {
                replacements.push(self.generator.generate(app, tenant, &key.host, key.alg).await?);
            }
        }
        let (replacements, also) = (&replacements, &also);
        app.db
            .retry(|| async {
                let mut batch = Batch::new();
                let now = app.clock.now();
                let keys = store::list(&app.db, tenant).await?;
                let rotated = rotation(&mut batch, tenant, keys, replacements, now)?;
                also(&mut batch, &rotated);
                Ok::<_, db::Error>((batch, rotated))
            })
            .await
    }

    /// Revokes a previous key: its tokens are refused, at once here and within about a second on other nodes, the key
    /// set drops it, and its private part is destroyed. `also` is as for [`Keys::rotate`].
    ///
    /// # Errors
    /// See [`RevokeError`].
    pub async fn revoke(
        &self,
        app: &Model,
        tenant: &TenantId,
        kid: &str,
        also: impl Fn(&mut Batch, &Key),
    ) -> Result<Key, RevokeError> {
        let also = &also;
        app.db
            .retry(|| async {
                let mut key = store::find(&app.db, tenant, kid).await?.ok_or(RevokeError::NotFound)?;
                if key.state != State::Previous {
                    return Err(RevokeError::NotPrevious);
                }
                let now = app.clock.now();
                let mut batch = Batch::new();
                store::revoke(&mut batch, tenant, kid, now);
                batch.changed(CACHED, tenant.as_str(), "");
                (key.state, key.revoked_at) = (State::Revoked, Some(now));
                also(&mut batch, &key);
                Ok((batch, key))
            })
            .await
    }
}

impl Default for Keys {
    fn default() -> Self {
        Self::new()
    }
}

/// One step of every algorithm for which there is a replacement. Returns the first key that became current.
fn rotation(
    batch: &mut Batch,
    tenant: &TenantId,
    keys: Vec<Key>,
    replacements: &[NewKey],
    now: Timestamp,
) -> Result<Key, db::Error> {
    let mut first = None;
    for replacement in replacements {
        let of = |state: State| {
            keys.iter().find(|key| key.alg == replacement.alg && key.state == state).ok_or_else(no_keys)
        };
        let (current, next) = (of(State::Current)?, of(State::Next)?);
        store::retire(batch, tenant, &current.kid, now);
        store::promote(batch, tenant, &next.kid, now);
        store::insert(batch, tenant, replacement, State::Next, now);
        first.get_or_insert_with(|| Key { state: State::Current, current_since: Some(now), ..next.clone() });
    }
    batch.changed(CACHED, tenant.as_str(), "");
    first.ok_or_else(no_keys)
}

/// Reads and parses. Of the private keys only the current ones are opened.
async fn load(app: &Model, tenant: &TenantId) -> Result<Option<Published>, db::Error> {
    let (mut members, mut verifying, mut current) = (Vec::new(), Vec::new(), Vec::new());
    for (key, private) in store::usable(&app.db, tenant).await? {
        verifying.push(VerifyingKey::from_jwk(key.alg, Some(&key.kid), &key.jwk)?);
        if key.state == State::Current {
            let private = app.seal.open(&seal_context(tenant, &key.kid), &private.ok_or_else(no_keys)?)?;
            current.push(Arc::new(SigningKey::from_pkcs8(key.alg, Some(&key.kid), &private)?));
        }
        members.push(Value::Object(key.jwk));
    }
    if members.is_empty() {
        return Ok(None);
    }
    let jwks = json!({ "keys": members }).to_string();
    let jwks_etag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(digest(&jwks)));
    Ok(Some(Published { jwks: jwks.into_bytes().into(), jwks_etag, verifying, current }))
}

fn seal_context(tenant: &TenantId, kid: &str) -> String {
    seal::context("signing_keys", &[tenant.as_str(), kid], "private")
}

fn no_keys() -> db::Error {
    db::Error::Failed("the tenant has no signing keys".into())
}
