//! CU-17: a person registers their own devices with the app they use, and removes no other's.

use axum::http::Method;
use model::resource_servers::CURRENT_USER_SCOPES;
use serde_json::{Value, json};

use super::{ALICE, every_scope, people};
use crate::security::refusals::{Attempt, bad_token, insufficient, invalid_body, refusal};
use crate::support::TestApp;

const PATH: &str = "/api/v2/device-credentials";

/// The body that registers a device, with one property changed.
fn device(id: &str, key: &str, value: Value) -> Value {
    let mut body = json!({ "device_name": "Phone", "type": "public_key", "value": "ABCD", "device_id": id });
    if !key.is_empty() {
        body[key] = value;
    }
    body
}

fn post(body: &Value) -> Attempt<'_> {
    Attempt { method: Method::POST, path: PATH, body: Some(body) }
}

/// All keys there are.
async fn keys(app: &TestApp) -> Value {
    let answer = app.machine("read:device_credentials").get(&format!("{PATH}?type=public_key")).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.body
}

both_databases! {
    async fn cu_17_a_device_is_registered_for_its_own_user_and_client_alone(app: TestApp) {
        let app = people(app).await.without_limits();
        let alice = app.token("auth0|alice", &every_scope());
        let forbidden = |whose: &str| refusal(403, "Forbidden", &format!("Cannot create device credentials for that {whose}."), "unowned_resource");
        for (key, value, expected) in [
            ("user_id", json!("auth0|bob"), forbidden("user")),
            ("user_id", json!("auth0|nobody"), forbidden("user")),
            ("user_id", json!("Auth0|alice"), forbidden("user")),
            ("client_id", json!("m2m"), forbidden("client")),
            ("client_id", json!("nothing"), forbidden("client")),
            ("type", json!("refresh_token"), invalid_body("Payload validation error: 'No enum match for: refresh_token' on property type (Type of credential. Must be public_key.).")),
            ("type", json!("rotating_refresh_token"), invalid_body("Payload validation error: 'No enum match for: rotating_refresh_token' on property type (Type of credential. Must be public_key.).")),
            ("id", json!("dcr_0123456789abcdef"), invalid_body("Payload validation error: 'Additional properties not allowed: id'.")),
            ("device_id", json!("not hexadecimal"), invalid_body("Payload validation error: 'String does not match pattern ^[-A-Fa-f0-9]+$: not hexadecimal' on property device_id (Unique identifier for the device. Recommend using Android_ID on Android and identifierForVendor.).")),
        ] {
            let body = device("a1", key, value);
            post(&body).refused(&app, &alice, &expected).await;
        }
        assert_eq!(keys(&app).await, json!([]));
        let good = device("a1", "", Value::Null);
        let needed = insufficient("create:current_user_device_credentials");
        for scope in CURRENT_USER_SCOPES.iter().filter(|scope| **scope != "create:current_user_device_credentials") {
            post(&good).refused(&app, &app.token("auth0|alice", scope), &needed).await;
        }
        post(&good).refused(&app, &app.machine("create:current_user_device_credentials"), &needed).await;

        for body in [good, device("a2", "user_id", json!("auth0|alice")), device("a3", "client_id", json!("spa"))] {
            let made = alice.post(PATH, body.clone()).await;
            assert_eq!(made.status, 201, "{body}: {}", made.text);
        }
        let owners: Vec<_> = keys(&app).await.as_array().expect("is a list").iter().map(|key| (key["user_id"].clone(), key["client_id"].clone())).collect();
        assert_eq!(owners, vec![(json!("auth0|alice"), json!("spa")); 3]);
    }

    /// Another's entry answers like one that is not there, in as many statements.
    async fn cu_17_anothers_credential_stays_and_answers_like_none(app: TestApp) {
        let app = people(app).await.without_limits();
        let (alice, bob) = (app.token("auth0|alice", &every_scope()), app.token("auth0|bob", &every_scope()));
        let make = async |owner: &crate::support::Caller, id: &str| {
            let made = owner.post(PATH, device(id, "", Value::Null)).await;
            made.body["id"].as_str().unwrap_or_else(|| panic!("{}", made.text)).to_owned()
        };
        let (own, others) = (make(&alice, "a1").await, make(&bob, "b1").await);
        let session = crate::management::sign_ins::SignIn::of(&app, "auth0|bob", "").await;
        let tokens = app.machine("read:device_credentials").get(&format!("{PATH}?type=refresh_token")).await.body;
        let token = tokens[0]["id"].as_str().expect("is text").to_owned();
        let before = keys(&app).await;
        let mut first = None;
        for id in [&*others, &*token, "dcr_0000000000000000"] {
            app.app.audit.flush().await;
            app.app.db.statements();
            let answer = alice.delete(&format!("{PATH}/{id}")).await;
            let ran = app.app.db.statements();
            assert_eq!((answer.status, &*answer.text), (204, ""), "{id}");
            assert_eq!(*first.get_or_insert(ran.clone()), ran, "{id}");
        }
        assert_eq!(keys(&app).await, before);
        assert_eq!(session.working(&app).await, crate::management::sign_ins::ALL);
        let needed = insufficient("delete:device_credentials,delete:current_user_device_credentials");
        let path = format!("{PATH}/{own}");
        for scope in CURRENT_USER_SCOPES.iter().filter(|scope| **scope != "delete:current_user_device_credentials") {
            let attempt = Attempt { method: Method::DELETE, path: &path, body: None };
            attempt.refused(&app, &app.token("auth0|alice", scope), &needed).await;
        }
        assert_eq!(alice.delete(&path).await.status, 204);
        let left = keys(&app).await;
        assert_eq!((left.as_array().map(Vec::len), &left[0]["id"]), (Some(1), &json!(others)));
        // One's own refresh token ends too.
        assert_eq!(bob.delete(&format!("{PATH}/{token}")).await.status, 204);
        assert_eq!(session.working(&app).await, [true, true, false, true]);
    }

    async fn cu_19_a_device_is_its_users_when_it_is_registered(app: TestApp) {
        let app = people(app).await.without_limits();
        let (alice, admin) = (app.token("auth0|alice", &every_scope()), app.admin());
        let block = async move { assert_eq!(admin.patch(ALICE, json!({ "blocked": true })).await.status, 200) };
        let late = alice.hold_back(Method::POST, PATH, block, device("a1", "", Value::Null)).await;
        assert_eq!((late.status, &late.body), (401, &bad_token("Invalid token")));
        assert_eq!(keys(&app).await, json!([]));
    }
}
