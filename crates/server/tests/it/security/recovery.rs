//! Getting back into an account: links that are mailed, and what following and using them does.

use std::sync::Arc;

use axum::http::Method;
use db::{Batch, Value as Stored, params};
use model::factors::remembered;
use model::tenants::{self, Tenant};
use model::users::NewUser;
use serde_json::{Value, json};

use super::refresh::{add_rotating, assert_dead, bought, refresh};
use super::{API, browser, prepared, signed_in, stored};
use crate::support::app::{CONNECTION, PASSWORD};
use crate::support::browser::Form;
use crate::support::factors::page_of;
use crate::support::{Answer, Authorize, Browser, TestApp};

const NEW: &str = "Another-horse-9";

/// Asks for a link as auth0.js does.
async fn ask(app: &TestApp, email: &str) -> Answer {
    let body = json!({ "client_id": "web", "email": email, "connection": CONNECTION });
    app.caller().post("/dbconnections/change_password", body).await
}

/// The link of the newest reset mail to an address.
async fn asked(app: &TestApp, email: &str) -> String {
    // Letters are in the order of their moments.
    app.app.clock.advance(1);
    assert_eq!(ask(app, email).await.status, 200);
    app.letters_to(email, "reset_email").await.last().expect("a letter came").link()
}

/// Follows a link and types a password there.
async fn set(app: &TestApp, link: &str, password: &str) -> Answer {
    let mut browser = browser(app);
    let page = browser.open(link).await;
    if !page.text.contains("<form") {
        return page;
    }
    browser.submit(&page, &[("password", password)]).await
}

fn is_ended(answer: &Answer) -> bool {
    answer.status == 400 && answer.text.contains("This link works no more")
}

/// Whether this is somebody's password.
async fn enters(app: &TestApp, email: &str, password: &str) -> bool {
    let mut browser = browser(app);
    let page = browser.open(&Authorize::code("web").path()).await;
    let landed = browser.submit(&page, &[("username", email), ("password", password)]).await;
    !landed.param("code").is_empty()
}

async fn verified(app: &TestApp, user: &str) -> (Value, Value) {
    let user = app.admin().get(&format!("/api/v2/users/{}", user.replace('|', "%7C"))).await.body;
    (user["email"].clone(), user["email_verified"].clone())
}

both_databases! {
    async fn rc_01_a_reset_link_works_once_for_its_user_in_its_lifetime(app: TestApp) {
        let app = prepared(app).await;
        let link = asked(&app, "alice@example.com").await;
        let done = set(&app, &link, NEW).await;
        assert!(done.status == 200 && done.text.contains("Your password is changed"), "{done:?}");
        assert!(enters(&app, "alice@example.com", NEW).await && !enters(&app, "alice@example.com", PASSWORD).await);
        assert!(enters(&app, "bob@example.com", PASSWORD).await, "it is alice's alone");
        // Twice.
        assert!(is_ended(&set(&app, &link, "Third-horse-9").await));
        assert!(enters(&app, "alice@example.com", NEW).await);
        // After its end: five days.
        let link = asked(&app, "bob@example.com").await;
        app.app.clock.advance(432_000);
        assert!(is_ended(&set(&app, &link, NEW).await));
        // After a newer one, which works.
        let (older, newer) = (asked(&app, "bob@example.com").await, asked(&app, "bob@example.com").await);
        assert!(is_ended(&set(&app, &older, NEW).await));
        assert_eq!(set(&app, &newer, NEW).await.status, 200);
        // After a change of the password, and of the address.
        app.app.clock.advance(3600);
        for change in [json!({ "password": "Third-horse-9" }), json!({ "email": "robert@example.com" })] {
            let link = asked(&app, "bob@example.com").await;
            assert_eq!(app.admin().patch("/api/v2/users/auth0%7Cbob", change).await.status, 200);
            assert!(is_ended(&set(&app, &link, NEW).await));
        }
        // Nothing else is a link, and none is one at another tenant.
        let link = asked(&app, "alice@example.com").await;
        let mut other = Browser::new(app.caller().at(&app.other));
        assert!(is_ended(&other.open(&link).await));
        for bad in ["/u/reset-password", "/u/reset-password?ticket=", "/u/reset-password?ticket=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
            assert!(is_ended(&browser(&app).open(bad).await), "{bad}");
        }
        // A link of one kind is none of the other.
        assert!(is_ended(&browser(&app).open(&link.replace("reset-password", "email-verification")).await));
    }

    /// Two that use a link at once: one password is set.
    async fn rc_01_of_two_uses_at_once_one_succeeds(app: TestApp) {
        let app = prepared(app).await;
        let link = asked(&app, "alice@example.com").await;
        let (mut one, mut two) = (browser(&app), browser(&app));
        let (first, second) = (one.open(&link).await, two.open(&link).await);
        let (first, second) = tokio::join!(
            one.submit(&first, &[("password", "First-horse-9")]),
            two.submit(&second, &[("password", "Second-horse-9")])
        );
        let statuses = [first.status, second.status];
        assert!(statuses == [200, 400] || statuses == [400, 200], "{statuses:?}");
        let set = if first.status == 200 { "First-horse-9" } else { "Second-horse-9" };
        assert!(enters(&app, "alice@example.com", set).await);
        assert_eq!(app.letters_to("alice@example.com", "password_changed").await.len(), 1);
    }

    /// LS-09 and RC-02: who is named does not show, neither in the answer nor in what it costs.
    async fn rc_02_asking_for_a_link_tells_nothing_and_is_bounded(app: TestApp) {
        let app = prepared(app).await;
        app.add_user("auth0|blocked").await;
        assert_eq!(app.admin().patch("/api/v2/users/auth0%7Cblocked", json!({ "blocked": true })).await.status, 200);
        app.posted().await;
        let mut answers = Vec::new();
        for name in ["alice", "nobody", "blocked", "ALICE"] {
            app.app.db.statements();
            let done = app.app.hasher.hashes_done();
            let answer = ask(&app, &format!("{name}@example.com")).await;
            assert_eq!(app.app.hasher.hashes_done(), done, "{name}");
            let ran: Vec<String> = app.app.db.statements().iter().map(|sql| sql.to_string()).collect();
            let writes: Vec<_> = ran.into_iter().filter(|sql| !sql.trim_start().starts_with("SELECT")).collect();
            let headers = ["content-type", "cache-control"].map(|name| answer.header(name).to_owned());
            answers.push((answer.status, answer.text.clone(), headers, writes));
        }
        assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:#?}");
        assert_eq!((answers[0].0, &*answers[0].1), (200, "We've just sent you an email to reset your password."));
        assert_eq!(answers[0].2[0], "text/html; charset=utf-8");
        assert_eq!(app.letters_to("nobody@example.com", "reset_email").await.len(), 0);

        // The address is counted as people read it: with the two above this is the third and the fourth in the hour.
        assert_eq!(app.letters_to("alice@example.com", "reset_email").await.len(), 2);
        for _ in 0..2 {
            assert_eq!(ask(&app, "alice@example.com").await.text, answers[0].1);
        }
        assert_eq!(app.letters_to("alice@example.com", "reset_email").await.len(), 3);
        app.app.clock.advance(3600);
        ask(&app, "alice@example.com").await;
        assert_eq!(app.letters_to("alice@example.com", "reset_email").await.len(), 4);

        // One IP address reaches so many mailboxes and no more.
        let before = app.posted().await.len();
        for number in 0..40 {
            app.add_user(&format!("auth0|u{number}")).await;
            assert_eq!(ask(&app, &format!("u{number}@example.com")).await.status, 200);
        }
        assert_eq!(app.posted().await.len() - before, 29);
        let body = json!({ "email": "u39@example.com", "connection": CONNECTION });
        assert_eq!(app.caller().from("198.51.100.7").post("/dbconnections/change_password", body).await.status, 200);
        assert_eq!(app.posted().await.len() - before, 30);
    }

    /// The hosted page says the same of everybody.
    /// Where the administrators alone set passwords, no door gives out a link.
    /// An address, a number and a user name, each in many spellings, lead to one mailbox.
    async fn rc_02_a_person_gets_so_many_links_by_all_names(app: TestApp) {
        let named = NewUser {
            user_id: Some("carol".into()), email: Some("carol@example.com".into()), email_verified: true,
            phone_number: Some("+15550100".into()), ..NewUser::default()
        };
        let app = prepared(app).await;
        app.add_user_with(named).await;
        for name in ["carol@example.com", "+15550100", "+1 5550100", "+1 555 0100", "+1-555-0100", "carol@example.com"] {
            assert_eq!(ask(&app, name).await.status, 200);
        }
        assert_eq!(app.letters_to("carol@example.com", "reset_email").await.len(), 3);
        app.app.clock.advance(3600);
        asked(&app, "carol@example.com").await;
        assert_eq!(app.letters_to("carol@example.com", "reset_email").await.len(), 4);
    }

    async fn rc_02_no_link_goes_out_where_people_set_no_passwords(app: TestApp) {
        let app = prepared(app).await;
        let admin = app.admin();
        let found = admin.get(&format!("/api/v2/connections?name={CONNECTION}")).await.body[0].clone();
        let mut options = found["options"].clone();
        options["disable_self_service_change_password"] = json!(true);
        let path = format!("/api/v2/connections/{}", found["id"].as_str().expect("is text"));
        assert_eq!(admin.patch(&path, json!({ "options": options })).await.status, 200);
        assert_eq!(ask(&app, "alice@example.com").await.status, 200);
        assert_eq!(app.letters_to("alice@example.com", "reset_email").await.len(), 0);
    }

    /// Somebody without an address is written to nowhere, and the log says why.
    async fn rc_02_no_link_goes_out_to_who_has_no_address(app: TestApp) {
        let app = prepared(app).await;
        let nameless = NewUser { user_id: Some("nameless".into()), username: Some("nameless".into()), ..NewUser::default() };
        app.add_user_with(nameless).await;
        let admin = app.admin();
        let found = admin.get(&format!("/api/v2/connections?name={CONNECTION}")).await.body[0].clone();
        let mut options = found["options"].clone();
        options["requires_username"] = json!(true);
        let path = format!("/api/v2/connections/{}", found["id"].as_str().expect("is text"));
        assert_eq!(admin.patch(&path, json!({ "options": options })).await.status, 200);
        assert_eq!(ask(&app, "nameless").await.status, 200);
        assert!(app.posted().await.is_empty());
        assert!(app.events().await.iter().any(|event| event == "fcpr"), "{:?}", app.events().await);
    }

    /// The link leads to the host that was asked.
    async fn rc_02_a_link_leads_to_where_it_was_asked_for(app: TestApp) {
        let app = prepared(app).await;
        let second = Tenant { host: "second.test".into(), issuer: "https://second.test/".into(), ..Tenant::clone(&app.tenant) };
        let mut batch = Batch::new();
        tenants::insert_domain(&mut batch, &second, app.app.clock.now());
        app.app.db.commit(batch).await.expect("a second domain");
        let body = json!({ "client_id": "web", "email": "alice@example.com", "connection": CONNECTION });
        let asked = app.caller().at(&Arc::new(second)).post("/dbconnections/change_password", body).await;
        assert_eq!(asked.status, 200, "{}", asked.text);
        let letters = app.letters_to("alice@example.com", "reset_email").await;
        assert!(letters[0].mail.text.contains("https://second.test/u/reset-password?ticket="), "{letters:?}");
    }

    /// Whoever has one address of IPv6 has 2^64.
    async fn rc_02_a_whole_network_has_one_share(app: TestApp) {
        let app = prepared(app).await;
        let ask = async |from: &str, email: &str| {
            let body = json!({ "client_id": "web", "email": email, "connection": CONNECTION });
            let answer = app.caller().from(&format!("[{from}]")).post("/dbconnections/change_password", body).await;
            assert_eq!(answer.status, 200, "{answer:?}");
        };
        for number in 0..model::recovery::MOST_FROM_IP {
            ask(&format!("2001:db8::{number:x}"), &format!("nobody{number}@example.com")).await;
        }
        ask("2001:db8::ffff:1", "alice@example.com").await;
        assert_eq!(app.letters_to("alice@example.com", "reset_email").await.len(), 0);
        ask("2001:db8:0:1::1", "alice@example.com").await;
        assert_eq!(app.letters_to("alice@example.com", "reset_email").await.len(), 1);
    }

    async fn ls_09_the_page_for_forgotten_passwords_tells_nothing(app: TestApp) {
        let app = prepared(app).await;
        app.add_user_without_password("auth0|social").await;
        let mut answers = Vec::new();
        for name in ["alice", "nobody", "social"] {
            let mut browser = browser(&app);
            let page = browser.open(&Authorize::code("web").path()).await;
            let link = page.text.split("href=\"").find(|part| part.starts_with("/u/reset-password/request/"));
            let link = link.and_then(|part| part.split('"').next()).expect("the login page leads there");
            let asked = browser.open(link).await;
            let state = Form::of(&asked).field("state").to_owned();
            app.app.db.statements();
            let answer = browser.submit(&asked, &[("email", &format!("{name}@example.com"))]).await;
            let ran = app.app.db.statements();
            let ran: Vec<String> = ran.iter().map(|sql| sql.to_string()).collect();
            assert!(answer.text.contains("Check your email"), "{}", answer.text);
            answers.push((answer.status, answer.text.replace(&state, "STATE"), ran));
        }
        assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:#?}");
    }

    async fn rc_03_a_reset_ends_everything_and_signs_nobody_in(app: TestApp) {
        let app = prepared(app).await;
        add_rotating(&app, "rotating", 0).await;
        let mut alice = signed_in(&app, "alice").await;
        let tokens = bought(&app, &mut alice, "rotating", "read:a", API).await;
        let bob = signed_in(&app, "bob").await;
        let mut batch = db::Batch::new();
        for user in ["auth0|alice", "auth0|bob"] {
            remembered::remember(&mut batch, &app.app, &app.tenant.id, &user.into(), None);
        }
        app.app.db.commit(batch).await.expect("writes");
        let link = asked(&app, "alice@example.com").await;
        // In the browser that is signed in: it is out afterwards too.
        let page = alice.open(&link).await;
        let done = alice.submit(&page, &[("password", NEW)]).await;
        assert!(done.text.contains("Your password is changed"), "{done:?}");
        let silent = Authorize::code("web").with("prompt", "none").path();
        assert_eq!(alice.clone().open(&silent).await.param("error"), "login_required");
        assert!(!bob.clone().open(&silent).await.param("code").is_empty(), "others stay");
        assert_dead(&refresh(&app, "rotating", &tokens.refresh_token).await);
        let left: i64 = stored(&app, "SELECT COUNT(*) FROM sessions WHERE tenant = $1 AND user_id = $2", params!["auth0|alice"]).await;
        assert_eq!(left, 0);
        let browsers: i64 = stored(&app, "SELECT COUNT(*) FROM remembered_browsers WHERE tenant = $1", params![]).await;
        assert_eq!(browsers, 1, "bob's stays");
        let notices = app.letters_to("alice@example.com", "password_changed").await;
        let [notice] = notices.as_slice() else { panic!("{notices:?}") };
        assert!(notice.mail.subject.starts_with("Your password for") && !notice.mail.text.contains("ticket="), "{notice:?}");
        let events = app.events().await;
        assert!(events.contains(&"scpr".to_owned()) && events.contains(&"scp".to_owned()), "{events:?}");
        let user = app.admin().get("/api/v2/users/auth0%7Calice").await.body;
        assert!(user["last_password_reset"].is_string(), "{user}");
    }

    /// A password that an administrator sets is for who has lost control of the old one.
    async fn rc_03_another_password_forgets_the_browsers_that_were_remembered(app: TestApp) {
        let app = prepared(app).await;
        let mut batch = Batch::new();
        for user in ["auth0|alice", "auth0|bob"] {
            remembered::remember(&mut batch, &app.app, &app.tenant.id, &user.into(), None);
        }
        app.app.db.commit(batch).await.expect("writes");
        let set = app.admin().patch("/api/v2/users/auth0%7Calice", json!({ "password": NEW, "connection": CONNECTION })).await;
        assert_eq!(set.status, 200, "{}", set.text);
        let left: i64 = stored(&app, "SELECT COUNT(*) FROM remembered_browsers WHERE tenant = $1", params![]).await;
        assert_eq!(left, 1, "bob's stays");
    }

    /// Who can read the mail has a password then, and not the second factor: nor where the browser was remembered before.
    async fn rc_03_a_reset_leads_past_no_second_factor(app: TestApp) {
        let app = prepared(app).await;
        app.guard(&["otp"], &["all-applications"]).await;
        let seed = app.add_totp("auth0|alice").await;
        let mut known = browser(&app);
        let request = Authorize::code("web").path();
        let page = known.sign_in(&request, "alice@example.com").await;
        let landed = known.submit(&page, &[("code", &app.code(&seed, 0)), ("rememberBrowser", "true")]).await;
        assert!(!landed.param("code").is_empty(), "{landed:?}");
        let link = asked(&app, "alice@example.com").await;
        let page = known.open(&link).await;
        assert_eq!(known.submit(&page, &[("password", NEW)]).await.status, 200);
        for mut browser in [known, browser(&app)] {
            let silent = browser.clone().open(&Authorize::code("web").with("prompt", "none").path()).await;
            assert_eq!(silent.param("error"), "login_required");
            let page = browser.open(&request).await;
            let asks = browser.submit(&page, &[("username", "alice@example.com"), ("password", NEW)]).await;
            assert_eq!(page_of(&asks), "/u/mfa-otp-challenge");
            assert!(browser.open(&request).await.param("code").is_empty());
        }
        let methods = app.admin().get("/api/v2/users/auth0%7Calice/authentication-methods").await.body;
        assert_eq!(methods[0]["type"], "totp", "it is still hers: {methods}");
    }

    /// What a mail scanner does to every link of a letter changes nothing.
    async fn rc_04_following_a_link_uses_nothing_up(app: TestApp) {
        let app = prepared(app).await;
        let admin = app.admin();
        let unverified = json!({ "connection": CONNECTION, "email": "new@example.com", "password": PASSWORD });
        assert_eq!(admin.post("/api/v2/users", unverified).await.status, 201);
        let reset = asked(&app, "alice@example.com").await;
        let verify = app.letters_to("new@example.com", "verify_email").await[0].link();
        for link in [&reset, &verify] {
            for method in [Method::GET, Method::HEAD] {
                for _ in 0..5 {
                    app.app.db.statements();
                    let answer = app.caller().send(method.clone(), link, None, String::new()).await;
                    assert_eq!(answer.status, 200, "{method} {link}");
                    let ran = app.app.db.statements();
                    assert!(ran.iter().all(|sql| sql.trim_start().starts_with("SELECT")), "{ran:?}");
                }
            }
        }
        // A form from elsewhere, or without what the page gave to the browser, is not the page's.
        let ticket = reset.split("ticket=").nth(1).expect("has one");
        let forged = app.caller().form("/u/reset-password", &[("ticket", ticket), ("password", NEW)]).await;
        assert_eq!(forged.status, 403, "{forged:?}");
        let mut one = browser(&app);
        let form = Form::of(&one.open(&reset).await);
        let other = browser(&app).post("/u/reset-password", &[("ticket", ticket), ("_csrf", form.field("_csrf")), ("password", NEW)]).await;
        assert_eq!(other.status, 403, "{other:?}");

        assert_eq!(set(&app, &reset, NEW).await.status, 200);
        let mut browser = browser(&app);
        let page = browser.open(&verify).await;
        assert!(page.text.contains("new@example.com"), "{}", page.text);
        let done = browser.submit(&page, &[]).await;
        assert!(done.status == 200 && done.text.contains("Your email is verified"), "{done:?}");
        assert!(is_ended(&browser.open(&verify).await));
        assert!(app.events().await.contains(&"sv".to_owned()));
    }

    async fn rc_05_a_new_address_is_proved_by_its_own_link(app: TestApp) {
        let app = prepared(app).await;
        let admin = app.admin();
        let path = "/api/v2/users/auth0%7Calice";
        let change = async |email: &str| {
            admin.patch(path, json!({ "email": email, "verify_email": true })).await
        };
        assert_eq!(change("first@example.com").await.status, 200);
        let first = app.letters_to("first@example.com", "verify_email").await[0].link();
        let notices = app.letters_to("alice@example.com", "email_changed").await;
        let [notice] = notices.as_slice() else { panic!("{notices:?}") };
        assert!(notice.mail.text.contains("f…@example.com") && !notice.mail.text.contains("first@"), "{notice:?}");
        assert_eq!(change("second@example.com").await.status, 200);
        let second = app.letters_to("second@example.com", "verify_email").await[0].link();
        assert_eq!(verified(&app, "auth0|alice").await, (json!("second@example.com"), json!(false)));
        // The link of the address before, and one of somebody else's.
        assert!(is_ended(&browser(&app).open(&first).await));
        assert_eq!(admin.patch("/api/v2/users/auth0%7Cbob", json!({ "email_verified": false })).await.status, 200);
        let bobs = admin.post("/api/v2/tickets/email-verification", json!({ "user_id": "auth0|bob" })).await.body;
        let bobs = bobs["ticket"].as_str().expect("a link").split("id.test").nth(1).expect("a path").trim_end_matches('#').to_owned();
        let mut other = browser(&app);
        let page = other.open(&bobs).await;
        other.submit(&page, &[]).await;
        assert_eq!(verified(&app, "auth0|bob").await.1, json!(true));
        assert_eq!(verified(&app, "auth0|alice").await.1, json!(false));
        // Its own.
        let mut own = browser(&app);
        let page = own.open(&second).await;
        assert_eq!(own.submit(&page, &[]).await.status, 200);
        assert_eq!(verified(&app, "auth0|alice").await, (json!("second@example.com"), json!(true)));
        // Without being asked for no link goes out.
        assert_eq!(admin.patch(path, json!({ "email": "third@example.com" })).await.status, 200);
        assert_eq!(app.letters_to("third@example.com", "verify_email").await.len(), 0);
        assert_eq!(app.letters_to("second@example.com", "email_changed").await.len(), 1);
    }

    /// TK-13 again: a reset takes what a refresh token stood on.
    async fn tk_13_a_refresh_token_ends_with_a_reset(app: TestApp) {
        let app = prepared(app).await;
        add_rotating(&app, "rotating", 0).await;
        let tokens = bought(&app, &mut signed_in(&app, "alice").await, "rotating", "read:a", API).await;
        let others = bought(&app, &mut signed_in(&app, "bob").await, "rotating", "read:a", API).await;
        let ticket = app.admin().post("/api/v2/tickets/password-change", json!({ "user_id": "auth0|alice" })).await;
        let link = ticket.body["ticket"].as_str().expect("a link").split("id.test").nth(1).expect("a path").trim_end_matches('#').to_owned();
        assert_eq!(set(&app, &link, NEW).await.status, 200);
        assert_dead(&refresh(&app, "rotating", &tokens.refresh_token).await);
        assert_eq!(refresh(&app, "rotating", &others.refresh_token).await.status, 200);
        let families: i64 = stored(
            &app,
            "SELECT COUNT(*) FROM refresh_token_families WHERE tenant = $1 AND user_id = $2",
            vec![Stored::from("auth0|alice")],
        )
        .await;
        assert_eq!(families, 0);
    }
}
