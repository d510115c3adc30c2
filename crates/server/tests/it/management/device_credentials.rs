//! `/api/v2/device-credentials`: keys of devices, and the refresh tokens that are shown beside them.

use serde_json::{Value, json};

use super::sign_ins::{ALL, SignIn};
use crate::security::refusals::refusal;
use crate::support::TestApp;

const PATH: &str = "/api/v2/device-credentials";

fn device(id: &str) -> Value {
    json!({ "device_name": "Phone", "type": "public_key", "value": "ABCD", "device_id": id })
}

/// Registers a device of a user for the client `spa`.
async fn register(app: &TestApp, user: &str, device_id: &str) -> String {
    let owner = app.token(user, "create:current_user_device_credentials");
    let made = owner.post(PATH, device(device_id)).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let id = made.body["id"].as_str().expect("is text").to_owned();
    assert_eq!(made.body, json!({ "id": id }));
    id
}

/// The entries of a list, without the ids of those that are refresh tokens.
async fn listed(app: &TestApp, query: &str) -> Value {
    let answer = app.machine("read:device_credentials").get(&format!("{PATH}?{query}")).await;
    assert_eq!(answer.status, 200, "{query}: {}", answer.text);
    answer.body
}

async fn people(app: &TestApp) {
    for user in ["auth0|alice", "auth0|bob"] {
        app.add_user(user).await;
    }
}

both_databases! {
    async fn a_page_begins_where_the_last_one_ended(app: TestApp) {
        people(&app).await;
        let mut made = Vec::new();
        for id in ["a1", "b2", "c3"] {
            app.app.clock.advance(1);
            made.push(register(&app, "auth0|alice", id).await);
        }
        for (page, expected) in [(0, &made[..2]), (1, &made[2..]), (2, &[])] {
            let list = listed(&app, &format!("type=public_key&per_page=2&page={page}")).await;
            let ids: Vec<_> = list.as_array().expect("is a list").iter().map(|item| item["id"].as_str().expect("is text")).collect();
            assert_eq!(ids, expected, "page {page}");
        }
    }

    async fn keys_and_refresh_tokens_are_listed_together(app: TestApp) {
        people(&app).await;
        let key = register(&app, "auth0|alice", "a1-B2").await;
        app.app.clock.advance(1);
        let _alice = SignIn::of(&app, "auth0|alice", "").await;
        app.app.clock.advance(1);
        let _bob = SignIn::of(&app, "auth0|bob", "").await;
        let kinds = |list: &Value| -> Vec<(String, String)> {
            let text = |item: &Value, key: &str| item[key].as_str().unwrap_or_default().to_owned();
            list.as_array().expect("is a list").iter().map(|item| (text(item, "type"), text(item, "user_id"))).collect()
        };
        let is = |kind: &str, user: &str| (kind.to_owned(), user.to_owned());
        let whole = listed(&app, "").await;
        assert_eq!(
            whole[0],
            json!({ "id": key, "device_name": "Phone", "device_id": "a1-B2", "type": "public_key", "user_id": "auth0|alice", "client_id": "spa" })
        );
        let (alices, bobs) = (is("refresh_token", "auth0|alice"), is("refresh_token", "auth0|bob"));
        assert_eq!(kinds(&whole), [is("public_key", "auth0|alice"), alices.clone(), bobs.clone()]);
        assert_eq!(whole[1]["client_id"], "spa");
        assert!(whole[1]["id"].as_str().is_some_and(|id| id.len() == 20 && id.starts_with("dcr_")), "{whole}");
        assert_eq!(whole[1].get("device_id"), None);

        for (query, expected) in [
            ("type=public_key", vec![is("public_key", "auth0|alice")]),
            ("type=refresh_token", vec![alices.clone(), bobs.clone()]),
            ("type=rotating_refresh_token", vec![]),
            ("user_id=auth0%7Cbob", vec![bobs.clone()]),
            ("user_id=auth0%7Cbob&type=public_key", vec![]),
            ("client_id=spa&user_id=auth0%7Calice", vec![is("public_key", "auth0|alice"), alices.clone()]),
            ("client_id=m2m", vec![]),
            // Where paging is asked for, no type means refresh tokens.
            ("page=0", vec![alices.clone(), bobs.clone()]),
            ("per_page=1&page=1", vec![bobs.clone()]),
            ("per_page=1&page=2", vec![]),
            ("per_page=50&type=public_key", vec![is("public_key", "auth0|alice")]),
        ] {
            assert_eq!(kinds(&listed(&app, query).await), expected, "{query}");
        }
        assert_eq!(
            listed(&app, "include_totals=true&per_page=1&type=public_key&fields=id").await,
            json!({ "total": 1, "start": 0, "limit": 1, "device_credentials": [{ "id": key }] })
        );
        let counted = listed(&app, "include_totals=true&per_page=1&page=1").await;
        assert_eq!((&counted["total"], &counted["start"], kinds(&counted["device_credentials"])), (&json!(2), &json!(1), vec![bobs]));
        // What has expired is no credential.
        app.app.clock.advance(60 * 60 * 24 * 365 * 2);
        assert_eq!(kinds(&listed(&app, "").await).first(), Some(&is("public_key", "auth0|alice")));
        let elsewhere = app.machine("read:device_credentials").get(&format!("{PATH}?type=password")).await;
        assert_eq!((elsewhere.status, &elsewhere.body["errorCode"]), (400, &json!("invalid_query_string")));
    }

    async fn a_rotating_token_keeps_its_entry_and_its_kind(app: TestApp) {
        people(&app).await;
        let rotating = json!({ "app_type": "spa", "token_endpoint_auth_method": "none", "oidc_conformant": true,
            "refresh_token": { "rotation_type": "rotating", "expiration_type": "expiring", "token_lifetime": 100, "idle_token_lifetime": 50,
                "infinite_token_lifetime": false, "infinite_idle_token_lifetime": false } });
        let changed = app.machine("update:clients").patch("/api/v2/clients/spa", json!({ "refresh_token": rotating["refresh_token"] })).await;
        assert_eq!(changed.status, 200, "{}", changed.text);
        let _alice = SignIn::of(&app, "auth0|alice", "").await;
        let entries = listed(&app, "type=rotating_refresh_token").await;
        assert_eq!((entries.as_array().map(Vec::len), &entries[0]["type"]), (Some(1), &json!("rotating_refresh_token")));
        assert_eq!(listed(&app, "type=refresh_token").await, json!([]));
        app.app.clock.advance(49);
        assert_eq!(listed(&app, "").await.as_array().map(Vec::len), Some(1));
        app.app.clock.advance(1);
        assert_eq!(listed(&app, "").await, json!([]));
    }

    async fn deleting_an_entry_revokes_its_refresh_token(app: TestApp) {
        people(&app).await;
        let (alice, bob) = (SignIn::of(&app, "auth0|alice", "").await, SignIn::of(&app, "auth0|bob", "").await);
        let key = register(&app, "auth0|alice", "a1").await;
        let tokens = listed(&app, "user_id=auth0%7Calice&type=refresh_token").await;
        let id = tokens[0]["id"].as_str().expect("is text");
        let machine = app.machine("delete:device_credentials");
        assert_eq!(machine.delete(&format!("{PATH}/{id}")).await.status, 204);
        assert_eq!((alice.working(&app).await, bob.working(&app).await), ([true, true, false, true], ALL));
        assert_eq!(listed(&app, "user_id=auth0%7Calice").await.as_array().map(Vec::len), Some(1));
        assert_eq!(machine.delete(&format!("{PATH}/{key}")).await.status, 204);
        assert_eq!(listed(&app, "user_id=auth0%7Calice").await, json!([]));
        for _ in 0..2 {
            assert_eq!(machine.delete(&format!("{PATH}/{id}")).await.status, 204, "it is gone already");
        }
        let bad = machine.delete(&format!("{PATH}/dcr_short")).await;
        let told = "Path validation error: 'String does not match pattern ^dcr_[A-Za-z0-9]{16}$: dcr_short' on property id.";
        assert_eq!((bad.status, &bad.body), (400, &refusal(400, "Bad Request", told, "invalid_uri")));
    }

    async fn a_key_goes_with_its_user_and_its_client(app: TestApp) {
        people(&app).await;
        app.add_client("other", json!({ "app_type": "spa", "token_endpoint_auth_method": "none" })).await;
        register(&app, "auth0|alice", "a1").await;
        register(&app, "auth0|bob", "b1").await;
        let elsewhere = app.token_of("auth0|bob", "other", "create:current_user_device_credentials");
        assert_eq!(elsewhere.post(PATH, device("b1")).await.status, 201, "another client on the same device");
        assert_eq!(listed(&app, "").await.as_array().map(Vec::len), Some(3));
        assert_eq!(app.machine("delete:clients").delete("/api/v2/clients/other").await.status, 204);
        assert_eq!(listed(&app, "client_id=other").await, json!([]));
        assert_eq!(app.machine("delete:users").delete("/api/v2/users/auth0%7Calice").await.status, 204);
        let left = listed(&app, "").await;
        assert_eq!((left.as_array().map(Vec::len), &left[0]["user_id"]), (Some(1), &json!("auth0|bob")));
        // A linked account brings no devices.
        app.add_user("auth0|carol").await;
        let linked = app.machine("update:users").post("/api/v2/users/auth0%7Ccarol/identities", json!({ "provider": "auth0", "user_id": "bob" })).await;
        assert_eq!((linked.status, listed(&app, "").await), (201, json!([])));
    }

    async fn a_device_has_one_key_and_a_person_many_devices(app: TestApp) {
        let app = app.without_limits();
        people(&app).await;
        register(&app, "auth0|alice", "a1").await;
        register(&app, "auth0|bob", "a1").await;
        let alice = app.token("auth0|alice", "create:current_user_device_credentials");
        let twice = alice.post(PATH, device("a1")).await;
        assert_eq!((twice.status, &twice.body), (409, &refusal(409, "Conflict", "A public key already exists for the device.", "")));
        for number in 0..model::device_credentials::KEYS_PER_CLIENT {
            app.app.clock.advance(1);
            assert_eq!(alice.post(PATH, device(&format!("b{number:x}"))).await.status, 201);
        }
        let kept = listed(&app, "user_id=auth0%7Calice&type=public_key").await;
        let kept = kept.as_array().expect("is a list");
        assert_eq!((kept.len(), &kept[0]["device_id"]), (200, &json!("b0")), "the oldest has gone");
    }

    async fn a_machine_registers_for_the_user_it_names(app: TestApp) {
        people(&app).await;
        let machine = app.machine("create:device_credentials");
        let forbidden = |whose: &str| refusal(403, "Forbidden", &format!("Cannot create device credentials for that {whose}."), "unowned_resource");
        let with = |key: &str, value: &str| {
            let mut body = device("a1");
            body[key] = json!(value);
            body
        };
        for (body, expected) in [
            (device("a1"), forbidden("user")),
            (with("user_id", "auth0|nobody"), forbidden("user")),
            (with("user_id", "m2m@clients"), forbidden("user")),
        ] {
            let answer = machine.post(PATH, body.clone()).await;
            assert_eq!((answer.status, &answer.body), (403, &expected), "{body}");
        }
        let mut body = with("user_id", "auth0|bob");
        body["client_id"] = json!("spa");
        let answer = machine.post(PATH, body).await;
        assert_eq!((answer.status, &answer.body), (403, &forbidden("client")));
        assert_eq!(machine.post(PATH, with("user_id", "auth0|bob")).await.status, 201);
        let made = listed(&app, "").await;
        assert_eq!((&made[0]["user_id"], &made[0]["client_id"]), (&json!("auth0|bob"), &json!("m2m")));
    }
}
