//! What a page of ours lets its form lead to.

use serde_json::json;

use crate::security::{browser, prepared, signed_in};
use crate::support::app::PASSWORD;
use crate::support::browser::CALLBACK;
use crate::support::{Answer, Authorize, TestApp};

fn form_action(page: &Answer) -> Vec<String> {
    let policy = page.header("content-security-policy");
    let sources = policy.split("; ").find_map(|directive| directive.strip_prefix("form-action "));
    sources.expect("a rule for forms").split(' ').map(str::to_owned).collect()
}

both_databases! {
    /// `prompt=consent` asks although there is a consent, and an answer is an answer.
    async fn consent_that_is_asked_for_again_is_asked_for_once(app: TestApp) {
        let app = prepared(app).await;
        let stranger = json!({ "app_type": "regular_web", "callbacks": [CALLBACK], "is_first_party": false, "oidc_conformant": true });
        app.add_client("stranger", stranger).await;
        let mut alice = signed_in(&app, "alice").await;
        for _ in 0..2 {
            let asked = alice.open(&Authorize::code("stranger").with("prompt", "consent").path()).await;
            let landed = alice.submit(&asked, &[("action", "accept")]).await;
            assert!(!landed.param("code").is_empty(), "{landed:?}");
        }
    }

    /// Browsers apply `form-action` to every redirect after a form: also to that of an app that sends people on to
    /// another origin of its own. A pattern is never named.
    async fn a_form_may_lead_on_to_the_apps_other_origins(app: TestApp) {
        let app = prepared(app).await;
        let body = json!({
            "app_type": "regular_web",
            "is_first_party": false,
            "callbacks": [CALLBACK, "https://second.test/cb", "https://*.wild.test/cb", "com.acme.app://cb", "http://[::1]:3000/cb"],
            "web_origins": ["https://third.test", "https://*.wild.test"],
            "allowed_origins": ["https://never.test"],
        });
        app.add_client("wide", body).await;
        let mut browser = browser(&app);
        let expected = ["'self'", "https://app.test", "https://second.test", "com.acme.app:", "https://third.test"];
        let login = browser.open(&Authorize::code("wide").path()).await;
        assert_eq!(form_action(&login), expected);
        let signup = browser.open(&Authorize::code("wide").with("screen_hint", "signup").path()).await;
        assert_eq!(form_action(&signup), expected);
        let consent = browser.submit(&login, &[("username", "alice@example.com"), ("password", PASSWORD)]).await;
        assert_eq!(form_action(&consent), expected);
        let posted = browser.sign_in(&Authorize::code("wide").with("response_mode", "form_post").path(), "").await;
        assert_eq!(form_action(&posted), expected);
        let second = browser.open(&Authorize::code("wide").with("prompt", "login").with("redirect_uri", "https://second.test/cb").path()).await;
        assert_eq!(form_action(&second)[..3], ["'self'", "https://second.test", "https://app.test"]);
    }

    /// A window that auth0.js opened (`owp`) answers the page of the redirect URI's origin, and goes there itself where none opened it.
    async fn a_window_that_was_opened_answers_the_apps_origin(app: TestApp) {
        let app = prepared(app).await;
        let request = Authorize::new("web", "token id_token").with("owp", "true");
        let silent = browser(&app).get(&request.with("prompt", "none").path()).await;
        assert_eq!((silent.status, silent.header("x-frame-options")), (200, "DENY"));
        assert!(silent.text.contains("var message = {\"a\":\"response\",\"d\":{\"error\":\"login_required\""), "{}", silent.text);
        let mut alice = signed_in(&app, "alice").await;
        let answer = alice.get(&request.path()).await;
        assert_eq!((answer.status, answer.header("cache-control"), answer.has("location")), (200, "no-cache, no-store", false));
        for shown in ["var targetOrigin = \"https://app.test\";", "\"a\":\"response\"", "\"id_token\":", "\"access_token\":", &format!("var otherwise = \"{CALLBACK}#")] {
            assert!(answer.text.contains(shown), "{shown}: {}", answer.text);
        }
        // Another mode that is named counts, and a code goes to the app.
        for (name, value) in [("response_mode", "fragment"), ("response_type", "code"), ("owp", "false")] {
            let answer = alice.get(&request.with(name, value).path()).await;
            assert_eq!((answer.status, answer.location().starts_with(CALLBACK)), (302, true), "{name} {value}");
        }
        let elsewhere = alice.get(&request.with("redirect_uri", "https://evil.test/cb").path()).await;
        assert!(elsewhere.status == 403 && !elsewhere.text.contains("postMessage"), "{elsewhere:?}");
    }
}
