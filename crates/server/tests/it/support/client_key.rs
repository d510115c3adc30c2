//! Keys of clients: what they sign assertions and request objects with.

use std::sync::LazyLock;

use model::jose::{Algorithm, SigningKey};
use serde_json::{Value, json};

use super::TestApp;

/// An RSA key of a client.
pub struct ClientKey {
    pkcs8: Vec<u8>,
}

static KEYS: LazyLock<[ClientKey; 2]> = LazyLock::new(|| {
    [(); 2].map(|()| ClientKey { pkcs8: SigningKey::generate(Algorithm::RS256).expect("is made").to_vec() })
});

impl ClientKey {
    /// One of two keys.
    pub fn number(number: usize) -> &'static Self {
        &KEYS[number]
    }

    /// Its public part as PEM.
    pub fn pem(&self) -> String {
        let pair = rcgen::KeyPair::try_from(self.pkcs8.as_slice()).expect("is a key");
        pair.public_key_pem()
    }

    /// Its public part as JWK.
    pub fn jwk(&self) -> Value {
        let key = SigningKey::from_pkcs8(Algorithm::RS256, None, &self.pkcs8).expect("is a key");
        let mut jwk = key.public_jwk();
        jwk.insert("alg".into(), "RS256".into());
        jwk.into()
    }

    /// A token that it signs.
    pub fn sign(&self, algorithm: Algorithm, typ: &str, kid: Option<&str>, claims: &Value) -> String {
        let key = SigningKey::from_pkcs8(algorithm, kid, &self.pkcs8).expect("is a key");
        key.sign_jwt(typ, claims).expect("signs")
    }

    /// An assertion of these claims.
    pub fn assertion(&self, claims: &Value) -> String {
        self.sign(Algorithm::RS256, "JWT", None, claims)
    }
}

/// The claims of a good assertion of `client`, made now.
pub fn assertion_claims(app: &TestApp, client: &str, jti: &str) -> Value {
    let now = app.app.clock.now().seconds();
    json!({ "iss": client, "sub": client, "aud": app.tenant.issuer, "iat": now, "exp": now + 120, "jti": jti })
}

/// A client that proves itself by the first key. It may get tokens of its own.
pub async fn keyed_client(app: &TestApp, id: &str, body: Value) {
    let mut all = json!({
        "name": id,
        "client_authentication_methods": {
            "private_key_jwt": { "credentials": [{ "credential_type": "public_key", "pem": ClientKey::number(0).pem() }] }
        },
    });
    let object = all.as_object_mut().expect("is one");
    object.extend(body.as_object().expect("is one").clone());
    let credentials = model::clients::take_credentials(&app.app.random, app.app.clock.now(), object);
    object.insert("credentials".into(), json!(credentials.expect("are good")));
    app.add_client(id, all).await;
}
