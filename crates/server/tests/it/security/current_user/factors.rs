//! CU-15 and CU-16: what a person's token tells of their second factors, and takes away of them.

use model::factors::{Factor, Kind};
use serde_json::json;

use super::{ALICE, people};
use crate::security::refusals::{refusal, unowned};
use crate::support::TestApp;

both_databases! {
    async fn cu_15_a_person_sees_their_own_enrolment_masked(app: TestApp) {
        let app = people(app).await;
        let path = format!("{ALICE}/enrollments");
        let alice = app.token("auth0|alice", "read:current_user");
        let none = alice.get(&path).await;
        assert_eq!((none.status, &none.body), (200, &json!([])));
        let now = app.app.clock.now();
        for (user, kind) in [("alice", Kind::Phone), ("alice", Kind::Totp), ("bob", Kind::Totp)] {
            let factor = Factor::confirmed(&app.app, &format!("auth0|{user}").as_str().into(), kind);
            let factor = if kind == Kind::Phone { factor.with_address("+15551234567") } else { factor };
            app.add_factor(factor.with_seed(&app.app, &app.tenant.id, b"12345678901234567890")).await;
            app.app.clock.advance(1);
        }
        let own = alice.get(&path).await;
        assert_eq!(own.status, 200);
        let first = &own.body[0];
        assert_eq!(own.body, json!([{
            "id": first["id"], "status": "confirmed", "type": "sms", "name": "", "identifier": "",
            "phone_number": "********4567", "auth_method": "sms", "enrolled_at": now,
        }]));
        assert!(first["id"].as_str().expect("is text").starts_with("dev_"));
        assert!(!own.text.contains("GEZDGNBV"), "{}", own.text);
        let whose = [("auth0|bob", "read:current_user"), ("auth0|bob", "openid read:current_user update:current_user_metadata")];
        for (other, scope) in whose {
            let refused = app.token(other, scope).get(&path).await;
            assert_eq!((refused.status, &refused.body), (403, &unowned()));
        }
        let unknown = app.token("auth0|alice", "read:current_user").get("/api/v2/users/auth0%7Cnobody/enrollments").await;
        assert_eq!((unknown.status, &unknown.body), (403, &unowned()), "and no word of whether they exist");
        let refused = app.token("auth0|alice", "update:current_user_metadata").get(&path).await;
        let message = "Insufficient scope, expected any of: read:users,read:current_user";
        assert_eq!(refused.body, refusal(403, "Forbidden", message, "insufficient_scope"));
    }

    async fn cu_16_a_person_takes_away_their_own_factor_alone(app: TestApp) {
        let app = people(app).await;
        app.add_totp("auth0|alice").await;
        app.add_recovery_code("auth0|alice").await;
        app.add_totp("auth0|bob").await;
        let path = |user: &str, provider: &str| format!("/api/v2/users/auth0%7C{user}/multifactor/{provider}");
        let alice = app.token("auth0|alice", "delete:current_user_metadata");
        let multifactor = async |user: &str| {
            app.admin().get(&format!("/api/v2/users/auth0%7C{user}")).await.body.get("multifactor").cloned()
        };
        for other in ["bob", "nobody"] {
            let refused = alice.delete(&path(other, "google-authenticator")).await;
            assert_eq!((refused.status, &refused.body), (403, &unowned()), "{other}");
        }
        for scope in ["read:current_user", "update:current_user_metadata", ""] {
            let refused = app.token("auth0|alice", scope).delete(&path("alice", "google-authenticator")).await;
            let message = "Insufficient scope, expected any of: update:users";
            assert_eq!(refused.body, refusal(403, "Forbidden", message, "insufficient_scope"), "{scope}");
        }
        for provider in ["unknown", "totp", "Duo", "google-authenticator%20"] {
            let refused = alice.delete(&path("alice", provider)).await;
            assert_eq!((refused.status, &refused.body["errorCode"]), (400, &json!("invalid_uri")), "{provider}");
        }
        assert_eq!(alice.delete(&path("alice", "duo")).await.status, 204);
        assert_eq!(multifactor("alice").await, Some(json!(["guardian"])));
        assert_eq!(app.letters("factor_removed").await.len(), 0);

        let gone = alice.delete(&path("alice", "google-authenticator")).await;
        assert_eq!((gone.status, gone.text.as_str()), (204, ""));
        assert_eq!((multifactor("alice").await, multifactor("bob").await), (None, Some(json!(["guardian"]))));
        let letters = app.letters("factor_removed").await;
        assert_eq!((letters.len(), letters[0].0.as_str()), (1, "alice@example.com"));
        assert_eq!(letters[0].1["factor"], json!("Authenticator app"));
        let events = app.events().await;
        assert_eq!(events.iter().filter(|kind| *kind == "gd_unenroll").count(), 1);
        let left: i64 = crate::security::stored(
            &app,
            "SELECT COUNT(*) FROM factors WHERE tenant = $1 AND user_id = $2",
            db::params!["auth0|alice"],
        )
        .await;
        assert_eq!(left, 0, "the recovery code stood in for it");
        assert_eq!(alice.delete(&path("alice", "google-authenticator")).await.status, 204, "nothing is fine too");
        let unknown = app.admin().delete(&path("nobody", "duo")).await;
        assert_eq!((unknown.status, &unknown.body["errorCode"]), (404, &json!("inexistent_user")));
    }
}
