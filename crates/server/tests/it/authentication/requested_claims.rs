//! The `claims` parameter (OpenID Connect Core §5.5).

use model::users::NewUser;
use serde_json::{Value, json};

use crate::security::exchange::{Exchange, grant_of, userinfo};
use crate::security::{API, assert_returned, browser, claims, prepared, signed_in};
use crate::support::app::PASSWORD;
use crate::support::browser::CALLBACK;
use crate::support::{Authorize, Browser, TestApp};

fn asking(client: &str, claims: &Value) -> Authorize {
    Authorize::code(client).with("claims", &claims.to_string())
}

/// The whole of what a code buys: the ID token's claims, and what `/userinfo` tells.
async fn bought(app: &TestApp, browser: &mut Browser, request: &Authorize) -> (Value, Value, String) {
    let landed = browser.get(&request.path()).await;
    let answer = Exchange::code("web", &landed.param("code")).send(app).await;
    let issued = grant_of(&answer);
    let told = userinfo(app, &issued.access_token).await;
    assert_eq!(told.status, 200, "{told:?}");
    (claims(answer.body["id_token"].as_str().expect("one")), told.body, issued.refresh_token)
}

both_databases! {
    async fn a_claim_is_told_where_it_was_asked_for_and_nowhere_else(app: TestApp) {
        let app = prepared(app).await;
        let named = NewUser { user_id: Some("ann".into()), email: Some("ann@example.com".into()), name: Some("Ann".into()), ..NewUser::default() };
        app.add_user_with(named).await;
        let mut ann = browser(&app);
        ann.sign_in(&Authorize::code("web").path(), "ann@example.com").await;
        let wanted = json!({ "userinfo": { "email": { "essential": true }, "website": null }, "id_token": { "name": null, "app_metadata": null } });
        let (id_token, told, _) = bought(&app, &mut ann, &asking("web", &wanted)).await;
        assert_eq!((&id_token["name"], id_token.get("email"), id_token.get("app_metadata")), (&json!("Ann"), None, None));
        assert_eq!(told, json!({ "sub": "auth0|ann", "email": "ann@example.com" }));
        // With another value than was asked for, it is not told.
        let wanted = json!({ "userinfo": { "email": { "value": "other@example.com" }, "name": { "values": ["Bob", "Ann"] } } });
        let (_, told, _) = bought(&app, &mut ann, &asking("web", &wanted)).await;
        assert_eq!(told, json!({ "sub": "auth0|ann", "name": "Ann" }));
        // The front channel, and a token for an API that opens `/userinfo` too.
        let wanted = json!({ "userinfo": { "email": null }, "id_token": { "email": null } });
        let front = Authorize::new("page", "id_token token").with("claims", &wanted.to_string());
        for request in [front.clone(), front.with("audience", API)] {
            let landed = ann.get(&request.path()).await;
            assert_eq!(claims(&landed.param("id_token"))["email"], "ann@example.com", "{landed:?}");
            let told = userinfo(&app, &landed.param("access_token")).await.body;
            assert_eq!(told, json!({ "sub": "auth0|ann", "email": "ann@example.com" }));
        }
    }

    /// What was named goes on with the refresh token, as its scopes do.
    async fn a_refreshed_sign_in_tells_what_was_named(app: TestApp) {
        let app = prepared(app).await;
        let mut alice = signed_in(&app, "alice").await;
        let wanted = json!({ "userinfo": { "email_verified": null }, "id_token": { "email": null } });
        let request = asking("web", &wanted).with("scope", "openid offline_access");
        let (_, _, refresh_token) = bought(&app, &mut alice, &request).await;
        let renewed = Exchange::refresh("web", &refresh_token).send(&app).await;
        assert_eq!(claims(renewed.body["id_token"].as_str().expect("one"))["email"], "alice@example.com");
        let told = userinfo(&app, &grant_of(&renewed).access_token).await.body;
        assert_eq!(told, json!({ "sub": "auth0|alice", "email_verified": true }));
    }

    async fn when_somebody_signed_in_is_told_to_who_asks(app: TestApp) {
        let app = prepared(app).await;
        let mut alice = signed_in(&app, "alice").await;
        let then = app.app.clock.now().seconds();
        app.app.clock.advance(60);
        let (plain, _, _) = bought(&app, &mut alice, &Authorize::code("web")).await;
        assert_eq!(plain.get("auth_time"), None);
        for asked in [json!(null), json!({ "essential": true })] {
            let (id_token, _, _) = bought(&app, &mut alice, &asking("web", &json!({ "id_token": { "auth_time": asked } }))).await;
            assert_eq!(id_token["auth_time"], then);
        }
    }

    /// §5.5.1: a subject with a value is who the answer must be about.
    async fn a_named_subject_signs_in_or_nobody(app: TestApp) {
        let app = prepared(app).await;
        let mut bob = signed_in(&app, "bob").await;
        for place in ["id_token", "userinfo"] {
            let of = |sub: &str| asking("web", &json!({ place: { "sub": { "value": sub } } }));
            assert!(!bob.get(&of("auth0|bob").with("prompt", "none").path()).await.param("code").is_empty());
            let silent = bob.get(&of("auth0|alice").with("prompt", "none").path()).await;
            assert_returned(&silent, "login_required", "Login required");
            let page = bob.open(&of("auth0|alice").path()).await;
            assert!(page.text.contains("name=\"password\""), "{page:?}");
        }
        let page = bob.open(&asking("web", &json!({ "id_token": { "sub": { "value": "auth0|alice" } } })).path()).await;
        let landed = bob.submit(&page, &[("username", "alice@example.com"), ("password", PASSWORD)]).await;
        assert!(!landed.param("code").is_empty(), "{landed:?}");
    }

    /// §5.5.1.1: `acr` is the one claim without which there is no answer.
    async fn an_essential_acr_is_met_or_refused(app: TestApp) {
        let app = prepared(app).await;
        let mut alice = signed_in(&app, "alice").await;
        let acr = |request: Value| asking("web", &json!({ "id_token": { "acr": request } })).with("prompt", "none");
        let multi = "http://schemas.openid.net/pape/policies/2007/06/multi-factor";
        let refused = alice.get(&acr(json!({ "essential": true, "value": "urn:gold" })).path()).await;
        assert_returned(&refused, "unmet_authentication_requirements", "The acr that is essential cannot be met");
        for asked in [json!({ "essential": true, "values": ["urn:gold", multi] }), json!({ "value": multi })] {
            let missing = alice.get(&acr(asked).path()).await;
            assert_returned(&missing, "login_required", "Multifactor authentication required");
        }
        for asked in [json!(null), json!({ "value": "urn:gold" }), json!({ "essential": true })] {
            assert!(!alice.get(&acr(asked).path()).await.param("code").is_empty());
        }
    }

    /// A stranger's app gets no claim without consent, whichever way it names it.
    async fn a_stranger_asks_for_consent_to_what_it_names(app: TestApp) {
        let app = prepared(app).await;
        let body = json!({
            "app_type": "regular_web", "oidc_conformant": true, "is_first_party": false, "callbacks": [CALLBACK],
            "token_endpoint_auth_method": "client_secret_post",
        });
        app.add_client("theirs", body).await;
        let mut alice = browser(&app);
        assert!(!alice.sign_in(&Authorize::code("theirs").path(), "alice@example.com").await.param("code").is_empty());
        assert!(!alice.get(&Authorize::code("theirs").path()).await.param("code").is_empty(), "once is enough");
        let named = asking("theirs", &json!({ "userinfo": { "email": null } }));
        let silent = alice.get(&named.with("prompt", "none").path()).await;
        assert_returned(&silent, "consent_required", "Consent required");
        let page = alice.open(&named.path()).await;
        assert!(page.text.contains("See your email address"), "{}", page.text);
        let landed = alice.submit(&page, &[("action", "accept")]).await;
        let answer = Exchange::code("theirs", &landed.param("code")).send(&app).await;
        assert_eq!(grant_of(&answer).scope, "openid", "it is no scope");
        let told = userinfo(&app, &grant_of(&answer).access_token).await.body;
        assert_eq!(told["email"], "alice@example.com");
        assert!(!alice.get(&named.with("prompt", "none").path()).await.param("code").is_empty());
    }

    async fn what_is_no_claims_parameter_is_refused(app: TestApp) {
        let app = prepared(app).await;
        let mut alice = signed_in(&app, "alice").await;
        for text in ["x", "[]", "{\"userinfo\":[]}", "{\"id_token\":{\"name\":true}}"] {
            let answer = alice.get(&Authorize::code("web").with("claims", text).path()).await;
            assert_returned(&answer, "invalid_request", "claims must be a JSON object as OpenID Connect Core section 5.5 has it");
        }
        let discovery = app.caller().get("/.well-known/openid-configuration").await.body;
        assert_eq!(discovery["claims_parameter_supported"], true);
    }
}
