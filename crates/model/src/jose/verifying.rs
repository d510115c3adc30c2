//! Public keys and shared secrets.

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RsaPublicKeyComponents,
};
use serde_json::{Map, Value};

use super::{Algorithm, KeyError, strict};

/// The least modulus of an RSA key, in bytes: 2,048 bits.
const RSA_MODULUS: usize = 256;

/// A key that verifies signatures of exactly one algorithm (RFC 8725 §3.1), parsed.
pub struct VerifyingKey {
    algorithm: Algorithm,
    kid: Option<String>,
    public: Public,
}

enum Public {
    Key(ParsedPublicKey),
    Secret(Box<hmac::Key>),
}

impl VerifyingKey {
    /// Reads a public key from the members of a JWK. `algorithm` is the one it shall be used with; the JWK's own
    /// `alg`, if there, must agree.
    ///
    /// # Errors
    /// When members are missing, not canonical, or of another kind of key; when a point is not on its curve.
    pub fn from_jwk(
        algorithm: Algorithm,
        kid: Option<&str>,
        jwk: &Map<String, Value>,
    ) -> Result<Self, KeyError> {
        const REJECTED: KeyError = KeyError("not a public JWK of the algorithm");
        let text = |name: &str| jwk.get(name).and_then(Value::as_str).ok_or(REJECTED);
        let bytes = |name: &str| text(name).and_then(|text| strict::base64url(text).ok_or(REJECTED));
        let exactly = |name: &str, value: &str| if text(name)? == value { Ok(()) } else { Err(REJECTED) };
        if jwk.contains_key("alg") {
            exactly("alg", algorithm.name())?;
        }
        let key = match algorithm {
            Algorithm::RS256 | Algorithm::RS384 | Algorithm::RS512 | Algorithm::PS256 => {
                exactly("kty", "RSA")?;
                let parameters = match algorithm {
                    Algorithm::RS256 => &RSA_PKCS1_2048_8192_SHA256,
                    Algorithm::RS384 => &RSA_PKCS1_2048_8192_SHA384,
                    Algorithm::RS512 => &RSA_PKCS1_2048_8192_SHA512,
                    _ => &RSA_PSS_2048_8192_SHA256,
                };
                let n = bytes("n")?;
                // RFC 7518 §3.3. The library would refuse each signature, and not the key.
                if n.len() < RSA_MODULUS {
                    return Err(REJECTED);
                }
                RsaPublicKeyComponents { n, e: bytes("e")? }.to_parsed_public_key(parameters)
            }
            Algorithm::ES256 => {
                exactly("kty", "EC")?;
                exactly("crv", "P-256")?;
                let (x, y) = (bytes("x")?, bytes("y")?);
                if x.len() != 32 || y.len() != 32 {
                    return Err(REJECTED);
                }
                ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, [&[4][..], &x, &y].concat())
            }
            Algorithm::EdDSA => {
                exactly("kty", "OKP")?;
                exactly("crv", "Ed25519")?;
                ParsedPublicKey::new(&ED25519, bytes("x")?)
            }
            Algorithm::HS256 => return Err(REJECTED),
        };
        let public = Public::Key(key.map_err(|_| REJECTED)?);
        Ok(Self { algorithm, kid: kid.map(str::to_owned), public })
    }

    /// The `HS256` key made of the bytes of a secret.
    pub fn hs256(kid: Option<&str>, secret: &[u8]) -> Self {
        Self::secret(kid, Box::new(hmac::Key::new(hmac::HMAC_SHA256, secret)))
    }

    pub(super) fn secret(kid: Option<&str>, key: Box<hmac::Key>) -> Self {
        Self { algorithm: Algorithm::HS256, kid: kid.map(str::to_owned), public: Public::Secret(key) }
    }

    /// The only algorithm it verifies.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Its id: a token is verified by it only when it carries the same one, or none if this is `None`.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Whether `signature` is this key's of `message`.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.public {
            Public::Key(key) => key.verify_sig(message, signature).is_ok(),
            Public::Secret(key) => hmac::verify(key, message, signature).is_ok(),
        }
    }
}
