//! AZ and TK where the specifications count: the same rules, and the answers that RFC 6749, RFC 9207 and OpenID Connect give.

use serde_json::{Value, json};

use super::exchange::{Exchange, assert_refused, base64, grant_of, userinfo};
use super::refresh::{add_rotating, bought};
use super::{API, browser, claims, prepared, signed_in};
use crate::support::browser::CALLBACK;
use crate::support::{Answer, Authorize, Browser, TestApp};

pub const ISSUER: &str = "https://id.test/";
pub const INVALID_CODE: &str = "Invalid authorization code";
pub const INVALID_REFRESH: &str = "Unknown or invalid refresh token.";

/// Where the whole tenant is strict.
pub async fn strict(app: TestApp) -> TestApp {
    let app = prepared(app).await;
    let set = app.admin().patch("/api/v2/doorward/protocol", json!({ "strict": true })).await;
    assert_eq!(set.status, 200, "{}", set.text);
    app
}

pub async fn code(browser: &mut Browser, request: &Authorize) -> String {
    let answer = browser.get(&request.path()).await;
    let code = answer.param("code");
    assert!(!code.is_empty(), "{answer:?}");
    code
}

/// The names of what came back, and that its `iss` is the issuer's.
#[track_caller]
pub fn names(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.param("iss"), ISSUER, "{answer:?}");
    answer.returned().into_keys().collect()
}

/// Exactly this error, with the state of the request and who refuses.
#[track_caller]
pub fn assert_told(answer: &Answer, error: &str) {
    assert_eq!(names(answer), ["error", "error_description", "iss", "state"], "{answer:?}");
    assert_eq!((answer.param("error").as_str(), answer.param("state").as_str()), (error, "st"));
}

both_databases! {
    async fn az_14_every_response_of_a_strict_tenant_names_the_issuer(app: TestApp) {
        let app = strict(app).await;
        let mut alice = signed_in(&app, "alice").await;
        let discovery = app.caller().get("/.well-known/openid-configuration").await.body;
        assert_eq!((&discovery["issuer"], &discovery["authorization_response_iss_parameter_supported"]), (&json!(ISSUER), &json!(true)));
        let grants = discovery["grant_types_supported"].as_array().expect("is there");
        assert!(grants.contains(&json!("refresh_token")) && grants.len() == 7, "{grants:?}");
        for (request, expected) in [
            (Authorize::code("web"), vec!["code", "iss", "state"]),
            (Authorize::new("page", "token"), vec!["access_token", "expires_in", "iss", "scope", "state", "token_type"]),
            (Authorize::new("page", "id_token"), vec!["id_token", "iss", "state"]),
            (Authorize::new("web", "code id_token token"), vec!["access_token", "code", "expires_in", "id_token", "iss", "scope", "state", "token_type"]),
            (Authorize::code("web").with("prompt", "none"), vec!["code", "iss", "state"]),
        ] {
            assert_eq!(names(&alice.get(&request.path()).await), expected);
        }
        let form = alice.get(&Authorize::code("web").with("response_mode", "form_post").path()).await;
        assert!(form.text.contains("name=\"iss\" value=\"https://id.test/\""), "{}", form.text);
        let message = alice.get(&Authorize::code("web").with("response_mode", "web_message").path()).await;
        assert!(message.text.contains("\"iss\":\"https://id.test/\""), "{}", message.text);
    }

    async fn az_14_a_client_may_be_strict_by_itself_and_lax_by_itself(app: TestApp) {
        let app = prepared(app).await;
        let mut alice = signed_in(&app, "alice").await;
        assert_eq!(app.admin().patch("/api/v2/doorward/clients/web", json!({ "strict": true })).await.status, 200);
        assert_eq!(names(&alice.get(&Authorize::code("web").path()).await), ["code", "iss", "state"]);
        assert_eq!(alice.get(&Authorize::new("page", "id_token").path()).await.param("iss"), "");
        assert_eq!(app.admin().patch("/api/v2/doorward/protocol", json!({ "strict": true })).await.status, 200);
        assert_eq!(app.admin().patch("/api/v2/doorward/clients/web", json!({ "strict": false })).await.status, 200);
        assert_eq!(alice.get(&Authorize::code("web").path()).await.param("iss"), "");
        assert_eq!(names(&alice.get(&Authorize::new("page", "id_token").path()).await), ["id_token", "iss", "state"]);
    }

    async fn az_06_az_07_az_12_a_strict_refusal_names_the_issuer(app: TestApp) {
        let app = strict(app).await;
        let mut alice = signed_in(&app, "alice").await;
        let web = Authorize::code("web");
        for (request, error) in [
            (web.without("response_type"), "invalid_request"),
            (web.with("response_type", "device"), "unsupported_response_type"),
            (Authorize::new("page", "id_token token").without("nonce"), "invalid_request"),
            (Authorize::new("page", "id_token token").with("response_mode", "query"), "invalid_request"),
            (web.with("code_challenge", "short"), "invalid_request"),
            (Authorize::code("page").without("code_challenge").without("code_challenge_method"), "invalid_request"),
            (Authorize::code("page").with("code_challenge_method", "plain"), "invalid_request"),
            (web.with("code_challenge_method", "plain"), "invalid_request"),
            (web.without("code_challenge_method"), "invalid_request"),
            (Authorize::new("page", "id_token token").with("scope", "profile"), "invalid_request"),
            (web.with("prompt", "none login"), "invalid_request"),
            (web.with("request_uri", "https://canary.test/"), "request_uri_not_supported"),
            (web.with("audience", "urn:none"), "access_denied"),
        ] {
            assert_told(&alice.get(&request.path()).await, error);
        }
        let stranger = browser(&app).get(&web.with("prompt", "none").path()).await;
        assert_told(&stranger, "login_required");
    }

    async fn az_01_az_05_a_strict_page_leads_nowhere(app: TestApp) {
        let app = strict(app).await;
        let mut alice = signed_in(&app, "alice").await;
        for uri in ["https://app.test/cb/", "https://evil.test/cb", "http://app.test/cb"] {
            let answer = alice.get(&Authorize::code("web").with("redirect_uri", uri).path()).await;
            assert_eq!((answer.status, answer.has("location")), (403, false), "{uri}");
        }
        let twice = format!("{}&state=again", Authorize::code("web").path());
        let answer = alice.get(&twice).await;
        assert_eq!((answer.status, answer.has("location")), (400, false));
        let unknown = alice.get(&Authorize::code("nobody").path()).await;
        assert!(unknown.status >= 400 && !unknown.has("location"), "{unknown:?}");
        let unnamed = Authorize::code("web").without("redirect_uri");
        let answer = alice.get(&unnamed.path()).await;
        assert_eq!((answer.status, answer.has("location")), (403, false), "OpenID Connect has it named");
        let plain = unnamed.with("scope", "read:a").with("audience", API);
        assert!(!alice.get(&plain.path()).await.param("code").is_empty(), "OAuth takes the only one");
        let callbacks = json!({ "callbacks": [CALLBACK, "https://app.test/other"] });
        assert_eq!(app.admin().patch("/api/v2/clients/web", callbacks).await.status, 200);
        let answer = alice.get(&plain.path()).await;
        assert_eq!((answer.status, answer.has("location")), (403, false), "but not one of several");
    }

    async fn tk_01_a_strict_second_use_takes_back_what_the_first_bought(app: TestApp) {
        let app = strict(app).await;
        let mut alice = signed_in(&app, "alice").await;
        let exchange = Exchange::code("web", &code(&mut alice, &Authorize::code("web").with("scope", "openid offline_access")).await);
        let first = grant_of(&exchange.send(&app).await);
        assert_refused(&exchange.send(&app).await, 400, "invalid_grant", INVALID_CODE);
        assert_eq!(userinfo(&app, &first.access_token).await.status, 401);
        assert_refused(&Exchange::refresh("web", &first.refresh_token).send(&app).await, 400, "invalid_grant", INVALID_REFRESH);
    }

    async fn tk_03_what_was_issued_to_a_strict_client_is_nothing_to_another(app: TestApp) {
        let app = strict(app).await;
        let mut alice = signed_in(&app, "alice").await;
        let request = Authorize::code("web").with("scope", "openid offline_access");
        let theirs = code(&mut alice, &request).await;
        assert_refused(&Exchange::code("page", &theirs).send(&app).await, 400, "invalid_grant", INVALID_CODE);
        let own = grant_of(&Exchange::code("web", &theirs).send(&app).await);
        assert_refused(&Exchange::refresh("page", &own.refresh_token).send(&app).await, 400, "invalid_grant", INVALID_REFRESH);
        assert_eq!(Exchange::refresh("web", &own.refresh_token).send(&app).await.status, 200);
    }

    async fn tk_04_a_strict_client_is_told_invalid_grant(app: TestApp) {
        let app = strict(app).await;
        let mut alice = signed_in(&app, "alice").await;
        for (given, told) in [(None, "null"), (Some("https://app.test/cb/"), "https://app.test/cb/")] {
            let exchange = Exchange::code("web", &code(&mut alice, &Authorize::code("web")).await);
            let wrong = match given {
                Some(uri) => exchange.with("redirect_uri", uri),
                None => exchange.without("redirect_uri"),
            };
            let description = format!("The redirect URI is wrong. You sent {told}, and we expected {CALLBACK}");
            assert_refused(&wrong.send(&app).await, 400, "invalid_grant", &description);
            assert_refused(&exchange.send(&app).await, 400, "invalid_grant", INVALID_CODE);
        }
    }

    async fn tk_05_tk_06_a_strict_code_is_bound_and_ends(app: TestApp) {
        let app = strict(app).await;
        let mut alice = signed_in(&app, "alice").await;
        let unverified = Exchange::code("web", &code(&mut alice, &Authorize::code("web")).await).without("code_verifier");
        assert_refused(&unverified.send(&app).await, 400, "invalid_grant", "Failed to verify code verifier");
        let late = Exchange::code("web", &code(&mut alice, &Authorize::code("web")).await);
        app.app.clock.advance(60);
        assert_refused(&late.send(&app).await, 400, "invalid_grant", INVALID_CODE);
    }

    async fn tk_07_a_strict_client_proves_itself_by_its_method_alone(app: TestApp) {
        let app = strict(app).await;
        let basic = json!({ "app_type": "regular_web", "callbacks": [CALLBACK], "token_endpoint_auth_method": "client_secret_basic" });
        app.add_client("basic", basic).await;
        let mut alice = signed_in(&app, "alice").await;
        let by = |client: &str| app.caller().with("authorization", &format!("Basic {}", base64(&format!("{client}:{client}-secret"))));
        let posted = Exchange::code("web", &code(&mut alice, &Authorize::code("web")).await);
        let refused = posted.without("client_secret").send_as(&by("web")).await;
        assert_refused(&refused, 401, "invalid_client", "Unauthorized");
        assert_eq!(refused.header("www-authenticate"), "Basic realm=\"token\"");
        for wrong in [posted.with("client_secret", "wrong"), posted.without("client_secret"), posted.with("client_id", "nobody")] {
            assert_refused(&wrong.send(&app).await, 401, "invalid_client", "Unauthorized");
        }
        let in_query = posted.send_to(&app, "/oauth/token?client_secret=web-secret").await;
        assert_refused(&in_query, 401, "invalid_client", "Unauthorized");
        assert_eq!(posted.send(&app).await.status, 200);
        let shown = Exchange::code("basic", &code(&mut alice, &Authorize::code("basic")).await);
        assert_refused(&shown.send(&app).await, 401, "invalid_client", "Unauthorized");
        assert_eq!(shown.without("client_secret").send_as(&by("basic")).await.status, 200);
    }

    async fn tk_08_a_strict_client_has_the_grants_that_it_lists(app: TestApp) {
        let app = strict(app).await;
        let coder = json!({ "app_type": "regular_web", "callbacks": [CALLBACK], "grant_types": ["authorization_code"], "token_endpoint_auth_method": "client_secret_post" });
        app.add_client("coder", coder).await;
        let answer = Exchange::refresh("coder", "v1.x").send(&app).await;
        assert_refused(&answer, 400, "unauthorized_client", "Grant type 'refresh_token' not allowed for the client.");
        let unknown = Exchange::new("web", "urn:x").send(&app).await;
        assert_refused(&unknown, 400, "unsupported_grant_type", "Unsupported grant type: urn:x");
    }

    async fn tk_09_a_strict_refresh_token_used_again_ends_its_family(app: TestApp) {
        let app = strict(app).await;
        add_rotating(&app, "rotating", 0).await;
        let mut alice = signed_in(&app, "alice").await;
        let first = bought(&app, &mut alice, "rotating", "read:a", API).await;
        let second = grant_of(&Exchange::refresh("rotating", &first.refresh_token).send(&app).await);
        for token in [&first, &second] {
            let answer = Exchange::refresh("rotating", &token.refresh_token).send(&app).await;
            assert_refused(&answer, 400, "invalid_grant", INVALID_REFRESH);
        }
    }

    async fn tk_12_a_strict_refresh_never_widens(app: TestApp) {
        let app = strict(app).await;
        add_rotating(&app, "rotating", 0).await;
        let mut alice = signed_in(&app, "alice").await;
        let first = bought(&app, &mut alice, "rotating", "read:a", API).await;
        let wider = Exchange::refresh("rotating", &first.refresh_token).with("scope", "openid read:a write:a");
        assert_eq!(grant_of(&wider.send(&app).await).scope, "openid read:a");
    }

    /// OpenID Connect Core §5.1: a number, where Auth0 tells a date.
    async fn az_14_a_strict_client_reads_times_as_numbers(app: TestApp) {
        let app = strict(app).await;
        let mut alice = signed_in(&app, "alice").await;
        let request = Authorize::code("web").with("scope", "openid profile");
        let bought = Exchange::code("web", &code(&mut alice, &request).await).send(&app).await;
        let told = claims(bought.body["id_token"].as_str().expect("is there"));
        let seconds = app.app.clock.now().seconds();
        assert_eq!(told["updated_at"], json!(seconds));
        let info = userinfo(&app, bought.body["access_token"].as_str().expect("is there")).await;
        assert_eq!(info.body["updated_at"], json!(seconds));
        assert_eq!(app.admin().patch("/api/v2/doorward/clients/web", json!({ "strict": false })).await.status, 200);
        let lax = userinfo(&app, bought.body["access_token"].as_str().expect("is there")).await;
        assert!(matches!(&lax.body["updated_at"], Value::String(_)), "{lax:?}");
    }

    /// RFC 6750 §2.2: a form may bring the token, once and alone.
    async fn a_strict_client_may_post_its_token_to_userinfo(app: TestApp) {
        let app = strict(app).await;
        let mut alice = signed_in(&app, "alice").await;
        let request = Authorize::code("web");
        let token = grant_of(&Exchange::code("web", &code(&mut alice, &request).await).send(&app).await).access_token;
        let form: [(&str, &str); 1] = [("access_token", &token)];
        let told = app.caller().form("/userinfo", &form).await;
        assert_eq!((told.status, &told.body), (200, &json!({ "sub": "auth0|alice" })), "{told:?}");
        let refused = |answer: Answer, challenge: &str| {
            assert_eq!((answer.status, answer.text.as_str()), (401, "Unauthorized"), "{answer:?}");
            assert_eq!(answer.header("www-authenticate"), challenge);
        };
        let (none, invalid) = (
            "Bearer realm=\"Users\"",
            "Bearer realm=\"Users\", error=\"invalid_token\", error_description=\"The access token is not valid\"",
        );
        let header = app.caller().with("authorization", &format!("Bearer {token}"));
        refused(header.form("/userinfo", &form).await, invalid);
        refused(app.caller().form("/userinfo", &[("access_token", "other")]).await, invalid);
        refused(app.caller().form("/userinfo", &[("access_token", &*token), ("access_token", &*token)]).await, none);
        refused(app.caller().post("/userinfo", json!({ "access_token": token })).await, none);
        refused(app.caller().get(&format!("/userinfo?access_token={token}")).await, none);
        assert_eq!(app.admin().patch("/api/v2/doorward/clients/web", json!({ "strict": false })).await.status, 200);
        refused(app.caller().form("/userinfo", &form).await, none);
        assert_eq!(header.form("/userinfo", &form).await.status, 200);
    }
}
