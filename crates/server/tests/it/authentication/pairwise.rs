//! Pairwise subjects (OpenID Connect Core §8): each sector knows a user by another name.

use serde_json::{Value, json};

use super::registration::{PATH, assert_refused, metadata, open, registered};
use crate::security::exchange::{Exchange, grant_of, userinfo};
use crate::security::{API, browser, claims, prepared, signed_in};
use crate::support::browser::CALLBACK;
use crate::support::hook::Hook;
use crate::support::{Authorize, Browser, TestApp};

/// Makes `client` pairwise.
async fn pairwise(app: &TestApp, client: &str, more: Value) {
    let mut body = json!({ "subject_type": "pairwise" });
    body.as_object_mut().expect("is one").extend(more.as_object().expect("is one").clone());
    let set = app.admin().patch(&format!("/api/v2/doorward/clients/{client}"), body.clone()).await;
    assert_eq!((set.status, &set.body), (200, &body));
}

async fn id_token(browser: &mut Browser, client: &str) -> String {
    let answer = browser.get(&Authorize::new(client, "id_token").path()).await;
    assert_eq!(answer.status, 302, "{answer:?}");
    answer.param("id_token")
}

async fn sub(browser: &mut Browser, client: &str) -> String {
    claims(&id_token(browser, client).await)["sub"].as_str().expect("a sub").to_owned()
}

both_databases! {
    async fn a_sector_knows_a_user_by_a_name_of_its_own(app: TestApp) {
        let app = prepared(app).await;
        let other = json!({ "app_type": "regular_web", "oidc_conformant": true, "callbacks": [CALLBACK] });
        app.add_client("other", other.clone()).await;
        app.add_client("joined", other).await;
        for (client, more) in [("web", json!({})), ("other", json!({ "sector_identifier": "elsewhere.test" })), ("joined", json!({ "sector_identifier": "app.test" }))] {
            pairwise(&app, client, more).await;
        }
        let (mut alice, mut bob) = (signed_in(&app, "alice").await, signed_in(&app, "bob").await);
        let own = sub(&mut alice, "web").await;
        assert!(own.len() == 43 && !own.contains("alice"), "{own}");
        assert_eq!(own, sub(&mut alice, "web").await, "the same each time");
        assert_eq!(own, sub(&mut alice, "joined").await, "and for its whole sector");
        assert_ne!(own, sub(&mut alice, "other").await);
        assert_ne!(own, sub(&mut bob, "web").await);
        assert_eq!(sub(&mut alice, "page").await, "auth0|alice", "others are told who it is");

        // Code, ID token, userinfo and refreshed ID token agree.
        let code = alice.get(&Authorize::code("web").with("scope", "openid offline_access").path()).await.param("code");
        let answer = Exchange::code("web", &code).send(&app).await;
        let bought = grant_of(&answer);
        assert_eq!(claims(answer.body["id_token"].as_str().expect("one"))["sub"], json!(own));
        assert_eq!(userinfo(&app, &bought.access_token).await.body["sub"], json!(own));
        let renewed = Exchange::refresh("web", &bought.refresh_token).send(&app).await;
        assert_eq!(claims(renewed.body["id_token"].as_str().expect("one"))["sub"], json!(own));
    }

    /// What tells pages of a session tells them no more than the ID token does.
    async fn a_page_is_told_that_name_of_who_is_signed_in(app: TestApp) {
        let app = prepared(app).await;
        let other = json!({ "app_type": "regular_web", "oidc_conformant": true, "callbacks": [CALLBACK] });
        app.add_client("other", other).await;
        pairwise(&app, "other", json!({})).await;
        let mut alice = signed_in(&app, "alice").await;
        let own = sub(&mut alice, "other").await;
        let told = alice.caller().get("/user/ssodata?client_id=other").await;
        assert_eq!((&told.body["lastUsedUserID"], &told.body["sessionClients"]), (&json!(own), &json!(["other"])), "{told:?}");
    }

    /// What is for an API names the user as the tenant knows them, whatever the client knows (docs/decisions/0013).
    async fn an_api_is_told_who_the_user_is(app: TestApp) {
        let app = prepared(app).await;
        pairwise(&app, "web", json!({})).await;
        let mut alice = signed_in(&app, "alice").await;
        let known = sub(&mut alice, "web").await;
        for audience in [API, &app.tenant.management_audience()] {
            let request = Authorize::code("web").with("audience", audience).with("scope", "openid read:a read:current_user");
            let mut landed = alice.open(&request.path()).await;
            if landed.status == 200 {
                landed = alice.submit(&landed, &[("action", "accept")]).await;
            }
            let answer = Exchange::code("web", &landed.param("code")).send(&app).await;
            let bought = grant_of(&answer);
            assert_eq!(claims(&bought.access_token)["sub"], "auth0|alice");
            assert_eq!(claims(answer.body["id_token"].as_str().expect("one"))["sub"], json!(known));
            assert_eq!(userinfo(&app, &bought.access_token).await.body["sub"], json!(known));
        }
    }

    async fn a_hint_with_such_a_name_is_understood(app: TestApp) {
        let app = prepared(app).await;
        pairwise(&app, "web", json!({})).await;
        let mut alice = signed_in(&app, "alice").await;
        let hint = id_token(&mut alice, "web").await;
        let silent = Authorize::code("web").with("prompt", "none").with("id_token_hint", &hint);
        assert!(!alice.get(&silent.path()).await.param("code").is_empty());
        let mut bob = signed_in(&app, "bob").await;
        assert_eq!(bob.get(&silent.path()).await.param("error"), "login_required");
        let out = alice.get(&format!("/oidc/logout?id_token_hint={hint}")).await;
        assert!(!alice.cookies.contains_key(crate::support::browser::SESSION), "{out:?}");
        // It names no account that could be linked.
        let linking = app.token_of("auth0|bob", "web", "update:current_user_identities");
        let refused = linking.post("/api/v2/users/auth0%7Cbob/identities", json!({ "link_with": hint })).await;
        assert_eq!((refused.status, &refused.body["message"]), (400, &json!("JWT (link_with) contains an invalid sub claim.")));
    }

    async fn an_application_is_told_of_a_logout_by_that_name(app: TestApp) {
        let app = prepared(app).await;
        let hook = Hook::open().await;
        pairwise(&app, "web", json!({})).await;
        let logout = json!({ "oidc_logout": { "backchannel_logout_urls": [hook.url] } });
        assert_eq!(app.admin().patch("/api/v2/clients/web", logout).await.status, 200);
        let mut alice = signed_in(&app, "alice").await;
        let known = sub(&mut alice, "web").await;
        alice.get("/v2/logout").await;
        model::logout_notices::deliver(&app.app).await.expect("runs");
        let (_, body) = hook.posts().remove(0);
        assert_eq!(claims(body.strip_prefix("logout_token=").expect("a token"))["sub"], json!(known));
    }

    /// §8.1, Registration §5: several hosts are one sector where a document says so.
    async fn a_document_joins_hosts_to_a_sector(app: TestApp) {
        let app = open(app).await;
        let hook = Hook::open().await;
        let mut wanted = metadata();
        wanted["subject_type"] = json!("pairwise");
        wanted["redirect_uris"] = json!([CALLBACK, "https://second.test/cb"]);
        assert_refused(&app.caller().post(PATH, wanted.clone()).await, 400, "invalid_client_metadata");
        wanted["sector_identifier_uri"] = json!(hook.url);
        for wrong in ["", "{}", "[]", "[\"https://app.test/cb\"]"] {
            hook.serves(wrong);
            assert_refused(&app.caller().post(PATH, wanted.clone()).await, 400, "invalid_client_metadata");
        }
        hook.serves(json!([CALLBACK, "https://second.test/cb", "https://third.test/cb"]));
        hook.answers(404);
        assert_refused(&app.caller().post(PATH, wanted.clone()).await, 400, "invalid_client_metadata");
        hook.answers(302);
        assert_refused(&app.caller().post(PATH, wanted.clone()).await, 400, "invalid_client_metadata");
        hook.answers(200);
        let made = registered(&app.caller(), wanted.clone()).await;
        assert_eq!((&made.body["subject_type"], &made.body["sector_identifier_uri"]), (&json!("pairwise"), &json!(hook.url)));
        let id = made.body["client_id"].as_str().expect("an id");
        let own = app.admin().get(&format!("/api/v2/doorward/clients/{id}")).await.body;
        assert_eq!(own["sector_identifier"], "127.0.0.1");
        let mut alice = browser(&app);
        let landed = alice.sign_in(&Authorize::code(id).path(), "alice@example.com").await;
        assert!(!landed.param("code").is_empty(), "{landed:?}");
    }
}
