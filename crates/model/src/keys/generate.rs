//! New keys.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use db::Batch;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::certificate::Certificate;
use super::{CACHED, State, seal_context, store};
use crate::clock::Timestamp;
use crate::ids::TenantId;
use crate::jose::{Algorithm, KeyError, SigningKey};
use crate::{Model, Random};

/// The length of a key's id.
const KID: usize = 21;

/// Where private keys come from.
#[derive(Debug)]
pub(super) enum Generator {
    Fresh,
    /// RSA keys come from `POOL`, in turn from its first.
    Pooled(AtomicUsize),
}

/// The RSA keys of tests: eight, so that two tenants with their first rotations share none.
static POOL: [OnceLock<Zeroizing<Vec<u8>>>; 8] = [const { OnceLock::new() }; 8];

/// A key that is not written yet.
pub(super) struct NewKey {
    pub kid: String,
    pub alg: Algorithm,
    pub host: String,
    pub jwk: Map<String, Value>,
    /// PKCS #8, sealed for the tenant and the id.
    pub private: Vec<u8>,
}

/// The first two keys of an algorithm, to be written together.
pub struct Prepared {
    tenant: TenantId,
    current: NewKey,
    next: NewKey,
}

impl Prepared {
    pub(super) fn new(tenant: &TenantId, current: NewKey, next: NewKey) -> Self {
        Self { tenant: tenant.clone(), current, next }
    }

    /// Writes them; the batch fails with `Unique` if the tenant has keys of the algorithm.
    pub fn insert(&self, batch: &mut Batch, now: Timestamp) {
        store::insert(batch, &self.tenant, &self.current, State::Current, now);
        store::insert(batch, &self.tenant, &self.next, State::Next, now);
        batch.changed(CACHED, self.tenant.as_str(), "");
    }
}

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prepared").field("current", &self.current.kid).field("next", &self.next.kid).finish()
    }
}

impl Generator {
    pub fn fresh() -> Self {
        Self::Fresh
    }

    pub fn pooled() -> Self {
        Self::Pooled(AtomicUsize::new(0))
    }

    /// A key with its certificate. The work is done on a blocking thread.
    pub async fn generate(
        &self,
        app: &Model,
        tenant: &TenantId,
        host: &str,
        alg: Algorithm,
    ) -> Result<NewKey, db::Error> {
        let pooled = match (self, alg) {
            (Self::Pooled(next), Algorithm::RS256 | Algorithm::RS512 | Algorithm::PS256) => {
                Some(&POOL[next.fetch_add(1, Ordering::Relaxed) % POOL.len()])
            }
            _ => None,
        };
        let (now, serial) = (app.clock.now(), app.random.bytes());
        let kid = new_kid(&app.random);
        let owned = (host.to_owned(), kid.clone());
        let made = tokio::task::spawn_blocking(move || {
            let (host, kid) = owned;
            let private = match pooled {
                Some(pooled) => pooled.get_or_init(|| new_rsa_key().expect("AWS-LC makes RSA keys")).clone(),
                None => SigningKey::generate(alg)?,
            };
            let certificate = Certificate::self_signed(&host, &private, serial, now)?;
            let key = SigningKey::from_pkcs8(alg, Some(&kid), &private)?;
            Ok::<_, KeyError>((jwk(&key, &kid, &certificate), private))
        });
        let (jwk, private) =
            made.await.map_err(|_| db::Error::Failed("the generation of a key was cut short".into()))??;
        let private = app.seal.seal(&seal_context(tenant, &kid), &private);
        Ok(NewKey { kid, alg, host: host.to_owned(), jwk, private })
    }
}

/// A random id that a command line does not take for an option.
fn new_kid(random: &Random) -> String {
    let mut kid = random.token().trim_start_matches('-').to_owned();
    kid.truncate(KID);
    kid
}

fn new_rsa_key() -> Result<Zeroizing<Vec<u8>>, KeyError> {
    SigningKey::generate(Algorithm::RS256)
}

/// The element of the key set, in the published order of its members.
fn jwk(key: &SigningKey, kid: &str, certificate: &Certificate) -> Map<String, Value> {
    let mut jwk = Map::new();
    for (name, value) in key.public_jwk() {
        let is_kind = name == "kty";
        jwk.insert(name, value);
        if is_kind {
            jwk.insert("use".to_owned(), json!("sig"));
        }
    }
    for (name, value) in [
        ("kid", json!(kid)),
        ("x5t", json!(certificate.x5t())),
        ("x5c", json!([certificate.base64()])),
        ("alg", json!(key.algorithm().name())),
    ] {
        jwk.insert(name.to_owned(), value);
    }
    jwk
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_id_looks_like_an_option() {
        let random = Random::seeded(1);
        let ids = || (0..500).map(|_| new_kid(&random));
        assert!(ids().all(|kid| kid.len() == KID && !kid.starts_with('-')));
        assert!((0..500).any(|_| random.token().starts_with('-')), "as random text does");
    }
}
