//! Logout, and the ID tokens that ask for it.

use serde_json::json;

use crate::security::exchange::Exchange;
use crate::security::{API, assert_page_error, claims, prepared, signed_in};
use crate::support::browser::{CALLBACK, SESSION};
use crate::support::{Authorize, Browser, TestApp};

/// Two clients of the older kind: their ID tokens are signed with their secrets.
async fn with_older_clients(app: TestApp) -> TestApp {
    let app = prepared(app).await;
    for id in ["older", "second"] {
        let body = json!({
            "app_type": "regular_web",
            "callbacks": [CALLBACK],
            "allowed_logout_urls": ["https://*.app.test/out", "https://app.test/out"],
            "jwt_configuration": { "alg": "HS256" },
        });
        app.add_client(id, body).await;
    }
    app
}

async fn id_token(browser: &mut Browser, client: &str) -> String {
    browser.get(&Authorize::new(client, "id_token").path()).await.param("id_token")
}

/// Logs out with the hint, in a copy of the browser; whether it was done at once.
async fn out(browser: &Browser, query: &str) -> (u16, bool, String) {
    let mut browser = browser.clone();
    let answer = browser.get(&format!("/oidc/logout?{query}")).await;
    (answer.status, !browser.cookies.contains_key(SESSION), answer.location().to_owned())
}

both_databases! {
    async fn an_id_token_signed_with_the_clients_secret_is_a_hint(app: TestApp) {
        let app = with_older_clients(app).await;
        let mut alice = signed_in(&app, "alice").await;
        let token = id_token(&mut alice, "older").await;
        assert_eq!((&claims(&token)["aud"], token.starts_with("eyJhbGciOiJIUzI1NiIs")), (&json!("older"), true), "{token}");

        let silent = Authorize::code("web").with("prompt", "none").with("id_token_hint", &token);
        assert!(!alice.get(&silent.path()).await.param("code").is_empty(), "the session is its user's");
        let mut bob = signed_in(&app, "bob").await;
        assert_eq!(bob.get(&silent.path()).await.param("error"), "login_required");

        app.app.clock.advance(36_001);
        let to = "post_logout_redirect_uri=https%3A%2F%2Fapp.test%2Fout&state=x";
        let back = (302, true, "https://app.test/out?state=x".to_owned());
        assert_eq!(out(&alice, &format!("id_token_hint={token}&{to}")).await, back, "also when it is old");
        let mut alice = signed_in(&app, "alice").await;
        let fresh = id_token(&mut alice, "older").await;
        let first = (302, true, "https://app.test/out".to_owned());
        assert_eq!(out(&alice, &format!("id_token_hint={fresh}")).await, first, "never to a pattern");
    }

    async fn a_strict_client_is_led_where_it_says_and_nowhere_else(app: TestApp) {
        let app = with_older_clients(app).await;
        assert_eq!(app.admin().patch("/api/v2/doorward/clients/older", json!({ "strict": true })).await.status, 200);
        let mut alice = signed_in(&app, "alice").await;
        let hint = id_token(&mut alice, "older").await;
        let (status, done, location) = out(&alice, &format!("id_token_hint={hint}")).await;
        assert_eq!((status, done, location.as_str()), (200, true, ""));
        let mut alice = signed_in(&app, "alice").await;
        let hint = id_token(&mut alice, "older").await;
        let said = format!("id_token_hint={hint}&post_logout_redirect_uri=https%3A%2F%2Fapp.test%2Fout");
        assert_eq!(out(&alice, &said).await, (302, true, "https://app.test/out".to_owned()));
    }

    async fn what_is_no_id_token_of_ours_is_no_hint(app: TestApp) {
        let app = with_older_clients(app).await;
        let mut alice = signed_in(&app, "alice").await;
        let (older, second) = (id_token(&mut alice, "older").await, id_token(&mut alice, "second").await);
        let rs256 = id_token(&mut alice, "page").await;
        let asymmetric = alice.get(&Authorize::new("page", "token").with("audience", API).path()).await.param("access_token");
        let parts = |token: &str| token.split('.').map(str::to_owned).collect::<Vec<_>>();
        let (one, two, three) = (parts(&older), parts(&second), parts(&rs256));
        for forged in [
            format!("{}.{}.{}", one[0], two[1], one[2]),
            format!("{}.{}.{}", one[0], one[1], two[2]),
            format!("{}.{}.{}", one[0], three[1], one[2]),
            format!("{}.{}.", one[0], one[1]),
            format!("eyJhbGciOiJub25lIn0.{}.", one[1]),
            asymmetric,
            "x".to_owned(),
            "x.y.z".to_owned(),
        ] {
            let answer = alice.get(&format!("/oidc/logout?id_token_hint={forged}")).await;
            assert_page_error(&answer, 400, "id_token_hint is not valid");
            let authorize = Authorize::code("web").with("id_token_hint", &forged);
            let answer = alice.get(&authorize.path()).await;
            assert_eq!(answer.param("error_description"), "id_token_hint is not valid");
        }
        let other = alice.get(&format!("/oidc/logout?id_token_hint={older}&client_id=second")).await;
        assert_page_error(&other, 400, "client_id does not match id_token_hint");

        // Once the secret is another, its former tokens say nothing.
        let rotated = app.admin().post("/api/v2/clients/older/rotate-secret", json!({})).await;
        assert_eq!(rotated.status, 200, "{rotated:?}");
        let answer = alice.get(&format!("/oidc/logout?id_token_hint={older}")).await;
        assert_page_error(&answer, 400, "id_token_hint is not valid");
        let wrong = Exchange::new("older", "refresh_token").send(&app).await;
        assert_eq!(wrong.status, 401);
        assert!(!alice.get(&Authorize::code("web").with("prompt", "none").path()).await.param("code").is_empty());
    }

    /// A hint of another session asks first, and so does none.
    async fn a_logout_that_proves_nothing_asks_first(app: TestApp) {
        let app = with_older_clients(app).await;
        let mut alice = signed_in(&app, "alice").await;
        let mut elsewhere = signed_in(&app, "alice").await;
        let other = id_token(&mut elsewhere, "page").await;
        for query in ["client_id=web".to_owned(), format!("id_token_hint={other}"), "logout_hint=x".to_owned(), String::new()] {
            let (status, done, location) = out(&alice, &query).await;
            assert_eq!((status, done, location.as_str()), (200, false, ""), "{query}");
        }
        let own = id_token(&mut alice, "page").await;
        assert_eq!(out(&alice, &format!("id_token_hint={own}")).await, (200, true, String::new()));
    }
}
