//! Blocked accounts, told and lifted (management contract §4.16).

use serde_json::json;

use crate::security::{browser, prepared};
use crate::support::app::CONNECTION;
use crate::support::{Authorize, Browser, TestApp};

/// Tries a password at the sign-in page, once.
async fn guess(app: &TestApp, name: &str) -> u16 {
    let mut browser: Browser = browser(app);
    let page = browser.open(&Authorize::code("web").path()).await;
    browser.submit(&page, &[("username", name), ("password", "wrong")]).await.status
}

both_databases! {
    async fn a_block_is_told_by_user_and_by_name_and_lifted(app: TestApp) {
        let app = prepared(app).await;
        let admin = app.machine("read:users update:users update:attack_protection");
        let settings = json!({ "max_attempts": 2 });
        assert_eq!(admin.patch("/api/v2/attack-protection/brute-force-protection", settings).await.status, 200);
        let (by_id, by_name) = ("/api/v2/user-blocks/auth0%7Calice", "/api/v2/user-blocks?identifier=ALICE%40example.com");
        let nobody = "/api/v2/user-blocks?identifier=nobody%40example.com";
        for path in [by_id, by_name, nobody] {
            let answer = admin.get(path).await;
            assert_eq!((answer.status, answer.body), (200, json!({ "blocked_for": [] })));
        }
        for name in ["alice@example.com", "nobody@example.com"] {
            assert_eq!([guess(&app, name).await, guess(&app, name).await, guess(&app, name).await], [400, 400, 429]);
        }
        let block = |name: &str| json!({ "blocked_for": [{ "identifier": name, "ip": "203.0.113.9", "connection": CONNECTION }] });
        for (path, name) in [(by_id, "alice@example.com"), (by_name, "alice@example.com"), (nobody, "nobody@example.com")] {
            for path in [path.to_owned(), format!("{path}{}consider_brute_force_enablement=true", if path.contains('?') { '&' } else { '?' })] {
                let answer = admin.get(&path).await;
                assert_eq!((answer.status, &answer.body), (200, &block(name)), "{path}");
            }
        }
        // Unblocking by an administrator is another thing.
        assert_eq!(admin.patch("/api/v2/users/auth0%7Calice", json!({ "blocked": false })).await.status, 200);
        assert_eq!(guess(&app, "alice@example.com").await, 429);

        for (lift, name, path) in [(by_id, "alice@example.com", by_id), (nobody, "nobody@example.com", nobody)] {
            assert_eq!(admin.delete(lift).await.status, 204);
            assert_eq!(admin.get(path).await.body, json!({ "blocked_for": [] }));
            assert_eq!(guess(&app, name).await, 400);
        }
        assert_eq!([guess(&app, "alice@example.com").await, guess(&app, "alice@example.com").await], [400, 429]);
        assert_eq!(admin.delete(by_name).await.status, 204);
        assert_eq!(guess(&app, "alice@example.com").await, 400);
        assert_eq!(app.events().await.iter().filter(|kind| *kind == "ublkdu").count(), 3);

        // Off: nothing is refused, and the tools are told so if they ask for it.
        assert_eq!(guess(&app, "nobody@example.com").await, 400);
        assert_eq!(guess(&app, "nobody@example.com").await, 429);
        assert_eq!(admin.patch("/api/v2/attack-protection/brute-force-protection", json!({ "enabled": false })).await.status, 200);
        assert_eq!(guess(&app, "nobody@example.com").await, 400);
        assert_eq!(admin.get(nobody).await.body, block("nobody@example.com"));
        let considered = format!("{nobody}&consider_brute_force_enablement=true");
        assert_eq!(admin.get(&considered).await.body, json!({ "blocked_for": [] }));
    }

    async fn who_is_not_there_and_what_is_not_asked_is_refused(app: TestApp) {
        let admin = app.admin();
        let missing = json!({ "statusCode": 404, "error": "Not Found", "message": "The user does not exist.", "errorCode": "inexistent_user" });
        let path = "/api/v2/user-blocks/auth0%7Cnobody";
        for answer in [admin.get(path).await, admin.delete(path).await] {
            assert_eq!((answer.status, answer.body), (404, missing.clone()));
        }
        for answer in [admin.get("/api/v2/user-blocks").await, admin.delete("/api/v2/user-blocks").await] {
            let text = "Query validation error: 'Missing required property: identifier'.";
            assert_eq!((answer.status, &answer.body["message"], &answer.body["errorCode"]), (400, &json!(text), &json!("invalid_query_string")));
        }
        let bad = admin.get("/api/v2/user-blocks/alice").await;
        assert_eq!((bad.status, &bad.body["errorCode"]), (400, &json!("invalid_uri")));
    }
}
