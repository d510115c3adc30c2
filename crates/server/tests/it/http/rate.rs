//! CU-21: one person's script spends their own bucket, nobody else's.

use serde_json::json;

use crate::support::TestApp;

both_databases! {
    async fn cu_21_a_flood_exhausts_its_own_bucket_alone(app: TestApp) {
        app.add_user("auth0|alice").await;
        app.add_user("auth0|bob").await;
        let alice = app.token("auth0|alice", "read:current_user");
        let bob = app.token("auth0|bob", "read:current_user");
        let admin = app.machine("read:users");
        let mut refused = None;
        for call in 0..1_000 {
            let answer = alice.get("/api/v2/users/auth0%7Calice").await;
            if answer.status == 429 {
                refused = Some((call, answer));
                break;
            }
            assert_eq!(answer.status, 200, "{}", answer.text);
        }
        let (calls, refused) = refused.expect("a flood is refused");
        assert_eq!(calls, 50);
        let body = json!({
            "statusCode": 429,
            "error": "Too Many Requests",
            "message": "Global limit has been reached",
            "errorCode": "too_many_requests",
        });
        assert_eq!(refused.body, body);
        assert_eq!((refused.header("x-ratelimit-limit"), refused.header("x-ratelimit-remaining")), ("50", "0"));
        let now = app.app.clock.now().seconds();
        let reset: i64 = refused.header("x-ratelimit-reset").parse().expect("seconds");
        assert!((now..now + 10).contains(&reset), "{reset}");
        assert_eq!(refused.header("retry-after"), "1");
        for _ in 0..20 {
            assert_eq!(bob.get("/api/v2/users/auth0%7Cbob").await.status, 200);
            assert_eq!(admin.get("/api/v2/users/auth0%7Calice").await.status, 200);
        }
        app.app.clock.advance(1);
        assert_eq!(alice.get("/api/v2/users/auth0%7Calice").await.status, 200);
    }
}
