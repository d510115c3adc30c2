//! Tokens that bring their own key: proofs of possession, and nothing else (RFC 9449 §4.2).

use serde_json::{Map, Value};

use super::token::{Parts, check_given_types, refused_members};
use super::{Algorithm, Header, Verified, VerifyingKey, strict, thumbprint};

/// The type of a proof.
const TYPE: &str = "dpop+jwt";

/// The longest proof, in bytes.
const LONGEST: usize = 8 * 1024;

/// Members that only private keys have (RFC 7518 §6).
const PRIVATE: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "k"];

/// The claims of a proof, and the thumbprint of the key that it brings and is signed by. `None` where it is no proof: of another
/// type, with another algorithm than ES256, with a key that is private, or not signed by it.
pub fn verify_proof(token: &str) -> Option<(String, Verified)> {
    let encoded = token.split('.').next().filter(|_| token.len() <= LONGEST)?;
    let members = strict::object(&strict::base64url(encoded)?)?;
    if refused_members().any(|name| name != "jwk" && members.contains_key(name)) {
        return None;
    }
    let is = |name: &str, value: &str| members.get(name).and_then(Value::as_str) == Some(value);
    if !is("typ", TYPE) || !is("alg", Algorithm::ES256.name()) {
        return None;
    }
    let jwk: &Map<String, Value> = members.get("jwk")?.as_object()?;
    if PRIVATE.iter().any(|name| jwk.contains_key(*name)) {
        return None;
    }
    let key = VerifyingKey::from_jwk(Algorithm::ES256, None, jwk).ok()?;
    let header = Header { alg: Algorithm::ES256, kid: None, typ: Some(TYPE.to_owned()) };
    let parts = Parts::with(token, header)?;
    if !parts.verified_by(&key) {
        return None;
    }
    let claims = strict::object(&parts.payload)?;
    check_given_types(&claims).ok()?;
    Some((thumbprint(jwk)?, Verified { header: parts.header, claims }))
}
