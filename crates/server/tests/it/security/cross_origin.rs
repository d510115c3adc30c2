//! CO-01 to CO-08: proofs that are given on pages of the apps' own, and on classic pages.

use model::users::NewUser;
use serde_json::{Value, json};

use super::exchange::assert_refused;
use super::{assert_page_error, assert_returned, browser, signed_in};
use crate::authentication::classic::{OWN, sign_in};
use crate::authentication::cross_origin::{PAGE, password, proved, ready, shop, ticket, with_ticket};
use crate::support::app::{CONNECTION, PASSWORD};
use crate::support::browser::{CALLBACK, Form, SESSION};
use crate::support::factors::page_of;
use crate::support::{Answer, Authorize, Browser, TestApp};

const UNKNOWN: &str = "Unknown or invalid login ticket.";

/// The answer to an authorize request whose ticket is nobody's.
#[track_caller]
fn assert_unknown(answer: &Answer) {
    assert_returned(answer, "access_denied", UNKNOWN);
    assert!(answer.cookie(SESSION).is_none(), "{answer:?}");
}

/// The page that asks the app's for a verifier.
#[track_caller]
fn assert_asks(page: &Answer) {
    assert_eq!((page.status, page_of(page)), (200, "/co/verify".to_owned()), "{page:?}");
    assert!(page.cookie(SESSION).is_none(), "{page:?}");
}

/// The same answer apart from what is made for it.
fn alike(answer: &Answer) -> (u16, Value, Vec<String>) {
    let mut headers: Vec<_> = answer.headers.keys().map(ToString::to_string).collect();
    headers.sort();
    (answer.status, answer.body.clone(), headers)
}

both_databases! {
    async fn co_01_a_ticket_signs_in_once(app: TestApp) {
        let app = ready(app).await;
        let mut browser = browser(&app);
        let answer = proved(&mut browser).await;
        let path = with_ticket(&ticket(&answer)).path();
        assert!(!browser.open(&path).await.param("code").is_empty());
        assert_unknown(&browser.get(&path).await);
        assert_unknown(&browser.get(&with_ticket("nothing").path()).await);
        // An unproven redirect URI is told nothing of it.
        let evil = with_ticket("nothing").with("redirect_uri", "https://evil.test/cb");
        assert_eq!((browser.get(&evil.path()).await.status, browser.get(&evil.path()).await.has("location")), (403, false));
        // Twice in one request is no request.
        let twice = format!("{path}&login_ticket=x");
        assert_page_error(&browser.get(&twice).await, 400, "Parameter login_ticket must not be repeated");
    }

    async fn co_02_a_ticket_is_of_its_app_its_connection_and_its_browser(app: TestApp) {
        let app = ready(app).await;
        app.add_client("other", shop()).await;
        let named = json!({ "name": "staff", "strategy": "auth0", "enabled_clients": ["shop"] });
        assert_eq!(app.admin().post("/api/v2/connections", named).await.status, 201);
        let mut alice = browser(&app);
        let answer = proved(&mut alice).await;
        let request = with_ticket(&ticket(&answer));
        assert_unknown(&alice.get(&request.with("client_id", "other").path()).await);
        assert_unknown(&alice.get(&request.with("connection", "staff").path()).await);
        let elsewhere = alice.caller().at(&app.other).get(&request.path()).await;
        assert_eq!((elsewhere.status, elsewhere.has("location")), (400, false), "another tenant knows no such app");
        // Somebody else's browser, with a cookie of its own or none.
        let mut victim = browser(&app);
        assert_asks(&victim.get(&request.path()).await);
        assert_asks(&victim.get(&request.path()).await);
        let silent = victim.get(&request.with("prompt", "none").path()).await;
        assert_returned(&silent, "login_required", "Login required");
        // Where the app has no page to ask, its user signs in here: not as the session's user either.
        let mut bare = shop();
        bare["cross_origin_loc"] = Value::Null;
        app.add_client("bare", bare).await;
        let mut body = password("alice@example.com", PASSWORD);
        body["client_id"] = "bare".into();
        let answer = alice.call(PAGE, "/co/authenticate", body).await;
        let mut victim = signed_in(&app, "bob").await;
        let page = victim.open(&Authorize::code("bare").with("login_ticket", &ticket(&answer)).path()).await;
        assert_eq!(page_of(&page), "/u/login");
        // It is still good where it was given.
        assert!(!alice.open(&request.path()).await.param("code").is_empty());
    }

    async fn co_03_only_the_apps_own_origins_get_tickets(app: TestApp) {
        let app = ready(app).await;
        app.add_client("closed", json!({ "callbacks": [CALLBACK], "cross_origin_authentication": false })).await;
        app.add_client("third", json!({ "callbacks": [CALLBACK], "cross_origin_authentication": true, "is_first_party": false })).await;
        app.add_client("evil", json!({ "callbacks": ["https://evil.test/cb"], "cross_origin_authentication": true })).await;
        let right = password("alice@example.com", PASSWORD);
        let done = app.app.hasher.hashes_done();
        for origin in ["https://evil.test", "null", "https://app.test.evil.test", "http://app.test", "https://app.test:444"] {
            let answer = browser(&app).call(origin, "/co/authenticate", right.clone()).await;
            assert_eq!((answer.status, answer.header("content-type")), (403, "text/plain; charset=utf-8"));
            assert_eq!((answer.text.clone(), answer.has("set-cookie")), (format!("Origin {origin} is not allowed."), false));
        }
        let none = app.caller().post("/co/authenticate", right.clone()).await;
        assert_eq!((none.status, &*none.text), (403, "Origin null is not allowed."));
        for client in ["closed", "third", "nobody", "m2m"] {
            let mut body = right.clone();
            body["client_id"] = client.into();
            let answer = browser(&app).call(PAGE, "/co/authenticate", body).await;
            assert_refused(&answer, 401, "unauthorized_client", "Cross origin login not allowed.");
        }
        assert_eq!(app.app.hasher.hashes_done(), done, "nothing was looked at");
        // What was allowed when the ticket was given is asked again.
        let mut browser = browser(&app);
        let answer = proved(&mut browser).await;
        let off = app.admin().patch("/api/v2/clients/shop", json!({ "cross_origin_authentication": false })).await;
        assert_eq!(off.status, 200, "{}", off.text);
        assert_unknown(&browser.get(&with_ticket(&ticket(&answer)).path()).await);
        assert_eq!(app.events().await.iter().filter(|kind| *kind == "fcoa").count(), 10);
    }

    async fn co_04_known_unknown_and_social_users_look_alike_and_guesses_count(app: TestApp) {
        let app = ready(app).await;
        app.add_user_without_password("auth0|carol").await;
        let mut first = None;
        for name in ["alice@example.com", "nobody@example.com", "carol@example.com"] {
            let done = app.app.hasher.hashes_done();
            let answer = browser(&app).call(PAGE, "/co/authenticate", password(name, "wrong")).await;
            assert_eq!(app.app.hasher.hashes_done(), done + 1, "{name}");
            assert_refused(&answer, 403, "access_denied", "Wrong email or password.");
            assert_eq!(alike(&answer), *first.get_or_insert_with(|| alike(&answer)), "{name}");
        }
        assert_eq!(app.admin().patch("/api/v2/users/auth0%7Cbob", json!({ "blocked": true })).await.status, 200);
        let blocked = browser(&app).call(PAGE, "/co/authenticate", password("bob@example.com", "wrong")).await;
        assert_refused(&blocked, 403, "access_denied", "Wrong email or password.");
        let blocked = browser(&app).call(PAGE, "/co/authenticate", password("bob@example.com", PASSWORD)).await;
        assert_refused(&blocked, 403, "blocked_user", "Blocked user");
        // With the sign-in page they have one counter: ten in all.
        for _ in 0..4 {
            let answer = browser(&app).call(PAGE, "/co/authenticate", password("alice@example.com", "wrong")).await;
            assert_eq!(answer.status, 403);
        }
        for _ in 0..5 {
            let mut browser = browser(&app);
            let page = browser.open(&Authorize::code("web").path()).await;
            let answer = browser.submit(&page, &[("username", "alice@example.com"), ("password", "wrong")]).await;
            assert_eq!(answer.status, 400);
        }
        let done = app.app.hasher.hashes_done();
        let full = browser(&app).call(PAGE, "/co/authenticate", password("alice@example.com", PASSWORD)).await;
        assert_eq!((full.status, &full.body["error"]), (429, &json!("too_many_attempts")));
        assert_eq!(app.app.hasher.hashes_done(), done);
        let classic = browser(&app).call(OWN, "/usernamepassword/login", sign_in("alice@example.com", PASSWORD)).await;
        assert_eq!((classic.status, &classic.body["code"]), (429, &json!("too_many_attempts")));
    }

    async fn co_05_a_ticket_leads_past_no_second_factor_and_no_consent(app: TestApp) {
        let app = ready(app).await;
        app.guard(&["otp"], &[]).await;
        let seed = app.add_totp("auth0|alice").await;
        let mut browser = browser(&app);
        let answer = proved(&mut browser).await;
        let silent = browser.open(&with_ticket(&ticket(&answer)).multi_factor().with("prompt", "none").path()).await;
        assert_returned(&silent, "login_required", "Multifactor authentication required");
        let answer = proved(&mut browser).await;
        let page = browser.open(&with_ticket(&ticket(&answer)).multi_factor().path()).await;
        assert_eq!(page_of(&page), "/u/mfa-otp-challenge");
        assert!(!browser.give(&page, &app.code(&seed, 0)).await.param("code").is_empty());
        // The Management API is consented to, whoever asks.
        let answer = proved(&mut browser).await;
        let audience = app.tenant.management_audience();
        let asked = with_ticket(&ticket(&answer)).with("audience", &audience).with("scope", "read:current_user");
        assert_eq!(page_of(&browser.open(&asked.path()).await), "/u/consent");
    }

    async fn co_06_a_verifier_comes_from_the_apps_own_page(app: TestApp) {
        let app = ready(app).await;
        let answer = proved(&mut browser(&app)).await;
        let request = with_ticket(&ticket(&answer));
        let mut other = browser(&app);
        let page = other.get(&request.path()).await;
        assert_asks(&page);
        let policy = page.header("content-security-policy");
        assert!(policy.contains("frame-src https://app.test;") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(page.text.contains("src=\"https://app.test/co?x=1#origin=https%3A%2F%2Fid.test\""), "{}", page.text);
        assert!(page.text.contains(&format!("var verifierId = {};", answer.body["co_id"])), "{}", page.text);
        let verifier = answer.body["co_verifier"].as_str().expect("is text");
        assert!(!page.text.contains(verifier));
        // What says nothing, or the wrong thing, is nobody: they sign in here.
        for said in ["", "wrong"] {
            assert_eq!(page_of(&other.submit(&page, &[("verifier", said)]).await), "/u/login");
        }
        // Without the form's token, or in another browser, nothing counts.
        let form = Form::of(&page);
        let (state, csrf) = (form.field("state"), form.field("_csrf"));
        for (caller, csrf) in [(other.caller(), ""), (app.caller(), csrf)] {
            let fields = [("state", state), ("_csrf", csrf), ("verifier", verifier)];
            assert_eq!(caller.form("/co/verify", &fields).await.status, 403);
        }
        assert!(!other.submit(&page, &[("verifier", verifier)]).await.param("code").is_empty());
        assert_eq!(other.submit(&page, &[("verifier", verifier)]).await.status, 403, "it is done");
        // A page of another origin than the ticket's is not asked.
        let moved = app.admin().patch("/api/v2/clients/shop", json!({ "cross_origin_loc": "https://evil.test/co" })).await;
        assert_eq!(moved.status, 200, "{}", moved.text);
        let answer = proved(&mut browser(&app)).await;
        assert_eq!(page_of(&browser(&app).open(&with_ticket(&ticket(&answer)).path()).await), "/u/login");
    }

    async fn co_07_a_ticket_ends_with_what_it_stands_on(app: TestApp) {
        let app = ready(app).await;
        let changes = [
            ("/api/v2/users/auth0%7Calice", json!({ "blocked": true }), json!({ "blocked": false })),
            ("/api/v2/users/auth0%7Calice", json!({ "password": "Another-horse-9" }), json!({ "password": PASSWORD })),
        ];
        for (path, change, back) in changes {
            let mut browser = browser(&app);
            let answer = proved(&mut browser).await;
            assert_eq!(app.admin().patch(path, change.clone()).await.status, 200);
            assert_unknown(&browser.get(&with_ticket(&ticket(&answer)).path()).await);
            assert_eq!(app.admin().patch(path, back).await.status, 200, "{change}");
        }
        let mut late = browser(&app);
        let answer = proved(&mut late).await;
        app.app.clock.advance(900);
        assert_unknown(&late.get(&with_ticket(&ticket(&answer)).path()).await);
        // The connection is taken from the app.
        let answer = proved(&mut late).await;
        let id = app.admin().get(&format!("/api/v2/connections?name={CONNECTION}")).await.body[0]["id"].as_str().expect("is text").to_owned();
        let off = app.admin().patch(&format!("/api/v2/connections/{id}/clients"), json!([{ "client_id": "shop", "status": false }])).await;
        assert_eq!(off.status, 204, "{}", off.text);
        assert_unknown(&late.get(&with_ticket(&ticket(&answer)).path()).await);
        // Whoever is gone is gone.
        app.add_user_with(NewUser { user_id: Some("dan".into()), email: Some("dan@example.com".into()), ..NewUser::default() }).await;
        let on = app.admin().patch(&format!("/api/v2/connections/{id}/clients"), json!([{ "client_id": "shop", "status": true }])).await;
        assert_eq!(on.status, 204);
        let answer = late.call(PAGE, "/co/authenticate", password("dan@example.com", PASSWORD)).await;
        assert_eq!(app.admin().delete("/api/v2/users/auth0%7Cdan").await.status, 204);
        assert_unknown(&late.get(&with_ticket(&ticket(&answer)).path()).await);
    }

    async fn co_08_a_classic_sign_in_is_of_this_host_and_browser(app: TestApp) {
        let app = ready(app).await;
        let right = sign_in("alice@example.com", PASSWORD);
        let done = app.app.hasher.hashes_done();
        for origin in [PAGE, "https://evil.test", "null", "https://other.test"] {
            let answer = browser(&app).call(origin, "/usernamepassword/login", right.clone()).await;
            assert_eq!((answer.status, &answer.body["code"], answer.has("set-cookie")), (403, &json!("session_missing"), false));
        }
        let fields: Vec<_> = right.as_object().expect("an object").iter().map(|(name, value)| (name.as_str(), value.as_str().expect("is text"))).collect();
        assert_eq!(app.caller().with("origin", OWN).form("/usernamepassword/login", &fields).await.status, 403, "a form is anybody's");
        assert_eq!(app.app.hasher.hashes_done(), done);

        let mut alice = browser(&app);
        let form = Form::of(&alice.call(OWN, "/usernamepassword/login", right).await);
        let with = |name: &str, value: &str| -> Vec<(String, String)> {
            form.fields.iter().map(|(known, old)| (known.clone(), if known == name { value.to_owned() } else { old.clone() })).collect()
        };
        let post = async |browser: &mut Browser, fields: &[(String, String)]| {
            let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            browser.post("/login/callback", &fields).await
        };
        // Nobody else is signed in by it, and no other app.
        let mut victim = signed_in(&app, "bob").await;
        assert_eq!(post(&mut victim, &form.fields).await.status, 403);
        assert_eq!(post(&mut browser(&app), &form.fields).await.status, 403);
        let id_token = app.id_token("auth0|alice", "https://id.test/login/callback").claiming("jti", "x").bearer().await;
        for fields in [with("wresult", "x"), with("wresult", &id_token), with("wctx", &form.field("wctx").replace("shop", "page"))] {
            assert_eq!(post(&mut alice, &fields).await.status, 403);
        }
        assert_eq!(post(&mut alice, &with("wctx", "x")).await.status, 400);
        let evil = post(&mut alice, &with("wctx", &form.field("wctx").replace("app.test", "evil.test"))).await;
        assert_eq!((evil.status, evil.has("location")), (403, false));
        assert_eq!(post(&mut alice, &form.fields).await.status, 302);

        // And no foreign page learns who is signed in.
        app.add_client("third", json!({ "callbacks": ["https://third.test/cb"], "cross_origin_authentication": true, "is_first_party": false })).await;
        let bob = signed_in(&app, "bob").await;
        for (origin, client) in [("https://third.test", "third"), ("https://third.test", "shop"), ("https://evil.test", "shop"), (PAGE, "web"), (PAGE, "")] {
            let told = bob.caller().with("origin", origin).get(&format!("/user/ssodata?client_id={client}")).await;
            assert_eq!(told.body, json!({ "sso": false }), "{origin} as {client}");
        }
        assert_eq!(bob.caller().with("origin", PAGE).get("/user/ssodata?client_id=shop").await.body["sso"], true);
    }
}

both_databases_at_once! {
    async fn co_01_of_many_sign_ins_with_one_ticket_one_succeeds(app: TestApp) {
        let app = ready(app).await;
        for _ in 0..4 {
            let mut browser = browser(&app);
            let answer = proved(&mut browser).await;
            let path = with_ticket(&ticket(&answer)).path();
            let calls: Vec<_> = (0..16)
                .map(|_| {
                    let (caller, path) = (browser.caller(), path.clone());
                    tokio::spawn(async move { caller.get(&path).await })
                })
                .collect();
            let mut signed_in = 0;
            for call in calls {
                let answer = call.await.expect("answers");
                signed_in += usize::from(answer.cookie(SESSION).is_some());
                assert_eq!(answer.status, 302, "{answer:?}");
            }
            assert_eq!(signed_in, 1);
        }
    }
}
