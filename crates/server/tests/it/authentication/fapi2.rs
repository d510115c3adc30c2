//! Clients that are held to FAPI 2.0's Security Profile.

use serde_json::{Value, json};

use super::client_certificates::{behind_a_proxy, certificate, proxied};
use super::pushed_requests::{open, push, pushing, uri_of};
use crate::security::exchange::{Exchange, assert_refused, grant_of};
use crate::security::{API, signed_in};
use crate::support::browser::{CALLBACK, CHALLENGE};
use crate::support::client_key::{ClientKey, assertion_claims, keyed_client};
use crate::support::holder::Holder;
use crate::support::{Answer, Authorize, Caller, Engine, TestApp};

const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const HELD: &str = "/api/v2/doorward/clients/bank";

/// With the client `bank`, which is held to the profile.
async fn held(app: TestApp) -> TestApp {
    let app = pushing(app).await;
    let grants = json!(["authorization_code", "implicit", "refresh_token"]);
    let body = json!({ "app_type": "regular_web", "oidc_conformant": true, "callbacks": [CALLBACK], "grant_types": grants });
    keyed_client(&app, "bank", body).await;
    let set = app.admin().patch(HELD, json!({ "fapi2_security_profile": true })).await;
    assert_eq!((set.status, &set.body), (200, &json!({ "fapi2_security_profile": true })));
    app
}

fn assertion(app: &TestApp, aud: Value) -> String {
    let mut claims = assertion_claims(app, "bank", &app.app.random.token());
    claims["aud"] = aud;
    ClientKey::number(0).assertion(&claims)
}

async fn pushed(app: &TestApp, request: &Authorize) -> Answer {
    let assertion = assertion(app, json!(app.tenant.issuer));
    push(app, request, &[("client_assertion_type", TYPE), ("client_assertion", &assertion)]).await
}

fn exchange(app: &TestApp, code: &str) -> Exchange {
    let proven = Exchange::code("bank", code).without("client_secret").with("client_assertion_type", TYPE);
    proven.with("client_assertion", &assertion(app, json!(app.tenant.issuer)))
}

both_databases! {
    async fn a_held_client_gets_bound_tokens_for_a_pushed_request(app: TestApp) {
        let app = held(app).await;
        let mut alice = signed_in(&app, "alice").await;
        let uri = uri_of(&pushed(&app, &Authorize::code("bank")).await);
        let answer = open(&mut alice, "bank", &uri).await;
        assert_eq!(answer.param("iss"), app.tenant.issuer, "it is strict");
        let holder = Holder::new();
        let code = answer.param("code");
        let unbound = exchange(&app, &code).send(&app).await;
        assert_refused(&unbound, 400, "invalid_dpop_proof", "DPoP proof is required for the client");
        let bought = exchange(&app, &code).send_as(&holder.at_token_endpoint(&app, "")).await;
        assert_eq!((bought.status, &bought.body["token_type"]), (200, &json!("DPoP")), "{bought:?}");
        let token = grant_of(&bought).access_token;
        assert_eq!(holder.showing(&app, &token, "GET", "/userinfo").get("/userinfo").await.status, 200);
    }

    /// FAPI 2.0 Security Profile §5.3.2.1: tokens are bound to a key, or to a certificate.
    async fn a_held_client_may_bind_its_tokens_to_a_certificate(engine: Engine) {
        let app = held(behind_a_proxy(engine).await).await;
        let mut alice = signed_in(&app, "alice").await;
        let (own, other) = (certificate("bank.test"), certificate("bank.test"));
        let shown = proxied(&app, &own, "NONE");
        for audience in ["", API] {
            let mut request = Authorize::code("bank").with("scope", "openid email offline_access");
            if !audience.is_empty() {
                request = request.with("audience", audience);
            }
            let code = open(&mut alice, "bank", &uri_of(&pushed(&app, &request).await)).await.param("code");
            let bought = exchange(&app, &code).send_as(&shown).await;
            assert_eq!((bought.status, &bought.body["token_type"]), (200, &json!("Bearer")), "{bought:?}");
            let bought = grant_of(&bought);
            let proven = assertion(&app, json!(app.tenant.issuer));
            let renewal = Exchange::refresh("bank", &bought.refresh_token).without("client_secret");
            let renewal = renewal.with("client_assertion_type", TYPE).with("client_assertion", &proven);
            let renewed = grant_of(&renewal.send_as(&shown).await);
            for token in [&bought.access_token, &renewed.access_token] {
                let ask = async |caller: Caller| caller.with("authorization", &format!("Bearer {token}")).get("/userinfo").await;
                assert_eq!(ask(shown.clone()).await.body["email"], "alice@example.com");
                for caller in [app.caller().from("10.0.0.1"), proxied(&app, &other, "NONE")] {
                    assert_eq!(ask(caller).await.status, 401, "{audience}");
                }
            }
            assert_eq!(bought.access_token.contains('.'), !audience.is_empty());
        }
        // The Management API looks at the connection too.
        let request = Authorize::code("bank").with("scope", "read:current_user").with("audience", &app.tenant.management_audience());
        let away = open(&mut alice, "bank", &uri_of(&pushed(&app, &request).await)).await;
        let asked = alice.open(away.location()).await;
        let code = alice.submit(&asked, &[("action", "accept")]).await.param("code");
        let token = grant_of(&exchange(&app, &code).send_as(&shown).await).access_token;
        let ask = async |caller: Caller| caller.with("authorization", &format!("Bearer {token}")).get("/api/v2/users/auth0%7Calice").await;
        assert_eq!(ask(shown.clone()).await.status, 200);
        for caller in [app.caller().from("10.0.0.1"), proxied(&app, &other, "NONE")] {
            let refused = ask(caller).await;
            assert_eq!((refused.status, &refused.body["message"]), (401, &json!("Invalid token")));
        }
        // The client may insist on keys besides.
        assert_eq!(app.admin().patch("/api/v2/clients/bank", json!({ "require_proof_of_possession": true })).await.status, 200);
        let code = open(&mut alice, "bank", &uri_of(&pushed(&app, &Authorize::code("bank")).await)).await.param("code");
        let refused = exchange(&app, &code).send_as(&shown).await;
        assert_refused(&refused, 400, "invalid_dpop_proof", "DPoP proof is required for the client");
    }

    async fn a_held_client_must_push_with_pkce_and_for_a_code(app: TestApp) {
        let app = held(app).await;
        let mut alice = signed_in(&app, "alice").await;
        let request = Authorize::code("bank");
        let plain = alice.get(&request.path()).await;
        let told = (plain.param("error"), plain.param("error_description"));
        assert_eq!(told, ("invalid_request".into(), "The client requires pushed authorization requests".into()));
        for (request, error, description) in [
            (request.without("code_challenge").without("code_challenge_method"), "invalid_request", "Missing required parameter: code_challenge"),
            (request.with("code_challenge_method", "plain"), "invalid_request", "code_challenge_method must be S256"),
            (request.with("response_type", "code id_token"), "unsupported_response_type", "Unsupported response type"),
        ] {
            assert_refused(&pushed(&app, &request).await, 400, error, description);
        }
    }

    async fn a_held_client_proves_itself_to_the_issuer_alone(app: TestApp) {
        let app = held(app).await;
        let request = Authorize::code("bank");
        let issuer = &app.tenant.issuer;
        let audiences = [json!([issuer]), json!([issuer, "https://other.test/"]), json!(format!("{issuer}oauth/token")), json!(issuer.trim_end_matches('/'))];
        for aud in audiences {
            let assertion = assertion(&app, aud.clone());
            let answer = push(&app, &request, &[("client_assertion_type", TYPE), ("client_assertion", &assertion)]).await;
            assert_refused(&answer, 401, "invalid_client", "The client assertion is not valid");
            // It is the profile's rule, not RFC 7523's.
            assert_eq!(app.admin().patch(HELD, json!({ "fapi2_security_profile": null })).await.status, 200);
            let answer = push(&app, &request, &[("client_assertion_type", TYPE), ("client_assertion", &assertion)]).await;
            assert_eq!(answer.status, 201, "{aud}: {answer:?}");
            assert_eq!(app.admin().patch(HELD, json!({ "fapi2_security_profile": true })).await.status, 200);
        }
    }

    /// FAPI 2.0 Message Signing §5.3.1.
    async fn what_a_held_client_signs_counts_for_an_hour_at_most(app: TestApp) {
        let app = held(app).await;
        let key = json!({ "credential_type": "public_key", "pem": ClientKey::number(0).pem() });
        let settings = json!({ "signed_request_object": { "credentials": [key] } });
        assert_eq!(app.admin().patch("/api/v2/clients/bank", settings).await.status, 200);
        let now = app.app.clock.now().seconds();
        for (nbf, exp, status) in [
            (json!(now), json!(now + 3600), 201),
            (json!(now - 3600), json!(now), 400), // It has ended.
            (json!(now - 3600), json!(now + 1), 400), // An hour and a second.
            (json!(now - 3599), json!(now + 1), 201),
            (json!(now - 3601), json!(now - 1), 400),
            (json!(now), json!(now + 3601), 400),
            (Value::Null, json!(now + 60), 400),
            (json!(now), Value::Null, 400),
        ] {
            let mut claims = json!({
                "iss": "bank", "aud": app.tenant.issuer, "client_id": "bank", "response_type": "code", "redirect_uri": CALLBACK, "scope": "openid",
                "state": "st", "code_challenge": CHALLENGE, "code_challenge_method": "S256",
            });
            for (name, value) in [("nbf", &nbf), ("exp", &exp)] {
                if !value.is_null() {
                    claims[name] = value.clone();
                }
            }
            let object = ClientKey::number(0).assertion(&claims);
            let request = Authorize::new("bank", "code").with("request", &object);
            let answer = pushed(&app, &request).await;
            assert_eq!(answer.status, status, "{nbf} {exp}: {answer:?}");
            assert!(status == 201 || answer.body["error"] == "invalid_request_object", "{answer:?}");
        }
    }

    async fn a_held_client_proves_itself_by_no_secret_and_not_by_nothing(app: TestApp) {
        let app = held(app).await;
        for (client, proof) in [("web", vec![("client_secret", "web-secret")]), ("page", vec![])] {
            let path = format!("/api/v2/doorward/clients/{client}");
            assert_eq!(push(&app, &Authorize::code(client), &proof).await.status, 201);
            assert_eq!(app.admin().patch(&path, json!({ "fapi2_security_profile": true })).await.status, 200);
            assert_refused(&push(&app, &Authorize::code(client), &proof).await, 401, "invalid_client", "Unauthorized");
        }
    }
}
