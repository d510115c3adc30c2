//! Tokens that are bound to a key (DPoP, RFC 9449; authentication contract §10).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::seal::digest;
use serde_json::{Value, json};

use crate::security::exchange::{Exchange, assert_refused, grant_of};
use crate::security::{API, assert_returned, browser, claims, prepared, signed_in};
use crate::support::holder::Holder;
use crate::support::{Answer, Authorize, Browser, TestApp};

const INVALID_REFRESH: &str = "Unknown or invalid refresh token.";

/// A request for a code of `page`, with all that it can buy.
fn offline() -> Authorize {
    Authorize::code("page").with("audience", API).with("scope", "openid offline_access read:a")
}

async fn code(browser: &mut Browser, request: &Authorize) -> String {
    let answer = browser.get(&request.path()).await;
    let code = answer.param("code");
    assert!(!code.is_empty(), "{answer:?}");
    code
}

/// A nonce, as whoever has none gets it.
async fn nonce(app: &TestApp, holder: &Holder) -> String {
    let answer = Exchange::refresh("page", "v1.none").send_as(&holder.at_token_endpoint(app, "")).await;
    assert_refused(&answer, 400, "use_dpop_nonce", "Authorization server requires nonce in DPoP proof");
    assert!(!answer.header("dpop-nonce").is_empty(), "{answer:?}");
    answer.header("dpop-nonce").to_owned()
}

/// What a code of `page` buys for who holds a key.
async fn bound(app: &TestApp, holder: &Holder, browser: &mut Browser, request: &Authorize) -> Answer {
    let (code, nonce) = (code(browser, request).await, nonce(app, holder).await);
    let answer = Exchange::code("page", &code).send_as(&holder.at_token_endpoint(app, &nonce)).await;
    assert_eq!((answer.status, &answer.body["token_type"]), (200, &json!("DPoP")), "{answer:?}");
    answer
}

/// 401 with this challenge.
#[track_caller]
fn assert_challenged(answer: &Answer, challenge: &str) {
    assert_eq!(answer.status, 401, "{answer:?}");
    assert!(answer.header("www-authenticate").contains(challenge), "{answer:?}");
}

both_databases! {
    async fn a_public_clients_tokens_are_bound_to_its_key(app: TestApp) {
        let app = prepared(app).await;
        let (holder, thief) = (Holder::new(), Holder::new());
        let mut alice = signed_in(&app, "alice").await;
        let answer = bound(&app, &holder, &mut alice, &offline()).await;
        assert!(!answer.header("dpop-nonce").is_empty());
        let bought = grant_of(&answer);
        assert_eq!(claims(&bought.access_token)["cnf"], json!({ "jkt": holder.thumbprint() }));
        let refresh = Exchange::refresh("page", &bought.refresh_token);
        assert_refused(&refresh.send(&app).await, 403, "invalid_grant", INVALID_REFRESH);
        let fresh = nonce(&app, &thief).await;
        assert_refused(&refresh.send_as(&thief.at_token_endpoint(&app, &fresh)).await, 403, "invalid_grant", INVALID_REFRESH);
        let again = refresh.send_as(&holder.at_token_endpoint(&app, &fresh)).await;
        assert_eq!((again.status, &again.body["token_type"]), (200, &json!("DPoP")), "{again:?}");
        assert_eq!(claims(again.body["access_token"].as_str().expect("is there"))["cnf"]["jkt"], json!(holder.thumbprint()));
        // Nobody has to: without a proof a token is a bearer's.
        let plain = Exchange::code("page", &code(&mut alice, &offline()).await).send(&app).await;
        assert_eq!((plain.status, &plain.body["token_type"]), (200, &json!("Bearer")));
        assert_eq!(claims(plain.body["access_token"].as_str().expect("is there")).get("cnf"), None);
        assert!(!plain.has("dpop-nonce"));
    }

    async fn a_confidential_client_needs_no_nonce_and_its_refresh_tokens_no_key(app: TestApp) {
        let app = prepared(app).await;
        let holder = Holder::new();
        let grant = json!({ "client_id": "m2m", "audience": API, "scope": ["read:a"] });
        assert_eq!(app.admin().post("/api/v2/client-grants", grant).await.status, 201);
        let own = Exchange::new("m2m", "client_credentials").with("audience", API).send_as(&holder.at_token_endpoint(&app, "")).await;
        assert_eq!((own.status, &own.body["token_type"]), (200, &json!("DPoP")), "{own:?}");
        assert_eq!(claims(own.body["access_token"].as_str().expect("is there"))["cnf"]["jkt"], json!(holder.thumbprint()));
        let mut alice = signed_in(&app, "alice").await;
        let request = Authorize::code("web").with("scope", "openid offline_access");
        let bought = Exchange::code("web", &code(&mut alice, &request).await).send_as(&holder.at_token_endpoint(&app, "")).await;
        let refresh = Exchange::refresh("web", bought.body["refresh_token"].as_str().expect("is there"));
        let plain = refresh.send(&app).await;
        assert_eq!((plain.status, &plain.body["token_type"]), (200, &json!("Bearer")), "its secret binds it");
    }

    async fn a_proof_is_of_its_own_key_about_this_request_and_used_once(app: TestApp) {
        let app = prepared(app).await;
        let (holder, other) = (Holder::new(), Holder::new());
        let grant = json!({ "client_id": "m2m", "audience": API, "scope": ["read:a"] });
        assert_eq!(app.admin().post("/api/v2/client-grants", grant).await.status, 201);
        let endpoint = format!("{}oauth/token", app.tenant.issuer);
        let exchange = Exchange::new("m2m", "client_credentials").with("audience", API);
        let send = async |proof: &str| exchange.send_as(&app.caller().with("dpop", proof)).await;
        let good = || holder.claims(&app, "POST", &endpoint);
        let now = app.app.clock.now().seconds();
        let refused = async |what: &str, proof: String, reason: &str| {
            let answer = send(&proof).await;
            assert_eq!((answer.status, &answer.body), (400, &json!({ "error": "invalid_dpop_proof", "error_description": reason })), "{what}");
        };
        for (name, value, reason) in [
            ("htm", json!("GET"), "Invalid htm in DPoP proof"),
            ("htm", Value::Null, "Invalid htm in DPoP proof"),
            ("htu", json!("https://id.test/oauth/par"), "Invalid htu in DPoP proof"),
            ("htu", json!("https://other.test/oauth/token"), "Invalid htu in DPoP proof"),
            ("htu", Value::Null, "Invalid htu in DPoP proof"),
            ("iat", json!(now - 300), "Invalid iat in DPoP proof"),
            ("iat", json!(now + 61), "Invalid iat in DPoP proof"),
            ("iat", Value::Null, "Invalid iat in DPoP proof"),
            ("iat", json!(now.to_string()), "Invalid DPoP proof"),
            ("jti", json!(""), "Invalid jti in DPoP proof"),
            ("jti", json!("j".repeat(129)), "Invalid jti in DPoP proof"),
            ("jti", Value::Null, "Invalid jti in DPoP proof"),
            ("jti", json!(7), "Invalid DPoP proof"),
        ] {
            let mut changed = good();
            match &value {
                Value::Null => { changed.as_object_mut().expect("is one").shift_remove(name); }
                value => changed[name] = value.clone(),
            }
            refused(&format!("{name} {value}"), holder.sign(&holder.header(), &changed), reason).await;
        }
        let header = |name: &str, value: Value| { let mut header = holder.header(); header[name] = value; header };
        let mut private = holder.header();
        private["jwk"]["d"] = json!("AAAA");
        for (what, header) in [
            ("typ", header("typ", json!("JWT"))),
            ("alg", header("alg", json!("HS256"))),
            ("none", header("alg", json!("none"))),
            ("no key", header("jwk", Value::Null)),
            ("another's key", header("jwk", other.header()["jwk"].clone())),
            ("a private key", private),
            ("jku", header("jku", json!("https://canary.test/"))),
            ("crit", header("crit", json!(["x"]))),
        ] {
            refused(what, holder.sign(&header, &good()), "Invalid DPoP proof").await;
        }
        let whole = holder.sign(&holder.header(), &good());
        for proof in ["x", "a.b.c", "", &whole[..whole.len() - 1], &format!("{whole}.x"), &format!("{whole}{}", "A".repeat(9000))] {
            refused(proof, proof.to_owned(), "Invalid DPoP proof").await;
        }
        let twice = app.caller().with("dpop", &whole).with("dpop", &whole);
        assert_refused(&exchange.send_as(&twice).await, 400, "invalid_dpop_proof", "Multiple DPoP proofs");
        assert_eq!(send(&whole).await.status, 200);
        refused("again", whole, "DPoP proof was used before").await;
        let with_query = holder.sign(&holder.header(), &holder.claims(&app, "POST", &format!("{endpoint}?x=1#y")));
        assert_eq!(send(&with_query).await.status, 200, "query and fragment do not count");
    }

    async fn a_nonce_is_ours_and_fresh(app: TestApp) {
        let app = prepared(app).await;
        let holder = Holder::new();
        let mut alice = signed_in(&app, "alice").await;
        let first = nonce(&app, &holder).await;
        let kept = code(&mut alice, &offline()).await;
        let exchange = Exchange::code("page", &kept);
        let elsewhere = model::proof_of_possession::nonce(&app.app, &app.other.id);
        for wrong in ["x", &format!("{first}A"), &elsewhere] {
            let answer = exchange.send_as(&holder.at_token_endpoint(&app, wrong)).await;
            assert_refused(&answer, 400, "use_dpop_nonce", "Authorization server requires nonce in DPoP proof");
        }
        app.app.clock.advance(300);
        let old = exchange.send_as(&holder.at_token_endpoint(&app, &first)).await;
        assert_refused(&old, 400, "use_dpop_nonce", "Authorization server requires nonce in DPoP proof");
        let exchange = Exchange::code("page", &code(&mut alice, &offline()).await);
        let newer = old.header("dpop-nonce").to_owned();
        assert_eq!(exchange.send_as(&holder.at_token_endpoint(&app, &newer)).await.status, 200);
    }

    async fn userinfo_takes_a_bound_token_with_its_proof_alone(app: TestApp) {
        let app = prepared(app).await;
        let (holder, thief) = (Holder::new(), Holder::new());
        let mut alice = signed_in(&app, "alice").await;
        for request in [Authorize::code("page"), offline()] {
            let token = grant_of(&bound(&app, &holder, &mut alice, &request).await).access_token;
            let told = holder.showing(&app, &token, "GET", "/userinfo").get("/userinfo").await;
            assert_eq!((told.status, &told.body["sub"]), (200, &json!("auth0|alice")), "{told:?}");
            let posted = holder.showing(&app, &token, "POST", "/userinfo").form("/userinfo", &[]).await;
            assert_eq!(posted.status, 200);
            let bearer = app.caller().with("authorization", &format!("Bearer {token}")).get("/userinfo").await;
            assert_challenged(&bearer, "invalid_token");
            let bare = app.caller().with("authorization", &format!("DPoP {token}")).get("/userinfo").await;
            assert_challenged(&bare, "DPoP realm=\"Users\", error=\"invalid_dpop_proof\", algs=\"ES256\"");
            assert_challenged(&thief.showing(&app, &token, "GET", "/userinfo").get("/userinfo").await, "invalid_dpop_proof");
            assert_challenged(&holder.showing(&app, &token, "POST", "/userinfo").get("/userinfo").await, "invalid_dpop_proof");
            let other_token = holder.showing(&app, "other", "GET", "/userinfo").headers.pop().expect("is the proof").1;
            let swapped = app.caller().with("authorization", &format!("DPoP {token}")).with("dpop", &other_token).get("/userinfo").await;
            assert_challenged(&swapped, "invalid_dpop_proof");
            let once = holder.showing(&app, &token, "GET", "/userinfo");
            assert_eq!(once.get("/userinfo").await.status, 200);
            assert_challenged(&once.get("/userinfo").await, "invalid_dpop_proof");
        }
        let plain = grant_of(&Exchange::code("page", &code(&mut alice, &Authorize::code("page")).await).send(&app).await).access_token;
        let dressed = holder.showing(&app, &plain, "GET", "/userinfo").get("/userinfo").await;
        assert_challenged(&dressed, "invalid_token");
    }

    async fn the_management_api_takes_a_bound_token_with_its_proof_alone(app: TestApp) {
        let app = prepared(app).await;
        let (holder, thief) = (Holder::new(), Holder::new());
        let path = "/api/v2/users/auth0%7Calice";
        let request = Authorize::code("page").with("audience", &app.tenant.management_audience()).with("scope", "openid read:current_user");
        let mut alice = browser(&app);
        let landed = alice.sign_in(&request.path(), "alice@example.com").await;
        let fresh = nonce(&app, &holder).await;
        let answer = Exchange::code("page", &landed.param("code")).send_as(&holder.at_token_endpoint(&app, &fresh)).await;
        let token = grant_of(&answer).access_token;
        let own = holder.showing(&app, &token, "GET", path).get(&format!("{path}?fields=user_id")).await;
        assert_eq!((own.status, &own.body), (200, &json!({ "user_id": "auth0|alice" })), "{own:?}");
        let bearer = app.caller().with("authorization", &format!("Bearer {token}")).get(path).await;
        assert_eq!((bearer.status, &bearer.body["message"]), (401, &json!("Invalid token")));
        let refused = |answer: Answer| {
            assert_challenged(&answer, "DPoP error=\"invalid_dpop_proof\", algs=\"ES256\"");
            assert_eq!(answer.body, json!({ "statusCode": 401, "error": "Unauthorized", "message": "Invalid DPoP proof" }));
        };
        refused(app.caller().with("authorization", &format!("DPoP {token}")).get(path).await);
        refused(thief.showing(&app, &token, "GET", path).get(path).await);
        refused(holder.showing(&app, &token, "PATCH", path).get(path).await);
        refused(holder.showing(&app, &token, "GET", "/api/v2/users/auth0%7Cbob").get(path).await);
        let once = holder.showing(&app, &token, "GET", path);
        assert_eq!(once.get(path).await.status, 200);
        refused(once.get(path).await);
        let dressed = app.token("auth0|alice", "read:current_user").bearer().await;
        let answer = holder.showing(&app, &dressed, "GET", path).get(path).await;
        assert_eq!((answer.status, &answer.body["message"]), (401, &json!("Invalid token")));
        // A nonce is not asked for here, but one that is there is ours.
        let mut foreign = holder.claims(&app, "GET", &format!("https://id.test{path}"));
        foreign["nonce"] = json!("x");
        foreign["ath"] = json!(URL_SAFE_NO_PAD.encode(digest(&token)));
        let stale = app.caller().with("authorization", &format!("DPoP {token}")).with("dpop", &holder.sign(&holder.header(), &foreign)).get(path).await;
        assert_challenged(&stale, "use_dpop_nonce");
        foreign["nonce"] = json!(stale.header("dpop-nonce"));
        let told = app.caller().with("authorization", &format!("DPoP {token}")).with("dpop", &holder.sign(&holder.header(), &foreign)).get(path).await;
        assert_eq!(told.status, 200, "{told:?}");
        let bound_elsewise = app.token("auth0|alice", "read:current_user").claiming("cnf", json!({ "x5t#S256": "x" }));
        assert_eq!(bound_elsewise.get(path).await.status, 401);
    }

    async fn a_code_can_be_bound_before_it_is_issued(app: TestApp) {
        let app = prepared(app).await;
        let (holder, thief) = (Holder::new(), Holder::new());
        let mut alice = signed_in(&app, "alice").await;
        let request = offline().with("dpop_jkt", &holder.thumbprint());
        let exchange = async |code: &str, who: Option<&Holder>| {
            let fresh = nonce(&app, &holder).await;
            match who {
                Some(who) => Exchange::code("page", code).send_as(&who.at_token_endpoint(&app, &fresh)).await,
                None => Exchange::code("page", code).send(&app).await,
            }
        };
        for who in [Some(&thief), None] {
            let stolen = code(&mut alice, &request).await;
            assert_refused(&exchange(&stolen, who).await, 403, "invalid_grant", "The code is bound to another key");
            assert_refused(&exchange(&stolen, Some(&holder)).await, 403, "invalid_grant", "Invalid authorization code");
        }
        let own = code(&mut alice, &request).await;
        assert_eq!(exchange(&own, Some(&holder)).await.status, 200);
        let wrong = alice.get(&offline().with("dpop_jkt", "short").path()).await;
        assert_returned(&wrong, "invalid_request", "dpop_jkt must be the SHA-256 thumbprint of a key");
        // A request that is pushed with a proof is bound to its key.
        let on = json!({ "pushed_authorization_requests_supported": true });
        assert_eq!(app.admin().patch("/api/v2/tenants/settings", on).await.status, 200);
        let proof = holder.sign(&holder.header(), &holder.claims(&app, "POST", &format!("{}oauth/par", app.tenant.issuer)));
        let form = "application/x-www-form-urlencoded";
        let pushed = app.caller().with("dpop", &proof).send(axum::http::Method::POST, "/oauth/par", Some(form), offline().encoded()).await;
        assert_eq!(pushed.status, 201, "{pushed:?}");
        let uri: String = url::form_urlencoded::byte_serialize(pushed.body["request_uri"].as_str().expect("is text").as_bytes()).collect();
        let pushed = alice.get(&format!("/authorize?client_id=page&request_uri={uri}")).await.param("code");
        assert_refused(&exchange(&pushed, Some(&thief)).await, 403, "invalid_grant", "The code is bound to another key");
    }

    async fn a_client_or_an_api_may_want_bound_tokens_alone(app: TestApp) {
        let app = prepared(app).await;
        let holder = Holder::new();
        let mut alice = signed_in(&app, "alice").await;
        let must = json!({ "require_proof_of_possession": true });
        assert_eq!(app.admin().patch("/api/v2/clients/page", must).await.status, 200);
        let kept = code(&mut alice, &Authorize::code("page")).await;
        assert_refused(&Exchange::code("page", &kept).send(&app).await, 400, "invalid_dpop_proof", "DPoP proof is required for the client");
        let fresh = nonce(&app, &holder).await;
        assert_eq!(Exchange::code("page", &kept).send_as(&holder.at_token_endpoint(&app, &fresh)).await.status, 200);
        let front = "Access tokens must be bound to a key, and are issued at the token endpoint alone";
        assert_returned(&alice.get(&Authorize::new("page", "token").path()).await, "invalid_request", front);
        assert!(!alice.get(&Authorize::new("page", "id_token").path()).await.param("id_token").is_empty());

        let api = "/api/v2/resource-servers/https%3A%2F%2Fapi.test%2F";
        let wants = |whom: &str| json!({ "proof_of_possession": { "mechanism": "dpop", "required": true, "required_for": whom } });
        assert_eq!(app.admin().patch("/api/v2/clients/page", json!({ "require_proof_of_possession": false })).await.status, 200);
        assert_eq!(app.admin().patch(api, wants("public_clients")).await.status, 200);
        let denied = "DPoP proof is required for the API";
        let kept = code(&mut alice, &offline()).await;
        assert_refused(&Exchange::code("page", &kept).send(&app).await, 400, "invalid_dpop_proof", denied);
        let bought = Exchange::code("page", &kept).send_as(&holder.at_token_endpoint(&app, &fresh)).await;
        assert_eq!(bought.status, 200, "nothing was spent: {bought:?}");
        let confidential = Authorize::code("web").with("audience", API).with("scope", "openid offline_access read:a");
        let theirs = grant_of(&Exchange::code("web", &code(&mut alice, &confidential).await).send(&app).await);
        assert_returned(&alice.get(&Authorize::new("page", "token").with("audience", API).path()).await, "invalid_request", front);
        assert_eq!(app.admin().patch(api, wants("all_clients")).await.status, 200);
        assert_refused(&Exchange::refresh("web", &theirs.refresh_token).send(&app).await, 400, "invalid_dpop_proof", denied);
        let with_proof = Exchange::refresh("web", &theirs.refresh_token).send_as(&holder.at_token_endpoint(&app, "")).await;
        assert_eq!((with_proof.status, &with_proof.body["token_type"]), (200, &json!("DPoP")));
        let grant = json!({ "client_id": "m2m", "audience": API, "scope": ["read:a"] });
        assert_eq!(app.admin().post("/api/v2/client-grants", grant).await.status, 201);
        let own = Exchange::new("m2m", "client_credentials").with("audience", API);
        assert_refused(&own.send(&app).await, 400, "invalid_dpop_proof", denied);
        assert_eq!(own.send_as(&holder.at_token_endpoint(&app, "")).await.status, 200);
    }
}
