//! Sessions as an administrator sees and ends them (management contract §4.16).

use serde_json::{Value, json};

use super::sign_ins::{ALL, SignIn};
use crate::support::{Answer, TestApp};

const ALICE: &str = "/api/v2/users/auth0%7Calice";

fn path(signed: &SignIn) -> String {
    format!("/api/v2/sessions/{}", signed.sid)
}

#[track_caller]
fn assert_accepted(answer: &Answer) {
    assert_eq!((answer.status, &answer.body), (202, &json!({})), "{}", answer.text);
}

async fn ids(app: &TestApp) -> Vec<Value> {
    let list = app.admin().get(&format!("{ALICE}/sessions")).await.body;
    list["sessions"].as_array().expect("a list").iter().map(|one| one["id"].clone()).collect()
}

both_databases! {
    async fn a_session_tells_whose_it_is_and_from_where(app: TestApp) {
        let app = crate::security::prepared(app).await;
        let signed = crate::security::signed_in(&app, "alice").await;
        app.app.clock.advance(60);
        let mut later = signed.clone();
        let silent = crate::support::Authorize::new("page", "id_token").with("prompt", "none");
        let landed = later.get(&silent.path()).await;
        let sid = crate::security::claims(&landed.param("id_token"))["sid"].as_str().expect("is text").to_owned();
        let found = app.admin().get(&format!("/api/v2/sessions/{sid}")).await;
        let at = |minute: u32| format!("2026-01-01T12:0{minute}:00.000Z");
        assert_eq!(found.body, json!({
            "id": sid, "user_id": "auth0|alice", "created_at": at(0), "updated_at": at(1), "authenticated_at": at(0),
            "idle_expires_at": "2026-01-04T12:01:00.000Z", "expires_at": "2026-01-08T12:00:00.000Z", "last_interacted_at": at(1),
            "device": { "initial_ip": "203.0.113.9", "last_ip": "203.0.113.9" },
            "clients": [{ "client_id": "page" }, { "client_id": "web" }],
            "authentication": { "methods": [{ "name": "pwd", "timestamp": at(0) }] },
        }), "{}", found.text);
        app.app.clock.advance(3 * 24 * 3600);
        let ended = app.admin().get(&format!("/api/v2/sessions/{sid}")).await;
        assert_eq!((ended.status, &ended.body["message"]), (404, &json!("The session does not exist.")));
        assert!(ids(&app).await.is_empty());
    }

    async fn a_note_is_kept_with_a_session(app: TestApp) {
        app.add_user("auth0|alice").await;
        let signed = SignIn::of(&app, "auth0|alice", "").await;
        let admin = app.admin();
        let noted = admin.patch(&path(&signed), json!({ "session_metadata": { "ticket": "7", "x": { "y": 1 } } })).await;
        assert_eq!((noted.status, &noted.body["session_metadata"]), (200, &json!({ "ticket": "7", "x": { "y": 1 } })));
        let other = admin.patch(&path(&signed), json!({ "session_metadata": { "b": "c" } })).await;
        assert_eq!(other.body["session_metadata"], json!({ "b": "c" }));
        assert_eq!(admin.get(&path(&signed)).await.body, other.body);
        let none = admin.patch(&path(&signed), json!({ "session_metadata": null })).await;
        assert_eq!((none.status, none.body.get("session_metadata")), (200, None));
        let many: serde_json::Map<_, _> = (0..26).map(|number| (number.to_string(), json!(""))).collect();
        assert_eq!(admin.patch(&path(&signed), json!({ "session_metadata": many })).await.status, 400);
        assert_eq!(signed.working(&app).await, ALL);
        let missing = admin.patch("/api/v2/sessions/nothing", json!({ "session_metadata": {} })).await;
        assert_eq!(missing.status, 404);
    }

    async fn ending_a_session_leaves_what_it_bought_and_revoking_it_does_not(app: TestApp) {
        for user in ["auth0|alice", "auth0|bob"] {
            app.add_user(user).await;
        }
        let admin = app.admin();
        let [one, two, other] = [SignIn::of(&app, "auth0|alice", "").await, SignIn::of(&app, "auth0|alice", "").await, SignIn::of(&app, "auth0|bob", "").await];
        assert_accepted(&admin.delete(&path(&one)).await);
        assert_eq!(one.working(&app).await, [false, true, true, true]);
        assert_accepted(&admin.delete(&path(&one)).await);
        assert_accepted(&admin.post(&format!("{}/revoke", path(&two)), json!({})).await);
        assert_eq!(two.working(&app).await, [false, false, false, true], "an access token is good to its end");
        assert_eq!(admin.post(&format!("{}/revoke", path(&two)), json!({})).await.status, 404);
        assert_eq!(other.working(&app).await, ALL);
        for (scopes, status) in [("delete:sessions", 403), ("delete:refresh_tokens", 403), ("delete:sessions delete:refresh_tokens", 202)] {
            let answer = app.machine(scopes).post(&format!("{}/revoke", path(&other)), json!({})).await;
            assert_eq!(answer.status, status, "{scopes}: {}", answer.text);
        }
    }

    async fn a_users_sessions_are_listed_and_end_together(app: TestApp) {
        for user in ["auth0|alice", "auth0|bob"] {
            app.add_user(user).await;
        }
        let admin = app.admin();
        let mut signed = Vec::new();
        for _ in 0..3 {
            signed.push(SignIn::of(&app, "auth0|alice", "").await);
            app.app.clock.advance(1);
        }
        let other = SignIn::of(&app, "auth0|bob", "").await;
        let expected: Vec<_> = signed.iter().map(|one| json!(one.sid)).collect();
        assert_eq!(ids(&app).await, expected);
        let first = admin.get(&format!("{ALICE}/sessions?take=2&include_totals=true")).await.body;
        assert_eq!((&first["total"], first["sessions"].as_array().map(Vec::len)), (&json!(3), Some(2)));
        let next = first["next"].as_str().expect("there is more");
        let last = admin.get(&format!("{ALICE}/sessions?take=2&from={next}")).await.body;
        assert_eq!((&last["sessions"][0]["id"], last.get("next")), (&expected[2], None));
        assert_accepted(&admin.delete(&format!("{ALICE}/sessions")).await);
        assert!(ids(&app).await.is_empty());
        assert_eq!((signed[0].working(&app).await, other.working(&app).await), ([false, true, true, true], ALL));
        for answer in [admin.get("/api/v2/users/auth0%7Cnobody/sessions").await, admin.delete("/api/v2/users/auth0%7Cnobody/sessions").await] {
            assert_eq!((answer.status, &answer.body["errorCode"]), (404, &json!("inexistent_user")));
        }
    }

    async fn access_is_revoked_from_one_session_or_from_all(app: TestApp) {
        for user in ["auth0|alice", "auth0|bob"] {
            app.add_user(user).await;
        }
        let revoke = async |body: Value| {
            assert_accepted(&app.admin().post(&format!("{ALICE}/revoke-access"), body).await);
        };
        let [one, two, other] = [SignIn::of(&app, "auth0|alice", "").await, SignIn::of(&app, "auth0|alice", "").await, SignIn::of(&app, "auth0|bob", "").await];
        revoke(json!({ "session_id": other.sid })).await;
        assert_eq!(other.working(&app).await, ALL, "it is not hers");
        revoke(json!({ "session_id": one.sid, "preserve_refresh_tokens": true })).await;
        assert_eq!(one.working(&app).await, [false, true, true, true]);
        revoke(json!({ "session_id": two.sid })).await;
        assert_eq!(two.working(&app).await, [false, false, false, true]);
        let three = SignIn::of(&app, "auth0|alice", "").await;
        revoke(json!({ "preserve_refresh_tokens": true })).await;
        assert_eq!(three.working(&app).await, [false, true, true, true]);
        revoke(json!({})).await;
        assert_eq!((three.working(&app).await, other.working(&app).await), ([false; 4], ALL));
    }
}
