//! AZ: the authorize endpoint.

use std::io::ErrorKind;
use std::net::TcpListener;

use axum::http::Method;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use db::params;
use serde_json::{Value, json};

use super::{API, assert_page_error, assert_returned, browser, claims, codes, prepared, signed_in, stored};
use crate::support::browser::{CALLBACK, CHALLENGE, Form, SESSION, VERIFIER, unescape};
use crate::support::{Answer, Authorize, TestApp};

const MISMATCH: &str = "The provided redirect_uri is not in the list of allowed callback URLs.";

/// What an attacker would have run.
pub const HOSTILE: &str = "\"><script>alert(1)</script>'&amp;<img src=x onerror=alert(2)>\u{2028}%00\\";

/// Whatever the redirect URI, somebody who is signed in stays here, and no code is made.
async fn assert_no_redirect(app: &TestApp, client: &str, redirect_uris: &[&str]) {
    let mut alice = signed_in(app, "alice").await;
    let before = codes(app).await;
    for uri in redirect_uris {
        for request in [Authorize::code(client), Authorize::code(client).with("prompt", "none")] {
            let request = request.with("redirect_uri", uri);
            let answers = [
                alice.get(&request.path()).await,
                alice.caller().send(Method::POST, "/authorize", Some(FORM), request.encoded()).await,
            ];
            for answer in answers {
                assert_page_error(&answer, 403, MISMATCH);
            }
        }
    }
    assert_eq!(codes(app).await, before);
}

const FORM: &str = "application/x-www-form-urlencoded";

both_databases! {
    async fn az_01_a_redirect_uri_is_compared_to_the_letter(app: TestApp) {
        let app = prepared(app).await;
        let others = [
            "https://app.test/cb/",
            "https://app.test/cb?x=1",
            "https://app.test/cb/../evil",
            "https://app.test/%2e%2e/cb",
            "https://app.test/CB",
            "https://app.test:8443/cb",
            "http://app.test/cb",
            "https://app.test/cb#f",
        ];
        assert_no_redirect(&app, "web", &others).await;
        let exact = signed_in(&app, "alice").await.get(&Authorize::code("web").path()).await;
        assert!(exact.location().starts_with("https://app.test/cb?code="), "{exact:?}");
        let refusals = app.events().await.iter().filter(|kind| *kind == "f").count();
        assert_eq!(refusals, others.len() * 4);
    }

    async fn az_02_nothing_around_the_host_confuses(app: TestApp) {
        let app = prepared(app).await;
        let others = [
            "https://app.test@evil.test/cb",
            "https://app.test:80@evil.test/cb",
            "https://evil.test\\@app.test/cb",
            "https://app.test%00.evil.test/cb",
            "https://app.test\u{ff0e}evil.test/cb",
            "//evil.test/cb",
        ];
        assert_no_redirect(&app, "web", &others).await;
    }

    async fn az_03_a_wildcard_is_one_label(app: TestApp) {
        let app = prepared(app).await;
        let body = json!({ "app_type": "regular_web", "callbacks": ["https://*.app.test/cb"] });
        app.add_client("wild", body).await;
        let others = [
            "https://evil.test/.app.test/cb",
            "https://app.test.evil.test/cb",
            "https://a.b.app.test/cb",
            "https://*.app.test/cb",
            "https://app.test/cb",
        ];
        assert_no_redirect(&app, "wild", &others).await;
        let one = Authorize::code("wild").with("redirect_uri", "https://a.app.test/cb");
        let answer = signed_in(&app, "alice").await.get(&one.path()).await;
        assert!(answer.location().starts_with("https://a.app.test/cb?code="), "{answer:?}");
    }

    async fn az_04_a_dangerous_callback_is_never_stored(app: TestApp) {
        let app = prepared(app).await;
        let admin = app.admin();
        let before = admin.get("/api/v2/clients?per_page=100").await.body;
        for uri in ["javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,x", "file:///etc/passwd", "https://*", "*"] {
            let made = admin.post("/api/v2/clients", json!({ "name": "evil", "callbacks": [CALLBACK, uri] })).await;
            let changed = admin.patch("/api/v2/clients/web", json!({ "callbacks": [CALLBACK, uri] })).await;
            for answer in [made, changed] {
                let told = [&answer.body["statusCode"], &answer.body["error"], &answer.body["errorCode"]];
                assert_eq!(told, [&json!(400), &json!("Bad Request"), &json!("invalid_body")], "{uri}: {}", answer.text);
                assert_eq!(answer.status, 400, "{uri}");
            }
        }
        assert_eq!(admin.get("/api/v2/clients?per_page=100").await.body, before);
        assert_eq!(app.events().await.iter().filter(|kind| *kind == "fapi").count(), 12);
    }

    async fn az_05_a_parameter_comes_once(app: TestApp) {
        let app = prepared(app).await;
        let mut alice = signed_in(&app, "alice").await;
        let before = codes(&app).await;
        let request = Authorize::code("web");
        for (name, value) in
            [("redirect_uri", CALLBACK), ("client_id", "web"), ("state", "st"), ("response_type", "code")]
        {
            let again = Authorize::code("web").with("once", value).encoded().replace("once=", &format!("{name}="));
            let doubled = alice.get(&format!("/authorize?{again}")).await;
            let one = url::form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish();
            let both = alice.caller().send(Method::POST, &request.path(), Some(FORM), one).await;
            for answer in [doubled, both] {
                assert_page_error(&answer, 400, &format!("Parameter {name} must not be repeated"));
            }
        }
        assert_eq!(codes(&app).await, before);
    }

    async fn az_06_what_cannot_be_answered_is_refused_where_it_belongs(app: TestApp) {
        let app = prepared(app).await;
        app.add_client("gone", json!({ "app_type": "regular_web", "callbacks": [CALLBACK] })).await;
        app.add_client("coder", json!({ "callbacks": [CALLBACK], "grant_types": ["authorization_code"] })).await;
        assert_eq!(app.admin().delete("/api/v2/clients/gone").await.status, 204);
        let mut alice = signed_in(&app, "alice").await;
        let before = codes(&app).await;

        for id in ["nobody", "gone", "\u{ff57}eb", "WEB", "web "] {
            let answer = alice.get(&Authorize::code(id).path()).await;
            assert_page_error(&answer, 400, "Unknown client");
        }
        for request in [Authorize::code("web").without("client_id"), Authorize::code("")] {
            assert_page_error(&alice.get(&request.path()).await, 400, "Missing required parameter: client_id");
        }
        let request = Authorize::code("web");
        for (request, error, description) in [
            (request.without("response_type"), "invalid_request", "Missing required parameter: response_type"),
            (request.with("response_type", ""), "invalid_request", "Missing required parameter: response_type"),
            (request.with("response_type", "cod"), "unsupported_response_type", "Unsupported response type"),
            (request.with("response_type", "code code"), "unsupported_response_type", "Unsupported response type"),
            (Authorize::new("coder", "token"), "unauthorized_client", "Grant type 'implicit' not allowed for the client."),
            (Authorize::new("coder", "code token"), "unauthorized_client", "Grant type 'implicit' not allowed for the client."),
        ] {
            assert_returned(&alice.get(&request.path()).await, error, description);
        }
        assert_eq!(codes(&app).await, before);
    }

    async fn az_07_front_channel_tokens_need_a_nonce_and_never_a_query(app: TestApp) {
        let app = prepared(app).await;
        let mut alice = signed_in(&app, "alice").await;
        let request = Authorize::new("page", "id_token token");
        let unbound = alice.get(&request.without("nonce").path()).await;
        assert_returned(&unbound, "invalid_request", "nonce is required");
        for response_type in ["id_token token", "token", "id_token"] {
            let asked = Authorize::new("page", response_type).with("response_mode", "query");
            let answer = alice.get(&asked.path()).await;
            assert_returned(&answer, "invalid_request", "response_mode query is not allowed for this response_type");
            assert!(answer.location().starts_with("https://app.test/cb#"), "{answer:?}");
        }
        let hybrid = Authorize::code("page").with("response_type", "code id_token").with("response_mode", "query");
        assert!(alice.get(&hybrid.path()).await.location().starts_with("https://app.test/cb#error="));
        let answer = alice.get(&request.path()).await;
        let (base, fragment) = answer.location().split_once('#').expect("a fragment");
        assert_eq!(base, CALLBACK);
        assert!(fragment.contains("access_token=") && fragment.contains("id_token="), "{answer:?}");
    }

    async fn az_08_prompt_none_never_shows_a_page(app: TestApp) {
        let app = prepared(app).await;
        let silent = Authorize::code("web").with("prompt", "none");
        let management = app.tenant.management_audience();
        let consent = silent.with("audience", &management).with("scope", "openid read:current_user");
        let factor = silent.with("acr_values", "http://schemas.openid.net/pape/policies/2007/06/multi-factor");

        let nobody = browser(&app).get(&silent.path()).await;
        assert_returned(&nobody, "login_required", "Login required");
        let mut alice = signed_in(&app, "alice").await;
        let before = codes(&app).await;
        for (request, error, description) in [
            (&consent, "consent_required", "Consent required"),
            (&factor, "login_required", "Multifactor authentication required"),
            (&silent.with("max_age", "0"), "login_required", "Login required"),
            (&silent.with("prompt", "none login"), "invalid_request", "prompt none must stand alone"),
            (&silent.with("prompt", "none consent"), "invalid_request", "prompt none must stand alone"),
        ] {
            assert_returned(&alice.get(&request.path()).await, error, description);
            let fragment = request.with("response_type", "id_token token").without("code_challenge").without("code_challenge_method");
            let answer = alice.get(&fragment.path()).await;
            assert_returned(&answer, error, description);
            assert!(answer.location().contains("cb#"), "{answer:?}");
        }
        assert_eq!(codes(&app).await, before);
        assert!(app.events().await.iter().any(|kind| kind == "fsa"));

        let asked = Authorize::code("web").with("audience", &management).with("scope", "openid read:current_user");
        assert!(!alice.sign_in(&asked.path(), "").await.param("code").is_empty());
        let consented = alice.get(&consent.path()).await;
        assert!(!consented.param("code").is_empty(), "{consented:?}");
    }

    /// A stranger's app learns nothing without consent: not who it is, and not what they may do, which tokens tell unasked.
    async fn az_08_a_stranger_who_asks_for_no_scope_needs_consent_too(app: TestApp) {
        let app = prepared(app).await;
        let theirs = json!({
            "app_type": "spa", "oidc_conformant": true, "is_first_party": false, "callbacks": [CALLBACK],
            "token_endpoint_auth_method": "none", "grant_types": ["authorization_code", "implicit"],
        });
        app.add_client("theirs", theirs).await;
        let api = json!({
            "scopes": [{ "value": "read:orders" }], "enforce_policies": true, "token_dialect": "access_token_authz",
        });
        app.add_api("https://orders.test", api).await;
        let granted = json!({
            "client_id": "theirs", "audience": "https://orders.test", "scope": ["read:orders"], "subject_type": "user",
        });
        assert_eq!(app.admin().post("/api/v2/client-grants", granted).await.status, 201);
        let mut alice = signed_in(&app, "alice").await;
        let before = codes(&app).await;
        let at_api = |client: &str| Authorize::new(client, "token").with("audience", "https://orders.test");
        let asked = [
            Authorize::code("theirs"),
            Authorize::new("theirs", "token"),
            Authorize::new("theirs", "id_token").with("nonce", "n"),
            at_api("theirs"),
            at_api("page"),
        ];
        for request in &asked {
            let request = request.without("scope");
            let silent = alice.get(&request.with("prompt", "none").path()).await;
            assert_returned(&silent, "consent_required", "Consent required");
        }
        assert_eq!(codes(&app).await, before);
        let request = asked[2].without("scope");
        let page = alice.open(&request.path()).await;
        assert!(page.text.contains("Recognise you when you come back"), "{}", page.text);
        let landed = alice.submit(&page, &[("action", "accept")]).await;
        assert!(!landed.param("id_token").is_empty(), "{landed:?}");
        let again = alice.get(&request.with("prompt", "none").path()).await;
        assert!(!again.param("id_token").is_empty(), "once is enough: {again:?}");
    }

    async fn az_09_a_hostile_value_is_only_ever_data(app: TestApp) {
        let app = prepared(app).await;
        let mut alice = signed_in(&app, "alice").await;
        let request = Authorize::code("web").with("state", HOSTILE);

        for (request, error) in [(request.clone(), ""), (request.with("audience", HOSTILE), "access_denied")] {
            for mode in ["query", "fragment"] {
                let answer = alice.get(&request.with("response_mode", mode).path()).await;
                assert_eq!((answer.status, answer.param("state").as_str(), answer.param("error").as_str()), (302, HOSTILE, error));
                assert!(answer.location().bytes().all(|b| b.is_ascii_alphanumeric() || b":/?#&=%-._~".contains(&b)), "{answer:?}");
            }
            let page = alice.get(&request.with("response_mode", "form_post").path()).await;
            let form = Form::of(&page);
            assert_eq!((form.action.as_str(), form.field("state"), form.field("error")), (CALLBACK, HOSTILE, error));
            assert_runs_nothing_but_its_own(&page, 1);
            let message = alice.get(&request.with("response_mode", "web_message").path()).await;
            assert_eq!(message_of(&message)["response"]["state"], HOSTILE);
            assert_runs_nothing_but_its_own(&message, 1);
        }

        let unknown = alice.get(&Authorize::code(&HOSTILE.repeat(4)).path()).await;
        assert_page_error(&unknown, 400, "Unknown client");
        assert_set_apart(&unknown, &HOSTILE.repeat(4));
        let uri = format!("https://app.test/{HOSTILE}{HOSTILE}");
        let mismatch = alice.get(&request.with("redirect_uri", &uri).path()).await;
        assert_page_error(&mismatch, 403, MISMATCH);
        assert_set_apart(&mismatch, &uri);
        let relay = request.with("response_mode", "web_message").with("web_message_uri", &uri).with("web_message_target", HOSTILE);
        assert_runs_nothing_but_its_own(&alice.get(&relay.path()).await, 1);

        let asked = request.with("login_hint", HOSTILE).with("ui_locales", HOSTILE).with("prompt", "login");
        let page = alice.open(&asked.path()).await;
        assert_eq!(Form::of(&page).field("username"), HOSTILE);
        assert!(page.text.starts_with("<!DOCTYPE html>\n<html lang=\"en\">"), "{}", page.text);
        assert_runs_nothing_but_its_own(&page, 1);
        let again = alice.submit(&page, &[("username", HOSTILE), ("password", HOSTILE)]).await;
        assert_eq!((again.status, Form::of(&again).field("username")), (400, HOSTILE));
        assert_runs_nothing_but_its_own(&again, 1);

        for path in ["/v2/logout?returnTo=", "/v2/logout?client_id=", "/oidc/logout?client_id=", "/oidc/logout?id_token_hint=",
            "/oidc/logout?post_logout_redirect_uri=", "/authorize/resume?state=", "/u/login?state=", "/u/consent?state="] {
            let value: String = url::form_urlencoded::byte_serialize(HOSTILE.as_bytes()).collect();
            let answer = alice.get(&format!("{path}{value}")).await;
            assert!((400..500).contains(&answer.status), "{path}: {answer:?}");
            assert_runs_nothing_but_its_own(&answer, 1);
        }
    }

    async fn az_10_a_message_goes_to_a_listed_origin_alone(app: TestApp) {
        let app = prepared(app).await;
        let body = json!({ "app_type": "regular_web", "callbacks": [CALLBACK, "https://other.test/cb"], "web_origins": ["https://app.test"] });
        app.add_client("framed", body).await;
        let mut alice = signed_in(&app, "alice").await;
        let before = codes(&app).await;
        let request = Authorize::code("framed").with("response_mode", "web_message").with("prompt", "none");
        let relayed = request.with("web_message_target", "frame");
        let not_listed = "The origin of the page is not in the list of allowed web origins.";
        for request in [
            request.with("redirect_uri", "https://other.test/cb"),
            request.with("redirect_uri", "https://other.test/cb").with("response_type", "nonsense"),
            relayed.with("web_message_uri", "https://evil.test"),
            relayed.with("web_message_uri", "*"),
            relayed.with("web_message_uri", "https://app.test.evil.test"),
        ] {
            let answer = alice.get(&request.path()).await;
            assert_page_error(&answer, 400, not_listed);
            assert!(!answer.text.contains("postMessage"), "{answer:?}");
        }
        assert_eq!(codes(&app).await, before);

        let answer = alice.get(&request.path()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.text.contains("var targetOrigin = \"https://app.test\";"), "{}", answer.text);
        assert!(!answer.text.contains("'*'") && !answer.text.contains("\"*\""), "{}", answer.text);
        assert!(message_of(&answer)["response"]["code"].is_string(), "{}", answer.text);
    }

    async fn az_11_a_request_object_is_refused_and_nothing_fetched(app: TestApp) {
        let app = prepared(app).await;
        let mut alice = signed_in(&app, "alice").await;
        let before = codes(&app).await;
        let canary = TcpListener::bind("127.0.0.1:0").expect("a canary");
        canary.set_nonblocking(true).expect("asks without waiting");
        let uri = format!("http://{}/request", canary.local_addr().expect("is bound"));
        let json = json!({ "iss": "web", "client_id": "web", "response_type": "code", "redirect_uri": "https://evil.test/cb" });
        let unsigned = format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), URL_SAFE_NO_PAD.encode(json.to_string()));

        let request = Authorize::code("web");
        let by_value = alice.get(&request.with("request", &unsigned).path()).await;
        assert_returned(&by_value, "request_not_supported", "The request parameter is not supported");
        let by_reference = alice.get(&request.with("request_uri", &uri).path()).await;
        assert_returned(&by_reference, "request_uri_not_supported", "The request_uri parameter is not supported");
        // As such requests are sent: all the rest is in the object. The first registered callback stands for the URI.
        let bare = alice.get(&format!("/authorize?client_id=web&state=st&request_uri={uri}")).await;
        assert_returned(&bare, "request_uri_not_supported", "The request_uri parameter is not supported");
        let answer = alice.get(&request.with("request", "").with("request_uri", "").path()).await;
        assert!(!answer.param("code").is_empty(), "an empty parameter is as good as none: {answer:?}");

        assert_eq!(codes(&app).await, before + 1);
        assert_eq!(canary.accept().expect_err("nobody came").kind(), ErrorKind::WouldBlock);
    }

    async fn az_12_a_challenge_is_well_formed_and_a_public_client_sends_one(app: TestApp) {
        let app = prepared(app).await;
        let mut alice = signed_in(&app, "alice").await;
        let before = codes(&app).await;
        let form = "code_challenge must be 43 to 128 characters of A-Z a-z 0-9 - . _ ~";
        for client in ["web", "page"] {
            let request = Authorize::code(client);
            for bad in ["x".repeat(42), "x".repeat(129), format!("{}!", "x".repeat(42)), format!("{}=", "x".repeat(43)), format!("{} ", "x".repeat(43))] {
                let answer = alice.get(&request.with("code_challenge", &bad).path()).await;
                assert_returned(&answer, "invalid_request", form);
            }
            for unknown in ["s256", "S512", "none"] {
                let answer = alice.get(&request.with("code_challenge_method", unknown).path()).await;
                assert_returned(&answer, "invalid_request", "Unknown code_challenge_method");
            }
            let alone = alice.get(&request.without("code_challenge").path()).await;
            assert_returned(&alone, "invalid_request", "code_challenge_method needs a code_challenge");
        }
        let request = Authorize::code("page");
        for plain in [request.with("code_challenge_method", "plain"), request.without("code_challenge_method")] {
            let answer = alice.get(&plain.path()).await;
            assert_returned(&answer, "invalid_request", "code_challenge_method must be S256");
        }
        for none in [request.without("code_challenge").without("code_challenge_method"), Authorize::new("page", "code token")] {
            let answer = alice.get(&none.path()).await;
            assert_returned(&answer, "invalid_request", "Missing required parameter: code_challenge");
        }
        assert_eq!(codes(&app).await, before);
        let discovery = app.caller().get("/.well-known/openid-configuration").await;
        assert_eq!(discovery.body["code_challenge_methods_supported"], json!(["S256"]));

        let plain = Authorize::code("web").with("code_challenge_method", "plain").with("code_challenge", VERIFIER);
        let code = alice.get(&plain.path()).await.param("code");
        let fields = [("grant_type", "authorization_code"), ("client_id", "web"), ("client_secret", "web-secret"),
            ("code", &code), ("redirect_uri", CALLBACK), ("code_verifier", VERIFIER)];
        assert_eq!(app.caller().form("/oauth/token", &fields).await.status, 200, "a client with a secret may send plain");
        assert_ne!(VERIFIER, CHALLENGE);
    }

    async fn az_13_an_old_sign_in_is_proven_anew_and_a_second_user_begins_clean(app: TestApp) {
        let app = prepared(app).await;
        let implicit = Authorize::new("page", "id_token").with("scope", "openid email");
        let mut browser = browser(&app);
        let first = claims(&browser.sign_in(&implicit.with("max_age", "1").path(), "alice@example.com").await.param("id_token"));
        let began = app.app.clock.now().seconds();
        assert_eq!((&first["auth_time"], &first["sub"]), (&json!(began), &json!("auth0|alice")));

        app.app.clock.advance(1);
        let soon = browser.open(&implicit.with("max_age", "1").path()).await;
        assert_eq!(claims(&soon.param("id_token"))["auth_time"], json!(began));
        app.app.clock.advance(1);
        let late = browser.open(&implicit.with("max_age", "1").path()).await;
        assert!(Form::of(&late).action.starts_with("/u/login?"), "{late:?}");
        let silent = browser.get(&implicit.with("max_age", "1").with("prompt", "none").path()).await;
        assert_returned(&silent, "login_required", "Login required");
        let again = browser.sign_in(&implicit.with("max_age", "1").path(), "alice@example.com").await;
        assert_eq!(claims(&again.param("id_token"))["auth_time"], json!(began + 2));

        let alices = browser.clone();
        app.app.clock.advance(10);
        let second = browser.sign_in(&implicit.with("prompt", "login").path(), "bob@example.com").await;
        let second = claims(&second.param("id_token"));
        assert_eq!(second["sub"], "auth0|bob");
        assert_eq!(second["email"], "bob@example.com");
        assert_eq!(second["auth_time"], json!(began + 12));
        assert_ne!(second["sid"], first["sid"]);
        assert_ne!(browser.cookies[SESSION], alices.cookies[SESSION]);
        let replayed = alices.caller().get(&implicit.with("prompt", "none").path()).await;
        assert_returned(&replayed, "login_required", "Login required");
        let sessions: i64 = stored(&app, "SELECT COUNT(*) FROM sessions WHERE tenant = $1", params![]).await;
        assert_eq!(sessions, 1, "the first user's session is over");
        let silent = browser.get(&implicit.with("prompt", "none").path()).await;
        assert_eq!(claims(&silent.param("id_token"))["sub"], "auth0|bob");
    }

    /// What the first user of a transaction agreed to, the second has not.
    async fn az_13_a_second_user_answers_for_themselves(app: TestApp) {
        let app = prepared(app).await;
        let request = Authorize::code("web").with("audience", API).with("scope", "openid read:a").with("prompt", "consent");
        let mut browser = browser(&app);
        let login = browser.open(&request.path()).await;
        let alice = [("username", "alice@example.com"), ("password", crate::support::app::PASSWORD)];
        let bob = [("username", "bob@example.com"), ("password", crate::support::app::PASSWORD)];
        let consent = browser.submit(&login, &alice).await;
        let fields = Form::of(&consent);
        let accepted = [("state", fields.field("state")), ("_csrf", fields.field("_csrf")), ("action", "accept")];
        let accepted = browser.post(&fields.action, &accepted).await;
        assert!(accepted.location().starts_with("/authorize/resume?"), "{accepted:?}");
        let asked = browser.submit(&login, &bob).await;
        assert!(Form::of(&asked).action.starts_with("/u/consent?"), "bob is asked: {asked:?}");
        assert!(asked.text.contains("bob@example.com") && !asked.text.contains("alice"), "{}", asked.text);
    }

    /// Strict clients, which get `iss`, are still to come: the default wire has none, and promises none.
    async fn az_14_the_default_wire_has_no_iss(app: TestApp) {
        let app = prepared(app).await;
        let mut alice = signed_in(&app, "alice").await;
        let discovery = app.caller().get("/.well-known/openid-configuration").await.body;
        assert_eq!(discovery["issuer"], "https://id.test/");
        assert_eq!(discovery.get("authorization_response_iss_parameter_supported"), None);
        for (request, names) in [
            (Authorize::code("web"), vec!["code", "state"]),
            (Authorize::new("page", "token"), vec!["access_token", "expires_in", "scope", "state", "token_type"]),
            (Authorize::new("page", "id_token"), vec!["id_token", "state"]),
            (Authorize::new("page", "id_token").without("nonce"), vec!["error", "error_description", "state"]),
        ] {
            let answer = alice.get(&request.path()).await;
            assert_eq!(answer.returned().keys().collect::<Vec<_>>(), names);
        }
    }
}

/// The message that a `web_message` page posts.
pub fn message_of(page: &Answer) -> Value {
    let (_, rest) =
        page.text.split_once("var authorizationResponse = ").unwrap_or_else(|| panic!("{page:?}"));
    let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
    values.next().expect("a value").expect("is JSON")
}

/// Nothing of the page is markup that somebody else wrote, and its policy would not run any.
#[track_caller]
pub fn assert_runs_nothing_but_its_own(page: &Answer, scripts: usize) {
    assert!(!page.text.contains("alert(1)</script>") && !page.text.contains("<img src=x"), "{}", page.text);
    assert_eq!(page.text.matches("<script").count(), scripts, "{}", page.text);
    let policy = page.header("content-security-policy");
    let scripts = policy
        .split("; ")
        .find_map(|directive| directive.strip_prefix("script-src "))
        .expect("a rule for scripts");
    let one_word = scripts.split(' ').count() == 1;
    assert!(one_word && (scripts == "'self'" || scripts.starts_with("'sha256-")), "{policy}");
    assert!(policy.starts_with("default-src 'none'; base-uri 'none'"), "{policy}");
}

/// A page shows at most 64 characters of a value, as code.
#[track_caller]
fn assert_set_apart(page: &Answer, value: &str) {
    assert_runs_nothing_but_its_own(page, 1);
    let codes = page
        .text
        .split("<code>")
        .skip(1)
        .map(|rest| unescape(rest.split("</code>").next().unwrap_or_default()));
    let cut: String = value.chars().take(63).chain(['…']).collect();
    assert!(codes.into_iter().any(|code| code == cut), "no {cut} in {}", page.text);
    assert!(!unescape(&page.text).contains(&value.chars().take(65).collect::<String>()), "{}", page.text);
}
