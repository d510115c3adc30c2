//! TK: codes and client authentication at the token endpoint.

use axum::http::Method;
use db::params;
use serde_json::json;

use super::exchange::{Exchange, assert_refused, at_once, base64, grant_of, userinfo};
use super::{API, claims, codes, prepared, signed_in, stored};
use crate::support::app::secret_of;
use crate::support::browser::{CALLBACK, CHALLENGE, VERIFIER};
use crate::support::{Answer, Authorize, Browser, TestApp};

const INVALID: &str = "Invalid authorization code";

/// A code for `web`, with all that a sign-in can buy.
async fn offline_code(browser: &mut Browser) -> String {
    new_code(browser, &Authorize::code("web").with("scope", "openid offline_access")).await
}

async fn new_code(browser: &mut Browser, request: &Authorize) -> String {
    let answer = browser.get(&request.path()).await;
    let code = answer.param("code");
    assert!(!code.is_empty(), "{answer:?}");
    code
}

async fn families(app: &TestApp) -> i64 {
    stored(app, "SELECT COUNT(*) FROM refresh_token_families WHERE tenant = $1", params![]).await
}

both_databases! {
    async fn tk_01_a_second_use_takes_back_what_the_first_bought(app: TestApp) {
        let app = prepared(app).await;
        let mut alice = signed_in(&app, "alice").await;
        for seconds in [1, 30, 3600] {
            let exchange = Exchange::code("web", &offline_code(&mut alice).await);
            let first = exchange.send(&app).await;
            assert_eq!(first.status, 200, "{first:?}");
            let bought = grant_of(&first);
            let refresh = Exchange::refresh("web", &bought.refresh_token);
            let later = grant_of(&refresh.send(&app).await);
            for token in [&bought.access_token, &later.access_token] {
                assert_eq!(userinfo(&app, token).await.status, 200);
            }
            app.app.clock.advance(seconds);
            assert_refused(&exchange.send(&app).await, 403, "invalid_grant", INVALID);
            for token in [&bought.access_token, &later.access_token] {
                assert_eq!(userinfo(&app, token).await.status, 401, "after {seconds} s");
            }
            assert_refused(&refresh.send(&app).await, 403, "invalid_grant", "Unknown or invalid refresh token.");
            assert_eq!(families(&app).await, 0);
        }
        assert_eq!(app.events().await.iter().filter(|kind| *kind == "feacft").count(), 3);
    }

    /// A scope that the API lost while the code was on its way is in no token.
    async fn tk_12_a_code_buys_what_is_granted_when_it_is_exchanged(app: TestApp) {
        let app = prepared(app).await;
        let mut alice = signed_in(&app, "alice").await;
        let request = Authorize::code("web").with("audience", API).with("scope", "openid read:a write:a");
        let code = new_code(&mut alice, &request).await;
        let narrower = json!({ "scopes": [{ "value": "read:a" }] });
        let changed = app.admin().patch("/api/v2/resource-servers/https%3A%2F%2Fapi.test%2F", narrower).await;
        assert_eq!(changed.status, 200, "{}", changed.text);
        let bought = grant_of(&Exchange::code("web", &code).send(&app).await);
        assert_eq!(bought.scope, "openid read:a");
        assert_eq!(claims(&bought.access_token)["scope"], "openid read:a");
    }

    async fn tk_03_what_was_issued_to_one_client_is_nothing_to_another(app: TestApp) {
        let app = prepared(app).await;
        let thief = json!({ "app_type": "regular_web", "callbacks": [CALLBACK], "token_endpoint_auth_method": "client_secret_post" });
        app.add_client("thief", thief).await;
        let mut alice = signed_in(&app, "alice").await;
        let code = offline_code(&mut alice).await;
        for other in ["thief", "page"] {
            let stolen = Exchange::code(other, &code).send(&app).await;
            assert_refused(&stolen, 403, "invalid_grant", INVALID);
        }
        let own = grant_of(&Exchange::code("web", &code).send(&app).await);
        for other in ["thief", "page"] {
            let stolen = Exchange::refresh(other, &own.refresh_token).send(&app).await;
            assert_refused(&stolen, 403, "invalid_grant", "Unknown or invalid refresh token.");
            let revoked = Exchange::revoke(other, &own.refresh_token).send_to(&app, "/oauth/revoke").await;
            assert_eq!((revoked.status, revoked.text.as_str()), (200, ""));
        }
        let exchanged: Option<i64> = stored(&app, "SELECT exchanged_at FROM refresh_token_families WHERE tenant = $1", params![]).await;
        assert_eq!(exchanged, None, "nobody moved the family");
        assert_eq!(Exchange::refresh("web", &own.refresh_token).send(&app).await.status, 200);
        let kinds = app.events().await;
        assert_eq!(["feacft", "fertft"].map(|kind| kinds.iter().filter(|known| *known == kind).count()), [2, 2]);
    }

    async fn tk_04_the_redirect_uri_is_repeated(app: TestApp) {
        let app = prepared(app).await;
        let mut alice = signed_in(&app, "alice").await;
        for (given, told) in [(None, "null"), (Some("https://app.test/cb/"), "https://app.test/cb/"), (Some("HTTPS://app.test/cb"), "HTTPS://app.test/cb")] {
            let exchange = Exchange::code("web", &offline_code(&mut alice).await);
            let wrong = match given {
                Some(uri) => exchange.with("redirect_uri", uri),
                None => exchange.without("redirect_uri"),
            };
            let description = format!("The redirect URI is wrong. You sent {told}, and we expected {CALLBACK}");
            assert_refused(&wrong.send(&app).await, 403, "unauthorized_client", &description);
            assert_refused(&exchange.send(&app).await, 403, "invalid_grant", INVALID);
        }
        assert_eq!(families(&app).await, 0);
    }

    async fn tk_05_the_verifier_answers_the_challenge(app: TestApp) {
        let app = prepared(app).await;
        let mut alice = signed_in(&app, "alice").await;
        let challenged = Authorize::code("web");
        let plain = challenged.without("code_challenge").without("code_challenge_method");
        for (request, verifier) in [
            (&challenged, None),
            (&challenged, Some("")),
            (&challenged, Some("x".repeat(43).as_str())),
            (&challenged, Some(CHALLENGE)),
            (&plain, Some(VERIFIER)),
        ] {
            let exchange = Exchange::code("web", &new_code(&mut alice, request).await).without("code_verifier");
            let wrong = verifier.map_or_else(|| exchange.clone(), |verifier| exchange.with("code_verifier", verifier));
            assert_refused(&wrong.send(&app).await, 403, "invalid_grant", "Failed to verify code verifier");
            let right = Exchange::code("web", exchange.value("code"));
            assert_refused(&right.send(&app).await, 403, "invalid_grant", INVALID);
        }
        let without = Exchange::code("web", &new_code(&mut alice, &plain).await).without("code_verifier");
        assert_eq!(without.send(&app).await.status, 200);
    }

    async fn tk_06_a_code_lives_for_a_minute(app: TestApp) {
        let app = prepared(app).await;
        let mut alice = signed_in(&app, "alice").await;
        let (early, late) = (offline_code(&mut alice).await, offline_code(&mut alice).await);
        app.app.clock.advance(59);
        assert_eq!(Exchange::code("web", &early).send(&app).await.status, 200);
        app.app.clock.advance(1);
        assert_refused(&Exchange::code("web", &late).send(&app).await, 403, "invalid_grant", INVALID);
        assert_eq!(families(&app).await, 1);
    }

    async fn tk_07_a_client_proves_itself_in_one_way_and_never_in_a_url(app: TestApp) {
        let app = prepared(app).await;
        let basic = json!({ "app_type": "regular_web", "callbacks": [CALLBACK], "token_endpoint_auth_method": "client_secret_basic" });
        app.add_client("basic", basic).await;
        let keyed = json!({ "app_type": "regular_web", "callbacks": [CALLBACK],
            "client_authentication_methods": { "private_key_jwt": { "credentials": [{ "id": "cred_1" }] } } });
        app.add_client("keyed", keyed).await;
        let mut alice = signed_in(&app, "alice").await;
        let code = offline_code(&mut alice).await;
        let (body, bare) = (Exchange::code("web", &code), Exchange::code("web", &code).without("client_secret"));

        let no_basic = |answer: &Answer| assert!(!answer.has("www-authenticate"), "{answer:?}");
        for refused in [
            body.with("client_secret", "wrong"),
            body.with("client_secret", "web-secret "),
            body.with("client_secret", ""),
            bare.clone(),
            bare.with("client_id", "nobody"),
            body.with("client_id", "basic"),
            Exchange::code("keyed", &code),
            Exchange::code("keyed", &code).without("client_secret"),
        ] {
            let answer = refused.send(&app).await;
            assert_refused(&answer, 401, "access_denied", "Unauthorized");
            no_basic(&answer);
        }
        for (exchange, path) in [
            (&bare, "/oauth/token?client_id=web&client_secret=web-secret"),
            (&body, "/oauth/token?client_secret=web-secret"),
            (&Exchange::code("page", &code), "/oauth/token?client_secret=x"),
        ] {
            let answer = exchange.send_to(&app, path).await;
            assert_refused(&answer, 401, "access_denied", "Unauthorized");
        }
        let encoded = |pair: &str| format!("Basic {}", base64(pair));
        let malformed = ["Basic", "Basic ", "Basic !!!", "Basic d2Vi", "Bearer x", "Digest x", "basic", &encoded("web"), &encoded("web:%zz"), &encoded(":web-secret")];
        for header in malformed.into_iter().map(str::to_owned).chain([encoded("web:wrong"), encoded("web:")]) {
            let answer = bare.send_as(&app.caller().with("authorization", &header)).await;
            assert_refused(&answer, 401, "access_denied", "Unauthorized");
            assert_eq!(answer.header("www-authenticate"), "Basic realm=\"token\"", "{header}");
        }
        let right = encoded("web:web-secret");
        for (exchange, header) in [(&body, &right), (&bare.with("client_id", "basic"), &right)] {
            let answer = exchange.send_as(&app.caller().with("authorization", header)).await;
            assert_refused(&answer, 401, "access_denied", "Unauthorized");
        }
        let twice = app.caller().with("authorization", &right).with("authorization", &right);
        assert_refused(&bare.send_as(&twice).await, 401, "access_denied", "Unauthorized");
        assert_refused(&bare.without("client_id").send(&app).await, 400, "invalid_request", "Missing required parameter: client_id");

        let by_header = bare.send_as(&app.caller().with("authorization", &right)).await;
        assert_eq!(by_header.status, 200, "the code is as good as ever, and a header will do: {by_header:?}");
        let other = Authorize::code("basic");
        let by_body = Exchange::code("basic", &new_code(&mut alice, &other).await).send(&app).await;
        assert_eq!(by_body.status, 200, "{by_body:?}");
        let public = Exchange::code("page", &new_code(&mut alice, &Authorize::code("page")).await);
        let ignored = public.with("client_secret", "anything").send(&app).await;
        assert_eq!(ignored.status, 200, "a public client's secret says nothing: {ignored:?}");
    }

    async fn tk_08_a_client_has_the_grants_that_it_lists(app: TestApp) {
        let app = prepared(app).await;
        let coder = json!({ "app_type": "regular_web", "callbacks": [CALLBACK], "grant_types": ["authorization_code"] });
        app.add_client("coder", coder).await;
        let m2m = Exchange::new("m2m", "authorization_code").with("code", "x");
        let credentials = Exchange::new("page", "client_credentials").with("audience", API);
        for (exchange, name) in [
            (Exchange::refresh("coder", "v1.x"), "refresh_token"),
            (Exchange::new("coder", "client_credentials").with("audience", API), "client_credentials"),
            (m2m, "authorization_code"),
            (credentials, "client_credentials"),
        ] {
            let answer = exchange.send(&app).await;
            let body = json!({
                "error": "unauthorized_client",
                "error_description": format!("Grant type '{name}' not allowed for the client."),
                "error_uri": "https://auth0.com/docs/clients/client-grant-types",
            });
            assert_eq!((answer.status, &answer.body), (403, &body));
            assert_eq!(answer.header("cache-control"), "no-store");
        }
        // No default client may exchange passwords.
        for client in ["web", "page"] {
            let answer = Exchange::new(client, "password").with("username", "alice@example.com").with("password", "x").send(&app).await;
            assert_eq!((answer.status, &answer.body["error"]), (403, &json!("unauthorized_client")));
        }
        for unknown in ["passwords", "implicit", "Authorization_Code", "urn:x:\"y\""] {
            let answer = Exchange::new("web", unknown).send(&app).await;
            assert_refused(&answer, 403, "unsupported_grant_type", &format!("Unsupported grant type: {unknown}"));
        }
        let missing = Exchange::new("web", "").send(&app).await;
        assert_refused(&missing, 400, "invalid_request", "Missing required parameter: grant_type");
    }

    async fn tk_14_a_mangled_token_or_body_is_refused(app: TestApp) {
        let app = prepared(app).await;
        let mut alice = signed_in(&app, "alice").await;
        let code = offline_code(&mut alice).await;
        let before = codes(&app).await;
        for mangled in mangle(&code) {
            let answer = Exchange::code("web", &mangled).send(&app).await;
            assert_refused(&answer, 403, "invalid_grant", INVALID);
        }
        assert_takes_single_strings(&app, &code).await;
        for (kind, body) in [("application/json", "[]"), ("application/json", "{"), ("application/json", "null")] {
            let answer = app.caller().send(Method::POST, "/oauth/token", Some(kind), body.to_owned()).await;
            assert_refused(&answer, 400, "invalid_request", "The request body is neither a form nor a JSON object");
        }
        assert_eq!((codes(&app).await, families(&app).await), (before, 0));

        let bought = grant_of(&Exchange::code("web", &code).send(&app).await);
        for mangled in mangle(&bought.refresh_token) {
            let answer = Exchange::refresh("web", &mangled).send(&app).await;
            assert_refused(&answer, 403, "invalid_grant", "Unknown or invalid refresh token.");
        }
        for mangled in mangle(&bought.access_token) {
            let answer = userinfo(&app, &mangled).await;
            assert_eq!((answer.status, answer.text.as_str()), (401, "Unauthorized"), "{mangled}");
        }
        assert_eq!(Exchange::refresh("web", &bought.refresh_token).send(&app).await.status, 200);
        assert_eq!(userinfo(&app, &bought.access_token).await.status, 200);
    }
}

both_databases_at_once! {
    async fn tk_02_of_many_redemptions_one_succeeds(app: TestApp) {
        let app = prepared(app).await;
        let mut alice = signed_in(&app, "alice").await;
        for round in 0..20 {
            let exchange = Exchange::code("web", &offline_code(&mut alice).await);
            let answers = at_once(&app, 64, &exchange).await;
            let won = answers.iter().filter(|answer| answer.status == 200).count();
            assert_eq!(won, 1, "round {round}: {:?}", answers.iter().map(|answer| answer.status).collect::<Vec<_>>());
            for answer in answers.iter().filter(|answer| answer.status != 200) {
                assert_refused(answer, 403, "invalid_grant", INVALID);
            }
            assert_eq!(families(&app).await, 0, "what the one bought is taken back");
        }
    }
}

/// Each parameter of the exchange of `code` is one string, or is refused and changes nothing.
pub async fn assert_takes_single_strings(app: &TestApp, code: &str) {
    let good = serde_json::to_value(Exchange::code("web", code).object()).expect("is JSON");
    for name in ["code", "grant_type", "client_id", "client_secret", "redirect_uri", "code_verifier"] {
        let (no_string, repeated) =
            (format!("Parameter {name} must be a string"), format!("Parameter {name} must not be repeated"));
        for value in [json!([code]), json!({ "$ne": "" }), json!(7), json!(true), json!([])] {
            let mut body = good.clone();
            body[name] = value;
            let answer = app.caller().post("/oauth/token", body).await;
            assert_refused(&answer, 400, "invalid_request", &no_string);
        }
        let twice = good.to_string().replacen('{', &format!("{{\"{name}\":{},", good[name]), 1);
        let answer = app.caller().send(Method::POST, "/oauth/token", Some("application/json"), twice).await;
        assert_refused(&answer, 400, "invalid_request", &repeated);
        let listed = Exchange::code("web", code).renamed(name, &format!("{name}[]"));
        assert_refused(&listed.send(app).await, 400, "invalid_request", &no_string);
        let doubled = Exchange::code("web", code).adding(name, "x");
        assert_refused(&doubled.send(app).await, 400, "invalid_request", &repeated);
    }
}

/// A token cut, lengthened, and in other case.
pub fn mangle(token: &str) -> Vec<String> {
    let other_case =
        |c: char| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
    vec![
        token[..token.len() - 1].to_owned(),
        token[1..].to_owned(),
        format!("{token}A"),
        format!("{token}="),
        format!("{token}{token}"),
        token.chars().map(other_case).collect(),
        token.to_ascii_lowercase(),
        "x".repeat(10_000),
        secret_of("web"),
    ]
}
