//! TK-15: devices without a browser.

use db::params;

use super::exchange::{Exchange, assert_refused};
use super::{browser, stored};
use crate::authentication::device::{GRANT, begin, poll, ready};
use crate::support::browser::Form;
use crate::support::factors::page_of;
use crate::support::{Browser, TestApp};

const SLOW: &str = "You are polling faster than the specified interval of 5 seconds.";
const UNKNOWN: &str = "Invalid or expired device code.";

both_databases! {
    async fn tk_15_a_device_polls_at_its_pace_with_its_own_code_and_not_for_ever(app: TestApp) {
        let app = ready(app).await;
        let (device_code, _) = begin(&app).await;
        let pending = "User has yet to authorize device code.";
        assert_refused(&poll(&app, &device_code).await, 403, "authorization_pending", pending);
        assert_refused(&poll(&app, &device_code).await, 429, "slow_down", SLOW);
        app.app.clock.advance(4);
        assert_refused(&poll(&app, &device_code).await, 429, "slow_down", SLOW);
        app.app.clock.advance(1);
        assert_refused(&poll(&app, &device_code).await, 403, "authorization_pending", pending);
        // Another client polls.
        let foreign = Exchange::new("box", GRANT).without("client_secret").with("device_code", &device_code).send(&app).await;
        assert_refused(&foreign, 403, "invalid_grant", UNKNOWN);
        for mangled in [&device_code[1..], "x", &format!("{device_code}A"), &device_code.to_lowercase()] {
            assert_refused(&poll(&app, mangled).await, 403, "invalid_grant", UNKNOWN);
        }
        // It has expired, which is said once.
        app.app.clock.advance(895);
        assert_refused(&poll(&app, &device_code).await, 403, "expired_token", "The device code has expired.");
        assert_refused(&poll(&app, &device_code).await, 403, "invalid_grant", UNKNOWN);
    }

    async fn tk_15_a_user_code_is_guessed_a_hundred_times_from_an_address_and_no_more(app: TestApp) {
        let app = ready(app).await;
        let (_, user_code) = begin(&app).await;
        let mut guesser = browser(&app);
        let page = guesser.open("/activate").await;
        let form = Form::of(&page);
        let csrf = form.field("_csrf").to_owned();
        let tried = |code: String| vec![("_csrf".to_owned(), csrf.clone()), ("user_code".to_owned(), code)];
        let mut try_code = async |code: &str| {
            let fields = tried(code.to_owned());
            let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            guesser.post("/activate", &fields).await.status
        };
        for number in 0..99 {
            assert_eq!(try_code(&format!("BBBB-{number:04}")).await, 400, "{number}");
        }
        // A right one is no guess.
        assert_eq!(try_code(&user_code).await, 302);
        assert_eq!(try_code("BBBB-9999").await, 400);
        assert_eq!(try_code("BBBB-9998").await, 429);
        assert_eq!(try_code(&user_code).await, 429, "the right code fails too");
        // Elsewhere people go on, and here after a while.
        let mut other = Browser::new(app.caller().from("198.51.100.7"));
        let page = other.open("/activate").await;
        let confirmed = other.submit(&page, &[("user_code", &user_code)]).await;
        assert_eq!(page_of(&confirmed), "/u/device-confirmation");
        app.app.clock.advance(model::device_codes::limits::EVERY);
        assert_eq!(try_code(&user_code).await, 302);
        let events = app.events().await;
        assert!(events.iter().filter(|event| *event == "fdeac").count() > 0);
    }

    async fn tk_15_a_session_guesses_no_more_from_many_addresses(app: TestApp) {
        let app = ready(app).await;
        let mut alice = crate::security::signed_in(&app, "alice").await;
        let page = alice.open("/activate").await;
        let csrf = Form::of(&page).field("_csrf").to_owned();
        for number in 0..100 {
            let from = alice.caller().from(&format!("198.51.100.{number}"));
            let code = format!("BBBB-{number:04}");
            assert_eq!(from.form("/activate", &[("_csrf", csrf.as_str()), ("user_code", code.as_str())]).await.status, 400, "{number}");
        }
        let from = alice.caller().from("198.51.100.200");
        assert_eq!(from.form("/activate", &[("_csrf", csrf.as_str()), ("user_code", "BBBB-9999")]).await.status, 429);
    }

    /// What lures somebody into letting in a device that is not theirs meets the page that says so, and no way around it.
    async fn tk_15_nothing_is_let_in_by_a_link(app: TestApp) {
        let app = ready(app).await;
        let (device_code, user_code) = begin(&app).await;
        let mut alice = crate::security::signed_in(&app, "alice").await;
        let filled = alice.open(&format!("/activate?user_code={user_code}")).await;
        assert_eq!(Form::of(&filled).field("user_code"), user_code);
        app.app.clock.advance(5);
        assert_eq!(poll(&app, &device_code).await.body["error"], "authorization_pending");
        let asked = alice.submit(&filled, &[]).await;
        assert_eq!(page_of(&asked), "/u/device-confirmation");
        assert!(asked.text.contains("<strong>tv</strong>") && asked.text.contains(&user_code), "{}", asked.text);
        let form = Form::of(&asked);
        let (state, csrf) = (form.field("state").to_owned(), form.field("_csrf").to_owned());
        // The state of the question is none of a sign-in: nothing goes on before the answer.
        for path in ["/authorize/resume", "/u/login", "/u/consent"] {
            let around = alice.get(&format!("{path}?state={state}")).await;
            assert_eq!(around.status, 403, "{path}: {around:?}");
        }
        // LS-03: nor without the form's token, or in another browser.
        let accept = |csrf: &str| [("state".to_owned(), state.clone()), ("_csrf".to_owned(), csrf.to_owned()), ("action".to_owned(), "accept".to_owned())];
        for (caller, csrf) in [(alice.caller(), ""), (alice.caller(), "x"), (browser(&app).caller(), csrf.as_str()), (crate::security::signed_in(&app, "bob").await.caller(), csrf.as_str())] {
            let fields = accept(csrf);
            let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            assert_eq!(caller.form("/u/device-confirmation", &fields).await.status, 403);
        }
        let bare = app.caller().form("/activate", &[("user_code", &user_code)]).await;
        assert_eq!(bare.status, 403);
        app.app.clock.advance(5);
        assert_eq!(poll(&app, &device_code).await.body["error"], "authorization_pending");
        let connected = alice.submit(&asked, &[("action", "accept")]).await;
        assert_eq!((connected.status, connected.text.contains("Your device is connected")), (200, true), "{connected:?}");
        app.app.clock.advance(5);
        assert_eq!(poll(&app, &device_code).await.status, 200);
    }
}

both_databases_at_once! {
    /// A user code lets in one device for one user, and its device gets one set of tokens.
    async fn tk_15_a_code_is_answered_once_and_spent_once(app: TestApp) {
        let app = ready(app).await;
        let (device_code, user_code) = begin(&app).await;
        let mut confirmations = Vec::new();
        for user in ["alice", "bob", "alice", "bob"] {
            let mut browser = crate::security::signed_in(&app, user).await;
            let page = browser.open("/activate").await;
            let page = browser.submit(&page, &[("user_code", &user_code)]).await;
            confirmations.push((browser, page));
        }
        let tasks: Vec<_> = confirmations
            .into_iter()
            .map(|(mut browser, page)| tokio::spawn(async move { browser.submit(&page, &[("action", "accept")]).await }))
            .collect();
        let mut connected = 0;
        for task in tasks {
            let answer = task.await.expect("ends");
            connected += usize::from(answer.text.contains("Your device is connected"));
        }
        assert_eq!(connected, 1);
        app.app.clock.advance(5);
        let form = Exchange::new("tv", GRANT).without("client_secret").with("device_code", &device_code);
        let answers = crate::security::exchange::at_once(&app, 16, &form).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
        assert!(answers.iter().all(|answer| [200, 403, 429].contains(&answer.status)), "{answers:?}");
        let left: i64 = stored(&app, "SELECT COUNT(*) FROM device_codes WHERE tenant = $1", params![]).await;
        assert_eq!(left, 0);
    }
}
