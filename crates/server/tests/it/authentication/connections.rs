//! Where a client's users come from.

use serde_json::json;

use crate::security::{assert_returned, browser, prepared};
use crate::support::app::PASSWORD;
use crate::support::{Authorize, TestApp};

const NONE: &str = "no connections enabled for the client";

/// The id of the connection that every client of the tests has.
async fn first_connection(app: &TestApp) -> String {
    let found = app.admin().get("/api/v2/connections?strategy=auth0").await;
    found.body[0]["id"].as_str().expect("a connection").to_owned()
}

both_databases! {
    async fn a_client_without_a_directory_is_told_so(app: TestApp) {
        let app = prepared(app).await;
        let mut browser = browser(&app);
        let shown = browser.open(&Authorize::code("web").path()).await;
        let off = json!([{ "client_id": "web", "status": false }]);
        let path = format!("/api/v2/connections/{}/clients", first_connection(&app).await);
        assert_eq!(app.admin().patch(&path, off).await.status, 204);

        let request = Authorize::code("web");
        for request in [&request, &request.with("screen_hint", "signup"), &request.with("prompt", "login")] {
            assert_returned(&browser.get(&request.path()).await, "invalid_request", NONE);
        }
        let late = browser.submit(&shown, &[("username", "alice@example.com"), ("password", PASSWORD)]).await;
        assert_returned(&late, "invalid_request", NONE);
        let silent = browser.get(&request.with("prompt", "none").path()).await;
        assert_returned(&silent, "login_required", "Login required");
    }

    /// Other identity providers are still to come: nobody types a password for one.
    async fn a_connection_without_passwords_shows_no_password_form(app: TestApp) {
        let app = prepared(app).await;
        let social = json!({ "name": "google-oauth2", "strategy": "google-oauth2", "enabled_clients": ["web"] });
        assert_eq!(app.admin().post("/api/v2/connections", social).await.status, 201);
        let asked = Authorize::code("web").with("connection", "google-oauth2");
        assert_returned(&browser(&app).get(&asked.path()).await, "invalid_request", NONE);
        let unknown = Authorize::code("web").with("connection", "nowhere");
        assert_returned(&browser(&app).get(&unknown.path()).await, "invalid_request", "the connection was not found");
        let not_ours = json!({ "name": "others", "strategy": "auth0", "enabled_clients": [] });
        assert_eq!(app.admin().post("/api/v2/connections", not_ours).await.status, 201);
        let asked = Authorize::code("web").with("connection", "others");
        assert_returned(&browser(&app).get(&asked.path()).await, "invalid_request", "the connection is not enabled");
    }

    async fn a_user_of_any_of_the_clients_directories_signs_in(app: TestApp) {
        let app = prepared(app).await;
        let second = json!({ "name": "aa-second", "strategy": "auth0", "enabled_clients": ["web"] });
        assert_eq!(app.admin().post("/api/v2/connections", second).await.status, 201);
        let user = json!({ "connection": "aa-second", "email": "carol@example.com", "password": PASSWORD });
        assert_eq!(app.admin().post("/api/v2/users", user).await.status, 201);
        for email in ["carol@example.com", "alice@example.com"] {
            let landed = browser(&app).sign_in(&Authorize::code("web").path(), email).await;
            assert!(!landed.param("code").is_empty(), "{email}: {landed:?}");
        }
        let mut other = browser(&app);
        let page = other.open(&Authorize::code("page").path()).await;
        let answer = other.submit(&page, &[("username", "carol@example.com"), ("password", PASSWORD)]).await;
        assert_eq!(answer.status, 400, "page has the first directory alone: {answer:?}");
    }
}
