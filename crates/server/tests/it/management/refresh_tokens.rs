//! Refresh tokens as an administrator sees and ends them (management contract §4.16).

use serde_json::{Value, json};

use super::sign_ins::{ALL, SignIn};
use crate::security::refusals::invalid_body;
use crate::support::{Answer, TestApp};

const TOKENS: &str = "/api/v2/refresh-tokens";
const ALICE: &str = "/api/v2/users/auth0%7Calice";
const API: &str = "https://api.test/";

/// What is left of a sign-in once its refresh token has ended.
const WITHOUT: [bool; 4] = [true, true, false, true];

fn path(signed: &SignIn) -> String {
    format!("{TOKENS}/{}", signed.family)
}

#[track_caller]
fn assert_accepted(answer: &Answer) {
    assert_eq!((answer.status, &answer.body), (202, &json!({})), "{}", answer.text);
}

async fn ids(app: &TestApp, query: &str) -> Vec<Value> {
    let list = app.admin().get(&format!("{TOKENS}?{query}")).await;
    let items = list.body["refresh_tokens"].as_array().unwrap_or_else(|| panic!("{}", list.text));
    items.iter().map(|one| one["id"].clone()).collect()
}

both_databases! {
    async fn a_token_tells_what_it_is_for_and_never_itself(app: TestApp) {
        app.add_user("auth0|alice").await;
        let signed = SignIn::of(&app, "auth0|alice", API).await;
        let found = app.admin().get(&path(&signed)).await;
        assert_eq!(found.body, json!({
            "id": signed.family, "user_id": "auth0|alice", "created_at": "2026-01-01T12:00:00.000Z",
            "idle_expires_at": found.body["idle_expires_at"], "expires_at": found.body["expires_at"],
            "device": { "initial_ip": "192.0.2.7" }, "client_id": "spa", "session_id": signed.sid, "rotating": found.body["rotating"],
            "resource_servers": [{ "audience": API, "scopes": "openid offline_access" }], "last_exchanged_at": null,
        }));
        let plain = SignIn::of(&app, "auth0|alice", "").await;
        assert_eq!(app.admin().get(&path(&plain)).await.body["resource_servers"], json!([]));
        let missing = app.admin().get(&format!("{TOKENS}/nothing")).await;
        assert_eq!((missing.status, &missing.body["message"]), (404, &json!("The refresh token does not exist.")));
        let noted = app.admin().patch(&path(&signed), json!({ "refresh_token_metadata": { "a": "b" } })).await;
        assert_eq!((noted.status, &noted.body["refresh_token_metadata"]), (200, &json!({ "a": "b" })));
        assert_eq!(app.admin().get(&path(&signed)).await.body, noted.body);
        assert_eq!(signed.working(&app).await, ALL);
    }

    async fn a_users_tokens_are_listed_and_end_together(app: TestApp) {
        for user in ["auth0|alice", "auth0|bob"] {
            app.add_user(user).await;
        }
        let admin = app.admin();
        let mut signed = Vec::new();
        for _ in 0..3 {
            signed.push(SignIn::of(&app, "auth0|alice", API).await);
            app.app.clock.advance(1);
        }
        let other = SignIn::of(&app, "auth0|bob", API).await;
        let expected: Vec<_> = signed.iter().map(|one| json!(one.family)).collect();
        assert_eq!(ids(&app, "user_id=auth0|alice").await, expected);
        assert_eq!(ids(&app, "user_id=auth0|alice&client_id=spa").await, expected);
        assert_eq!(ids(&app, "user_id=auth0|alice&client_id=web").await, Vec::<Value>::new());
        let some = admin.get(&format!("{TOKENS}?user_id=auth0|alice&fields=id,rotating&include_fields=true&take=1")).await.body;
        assert_eq!(some["refresh_tokens"][0].as_object().map(serde_json::Map::len), Some(2), "{some}");
        let nobodys = admin.get(TOKENS).await;
        assert_eq!((nobodys.status, &nobodys.body["errorCode"]), (400, &json!("invalid_query_string")));
        let first = admin.get(&format!("{ALICE}/refresh-tokens?take=2&include_totals=true")).await.body;
        assert_eq!((&first["total"], &first["tokens"][1]["id"]), (&json!(3), &expected[1]));
        let next = first["next"].as_str().expect("there is more");
        let last = admin.get(&format!("{ALICE}/refresh-tokens?take=2&from={next}")).await.body;
        assert_eq!((&last["tokens"][0]["id"], last.get("next")), (&expected[2], None));
        assert_accepted(&admin.delete(&path(&signed[0])).await);
        assert_accepted(&admin.delete(&path(&signed[0])).await);
        assert_eq!((signed[0].working(&app).await, signed[1].working(&app).await), (WITHOUT, ALL));
        assert_accepted(&admin.delete(&format!("{ALICE}/refresh-tokens")).await);
        assert_eq!((signed[2].working(&app).await, other.working(&app).await), (WITHOUT, ALL));
        assert_eq!(ids(&app, "user_id=auth0|alice").await, Vec::<Value>::new());
    }

    async fn tokens_are_revoked_by_id_by_whose_they_are_and_by_what_for(app: TestApp) {
        for user in ["auth0|alice", "auth0|bob"] {
            app.add_user(user).await;
        }
        let revoke = async |body: Value| app.admin().post(&format!("{TOKENS}/revoke"), body).await;
        let mut signed = Vec::new();
        for (user, audience) in [("auth0|alice", API), ("auth0|alice", ""), ("auth0|bob", API), ("auth0|bob", API)] {
            signed.push(SignIn::of(&app, user, audience).await);
        }
        let left = async || {
            let mut left = Vec::new();
            for one in &signed {
                left.push(one.working(&app).await[2]);
            }
            left
        };
        for (body, told) in [
            (json!({ "audience": API }), "One of ids, user_id or client_id is required."),
            (json!({ "ids": ["x"], "user_id": "auth0|bob" }), "ids cannot be combined with user_id, client_id or audience."),
        ] {
            let refused = revoke(body).await;
            assert_eq!((refused.status, refused.body), (400, invalid_body(told)));
        }
        assert_accepted(&revoke(json!({ "ids": [signed[2].family, "nothing"] })).await);
        assert_eq!(left().await, [true, true, false, true]);
        assert_accepted(&revoke(json!({ "user_id": "auth0|alice", "client_id": "web" })).await);
        assert_eq!(left().await, [true, true, false, true]);
        assert_accepted(&revoke(json!({ "user_id": "auth0|alice", "audience": API })).await);
        assert_eq!(left().await, [false, true, false, true]);
        assert_accepted(&revoke(json!({ "client_id": "spa" })).await);
        assert_eq!(left().await, [false; 4]);
    }
}
