//! The device flow (RFC 8628; authentication contract §4.1).

use serde_json::{Value, json};

use crate::security::exchange::{Exchange, assert_refused, grant_of, userinfo};
use crate::security::{API, claims, prepared, signed_in};
use crate::support::app::PASSWORD;
use crate::support::browser::Form;
use crate::support::factors::page_of;
use crate::support::{Answer, Browser, TestApp};

pub const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// With the apps `tv` and `box`, which run on devices.
pub async fn ready(app: TestApp) -> TestApp {
    let app = prepared(app).await;
    for client in ["tv", "box"] {
        let body = json!({
            "app_type": "native",
            "oidc_conformant": true,
            "token_endpoint_auth_method": "none",
            "grant_types": [GRANT, "refresh_token"],
        });
        app.add_client(client, body).await;
    }
    app
}

async fn code(app: &TestApp, client: &str, more: &[(&str, &str)]) -> Answer {
    let fields: Vec<_> = [("client_id", client)].iter().chain(more).copied().collect();
    app.caller().form("/oauth/device/code", &fields).await
}

/// A device of `tv` that waits: its two codes.
pub async fn begin(app: &TestApp) -> (String, String) {
    codes_of(&code(app, "tv", &[("scope", "openid email offline_access")]).await)
}

#[track_caller]
fn codes_of(answer: &Answer) -> (String, String) {
    assert_eq!(answer.status, 200, "{answer:?}");
    let text = |name: &str| answer.body[name].as_str().expect("is text").to_owned();
    (text("device_code"), text("user_code"))
}

pub async fn poll(app: &TestApp, device_code: &str) -> Answer {
    Exchange::new("tv", GRANT).without("client_secret").with("device_code", device_code).send(app).await
}

/// The page that asks whether the device is this person's.
async fn asked(browser: &mut Browser, user_code: &str) -> Answer {
    let page = browser.open("/activate").await;
    let page = browser.submit(&page, &[("user_code", user_code)]).await;
    assert_eq!(page_of(&page), "/u/device-confirmation", "{page:?}");
    page
}

async fn settings(app: &TestApp, patch: Value) {
    let answer = app.admin().patch("/api/v2/tenants/settings", patch).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}

both_databases! {
    async fn a_device_gets_what_its_user_allows(app: TestApp) {
        let app = ready(app).await;
        let answer = code(&app, "tv", &[("scope", "openid email offline_access unknown")]).await;
        let (device_code, user_code) = codes_of(&answer);
        assert_eq!((answer.header("cache-control"), answer.header("content-type")), ("no-store", "application/json; charset=utf-8"));
        let letters = user_code.chars().filter(|char| *char != '-');
        assert!(letters.clone().count() == 8 && letters.clone().all(|char| "BCDFGHJKLMNPQRSTVWXZ".contains(char)), "{user_code}");
        assert_eq!(answer.body, json!({
            "device_code": device_code,
            "user_code": user_code,
            "verification_uri": "https://id.test/activate",
            "expires_in": 900,
            "interval": 5,
            "verification_uri_complete": format!("https://id.test/activate?user_code={user_code}"),
        }));
        // Somebody who is not signed in confirms first, and signs in then.
        let mut browser = Browser::new(app.caller());
        let page = asked(&mut browser, &user_code.to_lowercase().replace('-', " ")).await;
        let login = browser.submit(&page, &[("action", "accept")]).await;
        assert_eq!(page_of(&login), "/u/login", "{login:?}");
        assert!(login.text.contains("to continue to tv"), "{}", login.text);
        assert_eq!(poll(&app, &device_code).await.body["error"], "authorization_pending");
        let connected = browser.submit(&login, &[("username", "alice@example.com"), ("password", PASSWORD)]).await;
        assert_eq!((connected.status, connected.text.contains("Your device is connected")), (200, true), "{connected:?}");

        app.app.clock.advance(5);
        let answer = poll(&app, &device_code).await;
        let bought = grant_of(&answer);
        assert_eq!((bought.scope.as_str(), &answer.body["expires_in"]), ("openid email offline_access", &json!(86_400)));
        let id_token = claims(answer.body["id_token"].as_str().expect("a token"));
        assert_eq!((&id_token["sub"], &id_token["aud"], id_token.get("sid")), (&json!("auth0|alice"), &json!("tv"), None));
        assert_eq!(userinfo(&app, &bought.access_token).await.body["email"], "alice@example.com");
        let refreshed = Exchange::refresh("tv", &bought.refresh_token).without("client_secret").send(&app).await;
        assert_eq!(refreshed.status, 200, "{refreshed:?}");
        app.app.clock.advance(5);
        assert_refused(&poll(&app, &device_code).await, 403, "invalid_grant", "Invalid or expired device code.");
        let events = app.events().await;
        assert_eq!(events.iter().filter(|event| *event == "sede").count(), 1);
        // The code leads nowhere now.
        let page = browser.open("/activate").await;
        assert_eq!(browser.submit(&page, &[("user_code", &user_code)]).await.status, 400);
    }

    async fn a_device_whose_user_cancels_gets_nothing(app: TestApp) {
        let app = ready(app).await;
        let (device_code, user_code) = begin(&app).await;
        let mut alice = signed_in(&app, "alice").await;
        let page = asked(&mut alice, &user_code).await;
        let mut bob = signed_in(&app, "bob").await;
        let bobs = asked(&mut bob, &user_code).await;
        let done = alice.submit(&page, &[("action", "deny")]).await;
        assert_eq!((done.status, done.text.contains("The device is not connected")), (200, true), "{done:?}");
        let refused = poll(&app, &device_code).await;
        assert_refused(&refused, 403, "access_denied", "User cancelled the confirmation prompt.");
        // Nobody can answer any more.
        let late = bob.submit(&bobs, &[("action", "accept")]).await;
        assert_eq!((late.status, late.text.contains("This code is over")), (400, true), "{late:?}");
        assert_eq!(app.events().await.iter().filter(|event| *event == "fdecc").count(), 1);
    }

    async fn a_device_for_an_api_is_allowed_by_consent(app: TestApp) {
        let app = ready(app).await;
        app.add_api("https://asks.test/", json!({ "scopes": [{ "value": "read:a" }], "allow_offline_access": true })).await;
        let more = [("audience", "https://asks.test/"), ("scope", "openid read:a read:b offline_access")];
        for accept in [false, true] {
            let (device_code, user_code) = codes_of(&code(&app, "tv", &more).await);
            let mut alice = signed_in(&app, "alice").await;
            let page = asked(&mut alice, &user_code).await;
            let consent = alice.submit(&page, &[("action", "accept")]).await;
            assert_eq!(page_of(&consent), "/u/consent", "{consent:?}");
            let done = alice.submit(&consent, &[("action", if accept { "accept" } else { "deny" })]).await;
            assert_eq!(done.status, 200, "{done:?}");
            let answer = poll(&app, &device_code).await;
            if !accept {
                assert_refused(&answer, 403, "access_denied", "User cancelled the confirmation prompt.");
                continue;
            }
            let bought = grant_of(&answer);
            let token = claims(&bought.access_token);
            assert_eq!((bought.scope.as_str(), &token["aud"][0], token.get("gty")), ("openid read:a offline_access", &json!("https://asks.test/"), None));
        }
        // What is taken back before the device comes for it is not given.
        let (device_code, user_code) = codes_of(&code(&app, "tv", &more).await);
        let mut alice = signed_in(&app, "alice").await;
        let page = asked(&mut alice, &user_code).await;
        assert_eq!(alice.submit(&page, &[("action", "accept")]).await.status, 200);
        let grants = app.admin().get("/api/v2/grants?user_id=auth0%7Calice&client_id=tv").await;
        let id = grants.body[0]["id"].as_str().expect("is text").to_owned();
        assert_eq!(app.admin().delete(&format!("/api/v2/grants/{id}")).await.status, 204);
        assert_refused(&poll(&app, &device_code).await, 403, "invalid_grant", "Invalid or expired device code.");
    }

    async fn a_device_is_let_in_with_a_second_factor_where_one_is_asked_for(app: TestApp) {
        let app = ready(app).await;
        app.guard(&["otp"], &["all-applications"]).await;
        let seed = app.add_totp("auth0|alice").await;
        let (device_code, user_code) = begin(&app).await;
        let mut browser = Browser::new(app.caller());
        let page = asked(&mut browser, &user_code).await;
        let login = browser.submit(&page, &[("action", "accept")]).await;
        let factor = browser.submit(&login, &[("username", "alice@example.com"), ("password", PASSWORD)]).await;
        assert_eq!(page_of(&factor), "/u/mfa-otp-challenge", "{factor:?}");
        assert_eq!(poll(&app, &device_code).await.body["error"], "authorization_pending");
        let connected = browser.give(&factor, &app.code(&seed, 0)).await;
        assert!(connected.text.contains("Your device is connected"), "{connected:?}");
        app.app.clock.advance(5);
        let answer = poll(&app, &device_code).await;
        assert_eq!(claims(answer.body["id_token"].as_str().expect("a token"))["amr"], json!(["mfa"]));
    }

    async fn a_user_who_is_gone_lets_nothing_in(app: TestApp) {
        let app = ready(app).await;
        for block in [true, false] {
            let (device_code, user_code) = begin(&app).await;
            let user = if block { "alice" } else { "bob" };
            let mut browser = signed_in(&app, user).await;
            let page = asked(&mut browser, &user_code).await;
            assert!(browser.submit(&page, &[("action", "accept")]).await.text.contains("connected"));
            let path = format!("/api/v2/users/auth0%7C{user}");
            let (status, refusal) = if block {
                // A block ends what was allowed, as it ends sessions.
                (app.admin().patch(&path, json!({ "blocked": true })).await.status, "Invalid or expired device code.")
            } else {
                (app.admin().delete(&path).await.status, "Invalid or expired device code.")
            };
            assert!(status < 300);
            assert_refused(&poll(&app, &device_code).await, 403, "invalid_grant", refusal);
        }
    }

    async fn what_a_device_may_not_ask_for_is_refused(app: TestApp) {
        let app = ready(app).await;
        let body = |grant: &str| json!({
            "error": "unauthorized_client",
            "error_description": format!("Grant type '{grant}' not allowed for the client."),
            "error_uri": "https://auth0.com/docs/clients/client-grant-types",
        });
        let foreign = code(&app, "page", &[]).await;
        assert_eq!((foreign.status, foreign.body), (403, body(GRANT)));
        let polled = Exchange::new("page", GRANT).with("device_code", "x").send(&app).await;
        assert_eq!((polled.status, polled.body), (403, body(GRANT)));
        assert_refused(&code(&app, "nobody", &[]).await, 401, "access_denied", "Unauthorized");
        assert_refused(&code(&app, "", &[]).await, 400, "invalid_request", "Missing required parameter: client_id");
        let unknown = code(&app, "tv", &[("audience", "https://nowhere.test/")]).await;
        assert_refused(&unknown, 403, "access_denied", "Service not enabled within domain: https://nowhere.test/");
        assert_refused(&code(&app, "tv", &[("organization", "org_1")]).await, 400, "invalid_request", "parameter organization is not allowed for this client");
        let missing = Exchange::new("tv", GRANT).without("client_secret").send(&app).await;
        assert_refused(&missing, 400, "invalid_request", "Missing required parameter: device_code");
        assert_eq!(app.events().await.iter().filter(|event| *event == "fdeaz").count(), 3);
        assert_eq!(codes_of(&code(&app, "tv", &[("audience", API)]).await).1.len(), 9);
        // So many devices begin at one address, and no more.
        for _ in 1..100 {
            assert_eq!(code(&app, "tv", &[]).await.status, 200);
        }
        let flood = code(&app, "tv", &[]).await;
        assert_eq!((flood.status, &flood.body["error"]), (429, &json!("too_many_attempts")));
    }

    async fn a_tenant_chooses_how_its_codes_look(app: TestApp) {
        let app = ready(app).await;
        settings(&app, json!({ "device_flow": { "charset": "digits", "mask": "***-***-***" } })).await;
        let (device_code, user_code) = begin(&app).await;
        assert!(user_code.len() == 11 && user_code.chars().all(|char| char.is_ascii_digit() || char == '-'), "{user_code}");
        let mut alice = signed_in(&app, "alice").await;
        let page = alice.open(&format!("/activate?user_code={user_code}")).await;
        assert_eq!(Form::of(&page).field("user_code"), user_code);
        let page = alice.submit(&page, &[]).await;
        assert!(alice.submit(&page, &[("action", "accept")]).await.text.contains("Your device is connected"));
        assert_eq!(poll(&app, &device_code).await.status, 200);
        assert_eq!(alice.submit(&page, &[]).await.status, 400, "once");
        let empty = alice.open("/activate").await;
        assert_eq!(alice.submit(&empty, &[("user_code", " ")]).await.status, 400);
    }
}
