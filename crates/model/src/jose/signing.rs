//! Private keys.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
    RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::{Algorithm, KeyError, VerifyingKey};

/// The least modulus of an RSA key, in bytes: 2,048 bits (RFC 7518 §3.3).
const RSA_MODULUS: usize = 256;

/// A private key of one algorithm, parsed, with the headers of its tokens ready.
pub struct SigningKey {
    algorithm: Algorithm,
    kid: Option<String>,
    private: Private,
    /// The encoded headers of `JWT` and `at+jwt`, the two types of nearly every token.
    headers: [String; 2],
}

enum Private {
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
    Secret(Box<hmac::Key>),
}

impl SigningKey {
    /// A new private key as PKCS #8. RSA (2,048 bits) takes up to a second of processor time: call it from a blocking thread.
    ///
    /// # Errors
    /// For `HS256`, whose keys are secrets and not made here.
    pub fn generate(algorithm: Algorithm) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        const FAILED: KeyError = KeyError("the key could not be generated");
        let der = match algorithm {
            Algorithm::RS256 | Algorithm::RS384 | Algorithm::RS512 | Algorithm::PS256 => {
                let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| FAILED)?;
                pair.as_der().map_err(|_| FAILED)?.as_ref().to_vec()
            }
            Algorithm::ES256 => {
                let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| FAILED)?;
                pair.to_pkcs8v1().map_err(|_| FAILED)?.as_ref().to_vec()
            }
            Algorithm::EdDSA => {
                let pair = Ed25519KeyPair::generate().map_err(|_| FAILED)?;
                pair.to_pkcs8v1().map_err(|_| FAILED)?.as_ref().to_vec()
            }
            Algorithm::HS256 => return Err(KeyError("a secret is not generated as PKCS #8")),
        };
        Ok(Zeroizing::new(der))
    }

    /// Parses a PKCS #8 private key.
    ///
    /// # Errors
    /// When the text is not a key of that algorithm, or an RSA key of fewer than 2,048 bits.
    pub fn from_pkcs8(algorithm: Algorithm, kid: Option<&str>, der: &[u8]) -> Result<Self, KeyError> {
        const REJECTED: KeyError = KeyError("not a PKCS #8 private key of the algorithm");
        let private = match algorithm {
            Algorithm::RS256 | Algorithm::RS384 | Algorithm::RS512 | Algorithm::PS256 => {
                let pair = RsaKeyPair::from_pkcs8(der).map_err(|_| REJECTED)?;
                if pair.public_modulus_len() < RSA_MODULUS {
                    return Err(KeyError("an RSA key has 2,048 bits or more"));
                }
                let padding: &'static dyn RsaEncoding = match algorithm {
                    Algorithm::RS256 => &RSA_PKCS1_SHA256,
                    Algorithm::RS384 => &RSA_PKCS1_SHA384,
                    Algorithm::RS512 => &RSA_PKCS1_SHA512,
                    _ => &RSA_PSS_SHA256,
                };
                Private::Rsa(pair, padding)
            }
            Algorithm::ES256 => Private::Ec(
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).map_err(|_| REJECTED)?,
            ),
            Algorithm::EdDSA => {
                Private::Ed(Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map_err(|_| REJECTED)?)
            }
            Algorithm::HS256 => return Err(REJECTED),
        };
        Ok(Self::new(algorithm, kid, private))
    }

    /// The `HS256` key made of the bytes of a secret.
    pub fn hs256(kid: Option<&str>, secret: &[u8]) -> Self {
        Self::new(Algorithm::HS256, kid, Private::Secret(Box::new(hmac::Key::new(hmac::HMAC_SHA256, secret))))
    }

    fn new(algorithm: Algorithm, kid: Option<&str>, private: Private) -> Self {
        let headers = ["JWT", "at+jwt"].map(|typ| header(algorithm, typ, kid));
        Self { algorithm, kid: kid.map(str::to_owned), private, headers }
    }

    /// The algorithm it signs with.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Its id, which its tokens carry.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The signature of `message`, as RFC 7518 §3 lays it out.
    ///
    /// # Errors
    /// Only when the library fails.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        const FAILED: KeyError = KeyError("the signature could not be made");
        let random = SystemRandom::new();
        match &self.private {
            Private::Rsa(pair, padding) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(*padding, &random, message, &mut signature).map_err(|_| FAILED)?;
                Ok(signature)
            }
            Private::Ec(pair) => Ok(pair.sign(&random, message).map_err(|_| FAILED)?.as_ref().to_vec()),
            Private::Ed(pair) => Ok(pair.try_sign(message).map_err(|_| FAILED)?.as_ref().to_vec()),
            Private::Secret(key) => Ok(hmac::sign(key, message).as_ref().to_vec()),
        }
    }

    /// A compact token of `claims` (RFC 7515 §3.1) with the header `alg`, `typ` and, if the key has one, `kid`.
    ///
    /// # Errors
    /// When the claims cannot be written as JSON, or the library fails.
    pub fn sign_jwt(&self, typ: &str, claims: &impl Serialize) -> Result<String, KeyError> {
        let payload = serde_json::to_vec(claims).map_err(|_| KeyError("the claims are not JSON"))?;
        let other;
        let header = match typ {
            "JWT" => &self.headers[0],
            "at+jwt" => &self.headers[1],
            _ => {
                other = header(self.algorithm, typ, self.kid());
                &other
            }
        };
        // Room for the three parts, the signature being at most that of a 4,096-bit RSA key.
        let mut token = String::with_capacity(header.len() + payload.len() / 3 * 4 + 4 + 688);
        token.push_str(header);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(payload, &mut token);
        let signature = self.sign(token.as_bytes())?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }

    /// The public key as the JWK members that depend on its kind, in the published order (RFC 7518 §6, RFC 8037 §2).
    /// Empty for a secret.
    pub fn public_jwk(&self) -> Map<String, Value> {
        let value = match &self.private {
            Private::Rsa(pair, _) => json!({
                "kty": "RSA",
                "n": URL_SAFE_NO_PAD.encode(pair.public_key().modulus().big_endian_without_leading_zero()),
                "e": URL_SAFE_NO_PAD.encode(pair.public_key().exponent().big_endian_without_leading_zero()),
            }),
            Private::Ec(pair) => {
                // SEC 1 §2.3.3, uncompressed: 4, x, y.
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                json!({ "kty": "EC", "crv": "P-256", "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y) })
            }
            Private::Ed(pair) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(pair.public_key()) })
            }
            Private::Secret(_) => json!({}),
        };
        match value {
            Value::Object(members) => members,
            _ => Map::new(),
        }
    }

    /// The key that verifies what this one signs.
    ///
    /// # Errors
    /// Only when the library refuses its own key.
    pub fn verifying_key(&self) -> Result<VerifyingKey, KeyError> {
        match &self.private {
            Private::Secret(key) => Ok(VerifyingKey::secret(self.kid(), key.clone())),
            _ => VerifyingKey::from_jwk(self.algorithm, self.kid(), &self.public_jwk()),
        }
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey")
            .field("algorithm", &self.algorithm)
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

/// The protected header, encoded.
fn header(algorithm: Algorithm, typ: &str, kid: Option<&str>) -> String {
    #[derive(Serialize)]
    struct Protected<'a> {
        alg: &'static str,
        typ: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        kid: Option<&'a str>,
    }
    let text = serde_json::to_string(&Protected { alg: algorithm.name(), typ, kid });
    URL_SAFE_NO_PAD.encode(text.expect("three strings are always JSON"))
}
