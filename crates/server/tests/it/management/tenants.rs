//! A tenant's settings (management contract §4.9).

use serde_json::{Value, json};

use crate::support::TestApp;

const PATH: &str = "/api/v2/tenants/settings";

both_databases! {
    async fn discovery_follows_the_settings_at_once(app: TestApp) {
        let (admin, caller) = (app.admin(), app.caller());
        for named in [true, false, true] {
            let patch = json!({ "oidc_logout": { "rp_logout_end_session_endpoint_discovery": named } });
            assert_eq!(admin.patch(PATH, patch).await.status, 200);
            let document = caller.get("/.well-known/openid-configuration").await.body;
            assert_eq!(document["end_session_endpoint"] == "https://id.test/oidc/logout", named);
            assert_eq!(document.get("end_session_endpoint").is_some(), named);
        }
    }

    async fn named_keys_are_replaced_and_flags_and_pages_merge(app: TestApp) {
        let admin = app.admin();
        let before = admin.get(PATH).await.body;
        assert_eq!((&before["friendly_name"], &before["session_lifetime"], &before["flags"]["revoke_refresh_token_grant"]), (&json!("Tenant id"), &json!(168), &json!(false)));
        for (patch, changed) in [
            (json!({ "flags": { "revoke_refresh_token_grant": true } }), json!({ "flags": { "revoke_refresh_token_grant": true, "enable_sso": true } })),
            (json!({ "flags": {} }), json!({ "flags": { "revoke_refresh_token_grant": true, "enable_sso": true } })),
            (json!({ "change_password": { "enabled": true, "html": "<p>" } }), json!({ "change_password": { "enabled": true, "html": "<p>" } })),
            (json!({ "change_password": { "enabled": false } }), json!({ "change_password": { "enabled": false, "html": "<p>" } })),
            (json!({ "error_page": { "html": "<p>", "show_log_link": true, "url": "https://example.com" } }), json!({ "error_page": { "html": "<p>", "show_log_link": true, "url": "https://example.com" } })),
            (json!({ "session_cookie": { "mode": "non-persistent" }, "sessions": { "oidc_logout_prompt_enabled": false } }),
                json!({ "session_cookie": { "mode": "non-persistent" }, "sessions": { "oidc_logout_prompt_enabled": false } })),
            (json!({ "session_lifetime_in_minutes": 181, "idle_session_lifetime_in_minutes": 60 }), json!({ "session_lifetime": 181.0 / 60.0, "idle_session_lifetime": 1 })),
            (json!({ "enabled_locales": ["de", "es-419", "zh-CN"], "support_email": "", "support_url": "https://example.com/help" }),
                json!({ "enabled_locales": ["de", "es-419", "zh-CN"], "support_email": "", "support_url": "https://example.com/help" })),
            (json!({ "allowed_logout_urls": ["https://travel0.com/logout", "https://*.travel0.com"] }), json!({ "allowed_logout_urls": ["https://travel0.com/logout", "https://*.travel0.com"] })),
            (json!({ "default_redirection_uri": "https://example.com/login" }), json!({ "default_redirection_uri": "https://example.com/login" })),
        ] {
            let answer = admin.patch(PATH, patch.clone()).await;
            assert_eq!(answer.status, 200, "{patch}: {}", answer.text);
            let mut read = admin.get(PATH).await.body;
            // What may be chosen is told by GET alone.
            assert!(read.as_object_mut().unwrap().shift_remove("sandbox_versions_available").is_some());
            assert_eq!(read, answer.body, "{patch}");
            for (key, value) in changed.as_object().unwrap() {
                match key.as_str() {
                    "flags" => for (flag, on) in value.as_object().unwrap() { assert_eq!(&answer.body["flags"][flag], on, "{patch}") },
                    _ => assert_eq!(&answer.body[key], value, "{patch}"),
                }
            }
        }
        let unset = admin.patch(PATH, json!({ "error_page": null, "acr_values_supported": null, "mtls": null, "default_token_quota": null, "default_redirection_uri": "",
            "skip_non_verifiable_callback_uri_confirmation_prompt": null })).await;
        assert_eq!((unset.status, unset.body.get("error_page"), unset.body.get("default_redirection_uri"), unset.body.get("mtls")), (200, None, None, None), "{}", unset.text);
    }

    async fn fields_are_picked_or_left_out(app: TestApp) {
        let admin = app.machine("read:tenant_settings");
        let picked = admin.get(&format!("{PATH}?fields=friendly_name,flags.enable_sso,nothing&include_fields=true")).await;
        assert_eq!(picked.body, json!({ "friendly_name": "Tenant id", "flags": { "enable_sso": true } }));
        let rest = admin.get(&format!("{PATH}?fields=flags,friendly_name&include_fields=false")).await.body;
        assert_eq!((rest.get("flags"), rest.get("friendly_name"), &rest["session_lifetime"]), (None, None, &json!(168)));
        let unknown = admin.get(&format!("{PATH}?page=1")).await;
        assert_eq!((unknown.status, unknown.body["message"].as_str()), (400, Some("Query validation error: 'Additional properties not allowed: page'.")));
    }

    async fn what_no_tenant_can_be_set_to_is_refused(app: TestApp) {
        let admin = app.admin();
        let before = admin.get(PATH).await.body;
        for (body, message) in [
            (json!({}), "'Too few properties defined (0), minimum 1'."),
            (json!({ "tenant": "other" }), "'Additional properties not allowed: tenant'."),
            (json!({ "error_page": { "enabled": true } }), "'Additional properties not allowed: enabled' on property error_page (Tenant error page customization)."),
            (json!({ "session_lifetime": 0 }), "'Value 0 is less than minimum 1' on property session_lifetime (Number of hours a session will stay valid.)."),
            (json!({ "session_lifetime": 1.5 }), "'Expected type integer but found type number' on property session_lifetime (Number of hours a session will stay valid.)."),
            (json!({ "session_lifetime": null }), "'Expected type integer but found type null' on property session_lifetime (Number of hours a session will stay valid.)."),
            (json!({ "enabled_locales": [] }), "'Array is too short (0), minimum 1' on property enabled_locales (Supported locales for the user interface)."),
            (json!({ "default_redirection_uri": "http://example.com" }),
                "'Object didn't pass validation for format absolute-https-uri-or-empty: http://example.com' on property default_redirection_uri (The default absolute redirection uri, must be https)."),
            (json!({ "flags": { "enable_sso": "yes" } }), "'Expected type boolean but found type string' on property flags.enable_sso."),
            (json!({ "session_cookie": {} }), "'Missing required property: mode' on property session_cookie (Session cookie configuration)."),
        ] {
            let answer = admin.patch(PATH, body.clone()).await;
            let expected = json!({ "statusCode": 400, "error": "Bad Request", "message": format!("Payload validation error: {message}"), "errorCode": "invalid_body" });
            assert_eq!((answer.status, &answer.body), (400, &expected), "{body}");
        }
        for url in ["javascript:alert(1)", "https://*", "*"] {
            assert_eq!(admin.patch(PATH, json!({ "allowed_logout_urls": [url] })).await.body["errorCode"], "invalid_body", "{url}");
        }
        assert_eq!(admin.get(PATH).await.body, before);
        let scope = app.machine("read:tenant_settings").patch(PATH, json!({})).await;
        assert_eq!((scope.status, scope.body["message"].as_str()), (403, Some("Insufficient scope, expected any of: update:tenant_settings")));
    }

    /// Of settings changed at once none is lost.
    async fn changes_at_once_all_count(app: TestApp) {
        let admin = app.admin();
        let calls = (0..8).map(|n| {
            let (admin, flag) = (admin.clone(), format!("flag_{n}"));
            tokio::spawn(async move { admin.patch(PATH, json!({ "flags": { flag: true } })).await.status })
        });
        for call in calls.collect::<Vec<_>>() {
            assert_eq!(call.await.unwrap(), 200);
        }
        let flags = admin.get(PATH).await.body["flags"].clone();
        assert!((0..8).all(|n| flags[format!("flag_{n}")] == Value::Bool(true)), "{flags}");
    }

    async fn another_tenant_keeps_its_own(app: TestApp) {
        assert_eq!(app.admin().patch(PATH, json!({ "friendly_name": "New", "default_audience": "https://api.test/" })).await.status, 200);
        let ours = model::tenants::settings(&app.app, &app.tenant.id).await.unwrap();
        assert_eq!((ours.friendly_name.as_deref(), ours.default_audience()), (Some("New"), Some("https://api.test/")));
        let theirs = model::tenants::settings(&app.app, &app.other.id).await.unwrap();
        assert_eq!((theirs.friendly_name.as_deref(), theirs.default_audience()), (Some("Tenant other"), None));
    }
}
