//! What a token writes: `user_metadata`, by its rules, and nothing else.

use model::{credentials, users};
use serde_json::{Value, json};

use super::{ALICE, BOB, alice_as_made, every_scope, object, people};
use crate::security::refusals::{Attempt, forbidden_fields, invalid_body};
use crate::support::app::{CONNECTION, NOW, PASSWORD};
use crate::support::{Answer, TestApp};

both_databases! {
    /// A person writes `user_metadata` and nothing else, though the value be the one that is there.
    async fn cu_10_a_user_writes_no_field_of_their_profile(app: TestApp) {
        let app = people(app).await;
        for scopes in ["update:current_user_metadata", "create:current_user_metadata", &every_scope()] {
            let alice = app.token("auth0|alice", scopes);
            for (field, value) in PROFILE_FIELDS.iter().map(|(field, value)| (*field, read(value))) {
                let body = json!({ field: value });
                Attempt::patch(ALICE, &body).refused(&app, &alice, &forbidden_fields(field)).await;
            }
            for (field, value) in UNKNOWN_FIELDS.iter().map(|(field, value)| (*field, read(value))) {
                let body = json!({ field: value });
                Attempt::patch(ALICE, &body).refused(&app, &alice, &unknown_field(field)).await;
            }
        }
        let seen = app.admin().get(ALICE).await;
        assert_eq!(seen.body, alice_as_made());
    }

    /// One forbidden field and the whole body is refused, what would have been allowed too.
    async fn cu_11_a_forbidden_field_takes_the_whole_body_with_it(app: TestApp) {
        let app = people(app).await;
        let alice = app.token("auth0|alice", &every_scope());
        for (field, value) in PROFILE_FIELDS.iter().map(|(field, value)| (*field, read(value))) {
            for body in [json!({ "user_metadata": { "a": 1 }, field: value }), json!({ field: value, "user_metadata": {} })] {
                Attempt::patch(ALICE, &body).refused(&app, &alice, &forbidden_fields(field)).await;
            }
        }
        for (field, value) in UNKNOWN_FIELDS.iter().map(|(field, value)| (*field, read(value))) {
            let body = json!({ "user_metadata": { "a": 1 }, field: value });
            Attempt::patch(ALICE, &body).refused(&app, &alice, &unknown_field(field)).await;
        }
        let body = json!({ "email": "x@example.com", "blocked": false, "user_metadata": { "a": 1 }, "app_metadata": {} });
        Attempt::patch(ALICE, &body).refused(&app, &alice, &forbidden_fields("blocked, email, app_metadata")).await;
        assert_eq!(app.admin().get(ALICE).await.body, alice_as_made());
    }

    /// A password is never changed with a token of a browser app.
    async fn cu_12_a_user_changes_no_password(app: TestApp) {
        let app = people(app).await;
        let alice = app.token("auth0|alice", &every_scope());
        let new = "Another-horse-10";
        for (body, fields) in [
            (json!({ "password": new }), "password"),
            (json!({ "password": new, "connection": CONNECTION }), "password, connection"),
            (json!({ "password": new, "connection": CONNECTION, "client_id": "spa" }), "password, connection, client_id"),
            (json!({ "password": null }), "password"),
        ] {
            Attempt::patch(ALICE, &body).refused(&app, &alice, &forbidden_fields(fields)).await;
        }
        let user = users::find(&app.app.db, &app.tenant.id, &"auth0|alice".into()).await.expect("reads").expect("is there");
        let credential = credentials::find(&app.app.db, &app.tenant.id, user.primary()).await.expect("reads").expect("has one");
        let verify = async |password: &str| {
            let verdict = app.app.hasher.verify(password.to_owned(), Some(credential.hash.clone())).await;
            verdict.expect("hashes").matches
        };
        assert_eq!((verify(PASSWORD).await, verify(new).await), (true, false));
        assert_eq!((credential.changed_at, user.last_password_reset), (NOW, None));
    }

    /// The first level merges; the rest of the profile stays as it is, to the byte.
    async fn cu_13_metadata_merges_at_its_first_level(app: TestApp) {
        let app = people(app).await;
        let alice = app.token("auth0|alice", "update:current_user_metadata");
        let rest = |answer: &Answer| {
            let mut rest = object(answer.body.clone());
            rest.shift_remove("user_metadata");
            rest.shift_remove("updated_at");
            Value::Object(rest).to_string()
        };
        let before = app.admin().get(ALICE).await;
        for (patch, expected) in [
            (json!({ "size": 1 }), json!({ "color": "teal", "deep": { "a": 1, "b": [1, 2] }, "size": 1 })),
            (json!({ "color": "red", "size": null }), json!({ "color": "red", "deep": { "a": 1, "b": [1, 2] } })),
            (json!({ "deep": { "a": null } }), json!({ "color": "red", "deep": { "a": null } })),
            (json!({ "absent": null }), json!({ "color": "red", "deep": { "a": null } })),
            (json!({ "deep": [], "color": "" }), json!({ "color": "", "deep": [] })),
            (json!({}), json!({})),
            (json!({ "__proto__": { "admin": true } }), json!({ "__proto__": { "admin": true } })),
        ] {
            app.app.clock.advance(1);
            let answer = alice.patch(ALICE, json!({ "user_metadata": patch })).await;
            assert_eq!((answer.status, &answer.body["user_metadata"]), (200, &expected), "{patch}: {}", answer.text);
            assert_eq!(answer.body["updated_at"], json!(app.app.clock.now()), "{patch}");
            assert_eq!(rest(&answer), rest(&before), "{patch}");
            assert_eq!(app.admin().get(ALICE).await.text, answer.text, "{patch}");
        }
        let updated = app.app.clock.now();
        app.app.clock.advance(1);
        let nothing = alice.patch(ALICE, json!({})).await;
        assert_eq!((nothing.status, &nothing.body["updated_at"]), (200, &json!(updated)), "an empty body changes nothing");
    }

    /// `create:` adds; it takes the other scope to change or to take away.
    async fn cu_14_a_create_only_token_adds_and_changes_nothing(app: TestApp) {
        let app = people(app).await;
        let alice = app.token("auth0|alice", "create:current_user_metadata");
        let added = alice.patch(ALICE, json!({ "user_metadata": { "size": { "x": 1 } } })).await;
        let all = json!({ "color": "teal", "deep": { "a": 1, "b": [1, 2] }, "size": { "x": 1 } });
        assert_eq!((added.status, &added.body["user_metadata"]), (200, &all), "{}", added.text);
        for (patch, fields) in [
            (json!({ "color": "red" }), "user_metadata.color"),
            (json!({ "color": "teal" }), "user_metadata.color"),
            (json!({ "color": null }), "user_metadata.color"),
            (json!({ "deep": { "c": 1 } }), "user_metadata.deep"),
            (json!({ "size": { "x": 1, "y": 2 } }), "user_metadata.size"),
            (json!({ "new": 1, "size": 2 }), "user_metadata.size"),
            (json!({ "absent": null }), "user_metadata.absent"),
            (json!({}), "user_metadata"),
        ] {
            let body = json!({ "user_metadata": patch });
            Attempt::patch(ALICE, &body).refused(&app, &alice, &forbidden_fields(fields)).await;
        }
        let bob = app.token("auth0|bob", "create:current_user_metadata");
        let first = bob.patch(BOB, json!({ "user_metadata": { "a": 1 } })).await;
        assert_eq!((first.status, &first.body["user_metadata"]), (200, &json!({ "a": 1 })), "{}", first.text);
        let both = app.token("auth0|alice", "create:current_user_metadata update:current_user_metadata");
        let changed = both.patch(ALICE, json!({ "user_metadata": { "color": "red", "deep": null, "size": null } })).await;
        assert_eq!((changed.status, &changed.body["user_metadata"]), (200, &json!({ "color": "red" })), "{}", changed.text);
    }
}

/// The fields of a profile that a body of PATCH knows, and a value that would be good for an administrator.
const PROFILE_FIELDS: [(&str, &str); 18] = [
    ("email", r#""mallory@example.com""#),
    ("email_verified", "true"),
    ("phone_number", r#""+15550100""#),
    ("phone_verified", "true"),
    ("password", r#""Another-horse-10""#),
    ("username", r#""mallory""#),
    ("blocked", "false"),
    ("name", r#""Alice Liddell""#),
    ("nickname", r#""al""#),
    ("given_name", r#""Alice""#),
    ("family_name", "null"),
    ("picture", r#""https://pictures.test/mallory.png""#),
    ("connection", r#""Username-Password-Authentication""#),
    ("client_id", r#""spa""#),
    ("verify_email", "false"),
    ("verify_phone_number", "false"),
    ("app_metadata", r#"{"plan":"gold"}"#),
    ("app_metadata", "{}"),
];

/// Fields that no body may name.
const UNKNOWN_FIELDS: [(&str, &str); 12] = [
    ("roles", r#"["admin"]"#),
    ("permissions", r#"["read:users"]"#),
    ("identities", "[]"),
    ("multifactor", "[]"),
    ("user_id", r#""auth0|alice""#),
    ("created_at", r#""2020-01-01T00:00:00.000Z""#),
    ("last_ip", r#""192.0.2.1""#),
    ("logins_count", "7"),
    ("tenant", r#""other""#),
    ("id", r#""auth0|bob""#),
    ("version", "1"),
    ("__proto__", r#"{"user_metadata":{}}"#),
];

fn read(text: &str) -> Value {
    serde_json::from_str(text).expect("is JSON")
}

fn unknown_field(field: &str) -> Value {
    invalid_body(&format!(
        "Payload validation error: 'Additional properties not allowed: {field} (consider storing them in app_metadata or \
         user_metadata. See \"Users Metadata\" in https://auth0.com/docs/api/v2/changes for more details)'."
    ))
}
