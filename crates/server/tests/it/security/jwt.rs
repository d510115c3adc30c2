//! JW: a token is a JWS of one of this tenant's keys, in its one encoding, with claims of their types; at the Management API and at
//! `/userinfo` alike.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use model::jose::{Algorithm, SigningKey};
use serde_json::{Map, Value, json};

use super::refusals::{Attempt, bad_header, bad_token, refusal};
use crate::support::app::NOW;
use crate::support::{Caller, TestApp};

const ALICE: &str = "/api/v2/users/auth0%7Calice";

/// A tenant's key in the hands of somebody who writes headers and claims as they like.
struct Forger {
    app: TestApp,
    key: Arc<SigningKey>,
    kid: String,
    claims: Map<String, Value>,
}

impl Forger {
    /// With alice, and the claims of a good token of hers for both endpoints.
    async fn new(app: TestApp) -> Self {
        app.add_user("auth0|alice").await;
        let app = app.without_limits();
        let key = app.app.keys.current(&app.app, &app.tenant.id, Algorithm::RS256).await.expect("has keys");
        let both = json!([app.tenant.management_audience(), app.tenant.userinfo_audience()]);
        let token = app.token("auth0|alice", "openid profile read:current_user").claiming("aud", both);
        let kid = key.kid().expect("it has an id").to_owned();
        let forger = Self { key, kid, claims: token.claims.expect("has claims"), app };
        forger.assert_good(&forger.with_claims(json!({}))).await;
        forger
    }

    fn header(&self) -> Map<String, Value> {
        let header = json!({ "alg": "RS256", "typ": "JWT", "kid": self.kid });
        header.as_object().expect("is one").clone()
    }

    /// A token of these texts, signed by the tenant's key.
    fn sign(&self, header: &str, claims: &str) -> String {
        signed(&self.key, header, claims)
    }

    /// A good token but for these members of its header; `null` is a value here.
    fn with_header(&self, members: Value) -> String {
        let mut header = self.header();
        header.extend(members.as_object().expect("is one").clone());
        self.sign(&Value::Object(header).to_string(), &Value::Object(self.claims.clone()).to_string())
    }

    /// A good token but for these claims; `null` is a value here.
    fn with_claims(&self, claims: Value) -> String {
        let mut all = self.claims.clone();
        all.extend(claims.as_object().expect("is one").clone());
        self.sign(&Value::Object(self.header()).to_string(), &Value::Object(all).to_string())
    }

    /// A good token without a claim.
    fn without_claim(&self, name: &str) -> String {
        let mut claims = self.claims.clone();
        assert!(claims.shift_remove(name).is_some(), "{name}");
        self.sign(&Value::Object(self.header()).to_string(), &Value::Object(claims).to_string())
    }

    fn bearer(&self, token: &str) -> Caller {
        self.app.caller().with("authorization", &format!("Bearer {token}"))
    }

    async fn assert_good(&self, token: &str) {
        let caller = self.bearer(token);
        let (user, userinfo) = (caller.get(ALICE).await, caller.get("/userinfo").await);
        assert_eq!((user.status, &user.body["user_id"]), (200, &json!("auth0|alice")), "{}", user.text);
        assert_eq!(
            (userinfo.status, &userinfo.body["sub"]),
            (200, &json!("auth0|alice")),
            "{}",
            userinfo.text
        );
    }

    /// Both endpoints refuse it, with what the Management API has to say, and read nothing of any user.
    async fn assert_refused(&self, token: &str, expected: &Value) {
        let caller = self.bearer(token);
        Attempt::get(ALICE).refused(&self.app, &caller, expected).await;
        let db = &self.app.app.db;
        db.statements();
        let user = caller.get(ALICE).await;
        let ran = db.statements();
        let userinfo = caller.get("/userinfo").await;
        assert_eq!((userinfo.status, &*userinfo.text), (401, "Unauthorized"), "{token}");
        assert!(
            userinfo
                .header("www-authenticate")
                .starts_with("Bearer realm=\"Users\", error=\"invalid_token\"")
        );
        assert_eq!(&user.body, expected, "{token}");
        assert!(!ran.iter().any(|sql| sql.contains("FROM users")), "{token}: {ran:?}");
    }

    async fn assert_invalid(&self, token: &str) {
        self.assert_refused(token, &bad_token("Invalid token")).await;
    }

    async fn assert_bad_signature(&self, token: &str) {
        self.assert_refused(token, &bad_token("Invalid signature received for JSON Web Token validation"))
            .await;
    }
}

/// A token of these texts.
fn signed(key: &SigningKey, header: &str, claims: &str) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = key.sign(message.as_bytes()).expect("signs");
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// Somebody who listens, and whom nobody calls.
struct Canary(TcpListener);

impl Canary {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
        listener.set_nonblocking(true).expect("can wait");
        Self(listener)
    }

    fn url(&self) -> String {
        format!("http://{}/keys", self.0.local_addr().expect("is bound"))
    }

    fn assert_silent(&self) {
        let called = self.0.accept().expect_err("nobody calls");
        assert_eq!(called.kind(), ErrorKind::WouldBlock);
    }
}

/// The public key as programs write it: SPKI and PKCS #1 in DER, both in PEM, the certificate, the JWK, the modulus.
fn public_forms(jwk: &Value) -> Vec<Vec<u8>> {
    let bytes =
        |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().expect("is text")).expect("is base64url");
    let (n, e) = (bytes("n"), bytes("e"));
    let tagged = |tag: u8, content: &[u8]| {
        let length = u16::try_from(content.len()).expect("is short");
        let length = match length {
            0..128 => vec![length as u8],
            128..256 => vec![0x81, length as u8],
            _ => [&[0x82][..], &length.to_be_bytes()].concat(),
        };
        [&[tag][..], &length, content].concat()
    };
    let integer =
        |bytes: &[u8]| tagged(2, &if bytes[0] < 128 { bytes.to_vec() } else { [&[0], bytes].concat() });
    let pkcs1 = tagged(0x30, &[integer(&n), integer(&e)].concat());
    let rsa = [0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 1, 5, 0];
    let spki = tagged(0x30, &[&rsa[..], &tagged(3, &[&[0][..], &pkcs1].concat())].concat());
    let pem = |label: &str, der: &[u8]| {
        let text = STANDARD.encode(der);
        let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line)).collect();
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----", lines.join("\n"))
    };
    let certificate = STANDARD.decode(jwk["x5c"][0].as_str().expect("is text")).expect("is base64");
    let mut forms = Vec::new();
    for (label, der) in [("PUBLIC KEY", &spki), ("RSA PUBLIC KEY", &pkcs1), ("CERTIFICATE", &certificate)] {
        let text = pem(label, der);
        forms.extend([
            der.clone(),
            text.clone().into_bytes(),
            format!("{text}\n").into_bytes(),
            STANDARD.encode(der).into_bytes(),
        ]);
    }
    forms.extend([
        jwk.to_string().into_bytes(),
        n,
        jwk["n"].as_str().expect("is text").as_bytes().to_vec(),
        Vec::new(),
    ]);
    forms
}

both_databases! {
    /// RFC 8725 §3.1: the key's algorithm decides, not the token's header.
    async fn jw_01_the_algorithm_is_the_keys_own(app: TestApp) {
        let forger = Forger::new(app).await;
        let claims = Value::Object(forger.claims.clone()).to_string();
        let good = forger.with_claims(json!({}));
        let (_, own) = good.rsplit_once('.').expect("has parts");
        for alg in ["none", "None", "NONE", "nOnE", "", "RS384", "RS512", "PS256", "ES256", "EdDSA", "HS256", "rs256", "RS256 "] {
            for header in [json!({ "alg": alg, "typ": "JWT", "kid": forger.kid }), json!({ "alg": alg }), json!({ "alg": alg, "typ": "JWT", "kid": null })] {
                let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(&claims));
                for signature in ["", own] {
                    forger.assert_invalid(&format!("{message}.{signature}")).await;
                }
                forger.assert_invalid(&forger.sign(&header.to_string(), &claims)).await;
            }
        }
        for alg in [json!(null), json!(1), json!(["RS256"]), json!({ "RS256": true })] {
            forger.assert_invalid(&forger.with_header(json!({ "alg": alg }))).await;
        }
        forger.assert_invalid(&forger.sign(&json!({ "typ": "JWT", "kid": forger.kid }).to_string(), &claims)).await;

        let keys = forger.app.caller().get("/.well-known/jwks.json").await.body;
        let keys = keys["keys"].as_array().expect("is a list");
        let jwk = keys.iter().find(|jwk| jwk["kid"] == forger.kid).expect("it is published");
        let secrets = public_forms(jwk).into_iter().chain([b"spa-secret".to_vec(), b"m2m-secret".to_vec(), forger.kid.clone().into_bytes()]);
        for secret in secrets {
            let mac = SigningKey::hs256(None, &secret);
            for header in [json!({ "alg": "HS256", "typ": "JWT", "kid": forger.kid }), json!({ "alg": "HS256" })] {
                forger.assert_invalid(&signed(&mac, &header.to_string(), &claims)).await;
            }
            let confused = json!({ "alg": "RS256", "typ": "JWT", "kid": forger.kid });
            forger.assert_bad_signature(&signed(&mac, &confused.to_string(), &claims)).await;
        }
    }

    /// A key is looked up among the tenant's own by its exact id, and nowhere else.
    async fn jw_02_a_key_is_named_by_its_exact_id(app: TestApp) {
        let forger = Forger::new(app).await;
        let claims = Value::Object(forger.claims.clone()).to_string();
        let theirs = forger.app.app.keys.current(&forger.app.app, &forger.app.other.id, Algorithm::RS256).await.expect("has keys");
        let kids = [
            json!("unknown"),
            json!(""),
            json!("../../dev/null"),
            json!("/dev/null"),
            json!("file:///dev/null"),
            json!("' UNION SELECT jwk FROM signing_keys --"),
            json!("'; DROP TABLE signing_keys; --"),
            json!("\u{0}"),
            json!(format!("{}\u{0}", forger.kid)),
            json!(format!(" {}", forger.kid)),
            json!(format!("{}/", forger.kid)),
            json!(forger.kid.to_uppercase()),
            json!("k".repeat(10 * 1024)),
            json!(theirs.kid()),
            json!(7),
            json!(null),
            json!(true),
            json!([forger.kid]),
            json!({ "kid": forger.kid }),
        ];
        for kid in kids {
            forger.assert_invalid(&forger.with_header(json!({ "kid": kid }))).await;
        }
        forger.assert_invalid(&forger.sign(r#"{"alg":"RS256","typ":"JWT"}"#, &claims)).await;
        let twice = format!(r#"{{"alg":"RS256","typ":"JWT","kid":"{0}","kid":"{0}"}}"#, forger.kid);
        forger.assert_invalid(&forger.sign(&twice, &claims)).await;
        // The id of another key that is good: its signature decides.
        let published = forger.app.app.keys.list(&forger.app.app, &forger.app.tenant.id).await.expect("reads");
        let next = published.iter().find(|key| key.kid != forger.kid).expect("there is a next key");
        forger.assert_bad_signature(&forger.with_header(json!({ "kid": next.kid }))).await;
        let header = Value::Object(forger.header()).to_string();
        forger.assert_bad_signature(&signed(&theirs, &header, &claims)).await;
    }

    /// A token brings no key, no place to fetch one, and no other way to be read.
    async fn jw_03_a_header_brings_neither_keys_nor_rules(app: TestApp) {
        let forger = Forger::new(app).await;
        let (header, claims) = (Value::Object(forger.header()), Value::Object(forger.claims.clone()).to_string());
        let canary = Canary::new();
        let url = canary.url();
        let pkcs8 = SigningKey::generate(Algorithm::RS256).expect("generates");
        let evil = SigningKey::from_pkcs8(Algorithm::RS256, Some("evil"), &pkcs8).expect("is a key");
        let mut jwk = evil.public_jwk();
        jwk.insert("kid".into(), "evil".into());
        let members = [
            json!({ "jwk": jwk }),
            json!({ "jku": url }),
            json!({ "x5u": url }),
            json!({ "x5c": ["MIIB"] }),
            json!({ "jku": url, "x5u": url, "jwk": jwk, "x5c": [] }),
            json!({ "crit": ["exp"], "exp": 1 }),
            json!({ "crit": [] }),
            json!({ "crit": ["http://example.invalid/unknown"], "http://example.invalid/unknown": true }),
            json!({ "b64": false, "crit": ["b64"] }),
            json!({ "b64": false }),
            json!({ "zip": "DEF" }),
            json!({ "enc": "A256GCM" }),
            json!({ "alg": "PBES2-HS256+A128KW", "enc": "A128GCM", "p2s": "c2FsdA", "p2c": 2_147_483_647 }),
            json!({ "p2c": 2_147_483_647 }),
            json!({ "alg": "dir", "enc": "A256GCM" }),
        ];
        for members in members {
            forger.assert_invalid(&forger.with_header(members.clone())).await;
            for kid in ["evil", &forger.kid] {
                let mut theirs = header.as_object().expect("is one").clone();
                theirs.insert("kid".into(), kid.into());
                theirs.extend(members.as_object().expect("is one").clone());
                forger.assert_invalid(&signed(&evil, &Value::Object(theirs).to_string(), &claims)).await;
            }
        }
        forger.assert_bad_signature(&signed(&evil, &header.to_string(), &claims)).await;
        for header in ["[]", "null", "\"RS256\"", "", "{", "{}", "{\"alg\":\"RS256\"} {}", "\u{feff}{}"] {
            forger.assert_invalid(&forger.sign(header, &claims)).await;
        }
        for encrypted in [
            json!({ "alg": "RSA-OAEP", "enc": "A256GCM", "kid": forger.kid }),
            json!({ "alg": "PBES2-HS256+A128KW", "enc": "A128GCM", "p2s": "c2FsdA", "p2c": 2_147_483_647 }),
        ] {
            let header = URL_SAFE_NO_PAD.encode(encrypted.to_string());
            forger.assert_refused(&format!("{header}.AAAA.AAAA.AAAA.AAAA"), &bad_header()).await;
        }
        // What is signed for another purpose says so.
        for typ in ["logout+jwt", "secevent+jwt", "dpop+jwt", "JWE", ""] {
            forger.assert_invalid(&forger.with_header(json!({ "typ": typ }))).await;
        }
        forger.assert_good(&forger.with_header(json!({ "typ": "at+jwt" }))).await;
        forger.assert_good(&forger.with_header(json!({ "made_up": [1, { "a": null }] }))).await;
        canary.assert_silent();
    }

    /// A claim of a wrong type is a failure, not an absence.
    async fn jw_04_claims_have_their_types(app: TestApp) {
        let forger = Forger::new(app).await;
        let now = NOW.seconds();
        let wrong = |moment: i64| [
            json!(moment.to_string()),
            json!(moment as f64 + 0.5),
            json!(moment as f64),
            json!(-moment),
            json!(-1),
            json!(1e30),
            json!(u64::MAX),
            json!(null),
            json!([moment]),
            json!({ "at": moment }),
            json!(true),
        ];
        for (claim, moment) in [("exp", now + 3600), ("nbf", now - 60), ("iat", now), ("auth_time", now)] {
            for value in wrong(moment) {
                forger.assert_invalid(&forger.with_claims(json!({ claim: value }))).await;
            }
            forger.assert_good(&forger.with_claims(json!({ claim: moment }))).await;
        }
        for claim in ["exp", "aud", "sub", "iss", "iat", "azp"] {
            // Without `azp` it is no access token of a client.
            forger.assert_invalid(&forger.without_claim(claim)).await;
        }
        for claim in ["sub", "iss", "azp", "scope", "jti", "gty"] {
            for value in [json!(null), json!(7), json!(["auth0|alice"]), json!({ "x": 1 }), json!(true)] {
                forger.assert_invalid(&forger.with_claims(json!({ claim: value }))).await;
            }
        }
        let (api, userinfo) = (forger.app.tenant.management_audience(), forger.app.tenant.userinfo_audience());
        for audience in [json!(null), json!(7), json!({ "x": api }), json!([api, 7]), json!([api, null]), json!([]), json!([[api, userinfo]])] {
            forger.assert_invalid(&forger.with_claims(json!({ "aud": audience }))).await;
        }
        let bad_audience = refusal(401, "Unauthorized", "Bad audience: https://id.test/api/v2/", "");
        for audience in [
            json!(["https://api.test/"]),
            json!(api.trim_end_matches('/')),
            json!(api.to_uppercase()),
            json!(format!("{api} ")),
            json!(format!("{api},{userinfo}")),
            json!("https://other.test/api/v2/"),
        ] {
            forger.assert_refused(&forger.with_claims(json!({ "aud": audience })), &bad_audience).await;
        }
        for issuer in ["https://id.test", "https://ID.test/", "http://id.test/", "https://other.test/", "https://id.test/x", ""] {
            forger.assert_invalid(&forger.with_claims(json!({ "iss": issuer }))).await;
        }
        for subject in ["", "alice", "auth0", "spa", "@clients", "m2m@clients", "spa@clients@clients"] {
            forger.assert_invalid(&forger.with_claims(json!({ "sub": subject }))).await;
        }
        let expired = bad_token("Expired token received for JSON Web Token validation");
        for claims in [json!({ "exp": now }), json!({ "exp": now - 1 }), json!({ "exp": 0 }), json!({ "exp": 1, "iat": 0 })] {
            forger.assert_refused(&forger.with_claims(claims), &expired).await;
        }
        let present = forger.app.app.clock.now().seconds();
        for claims in [json!({ "iat": present + 3600 }), json!({ "nbf": present + 3600 }), json!({ "exp": 253_402_300_800_i64 })] {
            forger.assert_invalid(&forger.with_claims(claims)).await;
        }
        let header = Value::Object(forger.header()).to_string();
        let claims = Value::Object(forger.claims.clone()).to_string();
        for text in [
            claims.replacen('{', r#"{"sub":"auth0|bob","#, 1),
            claims.replacen('{', r#"{"exp":1,"#, 1),
            claims.replacen('{', r#"{"x":{"a":1,"a":2},"#, 1),
            format!("{claims}{claims}"),
            format!("[{claims}]"),
            "null".into(),
            String::new(),
            format!("{{\"x\":{}1{},{}", "[".repeat(4_000), "]".repeat(4_000), &claims[1..]),
        ] {
            forger.assert_invalid(&forger.sign(&header, &text)).await;
        }
    }

    /// RFC 7515 §2: base64url without padding, of which each value has one spelling.
    async fn jw_05_a_token_has_one_spelling(app: TestApp) {
        let forger = Forger::new(app).await;
        let good = forger.with_claims(json!({ "x": "~~~???>>>" }));
        forger.assert_good(&good).await;
        let parts: Vec<_> = good.split('.').collect();
        let spelled = |place: usize, part: String| {
            let mut parts: Vec<_> = parts.iter().map(|part| (*part).to_owned()).collect();
            parts[place] = part;
            parts.join(".")
        };
        for (place, part) in parts.iter().enumerate() {
            let bytes = URL_SAFE_NO_PAD.decode(part).expect("is base64url");
            let padded = URL_SAFE.encode(&bytes);
            let padded = if padded == *part { format!("{part}=") } else { padded };
            forger.assert_invalid(&spelled(place, padded)).await;
            let standard = STANDARD.encode(&bytes).trim_end_matches('=').to_owned();
            if standard != *part {
                forger.assert_invalid(&spelled(place, standard)).await;
            }
            for mark in ["\t", "%", "!", "=", "A====", ","] {
                forger.assert_invalid(&spelled(place, format!("{part}{mark}"))).await;
                forger.assert_invalid(&spelled(place, format!("{mark}{part}"))).await;
            }
            if let Some(other) = same_bytes(part) {
                forger.assert_invalid(&spelled(place, other)).await;
            }
        }
        // The signature is of 256 bytes: its last character has bits that mean nothing.
        assert!(same_bytes(parts[2]).is_some());
        for not_three in [
            format!("{good}."),
            format!("{good}.{}", parts[2]),
            format!(".{good}"),
            format!("{}.{}", parts[0], parts[1]),
            parts[0].to_owned(),
            good.replace('.', ""),
            good.replace('.', "%2E"),
            ".".to_owned(),
            format!("{good} x"),
            format!("{good}\u{e9}"),
            format!("{} .{}.{}", parts[0], parts[1], parts[2]),
        ] {
            forger.assert_refused(&not_three, &bad_header()).await;
        }
        for empty in ["..".to_owned(), format!(".{}.{}", parts[1], parts[2])] {
            forger.assert_invalid(&empty).await;
        }
        for empty in [format!("{}..", parts[0]), format!("{}..{}", parts[0], parts[2])] {
            forger.assert_bad_signature(&empty).await;
        }
        forger.assert_bad_signature(&spelled(2, String::new())).await;
        forger.assert_bad_signature(&spelled(2, URL_SAFE_NO_PAD.encode([0; 256]))).await;
        forger.assert_bad_signature(&spelled(2, URL_SAFE_NO_PAD.encode([0xff; 256]))).await;
        forger.assert_bad_signature(&spelled(2, format!("{}AAAA", &parts[2][..340]))).await;
        let long = forger.with_claims(json!({ "x": "x".repeat(20_000) }));
        forger.assert_good(&long).await;

        // ECDSA, where zeros once verified.
        let app = &forger.app;
        let ec = app.app.keys.current(&app.app, &app.tenant.id, Algorithm::ES256).await.expect("is made");
        let header = json!({ "alg": "ES256", "typ": "JWT", "kid": ec.kid() }).to_string();
        let claims = Value::Object(forger.claims.clone()).to_string();
        let token = signed(&ec, &header, &claims);
        forger.assert_good(&token).await;
        let (message, signature) = token.rsplit_once('.').expect("has parts");
        let raw = URL_SAFE_NO_PAD.decode(signature).expect("is base64url");
        let order = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
        let order: Vec<_> = (0..64).step_by(2).map(|at| u8::from_str_radix(&order[at..at + 2], 16).expect("is hex")).collect();
        let der = |half: &[u8]| [&[2, 33, 0][..], half].concat();
        for forged in [
            vec![0; 64],
            [&raw[..32], &[0; 32]].concat(),
            [&[0; 32], &raw[32..]].concat(),
            [order.clone(), order].concat(),
            raw[..63].to_vec(),
            [&raw[..], &[0]].concat(),
            [&[0x30, 70][..], &der(&raw[..32]), &der(&raw[32..])].concat(),
            Vec::new(),
        ] {
            forger.assert_bad_signature(&format!("{message}.{}", URL_SAFE_NO_PAD.encode(forged))).await;
        }
    }
}

/// Another text that a careless decoder reads as the same bytes: the unused bits of its last character are not zero.
fn same_bytes(part: &str) -> Option<String> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    if part.len().is_multiple_of(4) {
        return None;
    }
    let last = *part.as_bytes().last()?;
    let value = ALPHABET.iter().position(|letter| *letter == last)?;
    Some(format!("{}{}", &part[..part.len() - 1], char::from(ALPHABET[value + 1])))
}
