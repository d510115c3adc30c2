//! Signing in on a page of the app's own (authentication contract §7).

use axum::http::Method;
use serde_json::{Value, json};

use crate::security::exchange::{Exchange, assert_refused, grant_of};
use crate::security::{browser, claims, prepared};
use crate::support::app::{CONNECTION, PASSWORD};
use crate::support::browser::CALLBACK;
use crate::support::{Answer, Authorize, Browser, TestApp};

/// The origin of the app's own sign-in page.
pub const PAGE: &str = "https://app.test";
pub const REALM: &str = "http://auth0.com/oauth/grant-type/password-realm";
const CODE: &str = "http://auth0.com/oauth/grant-type/passwordless/otp";

/// With the app `shop`, whose page signs people in.
pub async fn ready(app: TestApp) -> TestApp {
    let app = prepared(app).await;
    app.add_client("shop", shop()).await;
    app
}

/// What the app `shop` is.
pub fn shop() -> Value {
    json!({
        "app_type": "spa",
        "oidc_conformant": true,
        "callbacks": [CALLBACK],
        "web_origins": [PAGE],
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "implicit"],
        "cross_origin_authentication": true,
        "cross_origin_loc": "https://app.test/co?x=1",
    })
}

/// What the page posts for a password.
pub fn password(username: &str, password: &str) -> Value {
    json!({
        "client_id": "shop", "credential_type": REALM, "realm": CONNECTION, "username": username, "password": password,
    })
}

/// The answer to a right password of alice.
pub async fn proved(browser: &mut Browser) -> Answer {
    let answer = browser.call(PAGE, "/co/authenticate", password("alice@example.com", PASSWORD)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer
}

/// The ticket in an answer.
pub fn ticket(answer: &Answer) -> String {
    answer.body["login_ticket"].as_str().expect("is text").to_owned()
}

/// An authorize request of `shop` with a ticket.
pub fn with_ticket(ticket: &str) -> Authorize {
    Authorize::code("shop").with("login_ticket", ticket)
}

both_databases! {
    async fn a_password_on_the_apps_page_signs_in(app: TestApp) {
        let app = ready(app).await;
        let mut browser = browser(&app);
        let answer = proved(&mut browser).await;
        let lengths = ["login_ticket", "co_verifier", "co_id"].map(|name| answer.body[name].as_str().map(str::len));
        assert_eq!((lengths, answer.body.as_object().map(|body| body.len())), ([Some(32), Some(32), Some(12)], Some(3)));
        assert_eq!((answer.header("content-type"), answer.header("cache-control")), ("application/json; charset=utf-8", "no-store"));
        let cookie = answer.header("set-cookie");
        assert!(cookie.contains("SameSite=None") && cookie.contains("Secure") && cookie.contains("HttpOnly"), "{cookie}");
        let landed = browser.open(&with_ticket(&ticket(&answer)).with("max_age", "600").path()).await;
        assert_eq!(landed.param("state"), "st");
        let bought = Exchange::code("shop", &landed.param("code")).without("client_secret").send(&app).await;
        grant_of(&bought);
        let id = claims(bought.body["id_token"].as_str().expect("a token"));
        assert_eq!((&id["sub"], &id["auth_time"]), (&json!("auth0|alice"), &json!(app.app.clock.now().seconds())));
        // The session is one like any other.
        let silent = browser.open(&Authorize::code("web").with("prompt", "none").path()).await;
        assert!(!silent.param("code").is_empty(), "{silent:?}");
        let user = app.admin().get("/api/v2/users/auth0%7Calice").await;
        assert_eq!(user.body["logins_count"], 1);
        let events = app.events().await;
        assert_eq!(["scoa", "s"].map(|kind| events.iter().filter(|event| *event == kind).count()), [1, 1]);
    }

    /// As popups do it: a hidden frame, whose answer is a message.
    async fn a_ticket_answers_a_silent_request(app: TestApp) {
        let app = ready(app).await;
        let mut browser = browser(&app);
        let answer = proved(&mut browser).await;
        let silent = with_ticket(&ticket(&answer)).with("prompt", "none").with("response_mode", "web_message");
        let message = browser.open(&silent.path()).await;
        assert_eq!((message.status, message.has("x-frame-options")), (200, false));
        assert!(message.text.contains("\"code\":\"") && message.text.contains("\"state\":\"st\""), "{}", message.text);
    }

    async fn a_name_without_a_realm_is_of_the_default_directory(app: TestApp) {
        let app = ready(app).await;
        let mut browser = browser(&app);
        let body = json!({ "client_id": "shop", "credential_type": "password", "username": "alice@example.com", "password": PASSWORD });
        let none = browser.call(PAGE, "/co/authenticate", body.clone()).await;
        assert_refused(&none, 500, "server_error", "Authorization server not configured with default connection.");
        let set = app.admin().patch("/api/v2/tenants/settings", json!({ "default_directory": CONNECTION })).await;
        assert_eq!(set.status, 200, "{}", set.text);
        let answer = browser.call(PAGE, "/co/authenticate", body).await;
        let landed = browser.open(&with_ticket(&ticket(&answer)).path()).await;
        assert!(!landed.param("code").is_empty(), "{landed:?}");
    }

    async fn a_code_that_was_mailed_signs_in(app: TestApp) {
        let app = ready(app).await;
        let connection = json!({ "name": "email", "strategy": "email", "enabled_clients": ["shop"] });
        assert_eq!(app.admin().post("/api/v2/connections", connection).await.status, 201);
        let start = json!({ "client_id": "shop", "connection": "email", "email": "ann@example.com", "send": "code" });
        assert_eq!(app.caller().post("/passwordless/start", start).await.status, 200);
        let (_, variables) = app.letters("auth_email_by_code").await.pop().expect("a letter");
        let right = variables["code"].as_str().expect("is text").to_owned();
        let mut browser = browser(&app);
        let give = |otp: &str| json!({
            "client_id": "shop", "credential_type": CODE, "realm": "email", "username": "ann@example.com", "otp": otp,
        });
        let wrong = if right == "000000" { "000001" } else { "000000" };
        let refused = browser.call(PAGE, "/co/authenticate", give(wrong)).await;
        assert_refused(&refused, 403, "access_denied", "Wrong email or verification code.");
        let answer = browser.call(PAGE, "/co/authenticate", give(&right)).await;
        let landed = browser.open(&with_ticket(&ticket(&answer)).path()).await;
        let bought = Exchange::code("shop", &landed.param("code")).without("client_secret").send(&app).await;
        assert!(claims(bought.body["id_token"].as_str().expect("a token"))["sub"].as_str().is_some_and(|sub| sub.starts_with("email|")));
        let again = browser.call(PAGE, "/co/authenticate", give(&right)).await;
        assert_refused(&again, 403, "access_denied", "Wrong email or verification code.");
    }

    async fn what_a_body_must_be(app: TestApp) {
        let app = ready(app).await;
        let mut browser = browser(&app);
        let whole = password("alice@example.com", PASSWORD);
        let all = "Invalid request body. All and only of client_id, credential_type, username, password, realm are required.";
        for name in ["client_id", "credential_type", "username", "password", "realm"] {
            let mut body = whole.clone();
            body.as_object_mut().expect("an object").remove(name);
            let answer = browser.call(PAGE, "/co/authenticate", body).await;
            assert_refused(&answer, 400, "invalid_request", all);
        }
        let mut more = whole.clone();
        more["color"] = "red".into();
        assert_refused(&browser.call(PAGE, "/co/authenticate", more).await, 400, "invalid_request", all);
        let mut code = whole.clone();
        code["credential_type"] = CODE.into();
        let all = "Invalid request body. All and only of client_id, credential_type, username, otp, realm are required.";
        assert_refused(&browser.call(PAGE, "/co/authenticate", code).await, 400, "invalid_request", all);
        let mut odd = whole.clone();
        odd["credential_type"] = "magic".into();
        let told = "Unknown credential type parameter.";
        assert_refused(&browser.call(PAGE, "/co/authenticate", odd).await, 400, "unsupported_credential_type", told);
        let mut unknown = whole.clone();
        unknown["realm"] = "non-existent-connection".into();
        let told = "Unknown realm non-existent-connection.";
        assert_refused(&browser.call(PAGE, "/co/authenticate", unknown).await, 400, "invalid_request", told);
        let form = app.caller().with("origin", PAGE).send(Method::POST, "/co/authenticate", Some("text/plain"), whole.to_string()).await;
        assert_refused(&form, 400, "invalid_request", "The request body must be a JSON object");
    }
}
