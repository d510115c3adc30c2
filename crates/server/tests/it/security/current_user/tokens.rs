//! Which token is one, and where it is looked for.

use axum::http::Method;
use serde_json::{Value, json};

use super::{ALICE, BOB, every_scope, people, saying};
use crate::security::refusals::{Attempt, bad_header, bad_token, missing_authentication, refusal};
use crate::security::{API, browser, prepared};
use crate::support::app::NOW;
use crate::support::{Authorize, TestApp};

/// The tokens that a sign-in to `page` gives: `access_token`, `id_token`, `refresh_token`, and `code`, which is unspent.
async fn issued(app: &TestApp, audience: &str, scope: &str) -> Value {
    let mut browser = browser(app);
    let request = Authorize::code("page").with("scope", scope);
    let request = if audience.is_empty() { request } else { request.with("audience", audience) };
    let landed = browser.sign_in(&request.path(), "alice@example.com").await;
    let spent = landed.param("code");
    let fields = [
        ("grant_type", "authorization_code"),
        ("client_id", "page"),
        ("code", &*spent),
        ("redirect_uri", crate::support::browser::CALLBACK),
        ("code_verifier", crate::support::browser::VERIFIER),
    ];
    let mut tokens = app.caller().form("/oauth/token", &fields).await;
    assert_eq!(tokens.status, 200, "{}", tokens.text);
    tokens.body["code"] = browser.open(&request.path()).await.param("code").into();
    tokens.body
}

both_databases! {
    /// RFC 6750: one header, one scheme, and no other place.
    async fn cu_05_a_token_comes_in_one_authorization_header(app: TestApp) {
        let app = people(app).await;
        let good = app.token("auth0|alice", &every_scope()).bearer().await;
        for accepted in [format!("Bearer {good}"), format!("bearer {good}"), format!("BEARER {good}")] {
            assert_eq!(saying(&app, &accepted).get(ALICE).await.status, 200);
        }
        let nobody = app.caller();
        for missing in [
            nobody.clone(),
            saying(&app, ""),
            saying(&app, &format!("Token {good}")),
            saying(&app, &format!("Basic {good}")),
            saying(&app, &good),
            saying(&app, &format!("Bearer{good}")),
            saying(&app, &format!("Bearer:{good}")),
            saying(&app, &format!("Bearer {good}")).with("authorization", &format!("Bearer {good}")),
            saying(&app, &format!("Bearer {good}")).with("authorization", "Basic eDp5"),
            nobody.with("cookie", &format!("access_token={good}; token={good}; Authorization=Bearer {good}")),
            nobody.with("x-authorization", &format!("Bearer {good}")).with("proxy-authorization", &format!("Bearer {good}")),
        ] {
            let answer = Attempt::get(ALICE).refused(&app, &missing, &missing_authentication()).await;
            assert_eq!(answer.header("www-authenticate"), "Bearer");
        }
        // What is bound to no key is not shown as if it were.
        Attempt::get(ALICE).refused(&app, &saying(&app, &format!("DPoP {good}")), &bad_token("Invalid token")).await;
        for bad in ["Bearer", "Bearer ", &format!("Bearer {good} {good}"), &format!("Bearer {good}, Bearer {good}"), "Bearer a", "Bearer a.b"] {
            Attempt::get(ALICE).refused(&app, &saying(&app, bad), &bad_header()).await;
        }
        for query in ["access_token", "token", "authorization", "bearer", "id_token"] {
            let path = format!("{ALICE}?{query}={good}");
            Attempt::get(&path).refused(&app, &nobody, &missing_authentication()).await;
        }
        let form = nobody.send(Method::PATCH, ALICE, Some("application/x-www-form-urlencoded"), format!("access_token={good}")).await;
        assert_eq!((form.status, form.body), (401, missing_authentication()));
    }

    /// What else Doorward issues is no access token of this API.
    async fn cu_06_only_an_access_token_for_this_api_is_one(app: TestApp) {
        let app = prepared(app).await;
        let ours = issued(&app, &app.tenant.management_audience(), "openid read:current_user").await;
        let other = issued(&app, API, "openid offline_access read:a").await;
        let opaque = issued(&app, "", "openid").await;
        let text = |tokens: &Value, name: &str| tokens[name].as_str().unwrap_or_else(|| panic!("no {name}")).to_owned();
        let good = saying(&app, &format!("Bearer {}", text(&ours, "access_token"))).get(ALICE).await;
        assert_eq!((good.status, &good.body["user_id"]), (200, &json!("auth0|alice")), "{}", good.text);

        let audience = refusal(401, "Unauthorized", "Bad audience: https://id.test/api/v2/", "");
        for (token, expected) in [
            (text(&ours, "id_token"), bad_token("Invalid token")),
            (text(&other, "id_token"), bad_token("Invalid token")),
            (text(&other, "access_token"), audience),
            (text(&opaque, "access_token"), bad_header()),
            (text(&other, "refresh_token"), bad_header()),
            (text(&ours, "code"), bad_header()),
        ] {
            Attempt::get(ALICE).refused(&app, &saying(&app, &format!("Bearer {token}")), &expected).await;
        }
        // An ID token is told from an access token by more than its audience, which its client could name.
        let alice = app.token("auth0|alice", "read:current_user");
        for like_an_id_token in [
            alice.claiming("aud", "spa"),
            alice.claiming("aud", "spa").claiming("azp", Value::Null),
            alice.claiming("nonce", "n"),
            alice.claiming("azp", Value::Null),
            alice.claiming("aud", app.tenant.management_audience()).claiming("azp", app.tenant.management_audience()),
        ] {
            Attempt::get(ALICE).refused(&app, &like_an_id_token, &bad_token("Invalid token")).await;
        }
    }

    /// A token is what it was when it was signed, and for as long as it says.
    async fn cu_07_an_expired_or_altered_token_is_refused(app: TestApp) {
        use base64::Engine;
        use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;

        let app = people(app).await;
        let now = NOW.seconds();
        let alice = app.token("auth0|alice", &every_scope());
        let expired = bad_token("Expired token received for JSON Web Token validation");
        let signature = bad_token("Invalid signature received for JSON Web Token validation");
        for past in [alice.claiming("exp", now), alice.claiming("exp", now - 86_400).claiming("iat", now - 90_000)] {
            let answer = Attempt::get(ALICE).refused(&app, &past, &expired).await;
            let challenge = "Bearer error=\"Expired token received for JSON Web Token validation\"";
            assert_eq!(answer.header("www-authenticate"), challenge);
        }
        let good = alice.bearer().await;
        let [header, _, own] = good.split('.').collect::<Vec<_>>().try_into().expect("three parts");
        let mut claims = alice.claims.clone().expect("has claims");
        claims.insert("sub".into(), "auth0|bob".into());
        let altered = BASE64.encode(Value::Object(claims).to_string());
        let bob = app.token("auth0|bob", &every_scope()).bearer().await;
        let [_, bobs, bobs_signature] = bob.split('.').collect::<Vec<_>>().try_into().expect("three parts");
        for (token, path) in [
            (format!("{header}.{altered}.{own}"), BOB),
            (format!("{header}.{altered}.{bobs_signature}"), BOB),
            (format!("{header}.{bobs}.{own}"), BOB),
            (format!("{}.{bobs_signature}", good.rsplit_once('.').expect("parts").0), ALICE),
            (format!("{}.", good.rsplit_once('.').expect("parts").0), ALICE),
        ] {
            Attempt::get(path).refused(&app, &saying(&app, &format!("Bearer {token}")), &signature).await;
            let body = json!({ "user_metadata": { "a": 1 } });
            Attempt::patch(path, &body).refused(&app, &saying(&app, &format!("Bearer {token}")), &signature).await;
        }
    }
}
