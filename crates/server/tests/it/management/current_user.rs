//! What a browser app may do with the token of the person signed in, and what it may not (security cases CU).

use serde_json::{Value, json};

use crate::support::TestApp;

const OWN: &str = "/api/v2/users/auth0%7Calice";
const OTHER: &str = "/api/v2/users/auth0%7Cbob";
const EVERY_SCOPE: &str = "read:current_user update:current_user_identities update:current_user_metadata create:current_user_metadata \
    delete:current_user_metadata create:current_user_device_credentials delete:current_user_device_credentials";

async fn people(app: &TestApp) {
    app.add_user("auth0|alice").await;
    app.add_user("auth0|bob").await;
}

both_databases! {
    async fn cu_01_a_person_reads_their_own_profile(app: TestApp) {
        people(&app).await;
        let own = app.token("auth0|alice", "read:current_user").get(OWN).await;
        assert_eq!((own.status, &own.body["user_id"], &own.body["email"]), (200, &json!("auth0|alice"), &json!("alice@example.com")));
        assert!(!own.text.contains("argon2") && !own.text.contains("password"));
    }

    async fn cu_02_another_user_is_unowned_whether_there_or_not(app: TestApp) {
        people(&app).await;
        let alice = app.token("auth0|alice", EVERY_SCOPE);
        let unowned = json!({ "statusCode": 403, "error": "Forbidden",
            "message": "User to be acted on does not match subject in bearer token.", "errorCode": "unowned_resource" });
        for path in [OTHER, "/api/v2/users/auth0%7Cnobody"] {
            let read = alice.get(path).await;
            assert_eq!((read.status, &read.body), (403, &unowned));
            let write = alice.patch(path, json!({ "user_metadata": { "a": 1 } })).await;
            assert_eq!((write.status, &write.body), (403, &unowned));
            let delete = alice.claiming("scope", "delete:current_user").delete(path).await;
            assert_eq!((delete.status, &delete.body), (403, &unowned));
        }
        let bob = app.machine("read:users").get(OTHER).await;
        assert!(bob.status == 200 && bob.body.get("user_metadata").is_none());
    }

    async fn cu_04_lists_are_closed(app: TestApp) {
        people(&app).await;
        let alice = app.token("auth0|alice", EVERY_SCOPE);
        for path in ["/api/v2/users", "/api/v2/users?q=user_id:*", "/api/v2/users-by-email?email=bob@example.com", "/api/v2/logs", "/api/v2/clients"] {
            let answer = alice.get(path).await;
            assert_eq!((answer.status, &answer.body["errorCode"]), (403, &json!("insufficient_scope")), "{path}");
        }
    }

    async fn cu_10_cu_11_nothing_but_metadata_can_be_written(app: TestApp) {
        people(&app).await;
        let alice = app.token("auth0|alice", EVERY_SCOPE);
        let before = app.machine("read:users").get(OWN).await.body;
        for (field, value, status) in [
            ("email", json!("eve@example.com"), 403),
            ("email_verified", json!(true), 403),
            ("phone_number", json!("+4912345"), 403),
            ("phone_verified", json!(true), 403),
            ("password", json!("Another-horse-9"), 403),
            ("username", json!("eve"), 403),
            ("blocked", json!(false), 403),
            ("name", json!("Eve"), 403),
            ("nickname", json!("eve"), 403),
            ("picture", json!("https://evil.test/e.png"), 403),
            ("connection", json!("Username-Password-Authentication"), 403),
            ("client_id", json!("spa"), 403),
            ("app_metadata", json!({}), 403),
            ("roles", json!(["admin"]), 400),
            ("permissions", json!([]), 400),
            ("identities", json!([]), 400),
            ("multifactor", json!([]), 400),
            ("user_id", json!("auth0|bob"), 400),
            ("created_at", json!("2020-01-01T00:00:00.000Z"), 400),
            ("last_ip", json!("192.0.2.1"), 400),
            ("logins_count", json!(7), 400),
        ] {
            let alone = alice.patch(OWN, json!({ field: value })).await;
            assert_eq!(alone.status, status, "{field}: {}", alone.text);
            let mixed = alice.patch(OWN, json!({ "user_metadata": { "color": "teal" }, field: value })).await;
            assert_eq!(mixed.status, status, "{field}: {}", mixed.text);
            if status == 403 {
                assert_eq!(alone.body, json!({ "statusCode": 403, "error": "Forbidden",
                    "message": format!("You cannot update the following fields: {field}"), "errorCode": "insufficient_scope" }));
            }
        }
        assert_eq!(app.machine("read:users").get(OWN).await.body, before);
        assert_eq!(app.events().await.iter().filter(|kind| *kind == "fapi").count(), 42);
    }

    async fn cu_13_metadata_merges_at_its_first_level(app: TestApp) {
        people(&app).await;
        let alice = app.token("auth0|alice", "update:current_user_metadata");
        let write = async |metadata: Value| {
            app.app.clock.advance(1);
            let answer = alice.patch(OWN, json!({ "user_metadata": metadata })).await;
            assert_eq!(answer.status, 200, "{}", answer.text);
            answer.body["user_metadata"].clone()
        };
        let before = app.machine("read:users").get(OWN).await.body;
        assert_eq!(write(json!({ "color": "teal", "size": { "x": 1, "y": 2 } })).await, json!({ "color": "teal", "size": { "x": 1, "y": 2 } }));
        assert_eq!(write(json!({ "size": { "x": 3 } })).await, json!({ "color": "teal", "size": { "x": 3 } }));
        assert_eq!(write(json!({ "color": null, "a": { "deep": null } })).await, json!({ "size": { "x": 3 }, "a": { "deep": null } }));
        assert_eq!(write(json!({})).await, json!({}));
        let mut after = app.machine("read:users").get(OWN).await.body;
        assert_ne!(after["updated_at"], before["updated_at"]);
        after["updated_at"] = before["updated_at"].clone();
        after.as_object_mut().unwrap().shift_remove("user_metadata");
        assert_eq!(after, before);
        assert_eq!(alice.patch(OWN, json!({})).await.status, 200);
    }

    async fn cu_14_a_create_only_token_adds_and_never_changes(app: TestApp) {
        people(&app).await;
        let alice = app.token("auth0|alice", "create:current_user_metadata");
        let write = async |metadata: Value| alice.patch(OWN, json!({ "user_metadata": metadata })).await;
        assert_eq!(write(json!({ "color": "teal" })).await.body["user_metadata"], json!({ "color": "teal" }));
        assert_eq!(write(json!({ "size": 1 })).await.status, 200);
        for metadata in [json!({ "color": "red" }), json!({ "color": null }), json!({ "new": 1, "color": "teal" }), json!({ "none": null }), json!({})] {
            let answer = write(metadata.clone()).await;
            assert_eq!((answer.status, &answer.body["errorCode"]), (403, &json!("insufficient_scope")), "{metadata}");
        }
        let kept = app.machine("read:users").get(OWN).await;
        assert_eq!(kept.body["user_metadata"], json!({ "color": "teal", "size": 1 }));
    }

    async fn cu_19_a_block_or_a_delete_acts_on_the_next_call(app: TestApp) {
        people(&app).await;
        let alice = app.token("auth0|alice", EVERY_SCOPE);
        let admin = app.machine("update:users delete:users create:users read:users");
        let gone = json!({ "statusCode": 401, "error": "Unauthorized", "message": "Invalid token", "attributes": { "error": "Invalid token" } });
        assert_eq!(alice.get(OWN).await.status, 200);
        assert_eq!(admin.patch(OWN, json!({ "blocked": true })).await.body["blocked"], true);
        assert_eq!(alice.get(OWN).await.body, gone);
        assert_eq!(alice.patch(OWN, json!({ "user_metadata": { "a": 1 } })).await.body, gone);
        assert_eq!(admin.patch(OWN, json!({ "blocked": false })).await.status, 200);
        assert_eq!(alice.get(OWN).await.status, 200);
        assert_eq!(admin.delete(OWN).await.status, 204);
        assert_eq!(alice.patch(OWN, json!({ "user_metadata": { "a": 1 } })).await.body, gone);
        assert_eq!(admin.get(OWN).await.status, 404);
        app.app.clock.advance(2);
        app.add_user("auth0|alice").await;
        assert_eq!(alice.get(OWN).await.body, gone);
        assert_eq!(app.token("auth0|alice", "read:current_user").get(OWN).await.status, 200);
    }

    async fn cu_09_a_machines_token_needs_an_admin_scope(app: TestApp) {
        people(&app).await;
        let answer = app.machine("read:current_user").get(OWN).await;
        assert_eq!((answer.status, &answer.body["message"]), (403, &json!("Insufficient scope, expected any of: read:users,read:current_user,read:user_idp_tokens")));
    }

    async fn cu_23_fields_never_show_more(app: TestApp) {
        people(&app).await;
        let alice = app.token("auth0|alice", "read:current_user");
        let whole = alice.get(OWN).await.body;
        let pick = async |query: &str| alice.get(&format!("{OWN}?{query}")).await;
        assert_eq!(pick("fields=email,user_id").await.body, json!({ "email": "alice@example.com", "user_id": "auth0|alice" }));
        assert_eq!(pick("fields=password,hash,tenant,identities.password").await.body, json!({}));
        let without = pick("fields=identities&include_fields=false").await.body;
        assert_eq!(without.as_object().unwrap().len(), whole.as_object().unwrap().len() - 1);
        assert_eq!(pick(&format!("fields={}", "a,".repeat(2_000))).await.body, json!({}));
    }

    async fn a_deleted_client_takes_its_tokens_along(app: TestApp) {
        people(&app).await;
        let alice = app.token("auth0|alice", "read:current_user");
        assert_eq!(alice.get(OWN).await.status, 200);
        assert_eq!(app.machine("delete:clients").delete("/api/v2/clients/spa").await.status, 204);
        assert_eq!(alice.get(OWN).await.status, 401);
    }
}
