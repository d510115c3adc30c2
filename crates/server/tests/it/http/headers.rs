//! HT-01: what every answer carries.

use std::sync::Arc;

use axum::http::Method;
use db::Batch;
use model::tenants::{self, Tenant};
use serde_json::json;

use super::routes;
use crate::support::{Answer, Caller, TestApp};

async fn ask(caller: &Caller, method: Method, path: &str) -> Answer {
    caller.send(method, path, None, String::new()).await
}

both_databases! {
    async fn ht_01_every_answer_carries_the_security_headers(app: TestApp) {
        let admin = app.admin();
        let missing = [(Method::GET, "/nothing".to_owned()), (Method::GET, "/api/v2/nothing".to_owned())];
        for (method, path) in routes().into_iter().chain(missing) {
            for caller in [&app.caller(), &admin] {
                let answer = ask(caller, method.clone(), &path).await;
                let place = format!("{method} {path}: {}", answer.status);
                assert_eq!(answer.header("x-content-type-options"), "nosniff", "{place}");
                assert_eq!(answer.header("referrer-policy"), "no-referrer", "{place}");
                assert_eq!(answer.header("strict-transport-security"), "max-age=31536000", "{place}");
                if !(300..400).contains(&answer.status) {
                    let policy = answer.header("content-security-policy");
                    assert!(policy.starts_with("default-src 'none'"), "{place}: {policy}");
                    assert!(policy.contains("frame-ancestors 'none'"), "{place}: {policy}");
                    assert_eq!(answer.header("x-frame-options"), "DENY", "{place}");
                    for lax in ["'unsafe-inline'", "'unsafe-eval'", "*"] {
                        assert!(!policy.contains(lax), "{place}: {policy}");
                    }
                }
                assert!(!answer.has("server") && !answer.has("x-powered-by"), "{place}");
            }
        }
    }

    /// Tokens, people's data and sign-in pages are never stored; metadata and files may be.
    async fn ht_01_nothing_personal_is_stored(app: TestApp) {
        for (method, path) in routes() {
            let answer = ask(&app.admin(), method.clone(), &path).await;
            let cached = path.starts_with("/.well-known/") || path.starts_with("/account/") || path.ends_with(".js");
            if !cached {
                let cache = answer.header("cache-control");
                assert!(cache.contains("no-store"), "{method} {path}: {cache}");
            }
        }
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", "m2m"),
            ("client_secret", "m2m-secret"),
            ("audience", "https://id.test/api/v2/"),
        ];
        let refused = app.caller().form("/oauth/token", &form).await;
        assert_eq!(refused.header("cache-control"), "no-store", "{}", refused.text);
    }

    /// A browser would remember HSTS for every port of `localhost`, and lock other programs out.
    async fn ht_01_localhost_promises_no_https(app: TestApp) {
        let host = "localhost:8443";
        let local = Tenant { host: host.into(), issuer: format!("https://{host}/"), ..Tenant::clone(&app.tenant) };
        let mut batch = Batch::new();
        tenants::insert_domain(&mut batch, &local, app.app.clock.now());
        app.app.db.commit(batch).await.expect("a second host");
        let answer = app.caller().at(&Arc::new(local)).get("/.well-known/jwks.json").await;
        assert_eq!((answer.status, answer.has("strict-transport-security")), (200, false));
    }

    /// The answer to a hidden frame must be framable by the page that opened it.
    async fn ht_01_a_web_message_is_framable(app: TestApp) {
        let body = json!({
            "app_type": "spa",
            "token_endpoint_auth_method": "none",
            "callbacks": ["https://app.test/cb"],
            "web_origins": ["https://app.test"],
        });
        app.add_client("framed", body).await;
        let query = "client_id=framed&response_type=token&response_mode=web_message&prompt=none&state=s\
                     &redirect_uri=https%3A%2F%2Fapp.test%2Fcb";
        let answer = app.caller().get(&format!("/authorize?{query}")).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert!(answer.text.contains("authorization_response"), "{}", answer.text);
        assert!(!answer.has("x-frame-options"));
        assert!(!answer.header("content-security-policy").contains("frame-ancestors"));
        assert!(answer.header("content-security-policy").starts_with("default-src 'none'"));
    }
}
