//! `/api/v2/users/{id}/identities` as an administrator uses it.

use serde_json::{Value, json};

use super::sign_ins::{ALL, NONE, SignIn};
use crate::security::refusals::{invalid_body, refusal};
use crate::support::TestApp;
use crate::support::app::CONNECTION;

const LINKS: &str = "/api/v2/users/auth0%7Calice/identities";

async fn people(app: &TestApp) {
    for user in ["auth0|alice", "auth0|bob", "auth0|5"] {
        app.add_user(user).await;
    }
}

/// The ids of a list of identities.
fn ids(identities: &Value) -> Vec<&str> {
    let identities = identities.as_array().unwrap_or_else(|| panic!("{identities} is no list"));
    identities.iter().filter_map(|identity| identity["user_id"].as_str()).collect()
}

both_databases! {
    async fn an_account_is_named_in_several_ways(app: TestApp) {
        people(&app).await;
        let admin = app.admin();
        let connections = admin.get("/api/v2/connections").await.body;
        let connection = &connections[0]["id"];
        assert_eq!(connections[0]["name"], CONNECTION);
        for (body, id) in [
            (json!({ "provider": "auth0", "user_id": "bob" }), "bob"),
            (json!({ "provider": "auth0", "user_id": "auth0|bob" }), "bob"),
            (json!({ "provider": "auth0", "user_id": "auth0|bob", "connection_id": connection }), "bob"),
            (json!({ "provider": "auth0", "user_id": 5 }), "5"),
        ] {
            let linked = admin.post(LINKS, body.clone()).await;
            assert_eq!((linked.status, ids(&linked.body)), (201, vec!["alice", id]), "{body}: {}", linked.text);
            // By its id alone, and by its connection's name and its id.
            let named = if id == "5" { format!("{CONNECTION}%7C5") } else { id.to_owned() };
            let unlinked = admin.delete(&format!("{LINKS}/auth0/{named}")).await;
            assert_eq!((unlinked.status, ids(&unlinked.body)), (200, vec!["alice"]), "{}", unlinked.text);
        }
        let form = [("provider", "auth0"), ("user_id", "5")];
        let linked = admin.form(LINKS, &form).await;
        assert_eq!((linked.status, ids(&linked.body)), (201, vec!["alice", "5"]), "{}", linked.text);
    }

    async fn an_account_that_is_not_there_is_not_linked(app: TestApp) {
        people(&app).await;
        let admin = app.admin();
        let other = admin.post("/api/v2/connections", json!({ "name": "other", "strategy": "auth0" })).await.body;
        let connection = admin.get("/api/v2/connections").await.body[0]["id"].clone();
        for (body, told) in [
            (json!({ "provider": "auth0", "user_id": "nobody" }), "Linking to an inexistent identity requires a connection."),
            (json!({ "provider": "auth0", "user_id": "nobody", "connection_id": connection }), "Linking to an inexistent identity is not allowed."),
            (json!({ "provider": "auth0", "user_id": "bob", "connection_id": other["id"] }), "Linking to an inexistent identity is not allowed."),
            (json!({ "provider": "auth0", "user_id": "bob", "connection_id": "con_0000000000000000" }), "The provider/connection is not configured."),
            (json!({ "provider": "google-oauth2", "user_id": "bob" }), "The provider/connection is not configured."),
            (json!({ "provider": "google-oauth2", "user_id": "bob", "connection_id": connection }), "The provider/connection is not configured."),
            (json!({ "provider": "auth0" }), "Payload validation error: 'Missing required property: user_id'."),
            (json!({ "user_id": "bob" }), "Payload validation error: 'Missing required property: provider'."),
            (json!({ "connection_id": connection }), "Payload validation error: 'Missing required property: provider'."),
            (json!({ "link_with": "a.b.c", "user_id": "bob", "provider": "auth0" }), "Payload validation error: 'Additional properties not allowed: provider,user_id'."),
        ] {
            let answer = admin.post(LINKS, body.clone()).await;
            assert_eq!((answer.status, &answer.body), (400, &invalid_body(told)), "{body}");
        }
        let missing = refusal(404, "Not Found", "The user does not exist.", "inexistent_user");
        let nobody = "/api/v2/users/auth0%7Cnobody/identities";
        let answer = admin.post(nobody, json!({ "provider": "auth0", "user_id": "bob" })).await;
        assert_eq!((answer.status, &answer.body), (404, &missing));
        let answer = admin.delete(&format!("{nobody}/auth0/bob")).await;
        assert_eq!((answer.status, &answer.body), (404, &missing));
    }

    async fn the_main_identity_stays_and_an_unknown_one_is_no_identity(app: TestApp) {
        people(&app).await;
        let admin = app.admin();
        let main = refusal(400, "Bad Request", "Main identity cannot be removed.", "operation_not_supported");
        let unknown = refusal(400, "Bad Request", "The specified identity does not exist.", "invalid_uri");
        let no_provider = "Path validation error: 'No enum match for: Auth0' on property provider.";
        let no_provider = refusal(400, "Bad Request", no_provider, "invalid_uri");
        for (path, expected) in [
            ("auth0/alice", &main),
            ("auth0/Username-Password-Authentication%7Calice", &main),
            ("auth0/bob", &unknown),
            ("auth0/auth0%7Calice", &unknown),
            ("google-oauth2/alice", &unknown),
            ("auth0/Alice", &unknown),
            ("Auth0/alice", &no_provider),
        ] {
            let answer = admin.delete(&format!("{LINKS}/{path}")).await;
            assert_eq!((answer.status, &answer.body), (400, expected), "{path}");
        }
    }

    async fn a_user_has_at_most_fifty_identities(app: TestApp) {
        let admin = app.admin();
        app.add_user("auth0|alice").await;
        for number in 0..50 {
            app.add_user(&format!("auth0|n{number}")).await;
            let answer = admin.post(LINKS, json!({ "provider": "auth0", "user_id": format!("n{number}") })).await;
            let expected = if number < 49 { 201 } else { 400 };
            assert_eq!(answer.status, expected, "{number}: {}", answer.text);
            if number == 49 {
                assert_eq!(answer.body, invalid_body("Unable to link with the secondary account."));
            }
        }
    }

    /// An administrator's link by id leaves the account signed in nowhere, and its owner as they were.
    async fn a_link_ends_what_the_account_was_signed_in_with(app: TestApp) {
        people(&app).await;
        let (alice, bob) = (SignIn::of(&app, "auth0|alice", "").await, SignIn::of(&app, "auth0|bob", "https://api.test/").await);
        let refused = app.admin().post(LINKS, json!({ "provider": "auth0", "user_id": "nobody" })).await;
        assert_eq!((refused.status, alice.working(&app).await, bob.working(&app).await), (400, ALL, ALL));
        let linked = app.admin().post(LINKS, json!({ "provider": "auth0", "user_id": "bob" })).await;
        assert_eq!((linked.status, alice.working(&app).await, bob.working(&app).await), (201, ALL, NONE));
    }
}
