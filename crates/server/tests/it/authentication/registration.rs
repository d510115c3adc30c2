//! Clients that register themselves (RFC 7591, authentication contract §11).

use axum::http::Method;
use model::jose::Algorithm;
use serde_json::{Value, json};

use crate::security::exchange::grant_of;
use crate::security::{browser, claims, prepared};
use crate::support::app::CONNECTION;
use crate::support::browser::{CALLBACK, VERIFIER};
use crate::support::client_key::{ClientKey, assertion_claims};
use crate::support::{Answer, Authorize, Caller, TestApp};

pub const PATH: &str = "/oidc/register";

/// Where clients may register, and people sign in to them by the tenant's connection.
pub async fn open(app: TestApp) -> TestApp {
    let app = prepared(app).await;
    let on = json!({ "flags": { "enable_dynamic_client_registration": true } });
    assert_eq!(app.admin().patch("/api/v2/tenants/settings", on).await.status, 200);
    let connections = app.admin().get(&format!("/api/v2/connections?name={CONNECTION}")).await.body;
    let path = format!("/api/v2/connections/{}", connections[0]["id"].as_str().expect("has one"));
    assert_eq!(app.admin().patch(&path, json!({ "is_domain_connection": true })).await.status, 200);
    app
}

pub fn metadata() -> Value {
    json!({ "client_name": "Theirs", "redirect_uris": [CALLBACK], "grant_types": ["authorization_code", "refresh_token"] })
}

pub fn with(name: &str, value: Value) -> Value {
    let mut metadata = metadata();
    metadata[name] = value;
    metadata
}

#[track_caller]
pub fn assert_refused(answer: &Answer, status: u16, error: &str) {
    assert_eq!((answer.status, &answer.body["error"]), (status, &json!(error)), "{answer:?}");
    assert!(answer.body["error_description"].is_string());
    assert_eq!(
        (answer.header("content-type"), answer.header("cache-control")),
        ("application/json; charset=utf-8", "no-store")
    );
}

pub async fn registered(caller: &Caller, metadata: Value) -> Answer {
    let answer = caller.post(PATH, metadata).await;
    assert_eq!((answer.status, answer.header("cache-control")), (201, "no-store"), "{answer:?}");
    answer
}

both_databases! {
    async fn a_client_registers_and_people_sign_in_to_it(app: TestApp) {
        let app = open(app).await;
        let answer = registered(&app.caller(), metadata()).await;
        let client = answer.body["client_id"].as_str().expect("has one").to_owned();
        let secret = answer.body["client_secret"].as_str().expect("has one").to_owned();
        assert_eq!(answer.body, json!({
            "client_id": client, "client_id_issued_at": app.app.clock.now().seconds(), "client_secret": secret, "client_secret_expires_at": 0,
            "client_name": "Theirs", "redirect_uris": [CALLBACK], "grant_types": ["authorization_code", "refresh_token"],
            "registration_access_token": answer.body["registration_access_token"], "registration_client_uri": format!("https://id.test/oidc/register/{client}"),
            "response_types": ["code"], "token_endpoint_auth_method": "client_secret_basic", "application_type": "web",
            "subject_type": "public", "id_token_signed_response_alg": "RS256",
        }));
        let seen = app.admin().get(&format!("/api/v2/clients/{client}")).await.body;
        assert_eq!([&seen["is_first_party"], &seen["name"], &seen["callbacks"]], [&json!(false), &json!("Theirs"), &json!([CALLBACK])]);
        let mut alice = browser(&app);
        let page = alice.open(&Authorize::code(&client).path()).await;
        let asked = alice.submit(&page, &[("username", "alice@example.com"), ("password", crate::support::app::PASSWORD)]).await;
        assert!(asked.text.contains("Theirs") && asked.text.contains("/u/consent"), "a stranger's app asks for consent: {asked:?}");
        let landed = alice.submit(&asked, &[("action", "accept")]).await;
        let fields = [("grant_type", "authorization_code"), ("client_id", &*client), ("client_secret", &*secret), ("code", &*landed.param("code")), ("redirect_uri", CALLBACK), ("code_verifier", VERIFIER)];
        grant_of(&app.caller().form("/oauth/token", &fields).await);
        assert!(app.events().await.contains(&"sapi".to_owned()));
        // No system API is within its reach.
        let reaching = Authorize::code(&client).with("audience", &app.tenant.management_audience()).with("scope", "openid read:current_user");
        assert_eq!(alice.get(&reaching.path()).await.param("error"), "access_denied");
    }

    async fn a_public_client_and_one_with_a_key_get_no_secret(app: TestApp) {
        let app = open(app).await;
        let public = registered(&app.caller(), with("token_endpoint_auth_method", json!("none"))).await;
        assert_eq!((public.body.get("client_secret"), &public.body["token_endpoint_auth_method"]), (None, &json!("none")));
        let n = ClientKey::number(0).jwk();
        let mut keyed = with("token_endpoint_auth_method", json!("private_key_jwt"));
        keyed["jwks"] = json!({ "keys": [n] });
        let keyed = registered(&app.caller(), keyed).await;
        assert_eq!(keyed.body.get("client_secret"), None);
        let client = keyed.body["client_id"].as_str().expect("has one").to_owned();
        let assertion = ClientKey::number(0).assertion(&assertion_claims(&app, &client, "dcr"));
        let fields = [("token", "v1.x"), ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"), ("client_assertion", &*assertion)];
        assert_eq!(app.caller().form("/oauth/revoke", &fields).await.status, 200);
    }

    /// What is kept of a stranger's client is little.
    async fn a_client_registers_no_more_than_is_kept_of_one(app: TestApp) {
        let app = open(app).await;
        let long = |bytes: usize| json!({ "keys": [{ "kty": "x", "a": "x".repeat(bytes) }] });
        for (name, value) in [("jwks", long(17_000)), ("unknown", json!("x".repeat(70_000)))] {
            let mut wanted = metadata();
            wanted[name] = value;
            let refused = app.caller().post("/oidc/register", wanted).await;
            assert_eq!((refused.status, &refused.body["error"]), (400, &json!("invalid_client_metadata")), "{refused:?}");
        }
        let mut wanted = metadata();
        wanted["jwks"] = long(1000);
        registered(&app.caller(), wanted).await;
        // What is accepted can be read again.
        for depth in [20, 60, 70, 120] {
            let nested: Value = serde_json::from_str(&format!("{}{}", "[".repeat(depth), "]".repeat(depth))).expect("is JSON");
            let mut wanted = metadata();
            wanted["jwks"] = json!({ "keys": [{ "kty": "EC" }], "x": nested });
            let answer = app.caller().post(PATH, wanted).await;
            assert_eq!(answer.status, if depth < 62 { 201 } else { 400 }, "{depth}: {answer:?}");
        }
        assert_eq!(app.admin().get("/api/v2/clients").await.status, 200);
    }

    async fn a_client_registers_what_it_wants_signed_and_how_strictly(app: TestApp) {
        let app = open(app).await;
        assert_eq!(app.admin().patch("/api/v2/doorward/protocol", json!({ "strict_registration": true })).await.status, 200);
        let mut wanted = metadata();
        for (name, value) in [("id_token_signed_response_alg", "ES256"), ("userinfo_signed_response_alg", "PS256"), ("authorization_signed_response_alg", "EdDSA")] {
            wanted[name] = json!(value);
        }
        wanted["dpop_bound_access_tokens"] = json!(true);
        wanted["unknown"] = json!({ "a": 1 });
        // A stranger has no other kinds of keys published than there are.
        let before = app.caller().get("/.well-known/jwks.json").await.text;
        let refused = app.caller().post("/oidc/register", wanted.clone()).await;
        assert_eq!((refused.status, &refused.body["error"]), (400, &json!("invalid_client_metadata")), "{refused:?}");
        assert_eq!(app.caller().get("/.well-known/jwks.json").await.text, before);
        for alg in [Algorithm::ES256, Algorithm::EdDSA] {
            app.app.keys.provide(&app.app, &app.tenant.id, alg).await.expect("keys are made");
        }
        let answer = registered(&app.caller(), wanted).await;
        assert_eq!((&answer.body["id_token_signed_response_alg"], &answer.body["dpop_bound_access_tokens"], answer.body.get("unknown")), (&json!("ES256"), &json!(true), None));
        let client = answer.body["client_id"].as_str().expect("has one").to_owned();
        let own = app.admin().get(&format!("/api/v2/doorward/clients/{client}")).await.body;
        assert_eq!(own, json!({ "strict": true, "userinfo_signed_response_alg": "PS256", "authorization_signed_response_alg": "EdDSA" }));
        let keys = app.caller().get("/.well-known/jwks.json").await.text;
        assert!(["ES256", "PS256", "EdDSA"].iter().all(|name| keys.contains(name)), "{keys}");
    }

    /// OpenID Connect Registration §2.
    async fn a_client_registers_how_fresh_sign_ins_are_and_how_it_signs_requests(app: TestApp) {
        let app = open(app).await;
        let (key, mut wanted) = (ClientKey::number(0), metadata());
        for (name, value) in [
            ("default_max_age", json!(300)), ("require_auth_time", json!(true)), ("request_object_signing_alg", json!("PS256")),
            ("jwks", json!({ "keys": [key.jwk()] })),
        ] {
            wanted[name] = value;
        }
        let answer = registered(&app.caller(), wanted).await;
        assert_eq!([&answer.body["default_max_age"], &answer.body["require_auth_time"], &answer.body["request_object_signing_alg"]], [&json!(300), &json!(true), &json!("PS256")]);
        let client = answer.body["client_id"].as_str().expect("has one").to_owned();
        let own = format!("/api/v2/doorward/clients/{client}");
        let known = json!({ "default_max_age": 300, "require_auth_time": true, "request_object_signing_alg": "PS256" });
        assert_eq!(app.admin().get(&own).await.body, known);

        let mut alice = browser(&app);
        let began = app.app.clock.now().seconds();
        let page = alice.open(&Authorize::code(&client).path()).await;
        let asked = alice.submit(&page, &[("username", "alice@example.com"), ("password", crate::support::app::PASSWORD)]).await;
        let landed = alice.submit(&asked, &[("action", "accept")]).await;
        let secret = answer.body["client_secret"].as_str().expect("has one").to_owned();
        let buy = async |code: String| {
            let fields = [("grant_type", "authorization_code"), ("client_id", &*client), ("client_secret", &*secret), ("code", &*code), ("redirect_uri", CALLBACK), ("code_verifier", VERIFIER)];
            let bought = app.caller().form("/oauth/token", &fields).await;
            claims(bought.body["id_token"].as_str().unwrap_or_else(|| panic!("{bought:?}")))
        };
        assert_eq!(buy(landed.param("code")).await["auth_time"], json!(began));
        let silent = Authorize::code(&client).with("prompt", "none");
        app.app.clock.advance(300);
        assert_eq!(buy(alice.get(&silent.path()).await.param("code")).await["auth_time"], json!(began));
        app.app.clock.advance(1);
        assert_eq!(alice.get(&silent.path()).await.param("error"), "login_required", "the client said so for all its requests");
        let said = silent.with("max_age", "600");
        assert!(!alice.get(&said.path()).await.param("code").is_empty(), "a request says it for itself");
        // Without it the sign-in is old enough, and its time is told all the same.
        assert_eq!(app.admin().patch(&own, json!({ "default_max_age": null })).await.status, 200);
        assert_eq!(buy(alice.get(&silent.path()).await.param("code")).await["auth_time"], json!(began));
        assert_eq!(app.admin().patch(&own, json!({ "require_auth_time": null })).await.status, 200);
        assert_eq!(buy(alice.get(&silent.path()).await.param("code")).await.get("auth_time"), None);

        let object = key.assertion(&json!({ "iss": client, "aud": app.tenant.issuer, "client_id": client, "response_type": "code", "redirect_uri": CALLBACK, "scope": "openid", "state": "st", "prompt": "none" }));
        let path = format!("/authorize?client_id={client}&request={object}");
        let refused = alice.get(&path).await;
        assert!(refused.status == 400 && refused.text.contains("it is not signed by the algorithm that the client registered"), "{refused:?}");
        assert_eq!(app.admin().patch(&own, json!({ "request_object_signing_alg": "RS256" })).await.status, 200);
        assert_eq!(alice.get(&path).await.param("state"), "st");
        for wrong in [json!({ "default_max_age": -1 }), json!({ "request_object_signing_alg": "none" }), json!({ "require_auth_time": "yes" })] {
            assert_eq!(app.admin().patch(&own, wrong).await.status, 400);
        }
    }

    async fn what_a_client_may_not_say_is_refused_and_nothing_stored(app: TestApp) {
        let app = open(app).await;
        let before = app.admin().get("/api/v2/clients?per_page=100").await.body;
        for uris in [json!([]), json!(["http://app.test/cb"]), json!(["https://*.app.test/cb"]), json!(["javascript:alert(1)"]), json!(["https://app.test/cb#f"]), json!(["https://app.test/cb", "/cb"])] {
            assert_refused(&app.caller().post(PATH, with("redirect_uris", uris)).await, 400, "invalid_redirect_uri");
        }
        for (name, value) in [
            ("redirect_uris", json!("https://app.test/cb")),
            ("redirect_uris", json!([7])),
            ("client_name", json!("<b>")),
            ("client_name", json!("n".repeat(256))),
            ("client_name", json!("a\u{0}b")),
            ("grant_types", json!(["client_credentials"])),
            ("grant_types", json!(["password"])),
            ("response_types", json!(["token"])),
            ("response_types", json!(["x"])),
            ("token_endpoint_auth_method", json!("tls_client_auth")),
            ("token_endpoint_auth_method", json!("private_key_jwt")),
            ("jwks", json!({ "keys": [{ "kty": "oct", "k": "AQAB" }] })),
            ("jwks", json!({ "keys": ["x"] })),
            ("jwks_uri", json!("http://canary.test/jwks")),
            ("jwks_uri", json!("https://10.0.0.1/jwks")),
            ("backchannel_logout_uri", json!("https://169.254.169.254/")),
            ("sector_identifier_uri", json!("https://127.0.0.2:9/s")),
            ("subject_type", json!("each")),
            ("policy_uri", json!("javascript:alert(1)")),
            ("tos_uri", json!("http://app.test/tos")),
            ("application_type", json!("desktop")),
            ("id_token_signed_response_alg", json!("none")),
            ("logo_uri", json!("http://app.test/logo.png")),
            ("initiate_login_uri", json!("javascript:alert(1)")),
            ("post_logout_redirect_uris", json!(["javascript:alert(1)"])),
            ("dpop_bound_access_tokens", json!("yes")),
            ("default_max_age", json!(-1)),
            ("default_max_age", json!("300")),
            ("require_auth_time", json!("yes")),
            ("request_object_signing_alg", json!("none")),
            ("request_object_signing_alg", json!("ES256")),
        ] {
            let answer = app.caller().post(PATH, with(name, value.clone())).await;
            assert_refused(&answer, 400, "invalid_client_metadata");
        }
        let mut no_key = with("token_endpoint_auth_method", json!("private_key_jwt"));
        for jwks in [json!({}), json!({ "keys": [] }), json!({ "keys": [{ "kty": "RSA", "use": "enc", "n": "AQAB", "e": "AQAB" }] }), json!({ "keys": [{ "kty": "EC" }] }), json!({ "keys": [{ "kty": "RSA", "n": "AQAB", "e": "AQAB" }] })] {
            no_key["jwks"] = jwks;
            assert_refused(&app.caller().post(PATH, no_key.clone()).await, 400, "invalid_client_metadata");
        }
        for body in ["", "{", "[]", "\"x\""] {
            let answer = app.caller().send(Method::POST, PATH, Some("application/json"), body.to_owned()).await;
            assert_refused(&answer, 400, "invalid_client_metadata");
        }
        assert_eq!(app.admin().get("/api/v2/clients?per_page=100").await.body, before);
    }

    async fn registration_is_off_open_or_for_who_has_a_token(app: TestApp) {
        let app = prepared(app).await;
        let document = async || app.caller().get("/.well-known/openid-configuration").await.body;
        assert_refused(&app.caller().post(PATH, metadata()).await, 404, "endpoint_disabled");
        assert_eq!(document().await.get("registration_endpoint"), None);
        let app = open_again(app).await;
        assert_eq!(app.caller().get("/.well-known/openid-configuration").await.body["registration_endpoint"], "https://id.test/oidc/register");
        registered(&app.caller(), metadata()).await;
        assert_eq!(app.admin().patch("/api/v2/doorward/protocol", json!({ "registration_needs_token": true })).await.status, 200);
        let person = app.token("auth0|alice", "create:clients");
        for without in [app.caller(), app.machine("read:clients"), person, app.machine("create:clients").claiming("aud", "https://api.test/"), app.machine("create:clients").claiming("cnf", json!({ "jkt": "x" })), app.machine("create:clients").claiming("azp", "nobody").claiming("sub", "nobody@clients")] {
            let answer = without.post(PATH, metadata()).await;
            assert_refused(&answer, 401, "invalid_token");
            assert_eq!(answer.header("www-authenticate"), "Bearer error=\"invalid_token\"");
        }
        let answer = registered(&app.machine("create:clients"), metadata()).await;
        assert!(answer.body["client_id"].is_string());
        assert_eq!(claims(&app.machine("create:clients").bearer().await)["sub"], "m2m@clients");
    }
}

async fn open_again(app: TestApp) -> TestApp {
    let on = json!({ "flags": { "enable_dynamic_client_registration": true } });
    assert_eq!(app.admin().patch("/api/v2/tenants/settings", on).await.status, 200);
    app
}
