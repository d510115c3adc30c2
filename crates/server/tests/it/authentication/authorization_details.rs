//! Rich authorization requests (RFC 9396).

use serde_json::{Value, json};

use crate::security::exchange::{Exchange, grant_of};
use crate::security::{API, assert_returned, browser, claims, prepared, signed_in};
use crate::support::browser::CALLBACK;
use crate::support::{Authorize, TestApp};

/// With an API that knows payments.
async fn ready(app: TestApp) -> TestApp {
    let app = prepared(app).await;
    let api = app.admin().get(&format!("/api/v2/resource-servers?identifiers={API}")).await.body;
    let path = format!("/api/v2/resource-servers/{}", api[0]["id"].as_str().expect("an id"));
    let patched = app.admin().patch(&path, json!({ "authorization_details": [{ "type": "payment" }] })).await;
    assert_eq!(patched.status, 200, "{patched:?}");
    app
}

fn payment() -> Value {
    json!([{ "type": "payment", "to": "<b>Bob</b>", "amount": { "value": "12.50", "currency": "EUR" } }])
}

fn asking(client: &str, details: &Value) -> Authorize {
    let request = Authorize::code(client).with("audience", API).with("scope", "openid read:a offline_access");
    request.with("authorization_details", &details.to_string())
}

both_databases! {
    async fn what_is_asked_for_in_detail_is_shown_granted_and_told(app: TestApp) {
        let app = ready(app).await;
        let mut alice = signed_in(&app, "alice").await;
        let silent = alice.get(&asking("web", &payment()).with("prompt", "none").path()).await;
        assert_returned(&silent, "consent_required", "Consent required");
        let page = alice.open(&asking("web", &payment()).path()).await;
        for shown in ["<h2>payment</h2>", "to: &#60;b&#62;Bob&#60;/b&#62;", "amount: {&#34;value&#34;:&#34;12.50&#34;,&#34;currency&#34;:&#34;EUR&#34;}"] {
            assert!(page.text.contains(shown), "{shown}\n{}", page.text);
        }
        let landed = alice.submit(&page, &[("action", "accept")]).await;
        let answer = Exchange::code("web", &landed.param("code")).send(&app).await;
        let issued = grant_of(&answer);
        assert_eq!((&answer.body["authorization_details"], &claims(&issued.access_token)["authorization_details"]), (&payment(), &payment()));
        let renewed = Exchange::refresh("web", &issued.refresh_token).send(&app).await;
        let again = grant_of(&renewed);
        assert_eq!((&renewed.body["authorization_details"], &claims(&again.access_token)["authorization_details"]), (&payment(), &payment()));
        // It was for this once.
        let page = alice.open(&asking("web", &payment()).path()).await;
        assert!(page.text.contains("/u/consent"), "{page:?}");
        assert_returned(&alice.submit(&page, &[("action", "deny")]).await, "access_denied", "User did not authorize the request");
        let plain = alice.get(&asking("web", &payment()).without("authorization_details").path()).await;
        let answer = Exchange::code("web", &plain.param("code")).send(&app).await;
        let told = claims(&grant_of(&answer).access_token);
        assert_eq!((answer.body.get("authorization_details"), told.get("authorization_details")), (None, None));
    }

    async fn what_the_api_does_not_know_is_refused(app: TestApp) {
        let app = ready(app).await;
        let mut alice = signed_in(&app, "alice").await;
        let error = "invalid_authorization_details";
        let malformed = "authorization_details must be a JSON array of objects with a type each";
        for text in ["x", "{}", "[]", "[{}]", "[7]"] {
            let answer = alice.get(&asking("web", &json!([])).with("authorization_details", text).path()).await;
            assert_returned(&answer, error, malformed);
        }
        let unknown = asking("web", &json!([{ "type": "payment" }, { "type": "loan" }]));
        assert_returned(&alice.get(&unknown.path()).await, error, "The API knows no authorization_details of type loan");
        let none = asking("web", &payment()).without("audience");
        assert_returned(&alice.get(&none.path()).await, error, "The API knows no authorization_details of type payment");
    }

    /// A third party's client asks for what its grant names.
    async fn a_strangers_grant_names_what_it_may_ask_for(app: TestApp) {
        let app = ready(app).await;
        let body = json!({
            "app_type": "regular_web", "oidc_conformant": true, "is_first_party": false, "callbacks": [CALLBACK],
            "token_endpoint_auth_method": "client_secret_post",
        });
        app.add_client("theirs", body).await;
        let grant = json!({ "client_id": "theirs", "audience": API, "scope": ["read:a"], "subject_type": "user" });
        let made = app.admin().post("/api/v2/client-grants", grant).await;
        assert_eq!(made.status, 201, "{made:?}");
        let mut alice = browser(&app);
        let refused = alice.get(&asking("theirs", &payment()).path()).await;
        assert_returned(&refused, "invalid_authorization_details", "The API knows no authorization_details of type payment");
        let path = format!("/api/v2/client-grants/{}", made.body["id"].as_str().expect("an id"));
        let named = json!({ "scope": ["read:a"], "authorization_details_types": ["payment"] });
        assert_eq!(app.admin().patch(&path, named).await.status, 200);
        let landed = alice.sign_in(&asking("theirs", &payment()).path(), "alice@example.com").await;
        let answer = Exchange::code("theirs", &landed.param("code")).send(&app).await;
        assert_eq!((grant_of(&answer).scope.contains("read:a"), &answer.body["authorization_details"]), (true, &payment()));
    }
}
