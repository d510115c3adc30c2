//! Apps that ask a person, who is elsewhere, to let them in (authentication contract §4.4), and the cases CB-01 to CB-04.

use serde_json::{Value, json};

use crate::security::exchange::{Exchange, assert_refused, at_once, grant_of, userinfo};
use crate::security::{API, browser, claims, prepared, signed_in};
use crate::support::app::secret_of;
use crate::support::browser::Form;
use crate::support::{Answer, Browser, TestApp};

const GRANT: &str = "urn:openid:params:grant-type:ciba";
const PATH: &str = "/u/authorization-requests";
const PENDING: &str = "The end-user authorization is pending";
const ENDED: &str = "The end-user denied the authorization request or it has been expired";

/// With the app `till`, which asks people.
async fn ready(app: TestApp) -> TestApp {
    let app = prepared(app).await;
    let till = json!({
        "app_type": "regular_web", "oidc_conformant": true, "token_endpoint_auth_method": "client_secret_post",
        "grant_types": [GRANT, "refresh_token"],
    });
    for client in ["till", "other"] {
        app.add_client(client, till.clone()).await;
    }
    app
}

fn hint(user: &str) -> String {
    json!({ "format": "iss_sub", "iss": "https://id.test/", "sub": user }).to_string()
}

/// What the app posts, with changes: `Null` leaves a field out.
async fn ask(app: &TestApp, changes: Value) -> Answer {
    let (hint, secret) = (hint("auth0|alice"), secret_of("till"));
    let mut whole = json!({
        "client_id": "till", "client_secret": secret, "scope": "openid email", "binding_message": "ABC-123", "login_hint": hint,
    });
    for (name, value) in changes.as_object().expect("an object") {
        whole[name] = value.clone();
    }
    let fields: Vec<_> = whole
        .as_object()
        .expect("an object")
        .iter()
        .filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)))
        .collect();
    app.caller().form("/bc-authorize", &fields).await
}

/// A request that waits: what the app polls with.
async fn waiting(app: &TestApp, changes: Value) -> String {
    let answer = ask(app, changes).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body["auth_req_id"].as_str().expect("is text").to_owned()
}

fn poll(id: &str) -> Exchange {
    Exchange::new("till", GRANT).with("auth_req_id", id)
}

/// Says yes or no to the first request on the page.
async fn say(browser: &mut Browser, action: &str) -> Answer {
    let page = browser.get(PATH).await;
    browser.submit(&page, &[("action", action)]).await
}

both_databases! {
    async fn a_person_lets_an_app_in(app: TestApp) {
        let app = ready(app).await;
        let answer = ask(&app, json!({ "audience": API, "scope": "openid email offline_access read:a" })).await;
        assert_eq!((answer.status, answer.header("content-type"), answer.header("cache-control")), (200, "application/json; charset=utf-8", "no-store"));
        let id = answer.body["auth_req_id"].as_str().expect("is text").to_owned();
        assert_eq!(answer.body, json!({ "auth_req_id": id, "expires_in": 300, "interval": 5 }));
        assert_refused(&poll(&id).send(&app).await, 400, "authorization_pending", PENDING);
        let mut alice = signed_in(&app, "alice").await;
        let page = alice.get(PATH).await;
        for shown in ["till", "ABC-123", API, "read:a", "Signed in as alice@example.com."] {
            assert!(page.text.contains(shown), "{shown}: {}", page.text);
        }
        let said = alice.submit(&page, &[("action", "accept")]).await;
        assert!(said.status == 200 && said.text.contains("The app may go on.") && !said.text.contains("ABC-123"), "{said:?}");
        app.app.clock.advance(5);
        let bought = poll(&id).send(&app).await;
        let granted = grant_of(&bought);
        assert_eq!(granted.scope, "openid email offline_access read:a");
        assert_eq!(claims(bought.body["id_token"].as_str().expect("a token"))["sub"], "auth0|alice");
        let access = claims(&granted.access_token);
        assert_eq!((&access["sub"], &access["azp"], &access["aud"][0]), (&json!("auth0|alice"), &json!("till"), &json!(API)));
        assert_eq!(userinfo(&app, &granted.access_token).await.body["email"], "alice@example.com");
        assert_eq!(Exchange::refresh("till", &granted.refresh_token).send(&app).await.status, 200);
        // Once.
        assert_refused(&poll(&id).send(&app).await, 403, "invalid_grant", "Invalid or expired auth_req_id");
        let events = app.events().await;
        for kind in ["ciba_start_succeeded", "gd_auth_succeed", "ciba_exchange_succeeded", "ciba_exchange_failed"] {
            assert!(events.iter().any(|event| event == kind), "{kind}: {events:?}");
        }
    }

    async fn a_person_says_no_or_nothing(app: TestApp) {
        let app = ready(app).await;
        let id = waiting(&app, json!({})).await;
        let mut alice = signed_in(&app, "alice").await;
        let said = say(&mut alice, "deny").await;
        assert!(said.status == 200 && said.text.contains("The app was told no."), "{said:?}");
        assert_refused(&poll(&id).send(&app).await, 403, "access_denied", ENDED);
        assert_refused(&poll(&id).send(&app).await, 403, "invalid_grant", "Invalid or expired auth_req_id");
        let id = waiting(&app, json!({ "requested_expiry": "7" })).await;
        app.app.clock.advance(7);
        let page = alice.get(PATH).await;
        assert!(page.text.contains("No app waits for an answer of yours."), "{}", page.text);
        assert_refused(&poll(&id).send(&app).await, 403, "access_denied", ENDED);
        // The specification tells the two apart.
        let strict = app.admin().patch("/api/v2/doorward/clients/till", json!({ "strict": true })).await;
        assert_eq!(strict.status, 200, "{}", strict.text);
        let id = waiting(&app, json!({ "requested_expiry": "7" })).await;
        app.app.clock.advance(7);
        assert_refused(&poll(&id).send(&app).await, 400, "expired_token", ENDED);
    }

    async fn who_may_ask_and_how(app: TestApp) {
        let app = ready(app).await;
        let message = "binding_message must be 64 characters at most, of A-Z a-z 0-9 + - _ . , : # and blanks";
        let unknown = "User ID is malformed or unknown";
        let other = json!({ "format": "iss_sub", "iss": "https://other.test/", "sub": "auth0|alice" }).to_string();
        let email = json!({ "format": "email", "email": "alice@example.com" }).to_string();
        assert_eq!(app.admin().patch("/api/v2/users/auth0%7Cbob", json!({ "blocked": true })).await.status, 200);
        for (changes, status, error, text) in [
            (json!({ "scope": "email" }), 400, "invalid_request", "openid scope must be requested"),
            (json!({ "scope": null }), 400, "invalid_request", "openid scope must be requested"),
            (json!({ "binding_message": null }), 400, "invalid_binding_message", "binding_message is required"),
            (json!({ "binding_message": "x".repeat(65) }), 400, "invalid_binding_message", message),
            (json!({ "binding_message": "<b>" }), 400, "invalid_binding_message", message),
            (json!({ "login_hint": null }), 400, "invalid_request", "Missing required parameter: login_hint"),
            (json!({ "login_hint": "alice" }), 400, "unknown_user_id", unknown),
            (json!({ "login_hint": other }), 400, "unknown_user_id", unknown),
            (json!({ "login_hint": email }), 400, "unknown_user_id", unknown),
            (json!({ "login_hint": hint("auth0|nobody") }), 400, "unknown_user_id", unknown),
            (json!({ "login_hint": hint("auth0|bob") }), 400, "unknown_user_id", unknown),
            (json!({ "requested_expiry": "0" }), 400, "invalid_request", "requested_expiry must be a number of seconds from 1 to 300"),
            (json!({ "requested_expiry": "301" }), 400, "invalid_request", "requested_expiry must be a number of seconds from 1 to 300"),
            (json!({ "authorization_details": "[]" }), 400, "invalid_authorization_details", "authorization_details are not supported"),
            (json!({ "organization": "org_1" }), 400, "invalid_request", "parameter organization is not allowed for this client"),
            (json!({ "audience": "https://nowhere.test/" }), 403, "access_denied", "Service not enabled within domain: https://nowhere.test/"),
            (json!({ "client_secret": "x" }), 401, "access_denied", "Unauthorized"),
            (json!({ "client_secret": null }), 401, "access_denied", "Unauthorized"),
            (json!({ "client_id": "page", "client_secret": null }), 401, "access_denied", "Unauthorized"),
        ] {
            assert_refused(&ask(&app, changes).await, status, error, text);
        }
        let web = ask(&app, json!({ "client_id": "web", "client_secret": secret_of("web") })).await;
        assert_eq!((web.status, &web.body["error"]), (403, &json!("unauthorized_client")));
        let discovery = app.caller().get("/.well-known/openid-configuration").await;
        assert_eq!(discovery.body["backchannel_authentication_endpoint"], "https://id.test/bc-authorize");
        assert_eq!(discovery.body["backchannel_token_delivery_modes_supported"], json!(["poll"]));
    }

    async fn cb_01_an_answer_is_the_persons_own_and_counts_where_it_was_asked(app: TestApp) {
        let app = ready(app).await;
        let id = waiting(&app, json!({})).await;
        let nobody = browser(&app).get(PATH).await;
        assert!(nobody.status == 200 && nobody.text.contains("Sign in first.") && !nobody.text.contains("ABC-123"), "{nobody:?}");
        let mut bob = signed_in(&app, "bob").await;
        assert!(!bob.get(PATH).await.text.contains("ABC-123"));
        let mut alice = signed_in(&app, "alice").await;
        let form = Form::of(&alice.get(PATH).await);
        let fields = |csrf: &str| [("id".to_owned(), form.field("id").to_owned()), ("_csrf".to_owned(), csrf.to_owned()), ("action".to_owned(), "accept".to_owned())];
        // LS-03: without the token, with another browser's cookies or another session's.
        for (caller, csrf) in [(alice.caller(), ""), (alice.caller(), "x"), (bob.caller(), form.field("_csrf"))] {
            let fields = fields(csrf);
            let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            assert_eq!(caller.form(PATH, &fields).await.status, 403);
        }
        let mut second = signed_in(&app, "bob").await;
        waiting(&app, json!({ "login_hint": hint("auth0|bob") })).await;
        let own = second.get(PATH).await;
        let stolen = second.submit(&own, &[("id", form.field("id")), ("action", "accept")]).await;
        assert!(stolen.status == 400 && stolen.text.contains("That request was answered before"), "{stolen:?}");
        // A link says nothing.
        alice.get(&format!("{PATH}?id={}&action=accept&_csrf={}", form.field("id"), form.field("_csrf"))).await;
        assert_refused(&poll(&id).send(&app).await, 400, "authorization_pending", PENDING);
        assert_eq!(app.caller().at(&app.other).get(PATH).await.status, 200);
    }

    async fn cb_02_a_poll_is_its_apps_own_at_its_pace_and_once(app: TestApp) {
        let app = ready(app).await;
        let id = waiting(&app, json!({})).await;
        let stranger = Exchange::new("other", GRANT).with("auth_req_id", &id);
        assert_refused(&stranger.send(&app).await, 403, "invalid_grant", "Invalid or expired auth_req_id");
        assert_refused(&poll("nothing").send(&app).await, 403, "invalid_grant", "Invalid or expired auth_req_id");
        assert_refused(&poll(&id).send(&app).await, 400, "authorization_pending", PENDING);
        // Each poll that comes too soon makes the interval longer.
        for seconds in [10, 15] {
            let fast = poll(&id).send(&app).await;
            assert_eq!((fast.status, &fast.body["error"], fast.header("retry-after")), (400, &json!("slow_down"), &*seconds.to_string()));
        }
        app.app.clock.advance(14);
        assert_eq!(poll(&id).send(&app).await.body["error"], "slow_down");
        app.app.clock.advance(6);
        assert_refused(&poll(&id).send(&app).await, 400, "authorization_pending", PENDING);
        let mut alice = signed_in(&app, "alice").await;
        say(&mut alice, "accept").await;
        let twice = say_again(&mut alice).await;
        assert!(twice.contains("No app waits"), "{twice}");
        app.app.clock.advance(60);
        let answers = at_once(&app, 8, &poll(&id)).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
        assert!(answers.iter().all(|answer| answer.status < 500));
    }

    async fn cb_03_a_second_factor_is_asked_for_where_the_tenant_asks(app: TestApp) {
        let app = ready(app).await;
        let mut alice = signed_in(&app, "alice").await;
        app.guard(&["otp"], &["all-applications"]).await;
        let seed = app.add_totp("auth0|alice").await;
        let id = waiting(&app, json!({})).await;
        let refused = say(&mut alice, "accept").await;
        assert!(refused.status == 403 && refused.text.contains("Give your second factor first"), "{refused:?}");
        assert_refused(&poll(&id).send(&app).await, 400, "authorization_pending", PENDING);
        let page = alice.open(&crate::support::Authorize::code("web").path()).await;
        assert!(!alice.give(&page, &app.code(&seed, 0)).await.param("code").is_empty());
        assert_eq!(say(&mut alice, "accept").await.status, 200);
        app.app.clock.advance(5);
        let bought = poll(&id).send(&app).await;
        assert_eq!(claims(bought.body["id_token"].as_str().expect("a token"))["amr"], json!(["mfa"]));
    }

    async fn cb_04_nobody_is_asked_without_end_and_an_end_is_an_end(app: TestApp) {
        let app = ready(app).await;
        let mut ids = Vec::new();
        for _ in 0..5 {
            ids.push(waiting(&app, json!({})).await);
            app.app.clock.advance(1);
        }
        assert_refused(&ask(&app, json!({})).await, 429, "too_many_attempts", "Too many requests wait for an answer of this user.");
        assert_eq!(ask(&app, json!({ "login_hint": hint("auth0|bob") })).await.status, 200);
        let mut alice = signed_in(&app, "alice").await;
        say(&mut alice, "accept").await;
        // What was allowed ends with what it stood on.
        app.app.clock.advance(5);
        assert_eq!(app.admin().patch("/api/v2/users/auth0%7Calice", json!({ "password": "Another-horse-9" })).await.status, 200);
        for id in &ids {
            assert_refused(&poll(id).send(&app).await, 403, "invalid_grant", "Invalid or expired auth_req_id");
        }
        assert_eq!(app.admin().patch("/api/v2/users/auth0%7Calice", json!({ "blocked": true })).await.status, 200);
        assert_refused(&ask(&app, json!({})).await, 400, "unknown_user_id", "User ID is malformed or unknown");
    }
}

both_databases_at_once! {
    async fn of_requests_at_once_no_more_wait_than_may(app: TestApp) {
        let app = std::sync::Arc::new(ready(app).await);
        let mut asking = tokio::task::JoinSet::new();
        for _ in 0..16 {
            let app = app.clone();
            asking.spawn(async move { ask(&app, json!({})).await });
        }
        let answers = asking.join_all().await;
        let taken = answers.iter().filter(|answer| answer.status == 200).count();
        assert!(answers.iter().all(|answer| answer.status < 500), "{answers:?}");
        let refused = |answer: &&Answer| answer.status == 429;
        assert_eq!((taken, answers.iter().filter(refused).count()), (5, 11));
    }
}

/// What the page says when its last form is sent once more.
async fn say_again(browser: &mut Browser) -> String {
    browser.get(PATH).await.text
}
