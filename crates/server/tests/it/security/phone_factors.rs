//! MF: codes by SMS, whose messages cost money and whose numbers are anybody's to type.

use futures_util::future::join_all;
use model::factors::{attempts, codes};
use model::sms::{MOST_FROM_IP, MOST_TO_NEW};
use serde_json::{Value, json};

use super::exchange::assert_refused;
use super::{browser, prepared};
use crate::authentication::mfa::{OOB, associate, challenge, give, mfa_token, password, ready};
use crate::support::browser::Form;
use crate::support::factors::page_of;
use crate::support::hook::Hook;
use crate::support::{Answer, Authorize, Browser, TestApp};

const NUMBER: &str = "+15550100123";
const ENROLLMENT: &str = "/u/mfa-sms-enrollment";
const CHALLENGE: &str = "/u/mfa-sms-challenge";

/// With a gateway, and codes by SMS asked for everywhere.
async fn guarded(app: TestApp) -> TestApp {
    let app = prepared(app).await;
    app.add_gateway(&Hook::open().await).await;
    app.guard(&["sms"], &["all-applications"]).await;
    app
}

/// A browser in which somebody has given their password, and the page that comes next.
async fn after_password(app: &TestApp, user: &str) -> (Browser, Answer) {
    let mut browser = browser(app);
    let page = browser.sign_in(&Authorize::code("web").path(), &format!("{user}@example.com")).await;
    (browser, page)
}

fn state(page: &Answer) -> String {
    Form::of(page).field("state").to_owned()
}

async fn methods(app: &TestApp, user: &str) -> Vec<Value> {
    let listed = app.admin().get(&format!("/api/v2/users/auth0%7C{user}/authentication-methods")).await;
    listed.body.as_array().unwrap_or_else(|| panic!("{listed:?}")).clone()
}

both_databases! {
    /// The gateway is a connection's: who deletes that does not mean to let everybody in.
    async fn mf_01_a_gateway_that_has_gone_opens_no_account(app: TestApp) {
        let app = guarded(app).await;
        app.add_phone("auth0|alice", NUMBER).await;
        let id = app.admin().get("/api/v2/connections?name=sms").await.body[0]["id"].as_str().expect("is text").to_owned();
        let (mut browser, page) = after_password(&app, "alice").await;
        assert_eq!(page_of(&page), CHALLENGE);
        let code = app.texted_code().await;
        assert_eq!(app.admin().delete(&format!("/api/v2/connections/{id}")).await.status, 202);
        let given = browser.give(&page, &code).await;
        assert!(given.param("code").is_empty(), "{given:?}");
        let (_, refused) = after_password(&app, "alice").await;
        assert_eq!(refused.param("error"), "unmet_authentication_requirements", "{refused:?}");
        // Who has given no number is as before there was a gateway.
        let (_, landed) = after_password(&app, "bob").await;
        assert!(!landed.param("code").is_empty(), "{landed:?}");
    }

    /// With a phone that is asked for, none can be set up in its place.
    async fn mf_01_who_has_a_phone_sets_up_no_other_with_a_password(app: TestApp) {
        let app = guarded(app).await;
        app.guard(&["sms", "otp"], &["all-applications"]).await;
        app.add_phone("auth0|alice", NUMBER).await;
        let (mut browser, page) = after_password(&app, "alice").await;
        let state = state(&page);
        for path in [ENROLLMENT, "/u/mfa-otp-enrollment", "/u/mfa-enroll-options"] {
            let answer = browser.open(&format!("{path}?state={state}")).await;
            assert_eq!(page_of(&answer), CHALLENGE, "{path}");
        }
        let form = Form::of(&page);
        let fields = [("state", form.field("state")), ("_csrf", form.field("_csrf")), ("phone", "+15550100999")];
        browser.post(&form.action.replace(CHALLENGE, ENROLLMENT), &fields).await;
        assert_eq!((app.messages().await.len(), methods(&app, "alice").await.len()), (1, 1));
    }

    async fn mf_03_tries_of_codes_by_sms_are_counted_for_the_user_and_for_the_code(app: TestApp) {
        let app = guarded(app).await;
        app.add_phone("auth0|alice", NUMBER).await;
        let (mut first, page) = after_password(&app, "alice").await;
        let code = app.texted_code().await;
        let wrong = if code == "000000" { "000001" } else { "000000" };
        for _ in 0..5 {
            assert_eq!(first.give(&page, wrong).await.status, 400);
        }
        assert_eq!(first.give(&page, &code).await.status, 400, "five tries a code");
        let (mut second, page) = after_password(&app, "alice").await;
        for _ in 6..attempts::MOST {
            assert_eq!(second.give(&page, wrong).await.status, 400);
        }
        let blocked = second.give(&page, &app.texted_code().await).await;
        assert_eq!(blocked.status, 429, "{blocked:?}");
        // An enrolment's code is no better: its tries are the user's too.
        let (mut bob, page) = after_password(&app, "bob").await;
        let page = bob.submit(&page, &[("phone", "+15550100124")]).await;
        let code = app.texted_code().await;
        let wrong = if code == "000000" { "000001" } else { "000000" };
        for _ in 0..5 {
            assert_eq!(bob.give(&page, wrong).await.status, 400);
        }
        assert_eq!((bob.give(&page, &code).await.status, methods(&app, "bob").await[0]["confirmed"].clone()), (400, json!(false)));
    }

    /// Toll fraud: whoever earns by what is sent to a number has few messages of each account, number and address.
    async fn mf_03_messages_are_few_for_each_user_number_and_address(app: TestApp) {
        let app = guarded(app).await;
        // A user: ten in a row, over all sign-ins and numbers.
        let mut number = 0;
        let mut sent = 0;
        for _ in 0..attempts::MOST {
            let (mut browser, page) = after_password(&app, "alice").await;
            number += 1;
            let answer = browser.submit(&page, &[("phone", &format!("+1555010{number:04}"))]).await;
            sent += 1;
            assert_eq!((page_of(&answer), app.messages().await.len()), (CHALLENGE.to_owned(), sent), "{answer:?}");
        }
        let (mut browser, page) = after_password(&app, "alice").await;
        let refused = browser.submit(&page, &[("phone", "+15550100999")]).await;
        assert!(refused.status == 429 && refused.text.contains("We have sent many codes."), "{refused:?}");
        assert_eq!(app.messages().await.len(), sent);
        // A number: whosever account it is for.
        app.app.clock.advance(3600);
        for user in 0..=MOST_TO_NEW {
            let id = format!("eve{user}");
            app.add_user(&format!("auth0|{id}")).await;
            let (mut browser, page) = after_password(&app, &id).await;
            let answer = browser.submit(&page, &[("phone", NUMBER)]).await;
            assert_eq!(page_of(&answer), if user < MOST_TO_NEW { CHALLENGE } else { ENROLLMENT }, "{user}");
        }
        // Its owner signs in all the same: their messages are counted apart.
        app.add_phone("auth0|bob", NUMBER).await;
        let before = app.messages().await.len();
        let (_, page) = after_password(&app, "bob").await;
        assert_eq!((page.status, page_of(&page), app.messages().await.len()), (200, CHALLENGE.to_owned(), before + 1));
        // An address: whatever the number.
        let mut refused = 0;
        for user in 0..MOST_FROM_IP {
            let id = format!("mallory{user}");
            app.add_user(&format!("auth0|{id}")).await;
            let (mut browser, page) = after_password(&app, &id).await;
            refused += i64::from(browser.submit(&page, &[("phone", &format!("+1555020{user:04}"))]).await.status == 429);
        }
        assert_eq!(refused, MOST_TO_NEW + 1, "those for the one number were of this address too");
        // The endpoint counts with the pages.
        let id = "auth0|carol";
        app.add_user(id).await;
        assert!(app.events().await.contains(&"gd_otp_rate_limit_exceed".to_owned()));
    }

    async fn mf_03_the_endpoints_send_as_few_messages_as_the_pages(app: TestApp) {
        let app = ready(app, &["sms"], &["all-applications"]).await;
        app.add_gateway(&Hook::open().await).await;
        let token = mfa_token(&app, &password("alice")).await;
        let oob = |number: &str| json!({ "authenticator_types": ["oob"], "oob_channels": ["sms"], "phone_number": number });
        for _ in 0..MOST_TO_NEW {
            assert_eq!(associate(&app, &token, oob(NUMBER)).await.status, 200);
        }
        let many = "Too many codes were sent. Please try again later.";
        assert_refused(&associate(&app, &token, oob(NUMBER)).await, 429, "too_many_attempts", many);
        for other in MOST_TO_NEW + 1..attempts::MOST {
            assert_eq!(associate(&app, &token, oob(&format!("+1555030{other:04}"))).await.status, 200);
        }
        assert_refused(&associate(&app, &token, oob("+15550300999")).await, 429, "too_many_attempts", many);
        let scopes = "create:me:authentication_methods";
        let alice = app.token("auth0|alice", scopes).claiming("aud", app.tenant.my_account_audience());
        let refused = alice.post("/me/v1/authentication-methods", json!({ "type": "phone", "phone_number": "+15550300998" })).await;
        assert_eq!(refused.status, 429, "{refused:?}");
        assert_eq!(i64::try_from(app.messages().await.len()).expect("few"), attempts::MOST - 1);
    }

    async fn mf_05_a_code_by_sms_is_spent_once(app: TestApp) {
        let app = ready(app, &["sms"], &["all-applications"]).await;
        app.add_gateway(&Hook::open().await).await;
        app.add_phone("auth0|alice", NUMBER).await;
        let token = mfa_token(&app, &password("alice")).await;
        let sent = challenge(&app, &token, json!({})).await;
        let (oob_code, code) = (sent.body["oob_code"].as_str().expect("is text"), app.texted_code().await);
        let exchange = give(OOB, &token).with("oob_code", oob_code).with("binding_code", &code);
        let answers = join_all((0..5).map(|_| exchange.send(&app))).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1, "{answers:?}");
        assert_refused(&exchange.send(&app).await, 403, "invalid_grant", "Malformed mfa_token");
        // With another token of the same user it is nothing.
        app.app.clock.advance(1);
        let (one, other) = (mfa_token(&app, &password("alice")).await, mfa_token(&app, &password("alice")).await);
        let sent = challenge(&app, &one, json!({})).await;
        let (oob_code, code) = (sent.body["oob_code"].as_str().expect("is text"), app.texted_code().await);
        let stolen = give(OOB, &other).with("oob_code", oob_code).with("binding_code", &code);
        assert_refused(&stolen.send(&app).await, 403, "invalid_grant", "Invalid binding_code.");
    }

    async fn mf_06_an_enrolment_by_sms_belongs_to_its_sign_in_and_its_user(app: TestApp) {
        let app = guarded(app).await;
        let (mut mine, page) = after_password(&app, "alice").await;
        let asked = mine.submit(&page, &[("phone", NUMBER)]).await;
        let code = app.texted_code().await;
        // In another browser of the same user there is no such enrolment, and its code page leads back.
        let (mut theirs, other) = after_password(&app, "alice").await;
        let led = theirs.open(&format!("{CHALLENGE}?state={}", state(&other))).await;
        assert_eq!(page_of(&led), ENROLLMENT, "{led:?}");
        let form = Form::of(&other);
        let fields = [("state", form.field("state")), ("_csrf", form.field("_csrf")), ("code", code.as_str())];
        theirs.post(&form.action.replace(ENROLLMENT, CHALLENGE), &fields).await;
        // Nor for another user in the same browser; nor with the other's form.
        let stolen = state(&asked);
        let answer = theirs.get(&format!("{CHALLENGE}?state={stolen}")).await;
        assert_ne!((answer.status, page_of(&answer)), (200, CHALLENGE.to_owned()), "{answer:?}");
        for user in ["alice", "bob"] {
            assert!(methods(&app, user).await.iter().all(|method| method["confirmed"] == json!(false)), "{user}");
        }
        app.app.clock.advance(1);
        // One that begins elsewhere ends this one: two never wait at once.
        let theirs_asked = theirs.submit(&other, &[("phone", "+15550100999")]).await;
        assert_eq!(page_of(&theirs_asked), CHALLENGE);
        let late = mine.give(&asked, &code).await;
        assert!(late.param("code").is_empty(), "{late:?}");
        assert!(methods(&app, "alice").await.iter().all(|method| method["confirmed"] == json!(false)));
        let landed = theirs.give(&theirs_asked, &app.texted_code().await).await;
        assert!(!landed.param("code").is_empty(), "{landed:?}");
        assert_eq!(methods(&app, "alice").await[0]["phone_number"], "********0999");
    }

    async fn mf_06_a_number_that_was_changed_or_taken_away_ends_its_codes(app: TestApp) {
        let app = guarded(app).await;
        let path = "/api/v2/users/auth0%7Calice/authentication-methods";
        for change in ["replaced", "removed"] {
            let set = json!([{ "type": "phone", "phone_number": NUMBER }]);
            assert_eq!(app.admin().put(path, set).await.status, 200);
            let (mut browser, page) = after_password(&app, "alice").await;
            assert_eq!(page_of(&page), CHALLENGE, "{page:?}");
            let code = app.texted_code().await;
            match change {
                "replaced" => {
                    let set = json!([{ "type": "phone", "phone_number": "+15550100999" }]);
                    assert_eq!(app.admin().put(path, set).await.status, 200);
                }
                _ => assert_eq!(app.admin().delete(path).await.status, 204),
            }
            let given = browser.give(&page, &code).await;
            assert!(given.param("code").is_empty(), "{change}: {given:?}");
            app.app.clock.advance(codes::LIFETIME);
        }
        // At the token endpoint too.
        let app = guarded_endpoint(app).await;
        let set = json!([{ "type": "phone", "phone_number": NUMBER }]);
        assert_eq!(app.admin().put(path, set).await.status, 200);
        let token = mfa_token(&app, &password("alice")).await;
        let sent = challenge(&app, &token, json!({})).await;
        let (oob_code, code) = (sent.body["oob_code"].as_str().expect("is text").to_owned(), app.texted_code().await);
        let set = json!([{ "type": "phone", "phone_number": "+15550100999" }]);
        assert_eq!(app.admin().put(path, set).await.status, 200);
        let late = give(OOB, &token).with("oob_code", &oob_code).with("binding_code", &code).send(&app).await;
        assert_refused(&late, 403, "invalid_grant", "Invalid binding_code.");
    }

    /// Whose a number is shows in nothing: it is enrolled like one that nobody has.
    async fn mf_06_another_users_number_is_told_by_nothing(app: TestApp) {
        let app = guarded(app).await;
        app.add_phone("auth0|bob", NUMBER).await;
        let mut told = Vec::new();
        for number in [NUMBER, "+15550100777"] {
            let (mut browser, page) = after_password(&app, "alice").await;
            let answer = browser.submit(&page, &[("phone", number)]).await;
            assert_eq!((answer.status, page_of(&answer)), (200, CHALLENGE.to_owned()), "{answer:?}");
            // All of the page but what is random in it: a random value may hold any short name.
            let form = Form::of(&answer);
            let own = [(number, "NUMBER"), (&form.action, "ACTION"), (form.field("state"), "STATE"), (form.field("_csrf"), "CSRF")];
            told.push(own.iter().fold(answer.text.clone(), |text, (value, name)| text.replace(value, name)));
        }
        assert!(told[0].contains("NUMBER") && !told[0].contains("bob"), "{}", told[0]);
        assert_eq!(told[0], told[1]);
    }
}

/// With the client that exchanges passwords, and the directory that they are looked up in.
async fn guarded_endpoint(app: TestApp) -> TestApp {
    let body = json!({
        "app_type": "regular_web", "oidc_conformant": true, "token_endpoint_auth_method": "client_secret_post",
        "grant_types": ["password", OOB],
    });
    app.add_client("server", body).await;
    let set = json!({ "default_directory": crate::support::app::CONNECTION });
    assert_eq!(app.admin().patch("/api/v2/tenants/settings", set).await.status, 200);
    app
}
