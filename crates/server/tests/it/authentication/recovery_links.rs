//! What the pages behind mailed links show, and where they lead on.

use db::params;
use serde_json::{Value, json};

use crate::security::{browser, prepared, stored};
use crate::support::app::{CONNECTION, PASSWORD};
use crate::support::browser::Form;
use crate::support::{Answer, Authorize, TestApp};

const TEMPLATES: &str = "/api/v2/email-templates";

/// The reset link that a client asks for, some time after the last.
async fn reset_link(app: &TestApp, client: &str, email: &str) -> String {
    app.app.clock.advance(1800);
    let body = json!({ "client_id": client, "email": email, "connection": CONNECTION });
    assert_eq!(app.caller().post("/dbconnections/change_password", body).await.status, 200);
    app.letters_to(email, "reset_email").await.last().expect("a letter came").link()
}

async fn reset(app: &TestApp, password: &str) -> Answer {
    reset_by(app, "web", password).await
}

async fn reset_by(app: &TestApp, client: &str, password: &str) -> Answer {
    let link = reset_link(app, client, "alice@example.com").await;
    let mut alice = browser(app);
    let page = alice.open(&link).await;
    let done = alice.submit(&page, &[("password", password)]).await;
    assert!(done.status == 200 && done.text.contains("Your password is changed"), "{done:?}");
    done
}

async fn verify(app: &TestApp, body: Value) -> Answer {
    let made = app.admin().post("/api/v2/tickets/email-verification", body).await;
    let ticket = made.body["ticket"].as_str().unwrap_or_else(|| panic!("{made:?}"));
    let mut somebody = browser(app);
    let page = somebody.open(ticket["https://id.test".len()..].trim_end_matches('#')).await;
    somebody.submit(&page, &[]).await
}

both_databases! {
    async fn the_form_of_one_link_is_none_of_another(app: TestApp) {
        let app = prepared(app).await;
        let (hers, his) = (reset_link(&app, "web", "alice@example.com").await, reset_link(&app, "web", "bob@example.com").await);
        let mut shared = browser(&app);
        let (hers, his) = (shared.open(&hers).await, shared.open(&his).await);
        let token = Form::of(&hers).field("_csrf").to_owned();
        assert_eq!(shared.submit(&his, &[("_csrf", &token), ("password", "Another-horse-9")]).await.status, 403);
        assert_eq!(shared.submit(&his, &[("password", "Another-horse-9")]).await.status, 200);
    }

    async fn a_reset_says_whose_it_is_and_leads_back_to_the_app(app: TestApp) {
        let app = prepared(app).await;
        let link = reset_link(&app, "web", "alice@example.com").await;
        let page = browser(&app).open(&link).await;
        assert!(page.text.contains("alice@example.com"), "{}", page.text);
        // Without an address to go on to, the page says so and ends.
        let done = reset(&app, "Another-horse-9").await;
        assert!(!done.text.contains("https://app.test") && !done.text.contains("https://example.com"), "{}", done.text);
        let admin = app.admin();
        let tenant = json!({ "default_redirection_uri": "https://example.com/login" });
        assert_eq!(admin.patch("/api/v2/tenants/settings", tenant).await.status, 200);
        let done = reset(&app, "Third-horse-9").await;
        assert!(done.text.contains("href=\"https://example.com/login\""), "{}", done.text);
        let client = json!({ "initiate_login_uri": "https://app.test/login" });
        assert_eq!(admin.patch("/api/v2/clients/web", client).await.status, 200);
        let done = reset(&app, "Fourth-horse-9").await;
        assert!(done.text.contains("href=\"https://app.test/login\""), "{}", done.text);
        // The notice is of that app too.
        let sql = "SELECT COUNT(*) FROM letters WHERE tenant = $1 AND kind = 'password_changed' AND client_id = 'web'";
        assert_eq!(stored::<i64>(&app, sql, params![]).await, 3);
    }

    /// Which asks as any app does, and says nowhere where its sign-ins begin.
    async fn a_reset_asked_for_on_the_account_page_leads_back_there(app: TestApp) {
        let app = prepared(app).await;
        let page = "https://id.test/account/";
        app.add_client("page-of-mine", json!({ "app_type": "spa", "callbacks": [page] })).await;
        let tenant = json!({ "default_redirection_uri": "https://example.com/login" });
        assert_eq!(app.admin().patch("/api/v2/tenants/settings", tenant).await.status, 200);
        let done = reset_by(&app, "page-of-mine", "Another-horse-9").await;
        assert!(done.text.contains(&format!("href=\"{page}\"")), "{}", done.text);
        // What the client says of itself goes first.
        let client = json!({ "initiate_login_uri": "https://app.test/login" });
        assert_eq!(app.admin().patch("/api/v2/clients/page-of-mine", client).await.status, 200);
        let done = reset_by(&app, "page-of-mine", "Third-horse-9").await;
        assert!(done.text.contains("href=\"https://app.test/login\"") && !done.text.contains(page), "{}", done.text);
        let done = reset_by(&app, "web", "Fourth-horse-9").await;
        assert!(done.text.contains("href=\"https://example.com/login\""), "{}", done.text);
        // Anybody may ask for a letter by a client that registered itself.
        app.add_client("registered", json!({ "is_first_party": false, "initiate_login_uri": "https://evil.test/login" })).await;
        let done = reset_by(&app, "registered", "Fifth-horse-9").await;
        assert!(done.text.contains("href=\"https://example.com/login\"") && !done.text.contains("evil"), "{}", done.text);
    }

    async fn a_link_that_came_by_mail_proves_the_address(app: TestApp) {
        let app = prepared(app).await;
        let (admin, own) = (app.admin(), "/api/v2/users/auth0%7Calice");
        assert_eq!(admin.patch(own, json!({ "email_verified": false })).await.status, 200);
        reset(&app, "Another-horse-9").await;
        assert_eq!(admin.get(own).await.body["email_verified"], json!(true));
    }

    async fn a_directory_has_a_page_of_its_own_if_its_users_reset_their_passwords(app: TestApp) {
        let app = prepared(app).await;
        let closed = json!({ "name": "closed", "strategy": "auth0", "enabled_clients": ["web"],
            "options": { "disable_self_service_change_password": true } });
        assert_eq!(app.admin().post("/api/v2/connections", closed).await.status, 201);
        let mut alice = browser(&app);
        let page = alice.open(&Authorize::code("web").path()).await;
        let state = Form::of(&page).field("state").to_owned();
        for (name, status) in [(CONNECTION, 200), ("closed", 404), ("nothing", 404)] {
            let page = alice.open(&format!("/u/reset-password/request/{name}?state={state}")).await;
            assert_eq!(page.status, status, "{name}: {page:?}");
        }
    }

    async fn a_verification_link_ends_with_the_address_it_was_for(app: TestApp) {
        let app = prepared(app).await;
        let admin = app.admin();
        let made = admin.post("/api/v2/tickets/email-verification", json!({ "user_id": "auth0|alice" })).await;
        let link = made.body["ticket"].as_str().expect("a link")["https://id.test".len()..].trim_end_matches('#').to_owned();
        assert_eq!(browser(&app).open(&link).await.status, 200);
        assert_eq!(admin.patch("/api/v2/users/auth0%7Calice", json!({ "email": "else@example.com" })).await.status, 200);
        let ended = browser(&app).open(&link).await;
        assert!(ended.status == 400 && ended.text.contains("This link works no more"), "{ended:?}");
    }

    /// Where the tenant has a template for it: once, to the user's own address, in the name of the app that asked.
    async fn a_verified_user_is_welcomed_once(app: TestApp) {
        let app = prepared(app).await;
        let admin = app.admin();
        let unverified = json!({ "email_verified": false });
        assert_eq!(admin.patch("/api/v2/users/auth0%7Calice", unverified.clone()).await.status, 200);
        let welcomes = async || app.letters("welcome_email").await.len();
        let ticket = json!({ "user_id": "auth0|alice", "client_id": "web" });
        assert_eq!((verify(&app, ticket.clone()).await.status, welcomes().await), (200, 0));
        let template = json!({ "template": "welcome_email", "body": "Hello", "from": "", "subject": "s", "syntax": "liquid", "enabled": true });
        assert_eq!(admin.post(TEMPLATES, template).await.status, 200);
        assert_eq!((verify(&app, ticket.clone()).await.status, welcomes().await), (200, 0), "they were verified before");
        assert_eq!(admin.patch("/api/v2/users/auth0%7Calice", unverified.clone()).await.status, 200);
        assert_eq!((verify(&app, ticket).await.status, welcomes().await), (200, 1));
        let sql = "SELECT COUNT(*) FROM letters WHERE tenant = $1 AND kind = 'welcome_email' AND client_id = 'web'";
        assert_eq!(stored::<i64>(&app, sql, params![]).await, 1);
        // The address of a linked account is none of the user's own.
        let linked = json!({ "connection": CONNECTION, "email": "other@example.com", "password": PASSWORD });
        let other = admin.post("/api/v2/users", linked).await.body["user_id"].as_str().expect("an id").to_owned();
        let subject = other.trim_start_matches("auth0|").to_owned();
        assert_eq!(admin.patch("/api/v2/users/auth0%7Cbob", unverified).await.status, 200);
        let link = json!({ "provider": "auth0", "user_id": subject });
        assert_eq!(admin.post("/api/v2/users/auth0%7Cbob/identities", link).await.status, 201);
        let ticket = json!({ "user_id": "auth0|bob", "identity": { "provider": "auth0", "user_id": subject } });
        assert_eq!((verify(&app, ticket).await.status, welcomes().await), (200, 1));
    }
}
