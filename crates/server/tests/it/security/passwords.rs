//! What a password must be: the connection's policy, its dictionary, its history and what it knows of the user (LS-11).

use serde_json::{Value, json};

use super::prepared;
use super::refusals::refusal;
use crate::support::app::{CONNECTION, PASSWORD};
use crate::support::{Answer, Authorize, Browser, Caller, TestApp};

const WEAK: &str = "PasswordStrengthError: Password is too weak";
const COMMON: &str = "PasswordDictionaryError: Password is too common";
const PERSONAL: &str = "PasswordNoUserInfoError: Password contains user information";
const USED: &str = "PasswordHistoryError: Password has previously been used";

/// Gives the connection these options.
async fn ask(app: &TestApp, options: Value) {
    let admin = app.admin();
    let found = admin.get(&format!("/api/v2/connections?name={CONNECTION}")).await;
    let id = found.body[0]["id"].as_str().expect("every tenant has it").to_owned();
    let answer = admin.patch(&format!("/api/v2/connections/{id}"), json!({ "options": options })).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}

/// What a new user with this password is answered.
async fn create(admin: &Caller, email: &str, password: &str) -> Value {
    let body = json!({ "connection": CONNECTION, "email": email, "password": password });
    let answer = admin.post("/api/v2/users", body).await;
    if answer.status == 201 { Value::Null } else { answer.body }
}

async fn set(admin: &Caller, password: &str) -> Value {
    let body = json!({ "connection": CONNECTION, "password": password });
    let answer = admin.patch("/api/v2/users/auth0%7Calice", body).await;
    if answer.status == 200 { Value::Null } else { answer.body }
}

fn refused(text: &str) -> Value {
    refusal(400, "Bad Request", text, "")
}

/// The page that a sign-up with this password leads to.
async fn sign_up(app: &TestApp, email: &str, password: &str) -> Answer {
    let mut browser = Browser::new(app.caller());
    let page = browser.open(&Authorize::code("web").with("screen_hint", "signup").path()).await;
    browser.submit(&page, &[("email", email), ("password", password)]).await
}

both_databases! {
    async fn ls_11_the_default_policy_is_good(app: TestApp) {
        let admin = app.admin();
        for (number, (password, expected)) in [
            ("Passw0r", refused(WEAK)),
            ("password1", refused(WEAK)),
            ("alllowercaseal", refused(WEAK)),
            ("Passw0rd", Value::Null),
            ("alllowercase-9", Value::Null),
            (&*format!("{}A1", "x".repeat(62)), Value::Null),
            (&*format!("{}A1", "x".repeat(1000)), Value::Null),
        ].into_iter().enumerate() {
            assert_eq!(create(&admin, &format!("u{number}@example.com"), password).await, expected, "{password}");
        }
    }

    async fn ls_11_none_and_low_ask_for_no_composition(app: TestApp) {
        let admin = app.admin();
        ask(&app, json!({ "passwordPolicy": "none" })).await;
        assert_eq!(create(&admin, "a@example.com", "a").await, Value::Null);
        ask(&app, json!({ "passwordPolicy": "low" })).await;
        assert_eq!(create(&admin, "b@example.com", "aaaaa").await, refused(WEAK));
        assert_eq!(create(&admin, "b@example.com", "aaaaaa").await, Value::Null);
    }

    async fn ls_11_a_common_password_is_refused_where_the_connection_asks(app: TestApp) {
        let admin = app.admin();
        ask(&app, json!({ "passwordPolicy": "low" })).await;
        assert_eq!(create(&admin, "a@example.com", "baseball").await, Value::Null, "nobody asked");
        ask(&app, json!({ "passwordPolicy": "none", "password_dictionary": { "enable": true, "dictionary": ["Acme-2026"] } })).await;
        let list = include_str!("../../../../model/data/common_passwords_10k.txt");
        for common in list.lines().step_by(50).chain(["baseball", "Baseball", "acme-2026"]) {
            assert_eq!(create(&admin, "b@example.com", common).await, refused(COMMON), "{common}");
        }
        assert_eq!(create(&admin, "b@example.com", "baseball bat").await, Value::Null);
    }

    async fn ls_11_the_address_is_no_password(app: TestApp) {
        let admin = app.admin();
        app.add_user("auth0|alice").await;
        ask(&app, json!({ "passwordPolicy": "none", "password_no_personal_info": { "enable": true } })).await;
        assert_eq!(create(&admin, "carol@example.com", "carol@example.com").await, refused(PERSONAL));
        assert_eq!(create(&admin, "carol@example.com", "I am CAROL").await, refused(PERSONAL));
        assert_eq!(create(&admin, "carol@example.com", "Correct horse").await, Value::Null);
        let named = json!({ "connection": CONNECTION, "user_metadata": { "last": "Liddell" }, "password": "x-liddell-x" });
        let answer = admin.patch("/api/v2/users/auth0%7Calice", named).await;
        assert_eq!((answer.status, answer.body), (400, refused(PERSONAL)), "of what the user becomes");
    }

    async fn a_password_of_the_history_is_refused_until_it_is_old_enough(app: TestApp) {
        let admin = app.admin();
        app.add_user("auth0|alice").await;
        ask(&app, json!({ "password_history": { "enable": true, "size": 2 } })).await;
        assert_eq!(set(&admin, PASSWORD).await, refused(USED), "the present one, set before there was a history");
        for (password, expected) in [
            ("Battery-staple-1", Value::Null),
            ("Battery-staple-1", refused(USED)),
            ("Battery-staple-2", Value::Null),
            ("Battery-staple-1", refused(USED)),
            ("Battery-staple-3", Value::Null),
            ("Battery-staple-1", Value::Null),
            ("Battery-staple-2", Value::Null),
        ] {
            app.app.clock.advance(1);
            assert_eq!(set(&admin, password).await, expected, "{password}");
        }
        let kept = app.app.db.read("SELECT hash FROM password_history LIMIT 100", vec![]).await.expect("reads");
        assert_eq!(kept.len(), 2, "the oldest are dropped");
    }

    async fn the_sign_up_page_says_which_rule_is_broken(app: TestApp) {
        let app = prepared(app).await;
        ask(&app, json!({
            "passwordPolicy": "low",
            "password_dictionary": { "enable": true },
            "password_no_personal_info": { "enable": true }
        })).await;
        for (password, error, rule) in [
            ("abc", "Choose a stronger password.", "At least 6 characters <b>(not yet)</b>"),
            ("baseball", "Many people use this password.", "Not a password that many people use <b>(not yet)</b>"),
            ("xx-dodgson-xx", "Choose a password without your name", "Without your name, username or email address <b>(not yet)</b>"),
        ] {
            let page = sign_up(&app, "dodgson@example.com", password).await;
            assert_eq!(page.status, 400, "{}", page.text);
            assert!(page.text.contains(error), "{error}: {}", page.text);
            assert!(page.text.contains(rule), "{rule}: {}", page.text);
            assert_eq!(page.text.matches("(not yet)").count(), 1, "{}", page.text);
        }
        let done = sign_up(&app, "dodgson@example.com", "a wonderful land").await;
        assert_eq!(done.status, 302, "{}", done.text);
    }
}
