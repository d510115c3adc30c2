//! What sends a tenant's mail.

use serde_json::json;

use crate::support::TestApp;

const PATH: &str = "/api/v2/emails/provider";

both_databases! {
    async fn a_tenant_has_one_provider_whose_secrets_are_shown_to_nobody(app: TestApp) {
        let admin = app.admin();
        let none = admin.get(PATH).await;
        assert_eq!(none.status, 404);
        assert_eq!(
            none.body,
            json!({ "statusCode": 404, "error": "Not Found", "message": "There is not a configured email provider",
                "errorCode": "inexistent_email_provider" })
        );
        assert_eq!(admin.patch(PATH, json!({ "enabled": false })).await.status, 404);
        let body = json!({
            "name": "smtp", "default_from_address": "no-reply@example.com",
            "credentials": { "smtp_host": "smtp.example.com", "smtp_port": 587, "smtp_user": "user", "smtp_pass": "hunter2" }
        });
        let shown = json!({
            "name": "smtp", "enabled": true, "default_from_address": "no-reply@example.com",
            "credentials": { "smtp_host": "smtp.example.com", "smtp_port": 587, "smtp_user": "user" }
        });
        let made = admin.post(PATH, body.clone()).await;
        assert_eq!((made.status, &made.body), (201, &shown));
        let again = admin.post(PATH, body).await;
        assert_eq!(
            (again.status, again.body),
            (409, json!({ "statusCode": 409, "error": "Conflict", "message": "Email provider is already configured." }))
        );
        assert_eq!(admin.get(PATH).await.body, shown);
        let some = admin.get(&format!("{PATH}?fields=name%2Cenabled&include_fields=true")).await;
        assert_eq!(some.body, json!({ "name": "smtp", "enabled": true }));
        let changed = admin.patch(PATH, json!({ "enabled": false, "settings": {} })).await;
        assert_eq!((changed.status, &changed.body["enabled"], &changed.body["settings"]), (200, &json!(false), &json!({})));
        // Nothing of the log shows the password either.
        app.app.audit.flush().await;
        let logs = admin.get("/api/v2/logs?per_page=100").await.text;
        assert!(!logs.contains("hunter2"), "{logs}");
        // Another tenant has its own.
        let there = model::mail::providers::find(&app.app, &app.other.id).await.expect("reads");
        assert!(there.is_none());
        for _ in 0..2 {
            assert_eq!(admin.delete(PATH).await.status, 204);
        }
        assert_eq!(admin.get(PATH).await.status, 404);
    }

    /// Whoever may change the provider and not read its password cannot have it sent to a server of theirs either.
    async fn a_password_stays_for_the_server_it_was_given_for_alone(app: TestApp) {
        let admin = app.admin();
        let credentials = json!({ "smtp_host": "smtp.example.com", "smtp_port": 587, "smtp_user": "user", "smtp_pass": "hunter2" });
        assert_eq!(admin.post(PATH, json!({ "name": "smtp", "credentials": credentials })).await.status, 201);
        for (host, user, kept) in [
            ("smtp.example.com", "other", Some("hunter2")),
            ("evil.example.net", "other", None),
            ("smtp.example.com", "other", None),
        ] {
            let body = json!({ "credentials": { "smtp_host": host, "smtp_port": 587, "smtp_user": user } });
            assert_eq!(admin.patch(PATH, body).await.status, 200);
            let stored = model::mail::providers::load(&app.app, &app.tenant.id).await.expect("reads").expect("is there");
            assert_eq!((stored.credential("smtp_host"), stored.credential("smtp_pass")), (Some(host), kept));
        }
    }

    async fn a_provider_is_of_a_known_kind(app: TestApp) {
        let admin = app.admin();
        for (body, message) in [
            (json!({ "name": "smtp" }), "Payload validation error: 'Missing required property: credentials'."),
            (json!({ "name": "pigeon", "credentials": {} }), "Payload validation error: 'No enum match for: pigeon' on property name"),
            (json!({ "name": "smtp", "credentials": { "smtp_port": 0 } }), "Payload validation error: 'Value 0 is less than minimum 1' on property credentials.smtp_port"),
            (json!({ "name": "smtp", "credentials": { "token": "x" } }), "Payload validation error: 'Additional properties not allowed: token' on property credentials"),
        ] {
            let refused = admin.post(PATH, body.clone()).await;
            assert_eq!((refused.status, &refused.body["errorCode"]), (400, &json!("invalid_body")), "{body}");
            assert!(refused.body["message"].as_str().expect("text").starts_with(message), "{}", refused.text);
        }
    }
}
