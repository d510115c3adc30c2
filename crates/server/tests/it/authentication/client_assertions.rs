//! Clients that prove themselves by assertions (authentication contract §3.1, RFC 7523).

use model::jose::{Algorithm, SigningKey};
use serde_json::{Value, json};

use crate::security::exchange::{assert_refused, base64};
use crate::security::{API, prepared, stored};
use crate::support::app::secret_of;
use crate::support::client_key::{ClientKey, assertion_claims, keyed_client};
use crate::support::{Answer, Caller, TestApp};

const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// With `keyed`, which proves itself by a key and may have a token of its own for the API.
async fn keyed(app: TestApp) -> TestApp {
    let app = prepared(app).await;
    keyed_client(&app, "keyed", json!({ "grant_types": ["client_credentials"] })).await;
    for client in ["keyed", "m2m"] {
        let grant = json!({ "client_id": client, "audience": API, "scope": ["read:a"] });
        assert_eq!(app.admin().post("/api/v2/client-grants", grant).await.status, 201);
    }
    app
}

/// What the token endpoint answers to a client's assertion.
async fn asserted(caller: &Caller, assertion: &str, more: &[(&str, &str)]) -> Answer {
    let mut fields = vec![
        ("grant_type", "client_credentials"),
        ("audience", API),
        ("client_assertion_type", TYPE),
        ("client_assertion", assertion),
    ];
    fields.retain(|(name, _)| !more.iter().any(|(other, _)| other == name));
    fields.extend(more.iter().filter(|(_, value)| !value.is_empty()));
    caller.form("/oauth/token", &fields).await
}

#[track_caller]
fn assert_invalid(answer: &Answer, what: &str) {
    assert_eq!(answer.status, 401, "{what}: {answer:?}");
    assert_refused(answer, 401, "invalid_client", "The client assertion is not valid");
    assert!(!answer.has("www-authenticate"), "{what}");
}

both_databases! {
    async fn a_client_proves_itself_by_its_key(app: TestApp) {
        let app = keyed(app).await;
        let key = ClientKey::number(0);
        let issuer = app.tenant.issuer.as_str();
        let token_endpoint = format!("{issuer}oauth/token");
        for (number, audience) in [json!(issuer), json!(issuer.trim_end_matches('/')), json!(token_endpoint), json!(["https://else.test/", issuer])].into_iter().enumerate() {
            let mut claims = assertion_claims(&app, "keyed", &format!("jti-{number}"));
            claims["aud"] = audience.clone();
            let answer = asserted(&app.caller(), &key.assertion(&claims), &[]).await;
            assert_eq!(answer.status, 200, "{audience}: {answer:?}");
            assert_eq!(answer.body["token_type"], "Bearer");
        }
        // With a client_id beside it, with the key's own id, and with the type encoded once more.
        let kid = app.admin().get("/api/v2/clients/keyed/credentials").await.body[0]["kid"].as_str().expect("has one").to_owned();
        let named = key.sign(Algorithm::RS256, "JWT", Some(&kid), &assertion_claims(&app, "keyed", "named"));
        assert_eq!(asserted(&app.caller(), &named, &[("client_id", "keyed")]).await.status, 200);
        let encoded = TYPE.replace(':', "%3A");
        let again = key.assertion(&assertion_claims(&app, "keyed", "encoded"));
        assert_eq!(asserted(&app.caller(), &again, &[("client_assertion_type", &encoded)]).await.status, 200);
        let json = json!({ "grant_type": "client_credentials", "audience": API, "client_assertion_type": TYPE,
            "client_assertion": key.assertion(&assertion_claims(&app, "keyed", "json")) });
        assert_eq!(app.caller().post("/oauth/token", json).await.status, 200);
    }

    async fn an_assertion_holds_once_and_for_its_minutes(app: TestApp) {
        let app = keyed(app).await;
        let key = ClientKey::number(0);
        let assertion = key.assertion(&assertion_claims(&app, "keyed", "once"));
        assert_eq!(asserted(&app.caller(), &assertion, &[]).await.status, 200);
        assert_invalid(&asserted(&app.caller(), &assertion, &[]).await, "again");
        let same_id = key.assertion(&{ let mut claims = assertion_claims(&app, "keyed", "once"); claims["exp"] = json!(app.app.clock.now().seconds() + 60); claims });
        assert_invalid(&asserted(&app.caller(), &same_id, &[]).await, "another with the same id");
        let now = app.app.clock.now().seconds();
        for (what, name, value) in [
            ("expired", "exp", json!(now)),
            ("too far ahead", "exp", json!(now + 311)),
            ("not yet", "nbf", json!(now + 11)),
            ("issued later", "iat", json!(now + 11)),
            ("no exp", "exp", Value::Null),
            ("exp as text", "exp", json!((now + 60).to_string())),
            ("no jti", "jti", Value::Null),
            ("empty jti", "jti", json!("")),
            ("long jti", "jti", json!("j".repeat(65))),
            ("jti as number", "jti", json!(7)),
            ("no iss", "iss", Value::Null),
            ("other iss", "iss", json!("m2m")),
            ("other sub", "sub", json!("m2m")),
            ("unknown sub", "sub", json!("nobody")),
            ("no aud", "aud", Value::Null),
            ("other aud", "aud", json!(app.other.issuer)),
            ("the API's aud", "aud", json!(API)),
        ] {
            let mut claims = assertion_claims(&app, "keyed", &format!("fresh {what}"));
            match value {
                Value::Null => { claims.as_object_mut().expect("is one").shift_remove(name); }
                value => claims[name] = value,
            }
            assert_invalid(&asserted(&app.caller(), &key.assertion(&claims), &[]).await, what);
        }
        let skewed = |seconds: i64| {
            let mut claims = assertion_claims(&app, "keyed", &format!("skew {seconds}"));
            claims["iat"] = json!(now + seconds);
            claims["exp"] = json!(now + 300 + seconds);
            key.assertion(&claims)
        };
        assert_eq!(asserted(&app.caller(), &skewed(10), &[]).await.status, 200);
    }

    /// The id is remembered until the assertion proves nothing any more, also when what has ended is swept away.
    async fn an_assertion_that_was_swept_away_holds_no_more(app: TestApp) {
        let app = keyed(app).await;
        let assertion = ClientKey::number(0).assertion(&assertion_claims(&app, "keyed", "swept"));
        assert_eq!(asserted(&app.caller(), &assertion, &[]).await.status, 200);
        app.app.clock.advance(119);
        model::retention::sweep(&app.app).await.expect("sweeps");
        assert_invalid(&asserted(&app.caller(), &assertion, &[]).await, "a second before its end");
        app.app.clock.advance(2);
        // A node whose clock is behind still knows it.
        model::retention::sweep(&app.app).await.expect("sweeps");
        let known: i64 = stored(&app, "SELECT COUNT(*) FROM spent_ids WHERE tenant = $1", vec![]).await;
        assert_eq!(known, 1);
        app.app.clock.advance(60);
        assert!(model::retention::sweep(&app.app).await.expect("sweeps") > 0);
        assert_invalid(&asserted(&app.caller(), &assertion, &[]).await, "after its end");
    }

    async fn an_assertion_and_the_name_in_it_have_their_longest(app: TestApp) {
        let app = keyed(app).await;
        let key = ClientKey::number(0);
        let padded = |pad: usize| {
            let mut claims = assertion_claims(&app, "keyed", &format!("pad {pad}"));
            claims["pad"] = json!("p".repeat(pad));
            key.assertion(&claims)
        };
        let longest = (0..2048).find(|pad| padded(*pad).len() >= 2048).expect("it grows");
        let longest = if padded(longest).len() > 2048 { longest - 1 } else { longest };
        assert_eq!(padded(longest).len(), 2048);
        assert_eq!(asserted(&app.caller(), &padded(longest), &[]).await.status, 200);
        assert_invalid(&asserted(&app.caller(), &padded(longest + 2), &[]).await, "too long");
        let name = "n".repeat(64);
        keyed_client(&app, &name, json!({ "grant_types": ["client_credentials"] })).await;
        let grant = json!({ "client_id": name, "audience": API, "scope": ["read:a"] });
        assert_eq!(app.admin().post("/api/v2/client-grants", grant).await.status, 201);
        let answer = asserted(&app.caller(), &key.assertion(&assertion_claims(&app, &name, "long name")), &[]).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        // What can be no name is looked up nowhere.
        let claims = base64("{\"sub\":\"a\\u0000b\"}");
        let none = format!("{}.{}.x", base64("{\"alg\":\"HS256\"}").trim_end_matches('='), claims.trim_end_matches('='));
        assert_invalid(&asserted(&app.caller(), &none, &[]).await, "a NUL");
    }

    async fn an_assertion_is_signed_by_a_key_of_its_client(app: TestApp) {
        let app = keyed(app).await;
        let (own, other) = (ClientKey::number(0), ClientKey::number(1));
        let claims = |jti: &str| assertion_claims(&app, "keyed", jti);
        let hmac = |secret: &str| SigningKey::hs256(None, secret.as_bytes()).sign_jwt("JWT", &claims("hmac")).expect("signs");
        let good = own.assertion(&claims("good"));
        let unsigned = format!("{}.{}.", base64("{\"alg\":\"none\"}").trim_end_matches('='), good.split('.').nth(1).expect("has one"));
        for (what, assertion) in [
            ("another key", other.assertion(&claims("a"))),
            ("another algorithm of the key", own.sign(Algorithm::PS256, "JWT", None, &claims("b"))),
            ("an unknown kid", own.sign(Algorithm::RS256, "JWT", Some("unknown-key-id"), &claims("c"))),
            ("another typ", own.sign(Algorithm::RS256, "at+jwt", None, &claims("d"))),
            ("its secret", hmac(&secret_of("keyed"))),
            ("its public key as a secret", hmac(&own.pem())),
            ("no signature", unsigned),
            ("cut", good[..good.len() - 2].to_owned()),
            ("two parts", good.rsplit_once('.').expect("has dots").0.to_owned()),
            ("empty", String::new()),
            ("too long", own.assertion(&json!({ "iss": "keyed", "sub": "keyed", "pad": "p".repeat(2048) }))),
        ] {
            let answer = app.caller().form("/oauth/token", &[("grant_type", "client_credentials"), ("audience", API), ("client_assertion_type", TYPE), ("client_assertion", &assertion)]).await;
            assert_invalid(&answer, what);
        }
        for (what, more) in [
            ("another client_id", ("client_id", "m2m")),
            ("another type", ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer")),
            ("no type", ("client_assertion_type", "")),
            ("a secret too", ("client_secret", "keyed-secret")),
        ] {
            assert_invalid(&asserted(&app.caller(), &good, &[more]).await, what);
        }
        let basic = app.caller().with("authorization", &format!("Basic {}", base64("keyed:keyed-secret")));
        assert_invalid(&asserted(&basic, &good, &[]).await, "basic too");
        let in_query = app.caller().form(&format!("/oauth/token?client_assertion={good}"), &[("grant_type", "client_credentials"), ("client_assertion_type", TYPE), ("client_assertion", &good)]).await;
        assert_invalid(&in_query, "in the query");
        assert_eq!(asserted(&app.caller(), &good, &[]).await.status, 200, "none of that has used it up");
        // Its secret is nothing, and neither is another tenant's endpoint.
        let secret = app.caller().form("/oauth/token", &[("grant_type", "client_credentials"), ("audience", API), ("client_id", "keyed"), ("client_secret", "keyed-secret")]).await;
        assert_refused(&secret, 401, "access_denied", "Unauthorized");
        assert_invalid(&asserted(&app.caller().at(&app.other), &own.assertion(&claims("elsewhere")), &[]).await, "elsewhere");
    }

    async fn a_credential_ends_and_is_replaced(app: TestApp) {
        let app = keyed(app).await;
        let admin = app.admin();
        let path = "/api/v2/clients/keyed/credentials";
        let first = admin.get(path).await.body[0]["id"].as_str().expect("has one").to_owned();
        let second = admin.post(path, json!({ "credential_type": "public_key", "pem": ClientKey::number(1).pem(), "alg": "PS256" })).await;
        assert_eq!(second.status, 201, "{}", second.text);
        let by = |number: usize, jti: &str| {
            let algorithm = [Algorithm::RS256, Algorithm::PS256][number];
            ClientKey::number(number).sign(algorithm, "JWT", None, &assertion_claims(&app, "keyed", jti))
        };
        assert_invalid(&asserted(&app.caller(), &by(1, "a"), &[]).await, "not in use yet");
        let both = json!({ "client_authentication_methods": { "private_key_jwt": { "credentials": [{ "id": first }, { "id": second.body["id"] }] } } });
        assert_eq!(admin.patch("/api/v2/clients/keyed", both).await.status, 200);
        for number in [0, 1] {
            assert_eq!(asserted(&app.caller(), &by(number, &format!("both {number}")), &[]).await.status, 200);
        }
        let ends = app.app.clock.now().plus_seconds(60).iso();
        assert_eq!(admin.patch(&format!("{path}/{first}"), json!({ "expires_at": ends })).await.status, 200);
        app.app.clock.advance(60);
        assert_invalid(&asserted(&app.caller(), &by(0, "expired"), &[]).await, "expired");
        assert_eq!(app.admin().patch(&format!("{path}/{first}"), json!({ "expires_at": null })).await.status, 200);
        assert_eq!(asserted(&app.caller(), &by(0, "again"), &[]).await.status, 200);
        let gone = format!("{path}/{}", second.body["id"].as_str().expect("has one"));
        assert_eq!(app.admin().delete(&gone).await.status, 204);
        assert_invalid(&asserted(&app.caller(), &by(1, "gone"), &[]).await, "gone");
    }

    /// `client_secret_jwt`: the secret proves itself without being shown.
    async fn a_client_with_a_secret_may_sign_with_it(app: TestApp) {
        let app = keyed(app).await;
        let sign = |client: &str, secret: &str, jti: &str| {
            SigningKey::hs256(None, secret.as_bytes()).sign_jwt("JWT", &assertion_claims(&app, client, jti)).expect("signs")
        };
        let assertion = sign("m2m", "m2m-secret", "a");
        assert_eq!(asserted(&app.caller(), &assertion, &[]).await.status, 200);
        assert_invalid(&asserted(&app.caller(), &assertion, &[]).await, "again");
        assert_invalid(&asserted(&app.caller(), &sign("m2m", "wrong", "b"), &[]).await, "wrong");
        assert_invalid(&asserted(&app.caller(), &sign("m2m", "", "c"), &[]).await, "empty");
        assert_invalid(&asserted(&app.caller(), &sign("page", "page-secret", "d"), &[]).await, "a public client's");
        let by_key = ClientKey::number(0).assertion(&assertion_claims(&app, "m2m", "e"));
        assert_invalid(&asserted(&app.caller(), &by_key, &[]).await, "a key that it has not");
        // Whatever method it is registered with, unless the specification counts.
        let mut number = 0;
        for (method, strict, status) in [("client_secret_post", false, 200), ("client_secret_post", true, 401)] {
            let change = json!({ "token_endpoint_auth_method": method });
            assert_eq!(app.admin().patch("/api/v2/clients/m2m", change).await.status, 200);
            assert_eq!(app.admin().patch("/api/v2/doorward/protocol", json!({ "strict": strict })).await.status, 200);
            number += 1;
            let answer = asserted(&app.caller(), &sign("m2m", "m2m-secret", &format!("f{number}")), &[]).await;
            assert_eq!(answer.status, status, "{method}, {strict}: {}", answer.text);
        }
    }

    async fn an_assertion_proves_at_every_endpoint(app: TestApp) {
        let app = keyed(app).await;
        let assertion = ClientKey::number(0).assertion(&assertion_claims(&app, "keyed", "revoke"));
        let fields = [("token", "v1.unknown"), ("client_assertion_type", TYPE), ("client_assertion", &*assertion)];
        assert_eq!(app.caller().form("/oauth/revoke", &fields).await.status, 200);
        assert_invalid(&app.caller().form("/oauth/revoke", &fields).await, "again");
    }

    async fn discovery_tells_how_clients_prove_themselves(app: TestApp) {
        let document = app.caller().get("/.well-known/openid-configuration").await.body;
        assert_eq!(document["token_endpoint_auth_methods_supported"], json!(["client_secret_basic", "client_secret_post", "private_key_jwt", "client_secret_jwt", "none"]));
        assert_eq!(document["token_endpoint_auth_signing_alg_values_supported"], json!(["RS256", "RS384", "PS256", "HS256"]));
    }
}

both_databases_at_once! {
    async fn of_many_uses_of_an_assertion_one_succeeds(app: TestApp) {
        let app = keyed(app).await;
        let assertion = ClientKey::number(0).assertion(&assertion_claims(&app, "keyed", "race"));
        let calls: Vec<_> = (0..16)
            .map(|_| {
                let (caller, assertion) = (app.caller(), assertion.clone());
                tokio::spawn(async move { asserted(&caller, &assertion, &[]).await.status })
            })
            .collect();
        let mut statuses = Vec::new();
        for call in calls {
            statuses.push(call.await.expect("does not panic"));
        }
        statuses.sort_unstable();
        assert_eq!(statuses[0], 200);
        assert!(statuses[1..].iter().all(|status| *status == 401), "{statuses:?}");
    }
}
