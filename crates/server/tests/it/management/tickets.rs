//! Links that an administrator makes.

use serde_json::{Value, json};

use crate::support::app::CONNECTION;
use crate::support::{Browser, TestApp};

const VERIFY: &str = "/api/v2/tickets/email-verification";
const CHANGE: &str = "/api/v2/tickets/password-change";

fn path(answer: &Value) -> String {
    let ticket = answer["ticket"].as_str().expect("a link");
    let (_, path) = ticket.split_once("https://id.test").expect("one of ours");
    path.strip_suffix('#').expect("it ends so").to_owned()
}

both_databases! {
    async fn a_ticket_is_a_link_that_ends_in_a_hash(app: TestApp) {
        app.add_user("auth0|alice").await;
        let admin = app.admin();
        for (place, page) in [(VERIFY, "/u/email-verification?ticket="), (CHANGE, "/u/reset-password?ticket=")] {
            let made = admin.post(place, json!({ "user_id": "auth0|alice", "result_url": "https://app.test/done?x=1", "ttl_sec": 60 })).await;
            assert_eq!(made.status, 201, "{}", made.text);
            assert_eq!(made.body.as_object().expect("one").len(), 1);
            let link = path(&made.body);
            let token = link.strip_prefix(page).unwrap_or_else(|| panic!("{link}"));
            assert!(token.len() == 32 && token.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{token}");
            // The log holds no link that works.
            app.app.audit.flush().await;
            assert!(!admin.get("/api/v2/logs?per_page=100").await.text.contains(token));
            let mut browser = Browser::new(app.caller());
            let shown = browser.open(&link).await;
            let done = browser.submit(&shown, &[("password", "Another-horse-9")]).await;
            assert!(done.location().starts_with("https://app.test/done?x=1&success=true&message="), "{done:?}");
            assert!(!done.location().contains("alice"), "{done:?}");
            let old = path(&admin.post(place, json!({ "user_id": "auth0|alice", "ttl_sec": 60 })).await.body);
            app.app.clock.advance(60);
            assert_eq!(Browser::new(app.caller()).open(&old).await.status, 400);
        }
    }

    async fn a_password_ticket_may_prove_the_address_and_may_not(app: TestApp) {
        app.add_user("auth0|alice").await;
        let admin = app.admin();
        let own = "/api/v2/users/auth0%7Calice";
        assert_eq!(admin.patch(own, json!({ "email_verified": false })).await.status, 200);
        for (marks, verified) in [(false, false), (true, true)] {
            let body = json!({ "user_id": "auth0|alice", "mark_email_as_verified": marks });
            let link = path(&admin.post(CHANGE, body).await.body);
            let mut browser = Browser::new(app.caller());
            let page = browser.open(&link).await;
            assert_eq!(browser.submit(&page, &[("password", "weak")]).await.status, 400);
            let page = browser.open(&link).await;
            assert_eq!(browser.submit(&page, &[("password", "Another-horse-9")]).await.status, 200);
            assert_eq!(admin.get(own).await.body["email_verified"], json!(verified));
        }
    }

    /// What is asked for with a link comes with it: the address, the app, and how long it lives.
    async fn a_ticket_is_as_it_was_asked_for(app: TestApp) {
        app.add_user("auth0|alice").await;
        let admin = app.admin();
        let client = json!({ "initiate_login_uri": "https://app.test/login" });
        assert_eq!(admin.patch("/api/v2/clients/spa", client).await.status, 200);
        let used = async |more: Value| {
            let mut body = json!({ "user_id": "auth0|alice" });
            body.as_object_mut().expect("one").extend(more.as_object().expect("one").clone());
            let made = admin.post(VERIFY, body).await;
            assert_eq!(made.status, 201, "{}", made.text);
            let link = path(&made.body);
            app.app.clock.advance(600);
            let mut browser = Browser::new(app.caller());
            let page = browser.open(&link).await;
            browser.submit(&page, &[]).await
        };
        let done = used(json!({ "result_url": "https://app.test/done", "includeEmailInRedirect": true })).await;
        assert!(done.location().starts_with("https://app.test/done?email=alice%40example.com&success=true"), "{done:?}");
        let done = used(json!({ "result_url": "https://app.test/done", "includeEmailInRedirect": false })).await;
        assert!(done.location().starts_with("https://app.test/done?success=true"), "{done:?}");
        let done = used(json!({ "client_id": "spa", "ttl_sec": 0 })).await;
        assert!(done.text.contains("href=\"https://app.test/login\""), "{done:?}");
    }

    async fn an_address_that_is_not_there_is_not_verified(app: TestApp) {
        let nameless = model::users::NewUser { user_id: Some("nameless".into()), ..Default::default() };
        app.add_user_with(nameless).await;
        let refused = app.admin().post(VERIFY, json!({ "user_id": "auth0|nameless" })).await;
        assert_eq!((refused.status, &refused.body["message"]), (400, &json!("The user does not have an email address.")));
    }

    async fn who_has_no_password_gets_no_link_to_set_one(app: TestApp) {
        let admin = app.admin();
        let connection = json!({ "name": "email", "strategy": "email" });
        assert_eq!(admin.post("/api/v2/connections", connection).await.status, 201);
        let user = json!({ "connection": "email", "email": "ann@example.com", "email_verified": true });
        let user = admin.post("/api/v2/users", user).await.body["user_id"].clone();
        let refused = admin.post(CHANGE, json!({ "user_id": user })).await;
        assert_eq!((refused.status, &refused.body["message"]), (400, &json!("The user's main connection does not support this operation.")));
        assert_eq!(admin.post(VERIFY, json!({ "user_id": user })).await.status, 201);
    }

    async fn a_user_is_named_in_one_way(app: TestApp) {
        app.add_user("auth0|alice").await;
        let admin = app.admin();
        let connections = admin.get("/api/v2/connections").await.body;
        let connection = connections[0]["id"].as_str().expect("an id");
        assert_eq!(connections[0]["name"], CONNECTION);
        let by_email = admin.post(CHANGE, json!({ "connection_id": connection, "email": "Alice@example.com" })).await;
        assert_eq!(by_email.status, 201, "{}", by_email.text);
        let missing = json!({ "statusCode": 404, "error": "Not Found", "message": "The user does not exist.", "errorCode": "inexistent_user" });
        for body in [json!({ "user_id": "auth0|nobody" }), json!({ "connection_id": connection, "email": "nobody@example.com" })] {
            let refused = admin.post(CHANGE, body).await;
            assert_eq!((refused.status, refused.body), (404, missing.clone()));
        }
        assert_eq!(admin.post(VERIFY, json!({ "user_id": "auth0|nobody" })).await.body, missing);
        for (place, body, message) in [
            (CHANGE, json!({ "user_id": "auth0|alice", "connection_id": connection, "email": "alice@example.com" }), "Cannot specify both user_id and connection_id or email."),
            (CHANGE, json!({ "email": "alice@example.com" }), "connection_id and email must be specified together."),
            (CHANGE, json!({}), "Either user_id or connection_id and email must be specified."),
            (CHANGE, json!({ "connection_id": "con_0000000000000000", "email": "a@example.com" }), "The connection with id con_0000000000000000 does not exist."),
            (VERIFY, json!({ "user_id": "auth0|alice", "client_id": "nothing" }), "The client does not exist"),
            (VERIFY, json!({ "user_id": "auth0|alice", "client_id": "spa", "result_url": "https://app.test/" }), "Cannot specify both client_id and result_url."),
            (VERIFY, json!({ "user_id": "auth0|alice", "identity": { "provider": "github", "user_id": "1" } }), "The user exists, but does not contain the given identity."),
            (VERIFY, json!({ "user_id": "auth0|alice", "organization_id": "org_1" }), "The organization does not exist"),
        ] {
            let refused = admin.post(place, body.clone()).await;
            assert_eq!((refused.status, refused.body["message"].as_str()), (400, Some(message)), "{body}");
        }
        let script = admin.post(VERIFY, json!({ "user_id": "auth0|alice", "result_url": "javascript:alert(1)" })).await;
        assert_eq!(script.status, 400, "{}", script.text);
    }
}
