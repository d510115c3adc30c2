//! Signing in without a password (authentication contract §3.4, §8.3, §8.4).

use axum::http::Method;
use serde_json::{Value, json};

use crate::security::exchange::{Exchange, assert_refused, at_once, grant_of, userinfo};
use crate::security::{claims, prepared};
use crate::support::browser::{CALLBACK, CHALLENGE, Form};
use crate::support::factors::page_of;
use crate::support::{Answer, Authorize, Browser, TestApp};

const GRANT: &str = "http://auth0.com/oauth/grant-type/passwordless/otp";
const WRONG: &str = "Wrong email or verification code.";

/// With the connection `email`, and the app `phone` whose users sign in with it.
async fn ready(app: TestApp) -> TestApp {
    let app = prepared(app).await;
    for client in ["phone", "tablet"] {
        let body = json!({
            "app_type": "native",
            "oidc_conformant": true,
            "callbacks": [CALLBACK],
            "token_endpoint_auth_method": "none",
            "grant_types": [GRANT, "authorization_code", "implicit", "refresh_token", "http://auth0.com/oauth/grant-type/mfa-otp"],
        });
        app.add_client(client, body).await;
    }
    let connection =
        json!({ "name": "email", "strategy": "email", "enabled_clients": ["phone", "tablet", "web"] });
    let made = app.admin().post("/api/v2/connections", connection).await;
    assert_eq!(made.status, 201, "{}", made.text);
    app
}

async fn start(app: &TestApp, body: Value) -> Answer {
    let mut whole =
        json!({ "client_id": "phone", "connection": "email", "email": "Ann@example.com", "send": "code" });
    whole.as_object_mut().expect("an object").extend(body.as_object().expect("an object").clone());
    app.caller().post("/passwordless/start", whole).await
}

/// The code of the last letter.
async fn code(app: &TestApp) -> String {
    let (_, variables) = app.letters("auth_email_by_code").await.pop().expect("a letter");
    variables["code"].as_str().expect("is text").to_owned()
}

/// The path of the link in the last letter.
async fn link(app: &TestApp) -> String {
    let (_, variables) = app.letters("auth_email_by_link").await.pop().expect("a letter");
    let url = variables["url"].as_str().expect("is text");
    url.strip_prefix("https://id.test").expect("is ours").to_owned()
}

fn give(code: &str) -> Exchange {
    Exchange::new("phone", GRANT)
        .without("client_secret")
        .with("username", "ann@example.com")
        .with("otp", code)
        .with("realm", "email")
}

fn params() -> Value {
    json!({
        "redirect_uri": CALLBACK, "scope": "openid email", "state": "st", "response_type": "code",
        "code_challenge": CHALLENGE, "code_challenge_method": "S256",
    })
}

both_databases! {
    /// An administrator makes a user, who then signs in by a code and is the same one.
    async fn a_user_may_be_there_before_their_first_code(app: TestApp) {
        let app = ready(app).await;
        let admin = app.admin();
        let new = json!({ "connection": "email", "email": "Ann@example.com", "user_metadata": { "color": "teal" } });
        let made = admin.post("/api/v2/users", new.clone()).await;
        assert_eq!(made.status, 201, "{}", made.text);
        let id = made.body["user_id"].as_str().expect("is text");
        assert!(id.strip_prefix("email|").is_some_and(|subject| subject.len() == 24), "{id}");
        assert_eq!((&made.body["email"], &made.body["email_verified"]), (&json!("ann@example.com"), &json!(false)));
        assert!(app.posted().await.is_empty(), "the code proves the address");
        assert_eq!(admin.post("/api/v2/users", new.clone()).await.status, 409);
        for (property, value) in [("password", "Correct-horse-9"), ("username", "ann")] {
            let mut with = new.clone();
            with[property] = json!(value);
            let refused = admin.post("/api/v2/users", with).await;
            assert_eq!(refused.status, 400, "{property}");
            assert!(refused.text.contains(&format!("Additional properties not allowed: {property}")), "{}", refused.text);
        }
        let nobody = admin.post("/api/v2/users", json!({ "connection": "email", "phone_number": "+15551234" })).await;
        assert!(nobody.status == 400 && nobody.text.contains("Missing required property: email"), "{}", nobody.text);
        assert_eq!(start(&app, json!({})).await.status, 200);
        let tokens = give(&code(&app).await).send(&app).await;
        assert_eq!(tokens.status, 200, "{}", tokens.text);
        let user = admin.get(&format!("/api/v2/users/{}", id.replace('|', "%7C"))).await.body;
        assert_eq!((&user["email_verified"], &user["logins_count"], &user["user_metadata"]["color"]), (&json!(true), &json!(1), &json!("teal")));
    }

    /// RFC 9126 §6, RFC 9101 §10.5: a link could be changed by whoever opens it, and so holds nothing but a name for what was asked.
    async fn a_link_of_a_client_that_insists_holds_what_it_sent_itself(app: TestApp) {
        let app = ready(app).await;
        let insists = json!({ "require_pushed_authorization_requests": true });
        assert_eq!(app.admin().patch("/api/v2/clients/phone", insists).await.status, 200);
        let bad = start(&app, json!({ "send": "link", "authParams": { "response_type": "nothing" } })).await;
        assert_eq!((bad.status, &bad.body["error"]), (400, &json!("unsupported_response_type")), "{bad:?}");
        let begun = start(&app, json!({ "send": "link", "authParams": params() })).await;
        assert_eq!(begun.status, 200, "{begun:?}");
        let path = link(&app).await;
        assert!(path.contains("request_uri=urn") && !path.contains("redirect_uri") && !path.contains("scope"), "{path}");
        let mut browser = Browser::new(app.caller());
        // Whoever looks at it, and whatever stands beside it: what counts is what was kept.
        let page = browser.get(&format!("{path}&scope=openid%20profile&state=evil")).await;
        assert!(Form::of(&page).action.starts_with("/passwordless"), "{page:?}");
        let landed = browser.submit(&page, &[]).await;
        assert_eq!((landed.param("state").as_str(), landed.param("code").is_empty()), ("st", false), "{landed:?}");
        let others = path.replace("client_id=phone", "client_id=tablet");
        assert_eq!(Browser::new(app.caller()).get(&others).await.status, 400);
        app.app.clock.advance(model::passwordless::LINK_LIFETIME);
        assert_eq!(Browser::new(app.caller()).get(&path).await.status, 400);
    }

    async fn a_strict_client_is_refused_as_the_specification_has_it(app: TestApp) {
        let app = ready(app).await;
        for client in ["web", "phone"] {
            let set = app.admin().patch(&format!("/api/v2/doorward/clients/{client}"), json!({ "strict": true })).await;
            assert_eq!(set.status, 200);
        }
        let unproven = start(&app, json!({ "client_id": "web" })).await;
        assert_eq!((unproven.status, &unproven.body["error"]), (401, &json!("invalid_client")), "{unproven:?}");
        assert_eq!(start(&app, json!({})).await.status, 200);
        let body = json!({ "client_id": "phone", "connection": "email", "email": "ann@example.com", "verification_code": "000000" });
        let wrong = app.caller().post("/passwordless/verify", body).await;
        assert_eq!((wrong.status, &wrong.body["error"]), (400, &json!("invalid_grant")), "{wrong:?}");
        let exchanged = give("000000").send(&app).await;
        assert_refused(&exchanged, 400, "invalid_grant", WRONG);
        // What is no code of the specifications' is told alike.
        for (more, error) in [
            (json!({ "connection": "nowhere" }), "bad.connection"),
            (json!({ "email": "nobody" }), "bad.email"),
            (json!({ "more": 1 }), "bad.request"),
        ] {
            let answer = start(&app, more).await;
            assert_eq!((answer.status, &answer.body["error"]), (400, &json!(error)), "{answer:?}");
        }
    }

    async fn a_code_signs_in_and_makes_its_user_once(app: TestApp) {
        let app = ready(app).await;
        let sent = start(&app, json!({})).await;
        assert_eq!(sent.header("content-type"), "application/json; charset=utf-8");
        let id = sent.body["_id"].as_str().expect("is text").to_owned();
        assert_eq!((sent.status, &sent.body), (200, &json!({ "_id": id, "email": "ann@example.com", "email_verified": false })));
        assert_eq!(id.len(), 24);
        let first = code(&app).await;
        let answer = give(&format!("{} {}", &first[..3], &first[3..])).with("scope", "openid email offline_access").send(&app).await;
        let bought = grant_of(&answer);
        assert_eq!(bought.scope, "openid email offline_access");
        let told = userinfo(&app, &bought.access_token).await;
        assert_eq!(told.body, json!({ "sub": format!("email|{id}"), "email": "ann@example.com", "email_verified": true }));
        assert_eq!(Exchange::refresh("phone", &bought.refresh_token).without("client_secret").send(&app).await.status, 200);
        // Spent.
        assert_refused(&give(&first).send(&app).await, 403, "invalid_grant", WRONG);

        app.app.clock.advance(60);
        assert_eq!(start(&app, json!({ "email": "ANN@EXAMPLE.COM" })).await.body["_id"], json!(id), "known and unknown look alike");
        let second = code(&app).await;
        grant_of(&give(&second).send(&app).await);
        let user = app.admin().get(&format!("/api/v2/users/email%7C{id}")).await;
        assert_eq!((&user.body["logins_count"], &user.body["identities"][0]["provider"], &user.body["name"]), (&json!(2), &json!("email"), &json!("ann@example.com")));
        let events = app.events().await;
        assert_eq!(["cs", "ss", "sepft"].map(|kind| events.iter().filter(|event| *event == kind).count()), [2, 1, 2]);
        assert_eq!(claims(answer.body["id_token"].as_str().expect("a token")).get("sid"), None);
    }

    async fn a_linked_accounts_code_goes_to_its_own_address(app: TestApp) {
        let app = ready(app).await;
        let id = start(&app, json!({})).await.body["_id"].as_str().expect("is text").to_owned();
        grant_of(&give(&code(&app).await).send(&app).await);
        let linked = app.admin().post("/api/v2/users/auth0%7Calice/identities", json!({ "provider": "email", "user_id": id })).await;
        assert_eq!(linked.status, 201, "{}", linked.text);
        app.app.clock.advance(60);
        assert_eq!(start(&app, json!({})).await.body["_id"], json!(id));
        let (to, _) = app.letters("auth_email_by_code").await.pop().expect("a letter");
        assert_eq!(to, "ann@example.com");
        let bought = grant_of(&give(&code(&app).await).send(&app).await);
        assert_eq!(userinfo(&app, &bought.access_token).await.body["sub"], "auth0|alice");
    }

    async fn a_link_signs_the_browser_in(app: TestApp) {
        let app = ready(app).await;
        assert_eq!(start(&app, json!({ "send": "link", "authParams": params() })).await.status, 200);
        let path = link(&app).await;
        let mut browser = Browser::new(app.caller());
        // RC-04: programs that look into mail follow it too.
        for _ in 0..3 {
            assert_eq!(browser.get(&path).await.status, 200);
            assert_eq!(app.caller().send(Method::HEAD, &path, None, String::new()).await.status, 200);
        }
        let page = browser.get(&path).await;
        assert_eq!(page_of(&page), "/passwordless/verify_redirect");
        assert!(page.text.contains("Sign in to phone") && page.text.contains("Ann@example.com"), "{}", page.text);
        // LS-03: without the form's token, or in another browser, it is nobody's.
        let form = Form::of(&page);
        let fields = |csrf: &str| form.fields.iter().map(|(name, value)| (name.clone(), if name == "_csrf" { csrf.to_owned() } else { value.clone() })).collect::<Vec<_>>();
        for (caller, csrf) in [(browser.caller(), ""), (app.caller(), form.field("_csrf"))] {
            let fields = fields(csrf);
            let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            assert_eq!(caller.form("/passwordless/verify_redirect", &fields).await.status, 403);
        }
        let landed = browser.submit(&page, &[]).await;
        assert_eq!(landed.param("state"), "st");
        let bought = Exchange::code("phone", &landed.param("code")).without("client_secret").send(&app).await;
        assert_eq!(grant_of(&bought).scope, "openid email");
        // The session is one like any other, for apps that share the connection.
        let silent = browser.open(&Authorize::code("tablet").with("prompt", "none").path()).await;
        assert!(!silent.param("code").is_empty(), "{silent:?}");
        let elsewhere = browser.open(&Authorize::code("page").with("prompt", "none").path()).await;
        assert_eq!(elsewhere.param("error"), "login_required");
        // Once.
        let mut other = Browser::new(app.caller());
        let page = other.get(&path).await;
        let over = other.submit(&page, &[]).await;
        assert_eq!((over.status, over.text.contains("This link was used before, or it is too old.")), (400, true), "{over:?}");
        assert!(app.events().await.contains(&"cls".to_owned()));
    }

    async fn a_link_leads_to_the_apps_own_callback_alone(app: TestApp) {
        let app = ready(app).await;
        let evil = json!({ "redirect_uri": "https://evil.test/cb", "response_type": "code" });
        let refused = start(&app, json!({ "send": "link", "authParams": evil })).await;
        assert_eq!((refused.status, &refused.body["error"]), (400, &json!("bad.authParams")));
        assert!(app.letters("auth_email_by_link").await.is_empty());
        // What `authParams` say of the link itself counts for nothing.
        let mut sly = params();
        sly["client_id"] = "web".into();
        sly["verification_code"] = "x".into();
        assert_eq!(start(&app, json!({ "send": "link", "authParams": sly })).await.status, 200);
        let path = link(&app).await;
        assert_eq!(["client_id=phone&", "client_id=", "verification_code="].map(|name| path.matches(name).count()), [1, 1, 1], "{path}");
        let tampered = path.replace("https%3A%2F%2Fapp.test%2Fcb", "https%3A%2F%2Fevil.test%2Fcb");
        assert_ne!(tampered, path);
        let page = Browser::new(app.caller()).get(&tampered).await;
        assert_eq!((page.status, page.has("location")), (403, false));
        app.app.clock.advance(300);
        let mut late = Browser::new(app.caller());
        let page = late.get(&path).await;
        assert_eq!(late.submit(&page, &[]).await.status, 400, "five minutes");
    }

    async fn a_code_is_bound_worn_out_and_late(app: TestApp) {
        let app = ready(app).await;
        start(&app, json!({})).await;
        let right = code(&app).await;
        let other = if right == "000000" { "000001" } else { "000000" };
        // Another app's, another address's.
        let tablet = Exchange::new("tablet", GRANT).without("client_secret").with("username", "ann@example.com").with("otp", &right).with("realm", "email");
        assert_refused(&tablet.send(&app).await, 403, "invalid_grant", WRONG);
        assert_refused(&give(&right).with("username", "bob@example.com").send(&app).await, 403, "invalid_grant", WRONG);
        for _ in 0..4 {
            assert_refused(&give(other).send(&app).await, 403, "invalid_grant", WRONG);
        }
        let worn = "You've reached the maximum number of attempts. Please try to login again.";
        assert_refused(&give(&right).send(&app).await, 403, "invalid_grant", worn);
        app.app.clock.advance(60);
        start(&app, json!({})).await;
        let late = code(&app).await;
        app.app.clock.advance(180);
        assert_refused(&give(&late).send(&app).await, 403, "invalid_grant", "The verification code has expired. Please try to login again.");
        // Guesses count as those of passwords do.
        for _ in 0..10 {
            let status = give(other).send(&app).await.status;
            assert!([403, 429].contains(&status));
        }
        app.app.clock.advance(60);
        start(&app, json!({})).await;
        let blocked = give(&code(&app).await).send(&app).await;
        assert_eq!((blocked.status, &blocked.body["error"]), (429, &json!("too_many_attempts")), "{blocked:?}");
        let elsewhere = give(&code(&app).await).send_as(&app.caller().from("198.51.100.7")).await;
        assert_eq!(elsewhere.status, 200, "{elsewhere:?}");
    }

    async fn who_may_not_sign_up_is_not_told(app: TestApp) {
        let app = ready(app).await;
        start(&app, json!({})).await;
        grant_of(&give(&code(&app).await).send(&app).await);
        let id = app.admin().get("/api/v2/connections?name=email").await.body[0]["id"].as_str().expect("is text").to_owned();
        let closed = json!({ "options": { "disable_signup": true, "brute_force_protection": true } });
        assert_eq!(app.admin().patch(&format!("/api/v2/connections/{id}"), closed).await.status, 200);
        app.app.clock.advance(60);
        let before = app.letters("auth_email_by_code").await.len();
        let unknown = start(&app, json!({ "email": "new@example.com" })).await;
        assert_eq!((unknown.status, unknown.body.as_object().map(|body| body.len())), (200, Some(3)));
        assert_eq!(app.letters("auth_email_by_code").await.len(), before);
        assert_eq!(start(&app, json!({})).await.status, 200);
        assert_eq!(app.letters("auth_email_by_code").await.len(), before + 1);
        grant_of(&give(&code(&app).await).send(&app).await);
        let users = app.admin().get("/api/v2/users?q=email%3Anew%40example.com").await;
        assert_eq!(users.body, json!([]));
    }

    async fn what_the_start_refuses(app: TestApp) {
        let app = ready(app).await;
        let sms = json!({ "name": "sms", "strategy": "sms", "enabled_clients": ["phone"] });
        assert_eq!(app.admin().post("/api/v2/connections", sms).await.status, 201);
        let closed = json!({ "name": "closed", "strategy": "email" });
        assert_eq!(app.admin().post("/api/v2/connections", closed).await.status, 201);
        for (body, error, text) in [
            (json!({ "color": "red" }), "bad.request", "the following properties are not allowed: color"),
            (json!({ "client_id": "" }), "bad.client_id", "Missing required property: client_id"),
            (json!({ "client_id": "nobody" }), "bad.client_id", "Client does not exist"),
            (json!({ "connection": null }), "bad.connection", "Missing required property: connection"),
            (json!({ "connection": "nothing" }), "bad.connection", "Connection does not exist"),
            (json!({ "connection": "Username-Password-Authentication" }), "bad.connection", "Connection does not exist"),
            (json!({ "connection": "closed" }), "bad.connection", "Connection is disabled"),
            (json!({ "connection": "sms", "phone_number": "+1" }), "sms_provider_error", "No SMS gateway is configured"),
            (json!({ "email": null }), "bad.email", "Missing required property: email"),
            (json!({ "email": "nobody" }), "bad.email", "Invalid email address"),
            (json!({ "send": "pigeon" }), "bad.request", "send must be code or link"),
            (json!({ "authParams": "x" }), "bad.authParams", "authParams must be an object"),
            (json!({ "authParams": { "scope": 1 } }), "bad.authParams", "authParams must be an object of strings"),
        ] {
            assert_refused(&start(&app, body).await, 400, error, text);
        }
        let bare = start(&app, json!({ "client_id": "web" })).await;
        assert_refused(&bare, 401, "unauthorized_client", "Client authentication is required");
        let wrong = start(&app, json!({ "client_id": "web", "client_secret": "x" })).await;
        assert_refused(&wrong, 401, "access_denied", "Unauthorized");
        assert_eq!(start(&app, json!({ "client_id": "web", "client_secret": "web-secret" })).await.status, 200);
        assert_refused(&give("1").without("realm").send(&app).await, 400, "invalid_request", "Missing required parameter: realm");
        assert_refused(&give("1").with("realm", "closed").send(&app).await, 400, "invalid_request", "Unknown realm closed.");
        let foreign = Exchange::new("web", GRANT).with("username", "a@b.test").with("otp", "1").with("realm", "email").send(&app).await;
        assert_eq!((foreign.status, &foreign.body["error"]), (403, &json!("unauthorized_client")));
    }

    async fn an_address_gets_so_many_codes_an_hour(app: TestApp) {
        let app = ready(app).await;
        for number in 0..10 {
            assert_eq!(start(&app, json!({})).await.status, 200, "{number}");
            app.app.clock.advance(20);
        }
        let many = start(&app, json!({})).await;
        assert_eq!((many.status, &many.body["error"]), (429, &json!("too_many_attempts")));
        assert_eq!(app.letters("auth_email_by_code").await.len(), 10);
        // Who asked for them locks nobody out who asks from elsewhere.
        let body = json!({ "client_id": "phone", "connection": "email", "email": "ann@example.com", "send": "code" });
        let elsewhere = app.caller().from("198.51.100.7").post("/passwordless/start", body).await;
        assert_eq!(elsewhere.status, 200, "{elsewhere:?}");
        assert_eq!(app.letters("auth_email_by_code").await.len(), 11);
        // Two at once are one letter.
        for _ in 0..2 {
            assert_eq!(start(&app, json!({ "email": "eve@example.com" })).await.status, 200);
        }
        assert_eq!(app.letters("auth_email_by_code").await.len(), 12);
        for number in 0..40 {
            assert!([200, 429].contains(&start(&app, json!({ "email": format!("{number}@example.com") })).await.status));
        }
        assert_eq!(start(&app, json!({ "email": "one-more@example.com" })).await.status, 429);
        // What is counted for an address is a person's, where a back end is trusted to name theirs.
        let told = app.caller().with("auth0-forwarded-for", "198.51.100.7");
        for (trusted, status) in [(false, 429), (true, 200)] {
            let set = json!({ "is_token_endpoint_ip_header_trusted": trusted });
            assert_eq!(app.admin().patch("/api/v2/clients/web", set).await.status, 200);
            let body = json!({ "client_id": "web", "client_secret": "web-secret", "connection": "email", "email": "last@example.com", "send": "code" });
            assert_eq!(told.post("/passwordless/start", body).await.status, status, "{trusted}");
        }
        app.app.clock.advance(3600);
        assert_eq!(start(&app, json!({})).await.status, 200);
    }

    async fn a_code_is_looked_at_before_the_redirect(app: TestApp) {
        let app = ready(app).await;
        start(&app, json!({})).await;
        let right = code(&app).await;
        let verify = async |code: &str| {
            let body = json!({ "client_id": "phone", "connection": "email", "verification_code": code, "email": "ann@example.com" });
            app.caller().post("/passwordless/verify", body).await
        };
        let other = if right == "000000" { "000001" } else { "000000" };
        assert_refused(&verify(other).await, 401, "invalid_user_password", WRONG);
        let looked = verify(&right).await;
        assert_eq!((looked.status, looked.body), (200, json!({})));
        let path = format!("/passwordless/verify_redirect?client_id=phone&connection=email&email=ann%40example.com&verification_code={right}&response_type=code&redirect_uri=https%3A%2F%2Fapp.test%2Fcb&scope=openid&state=st&code_challenge={CHALLENGE}&code_challenge_method=S256");
        let mut browser = Browser::new(app.caller());
        let page = browser.get(&path).await;
        let landed = browser.submit(&page, &[]).await;
        assert!(!landed.param("code").is_empty(), "{landed:?}");
        assert_refused(&verify(&right).await, 401, "invalid_user_password", WRONG);
    }

    async fn a_code_alone_is_not_enough_where_a_second_factor_is_asked_for(app: TestApp) {
        let app = ready(app).await;
        start(&app, json!({})).await;
        grant_of(&give(&code(&app).await).send(&app).await);
        app.guard(&["otp"], &["all-applications"]).await;
        let user = app.admin().get("/api/v2/users?q=email%3Aann%40example.com").await.body[0]["user_id"].as_str().expect("is text").to_owned();
        let seed = app.add_totp(&user).await;
        app.app.clock.advance(60);
        start(&app, json!({})).await;
        let asked = give(&code(&app).await).with("scope", "openid").send(&app).await;
        assert_eq!((asked.status, &asked.body["error"]), (403, &json!("mfa_required")), "{asked:?}");
        let token = asked.body["mfa_token"].as_str().expect("a token").to_owned();
        let second = Exchange::new("phone", "http://auth0.com/oauth/grant-type/mfa-otp").without("client_secret");
        let answer = second.with("mfa_token", &token).with("otp", &app.code(&seed, 0)).send(&app).await;
        assert_eq!(claims(answer.body["id_token"].as_str().expect("a token"))["amr"], json!(["mfa"]));
        // A blocked user's right code says so, and a wrong one does not.
        assert_eq!(app.admin().patch(&format!("/api/v2/users/{}", user.replace('|', "%7C")), json!({ "blocked": true })).await.status, 200);
        app.app.clock.advance(60);
        start(&app, json!({})).await;
        assert_refused(&give("x").send(&app).await, 403, "invalid_grant", WRONG);
        assert_refused(&give(&code(&app).await).send(&app).await, 403, "invalid_grant", "user is blocked");
    }
}

both_databases_at_once! {
    async fn of_many_uses_of_a_code_one_succeeds(app: TestApp) {
        let app = ready(app).await;
        start(&app, json!({})).await;
        let exchange = give(&code(&app).await);
        let answers = at_once(&app, 5, &exchange).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1, "{answers:?}");
        let users = app.admin().get("/api/v2/users?q=email%3Aann%40example.com").await;
        assert_eq!(users.body.as_array().map(Vec::len), Some(1));
    }
}
