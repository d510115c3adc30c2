//! What classic sign-in pages load and call (authentication contract §8.5 to §8.7).

use serde_json::{Value, json};

use super::cross_origin::{PAGE, ready};
use crate::security::exchange::{Exchange, assert_refused};
use crate::security::{browser, claims, signed_in};
use crate::support::app::{CONNECTION, PASSWORD};
use crate::support::browser::{CALLBACK, CHALLENGE};
use crate::support::{Answer, Authorize, TestApp};

/// The origin of the tenant's own pages.
pub const OWN: &str = "https://id.test";

/// What auth0.js posts from a page of this host.
pub fn sign_in(username: &str, password: &str) -> Value {
    json!({
        "client_id": "shop", "redirect_uri": CALLBACK, "tenant": "id", "response_type": "code", "scope": "openid", "state": "st",
        "nonce": "no", "code_challenge": CHALLENGE, "code_challenge_method": "S256", "connection": CONNECTION,
        "username": username, "password": password, "_csrf": "x", "_intstate": "deprecated",
    })
}

/// The object that a script hands over.
fn handed(answer: &Answer, function: &str) -> Value {
    let text =
        answer.text.strip_prefix(&format!("Auth0.{function}(")).and_then(|rest| rest.strip_suffix(");"));
    serde_json::from_str(text.unwrap_or_else(|| panic!("{answer:?}"))).expect("is JSON")
}

both_databases! {
    async fn a_widget_learns_what_an_app_offers(app: TestApp) {
        let app = ready(app).await;
        let email = json!({ "name": "email", "strategy": "email", "enabled_clients": ["shop"] });
        let closed = json!({
            "name": "staff", "strategy": "auth0", "enabled_clients": ["shop"], "display_name": "Staff </script>",
            "options": { "disable_signup": true, "requires_username": true, "passwordPolicy": "fair", "validation": { "username": { "min": 3, "max": 20 } } },
        });
        for connection in [email, closed] {
            app.app.clock.advance(1);
            assert_eq!(app.admin().post("/api/v2/connections", connection).await.status, 201);
        }
        let answer = app.caller().get("/client/shop.js?t1767268800000").await;
        assert_eq!((answer.status, answer.header("content-type")), (200, "application/javascript; charset=utf-8"));
        assert_eq!(answer.header("cross-origin-resource-policy"), "cross-origin");
        assert!(!answer.text.contains("</script"), "{}", answer.text);
        let database = |name: &str, policy: &str, signup: bool, usernames: bool, (min, max): (u8, u8)| json!({
            "name": name, "passwordPolicy": policy, "password_complexity_options": { "min_length": 8 }, "showSignup": signup,
            "showForgot": true, "requires_username": usernames, "validation": { "username": { "min": min, "max": max } },
        });
        let mut staff = database("staff", "fair", false, true, (3, 20));
        staff["display_name"] = "Staff </script>".into();
        assert_eq!(handed(&answer, "setClient"), json!({
            "id": "shop", "tenant": "id", "subscription": "oss", "authorize": "https://id.test/authorize", "callback": CALLBACK,
            "hasAllowedOrigins": true,
            "strategies": [
                { "name": "auth0", "connections": [database(CONNECTION, "good", true, false, (1, 15)), staff] },
                { "name": "email", "connections": [{ "name": "email" }] },
            ],
        }));
        for path in ["/client/nobody.js", "/client/shop", "/tenants/v1/other.js"] {
            assert_eq!(app.caller().get(path).await.status, 404, "{path}");
        }
        let elsewhere = app.caller().at(&app.other).get("/client/shop.js").await;
        assert_eq!(elsewhere.status, 404, "another tenant's");

        let tenant = app.caller().get("/info-v1.js?t1").await;
        assert_eq!(app.caller().get("/tenants/v1/id.js").await.text, tenant.text);
        let told = handed(&tenant, "setTenant");
        let names = |list: &Value| list.as_array().expect("a list").iter().map(|one| one["name"].clone()).collect::<Vec<_>>();
        assert_eq!(names(&told["connections"]["database"]), [CONNECTION, "staff"]);
        assert_eq!(told["connections"]["database"][1], json!({
            "name": "staff", "strategy": "auth0", "validation": { "username": { "min": 3, "max": 20 }, "passwordPolicy": "fair" },
            "allowSignup": false, "allowForgot": true, "requiresUsername": true,
        }));
        assert_eq!((names(&told["connections"]["passwordless"]), &told["defaultDirectory"]), (vec![json!("email")], &Value::Null));
        assert_eq!(told["clientsConnections"]["shop"], json!([CONNECTION, "email", "staff"]));
    }

    async fn a_page_of_this_host_signs_in_by_a_form(app: TestApp) {
        let app = ready(app).await;
        let mut browser = browser(&app);
        let form = browser.call(OWN, "/usernamepassword/login", sign_in("alice@example.com", PASSWORD)).await;
        assert_eq!((form.status, form.header("content-type")), (200, "text/html; charset=utf-8"));
        assert!(form.text.starts_with("<form method=\"post\" name=\"hiddenform\" action=\"https://id.test/login/callback\">"), "{}", form.text);
        let mut page = form.clone();
        page.text = form.text.replace("https://id.test/login", "/login");
        let landed = browser.submit(&page, &[]).await;
        assert_eq!(landed.param("state"), "st", "{landed:?}");
        let bought = Exchange::code("shop", &landed.param("code")).without("client_secret").send(&app).await;
        assert_eq!(claims(bought.body["id_token"].as_str().expect("a token"))["sub"], "auth0|alice");
        // Once.
        let again = browser.submit(&page, &[]).await;
        assert_eq!((again.status, again.has("location")), (403, false));
    }

    async fn what_a_page_of_this_host_is_told(app: TestApp) {
        let app = ready(app).await;
        let mut browser = browser(&app);
        let wrong = json!({ "name": "ValidationError", "code": "invalid_user_password", "description": "Wrong email or password.", "statusCode": 400 });
        for name in ["alice@example.com", "nobody@example.com"] {
            let answer = browser.call(OWN, "/usernamepassword/login", sign_in(name, "wrong")).await;
            assert_eq!((answer.status, &answer.body), (400, &wrong));
        }
        assert_eq!(app.admin().patch("/api/v2/users/auth0%7Cbob", json!({ "blocked": true })).await.status, 200);
        let blocked = browser.call(OWN, "/usernamepassword/login", sign_in("bob@example.com", PASSWORD)).await;
        assert_eq!((blocked.status, &blocked.body["code"]), (400, &json!("blocked_user")));
        let mut elsewhere = sign_in("alice@example.com", PASSWORD);
        elsewhere["connection"] = "nothing".into();
        let answer = browser.call(OWN, "/usernamepassword/login", elsewhere).await;
        assert_eq!((answer.status, &answer.body["description"]), (400, &json!("the connection was not found")));
    }

    async fn whether_somebody_is_signed_in(app: TestApp) {
        let app = ready(app).await;
        let none = app.caller().get("/user/ssodata").await;
        assert_eq!((none.status, none.body), (200, json!({ "sso": false })));
        let browser = signed_in(&app, "alice").await;
        let told = browser.caller().get("/user/ssodata?ldaps=1&client_id=shop").await;
        let connection = json!({ "name": CONNECTION, "strategy": "auth0" });
        assert_eq!(told.body, json!({
            "sso": true, "connection": connection, "lastUsedConnection": connection, "lastUsedUsername": "alice@example.com",
            "lastUsedUserID": "auth0|alice", "sessionClients": ["web"],
        }));
        let foreign = browser.caller().with("origin", PAGE).get("/user/ssodata?client_id=shop").await;
        assert_eq!((&foreign.body["sso"], foreign.header("access-control-allow-credentials")), (&json!(true), "true"));
    }

    async fn no_captcha_is_asked_for(app: TestApp) {
        for path in ["/usernamepassword", "/dbconnections/signup", "/dbconnections/change_password", "/passwordless"] {
            let answer = app.caller().post(&format!("{path}/challenge"), json!({ "state": "x" })).await;
            assert_eq!((answer.status, answer.body), (200, json!({ "required": false })));
        }
    }

    async fn what_there_is_no_more_says_so(app: TestApp) {
        for path in ["/oauth/ro", "/oauth/access_token", "/delegation", "/tokeninfo", "/login/unlink", "/users/auth0%7Calice/impersonate"] {
            assert_refused(&app.caller().post(path, json!({})).await, 404, "endpoint_disabled", "The endpoint is disabled.");
        }
        // The page is there still.
        let page = app.caller().get(&Authorize::code("nobody").path()).await;
        assert_eq!(page.status, 400);
    }
}
