//! MF: second factors.

use db::params;
use model::factors::attempts::{EVERY, MOST};
use serde_json::json;

use super::{browser, claims, codes, prepared, stored};
use crate::support::browser::SESSION;
use crate::support::factors::{link, page_of, shown};
use crate::support::{Answer, Authorize, Browser, TestApp};

const CHALLENGE: &str = "/u/mfa-otp-challenge";

/// Every sign-in needs a code, and Alice has an app for it; its seed.
async fn guarded(app: TestApp) -> (TestApp, Vec<u8>) {
    let app = prepared(app).await;
    app.guard(&["otp", "recovery-code"], &["all-applications"]).await;
    app.add_recovery_code("auth0|alice").await;
    let seed = app.add_totp("auth0|alice").await;
    (app, seed)
}

/// A browser in which Alice has given her password, and the page that asks for more.
async fn after_password(app: &TestApp) -> (Browser, Answer) {
    let mut browser = browser(app);
    let page = browser.sign_in(&Authorize::code("web").path(), "alice@example.com").await;
    assert_eq!(page_of(&page), CHALLENGE, "{page:?}");
    (browser, page)
}

both_databases! {
    async fn mf_01_a_password_alone_gets_nothing(app: TestApp) {
        let (app, seed) = guarded(app).await;
        let (mut browser, page) = after_password(&app).await;
        let state = crate::support::browser::Form::of(&page).field("state").to_owned();
        for path in ["/authorize/resume", "/u/consent"] {
            let answer = browser.open(&format!("{path}?state={state}")).await;
            assert_eq!(page_of(&answer), CHALLENGE, "{path}: {answer:?}");
        }
        for request in [Authorize::code("web"), Authorize::code("page"), Authorize::new("page", "token id_token")] {
            let silent = browser.open(&request.with("prompt", "none").path()).await;
            assert_eq!(
                (silent.param("error"), silent.param("error_description")),
                ("login_required".to_owned(), "Multifactor authentication required".to_owned())
            );
            let again = browser.open(&request.path()).await;
            assert_eq!(page_of(&again), CHALLENGE, "{again:?}");
        }
        assert_eq!(browser.get("/userinfo").await.status, 401);
        // Nothing can be enrolled in the place of what is asked for.
        for path in ["/u/mfa-otp-enrollment", "/u/mfa-recovery-code-enrollment"] {
            assert_eq!(page_of(&browser.open(&format!("{path}?state={state}")).await), CHALLENGE, "{path}");
        }
        let password = [("grant_type", "password"), ("client_id", "page"), ("username", "alice@example.com"), ("password", "Correct-horse-9")];
        let answer = app.caller().form("/oauth/token", &password).await;
        assert_eq!((answer.status, answer.body.get("access_token")), (403, None), "{answer:?}");
        // A client that may exchange passwords gets no further.
        let direct = json!({ "app_type": "regular_web", "token_endpoint_auth_method": "client_secret_post", "grant_types": ["password", "refresh_token"] });
        app.add_client("direct", direct).await;
        let set = json!({ "default_directory": crate::support::app::CONNECTION });
        assert_eq!(app.admin().patch("/api/v2/tenants/settings", set).await.status, 200);
        let exchange = crate::security::exchange::Exchange::new("direct", "password").with("username", "alice@example.com").with("password", "Correct-horse-9");
        for scope in ["openid offline_access", "openid"] {
            let answer = exchange.with("scope", scope).send(&app).await;
            let named: Vec<_> = answer.body.as_object().expect("an object").keys().cloned().collect();
            assert_eq!((answer.status, named), (403, ["error", "error_description", "mfa_token", "mfa_requirements"].map(str::to_owned).to_vec()));
            assert_eq!(answer.body["error"], "mfa_required");
        }
        assert_eq!(codes(&app).await, 0);
        let stored_tokens: i64 = stored(&app, "SELECT COUNT(*) FROM access_tokens WHERE tenant = $1", params![]).await;
        assert_eq!(stored_tokens, 0);

        let before = browser.cookies[SESSION].clone();
        let landed = browser.give(&page, &app.code(&seed, 0)).await;
        assert!(!landed.param("code").is_empty(), "{landed:?}");
        // LS-01: what was known before opens nothing.
        assert_ne!(browser.cookies[SESSION], before);
        let mut thief = browser.clone();
        thief.cookies.insert(SESSION.to_owned(), before);
        let silent = thief.open(&Authorize::code("web").with("prompt", "none").path()).await;
        assert_eq!(silent.param("error_description"), "Login required");
        let silent = browser.open(&Authorize::code("page").with("prompt", "none").path()).await;
        assert!(!silent.param("code").is_empty(), "{silent:?}");
    }

    async fn mf_02_a_code_is_used_once_however_it_is_typed(app: TestApp) {
        let (app, seed) = guarded(app).await;
        let code = app.code(&seed, 0);
        let (mut first, page) = after_password(&app).await;
        let landed = first.give(&page, &code).await;
        assert!(!landed.param("code").is_empty(), "{landed:?}");
        let wide: String = code.chars().map(|digit| char::from_u32(u32::from(digit) - 0x30 + 0xff10).expect("is one")).collect();
        let (mut second, page) = after_password(&app).await;
        for typed in [code.clone(), format!("{} {}", &code[..3], &code[3..]), format!("0{code}"), format!("00{code}"), wide] {
            let refused = second.give(&page, &typed).await;
            assert_eq!((refused.status, page_of(&refused)), (400, CHALLENGE.to_owned()), "{typed}");
        }
        // One of an earlier step is over too, though its time is not.
        let refused = second.give(&page, &app.code(&seed, -1)).await;
        assert_eq!(refused.status, 400);
        app.app.clock.advance(30);
        let landed = second.give(&page, &app.code(&seed, 0)).await;
        assert!(!landed.param("code").is_empty(), "{landed:?}");
    }

    async fn mf_03_wrong_codes_count_for_the_user_wherever_they_come_from(app: TestApp) {
        let (app, seed) = guarded(app).await;
        let wrong = (0..1000).map(|number| format!("{number:06}"));
        let right = [app.code(&seed, -1), app.code(&seed, 0), app.code(&seed, 1)];
        let mut wrong = wrong.filter(|code| !right.contains(code));
        for number in 0..MOST {
            let from = app.caller().from(&format!("198.51.100.{}", number + 1));
            let mut browser = Browser::new(from);
            let page = browser.sign_in(&Authorize::code("web").path(), "alice@example.com").await;
            let page = if number % 2 == 0 { page } else {
                let options = browser.open(&link(&page, "/u/mfa-login-options")).await;
                browser.open(&link(&options, "/u/mfa-recovery-code-challenge")).await
            };
            let code = wrong.next().expect("there are many");
            let code = if number % 2 == 0 { code } else { format!("{code}ABCDEFGHIJKLMNOPQR") };
            assert_eq!(browser.give(&page, &code).await.status, 400, "{number}");
        }
        let (mut browser, page) = after_password(&app).await;
        let blocked = browser.give(&page, &app.code(&seed, 0)).await;
        assert_eq!((blocked.status, page_of(&blocked)), (429, CHALLENGE.to_owned()), "the right code fails too");
        assert_eq!(codes(&app).await, 0);
        let events = app.events().await;
        let count = |kind: &str| events.iter().filter(|event| *event == kind).count();
        assert_eq!((count("gd_auth_failed"), count("gd_otp_rate_limit_exceed")), (10, 1));
        // Bob's are his own.
        app.add_totp("auth0|bob").await;
        let mut bob = crate::security::browser(&app);
        let page_of_bob = bob.sign_in(&Authorize::code("web").path(), "bob@example.com").await;
        assert_eq!(bob.give(&page_of_bob, "000000").await.status, 400);

        app.app.clock.advance(EVERY + 1);
        let landed = browser.give(&page, &app.code(&seed, 0)).await;
        assert!(!landed.param("code").is_empty(), "one more try after a while: {landed:?}");
    }

    async fn mf_06_a_factor_is_given_by_whom_it_was_asked_of(app: TestApp) {
        use crate::authentication::mfa::{challenge, give, mfa_token, password, ready};
        const OTP: &str = "http://auth0.com/oauth/grant-type/mfa-otp";
        const OOB: &str = "http://auth0.com/oauth/grant-type/mfa-oob";
        let app = ready(app, &["email", "otp"], &["all-applications"]).await;
        let seed = app.add_totp("auth0|alice").await;
        app.add_totp("auth0|bob").await;
        let alice = mfa_token(&app, &password("alice")).await;
        let bob = mfa_token(&app, &password("bob")).await;
        let other = mfa_token(&app, &password("alice")).await;
        // Bob is sent a code; with Alice's password it opens nothing, whoever's `oob_code` comes with it.
        let sent = challenge(&app, &bob, json!({ "challenge_type": "oob" })).await;
        let bobs = sent.body["oob_code"].as_str().expect("is text").to_owned();
        let bobs_code = app.mailed_code().await;
        app.app.clock.advance(1);
        let sent = challenge(&app, &alice, json!({ "challenge_type": "oob" })).await;
        let alices = sent.body["oob_code"].as_str().expect("is text").to_owned();
        let alices_code = app.mailed_code().await;
        for (token, oob_code, code) in [
            (&alice, &bobs, &bobs_code), (&alice, &alices, &bobs_code), (&bob, &alices, &alices_code), (&other, &alices, &alices_code),
        ] {
            if code == &alices_code && oob_code == &alices && bobs_code == alices_code {
                continue;
            }
            let answer = give(OOB, token).with("oob_code", oob_code).with("binding_code", code).send(&app).await;
            crate::security::exchange::assert_refused(&answer, 403, "invalid_grant", "Invalid binding_code.");
        }
        // Another client of the same user's has no use for the token.
        let stolen = crate::security::exchange::Exchange::new("second", OTP).with("mfa_token", &alice).with("otp", &app.code(&seed, 0)).send(&app).await;
        crate::security::exchange::assert_refused(&stolen, 403, "invalid_grant", "Malformed mfa_token");
        // Elsewhere the token is no bearer.
        let bearer = app.caller().with("authorization", &format!("Bearer {alice}"));
        assert_eq!(bearer.get("/userinfo").await.status, 401);
        for path in ["/api/v2/users/auth0%7Calice", "/me/v1/authentication-methods"] {
            assert!([400, 401].contains(&bearer.get(path).await.status), "{path}");
        }
        let refreshed = crate::security::exchange::Exchange::refresh("server", &alice).send(&app).await;
        assert_eq!(refreshed.status, 403);
        // It lives for ten minutes.
        app.app.clock.advance(598);
        let late = give(OTP, &bob).with("otp", "000000").send(&app).await;
        crate::security::exchange::assert_refused(&late, 403, "invalid_grant", "Invalid otp_code.");
        app.app.clock.advance(1);
        let late = give(OTP, &alice).with("otp", &app.code(&seed, 0)).send(&app).await;
        crate::security::exchange::assert_refused(&late, 401, "expired_token", "mfa_token is expired");
        assert_eq!(app.caller().with("authorization", &format!("Bearer {alice}")).get("/mfa/authenticators").await.status, 401);
        let opened: i64 = stored(&app, "SELECT COUNT(*) FROM access_tokens WHERE tenant = $1", params![]).await;
        assert_eq!(opened, 0);
    }

    async fn mf_04_one_step_of_drift_is_taken(app: TestApp) {
        let (app, seed) = guarded(app).await;
        for (step, taken) in [(-2, false), (2, false), (-1, true), (0, true), (1, true)] {
            let (mut browser, page) = after_password(&app).await;
            let answer = browser.give(&page, &app.code(&seed, step)).await;
            assert_eq!(!answer.param("code").is_empty(), taken, "{step}: {answer:?}");
            if taken {
                app.app.clock.advance(300);
            }
        }
    }
}

both_databases_at_once! {
    async fn mf_05_a_recovery_code_works_once(app: TestApp) {
        let app = prepared(app).await;
        app.guard(&["otp", "recovery-code"], &["all-applications"]).await;
        app.add_totp("auth0|alice").await;
        let code = app.add_recovery_code("auth0|alice").await;
        let recovery = async |app: &TestApp| {
            let (mut browser, page) = after_password(app).await;
            let state = crate::support::browser::Form::of(&page).field("state").to_owned();
            let page = browser.open(&format!("/u/mfa-recovery-code-challenge?state={state}")).await;
            assert_eq!(page_of(&page), "/u/mfa-recovery-code-challenge", "{page:?}");
            (browser, page)
        };
        let mut sixteen = Vec::new();
        for _ in 0..16 {
            sixteen.push(recovery(&app).await);
        }
        // The limit on tries is another case.
        let tries = sixteen.into_iter().map(|(mut browser, page)| {
            let code = code.clone();
            let reset = app.app.clone();
            let tenant = app.tenant.id.clone();
            tokio::spawn(async move {
                let mut batch = db::Batch::new();
                model::factors::attempts::reset(&mut batch, &tenant, &"auth0|alice".into());
                reset.db.commit(batch).await.expect("writes");
                let answer = browser.give(&page, &code).await;
                (browser, answer)
            })
        });
        let mut let_in = Vec::new();
        for tried in tries.collect::<Vec<_>>() {
            let (browser, answer) = tried.await.expect("ends");
            match page_of(&answer).as_str() {
                "/u/mfa-recovery-code-enrollment" => let_in.push((browser, answer)),
                "/u/mfa-recovery-code-challenge" => assert!([400, 429].contains(&answer.status), "{answer:?}"),
                // Nothing is left that a recovery code could stand in for: the app is asked for.
                CHALLENGE => {}
                other => panic!("{other}: {answer:?}"),
            }
        }
        assert_eq!(let_in.len(), 1);
        let (mut browser, page) = let_in.pop().expect("one");
        // The next one is shown, and shown again until its user has it.
        let next = shown(&page);
        assert_eq!((next.len(), next == code), (24, false));
        assert_eq!(browser.submit(&page, &[]).await.status, 400);
        let landed = browser.submit(&page, &[("saved", "true")]).await;
        assert!(!landed.param("code").is_empty(), "{landed:?}");
        assert_eq!(app.letters("recovery_code_changed").await.len(), 1);

        let mut batch = db::Batch::new();
        model::factors::attempts::reset(&mut batch, &app.tenant.id, &"auth0|alice".into());
        app.app.db.commit(batch).await.expect("writes");
        let (mut browser, page) = recovery(&app).await;
        assert_eq!(browser.give(&page, &code).await.status, 400, "the old one is over");
        let entered = browser.give(&page, &next.to_lowercase()).await;
        assert_eq!(page_of(&entered), "/u/mfa-recovery-code-enrollment", "{entered:?}");
        // An administrator's new one ends what there was.
        let regenerated = app.admin().post("/api/v2/users/auth0%7Calice/recovery-code-regeneration", json!({})).await;
        assert_eq!(regenerated.status, 200, "{regenerated:?}");
        let (mut browser, page) = recovery(&app).await;
        assert_eq!(browser.give(&page, &next).await.status, 400);
        let third = regenerated.body["recovery_code"].as_str().expect("is text").to_owned();
        assert_eq!(page_of(&browser.give(&page, &third).await), "/u/mfa-recovery-code-enrollment");
        let hashes: i64 = stored(&app, "SELECT COUNT(*) FROM factors WHERE tenant = $1 AND kind = 'recovery-code' AND hash IS NOT NULL", params![]).await;
        assert_eq!(hashes, 0);
    }
}

both_databases! {
    /// A session that moves with a linked account brings neither its second factor nor the recovery code that was shown in it.
    async fn mf_01_what_a_linked_account_proved_opens_nothing_of_the_primary_user(app: TestApp) {
        let app = prepared(app).await;
        app.guard(&["otp", "recovery-code"], &[]).await;
        let seed = app.add_totp("auth0|alice").await;
        let own = app.add_recovery_code("auth0|alice").await;
        let kept = async |app: &TestApp| -> Vec<u8> {
            let sql = "SELECT hash FROM factors WHERE tenant = $1 AND user_id = 'auth0|alice' AND kind = 'recovery-code'";
            stored(app, sql, params![]).await
        };
        let before = kept(&app).await;

        // Bob sets up an app of his, and reads the recovery code that he is to confirm.
        let mut browser = crate::security::signed_in(&app, "bob").await;
        let setup = browser.open(&Authorize::code("web").multi_factor().path()).await;
        let bobs = model::factors::totp::decode(&shown(&setup)).expect("is base32");
        let page = browser.give(&setup, &app.code(&bobs, 0)).await;
        assert_eq!(page_of(&page), "/u/mfa-recovery-code-enrollment", "{page:?}");
        let known = shown(&page);
        let proof = browser.open(&Authorize::new("page", "id_token").with("prompt", "none").path()).await.param("id_token");

        // With a token of Alice's his account becomes hers, and so does the session.
        let alice = app.token_of("auth0|alice", "page", "update:current_user_identities");
        let linked = alice.post("/api/v2/users/auth0%7Calice/identities", json!({ "link_with": proof })).await;
        assert_eq!(linked.status, 201, "{linked:?}");
        let asked = browser.submit(&page, &[("saved", "true")]).await;
        assert_eq!(page_of(&asked), CHALLENGE, "{asked:?}");
        assert_eq!(kept(&app).await, before, "her recovery code is as it was");
        let silent = browser.open(&Authorize::code("web").multi_factor().with("prompt", "none").path()).await;
        assert_eq!(silent.param("error_description"), "Multifactor authentication required");
        let state = crate::support::browser::Form::of(&asked).field("state").to_owned();
        let recovery = browser.open(&format!("/u/mfa-recovery-code-challenge?state={state}")).await;
        assert_eq!(browser.give(&recovery, &known).await.status, 400);

        // Her own code goes on, and what was shown to Bob is forgotten.
        let landed = browser.give(&asked, &app.code(&seed, 0)).await;
        assert!(!landed.param("code").is_empty(), "{landed:?}");
        assert_eq!(kept(&app).await, before);
        let (mut other, page) = {
            let mut other = crate::security::browser(&app);
            let page = other.sign_in(&Authorize::code("web").multi_factor().path(), "alice@example.com").await;
            let state = crate::support::browser::Form::of(&page).field("state").to_owned();
            let page = other.open(&format!("/u/mfa-recovery-code-challenge?state={state}")).await;
            (other, page)
        };
        assert_eq!(page_of(&other.give(&page, &own).await), "/u/mfa-recovery-code-enrollment");
    }

    async fn az_08_a_second_factor_is_never_asked_for_silently(app: TestApp) {
        let app = prepared(app).await;
        let mut browser = crate::security::signed_in(&app, "alice").await;
        app.guard(&["otp"], &[]).await;
        let request = Authorize::code("web").multi_factor();
        for protected in [false, true] {
            if protected {
                app.add_totp("auth0|alice").await;
            }
            let silent = browser.open(&request.with("prompt", "none").path()).await;
            crate::security::assert_returned(&silent, "login_required", "Multifactor authentication required");
        }
        let plain = browser.open(&Authorize::code("web").with("prompt", "none").path()).await;
        assert!(!plain.param("code").is_empty(), "nothing else asks for one: {plain:?}");
        let token = browser.open(&Authorize::new("page", "id_token").with("prompt", "none").path()).await;
        let told = claims(&token.param("id_token"));
        assert_eq!((told.get("amr"), told.get("acr")), (None, None));
    }
}
