//! TK: refresh tokens, their rotation and their end.

use db::params;
use serde_json::{Value, json};

use super::exchange::{Exchange, Issued, assert_refused, at_once, grant_of, userinfo};
use super::{API, claims, prepared, signed_in, stored};
use crate::support::app::{CONNECTION, PASSWORD};
use crate::support::browser::CALLBACK;
use crate::support::{Answer, Authorize, Browser, TestApp};

const INVALID: &str = "Unknown or invalid refresh token.";

/// A client whose refresh tokens rotate, with so many seconds of leeway.
pub async fn add_rotating(app: &TestApp, id: &str, leeway: i64) {
    let body = json!({
        "app_type": "regular_web",
        "oidc_conformant": true,
        "callbacks": [CALLBACK],
        "token_endpoint_auth_method": "client_secret_post",
        "refresh_token": { "rotation_type": "rotating", "expiration_type": "expiring", "leeway": leeway },
    });
    app.add_client(id, body).await;
}

/// What a code for the API buys, refresh token included.
pub async fn bought(
    app: &TestApp,
    browser: &mut Browser,
    client: &str,
    scope: &str,
    audience: &str,
) -> Issued {
    let request = Authorize::code(client).with("scope", &format!("openid offline_access {scope}"));
    let request = if audience.is_empty() { request } else { request.with("audience", audience) };
    let code = browser.get(&request.path()).await.param("code");
    let issued = grant_of(&Exchange::code(client, &code).send(app).await);
    assert!(!issued.refresh_token.is_empty());
    issued
}

pub async fn refresh(app: &TestApp, client: &str, token: &str) -> Answer {
    Exchange::refresh(client, token).send(app).await
}

#[track_caller]
pub fn assert_dead(answer: &Answer) {
    assert_refused(answer, 403, "invalid_grant", INVALID);
}

async fn count(app: &TestApp, sql: &'static str) -> i64 {
    stored(app, sql, params![]).await
}

async fn families(app: &TestApp) -> i64 {
    count(app, "SELECT COUNT(*) FROM refresh_token_families WHERE tenant = $1").await
}

async fn consents(app: &TestApp) -> i64 {
    count(app, "SELECT COUNT(*) FROM user_grants WHERE tenant = $1").await
}

both_databases! {
    async fn tk_09_a_token_used_again_ends_its_family(app: TestApp) {
        let app = prepared(app).await;
        add_rotating(&app, "rotating", 0).await;
        let mut alice = signed_in(&app, "alice").await;
        let kept = bought(&app, &mut alice, "rotating", "", "").await;
        let first = bought(&app, &mut alice, "rotating", "read:a", API).await;
        let second = grant_of(&refresh(&app, "rotating", &first.refresh_token).await);
        let third = grant_of(&refresh(&app, "rotating", &second.refresh_token).await);
        assert_ne!(second.refresh_token, third.refresh_token);
        assert_eq!((families(&app).await, consents(&app).await), (2, 1));

        assert_dead(&refresh(&app, "rotating", &first.refresh_token).await);
        for token in [&third, &second, &first] {
            assert_dead(&refresh(&app, "rotating", &token.refresh_token).await);
        }
        assert_eq!((families(&app).await, consents(&app).await), (1, 0), "the other sign-in stays, the consent goes");
        assert_eq!(refresh(&app, "rotating", &kept.refresh_token).await.status, 200);
        let kinds = app.events().await;
        assert_eq!(["ferrt", "sertft", "fertft"].map(|kind| kinds.iter().filter(|known| *known == kind).count()), [1, 3, 3]);
        let logs = app.admin().get("/api/v2/logs?q=type%3Aferrt").await;
        let told = ["user_id", "client_id", "description"].map(|name| logs.body[0][name].as_str().unwrap_or_default().to_owned());
        assert_eq!(told, ["auth0|alice", "rotating", "A rotated refresh token was used again: its family is revoked"]);
    }

    /// One that does not rotate lives as long as it is used.
    /// Whoever switches rotation means the tokens too that are out (authentication contract §3.4).
    async fn tk_09_switching_rotation_ends_what_was_there(app: TestApp) {
        let app = prepared(app).await;
        add_rotating(&app, "rotating", 0).await;
        let mut alice = signed_in(&app, "alice").await;
        for (rotation, expiration) in [("non-rotating", "non-expiring"), ("rotating", "expiring")] {
            let token = bought(&app, &mut alice, "rotating", "", "").await.refresh_token;
            let kind = json!({ "refresh_token": { "rotation_type": rotation, "expiration_type": expiration } });
            assert_eq!(app.admin().patch("/api/v2/clients/rotating", kind).await.status, 200);
            assert_dead(&refresh(&app, "rotating", &token).await);
            assert_eq!(families(&app).await, 0, "to {rotation}");
        }
    }

    async fn tk_09_use_puts_off_the_end_of_a_token_that_stays(app: TestApp) {
        let app = prepared(app).await;
        let body = json!({
            "app_type": "regular_web",
            "oidc_conformant": true,
            "callbacks": [CALLBACK],
            "token_endpoint_auth_method": "client_secret_post",
            "refresh_token": { "rotation_type": "non-rotating", "expiration_type": "expiring", "leeway": 0, "token_lifetime": 10_000, "idle_token_lifetime": 1000 },
        });
        app.add_client("staying", body).await;
        let mut alice = signed_in(&app, "alice").await;
        let issued = bought(&app, &mut alice, "staying", "", "").await;
        for _ in 0..3 {
            app.app.clock.advance(900);
            assert_eq!(refresh(&app, "staying", &issued.refresh_token).await.status, 200);
        }
        app.app.clock.advance(1000);
        assert_dead(&refresh(&app, "staying", &issued.refresh_token).await);
    }

    /// The opaque tokens of earlier exchanges end with the family.
    async fn tk_09_opaque_tokens_end_with_their_family(app: TestApp) {
        let app = prepared(app).await;
        add_rotating(&app, "rotating", 0).await;
        let mut alice = signed_in(&app, "alice").await;
        let first = bought(&app, &mut alice, "rotating", "", "").await;
        let second = grant_of(&refresh(&app, "rotating", &first.refresh_token).await);
        for token in [&first, &second] {
            assert_eq!(userinfo(&app, &token.access_token).await.status, 200);
        }
        assert_dead(&refresh(&app, "rotating", &first.refresh_token).await);
        for token in [&first, &second] {
            assert_eq!(userinfo(&app, &token.access_token).await.status, 401);
        }
    }

    async fn tk_10_the_leeway_forgives_the_last_token_alone(app: TestApp) {
        let app = prepared(app).await;
        add_rotating(&app, "lenient", 5).await;
        let mut alice = signed_in(&app, "alice").await;

        let first = bought(&app, &mut alice, "lenient", "read:a", API).await;
        let second = grant_of(&refresh(&app, "lenient", &first.refresh_token).await);
        app.app.clock.advance(5);
        let sibling = grant_of(&refresh(&app, "lenient", &first.refresh_token).await);
        assert_ne!(sibling.refresh_token, second.refresh_token);
        let third = grant_of(&refresh(&app, "lenient", &sibling.refresh_token).await);
        let again = grant_of(&refresh(&app, "lenient", &second.refresh_token).await);
        assert_eq!(families(&app).await, 1);
        assert_dead(&refresh(&app, "lenient", &first.refresh_token).await);
        for token in [third, again] {
            assert_dead(&refresh(&app, "lenient", &token.refresh_token).await);
        }
        assert_eq!(families(&app).await, 0, "the last but one ended it, inside the leeway");

        let first = bought(&app, &mut alice, "lenient", "read:a", API).await;
        let second = grant_of(&refresh(&app, "lenient", &first.refresh_token).await);
        app.app.clock.advance(6);
        assert_dead(&refresh(&app, "lenient", &first.refresh_token).await);
        assert_dead(&refresh(&app, "lenient", &second.refresh_token).await);
        assert_eq!(families(&app).await, 0);
        assert_eq!(app.events().await.iter().filter(|kind| *kind == "ferrt").count(), 2);
    }

    async fn tk_12_a_refresh_never_widens(app: TestApp) {
        let app = prepared(app).await;
        let other = json!({ "name": "Other", "scopes": [{ "value": "read:b" }], "allow_offline_access": true });
        app.add_api("https://other.test/", other).await;
        let mut alice = signed_in(&app, "alice").await;
        let first = bought(&app, &mut alice, "web", "read:a", API).await;
        let exchange = Exchange::refresh("web", &first.refresh_token);
        for (asked, got) in [
            ("openid read:a write:a read:b", "openid read:a"),
            ("openid profile email read:a", "openid read:a"),
            ("read:a read:users", "read:a"),
            ("read:a", "read:a"),
            ("write:a", ""),
        ] {
            let narrowed = grant_of(&exchange.with("scope", asked).send(&app).await);
            assert_eq!(narrowed.scope, got, "asked for {asked}");
            let token = claims(&narrowed.access_token);
            assert_eq!(token.get("scope").and_then(Value::as_str).unwrap_or_default(), got);
        }
        for audience in ["https://other.test/", &app.tenant.management_audience(), "https://nowhere.test/"] {
            let answer = exchange.with("audience", audience).with("scope", "openid read:a read:b read:current_user").send(&app).await;
            let token = claims(&grant_of(&answer).access_token);
            assert_eq!(token["aud"], json!([API, "https://id.test/userinfo"]), "asked for {audience}");
            assert_eq!(token["scope"], "openid read:a");
        }
        let whole = grant_of(&exchange.send(&app).await);
        assert_eq!(whole.scope, "openid offline_access read:a", "narrowing is for one token alone");
    }

    async fn tk_13_a_refresh_token_ends_with_what_it_stood_on(app: TestApp) {
        let app = prepared(app).await;
        let admin = app.admin();
        let steps = ["block", "delete", "password", "grant", "grants", "client"];
        for step in steps {
            let (user, client) = (format!("auth0|{step}"), format!("{step}-client"));
            app.add_user(&user).await;
            add_rotating(&app, &client, 0).await;
            let mut browser = signed_in(&app, step).await;
            let opaque = bought(&app, &mut browser, &client, "", "").await;
            let tokens = bought(&app, &mut browser, &client, "read:a", API).await;
            let other = bought(&app, &mut signed_in(&app, "bob").await, &client, "read:a", API).await;
            let path = format!("/api/v2/users/auth0%7C{step}");
            let done = match step {
                "block" => admin.patch(&path, json!({ "blocked": true })).await,
                "delete" => admin.delete(&path).await,
                "password" => admin.patch(&path, json!({ "password": "Another-horse-9" })).await,
                "grant" => {
                    let found = admin.get(&format!("/api/v2/grants?user_id=auth0%7C{step}&client_id={client}")).await;
                    admin.delete(&format!("/api/v2/grants/{}", found.body[0]["id"].as_str().expect("a grant"))).await
                }
                "grants" => admin.delete(&format!("/api/v2/grants?user_id=auth0%7C{step}")).await,
                _ => admin.delete(&format!("/api/v2/clients/{client}")).await,
            };
            assert!([200, 204].contains(&done.status), "{step}: {done:?}");
            let refused = refresh(&app, &client, &tokens.refresh_token).await;
            match step {
                // Nobody is there to be granted anything; made anew under the same id, the client finds nothing either.
                "client" => {
                    assert_refused(&refused, 401, "access_denied", "Unauthorized");
                    add_rotating(&app, &client, 0).await;
                    assert_dead(&refresh(&app, &client, &tokens.refresh_token).await);
                    assert_dead(&refresh(&app, &client, &other.refresh_token).await);
                }
                _ => {
                    assert_dead(&refused);
                    assert_eq!(refresh(&app, &client, &other.refresh_token).await.status, 200, "{step}: others stay");
                }
            }
            if step == "block" {
                assert_eq!(admin.patch(&path, json!({ "blocked": false })).await.status, 200);
                assert_dead(&refresh(&app, &client, &tokens.refresh_token).await);
            }
            if step == "delete" {
                app.add_user(&user).await;
                assert_dead(&refresh(&app, &client, &tokens.refresh_token).await);
            }
            // One consent stands behind the API alone; all else ended both sign-ins.
            let (status, alive) = if step == "grant" { (200, 1) } else { (401, 0) };
            assert_eq!(userinfo(&app, &opaque.access_token).await.status, status, "{step}");
            let own = "SELECT COUNT(*) FROM refresh_token_families WHERE tenant = $1 AND user_id = $2 AND client_id = $3";
            let left: i64 = stored(&app, own, params![user, client]).await;
            assert_eq!(left, alive, "{step}");
        }
    }

    async fn cu_08_an_app_gets_only_its_users_own_scopes(app: TestApp) {
        let app = prepared(app).await;
        let management = app.tenant.management_audience();
        let mut alice = signed_in(&app, "alice").await;
        let asked = "read:users update:users delete:users create:users read:current_user offline_access";
        let code = Authorize::code("page").with("audience", &management).with("scope", asked);
        let landed = alice.sign_in(&code.path(), "").await;
        let answer = Exchange::code("page", &landed.param("code")).send(&app).await;
        let issued = grant_of(&answer);
        assert_eq!(answer.body["scope"], "read:current_user");
        assert_eq!(answer.body.get("refresh_token"), None);
        let token = claims(&issued.access_token);
        assert_eq!((&token["scope"], &token["aud"], &token["sub"]), (&json!("read:current_user"), &json!(management), &json!("auth0|alice")));

        let implicit = Authorize::new("page", "token").with("audience", &management).with("scope", asked);
        let landed = alice.get(&implicit.path()).await;
        assert_eq!(landed.param("scope"), "read:current_user");
        for token in [issued.access_token, landed.param("access_token")] {
            assert_eq!(claims(&token)["scope"], "read:current_user");
            let bearer = app.caller().with("authorization", &format!("Bearer {token}"));
            assert_eq!(bearer.get("/api/v2/users/auth0%7Calice").await.status, 200);
            let other = bearer.get("/api/v2/users/auth0%7Cbob").await;
            assert_eq!((other.status, &other.body["errorCode"]), (403, &json!("unowned_resource")));
            let list = bearer.get("/api/v2/users").await;
            assert_eq!((list.status, &list.body["errorCode"]), (403, &json!("insufficient_scope")));
        }
        let nothing = Authorize::new("page", "token").with("audience", &management).with("scope", "read:users");
        let landed = alice.get(&nothing.path()).await;
        assert_eq!(claims(&landed.param("access_token")).get("scope"), None, "{landed:?}");
    }

    async fn cu_09_no_flow_slips_a_current_user_scope_to_whom_it_was_not_granted(app: TestApp) {
        let app = prepared(app).await;
        let management = app.tenant.management_audience();
        let granted = json!({ "client_id": "m2m", "audience": management, "scope": ["read:users"] });
        assert_eq!(app.admin().post("/api/v2/client-grants", granted).await.status, 201);
        let call = Exchange::new("m2m", "client_credentials").with("audience", &management);
        for (asked, got) in [("read:users read:current_user", "read:users"), ("read:current_user", ""), ("update:users", "")] {
            let answer = call.with("scope", asked).send(&app).await;
            let issued = grant_of(&answer);
            assert_eq!(issued.scope, got, "asked for {asked}");
            let token = claims(&issued.access_token);
            assert_eq!((token["sub"].as_str(), token.get("scope").and_then(Value::as_str).unwrap_or_default()), (Some("m2m@clients"), got));
            let bearer = app.caller().with("authorization", &format!("Bearer {}", issued.access_token));
            let status = if got.is_empty() { 403 } else { 200 };
            assert_eq!(bearer.get("/api/v2/users/auth0%7Calice").await.status, status);
            let own = bearer.get("/api/v2/users/m2m%40clients").await;
            assert_eq!(own.status, if got.is_empty() { 403 } else { 400 }, "a client is no user: {own:?}");
        }
        // A grant that names such a scope all the same gives it to nobody but users.
        let listed = json!({ "client_id": "web", "audience": management, "scope": ["read:current_user"] });
        let made = app.admin().post("/api/v2/client-grants", listed).await;
        let answer = Exchange::new("web", "client_credentials").with("audience", &management).send(&app).await;
        assert_eq!(made.status, 201, "{made:?}");
        assert_eq!(claims(&grant_of(&answer).access_token).get("scope"), None);

        let mut alice = signed_in(&app, "alice").await;
        let first = bought(&app, &mut alice, "web", "read:a", API).await;
        let refresh = Exchange::refresh("web", &first.refresh_token).with("audience", &management);
        let widened = grant_of(&refresh.with("scope", "read:a update:current_user_identities").send(&app).await);
        let token = claims(&widened.access_token);
        assert_eq!((&token["aud"], &token["scope"]), (&json!(API), &json!("read:a")));
        // A password gets what is its user's own, of all that is asked for.
        let realm = "http://auth0.com/oauth/grant-type/password-realm";
        let direct = json!({ "app_type": "regular_web", "token_endpoint_auth_method": "client_secret_post", "grant_types": [realm] });
        app.add_client("direct", direct).await;
        let password = Exchange::new("direct", realm).with("realm", CONNECTION).with("username", "alice@example.com").with("password", PASSWORD);
        let password = password.with("audience", &management).with("scope", "read:users read:current_user update:users");
        let issued = grant_of(&password.send(&app).await);
        assert_eq!((issued.scope.as_str(), &claims(&issued.access_token)["scope"]), ("read:current_user", &json!("read:current_user")));
    }
}

both_databases_at_once! {
    async fn tk_11_of_many_refreshes_one_succeeds_at_most(app: TestApp) {
        let app = prepared(app).await;
        add_rotating(&app, "rotating", 0).await;
        let mut alice = signed_in(&app, "alice").await;
        for round in 0..20 {
            let first = bought(&app, &mut alice, "rotating", "read:a", API).await;
            let answers = at_once(&app, 32, &Exchange::refresh("rotating", &first.refresh_token)).await;
            let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
            assert!(won.len() <= 1, "round {round}: {} won", won.len());
            lost.into_iter().for_each(assert_dead);
            assert_eq!(families(&app).await, 0, "all but the first were reuse");
            for answer in won {
                assert_dead(&refresh(&app, "rotating", &grant_of(answer).refresh_token).await);
            }
        }
    }
}
