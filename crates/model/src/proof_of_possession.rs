//! Proofs of possession (DPoP, RFC 9449): that whoever calls holds the key that a token is bound to.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use url::Url;

use crate::clock::Timestamp;
use crate::jose::{Verified, verify_proof};
use crate::seal::{digest, same};
use crate::spent_ids::{self, Kind};
use crate::tenants::Tenant;
use crate::{Model, TenantId};

/// The algorithm of proofs, as discovery tells it.
pub const ALGORITHMS: [&str; 1] = ["ES256"];

/// How old a proof may be, in seconds.
const LIFETIME: i64 = 300;

/// How far the caller's clock may be ahead, in seconds.
const SKEW: i64 = 60;

/// How long a nonce of ours is good for, in seconds.
const NONCE_LIFETIME: i64 = 300;

/// The longest `jti`, in bytes.
const LONGEST_ID: usize = 128;

/// What a proof must be about.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The method of the request.
    pub method: &'a str,
    /// Its address; query and fragment do not count.
    pub url: &'a str,
    /// The access token beside it, where there is one.
    pub access_token: Option<&'a str>,
    /// Whether the proof must hold a nonce of ours.
    pub nonce: bool,
}

/// Why a proof is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// It proves nothing; the reason is for whoever makes it.
    #[error("{0}")]
    Invalid(&'static str),
    /// It needs a nonce, or a newer one: this.
    #[error("Authorization server requires nonce in DPoP proof")]
    Nonce(String),
    /// The database failed.
    #[error(transparent)]
    Failed(#[from] db::Error),
}

/// The thumbprint of the key that `proof` proves, if it is about this request and was never used before (RFC 9449 §4.3).
///
/// # Errors
/// See [`ProofError`].
pub async fn check(
    app: &Model,
    tenant: &Tenant,
    proof: &str,
    expected: Expected<'_>,
) -> Result<String, ProofError> {
    let (jkt, verified) = verify_proof(proof).ok_or(ProofError::Invalid("Invalid DPoP proof"))?;
    if verified.text("htm") != Some(expected.method) {
        return Err(ProofError::Invalid("Invalid htm in DPoP proof"));
    }
    if !verified.text("htu").is_some_and(|htu| same_place(htu, expected.url)) {
        return Err(ProofError::Invalid("Invalid htu in DPoP proof"));
    }
    if let Some(token) = expected.access_token {
        let ath = URL_SAFE_NO_PAD.encode(digest(token));
        if !verified.text("ath").is_some_and(|given| same(given.as_bytes(), ath.as_bytes())) {
            return Err(ProofError::Invalid("Invalid ath in DPoP proof"));
        }
    }
    let now = app.clock.now();
    check_nonce(app, &tenant.id, &verified, expected.nonce, now)?;
    let made = verified.integer("iat").ok_or(ProofError::Invalid("Invalid iat in DPoP proof"))?;
    if made <= now.seconds() - LIFETIME || made > now.seconds() + SKEW {
        return Err(ProofError::Invalid("Invalid iat in DPoP proof"));
    }
    let jti = verified.text("jti").filter(|jti| (1..=LONGEST_ID).contains(&jti.len()));
    let jti = jti.ok_or(ProofError::Invalid("Invalid jti in DPoP proof"))?;
    let forgotten = Timestamp::from_millis((made + LIFETIME) * 1000);
    if !spent_ids::spend(app, &tenant.id, (Kind::Proof, &jkt), jti, forgotten).await? {
        return Err(ProofError::Invalid("DPoP proof was used before"));
    }
    Ok(jkt)
}

/// RFC 9449 §8: a nonce is ours and fresh; where one must be there, a proof without it is answered with one.
fn check_nonce(
    app: &Model,
    tenant: &TenantId,
    proof: &Verified,
    needed: bool,
    now: Timestamp,
) -> Result<(), ProofError> {
    let fresh = |nonce: &str| {
        let made = app.seal.open_text(&context(tenant), nonce).ok()?.parse::<i64>().ok()?;
        (made <= now.seconds() && now.seconds() < made + NONCE_LIFETIME).then_some(())
    };
    match proof.claims.get("nonce") {
        None if !needed => Ok(()),
        Some(serde_json::Value::String(nonce)) if fresh(nonce).is_some() => Ok(()),
        _ => Err(ProofError::Nonce(nonce(app, tenant))),
    }
}

/// A nonce for the proofs of the next minutes. Nothing is stored: it is the time, sealed.
pub fn nonce(app: &Model, tenant: &TenantId) -> String {
    app.seal.seal_text(&context(tenant), &app.clock.now().seconds().to_string())
}

fn context(tenant: &TenantId) -> String {
    format!("proofs/nonce/{tenant}")
}

/// Whether two addresses are the same, but for query and fragment (RFC 9449 §4.3, check 9).
fn same_place(given: &str, expected: &str) -> bool {
    let place = |text: &str| {
        let mut url = Url::parse(text).ok()?;
        url.set_query(None);
        url.set_fragment(None);
        Some(url)
    };
    place(given).is_some_and(|given| Some(given) == place(expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_compared_without_query_and_fragment() {
        for same in ["https://a.test/x?y=1", "https://a.test/x#z", "HTTPS://A.test:443/x"] {
            assert!(same_place(same, "https://a.test/x"), "{same}");
        }
        for other in ["https://a.test/X", "https://a.test/x/", "http://a.test/x", "https://b.test/x", "x", ""]
        {
            assert!(!same_place(other, "https://a.test/x"), "{other}");
        }
    }
}
