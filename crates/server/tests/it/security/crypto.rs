//! JW: what is published, and what ID tokens say.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Map, Value, json};

use super::exchange::{Exchange, grant_of};
use super::{API, prepared, signed_in};
use crate::support::{Authorize, TestApp};

/// The claims of an ID token, verified as a client does it: with a library of others, by what is published.
async fn verified(app: &TestApp, token: &str, audience: &str) -> Map<String, Value> {
    let published = app.caller().get("/.well-known/jwks.json").await.text;
    let keys: JwkSet = serde_json::from_str(&published).expect("a key set");
    let header = jsonwebtoken::decode_header(token).expect("a header");
    assert_eq!((header.alg, header.typ.as_deref()), (Algorithm::RS256, Some("JWT")));
    let key = keys.find(&header.kid.expect("a kid")).expect("is published");
    let mut rules = Validation::new(Algorithm::RS256);
    rules.set_audience(&[audience]);
    rules.set_issuer(&["https://id.test/"]);
    rules.set_required_spec_claims(&["iss", "sub", "aud", "exp"]);
    // The test's clock is not the machine's.
    rules.validate_exp = false;
    let key = DecodingKey::from_jwk(key).expect("a public key");
    jsonwebtoken::decode(token, &key, &rules).expect("is signed").claims
}

/// The left half of a SHA-256, base64url (OIDC Core §3.3.2.11).
fn half_hash(value: &str) -> Value {
    URL_SAFE_NO_PAD.encode(&digest(&SHA256, value.as_bytes()).as_ref()[..16]).into()
}

both_databases! {
    async fn jw_08_what_is_published_is_public(app: TestApp) {
        let app = prepared(app).await;
        let caller = app.caller();
        let published = caller.get("/.well-known/jwks.json").await;
        assert_eq!(published.header("content-type"), "application/json; charset=utf-8");
        let keys = published.body["keys"].as_array().expect("keys");
        assert_eq!(keys.len(), 2, "the current key and the next");
        for key in keys {
            let mut names: Vec<_> = key.as_object().expect("a key").keys().map(String::as_str).collect();
            names.sort_unstable();
            assert_eq!(names, ["alg", "e", "kid", "kty", "n", "use", "x5c", "x5t"]);
            assert_eq!([&key["kty"], &key["alg"], &key["use"], &key["e"]], ["RSA", "RS256", "sig", "AQAB"]);
        }
        let discovery = caller.get("/.well-known/openid-configuration").await;
        assert_eq!(discovery.body, caller.get("/.well-known/oauth-authorization-server").await.body);
        let document = discovery.body.as_object().expect("a document");
        assert_eq!(document["issuer"], "https://id.test/");
        for (name, value) in document {
            let url = value.as_str().filter(|_| name.ends_with("_endpoint") || name == "jwks_uri");
            assert!(url.is_none_or(|url| url.starts_with("https://id.test/")), "{name}: {value}");
        }
        assert_eq!(caller.at(&app.other).get("/.well-known/openid-configuration").await.body["issuer"], "https://other.test/");
        assert_ne!(caller.at(&app.other).get("/.well-known/jwks.json").await.body, published.body);
    }

    async fn jw_08_an_id_token_is_bound_to_what_it_came_with(app: TestApp) {
        let app = prepared(app).await;
        let now = app.app.clock.now().seconds();
        let mut alice = signed_in(&app, "alice").await;
        let mut sid = Value::Null;
        for (response_type, audience) in [
            ("id_token", ""), ("id_token token", ""), ("id_token token", API),
            ("code id_token", ""), ("code id_token token", API), ("code", ""), ("code", API),
        ] {
            let request = Authorize::code("page").with("response_type", response_type).with("nonce", "n-0S6_WzA2Mj");
            let landed = alice.get(&request.with("audience", audience).path()).await;
            let returned = landed.returned();
            let token = match returned.get("id_token") {
                Some(token) => token.clone(),
                None => {
                    let answer = Exchange::code("page", &returned["code"]).send(&app).await;
                    answer.body["id_token"].as_str().expect("openid gives one").to_owned()
                }
            };
            let claims = verified(&app, &token, "page").await;
            let front = response_type.contains("id_token");
            let mut expected = json!({
                "iss": "https://id.test/",
                "aud": "page",
                "iat": now,
                "exp": now + 36_000,
                "sub": "auth0|alice",
                "sid": claims["sid"],
                "nonce": "n-0S6_WzA2Mj",
            });
            if let Some(token) = returned.get("access_token").filter(|_| front) {
                expected["at_hash"] = half_hash(token);
            }
            if let Some(code) = returned.get("code").filter(|_| front) {
                expected["c_hash"] = half_hash(code);
            }
            assert_eq!(Value::Object(claims.clone()), expected, "{response_type} {audience}");
            assert!(sid.is_null() || sid == claims["sid"], "one session, one sid");
            sid = claims["sid"].clone();
            assert_eq!(sid.as_str().map(str::len), Some(32));
        }

        let timed = alice.get(&Authorize::new("page", "id_token").with("max_age", "600").path()).await;
        let claims = verified(&app, &timed.param("id_token"), "page").await;
        assert_eq!(claims["auth_time"], json!(now));

        let offline = alice.get(&Authorize::code("web").with("scope", "openid offline_access").path()).await;
        let bought = grant_of(&Exchange::code("web", &offline.param("code")).send(&app).await);
        app.app.clock.advance(60);
        let again = Exchange::refresh("web", &bought.refresh_token).send(&app).await;
        let claims = verified(&app, again.body["id_token"].as_str().expect("an ID token"), "web").await;
        assert_eq!((claims.get("nonce"), &claims["iat"], &claims["sid"]), (None, &json!(now + 60), &sid));
    }
}
