//! The life of a tenant's keys, on a database.

use std::cell::RefCell;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::*;
use crate::testing::TestModel;

const NOTHING: fn(&mut Batch, &Key) = |_, _| ();

fn claims(app: &TestModel) -> Value {
    let now = app.clock.now().seconds();
    json!({ "iss": "https://acme.test/", "sub": "auth0|a", "aud": "api", "iat": now, "exp": now + 60 })
}

async fn token(app: &TestModel) -> String {
    app.keys.sign(app, &app.tenant, Algorithm::RS256, "JWT", &claims(app)).await.unwrap()
}

/// `good`, or the error's name.
async fn outcome(app: &TestModel, token: &str) -> String {
    let verified = app.keys.verify(app, &app.tenant, token).await;
    verified.map_or_else(|error| format!("{error:?}"), |_| "good".to_owned())
}

async fn jwks(app: &TestModel) -> Vec<Value> {
    let published = app.keys.published(app, &app.tenant).await.unwrap();
    let document: Value = serde_json::from_slice(&published.jwks).unwrap();
    document["keys"].as_array().unwrap().clone()
}

async fn states(app: &TestModel) -> Vec<(Algorithm, State)> {
    let keys = app.keys.list(app, &app.tenant).await.unwrap();
    keys.iter().map(|key| (key.alg, key.state)).collect()
}

#[tokio::test]
async fn a_new_tenant_has_a_current_and_a_next_key() {
    for app in TestModel::each().await {
        let keys = app.keys.list(&app, &app.tenant).await.unwrap();
        assert_eq!(states(&app).await, [(Algorithm::RS256, State::Current), (Algorithm::RS256, State::Next)]);
        assert_eq!(keys[0].current_since, Some(app.clock.now()));
        assert_eq!(keys[1].current_since, None);
        for key in &keys {
            assert_eq!(key.kid.len(), 21);
            assert!(key.kid.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
            assert_eq!(key.host, "acme.test");
        }
    }
}

#[tokio::test]
async fn the_key_set_holds_public_members_in_the_published_order() {
    for app in TestModel::each().await {
        let keys = app.keys.list(&app, &app.tenant).await.unwrap();
        let set = jwks(&app).await;
        assert_eq!(set.len(), 2);
        for (key, jwk) in keys.iter().zip(&set) {
            let names: Vec<&String> = jwk.as_object().unwrap().keys().collect();
            assert_eq!(names, ["kty", "use", "n", "e", "kid", "x5t", "x5c", "alg"]);
            assert_eq!(
                (&jwk["kty"], &jwk["use"], &jwk["e"], &jwk["kid"], &jwk["alg"]),
                (&json!("RSA"), &json!("sig"), &json!("AQAB"), &json!(key.kid), &json!("RS256")),
            );
            assert_eq!(URL_SAFE_NO_PAD.decode(jwk["n"].as_str().unwrap()).unwrap().len(), 256);
            let certificate = key.certificate().unwrap();
            assert_eq!(jwk["x5t"], json!(certificate.x5t()));
            assert_eq!(jwk["x5c"], json!([certificate.base64()]));
        }
    }
}

#[tokio::test]
async fn a_token_names_the_current_key_and_verifies() {
    for app in TestModel::each().await {
        let token = token(&app).await;
        let verified = app.keys.verify(&app, &app.tenant, &token).await.unwrap();
        let current = &app.keys.list(&app, &app.tenant).await.unwrap()[0].kid;
        assert_eq!(verified.header.kid.as_ref(), Some(current));
        assert_eq!(Value::Object(verified.claims.clone()), claims(&app));
    }
}

#[tokio::test]
async fn a_token_of_ours_says_when_it_was_issued() {
    for app in TestModel::each().await {
        let mut claims = claims(&app);
        claims.as_object_mut().unwrap().shift_remove("iat");
        let token = app.keys.sign(&app, &app.tenant, Algorithm::RS256, "JWT", &claims).await.unwrap();
        assert_eq!(outcome(&app, &token).await, "Invalid");
    }
}

#[tokio::test]
async fn another_tenant_does_not_verify_it() {
    for app in TestModel::each().await {
        let other = TenantId::from("other");
        let new = crate::bootstrap::NewTenant {
            id: other.clone(),
            host: "other.test".into(),
            name: "other".into(),
        };
        crate::bootstrap::create_tenant(&app, new).await.unwrap();
        let token = token(&app).await;
        assert!(matches!(app.keys.verify(&app, &other, &token).await, Err(VerifyError::Invalid)));
        let unknown = TenantId::from("unknown");
        assert!(matches!(app.keys.verify(&app, &unknown, &token).await, Err(VerifyError::Failed(_))));
    }
}

/// Whether the token is known, so that its signature would not be checked again.
async fn is_known(app: &TestModel, token: &str) -> bool {
    let keys = app.keys.published(app, &app.tenant).await.unwrap();
    app.keys.recent.find(&seal::digest(token), &keys).is_some()
}

#[tokio::test]
async fn a_known_token_ends_with_its_time() {
    for app in TestModel::each().await {
        let token = token(&app).await;
        assert!(!is_known(&app, &token).await);
        assert_eq!(outcome(&app, &token).await, "good");
        assert!(is_known(&app, &token).await);
        app.clock.advance(59);
        assert_eq!(outcome(&app, &token).await, "good");
        app.clock.advance(1);
        assert!(is_known(&app, &token).await);
        assert_eq!(outcome(&app, &token).await, "Expired");
    }
}

#[tokio::test]
async fn a_known_token_is_none_of_another_tenant_and_none_of_other_keys() {
    for app in TestModel::each().await {
        let other = TenantId::from("other");
        let new = crate::bootstrap::NewTenant {
            id: other.clone(),
            host: "other.test".into(),
            name: "other".into(),
        };
        crate::bootstrap::create_tenant(&app, new).await.unwrap();
        let (token, kid) =
            (token(&app).await, app.keys.list(&app, &app.tenant).await.unwrap()[0].kid.clone());
        assert_eq!(outcome(&app, &token).await, "good");
        assert!(matches!(app.keys.verify(&app, &other, &token).await, Err(VerifyError::Invalid)));
        app.keys.rotate(&app, &app.tenant, NOTHING).await.unwrap();
        assert!(!is_known(&app, &token).await);
        assert_eq!(outcome(&app, &token).await, "good");
        assert!(is_known(&app, &token).await);
        app.keys.revoke(&app, &app.tenant, &kid, NOTHING).await.unwrap();
        assert_eq!(outcome(&app, &token).await, "Invalid");
    }
}

#[tokio::test]
async fn what_was_refused_is_not_known() {
    for app in TestModel::each().await {
        let good = token(&app).await;
        assert_eq!(outcome(&app, &good).await, "good");
        let (rest, last) = good.split_at(good.len() - 9);
        let forged = format!("{rest}{}{}", if last.starts_with('A') { 'B' } else { 'A' }, &last[1..]);
        let mut without = claims(&app);
        without.as_object_mut().unwrap().shift_remove("iat");
        let undated = app.keys.sign(&app, &app.tenant, Algorithm::RS256, "JWT", &without).await.unwrap();
        let logout =
            app.keys.sign(&app, &app.tenant, Algorithm::RS256, "logout+jwt", &claims(&app)).await.unwrap();
        for refused in [&forged, &undated, &logout] {
            for _ in 0..2 {
                assert_ne!(outcome(&app, refused).await, "good", "{refused}");
            }
            assert!(!is_known(&app, refused).await);
        }
    }
}

#[tokio::test]
async fn rotation_uses_the_key_that_was_published_before() {
    for app in TestModel::each().await {
        let (before, old) = (app.keys.list(&app, &app.tenant).await.unwrap(), token(&app).await);
        app.clock.advance(10);
        let seen = RefCell::new(Vec::new());
        let rotated =
            app.keys.rotate(&app, &app.tenant, |_, key| seen.borrow_mut().push(key.kid.clone())).await;
        let (rotated, after) = (rotated.unwrap(), app.keys.list(&app, &app.tenant).await.unwrap());
        assert_eq!((&rotated.kid, rotated.state), (&before[1].kid, State::Current));
        assert_eq!(seen.into_inner(), std::slice::from_ref(&rotated.kid));
        let kids: Vec<_> = after.iter().map(|key| (key.state, key.kid.as_str())).collect();
        assert_eq!(kids[0], (State::Current, before[1].kid.as_str()));
        assert_eq!(kids[1].0, State::Next);
        assert_eq!(kids[2], (State::Previous, before[0].kid.as_str()));
        assert!(before.iter().all(|key| key.kid != kids[1].1), "the next key is a fresh one");
        assert_eq!(after[2].current_until, Some(app.clock.now()));
        assert_eq!(after[0].current_since, Some(app.clock.now()));
        assert_eq!(jwks(&app).await.len(), 3);
        let new = token(&app).await;
        assert_eq!((outcome(&app, &old).await, outcome(&app, &new).await), ("good".into(), "good".into()));
        let verified = app.keys.verify(&app, &app.tenant, &new).await.unwrap();
        assert_eq!(verified.header.kid.as_ref(), Some(&rotated.kid));
    }
}

#[tokio::test]
async fn rotations_at_the_same_time_leave_one_current_and_one_next() {
    for app in TestModel::each().await {
        let rotate = || app.keys.rotate(&app, &app.tenant, NOTHING);
        let (one, two, three) = tokio::join!(rotate(), rotate(), rotate());
        let mut kids = [one, two, three].map(|rotated| rotated.unwrap().kid);
        kids.sort();
        assert!(kids[0] != kids[1] && kids[1] != kids[2], "each made another key current");
        let states: Vec<State> = states(&app).await.into_iter().map(|(_, state)| state).collect();
        let expected = [State::Current, State::Next, State::Previous, State::Previous, State::Previous];
        assert_eq!(states, expected);
    }
}

#[tokio::test]
async fn a_revoked_key_verifies_nothing_and_is_published_no_more() {
    for app in TestModel::each().await {
        let old = token(&app).await;
        let before = app.keys.list(&app, &app.tenant).await.unwrap();
        app.keys.rotate(&app, &app.tenant, NOTHING).await.unwrap();
        assert_eq!(outcome(&app, &old).await, "good");
        let revoked = app.keys.revoke(&app, &app.tenant, &before[0].kid, NOTHING).await.unwrap();
        assert_eq!((revoked.state, revoked.revoked_at), (State::Revoked, Some(app.clock.now())));
        assert_eq!(outcome(&app, &old).await, "Invalid");
        assert!(jwks(&app).await.iter().all(|jwk| jwk["kid"] != json!(before[0].kid)));
        let sql = "SELECT private FROM signing_keys WHERE state = 'revoked'";
        let mut row = app.db.read_one(sql, vec![]).await.unwrap().unwrap();
        assert_eq!(row.take::<Option<Vec<u8>>>().unwrap(), None, "its private part is gone");
    }
}

#[tokio::test]
async fn only_a_previous_key_can_be_revoked() {
    for app in TestModel::each().await {
        app.keys.rotate(&app, &app.tenant, NOTHING).await.unwrap();
        let keys = app.keys.list(&app, &app.tenant).await.unwrap();
        let revoke = async |kid: &str| app.keys.revoke(&app, &app.tenant, kid, NOTHING).await;
        assert!(matches!(revoke(&keys[0].kid).await, Err(RevokeError::NotPrevious)));
        assert!(matches!(revoke(&keys[1].kid).await, Err(RevokeError::NotPrevious)));
        assert!(matches!(revoke("unknown").await, Err(RevokeError::NotFound)));
        assert!(revoke(&keys[2].kid).await.is_ok());
        assert!(matches!(revoke(&keys[2].kid).await, Err(RevokeError::NotPrevious)));
    }
}

#[tokio::test]
async fn another_algorithm_has_keys_once_it_is_used() {
    for app in TestModel::each().await {
        app.keys.provide(&app, &app.tenant, Algorithm::ES256).await.unwrap();
        app.keys.provide(&app, &app.tenant, Algorithm::ES256).await.unwrap();
        let use_of = |alg| [(alg, State::Current), (alg, State::Next)];
        assert_eq!(states(&app).await, [use_of(Algorithm::RS256), use_of(Algorithm::ES256)].concat());
        let names: Vec<String> = jwks(&app).await[2].as_object().unwrap().keys().cloned().collect();
        assert_eq!(names, ["kty", "use", "crv", "x", "y", "kid", "x5t", "x5c", "alg"]);
        for alg in [Algorithm::ES256, Algorithm::PS256, Algorithm::EdDSA] {
            let token = app.keys.sign(&app, &app.tenant, alg, "at+jwt", &claims(&app)).await.unwrap();
            let verified = app.keys.verify(&app, &app.tenant, &token).await.unwrap();
            assert_eq!((verified.header.alg, verified.header.typ.as_deref()), (alg, Some("at+jwt")));
        }
        let rotated = app.keys.rotate(&app, &app.tenant, NOTHING).await.unwrap();
        assert_eq!(rotated.alg, Algorithm::RS256);
        assert_eq!(states(&app).await.iter().filter(|(_, state)| *state == State::Previous).count(), 4);
        let secret = app.keys.sign(&app, &app.tenant, Algorithm::HS256, "JWT", &claims(&app)).await;
        assert!(matches!(secret, Err(db::Error::Failed(_))), "a shared secret is not the tenant's");
    }
}

#[tokio::test]
async fn a_key_is_listed_as_the_management_api_does() {
    for app in TestModel::each().await {
        let key = app.keys.list(&app, &app.tenant).await.unwrap().remove(0);
        let certificate = key.certificate().unwrap();
        let now = app.clock.now().iso();
        let wire = Value::Object(key.to_wire().unwrap());
        let expected = json!({
            "kid": key.kid,
            "cert": certificate.pem(),
            "pkcs7": certificate.pkcs7(),
            "current": true,
            "next": false,
            "previous": false,
            "current_since": now,
            "fingerprint": certificate.fingerprint(),
            "thumbprint": certificate.thumbprint(),
            "revoked": false,
        });
        assert_eq!(wire.to_string(), expected.to_string());
        app.keys.rotate(&app, &app.tenant, NOTHING).await.unwrap();
        let revoked = app.keys.revoke(&app, &app.tenant, &key.kid, NOTHING).await.unwrap();
        let wire = revoked.to_wire().unwrap();
        let flags = ["current", "next", "previous", "revoked"].map(|name| wire[name] == json!(true));
        assert_eq!(flags, [false, false, false, true]);
        assert_eq!((&wire["current_until"], &wire["revoked_at"]), (&json!(now), &json!(now)));
    }
}
