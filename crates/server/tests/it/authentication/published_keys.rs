//! Keys that a client publishes at its `jwks_uri`: when they are fetched, and what they prove.

use model::jose::Algorithm;
use serde_json::{Value, json};

use super::registration::{open, registered, with};
use crate::security::{prepared, signed_in};
use crate::support::browser::{CALLBACK, CHALLENGE};
use crate::support::client_key::{ClientKey, assertion_claims};
use crate::support::hook::Hook;
use crate::support::{Answer, TestApp};

const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A key set with these keys, each by its number and id.
fn set(keys: &[(usize, &str)]) -> Value {
    let keys = keys.iter().map(|(number, kid)| {
        let mut jwk = ClientKey::number(*number).jwk();
        jwk["kid"] = json!(kid);
        jwk
    });
    json!({ "keys": keys.collect::<Vec<_>>() })
}

/// A client that proves itself by what is published at `hook`.
async fn publishing(app: &TestApp, hook: &Hook) -> String {
    let mut body = with("token_endpoint_auth_method", json!("private_key_jwt"));
    body["jwks_uri"] = json!(hook.url);
    let made = registered(&app.caller(), body).await;
    assert_eq!((made.body.get("client_secret"), &made.body["jwks_uri"]), (None, &json!(hook.url)));
    made.body["client_id"].as_str().expect("an id").to_owned()
}

/// Proves itself with this key, by this id.
async fn prove(app: &TestApp, client: &str, (number, kid): (usize, Option<&str>), jti: &str) -> Answer {
    let claims = assertion_claims(app, client, jti);
    let assertion = ClientKey::number(number).sign(Algorithm::RS256, "JWT", kid, &claims);
    let fields = [("token", "v1.x"), ("client_assertion_type", TYPE), ("client_assertion", &*assertion)];
    app.caller().form("/oauth/revoke", &fields).await
}

both_databases! {
    async fn a_client_proves_itself_by_what_it_publishes(app: TestApp) {
        let app = open(app).await;
        let hook = Hook::open().await;
        hook.serves(set(&[(0, "first")]));
        let client = publishing(&app, &hook).await;
        assert!(hook.posts().is_empty(), "it is fetched when it is needed");
        for (jti, kid) in [("1", Some("first")), ("2", None), ("3", Some("first"))] {
            assert_eq!(prove(&app, &client, (0, kid), jti).await.status, 200, "{jti}");
        }
        let gets = hook.posts();
        let [(head, body)] = &gets[..] else { panic!("{gets:?}") };
        assert!(head.starts_with("get /logs?x=1 http/1.1") && head.contains("accept: application/json") && body.is_empty(), "{head}");
        for (what, key) in [("another key", (1, Some("first"))), ("another id", (0, Some("second"))), ("another key without an id", (1, None))] {
            let answer = prove(&app, &client, key, what).await;
            assert_eq!((answer.status, &answer.body["error"]), (401, &json!("invalid_client")), "{what}");
        }
        assert!(hook.posts().is_empty(), "what was just fetched is not fetched again");
    }

    async fn a_new_key_is_fetched_when_it_is_named_and_not_too_often(app: TestApp) {
        let app = open(app).await;
        let hook = Hook::open().await;
        hook.serves(set(&[(0, "first")]));
        let client = publishing(&app, &hook).await;
        assert_eq!(prove(&app, &client, (0, Some("first")), "1").await.status, 200);
        hook.serves(set(&[(0, "first"), (1, "second")]));
        assert_eq!(prove(&app, &client, (1, Some("second")), "2").await.status, 401, "too soon");
        assert_eq!(hook.posts().len(), 1);
        app.app.clock.advance(30);
        assert_eq!(prove(&app, &client, (1, Some("second")), "3").await.status, 200);
        assert_eq!(hook.posts().len(), 1);
        // A key that is taken away counts no more when the set is old.
        hook.serves(set(&[(1, "second")]));
        app.app.clock.advance(599);
        assert_eq!(prove(&app, &client, (0, Some("first")), "4").await.status, 200);
        app.app.clock.advance(1);
        assert_eq!(prove(&app, &client, (0, Some("first")), "5").await.status, 401);
        // While nobody answers, what was known goes on for an hour.
        hook.answers(503);
        app.app.clock.advance(3599);
        assert_eq!(prove(&app, &client, (1, Some("second")), "6").await.status, 200);
        app.app.clock.advance(30);
        assert_eq!(prove(&app, &client, (1, Some("second")), "7").await.status, 401);
        hook.answers(200);
        hook.serves("no keys");
        app.app.clock.advance(30);
        assert_eq!(prove(&app, &client, (1, Some("second")), "8").await.status, 401);
    }

    /// Whatever is sent to us, a stranger's server is not asked by it more than once in half a minute.
    async fn many_bad_assertions_fetch_once(app: TestApp) {
        let app = open(app).await;
        let hook = Hook::open().await;
        hook.serves(set(&[(0, "first")]));
        let client = publishing(&app, &hook).await;
        let calls = (0..20).map(|number| {
            let (app, client) = (&app, &client);
            async move { prove(app, client, (1, Some("x")), &number.to_string()).await.status }
        });
        let statuses: Vec<u16> = futures_util::future::join_all(calls).await;
        assert!(statuses.iter().all(|status| *status == 401), "{statuses:?}");
        assert_eq!(hook.posts().len(), 1);
        let client_id = [("token", "v1.x"), ("client_id", &*client)];
        assert_eq!(app.caller().form("/oauth/revoke", &client_id).await.status, 401, "and nothing else proves it");
    }

    /// MG-08: neither when it registers nor when a name leads inside.
    async fn mg_08_keys_are_not_fetched_inside(app: TestApp) {
        let app = open(app).await;
        let patch = json!({ "jwks_uri": "https://127.0.0.2:9/jwks" });
        let refused = app.admin().patch("/api/v2/doorward/clients/web", patch).await;
        assert_eq!((refused.status, &refused.body["errorCode"]), (400, &json!("invalid_body")), "{refused:?}");
        let mut body = with("token_endpoint_auth_method", json!("private_key_jwt"));
        body["jwks_uri"] = json!("https://localhost:9/jwks");
        let made = registered(&app.caller(), body).await;
        let client = made.body["client_id"].as_str().expect("an id");
        assert_eq!(prove(&app, client, (0, None), "1").await.status, 401);
    }

    /// RFC 9101: the same keys verify what the client asks for. A client that proves itself otherwise does not do so by them.
    async fn a_request_object_is_verified_by_published_keys(app: TestApp) {
        let app = prepared(app).await;
        let hook = Hook::open().await;
        hook.serves(set(&[(0, "first")]));
        let set = app.admin().patch("/api/v2/doorward/clients/web", json!({ "jwks_uri": hook.url })).await;
        assert_eq!(set.status, 200, "{set:?}");
        let mut alice = signed_in(&app, "alice").await;
        let object = |number: usize, jti: &str| {
            let claims = json!({
                "iss": "web", "aud": app.tenant.issuer, "client_id": "web", "response_type": "code", "redirect_uri": CALLBACK,
                "scope": "openid", "state": "signed", "code_challenge": CHALLENGE, "code_challenge_method": "S256", "jti": jti,
            });
            let object = ClientKey::number(number).sign(Algorithm::RS256, "oauth-authz-req+jwt", Some("first"), &claims);
            format!("/authorize?client_id=web&request={object}")
        };
        let answer = alice.get(&object(0, "1")).await;
        assert_eq!((answer.param("state"), answer.param("code").is_empty()), ("signed".to_owned(), false), "{answer:?}");
        for (what, path) in [("once", object(0, "1")), ("another key", object(1, "2"))] {
            let answer = alice.get(&path).await;
            assert_eq!((answer.status, answer.has("location")), (400, false), "{what}: {answer:?}");
        }
        assert!(!alice.get(&object(0, "3")).await.param("code").is_empty());
        let assertion = prove(&app, "web", (0, Some("first")), "4").await;
        assert_eq!((assertion.status, &assertion.body["error"]), (401, &json!("invalid_client")), "web has a secret");
    }
}
