//! LS-04 to LS-08: guessing passwords, of one account and of many.

use std::sync::Arc;

use model::attack_protection::{self as protection, BruteForce, Shield};
use model::users::NewUser;
use serde_json::{Value, json};

use super::sessions::{alike, fields};
use super::{browser, prepared};
use crate::support::app::{CONNECTION, LEAKED, PASSWORD};
use crate::support::browser::Form;
use crate::support::{Answer, Authorize, Browser, Engine, TestApp};

const DAY: i64 = 24 * 3600;

/// What a blocked account's page says, known or not.
const BLOCKED: &str = "Your account has been blocked after multiple consecutive login attempts.";

/// The sign-in page, opened in a browser at this address.
async fn at_login(app: &TestApp, address: &str) -> (Browser, Answer) {
    let mut browser = Browser::new(app.caller().from(address));
    let page = browser.open(&Authorize::code("web").path()).await;
    (browser, page)
}

/// Tries a password from an address: the answer to the form.
async fn enter(app: &TestApp, address: &str, name: &str, password: &str) -> Answer {
    let (mut browser, page) = at_login(app, address).await;
    let form = Form::of(&page);
    browser.post(&form.action, &fields(&form, "", None, &[("username", name), ("password", password)])).await
}

async fn statuses(app: &TestApp, address: &str, name: &str, times: usize) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..times {
        statuses.push(enter(app, address, name, "wrong").await.status);
    }
    statuses
}

async fn set(app: &TestApp, part: &str, settings: Value) {
    let answer = app.admin().patch(&format!("/api/v2/attack-protection/{part}"), settings).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}

/// The links of the letters to blocked users.
async fn links(app: &TestApp) -> Vec<String> {
    let sql = "SELECT id, recipient, variables FROM letters WHERE tenant = $1 AND kind = 'blocked_account' ORDER BY id LIMIT 10";
    let mut links = Vec::new();
    for mut row in app.app.db.read(sql, db::params![&app.tenant.id]).await.expect("reads") {
        let (id, to): (String, String) = (row.take().expect("is text"), row.take().expect("is text"));
        assert_eq!(to, ALICE);
        let place = model::seal::context("letters", &[app.tenant.id.as_str(), &id], "variables");
        let sealed: Vec<u8> = row.take().expect("is sealed");
        let opened = model::document::unseal(&app.app, &place, &sealed).expect("opens");
        let variables: Value = serde_json::from_str(&opened).expect("is JSON");
        assert!(
            [ONE, TWO].contains(&variables["user"]["source_ip"].as_str().expect("is text")),
            "{variables}"
        );
        links.push(variables["url"].as_str().expect("is text").to_owned());
    }
    links
}

async fn count(app: &TestApp, kind: &str) -> usize {
    app.events().await.iter().filter(|known| *known == kind).count()
}

const ALICE: &str = "alice@example.com";
const ONE: &str = "198.51.100.1";
const TWO: &str = "198.51.100.2";

both_databases! {
    async fn ls_04_failures_in_a_row_block_an_account_from_their_address_alone(app: TestApp) {
        let app = prepared(app).await;
        assert_eq!(statuses(&app, ONE, ALICE, 9).await, [400; 9]);
        // A right password begins anew.
        assert_eq!(enter(&app, ONE, ALICE, PASSWORD).await.status, 302);
        assert_eq!(statuses(&app, ONE, ALICE, 10).await, [400; 10]);
        assert_eq!(count(&app, "limit_wc").await, 1);
        let done = app.app.hasher.hashes_done();
        for password in ["wrong", PASSWORD] {
            let answer = enter(&app, ONE, ALICE, password).await;
            assert_eq!((answer.status, answer.has("set-cookie")), (429, false));
            assert!(answer.text.contains(BLOCKED), "{}", answer.text);
        }
        assert_eq!(app.app.hasher.hashes_done(), done, "nothing is hashed for who is blocked");
        // Elsewhere, and others here, are let in: a stranger locks nobody out.
        assert_eq!(enter(&app, TWO, ALICE, PASSWORD).await.status, 302);
        assert_eq!(enter(&app, ONE, "bob@example.com", PASSWORD).await.status, 302);
        assert_eq!(enter(&app, ONE, ALICE, PASSWORD).await.status, 429);
        assert_eq!(count(&app, "limit_wc").await, 1);

        // A new password lifts the block.
        let changed = app.admin().patch("/api/v2/users/auth0%7Calice", json!({ "password": "Another-horse-9" })).await;
        assert_eq!(changed.status, 200, "{}", changed.text);
        assert_eq!(enter(&app, ONE, ALICE, "Another-horse-9").await.status, 302);
    }

    async fn ls_04_the_threshold_and_what_follows_are_as_configured(app: TestApp) {
        let app = prepared(app).await;
        set(&app, "brute-force-protection", json!({ "max_attempts": 3, "shields": ["block"] })).await;
        assert_eq!(statuses(&app, ONE, ALICE, 4).await, [400, 400, 400, 429]);
        // A higher threshold lets those in who are below it, and a lower one keeps out who has reached it.
        set(&app, "brute-force-protection", json!({ "max_attempts": 5 })).await;
        assert_eq!(statuses(&app, ONE, ALICE, 3).await, [400, 400, 429]);
        assert_eq!(statuses(&app, TWO, ALICE, 2).await, [400; 2]);
        set(&app, "brute-force-protection", json!({ "max_attempts": 2 })).await;
        assert_eq!(enter(&app, TWO, ALICE, PASSWORD).await.status, 429);

        // A block ends 30 days after the last failure.
        app.app.clock.advance(30 * DAY - 1);
        assert_eq!(enter(&app, ONE, ALICE, PASSWORD).await.status, 429);
        app.app.clock.advance(1);
        assert_eq!(statuses(&app, ONE, ALICE, 3).await, [400, 400, 429]);

        // By account alone: whatever the address.
        set(&app, "brute-force-protection", json!({ "mode": "count_per_identifier" })).await;
        for address in [ONE, TWO] {
            assert_eq!(enter(&app, address, "bob@example.com", "wrong").await.status, 400);
        }
        for address in [ONE, TWO, "203.0.113.200"] {
            assert_eq!(enter(&app, address, "bob@example.com", PASSWORD).await.status, 429, "{address}");
        }
        let told = app.admin().get("/api/v2/user-blocks/auth0%7Cbob").await;
        assert_eq!(told.body, json!({ "blocked_for": [{ "identifier": "bob@example.com", "connection": CONNECTION }] }));

        // Trusted addresses are not counted.
        set(&app, "brute-force-protection", json!({ "mode": "count_per_identifier_and_ip", "allowlist": ["198.51.100.0/24"] })).await;
        assert_eq!(statuses(&app, ONE, ALICE, 4).await, [400; 4]);
        assert_eq!(enter(&app, ONE, ALICE, PASSWORD).await.status, 302);

        // Without a shield it is only written down, once.
        set(&app, "brute-force-protection", json!({ "allowlist": [], "shields": [] })).await;
        app.add_user("auth0|carol").await;
        let before = count(&app, "limit_wc").await;
        assert_eq!(statuses(&app, ONE, "carol@example.com", 5).await, [400; 5]);
        assert_eq!(enter(&app, ONE, "carol@example.com", PASSWORD).await.status, 302);
        assert_eq!(count(&app, "limit_wc").await, before + 1);

        // Off, for the tenant and for a connection.
        set(&app, "brute-force-protection", json!({ "enabled": false, "shields": ["block"] })).await;
        assert_eq!(statuses(&app, ONE, ALICE, 4).await, [400; 4]);
        set(&app, "brute-force-protection", json!({ "enabled": true })).await;
        let connection = model::connections::find_by_name(&app.app, &app.tenant.id, CONNECTION).await.expect("reads").expect("is there");
        let mut options = Value::Object(connection.options.clone());
        options["brute_force_protection"] = json!(false);
        let path = format!("/api/v2/connections/{}", connection.id);
        assert_eq!(app.admin().patch(&path, json!({ "options": options })).await.status, 200);
        assert_eq!(statuses(&app, ONE, ALICE, 4).await, [400; 4]);
    }

    /// Whoever reads mail may open the link as often as they like; what lifts the block is the form.
    async fn ls_04_the_mailed_link_lifts_the_block_once(app: TestApp) {
        let app = prepared(app).await;
        assert_eq!(statuses(&app, ONE, "nobody@example.com", 11).await.last(), Some(&429));
        assert_eq!(links(&app).await, Vec::<String>::new(), "nobody gets no mail");
        for address in [ONE, TWO] {
            assert_eq!(statuses(&app, address, ALICE, 11).await.last(), Some(&429));
        }
        let told = links(&app).await;
        let [link] = told.as_slice() else { panic!("one letter an hour: {told:?}") };
        let path = link.strip_prefix(app.tenant.issuer.trim_end_matches('/')).expect("leads to us");
        let ticket = path.strip_prefix("/u/unblock?ticket=").expect("is a link");
        for _ in 0..5 {
            let page = app.caller().get(path).await;
            assert!(page.status == 200 && page.text.contains("Unblock your account?"), "{page:?}");
            assert_eq!(app.caller().send(axum::http::Method::HEAD, path, None, String::new()).await.status, 200);
        }
        assert_eq!(enter(&app, ONE, ALICE, PASSWORD).await.status, 429);

        let elsewhere = app.caller().at(&app.other);
        for (caller, ticket) in [(&elsewhere, ticket), (&app.caller(), ""), (&app.caller(), "x"), (&app.caller(), &ticket[1..])] {
            let answer = caller.form("/u/unblock", &[("ticket", ticket)]).await;
            assert!(answer.status == 400 && answer.text.contains("This link does not work any more"), "{answer:?}");
        }
        assert_eq!(enter(&app, ONE, ALICE, PASSWORD).await.status, 429);
        let mut browser = browser(&app);
        let page = browser.get(path).await;
        let done = browser.submit(&page, &[]).await;
        assert!(done.status == 200 && done.text.contains("Your account is unblocked"), "{done:?}");
        for address in [ONE, TWO] {
            assert_eq!(enter(&app, address, ALICE, PASSWORD).await.status, 302);
        }
        assert_eq!(browser.submit(&page, &[]).await.status, 400);
        assert_eq!(app.caller().get(path).await.status, 400);
        assert_eq!(count(&app, "ublkdu").await, 1);

        // Another block, another link: it works for five days.
        app.app.clock.advance(3600);
        assert_eq!(statuses(&app, ONE, ALICE, 11).await.last(), Some(&429));
        let told = links(&app).await;
        let path = told.iter().find(|known| *known != link).expect("a second letter").clone();
        let path = path.strip_prefix(app.tenant.issuer.trim_end_matches('/')).expect("leads to us");
        app.app.clock.advance(5 * DAY - 1);
        assert_eq!(app.caller().get(path).await.status, 200);
        app.app.clock.advance(1);
        assert_eq!(app.caller().get(path).await.status, 400);

        // Without that shield there is no letter, and the page promises none.
        set(&app, "brute-force-protection", json!({ "shields": ["block"], "max_attempts": 1 })).await;
        let bob = "bob@example.com";
        assert_eq!(enter(&app, ONE, bob, "wrong").await.status, 400);
        let answer = enter(&app, ONE, bob, "wrong").await;
        assert!(answer.text.contains(BLOCKED) && !answer.text.contains("sent you an email"), "{}", answer.text);
        assert_eq!(links(&app).await.len(), 2);
    }

    async fn ls_05_what_a_stranger_says_of_their_address_counts_for_nothing(app: TestApp) {
        let app = prepared(app).await;
        set(&app, "brute-force-protection", json!({ "max_attempts": 5 })).await;
        let mut seen = Vec::new();
        for number in 0..6 {
            let claimed = format!("192.0.2.{number}");
            let caller = app
                .caller()
                .from(ONE)
                .with("x-forwarded-for", &claimed)
                .with("forwarded", &format!("for={claimed}"))
                .with("x-real-ip", &claimed)
                .with("true-client-ip", &claimed)
                .with("auth0-forwarded-for", &claimed);
            let mut browser = Browser::new(caller);
            let page = browser.open(&Authorize::code("web").path()).await;
            seen.push(browser.submit(&page, &[("username", ALICE), ("password", "wrong")]).await.status);
        }
        assert_eq!(seen, [400, 400, 400, 400, 400, 429]);
        let told = app.admin().get("/api/v2/user-blocks/auth0%7Calice").await;
        assert_eq!(told.body["blocked_for"][0]["ip"], ONE);
        app.app.audit.flush().await;
        let logged = app.admin().get("/api/v2/logs?per_page=100").await.text;
        assert!(logged.contains(ONE) && !logged.contains("\"ip\":\"192.0.2."), "{logged}");
    }

    async fn ls_07_an_account_has_one_counter_whatever_it_is_called(app: TestApp) {
        let app = prepared(app).await;
        let new = NewUser {
            email: Some("dora@example.com".into()),
            username: Some("dora".into()),
            phone_number: Some("+4930123456".into()),
            ..NewUser::default()
        };
        app.add_user_with(new).await;
        let names = ["dora@example.com", "DORA@Example.com", " dora@example.com ", "dora", "DORA", "dora ", "+49 30 123456", "+4930123456", "dora@EXAMPLE.COM", "Dora"];
        for name in names {
            assert_eq!(enter(&app, ONE, name, "wrong").await.status, 400, "{name}");
        }
        for name in names {
            assert_eq!(enter(&app, ONE, name, PASSWORD).await.status, 429, "{name}");
        }
        let blocks = app.admin().get("/api/v2/user-blocks?identifier=dora").await;
        assert_eq!(blocks.body["blocked_for"].as_array().map(Vec::len), Some(1), "{}", blocks.text);

        // A name that is nobody's is counted alike, and every answer looks alike.
        set(&app, "brute-force-protection", json!({ "max_attempts": 4 })).await;
        let mut looks = Vec::new();
        for name in ["alice", "nobody"] {
            let mut seen = Vec::new();
            for typed in [format!("{name}@example.com"), format!("{name}@EXAMPLE.com "), format!(" {}@example.com", name.to_uppercase())].iter().cycle().take(6) {
                let (mut browser, page) = at_login(&app, TWO).await;
                let form = Form::of(&page);
                let answer = browser.post(&form.action, &fields(&form, "", None, &[("username", typed), ("password", "wrong")])).await;
                seen.push(alike(&answer, &form, typed.trim()));
            }
            assert_eq!(seen.iter().map(|look| look.0).collect::<Vec<_>>(), [400, 400, 400, 400, 429, 429]);
            looks.push(seen);
        }
        assert_eq!(looks[0], looks[1]);
        assert_eq!(count(&app, "limit_wc").await, 3);
    }

    async fn ls_08_one_address_and_many_accounts(app: TestApp) {
        let app = prepared(app).await;
        // One page serves all: a sign-in under way may fail as often as it likes.
        let (mut spray, page) = at_login(&app, ONE).await;
        let form = Form::of(&page);
        let mut seen = Vec::new();
        for number in 0..120 {
            let name = format!("user{number}@example.com");
            let typed = [("username", name.as_str()), ("password", "Summer-2026")];
            seen.push(spray.post(&form.action, &fields(&form, "", None, &typed)).await);
        }
        let statuses: Vec<_> = seen.iter().map(|answer| answer.status).collect();
        assert_eq!((&statuses[..100], &statuses[100..]), ([400; 100].as_slice(), [429; 20].as_slice()));
        let words = "We have detected suspicious login behavior and further attempts will be blocked.";
        assert!(seen[119].text.contains(words), "{}", seen[119].text);
        // Nor is a right password looked at, but it is elsewhere.
        let done = app.app.hasher.hashes_done();
        assert_eq!(enter(&app, ONE, ALICE, PASSWORD).await.status, 429);
        assert_eq!(app.app.hasher.hashes_done(), done);
        assert_eq!(enter(&app, TWO, ALICE, PASSWORD).await.status, 302);
        let blocked = format!("/api/v2/anomaly/blocks/ips/{ONE}");
        assert_eq!(app.admin().get(&blocked).await.status, 200);
        assert_eq!(count(&app, "limit_mu").await, 1, "said once an hour");

        // One attempt comes back every 864 seconds.
        app.app.clock.advance(864);
        assert_eq!(enter(&app, ONE, ALICE, "wrong").await.status, 400);
        assert_eq!(enter(&app, ONE, ALICE, "wrong").await.status, 429);
        // What was right costs nothing.
        app.app.clock.advance(864);
        for _ in 0..3 {
            assert_eq!(enter(&app, ONE, ALICE, PASSWORD).await.status, 302);
        }

        // Sign-ups have a bucket of their own.
        app.app.clock.advance(3600);
        let mut seen = Vec::new();
        let mut newcomer = Browser::new(app.caller().from(ONE));
        let page = newcomer.open(&Authorize::code("web").with("screen_hint", "signup").path()).await;
        let form = Form::of(&page);
        for _ in 0..52 {
            let typed = [("email", ALICE), ("password", PASSWORD)];
            seen.push(newcomer.post(&form.action, &fields(&form, "", None, &typed)).await);
        }
        let statuses: Vec<_> = seen.iter().map(|answer| answer.status).collect();
        assert_eq!((&statuses[..50], &statuses[50..]), ([400; 50].as_slice(), [429; 2].as_slice()));
        assert!(seen[51].text.contains("We have detected suspicious signup behavior"), "{}", seen[51].text);
        assert_eq!(enter(&app, ONE, ALICE, PASSWORD).await.status, 302);
        assert_eq!(count(&app, "limit_mu").await, 2);

        // Trusted addresses are not throttled, and without a shield it is only written down.
        set(&app, "suspicious-ip-throttling", json!({ "stage": { "pre-login": { "max_attempts": 1 } }, "allowlist": [ONE] })).await;
        assert_eq!([enter(&app, ONE, "x", "wrong").await.status, enter(&app, ONE, "y", "wrong").await.status], [400; 2]);
        assert_eq!([enter(&app, TWO, "x", "wrong").await.status, enter(&app, TWO, "y", "wrong").await.status], [400, 429]);
        set(&app, "suspicious-ip-throttling", json!({ "shields": [] })).await;
        assert_eq!(enter(&app, TWO, "y", "wrong").await.status, 400);
        assert_eq!(app.admin().get(&format!("/api/v2/anomaly/blocks/ips/{TWO}")).await.status, 404);
        set(&app, "suspicious-ip-throttling", json!({ "shields": ["block"], "enabled": false })).await;
        assert_eq!(enter(&app, TWO, "y", "wrong").await.status, 400);
    }

    /// A name that nobody could have is as wrong as any other, and is not taken for a user's id.
    async fn an_odd_name_is_counted_and_no_error(app: TestApp) {
        let app = prepared(app).await;
        set(&app, "brute-force-protection", json!({ "max_attempts": 2 })).await;
        let long = "x".repeat(4000);
        for name in [long.as_str(), "\u{202e}\u{feff}", "'; --", "auth0|alice"] {
            assert_eq!(statuses(&app, ONE, name, 3).await, [400, 400, 429], "{name:?}");
        }
        assert_eq!(statuses(&app, ONE, "a\0b", 3).await, [400; 3]);
        assert_eq!(enter(&app, ONE, ALICE, PASSWORD).await.status, 302);
    }

    async fn a_password_that_has_leaked_is_of_no_use_where_the_tenant_says_so(app: TestApp) {
        let app = prepared(app).await;
        let changed = app.admin().patch("/api/v2/users/auth0%7Calice", json!({ "password": LEAKED })).await;
        assert_eq!(changed.status, 200, "{}", changed.text);
        let sign_up = async |email: &str, password: &str| {
            let mut browser = browser(&app);
            let page = browser.open(&Authorize::code("web").with("screen_hint", "signup").path()).await;
            let form = Form::of(&page);
            browser.post(&form.action, &fields(&form, "", None, &[("email", email), ("password", password)])).await
        };
        // Off.
        assert_eq!(enter(&app, ONE, ALICE, LEAKED).await.status, 302);
        assert_eq!(sign_up("one@example.com", LEAKED).await.status, 302);
        // Without shields it is written down.
        let part = "breached-password-detection";
        set(&app, part, json!({ "enabled": true })).await;
        assert_eq!(enter(&app, ONE, ALICE, LEAKED).await.status, 302);
        assert_eq!(sign_up("two@example.com", LEAKED).await.status, 302);
        assert_eq!((count(&app, "pwd_leak").await, count(&app, "signup_pwd_leak").await), (1, 1));

        set(&app, part, json!({ "shields": ["block"], "stage": { "pre-user-registration": { "shields": ["block"] } } })).await;
        let answer = enter(&app, ONE, ALICE, LEAKED).await;
        assert_eq!((answer.status, answer.has("set-cookie")), (400, false));
        assert!(answer.text.contains("Please reset your password to proceed."), "{}", answer.text);
        // Who does not know the password does not learn that it has leaked.
        assert!(!enter(&app, ONE, "bob@example.com", LEAKED).await.text.contains("reset your password"));
        let answer = sign_up("three@example.com", LEAKED).await;
        assert_eq!((answer.status, answer.has("set-cookie")), (400, false));
        assert!(answer.text.contains("detected in a public data breach"), "{}", answer.text);
        assert_eq!(sign_up("three@example.com", PASSWORD).await.status, 302);
        assert_eq!((count(&app, "pwd_leak").await, count(&app, "signup_pwd_leak").await), (2, 2));
    }

    /// Whoever signs in with a leaked password is told by mail, with a link that sets another; and so are the administrators, as often as
    /// they want.
    async fn a_leaked_password_is_told_to_its_user_and_to_administrators(app: TestApp) {
        let app = prepared(app).await;
        let admin = app.admin();
        let named = admin.patch("/api/v2/doorward/administrators", json!({ "emails": ["ops@example.com"] })).await;
        assert_eq!((named.status, named.body), (200, json!({ "emails": ["ops@example.com"] })));
        let changed = admin.patch("/api/v2/users/auth0%7Calice", json!({ "password": LEAKED })).await;
        assert_eq!(changed.status, 200, "{}", changed.text);
        let part = "breached-password-detection";
        let told = async || {
            let [user, administrators] = ["stolen_credentials", "attack_noticed"].map(|kind| app.letters(kind));
            (user.await.len(), administrators.await.len())
        };
        set(&app, part, json!({ "enabled": true, "shields": ["admin_notification"], "admin_notification_frequency": ["daily"] })).await;
        assert_eq!(enter(&app, ONE, ALICE, LEAKED).await.status, 302);
        assert_eq!(enter(&app, ONE, ALICE, LEAKED).await.status, 302);
        assert_eq!(told().await, (0, 1));
        let letter = app.letters("attack_noticed").await.remove(0);
        assert_eq!((letter.0.as_str(), &letter.1["log_type"]), ("ops@example.com", &json!("pwd_leak")));
        app.app.clock.advance(86_400);
        set(&app, part, json!({ "shields": ["block", "user_notification", "admin_notification"], "stage": { "pre-change-password": { "shields": ["block"] } } })).await;
        for _ in 0..2 {
            assert_eq!(enter(&app, ONE, ALICE, LEAKED).await.status, 400);
        }
        assert_eq!(told().await, (1, 2), "of a user once an hour, of administrators once a day");
        // Who only guesses hears of nothing.
        assert_eq!(enter(&app, ONE, "bob@example.com", LEAKED).await.status, 400);
        assert_eq!(told().await, (1, 2));
        let (recipient, variables) = app.letters("stolen_credentials").await.remove(0);
        assert_eq!(recipient, ALICE);
        let link = variables["url"].as_str().expect("a link");
        let mut browser = browser(&app);
        let page = browser.open(link.strip_prefix("https://id.test").expect("is ours")).await;
        let again = browser.submit(&page, &[("password", LEAKED)]).await;
        assert!(again.text.contains("stolen somewhere else"), "{}", again.text);
        assert_eq!(count(&app, "pwd_leak").await, 5);
        let done = browser.submit(&again, &[("password", "Another-horse-9")]).await;
        assert_eq!(done.status, 200, "{}", done.text);
        assert_eq!(enter(&app, ONE, ALICE, "Another-horse-9").await.status, 302);
    }

    async fn administrators_hear_of_accounts_and_addresses_where_a_shield_says_so(app: TestApp) {
        let app = prepared(app).await;
        let emails = json!({ "emails": ["a@example.com", "b@example.com"] });
        assert_eq!(app.admin().patch("/api/v2/doorward/administrators", emails).await.status, 200);
        let told = async || {
            let letters = app.letters("attack_noticed").await;
            letters.into_iter().map(|(to, variables)| format!("{to} {}", variables["log_type"].as_str().expect("is text"))).collect::<Vec<_>>()
        };
        // No operation sets this shield, but an export of another tenant may hold it.
        let mut stored = protection::load::<BruteForce>(&app.app, &app.tenant.id).await.expect("reads");
        (stored.settings.max_attempts, stored.settings.shields) = (2, vec![Shield::Block, Shield::AdminNotification]);
        let mut batch = db::Batch::new();
        protection::save(&mut batch, &app.tenant.id, &mut stored);
        app.app.db.commit(batch).await.expect("writes");
        assert_eq!(statuses(&app, ONE, ALICE, 3).await, [400, 400, 429]);
        assert_eq!(statuses(&app, TWO, ALICE, 3).await, [400, 400, 429]);
        let mut first = told().await;
        first.sort();
        assert_eq!(first, ["a@example.com limit_wc", "b@example.com limit_wc"], "once an hour");
        set(&app, "suspicious-ip-throttling", json!({ "stage": { "pre-login": { "max_attempts": 1 } } })).await;
        app.app.clock.advance(1);
        assert_eq!(enter(&app, TWO, "nobody@example.com", "wrong").await.status, 429);
        assert_eq!(told().await.len(), 4);
        set(&app, "suspicious-ip-throttling", json!({ "shields": ["block"] })).await;
        app.app.clock.advance(3600);
        assert_eq!(enter(&app, TWO, "nobody@example.com", "wrong").await.status, 400);
        assert_eq!(enter(&app, TWO, "nobody@example.com", "wrong").await.status, 429);
        assert_eq!(told().await.len(), 4, "not where no shield says so");
    }
}

both_databases_at_once! {
    async fn ls_06_of_many_guesses_at_once_no_more_are_looked_at_than_may_fail(app: TestApp) {
        let app = Arc::new(prepared(app).await);
        let mut nodes = vec![app.caller().from(ONE)];
        if app.engine == Engine::Postgres {
            nodes.push(app.second_node().await.from(ONE));
        }
        for name in [ALICE, "nobody@example.com"] {
            let done = app.app.hasher.hashes_done();
            let mut guesses = Vec::new();
            for number in 0..100 {
                let mut browser = Browser::new(nodes[number % nodes.len()].clone());
                let page = browser.open(&Authorize::code("web").path()).await;
                guesses.push((browser, page));
            }
            let guesses = guesses.into_iter().map(|(mut browser, page)| {
                tokio::spawn(async move { browser.submit(&page, &[("username", name), ("password", "wrong")]).await.status })
            });
            let mut answers = Vec::new();
            for guess in guesses.collect::<Vec<_>>() {
                answers.push(guess.await.expect("answers"));
            }
            answers.sort_unstable();
            assert_eq!((&answers[..10], &answers[10..]), ([400; 10].as_slice(), [429; 90].as_slice()), "{name}");
            assert!(app.app.hasher.hashes_done() - done <= 10, "{name}");
        }
        assert_eq!(count(&app, "limit_wc").await, 2);
    }

    /// Many right passwords at once are no attack: each waits until those before it have been found right.
    async fn one_user_may_sign_in_in_many_browsers_at_once(app: TestApp) {
        let app = prepared(app).await;
        let mut browsers = Vec::new();
        for _ in 0..40 {
            browsers.push(at_login(&app, ONE).await);
        }
        let sign_ins = browsers.into_iter().map(|(mut browser, page)| {
            tokio::spawn(async move { browser.submit(&page, &[("username", ALICE), ("password", PASSWORD)]).await })
        });
        for sign_in in sign_ins.collect::<Vec<_>>() {
            let landed = sign_in.await.expect("answers");
            assert!(!landed.param("code").is_empty(), "{landed:?}");
        }
        assert_eq!(count(&app, "limit_wc").await, 0);
    }
}
