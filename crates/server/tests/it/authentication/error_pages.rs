//! A tenant's own page for errors that no client may hear of (authentication contract §1.2).

use axum::http::Method;
use serde_json::json;

use crate::security::{assert_page_error, assert_returned, browser, prepared};
use crate::support::{Authorize, TestApp};

const MISMATCH: &str = "The provided redirect_uri is not in the list of allowed callback URLs.";

both_databases! {
    async fn a_refused_request_goes_to_the_tenants_own_page(app: TestApp) {
        let app = prepared(app).await;
        let mut browser = browser(&app);
        let wrong = Authorize::code("web").with("redirect_uri", "https://evil.test/cb").with("connection", "c");
        assert_page_error(&browser.get(&wrong.path()).await, 403, MISMATCH);

        let own = json!({ "error_page": { "url": "https://www.test/error?from=id", "html": "", "show_log_link": false } });
        assert_eq!(app.admin().patch("/api/v2/tenants/settings", own).await.status, 200);
        let answer = browser.get(&wrong.path()).await;
        assert_eq!(answer.status, 302);
        assert!(answer.location().starts_with("https://www.test/error?from=id&client_id=web&connection=c&lang=en&"), "{answer:?}");
        let told = ["error", "error_description"].map(|name| answer.param(name));
        assert_eq!(told, ["invalid_request", MISMATCH]);
        let tracking = answer.param("tracking");
        assert_eq!(tracking.len(), 20);
        app.app.audit.flush().await;
        let logs = app.admin().get("/api/v2/logs?q=type%3Af").await;
        let entry = &logs.body[0];
        assert_eq!([&entry["client_id"], &entry["description"]], ["web", MISMATCH]);
        assert_eq!(entry["details"], json!({ "error": "invalid_request", "refused": "https://evil.test/cb", "tracking": tracking }));

        let unknown = browser.get(&Authorize::code(&"x".repeat(100)).path()).await;
        assert_eq!((unknown.param("error_description").as_str(), unknown.param("client_id").chars().count()), ("Unknown client", 64));
        let doubled = browser.get("/authorize?client_id=web&state=a&state=b").await;
        assert_eq!(doubled.param("error_description"), "Parameter state must not be repeated");

        // What the client may hear goes to the client, and a form that is not ours stays a 403 here.
        let answer = browser.get(&Authorize::code("web").with("response_type", "x").path()).await;
        assert_returned(&answer, "unsupported_response_type", "Unsupported response type");
        assert_eq!(browser.post("/u/login?state=x", &[("state", "x")]).await.status, 403);

        for url in ["", "javascript:alert(1)", "/error"] {
            let none = json!({ "error_page": { "url": url, "html": "", "show_log_link": false } });
            if app.admin().patch("/api/v2/tenants/settings", none).await.status == 200 {
                assert_page_error(&browser.get(&wrong.path()).await, 403, MISMATCH);
            }
        }
    }

    /// Our pages carry a request along in their URLs: one that is too long for these is refused before.
    async fn a_request_too_long_to_carry_is_refused(app: TestApp) {
        let app = prepared(app).await;
        let mut browser = browser(&app);
        let long = Authorize::code("web").with("state", &"s".repeat(10_000));
        let escaped = Authorize::code("web").with("state", &"\u{1}".repeat(8_000));
        for long in [&long, &long.with("prompt", "none"), &escaped] {
            let form = Some("application/x-www-form-urlencoded");
            let answer = browser.caller().send(Method::POST, "/authorize", form, long.encoded()).await;
            assert_page_error(&answer, 400, "The request is too long");
        }
        let fits = Authorize::code("web").with("state", &"s".repeat(8_000));
        let landed = browser.sign_in(&fits.path(), "alice@example.com").await;
        assert_eq!(landed.param("state").len(), 8_000);
    }
}
