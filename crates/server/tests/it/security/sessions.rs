//! LS: sign-in and sessions.

use db::params;
use model::logout_notices::{End, Initiator};
use serde_json::json;

use super::{assert_returned, browser, claims, codes, prepared, signed_in, stored};
use crate::support::app::{CONNECTION, PASSWORD};
use crate::support::browser::{Form, SESSION};
use crate::support::{Answer, Authorize, Browser, Engine, TestApp};

/// The cookie that binds forms to a browser.
const TRANSACTION: &str = "__Host-auth0-txn";

async fn sessions(app: &TestApp) -> i64 {
    stored(app, "SELECT COUNT(*) FROM sessions WHERE tenant = $1", params![]).await
}

/// Whether the browser is signed in, as an app would ask.
async fn silent(browser: &Browser) -> Answer {
    browser.caller().get(&Authorize::code("web").with("prompt", "none").path()).await
}

#[track_caller]
fn assert_signed_out(answer: &Answer) {
    assert_returned(answer, "login_required", "Login required");
}

#[track_caller]
fn assert_signed_in(answer: &Answer) {
    assert!(!answer.param("code").is_empty(), "{answer:?}");
}

/// A form as its page has it, with one field changed or, with `None`, left out.
pub fn fields<'a>(
    form: &'a Form,
    name: &str,
    value: Option<&'a str>,
    typed: &[(&'a str, &'a str)],
) -> Vec<(&'a str, &'a str)> {
    let own = form.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let kept = own.filter(|(known, _)| *known != name && !typed.iter().any(|(other, _)| other == known));
    let mut fields: Vec<_> = kept.collect();
    fields.extend(typed);
    if let Some(value) = value {
        let (name, _) = form.fields.iter().find(|(known, _)| known == name).expect("the form has it");
        fields.push((name, value));
    }
    fields
}

both_databases! {
    /// What other programs of the domain set is in the same header, in whatever bytes.
    async fn a_cookie_of_somebody_else_hides_none_of_ours(app: TestApp) {
        let app = prepared(app).await;
        let mut alice = browser(&app);
        alice.cookies.insert("A".to_owned(), "bl\u{e4}u".to_owned());
        let landed = alice.sign_in(&Authorize::code("web").path(), "alice@example.com").await;
        assert_signed_in(&landed);
        assert_signed_in(&silent(&alice).await);
    }

    async fn ls_01_each_sign_in_has_a_cookie_of_its_own(app: TestApp) {
        let app = prepared(app).await;
        let mut alice = browser(&app);
        let planted = "A".repeat(43);
        alice.cookies.insert(SESSION.into(), planted.clone());
        let mut seen = vec![planted];
        for _ in 0..3 {
            let before = alice.clone();
            let landed = alice.sign_in(&Authorize::code("web").with("prompt", "login").path(), "alice@example.com").await;
            assert_signed_in(&landed);
            let cookie = alice.cookies[SESSION].clone();
            assert!(cookie.len() == 43 && !seen.contains(&cookie), "256 bits, never seen before: {cookie}");
            assert_signed_out(&silent(&before).await);
            assert_signed_in(&silent(&alice).await);
            seen.push(cookie);
            assert_eq!(sessions(&app).await, 1);
        }
        let changed = app.admin().patch("/api/v2/users/auth0%7Calice", json!({ "password": "Another-horse-9" })).await;
        assert_eq!(changed.status, 200, "{changed:?}");
        assert_signed_out(&silent(&alice).await);
        assert_eq!(sessions(&app).await, 0);
    }

    async fn ls_02_cookies_are_for_this_host_over_https_and_no_script(app: TestApp) {
        let app = prepared(app).await;
        let mut alice = browser(&app);
        let page = alice.get(&Authorize::code("web").path()).await;
        let login = alice.get(page.location()).await;
        let form = Form::of(&login);
        let typed = [("username", "alice@example.com"), ("password", PASSWORD)];
        let entered = alice.post(&form.action, &fields(&form, "", None, &typed)).await;
        let landed = alice.get(entered.location()).await;
        assert_signed_in(&landed);
        let sid: String = stored(&app, "SELECT sid FROM sessions WHERE tenant = $1", params![]).await;
        let out = alice.clone().get("/v2/logout?client_id=web").await;

        let set: Vec<_> = [&page, &login, &entered, &landed, &out]
            .into_iter()
            .flat_map(|answer| answer.headers.get_all("set-cookie"))
            .map(|line| line.to_str().expect("is text").to_owned())
            .collect();
        let shapes: Vec<_> = set.iter().map(|line| {
            let (name, rest) = line.split_once('=').expect("has a value");
            let (value, attributes) = rest.split_once("; ").expect("has attributes");
            (name, value.len(), attributes)
        }).collect();
        let attributes = "HttpOnly; SameSite=None; Secure; Path=/";
        let (lasting, over) = (format!("{attributes}; Max-Age=259200"), format!("{attributes}; Max-Age=0"));
        assert_eq!(shapes, [
            (TRANSACTION, 43, attributes),
            (SESSION, 43, &lasting),
            (SESSION, 43, &lasting),
            (SESSION, 0, &over),
        ]);

        let urls = [page.location(), &form.action, entered.location(), landed.location(), out.location()];
        for secret in [&alice.cookies[SESSION], &alice.cookies[TRANSACTION], &sid] {
            assert!(urls.iter().all(|url| !url.contains(secret.as_str())), "{secret} in {urls:?}");
            assert!(!login.text.contains(secret.as_str()));
        }

        let settings = json!({ "session_cookie": { "mode": "non-persistent" } });
        assert_eq!(app.admin().patch("/api/v2/tenants/settings", settings).await.status, 200);
        let mut bob = browser(&app);
        let page = bob.open(&Authorize::code("web").path()).await;
        let form = Form::of(&page);
        let typed = [("username", "bob@example.com"), ("password", PASSWORD)];
        let entered = bob.post(&form.action, &fields(&form, "", None, &typed)).await;
        let line = entered.header("set-cookie");
        assert!(line.starts_with("__Host-auth0=") && line.ends_with("; HttpOnly; SameSite=None; Secure; Path=/"), "{line}");
    }

    async fn ls_03_a_form_counts_only_from_the_page_and_browser_it_was_shown_in(app: TestApp) {
        let app = prepared(app).await;
        let management = app.tenant.management_audience();
        let request = Authorize::code("web").with("audience", &management).with("scope", "openid read:current_user");
        let typed = [("username", "alice@example.com"), ("password", PASSWORD)];
        let new = [("email", "new@example.com"), ("password", PASSWORD)];
        let mut alice = browser(&app);
        let mut mallory = browser(&app);
        let users = "SELECT COUNT(*) FROM users WHERE tenant = $1";

        // Sign-in and sign-up: without the token, with another page's, with another browser's, and in another browser.
        for (path, typed) in [("/u/login", typed), ("/u/signup", new)] {
            let link = if path == "/u/login" { request.clone() } else { request.with("screen_hint", "signup") };
            let (own, second) = (alice.open(&link.path()).await, alice.open(&link.path()).await);
            let theirs = mallory.open(&link.path()).await;
            let (own, second, theirs) = (Form::of(&own), Form::of(&second), Form::of(&theirs));
            assert!(own.action.starts_with(path));
            for posted in [
                fields(&own, "_csrf", None, &typed),
                fields(&own, "_csrf", Some(""), &typed),
                fields(&own, "_csrf", Some("x"), &typed),
                fields(&own, "_csrf", Some(second.field("_csrf")), &typed),
                fields(&own, "_csrf", Some(theirs.field("_csrf")), &typed),
                fields(&theirs, "", None, &typed),
            ] {
                let answer = alice.post(&own.action, &posted).await;
                assert_eq!((answer.status, answer.has("set-cookie")), (403, false), "{path}: {answer:?}");
            }
            let mut nobody = browser(&app);
            assert_eq!(nobody.post(&theirs.action, &fields(&theirs, "", None, &typed)).await.status, 403);
        }
        assert_eq!((sessions(&app).await, stored::<i64>(&app, users, params![]).await), (0, 2));
        assert_signed_out(&silent(&alice).await);

        // Consent.
        let login = alice.open(&request.path()).await;
        let consent = alice.submit(&login, &typed).await;
        let form = Form::of(&consent);
        assert!(form.action.starts_with("/u/consent"));
        let accept = [("action", "accept")];
        let theirs = mallory.open(&request.path()).await;
        let foreign = Form::of(&theirs);
        for posted in [
            fields(&form, "_csrf", None, &accept),
            fields(&form, "_csrf", Some(Form::of(&login).field("_csrf")), &accept),
            fields(&form, "_csrf", Some(foreign.field("_csrf")), &accept),
            fields(&form, "_csrf", None, &[("action", "deny")]),
        ] {
            assert_eq!(alice.post(&form.action, &posted).await.status, 403);
        }
        let grants = "SELECT COUNT(*) FROM user_grants WHERE tenant = $1";
        assert_eq!(stored::<i64>(&app, grants, params![]).await, 0);

        // Replayed once the sign-in is complete, by a page that was kept.
        let landed = alice.submit(&consent, &accept).await;
        assert_signed_in(&landed);
        let before = codes(&app).await;
        for (page, typed) in [(&login, typed.as_slice()), (&consent, accept.as_slice())] {
            let form = Form::of(page);
            assert_eq!(alice.post(&form.action, &fields(&form, "", None, typed)).await.status, 403);
        }
        let resumed = alice.get(&format!("/authorize/resume?state={}", form.field("state"))).await;
        assert_eq!((resumed.status, codes(&app).await), (400, before));

        // Logout.
        let page = alice.get("/oidc/logout?client_id=web").await;
        let form = Form::of(&page);
        assert_eq!(form.action, "/oidc/logout");
        for posted in [
            fields(&form, "_csrf", None, &accept),
            fields(&form, "_csrf", Some("x"), &accept),
            fields(&form, "_csrf", Some(foreign.field("_csrf")), &accept),
        ] {
            assert_eq!(alice.post(&form.action, &posted).await.status, 403);
        }
        assert_signed_in(&silent(&alice).await);
        let mut gone = alice.clone();
        assert_eq!(gone.post(&form.action, &fields(&form, "", None, &accept)).await.status, 200);
        assert_signed_out(&silent(&alice).await);
        let mut again = alice.clone();
        assert_signed_in(&again.sign_in(&Authorize::code("web").path(), "alice@example.com").await);
        assert_eq!(again.post(&form.action, &fields(&form, "", None, &accept)).await.status, 403);
        assert_signed_in(&silent(&again).await);
    }

    /// A page that asked one user is not answered by another who signed in meanwhile.
    async fn ls_03_consent_is_given_by_whom_the_page_asked(app: TestApp) {
        let app = prepared(app).await;
        let management = app.tenant.management_audience();
        let mut shared = signed_in(&app, "alice").await;
        let request = Authorize::code("web").with("audience", &management).with("scope", "openid read:current_user");
        let asked = shared.open(&request.path()).await;
        assert!(asked.text.contains("alice@example.com"), "{}", asked.text);
        assert_signed_in(&shared.sign_in(&Authorize::code("web").with("prompt", "login").path(), "bob@example.com").await);
        let form = Form::of(&asked);
        let answer = shared.post(&form.action, &fields(&form, "", None, &[("action", "accept")])).await;
        assert_eq!(answer.status, 403, "{answer:?}");
        let grants: i64 = stored(&app, "SELECT COUNT(*) FROM user_grants WHERE tenant = $1", params![]).await;
        assert_eq!(grants, 0);
    }

    /// The cause is asserted, not the time: one hash on every branch, and answers that do not differ.
    async fn ls_09_known_unknown_blocked_and_social_users_look_alike(app: TestApp) {
        let app = prepared(app).await;
        let admin = app.admin();
        app.add_user("auth0|blocked").await;
        assert_eq!(admin.patch("/api/v2/users/auth0%7Cblocked", json!({ "blocked": true })).await.status, 200);
        app.add_user_without_password("auth0|social").await;
        // The connection that every tenant has is the older one.
        app.app.clock.advance(1);
        let second = json!({ "name": "second", "strategy": "auth0", "enabled_clients": ["web"] });
        assert_eq!(admin.post("/api/v2/connections", second).await.status, 201);

        // The settings are cached from here on.
        let mut first = browser(&app);
        let page = first.open(&Authorize::code("web").path()).await;
        first.submit(&page, &[("username", "first@example.com"), ("password", "wrong")]).await;

        let (mut answers, mut statements) = (Vec::new(), Vec::new());
        for name in ["alice", "nobody", "blocked", "social", "ALICE"] {
            let (mut browser, email) = (browser(&app), format!("{name}@example.com"));
            let page = browser.open(&Authorize::code("web").path()).await;
            let form = Form::of(&page);
            let typed = [("username", email.as_str()), ("password", "wrong")];
            let done = app.app.hasher.hashes_done();
            app.app.db.statements();
            let answer = browser.post(&form.action, &fields(&form, "", None, &typed)).await;
            // The log has a writer of its own, which comes when it comes.
            let ran = app.app.db.statements().into_iter().filter(|sql| !sql.starts_with("INSERT INTO logs"));
            statements.push(ran.collect::<Vec<_>>());
            assert_eq!(app.app.hasher.hashes_done() - done, 1, "{name}");
            answers.push(alike(&answer, &form, &email));
        }
        assert!(statements.windows(2).all(|pair| pair[0] == pair[1]), "{statements:#?}");
        assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:#?}");
        assert_eq!((answers[0].0, answers[0].2.contains("That email or password is not right.")), (400, true), "{}", answers[0].2);
        assert_eq!(app.events().await.iter().filter(|kind| *kind == "fp").count(), 6);

        // Only who knows the password learns of the block.
        let mut browser = browser(&app);
        let page = browser.open(&Authorize::code("web").path()).await;
        let done = app.app.hasher.hashes_done();
        let answer = browser.submit(&page, &[("username", "blocked@example.com"), ("password", PASSWORD)]).await;
        assert_eq!((answer.status, app.app.hasher.hashes_done() - done), (400, 1));
        assert!(answer.text.contains("blocked") && !answer.has("set-cookie"), "{}", answer.text);
        assert_eq!(sessions(&app).await, 0);

        // Sign-up costs one hash too, and says no more than that it did not work.
        let signup = Authorize::code("web").with("screen_hint", "signup");
        for (name, status) in [("alice", 400), ("blocked", 400), ("social", 400), ("new", 302)] {
            let (mut browser, email) = (super::browser(&app), format!("{name}@example.com"));
            let page = browser.open(&signup.path()).await;
            let form = Form::of(&page);
            let done = app.app.hasher.hashes_done();
            let answer = browser.post(&form.action, &fields(&form, "", None, &[("email", &email), ("password", "Another-horse-9")])).await;
            assert_eq!((answer.status, app.app.hasher.hashes_done() - done), (status, 1), "{name}: {}", answer.text);
            let told = answer.text.contains("We could not create this account. If you already have one, sign in instead.");
            assert_eq!(told, status == 400, "{}", answer.text);
        }
    }

    async fn ls_10_a_password_is_taken_as_it_is(app: TestApp) {
        let app = prepared(app).await;
        let set = async |password: &str| {
            let body = json!({ "password": password, "connection": CONNECTION });
            app.admin().patch("/api/v2/users/auth0%7Calice", body).await
        };
        let enter = async |password: &str| {
            let mut browser = browser(&app);
            let page = browser.open(&Authorize::code("web").path()).await;
            let answer = browser.submit(&page, &[("username", "alice@example.com"), ("password", password)]).await;
            (answer.status, !answer.param("code").is_empty())
        };
        let (in_, out) = ((302, true), (400, false));

        let long = format!("Aa1-{}", "x".repeat(196));
        assert_eq!(set(&long).await.status, 200);
        assert_eq!(enter(&long).await, in_);
        for other in [&long[..72], &long[..199], &format!("{}y", &long[..199]), &format!("{long}x")] {
            assert_eq!(enter(other).await, out, "{} bytes", other.len());
        }
        for (password, others) in [
            ("Caf\u{e9}-horse-9", ["Cafe\u{301}-horse-9", "Cafe-horse-9"]),
            ("Cafe\u{301}-horse-9", ["Caf\u{e9}-horse-9", "Caf\u{fffd}-horse-9"]),
            (" Horse-battery-9 ", ["Horse-battery-9", " Horse-battery-9"]),
            ("Horse+bat%20+&=9", ["Horse bat%20 &=9", "Horse+bat +&=9"]),
        ] {
            assert_eq!(set(password).await.status, 200, "{password:?}");
            assert_eq!(enter(password).await, in_, "{password:?}");
            for other in others {
                assert_eq!(enter(other).await, out, "{other:?} for {password:?}");
            }
        }

        let done = app.app.hasher.hashes_done();
        let mut alice = browser(&app);
        let page = alice.open(&Authorize::code("web").path()).await;
        let form = Form::of(&page);
        let (huge, large) = ("x".repeat(1 << 20), "x".repeat(1025));
        for (password, status) in [(huge.as_str(), 413), (large.as_str(), 400), ("Horse\0battery-9", 400), ("", 400)] {
            let typed = [("username", "alice@example.com"), ("password", password)];
            let answer = alice.post(&form.action, &fields(&form, "", None, &typed)).await;
            assert_eq!((answer.status, answer.has("location")), (status, false), "{} bytes", password.len());
            assert_eq!(set(password).await.status, status, "{} bytes", password.len());
        }
        assert_eq!(app.app.hasher.hashes_done(), done, "none of these was hashed");
        assert_eq!(enter("Horse+bat%20+&=9").await, in_, "and none was set");
    }

    async fn ls_12_an_ended_session_is_over_at_once_and_everywhere(app: TestApp) {
        let app = prepared(app).await;
        let admin = app.admin();
        for step in ["logout", "rp", "block", "delete", "password", "session"] {
            let user = format!("auth0|{step}");
            app.add_user(&user).await;
            let mut browser = signed_in(&app, step).await;
            let landed = browser.get(&Authorize::new("page", "id_token").path()).await;
            let id_token = landed.param("id_token");
            let kept = browser.clone();
            assert_signed_in(&silent(&kept).await);
            let path = format!("/api/v2/users/auth0%7C{step}");
            let done = match step {
                "logout" => browser.get("/v2/logout?client_id=web").await,
                "rp" => browser.get(&format!("/oidc/logout?id_token_hint={id_token}")).await,
                "block" => admin.patch(&path, json!({ "blocked": true })).await,
                "delete" => admin.delete(&path).await,
                "password" => admin.patch(&path, json!({ "password": "Another-horse-9" })).await,
                _ => {
                    // No endpoint ends another's session yet: what one would write.
                    let mut batch = db::Batch::new();
                    let sid = claims(&id_token)["sid"].as_str().expect("a session").to_owned();
                    let end = End::new(Initiator::SessionRevoked, app.app.clock.now());
                    model::sessions::remove(&mut batch, &app.tenant.id, &sid, end);
                    app.app.db.commit(batch).await.expect("writes");
                    admin.get(&path).await
                }
            };
            assert!([200, 204].contains(&done.status), "{step}: {done:?}");
            assert_signed_out(&silent(&kept).await);
            if app.engine == Engine::Postgres {
                let node = app.second_node().await;
                let mut elsewhere = Browser::new(node);
                elsewhere.cookies = kept.cookies.clone();
                assert_signed_out(&silent(&elsewhere).await);
            }
            if ["logout", "rp"].contains(&step) {
                assert_eq!(browser.cookies.get(SESSION), None, "the cookie is taken away");
            }
            if step == "block" {
                assert_eq!(admin.patch(&path, json!({ "blocked": false })).await.status, 200);
                assert_signed_out(&silent(&kept).await);
            }
            if step == "delete" {
                app.add_user(&user).await;
                assert_signed_out(&silent(&kept).await);
            }
        }
        assert_eq!(sessions(&app).await, 0);
        assert_eq!(app.events().await.iter().filter(|kind| *kind == "slo").count(), 2);
    }

    async fn ls_13_the_servers_limits_decide(app: TestApp) {
        let app = prepared(app).await;
        const HOUR: i64 = 3600;
        let settings = json!({ "session_lifetime": 5, "idle_session_lifetime": 2 });
        assert_eq!(app.admin().patch("/api/v2/tenants/settings", settings).await.status, 200);
        let mut idle = signed_in(&app, "alice").await;
        let mut busy = signed_in(&app, "bob").await;
        app.app.clock.advance(2 * HOUR - 1);
        let moved = busy.get(&Authorize::code("web").with("prompt", "none").path()).await;
        assert_signed_in(&moved);
        assert!(moved.header("set-cookie").ends_with("; Max-Age=7200"), "the cookie moves too: {moved:?}");
        app.app.clock.advance(1);
        assert_signed_out(&idle.get(&Authorize::code("web").with("prompt", "none").path()).await);

        app.app.clock.advance(2 * HOUR - 2);
        let moved = busy.get(&Authorize::code("web").with("prompt", "none").path()).await;
        assert_signed_in(&moved);
        assert!(moved.header("set-cookie").ends_with("; Max-Age=3602"), "not beyond the end: {moved:?}");
        app.app.clock.advance(HOUR + 1);
        assert_signed_in(&silent(&busy).await);
        // Whatever date the browser keeps, the cookie is sent: it is over.
        app.app.clock.advance(1);
        assert_signed_out(&silent(&busy).await);
        let page = busy.open(&Authorize::code("web").path()).await;
        assert!(Form::of(&page).action.starts_with("/u/login"));
    }

    async fn ls_14_no_page_can_be_framed_or_loads_what_is_not_ours(app: TestApp) {
        let app = prepared(app).await;
        let management = app.tenant.management_audience();
        let request = Authorize::code("web").with("audience", &management).with("scope", "openid read:current_user");
        let mut alice = browser(&app);
        let login = alice.open(&request.path()).await;
        let signup = alice.open(&request.with("screen_hint", "signup").path()).await;
        let consent = alice.submit(&login, &[("username", "alice@example.com"), ("password", PASSWORD)]).await;
        let form_post = alice.get(&Authorize::code("web").with("response_mode", "form_post").path()).await;
        let logout = alice.get("/oidc/logout").await;
        let error = alice.get("/authorize").await;
        let out = alice.get("/v2/logout").await;
        let account = app.caller().get("/account/").await;
        let ours = [("login", &login), ("signup", &signup), ("consent", &consent), ("form_post", &form_post), ("logout", &logout), ("error", &error), ("out", &out)];
        for (name, page) in ours.into_iter().chain([("account", &account)]) {
            assert_eq!(page.header("content-type"), "text/html; charset=utf-8", "{name}: {page:?}");
            let policy = page.header("content-security-policy");
            assert!(policy.starts_with("default-src 'none'"), "{name}: {policy}");
            for directive in ["frame-ancestors 'none'", "base-uri 'none'"] {
                assert!(policy.split("; ").any(|known| known == directive), "{name}: {policy}");
            }
            for lax in ["unsafe", "*", " http:", "https://", "strict-dynamic"] {
                let allowed = policy.replace("form-action 'self' https://app.test", "");
                assert!(!allowed.contains(lax), "{name}: {policy}");
            }
            assert_eq!(page.header("x-frame-options"), "DENY", "{name}");
            assert_eq!(page.header("referrer-policy"), "no-referrer", "{name}");
            assert_eq!(page.header("x-content-type-options"), "nosniff", "{name}");
            let loaded = ["src=\"", "href=\""].iter().flat_map(|attribute| page.text.split(attribute).skip(1));
            for url in loaded {
                let within = url.starts_with('/') && !url.starts_with("//") || url.starts_with('#');
                assert!(within || url.starts_with("data:"), "{name}: {url}");
            }
            assert!(!page.text.contains(" onload=") && !page.text.contains(" onclick="), "{name}: {}", page.text);
        }
        for (name, page) in [("login", &login), ("signup", &signup), ("consent", &consent), ("form_post", &form_post)] {
            let policy = page.header("content-security-policy");
            assert!(policy.contains("; form-action 'self' https://app.test;"), "{name}: {policy}");
        }
        for (name, page) in [("error", &error), ("out", &out)] {
            let policy = page.header("content-security-policy");
            assert!(policy.contains("; form-action 'self';"), "{name}: {policy}");
        }
    }
}

/// What tells one answer from another once what everybody's has of their own is taken out: status, headers, page.
pub fn alike(answer: &Answer, form: &Form, typed: &str) -> (u16, Vec<(String, String)>, String) {
    let own = [form.action.as_str(), form.field("state"), form.field("_csrf"), typed];
    let without = |text: &str| own.iter().fold(text.to_owned(), |text, own| text.replace(own, "…"));
    let headers =
        answer.headers.iter().filter(|(name, _)| *name != "x-request-id" && *name != "content-length");
    let headers = headers.map(|(name, value)| (name.to_string(), without(value.to_str().expect("is text"))));
    (answer.status, headers.collect(), without(&answer.text))
}
