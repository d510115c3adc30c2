//! Sign-ins that do not begin at their application (OpenID Connect Core §4; authentication contract §1.10).

use serde_json::json;

use crate::security::{browser, prepared};
use crate::support::app::PASSWORD;
use crate::support::{Authorize, TestApp};

async fn begins_at(app: &TestApp, uri: &str) {
    let patched = app.admin().patch("/api/v2/clients/web", json!({ "initiate_login_uri": uri })).await;
    assert_eq!(patched.status, 200, "{patched:?}");
}

both_databases! {
    async fn a_sign_in_begins_where_the_application_says(app: TestApp) {
        let app = prepared(app).await;
        begins_at(&app, "https://app.test/start?a=1").await;
        for (query, told) in [
            ("client_id=web", ""),
            ("client=web&state=old", ""),
            ("client_id=web&login_hint=a%26b&target_link_uri=https%3A%2F%2Fapp.test%2Fx&redirect_uri=https%3A%2F%2Fevil.test%2F", "&login_hint=a%26b&target_link_uri=https%3A%2F%2Fapp.test%2Fx"),
        ] {
            let answer = browser(&app).get(&format!("/login?{query}")).await;
            let there = format!("https://app.test/start?a=1&iss=https%3A%2F%2Fid.test%2F{told}");
            assert_eq!((answer.status, answer.location()), (302, there.as_str()), "{query}");
        }
        for query in ["", "?client_id=page", "?client_id=nobody", "?client_id=web&client_id=page"] {
            let answer = browser(&app).get(&format!("/login{query}")).await;
            assert_eq!((answer.status, answer.has("location")), (400, false), "{query}");
        }
        let settings = json!({ "default_redirection_uri": "https://app.test/home" });
        assert_eq!(app.admin().patch("/api/v2/tenants/settings", settings).await.status, 200);
        for query in ["", "?client_id=page", "?client_id=nobody"] {
            let answer = browser(&app).get(&format!("/login{query}")).await;
            assert_eq!((answer.status, answer.location()), (302, "https://app.test/home"), "{query}");
        }
    }

    /// Who registers a client leads nobody anywhere by it.
    async fn a_strangers_application_begins_no_sign_in(app: TestApp) {
        let app = prepared(app).await;
        let theirs = json!({ "is_first_party": false, "initiate_login_uri": "https://evil.test/start" });
        app.add_client("theirs", theirs).await;
        let answer = browser(&app).get("/login?client_id=theirs").await;
        assert_eq!((answer.status, answer.has("location")), (400, false), "{answer:?}");
    }

    /// A page that was left open too long leads back to the application, and not to an error.
    async fn a_sign_in_that_took_too_long_begins_anew(app: TestApp) {
        let app = prepared(app).await;
        let mut alice = browser(&app);
        let page = alice.open(&Authorize::code("web").path()).await;
        app.app.clock.advance(3601);
        let typed = [("username", "alice@example.com"), ("password", PASSWORD)];
        let over = alice.submit(&page, &typed).await;
        assert_eq!((over.status, over.has("location")), (400, false), "nobody says where: {over:?}");
        begins_at(&app, "https://app.test/start").await;
        let over = alice.submit(&page, &typed).await;
        assert_eq!((over.status, over.location()), (302, "https://app.test/start?iss=https%3A%2F%2Fid.test%2F"), "{over:?}");
    }
}
