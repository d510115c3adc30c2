//! Second factors in a sign-in: setting one up, giving it, and the browsers that are remembered.

use model::factors::{Factor, Kind, codes};
use serde_json::json;

use crate::security::{browser, claims, exchanged, prepared, signed_in};
use crate::support::browser::{Form, SESSION};
use crate::support::factors::{MULTI_FACTOR, link, page_of, shown};
use crate::support::{Authorize, Browser, TestApp};

const ENROLLMENT: &str = "/u/mfa-otp-enrollment";
const CHALLENGE: &str = "/u/mfa-otp-challenge";
const EMAIL: &str = "/u/mfa-email-challenge";
const RECOVERY: &str = "/u/mfa-recovery-code-enrollment";

async fn multifactor(app: &TestApp) -> serde_json::Value {
    app.admin().get("/api/v2/users/auth0%7Calice").await.body["multifactor"].clone()
}

both_databases! {
    async fn whoever_has_no_factor_sets_one_up_and_the_id_token_says_so(app: TestApp) {
        let app = prepared(app).await;
        app.guard(&["otp", "recovery-code"], &[]).await;
        let mut browser = signed_in(&app, "alice").await;
        let before = browser.cookies[SESSION].clone();
        let page = browser.open(&Authorize::code("web").multi_factor().path()).await;
        assert_eq!((page.status, page_of(&page)), (200, ENROLLMENT.to_owned()), "{page:?}");
        assert!(page.text.contains("src=\"data:image/svg+xml;base64,"), "{}", page.text);
        let secret = shown(&page);
        let seed = model::factors::totp::decode(&secret).expect("is base32");
        // A reload shows the same; a wrong code does too.
        let state = Form::of(&page).field("state").to_owned();
        assert_eq!(shown(&browser.get(&format!("{ENROLLMENT}?state={state}")).await), secret);
        let wrong = browser.give(&page, "000 00").await;
        assert_eq!((wrong.status, shown(&wrong)), (400, secret.clone()));
        let wrong = browser.give(&page, &app.code(&seed, 5)).await;
        assert_eq!((wrong.status, shown(&wrong)), (400, secret));
        assert_eq!(multifactor(&app).await, json!(null));

        let page = browser.give(&page, &app.code(&seed, 0)).await;
        assert_eq!(page_of(&page), RECOVERY, "{page:?}");
        assert_ne!(browser.cookies[SESSION], before);
        assert_eq!(browser.submit(&page, &[]).await.status, 400, "the box was not ticked");
        let landed = browser.submit(&page, &[("saved", "true")]).await;
        let answer = exchanged(&app, &landed.param("code")).await;
        let told = claims(answer.body["id_token"].as_str().expect("is text"));
        assert_eq!((&told["amr"], &told["acr"]), (&json!(["mfa"]), &json!(MULTI_FACTOR)));
        assert_eq!(told["auth_time"], json!(app.app.clock.now().seconds()));
        assert_eq!(multifactor(&app).await, json!(["guardian"]));
        assert_eq!(app.letters("factor_added").await.len(), 1);
        assert!(app.events().await.contains(&"gd_enrollment_complete".to_owned()));

        // The session remembers: neither this app nor another asks again, silently or not.
        for request in [Authorize::code("web").multi_factor(), Authorize::code("page").multi_factor()] {
            let silent = browser.open(&request.with("prompt", "none").path()).await;
            assert!(!silent.param("code").is_empty(), "{silent:?}");
        }
        // Without the demand the token says how, and no more.
        let token = browser.open(&Authorize::new("page", "id_token").path()).await;
        let told = claims(&token.param("id_token"));
        assert_eq!((told.get("amr"), told.get("acr")), (Some(&json!(["mfa"])), None));
        // Another sign-in begins anew.
        let page = browser.sign_in(&Authorize::code("web").multi_factor().with("prompt", "login").path(), "alice@example.com").await;
        assert_eq!(page_of(&page), CHALLENGE, "{page:?}");
    }

    async fn a_policy_asks_everywhere_and_acr_only_where_it_is_sent(app: TestApp) {
        let app = prepared(app).await;
        app.guard(&["otp"], &[]).await;
        let seed = app.add_totp("auth0|alice").await;
        let mut first = browser(&app);
        let landed = first.sign_in(&Authorize::code("web").path(), "alice@example.com").await;
        assert!(!landed.param("code").is_empty(), "nobody asks: {landed:?}");
        for policy in ["all-applications", "confidence-score"] {
            app.guard(&["otp"], &[policy]).await;
            let page = first.open(&Authorize::code("web").path()).await;
            assert_eq!(page_of(&page), CHALLENGE, "{policy}");
        }
        let page = first.open(&Authorize::code("web").path()).await;
        let landed = first.give(&page, &app.code(&seed, 0)).await;
        assert!(!landed.param("code").is_empty(), "{landed:?}");
        // A policy without a factor that could be asked for asks for none; the demand then cannot be met.
        app.guard(&["sms"], &["all-applications"]).await;
        let mut second = browser(&app);
        let landed = second.sign_in(&Authorize::code("web").path(), "alice@example.com").await;
        assert!(!landed.param("code").is_empty(), "{landed:?}");
        let refused = second.open(&Authorize::code("web").multi_factor().path()).await;
        assert_eq!(refused.param("error"), "unmet_authentication_requirements");
    }

    async fn a_remembered_browser_satisfies_a_policy_but_no_demand(app: TestApp) {
        let app = prepared(app).await;
        app.guard(&["otp"], &["all-applications"]).await;
        let seed = app.add_totp("auth0|alice").await;
        let mut browser = browser(&app);
        let page = browser.sign_in(&Authorize::code("web").path(), "alice@example.com").await;
        let landed = browser.submit(&page, &[("code", &app.code(&seed, 0)), ("rememberBrowser", "true")]).await;
        assert!(!landed.param("code").is_empty(), "{landed:?}");
        browser.cookies.remove(SESSION);
        let sign_in = Authorize::code("web");
        let page_of_alice = async |browser: &mut Browser, request: &Authorize, user: &str| {
            browser.cookies.remove(SESSION);
            page_of(&browser.sign_in(&request.path(), &format!("{user}@example.com")).await)
        };
        assert_eq!(page_of_alice(&mut browser, &sign_in, "alice").await, "");
        assert_eq!(page_of_alice(&mut browser, &sign_in.multi_factor(), "alice").await, CHALLENGE);
        // It is Alice's alone, and of that browser alone.
        assert_eq!(page_of_alice(&mut browser, &sign_in, "bob").await, ENROLLMENT);
        assert_eq!(page_of_alice(&mut crate::security::browser(&app), &sign_in, "alice").await, CHALLENGE);
        // It ends by itself, and at an administrator's word.
        let forget = "/api/v2/users/auth0%7Calice/multifactor/actions/invalidate-remember-browser";
        let mut other = browser.clone();
        app.app.clock.advance(30 * 24 * 3600 - 60);
        assert_eq!(page_of_alice(&mut other, &sign_in, "alice").await, "");
        app.app.clock.advance(120);
        assert_eq!(page_of_alice(&mut other, &sign_in, "alice").await, CHALLENGE);
        app.app.clock.advance(-120);
        assert_eq!(app.admin().post(forget, json!({})).await.status, 204);
        assert_eq!(page_of_alice(&mut browser, &sign_in, "alice").await, CHALLENGE);
    }

    async fn codes_by_mail_are_bound_to_their_sign_in(app: TestApp) {
        let app = prepared(app).await;
        app.guard(&["email"], &["all-applications"]).await;
        let mut first = browser(&app);
        let page = first.sign_in(&Authorize::code("web").path(), "alice@example.com").await;
        assert_eq!((page.status, page_of(&page)), (200, EMAIL.to_owned()), "{page:?}");
        assert!(page.text.contains("We sent a code to al***@example.com."), "{}", page.text);
        let letters = app.letters("mfa_oob_code").await;
        assert_eq!((letters.len(), letters[0].0.as_str()), (1, "alice@example.com"));
        let code = app.mailed_code().await;
        // A reload sends no other, and another is not sent at once.
        let state = Form::of(&page).field("state").to_owned();
        first.get(&format!("{EMAIL}?state={state}")).await;
        let soon = first.submit(&page, &[("action", "resend")]).await;
        assert_eq!((soon.status, app.letters("mfa_oob_code").await.len()), (429, 1));
        // In another sign-in of the same user it is nothing.
        let mut second = browser(&app);
        let other = second.sign_in(&Authorize::code("web").path(), "alice@example.com").await;
        assert_eq!(second.give(&other, &code).await.status, 400);
        // Another one ends it.
        app.app.clock.advance(codes::PAUSE);
        let page = first.submit(&page, &[("action", "resend")]).await;
        assert_eq!((page.status, app.letters("mfa_oob_code").await.len()), (200, 3));
        let next = app.mailed_code().await;
        if next != code {
            assert_eq!(first.give(&page, &code).await.status, 400);
        }
        let landed = first.give(&page, &next).await;
        assert!(!landed.param("code").is_empty(), "{landed:?}");
        // Five minutes, then it is over.
        app.app.clock.advance(codes::PAUSE);
        let page = second.submit(&other, &[("action", "resend")]).await;
        let late = app.mailed_code().await;
        app.app.clock.advance(codes::LIFETIME);
        assert_eq!(second.give(&page, &late).await.status, 400);
        assert!(app.events().await.contains(&"gd_send_email".to_owned()));
    }

    async fn a_code_by_mail_may_be_tried_five_times(app: TestApp) {
        let app = prepared(app).await;
        app.guard(&["email"], &["all-applications"]).await;
        let mut browser = browser(&app);
        let page = browser.sign_in(&Authorize::code("web").path(), "alice@example.com").await;
        let code = app.mailed_code().await;
        let wrong = if code == "000000" { "000001" } else { "000000" };
        for _ in 0..5 {
            assert_eq!(browser.give(&page, wrong).await.status, 400);
        }
        assert_eq!(browser.give(&page, &code).await.status, 400, "the right one comes too late");
    }

    async fn an_unverified_address_gets_no_codes(app: TestApp) {
        let app = prepared(app).await;
        app.guard(&["email"], &["all-applications"]).await;
        let new = model::users::NewUser {
            user_id: Some("carol".into()),
            email: Some("carol@example.com".into()),
            ..Default::default()
        };
        app.add_user_with(new).await;
        let refused = browser(&app).sign_in(&Authorize::code("web").path(), "carol@example.com").await;
        assert_eq!(refused.param("error"), "unmet_authentication_requirements");
        assert_eq!(app.letters("mfa_oob_code").await, []);
    }

    async fn where_there_is_a_choice_it_is_offered(app: TestApp) {
        let app = prepared(app).await;
        app.guard(&["otp", "email", "recovery-code"], &["all-applications"]).await;
        let seed = app.add_totp("auth0|alice").await;
        app.add_recovery_code("auth0|alice").await;
        let mut browser = browser(&app);
        let page = browser.sign_in(&Authorize::code("web").path(), "alice@example.com").await;
        assert_eq!(page_of(&page), CHALLENGE);
        let options = browser.get(&link(&page, "/u/mfa-login-options")).await;
        for way in [CHALLENGE, EMAIL, "/u/mfa-recovery-code-challenge"] {
            let page = browser.get(&link(&options, way)).await;
            assert_eq!((page.status, page_of(&page)), (200, way.to_owned()));
        }
        let code = app.mailed_code().await;
        let page = browser.get(&link(&options, EMAIL)).await;
        let landed = browser.give(&page, &code).await;
        assert!(!landed.param("code").is_empty(), "{landed:?}");
        // What the tenant has switched off is no way in.
        app.guard(&["otp"], &["all-applications"]).await;
        let mut other = crate::security::browser(&app);
        let page = other.sign_in(&Authorize::code("web").path(), "alice@example.com").await;
        assert!(!page.text.contains("/u/mfa-login-options"), "{}", page.text);
        let state = Form::of(&page).field("state").to_owned();
        for way in [EMAIL, "/u/mfa-recovery-code-challenge", "/u/mfa-login-options", ENROLLMENT] {
            let page = other.open(&format!("{way}?state={state}")).await;
            let expected = if way == "/u/mfa-login-options" { "" } else { CHALLENGE };
            assert_eq!(page_of(&page), expected, "{way}");
        }
        let landed = other.give(&page, &app.code(&seed, 0)).await;
        assert!(!landed.param("code").is_empty(), "{landed:?}");
    }

    async fn whoever_has_a_factor_that_cannot_be_asked_for_enrols_no_other(app: TestApp) {
        let app = prepared(app).await;
        app.guard(&["otp"], &["all-applications"]).await;
        let phone = Factor::confirmed(&app.app, &"auth0|alice".into(), Kind::Phone).with_address("+15551234567");
        app.add_factor(phone).await;
        let refused = browser(&app).sign_in(&Authorize::code("web").path(), "alice@example.com").await;
        assert_eq!(refused.param("error"), "unmet_authentication_requirements", "{refused:?}");
    }

    async fn an_enrolment_belongs_to_its_sign_in(app: TestApp) {
        let app = prepared(app).await;
        app.guard(&["otp"], &["all-applications"]).await;
        let (mut mine, mut theirs) = (browser(&app), browser(&app));
        let first = theirs.sign_in(&Authorize::code("web").path(), "alice@example.com").await;
        let stolen = model::factors::totp::decode(&shown(&first)).expect("is base32");
        let page = mine.sign_in(&Authorize::code("web").path(), "alice@example.com").await;
        let seed = model::factors::totp::decode(&shown(&page)).expect("is base32");
        assert_ne!(seed, stolen, "nobody is shown a seed that somebody else has seen");
        assert_eq!(theirs.give(&first, &app.code(&stolen, 0)).await.status, 400);
        // That put their own in the place of mine; mine begins again and ends first.
        let state = Form::of(&page).field("state").to_owned();
        let page = mine.get(&format!("{ENROLLMENT}?state={state}")).await;
        let seed = model::factors::totp::decode(&shown(&page)).expect("is base32");
        let landed = mine.give(&page, &app.code(&seed, 0)).await;
        assert!(!landed.param("code").is_empty(), "{landed:?}");
        let asked = theirs.give(&first, &app.code(&stolen, 0)).await;
        assert_eq!(page_of(&asked), CHALLENGE, "{asked:?}");
    }

    async fn a_form_of_another_browser_or_without_its_token_is_refused(app: TestApp) {
        let app = prepared(app).await;
        app.guard(&["otp"], &["all-applications"]).await;
        let seed = app.add_totp("auth0|alice").await;
        let mut mine = browser(&app);
        let page = mine.sign_in(&Authorize::code("web").path(), "alice@example.com").await;
        let form = Form::of(&page);
        let code = app.code(&seed, 0);
        let (state, csrf) = (form.field("state").to_owned(), form.field("_csrf").to_owned());
        let mut theirs = browser(&app);
        theirs.sign_in(&Authorize::code("web").path(), "alice@example.com").await;
        let full = [("state", &*state), ("_csrf", &*csrf), ("code", &*code)];
        assert_eq!(theirs.post(CHALLENGE, &full).await.status, 403);
        for csrf in ["", "x"] {
            let answer = mine.post(CHALLENGE, &[("state", &state), ("_csrf", csrf), ("code", &code)]).await;
            assert_eq!(answer.status, 403);
        }
        let nobody = crate::security::browser(&app).post(CHALLENGE, &full).await;
        assert_eq!(nobody.status, 403, "{nobody:?}");
        let landed = mine.give(&page, &code).await;
        assert!(!landed.param("code").is_empty(), "{landed:?}");
    }

    async fn a_ticket_lets_its_user_enrol_once(app: TestApp) {
        let app = prepared(app).await;
        app.guard(&["otp", "recovery-code"], &[]).await;
        let body = json!({ "user_id": "auth0|alice", "send_mail": true });
        let made = app.admin().post("/api/v2/guardian/enrollments/ticket", body.clone()).await;
        assert_eq!((made.status, made.body["ticket_id"].as_str().map(str::len)), (200, Some(32)), "{made:?}");
        let url = made.body["ticket_url"].as_str().expect("is text").to_owned();
        let path = url.strip_prefix("https://id.test").expect("is ours").to_owned();
        let letters = app.letters("enrollment_email").await;
        assert_eq!((letters[0].0.as_str(), &letters[0].1["link"]), ("alice@example.com", &json!(url)));
        let mut browser = browser(&app);
        browser.get(&path).await;
        let page = browser.get(&path).await;
        assert_eq!((page.status, page_of(&page)), (200, "/mfa/enrollment".to_owned()), "looking uses nothing up");
        let seed = model::factors::totp::decode(&shown(&page)).expect("is base32");
        assert_eq!(browser.give(&page, &app.code(&seed, 5)).await.status, 400);
        let done = browser.give(&page, &app.code(&seed, 0)).await;
        assert_eq!((done.status, shown(&done).len()), (200, 24), "{done:?}");
        assert_eq!(multifactor(&app).await, json!(["guardian"]));
        assert_eq!(browser.get(&path).await.status, 400);
        assert_eq!(browser.give(&page, &app.code(&seed, 1)).await.status, 400);
        // Who has a factor needs a ticket that says so.
        let another = app.admin().post("/api/v2/guardian/enrollments/ticket", body).await;
        let path = another.body["ticket_url"].as_str().expect("is text")["https://id.test".len()..].to_owned();
        assert_eq!(browser.get(&path).await.status, 400);
        let many = json!({ "user_id": "auth0|alice", "allow_multiple_enrollments": true });
        let another = app.admin().post("/api/v2/guardian/enrollments/ticket", many).await;
        let path = another.body["ticket_url"].as_str().expect("is text")["https://id.test".len()..].to_owned();
        assert_eq!(browser.get(&path).await.status, 200);
        assert_eq!(browser.get("/mfa/enrollment?ticket=x").await.status, 400);
    }
}
