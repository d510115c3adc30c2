//! Which algorithms sign what a client gets: ID tokens, access tokens, `/userinfo` and authorization responses (JARM).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::jose::{Algorithm, VerifyingKey, half_hash, verify_jwt_of_client};
use serde_json::{Value, json};

use crate::security::exchange::{Exchange, userinfo};
use crate::security::{API, assert_returned, prepared, signed_in};
use crate::support::browser::Form;
use crate::support::{Answer, Authorize, Browser, TestApp};

const ALGORITHMS: [Algorithm; 4] = [Algorithm::PS256, Algorithm::ES256, Algorithm::EdDSA, Algorithm::RS512];

/// The published keys of an algorithm.
async fn keys(app: &TestApp, algorithm: Algorithm) -> Vec<VerifyingKey> {
    let set = app.caller().get("/.well-known/jwks.json").await.body;
    let of_algorithm =
        set["keys"].as_array().expect("is a list").iter().filter(|key| key["alg"] == algorithm.name());
    of_algorithm
        .map(|key| {
            VerifyingKey::from_jwk(algorithm, key["kid"].as_str(), key.as_object().expect("is one"))
                .expect("is a key")
        })
        .collect()
}

fn header(token: &str) -> Value {
    let header = token.split('.').next().expect("has one");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).expect("is base64url")).expect("is JSON")
}

/// The claims of a token that a published key of the algorithm signed.
async fn verified(app: &TestApp, algorithm: Algorithm, token: &str) -> Value {
    let verified = verify_jwt_of_client(token, &keys(app, algorithm).await);
    Value::Object(verified.unwrap_or_else(|error| panic!("{error}: {token}")).claims)
}

async fn exchanged(app: &TestApp, browser: &mut Browser, request: &Authorize) -> Answer {
    let code = browser.get(&request.path()).await.param("code");
    let answer = Exchange::code("web", &code).send(app).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer
}

both_databases! {
    async fn an_id_token_is_signed_as_its_client_chose(app: TestApp) {
        let app = prepared(app).await;
        let mut alice = signed_in(&app, "alice").await;
        for algorithm in ALGORITHMS {
            assert!(keys(&app, algorithm).await.is_empty(), "no key before it is selected");
            let chosen = json!({ "jwt_configuration": { "alg": algorithm.name() } });
            assert_eq!(app.admin().patch("/api/v2/clients/web", chosen).await.status, 200);
            assert_eq!(keys(&app, algorithm).await.len(), 2, "the current one and the next");
            let answer = alice.get(&Authorize::new("web", "code id_token token").path()).await;
            let token = answer.param("id_token");
            assert_eq!(header(&token)["alg"], algorithm.name());
            let claims = verified(&app, algorithm, &token).await;
            assert_eq!(claims["at_hash"], half_hash(algorithm, &answer.param("access_token")));
            assert_eq!(claims["c_hash"], half_hash(algorithm, &answer.param("code")));
            let bought = exchanged(&app, &mut alice, &Authorize::code("web")).await;
            assert_eq!(header(bought.body["id_token"].as_str().expect("is there"))["alg"], algorithm.name());
            // It is a hint as good as any.
            let hinted = Authorize::code("web").with("prompt", "none").with("id_token_hint", &token);
            assert!(!alice.get(&hinted.path()).await.param("code").is_empty());
        }
        let made = app.admin().post("/api/v2/clients", json!({ "name": "c", "jwt_configuration": { "alg": "none" } })).await;
        assert_eq!(made.status, 400);
    }

    async fn an_access_token_is_signed_as_its_api_chose(app: TestApp) {
        let app = prepared(app).await;
        let mut alice = signed_in(&app, "alice").await;
        for algorithm in ALGORITHMS {
            let chosen = json!({ "signing_alg": algorithm.name() });
            let changed = app.admin().patch("/api/v2/resource-servers/https%3A%2F%2Fapi.test%2F", chosen).await;
            assert_eq!((changed.status, &changed.body["signing_alg"]), (200, &json!(algorithm.name())), "{}", changed.text);
            let request = Authorize::code("web").with("audience", API).with("scope", "openid read:a");
            let bought = exchanged(&app, &mut alice, &request).await;
            let token = bought.body["access_token"].as_str().expect("is there");
            assert_eq!(header(token)["alg"], algorithm.name());
            assert_eq!(verified(&app, algorithm, token).await["scope"], "openid read:a");
            assert_eq!(userinfo(&app, token).await.status, 200);
        }
    }

    async fn what_userinfo_tells_may_be_signed(app: TestApp) {
        let app = prepared(app).await;
        let mut alice = signed_in(&app, "alice").await;
        let token = exchanged(&app, &mut alice, &Authorize::code("web").with("scope", "openid email")).await;
        let token = token.body["access_token"].as_str().expect("is there").to_owned();
        assert_eq!(userinfo(&app, &token).await.header("content-type"), "application/json; charset=utf-8");
        let path = "/api/v2/doorward/clients/web";
        for algorithm in [Algorithm::RS256, Algorithm::ES256] {
            let chosen = json!({ "userinfo_signed_response_alg": algorithm.name() });
            assert_eq!(app.admin().patch(path, chosen).await.status, 200);
            let answer = userinfo(&app, &token).await;
            assert_eq!((answer.status, answer.header("content-type"), answer.header("cache-control")), (200, "application/jwt", "no-store"));
            let claims = verified(&app, algorithm, &answer.text).await;
            assert_eq!(claims, json!({ "sub": "auth0|alice", "email": "alice@example.com", "email_verified": true, "iss": app.tenant.issuer, "aud": "web" }));
            assert_eq!(header(&answer.text)["typ"], "userinfo+jwt");
            // It opens nothing, and proves no account.
            assert_eq!(userinfo(&app, &answer.text).await.status, 401);
            let link = json!({ "link_with": answer.text });
            let bob = app.token_of("auth0|bob", "web", "update:current_user_identities");
            assert!(bob.post("/api/v2/users/auth0%7Cbob/identities", link).await.status >= 400);
        }
        assert_eq!(app.admin().patch(path, json!({ "userinfo_signed_response_alg": null })).await.status, 200);
        assert_eq!(userinfo(&app, &token).await.header("content-type"), "application/json; charset=utf-8");
        for wrong in ["HS256", "none", "RS384"] {
            assert_eq!(app.admin().patch(path, json!({ "userinfo_signed_response_alg": wrong })).await.status, 400, "{wrong}");
        }
    }

    /// JARM: one parameter, which the tenant signed for the client.
    async fn an_authorization_response_may_be_signed(app: TestApp) {
        let app = prepared(app).await;
        let mut alice = signed_in(&app, "alice").await;
        let end = app.app.clock.now().seconds() + 600;
        let signed = async |response: &str| verified(&app, Algorithm::RS256, response).await;
        for (mode, separator) in [("jwt", '?'), ("query.jwt", '?'), ("fragment.jwt", '#')] {
            let answer = alice.get(&Authorize::code("web").with("response_mode", mode).path()).await;
            assert_eq!(answer.returned().into_keys().collect::<Vec<_>>(), ["response"], "{mode}");
            assert!(answer.location().contains(&format!("{separator}response=")), "{answer:?}");
            let claims = signed(&answer.param("response")).await;
            let code = claims["code"].as_str().expect("is there").to_owned();
            assert_eq!(claims, json!({ "iss": app.tenant.issuer, "aud": "web", "exp": end, "code": code, "state": "st" }));
            assert_eq!(header(&answer.param("response"))["typ"], "oauth-authz-resp+jwt");
            assert_eq!(Exchange::code("web", &code).send(&app).await.status, 200);
        }
        let posted = alice.get(&Authorize::code("web").with("response_mode", "form_post.jwt").path()).await;
        let form = Form::of(&posted);
        assert_eq!(form.fields.len(), 1, "{form:?}");
        assert_eq!(signed(form.field("response")).await["state"], "st");
        let front = alice.get(&Authorize::new("page", "id_token token").with("response_mode", "jwt").path()).await;
        assert!(front.location().contains("#response="), "{front:?}");
        let claims = signed(&front.param("response")).await;
        assert!(claims["access_token"].is_string() && claims["id_token"].is_string() && claims["aud"] == "page", "{claims}");
        let refused = alice.get(&Authorize::code("web").with("response_mode", "jwt").with("prompt", "none login").path()).await;
        let claims = signed(&refused.param("response")).await;
        assert_eq!(claims, json!({ "iss": app.tenant.issuer, "aud": "web", "exp": end, "error": "invalid_request", "error_description": "prompt none must stand alone", "state": "st" }));
        let in_query = alice.get(&Authorize::new("page", "id_token token").with("response_mode", "query.jwt").path()).await;
        let claims = signed(&in_query.param("response")).await;
        assert_eq!((&claims["error"], in_query.location().contains('#')), (&json!("invalid_request"), true), "{in_query:?}");
        let unknown = alice.get(&Authorize::code("web").with("response_mode", "web_message.jwt").path()).await;
        assert_returned(&unknown, "invalid_request", "Unknown response_mode");

        let chosen = json!({ "authorization_signed_response_alg": "ES256" });
        assert_eq!(app.admin().patch("/api/v2/doorward/clients/web", chosen).await.status, 200);
        let answer = alice.get(&Authorize::code("web").with("response_mode", "jwt").path()).await;
        assert!(verified(&app, Algorithm::ES256, &answer.param("response")).await["code"].is_string());
        // As an access token it is nothing.
        assert_eq!(userinfo(&app, &answer.param("response")).await.status, 401);
    }
}
