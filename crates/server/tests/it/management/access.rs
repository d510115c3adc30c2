//! Tokens, scopes, the order of checks, and what every answer carries (management contract §1.1, §2.2).

use axum::http::Method;
use serde_json::json;

use crate::support::TestApp;

fn refused(message: &str) -> serde_json::Value {
    json!({ "statusCode": 401, "error": "Unauthorized", "message": message, "attributes": { "error": message } })
}

both_databases! {
    async fn cu_05_a_token_comes_in_one_bearer_header_and_nowhere_else(app: TestApp) {
        app.add_user("auth0|alice").await;
        let path = "/api/v2/users/auth0%7Calice";
        let token = app.token("auth0|alice", "read:current_user").bearer().await;
        let nobody = app.caller();
        let missing = json!({ "statusCode": 401, "error": "Unauthorized", "message": "Missing authentication" });
        let malformed = json!({ "statusCode": 400, "error": "Bad Request",
            "message": "Bad HTTP authentication header format", "errorCode": "Bearer" });

        let answer = nobody.get(path).await;
        assert_eq!((answer.status, &answer.body, answer.header("www-authenticate")), (401, &missing, "Bearer"));
        let twice = nobody.with("authorization", &format!("Bearer {token}")).with("authorization", &format!("Bearer {token}"));
        assert_eq!(twice.get(path).await.body, missing);
        assert_eq!(nobody.with("authorization", &format!("Token {token}")).get(path).await.body, missing);
        assert_eq!(nobody.get(&format!("{path}?access_token={token}")).await.body, missing);
        assert_eq!(nobody.with("cookie", &format!("access_token={token}")).get(path).await.body, missing);
        for bad in ["Bearer", "Bearer opaque", "Bearer a.b", "Bearer a.b.c.d"] {
            let answer = nobody.with("authorization", bad).get(path).await;
            assert_eq!((answer.status, &answer.body), (400, &malformed), "{bad}");
        }
        assert_eq!(nobody.with("authorization", &format!("Bearer {token}")).get(path).await.status, 200);
    }

    async fn cu_06_cu_07_only_good_tokens_of_this_tenant_for_this_api_are_taken(app: TestApp) {
        app.add_user("auth0|alice").await;
        let path = "/api/v2/users/auth0%7Calice";
        let alice = app.token("auth0|alice", "read:current_user");
        let now = app.app.clock.now().seconds();
        for (claim, value) in [
            ("iss", json!("https://evil.test/")),
            ("aud", json!("spa")),
            ("azp", json!(null)),
            ("azp", json!("nobody")),
            ("sub", json!("m2m@clients")),
            ("sub", json!("alice")),
            ("sub", json!("")),
            ("scope", json!(["read:users"])),
            ("nonce", json!("n")),
            ("exp", json!("tomorrow")),
            ("iat", json!(null)),
        ] {
            let answer = alice.claiming(claim, value.clone()).get(path).await;
            assert_eq!((answer.status, &answer.body), (401, &refused("Invalid token")), "{claim}: {value}");
            assert_eq!(answer.header("www-authenticate"), "Bearer error=\"Invalid token\"");
        }
        let expired = alice.claiming("exp", now - 1).claiming("iat", now - 10).get(path).await;
        assert_eq!(expired.body, refused("Expired token received for JSON Web Token validation"));
        let other_api = alice.claiming("aud", "https://api.test/").get(path).await;
        assert_eq!(other_api.body, json!({ "statusCode": 401, "error": "Unauthorized",
            "message": "Bad audience: https://id.test/api/v2/" }));
        let both = alice.claiming("aud", json!(["https://id.test/api/v2/", "https://id.test/userinfo"])).get(path).await;
        assert_eq!(both.status, 200);

        let token = alice.bearer().await;
        let (signed, _) = token.rsplit_once('.').unwrap();
        let (_, signature) = alice.claiming("sub", "auth0|bob").bearer().await.rsplit_once('.').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
        let mixed = app.caller().with("authorization", &format!("Bearer {signed}.{signature}")).get(path).await;
        assert_eq!((mixed.status, &mixed.body), (401, &refused("Invalid signature received for JSON Web Token validation")));
        let elsewhere = app.caller().at(&app.other).with("authorization", &format!("Bearer {token}")).get(path).await;
        assert_eq!((elsewhere.status, &elsewhere.body), (401, &refused("Invalid token")));
        assert!(app.events().await.contains(&"fapi".to_owned()));
    }

    async fn checks_come_in_one_order(app: TestApp) {
        app.add_user("auth0|alice").await;
        let reader = app.token("auth0|alice", "read:current_user");
        let code = async |answer: crate::support::Answer| (answer.status, answer.body["errorCode"].as_str().map(str::to_owned));
        let patch = |caller: &crate::support::Caller, path: &str| {
            let (caller, path) = (caller.clone(), path.to_owned());
            async move { caller.patch(&path, json!({ "nonsense": 1 })).await }
        };
        let writer = app.token("auth0|alice", "update:current_user_metadata");
        assert_eq!(code(patch(&reader, "/api/v2/users/nobody").await).await, (403, Some("insufficient_scope".into())));
        assert_eq!(code(patch(&writer, "/api/v2/users/nobody").await).await, (400, Some("invalid_uri".into())));
        assert_eq!(code(patch(&writer, "/api/v2/users/auth0%7Cbob").await).await, (403, Some("unowned_resource".into())));
        assert_eq!(code(patch(&writer, "/api/v2/users/auth0%7Calice").await).await, (400, Some("invalid_body".into())));
        let admin = app.machine("update:users read:users");
        assert_eq!(code(patch(&admin, "/api/v2/users/nobody").await).await, (400, Some("invalid_uri".into())));
        assert_eq!(code(patch(&admin, "/api/v2/users/auth0%7Cbob").await).await, (400, Some("invalid_body".into())));
        assert_eq!(code(admin.get("/api/v2/users/nobody?x=1").await).await, (400, Some("invalid_uri".into())));
        assert_eq!(code(admin.get("/api/v2/users/auth0%7Cbob?x=1").await).await, (400, Some("invalid_query_string".into())));
        assert_eq!(code(admin.get("/api/v2/users/auth0%7Cbob").await).await, (404, Some("inexistent_user".into())));
    }

    async fn every_answer_is_json_uncached_and_tells_the_limits(app: TestApp) {
        app.add_user("auth0|alice").await;
        let admin = app.machine("delete:users");
        for answer in [
            admin.delete("/api/v2/users/auth0%7Calice").await,
            admin.get("/api/v2/users").await,
            admin.get("/api/v2/nothing/at/all").await,
            admin.send(Method::PUT, "/api/v2/users", None, String::new()).await,
            app.caller().get("/api/v2/clients").await,
        ] {
            assert_eq!(answer.header("content-type"), "application/json; charset=utf-8");
            assert!(answer.header("cache-control").contains("no-store"));
            assert!(answer.has("x-ratelimit-limit") && answer.has("x-ratelimit-remaining") && answer.has("x-ratelimit-reset"));
        }
    }

    async fn unknown_routes_and_methods_are_answered_in_json(app: TestApp) {
        let admin = app.admin();
        let unknown = json!({ "statusCode": 404, "error": "Not Found", "message": "Not Found" });
        for path in ["/api/v2/nothing", "/api/v2/", "/api/v2/users/auth0%7Calice/nothing", "/api/v2/users/auth0|a/b"] {
            let answer = admin.get(path).await;
            assert_eq!((answer.status, &answer.body), (404, &unknown), "{path}");
        }
        let answer = admin.put("/api/v2/users", json!({})).await;
        assert_eq!((answer.status, answer.body["error"].as_str()), (405, Some("Method Not Allowed")));
    }

    async fn cu_18_an_id_is_decoded_once_and_compared_byte_by_byte(app: TestApp) {
        app.add_user("auth0|alice").await;
        let alice = app.token("auth0|alice", "read:current_user");
        for good in ["auth0|alice", "auth0%7Calice", "auth0%7calice"] {
            assert_eq!(alice.get(&format!("/api/v2/users/{good}")).await.status, 200, "{good}");
        }
        for (bad, status) in [
            ("auth0%257Calice", 400),
            ("auth0%EF%BD%9Calice", 400),
            ("auth0%7Calice%00", 400),
            ("auth0%7C%ff", 400),
            ("Auth0%7Calice", 403),
            ("auth0%7Calice%20", 403),
            ("auth0%7Calice.", 403),
            ("auth0%7Calice%2F", 403),
            ("auth0%7Calice/", 404),
        ] {
            assert_eq!(alice.get(&format!("/api/v2/users/{bad}")).await.status, status, "{bad}");
        }
        let admin = app.machine("read:users");
        assert_eq!(admin.get("/api/v2/users/waad%7Ca%2Fb%40c").await.body["errorCode"], "inexistent_user");
    }

    async fn cu_21_one_persons_calls_are_limited_and_nobody_elses(app: TestApp) {
        app.add_user("auth0|alice").await;
        app.add_user("auth0|bob").await;
        let alice = app.token("auth0|alice", "read:current_user");
        let path = "/api/v2/users/auth0%7Calice";
        for left in (0..50).rev() {
            let answer = alice.get(path).await;
            assert_eq!((answer.status, answer.header("x-ratelimit-remaining")), (200, left.to_string().as_str()));
        }
        let limited = alice.get(path).await;
        assert_eq!((limited.status, &limited.body), (429, &json!({ "statusCode": 429, "error": "Too Many Requests",
            "message": "Global limit has been reached", "errorCode": "too_many_requests" })));
        assert_eq!((limited.header("retry-after"), limited.header("x-ratelimit-remaining")), ("1", "0"));
        assert_eq!(app.token("auth0|bob", "read:current_user").get("/api/v2/users/auth0%7Cbob").await.status, 200);
        assert_eq!(app.machine("read:users").get(path).await.status, 200);
        app.app.clock.advance(1);
        assert_eq!(alice.get(path).await.status, 200);
        assert!(app.events().await.contains(&"api_limit".to_owned()));
    }

    async fn cu_22_mg_06_bodies_are_bounded_and_mean_one_thing(app: TestApp) {
        app.add_user("auth0|alice").await;
        let alice = app.token("auth0|alice", "update:current_user_metadata");
        let path = "/api/v2/users/auth0%7Calice";
        let raw = |body: String| alice.send(Method::PATCH, path, Some("application/json"), body);
        for bad in [
            "[".repeat(100_000),
            format!("{{\"user_metadata\":{{\"a\":{}1{}}}}}", "[".repeat(500), "]".repeat(500)),
            r#"{"user_metadata":{"a":1},"user_metadata":{"b":2}}"#.into(),
            r#"{"user_metadata":{"a":"\u0000"}}"#.into(),
            r#"{"user_metadata":{"a":"\ud800"}}"#.into(),
            r#"{"user_metadata":{"a.b":1}}"#.into(),
            r#"{"user_metadata":{"$where":1}}"#.into(),
            r#"{"user_metadata":[]}"#.into(),
            r#"{"user_metadata":null}"#.into(),
            "null".into(),
            String::new(),
        ] {
            let answer = raw(bad.clone()).await;
            assert_eq!((answer.status, answer.body["errorCode"].as_str()), (400, Some("invalid_body")), "{}", &bad[..bad.len().min(60)]);
        }
        let large = raw(format!("{{\"user_metadata\":{{\"a\":\"{}\"}}}}", "x".repeat(2_000_000))).await;
        assert_eq!((large.status, large.body["error"].as_str()), (413, Some("Payload Too Large")));
        let kind = alice.send(Method::PATCH, path, Some("text/plain"), "{}".into()).await;
        assert_eq!(kind.status, 415);
        let many: serde_json::Map<_, _> = (0..10_000).map(|n| (format!("key{n}"), json!(n))).collect();
        let kept = alice.patch(path, json!({ "user_metadata": many })).await;
        assert_eq!((kept.status, kept.body["user_metadata"].as_object().unwrap().len()), (200, 10_000));
        let proto = alice.patch(path, json!({ "user_metadata": { "__proto__": { "a": 1 } } })).await;
        assert_eq!(proto.body["user_metadata"]["__proto__"], json!({ "a": 1 }));
        let form = alice.send(Method::PATCH, path, Some("application/x-www-form-urlencoded"), "user_metadata=%7B%22b%22%3A2%7D".into()).await;
        assert_eq!((form.status, &form.body["user_metadata"]["b"]), (200, &json!(2)));
    }

    async fn a_body_on_a_read_or_a_delete_is_ignored(app: TestApp) {
        app.add_user("auth0|alice").await;
        let admin = app.machine("read:users delete:users");
        for body in ["", "null", "{}", "{\"x\":1}"] {
            let answer = admin.send(Method::GET, "/api/v2/users/auth0%7Calice", Some("application/json"), body.into()).await;
            assert_eq!(answer.status, 200);
        }
        let answer = admin.send(Method::DELETE, "/api/v2/users/auth0%7Calice", Some("application/json"), "null".into()).await;
        assert_eq!((answer.status, answer.text.as_str()), (204, ""));
    }
}
