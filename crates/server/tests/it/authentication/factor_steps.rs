//! The steps of a second factor, one by one: where a code goes, when another is sent, and which page is whose.

use db::{Batch, params};
use model::factors::{Factor, Kind, codes};
use serde_json::{Value, json};

use crate::security::exchange::Exchange;
use crate::security::{browser, claims, prepared, signed_in};
use crate::support::browser::{CALLBACK, Form};
use crate::support::factors::{MULTI_FACTOR, page_of, shown};
use crate::support::{Authorize, Browser, TestApp};

const CHALLENGE: &str = "/u/mfa-otp-challenge";
const EMAIL: &str = "/u/mfa-email-challenge";
const ENROLLMENT: &str = "/u/mfa-otp-enrollment";
const RECOVERY: &str = "/u/mfa-recovery-code-enrollment";
const TICKETS: &str = "/api/v2/guardian/enrollments/ticket";

/// To whom codes have gone, in this order.
async fn recipients(app: &TestApp) -> Vec<String> {
    app.letters("mfa_oob_code").await.into_iter().map(|(to, _)| to).collect()
}

/// The path of a ticket for this user.
async fn ticket(app: &TestApp, user: &str) -> String {
    let body = json!({ "user_id": user, "allow_multiple_enrollments": true });
    let made = app.admin().post(TICKETS, body).await;
    made.body["ticket_url"].as_str().expect("is text")["https://id.test".len()..].to_owned()
}

/// What a ticket's page says once the app is set up: the recovery code, if there is one.
async fn set_up(app: &TestApp, browser: &mut Browser, user: &str) -> Option<String> {
    let page = browser.get(&ticket(app, user).await).await;
    let seed = model::factors::totp::decode(&shown(&page)).expect("is base32");
    let done = browser.give(&page, &app.code(&seed, 0)).await;
    assert_eq!(done.status, 200, "{done:?}");
    done.text.contains("<code class=\"plain\"").then(|| shown(&done))
}

both_databases! {
    async fn a_code_on_its_way_is_waited_for_and_an_old_one_replaced(app: TestApp) {
        let app = prepared(app).await;
        app.guard(&["email"], &["all-applications"]).await;
        let mut alice = browser(&app);
        let page = alice.sign_in(&Authorize::code("web").path(), "alice@example.com").await;
        let path = format!("{EMAIL}?state={}", Form::of(&page).field("state"));
        app.app.clock.advance(codes::LIFETIME - 1);
        assert_eq!((page_of(&alice.get(&path).await), recipients(&app).await.len()), (EMAIL.to_owned(), 1));
        app.app.clock.advance(1);
        assert_eq!((page_of(&alice.get(&path).await), recipients(&app).await.len()), (EMAIL.to_owned(), 2));
        let landed = alice.give(&page, &app.mailed_code().await).await;
        assert!(!landed.param("code").is_empty(), "{landed:?}");
    }

    async fn a_code_that_was_sent_to_another_user_is_not_waited_for(app: TestApp) {
        let app = prepared(app).await;
        app.guard(&["email"], &["all-applications"]).await;
        let mut shared = browser(&app);
        let login = shared.open(&Authorize::code("web").path()).await;
        shared.submit(&login, &[("username", "alice@example.com"), ("password", crate::support::app::PASSWORD)]).await;
        let hers = app.mailed_code().await;
        app.app.clock.advance(codes::PAUSE);
        let page = shared.submit(&login, &[("username", "bob@example.com"), ("password", crate::support::app::PASSWORD)]).await;
        assert_eq!(recipients(&app).await, ["alice@example.com", "bob@example.com"], "{page:?}");
        let his = app.mailed_code().await;
        if his != hers {
            assert_eq!(shared.give(&page, &hers).await.status, 400);
        }
        let landed = shared.give(&page, &his).await;
        assert!(!landed.param("code").is_empty(), "{landed:?}");
    }

    async fn asking_too_soon_costs_none_of_the_letters(app: TestApp) {
        let app = prepared(app).await;
        app.guard(&["email"], &["all-applications"]).await;
        let mut alice = browser(&app);
        let page = alice.sign_in(&Authorize::code("web").path(), "alice@example.com").await;
        for _ in 0..12 {
            assert_eq!(alice.submit(&page, &[("action", "resend")]).await.status, 429);
        }
        app.app.clock.advance(codes::PAUSE);
        assert_eq!(alice.submit(&page, &[("action", "resend")]).await.status, 200);
        assert_eq!(recipients(&app).await.len(), 2);
    }

    async fn a_code_goes_to_the_address_that_was_enrolled(app: TestApp) {
        let app = prepared(app).await;
        app.guard(&["email"], &["all-applications"]).await;
        let user = "auth0|alice".into();
        app.add_totp("auth0|alice").await;
        app.app.clock.advance(1);
        let pending = Factor::begin(&app.app, &user, Kind::Email, "elsewhere").with_address("pending@example.com");
        app.add_factor(pending).await;
        let sign_in = async |to: &str| {
            app.app.clock.advance(codes::PAUSE);
            let mut alice = browser(&app);
            let page = alice.sign_in(&Authorize::code("web").path(), "alice@example.com").await;
            assert_eq!(recipients(&app).await.last().map(String::as_str), Some(to), "{page:?}");
            let landed = alice.give(&page, &app.mailed_code().await).await;
            assert!(!landed.param("code").is_empty(), "{landed:?}");
        };
        sign_in("alice@example.com").await;
        app.app.clock.advance(1);
        let enrolled = Factor::confirmed(&app.app, &user, Kind::Email).with_address("second@example.com");
        let id = enrolled.id.clone();
        app.add_factor(enrolled).await;
        sign_in("second@example.com").await;
        // Its use is told of it, and of no other.
        let methods = app.admin().get("/api/v2/users/auth0%7Calice/authentication-methods").await.body;
        let used = methods.as_array().expect("a list").iter().filter(|method| method.get("last_auth_at").is_some());
        let used: Vec<_> = used.map(|method| method["id"].as_str().expect("is text").to_owned()).collect();
        assert_eq!(used.len(), 1, "{methods}");
        assert!(used[0].ends_with(id.trim_start_matches("dev_")), "{used:?}, not {id}");
    }

    async fn a_code_is_of_no_use_once_the_address_is_another(app: TestApp) {
        let app = prepared(app).await;
        app.guard(&["email"], &["all-applications"]).await;
        let mut alice = browser(&app);
        let page = alice.sign_in(&Authorize::code("web").path(), "alice@example.com").await;
        let code = app.mailed_code().await;
        let user = "auth0|alice".into();
        app.add_factor(Factor::confirmed(&app.app, &user, Kind::Email).with_address("second@example.com")).await;
        let refused = alice.give(&page, &code).await;
        assert_eq!(refused.status, 400, "{refused:?}");
        assert_eq!(page_of(&refused), EMAIL);
    }

    /// The page says that it is not the person's fault, and the code is still good.
    async fn a_failure_of_the_database_is_told_and_costs_nothing(app: TestApp) {
        let app = prepared(app).await;
        app.guard(&["email"], &["all-applications"]).await;
        let mut alice = browser(&app);
        let page = alice.sign_in(&Authorize::code("web").path(), "alice@example.com").await;
        let code = app.mailed_code().await;
        let run = async |sql: &'static str| {
            let mut batch = Batch::new();
            batch.execute(sql, params![]);
            app.app.db.commit(batch).await.expect("the schema changes");
        };
        run("ALTER TABLE factor_codes RENAME TO broken").await;
        let failed = alice.give(&page, &code).await;
        assert!(failed.status == 500 && failed.text.contains("It is our fault, not yours."), "{failed:?}");
        run("ALTER TABLE broken RENAME TO factor_codes").await;
        let landed = alice.give(&page, &code).await;
        assert!(!landed.param("code").is_empty(), "{landed:?}");
    }

    async fn a_recovery_code_alone_is_no_way_in(app: TestApp) {
        let app = prepared(app).await;
        app.guard(&["recovery-code"], &[]).await;
        app.add_recovery_code("auth0|alice").await;
        let refused = browser(&app).sign_in(&Authorize::code("web").multi_factor().path(), "alice@example.com").await;
        assert_eq!(refused.param("error"), "unmet_authentication_requirements", "{refused:?}");
    }

    /// OIDC Core §3.1.2.1: `acr_values` is a wish where the specifications count, and `acr` does not say what did not happen.
    async fn a_strict_client_takes_less_where_its_user_can_give_no_factor(app: TestApp) {
        let app = prepared(app).await;
        let wish = Authorize::code("web").multi_factor();
        let refused = browser(&app).sign_in(&wish.path(), "alice@example.com").await;
        assert_eq!(refused.param("error"), "unmet_authentication_requirements", "{refused:?}");
        let strict = app.admin().patch("/api/v2/doorward/clients/web", json!({ "strict": true })).await;
        assert_eq!(strict.status, 200, "{}", strict.text);
        let landed = browser(&app).sign_in(&wish.path(), "alice@example.com").await;
        let bought = Exchange::code("web", &landed.param("code")).send(&app).await;
        let told = claims(bought.body["id_token"].as_str().unwrap_or_else(|| panic!("{bought:?}")));
        assert_eq!((&told["sub"], &told["acr"], &told["amr"]), (&json!("auth0|alice"), &Value::Null, &Value::Null));
        let essential = json!({ "id_token": { "acr": { "essential": true, "value": MULTI_FACTOR } } }).to_string();
        let refused = browser(&app).sign_in(&Authorize::code("web").with("claims", &essential).path(), "alice@example.com").await;
        assert_eq!(refused.param("error"), "unmet_authentication_requirements", "{refused:?}");
        app.guard(&["otp"], &[]).await;
        let page = browser(&app).sign_in(&wish.path(), "alice@example.com").await;
        assert!(page.text.contains("/u/mfa-otp-enrollment"), "who can enrol is asked to: {page:?}");
    }

    async fn a_page_of_another_step_leads_back_to_this_one(app: TestApp) {
        let app = prepared(app).await;
        app.guard(&["email"], &["all-applications"]).await;
        let mut alice = browser(&app);
        let page = alice.sign_in(&Authorize::code("web").path(), "alice@example.com").await;
        let state = Form::of(&page).field("state").to_owned();
        for other in [CHALLENGE, ENROLLMENT, RECOVERY, "/u/mfa-recovery-code-challenge"] {
            assert_eq!(page_of(&alice.open(&format!("{other}?state={state}")).await), EMAIL, "{other}");
        }
    }

    /// Browsers apply `form-action` to the redirects after a form.
    async fn the_page_that_sets_an_app_up_may_lead_to_the_one_who_asked(app: TestApp) {
        let app = prepared(app).await;
        app.guard(&["otp"], &["all-applications"]).await;
        let page = browser(&app).sign_in(&Authorize::code("web").path(), "alice@example.com").await;
        assert_eq!(page_of(&page), ENROLLMENT);
        let policy = page.header("content-security-policy");
        assert!(policy.contains("form-action 'self' https://app.test"), "{policy}");
    }

    /// A new recovery code is shown before anything else is asked.
    async fn consent_comes_after_the_recovery_code(app: TestApp) {
        let app = prepared(app).await;
        app.guard(&["otp", "recovery-code"], &["all-applications"]).await;
        let stranger = json!({ "app_type": "regular_web", "callbacks": [CALLBACK], "is_first_party": false, "oidc_conformant": true });
        app.add_client("stranger", stranger).await;
        let mut alice = browser(&app);
        let page = alice.sign_in(&Authorize::code("stranger").with("scope", "openid profile").path(), "alice@example.com").await;
        let seed = model::factors::totp::decode(&shown(&page)).expect("is base32");
        let page = alice.give(&page, &app.code(&seed, 0)).await;
        assert_eq!(page_of(&page), RECOVERY, "{page:?}");
        let state = Form::of(&page).field("state").to_owned();
        assert_eq!(page_of(&alice.open(&format!("/u/consent?state={state}")).await), RECOVERY);
        let page = alice.submit(&page, &[("saved", "true")]).await;
        assert_eq!(page_of(&page), "/u/consent", "{page:?}");
    }

    async fn a_ticket_gives_a_recovery_code_where_there_is_none_and_it_is_offered(app: TestApp) {
        let app = prepared(app).await;
        let mut anybody = browser(&app);
        app.guard(&["otp"], &[]).await;
        assert_eq!(set_up(&app, &mut anybody, "auth0|alice").await, None);
        app.guard(&["otp", "recovery-code"], &[]).await;
        assert!(set_up(&app, &mut anybody, "auth0|alice").await.is_some());
        let kept = app.add_recovery_code("auth0|bob").await;
        assert_eq!(set_up(&app, &mut anybody, "auth0|bob").await, None);
        let mut bob = signed_in(&app, "bob").await;
        let page = bob.open(&Authorize::code("web").multi_factor().path()).await;
        let state = Form::of(&page).field("state").to_owned();
        let page = bob.open(&format!("/u/mfa-recovery-code-challenge?state={state}")).await;
        assert_eq!(bob.give(&page, &kept).await.status, 200, "the code that he had is still his");
    }

    async fn the_form_of_one_ticket_is_none_of_another(app: TestApp) {
        let app = prepared(app).await;
        app.guard(&["otp"], &[]).await;
        let mut shared = browser(&app);
        let (hers, his) = (ticket(&app, "auth0|alice").await, ticket(&app, "auth0|bob").await);
        let (hers, his) = (shared.get(&hers).await, shared.get(&his).await);
        let token = Form::of(&hers).field("_csrf").to_owned();
        let seed = model::factors::totp::decode(&shown(&his)).expect("is base32");
        let code = app.code(&seed, 0);
        assert_eq!(shared.submit(&his, &[("_csrf", &token), ("code", &code)]).await.status, 403);
        assert_eq!(shared.submit(&his, &[("code", &code)]).await.status, 200);
    }
}
