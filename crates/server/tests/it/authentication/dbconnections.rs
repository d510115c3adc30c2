//! Sign-up and forgotten passwords for apps with pages of their own.

use serde_json::{Value, json};

use crate::support::app::{CONNECTION, PASSWORD};
use crate::support::{Answer, TestApp};

async fn sign_up(app: &TestApp, more: Value) -> Answer {
    let mut body = json!({ "client_id": "spa", "connection": CONNECTION, "email": "New@Example.com", "password": PASSWORD });
    for (name, value) in more.as_object().expect("an object") {
        body[name] = value.clone();
    }
    app.caller().post("/dbconnections/signup", body).await
}

both_databases! {
    async fn an_app_signs_a_user_up(app: TestApp) {
        let more = json!({ "given_name": "Ann", "user_metadata": { "plan": "free" }, "state": "ignored" });
        let made = sign_up(&app, more).await;
        assert_eq!((made.status, made.header("content-type")), (200, "application/json; charset=utf-8"), "{}", made.text);
        let id = made.body["_id"].as_str().expect("an id").to_owned();
        assert_eq!(
            made.body,
            json!({ "_id": id, "email_verified": false, "email": "new@example.com", "given_name": "Ann", "user_metadata": { "plan": "free" } })
        );
        assert!(id.len() == 24 && !id.contains('|'));
        let user = app.admin().get(&format!("/api/v2/users/auth0%7C{id}")).await.body;
        assert_eq!((&user["user_metadata"], &user["given_name"]), (&json!({ "plan": "free" }), &json!("Ann")));
        assert_eq!(app.letters_to("new@example.com", "verify_email").await.len(), 1);
        assert!(app.events().await.contains(&"ss".to_owned()));
        // A second one costs as much and is told nothing.
        let done = app.app.hasher.hashes_done();
        let again = sign_up(&app, json!({})).await;
        assert_eq!(app.app.hasher.hashes_done() - done, 1);
        assert_eq!(
            (again.status, again.body),
            (400, json!({ "name": "BadRequestError", "code": "invalid_signup", "description": "Invalid sign up", "statusCode": 400 }))
        );
        assert_eq!(app.posted().await.len(), 1);
    }

    async fn a_weak_password_is_told_rule_by_rule(app: TestApp) {
        let weak = sign_up(&app, json!({ "password": "short1" })).await;
        assert_eq!(weak.status, 400);
        assert_eq!(
            (&weak.body["name"], &weak.body["code"], &weak.body["statusCode"]),
            (&json!("PasswordStrengthError"), &json!("invalid_password"), &json!(400))
        );
        let rules = &weak.body["description"]["rules"];
        assert_eq!((&rules[0]["code"], &rules[0]["format"], &rules[0]["verified"]), (&json!("lengthAtLeast"), &json!([8]), &json!(false)));
        assert_eq!((&rules[1]["code"], &rules[1]["verified"]), (&json!("containsAtLeast"), &json!(false)));
        let verified: Vec<_> = rules[1]["items"].as_array().expect("a list").iter().map(|item| item["verified"].clone()).collect();
        assert_eq!(verified, [json!(true), json!(false), json!(true), json!(false)]);
        assert!(weak.body["policy"].as_str().expect("text").starts_with("* At least 8 characters"), "{}", weak.text);
    }

    async fn what_is_no_sign_up_is_refused(app: TestApp) {
        for (more, status, expected) in [
            (json!({ "email": "" }), 400, json!({ "error": "email is required" })),
            (json!({ "password": "" }), 400, json!({ "error": "password is required" })),
            (json!({ "client_id": "" }), 400, json!({ "error": "client_id is required" })),
            (json!({ "client_id": "nobody" }), 400, json!({ "error": "invalid client" })),
            (json!({ "connection": "nothing" }), 400, json!({ "error": "invalid connection" })),
            (json!({ "email": 5 }), 400, json!({ "error": "invalid request" })),
        ] {
            let refused = sign_up(&app, more.clone()).await;
            assert_eq!((refused.status, refused.body), (status, expected), "{more}");
        }
        for more in [
            json!({ "email": "nonsense" }),
            json!({ "user_metadata": { "a": "x".repeat(501) } }),
            json!({ "user_metadata": { "a": 1 } }),
            json!({ "user_metadata": [] }),
            json!({ "given_name": "x".repeat(301) }),
        ] {
            let refused = sign_up(&app, more.clone()).await;
            assert_eq!((refused.status, &refused.body["code"]), (400, &json!("invalid_signup")), "{more}");
        }
        let admin = app.admin();
        let id = admin.get("/api/v2/connections").await.body[0]["id"].as_str().expect("an id").to_owned();
        let closed = json!({ "options": { "disable_signup": true } });
        assert_eq!(admin.patch(&format!("/api/v2/connections/{id}"), closed).await.status, 200);
        let refused = sign_up(&app, json!({})).await;
        assert_eq!((refused.status, &refused.body["code"], &refused.body["description"]), (400, &json!("public_signup"), &json!("Public signup is disabled")));
    }

    async fn a_link_is_asked_for_with_an_address(app: TestApp) {
        let ask = async |body: Value| app.caller().post("/dbconnections/change_password", body).await;
        let refused = ask(json!({ "connection": CONNECTION })).await;
        assert_eq!((refused.status, refused.body), (400, json!({ "error": "email is required" })));
        let refused = ask(json!({ "email": "a@example.com" })).await;
        assert_eq!((refused.status, refused.body), (400, json!({ "error": "connection is required" })));
        // A connection that is not there says no more than a user who is not.
        let sent = ask(json!({ "email": "a@example.com", "connection": "nothing" })).await;
        assert_eq!((sent.status, &*sent.text), (200, "We've just sent you an email to reset your password."));
        assert!(app.posted().await.is_empty());
        assert!(app.events().await.contains(&"fcpr".to_owned()));
        // A form does as well.
        app.add_user("auth0|alice").await;
        let form = [("client_id", "spa"), ("email", "alice@example.com"), ("connection", CONNECTION)];
        assert_eq!(app.caller().form("/dbconnections/change_password", &form).await.status, 200);
        assert_eq!(app.letters_to("alice@example.com", "reset_email").await.len(), 1);
    }
}
