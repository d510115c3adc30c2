//! JSON Web Signatures and tokens (RFC 7515, RFC 7519) on AWS-LC, with keys parsed once and kept in memory.
//!
//! Signing is the hot path: the protected header is encoded when the key is made, so that a token costs one
//! serialisation and one signature. Verifying is strict (RFC 8725): a key has one algorithm, the token cannot choose,
//! and what is not understood is refused.

mod own_key;
mod signing;
mod strict;
mod thumbprint;
mod token;
mod verifying;

#[cfg(test)]
mod tests;

use aws_lc_rs::digest::{SHA256, SHA384, SHA512, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

pub use own_key::verify_proof;
pub use signing::SigningKey;
pub use thumbprint::thumbprint;
pub use token::{
    Header, Verified, VerifyError, named_algorithm, named_claims, verify_jwt, verify_jwt_of_any_age,
    verify_jwt_of_client, verify_jwt_unaddressed,
};
pub use verifying::VerifyingKey;

/// A signature algorithm (RFC 7518 §3.1, RFC 8037 §3.1). There is no `none`, and RSA keys have 2,048 bits or more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256: the default.
    RS256,
    /// RSASSA-PKCS1-v1_5 with SHA-384: of clients alone.
    RS384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RS512,
    /// RSASSA-PSS with SHA-256.
    PS256,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// Ed25519.
    EdDSA,
    /// HMAC with SHA-256 under a shared secret.
    HS256,
}

impl Algorithm {
    /// The name in the `alg` header.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::PS256 => "PS256",
            Self::ES256 => "ES256",
            Self::EdDSA => "EdDSA",
            Self::HS256 => "HS256",
        }
    }

    /// The algorithm of that exact name; names are case-sensitive (RFC 7515 §4.1.1).
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::RS256, Self::RS384, Self::RS512, Self::PS256, Self::ES256, Self::EdDSA, Self::HS256]
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
    }
}

/// The left half of the hash of a value, base64url, with the hash of the algorithm that signs the token it stands in (OIDC Core
/// §3.2.2.9, §3.3.2.11; SHA-512 for Ed25519).
pub fn half_hash(algorithm: Algorithm, value: &str) -> String {
    let hash = match algorithm {
        Algorithm::RS384 => &SHA384,
        Algorithm::RS512 | Algorithm::EdDSA => &SHA512,
        Algorithm::RS256 | Algorithm::PS256 | Algorithm::ES256 | Algorithm::HS256 => &SHA256,
    };
    let whole = digest(hash, value.as_bytes());
    URL_SAFE_NO_PAD.encode(&whole.as_ref()[..whole.as_ref().len() / 2])
}

/// A key that cannot be used: unreadable, too short, or of another kind than its algorithm.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct KeyError(pub(crate) &'static str);
