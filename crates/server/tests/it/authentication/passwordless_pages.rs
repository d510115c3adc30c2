//! The hosted pages of apps whose users have no passwords.

use serde_json::{Value, json};

use crate::security::exchange::Exchange;
use crate::security::{assert_returned, browser, claims, prepared};
use crate::support::browser::{CALLBACK, Form};
use crate::support::factors::{link, page_of};
use crate::support::{Answer, Authorize, Browser, TestApp};

const START: &str = "/u/passwordless";
const CHALLENGE: &str = "/u/passwordless-challenge";

/// With the app `notes`, which has the connection `email` alone.
async fn ready(app: TestApp) -> TestApp {
    let app = prepared(app).await;
    let notes = json!({
        "name": "notes",
        "app_type": "spa",
        "oidc_conformant": true,
        "callbacks": [CALLBACK],
        "web_origins": ["https://app.test"],
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code"],
    });
    // Not by `add_client`, which gives it passwords.
    let made = app.admin().post("/api/v2/clients", notes).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let id = made.body["client_id"].as_str().expect("is text").to_owned();
    let connection = json!({ "name": "email", "strategy": "email", "enabled_clients": [id, "web"] });
    assert_eq!(app.admin().post("/api/v2/connections", connection).await.status, 201);
    app
}

/// The id of `notes`.
async fn notes(app: &TestApp) -> String {
    let clients = app.admin().get("/api/v2/clients?fields=client_id,name&per_page=100").await;
    let found = clients.body.as_array().expect("a list").iter().find(|client| client["name"] == "notes");
    found.expect("is there")["client_id"].as_str().expect("is text").to_owned()
}

async fn code(app: &TestApp) -> String {
    let (_, variables) = app.letters("auth_email_by_code").await.pop().expect("a letter");
    variables["code"].as_str().expect("is text").to_owned()
}

async fn letters(app: &TestApp) -> usize {
    app.letters("auth_email_by_code").await.len()
}

/// The page that asks for the code which went to an address.
async fn asked(app: &TestApp, browser: &mut Browser, address: &str) -> Answer {
    let page = browser.open(&Authorize::code(&notes(app).await).path()).await;
    assert_eq!(page_of(&page), START, "{page:?}");
    let page = browser.submit(&page, &[("address", address)]).await;
    assert_eq!((page.status, page_of(&page)), (200, CHALLENGE.to_owned()), "{page:?}");
    page
}

both_databases! {
    async fn a_code_signs_in_on_the_hosted_page(app: TestApp) {
        let app = ready(app).await;
        let mut browser = browser(&app);
        let page = asked(&app, &mut browser, " Ann@example.com ").await;
        assert!(page.text.contains("We sent a code to Ann@example.com."), "{}", page.text);
        assert!(browser.cookies.keys().all(|name| name != "__Host-auth0"), "nobody is signed in yet");
        let wrong = browser.submit(&page, &[("code", "")]).await;
        assert!(wrong.status == 400 && wrong.text.contains("Enter the six digits"), "{wrong:?}");
        let right = code(&app).await;
        let landed = browser.submit(&page, &[("code", &right)]).await;
        let bought = Exchange::code(&notes(&app).await, &landed.param("code")).without("client_secret").send(&app).await;
        let sub = claims(bought.body["id_token"].as_str().expect("a token"))["sub"].as_str().expect("is text").to_owned();
        assert!(sub.starts_with("email|"), "{sub}");
        let user = app.admin().get(&format!("/api/v2/users/{}", sub.replace('|', "%7C"))).await;
        assert_eq!((&user.body["email"], &user.body["email_verified"], &user.body["logins_count"]), (&json!("ann@example.com"), &json!(true), &json!(1)));
        // The session answers the next request, and the code is spent.
        let silent = browser.open(&Authorize::code(&notes(&app).await).with("prompt", "none").path()).await;
        assert!(!silent.param("code").is_empty(), "{silent:?}");
        assert_eq!(browser.submit(&page, &[("code", &right)]).await.status, 403, "the sign-in is done");
        let mut late = crate::security::browser(&app);
        app.app.clock.advance(60);
        let page = asked(&app, &mut late, "bea@example.com").await;
        let stale = late.submit(&page, &[("code", &right)]).await;
        assert!(stale.status == 400 && stale.text.contains("That code is not right"), "{stale:?}");
    }

    async fn known_and_unknown_addresses_look_alike(app: TestApp) {
        let app = ready(app).await;
        let mut first = browser(&app);
        let page = asked(&app, &mut first, "ann@example.com").await;
        assert!(!first.submit(&page, &[("code", &code(&app).await)]).await.param("code").is_empty());
        let id = app.admin().get("/api/v2/connections?name=email").await.body[0]["id"].as_str().expect("is text").to_owned();
        let closed = json!({ "options": { "disable_signup": true, "brute_force_protection": true } });
        assert_eq!(app.admin().patch(&format!("/api/v2/connections/{id}"), closed).await.status, 200);
        app.app.clock.advance(60);
        let before = letters(&app).await;
        let mut told = Vec::new();
        for address in ["ann@example.com", "new@example.com"] {
            let mut browser = browser(&app);
            let page = asked(&app, &mut browser, address).await;
            let wrong = browser.submit(&page, &[("code", "000000")]).await;
            let form = Form::of(&wrong);
            let plain = wrong.text.replace(&form.action, "").replace(address, "");
            let plain = plain.replace(form.field("state"), "").replace(form.field("_csrf"), "");
            told.push((wrong.status, plain));
        }
        assert_eq!(told[0], told[1]);
        assert_eq!(letters(&app).await, before + 1, "one of them got a letter");
    }

    async fn another_code_is_sent_after_a_pause(app: TestApp) {
        let app = ready(app).await;
        let mut browser = browser(&app);
        let page = asked(&app, &mut browser, "ann@example.com").await;
        assert!(page.text.contains("data-wait=\"10\""), "{}", page.text);
        let first = code(&app).await;
        let soon = browser.submit(&page, &[("action", "resend")]).await;
        assert!(soon.status == 429 && soon.text.contains("We just sent a code."), "{soon:?}");
        assert_eq!(letters(&app).await, 1);
        app.app.clock.advance(10);
        let sent = browser.submit(&page, &[("action", "resend")]).await;
        assert_eq!((sent.status, letters(&app).await), (200, 2));
        let second = code(&app).await;
        if first != second {
            assert_eq!(browser.submit(&page, &[("code", &first)]).await.status, 400, "only the last one");
        }
        for _ in 0..9 {
            app.app.clock.advance(10);
            browser.submit(&page, &[("action", "resend")]).await;
        }
        let many = browser.submit(&page, &[("action", "resend")]).await;
        assert!(many.status == 429 && many.text.contains("We have sent many codes."), "{many:?}");
        assert_eq!(letters(&app).await, 9, "one of ten came too soon");
        app.app.clock.advance(180);
        let late = browser.submit(&page, &[("code", &code(&app).await)]).await;
        assert!(late.status == 400 && late.text.contains("That code is too old."), "{late:?}");
    }

    async fn a_code_is_tried_a_few_times(app: TestApp) {
        let app = ready(app).await;
        let mut browser = browser(&app);
        let page = asked(&app, &mut browser, "ann@example.com").await;
        let right = code(&app).await;
        let wrong = if right == "000000" { "000001" } else { "000000" };
        for _ in 0..5 {
            assert_eq!(browser.submit(&page, &[("code", wrong)]).await.status, 400);
        }
        let worn = browser.submit(&page, &[("code", &right)]).await;
        assert!(worn.status == 400 && worn.text.contains("That code was tried too often."), "{worn:?}");
        // Guesses count as those of passwords do.
        for _ in 0..4 {
            browser.submit(&page, &[("code", wrong)]).await;
        }
        let full = browser.submit(&page, &[("code", &right)]).await;
        assert!(full.status == 429 && full.text.contains("blocked after multiple consecutive login attempts"), "{full:?}");
    }

    /// A named connection decides; a client with passwords asks for them otherwise.
    async fn which_page_people_sign_in_on(app: TestApp) {
        let app = ready(app).await;
        let page_for = async |request: Authorize| page_of(&browser(&app).open(&request.path()).await);
        assert_eq!(page_for(Authorize::code("web")).await, "/u/login");
        assert_eq!(page_for(Authorize::code("web").with("connection", "email")).await, START);
        assert_eq!(page_for(Authorize::code(&notes(&app).await).with("screen_hint", "signup")).await, START);
        let named = Authorize::code("page").with("connection", "email");
        assert_returned(&browser(&app).open(&named.path()).await, "invalid_request", "the connection is not enabled");
        let hinted = Authorize::code(&notes(&app).await).with("login_hint", "ann@example.com");
        assert_eq!(Form::of(&browser(&app).open(&hinted.path()).await).field("address"), "ann@example.com");
        // A user of one connection is nobody on the other.
        let mut alice = browser(&app);
        let landed = alice.sign_in(&Authorize::code("web").path(), "alice@example.com").await;
        assert!(!landed.param("code").is_empty());
        assert_eq!(page_of(&alice.open(&Authorize::code("web").with("connection", "email").path()).await), START);
        // The pages of the one are no pages of the other.
        let mut browser = browser(&app);
        let page = browser.open(&Authorize::code("web").path()).await;
        let form = Form::of(&page);
        for path in [START, CHALLENGE] {
            assert_eq!(page_of(&browser.open(&format!("{path}?state={}", form.field("state"))).await), "/u/login");
            let fields = [("state", form.field("state")), ("_csrf", form.field("_csrf")), ("address", "ann@example.com"), ("code", "1")];
            assert_eq!(browser.post(path, &fields).await.status, 302);
        }
        assert_eq!(letters(&app).await, 0);
    }

    async fn ls_03_a_passwordless_form_counts_only_where_it_was_shown(app: TestApp) {
        let app = ready(app).await;
        let mut browser = browser(&app);
        let start = browser.open(&Authorize::code(&notes(&app).await).path()).await;
        let post = async |caller: &crate::support::Caller, page: &Answer, path: &str, csrf: Option<&str>, more: (&str, &str)| {
            let form = Form::of(page);
            let fields = [("state", form.field("state")), ("_csrf", csrf.unwrap_or(form.field("_csrf"))), more];
            caller.form(path, &fields).await.status
        };
        for (caller, csrf) in [(browser.caller(), Some("")), (browser.caller(), Some("x")), (app.caller(), None)] {
            assert_eq!(post(&caller, &start, START, csrf, ("address", "ann@example.com")).await, 403);
        }
        assert_eq!(letters(&app).await, 0);
        let page = browser.submit(&start, &[("address", "ann@example.com")]).await;
        let right = code(&app).await;
        for (caller, csrf) in [(browser.caller(), Some("")), (app.caller(), None)] {
            assert_eq!(post(&caller, &page, CHALLENGE, csrf, ("code", &right)).await, 403);
        }
        // The address is sealed: a sign-in that asked for no code has none.
        let mut other = crate::security::browser(&app);
        let page = other.open(&Authorize::code(&notes(&app).await).path()).await;
        let back = other.open(&format!("{CHALLENGE}?state={}", Form::of(&page).field("state"))).await;
        assert_eq!(page_of(&back), START);
        let bad = other.submit(&page, &[("address", "nobody")]).await;
        assert!(bad.status == 400 && bad.text.contains("Enter your email address."), "{bad:?}");
        let whole: Value = app.admin().get("/api/v2/users?q=email%3Aann%40example.com").await.body;
        assert_eq!(whole, json!([]), "nobody was made");
    }

    async fn blocked_users_and_second_factors_are_as_elsewhere(app: TestApp) {
        let app = ready(app).await;
        let mut browser = browser(&app);
        let page = asked(&app, &mut browser, "ann@example.com").await;
        let landed = browser.submit(&page, &[("code", &code(&app).await)]).await;
        let bought = Exchange::code(&notes(&app).await, &landed.param("code")).without("client_secret").send(&app).await;
        let sub = claims(bought.body["id_token"].as_str().expect("a token"))["sub"].as_str().expect("is text").to_owned();
        app.guard(&["otp"], &["all-applications"]).await;
        app.app.clock.advance(60);
        let mut again = crate::security::browser(&app);
        let page = asked(&app, &mut again, "ann@example.com").await;
        let page = again.submit(&page, &[("code", &code(&app).await)]).await;
        assert_eq!(page_of(&page), "/u/mfa-otp-enrollment");
        let path = format!("/api/v2/users/{}", sub.replace('|', "%7C"));
        assert_eq!(app.admin().patch(&path, json!({ "blocked": true })).await.status, 200);
        app.app.clock.advance(60);
        let mut blocked = crate::security::browser(&app);
        let page = asked(&app, &mut blocked, "ann@example.com").await;
        let told = blocked.submit(&page, &[("code", &code(&app).await)]).await;
        assert!(told.status == 400 && told.text.contains("This account is blocked."), "{told:?}");
        assert!(link(&told, START).starts_with(START));
    }
}
