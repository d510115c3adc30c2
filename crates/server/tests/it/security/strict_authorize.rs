//! AZ once more, where the specifications count: the cases whose answer has an `iss`, or could have lost its rule on the way to it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::authorize::{HOSTILE, assert_runs_nothing_but_its_own, message_of};
use super::strict::{ISSUER, assert_told, names, strict};
use super::{API, assert_page_error, browser, claims, codes, signed_in};
use crate::support::browser::{CALLBACK, Form};
use crate::support::{Authorize, TestApp};

const MISMATCH: &str = "The provided redirect_uri is not in the list of allowed callback URLs.";

both_databases! {
    async fn az_02_nothing_around_the_host_confuses_a_strict_tenant(app: TestApp) {
        let app = strict(app).await;
        let mut alice = signed_in(&app, "alice").await;
        let before = codes(&app).await;
        for uri in ["https://app.test@evil.test/cb", "https://app.test:80@evil.test/cb", "https://evil.test\\@app.test/cb", "https://app.test%00.evil.test/cb", "//evil.test/cb"] {
            let answer = alice.get(&Authorize::code("web").with("redirect_uri", uri).path()).await;
            assert_page_error(&answer, 403, MISMATCH);
        }
        assert_eq!(codes(&app).await, before);
    }

    async fn az_03_a_strict_wildcard_is_one_label(app: TestApp) {
        let app = strict(app).await;
        app.add_client("wild", json!({ "app_type": "regular_web", "callbacks": ["https://*.app.test/cb"] })).await;
        let mut alice = signed_in(&app, "alice").await;
        for uri in ["https://evil.test/.app.test/cb", "https://app.test.evil.test/cb", "https://a.b.app.test/cb", "https://*.app.test/cb"] {
            let answer = alice.get(&Authorize::code("wild").with("redirect_uri", uri).path()).await;
            assert_page_error(&answer, 403, MISMATCH);
        }
        let one = alice.get(&Authorize::code("wild").with("redirect_uri", "https://a.app.test/cb").path()).await;
        assert!(one.location().starts_with("https://a.app.test/cb?code="), "{one:?}");
        assert_eq!(one.param("iss"), ISSUER);
    }

    async fn az_08_a_strict_prompt_none_never_shows_a_page(app: TestApp) {
        let app = strict(app).await;
        app.guard(&["otp"], &[]).await;
        let silent = Authorize::code("web").with("prompt", "none");
        let management = app.tenant.management_audience();
        let consent = silent.with("audience", &management).with("scope", "openid read:current_user");
        let factor = silent.with("acr_values", "http://schemas.openid.net/pape/policies/2007/06/multi-factor");
        let mut alice = signed_in(&app, "alice").await;
        let before = codes(&app).await;
        for (request, error) in [
            (&consent, "consent_required"),
            (&factor, "login_required"),
            (&silent.with("max_age", "0"), "login_required"),
            (&silent.with("prompt", "none consent"), "invalid_request"),
        ] {
            assert_told(&alice.get(&request.path()).await, error);
            let fragment = request.with("response_type", "code id_token");
            assert_told(&alice.get(&fragment.path()).await, error);
        }
        assert_eq!(codes(&app).await, before);
    }

    async fn az_09_a_hostile_value_is_only_ever_data_to_a_strict_client(app: TestApp) {
        let app = strict(app).await;
        let mut alice = signed_in(&app, "alice").await;
        let request = Authorize::code("web").with("state", HOSTILE);
        let redirected = alice.get(&request.path()).await;
        assert_eq!((redirected.param("state").as_str(), redirected.param("iss").as_str()), (HOSTILE, ISSUER));
        for request in [request.clone(), request.with("response_type", "device")] {
            let posted = alice.get(&request.with("response_mode", "form_post").path()).await;
            let form = Form::of(&posted);
            assert_eq!((form.action.as_str(), form.field("state"), form.field("iss")), (CALLBACK, HOSTILE, ISSUER));
            assert_runs_nothing_but_its_own(&posted, 1);
            let message = alice.get(&request.with("response_mode", "web_message").path()).await;
            let response = &message_of(&message)["response"];
            assert_eq!((&response["state"], &response["iss"]), (&json!(HOSTILE), &json!(ISSUER)));
            assert_runs_nothing_but_its_own(&message, 1);
        }
        let unknown = alice.get(&Authorize::code(HOSTILE).path()).await;
        assert_page_error(&unknown, 400, "Unknown client");
        assert_runs_nothing_but_its_own(&unknown, 1);
    }

    async fn az_10_a_strict_message_goes_to_a_listed_origin_alone(app: TestApp) {
        let app = strict(app).await;
        let body = json!({ "app_type": "regular_web", "callbacks": [CALLBACK, "https://other.test/cb"], "web_origins": ["https://app.test"] });
        app.add_client("framed", body).await;
        let mut alice = signed_in(&app, "alice").await;
        let request = Authorize::code("framed").with("response_mode", "web_message").with("prompt", "none");
        let elsewhere = alice.get(&request.with("redirect_uri", "https://other.test/cb").path()).await;
        assert_page_error(&elsewhere, 400, "The origin of the page is not in the list of allowed web origins.");
        assert!(!elsewhere.text.contains("postMessage"), "{elsewhere:?}");
        let answer = alice.get(&request.path()).await;
        assert!(answer.text.contains("var targetOrigin = \"https://app.test\";"), "{}", answer.text);
        assert_eq!(message_of(&answer)["response"]["iss"], ISSUER);
    }

    async fn az_11_a_strict_request_object_is_refused_where_the_client_has_no_keys(app: TestApp) {
        let app = strict(app).await;
        let mut alice = signed_in(&app, "alice").await;
        let before = codes(&app).await;
        let claims = json!({ "iss": "web", "client_id": "web", "response_type": "code", "redirect_uri": "https://evil.test/cb" });
        let unsigned = format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), URL_SAFE_NO_PAD.encode(claims.to_string()));
        let request = Authorize::code("web");
        assert_told(&alice.get(&request.with("request", &unsigned).path()).await, "request_not_supported");
        assert_told(&alice.get(&request.with("request_uri", "http://127.0.0.1:9/request").path()).await, "request_uri_not_supported");
        assert_eq!(codes(&app).await, before);
    }

    async fn az_12_a_strict_challenge_is_well_formed(app: TestApp) {
        let app = strict(app).await;
        let mut alice = signed_in(&app, "alice").await;
        let before = codes(&app).await;
        for client in ["web", "page"] {
            let request = Authorize::code(client);
            for bad in ["x".repeat(42), "x".repeat(129), format!("{}!", "x".repeat(42))] {
                assert_told(&alice.get(&request.with("code_challenge", &bad).path()).await, "invalid_request");
            }
            for method in ["s256", "S512", "none", "plain"] {
                assert_told(&alice.get(&request.with("code_challenge_method", method).path()).await, "invalid_request");
            }
            assert_told(&alice.get(&request.without("code_challenge").path()).await, "invalid_request");
        }
        assert_eq!(codes(&app).await, before);
    }

    async fn az_13_a_strict_sign_in_is_proven_anew_for_the_second_user(app: TestApp) {
        let app = strict(app).await;
        let mut browser = browser(&app);
        let request = Authorize::new("page", "id_token").with("scope", "openid email");
        let first = claims(&browser.sign_in(&request.path(), "alice@example.com").await.param("id_token"));
        app.app.clock.advance(2);
        assert_told(&browser.get(&request.with("max_age", "1").with("prompt", "none").path()).await, "login_required");
        let landed = browser.sign_in(&request.with("prompt", "login").path(), "bob@example.com").await;
        assert_eq!(names(&landed), ["id_token", "iss", "state"]);
        let second = claims(&landed.param("id_token"));
        assert_eq!((&second["sub"], &second["email"]), (&json!("auth0|bob"), &json!("bob@example.com")));
        assert_eq!(second["auth_time"], json!(app.app.clock.now().seconds()));
        assert_ne!(second["sid"], first["sid"]);
        let api = Authorize::new("page", "token").with("audience", API).with("prompt", "none");
        assert_eq!(claims(&browser.get(&api.path()).await.param("access_token"))["sub"], "auth0|bob");
    }
}
