//! MF: codes by SMS under attack: budgets that are to be got back, answers that come together, input that is none, and gateways that fail.

use axum::http::Method;
use futures_util::future::join_all;
use model::factors::{attempts, codes};
use model::mail::{self, Delivery, Letter};
use serde_json::{Value, json};

use super::exchange::{assert_refused, grant_of};
use super::{browser, prepared};
use crate::authentication::mfa::{OOB, associate, bearer, challenge, give, mfa_token, password, ready};
use crate::support::app::secret_of;
use crate::support::browser::Form;
use crate::support::factors::{link, page_of, shown};
use crate::support::hook::Hook;
use crate::support::{Answer, Authorize, Browser, Caller, TestApp};

const NUMBER: &str = "+15550100123";
const ENROLLMENT: &str = "/u/mfa-sms-enrollment";
const CHALLENGE: &str = "/u/mfa-sms-challenge";
const METHODS: &str = "/me/v1/authentication-methods";
const OTP: &str = "http://auth0.com/oauth/grant-type/mfa-otp";
const MFA: &str = "https://id.test/mfa/";

async fn guarded(app: TestApp, factors: &[&str]) -> (TestApp, Hook) {
    let (app, gateway) = (prepared(app).await, Hook::open().await);
    app.add_gateway(&gateway).await;
    app.guard(factors, &["all-applications"]).await;
    (app, gateway)
}

async fn after_password(app: &TestApp, user: &str) -> (Browser, Answer) {
    let mut browser = browser(app);
    let page = browser.sign_in(&Authorize::code("web").path(), &format!("{user}@example.com")).await;
    (browser, page)
}

fn me(app: &TestApp, user: &str) -> Caller {
    let scopes =
        "read:me:authentication_methods create:me:authentication_methods delete:me:authentication_methods";
    app.token(user, scopes).claiming("aud", app.tenant.my_account_audience())
}

/// How many of the user's factors are confirmed, of how many.
async fn confirmed(app: &TestApp, user: &str) -> (usize, usize) {
    let all = model::factors::list(&app.app.db, &app.tenant.id, &user.into()).await.expect("reads");
    (all.iter().filter(|factor| factor.is_confirmed()).count(), all.len())
}

/// One step of the mail job: what the gateway was asked.
async fn step(app: &TestApp, gateway: &Hook) -> Vec<Value> {
    server::jobs::post(&app.app, Delivery::Provider).await.expect("the job runs");
    gateway.posts().into_iter().map(|(_, body)| serde_json::from_str(&body).expect("is JSON")).collect()
}

/// A path of a ticket for alice.
async fn ticket(app: &TestApp, factor: &str) -> String {
    let body = json!({ "user_id": "auth0|alice", "factor": factor });
    let made = app.admin().post("/api/v2/guardian/enrollments/ticket", body).await;
    made.body["ticket_url"].as_str().unwrap_or_else(|| panic!("{made:?}"))["https://id.test".len()..]
        .to_owned()
}

both_databases! {
    /// What was begun with a password alone is of no use once its user has a factor.
    async fn mf_01_an_enrolment_ends_with_the_first_factor_that_comes_before_it(app: TestApp) {
        let app = ready(app, &["sms", "otp"], &["all-applications"]).await;
        app.add_gateway(&Hook::open().await).await;
        let token = mfa_token(&app, &password("alice")).await;
        let oob = json!({ "authenticator_types": ["oob"], "oob_channels": ["sms"], "phone_number": NUMBER });
        let by_sms = associate(&app, &token, oob).await;
        let by_app = associate(&app, &token, json!({ "authenticator_types": ["otp"] })).await;
        let seed = model::factors::totp::decode(by_app.body["secret"].as_str().expect("is text")).expect("is base32");
        let code = app.texted_code().await;
        app.add_phone("auth0|alice", "+15550100777").await;
        let late = give(OOB, &token).with("oob_code", by_sms.body["oob_code"].as_str().expect("is text")).with("binding_code", &code);
        assert_refused(&late.send(&app).await, 403, "invalid_grant", "Invalid binding_code.");
        let late = give(OTP, &token).with("otp", &app.code(&seed, 0));
        assert_refused(&late.send(&app).await, 403, "invalid_grant", "Invalid otp_code.");
        assert_eq!(confirmed(&app, "auth0|alice").await, (1, 3));
    }

    /// Toll fraud: what is begun and taken away again has been sent all the same.
    async fn mf_03_who_takes_their_own_factor_away_is_sent_no_more_for_it(app: TestApp) {
        let app = ready(app, &["sms"], &[]).await.without_limits();
        app.add_gateway(&Hook::open().await).await;
        let alice = me(&app, "auth0|alice");
        for number in 0..attempts::MOST {
            let begun = alice.post(METHODS, json!({ "type": "phone", "phone_number": format!("+1555010{number:04}") })).await;
            assert_eq!(begun.status, 202, "{number}: {begun:?}");
            let path = format!("{METHODS}/{}", begun.body["id"].as_str().expect("is text").replace('|', "%7C"));
            if number == 0 {
                // One that was confirmed is no better.
                let proof = json!({ "auth_session": begun.body["auth_session"], "otp_code": app.texted_code().await });
                assert_eq!(alice.post(&format!("{path}/verify"), proof).await.status, 201);
            }
            assert_eq!(alice.delete(&path).await.status, 204);
            app.app.clock.advance(1);
        }
        let body = json!({ "type": "phone", "phone_number": "+15550109999" });
        assert_eq!(alice.post(METHODS, body.clone()).await.status, 429);
        // Nor at `/mfa`.
        let whole = password("alice").with("audience", MFA).with("scope", "enroll read:authenticators remove:authenticators");
        let token = grant_of(&whole.send(&app).await).access_token;
        app.app.clock.advance(attempts::EVERY);
        let oob = |number: &str| json!({ "authenticator_types": ["oob"], "oob_channels": ["sms"], "phone_number": number });
        assert_eq!(associate(&app, &token, oob("+15550108888")).await.status, 200);
        let listed = bearer(&app, &token).get("/mfa/authenticators").await;
        let id = listed.body[0]["id"].as_str().expect("is text").replace('|', "%7C");
        assert_eq!(bearer(&app, &token).delete(&format!("/mfa/authenticators/{id}")).await.status, 204);
        let many = "Too many codes were sent. Please try again later.";
        assert_refused(&associate(&app, &token, oob("+15550108887")).await, 429, "too_many_attempts", many);
        // An administrator gives all of it back.
        app.add_phone("auth0|alice", NUMBER).await;
        assert_eq!(app.admin().delete("/api/v2/users/auth0%7Calice/authentication-methods").await.status, 204);
        assert_eq!(alice.post(METHODS, body).await.status, 202);
    }

    /// One number that the gateway does not take keeps no other waiting, nor does one tenant's slow gateway.
    async fn a_gateway_that_refuses_a_number_is_asked_for_the_others(app: TestApp) {
        let (app, gateway) = guarded(app, &["sms"]).await;
        app.add_phone("auth0|alice", "+15550100001").await;
        app.add_phone("auth0|bob", "+15550100002").await;
        gateway.answers(400);
        after_password(&app, "alice").await;
        after_password(&app, "bob").await;
        assert_eq!(step(&app, &gateway).await.len(), 2);
        let shown = mail::newest(&app.app, &app.tenant.id, 2).await.expect("reads");
        let refused = Some("The SMS gateway did not take the message: status 400".to_owned());
        assert!(shown.iter().all(|letter| letter.state == "queued" && letter.error == refused), "{shown:?}");
        // A slow one is left to the next step, so that others have their turn.
        gateway.answers(200);
        gateway.waits(5_200);
        app.app.clock.advance(30);
        assert_eq!((step(&app, &gateway).await.len(), step(&app, &gateway).await.len()), (1, 1));
        assert_eq!(step(&app, &gateway).await, Vec::<Value>::new());
    }

    /// However many letters wait for a server that is down, what goes another way goes.
    async fn letters_that_cannot_go_keep_no_message_waiting(app: TestApp) {
        let (app, gateway) = guarded(app, &["sms"]).await;
        app.add_phone("auth0|alice", NUMBER).await;
        let mut batch = db::Batch::new();
        for number in 0..250 {
            let letter = Letter::new(mail::Kind::VerifyEmail, &format!("{number}@example.com"));
            mail::queue(&mut batch, &app.app, &app.tenant.id, letter);
        }
        app.app.db.commit(batch).await.expect("writes");
        app.app.clock.advance(1);
        after_password(&app, "alice").await;
        let mut sent = Vec::new();
        for _ in 0..3 {
            sent.push(step(&app, &gateway).await.len());
        }
        assert_eq!(sent, [0, 0, 1]);
        // They are tried again, each in its turn.
        let waiting = mail::newest(&app.app, &app.tenant.id, 500).await.expect("reads");
        assert_eq!(waiting.iter().filter(|letter| letter.state == "queued").count(), 250);
    }

    /// The last message on the phone is the one that is good.
    async fn a_message_whose_code_was_followed_by_another_does_not_come_late(app: TestApp) {
        let (app, gateway) = guarded(app, &["sms"]).await;
        app.add_phone("auth0|alice", NUMBER).await;
        gateway.answers(500);
        let (mut browser, page) = after_password(&app, "alice").await;
        assert_eq!(step(&app, &gateway).await.len(), 1);
        app.app.clock.advance(codes::PAUSE);
        assert_eq!(step(&app, &gateway).await.len(), 1);
        assert_eq!(browser.submit(&page, &[("action", "resend")]).await.status, 200);
        let code = app.texted_code().await;
        gateway.answers(200);
        let sent = step(&app, &gateway).await;
        assert_eq!(sent.len(), 1);
        assert!(sent[0]["body"].as_str().expect("is text").contains(&code), "{sent:?}");
        app.app.clock.advance(120);
        assert_eq!(step(&app, &gateway).await, Vec::<Value>::new());
        let shown = mail::newest(&app.app, &app.tenant.id, 2).await.expect("reads");
        assert_eq!((shown[0].state.as_str(), shown[1].state.as_str()), ("sent", "failed"), "{shown:?}");
        let landed = browser.give(&page, &code).await;
        assert!(!landed.param("code").is_empty(), "{landed:?}");
        // Nor to somebody who is gone.
        app.app.clock.advance(codes::LIFETIME);
        after_password(&app, "alice").await;
        assert_eq!(app.admin().delete("/api/v2/users/auth0%7Calice").await.status, 204);
        assert_eq!(step(&app, &gateway).await, Vec::<Value>::new());
    }

    /// A code is good for what it was sent for, and nobody who is blocked gives one.
    async fn mf_06_a_code_by_sms_is_good_for_its_purpose_alone(app: TestApp) {
        let app = ready(app, &["sms"], &["all-applications"]).await;
        app.add_gateway(&Hook::open().await).await;
        let path = ticket(&app, "phone").await;
        app.add_phone("auth0|bob", NUMBER).await;
        // Bob's page, his token, and his own account.
        let (mut pages, page) = after_password(&app, "bob").await;
        let of_page = app.texted_code().await;
        app.app.clock.advance(1);
        let token = mfa_token(&app, &password("bob")).await;
        let sent = challenge(&app, &token, json!({})).await;
        let oob_code = sent.body["oob_code"].as_str().expect("is text").to_owned();
        let of_token = app.texted_code().await;
        app.app.clock.advance(1);
        let bob = me(&app, "auth0|bob");
        let begun = bob.post(METHODS, json!({ "type": "phone", "phone_number": "+15550100777" })).await;
        let of_account = app.texted_code().await;
        let verify = format!("{METHODS}/{}/verify", begun.body["id"].as_str().expect("is text").replace('|', "%7C"));
        let oob = |code: &str| give(OOB, &token).with("oob_code", &oob_code).with("binding_code", code);
        if of_page != of_token && of_token != of_account && of_page != of_account {
            assert_eq!(pages.give(&page, &of_token).await.status, 400);
            assert_eq!(pages.give(&page, &of_account).await.status, 400);
            assert_refused(&oob(&of_page).send(&app).await, 403, "invalid_grant", "Invalid binding_code.");
            assert_refused(&oob(&of_account).send(&app).await, 403, "invalid_grant", "Invalid binding_code.");
            for (session, code) in [(begun.body["auth_session"].clone(), &of_page), (begun.body["auth_session"].clone(), &of_token), (json!(format!("{token}\n{oob_code}")), &of_token)] {
                assert_eq!(bob.post(&verify, json!({ "auth_session": session, "otp_code": code })).await.status, 400, "{session}");
            }
        }
        // Alice's ticket, and her sign-in.
        app.app.clock.advance(1);
        let mut tickets = browser(&app);
        let asked = tickets.open(&path).await;
        let asked = tickets.submit(&asked, &[("phone", "+15550100555")]).await;
        let of_ticket = app.texted_code().await;
        let (mut alice, number) = after_password(&app, "alice").await;
        assert_eq!(page_of(&number), ENROLLMENT);
        let form = Form::of(&number);
        let fields = [("state", form.field("state")), ("_csrf", form.field("_csrf")), ("code", of_ticket.as_str())];
        alice.post(&form.action.replace(ENROLLMENT, CHALLENGE), &fields).await;
        assert_eq!(confirmed(&app, "auth0|alice").await, (0, 1));
        let stolen = token.clone();
        let stolen = give(OOB, &stolen).with("oob_code", &oob_code).with("binding_code", &of_ticket);
        assert_eq!(stolen.send(&app).await.status, 403);
        // Whoever is blocked meanwhile.
        for user in ["alice", "bob"] {
            let path = format!("/api/v2/users/auth0%7C{user}");
            assert_eq!(app.admin().patch(&path, json!({ "blocked": true })).await.status, 200);
        }
        assert_ne!(tickets.give(&asked, &of_ticket).await.status, 200);
        assert!(pages.give(&page, &of_page).await.param("code").is_empty());
        assert_ne!(oob(&of_token).send(&app).await.status, 200);
        assert_ne!(bob.post(&verify, json!({ "auth_session": begun.body["auth_session"], "otp_code": of_account })).await.status, 201);
        assert_eq!((confirmed(&app, "auth0|alice").await, confirmed(&app, "auth0|bob").await), ((0, 1), (1, 2)));
    }

    /// What is no number and no code is refused as such, wherever it is given.
    async fn mf_06_what_is_no_number_and_no_code_breaks_nothing(app: TestApp) {
        let app = ready(app, &["sms"], &["all-applications"]).await.without_limits();
        app.add_gateway(&Hook::open().await).await;
        let form = "application/x-www-form-urlencoded";
        let (mut pages, page) = after_password(&app, "alice").await;
        let mut tickets = browser(&app);
        let asked = tickets.open(&ticket(&app, "phone").await).await;
        let huge = "9".repeat(60_000);
        let values = ["", "%00", "%2B1555010%000123", "%FF%FE", "%E2%80%AE%2B15550100123", "%2B", "1", "%F0%9F%93%9E", huge.as_str(), "%2B15550100123&phone=%2B15550100124&code=1", "%0A%2B0"];
        for (browser, page, paths) in [
            (&mut pages, &page, [ENROLLMENT, CHALLENGE]),
            (&mut tickets, &asked, ["/mfa/enrollment/phone", "/mfa/enrollment/code"]),
        ] {
            let fields = Form::of(page);
            let (state, csrf) = (fields.field("state"), fields.field("_csrf"));
            for path in paths {
                for field in ["phone", "code", "phone[]", "action", "state", "_csrf", "rememberBrowser"] {
                    for value in values {
                        let body = format!("{field}={value}&state={state}&_csrf={csrf}");
                        let answer = browser.caller().send(Method::POST, path, Some(form), body).await;
                        assert!(answer.status < 500, "{path} {field}={value}: {answer:?}");
                    }
                }
                for body in ["{\"phone\":[1]}", "{", "null"] {
                    let answer = browser.caller().send(Method::POST, path, Some("application/json"), body.to_owned()).await;
                    assert!((400..500).contains(&answer.status), "{path} {body}: {answer:?}");
                }
                for query in ["", "?state=%00", "?ticket=%FF", "?ticket=x&ticket=y", "?state=x&state=y"] {
                    let answer = browser.caller().get(&format!("{path}{query}")).await;
                    assert!(answer.status < 500, "{path}{query}: {answer:?}");
                }
            }
        }
        let before = app.messages().await.len();
        let token = mfa_token(&app, &password("bob")).await;
        let bad = [json!(true), json!(1.5), json!([NUMBER]), json!({ "a": NUMBER }), json!(""), json!(" "), json!("+1\u{0}5550100123"), json!("+"), json!(huge), json!("+15550100123\r\nX: y"), json!("tel:+15550100123"), json!("+15550100123;ext=1")];
        let me = me(&app, "auth0|bob");
        for number in &bad {
            let body = json!({ "authenticator_types": ["oob"], "oob_channels": ["sms"], "phone_number": number });
            let answer = associate(&app, &token, body).await;
            // A line break is a blank that somebody pasted; what follows it is no digit.
            assert_eq!((answer.status, &answer.body["error"]), (400, &json!("invalid_request")), "{number}: {answer:?}");
            for (caller, path) in [(&me, METHODS), (&app.admin(), "/api/v2/users/auth0%7Cbob/authentication-methods")] {
                let answer = caller.post(path, json!({ "type": "phone", "phone_number": number })).await;
                assert_eq!(answer.status, 400, "{path} {number}: {answer:?}");
            }
            let list = json!([{ "type": "phone", "phone_number": number }]);
            assert_eq!(app.admin().put("/api/v2/users/auth0%7Cbob/authentication-methods", list).await.status, 400, "{number}");
        }
        for types in [json!({ "oob": 1 }), json!(1), json!([["oob"]]), json!([null]), json!("oob sms"), json!([huge])] {
            for (types, channels) in [(types.clone(), json!(["sms"])), (json!(["oob"]), types)] {
                let body = json!({ "authenticator_types": types, "oob_channels": channels, "phone_number": NUMBER });
                assert_eq!(associate(&app, &token, body).await.status, 400);
            }
        }
        for (name, value) in [("oob_channel", json!(["sms"])), ("oob_channel", json!("\u{0}")), ("authenticator_id", json!({})), ("challenge_type", json!(7)), ("authenticator_id", json!(huge)), ("mfa_token", json!([token]))] {
            let mut body = json!({});
            body[name] = value;
            let answer = challenge(&app, &token, body).await;
            assert!((400..500).contains(&answer.status), "{name}: {answer:?}");
        }
        for name in ["oob_code", "binding_code"] {
            for value in [json!([1]), json!({}), json!("\u{0}"), json!(huge), json!("１２３４５６")] {
                let mut body = json!({
                    "grant_type": OOB, "client_id": "server", "client_secret": secret_of("server"),
                    "mfa_token": token, "oob_code": "x", "binding_code": "123456",
                });
                body[name] = value;
                let answer = app.caller().post("/oauth/token", body).await;
                assert!((400..500).contains(&answer.status), "{name}: {answer:?}");
            }
        }
        assert_eq!(app.messages().await.len(), before, "nothing of it is a number");
        assert_eq!(confirmed(&app, "auth0|bob").await, (0, 0));
    }
}

both_databases_at_once! {
    /// One code ends one enrolment, and a sign-in is one, however many forms come at once.
    async fn mf_05_codes_by_sms_that_come_together_are_taken_once(app: TestApp) {
        let (app, _gateway) = guarded(app, &["sms", "otp"]).await;
        let (mut browser, page) = after_password(&app, "alice").await;
        let options = browser.get(&link(&page, "/u/mfa-enroll-options")).await;
        let totp = browser.get(&link(&options, "/u/mfa-otp-enrollment")).await;
        let seed = model::factors::totp::decode(&shown(&totp)).expect("is base32");
        let number = browser.get(&link(&options, ENROLLMENT)).await;
        // Many wishes for a message at once are one.
        let wishes = (0..8).map(|at| {
            let (mut browser, number) = (browser.clone(), number.clone());
            tokio::spawn(async move { browser.submit(&number, &[("phone", &format!("+1555010{at:04}"))]).await })
        });
        let answers: Vec<_> = join_all(wishes.collect::<Vec<_>>()).await.into_iter().map(|answer| answer.expect("ends")).collect();
        assert!(answers.iter().all(|answer| [200, 429].contains(&answer.status)), "{answers:?}");
        assert_eq!((app.messages().await.len(), confirmed(&app, "auth0|alice").await), (1, (0, 2)));
        let code = app.texted_code().await;
        let asked = browser.get(&format!("{CHALLENGE}?state={}", Form::of(&number).field("state"))).await;
        assert_eq!(page_of(&asked), CHALLENGE);
        // The code, and that of the app which is under way in the same sign-in.
        let app_code = app.code(&seed, 0);
        let tries = (0..8).map(|at| {
            let (mut browser, page) = (browser.clone(), if at % 2 == 0 { asked.clone() } else { totp.clone() });
            let code = if at % 2 == 0 { code.clone() } else { app_code.clone() };
            tokio::spawn(async move { browser.give(&page, &code).await })
        });
        let answers: Vec<_> = join_all(tries.collect::<Vec<_>>()).await.into_iter().map(|answer| answer.expect("ends")).collect();
        assert!(answers.iter().all(|answer| answer.status < 500), "{answers:?}");
        assert_eq!(confirmed(&app, "auth0|alice").await.0, 1);
        assert_eq!(app.events().await.iter().filter(|event| *event == "gd_enrollment_complete").count(), 1);

        // A number that is taken away while its code is given: either it was there, or the code was of no use.
        app.add_phone("auth0|bob", NUMBER).await;
        let (mut browser, page) = after_password(&app, "bob").await;
        let code = app.texted_code().await;
        let admin = app.admin();
        let gone = tokio::spawn(async move { admin.delete("/api/v2/users/auth0%7Cbob/authentication-methods").await });
        let given = tokio::spawn(async move { (browser.give(&page, &code).await, browser) });
        let ((given, _), gone) = (given.await.expect("ends"), gone.await.expect("ends"));
        assert!(gone.status == 204 && given.status < 500, "{given:?} {gone:?}");
        assert_eq!(confirmed(&app, "auth0|bob").await.0, 0);
        // Another code that is asked for while the first is given: the first is spent, or not taken.
        app.add_user("auth0|carol").await;
        app.add_phone("auth0|carol", "+15550100888").await;
        let (browser, page) = after_password(&app, "carol").await;
        let code = app.texted_code().await;
        app.app.clock.advance(codes::PAUSE);
        let tries = (0..6).map(|at| {
            let (mut browser, page, code) = (browser.clone(), page.clone(), code.clone());
            tokio::spawn(async move {
                match at % 2 {
                    0 => browser.submit(&page, &[("action", "resend")]).await,
                    _ => browser.give(&page, &code).await,
                }
            })
        });
        let answers: Vec<_> = join_all(tries.collect::<Vec<_>>()).await.into_iter().map(|answer| answer.expect("ends")).collect();
        assert!(answers.iter().all(|answer| answer.status < 500), "{answers:?}");
        assert!(app.events().await.iter().filter(|event| *event == "gd_auth_succeed").count() <= 2);
        let of_carol = app.messages().await.iter().filter(|(number, _)| number == "+15550100888").count();
        assert!((1..=2).contains(&of_carol), "{of_carol}");
    }
}
