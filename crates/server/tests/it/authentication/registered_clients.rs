//! A registered client about itself (RFC 7592), and how many there may be.

use axum::http::Method;
use serde_json::{Value, json};

use super::registration::{PATH, assert_refused, metadata, open, registered, with};
use crate::security::browser;
use crate::support::{Answer, Authorize, Caller, TestApp};

/// The client's own address, and who may use it.
fn own(app: &TestApp, answer: &Answer) -> (String, Caller) {
    let text = |name: &str| answer.body[name].as_str().unwrap_or_else(|| panic!("no {name}")).to_owned();
    let uri = text("registration_client_uri");
    let path = uri.strip_prefix("https://id.test").expect("is ours").to_owned();
    let caller = app.caller().with("authorization", &format!("Bearer {}", text("registration_access_token")));
    (path, caller)
}

/// What the client may send back of an answer.
fn to_send(answer: &Answer) -> Value {
    let mut body = answer.body.clone();
    let object = body.as_object_mut().expect("is one");
    for ours in [
        "registration_access_token",
        "registration_client_uri",
        "client_secret_expires_at",
        "client_id_issued_at",
    ] {
        assert!(object.shift_remove(ours).is_some(), "{ours}");
    }
    body
}

both_databases! {
    async fn a_client_sees_itself_as_it_stands(app: TestApp) {
        let app = open(app).await;
        let mut all = metadata();
        for (name, value) in [
            ("policy_uri", json!("https://app.test/privacy")), ("tos_uri", json!("https://app.test/terms")),
            ("logo_uri", json!("https://app.test/logo.png")), ("initiate_login_uri", json!("https://app.test/start")),
            ("backchannel_logout_uri", json!("https://app.test/bye")), ("backchannel_logout_session_required", json!(true)),
            ("jwks_uri", json!("https://app.test/jwks")), ("post_logout_redirect_uris", json!(["https://app.test/out"])),
        ] {
            all[name] = value;
        }
        let made = registered(&app.caller(), all).await;
        assert_eq!(made.body["backchannel_logout_uri"], "https://app.test/bye");
        let (path, caller) = own(&app, &made);
        let seen = caller.get(&path).await;
        assert_eq!((seen.status, seen.header("cache-control")), (200, "no-store"));
        assert_eq!(seen.body, made.body);
        // What its tenant changes is told, and none of it through the Management API.
        let id = made.body["client_id"].as_str().expect("an id");
        let changed = app.admin().patch(&format!("/api/v2/clients/{id}"), json!({ "name": "Ours now" })).await;
        assert_eq!((changed.status, changed.body.get("registration")), (200, None));
        assert_eq!(caller.get(&path).await.body["client_name"], "Ours now");
        assert_eq!(app.admin().patch(&format!("/api/v2/clients/{id}"), json!({ "registration": {} })).await.status, 400);
    }

    async fn only_who_has_its_token_sees_changes_or_removes_it(app: TestApp) {
        let app = open(app).await;
        let (made, other) = (registered(&app.caller(), metadata()).await, registered(&app.caller(), metadata()).await);
        let ((path, caller), (elsewhere, stranger)) = (own(&app, &made), own(&app, &other));
        let body = to_send(&made);
        for who in [app.caller(), stranger, app.admin(), caller.with("authorization", "Bearer x")] {
            for answer in [who.get(&path).await, who.put(&path, body.clone()).await, who.delete(&path).await, who.get(&format!("{PATH}/nobody")).await] {
                assert_refused(&answer, 401, "invalid_token");
                assert_eq!(answer.header("www-authenticate"), "Bearer error=\"invalid_token\"");
            }
        }
        assert_eq!(caller.get(&elsewhere).await.status, 401);
        assert_eq!(caller.at(&app.other).get(&path).await.status, 404, "another tenant takes none");
        assert_eq!(caller.get(&path).await.body, made.body);
        // A client that did not register itself has none.
        assert_eq!(caller.get(&format!("{PATH}/web")).await.status, 401);
        let off = json!({ "flags": { "enable_dynamic_client_registration": false } });
        assert_eq!(app.admin().patch("/api/v2/tenants/settings", off).await.status, 200);
        assert_refused(&caller.get(&path).await, 404, "endpoint_disabled");
    }

    async fn what_it_says_anew_takes_the_place_of_all_that_it_said(app: TestApp) {
        let app = open(app).await;
        let mut first = metadata();
        first["logo_uri"] = json!("https://app.test/logo.png");
        first["policy_uri"] = json!("https://app.test/privacy");
        first["backchannel_logout_uri"] = json!("https://app.test/bye");
        let made = registered(&app.caller(), first).await;
        let (path, caller) = own(&app, &made);
        let mut body = to_send(&made);
        for gone in ["logo_uri", "policy_uri", "backchannel_logout_uri"] {
            body.as_object_mut().expect("is one").shift_remove(gone);
        }
        body["client_name"] = json!("Renamed");
        body["redirect_uris"] = json!(["https://app.test/other"]);
        let replaced = caller.put(&path, body.clone()).await;
        assert_eq!(replaced.status, 200, "{replaced:?}");
        assert_eq!(to_send(&replaced), body, "with the same secret");
        assert_eq!(caller.get(&path).await.body, replaced.body);
        let id = made.body["client_id"].as_str().expect("an id");
        let seen = app.admin().get(&format!("/api/v2/clients/{id}")).await.body;
        assert_eq!((seen.get("logo_uri"), seen.get("oidc_logout"), &seen["is_first_party"]), (None, None, &json!(false)));
        assert_eq!(browser(&app).open(&Authorize::code(id).path()).await.status, 403, "the old address is none any more");

        for (name, value) in [
            ("client_id", json!("web")),
            ("client_id", json!(null)),
            ("client_secret", json!("another")),
            ("registration_access_token", json!("x")),
            ("client_id_issued_at", json!(1)),
            ("grant_types", json!(["client_credentials"])),
        ] {
            let mut bad = body.clone();
            bad[name] = value;
            assert_refused(&caller.put(&path, bad).await, 400, "invalid_client_metadata");
        }
        let mut bad = body.clone();
        bad["redirect_uris"] = json!(["javascript:alert(1)"]);
        assert_refused(&caller.put(&path, bad).await, 400, "invalid_redirect_uri");
        let broken = caller.send(Method::PUT, &path, Some("application/json"), "{".to_owned()).await;
        assert_refused(&broken, 400, "invalid_client_metadata");
        assert_eq!(caller.get(&path).await.body, replaced.body, "nothing of that was stored");
    }

    /// RFC 7592 §2.2: it says of itself what a client may say, and not what its tenant says of it.
    async fn what_its_tenant_says_of_it_it_cannot_take_back(app: TestApp) {
        let app = open(app).await;
        let made = registered(&app.caller(), with("token_endpoint_auth_method", json!("client_secret_post"))).await;
        let (path, caller) = own(&app, &made);
        let id = made.body["client_id"].as_str().expect("an id");
        let (settings, doorward) = (format!("/api/v2/clients/{id}"), format!("/api/v2/doorward/clients/{id}"));
        let held = json!({ "fapi2_security_profile": true, "strict": false });
        assert_eq!(app.admin().patch(&doorward, held.clone()).await.status, 200);
        let set = json!({ "client_metadata": { "ours": "yes" }, "is_token_endpoint_ip_header_trusted": false, "cross_origin_authentication": false });
        assert_eq!(app.admin().patch(&settings, set).await.status, 200);
        let before = app.admin().get(&settings).await.body;
        let mut body = to_send(&made);
        for (name, value) in [
            ("fapi2_security_profile", json!(false)), ("strict", json!(true)), ("is_first_party", json!(true)), ("global", json!(true)),
            ("tenant", json!("other")), ("client_metadata", json!({ "ours": "no" })), ("cross_origin_authentication", json!(true)),
            ("is_token_endpoint_ip_header_trusted", json!(true)), ("client_name", json!("Renamed")),
        ] {
            body[name] = value;
        }
        let replaced = caller.put(&path, body).await;
        assert_eq!((replaced.status, &replaced.body["client_name"]), (200, &json!("Renamed")), "{replaced:?}");
        assert_eq!(app.admin().get(&doorward).await.body, held);
        let mut after = app.admin().get(&settings).await.body;
        assert_eq!(after["name"], "Renamed");
        after["name"] = before["name"].clone();
        assert_eq!(after, before);
    }

    async fn a_client_that_removes_itself_is_gone(app: TestApp) {
        let app = open(app).await;
        let made = registered(&app.caller(), metadata()).await;
        let (path, caller) = own(&app, &made);
        let removed = caller.delete(&path).await;
        assert_eq!((removed.status, removed.text.as_str()), (204, ""));
        assert_refused(&caller.get(&path).await, 401, "invalid_token");
        let id = made.body["client_id"].as_str().expect("an id");
        assert_eq!(app.admin().get(&format!("/api/v2/clients/{id}")).await.status, 404);
        assert_eq!(browser(&app).open(&Authorize::code(id).path()).await.status, 400);
    }

    /// Anybody may register, but not without end; whoever shows a token of the tenant's may.
    async fn an_address_registers_so_many_and_then_one_every_three_minutes(app: TestApp) {
        let app = open(app).await;
        let mut made = Vec::new();
        for _ in 0..20 {
            made.push(registered(&app.caller(), metadata()).await);
        }
        assert_refused(&app.caller().post(PATH, metadata()).await, 429, "too_many_requests");
        // A change may have as much fetched as a registration, and counts like one.
        let (path, caller) = own(&app, &made[0]);
        assert_refused(&caller.json(Method::PUT, &path, to_send(&made[0])).await, 429, "too_many_requests");
        registered(&app.caller().from("198.51.100.7"), metadata()).await;
        app.app.clock.advance(180);
        registered(&app.caller(), metadata()).await;
        assert_refused(&app.caller().post(PATH, metadata()).await, 429, "too_many_requests");
        assert_eq!(app.admin().patch("/api/v2/doorward/protocol", json!({ "registration_needs_token": true })).await.status, 200);
        registered(&app.machine("create:clients"), metadata()).await;
        app.app.clock.advance(3 * 3600);
        model::retention::sweep(&app.app).await.expect("sweeps");
        let left: i64 = crate::security::stored(&app, "SELECT COUNT(*) FROM registration_limits WHERE tenant = $1", vec![]).await;
        assert_eq!(left, 0);
    }

    /// The person sees whose pages they are, and nothing of an app's is a way in.
    async fn the_pages_lead_to_what_the_app_says_of_itself(app: TestApp) {
        let app = open(app).await;
        let mut body = with("policy_uri", json!("https://app.test/privacy?a=1&b=2"));
        body["tos_uri"] = json!("https://app.test/terms");
        body["logo_uri"] = json!("https://app.test/logo.png");
        let made = registered(&app.caller(), body).await;
        let id = made.body["client_id"].as_str().expect("an id");
        let mut alice = browser(&app);
        let login = alice.open(&Authorize::code(id).path()).await;
        let consent = alice.submit(&login, &[("username", "alice@example.com"), ("password", crate::support::app::PASSWORD)]).await;
        for page in [&login, &consent] {
            for shown in [
                "<a href=\"https://app.test/privacy?a=1&#38;b=2\" rel=\"noopener noreferrer\" target=\"_blank\">Privacy policy of Theirs</a>",
                "<a href=\"https://app.test/terms\" rel=\"noopener noreferrer\" target=\"_blank\">Terms of Theirs</a>",
                "<img src=\"https://app.test/logo.png\" alt=\"\"",
            ] {
                assert!(page.text.contains(shown), "{shown}\n{}", page.text);
            }
        }
        assert!(consent.text.contains("/u/consent"));
    }
}
