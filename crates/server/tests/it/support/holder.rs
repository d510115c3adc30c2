//! Whoever holds a key, and proves it (RFC 9449).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::jose::{Algorithm, SigningKey, thumbprint};
use model::seal::digest;
use serde_json::{Value, json};

use super::{Caller, TestApp};

/// The holder of a key on P-256.
pub struct Holder {
    key: SigningKey,
}

impl Holder {
    /// With a new key.
    pub fn new() -> Self {
        let pkcs8 = SigningKey::generate(Algorithm::ES256).expect("is made");
        Self { key: SigningKey::from_pkcs8(Algorithm::ES256, None, &pkcs8).expect("is a key") }
    }

    /// The thumbprint of the key.
    pub fn thumbprint(&self) -> String {
        thumbprint(&self.key.public_jwk()).expect("has one")
    }

    /// The header of a proof.
    pub fn header(&self) -> Value {
        json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": self.key.public_jwk() })
    }

    /// The claims of a proof about a request to `url`, made now.
    pub fn claims(&self, app: &TestApp, method: &str, url: &str) -> Value {
        json!({ "htm": method, "htu": url, "iat": app.app.clock.now().seconds(), "jti": app.app.random.token() })
    }

    /// A proof of these claims.
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(header), encode(claims));
        let signature = self.key.sign(signed.as_bytes()).expect("signs");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// A caller with a proof for the token endpoint, which holds `nonce` unless that is empty.
    pub fn at_token_endpoint(&self, app: &TestApp, nonce: &str) -> Caller {
        let mut claims = self.claims(app, "POST", &format!("{}oauth/token", app.tenant.issuer));
        if !nonce.is_empty() {
            claims["nonce"] = json!(nonce);
        }
        app.caller().with("dpop", &self.sign(&self.header(), &claims))
    }

    /// A caller that shows a bound token for a request of `method` to `path`.
    pub fn showing(&self, app: &TestApp, token: &str, method: &str, path: &str) -> Caller {
        let url = format!("{}{}", app.tenant.issuer.trim_end_matches('/'), path);
        let mut claims = self.claims(app, method, &url);
        claims["ath"] = json!(URL_SAFE_NO_PAD.encode(digest(token)));
        let proof = self.sign(&self.header(), &claims);
        app.caller().with("authorization", &format!("DPoP {token}")).with("dpop", &proof)
    }
}
