//! Back-channel logout: who is told of a session's end, what, and what becomes of what is not taken.

use db::params;
use model::{logout_notices, retention};
use serde_json::{Value, json};

use crate::security::{claims, prepared, signed_in, stored};
use crate::support::app::{CONNECTION, PASSWORD};
use crate::support::hook::Hook;
use crate::support::{Answer, Authorize, Browser, TestApp};

const ALL: [&str; 9] = [
    "rp-logout",
    "idp-logout",
    "password-changed",
    "session-expired",
    "session-revoked",
    "account-deleted",
    "email-identifier-changed",
    "mfa-phone-unenrolled",
    "account-deactivated",
];

/// Has `web` told at `hook`, with these initiators.
async fn has_told(app: &TestApp, client: &str, hook: &Hook, initiators: Value) {
    let mut logout = json!({ "backchannel_logout_urls": [hook.url] });
    if !initiators.is_null() {
        logout["backchannel_logout_initiators"] = initiators;
    }
    let patched =
        app.admin().patch(&format!("/api/v2/clients/{client}"), json!({ "oidc_logout": logout })).await;
    assert_eq!(patched.status, 200, "{patched:?}");
}

/// Runs the job until nothing is due. The logout tokens that arrived.
async fn told(app: &TestApp, hook: &Hook) -> Vec<String> {
    while logout_notices::deliver(&app.app).await.expect("the job runs") > 0 {}
    let tokens = hook.posts().into_iter().map(|(head, body)| {
        assert!(head.contains("content-type: application/x-www-form-urlencoded"), "{head}");
        body.strip_prefix("logout_token=").unwrap_or_else(|| panic!("{body}")).to_owned()
    });
    tokens.collect()
}

async fn waiting(app: &TestApp) -> i64 {
    stored(app, "SELECT COUNT(*) FROM logout_notices WHERE tenant = $1", params![]).await
}

fn header(token: &str) -> Value {
    use base64::Engine;
    let header = token.split('.').next().expect("has a header");
    let json = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(header).expect("is base64url");
    serde_json::from_slice(&json).expect("is JSON")
}

/// The session that the ID token of `page` names.
async fn sid(browser: &mut Browser) -> String {
    let token = browser.get(&Authorize::new("page", "id_token").path()).await.param("id_token");
    claims(&token)["sid"].as_str().expect("a sid").to_owned()
}

async fn out(browser: &mut Browser) -> Answer {
    let answer = browser.get("/v2/logout").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer
}

both_databases! {
    /// OIDC Back-Channel Logout §2.4, §2.5; authentication contract §5.3.
    async fn every_client_of_a_session_is_told_of_its_logout(app: TestApp) {
        let app = prepared(app).await;
        app.add_client("never", json!({ "app_type": "regular_web" })).await;
        let hooks = [Hook::open().await, Hook::open().await, Hook::open().await];
        for (client, hook) in ["web", "page", "never"].into_iter().zip(&hooks) {
            has_told(&app, client, hook, json!(null)).await;
        }
        let mut alice = signed_in(&app, "alice").await;
        let mut elsewhere = signed_in(&app, "alice").await;
        let (sid, kept) = (sid(&mut alice).await, sid(&mut elsewhere).await);
        out(&mut alice).await;

        for (client, hook) in ["web", "page"].into_iter().zip(&hooks) {
            let tokens = told(&app, hook).await;
            let [token] = &tokens[..] else { panic!("{client}: {tokens:?}") };
            let (header, mut said) = (header(token), claims(token));
            assert_eq!((&header["typ"], &header["alg"]), (&json!("logout+jwt"), &json!("RS256")));
            let verified = app.app.keys.verify_hint(&app.app, &app.tenant.id, token).await;
            assert!(verified.is_ok(), "our key signed it");
            let now = app.app.clock.now().seconds();
            let unique: Vec<_> = ["jti", "trace_id"].iter().map(|name| said[*name].take()).collect();
            assert!(unique[0].as_str().is_some_and(|jti| jti.len() == 32), "{unique:?}");
            assert!(unique[1].as_str().is_some_and(|trace| trace.len() == 16), "{unique:?}");
            let expected = json!({
                "iss": app.tenant.issuer, "sub": "auth0|alice", "aud": client, "iat": now, "exp": now + 120,
                "jti": null, "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
                "trace_id": null, "sid": sid,
            });
            assert_eq!(said, expected);
        }
        assert!(told(&app, &hooks[2]).await.is_empty(), "it took no part");
        assert_ne!(sid, kept);
        assert_eq!(waiting(&app).await, 0, "and nobody hears of the other session");
        let events = app.events().await;
        assert_eq!(events.iter().filter(|code| *code == "oidc_backchannel_logout_succeeded").count(), 2);
    }

    /// RFC 8725 §3.11: what tells of a logout is good for nothing else.
    async fn a_logout_token_is_no_other_token(app: TestApp) {
        let app = prepared(app).await;
        let hook = Hook::open().await;
        has_told(&app, "page", &hook, json!(null)).await;
        let mut alice = signed_in(&app, "alice").await;
        sid(&mut alice).await;
        out(&mut alice).await;
        let token = told(&app, &hook).await.remove(0);
        let mut again = signed_in(&app, "alice").await;
        let hinted = again.get(&format!("/oidc/logout?id_token_hint={token}")).await;
        assert_eq!(hinted.status, 400, "{hinted:?}");
        let bearer = app.caller().with("authorization", &format!("Bearer {token}"));
        assert_eq!(bearer.get("/userinfo").await.status, 401);
        assert_eq!(bearer.get("/api/v2/users/auth0%7Calice").await.status, 401);
        let linking = app.token_of("auth0|bob", "page", "update:current_user_identities");
        let linked = linking.post("/api/v2/users/auth0%7Cbob/identities", json!({ "link_with": token })).await;
        assert!((400..500).contains(&linked.status), "{linked:?}");
    }

    /// A client of the older kind checks it with its secret, as it checks ID tokens.
    async fn it_is_signed_as_the_clients_id_tokens_are(app: TestApp) {
        let app = prepared(app).await;
        let hook = Hook::open().await;
        let patch = json!({ "jwt_configuration": { "alg": "HS256" } });
        assert_eq!(app.admin().patch("/api/v2/clients/web", patch).await.status, 200);
        has_told(&app, "web", &hook, json!(null)).await;
        let mut alice = signed_in(&app, "alice").await;
        out(&mut alice).await;
        let token = told(&app, &hook).await.remove(0);
        assert_eq!(header(&token), json!({ "alg": "HS256", "typ": "logout+jwt" }));
    }

    async fn what_is_not_taken_is_tried_again_and_given_up_visibly(app: TestApp) {
        let app = prepared(app).await;
        let hook = Hook::open().await;
        has_told(&app, "web", &hook, json!(null)).await;
        hook.answers(503);
        for user in ["alice", "bob"] {
            let mut browser = signed_in(&app, user).await;
            out(&mut browser).await;
        }
        assert_eq!(told(&app, &hook).await.len(), 1, "one of them is tried");
        assert_eq!(told(&app, &hook).await.len(), 0, "and then it waits");
        app.app.clock.advance(4);
        assert_eq!(told(&app, &hook).await.len(), 0);
        app.app.clock.advance(1);
        assert_eq!(told(&app, &hook).await.len(), 1);
        hook.answers(200);
        app.app.clock.advance(15);
        assert_eq!(told(&app, &hook).await.len(), 2, "once it is taken, so is what waited");
        assert_eq!(waiting(&app).await, 0);

        hook.answers(302);
        let mut alice = signed_in(&app, "alice").await;
        out(&mut alice).await;
        for _ in 0..40 {
            told(&app, &hook).await;
            app.app.clock.advance(3600);
        }
        assert_eq!(waiting(&app).await, 0, "after a day nobody is told");
        app.app.audit.flush().await;
        let logs = app.admin().get("/api/v2/logs?per_page=100").await;
        let failed: Vec<_> = logs.body.as_array().expect("a list").iter()
            .filter(|entry| entry["type"] == "oidc_backchannel_logout_failed").collect();
        let [failed] = &failed[..] else { panic!("{failed:?}") };
        assert_eq!((&failed["client_id"], &failed["user_id"]), (&json!("web"), &json!("auth0|alice")));
        assert_eq!(failed["description"], "the client answered 302");
        assert_eq!(failed["details"]["initiator"], "rp-logout");
    }

    async fn a_client_that_calls_it_bad_is_not_asked_again(app: TestApp) {
        let app = prepared(app).await;
        let hook = Hook::open().await;
        has_told(&app, "web", &hook, json!(null)).await;
        hook.answers(400);
        let mut alice = signed_in(&app, "alice").await;
        out(&mut alice).await;
        assert_eq!(told(&app, &hook).await.len(), 1);
        assert_eq!(waiting(&app).await, 0);
        assert!(app.events().await.contains(&"oidc_backchannel_logout_failed".to_owned()));
    }

    /// MG-08: the address is looked at when it is spoken to.
    async fn mg_08_nobody_is_told_of_a_logout_inside(app: TestApp) {
        let app = prepared(app).await;
        let logout = json!({ "backchannel_logout_urls": ["https://127.0.0.2:9/"] });
        assert_eq!(app.admin().patch("/api/v2/clients/web", json!({ "oidc_logout": logout })).await.status, 200);
        let mut alice = signed_in(&app, "alice").await;
        out(&mut alice).await;
        assert_eq!(logout_notices::deliver(&app.app).await.expect("runs"), 0);
        assert_eq!(waiting(&app).await, 1, "the operator may allow it yet");
    }

    /// Each way in which a session ends has its name, and a client hears of those that it chose.
    async fn every_initiator_is_told_by_its_name(app: TestApp) {
        let app = prepared(app).await;
        let hook = Hook::open().await;
        has_told(&app, "web", &hook, json!({ "mode": "all" })).await;
        let admin = app.admin();
        let initiators = async |app: &TestApp| {
            let sql = "SELECT initiator FROM logout_notices WHERE tenant = $1 ORDER BY created_at, sid";
            let rows = app.app.db.read(sql, params![&app.tenant.id]).await.expect("reads");
            let found: Vec<String> = rows.into_iter().map(|mut row| row.take().expect("a text")).collect();
            assert_eq!(told(app, &hook).await.len(), found.len());
            found
        };
        let alice = "/api/v2/users/auth0%7Calice";

        let mut browser = signed_in(&app, "alice").await;
        out(&mut browser).await;
        assert_eq!(initiators(&app).await, ["rp-logout"]);
        out(&mut browser).await;
        assert!(initiators(&app).await.is_empty(), "it has ended already");

        signed_in(&app, "alice").await;
        assert_eq!(admin.patch(alice, json!({ "password": format!("{PASSWORD}-2") })).await.status, 200);
        assert_eq!(initiators(&app).await, ["password-changed"]);
        assert_eq!(admin.patch(alice, json!({ "password": PASSWORD })).await.status, 200);

        let mut browser = signed_in(&app, "alice").await;
        let named = sid(&mut browser).await;
        assert_eq!(admin.delete(&format!("/api/v2/sessions/{named}")).await.status, 202);
        signed_in(&app, "alice").await;
        assert_eq!(admin.delete(&format!("{alice}/sessions")).await.status, 202);
        assert_eq!(initiators(&app).await, ["session-revoked", "session-revoked"]);

        // Another sign-in in the same browser takes the place of the session.
        let mut browser = signed_in(&app, "alice").await;
        let again = Authorize::code("web").with("prompt", "login");
        assert!(!browser.sign_in(&again.path(), "alice@example.com").await.param("code").is_empty());
        assert_eq!(initiators(&app).await, ["session-revoked"]);

        assert_eq!(admin.patch(alice, json!({ "email": "anna@example.com", "email_verified": true })).await.status, 200);
        assert_eq!(initiators(&app).await, ["email-identifier-changed"]);
        assert_eq!(admin.patch(alice, json!({ "email": "alice@example.com", "email_verified": true })).await.status, 200);

        signed_in(&app, "alice").await;
        assert_eq!(admin.patch(alice, json!({ "blocked": true })).await.status, 200);
        assert_eq!(initiators(&app).await, ["account-deactivated"]);
        assert_eq!(admin.patch(alice, json!({ "blocked": false })).await.status, 200);

        let mut browser = signed_in(&app, "alice").await;
        let mut other = signed_in(&app, "alice").await;
        app.app.clock.advance(72 * 3600);
        retention::sweep(&app.app).await.expect("sweeps");
        assert_eq!(initiators(&app).await, ["session-expired", "session-expired"], "unused for three days");
        out(&mut browser).await;
        out(&mut other).await;
        assert!(initiators(&app).await.is_empty());

        // Whatever comes upon a session whose time is over: it has expired.
        let mut browser = signed_in(&app, "alice").await;
        app.app.clock.advance(72 * 3600);
        assert!(!browser.sign_in(&Authorize::code("web").path(), "alice@example.com").await.param("code").is_empty());
        assert_eq!(initiators(&app).await, ["session-expired"]);

        assert_eq!(app.admin().delete(alice).await.status, 204, "the former token is too old");
        assert_eq!(initiators(&app).await, ["account-deleted"]);
    }

    async fn a_client_hears_of_what_it_chose_alone(app: TestApp) {
        let app = prepared(app).await;
        let hook = Hook::open().await;
        has_told(&app, "web", &hook, json!({ "mode": "custom", "selected_initiators": ["account-deactivated"] })).await;
        let mut browser = signed_in(&app, "alice").await;
        out(&mut browser).await;
        assert!(told(&app, &hook).await.is_empty());
        assert_eq!(waiting(&app).await, 0);
        signed_in(&app, "alice").await;
        assert_eq!(app.admin().patch("/api/v2/users/auth0%7Calice", json!({ "blocked": true })).await.status, 200);
        assert_eq!(told(&app, &hook).await.len(), 1);
        for (initiators, property) in [
            (json!({ "mode": "some" }), "mode"),
            (json!({ "selected_initiators": ["logout"] }), "selected_initiators"),
            (json!({ "selected_initiators": "rp-logout" }), "selected_initiators"),
        ] {
            let body = json!({ "oidc_logout": { "backchannel_logout_initiators": initiators } });
            let refused = app.admin().patch("/api/v2/clients/web", body).await;
            assert_eq!((refused.status, &refused.body["errorCode"]), (400, &json!("invalid_body")), "{refused:?}");
            assert!(refused.body["message"].as_str().is_some_and(|text| text.contains(property)), "{refused:?}");
        }
        let every = json!({ "mode": "custom", "selected_initiators": ALL });
        has_told(&app, "web", &hook, every).await;
    }

    async fn what_was_noted_of_a_session_is_told_to_who_asks(app: TestApp) {
        let app = prepared(app).await;
        let hook = Hook::open().await;
        let logout = json!({ "backchannel_logout_urls": [hook.url], "backchannel_logout_session_metadata": { "include": true } });
        assert_eq!(app.admin().patch("/api/v2/clients/page", json!({ "oidc_logout": logout })).await.status, 200);
        for noted in [json!({ "desk": "7" }), json!({})] {
            let mut browser = signed_in(&app, "alice").await;
            let path = format!("/api/v2/sessions/{}", sid(&mut browser).await);
            assert_eq!(app.admin().patch(&path, json!({ "session_metadata": noted })).await.status, 200);
            out(&mut browser).await;
            let token = told(&app, &hook).await.remove(0);
            assert_eq!(claims(&token)["session_metadata"], noted);
        }
    }

    /// Whoever goes with their connection is logged out like anybody who goes, and what a linked identity of it began ends too.
    async fn a_connection_that_goes_ends_what_began_with_it(app: TestApp) {
        let app = prepared(app).await;
        let hook = Hook::open().await;
        has_told(&app, "web", &hook, json!({ "mode": "all" })).await;
        let mut alice = signed_in(&app, "alice").await;
        let connections = app.admin().get("/api/v2/connections?strategy=auth0").await.body;
        let connection = connections.as_array().expect("a list").iter().find(|one| one["name"] == CONNECTION);
        let id = connection.expect("it is there")["id"].as_str().expect("is text").to_owned();
        assert_eq!(app.admin().delete(&format!("/api/v2/connections/{id}")).await.status, 202);
        let tokens = told(&app, &hook).await;
        let [token] = &tokens[..] else { panic!("{tokens:?}") };
        assert_eq!(claims(token)["sub"], "auth0|alice");
        let silent = alice.get(&Authorize::code("web").with("prompt", "none").path()).await;
        assert_eq!(silent.param("error"), "login_required");
        assert_eq!(stored::<i64>(&app, "SELECT COUNT(*) FROM sessions WHERE tenant = $1", params![]).await, 0);
    }

    async fn a_client_that_went_is_not_told(app: TestApp) {
        let app = prepared(app).await;
        let hook = Hook::open().await;
        has_told(&app, "web", &hook, json!(null)).await;
        let mut browser = signed_in(&app, "alice").await;
        out(&mut browser).await;
        assert_eq!(waiting(&app).await, 1);
        assert_eq!(app.admin().delete("/api/v2/clients/web").await.status, 204);
        assert!(told(&app, &hook).await.is_empty());
        assert_eq!(waiting(&app).await, 0);
    }
}
