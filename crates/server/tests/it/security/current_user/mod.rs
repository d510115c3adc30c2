//! CU: what a browser app may do with the token of its own user, and that it is nothing more.

mod bounds;
mod devices;
mod factors;
mod metadata;
mod ownership;
mod tokens;

use model::resource_servers::CURRENT_USER_SCOPES;
use model::users::NewUser;
use serde_json::{Map, Value, json};

use crate::support::app::CONNECTION;
use crate::support::{Caller, TestApp};

pub const ALICE: &str = "/api/v2/users/auth0%7Calice";
const BOB: &str = "/api/v2/users/auth0%7Cbob";

/// With alice, who has something of everything, and bob.
async fn people(app: TestApp) -> TestApp {
    let alice = NewUser {
        user_id: Some("alice".into()),
        email: Some("alice@example.com".into()),
        email_verified: true,
        given_name: Some("Alice".into()),
        family_name: Some("Liddell".into()),
        name: Some("Alice Liddell".into()),
        nickname: Some("al".into()),
        picture: Some("https://pictures.test/alice.png".into()),
        user_metadata: Some(object(json!({ "color": "teal", "deep": { "a": 1, "b": [1, 2] } }))),
        app_metadata: Some(object(json!({ "plan": "gold" }))),
        ..NewUser::default()
    };
    app.add_user_with(alice).await;
    app.add_user("auth0|bob").await;
    app
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().expect("is an object").clone()
}

/// Everything that a person's token may ever hold, and more.
fn every_scope() -> String {
    format!("openid profile email {} delete:current_user", CURRENT_USER_SCOPES.join(" "))
}

/// What everybody may see of alice.
fn alice_as_made() -> Value {
    json!({
        "created_at": "2026-01-01T12:00:00.000Z",
        "email": "alice@example.com",
        "email_verified": true,
        "family_name": "Liddell",
        "given_name": "Alice",
        "identities": [{ "connection": CONNECTION, "user_id": "alice", "provider": "auth0", "isSocial": false }],
        "name": "Alice Liddell",
        "nickname": "al",
        "picture": "https://pictures.test/alice.png",
        "updated_at": "2026-01-01T12:00:00.000Z",
        "user_id": "auth0|alice",
        "user_metadata": { "color": "teal", "deep": { "a": 1, "b": [1, 2] } },
        "app_metadata": { "plan": "gold" },
    })
}

/// Somebody who sends this and no more as `Authorization`.
fn saying(app: &TestApp, authorization: &str) -> Caller {
    app.caller().with("authorization", authorization)
}
