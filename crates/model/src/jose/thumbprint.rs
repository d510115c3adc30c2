//! What names a key by what it is: RFC 7638.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::seal::digest;

/// The SHA-256 thumbprint of a public JWK, base64url (RFC 7638 §3): of its required members alone, in the order of their names. `None`
/// where one is missing, or the key is of a kind that is not known here.
pub fn thumbprint(jwk: &Map<String, Value>) -> Option<String> {
    let members: &[&str] = match jwk.get("kty")?.as_str()? {
        "RSA" => &["e", "kty", "n"],
        "EC" => &["crv", "kty", "x", "y"],
        "OKP" => &["crv", "kty", "x"],
        _ => return None,
    };
    let required: Option<Map<String, Value>> = members
        .iter()
        .map(|name| Some(((*name).to_owned(), jwk.get(*name).filter(|value| value.is_string())?.clone())))
        .collect();
    Some(URL_SAFE_NO_PAD.encode(digest(&Value::Object(required?).to_string())))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_thumbprint_is_of_the_required_members_alone() {
        // RFC 7638 §3.1.
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn6\
                 4tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1\
                 n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        let jwk = json!({ "kty": "RSA", "n": n, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29" });
        let expected = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";
        assert_eq!(thumbprint(jwk.as_object().unwrap()).as_deref(), Some(expected));
    }

    #[test]
    fn a_key_without_a_member_has_none() {
        for jwk in [
            json!({ "kty": "RSA", "n": "x" }),
            json!({ "kty": "oct", "k": "x" }),
            json!({ "kty": "RSA", "n": 1, "e": "x" }),
        ] {
            assert_eq!(thumbprint(jwk.as_object().unwrap()), None, "{jwk}");
        }
    }
}
