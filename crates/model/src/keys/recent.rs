//! Tokens that were found good a moment ago, so that an app which calls again and again costs a digest and no signature.
//!
//! What is remembered is that a signature is that of a key of the tenant, and what the token says. It counts only while the keys
//! are the very ones that verified it: a rotation or a revocation makes new ones, and so does another tenant. Whether the token's
//! time has come or gone is asked on each call.

use std::fmt;
use std::ptr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use moka::sync::Cache;

use super::Published;
use crate::jose::Verified;

/// How many tokens are remembered, of all tenants: some two KiB each.
const MOST: u64 = 4096;
/// How long: the keys themselves are read again after as long.
const LONGEST: Duration = Duration::from_secs(60);

/// The tokens by their SHA-256.
pub(super) struct Recent(Cache<[u8; 32], Known>);

#[derive(Clone)]
struct Known {
    keys: Weak<Published>,
    token: Arc<Verified>,
}

impl Recent {
    pub fn new() -> Self {
        Self(Cache::builder().max_capacity(MOST).time_to_live(LONGEST).build())
    }

    /// The token with this digest, if these very keys verified it.
    pub fn find(&self, digest: &[u8; 32], keys: &Arc<Published>) -> Option<Arc<Verified>> {
        let known = self.0.get(digest)?;
        // No other keys can come to lie at this address: the weak pointer holds the place.
        ptr::eq(known.keys.as_ptr(), Arc::as_ptr(keys)).then_some(known.token)
    }

    /// Remembers a token that these keys verified.
    pub fn remember(&self, digest: [u8; 32], keys: &Arc<Published>, token: Arc<Verified>) {
        self.0.insert(digest, Known { keys: Arc::downgrade(keys), token });
    }
}

impl fmt::Debug for Recent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recent")
    }
}
