//! Published vectors, another library as the oracle, and a test for each way of cheating.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};

use super::token::verify_jws;
use super::*;
use crate::clock::Timestamp;

const NOW: i64 = 1_700_000_000;
const PUBLIC_KEY_ALGORITHMS: [Algorithm; 4] =
    [Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::EdDSA];

fn now() -> Timestamp {
    Timestamp::from_millis(NOW * 1000)
}

fn key(algorithm: Algorithm) -> (SigningKey, zeroize::Zeroizing<Vec<u8>>) {
    let der = SigningKey::generate(algorithm).unwrap();
    (SigningKey::from_pkcs8(algorithm, Some("k1"), &der).unwrap(), der)
}

fn members(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn claims() -> Value {
    json!({ "iss": "https://t/", "sub": "auth0|a", "aud": "api", "iat": NOW, "exp": NOW + 60 })
}

fn encode(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

/// A token with any header and payload, rightly signed.
fn signed(key: &SigningKey, header: &str, payload: &str) -> String {
    let input = format!("{}.{}", encode(header), encode(payload));
    let signature = URL_SAFE_NO_PAD.encode(key.sign(input.as_bytes()).unwrap());
    format!("{input}.{signature}")
}

/// The name of the outcome.
fn outcome(token: &str, keys: &[VerifyingKey]) -> String {
    verify_jwt(token, keys, now()).map_or_else(|error| format!("{error:?}"), |_| "good".to_owned())
}

// RFC 7515, appendix A.

#[test]
fn rfc_7515_a1_hmac() {
    let secret = URL_SAFE_NO_PAD
        .decode("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")
        .unwrap();
    let token = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.\
        eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.\
        dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let (header, payload) = verify_jws(token, &[VerifyingKey::hs256(None, &secret)]).unwrap();
    assert_eq!(header, Header { alg: Algorithm::HS256, kid: None, typ: Some("JWT".into()) });
    assert_eq!(
        payload,
        b"{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}"
    );
    let resigned =
        SigningKey::hs256(None, &secret).sign(token.rsplit_once('.').unwrap().0.as_bytes()).unwrap();
    assert_eq!(URL_SAFE_NO_PAD.encode(resigned), "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
}

#[test]
fn rfc_7515_a2_rsa() {
    let jwk = members(json!({
        "kty": "RSA",
        "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yR\
              T-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXB\
              dQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9ia\
              GNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
        "e": "AQAB",
    }));
    let token = "eyJhbGciOiJSUzI1NiJ9.\
        eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.\
        cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUA\
        r7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi\
        12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlU\
        PQGe77Rw";
    let key = VerifyingKey::from_jwk(Algorithm::RS256, None, &jwk).unwrap();
    assert!(verify_jws(token, &[key]).is_ok());
}

#[test]
fn rfc_7515_a3_ecdsa() {
    let jwk = members(json!({
        "kty": "EC", "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    }));
    let token = "eyJhbGciOiJFUzI1NiJ9.\
        eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.\
        DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    let key = VerifyingKey::from_jwk(Algorithm::ES256, None, &jwk).unwrap();
    assert!(verify_jws(token, &[key]).is_ok());
}

#[test]
fn rfc_8037_a4_ed25519() {
    let jwk = members(
        json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }),
    );
    let token = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.\
        hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    let key = VerifyingKey::from_jwk(Algorithm::EdDSA, None, &jwk).unwrap();
    assert_eq!(verify_jws(token, &[key]).unwrap().1, b"Example of Ed25519 signing");
}

// Another library.

fn oracle(algorithm: Algorithm) -> jsonwebtoken::Algorithm {
    algorithm.name().parse().unwrap()
}

#[test]
fn another_library_verifies_what_we_sign() {
    for algorithm in PUBLIC_KEY_ALGORITHMS {
        let key = key(algorithm).0;
        let token = key.sign_jwt("at+jwt", &claims()).unwrap();
        let jwk = serde_json::from_value(Value::Object(key.public_jwk())).unwrap();
        let theirs = jsonwebtoken::DecodingKey::from_jwk(&jwk).unwrap();
        let mut validation = jsonwebtoken::Validation::new(oracle(algorithm));
        validation.set_audience(&["api"]);
        validation.validate_exp = false;
        let decoded = jsonwebtoken::decode::<Value>(&token, &theirs, &validation).unwrap();
        assert_eq!(decoded.claims, claims(), "{algorithm:?}");
        assert_eq!(decoded.header.kid.as_deref(), Some("k1"));
        assert_eq!(decoded.header.typ.as_deref(), Some("at+jwt"));
    }
}

#[test]
fn we_verify_what_another_library_signs() {
    for algorithm in PUBLIC_KEY_ALGORITHMS {
        let (key, der) = key(algorithm);
        // For RSA the oracle wants PKCS #1, which is the last octet string of PKCS #8 (RFC 5208 §5).
        let theirs = match algorithm {
            Algorithm::RS256 | Algorithm::PS256 => jsonwebtoken::EncodingKey::from_rsa_der(&der[26..]),
            Algorithm::ES256 => jsonwebtoken::EncodingKey::from_ec_der(&der),
            _ => jsonwebtoken::EncodingKey::from_ed_der(&der),
        };
        let mut header = jsonwebtoken::Header::new(oracle(algorithm));
        header.kid = Some("k1".into());
        let token = jsonwebtoken::encode(&header, &claims(), &theirs).unwrap();
        let verified = verify_jwt(&token, &[key.verifying_key().unwrap()], now()).unwrap();
        assert_eq!(Value::Object(verified.claims), claims(), "{algorithm:?}");
    }
}

#[test]
fn hmac_agrees_with_another_library() {
    let ours = SigningKey::hs256(None, b"secret").sign_jwt("JWT", &claims()).unwrap();
    let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256);
    let theirs =
        jsonwebtoken::encode(&header, &claims(), &jsonwebtoken::EncodingKey::from_secret(b"secret")).unwrap();
    let keys = [VerifyingKey::hs256(None, b"secret")];
    assert_eq!((outcome(&ours, &keys), outcome(&theirs, &keys)), ("good".into(), "good".into()));
    assert_eq!(outcome(&theirs, &[VerifyingKey::hs256(None, b"other")]), "Signature");
}

// What a token says.

#[test]
fn a_verified_token_tells_its_header_and_claims() {
    let key = SigningKey::hs256(Some("k1"), b"secret");
    let token = key.sign_jwt("logout+jwt", &claims()).unwrap();
    let verified = verify_jwt(&token, &[key.verifying_key().unwrap()], now()).unwrap();
    let typ = Some("logout+jwt".to_owned());
    assert_eq!(verified.header, Header { alg: Algorithm::HS256, kid: Some("k1".into()), typ });
    assert_eq!((verified.issuer(), verified.subject()), ("https://t/", "auth0|a"));
    assert_eq!((verified.integer("iat"), verified.text("iat")), (Some(NOW), None));
    assert!(verified.is_for("api") && !verified.is_for("ap"));
    assert_eq!(Value::Object(verified.claims), claims());
}

#[test]
fn an_audience_may_be_one_of_several() {
    let key = SigningKey::hs256(None, b"secret");
    let mut claims = claims();
    claims["aud"] = json!(["api", "userinfo"]);
    let token = key.sign_jwt("JWT", &claims).unwrap();
    let verified = verify_jwt(&token, &[key.verifying_key().unwrap()], now()).unwrap();
    assert!(verified.is_for("api") && verified.is_for("userinfo") && !verified.is_for("other"));
}

// JW-01: the key decides the algorithm.

#[test]
fn an_unsigned_token_is_invalid() {
    let keys = [key(Algorithm::ES256).0.verifying_key().unwrap()];
    for alg in ["none", "None", "nOnE", "NONE", "", "es256", "ES256 ", "HS384", "RS512"] {
        let header = encode(&json!({ "alg": alg, "kid": "k1" }).to_string());
        for signature in ["", "AA"] {
            let token = format!("{header}.{}.{signature}", encode(&claims().to_string()));
            assert_eq!(outcome(&token, &keys), "Invalid", "{alg} {signature:?}");
        }
    }
}

#[test]
fn a_public_key_is_not_a_shared_secret() {
    let rsa = key(Algorithm::RS256).0;
    let jwk = rsa.public_jwk();
    let modulus = jwk["n"].as_str().unwrap();
    let der = URL_SAFE_NO_PAD.decode(modulus).unwrap();
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(&der));
    let document = Value::Object(jwk.clone()).to_string();
    let keys = [rsa.verifying_key().unwrap()];
    for secret in [pem.as_bytes(), &der, document.as_bytes(), modulus.as_bytes(), b""] {
        let forged = SigningKey::hs256(Some("k1"), secret).sign_jwt("JWT", &claims()).unwrap();
        assert_eq!(outcome(&forged, &keys), "Invalid");
    }
}

#[test]
fn a_key_verifies_its_own_algorithm_only() {
    let der = SigningKey::generate(Algorithm::RS256).unwrap();
    let [pkcs1, pss] = [Algorithm::RS256, Algorithm::PS256]
        .map(|algorithm| SigningKey::from_pkcs8(algorithm, Some("k1"), &der).unwrap());
    let token = pss.sign_jwt("JWT", &claims()).unwrap();
    assert_eq!(outcome(&token, &[pkcs1.verifying_key().unwrap()]), "Invalid");
    let renamed = signed(&pss, r#"{"alg":"RS256","kid":"k1"}"#, &claims().to_string());
    assert_eq!(outcome(&renamed, &[pkcs1.verifying_key().unwrap()]), "Signature");
    assert_eq!(outcome(&token, &[pss.verifying_key().unwrap()]), "good");
}

// JW-02: the key's id.

#[test]
fn the_kid_is_a_known_string() {
    let key = SigningKey::hs256(Some("k1"), b"secret");
    let keys = [key.verifying_key().unwrap()];
    let with =
        |kid: Value| signed(&key, &json!({ "alg": "HS256", "kid": kid }).to_string(), &claims().to_string());
    assert_eq!(outcome(&with(json!("k1")), &keys), "good");
    for kid in [
        json!("k2"),
        json!("K1"),
        json!(""),
        json!("k1 "),
        json!("../../dev/null"),
        json!("' UNION SELECT 'k1"),
        json!("x".repeat(10_000)),
        json!(1),
        json!(["k1"]),
        json!({ "k1": 1 }),
        json!(null),
        json!(true),
    ] {
        assert_eq!(outcome(&with(kid.clone()), &keys), "Invalid", "{kid}");
    }
    let absent = signed(&key, r#"{"alg":"HS256"}"#, &claims().to_string());
    assert_eq!(outcome(&absent, &keys), "Invalid");
    assert_eq!(outcome(&with(json!("k1")), &[VerifyingKey::hs256(None, b"secret")]), "Invalid");
    assert_eq!(outcome(&with(json!("k1")), &[]), "Invalid");
}

// JW-03: headers that bring keys or change meanings.

#[test]
fn headers_that_bring_keys_or_change_meanings_are_refused() {
    let key = SigningKey::hs256(Some("k1"), b"secret");
    let keys = [key.verifying_key().unwrap()];
    let with = |name: &str, value: Value| {
        let mut header = json!({ "alg": "HS256", "kid": "k1" });
        header[name] = value;
        outcome(&signed(&key, &header.to_string(), &claims().to_string()), &keys)
    };
    for (name, value) in [
        ("jwk", json!({ "kty": "oct", "k": "c2VjcmV0" })),
        ("jku", json!("https://evil.test/jwks")),
        ("x5u", json!("https://evil.test/x5u")),
        ("x5c", json!(["MIIB"])),
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("b64", json!(false)),
        ("b64", json!(true)),
        ("zip", json!("DEF")),
        ("enc", json!("A256GCM")),
        ("epk", json!({})),
        ("p2s", json!("c2FsdA")),
        ("p2c", json!(2_147_483_647)),
    ] {
        assert_eq!(with(name, value.clone()), "Invalid", "{name} {value}");
        assert_eq!(with(name, Value::Null), "Invalid", "{name} null");
    }
    for (name, value) in [("typ", json!(1)), ("typ", json!(null)), ("alg", json!(["HS256"]))] {
        assert_eq!(with(name, value.clone()), "Invalid", "{name} {value}");
    }
    assert_eq!(with("x5t", json!("AAAA")), "good", "a member that changes nothing is ignored");
}

#[test]
fn encrypted_tokens_and_duplicate_headers_are_refused() {
    let key = SigningKey::hs256(Some("k1"), b"secret");
    let keys = [key.verifying_key().unwrap()];
    let pbes2 = encode(r#"{"alg":"PBES2-HS256+A128KW","enc":"A256GCM","p2s":"c2FsdA","p2c":2147483647}"#);
    assert_eq!(outcome(&format!("{pbes2}.a.b.c.d"), &keys), "Malformed");
    assert_eq!(outcome(&format!("{pbes2}.AA.AA"), &keys), "Invalid");
    for header in [
        r#"{"alg":"HS256","alg":"HS256","kid":"k1"}"#,
        r#"{"alg":"HS256","kid":"k2","kid":"k1"}"#,
        r#"["HS256"]"#,
        r#""HS256""#,
        "",
    ] {
        assert_eq!(outcome(&signed(&key, header, &claims().to_string()), &keys), "Invalid", "{header}");
    }
}

// JW-04: claims have their types.

/// The outcome for the usual claims with one replaced, or removed.
fn with_claim(name: &str, value: Option<Value>) -> String {
    let key = SigningKey::hs256(None, b"secret");
    let mut claims = members(claims());
    match value {
        Some(value) => claims.insert(name.to_owned(), value),
        None => claims.shift_remove(name),
    };
    outcome(&key.sign_jwt("JWT", &claims).unwrap(), &[key.verifying_key().unwrap()])
}

#[test]
fn times_are_whole_seconds() {
    for name in ["exp", "nbf", "iat", "auth_time"] {
        let text = NOW.to_string();
        for value in [
            json!(text),
            json!(NOW as f64 + 0.5),
            json!(NOW as f64),
            json!(-1),
            json!(1e30),
            json!(u64::MAX),
            json!(i64::MAX),
            json!(null),
            json!([NOW]),
            json!({}),
            json!(true),
        ] {
            assert_eq!(with_claim(name, Some(value.clone())), "Invalid", "{name} {value}");
        }
    }
}

#[test]
fn required_claims_are_there_and_have_their_types() {
    for name in ["iss", "sub", "aud", "exp"] {
        assert_eq!(with_claim(name, None), "Invalid", "without {name}");
    }
    for name in ["iss", "sub", "jti", "azp", "client_id", "scope", "nonce", "sid", "gty", "org_id"] {
        for value in [json!(1), json!(null), json!(["x"]), json!({}), json!(true)] {
            assert_eq!(with_claim(name, Some(value.clone())), "Invalid", "{name} {value}");
        }
    }
    for value in
        [json!([]), json!(["api", 1]), json!([null]), json!([["api"]]), json!({ "api": 1 }), json!(1)]
    {
        assert_eq!(with_claim("aud", Some(value.clone())), "Invalid", "aud {value}");
    }
    assert_eq!(with_claim("aud", Some(json!(["api", "other"]))), "good");
    assert_eq!(with_claim("iat", None), "good");
}

#[test]
fn a_token_is_good_until_its_last_second() {
    for (name, value, expected) in [
        ("exp", NOW + 1, "good"),
        ("exp", NOW, "Expired"),
        ("exp", 0, "Expired"),
        ("iat", NOW + 60, "good"),
        ("iat", NOW + 61, "Invalid"),
        ("nbf", NOW - 1, "good"),
        ("nbf", NOW + 60, "good"),
        ("nbf", NOW + 61, "Invalid"),
        ("auth_time", NOW - 99, "good"),
    ] {
        assert_eq!(with_claim(name, Some(json!(value))), expected, "{name} {}", value - NOW);
    }
    let key = SigningKey::hs256(None, b"secret");
    let token = key.sign_jwt("JWT", &claims()).unwrap();
    let later = now().plus_seconds(3600);
    let error = verify_jwt(&token, &[key.verifying_key().unwrap()], later).unwrap_err();
    assert!(matches!(error, VerifyError::Expired));
}

#[test]
fn a_hint_may_be_expired_and_nothing_else() {
    let key = SigningKey::hs256(None, b"secret");
    let keys = [key.verifying_key().unwrap()];
    let hint = |claims: Value| {
        let token = key.sign_jwt("JWT", &claims).unwrap();
        verify_jwt_of_any_age(&token, &keys, now().plus_seconds(86_400 * 365)).is_ok()
    };
    assert!(hint(claims()));
    assert!(!hint(json!({ "iss": "https://t/", "sub": "auth0|a", "aud": "api", "exp": NOW.to_string() })));
    assert!(!hint(json!({ "iss": "https://t/", "sub": "auth0|a", "aud": "api" })));
    let forged = SigningKey::hs256(None, b"other").sign_jwt("JWT", &claims()).unwrap();
    assert!(matches!(verify_jwt_of_any_age(&forged, &keys, now()), Err(VerifyError::Signature)));
}

#[test]
fn duplicate_claims_are_refused() {
    let key = SigningKey::hs256(None, b"secret");
    let keys = [key.verifying_key().unwrap()];
    let payload = claims().to_string();
    let twice = payload.replacen('{', r#"{"sub":"auth0|b","#, 1);
    assert_eq!(outcome(&signed(&key, r#"{"alg":"HS256"}"#, &payload), &keys), "good");
    assert_eq!(outcome(&signed(&key, r#"{"alg":"HS256"}"#, &twice), &keys), "Invalid");
    for payload in ["", "[]", "null", "{", "\u{feff}{}"] {
        assert_eq!(outcome(&signed(&key, r#"{"alg":"HS256"}"#, payload), &keys), "Invalid", "{payload}");
    }
}

// JW-05: one token has one spelling.

#[test]
fn a_token_has_three_parts() {
    for text in ["", "a", "a.b", "a.b.c.d", "a.b.c.", ".a.b.c", "v1.MabcDEF", "eyJhbGciOiJkaXIifQ"] {
        assert_eq!(outcome(text, &[]), "Malformed", "{text}");
    }
    assert_eq!(outcome("..", &[]), "Invalid");
}

#[test]
fn other_spellings_of_a_good_token_are_refused() {
    let key = SigningKey::hs256(None, b"secret");
    let keys = [key.verifying_key().unwrap()];
    let token = key.sign_jwt("JWT", &claims()).unwrap();
    assert_eq!(outcome(&token, &keys), "good");
    // 32 bytes are 43 characters, of which the last has two unused bits.
    let last = token.chars().last().unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let at = alphabet.find(last).unwrap();
    for other in (1..4).map(|bits| &alphabet[at + bits..=at + bits]) {
        let respelled = format!("{}{other}", &token[..token.len() - 1]);
        assert_eq!(outcome(&respelled, &keys), "Invalid", "unused bits {other}");
    }
    for respelled in [
        format!("{token}="),
        format!("{token}\n"),
        format!(" {token}"),
        token.replace('.', " ."),
        token.replacen('.', "=.", 1),
        format!("{token}{}", "A".repeat(70_000)),
    ] {
        assert_eq!(outcome(&respelled, &keys), "Invalid", "{}", &respelled[..20]);
    }
    let standard = STANDARD.encode([0xfb; 33]);
    let (input, _) = token.rsplit_once('.').unwrap();
    assert_eq!(outcome(&format!("{input}.{standard}"), &keys), "Invalid", "standard alphabet");
}

#[test]
fn a_changed_token_or_signature_is_refused() {
    for algorithm in PUBLIC_KEY_ALGORITHMS {
        let key = key(algorithm).0;
        let keys = [key.verifying_key().unwrap()];
        let token = key.sign_jwt("JWT", &claims()).unwrap();
        let (input, signature) = token.rsplit_once('.').unwrap();
        let (header, _) = input.split_once('.').unwrap();
        let mut other = claims();
        other["sub"] = json!("auth0|b");
        let forged = format!("{header}.{}.{signature}", encode(&other.to_string()));
        assert_eq!(outcome(&forged, &keys), "Signature", "{algorithm:?}");
        let length = URL_SAFE_NO_PAD.decode(signature).unwrap().len();
        for bytes in [vec![], vec![0; length], vec![0xff; length], vec![0; length - 1], vec![1; length + 1]] {
            let forged = format!("{input}.{}", URL_SAFE_NO_PAD.encode(bytes));
            assert_eq!(outcome(&forged, &keys), "Signature", "{algorithm:?}");
        }
        assert_eq!(outcome(&token, &keys), "good");
    }
}

#[test]
fn an_ecdsa_signature_is_two_numbers_and_not_asn1() {
    let der = SigningKey::generate(Algorithm::ES256).unwrap();
    let key = SigningKey::from_pkcs8(Algorithm::ES256, None, &der).unwrap();
    let input = format!("{}.{}", encode(r#"{"alg":"ES256"}"#), encode(&claims().to_string()));
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &der).unwrap();
    let asn1 = pair.sign(&aws_lc_rs::rand::SystemRandom::new(), input.as_bytes()).unwrap();
    let token = format!("{input}.{}", URL_SAFE_NO_PAD.encode(asn1));
    assert_eq!(outcome(&token, &[key.verifying_key().unwrap()]), "Signature");
}

// Keys.

#[test]
fn keys_of_another_kind_are_rejected() {
    let ec = SigningKey::generate(Algorithm::ES256).unwrap();
    for algorithm in [Algorithm::RS256, Algorithm::PS256, Algorithm::EdDSA, Algorithm::HS256] {
        assert!(SigningKey::from_pkcs8(algorithm, None, &ec).is_err(), "{algorithm:?}");
    }
    assert!(SigningKey::generate(Algorithm::HS256).is_err());
    let jwk = key(Algorithm::ES256).0.public_jwk();
    for algorithm in [Algorithm::RS256, Algorithm::EdDSA, Algorithm::HS256] {
        assert!(VerifyingKey::from_jwk(algorithm, None, &jwk).is_err(), "{algorithm:?}");
    }
    for (name, value) in [
        ("alg", json!("ES384")),
        ("crv", json!("P-384")),
        ("x", json!("AAAA")),
        ("y", json!(jwk["x"])),
        ("y", json!(1)),
        ("x", json!(format!("{}=", jwk["x"].as_str().unwrap()))),
    ] {
        let mut changed = jwk.clone();
        changed.insert(name.to_owned(), value);
        assert!(VerifyingKey::from_jwk(Algorithm::ES256, None, &changed).is_err(), "{name}");
    }
}

#[test]
fn an_rsa_key_has_2048_bits_or_more() {
    let parsed = |bytes: usize| {
        let jwk =
            members(json!({ "kty": "RSA", "n": URL_SAFE_NO_PAD.encode(vec![0xff; bytes]), "e": "AQAB" }));
        VerifyingKey::from_jwk(Algorithm::RS256, None, &jwk)
    };
    assert!(parsed(128).is_err() && parsed(255).is_err() && parsed(256).is_ok());
}

#[test]
fn nothing_private_is_shown() {
    for algorithm in PUBLIC_KEY_ALGORITHMS {
        let key = key(algorithm).0;
        let jwk = key.public_jwk();
        for name in ["d", "p", "q", "dp", "dq", "qi", "k"] {
            assert!(!jwk.contains_key(name));
        }
        assert_eq!(
            format!("{key:?}"),
            format!("SigningKey {{ algorithm: {algorithm:?}, kid: Some(\"k1\"), .. }}")
        );
    }
    assert!(SigningKey::hs256(None, b"secret").public_jwk().is_empty());
}

#[test]
fn a_token_is_bound_by_the_left_half_of_its_hash() {
    // OIDC Core, Appendix A.4: the code and c_hash of the example.
    let code = "Qcb0Orv1zh30vL1MPRsbm-diHiMwcLyZvn1arpZv-Jxf_11jnpEX3Tgfvk";
    for algorithm in [Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::HS256] {
        assert_eq!(half_hash(algorithm, code), "LDktKdoQak3Pk0cnXxCltA");
    }
    let lengths = [Algorithm::RS384, Algorithm::RS512, Algorithm::EdDSA]
        .map(|algorithm| half_hash(algorithm, code).len());
    assert_eq!(lengths, [32, 43, 43]);
}
