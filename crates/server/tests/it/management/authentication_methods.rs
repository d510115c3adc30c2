//! `/users/{id}/authentication-methods`, `/guardian/enrollments` and what else ends a factor.

use serde_json::{Value, json};

use crate::support::TestApp;

const METHODS: &str = "/api/v2/users/auth0%7Calice/authentication-methods";

both_databases! {
    async fn addresses_and_numbers_are_told_by_half_unless_the_tenant_wants_them_whole(app: TestApp) {
        app.add_user("auth0|alice").await;
        let admin = app.admin();
        let set = json!([
            { "type": "email", "email": "bo@ab.test" },
            { "type": "phone", "phone_number": "+15551234567", "preferred_authentication_method": "sms" },
        ]);
        assert_eq!(admin.put(METHODS, set).await.status, 200);
        let told = async || {
            let listed = admin.get(METHODS).await.body;
            let values = ["email", "phone_number"].map(|name| {
                let found = listed.as_array().expect("a list").iter().find_map(|method| method[name].as_str());
                found.unwrap_or_else(|| panic!("{name}: {listed}")).to_owned()
            });
            let enrollments = admin.get("/api/v2/users/auth0%7Calice/enrollments").await.body;
            (values, enrollments[0]["phone_number"].as_str().map(str::to_owned))
        };
        let half = "********4567".to_owned();
        assert_eq!(told().await, (["b*@ab.****".into(), half.clone()], Some(half)));
        let flags = json!({ "flags": { "disable_management_api_sms_obfuscation": true } });
        assert_eq!(admin.patch("/api/v2/tenants/settings", flags).await.status, 200);
        let whole = "+15551234567".to_owned();
        assert_eq!(told().await, (["bo@ab.test".into(), whole.clone()], Some(whole)));
    }

    async fn a_phone_alone_has_a_preferred_way(app: TestApp) {
        app.add_user("auth0|alice").await;
        let admin = app.admin();
        let set = json!([
            { "type": "email", "email": "a@example.com" },
            { "type": "phone", "phone_number": "+15551234567", "preferred_authentication_method": "sms" },
        ]);
        let set = admin.put(METHODS, set).await.body;
        for (place, expected) in [(0, None), (1, Some(json!("voice")))] {
            let path = format!("{METHODS}/{}", set[place]["id"].as_str().expect("is text").replace('|', "%7C"));
            let changed = admin.patch(&path, json!({ "preferred_authentication_method": "voice" })).await;
            assert_eq!(changed.status, 200, "{changed:?}");
            assert_eq!(admin.get(&path).await.body.get("preferred_authentication_method"), expected.as_ref());
            assert_eq!(admin.patch(&path, json!({ "name": "Mine" })).await.status, 200);
            assert_eq!(admin.get(&path).await.body.get("preferred_authentication_method"), expected.as_ref(), "a name changes nothing else");
        }
    }

    async fn an_address_and_a_recovery_code_are_no_enrolments(app: TestApp) {
        app.add_user("auth0|alice").await;
        let admin = app.admin();
        app.add_recovery_code("auth0|alice").await;
        let path = "/api/v2/users/auth0%7Calice/enrollments";
        assert_eq!(admin.get(path).await.body, json!([]));
        assert_eq!(admin.post(METHODS, json!({ "type": "email", "email": "a@example.com" })).await.status, 201);
        assert_eq!(admin.get(path).await.body, json!([]));
        app.add_totp("auth0|alice").await;
        assert_eq!(admin.get(path).await.body.as_array().map(Vec::len), Some(1));
    }

    async fn a_method_is_set_read_named_and_taken_away(app: TestApp) {
        app.add_user("auth0|alice").await;
        let (admin, now) = (app.admin(), app.app.clock.now());
        let body = json!({ "type": "email", "name": "Work", "email": "Chuck878@Example.com" });
        let made = admin.post(METHODS, body.clone()).await;
        let id = made.body["id"].as_str().expect("is text").to_owned();
        assert!(id.starts_with("email|dev_"), "{id}");
        let expected = json!({ "id": id, "type": "email", "name": "Work", "email": "chuc****@exam*******", "created_at": now });
        assert_eq!((made.status, sorted(&made.body)), (201, sorted(&expected)));
        let again = admin.post(METHODS, body).await;
        assert_eq!((again.status, &again.body["message"]), (409, &json!("Authentication method already exists.")));
        let path = format!("{METHODS}/{}", id.replace('|', "%7C"));
        let renamed = admin.patch(&path, json!({ "name": "Home" })).await;
        assert_eq!((renamed.status, &renamed.body["name"]), (200, &json!("Home")));
        let read = admin.get(&path).await;
        assert_eq!((&read.body["name"], &read.body["confirmed"], &read.body["enrolled_at"]), (&json!("Home"), &json!(true), &json!(now)));
        let user = admin.get("/api/v2/users/auth0%7Calice").await;
        assert_eq!(user.body["multifactor"], json!(["guardian"]));

        let totals = admin.get(&format!("{METHODS}?include_totals=true")).await;
        assert_eq!((&totals.body["total"], &totals.body["authenticators"][0]["id"]), (&json!(1), &json!(id)));
        assert_eq!(admin.get(&format!("{METHODS}?per_page=0")).await.body, json!([]));
        assert_eq!(admin.get(&format!("{METHODS}?page=1")).await.body, json!([]));

        assert_eq!(admin.delete(&path).await.status, 204);
        let gone = admin.delete(&path).await;
        assert_eq!((gone.status, &gone.body["message"]), (404, &json!("The authentication method could not be found.")));
        assert_eq!(admin.get("/api/v2/users/auth0%7Calice").await.body.get("multifactor"), None);
        assert_eq!((app.letters("factor_added").await.len(), app.letters("factor_removed").await.len()), (1, 1));
    }

    async fn all_methods_are_replaced_together(app: TestApp) {
        app.add_user("auth0|alice").await;
        let admin = app.admin();
        app.add_totp("auth0|alice").await;
        app.add_recovery_code("auth0|alice").await;
        let twice = json!([{ "type": "email", "email": "a@example.com" }, { "type": "email", "email": "A@example.com" }]);
        assert_eq!(admin.put(METHODS, twice).await.status, 409);
        let before = admin.get(METHODS).await;
        assert_eq!(before.body.as_array().map(Vec::len), Some(2));
        let secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
        let body = json!([
            { "type": "totp", "name": "App", "totp_secret": secret },
            { "type": "phone", "phone_number": "+15551234567", "preferred_authentication_method": "voice" },
        ]);
        let set = admin.put(METHODS, body).await;
        assert_eq!(set.status, 200, "{set:?}");
        assert!(!set.text.contains(secret), "a seed is never told");
        let kinds: Vec<_> = set.body.as_array().expect("is a list").iter().map(|method| method["type"].clone()).collect();
        assert_eq!(kinds, ["totp", "phone"]);
        let phone = &set.body[1];
        assert_eq!((&phone["phone_number"], &phone["preferred_authentication_method"]), (&json!("********4567"), &json!("voice")));
        assert_eq!(phone["authentication_methods"][0]["type"], "sms");
        let listed = admin.get(METHODS).await;
        assert_eq!(listed.body.as_array().map(Vec::len), Some(2), "{listed:?}");
        assert_eq!(admin.put(METHODS, json!([])).await.body, json!([]));
        assert_eq!(admin.get(METHODS).await.body, json!([]));
        assert_eq!(admin.get("/api/v2/users/auth0%7Calice").await.body.get("multifactor"), None);
    }

    async fn an_app_that_was_set_signs_its_user_in(app: TestApp) {
        let app = crate::security::prepared(app).await;
        app.guard(&["otp"], &["all-applications"]).await;
        let seed = b"12345678901234567890";
        let body = json!({ "type": "totp", "totp_secret": "gezdgnbvgy3tqojqgezdgnbvgy3tqojq" });
        assert_eq!(app.admin().post(METHODS, body.clone()).await.status, 201);
        assert_eq!(app.admin().post(METHODS, body).await.status, 409);
        let mut browser = crate::security::browser(&app);
        let request = crate::support::Authorize::code("web");
        let page = browser.sign_in(&request.path(), "alice@example.com").await;
        let landed = browser.give(&page, &app.code(seed, 0)).await;
        assert!(!landed.param("code").is_empty(), "{landed:?}");
    }

    async fn what_a_method_needs_is_asked_for(app: TestApp) {
        app.add_user("auth0|alice").await;
        let admin = app.admin();
        for (body, told) in [
            (json!({ "type": "totp" }), "Payload validation error: 'Missing required property: totp_secret'."),
            (json!({ "type": "email" }), "Payload validation error: 'Missing required property: email'."),
            (json!({ "type": "phone" }), "Payload validation error: 'Missing required property: phone_number'."),
            (json!({ "type": "totp", "totp_secret": "A1" }), "Payload validation error: 'Object didn't pass validation for format base32' on property totp_secret."),
            (json!({ "type": "phone", "phone_number": "555" }), "Payload validation error: 'Object didn't pass validation for format phone-number: 555' on property phone_number."),
            (json!({ "type": "passkey" }), "Authentication methods of type passkey cannot be set."),
        ] {
            let refused = admin.post(METHODS, body.clone()).await;
            assert_eq!((refused.status, &refused.body["message"]), (400, &json!(told)), "{body}");
        }
        for number in 0..20 {
            let body = json!({ "type": "email", "email": format!("{number}@example.com") });
            assert_eq!(admin.post(METHODS, body).await.status, 201);
        }
        let refused = admin.post(METHODS, json!({ "type": "email", "email": "more@example.com" })).await;
        let told = "You reached the limit of entities of this type for this user.";
        assert_eq!((refused.status, &refused.body["message"]), (403, &json!(told)));
    }

    async fn an_enrolment_is_found_by_its_own_id(app: TestApp) {
        app.add_user("auth0|alice").await;
        app.add_totp("auth0|alice").await;
        let admin = app.admin();
        let listed = admin.get("/api/v2/users/auth0%7Calice/enrollments").await;
        let id = listed.body[0]["id"].as_str().expect("is text").to_owned();
        let path = format!("/api/v2/guardian/enrollments/{id}");
        let now = app.app.clock.now();
        assert_eq!(admin.get(&path).await.body, json!({ "id": id, "status": "confirmed", "enrolled_at": now }));
        assert_eq!(admin.delete(&path).await.status, 204);
        let gone = admin.delete(&path).await;
        let told = json!({ "statusCode": 404, "error": "Not Found", "message": "Enrollment not found", "errorCode": "enrollment_not_found" });
        assert_eq!(gone.body, told);
        assert_eq!(app.letters("factor_removed").await.len(), 1);
        app.add_totp("auth0|alice").await;
        app.add_recovery_code("auth0|alice").await;
        assert_eq!(admin.delete("/api/v2/users/auth0%7Calice/authenticators").await.status, 204);
        assert_eq!(admin.get(METHODS).await.body, json!([]));
    }

    async fn a_tenants_secrets_are_told_as_recorded(app: TestApp) {
        let admin = app.admin();
        let factors = "/api/v2/guardian/factors";
        assert_eq!(admin.get(&format!("{factors}/duo/settings")).await.body, json!({}));
        let sns = format!("{factors}/push-notification/providers/sns");
        let set = json!({ "aws_access_key_id": "id", "aws_secret_access_key": "hush" });
        assert_eq!(admin.put(&sns, set.clone()).await.body, set);
        assert_eq!(admin.patch(&sns, json!({ "aws_region": "us-west-1" })).await.body["aws_secret_access_key"], "hush");
        assert_eq!(admin.get(&sns).await.body, json!({ "aws_access_key_id": "id", "aws_region": "us-west-1" }));
        let refused = admin.put(&sns, json!({ "aws_region": "mars" })).await;
        assert_eq!((refused.status, &refused.body["errorCode"]), (400, &json!("invalid_body")));
        let apns = format!("{factors}/push-notification/providers/apns");
        assert_eq!(admin.put(&apns, json!({ "p12": "x", "sandbox": true })).await.body, json!({ "sandbox": true }));
        assert_eq!(admin.get(&apns).await.body, json!({ "sandbox": true, "enabled": true }));
        let fcm = format!("{factors}/push-notification/providers/fcm");
        assert_eq!(admin.put(&fcm, json!({ "server_key": "x" })).await.body, json!({}));
        let unknown = admin.put(&format!("{factors}/carrier-pigeon"), json!({ "enabled": true })).await;
        let told = "Path validation error: 'No enum match for: carrier-pigeon' on property name.";
        assert_eq!((unknown.status, &unknown.body["message"]), (400, &json!(told)));
        let kept = crate::security::stored::<Vec<u8>>(&app, "SELECT providers FROM guardian WHERE tenant = $1", vec![]).await;
        assert!(!String::from_utf8_lossy(&kept).contains("hush"));
    }
}

/// The order of keys carries no meaning.
fn sorted(value: &Value) -> std::collections::BTreeMap<String, Value> {
    value.as_object().expect("is an object").clone().into_iter().collect()
}
