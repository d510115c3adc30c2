//! The keys that sign (management contract §4.17).

use serde_json::{Value, json};

use crate::support::{Caller, TestApp};

const PATH: &str = "/api/v2/keys/signing";

async fn kids(admin: &Caller) -> Vec<String> {
    let keys = admin.get(PATH).await.body;
    keys.as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

/// The key ids that anybody can read.
async fn published(app: &TestApp) -> Vec<String> {
    let jwks = app.caller().get("/.well-known/jwks.json").await.body;
    jwks["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

/// `Authorization` with a token that was signed before.
async fn keep(app: &TestApp, caller: &Caller) -> Caller {
    app.caller().with("authorization", &format!("Bearer {}", caller.bearer().await))
}

both_databases! {
    async fn a_new_tenant_has_one_current_and_one_next_key(app: TestApp) {
        let keys = app.machine("read:signing_keys").get(PATH).await;
        assert_eq!(keys.status, 200);
        let [current, next] = keys.body.as_array().unwrap().as_slice() else { panic!("{}", keys.text) };
        for key in [current, next] {
            let text = |name: &str| key[name].as_str().unwrap();
            assert_eq!(text("kid").len(), 21);
            assert!(text("cert").starts_with("-----BEGIN CERTIFICATE-----\r\n") && text("pkcs7").starts_with("-----BEGIN PKCS7-----\r\n"), "{key}");
            assert_eq!((text("fingerprint").replace(':', ""), key["thumbprint"].as_str().unwrap().len()), (text("thumbprint").to_owned(), 40));
            assert_eq!(app.machine("read:signing_keys").get(&format!("{PATH}/{}", text("kid"))).await.body, *key);
        }
        let state = |key: &Value| ["current", "next", "previous", "revoked"].map(|name| key[name].as_bool().unwrap());
        assert_eq!((state(current), state(next)), ([true, false, false, false], [false, true, false, false]));
        assert_eq!((&current["current_since"], next.get("current_since")), (&json!("2026-01-01T11:59:59.000Z"), None));
        assert!(keys.text.find("private").is_none());
        assert_eq!(published(&app).await, kids(&app.admin()).await);
    }

    async fn tokens_outlive_a_rotation_and_end_with_a_revocation(app: TestApp) {
        let admin = app.admin();
        let before = kids(&admin).await;
        let old = keep(&app, &app.machine("read:branding")).await;
        let refused = admin.put(&format!("{PATH}/{}/revoke", before[0]), Value::Null).await;
        assert_eq!((refused.status, &refused.body), (400, &json!({ "statusCode": 400, "error": "Bad Request",
            "message": "Only a previous signing key can be revoked.", "errorCode": "operation_not_supported" })));

        let rotated = admin.post(&format!("{PATH}/rotate"), Value::Null).await;
        assert_eq!((rotated.status, rotated.body["kid"].as_str()), (201, Some(before[1].as_str())));
        assert!(rotated.body["cert"].as_str().unwrap().starts_with("-----BEGIN CERTIFICATE-----") && rotated.body.as_object().unwrap().len() == 2);
        let after = kids(&admin).await;
        assert_eq!((&after[0], &after[2], after.len()), (&before[1], &before[0], 3));
        assert_eq!(old.get("/api/v2/branding").await.status, 200);
        assert!(published(&app).await.contains(&before[0]));

        let revoke = format!("{PATH}/{}/revoke", before[0]);
        let revoked = admin.put(&revoke, Value::Null).await;
        assert_eq!((revoked.status, &revoked.body["kid"], revoked.body.as_object().unwrap().len()), (200, &json!(before[0]), 2));
        let answer = old.get("/api/v2/branding").await;
        assert_eq!((answer.status, answer.body["error"].as_str()), (401, Some("Unauthorized")));
        assert!(!published(&app).await.contains(&before[0]));
        let key = admin.get(&format!("{PATH}/{}", before[0])).await.body;
        assert_eq!((&key["revoked"], &key["previous"], &key["revoked_at"]), (&json!(true), &json!(false), &json!("2026-01-01T12:00:00.000Z")));
        assert_eq!(admin.put(&revoke, Value::Null).await.status, 400);

        let log = admin.get("/api/v2/logs?q=type%3Asapi&fields=description").await.body;
        assert_eq!(log, json!([{ "description": "Revoke an Application Signing Key by its key id" }, { "description": "Rotate the Application Signing Key" }]));
    }

    async fn keys_are_their_tenants(app: TestApp) {
        let theirs = app.app.keys.list(&app.app, &app.other.id).await.unwrap()[0].kid.clone();
        let admin = app.admin();
        let missing = json!({ "statusCode": 404, "error": "Not Found", "message": "Signing key not found." });
        for kid in [theirs.as_str(), "nothing"] {
            for answer in [admin.get(&format!("{PATH}/{kid}")).await, admin.put(&format!("{PATH}/{kid}/revoke"), Value::Null).await] {
                assert_eq!((answer.status, &answer.body), (404, &missing), "{kid}");
            }
        }
    }

    async fn a_rotation_needs_both_scopes(app: TestApp) {
        for scope in ["create:signing_keys", "update:signing_keys", "read:signing_keys"] {
            let answer = app.machine(scope).post(&format!("{PATH}/rotate"), Value::Null).await;
            assert_eq!((answer.status, answer.body["message"].as_str()), (403, Some("Insufficient scope, expected any of: create:signing_keys,update:signing_keys")), "{scope}");
        }
        assert_eq!(app.machine("create:signing_keys update:signing_keys").post(&format!("{PATH}/rotate"), Value::Null).await.status, 201);
    }

    /// Keys of another algorithm are published when an API selects it, and sign its tokens.
    async fn an_api_selects_its_algorithm(app: TestApp) {
        let admin = app.admin();
        let api = admin.post("/api/v2/resource-servers", json!({ "identifier": "https://api.test/", "signing_alg": "PS256" })).await;
        assert_eq!((api.status, &api.body["signing_alg"]), (201, &json!("PS256")), "{}", api.text);
        let jwks = app.caller().get("/.well-known/jwks.json").await.body;
        let algs: Vec<_> = jwks["keys"].as_array().unwrap().iter().map(|key| key["alg"].as_str().unwrap()).collect();
        assert_eq!(algs, ["RS256", "RS256", "PS256", "PS256"]);

        admin.post("/api/v2/client-grants", json!({ "client_id": "m2m", "audience": "https://api.test/" })).await;
        let form = [("grant_type", "client_credentials"), ("client_id", "m2m"), ("client_secret", "m2m-secret"), ("audience", "https://api.test/")];
        let answer = app.caller().form("/oauth/token", &form).await;
        let token = answer.body["access_token"].as_str().unwrap();
        let header = jsonwebtoken::decode_header(token).unwrap();
        assert_eq!((header.alg, header.kid.as_deref()), (jsonwebtoken::Algorithm::PS256, jwks["keys"][2]["kid"].as_str()));
        let unknown = admin.patch("/api/v2/resource-servers/https%3A%2F%2Fapi.test%2F", json!({ "signing_alg": "ES384" })).await;
        assert_eq!((unknown.status, unknown.body["errorCode"].as_str()), (400, Some("invalid_body")));
    }
}
