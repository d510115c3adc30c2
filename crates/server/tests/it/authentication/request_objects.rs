//! Signed request objects by value (RFC 9101, authentication contract §10).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::jose::Algorithm;
use serde_json::{Value, json};

use crate::security::exchange::{Exchange, grant_of};
use crate::security::{API, assert_returned, prepared, signed_in};
use crate::support::browser::{CALLBACK, CHALLENGE};
use crate::support::client_key::ClientKey;
use crate::support::{Answer, Authorize, Browser, TestApp};

/// With keys for request objects of `web`.
async fn signing(app: TestApp) -> TestApp {
    let app = prepared(app).await;
    let key = json!({ "credential_type": "public_key", "pem": ClientKey::number(0).pem() });
    let settings = json!({ "signed_request_object": { "credentials": [key] } });
    let changed = app.admin().patch("/api/v2/clients/web", settings).await;
    assert_eq!(changed.status, 200, "{}", changed.text);
    app
}

fn object_claims(app: &TestApp) -> Value {
    json!({
        "iss": "web", "aud": app.tenant.issuer, "client_id": "web", "response_type": "code", "redirect_uri": CALLBACK,
        "scope": "openid read:a", "audience": API, "state": "st", "nonce": "no", "code_challenge": CHALLENGE,
        "code_challenge_method": "S256", "max_age": 3600,
    })
}

async fn send(browser: &mut Browser, object: &str) -> Answer {
    browser.get(&format!("/authorize?client_id=web&request={object}")).await
}

/// A page that says no, for this reason.
#[track_caller]
fn assert_invalid(answer: &Answer, what: &str) {
    assert_eq!(answer.status, 400, "{what}: {answer:?}");
    assert!(!answer.has("location"), "{what}");
    assert!(answer.text.contains("The request object is not valid"), "{what}: {}", answer.text);
}

both_databases! {
    async fn what_the_client_signed_is_what_counts(app: TestApp) {
        let app = signing(app).await;
        let key = ClientKey::number(0);
        let mut alice = signed_in(&app, "alice").await;
        let object = key.sign(Algorithm::RS256, "oauth-authz-req+jwt", None, &object_claims(&app));
        let outside = Authorize::code("web").with("redirect_uri", "https://evil.test/cb").with("state", "evil").with("scope", "openid write:a").with("audience", API);
        let answer = alice.get(&outside.with("request", &object).path()).await;
        assert!(answer.location().starts_with(CALLBACK), "{answer:?}");
        assert_eq!(answer.param("state"), "st");
        let bought = grant_of(&Exchange::code("web", &answer.param("code")).send(&app).await);
        assert_eq!(bought.scope, "openid read:a");
        // The type of an object is a media type.
        for typ in ["JWT", "OAuth-Authz-Req+JWT", "application/oauth-authz-req+jwt"] {
            let object = key.sign(Algorithm::RS256, typ, None, &object_claims(&app));
            assert!(!send(&mut alice, &object).await.param("code").is_empty(), "{typ}");
        }
        // A sign-in on the way keeps it.
        let mut browser = crate::security::browser(&app);
        let landed = browser.sign_in(&format!("/authorize?client_id=web&request={object}"), "bob@example.com").await;
        assert!(!landed.param("code").is_empty(), "{landed:?}");
    }

    async fn an_object_that_does_not_hold_is_answered_on_a_page(app: TestApp) {
        let app = signing(app).await;
        let (own, other) = (ClientKey::number(0), ClientKey::number(1));
        let mut alice = signed_in(&app, "alice").await;
        let good = object_claims(&app);
        let now = app.app.clock.now().seconds();
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let sign = |claims: &Value| own.assertion(claims);
        for (what, object) in [
            ("another key", other.assertion(&good)),
            ("another algorithm", own.sign(Algorithm::PS256, "JWT", None, &good)),
            ("no signature", format!("{}.{}.", encode(&json!({ "alg": "none" })), encode(&good))),
            ("no token", "x".to_owned()),
            ("another typ", own.sign(Algorithm::RS256, "at+jwt", None, &good)),
        ] {
            assert_invalid(&send(&mut alice, &object).await, what);
        }
        for (name, value) in [
            ("iss", json!("page")), ("iss", Value::Null), ("aud", json!("https://other.test/")), ("aud", Value::Null),
            ("client_id", json!("page")), ("client_id", Value::Null), ("response_type", Value::Null),
            ("exp", json!(now)), ("exp", json!("x")), ("nbf", json!(now + 11)), ("iat", json!(now + 11)),
            ("jti", json!("j".repeat(65))), ("request", json!("x")), ("request_uri", json!("urn:x")), ("state", json!("a\u{0}b")),
        ] {
            let mut changed = good.clone();
            match &value {
                Value::Null => { changed.as_object_mut().expect("is one").shift_remove(name); }
                value => changed[name] = value.clone(),
            }
            assert_invalid(&send(&mut alice, &sign(&changed)).await, &format!("{name} {value}"));
        }
        let mut wrong = good.clone();
        wrong["redirect_uri"] = json!("https://evil.test/cb");
        let answer = send(&mut alice, &sign(&wrong)).await;
        assert_eq!((answer.status, answer.has("location")), (403, false), "a signature makes no callback: {answer:?}");
        assert!(!send(&mut alice, &sign(&good)).await.param("code").is_empty());
    }

    async fn a_client_may_take_no_unsigned_request(app: TestApp) {
        let app = signing(app).await;
        let mut alice = signed_in(&app, "alice").await;
        assert!(!alice.get(&Authorize::code("web").path()).await.param("code").is_empty());
        let required = json!({ "signed_request_object": { "required": true } });
        assert_eq!(app.admin().patch("/api/v2/clients/web", required).await.status, 200);
        let answer = alice.get(&Authorize::code("web").path()).await;
        assert_returned(&answer, "invalid_request", "The client requires signed request objects");
        let object = ClientKey::number(0).assertion(&object_claims(&app));
        assert!(!send(&mut alice, &object).await.param("code").is_empty());
    }

    async fn a_signed_request_can_be_pushed(app: TestApp) {
        let app = signing(app).await;
        let on = json!({ "pushed_authorization_requests_supported": true });
        assert_eq!(app.admin().patch("/api/v2/tenants/settings", on).await.status, 200);
        let required = json!({ "signed_request_object": { "required": true }, "require_pushed_authorization_requests": true });
        assert_eq!(app.admin().patch("/api/v2/clients/web", required).await.status, 200);
        let mut alice = signed_in_as_page(&app).await;
        let push = async |object: &str| {
            app.caller().form("/oauth/par", &[("client_id", "web"), ("client_secret", "web-secret"), ("request", object)]).await
        };
        let pushed = push(&ClientKey::number(0).assertion(&object_claims(&app))).await;
        assert_eq!(pushed.status, 201, "{pushed:?}");
        let uri: String = url::form_urlencoded::byte_serialize(pushed.body["request_uri"].as_str().expect("is text").as_bytes()).collect();
        let answer = alice.get(&format!("/authorize?client_id=web&request_uri={uri}")).await;
        assert!(!answer.param("code").is_empty(), "{answer:?}");
        let refused = push(&ClientKey::number(1).assertion(&object_claims(&app))).await;
        assert_eq!((refused.status, &refused.body["error"]), (400, &json!("invalid_request_object")));
    }
}

/// A browser in which alice is signed in to `page`.
async fn signed_in_as_page(app: &TestApp) -> Browser {
    let mut browser = crate::security::browser(app);
    let landed = browser.sign_in(&Authorize::code("page").path(), "alice@example.com").await;
    assert!(!landed.param("code").is_empty(), "{landed:?}");
    browser
}
