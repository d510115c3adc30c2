//! What clients may ask of APIs (management contract §4.7).

use serde_json::{Value, json};

use crate::support::{Caller, TestApp};

const API: &str = "https://api.test/";
const PATH: &str = "/api/v2/client-grants";

async fn with_api(app: &TestApp) -> Caller {
    app.add_api(API, json!({ "scopes": [{ "value": "read:x" }, { "value": "write:x" }] })).await;
    app.admin()
}

both_databases! {
    /// The recorded exchanges, in their order.
    async fn a_grant_lives(app: TestApp) {
        let admin = with_api(&app).await;
        let body = json!({ "client_id": "spa", "audience": API, "scope": ["read:x"], "subject_type": "user", "authorization_details_types": ["payment"] });
        let made = admin.post(PATH, body.clone()).await;
        let id = made.body["id"].as_str().unwrap().to_owned();
        let with = |changes: Value| {
            let mut whole = body.as_object().unwrap().clone();
            whole.insert("id".into(), json!(id));
            for (key, value) in changes.as_object().unwrap() {
                if value.is_null() { whole.shift_remove(key); } else { whole.insert(key.clone(), value.clone()); }
            }
            Value::Object(whole)
        };
        assert_eq!((made.status, &made.body), (201, &with(json!({}))));
        assert!(id.len() == 20 && id.starts_with("cgr_"), "{id}");

        let path = format!("{PATH}/{id}");
        for (patch, changed) in [
            (json!({ "scope": ["write:x"], "authorization_details_types": [] }), json!({ "scope": ["write:x"], "authorization_details_types": [] })),
            (json!({ "allow_all_scopes": true }), json!({ "scope": null, "authorization_details_types": [], "allow_all_scopes": true })),
            (json!({ "allow_all_scopes": false, "scope": [] }), json!({ "scope": [], "authorization_details_types": [], "allow_all_scopes": false })),
            (json!({ "organization_usage": "allow", "allow_any_organization": true }),
                json!({ "scope": [], "authorization_details_types": [], "allow_all_scopes": false, "organization_usage": "allow", "allow_any_organization": true })),
            (json!({ "organization_usage": null, "allow_any_organization": null, "allow_all_scopes": null }), json!({ "scope": [], "authorization_details_types": [] })),
        ] {
            let answer = admin.patch(&path, patch.clone()).await;
            assert_eq!((answer.status, &answer.body), (200, &with(changed)), "{patch}");
            assert_eq!(admin.get(&path).await.body, answer.body, "{patch}");
        }
        for _ in 0..2 {
            assert_eq!(admin.delete(&path).await.status, 204);
        }
        let missing = json!({ "statusCode": 404, "error": "Not Found", "message": "The grant does not exist.", "errorCode": "inexistent_client_grant" });
        for gone in [admin.get(&path).await, admin.patch(&path, json!({ "scope": [] })).await] {
            assert_eq!((gone.status, &gone.body), (404, &missing));
        }
    }

    async fn one_grant_a_client_api_and_subject_type(app: TestApp) {
        let admin = with_api(&app).await;
        let body = |subject: &str| json!({ "client_id": "m2m", "audience": API, "scope": [], "subject_type": subject });
        assert_eq!(admin.post(PATH, json!({ "client_id": "m2m", "audience": API })).await.body["subject_type"], "client");
        let twice = admin.post(PATH, body("client")).await;
        assert_eq!((twice.status, &twice.body), (409, &json!({ "statusCode": 409, "error": "Conflict",
            "message": "A client grant for this client and audience already exists." })));
        assert_eq!(admin.post(PATH, body("user")).await.status, 201);
        let default = json!({ "default_for": "third_party_clients", "audience": API, "scope": ["read:x"] });
        let made = admin.post(PATH, default.clone()).await;
        assert_eq!((made.status, made.body.get("client_id"), &made.body["default_for"]), (201, None, &json!("third_party_clients")));
        assert_eq!(admin.post(PATH, default).await.status, 409);
    }

    async fn grants_are_listed_in_their_shapes_and_by_what_is_asked(app: TestApp) {
        let admin = with_api(&app).await;
        let mut made = Vec::new();
        for body in [
            json!({ "client_id": "spa", "audience": API, "scope": ["read:x"], "subject_type": "user" }),
            json!({ "client_id": "m2m", "audience": API, "scope": [], "organization_usage": "allow", "allow_any_organization": true }),
            json!({ "client_id": "m2m", "audience": "https://id.test/api/v2/", "scope": ["read:users"] }),
        ] {
            app.app.clock.advance(1);
            made.push(admin.post(PATH, body).await.body);
        }
        let get = async |query: &str| admin.get(&format!("{PATH}?{query}")).await.body;
        assert_eq!(get("").await, json!(made));
        assert_eq!(get("page=1&per_page=2").await, json!([made[2]]));
        assert_eq!(get("page=1&per_page=2&include_totals=true").await, json!({ "total": 3, "start": 2, "limit": 2, "client_grants": [made[2]] }));
        let first = get("include_totals=true&take=2&page=0&per_page=50&from=").await;
        assert_eq!((&first["client_grants"], first.get("total")), (&json!([made[0], made[1]]), None));
        let next = first["next"].as_str().unwrap();
        assert_eq!(get(&format!("take=2&from={next}")).await, json!({ "client_grants": [made[2]] }));

        for (query, which) in [
            ("audience=https%3A%2F%2Fapi.test%2F", vec![0, 1]), ("client_id=m2m", vec![1, 2]), ("client_id=m2m&audience=https%3A%2F%2Fapi.test%2F", vec![1]),
            ("subject_type=user", vec![0]), ("allow_any_organization=true", vec![1]), ("default_for=third_party_clients", vec![]), ("client_id=nobody", vec![]),
        ] {
            assert_eq!(get(query).await, which.iter().map(|&at: &usize| made[at].clone()).collect::<Value>(), "{query}");
        }
        for query in ["per_page=0", "take=0", "take=101", "subject_type=x", "allow_any_organization=false", "name=x", "from=forged"] {
            let answer = admin.get(&format!("{PATH}?{query}")).await;
            assert_eq!((answer.status, answer.body["errorCode"].as_str()), (400, Some("invalid_query_string")), "{query}: {}", answer.text);
        }
    }

    async fn what_is_no_grant_is_refused(app: TestApp) {
        let admin = with_api(&app).await;
        for (body, status, message, code) in [
            (json!({ "client_id": "m2m" }), 400, "Payload validation error: 'Missing required property: audience'.", json!("invalid_body")),
            (json!({ "audience": API }), 400, "Payload validation error: 'Missing required property: client_id'.", json!("invalid_body")),
            (json!({ "client_id": "m2m", "default_for": "third_party_clients", "audience": API }), 400, "client_id and default_for cannot be set together.", json!("invalid_body")),
            (json!({ "client_id": "m2m", "audience": API, "scope": [""] }), 400,
                "Payload validation error: 'String is too short (0 chars), minimum 1' on property scope[0].", json!("invalid_body")),
            (json!({ "client_id": "m2m", "audience": API, "scope": "read:x" }), 400,
                "Payload validation error: 'Expected type array but found type string' on property scope (Scopes allowed for this client grant.).", json!("invalid_body")),
            (json!({ "client_id": "m2m", "audience": API, "id": "cgr_0000000000000000" }), 400, "Payload validation error: 'Additional properties not allowed: id'.", json!("invalid_body")),
            (json!({ "client_id": "nobody", "audience": API }), 404, "The client does not exist", json!("inexistent_client")),
            (json!({ "client_id": "m2m", "audience": "https://nothing.test/" }), 404, "The resource server does not exist", json!("inexistent_resource_server")),
        ] {
            let answer = admin.post(PATH, body.clone()).await;
            assert_eq!((answer.status, answer.body["message"].as_str(), &answer.body["errorCode"]), (status, Some(message), &code), "{body}");
        }
        assert_eq!(admin.get(PATH).await.body, json!([]));
        let made = admin.post(PATH, json!({ "client_id": "m2m", "audience": API })).await.body;
        let path = format!("{PATH}/{}", made["id"].as_str().unwrap());
        for body in [json!({}), json!({ "audience": API }), json!({ "client_id": "spa" }), json!({ "subject_type": "user" }), json!({ "authorization_details_types": null })] {
            let answer = admin.patch(&path, body.clone()).await;
            assert_eq!((answer.status, answer.body["errorCode"].as_str()), (400, Some("invalid_body")), "{body}");
        }
        assert_eq!(admin.get(&path).await.body, made);
        let scope = app.machine("create:clients").post(PATH, json!({})).await;
        assert_eq!((scope.status, scope.body["message"].as_str()), (403, Some("Insufficient scope, expected any of: create:client_grants")));
    }

    /// The next token knows of the change.
    async fn tokens_follow_the_grant(app: TestApp) {
        let admin = with_api(&app).await;
        let path = {
            let made = admin.post(PATH, json!({ "client_id": "m2m", "audience": API, "scope": ["read:x"] })).await.body;
            format!("{PATH}/{}", made["id"].as_str().unwrap())
        };
        let token = async || {
            let form = [("grant_type", "client_credentials"), ("client_id", "m2m"), ("client_secret", "m2m-secret"), ("audience", API)];
            let answer = app.caller().form("/oauth/token", &form).await;
            (answer.status, answer.body["scope"].as_str().map(str::to_owned))
        };
        assert_eq!(token().await, (200, Some("read:x".into())));
        admin.patch(&path, json!({ "scope": ["write:x"] })).await;
        assert_eq!(token().await, (200, Some("write:x".into())));
        admin.patch(&path, json!({ "allow_all_scopes": true })).await;
        assert_eq!(token().await, (200, Some("read:x write:x".into())));
        admin.delete(&path).await;
        assert_eq!(token().await, (403, None));
    }
}
