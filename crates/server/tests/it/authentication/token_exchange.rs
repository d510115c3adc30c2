//! Token exchange on behalf of a user (RFC 8693; authentication contract §3.4).

use serde_json::{Value, json};

use crate::security::exchange::{Exchange, assert_refused, grant_of};
use crate::security::{API, claims, prepared, signed_in};
use crate::support::holder::Holder;
use crate::support::{Answer, Authorize, TestApp};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const NEXT: &str = "https://next.test/";

/// With `backend`, which serves [`API`] and calls [`NEXT`], and `second`, which serves that and calls the other.
async fn ready(app: TestApp) -> TestApp {
    let app = prepared(app).await;
    let api = json!({ "scopes": [{ "value": "read:b" }, { "value": "write:b" }], "skip_consent_for_verifiable_first_party_clients": true });
    app.add_api(NEXT, api).await;
    for (client, own) in [("backend", API), ("second", NEXT)] {
        let body = json!({
            "app_type": "resource_server", "resource_server_identifier": own, "grant_types": [GRANT],
            "token_endpoint_auth_method": "client_secret_post",
        });
        app.add_client(client, body).await;
    }
    app
}

/// Alice's access token for [`API`].
async fn token(app: &TestApp) -> String {
    let mut alice = signed_in(app, "alice").await;
    let request = Authorize::code("web").with("audience", API).with("scope", "openid read:a");
    let code = alice.open(&request.path()).await.param("code");
    grant_of(&Exchange::code("web", &code).send(app).await).access_token
}

fn exchange(client: &str, token: &str, audience: &str) -> Exchange {
    Exchange::new(client, GRANT)
        .with("subject_token", token)
        .with("subject_token_type", ACCESS_TOKEN)
        .with("audience", audience)
        .with("scope", "openid read:b read:a nothing offline_access")
}

#[track_caller]
fn given(answer: &Answer) -> (String, Value) {
    let issued = grant_of(answer);
    let claims = claims(&issued.access_token);
    (issued.access_token, claims)
}

both_databases! {
    async fn a_back_end_acts_for_its_caller(app: TestApp) {
        let app = ready(app).await;
        let answer = exchange("backend", &token(&app).await, NEXT).send(&app).await;
        let (next, told) = given(&answer);
        assert_eq!((&answer.body["issued_token_type"], &answer.body["scope"]), (&json!(ACCESS_TOKEN), &json!("openid read:b")));
        assert!(answer.body.get("refresh_token").is_none() && answer.body.get("id_token").is_none(), "{answer:?}");
        assert_eq!((&told["sub"], &told["azp"], &told["aud"][0]), (&json!("auth0|alice"), &json!("backend"), &json!(NEXT)));
        assert_eq!((&told["act"], told.get("gty")), (&json!({ "sub": "backend" }), None));
        // And so on, but not for ever.
        let (mut token, mut act) = (next, told["act"].clone());
        for number in 2..6 {
            let (client, audience) = if number % 2 == 0 { ("second", API) } else { ("backend", NEXT) };
            let answer = exchange(client, &token, audience).send(&app).await;
            if number == 5 {
                assert_refused(&answer, 400, "invalid_request", "Too many act for each other");
                break;
            }
            let (next, told) = given(&answer);
            act = json!({ "sub": client, "act": act });
            assert_eq!(told["act"], act);
            token = next;
        }
        let events = app.events().await;
        assert_eq!(["secte", "fecte"].map(|kind| events.iter().filter(|event| *event == kind).count()), [4, 1]);
    }

    async fn only_a_users_living_token_for_ones_own_api_is_exchanged(app: TestApp) {
        let app = ready(app).await;
        let good = token(&app).await;
        let machine = app.machine("read:users").claiming("aud", API).bearer().await;
        let foreign = app.token("auth0|alice", "read:current_user").bearer().await;
        let gone = app.token("auth0|alice", "read:a").claiming("aud", API).claiming("azp", "nobody").bearer().await;
        let nobody = app.token("auth0|nobody", "read:a").claiming("aud", API).bearer().await;
        let id_token = app.id_token("auth0|alice", API).bearer().await;
        let other = app.token("auth0|alice", "read:a").claiming("aud", API).at(&app.other).bearer().await;
        for bad in [&machine, &foreign, &gone, &nobody, &id_token, &other, &good[1..], &format!("{good}x"), "x"] {
            let answer = exchange("backend", bad, NEXT).send(&app).await;
            assert_refused(&answer, 400, "invalid_request", "The subject_token is not valid");
        }
        assert_refused(&exchange("second", &good, NEXT).send(&app).await, 400, "invalid_request", "The subject_token is not valid");
        assert_eq!(exchange("backend", &good, NEXT).send(&app).await.status, 200);
        app.app.clock.advance(86_401);
        assert_refused(&exchange("backend", &good, NEXT).send(&app).await, 400, "invalid_request", "The subject_token is not valid");
        let good = token(&app).await;
        assert_eq!(app.admin().patch("/api/v2/users/auth0%7Calice", json!({ "blocked": true })).await.status, 200);
        assert_refused(&exchange("backend", &good, NEXT).send(&app).await, 403, "invalid_grant", "user is blocked");
    }

    async fn what_cannot_be_exchanged_is_refused(app: TestApp) {
        let app = ready(app).await;
        let good = exchange("backend", &token(&app).await, NEXT);
        for name in ["subject_token", "subject_token_type", "audience"] {
            let answer = good.without(name).send(&app).await;
            assert_refused(&answer, 400, "invalid_request", &format!("Missing required parameter: {name}"));
        }
        let unknown = "No token exchange profile is known for the subject_token_type";
        for (name, value, text) in [
            ("subject_token_type", "https://app.test/legacy", unknown),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:id_token", unknown),
            ("requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token", "The requested_token_type is not supported"),
            ("actor_token", "x", "An actor_token is not supported"),
            ("organization", "org_1", "parameter organization is not allowed for this client"),
        ] {
            assert_refused(&good.with(name, value).send(&app).await, 400, "invalid_request", text);
        }
        let unmet = "The audience is no API that may be called in a user's name";
        for audience in ["https://id.test/api/v2/", "https://id.test/me/", "https://id.test/mfa/", "https://id.test/userinfo"] {
            assert_refused(&good.with("audience", audience).send(&app).await, 403, "access_denied", unmet);
        }
        let nowhere = good.with("audience", "https://nowhere.test/").send(&app).await;
        assert_refused(&nowhere, 403, "access_denied", "Service not enabled within domain: https://nowhere.test/");
        // Where people are asked for consent, there is nobody to ask.
        app.add_api("https://asks.test/", json!({ "scopes": [{ "value": "read:c" }] })).await;
        let asks = good.with("audience", "https://asks.test/").with("scope", "read:c").send(&app).await;
        assert_refused(&asks, 403, "access_denied", "The user has not consented");

        let unlinked = json!({ "app_type": "regular_web", "grant_types": [GRANT], "token_endpoint_auth_method": "client_secret_post" });
        app.add_client("unlinked", unlinked).await;
        let token = good.value("subject_token").to_owned();
        let answer = exchange("unlinked", &token, NEXT).send(&app).await;
        assert_refused(&answer, 403, "unauthorized_client", "The client is not linked to an API");
        let answer = exchange("web", &token, NEXT).send(&app).await;
        assert_eq!((answer.status, &answer.body["error"]), (403, &json!("unauthorized_client")));
    }

    /// RFC 9449 §7: what is bound to a key is shown with a proof of it, and what comes of it is bound to the same.
    async fn a_bound_token_is_exchanged_with_a_proof_of_its_key(app: TestApp) {
        let app = ready(app).await;
        let (holder, other) = (Holder::new(), Holder::new());
        let mut alice = signed_in(&app, "alice").await;
        let code = alice.open(&Authorize::code("web").with("audience", API).with("scope", "openid read:a").path()).await.param("code");
        let bound = Exchange::code("web", &code).send_as(&holder.at_token_endpoint(&app, "")).await;
        let bound = grant_of(&bound).access_token;
        let asked = exchange("backend", &bound, NEXT);
        let refused = "The subject_token is bound to a key, of which a DPoP proof is required";
        assert_refused(&asked.send(&app).await, 400, "invalid_dpop_proof", refused);
        assert_refused(&asked.send_as(&other.at_token_endpoint(&app, "")).await, 400, "invalid_dpop_proof", refused);
        let answer = asked.send_as(&holder.at_token_endpoint(&app, "")).await;
        assert_eq!(answer.body["token_type"], "DPoP", "{answer:?}");
        assert_eq!(given(&answer).1["cnf"], json!({ "jkt": holder.thumbprint() }));
    }
}
