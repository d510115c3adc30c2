//! Second factors at the token endpoint, and `/mfa/…` (authentication contract §3.5, §3.6).

use axum::http::Method;
use model::factors::{Factor, Kind};
use serde_json::{Value, json};

use crate::security::exchange::{Exchange, assert_refused, grant_of};
use crate::security::{claims, prepared};
use crate::support::app::{CONNECTION, PASSWORD, secret_of};
use crate::support::{Answer, Authorize, Browser, Caller, TestApp};

const OTP: &str = "http://auth0.com/oauth/grant-type/mfa-otp";
pub const OOB: &str = "http://auth0.com/oauth/grant-type/mfa-oob";
const RECOVERY: &str = "http://auth0.com/oauth/grant-type/mfa-recovery-code";
const MFA: &str = "https://id.test/mfa/";

/// With the client `server`, which may exchange passwords and second factors, and these factors.
pub async fn ready(app: TestApp, factors: &[&str], policies: &[&str]) -> TestApp {
    let app = prepared(app).await;
    for client in ["server", "second"] {
        let body = json!({
            "app_type": "regular_web",
            "oidc_conformant": true,
            "callbacks": ["https://app.test/cb"],
            "token_endpoint_auth_method": "client_secret_post",
            "grant_types": ["authorization_code", "password", "refresh_token", OTP, OOB, RECOVERY],
        });
        app.add_client(client, body).await;
    }
    let set = app.admin().patch("/api/v2/tenants/settings", json!({ "default_directory": CONNECTION })).await;
    assert_eq!(set.status, 200, "{}", set.text);
    app.guard(factors, policies).await;
    app
}

pub fn password(user: &str) -> Exchange {
    let username = format!("{user}@example.com");
    Exchange::new("server", "password").with("username", &username).with("password", PASSWORD)
}

/// The token that a password buys where a second factor is missing.
pub async fn mfa_token(app: &TestApp, exchange: &Exchange) -> String {
    let answer = exchange.send(app).await;
    assert_eq!((answer.status, &answer.body["error"]), (403, &json!("mfa_required")), "{answer:?}");
    assert_eq!(answer.body["error_description"], "Multifactor authentication required");
    answer.body["mfa_token"].as_str().expect("a token").to_owned()
}

pub fn give(grant: &str, token: &str) -> Exchange {
    Exchange::new("server", grant).with("mfa_token", token)
}

pub async fn challenge(app: &TestApp, token: &str, more: Value) -> Answer {
    let mut body = json!({ "client_id": "server", "client_secret": secret_of("server"), "mfa_token": token });
    body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    app.caller().post("/mfa/challenge", body).await
}

pub fn bearer(app: &TestApp, token: &str) -> Caller {
    app.caller().with("authorization", &format!("Bearer {token}"))
}

pub async fn associate(app: &TestApp, token: &str, more: Value) -> Answer {
    let mut body = json!({ "client_id": "server", "client_secret": secret_of("server") });
    body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    bearer(app, token).post("/mfa/associate", body).await
}

fn count(events: &[String], kind: &str) -> usize {
    events.iter().filter(|event| *event == kind).count()
}

both_databases! {
    async fn a_code_of_an_app_completes_a_password(app: TestApp) {
        let app = ready(app, &["otp", "recovery-code", "email"], &["all-applications"]).await;
        let seed = app.add_totp("auth0|alice").await;
        app.add_recovery_code("auth0|alice").await;
        let asked = password("alice").with("scope", "openid offline_access").send(&app).await;
        assert_eq!(
            asked.body["mfa_requirements"],
            json!({ "challenge": [{ "type": "otp" }, { "type": "email" }, { "type": "recovery-code" }] })
        );
        assert_eq!((asked.header("cache-control"), asked.body.as_object().map(|body| body.len())), ("no-store", Some(4)));
        let token = asked.body["mfa_token"].as_str().expect("a token").to_owned();
        let user = app.admin().get("/api/v2/users/auth0%7Calice").await;
        assert!(user.body.get("logins_count").is_none_or(|count| count == 0), "a password alone is no login: {}", user.text);

        let challenged = challenge(&app, &token, json!({ "challenge_type": "otp" })).await;
        assert_eq!((challenged.status, challenged.body), (200, json!({ "challenge_type": "otp" })));
        let wrong = give(OTP, &token).with("otp", "000000").send(&app).await;
        assert_refused(&wrong, 403, "invalid_grant", "Invalid otp_code.");
        let code = app.code(&seed, 0);
        let answer = give(OTP, &token).with("otp", &code).send(&app).await;
        let bought = grant_of(&answer);
        assert_eq!(bought.scope, "openid offline_access");
        let id_token = claims(answer.body["id_token"].as_str().expect("a token"));
        assert_eq!((&id_token["amr"], id_token.get("sid")), (&json!(["mfa"]), None));
        assert_eq!(Exchange::refresh("server", &bought.refresh_token).send(&app).await.status, 200);
        // Both are spent.
        let again = give(OTP, &token).with("otp", &app.code(&seed, 1)).send(&app).await;
        assert_refused(&again, 403, "invalid_grant", "Malformed mfa_token");
        let other = mfa_token(&app, &password("alice")).await;
        let again = give(OTP, &other).with("otp", &code).send(&app).await;
        assert_refused(&again, 403, "invalid_grant", "Invalid otp_code.");
        let events = app.events().await;
        assert_eq!(["mfar", "gd_auth_succeed", "gd_auth_failed", "sepft", "gd_start_auth"].map(|kind| count(&events, kind)), [2, 1, 2, 1, 1]);
        let user = app.admin().get("/api/v2/users/auth0%7Calice").await;
        assert_eq!(user.body["logins_count"], 1);
    }

    async fn a_code_by_e_mail_completes_a_password(app: TestApp) {
        let app = ready(app, &["email"], &["all-applications"]).await;
        let token = mfa_token(&app, &password("alice")).await;
        let unsupported = challenge(&app, &token, json!({ "challenge_type": "otp" })).await;
        assert_eq!((unsupported.status, &unsupported.body["error"]), (400, &json!("unsupported_challenge_type")), "{unsupported:?}");
        for more in [json!({ "challenge_type": "oob", "oob_channel": "sms" }), json!({ "authenticator_id": "totp|dev_none" })] {
            assert_eq!(challenge(&app, &token, more).await.body["error"], "unsupported_challenge_type");
        }
        let sent = challenge(&app, &token, json!({ "challenge_type": "oob otp" })).await;
        assert_eq!((sent.status, &sent.body["challenge_type"], &sent.body["binding_method"]), (200, &json!("oob"), &json!("prompt")), "{sent:?}");
        let oob_code = sent.body["oob_code"].as_str().expect("is text").to_owned();
        let code = app.mailed_code().await;
        let exchange = give(OOB, &token).with("oob_code", &oob_code);
        assert_refused(&exchange.send(&app).await, 400, "invalid_request", "Missing required parameter: binding_code");
        let other = if code == "000000" { "000001" } else { "000000" };
        for (oob_code, typed) in [(oob_code.as_str(), other), ("other", code.as_str())] {
            let wrong = exchange.with("oob_code", oob_code).with("binding_code", typed).send(&app).await;
            assert_refused(&wrong, 403, "invalid_grant", "Invalid binding_code.");
        }
        let answer = exchange.with("binding_code", &code).send(&app).await;
        assert_eq!(grant_of(&answer).scope, "openid profile email address phone");

        // Five tries a code, and five minutes.
        let token = mfa_token(&app, &password("alice")).await;
        let sent = challenge(&app, &token, json!({})).await;
        let oob_code = sent.body["oob_code"].as_str().expect("is text").to_owned();
        let (code, exchange) = (app.mailed_code().await, give(OOB, &token).with("oob_code", &oob_code));
        for _ in 0..5 {
            assert_eq!(exchange.with("binding_code", "x").send(&app).await.status, 403);
        }
        assert_refused(&exchange.with("binding_code", &code).send(&app).await, 403, "invalid_grant", "Invalid binding_code.");
        app.app.clock.advance(1);
        let sent = challenge(&app, &token, json!({})).await;
        let oob_code = sent.body["oob_code"].as_str().expect("is text").to_owned();
        let code = app.mailed_code().await;
        app.app.clock.advance(300);
        let late = give(OOB, &token).with("oob_code", &oob_code).with("binding_code", &code).send(&app).await;
        assert_refused(&late, 403, "invalid_grant", "Invalid binding_code.");
    }

    async fn a_recovery_code_is_replaced_by_the_next(app: TestApp) {
        let app = ready(app, &["otp", "recovery-code"], &["all-applications"]).await;
        app.add_totp("auth0|alice").await;
        let code = app.add_recovery_code("auth0|alice").await;
        let token = mfa_token(&app, &password("alice")).await;
        let wrong = give(RECOVERY, &token).with("recovery_code", "ABCDEFGHIJKLMNOPQRSTUVWX").send(&app).await;
        assert_refused(&wrong, 403, "invalid_grant", "MFA Authorization rejected.");
        let answer = give(RECOVERY, &token).with("recovery_code", &code.to_lowercase()).send(&app).await;
        grant_of(&answer);
        let next = answer.body["recovery_code"].as_str().expect("the next").to_owned();
        assert_eq!((next.len(), next == code), (24, false));
        let token = mfa_token(&app, &password("alice")).await;
        assert_eq!(give(RECOVERY, &token).with("recovery_code", &code).send(&app).await.status, 403);
        grant_of(&give(RECOVERY, &token).with("recovery_code", &next).send(&app).await);
        assert_eq!(app.letters("recovery_code_changed").await.len(), 2);
    }

    async fn who_has_nothing_enrols_an_app_first(app: TestApp) {
        let app = ready(app, &["otp", "recovery-code"], &["all-applications"]).await;
        let asked = password("alice").send(&app).await;
        assert_eq!(asked.body["mfa_requirements"], json!({ "enroll": [{ "type": "otp" }] }));
        let token = asked.body["mfa_token"].as_str().expect("a token").to_owned();
        let unenrolled = challenge(&app, &token, json!({})).await;
        assert_eq!((unenrolled.status, &unenrolled.body["error"]), (400, &json!("association_required")));
        for (more, text) in [
            (json!({}), "Missing required parameter: authenticator_types"),
            (json!({ "authenticator_types": ["oob"], "oob_channels": ["sms"], "phone_number": "+1" }), "None of the authenticator_types is supported"),
        ] {
            assert_refused(&associate(&app, &token, more).await, 400, "invalid_request", text);
        }
        let begun = associate(&app, &token, json!({ "authenticator_types": ["otp"] })).await;
        assert_eq!((begun.status, &begun.body["authenticator_type"]), (200, &json!("otp")), "{begun:?}");
        let secret = begun.body["secret"].as_str().expect("is text").to_owned();
        let uri = begun.body["barcode_uri"].as_str().expect("is text");
        assert!(uri.starts_with("otpauth://totp/") && uri.contains(&format!("secret={secret}")), "{uri}");
        let recovery = begun.body["recovery_codes"][0].as_str().expect("is text").to_owned();
        let listed = bearer(&app, &token).get("/mfa/authenticators").await;
        let shown: Vec<_> = listed.body.as_array().expect("a list").iter().map(|one| (one["authenticator_type"].clone(), one["active"].clone())).collect();
        assert_eq!(shown.len(), 2, "{listed:?}");
        assert!(shown.contains(&(json!("otp"), json!(false))) && shown.contains(&(json!("recovery-code"), json!(false))), "{shown:?}");

        let seed = model::factors::totp::decode(&secret).expect("is base32");
        let code = app.code(&seed, 0);
        // Only who began it may end it.
        let other = mfa_token(&app, &password("alice")).await;
        assert_refused(&give(OTP, &other).with("otp", &code).send(&app).await, 403, "invalid_grant", "Invalid otp_code.");
        grant_of(&give(OTP, &token).with("otp", &code).send(&app).await);
        assert_eq!(app.letters("factor_added").await.len(), 1);
        let user = app.admin().get("/api/v2/users/auth0%7Calice").await;
        assert_eq!(user.body["multifactor"], json!(["guardian"]));
        // Enrolled: with a password alone nothing is added, and the recovery code is good.
        let again = associate(&app, &other, json!({ "authenticator_types": ["otp"] })).await;
        assert_refused(&again, 403, "access_denied", "User is already enrolled.");
        grant_of(&give(RECOVERY, &other).with("recovery_code", &recovery).send(&app).await);
    }

    async fn an_address_is_enrolled_by_the_code_sent_to_it(app: TestApp) {
        let app = ready(app, &["otp", "email"], &["all-applications"]).await;
        let token = mfa_token(&app, &password("alice")).await;
        let oob = json!({ "authenticator_types": ["oob"], "oob_channels": ["email"], "email": "Other@Example.com" });
        let begun = associate(&app, &token, oob).await;
        assert_eq!(
            (begun.status, &begun.body["oob_channel"], &begun.body["binding_method"], begun.body.get("recovery_codes")),
            (200, &json!("email"), &json!("prompt"), None)
        );
        let oob_code = begun.body["oob_code"].as_str().expect("is text").to_owned();
        let (to, variables) = app.letters("mfa_oob_code").await.pop().expect("a letter");
        assert_eq!(to, "other@example.com");
        let code = variables["code"].as_str().expect("is text").to_owned();
        let exchange = give(OOB, &token).with("oob_code", &oob_code);
        assert_eq!(exchange.with("binding_code", "1").send(&app).await.status, 403);
        grant_of(&exchange.with("binding_code", &code).send(&app).await);
        // From now on codes go there.
        let token = mfa_token(&app, &password("alice")).await;
        assert_eq!(challenge(&app, &token, json!({})).await.status, 200);
        assert_eq!(app.letters("mfa_oob_code").await.pop().expect("a letter").0, "other@example.com");
        let listed = bearer(&app, &token).get("/mfa/authenticators").await;
        assert_eq!((&listed.body[0]["oob_channel"], &listed.body[0]["name"], &listed.body[0]["active"]), (&json!("email"), &json!("*****@exam*******"), &json!(true)));
    }

    /// Who gets codes at their own address is asked for one, and names no other in its place: the password alone would be enough.
    async fn mf_01_a_password_enrols_no_other_address_where_codes_are_mailed(app: TestApp) {
        let app = ready(app, &["email"], &["all-applications"]).await;
        let oob = json!({ "authenticator_types": ["oob"], "oob_channels": ["email"], "email": "other@example.com" });
        let token = mfa_token(&app, &password("alice")).await;
        let refused = associate(&app, &token, oob.clone()).await;
        assert_refused(&refused, 403, "access_denied", "User is already enrolled.");
        assert!(app.letters("mfa_oob_code").await.is_empty());
        // Nor is an enrolment ended that was begun while there was something else to enrol.
        app.guard(&["otp", "email"], &["all-applications"]).await;
        let begun = associate(&app, &token, oob).await;
        let oob_code = begun.body["oob_code"].as_str().expect("is text").to_owned();
        let (_, variables) = app.letters("mfa_oob_code").await.pop().expect("a letter");
        app.guard(&["email"], &["all-applications"]).await;
        let exchange = give(OOB, &token).with("oob_code", &oob_code);
        let answer = exchange.with("binding_code", variables["code"].as_str().expect("is text")).send(&app).await;
        assert_eq!((answer.status, &answer.body["error"]), (403, &json!("invalid_grant")), "{answer:?}");
    }

    /// What the self-service policy asks before a factor is taken away, it asks before one is added to others.
    async fn a_factor_is_added_to_others_with_the_proof_that_takes_one_away(app: TestApp) {
        let app = ready(app, &["otp"], &[]).await;
        let whole = password("alice").with("audience", MFA).with("scope", "enroll");
        let bought = grant_of(&whole.send(&app).await);
        let policy = json!({ "remove_factor": { "max_age": 5 } });
        assert_eq!(app.admin().patch("/api/v2/doorward/self-service", policy).await.status, 200);
        let otp = json!({ "authenticator_types": ["otp"] });
        app.app.clock.advance(7);
        let first = associate(&app, &bought.access_token, otp.clone()).await;
        assert_eq!(first.status, 200, "{first:?}");
        app.add_totp("auth0|alice").await;
        let refused = associate(&app, &bought.access_token, otp).await;
        assert_eq!((refused.status, &refused.body["error"]), (403, &json!("insufficient_user_authentication")), "{refused:?}");
    }

    /// The API over second factors: its tokens are got with what is there, and take it away.
    async fn an_authenticator_is_removed_by_who_gave_it(app: TestApp) {
        let app = ready(app, &["otp", "email"], &[]).await;
        let whole = password("alice").with("audience", MFA).with("scope", "enroll read:authenticators remove:authenticators read:users");
        // Who has none gets a token for a password, and enrols with it.
        let bought = grant_of(&whole.send(&app).await);
        assert_eq!(bought.scope, "enroll read:authenticators remove:authenticators");
        let told = claims(&bought.access_token);
        assert_eq!((&told["aud"], told["exp"].as_i64().expect("a time") - told["iat"].as_i64().expect("a time")), (&json!(MFA), 600));
        let begun = associate(&app, &bought.access_token, json!({ "authenticator_types": ["otp"] })).await;
        let seed = model::factors::totp::decode(begun.body["secret"].as_str().expect("is text")).expect("is base32");
        let ended = give(OTP, &bought.access_token).with("otp", &app.code(&seed, 0)).send(&app).await;
        assert_eq!(grant_of(&ended).scope, "enroll read:authenticators remove:authenticators");

        app.app.clock.advance(60);
        let token = mfa_token(&app, &whole).await;
        let ids = bearer(&app, &token).get("/mfa/authenticators").await;
        let id = ids.body[0]["id"].as_str().expect("is text").to_owned();
        assert!(id.starts_with("totp|dev_"), "{id}");
        let path = format!("/mfa/authenticators/{}", id.replace('|', "%7C"));
        let refused = bearer(&app, &token).delete(&path).await;
        assert_refused(&refused, 403, "access_denied", "An mfa_token removes no authenticator");
        let bought = grant_of(&give(OTP, &token).with("otp", &app.code(&seed, 0)).send(&app).await);
        let caller = bearer(&app, &bought.access_token);
        // Another's is not there, and stays.
        app.add_totp("auth0|bob").await;
        let bobs = model::factors::list(&app.app.db, &app.tenant.id, &"auth0|bob".into()).await.expect("reads").remove(0);
        for other in [format!("totp%7C{}", bobs.id), "totp%7Cdev_none".to_owned()] {
            let missing = caller.delete(&format!("/mfa/authenticators/{other}")).await;
            assert_refused(&missing, 404, "not_found", "Authenticator not found");
        }
        let gone = caller.delete(&path).await;
        assert_eq!((gone.status, gone.text.as_str()), (204, ""));
        assert_eq!(app.letters("factor_removed").await.len(), 1);
        assert_eq!(caller.get("/mfa/authenticators").await.body, json!([]));
        assert_eq!(model::factors::list(&app.app.db, &app.tenant.id, &"auth0|bob".into()).await.expect("reads").len(), 1);

        // A narrower token does less.
        let narrow = grant_of(&password("alice").with("audience", MFA).with("scope", "read:authenticators").send(&app).await);
        let caller = bearer(&app, &narrow.access_token);
        assert_eq!(caller.get("/mfa/authenticators").await.status, 200);
        let refused = associate(&app, &narrow.access_token, json!({ "authenticator_types": ["otp"] })).await;
        assert_refused(&refused, 403, "insufficient_scope", "Insufficient scope, expected any of: enroll");
        assert_refused(&caller.delete(&path).await, 403, "insufficient_scope", "Insufficient scope, expected any of: remove:authenticators");
    }

    async fn the_pages_ask_for_a_factor_before_the_api_over_them(app: TestApp) {
        let app = ready(app, &["otp"], &[]).await;
        let seed = app.add_totp("auth0|alice").await;
        let request = Authorize::code("server").with("audience", MFA).with("scope", "openid remove:authenticators");
        let mut browser = Browser::new(app.caller());
        let page = browser.sign_in(&request.path(), "alice@example.com").await;
        assert_eq!(crate::support::factors::page_of(&page), "/u/mfa-otp-challenge", "{page:?}");
        let landed = browser.give(&page, &app.code(&seed, 0)).await;
        let bought = grant_of(&Exchange::code("server", &landed.param("code")).send(&app).await);
        assert_eq!((bought.scope.as_str(), &claims(&bought.access_token)["gty"]), ("openid remove:authenticators", &Value::Null));
        // Where the policy wants a sure sign-in, one that tells of it is enough.
        let policy = json!({ "remove_factor": { "mfa": true } });
        let set = app.admin().patch("/api/v2/doorward/self-service", policy).await;
        assert_eq!(set.status, 200, "{}", set.text);
        let factor = model::factors::list(&app.app.db, &app.tenant.id, &"auth0|alice".into()).await.expect("reads").remove(0);
        let path = format!("/mfa/authenticators/totp%7C{}", factor.id);
        let unproven = bearer(&app, &bought.access_token).delete(&path).await;
        assert_eq!((unproven.status, &unproven.body["error"]), (403, &json!("insufficient_user_authentication")));
        let again = browser.open(&request.path()).await;
        let proven = grant_of(&Exchange::code("server", &again.param("code")).send(&app).await);
        assert_eq!(bearer(&app, &proven.access_token).delete(&path).await.status, 204);
    }

    async fn a_strict_client_is_refused_as_the_specifications_have_it(app: TestApp) {
        let app = ready(app, &["otp"], &["all-applications"]).await;
        app.add_totp("auth0|alice").await;
        assert_eq!(app.admin().patch("/api/v2/doorward/clients/server", json!({ "strict": true })).await.status, 200);
        let asked = password("alice").send(&app).await;
        assert_eq!((asked.status, &asked.body["error"]), (400, &json!("mfa_required")), "{asked:?}");
        let token = asked.body["mfa_token"].as_str().expect("a token").to_owned();
        assert_refused(&give(OTP, &token).with("otp", "000000").send(&app).await, 400, "invalid_grant", "Invalid otp_code.");
        assert_refused(&give(OTP, "nothing").with("otp", "000000").send(&app).await, 400, "invalid_grant", "Malformed mfa_token");
        assert_refused(&challenge(&app, "nothing", json!({})).await, 400, "invalid_grant", "Malformed mfa_token");
        let unproven = challenge(&app, &token, json!({ "client_secret": "wrong" })).await;
        assert_refused(&unproven, 401, "invalid_client", "Unauthorized");
        // One who has a factor enrols no second with the first missing.
        let otp = json!({ "authenticator_types": ["otp"] });
        let refused = associate(&app, &token, otp.clone()).await;
        assert_eq!((refused.status, &refused.body["error"]), (400, &json!("access_denied")), "{refused:?}");
        let unproven = associate(&app, &token, json!({ "authenticator_types": ["otp"], "client_secret": "wrong" })).await;
        assert_refused(&unproven, 401, "invalid_client", "Unauthorized");
        // Who shows a token alone names no client: there the tenant decides (RFC 6750 §3.1).
        assert_refused(&bearer(&app, "nothing").get("/mfa/authenticators").await, 403, "invalid_grant", "Malformed mfa_token");
        assert_eq!(app.admin().patch("/api/v2/doorward/protocol", json!({ "strict": true })).await.status, 200);
        for answer in [bearer(&app, "nothing").get("/mfa/authenticators").await, bearer(&app, "nothing").delete("/mfa/authenticators/x").await, associate(&app, "nothing", otp).await] {
            assert_refused(&answer, 401, "invalid_token", "Malformed mfa_token");
            assert_eq!(answer.header("www-authenticate"), "Bearer error=\"invalid_token\"");
        }
        assert_eq!(bearer(&app, &token).get("/mfa/authenticators").await.status, 200);
    }

    async fn a_user_without_a_way_and_a_client_without_the_grant_get_nothing(app: TestApp) {
        let app = ready(app, &["otp"], &["all-applications"]).await;
        app.add_factor(Factor::confirmed(&app.app, &"auth0|alice".into(), Kind::Phone).with_address("+440000009167")).await;
        let nothing = password("alice").send(&app).await;
        assert_refused(&nothing, 403, "access_denied", "The user has no second factor to sign in with");
        let bob = mfa_token(&app, &password("bob")).await;
        for grant in [OTP, OOB, RECOVERY] {
            let answer = Exchange::new("web", grant).with("mfa_token", &bob).with("otp", "123456").send(&app).await;
            assert_eq!((answer.status, &answer.body["error"]), (403, &json!("unauthorized_client")));
        }
        for (path, method) in [("/mfa/authenticators", Method::GET), ("/mfa/associate", Method::POST), ("/mfa/authenticators/x", Method::DELETE)] {
            let answer = app.caller().send(method, path, None, String::new()).await;
            assert_refused(&answer, 401, "access_denied", "Unauthorized");
        }
        let malformed = bearer(&app, "nothing").get("/mfa/authenticators").await;
        assert_refused(&malformed, 403, "invalid_grant", "Malformed mfa_token");
        let anonymous = app.caller().post("/mfa/challenge", json!({ "mfa_token": bob })).await;
        assert_refused(&anonymous, 400, "invalid_request", "Missing required parameter: client_id");
        // A new password ends what the old one began.
        assert_eq!(app.admin().patch("/api/v2/users/auth0%7Cbob", json!({ "password": "Another-horse-9" })).await.status, 200);
        assert_refused(&give(OTP, &bob).with("otp", "123456").send(&app).await, 403, "invalid_grant", "Malformed mfa_token");
    }
}
