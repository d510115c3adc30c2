//! Rights that change after they were granted, and settings of a client that ask for more than there is.

use serde_json::{Value, json};

use super::exchange::{Exchange, assert_refused, grant_of};
use super::{API, assert_page_error, assert_returned, browser, claims, codes, prepared, signed_in};
use crate::support::browser::Form;
use crate::support::{Answer, Authorize, Browser, TestApp};

const API_PATH: &str = "/api/v2/resource-servers/https%3A%2F%2Fapi.test%2F";

async fn changed(app: &TestApp, path: &str, body: Value) {
    let answer = app.admin().patch(path, body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// A code for the API with everything that it gives.
async fn code(browser: &mut Browser) -> String {
    let request = Authorize::code("web").with("scope", "openid offline_access read:a write:a");
    browser.get(&request.with("audience", API).path()).await.param("code")
}

async fn machine_scope(app: &TestApp, asked: Option<&str>) -> Value {
    let mut fields = vec![
        ("grant_type", "client_credentials"),
        ("client_id", "m2m"),
        ("client_secret", "m2m-secret"),
        ("audience", API),
    ];
    fields.extend(asked.map(|scope| ("scope", scope)));
    let answer = app.caller().form("/oauth/token", &fields).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    claims(answer.body["access_token"].as_str().unwrap_or_default())["scope"].clone()
}

both_databases! {
    async fn a_session_counts_only_where_its_connection_does(app: TestApp) {
        let app = prepared(app).await;
        let mut alice = signed_in(&app, "alice").await;
        let connections = app.admin().get("/api/v2/connections").await;
        let path = format!("/api/v2/connections/{}/clients", connections.body[0]["id"].as_str().unwrap_or_default());
        let removed = app.admin().patch(&path, json!([{ "client_id": "page", "status": false }])).await;
        assert_eq!(removed.status, 204, "{removed:?}");
        let silent = alice.get(&Authorize::code("page").with("prompt", "none").path()).await;
        assert_returned(&silent, "login_required", "Login required");
        let still = alice.get(&Authorize::code("web").with("prompt", "none").path()).await;
        assert!(!still.param("code").is_empty(), "{still:?}");
    }

    async fn a_client_without_single_sign_on_asks_each_time(app: TestApp) {
        let app = prepared(app).await;
        let mut alice = signed_in(&app, "alice").await;
        changed(&app, "/api/v2/clients/web", json!({ "sso_disabled": true })).await;
        let silent = alice.get(&Authorize::code("web").with("prompt", "none").path()).await;
        assert_returned(&silent, "login_required", "Login required");
        let landed = alice.sign_in(&Authorize::code("web").path(), "alice@example.com").await;
        assert!(!landed.param("code").is_empty(), "{landed:?}");
    }

    async fn an_exchange_gives_what_the_api_still_gives(app: TestApp) {
        let app = prepared(app).await;
        let mut alice = signed_in(&app, "alice").await;
        let early = code(&mut alice).await;
        let issued = grant_of(&Exchange::code("web", &code(&mut alice).await).send(&app).await);
        changed(&app, API_PATH, json!({ "scopes": [{ "value": "read:a" }] })).await;
        for exchange in [Exchange::code("web", &early), Exchange::refresh("web", &issued.refresh_token)] {
            let answer = exchange.send(&app).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            assert_eq!(answer.body["scope"], "openid offline_access read:a");
            let token = claims(answer.body["access_token"].as_str().unwrap_or_default());
            assert_eq!(token["scope"], "openid offline_access read:a");
        }
        let late = code(&mut alice).await;
        changed(&app, API_PATH, json!({ "subject_type_authorization": { "user": { "policy": "deny_all" } } })).await;
        let answer = Exchange::refresh("web", &issued.refresh_token).send(&app).await;
        assert_refused(&answer, 403, "invalid_grant", "Unknown or invalid refresh token.");
        let answer = Exchange::code("web", &late).send(&app).await;
        assert_refused(&answer, 403, "access_denied", &format!("Service not found: {API}"));
    }

    async fn a_machine_gets_only_scopes_that_the_api_has(app: TestApp) {
        let app = prepared(app).await;
        let grant = json!({ "client_id": "m2m", "audience": API, "allow_all_scopes": true, "scope": [] });
        let grant = app.admin().post("/api/v2/client-grants", grant).await;
        assert_eq!(grant.status, 201, "{grant:?}");
        assert_eq!(machine_scope(&app, Some("admin:everything read:a")).await, "read:a");
        let path = format!("/api/v2/client-grants/{}", grant.body["id"].as_str().unwrap_or_default());
        changed(&app, &path, json!({ "allow_all_scopes": false, "scope": ["read:a", "write:a"] })).await;
        changed(&app, API_PATH, json!({ "scopes": [{ "value": "read:a" }] })).await;
        assert_eq!(machine_scope(&app, None).await, "read:a");
        assert_eq!(machine_scope(&app, Some("write:a")).await, Value::Null);
    }

    async fn a_consent_withdrawn_before_the_answer_is_asked_for_again(app: TestApp) {
        let app = prepared(app).await;
        let mut alice = signed_in(&app, "alice").await;
        let request = Authorize::code("web").with("scope", "openid read:current_user");
        let asked = alice.get(&request.with("audience", "https://id.test/api/v2/").path()).await;
        let page = alice.get(asked.location()).await;
        let form = Form::of(&page);
        let fields = [("state", form.field("state")), ("_csrf", form.field("_csrf")), ("action", "accept")];
        let accepted = alice.post(&form.action, &fields).await;
        let grants = app.admin().get("/api/v2/grants?user_id=auth0%7Calice").await;
        for grant in grants.body.as_array().into_iter().flatten() {
            let path = format!("/api/v2/grants/{}", grant["id"].as_str().unwrap_or_default());
            assert_eq!(app.admin().delete(&path).await.status, 204);
        }
        let before = codes(&app).await;
        let again = alice.get(accepted.location()).await;
        assert!(again.location().starts_with("/u/consent?"), "{again:?}");
        assert_eq!(codes(&app).await, before);
    }

    async fn what_a_client_insists_on_and_is_not_there_stops_it(app: TestApp) {
        let app = prepared(app).await;
        let mut alice = signed_in(&app, "alice").await;
        let early = code(&mut alice).await;
        changed(&app, "/api/v2/clients/web", json!({ "require_proof_of_possession": true })).await;
        let answer = Exchange::code("web", &early).send(&app).await;
        assert_refused(&answer, 400, "invalid_dpop_proof", "DPoP proof is required for the client");
        changed(&app, "/api/v2/clients/web", json!({ "require_pushed_authorization_requests": true })).await;
        let answer = alice.get(&Authorize::code("web").path()).await;
        assert_returned(&answer, "invalid_request", "The client requires pushed authorization requests");
    }

    async fn errors_stay_here_where_the_client_is_not_to_be_led_to(app: TestApp) {
        let app = prepared(app).await;
        changed(&app, "/api/v2/clients/web", json!({ "redirection_policy": "open_redirect_protection" })).await;
        let answer: Answer = browser(&app).get(&Authorize::code("web").with("prompt", "none").path()).await;
        assert_page_error(&answer, 400, "Login required");
    }

    async fn too_many_parameters_are_refused_at_once(app: TestApp) {
        let many: Vec<String> = (0..101).map(|name| format!("p{name}=")).collect();
        let query = many.join("&");
        let answer = app.caller().get(&format!("/authorize?{query}")).await;
        assert_page_error(&answer, 400, "The request holds too many parameters");
        let fields: Vec<(&str, &str)> = many.iter().map(|name| (name.as_str(), "x")).collect();
        let answer = app.caller().form("/oauth/token", &fields).await;
        assert_refused(&answer, 400, "invalid_request", "The request holds too many parameters");
    }
}
