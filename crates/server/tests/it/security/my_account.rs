//! MA: the My Account API.

use axum::http::Method;
use model::factors::attempts::MOST;
use model::resource_servers::{CURRENT_USER_SCOPES, MY_ACCOUNT_SCOPES};
use serde_json::{Value, json};

use super::{browser, prepared};
use crate::support::browser::{CALLBACK, VERIFIER};
use crate::support::factors::page_of;
use crate::support::{Answer, Authorize, Caller, TestApp};

const METHODS: &str = "/me/v1/authentication-methods";

/// Who holds a token for the My Account API with these scopes.
fn me(app: &TestApp, user: &str, scopes: &str) -> Caller {
    app.token(user, scopes).claiming("aud", app.tenant.my_account_audience())
}

/// Who holds one with every scope.
fn all(app: &TestApp, user: &str) -> Caller {
    me(app, user, &MY_ACCOUNT_SCOPES.map(|(scope, _)| scope).join(" "))
}

fn problem(status: u16, title: &str, detail: &str) -> Value {
    json!({ "type": "about:blank", "title": title, "status": status, "detail": detail })
}

fn refused(answer: &Answer, status: u16, title: &str, detail: &str) {
    assert_eq!((answer.status, &answer.body), (status, &problem(status, title, detail)), "{}", answer.text);
}

/// Refused for what was sent.
fn invalid(answer: &Answer, source: &str, detail: &str) {
    let mut body = problem(400, "Bad Request", detail);
    body["validation_errors"] = json!([{ "detail": detail, "source": source }]);
    assert_eq!((answer.status, &answer.body), (400, &body), "{}", answer.text);
}

fn text<'a>(answer: &'a Answer, key: &str) -> &'a str {
    answer.body[key].as_str().unwrap_or_else(|| panic!("{key}: {}", answer.text))
}

/// The path of a method.
fn path(answer: &Answer) -> String {
    format!("{METHODS}/{}", text(answer, "id").replace('|', "%7C"))
}

/// Where an enrolment that began with this answer ends.
fn verify(answer: &Answer) -> String {
    format!("{}/verify", path(answer))
}

fn proof(begun: &Answer, code: &str) -> Value {
    json!({ "auth_session": text(begun, "auth_session"), "otp_code": code })
}

async fn begun(caller: &Caller, body: Value) -> Answer {
    let answer = caller.post(METHODS, body).await;
    assert_eq!(answer.status, 202, "{}", answer.text);
    answer
}

/// What an app shows that read the answer's seed.
fn code(app: &TestApp, begun: &Answer) -> String {
    let seed = model::factors::totp::decode(text(begun, "manual_input_code")).expect("is base32");
    app.code(&seed, 0)
}

/// The user's methods, as they see them.
async fn methods(app: &TestApp, user: &str) -> Vec<Value> {
    let answer = all(app, user).get(METHODS).await;
    answer.body["authentication_methods"].as_array().unwrap_or_else(|| panic!("{}", answer.text)).clone()
}

both_databases! {
    /// MA-01: each operation with each scope, with other tokens, and with none.
    async fn ma_01_an_operation_takes_its_own_scope_of_its_own_audience(app: TestApp) {
        let app = app.without_limits();
        app.add_user("auth0|alice").await;
        let (management, own) = (app.tenant.management_audience(), app.tenant.my_account_audience());
        let scopes: Vec<_> = MY_ACCOUNT_SCOPES.map(|(scope, _)| scope).into_iter().chain(CURRENT_USER_SCOPES).collect();
        let every = format!("{} read:users update:users read:authentication_methods", scopes.join(" "));
        let operations = management::my_account::operations();
        assert_eq!(operations.len(), 7);
        for operation in operations {
            let path = format!("/me/v1{}", operation.path.replace("{authentication_method_id}", "totp%7Cdev_0"));
            let body = json!({ "type": "totp", "auth_session": "x", "otp_code": "123456" }).to_string();
            let call = async |caller: &Caller| {
                let (json, body) = match operation.method {
                    Method::GET | Method::DELETE => (None, String::new()),
                    _ => (Some("application/json"), body.clone()),
                };
                caller.send(operation.method.clone(), &path, json, body).await
            };
            refused(&call(&app.caller()).await, 401, "Unauthorized", "Missing authentication");
            let bad = format!("Bad audience: {own}");
            for audience in [management.as_str(), "https://api.test/", "https://id.test/me", "https://id.test/userinfo"] {
                let caller = app.token("auth0|alice", &every).claiming("aud", audience);
                refused(&call(&caller).await, 401, "Unauthorized", &bad);
            }
            refused(&call(&app.admin()).await, 401, "Unauthorized", &bad);
            let theirs = all(&app, "auth0|alice").claiming("iss", app.other.issuer.clone()).claiming("aud", app.other.my_account_audience());
            let bearer = theirs.at(&app.other).bearer().await;
            let theirs = app.caller().with("authorization", &format!("Bearer {bearer}"));
            refused(&call(&theirs).await, 401, "Unauthorized", "Invalid token");
            let [opens] = &operation.scopes[..] else { panic!("{} has one scope", operation.path) };
            let insufficient = format!("Insufficient scope, expected any of: {}", opens.name);
            for scope in &scopes {
                let answer = call(&me(&app, "auth0|alice", scope)).await;
                if *scope == opens.name {
                    assert!(![401, 403].contains(&answer.status) && answer.status < 500, "{path} {scope}: {}", answer.text);
                } else {
                    refused(&answer, 403, "Forbidden", &insufficient);
                }
            }
            // A machine has no account.
            let machine = app.machine(&every).claiming("aud", own.clone());
            refused(&call(&machine).await, 403, "Forbidden", &insufficient);
        }
        refused(&all(&app, "auth0|alice").get("/me/v1/connected-accounts/accounts").await, 404, "Not Found", "Not Found");
        refused(&all(&app, "auth0|alice").delete("/me/v1/factors").await, 405, "Method Not Allowed", "Method Not Allowed");
        // The reverse: this API's token opens nothing of the other.
        for path in ["/api/v2/users/auth0%7Calice", "/api/v2/users", "/api/v2/users/auth0%7Calice/authentication-methods"] {
            let answer = me(&app, "auth0|alice", &every).get(path).await;
            assert_eq!((answer.status, &answer.body["message"]), (401, &json!(format!("Bad audience: {management}"))), "{path}");
        }
    }

    /// MA-02: an app gets a token only with a grant of an administrator's, with its scopes, and no machine gets one.
    async fn ma_02_a_token_needs_a_grant_for_users(app: TestApp) {
        let app = prepared(app).await;
        app.guard(&["otp"], &[]).await;
        app.add_client("foreign", json!({ "app_type": "spa", "oidc_conformant": true, "callbacks": [CALLBACK], "is_first_party": false,
            "token_endpoint_auth_method": "none", "grant_types": ["authorization_code", "implicit"] })).await;
        let (admin, audience) = (app.admin(), app.tenant.my_account_audience());
        let ask = |client: &str| Authorize::code(client).with("audience", &audience)
            .with("scope", "openid read:me:factors create:me:authentication_methods read:users read:current_user");
        let denied = format!("Client is not authorized to access \"{audience}\".");
        let landed = browser(&app).open(&ask("page").path()).await;
        assert_eq!((landed.param("error"), landed.param("error_description")), ("access_denied".to_owned(), denied.clone()));
        for client in ["page", "foreign", "m2m"] {
            for subject in ["user", "client"] {
                let grant = json!({ "client_id": client, "audience": audience, "subject_type": subject,
                    "scope": ["read:me:factors", "read:me:authentication_methods", "read:users"] });
                assert_eq!(admin.post("/api/v2/client-grants", grant).await.status, 201);
            }
        }
        let landed = browser(&app).open(&ask("foreign").path()).await;
        assert_eq!(landed.param("error_description"), denied);
        let fields = [("grant_type", "client_credentials"), ("client_id", "m2m"), ("client_secret", "m2m-secret"), ("audience", &*audience)];
        let machine = app.caller().form("/oauth/token", &fields).await;
        assert_eq!((machine.status, &machine.body["error"]), (403, &json!("access_denied")), "{}", machine.text);
        assert!(machine.body.get("access_token").is_none());

        let mut browser = browser(&app);
        // Consent is asked for once, and given.
        let landed = browser.sign_in(&ask("page").path(), "alice@example.com").await;
        let code = landed.param("code");
        let fields = [("grant_type", "authorization_code"), ("client_id", "page"), ("code", &*code), ("redirect_uri", CALLBACK), ("code_verifier", VERIFIER)];
        let tokens = app.caller().form("/oauth/token", &fields).await;
        assert_eq!(tokens.body["scope"], "openid read:me:factors", "{}", tokens.text);
        let alice = app.caller().with("authorization", &format!("Bearer {}", text(&tokens, "access_token")));
        let factors = alice.get("/me/v1/factors").await;
        assert_eq!((factors.status, &factors.body), (200, &json!({ "factors": [{ "type": "totp", "usage": ["secondary"] }] })));
        assert_eq!(alice.get(METHODS).await.status, 403);
        // Whoever is blocked is so on the next call.
        assert_eq!(admin.patch("/api/v2/users/auth0%7Calice", json!({ "blocked": true })).await.status, 200);
        refused(&alice.get("/me/v1/factors").await, 401, "Unauthorized", "Invalid token");
        assert_eq!(admin.patch("/api/v2/users/auth0%7Calice", json!({ "blocked": false })).await.status, 200);
        assert_eq!(alice.get("/me/v1/factors").await.status, 200);
        assert_eq!(admin.delete("/api/v2/clients/page").await.status, 204);
        refused(&alice.get("/me/v1/factors").await, 401, "Unauthorized", "Invalid token");
    }

    /// MA-03: an enrolment ends once, with its own `auth_session` and a right code.
    async fn ma_03_an_auth_session_is_good_once(app: TestApp) {
        let app = prepared(app).await.without_limits();
        let alice = all(&app, "auth0|alice");
        let off = alice.post(METHODS, json!({ "type": "totp" })).await;
        refused(&off, 400, "Bad Request", "Authentication methods of type totp are not enabled.");
        app.guard(&["otp"], &["all-applications"]).await;
        let phone = alice.post(METHODS, json!({ "type": "phone", "phone_number": "+15550100123" })).await;
        refused(&phone, 400, "Bad Request", "Authentication methods of type phone are not enabled.");
        for kind in ["passkey", "push-notification", "password"] {
            let answer = alice.post(METHODS, json!({ "type": kind })).await;
            refused(&answer, 400, "Bad Request", &format!("Authentication methods of type {kind} cannot be enrolled."));
        }
        let former = begun(&alice, json!({ "type": "totp" })).await;
        let begun = begun(&alice, json!({ "type": "totp" })).await;
        let id = text(&begun, "id").to_owned();
        assert_eq!(begun.header("location"), format!("https://id.test{}", path(&begun)));
        let uri = format!("otpauth://totp/Tenant%20id:alice%40example.com?secret={}&", text(&begun, "manual_input_code"));
        assert!(text(&begun, "barcode_uri").starts_with(&uri), "{}", begun.text);
        assert_eq!((methods(&app, "auth0|alice").await.len(), &methods(&app, "auth0|alice").await[0]["confirmed"]), (1, &json!(false)));

        let right = code(&app, &begun);
        let session = "Invalid auth_session.";
        let other = json!({ "auth_session": text(&former, "auth_session"), "otp_code": right });
        refused(&alice.post(&verify(&begun), other).await, 400, "Bad Request", session);
        assert_eq!(alice.post(&verify(&former), proof(&former, &right)).await.status, 404, "it was replaced");
        invalid(&alice.post(&verify(&begun), json!({ "auth_session": text(&begun, "auth_session") })).await, "body",
            "Payload validation error: 'Missing required property: otp_code'.");
        let wrong = format!("{:06}", (right.parse::<u32>().expect("is a number") + 1) % 1_000_000);
        refused(&alice.post(&verify(&begun), proof(&begun, &wrong)).await, 400, "Bad Request", "Invalid otp_code.");

        let done = alice.post(&verify(&begun), proof(&begun, &right)).await;
        let now = json!(app.app.clock.now());
        let expected = json!({ "id": id, "type": "totp", "confirmed": true, "usage": ["secondary"], "created_at": now, "last_auth_at": now });
        assert_eq!((done.status, &done.body), (201, &expected), "{}", done.text);
        assert_eq!(done.header("location"), begun.header("location"));
        app.app.clock.advance(60);
        refused(&alice.post(&verify(&begun), proof(&begun, &code(&app, &begun))).await, 400, "Bad Request", session);
        let again = alice.post(METHODS, json!({ "type": "totp" })).await;
        refused(&again, 409, "Conflict", "Authentication method already exists.");
        assert_eq!(app.letters("factor_added").await.len(), 1);

        // It is asked for at the next sign-in, and opens it.
        let mut browser = browser(&app);
        let page = browser.sign_in(&Authorize::code("web").path(), "alice@example.com").await;
        assert_eq!(page_of(&page), "/u/mfa-otp-challenge", "{page:?}");
        assert!(!browser.give(&page, &code(&app, &begun)).await.param("code").is_empty());

        // Neither seed, nor session, nor code is in the log.
        app.events().await;
        let log = app.admin().get("/api/v2/logs?per_page=100").await.text;
        for secret in [text(&begun, "manual_input_code"), text(&begun, "auth_session"), &*right] {
            assert!(!log.contains(secret), "{secret}");
        }
    }

    /// MA-03: an enrolment ends after an hour.
    async fn ma_03_an_auth_session_lasts_an_hour(app: TestApp) {
        app.add_user("auth0|alice").await;
        app.guard(&["otp"], &[]).await;
        for (seconds, status) in [(3600, 400), (3599, 201)] {
            let begun = begun(&all(&app, "auth0|alice"), json!({ "type": "totp" })).await;
            app.app.clock.advance(seconds);
            let answer = all(&app, "auth0|alice").post(&verify(&begun), proof(&begun, &code(&app, &begun))).await;
            assert_eq!(answer.status, status, "{}", answer.text);
        }
    }

    /// MA-04: a stranger's method is as little there as one that never was.
    async fn ma_04_another_users_method_is_not_there(app: TestApp) {
        let app = prepared(app).await;
        app.guard(&["otp"], &[]).await;
        let (alice, bob) = (all(&app, "auth0|alice"), all(&app, "auth0|bob"));
        let begun = begun(&alice, json!({ "type": "totp" })).await;
        let bobs = "The authentication method could not be found.";
        for there in [path(&begun), format!("{METHODS}/totp%7Cdev_0000000000000000"), format!("{METHODS}/x")] {
            for answer in [
                bob.get(&there).await,
                bob.patch(&there, json!({ "name": "Mine" })).await,
                bob.delete(&there).await,
                bob.post(&format!("{there}/verify"), proof(&begun, &code(&app, &begun))).await,
            ] {
                refused(&answer, 404, "Not Found", bobs);
            }
        }
        assert_eq!(methods(&app, "auth0|bob").await, Vec::<Value>::new());
        assert_eq!(alice.post(&verify(&begun), proof(&begun, &code(&app, &begun))).await.status, 201);
        assert_eq!(bob.delete(&path(&begun)).await.status, 404);
        let named = alice.patch(&path(&begun), json!({ "name": "Phone" })).await;
        assert_eq!((named.status, &named.body["name"]), (200, &json!("Phone")));
        invalid(&alice.patch(&path(&begun), json!({ "confirmed": false })).await, "body", "Payload validation error: 'Additional properties not allowed: confirmed'.");
        assert_eq!(alice.get(&path(&begun)).await.body, named.body);
        assert_eq!(alice.get(&format!("{METHODS}?type=totp")).await.body["authentication_methods"], json!([named.body]));
        assert_eq!(alice.get(&format!("{METHODS}?type=email")).await.body["authentication_methods"], json!([]));
        assert_eq!(alice.get(&format!("{METHODS}?type=x")).await.status, 400);
        assert_eq!(alice.delete(&path(&begun)).await.status, 204);
        refused(&alice.delete(&path(&begun)).await, 404, "Not Found", bobs);
        assert_eq!(app.admin().get("/api/v2/users/auth0%7Calice").await.body.get("multifactor"), None);
        assert_eq!((app.letters("factor_added").await.len(), app.letters("factor_removed").await.len()), (1, 1));
    }

    /// MA-05: codes by e-mail and recovery codes; tries are counted for the user.
    async fn ma_05_codes_are_bound_to_their_enrolment_and_tries_to_the_user(app: TestApp) {
        let app = prepared(app).await.without_limits();
        app.guard(&["email", "recovery-code"], &[]).await;
        let alice = all(&app, "auth0|alice");
        let alone = alice.post(METHODS, json!({ "type": "recovery-code" })).await;
        refused(&alone, 400, "Bad Request", "A recovery code stands in for another factor: enroll one first.");
        invalid(&alice.post(METHODS, json!({ "type": "email" })).await, "body", "Payload validation error: 'Missing required property: email'.");
        let email = begun(&alice, json!({ "type": "email", "email": "Other@Example.com" })).await;
        let (to, _) = app.letters("mfa_oob_code").await.pop().expect("a letter was queued");
        assert_eq!(to, "other@example.com");
        let done = alice.post(&verify(&email), proof(&email, &app.mailed_code().await)).await;
        assert_eq!((done.status, &done.body["email"]), (201, &json!("other@example.com")), "{}", done.text);

        let before = app.add_recovery_code("auth0|alice").await;
        let recovery = begun(&alice, json!({ "type": "recovery-code" })).await;
        let good = async || {
            let all = model::factors::list(&app.app.db, &app.tenant.id, &"auth0|alice".into()).await.expect("reads");
            [before.as_str(), text(&recovery, "recovery_code")].map(|code| all.iter().any(|factor| factor.is_recovery_code(code)))
        };
        assert_eq!(good().await, [true, false], "the former one is good until the new one is confirmed");
        let session = json!({ "auth_session": text(&recovery, "auth_session") });
        assert_eq!(alice.post(&verify(&recovery), session.clone()).await.status, 201);
        assert_eq!(good().await, [false, true]);
        refused(&alice.post(&verify(&recovery), session).await, 400, "Bad Request", "Invalid auth_session.");

        // The code that is looked at is the last letter's.
        app.app.clock.advance(1);
        let second = begun(&alice, json!({ "type": "email", "email": "third@example.com" })).await;
        let right = app.mailed_code().await;
        let wrong = format!("{:06}", (right.parse::<u32>().expect("is a number") + 1) % 1_000_000);
        for _ in 0..5 {
            refused(&alice.post(&verify(&second), proof(&second, &wrong)).await, 400, "Bad Request", "Invalid otp_code.");
        }
        refused(&alice.post(&verify(&second), proof(&second, &right)).await, 400, "Bad Request", "Invalid otp_code.");
        let mut tries = 7;
        loop {
            let answer = alice.post(&verify(&second), proof(&second, &right)).await;
            if answer.status == 429 {
                assert!(answer.has("retry-after") && answer.body["title"] == "Too Many Requests", "{}", answer.text);
                break;
            }
            tries += 1;
        }
        assert_eq!(tries, MOST);
    }

    /// MA-06: what the self-service policy asks for before a factor is removed, it asks for here, and before another is added.
    async fn ma_06_the_self_service_policy_holds_here_too(app: TestApp) {
        let app = prepared(app).await;
        app.guard(&["otp", "email", "recovery-code"], &[]).await;
        let rules = json!({ "remove_factor": { "mfa": true } });
        assert_eq!(app.machine("update:doorward_self_service").patch("/api/v2/doorward/self-service", rules).await.status, 200);
        let alice = all(&app, "auth0|alice");
        let totp = begun(&alice, json!({ "type": "totp" })).await;
        assert_eq!(alice.post(&verify(&totp), proof(&totp, &code(&app, &totp))).await.status, 201);
        let told = "The self-service policy asks for a sign-in with a second factor: remove_factor.mfa";
        refused(&alice.delete(&path(&totp)).await, 403, "Forbidden", told);
        for body in [json!({ "type": "email", "email": "a@example.com" }), json!({ "type": "recovery-code" })] {
            refused(&alice.post(METHODS, body).await, 403, "Forbidden", told);
        }
        assert_eq!(methods(&app, "auth0|alice").await.len(), 1);
        assert!(app.letters("mfa_oob_code").await.is_empty());
        let surely = alice.claiming("amr", json!(["mfa"]));
        assert_eq!(surely.post(METHODS, json!({ "type": "recovery-code" })).await.status, 202);
        assert_eq!(surely.delete(&path(&totp)).await.status, 204);
    }
}
