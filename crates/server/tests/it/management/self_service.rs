//! `/api/v2/doorward/self-service`: off until it is set, and then for people's own tokens alone.

use serde_json::{Value, json};

use crate::security::refusals::{invalid_body, refusal};
use crate::security::{browser, claims, prepared};
use crate::support::app::{CONNECTION, PASSWORD};
use crate::support::browser::{CALLBACK, VERIFIER};
use crate::support::{Answer, Authorize, Browser, Caller, TestApp};

const POLICY: &str = "/api/v2/doorward/self-service";
const ALICE: &str = "/api/v2/users/auth0%7Calice";
const LINKS: &str = "/api/v2/users/auth0%7Calice/identities";
const SCOPES: &str = "openid read:current_user update:current_user_metadata update:current_user_identities create:current_user_device_credentials delete:current_user_device_credentials";

/// The policy of a new tenant.
fn nothing() -> Value {
    json!({
        "user_metadata": {},
        "link_identity": {},
        "unlink_identity": {},
        "remove_factor": {},
        "notices": {
            "password_changed": true,
            "email_changed": true,
            "factor_added": true,
            "factor_removed": true,
            "recovery_code_changed": true,
            "identity_linked": true,
            "identity_unlinked": true,
            "device_registered": false,
            "device_removed": false,
        },
    })
}

async fn set(app: &TestApp, rules: Value) -> Value {
    let answer = app.machine("update:doorward_self_service").patch(POLICY, rules.clone()).await;
    assert_eq!(answer.status, 200, "{rules}: {}", answer.text);
    answer.body
}

/// 403 of a rule about metadata.
fn refused(rule: &str) -> Value {
    refusal(
        403,
        "Forbidden",
        &format!("The self-service policy does not allow this: {rule}"),
        "self_service_policy",
    )
}

/// 403 that asks for another sign-in.
#[track_caller]
fn assert_unproven(answer: &Answer, told: &str, asked: &str) {
    let message = format!("The self-service policy asks for a {told}");
    let expected = refusal(403, "Forbidden", &message, "insufficient_user_authentication");
    assert_eq!((answer.status, &answer.body), (403, &expected));
    let challenge = format!(
        "Bearer error=\"insufficient_user_authentication\", error_description=\"{message}\", {asked}"
    );
    assert_eq!(answer.header("www-authenticate"), challenge);
}

/// Whoever holds this token, and sends no other.
fn holding(app: &TestApp, token: &str) -> Caller {
    app.caller().with("authorization", &format!("Bearer {token}"))
}

/// A token for the Management API that the app `page` gets in this browser, by a code or from `/authorize` itself.
async fn token(
    app: &TestApp,
    browser: &mut Browser,
    user: &str,
    request: Authorize,
    by_code: bool,
) -> String {
    let request = request.with("audience", &app.tenant.management_audience()).with("scope", SCOPES);
    let landed = browser.sign_in(&request.path(), &format!("{user}@example.com")).await;
    if !by_code {
        return landed.param("access_token");
    }
    let code = landed.param("code");
    let fields = [
        ("grant_type", "authorization_code"),
        ("client_id", "page"),
        ("code", &*code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    let answer = app.caller().form("/oauth/token", &fields).await;
    answer.body["access_token"].as_str().unwrap_or_else(|| panic!("{}", answer.text)).to_owned()
}

/// The body that links bob's account through `page`.
async fn bobs(app: &TestApp) -> Value {
    json!({ "link_with": app.id_token("auth0|bob", "page").bearer().await })
}

async fn letters(app: &TestApp) -> Vec<String> {
    let sql = "SELECT kind FROM letters WHERE tenant = $1 ORDER BY created_at, kind LIMIT 100";
    let rows = app.app.db.read(sql, db::params![&app.tenant.id]).await.expect("reads");
    rows.into_iter().map(|mut row| row.take().expect("is text")).collect()
}

both_databases! {
    async fn a_policy_is_read_and_changed_by_whoever_has_its_scopes(app: TestApp) {
        let reader = app.machine("read:doorward_self_service");
        assert_eq!(reader.get(POLICY).await.body, nothing());
        let rules = json!({
            "user_metadata": { "allowed_keys": ["color"], "max_bytes": 100, "schema": { "type": "object" } },
            "link_identity": { "max_age": 300 },
            "remove_factor": { "max_age": 60, "mfa": true },
            "notices": { "identity_linked": false },
        });
        let mut expected = nothing();
        for (key, value) in rules.as_object().expect("is one").iter().filter(|(key, _)| *key != "notices") {
            expected[key] = value.clone();
        }
        expected["notices"]["identity_linked"] = json!(false);
        assert_eq!(set(&app, rules).await, expected);
        assert_eq!(reader.get(POLICY).await.body, expected);
        let entry = app.admin().get("/api/v2/logs?q=type%3Asapi&per_page=1").await.body;
        assert_eq!((&entry[0]["description"], &entry[0]["details"]["response"]["body"]), (&json!("Update the self-service policy"), &expected));

        let reset = json!({ "user_metadata": null, "link_identity": null, "remove_factor": null, "notices": null });
        assert_eq!(set(&app, reset).await, nothing());
        for (body, told) in [
            (json!({}), "Payload validation error: 'Too few properties defined (0), minimum 1'."),
            (json!({ "x": 1 }), "Payload validation error: 'Additional properties not allowed: x'."),
            (json!({ "link_identity": { "max_age": 0 } }), "Payload validation error: 'Value 0 is less than minimum 1' on property link_identity.max_age (How old the sign-in may be, in seconds.)."),
            (json!({ "user_metadata": { "schema": { "$ref": "file:///etc/passwd" } } }), "Payload validation error: 'No JSON Schema: "),
            (json!({ "user_metadata": { "schema": { "type": "text" } } }), "Payload validation error: 'No JSON Schema: "),
        ] {
            let answer = app.machine("update:doorward_self_service").patch(POLICY, body.clone()).await;
            let message = answer.body["message"].as_str().unwrap_or_default().to_owned();
            assert!(message.starts_with(told), "{body}: {message}");
            assert_eq!((answer.status, &answer.body), (400, &invalid_body(&message)));
        }
        assert_eq!(reader.get(POLICY).await.body, nothing());
    }

    async fn the_scopes_are_a_machines_own_and_in_nobodys_list(app: TestApp) {
        let made = model::bootstrap::create_machine_client(&app.app, &app.tenant, "All", model::bootstrap::Scopes::All).await;
        let (client, secret) = made.expect("a new client");
        for scope in ["read:doorward_self_service", "read:doorward_self_service read:users"] {
            let audience = app.tenant.management_audience();
            let fields = [("grant_type", "client_credentials"), ("client_id", client.as_str()), ("client_secret", &*secret), ("audience", &*audience), ("scope", scope)];
            let answer = app.caller().form("/oauth/token", &fields).await;
            assert_eq!(answer.body["scope"], scope, "{}", answer.text);
            let token = answer.body["access_token"].as_str().expect("is text");
            assert_eq!(holding(&app, token).get(POLICY).await.status, 200);
        }
        let apis = app.machine("read:resource_servers").get("/api/v2/resource-servers").await;
        assert!(!apis.text.contains("doorward"), "{}", apis.text);
        // A person is never given them.
        let app = prepared(app).await;
        let request = Authorize::new("page", "token").with("nonce", "n");
        let request = request.with("audience", &app.tenant.management_audience()).with("scope", "read:current_user update:doorward_self_service");
        let landed = browser(&app).sign_in(&request.path(), "alice@example.com").await;
        assert_eq!(landed.param("scope"), "read:current_user", "{landed:?}");
    }

    async fn people_write_what_the_rules_let_them(app: TestApp) {
        app.add_user("auth0|alice").await;
        let alice = app.token("auth0|alice", "update:current_user_metadata create:current_user_metadata");
        let admin = app.admin();
        let metadata = |value: Value| json!({ "user_metadata": value });
        assert_eq!(admin.patch(ALICE, metadata(json!({ "plan": "gold" }))).await.status, 200);
        set(&app, json!({ "user_metadata": {
            "allowed_keys": ["color", "size"],
            "max_bytes": 60,
            "schema": { "properties": { "color": { "enum": ["teal", "red"] } } },
        } })).await;
        for (patch, rule) in [
            (json!({ "other": 1 }), "user_metadata.allowed_keys: not among them: other"),
            (json!({ "color": "teal", "plan": null }), "user_metadata.allowed_keys: not among them: plan"),
            (json!({}), "user_metadata.allowed_keys: not among them: plan"),
            (json!({ "size": "x".repeat(40) }), "user_metadata.max_bytes: 65 bytes, maximum 60"),
            (json!({ "color": "blue" }), "user_metadata.schema: \"blue\" is not one of \"teal\" or \"red\" at /color"),
        ] {
            let answer = alice.patch(ALICE, metadata(patch.clone())).await;
            assert_eq!((answer.status, &answer.body), (403, &refused(rule)), "{patch}");
            assert_eq!(admin.get(ALICE).await.body["user_metadata"], json!({ "plan": "gold" }), "{patch}");
        }
        // What lacks a scope, or is another's, is refused as ever.
        let other = alice.patch("/api/v2/users/auth0%7Cbob", metadata(json!({ "other": 1 }))).await;
        assert_eq!(other.body["errorCode"], "unowned_resource");
        let fine = alice.patch(ALICE, metadata(json!({ "color": "teal" }))).await;
        assert_eq!((fine.status, &fine.body["user_metadata"]), (200, &json!({ "plan": "gold", "color": "teal" })));
        let free = admin.patch(ALICE, metadata(json!({ "color": "blue", "other": "x".repeat(100) }))).await;
        assert_eq!(free.status, 200, "an administrator writes what they like: {}", free.text);
        set(&app, json!({ "user_metadata": null })).await;
        assert_eq!(alice.patch(ALICE, metadata(json!({ "other": 1 }))).await.status, 200);
    }

    /// A token tells of its sign-in only where a rule asks, by a code and from `/authorize` alike, and tells the truth.
    async fn a_link_takes_a_late_enough_sign_in_where_that_is_asked_for(app: TestApp) {
        let app = prepared(app).await;
        let mut browser = browser(&app);
        let plain = token(&app, &mut browser, "alice", Authorize::code("page"), true).await;
        assert_eq!((claims(&plain).get("auth_time"), claims(&plain).get("amr")), (None, None));
        let signed_in_at = app.app.clock.now().seconds();
        set(&app, json!({ "link_identity": { "max_age": 300 } })).await;
        let old = holding(&app, &plain).post(LINKS, bobs(&app).await).await;
        assert_unproven(&old, "later sign-in: link_identity.max_age: 300 seconds", "max_age=\"300\"");
        assert_eq!(holding(&app, &plain).get(ALICE).await.status, 200, "nothing else asks");

        app.app.clock.advance(200);
        for (request, by_code) in [(Authorize::code("page"), true), (Authorize::new("page", "token"), false)] {
            let renewed = token(&app, &mut browser, "alice", request.clone(), by_code).await;
            assert_eq!((&claims(&renewed)["auth_time"], claims(&renewed).get("amr")), (&json!(signed_in_at), None));
        }
        let early = token(&app, &mut browser, "alice", Authorize::code("page"), true).await;
        app.app.clock.advance(101);
        // Renewal does not make a sign-in younger.
        let renewed = token(&app, &mut browser, "alice", Authorize::code("page"), true).await;
        for late in [&early, &renewed] {
            let answer = holding(&app, late).post(LINKS, bobs(&app).await).await;
            assert_unproven(&answer, "later sign-in: link_identity.max_age: 300 seconds", "max_age=\"300\"");
        }
        let fresh = token(&app, &mut browser, "alice", Authorize::code("page").with("max_age", "0"), true).await;
        assert_eq!(claims(&fresh)["auth_time"], app.app.clock.now().seconds());
        let linked = holding(&app, &fresh).post(LINKS, bobs(&app).await).await;
        assert_eq!(linked.status, 201, "{}", linked.text);
        // Unlinking is another rule; other APIs' tokens tell nothing.
        assert_eq!(holding(&app, &plain).delete(&format!("{LINKS}/auth0/bob")).await.status, 200);
        set(&app, json!({ "link_identity": null, "unlink_identity": { "max_age": 1 } })).await;
        assert_eq!(app.admin().post(LINKS, json!({ "provider": "auth0", "user_id": "bob" })).await.status, 201, "no rule for administrators");
        let answer = holding(&app, &plain).delete(&format!("{LINKS}/auth0/bob")).await;
        assert_unproven(&answer, "later sign-in: unlink_identity.max_age: 1 seconds", "max_age=\"1\"");
        let unlinked = app.admin().delete(&format!("{LINKS}/auth0/bob")).await;
        assert_eq!(unlinked.status, 200, "{}", unlinked.text);
    }

    async fn a_second_factor_is_asked_for_by_its_name(app: TestApp) {
        let app = prepared(app).await;
        set(&app, json!({ "link_identity": { "mfa": true, "max_age": 60 } })).await;
        let alice = app.token_of("auth0|alice", "page", SCOPES);
        let acr = "acr_values=\"http://schemas.openid.net/pape/policies/2007/06/multi-factor\"";
        let now = app.app.clock.now().seconds();
        let without = alice.claiming("auth_time", now);
        let asked = format!("max_age=\"60\", {acr}");
        for caller in [&without, &without.claiming("amr", json!(["pwd"])), &without.claiming("amr", "mfa")] {
            let answer = caller.post(LINKS, bobs(&app).await).await;
            assert_unproven(&answer, "sign-in with a second factor: link_identity.mfa", &asked);
        }
        let linked = without.claiming("amr", json!(["pwd", "mfa"])).post(LINKS, bobs(&app).await).await;
        assert_eq!(linked.status, 201, "{}", linked.text);
        // The scope, and whose it is, come first.
        app.add_user("auth0|carol").await;
        let other = app.token_of("auth0|carol", "page", "read:current_user").post(LINKS, json!({})).await;
        assert_eq!(other.body["errorCode"], "insufficient_scope");
        let other = app.token_of("auth0|carol", "page", SCOPES).post(LINKS, json!({})).await;
        assert_eq!(other.body["errorCode"], "unowned_resource");
    }

    /// What an app sends along with a sign-up is the person's own writing too.
    async fn a_sign_up_writes_what_the_rules_let_it(app: TestApp) {
        set(&app, json!({ "user_metadata": {
            "allowed_keys": ["color"], "max_bytes": 20, "schema": { "properties": { "color": { "enum": ["teal", "red"] } } },
        } })).await;
        let sign_up = async |metadata: Value| {
            let body = json!({ "client_id": "spa", "connection": CONNECTION, "email": "new@example.com", "password": PASSWORD, "user_metadata": metadata });
            app.caller().post("/dbconnections/signup", body).await
        };
        for (metadata, rule) in [
            (json!({ "plan": "gold" }), "user_metadata.allowed_keys: not among them: plan"),
            (json!({ "color": "x".repeat(20) }), "user_metadata.max_bytes: 32 bytes, maximum 20"),
            (json!({ "color": "blue" }), "user_metadata.schema: \"blue\" is not one of \"teal\" or \"red\" at /color"),
        ] {
            let told = format!("The self-service policy does not allow this: {rule}");
            let expected = json!({ "name": "BadRequestError", "code": "self_service_policy", "description": told, "statusCode": 400 });
            let answer = sign_up(metadata.clone()).await;
            assert_eq!((answer.status, answer.body), (400, expected), "{metadata}");
        }
        assert_eq!(app.admin().get("/api/v2/users").await.body, json!([]));
        let made = sign_up(json!({ "color": "teal" })).await;
        assert_eq!((made.status, &made.body["user_metadata"]), (200, &json!({ "color": "teal" })), "{}", made.text);
    }

    async fn who_need_not_hear_of_a_password_or_an_address_does_not(app: TestApp) {
        app.add_user("auth0|alice").await;
        let change = async |word: &str| {
            let (password, email) = (json!({ "password": format!("{PASSWORD}{word}") }), json!({ "email": format!("{word}@example.com") }));
            for body in [password, email] {
                assert_eq!(app.admin().patch(ALICE, body).await.status, 200);
            }
        };
        change("one").await;
        assert_eq!(letters(&app).await, ["email_changed", "password_changed"]);
        set(&app, json!({ "notices": { "password_changed": false, "email_changed": false } })).await;
        change("two").await;
        let body = json!({ "client_id": "spa", "email": "two@example.com", "connection": CONNECTION });
        assert_eq!(app.caller().post("/dbconnections/change_password", body).await.status, 200);
        let link = app.letters_to("two@example.com", "reset_email").await.last().expect("a letter came").link();
        let mut browser = browser(&app);
        let page = browser.open(&link).await;
        let done = browser.submit(&page, &[("password", "Another-horse-9")]).await;
        assert_eq!(done.status, 200, "{}", done.text);
        let told = letters(&app).await;
        assert_eq!(told.iter().filter(|kind| kind.ends_with("_changed")).count(), 2, "{told:?}");
    }

    async fn notices_are_sent_as_the_policy_says(app: TestApp) {
        let app = prepared(app).await;
        let alice = app.token_of("auth0|alice", "page", SCOPES);
        let device = json!({ "device_name": "Phone", "type": "public_key", "value": "ABCD", "device_id": "a1" });
        let round = async || {
            assert_eq!(alice.post(LINKS, bobs(&app).await).await.status, 201);
            assert_eq!(alice.delete(&format!("{LINKS}/auth0/bob")).await.status, 200);
            let made = alice.post("/api/v2/device-credentials", device.clone()).await;
            assert_eq!(made.status, 201, "{}", made.text);
            let id = made.body["id"].as_str().expect("is text").to_owned();
            assert_eq!(alice.delete(&format!("/api/v2/device-credentials/{id}")).await.status, 204);
            assert_eq!(alice.delete(&format!("/api/v2/device-credentials/{id}")).await.status, 204);
            app.app.clock.advance(1);
        };
        round().await;
        let first = ["identity_linked", "identity_linked", "identity_unlinked", "identity_unlinked"];
        assert_eq!(letters(&app).await, first);
        set(&app, json!({ "notices": { "identity_linked": false, "identity_unlinked": false, "device_registered": true, "device_removed": true } })).await;
        round().await;
        assert_eq!(letters(&app).await[4..], ["device_registered", "device_removed"]);
    }
}
