//! The settings of attack protection (management contract §4.13).

use serde_json::{Value, json};

use crate::support::TestApp;

fn path(part: &str) -> String {
    format!("/api/v2/attack-protection/{part}")
}

/// What every tenant begins with, as recorded.
fn defaults() -> [(&'static str, Value); 5] {
    [
        (
            "brute-force-protection",
            json!({ "enabled": true, "shields": ["block", "user_notification"], "mode": "count_per_identifier_and_ip",
                "allowlist": [], "max_attempts": 10 }),
        ),
        (
            "suspicious-ip-throttling",
            json!({ "enabled": true, "shields": ["admin_notification", "block"], "allowlist": [], "stage": {
                "pre-login": { "max_attempts": 100, "rate": 864_000 },
                "pre-user-registration": { "max_attempts": 50, "rate": 1200 },
                "pre-custom-token-exchange": { "max_attempts": 10, "rate": 600_000 } } }),
        ),
        (
            "breached-password-detection",
            json!({ "enabled": false, "shields": [], "admin_notification_frequency": [], "method": "standard",
                "stage": { "pre-user-registration": { "shields": [] }, "pre-change-password": { "shields": [] } } }),
        ),
        (
            "bot-detection",
            json!({ "challenge_password_policy": "never", "challenge_passwordless_policy": "never",
                "challenge_password_reset_policy": "never", "allowlist": [], "bot_detection_level": "medium",
                "monitoring_mode_enabled": false }),
        ),
        (
            "captcha",
            json!({ "active_provider_id": "auth_challenge", "simple_captcha": {}, "auth_challenge": { "fail_open": false },
                "recaptcha_v2": { "site_key": "" }, "recaptcha_enterprise": { "site_key": "", "project_id": "" },
                "hcaptcha": { "site_key": "" }, "friendly_captcha": { "site_key": "" },
                "arkose": { "site_key": "", "client_subdomain": "client-api", "verify_subdomain": "verify-api", "fail_open": false } }),
        ),
    ]
}

both_databases! {
    async fn every_part_has_defaults_and_changes_by_key(app: TestApp) {
        let admin = app.machine("read:attack_protection update:attack_protection");
        for (part, mut expected) in defaults() {
            let answer = admin.get(&path(part)).await;
            assert_eq!((answer.status, answer.text), (200, expected.to_string()), "{part}");
            let answer = admin.patch(&path(part), json!({})).await;
            assert_eq!((answer.status, &answer.body), (200, &expected), "{part}");
            let (key, value) = match part {
                "bot-detection" => ("bot_detection_level", json!("high")),
                "captcha" => ("active_provider_id", json!("simple_captcha")),
                "breached-password-detection" => ("enabled", json!(true)),
                _ => ("allowlist", json!(["10.0.0.7", "10.1.0.0/16", "2001:db8::1", "2001:db8::/32"])),
            };
            expected[key] = value.clone();
            let answer = admin.patch(&path(part), json!({ key: value })).await;
            assert_eq!((answer.status, &answer.body), (200, &expected), "{part}");
            assert_eq!(admin.get(&path(part)).await.body, expected, "{part}");
        }
        assert_eq!(app.events().await.into_iter().filter(|kind| kind == "sapi").count(), 10);
    }

    async fn one_number_of_a_stage_changes_alone(app: TestApp) {
        let patch = json!({ "stage": { "pre-login": { "max_attempts": 5 } } });
        let answer = app.admin().patch(&path("suspicious-ip-throttling"), patch).await;
        let stage = json!({ "pre-login": { "max_attempts": 5, "rate": 864_000 },
            "pre-user-registration": { "max_attempts": 50, "rate": 1200 },
            "pre-custom-token-exchange": { "max_attempts": 10, "rate": 600_000 } });
        assert_eq!((answer.status, &answer.body["stage"]), (200, &stage));
    }

    async fn what_cannot_be_is_refused_in_the_published_words(app: TestApp) {
        let admin = app.admin();
        let inner = |text: &str| {
            let one = |format: &str| format!("Payload validation error: 'Object didn't pass validation for format {format}: {text}' on property allowlist[0].");
            ["ipv4", "cidr", "ipv6", "ipv6_cidr"].map(one).join(" (also) ")
        };
        for (part, body, message) in [
            ("brute-force-protection", json!({ "max_attempts": 101 }),
                "'Value 101 is greater than maximum 100' on property max_attempts (Maximum number of unsuccessful attempts.).".to_owned()),
            ("brute-force-protection", json!({ "max_attempts": 0 }),
                "'Value 0 is less than minimum 1' on property max_attempts (Maximum number of unsuccessful attempts.).".to_owned()),
            ("brute-force-protection", json!({ "shields": ["admin_notification"] }),
                "'No enum match for: admin_notification' on property shields[0].".to_owned()),
            ("brute-force-protection", json!({ "allowlist": ["example.com"] }),
                format!("'None of the valid schemas were met' on property allowlist[0]. Inner errors: [ {} ].", inner("example.com"))),
            ("brute-force-protection", json!({ "unknown": 1 }), "'Additional properties not allowed: unknown'.".to_owned()),
            ("captcha", json!({ "hcaptcha": { "site_key": "a" } }), "'Missing required property: secret' on property hcaptcha (hCaptcha.).".to_owned()),
        ] {
            let answer = admin.patch(&path(part), body.clone()).await;
            let expected = json!({ "statusCode": 400, "error": "Bad Request", "message": format!("Payload validation error: {message}"), "errorCode": "invalid_body" });
            assert_eq!((answer.status, &answer.body), (400, &expected), "{body}");
        }
        for (part, expected) in defaults() {
            assert_eq!(admin.get(&path(part)).await.body, expected, "{part}");
        }
    }

    /// Sealed in the database, in no answer, and in no log.
    async fn a_captchas_secret_is_shown_to_nobody(app: TestApp) {
        let admin = app.admin();
        let body = json!({
            "active_provider_id": "hcaptcha",
            "hcaptcha": { "site_key": "site", "secret": "very-hidden-1" },
            "recaptcha_enterprise": { "site_key": "site", "api_key": "very-hidden-2", "project_id": "p" },
        });
        let changed = admin.patch(&path("captcha"), body).await;
        assert_eq!(changed.body["hcaptcha"], json!({ "site_key": "site" }));
        assert_eq!(changed.body["recaptcha_enterprise"], json!({ "site_key": "site", "project_id": "p" }));
        // Another provider's settings leave the secret where it is.
        assert_eq!(admin.patch(&path("captcha"), json!({ "auth_challenge": { "fail_open": true } })).await.status, 200);
        let captcha = model::attack_protection::load_captcha(&app.app, &app.tenant.id).await.expect("reads");
        assert_eq!(captcha.secret("hcaptcha"), Some("very-hidden-1"));
        app.app.audit.flush().await;
        let sql = "SELECT doc FROM logs WHERE tenant = $1 UNION ALL SELECT doc FROM attack_protection WHERE tenant = $1 LIMIT 100";
        let sql = if app.engine == crate::support::Engine::Postgres { sql.replace("SELECT doc", "SELECT CAST(doc AS TEXT)") } else { sql.to_owned() };
        for mut row in app.app.db.read(sql, db::params![&app.tenant.id]).await.expect("reads") {
            let doc: String = row.take().expect("is text");
            assert!(!doc.contains("very-hidden"), "{doc}");
        }
        for text in [changed.text, admin.get(&path("captcha")).await.text, admin.get("/api/v2/logs").await.text] {
            assert!(!text.contains("very-hidden"), "{text}");
        }
    }
}
