//! Codes by SMS as second factor: setting a phone up, giving its codes, and the way that messages go.

use model::factors::{Kind, codes};
use model::mail::{self, Delivery};
use serde_json::{Value, json};

use super::mfa::{OOB, associate, bearer, challenge, give, mfa_token, password, ready};
use crate::security::exchange::{assert_refused, grant_of};
use crate::security::{browser, claims, exchanged, prepared};
use crate::support::app::secret_of;
use crate::support::browser::{Form, SESSION};
use crate::support::factors::{link, page_of, shown};
use crate::support::hook::Hook;
use crate::support::{Answer, Authorize, TestApp};

const NUMBER: &str = "+15550100123";
const ENROLLMENT: &str = "/u/mfa-sms-enrollment";
const CHALLENGE: &str = "/u/mfa-sms-challenge";
const RECOVERY: &str = "/u/mfa-recovery-code-enrollment";
const METHODS: &str = "/me/v1/authentication-methods";

/// With a gateway, and these factors asked for everywhere.
async fn guarded(app: TestApp, factors: &[&str]) -> (TestApp, Hook) {
    let gateway = Hook::open().await;
    let app = prepared(app).await;
    app.add_gateway(&gateway).await;
    app.guard(factors, &["all-applications"]).await;
    (app, gateway)
}

/// What the gateway was asked to send since the last time.
async fn delivered(app: &TestApp, gateway: &Hook) -> Vec<Value> {
    server::jobs::post(&app.app, Delivery::Provider).await.expect("the job runs");
    gateway.posts().into_iter().map(|(_, body)| serde_json::from_str(&body).expect("is JSON")).collect()
}

fn oob_code(answer: &Answer) -> String {
    answer.body["oob_code"].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned()
}

/// The state and the reason of the last message.
async fn fate(app: &TestApp) -> (String, Option<String>) {
    let shown = mail::newest(&app.app, &app.tenant.id, 1).await.expect("reads").remove(0);
    (shown.state, shown.error)
}

both_databases! {
    async fn whoever_has_no_factor_sets_a_phone_up_and_signs_in_by_it(app: TestApp) {
        let (app, gateway) = guarded(app, &["sms", "recovery-code"]).await;
        let mut first = browser(&app);
        let page = first.sign_in(&Authorize::code("web").path(), "alice@example.com").await;
        assert_eq!((page.status, page_of(&page)), (200, ENROLLMENT.to_owned()), "{page:?}");
        let bad = first.submit(&page, &[("phone", "555 0100")]).await;
        assert!(bad.status == 400 && bad.text.contains("Enter your phone number with its country code") && bad.text.contains("value=\"555 0100\""), "{bad:?}");
        let page = first.submit(&page, &[("phone", "+1 (555) 010-0123")]).await;
        assert_eq!(page_of(&page), CHALLENGE, "{page:?}");
        assert!(page.text.contains("We sent a code to +15550100123 by text message."), "{}", page.text);
        let code = app.texted_code().await;
        let sent = delivered(&app, &gateway).await;
        assert_eq!(sent, [json!({
            "recipient": NUMBER, "sender": "Acme", "req": { "ip": "203.0.113.9", "user_agent": sent[0]["req"]["user_agent"] },
            "body": format!("{code} is your verification code for Tenant id. Please enter this code to verify your enrollment."),
        })]);
        // Nothing counts before the code: neither the number nor this sign-in.
        let user = app.admin().get("/api/v2/users/auth0%7Calice").await;
        assert_eq!(user.body.get("multifactor"), None);
        assert_eq!(app.admin().get("/api/v2/users/auth0%7Calice/enrollments").await.body, json!([]));
        let wrong = first.give(&page, if code == "000000" { "000001" } else { "000000" }).await;
        assert!(wrong.status == 400 && wrong.text.contains("That code is not right, or is too old."), "{wrong:?}");
        let page = first.give(&page, &code).await;
        assert_eq!(page_of(&page), RECOVERY, "{page:?}");
        let landed = first.submit(&page, &[("saved", "true")]).await;
        let answer = exchanged(&app, &landed.param("code")).await;
        assert_eq!(claims(answer.body["id_token"].as_str().expect("is text"))["amr"], json!(["mfa"]));
        assert_eq!(app.letters("factor_added").await.len(), 1);
        let events = app.events().await;
        for kind in ["gd_send_sms", "gd_enrollment_complete", "gd_auth_failed"] {
            assert!(events.contains(&kind.to_owned()), "{kind}: {events:?}");
        }
        let listed = app.admin().get("/api/v2/users/auth0%7Calice/enrollments").await;
        assert_eq!((&listed.body[0]["auth_method"], &listed.body[0]["phone_number"]), (&json!("sms"), &json!("********0123")));

        // Another sign-in: masked, and another code only after a pause.
        app.app.clock.advance(60);
        let mut second = browser(&app);
        let page = second.sign_in(&Authorize::code("web").path(), "alice@example.com").await;
        assert_eq!(page_of(&page), CHALLENGE, "{page:?}");
        assert!(page.text.contains("We sent a code to XXXXXXXX0123 by text message.") && !page.text.contains(NUMBER), "{}", page.text);
        let old = app.texted_code().await;
        assert_eq!(delivered(&app, &gateway).await[0]["body"], json!(format!("{old} is your verification code for Tenant id")));
        let state = Form::of(&page).field("state").to_owned();
        second.get(&format!("{CHALLENGE}?state={state}")).await;
        assert_eq!((second.submit(&page, &[("action", "resend")]).await.status, app.messages().await.len()), (429, 2));
        app.app.clock.advance(codes::PAUSE);
        let page = second.submit(&page, &[("action", "resend")]).await;
        assert_eq!((page.status, app.messages().await.len()), (200, 3));
        let code = app.texted_code().await;
        if old != code {
            assert_eq!(second.give(&page, &old).await.status, 400, "another one ends it");
        }
        let landed = second.submit(&page, &[("code", &code), ("rememberBrowser", "true")]).await;
        assert!(!landed.param("code").is_empty(), "{landed:?}");
        // A browser that is remembered is not asked.
        second.cookies.remove(SESSION);
        let landed = second.sign_in(&Authorize::code("web").path(), "alice@example.com").await;
        assert!(!landed.param("code").is_empty(), "{landed:?}");
    }

    async fn where_there_is_a_choice_of_what_to_set_up_it_is_offered(app: TestApp) {
        let (app, _gateway) = guarded(app, &["otp", "sms"]).await;
        let mut browser = browser(&app);
        let page = browser.sign_in(&Authorize::code("web").path(), "alice@example.com").await;
        assert_eq!(page_of(&page), "/u/mfa-otp-enrollment");
        let options = browser.get(&link(&page, "/u/mfa-enroll-options")).await;
        let app_page = browser.get(&link(&options, "/u/mfa-otp-enrollment")).await;
        assert_eq!(shown(&app_page), shown(&page));
        let page = browser.get(&link(&options, ENROLLMENT)).await;
        assert!(page_of(&page) == ENROLLMENT && page.text.contains("/u/mfa-enroll-options"), "{page:?}");
        let asked = browser.submit(&page, &[("phone", NUMBER)]).await;
        // Both are under way, and neither ends by the other's code.
        let seed = model::factors::totp::decode(&shown(&app_page)).expect("is base32");
        assert_eq!(browser.give(&asked, &app.code(&seed, 0)).await.status, 400);
        assert_eq!(browser.give(&app_page, &app.texted_code().await).await.status, 400);
        // Another number may be named after a pause.
        let soon = browser.submit(&page, &[("phone", "+15550100124")]).await;
        assert!(soon.status == 429 && page_of(&soon) == ENROLLMENT, "{soon:?}");
        assert_eq!(page_of(&browser.submit(&page, &[("phone", NUMBER)]).await), CHALLENGE, "the same is on its way");
        app.app.clock.advance(codes::PAUSE);
        let page = browser.get(&link(&asked, ENROLLMENT)).await;
        let old = app.texted_code().await;
        let asked = browser.submit(&page, &[("phone", "+15550100124")]).await;
        assert!(page_of(&asked) == CHALLENGE && asked.text.contains("+15550100124"), "{asked:?}");
        let code = app.texted_code().await;
        if old != code {
            assert_eq!(browser.give(&asked, &old).await.status, 400);
        }
        let landed = browser.give(&asked, &code).await;
        assert!(!landed.param("code").is_empty(), "{landed:?}");
        // Who has both chooses when they sign in.
        let seed = app.add_totp("auth0|alice").await;
        app.app.clock.advance(codes::PAUSE);
        let mut other = crate::security::browser(&app);
        let page = other.sign_in(&Authorize::code("web").path(), "alice@example.com").await;
        let options = other.get(&link(&page, "/u/mfa-login-options")).await;
        assert!(page_of(&page) == "/u/mfa-otp-challenge" && options.text.contains("Text message"), "{options:?}");
        let page = other.get(&link(&options, CHALLENGE)).await;
        assert!(page.text.contains("XXXXXXXX0124"), "{page:?}");
        assert_eq!(other.give(&page, &app.code(&seed, 0)).await.status, 400);
        let landed = other.give(&page, &app.texted_code().await).await;
        assert!(!landed.param("code").is_empty(), "{landed:?}");
    }

    async fn an_address_and_a_phone_of_one_sign_in_have_codes_of_their_own(app: TestApp) {
        let (app, _gateway) = guarded(app, &["sms", "email"]).await;
        app.add_phone("auth0|alice", NUMBER).await;
        let mut browser = browser(&app);
        let sms = browser.sign_in(&Authorize::code("web").path(), "alice@example.com").await;
        let options = browser.get(&link(&sms, "/u/mfa-login-options")).await;
        let email = browser.get(&link(&options, "/u/mfa-email-challenge")).await;
        let (texted, mailed) = (app.texted_code().await, app.mailed_code().await);
        assert_eq!((app.messages().await.len(), app.letters("mfa_oob_code").await.len()), (1, 1));
        if texted != mailed {
            assert_eq!(browser.give(&email, &texted).await.status, 400);
            assert_eq!(browser.give(&sms, &mailed).await.status, 400);
        }
        let landed = browser.give(&sms, &texted).await;
        assert!(!landed.param("code").is_empty(), "{landed:?}");
    }

    async fn a_ticket_sets_a_phone_up(app: TestApp) {
        let (app, _gateway) = guarded(app, &["otp", "sms", "recovery-code"]).await;
        let ticket = async |factor: Value| {
            let mut body = json!({ "user_id": "auth0|alice" });
            if factor.is_string() {
                body["factor"] = factor;
            }
            let made = app.admin().post("/api/v2/guardian/enrollments/ticket", body).await;
            made.body["ticket_url"].as_str().expect("is text")["https://id.test".len()..].to_owned()
        };
        let mut browser = browser(&app);
        // One for any factor offers both, one for an app no other.
        let page = browser.get(&ticket(Value::Null).await).await;
        assert_eq!(page_of(&page), "/mfa/enrollment");
        assert_eq!(page_of(&browser.get(&link(&page, "/mfa/enrollment/phone")).await), "/mfa/enrollment/phone");
        let otp = ticket(json!("otp")).await;
        assert!(!browser.get(&otp).await.text.contains("/mfa/enrollment/phone"));
        let led = browser.open(&otp.replace("enrollment?", "enrollment/phone?")).await;
        assert_ne!((led.status, page_of(&led)), (200, "/mfa/enrollment/phone".to_owned()), "{led:?}");

        let path = ticket(json!("phone")).await;
        let page = browser.open(&path).await;
        assert_eq!(page_of(&page), "/mfa/enrollment/phone", "{page:?}");
        assert_eq!(browser.submit(&page, &[("phone", "12")]).await.status, 400);
        let asked = browser.submit(&page, &[("phone", "00 1 555 010 0123")]).await;
        assert!(page_of(&asked) == "/mfa/enrollment/code" && asked.text.contains(NUMBER) && !asked.text.contains("rememberBrowser"), "{asked:?}");
        assert_eq!(browser.submit(&asked, &[("action", "resend")]).await.status, 429);
        assert_eq!(browser.give(&asked, "12").await.status, 400);
        let done = browser.give(&asked, &app.texted_code().await).await;
        assert_eq!((done.status, shown(&done).len()), (200, 24), "{done:?}");
        let methods = app.admin().get("/api/v2/users/auth0%7Calice/authentication-methods").await;
        let mut kinds: Vec<_> = methods.body.as_array().expect("a list").iter().map(|one| format!("{} {}", one["type"], one["confirmed"])).collect();
        kinds.sort();
        assert_eq!(kinds, ["\"phone\" true", "\"recovery-code\" true", "\"totp\" false"]);
        // It is spent; and who has a factor sets up no other with another.
        for path in [path, ticket(json!("phone")).await] {
            assert_ne!(browser.open(&path).await.status, 200);
        }
    }

    async fn the_tenants_own_texts_are_sent_where_they_say_the_code(app: TestApp) {
        let (app, gateway) = guarded(app, &["sms"]).await;
        app.add_phone("auth0|alice", NUMBER).await;
        let set = async |text: &str| {
            let body = json!({ "enrollment_message": "x", "verification_message": text });
            assert_eq!(app.admin().put("/api/v2/guardian/factors/sms/templates", body).await.status, 200);
        };
        for (text, said) in [
            ("{{ code }} opens {{ application.name }} of {{ tenant.friendly_name }}, {{ user.email }}", "CODE opens web of Tenant id, alice@example.com"),
            ("No code", "CODE is your verification code for Tenant id"),
            ("{{ code", "CODE is your verification code for Tenant id"),
        ] {
            set(text).await;
            app.app.clock.advance(codes::LIFETIME);
            browser(&app).sign_in(&Authorize::code("web").path(), "alice@example.com").await;
            let code = app.texted_code().await;
            assert_eq!(delivered(&app, &gateway).await[0]["body"], json!(said.replace("CODE", &code)), "{text}");
        }
    }

    async fn a_message_waits_for_its_gateway_as_long_as_its_code_lasts(app: TestApp) {
        let (app, gateway) = guarded(app, &["sms", "email"]).await;
        app.add_phone("auth0|alice", NUMBER).await;
        gateway.answers(500);
        let mut browser = browser(&app);
        let page = browser.sign_in(&Authorize::code("web").path(), "alice@example.com").await;
        let code = app.texted_code().await;
        assert_eq!(delivered(&app, &gateway).await.len(), 1);
        assert_eq!(fate(&app).await, ("queued".into(), Some("The SMS gateway did not take the message: status 500".into())));
        gateway.answers(200);
        app.app.clock.advance(30);
        assert_eq!(delivered(&app, &gateway).await.len(), 1);
        assert_eq!(fate(&app).await.0, "sent");
        let landed = browser.give(&page, &code).await;
        assert!(!landed.param("code").is_empty(), "{landed:?}");
        // A code that has ended is not sent any more, and that is told.
        gateway.answers(500);
        crate::security::browser(&app).sign_in(&Authorize::code("web").path(), "alice@example.com").await;
        assert_eq!(delivered(&app, &gateway).await.len(), 1);
        gateway.answers(200);
        app.app.clock.advance(codes::LIFETIME);
        assert_eq!(delivered(&app, &gateway).await, Vec::<Value>::new());
        assert_eq!(fate(&app).await, ("failed".into(), Some("the code has ended before it could be sent".into())));
        assert!(app.events().await.contains(&"fn".to_owned()));
    }

    async fn without_a_gateway_or_a_way_nothing_is_offered(app: TestApp) {
        let app = prepared(app).await;
        app.guard(&["sms"], &["all-applications"]).await;
        let me = |app: &TestApp| app.token("auth0|alice", "read:me:factors").claiming("aud", app.tenant.my_account_audience());
        let offered = async |app: &TestApp| me(app).get("/me/v1/factors").await.body["factors"].clone();
        let path = Authorize::code("web").path();
        let landed = browser(&app).sign_in(&path, "alice@example.com").await;
        assert!(!landed.param("code").is_empty(), "{landed:?}");
        assert_eq!(offered(&app).await, json!([]));
        let gateway = Hook::open().await;
        app.add_gateway(&gateway).await;
        assert_eq!(offered(&app).await, json!([{ "type": "phone", "usage": ["secondary"] }]));
        let page = browser(&app).sign_in(&path, "alice@example.com").await;
        assert_eq!(page_of(&page), ENROLLMENT);
        // Calls are none of ours.
        let types = "/api/v2/guardian/factors/phone/message-types";
        for (kinds, page) in [(json!(["voice"]), ""), (json!(["sms", "voice"]), ENROLLMENT)] {
            assert_eq!(app.admin().put(types, json!({ "message_types": kinds })).await.status, 200);
            assert_eq!(page_of(&browser(&app).sign_in(&path, "alice@example.com").await), page, "{kinds}");
        }
    }

    async fn a_number_is_enrolled_and_given_at_the_token_endpoint(app: TestApp) {
        let gateway = Hook::open().await;
        let app = ready(app, &["sms", "recovery-code"], &["all-applications"]).await;
        app.add_gateway(&gateway).await;
        let asked = password("alice").send(&app).await;
        assert_eq!(asked.body["mfa_requirements"], json!({ "enroll": [{ "type": "phone" }] }));
        let token = asked.body["mfa_token"].as_str().expect("a token").to_owned();
        let oob = |channels: Value, number: Value| json!({ "authenticator_types": ["oob"], "oob_channels": channels, "phone_number": number });
        for (more, text) in [
            (oob(json!(["voice"]), json!(NUMBER)), "None of the oob_channels is supported"),
            (oob(json!(["auth0"]), json!(NUMBER)), "None of the oob_channels is supported"),
            (oob(json!(["email"]), json!(NUMBER)), "None of the oob_channels is supported"),
            (json!({ "authenticator_types": ["otp"], "oob_channels": ["sms"], "phone_number": NUMBER }), "None of the authenticator_types is supported"),
            (oob(json!(["sms"]), json!(null)), "Missing required parameter: phone_number"),
            (oob(json!(["sms"]), json!("5550100")), "phone_number must be a number with its country code"),
            (oob(json!(["sms"]), json!(15550100123_i64)), "phone_number must be a number with its country code"),
        ] {
            assert_refused(&associate(&app, &token, more).await, 400, "invalid_request", text);
        }
        assert_eq!(app.messages().await, []);
        let begun = associate(&app, &token, oob(json!(["voice", "sms"]), json!("+1 555 010 0123"))).await;
        let (oob_code, recovery) = (oob_code(&begun), begun.body["recovery_codes"].clone());
        assert_eq!((begun.status, &begun.body), (200, &json!({
            "authenticator_type": "oob", "binding_method": "prompt", "oob_channel": "sms", "oob_code": oob_code, "recovery_codes": recovery,
        })));
        let listed = bearer(&app, &token).get("/mfa/authenticators").await;
        let listed = listed.body.as_array().expect("a list").iter().find(|one| one["type"] == "phone").expect("the phone").clone();
        let id = listed["id"].as_str().expect("is text").to_owned();
        assert!(id.starts_with("sms|dev_"), "{id}");
        assert_eq!(listed, json!({ "id": id, "authenticator_type": "oob", "active": false, "oob_channel": "sms", "name": "XXXXXXXX0123", "type": "phone" }));
        let exchange = give(OOB, &token).with("oob_code", &oob_code);
        assert_refused(&exchange.with("binding_code", "x").send(&app).await, 403, "invalid_grant", "Invalid binding_code.");
        let (number, code) = app.messages().await.pop().expect("a message");
        assert_eq!(number, NUMBER);
        grant_of(&exchange.with("binding_code", &code).send(&app).await);

        let asked = password("alice").send(&app).await;
        assert_eq!(asked.body["mfa_requirements"], json!({ "challenge": [{ "type": "phone" }, { "type": "recovery-code" }] }));
        let token = asked.body["mfa_token"].as_str().expect("a token").to_owned();
        for more in [
            json!({ "challenge_type": "otp" }),
            json!({ "challenge_type": "oob", "oob_channel": "email" }),
            json!({ "challenge_type": "oob", "oob_channel": "voice" }),
            json!({ "challenge_type": "oob", "authenticator_id": "sms|dev_none" }),
        ] {
            let refused = challenge(&app, &token, more).await;
            assert_eq!((refused.status, &refused.body["error"]), (400, &json!("unsupported_challenge_type")), "{refused:?}");
        }
        for more in [json!({}), json!({ "challenge_type": "oob otp", "oob_channel": "sms" }), json!({ "challenge_type": "oob", "authenticator_id": id })] {
            let sent = challenge(&app, &token, more).await;
            assert_eq!((sent.status, &sent.body["challenge_type"], &sent.body["binding_method"]), (200, &json!("oob"), &json!("prompt")), "{sent:?}");
        }
        app.app.clock.advance(1);
        let sent = challenge(&app, &token, json!({})).await;
        let code = app.texted_code().await;
        grant_of(&give(OOB, &token).with("oob_code", &self::oob_code(&sent)).with("binding_code", &code).send(&app).await);
        assert!(app.events().await.contains(&"gd_send_sms".to_owned()));
    }

    async fn a_phone_is_removed_by_the_id_of_its_authenticator(app: TestApp) {
        let gateway = Hook::open().await;
        let app = ready(app, &["sms"], &[]).await;
        app.add_gateway(&gateway).await;
        let phone = app.add_phone("auth0|alice", NUMBER).await;
        let whole = password("alice").with("audience", "https://id.test/mfa/").with("scope", "read:authenticators remove:authenticators");
        let token = mfa_token(&app, &whole).await;
        let sent = challenge(&app, &token, json!({})).await;
        let given = give(OOB, &token).with("oob_code", &oob_code(&sent)).with("binding_code", &app.texted_code().await);
        let bought = grant_of(&given.send(&app).await);
        let caller = bearer(&app, &bought.access_token);
        let path = |way: &str| format!("/mfa/authenticators/{way}%7C{}", phone.id);
        for other in ["phone", "voice"] {
            assert_refused(&caller.delete(&path(other)).await, 404, "not_found", "Authenticator not found");
        }
        assert_eq!(caller.delete(&path("sms")).await.status, 204);
        assert_eq!(caller.get("/mfa/authenticators").await.body, json!([]));
        assert_eq!(app.letters("factor_removed").await.len(), 1);
    }

    /// A back end asks for its people: what is counted for an address, and told of one, is theirs where it is trusted to say so.
    async fn a_trusted_back_end_names_the_address_that_is_counted(app: TestApp) {
        let gateway = Hook::open().await;
        let app = ready(app, &["sms"], &["all-applications"]).await;
        app.add_gateway(&gateway).await;
        app.add_phone("auth0|alice", NUMBER).await;
        let mut told = Vec::new();
        for trusted in [false, true] {
            let set = json!({ "is_token_endpoint_ip_header_trusted": trusted });
            assert_eq!(app.admin().patch("/api/v2/clients/server", set).await.status, 200);
            let token = mfa_token(&app, &password("alice")).await;
            let body = json!({ "client_id": "server", "client_secret": secret_of("server"), "mfa_token": token });
            let sent = app.caller().with("auth0-forwarded-for", "198.51.100.7").post("/mfa/challenge", body).await;
            assert_eq!(sent.status, 200, "{sent:?}");
            told.push(delivered(&app, &gateway).await[0]["req"]["ip"].clone());
            app.app.clock.advance(60);
        }
        for trusted in [false, true] {
            let set = json!({ "is_token_endpoint_ip_header_trusted": trusted });
            assert_eq!(app.admin().patch("/api/v2/clients/server", set).await.status, 200);
            let token = mfa_token(&app, &password("bob")).await;
            let body = json!({
                "client_id": "server", "client_secret": secret_of("server"),
                "authenticator_types": ["oob"], "oob_channels": ["sms"], "phone_number": "+15550100124",
            });
            let caller = bearer(&app, &token).with("auth0-forwarded-for", "198.51.100.8");
            assert_eq!(caller.post("/mfa/associate", body).await.status, 200);
            told.push(delivered(&app, &gateway).await[0]["req"]["ip"].clone());
        }
        assert_eq!(told, ["203.0.113.9", "198.51.100.7", "203.0.113.9", "198.51.100.8"]);
    }

    async fn of_several_numbers_the_one_that_is_named_gets_the_code(app: TestApp) {
        let gateway = Hook::open().await;
        let app = ready(app, &["sms"], &["all-applications"]).await;
        app.add_gateway(&gateway).await;
        app.add_phone("auth0|alice", NUMBER).await;
        app.app.clock.advance(1);
        let second = app.add_phone("auth0|alice", "+15550100999").await;
        let token = mfa_token(&app, &password("alice")).await;
        let named = json!({ "challenge_type": "oob", "authenticator_id": format!("sms|{}", second.id) });
        let sent = challenge(&app, &token, named).await;
        let (number, code) = app.messages().await.pop().expect("a message");
        assert_eq!(number, "+15550100999");
        grant_of(&give(OOB, &token).with("oob_code", &oob_code(&sent)).with("binding_code", &code).send(&app).await);
        app.app.clock.advance(1);
        let token = mfa_token(&app, &password("alice")).await;
        assert_eq!(challenge(&app, &token, json!({})).await.status, 200);
        assert_eq!(app.messages().await.pop().expect("a message").0, NUMBER);
    }

    async fn a_strict_client_is_refused_as_the_specifications_have_it_by_sms_too(app: TestApp) {
        let gateway = Hook::open().await;
        let app = ready(app, &["sms"], &["all-applications"]).await;
        app.add_gateway(&gateway).await;
        app.add_phone("auth0|alice", NUMBER).await;
        assert_eq!(app.admin().patch("/api/v2/doorward/clients/server", json!({ "strict": true })).await.status, 200);
        let asked = password("alice").send(&app).await;
        let token = asked.body["mfa_token"].as_str().expect("a token").to_owned();
        let sent = challenge(&app, &token, json!({})).await;
        let wrong = give(OOB, &token).with("oob_code", &oob_code(&sent)).with("binding_code", "x").send(&app).await;
        assert_refused(&wrong, 400, "invalid_grant", "Invalid binding_code.");
        let more = json!({ "authenticator_types": ["oob"], "oob_channels": ["sms"], "phone_number": "+15550100124" });
        let refused = associate(&app, &token, more).await;
        assert_eq!((refused.status, &refused.body["error"]), (400, &json!("access_denied")), "{refused:?}");
    }

    async fn a_person_enrols_lists_and_removes_their_phone_with_my_account(app: TestApp) {
        let (app, gateway) = guarded(app, &["sms"]).await;
        let scopes = "read:me:authentication_methods create:me:authentication_methods update:me:authentication_methods delete:me:authentication_methods";
        let alice = app.token("auth0|alice", scopes).claiming("aud", app.tenant.my_account_audience());
        for (body, detail) in [
            (json!({ "type": "phone" }), "Missing required property: phone_number"),
            (json!({ "type": "phone", "phone_number": "555" }), "Object didn't pass validation for format phone-number: 555"),
            (json!({ "type": "phone", "phone_number": NUMBER, "email": "a@example.com" }), "Additional properties not allowed: email"),
        ] {
            let refused = alice.post(METHODS, body).await;
            assert!(refused.status == 400 && refused.text.contains(detail), "{refused:?}");
        }
        let begun = alice.post(METHODS, json!({ "type": "phone", "phone_number": "+1 555 010 0123", "preferred_authentication_method": "sms" })).await;
        let id = begun.body["id"].as_str().unwrap_or_else(|| panic!("{begun:?}")).to_owned();
        assert!(begun.status == 202 && id.starts_with("phone|dev_"), "{begun:?}");
        let code = app.texted_code().await;
        assert_eq!(delivered(&app, &gateway).await[0]["recipient"], json!(NUMBER));
        let path = format!("{METHODS}/{}", id.replace('|', "%7C"));
        let proof = |code: &str| json!({ "auth_session": begun.body["auth_session"], "otp_code": code });
        let wrong = alice.post(&format!("{path}/verify"), proof(if code == "000000" { "000001" } else { "000000" })).await;
        assert_eq!((wrong.status, &wrong.body["detail"]), (400, &json!("Invalid otp_code.")));
        let done = alice.post(&format!("{path}/verify"), proof(&code)).await;
        assert_eq!(done.status, 201, "{done:?}");
        assert_eq!(alice.post(&format!("{path}/verify"), proof(&code)).await.status, 400, "it works once");
        let shown = alice.get(&path).await;
        assert_eq!(
            (&shown.body["type"], &shown.body["phone_number"], &shown.body["preferred_authentication_method"], &shown.body["confirmed"]),
            (&json!("phone"), &json!(NUMBER), &json!("sms"), &json!(true))
        );
        assert_eq!(alice.delete(&path).await.status, 204);
        assert_eq!(model::factors::list(&app.app.db, &app.tenant.id, &"auth0|alice".into()).await.expect("reads").len(), 0);
        // What an administrator sets is asked for like what a person enrolled.
        let body = json!({ "type": "phone", "phone_number": NUMBER, "preferred_authentication_method": "voice" });
        assert_eq!(app.admin().post("/api/v2/users/auth0%7Calice/authentication-methods", body).await.status, 201);
        let page = browser(&app).sign_in(&Authorize::code("web").path(), "alice@example.com").await;
        assert_eq!(page_of(&page), CHALLENGE);
        let factors = model::factors::list(&app.app.db, &app.tenant.id, &"auth0|alice".into()).await.expect("reads");
        assert_eq!(factors.iter().map(|factor| factor.kind).collect::<Vec<_>>(), [Kind::Phone]);
    }
}
