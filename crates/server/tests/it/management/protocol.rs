//! How strictly a tenant and its clients are answered.

use serde_json::json;

use crate::support::TestApp;

both_databases! {
    async fn a_tenant_and_each_client_say_how_they_are_answered(app: TestApp) {
        let admin = app.admin();
        let unset = json!({
            "strict": false, "require_pushed_authorization_requests": false, "registration_needs_token": false, "strict_registration": false,
        });
        assert_eq!(admin.get("/api/v2/doorward/protocol").await.body, unset);
        let set = admin.patch("/api/v2/doorward/protocol", json!({ "strict": true })).await;
        assert_eq!((set.status, &set.body["strict"]), (200, &json!(true)));
        assert_eq!(admin.get("/api/v2/doorward/protocol").await.body, set.body);
        assert_eq!(admin.patch("/api/v2/doorward/protocol", json!({ "strict": null })).await.body, unset);

        let path = "/api/v2/doorward/clients/spa";
        assert_eq!(admin.get(path).await.body, json!({}));
        let set = admin.patch(path, json!({ "strict": true })).await;
        assert_eq!((set.status, &set.body), (200, &json!({ "strict": true })));
        // Tools of Auth0's never see it, and a change of theirs leaves it.
        let seen = admin.patch("/api/v2/clients/spa", json!({ "description": "d" })).await;
        assert_eq!((seen.status, seen.body.get("protocol"), seen.body.get("strict")), (200, None, None));
        assert_eq!(admin.patch("/api/v2/clients/spa", json!({ "protocol": { "strict": false } })).await.status, 400);
        assert_eq!(admin.get(path).await.body, json!({ "strict": true }));
        assert_eq!(admin.patch(path, json!({ "strict": null })).await.body, json!({}));
        for answer in [admin.get("/api/v2/doorward/clients/nobody").await, admin.patch("/api/v2/doorward/clients/nobody", json!({ "strict": true })).await] {
            assert_eq!((answer.status, &answer.body["errorCode"]), (404, &json!("inexistent_client")));
        }
        for wrong in [json!({ "strict": "yes" }), json!({ "lax": true }), json!({})] {
            assert_eq!(admin.patch("/api/v2/doorward/protocol", wrong).await.status, 400);
        }
    }
}
