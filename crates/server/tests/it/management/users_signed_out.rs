//! LS-12, TK-13: what ends the sessions and tokens of a user, and what does not.

use serde_json::json;

use super::sign_ins::{ALL, NONE, SignIn};
use crate::support::TestApp;

const ALICE: &str = "/api/v2/users/auth0%7Calice";

async fn people(app: &TestApp) {
    for user in ["auth0|alice", "auth0|bob"] {
        app.add_user(user).await;
    }
}

both_databases! {
    async fn a_block_and_another_password_address_or_number_end_every_sign_in(app: TestApp) {
        people(&app).await;
        let bob = SignIn::of(&app, "auth0|bob", "").await;
        for body in [
            json!({ "password": "Another-horse-9" }),
            json!({ "password": "Another-horse-9", "connection": "Username-Password-Authentication" }),
            json!({ "email": "new@example.com" }),
            json!({ "phone_number": "+4912345678" }),
            json!({ "blocked": true }),
        ] {
            let alice = [SignIn::of(&app, "auth0|alice", "").await, SignIn::of(&app, "auth0|alice", "https://api.test/").await];
            let answer = app.admin().patch(ALICE, body.clone()).await;
            assert_eq!(answer.status, 200, "{body}: {}", answer.text);
            for sign_in in &alice {
                assert_eq!(sign_in.working(&app).await, NONE, "{body}");
            }
            assert_eq!(bob.working(&app).await, ALL, "{body}");
        }
    }

    async fn other_changes_and_refused_ones_end_nothing(app: TestApp) {
        people(&app).await;
        let alice = SignIn::of(&app, "auth0|alice", "").await;
        for (body, status) in [
            (json!({ "name": "Alice", "user_metadata": { "a": 1 }, "app_metadata": { "b": 2 } }), 200),
            (json!({ "email": "Alice@example.com", "email_verified": true }), 200),
            (json!({ "blocked": false }), 200),
            (json!({}), 200),
            (json!({ "password": "abc" }), 400),
            (json!({ "email": "bob@example.com" }), 400),
            (json!({ "blocked": true, "logins_count": 0 }), 400),
        ] {
            let answer = app.admin().patch(ALICE, body.clone()).await;
            assert_eq!((answer.status, alice.working(&app).await), (status, ALL), "{body}: {}", answer.text);
        }
    }

    async fn a_deleted_user_is_signed_in_nowhere(app: TestApp) {
        people(&app).await;
        let (alice, bob) = (SignIn::of(&app, "auth0|alice", "").await, SignIn::of(&app, "auth0|bob", "").await);
        assert_eq!(app.admin().delete(ALICE).await.status, 204);
        assert_eq!((alice.working(&app).await, bob.working(&app).await), (NONE, ALL));
    }
}
