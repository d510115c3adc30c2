//! The password grants (authentication contract §3.4).

use serde_json::{Value, json};

use crate::security::exchange::{Exchange, assert_refused, grant_of, userinfo};
use crate::security::{API, claims, prepared};
use crate::support::app::{CONNECTION, LEAKED, PASSWORD};
use crate::support::browser::Form;
use crate::support::{Answer, Authorize, Browser, TestApp};

const REALM: &str = "http://auth0.com/oauth/grant-type/password-realm";
const WRONG: &str = "Wrong email or password.";

/// With the client `server`, which may exchange passwords, and a default directory.
async fn ready(app: TestApp) -> TestApp {
    let app = prepared(app).await;
    let server = json!({
        "app_type": "regular_web",
        "oidc_conformant": true,
        "token_endpoint_auth_method": "client_secret_post",
        "grant_types": ["password", "refresh_token"],
    });
    app.add_client("server", server).await;
    settings(&app, json!({ "default_directory": CONNECTION })).await;
    app
}

async fn settings(app: &TestApp, patch: Value) {
    let answer = app.admin().patch("/api/v2/tenants/settings", patch).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}

fn password(username: &str, password: &str) -> Exchange {
    Exchange::new("server", "password").with("username", username).with("password", password)
}

fn alice() -> Exchange {
    password("alice@example.com", PASSWORD)
}

async fn logins(app: &TestApp) -> i64 {
    let user = app.admin().get("/api/v2/users/auth0%7Calice").await;
    user.body["logins_count"].as_i64().unwrap_or_default()
}

/// Tries a password on the sign-in page.
async fn on_the_page(app: &TestApp, password: &str) -> Answer {
    let mut browser = Browser::new(app.caller());
    let page = browser.open(&Authorize::code("web").path()).await;
    let form = Form::of(&page);
    let (state, csrf) = (form.field("state"), form.field("_csrf"));
    let fields =
        [("state", state), ("_csrf", csrf), ("username", "alice@example.com"), ("password", password)];
    browser.post(&form.action, &fields).await
}

both_databases! {
    async fn a_password_buys_tokens(app: TestApp) {
        let app = ready(app).await;
        let answer = alice().send(&app).await;
        let bought = grant_of(&answer);
        // Recorded: nothing asked for is everything of OpenID Connect's.
        assert_eq!(bought.scope, "openid profile email address phone");
        assert_eq!((&answer.body["expires_in"], &answer.body["token_type"]), (&json!(86_400), &json!("Bearer")));
        assert_eq!(bought.refresh_token, "");
        let told = userinfo(&app, &bought.access_token).await;
        assert_eq!((told.status, &told.body["email"]), (200, &json!("alice@example.com")));
        let id_token = claims(answer.body["id_token"].as_str().expect("a token"));
        assert_eq!((&id_token["sub"], &id_token["aud"], &id_token["email"]), (&json!("auth0|alice"), &json!("server"), &json!("alice@example.com")));
        assert!(id_token.get("sid").is_none() && id_token.get("nonce").is_none() && id_token.get("amr").is_none(), "{id_token}");
        assert_eq!(logins(&app).await, 1);
        assert_eq!(app.events().await.iter().filter(|event| *event == "sepft").count(), 1);

        let openid = grant_of(&alice().with("scope", "openid").send(&app).await);
        assert_eq!(openid.scope, "openid profile email address phone");
        let some = grant_of(&alice().with("scope", "openid email unknown offline_access").send(&app).await);
        assert_eq!(some.scope, "openid email offline_access");
        let next = Exchange::refresh("server", &some.refresh_token).send(&app).await;
        assert_eq!(next.status, 200, "{next:?}");
        assert!(claims(next.body["id_token"].as_str().expect("a token")).get("sid").is_none());
    }

    async fn a_password_buys_a_token_for_an_api(app: TestApp) {
        let app = ready(app).await;
        let all = grant_of(&alice().with("audience", API).send(&app).await);
        assert_eq!(all.scope, "read:a write:a");
        let token = claims(&all.access_token);
        assert_eq!((&token["aud"], &token["gty"], &token["azp"]), (&json!(API), &json!("password"), &json!("server")));
        let some = grant_of(&alice().with("audience", API).with("scope", "openid read:a nothing offline_access").send(&app).await);
        assert_eq!(some.scope, "openid read:a offline_access");
        assert_eq!(claims(&some.access_token)["aud"], json!([API, "https://id.test/userinfo"]));
        // What a user gave can be taken back, and the refresh token goes with it.
        let grants = app.admin().get("/api/v2/grants?user_id=auth0%7Calice").await;
        assert_eq!(grants.body[0]["audience"], json!(API), "{}", grants.text);
        let id = grants.body[0]["id"].as_str().expect("is text").to_owned();
        assert_eq!(Exchange::refresh("server", &some.refresh_token).send(&app).await.status, 200);
        assert_eq!(app.admin().delete(&format!("/api/v2/grants/{id}")).await.status, 204);
        let dead = Exchange::refresh("server", &some.refresh_token).send(&app).await;
        assert_refused(&dead, 403, "invalid_grant", "Unknown or invalid refresh token.");

        let mine = grant_of(&alice().with("audience", "https://id.test/api/v2/").with("scope", "read:users read:current_user offline_access").send(&app).await);
        assert_eq!((mine.scope.as_str(), mine.refresh_token.as_str()), ("read:current_user", ""));
        let unknown = alice().with("audience", "https://nowhere.test/").send(&app).await;
        assert_refused(&unknown, 403, "access_denied", "Service not enabled within domain: https://nowhere.test/");
        let organization = alice().with("organization", "org_1").send(&app).await;
        assert_refused(&organization, 400, "invalid_request", "parameter organization is not allowed for this client");
    }

    async fn a_realm_is_a_directory_of_the_client(app: TestApp) {
        let app = ready(app).await;
        let by_realm = alice().with("grant_type", REALM);
        assert_refused(&by_realm.send(&app).await, 400, "invalid_request", "Missing required parameter: realm");
        assert_eq!(by_realm.with("realm", CONNECTION).send(&app).await.status, 200);
        for unknown in ["nothing", "username-password-authentication", ""] {
            let answer = by_realm.adding("realm", unknown).send(&app).await;
            let text = if unknown.is_empty() { "Missing required parameter: realm".to_owned() } else { format!("Unknown realm {unknown}.") };
            assert_refused(&answer, 400, "invalid_request", &text);
        }
        // An alias, and a directory of the same tenant that the client may not use.
        let admin = app.admin();
        let made = admin.post("/api/v2/connections", json!({ "name": "staff", "strategy": "auth0", "realms": ["example.com"], "enabled_clients": ["server"] })).await;
        assert_eq!(made.status, 201, "{}", made.text);
        let wrong = by_realm.with("realm", "example.com").send(&app).await;
        assert_refused(&wrong, 403, "invalid_grant", WRONG);
        let closed = admin.post("/api/v2/connections", json!({ "name": "closed", "strategy": "auth0" })).await;
        assert_eq!(closed.status, 201, "{}", closed.text);
        assert_refused(&by_realm.with("realm", "closed").send(&app).await, 400, "invalid_request", "Unknown realm closed.");

        settings(&app, json!({ "default_directory": "closed" })).await;
        assert_refused(&alice().send(&app).await, 400, "invalid_request", "the connection is not enabled");
        settings(&app, json!({ "default_directory": "" })).await;
        let unset = alice().send(&app).await;
        assert_refused(&unset, 500, "server_error", "Authorization server not configured with default connection.");
    }

    async fn each_grant_is_the_clients_own(app: TestApp) {
        let app = ready(app).await;
        let realm_only = json!({ "app_type": "native", "token_endpoint_auth_method": "none", "grant_types": [REALM] });
        app.add_client("device", realm_only).await;
        let foreign = json!({ "app_type": "regular_web", "is_first_party": false, "grant_types": ["password", REALM], "token_endpoint_auth_method": "client_secret_post" });
        app.add_client("foreign", foreign).await;
        let form = |client: &str, grant: &str| Exchange::new(client, grant).with("username", "alice@example.com").with("password", PASSWORD).with("realm", CONNECTION);
        assert_eq!(form("device", REALM).without("client_secret").send(&app).await.status, 200);
        for (client, grant) in [("device", "password"), ("web", "password"), ("web", REALM), ("foreign", "password"), ("foreign", REALM)] {
            let answer = form(client, grant).send(&app).await;
            let body = json!({
                "error": "unauthorized_client",
                "error_description": format!("Grant type '{grant}' not allowed for the client."),
                "error_uri": "https://auth0.com/docs/clients/client-grant-types",
            });
            assert_eq!((answer.status, &answer.body), (403, &body), "{client} {grant}");
        }
        for name in ["username", "password"] {
            let answer = alice().without(name).send(&app).await;
            assert_refused(&answer, 400, "invalid_request", &format!("Missing required parameter: {name}"));
        }
    }

    async fn a_wrong_password_counts_as_on_the_page(app: TestApp) {
        let app = ready(app).await;
        for (name, given) in [("alice@example.com", "wrong"), ("nobody@example.com", PASSWORD)] {
            let done = app.app.hasher.hashes_done();
            assert_refused(&password(name, given).send(&app).await, 403, "invalid_grant", WRONG);
            assert_eq!(app.app.hasher.hashes_done(), done + 1, "known and unknown cost one hash");
        }
        for _ in 0..4 {
            assert_eq!(password("alice@example.com", "wrong").send(&app).await.status, 403);
            assert_eq!(on_the_page(&app, "wrong").await.status, 400);
        }
        assert_eq!(password(" ALICE@example.com ", "wrong").send(&app).await.status, 403);
        // Ten in all: neither way takes the right one now.
        let done = app.app.hasher.hashes_done();
        let blocked = alice().send(&app).await;
        assert_eq!((blocked.status, &blocked.body["error"]), (429, &json!("too_many_attempts")), "{blocked:?}");
        assert!(blocked.body["error_description"].as_str().expect("is text").starts_with("Your account has been blocked after multiple consecutive login attempts."));
        assert_eq!(on_the_page(&app, PASSWORD).await.status, 429);
        assert_eq!(app.app.hasher.hashes_done(), done);
        let elsewhere = alice().send_as(&app.caller().from("198.51.100.7")).await;
        assert_eq!(elsewhere.status, 200, "{elsewhere:?}");
        let events = app.events().await;
        let count = |kind: &str| events.iter().filter(|event| *event == kind).count();
        assert_eq!((count("fp"), count("limit_wc"), count("sepft")), (11, 1, 1));
        assert_eq!(count("fepft"), 8, "each refusal of the grant is told");
    }

    async fn a_blocked_user_and_a_leaked_password_get_nothing(app: TestApp) {
        let app = ready(app).await;
        let block = |blocked: bool| json!({ "blocked": blocked });
        assert_eq!(app.admin().patch("/api/v2/users/auth0%7Calice", block(true)).await.status, 200);
        assert_refused(&alice().send(&app).await, 403, "invalid_grant", "user is blocked");
        assert_refused(&password("alice@example.com", "wrong").send(&app).await, 403, "invalid_grant", WRONG);
        assert_eq!(app.admin().patch("/api/v2/users/auth0%7Calice", block(false)).await.status, 200);
        assert_eq!(app.admin().patch("/api/v2/users/auth0%7Calice", json!({ "password": LEAKED })).await.status, 200);
        let on = json!({ "enabled": true, "shields": ["block"] });
        assert_eq!(app.admin().patch("/api/v2/attack-protection/breached-password-detection", on).await.status, 200);
        let leaked = password("alice@example.com", LEAKED).send(&app).await;
        assert_eq!((leaked.status, &leaked.body["error"]), (401, &json!("password_leaked")));
        assert_eq!(logins(&app).await, 0);
    }

    /// LS-05: what a client tells of its user's address counts for a client that is trusted for it alone.
    async fn a_trusted_client_tells_its_users_address(app: TestApp) {
        let app = ready(app).await;
        let trusted = json!({
            "app_type": "regular_web", "token_endpoint_auth_method": "client_secret_post", "grant_types": ["password"],
            "is_token_endpoint_ip_header_trusted": true,
        });
        app.add_client("trusted", trusted).await;
        let told = |address: &str| app.caller().with("auth0-forwarded-for", address);
        let wrong = |client: &str| Exchange::new(client, "password").with("username", "alice@example.com").with("password", "wrong");
        for _ in 0..10 {
            assert_eq!(wrong("trusted").send_as(&told("198.51.100.7")).await.status, 403);
        }
        assert_eq!(wrong("trusted").send_as(&told("198.51.100.7")).await.status, 429);
        assert_eq!(wrong("trusted").with("password", PASSWORD).send_as(&told("198.51.100.8")).await.status, 200);
        for number in 0..10 {
            let claimed = format!("198.51.100.{}", 20 + number);
            assert_eq!(wrong("server").send_as(&told(&claimed)).await.status, 403);
        }
        assert_eq!(wrong("server").send_as(&told("198.51.100.99")).await.status, 429, "the address is the connection's own");
    }
}
