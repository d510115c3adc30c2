//! Keys that clients publish at a `jwks_uri`: fetched when they are needed, kept for a while, and fetched again when a token names one that
//! is not known.
//!
//! Whoever sends such tokens has nothing fetched more often than the floor allows, and of many callers at once one fetches.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value};

use crate::Model;
use crate::clock::Timestamp;
use crate::jose::{Algorithm, VerifyingKey};

/// Seconds that a key set is taken as it is.
const FRESH: i64 = 600;
/// Seconds that it is good for while it cannot be fetched again.
const STALE: i64 = 3600;
/// Seconds between two fetches of one address, whoever asks.
const FLOOR: i64 = 30;
/// How long a fetch may take.
const LONGEST: Duration = Duration::from_secs(5);
/// The most addresses that are remembered.
const MOST: usize = 1000;
/// The most keys of a set that are looked at.
const MOST_KEYS: usize = 20;

/// By which algorithms a client signs (authentication contract §3.1).
const ALGORITHMS: [Algorithm; 3] = [Algorithm::RS256, Algorithm::RS384, Algorithm::PS256];

/// The key sets that are known.
#[derive(Default)]
pub(super) struct RemoteKeys {
    sets: Mutex<HashMap<String, Arc<tokio::sync::Mutex<Set>>>>,
}

impl std::fmt::Debug for RemoteKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteKeys").finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Set {
    keys: Arc<Vec<VerifyingKey>>,
    fetched_at: Option<Timestamp>,
    tried_at: Option<Timestamp>,
}

impl Set {
    /// Whether it is time to fetch: what is there is too old, or is not enough, and the last try is long enough ago.
    fn is_due(&self, anew: bool, now: Timestamp) -> bool {
        let past = |at: Option<Timestamp>, seconds: i64| {
            at.is_none_or(|at| now >= at.plus_seconds(seconds) || now < at)
        };
        (anew || past(self.fetched_at, FRESH)) && past(self.tried_at, FLOOR)
    }
}

impl RemoteKeys {
    /// The keys that are published at `url`; `anew` where those that were known did not do. None where nothing can be fetched.
    pub async fn at(&self, app: &Model, url: &str, anew: bool) -> Arc<Vec<VerifyingKey>> {
        let set = self.set(url);
        let mut set = set.lock().await;
        let now = app.clock.now();
        if set.is_due(anew, now) {
            set.tried_at = Some(now);
            match fetch(app, url).await {
                Ok(keys) => (set.keys, set.fetched_at) = (Arc::new(keys), Some(now)),
                Err(reason) => tracing::info!(url, reason, "a client's keys could not be fetched"),
            }
        }
        match set.fetched_at {
            Some(at) if now < at.plus_seconds(STALE) => set.keys.clone(),
            _ => Arc::default(),
        }
    }

    fn set(&self, url: &str) -> Arc<tokio::sync::Mutex<Set>> {
        let mut sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        if sets.len() >= MOST && !sets.contains_key(url) {
            // Any of them: who is asked for again is fetched again.
            if let Some(other) = sets.keys().next().cloned() {
                sets.remove(&other);
            }
        }
        sets.entry(url.to_owned()).or_default().clone()
    }
}

async fn fetch(app: &Model, url: &str) -> Result<Vec<VerifyingKey>, String> {
    let fetched = tokio::time::timeout(LONGEST, app.net.get(url)).await;
    let (status, body) =
        fetched.map_err(|_| "no answer came within 5 seconds")?.map_err(|error| error.to_string())?;
    if status != 200 {
        return Err(format!("the answer was {status}"));
    }
    let set: Value = serde_json::from_slice(&body).map_err(|_| "the answer is not JSON")?;
    let keys = set.get("keys").and_then(Value::as_array).ok_or("the answer is no key set")?;
    Ok(keys.iter().take(MOST_KEYS).filter_map(Value::as_object).flat_map(verifying).collect())
}

/// A published key with each algorithm that it may be used with. Keys that are not for signatures, or not of a kind that clients use here,
/// are left out.
fn verifying(jwk: &Map<String, Value>) -> Vec<VerifyingKey> {
    if jwk.get("use").is_some_and(|usage| usage != "sig") {
        return Vec::new();
    }
    let kid = jwk.get("kid").and_then(Value::as_str);
    // `from_jwk` refuses another algorithm than the key's own.
    ALGORITHMS.into_iter().filter_map(|algorithm| VerifyingKey::from_jwk(algorithm, kid, jwk).ok()).collect()
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    #[test]
    fn a_set_is_fetched_when_it_is_old_or_not_enough_and_never_twice_at_once() {
        let set = |fetched: Option<i64>, tried: Option<i64>| Set {
            fetched_at: fetched.map(|ago| NOW.plus_seconds(-ago)),
            tried_at: tried.map(|ago| NOW.plus_seconds(-ago)),
            ..Set::default()
        };
        for (fetched, tried, anew, due) in [
            (None, None, false, true),
            (None, Some(29), false, false),
            (None, Some(30), false, true),
            (Some(599), Some(599), false, false),
            (Some(600), Some(600), false, true),
            (Some(600), Some(5), false, false),
            (Some(30), Some(30), true, true),
            (Some(29), Some(29), true, false),
            // The clock went back.
            (Some(-60), Some(-60), true, true),
        ] {
            assert_eq!(set(fetched, tried).is_due(anew, NOW), due, "{fetched:?} {tried:?} {anew}");
        }
    }

    #[test]
    fn a_key_verifies_what_it_says_it_is_for() {
        let n = URL_SAFE_NO_PAD.encode([0xff; 256]);
        let of = |more: Value| {
            let mut jwk = json!({ "kty": "RSA", "n": n, "e": "AQAB", "kid": "k" });
            for (name, value) in more.as_object().unwrap() {
                jwk[name] = value.clone();
            }
            let names = verifying(jwk.as_object().unwrap()).into_iter().map(|key| key.algorithm().name());
            names.collect::<Vec<_>>()
        };
        assert_eq!(of(json!({})), ["RS256", "RS384", "PS256"]);
        assert_eq!(of(json!({ "use": "sig", "alg": "PS256" })), ["PS256"]);
        for none in [
            json!({ "use": "enc" }),
            json!({ "alg": "RSA-OAEP" }),
            json!({ "kty": "EC" }),
            json!({ "n": "AQAB" }),
        ] {
            assert!(of(none.clone()).is_empty(), "{none}");
        }
    }
}
