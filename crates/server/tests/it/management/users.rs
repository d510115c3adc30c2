//! Users as an administrator sees them (management contract §1.3, §1.4, §4.3).

use serde_json::{Value, json};

use crate::support::TestApp;

const CONNECTION: &str = "Username-Password-Authentication";

fn new(email: &str) -> Value {
    json!({ "connection": CONNECTION, "email": email, "password": "Correct-horse-9" })
}

both_databases! {
    async fn a_created_user_has_what_the_service_fills_in(app: TestApp) {
        let admin = app.machine("create:users read:users");
        let answer = admin.post("/api/v2/users", json!({
            "connection": CONNECTION, "email": "TestAccUserRole@acceptance.test.com", "password": "passpass$12$12", "user_id": "abc"
        })).await;
        assert_eq!((answer.status, &answer.body), (201, &json!({
            "created_at": "2026-01-01T12:00:00.000Z",
            "email": "testaccuserrole@acceptance.test.com",
            "email_verified": false,
            "identities": [{ "connection": CONNECTION, "user_id": "abc", "provider": "auth0", "isSocial": false }],
            "name": "testaccuserrole@acceptance.test.com",
            "nickname": "testaccuserrole",
            "picture": "https://s.gravatar.com/avatar/03852bc69e4a3603ec066b4cc4e25707?s=480&r=pg&d=https%3A%2F%2Fcdn.auth0.com%2Favatars%2Fte.png",
            "updated_at": "2026-01-01T12:00:00.000Z",
            "user_id": "auth0|abc",
        })));
        assert_eq!(admin.get("/api/v2/users/auth0%7Cabc").await.body, answer.body);
        assert_eq!(app.events().await, ["sapi", "mgmt_api_read"]);
    }

    async fn a_taken_address_is_a_conflict_in_every_spelling(app: TestApp) {
        let admin = app.machine("create:users");
        assert_eq!(admin.post("/api/v2/users", new("ann@example.com")).await.status, 201);
        let taken = json!({ "statusCode": 409, "error": "Conflict", "message": "The user already exists.", "errorCode": "auth0_idp_error" });
        for spelling in ["ann@example.com", "ANN@example.com", "Ann@EXAMPLE.com"] {
            let answer = admin.post("/api/v2/users", new(spelling)).await;
            assert_eq!((answer.status, &answer.body), (409, &taken), "{spelling}");
        }
        let mut same_id = new("bea@example.com");
        same_id["user_id"] = json!("x");
        assert_eq!(admin.post("/api/v2/users", same_id.clone()).await.status, 201);
        same_id["email"] = json!("cleo@example.com");
        assert_eq!(admin.post("/api/v2/users", same_id).await.body, taken);
    }

    async fn mg_10_fifty_at_once_make_one_user(app: TestApp) {
        let admin = app.machine("create:users");
        let calls = (0..50).map(|n| {
            let admin = admin.clone();
            tokio::spawn(async move { admin.post("/api/v2/users", new(if n % 2 == 0 { "ann@example.com" } else { "ANN@example.com" })).await.status })
        });
        let mut made = 0;
        for call in calls.collect::<Vec<_>>() {
            match call.await.unwrap() {
                201 => made += 1,
                status => assert_eq!(status, 409),
            }
        }
        assert_eq!(made, 1);
    }

    async fn what_makes_no_user_is_refused(app: TestApp) {
        let admin = app.machine("create:users read:users");
        let with = |key: &str, value: Value| {
            let mut body = new("ann@example.com");
            match value {
                Value::Null => { body.as_object_mut().unwrap().shift_remove(key); }
                value => body[key] = value,
            }
            body
        };
        for (body, message, code) in [
            (with("connection", Value::Null), "Payload validation error: 'Missing required property: connection'.", json!("invalid_body")),
            (with("connection", json!("nothing")), "The connection does not exist.", json!("inexistent_connection")),
            (with("email", Value::Null), "Payload validation error: 'Missing required property: email'.", json!("invalid_body")),
            (with("password", Value::Null), "Payload validation error: 'Missing required property: password'.", json!("invalid_body")),
            (with("password", json!("abc")), "PasswordStrengthError: Password is too weak", Value::Null),
            (with("email", json!("x")), "Payload validation error: 'Object didn't pass validation for format email: x' on property email (The user's email.).", json!("invalid_body")),
            (with("username", json!("ann")), "Cannot set username for connection without requires_username.", json!("invalid_body")),
            (with("blocked", json!("yes")), "Payload validation error: 'Expected type boolean but found type string' on property blocked (Whether this user was blocked by an administrator (true) or not (false).).", json!("invalid_body")),
            (with("logins_count", json!(1)), "Payload validation error: 'Additional properties not allowed: logins_count (consider storing them in app_metadata or user_metadata. See \"Users Metadata\" in https://auth0.com/docs/api/v2/changes for more details)'.", json!("invalid_body")),
            (with("app_metadata", json!({ "__tenant": 1 })), "Payload validation error: 'app_metadata may not contain the property __tenant'.", json!("invalid_body")),
        ] {
            let answer = admin.post("/api/v2/users", body.clone()).await;
            assert_eq!((answer.status, answer.body["message"].as_str(), answer.body.get("errorCode").unwrap_or(&Value::Null)), (400, Some(message), &code), "{body}");
        }
        assert_eq!(admin.get("/api/v2/users").await.body, json!([]));
    }

    async fn root_attributes_change_and_null_unsets(app: TestApp) {
        app.add_user("auth0|alice").await;
        let admin = app.machine("update:users read:users");
        let path = "/api/v2/users/auth0%7Calice";
        app.app.clock.advance(5);
        let answer = admin.patch(path, json!({ "name": "Alice", "given_name": "A", "app_metadata": { "plan": "gold" }, "blocked": false })).await;
        assert_eq!((answer.status, &answer.body["name"], &answer.body["app_metadata"], &answer.body["blocked"], &answer.body["updated_at"]),
            (200, &json!("Alice"), &json!({ "plan": "gold" }), &json!(false), &json!("2026-01-01T12:00:05.000Z")));
        let answer = admin.patch(path, json!({ "given_name": null, "app_metadata": { "plan": null, "x": 1 } })).await;
        assert_eq!((answer.body.get("given_name"), &answer.body["app_metadata"]), (None, &json!({ "x": 1 })));
        let answer = admin.patch(path, json!({ "email": "New@example.com" })).await;
        assert_eq!((&answer.body["email"], &answer.body["email_verified"]), (&json!("new@example.com"), &json!(false)));
        let answer = admin.patch(path, json!({ "email": "newer@example.com", "email_verified": true })).await;
        assert_eq!((&answer.body["email"], &answer.body["email_verified"]), (&json!("newer@example.com"), &json!(true)));
        let answer = admin.patch(path, json!({ "password": "Another-horse-9" })).await;
        assert_eq!((answer.status, &answer.body["last_password_reset"]), (200, &json!("2026-01-01T12:00:05.000Z")));
    }

    async fn what_no_user_can_become_is_refused(app: TestApp) {
        app.add_user("auth0|alice").await;
        app.add_user("auth0|bob").await;
        let admin = app.machine("update:users read:users");
        let path = "/api/v2/users/auth0%7Calice";
        let before = admin.get(path).await.body;
        for (body, message) in [
            (json!({ "password": "Another-horse-9", "email": "a@b.co" }), "Cannot update password and email simultaneously."),
            (json!({ "username": "a", "email": "a@b.co" }), "Cannot update username and email simultaneously."),
            (json!({ "password": "abc" }), "PasswordStrengthError: Password is too weak"),
            (json!({ "connection": "nothing", "email": "a@b.co" }), "The connection does not exist."),
            (json!({ "email": "bob@example.com" }), "The specified new email already exists"),
            (json!({ "email": null }), "The user would be left without an email, a username and a phone number."),
            (json!({ "user_metadata": { "a.b": 1 } }), "Payload validation error: 'Invalid property name a.b: names may not contain '.' or '$''."),
        ] {
            let answer = admin.patch(path, body.clone()).await;
            assert_eq!((answer.status, answer.body["message"].as_str()), (400, Some(message)), "{body}");
        }
        assert_eq!(admin.get(path).await.body, before);
        let unknown = admin.patch("/api/v2/users/auth0%7Cnobody", json!({ "name": "x" })).await;
        assert_eq!((unknown.status, &unknown.body), (404, &json!({ "statusCode": 404, "error": "Not Found",
            "message": "The user does not exist.", "errorCode": "inexistent_user" })));
    }

    async fn a_limited_administrator_writes_app_metadata_only(app: TestApp) {
        app.add_user("auth0|alice").await;
        let limited = app.machine("update:users_app_metadata");
        let path = "/api/v2/users/auth0%7Calice";
        assert_eq!(limited.patch(path, json!({ "app_metadata": { "plan": "gold" } })).await.status, 200);
        let answer = limited.patch(path, json!({ "app_metadata": {}, "name": "x", "user_metadata": {} })).await;
        assert_eq!((answer.status, answer.body["message"].as_str()), (403, Some("You cannot update the following fields: user_metadata, name")));
    }

    async fn users_are_listed_in_their_shapes(app: TestApp) {
        for name in ["alice", "bob", "carol"] {
            app.add_user(&format!("auth0|{name}")).await;
        }
        let admin = app.machine("read:users");
        let names = |body: &Value| body.as_array().unwrap().iter().map(|user| user["nickname"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
        assert_eq!(names(&admin.get("/api/v2/users").await.body), ["alice", "bob", "carol"]);
        assert_eq!(names(&admin.get("/api/v2/users?sort=email:-1&per_page=2").await.body), ["carol", "bob"]);
        let page = admin.get("/api/v2/users?page=1&per_page=2&include_totals=true&take=50&from=&fields=nickname").await;
        assert_eq!(page.body, json!({ "total": 3, "start": 2, "limit": 2, "length": 1, "users": [{ "nickname": "carol" }] }));
        assert_eq!(names(&admin.get("/api/v2/users?q=email%3A%22bob%40example.com%22&search_engine=v3").await.body), ["bob"]);
        for (query, code) in [
            ("per_page=101", "invalid_query_string"), ("per_page=-1", "invalid_query_string"), ("per_page=1000000000", "invalid_query_string"),
            ("page=abc", "invalid_query_string"), ("page=20&per_page=50", "invalid_paging"), ("foo=1", "invalid_query_string"),
            ("q=%22", "invalid_query_string"), ("q=password:*", "invalid_query_string"), ("sort=password:1", "invalid_query_string"),
            ("search_engine=v2", "invalid_query_string"), ("search_engine=v9", "invalid_query_string"), ("page=1&page=2", "invalid_query_string"),
        ] {
            let answer = admin.get(&format!("/api/v2/users?{query}")).await;
            assert_eq!((answer.status, answer.body["errorCode"].as_str()), (400, Some(code)), "{query}: {}", answer.text);
        }
    }

    async fn users_are_found_by_their_stored_address(app: TestApp) {
        app.add_user("auth0|alice").await;
        let admin = app.machine("read:users");
        let find = async |query: &str| admin.get(&format!("/api/v2/users-by-email?{query}")).await;
        assert_eq!(find("email=alice%40example.com&fields=user_id").await.body, json!([{ "user_id": "auth0|alice" }]));
        assert_eq!(find("email=Alice%40example.com").await.body, json!([]));
        let bad = find("email=x").await;
        assert_eq!(bad.body["message"], "Query validation error: 'Object didn't pass validation for format email: x' on property email (Email address to search for (case-sensitive)).");
        assert_eq!(find("").await.body["message"], "Query validation error: 'Missing required property: email'.");
    }

    async fn deleting_is_once_and_for_all(app: TestApp) {
        app.add_user("auth0|alice").await;
        let admin = app.machine("delete:users read:users read:logs");
        for _ in 0..2 {
            let answer = admin.delete("/api/v2/users/auth0%7Calice").await;
            assert_eq!((answer.status, answer.text.as_str()), (204, ""));
        }
        assert_eq!(admin.get("/api/v2/users/auth0%7Calice").await.status, 404);
        let own = app.add_user("auth0|dora").await;
        assert_eq!(app.token(own.id.as_str(), "delete:current_user").delete("/api/v2/users/auth0%7Cdora").await.status, 204);
    }

    async fn a_write_is_in_the_log_with_request_and_answer_and_no_password(app: TestApp) {
        let admin = app.machine("create:users read:logs");
        assert_eq!(admin.with("user-agent", "tests/1").post("/api/v2/users", new("ann@example.com")).await.status, 201);
        let entry = admin.get("/api/v2/logs?q=type%3Asapi").await.body[0].clone();
        assert_eq!((&entry["description"], &entry["client_id"]), (&json!("Create a User"), &json!("m2m")));
        let request = &entry["details"]["request"];
        assert_eq!((&request["method"], &request["path"], &request["body"]["password"], &request["channel"]),
            (&json!("post"), &json!("/api/v2/users"), &json!("*****"), &json!("api")));
        assert_eq!(request["auth"]["credentials"]["scopes"], json!(["create:users", "read:logs"]));
        let response = &entry["details"]["response"];
        assert_eq!((&response["statusCode"], &response["body"]["email"]), (&json!(201), &json!("ann@example.com")));
        let id = entry["log_id"].as_str().unwrap();
        assert_eq!(admin.get(&format!("/api/v2/logs/{id}")).await.body, entry);
        assert_eq!(admin.get("/api/v2/logs/900").await.status, 404);
        let totals = admin.get("/api/v2/logs?include_totals=true&per_page=1&q=type%3Asapi").await.body;
        assert_eq!((&totals["total"], &totals["length"], &totals["limit"]), (&json!(1), &json!(1), &json!(1)));
        assert_eq!(admin.get("/api/v2/logs?take=5").await.body[0]["type"], "sapi");
    }
}
