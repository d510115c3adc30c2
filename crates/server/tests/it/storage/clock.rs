//! A clock that is set forward and back while the program serves.

use model::retention;
use serde_json::json;

use crate::security::exchange::Exchange;
use crate::security::refresh::{assert_dead, bought, refresh};
use crate::security::{API, prepared, signed_in};
use crate::support::browser::CALLBACK;
use crate::support::{Authorize, Browser, TestApp};

const DAY: i64 = 24 * 3600;

/// With a client whose refresh tokens live for an hour, and sessions that live for two.
async fn hasty(app: TestApp) -> TestApp {
    let app = prepared(app).await;
    let body = json!({
        "app_type": "regular_web",
        "oidc_conformant": true,
        "callbacks": [CALLBACK],
        "token_endpoint_auth_method": "client_secret_post",
        "refresh_token": { "rotation_type": "rotating", "expiration_type": "expiring", "leeway": 0,
            "token_lifetime": 3600, "idle_token_lifetime": 1800 },
    });
    app.add_client("hasty", body).await;
    let lifetimes = json!({ "session_lifetime": 2, "idle_session_lifetime": 1 });
    assert_eq!(app.admin().patch("/api/v2/tenants/settings", lifetimes).await.status, 200);
    app
}

/// The path of a new link that sets alice's password, for an hour.
async fn link(app: &TestApp) -> String {
    let body = json!({ "user_id": "auth0|alice", "ttl_sec": 3600 });
    let made = app.admin().post("/api/v2/tickets/password-change", body).await;
    let link = made.body["ticket"].as_str().unwrap_or_else(|| panic!("{made:?}"));
    link.strip_prefix("https://id.test").expect("one of ours").trim_end_matches('#').to_owned()
}

both_databases! {
    /// ST-07: what had ended at the later time has ended at the earlier one too, and nothing that was done meanwhile holds anybody up.
    async fn st_07_a_clock_that_jumps_revives_nothing_and_stops_nobody(app: TestApp) {
        let app = hasty(app).await;
        let mut alice = signed_in(&app, "alice").await;
        let tokens = bought(&app, &mut alice, "hasty", "read:a", API).await;
        let code = alice.get(&Authorize::code("web").path()).await.param("code");
        let link = link(&app).await;
        let silent = Authorize::code("web").with("prompt", "none").path();
        let own = app.token("auth0|alice", "read:current_user");
        assert_eq!(own.get("/api/v2/users/auth0%7Calice").await.status, 200);

        for (moved, when) in [(DAY, "a day later"), (-DAY, "the day before")] {
            app.app.clock.advance(moved);
            let redeemed = Exchange::code("web", &code).send(&app).await;
            assert_eq!((redeemed.status, &redeemed.body["error"]), (403, &json!("invalid_grant")), "{when}");
            assert_dead(&refresh(&app, "hasty", &tokens.refresh_token).await);
            assert_eq!(Browser::new(app.caller()).open(&link).await.status, 400, "{when}");
            assert_eq!(alice.clone().get(&silent).await.param("error"), "login_required", "{when}");
            if moved > 0 {
                assert_eq!(own.get("/api/v2/users/auth0%7Calice").await.status, 401, "{when}");
                // What the job finds ended it deletes. It runs every ten minutes.
                while retention::sweep(&app.app).await.expect("sweeps") > 0 {}
                // Everything that counts is counted to its end while the clock is wrong.
                let later = app.token("auth0|alice", "read:current_user");
                while later.get("/api/v2/users/auth0%7Calice").await.status == 200 {}
                let bob = signed_in(&app, "bob").await;
                assert!(!bob.clone().get(&silent).await.param("code").is_empty());
            }
        }
        // The tries of an address come back within a day, so that a day ahead is nothing unusual for it: one of them is back by now.
        app.app.clock.advance(900);
        let mut alice = signed_in(&app, "alice").await;
        let tokens = bought(&app, &mut alice, "hasty", "read:a", API).await;
        assert_eq!(refresh(&app, "hasty", &tokens.refresh_token).await.status, 200);
        // A bucket fills up from the first call on that finds the clock set back.
        let own = app.token("auth0|alice", "read:current_user");
        assert_eq!(own.get("/api/v2/users/auth0%7Calice").await.status, 429);
        app.app.clock.advance(1);
        assert_eq!(own.get("/api/v2/users/auth0%7Calice").await.status, 200, "a person's share is theirs again");
    }
}
