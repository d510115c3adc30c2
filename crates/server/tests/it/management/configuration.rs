//! Clients, connections and APIs (management contract §4).

use serde_json::{Value, json};

use crate::support::TestApp;

both_databases! {
    async fn a_client_lives_and_shows_its_secret_to_who_may_see_it(app: TestApp) {
        let admin = app.admin();
        let made = admin.post("/api/v2/clients", json!({ "name": "App", "app_type": "spa", "callbacks": ["https://app.test/cb"],
            "token_endpoint_auth_method": "none", "client_metadata": { "a": "1" } })).await;
        assert_eq!(made.status, 201, "{}", made.text);
        let secret = made.body["client_secret"].as_str().unwrap();
        assert_eq!(secret.len(), 64);
        assert_eq!(made.body["grant_types"], json!(["authorization_code", "implicit", "refresh_token"]));
        assert_eq!((&made.body["tenant"], &made.body["encrypted"], &made.body["global"]), (&json!("Tenant id"), &json!(true), &json!(false)));
        assert!(made.body["signing_keys"][0]["cert"].as_str().unwrap().starts_with("-----BEGIN"));
        let path = format!("/api/v2/clients/{}", made.body["client_id"].as_str().unwrap());

        let whole = app.machine("read:clients read:client_keys").get(&path).await.body;
        assert_eq!(whole["client_secret"], *secret);
        let public = app.machine("read:clients").get(&path).await.body;
        assert!(public.get("client_secret").is_none() && public.get("signing_keys").is_none() && public["name"] == "App");
        let summary = app.machine("read:client_summary").get(&path).await.body;
        assert_eq!(summary.as_object().unwrap().keys().map(String::as_str).collect::<std::collections::BTreeSet<_>>(), ["app_type", "client_id", "name"].into());

        let changed = admin.patch(&path, json!({ "callbacks": [], "compliance_level": null, "client_metadata": { "a": null, "b": "2" } })).await;
        assert_eq!((changed.status, &changed.body["callbacks"], &changed.body["client_metadata"]), (200, &json!([]), &json!({ "b": "2" })), "{}", changed.text);
        let keys = app.machine("update:client_keys");
        assert_eq!(keys.patch(&path, json!({ "name": "Eve" })).await.body["message"], "You cannot update the following fields: name");
        assert_eq!(app.machine("update:clients").patch(&path, json!({ "client_secret": "x" })).await.status, 403);
        let rotated = keys.post(&format!("{path}/rotate-secret"), Value::Null).await;
        assert!(rotated.status == 200 && rotated.body["client_secret"] != *secret);

        for _ in 0..2 {
            assert_eq!(admin.delete(&path).await.status, 204);
        }
        let gone = admin.get(&path).await;
        assert_eq!((gone.status, &gone.body), (404, &json!({ "statusCode": 404, "error": "Not Found", "message": "The client does not exist", "errorCode": "inexistent_client" })));
    }

    async fn az_04_dangerous_callbacks_are_not_stored(app: TestApp) {
        let admin = app.admin();
        for url in ["javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,x", "file:///etc/passwd", "https://*", "*"] {
            for answer in [
                admin.post("/api/v2/clients", json!({ "name": "App", "callbacks": [url] })).await,
                admin.patch("/api/v2/clients/spa", json!({ "callbacks": ["https://app.test/cb", url] })).await,
            ] {
                assert_eq!((answer.status, answer.body["errorCode"].as_str()), (400, Some("invalid_body")), "{url}");
            }
        }
        assert!(admin.get("/api/v2/clients/spa").await.body.get("callbacks").is_none());
    }

    async fn clients_are_listed_and_the_global_one_stays(app: TestApp) {
        let admin = app.admin();
        let all = admin.get("/api/v2/clients?include_totals=true&fields=client_id,name&per_page=100").await;
        assert_eq!((&all.body["total"], &all.body["limit"]), (&json!(3), &json!(100)));
        let global = admin.get("/api/v2/clients?is_global=true").await.body;
        assert_eq!((global.as_array().unwrap().len(), &global[0]["name"]), (1, &json!("All Applications")));
        let refused = admin.delete(&format!("/api/v2/clients/{}", global[0]["client_id"].as_str().unwrap())).await;
        assert_eq!((refused.status, refused.body["message"].as_str()), (400, Some("Global client cannot be deleted.")));
        let first = admin.get("/api/v2/clients?take=2&fields=client_id").await.body;
        assert_eq!(first["clients"].as_array().unwrap().len(), 2);
        let next = first["next"].as_str().unwrap();
        let second = admin.get(&format!("/api/v2/clients?take=2&from={next}&fields=client_id")).await.body;
        assert_eq!((second["clients"].as_array().unwrap().len(), second.get("next")), (1, None));
        for forged in [format!("{next}x"), "1'%20OR%201=1".into(), "AAAA".into()] {
            let answer = admin.get(&format!("/api/v2/clients?take=2&from={forged}")).await;
            assert_eq!((answer.status, answer.body["errorCode"].as_str()), (400, Some("invalid_query_string")), "{forged}");
        }
    }

    async fn a_connection_lives_and_takes_its_users_along(app: TestApp) {
        let admin = app.admin();
        app.app.clock.advance(1);
        let made = admin.post("/api/v2/connections", json!({ "name": "staff", "strategy": "auth0", "enabled_clients": ["spa"] })).await;
        assert_eq!((made.status, &made.body["realms"], &made.body["options"]["passwordPolicy"]), (201, &json!(["staff"]), &json!("good")), "{}", made.text);
        let path = format!("/api/v2/connections/{}", made.body["id"].as_str().unwrap());
        let twice = admin.post("/api/v2/connections", json!({ "name": "staff", "strategy": "auth0" })).await;
        assert_eq!((twice.status, twice.body["message"].as_str()), (409, Some("A connection with the same name already exists")));
        assert_eq!(admin.get(&format!("{path}/clients")).await.body, json!({ "clients": [{ "client_id": "spa" }] }));
        let body = json!([{ "client_id": "spa", "status": false }, { "client_id": "m2m", "status": true }]);
        assert_eq!(admin.patch(&format!("{path}/clients"), body).await.status, 204);
        assert_eq!(admin.get(&path).await.body["enabled_clients"], json!(["m2m"]));
        let unknown = admin.patch(&format!("{path}/clients"), json!([{ "client_id": "nobody", "status": true }])).await;
        assert_eq!((unknown.status, unknown.body["errorCode"].as_str()), (404, Some("inexistent_client")));
        let of_client = admin.get("/api/v2/clients/m2m/connections?fields=name").await.body;
        assert_eq!(of_client, json!({ "connections": [{ "name": "Username-Password-Authentication" }, { "name": "staff" }] }));
        let changed = admin.patch(&path, json!({ "options": { "disable_signup": true } })).await;
        assert_eq!((changed.status, &changed.body["options"]["disable_signup"], changed.body["options"].get("passwordPolicy")), (200, &json!(true), None));
        let named = admin.patch(&path, json!({ "name": "other" })).await;
        assert_eq!(named.body["message"], "Payload validation error: 'Additional properties not allowed: name'.");
        let user = admin.post("/api/v2/users", json!({ "connection": "staff", "email": "a@b.co", "password": "Correct-horse-9" })).await;
        assert_eq!(user.status, 201);
        let deleted = admin.delete(&path).await;
        assert_eq!((deleted.status, &deleted.body), (202, &json!({ "deleted_at": "2026-01-01T12:00:01.000Z" })));
        assert_eq!(admin.get("/api/v2/users").await.body, json!([]));
        assert_eq!(admin.get(&path).await.body["errorCode"], "inexistent_connection");
        let left = admin.get("/api/v2/connections?strategy=auth0&strategy=oidc&fields=name").await.body;
        assert_eq!((left.as_array().unwrap().len(), &left[0]["name"]), (1, &json!("Username-Password-Authentication")));
    }

    /// Deleted behind the back of the cache, as while a password is hashed.
    async fn a_connection_that_is_gone_gets_no_user(app: TestApp) {
        let admin = app.admin();
        let made = admin.post("/api/v2/connections", json!({ "name": "staff", "strategy": "auth0" })).await;
        let new = |name: &str| json!({ "connection": "staff", "email": format!("{name}@b.co"), "password": "Correct-horse-9" });
        assert_eq!(admin.post("/api/v2/users", new("first")).await.status, 201);
        let mut batch = db::Batch::new();
        let id = made.body["id"].as_str().unwrap();
        batch.execute("DELETE FROM connections WHERE tenant = $1 AND id = $2", db::params![&app.tenant.id, id]).expect(1);
        app.app.db.commit(batch).await.unwrap();
        let late = admin.post("/api/v2/users", new("late")).await;
        assert_eq!((late.status, late.body["errorCode"].as_str()), (400, Some("inexistent_connection")), "{}", late.text);
        assert_eq!(admin.get("/api/v2/users-by-email?email=late%40b.co").await.body, json!([]));
    }

    async fn of_the_my_account_api_few_settings_change(app: TestApp) {
        let (admin, path) = (app.admin(), "/api/v2/resource-servers/https%3A%2F%2Fid.test%2Fme%2F");
        let before = admin.get(path).await.body;
        let patch = json!({ "token_lifetime": 600, "skip_consent_for_verifiable_first_party_clients": true });
        let changed = admin.patch(path, patch).await;
        let mut after = before.clone();
        after["token_lifetime"] = json!(600);
        after["token_lifetime_for_web"] = json!(600);
        after["skip_consent_for_verifiable_first_party_clients"] = json!(true);
        assert_eq!((changed.status, &changed.body), (200, &after), "{}", changed.text);
        let proof = json!({ "mechanism": "dpop", "required": true });
        assert_eq!(admin.patch(path, json!({ "proof_of_possession": proof })).await.body["proof_of_possession"], proof);
        after["proof_of_possession"] = proof;
        // A browser's tokens went down with the others, and do not come up by themselves.
        let longer = json!({ "token_lifetime": 86400, "token_lifetime_for_web": 7200 });
        assert_eq!(admin.patch(path, longer).await.body["token_lifetime_for_web"], 7200);
        after["token_lifetime"] = json!(86400);
        after["token_lifetime_for_web"] = json!(7200);
        for (key, value) in [
            ("name", json!("Mine")),
            ("scopes", json!([])),
            ("allow_offline_access", json!(true)),
            ("subject_type_authorization", json!({ "client": { "policy": "require_client_grant" } })),
        ] {
            let refused = admin.patch(path, json!({ "token_lifetime": 60, key: value })).await;
            let message = format!("Payload validation error: 'Additional properties not allowed: {key}'.");
            assert_eq!((refused.status, &refused.body["message"]), (400, &json!(message)), "{}", refused.text);
            assert_eq!(refused.body["errorCode"], "invalid_body");
        }
        assert_eq!((admin.patch(path, json!({})).await.body, admin.get(path).await.body), (after.clone(), after));
        assert_eq!(admin.delete(path).await.body["message"], "System resource servers cannot be deleted.");
    }

    async fn an_api_and_the_grants_for_it(app: TestApp) {
        let admin = app.admin();
        let made = admin.post("/api/v2/resource-servers", json!({ "identifier": "https://api.test/", "name": "API", "scopes": [{ "value": "read:x" }] })).await;
        assert_eq!((made.status, &made.body["token_lifetime"], &made.body["signing_alg"]), (201, &json!(86400), &json!("RS256")));
        let twice = admin.post("/api/v2/resource-servers", json!({ "identifier": "https://api.test/" })).await;
        assert_eq!((twice.status, twice.body["message"].as_str()), (409, Some("A resource server with the same identifier already exists.")));
        let by_identifier = admin.get("/api/v2/resource-servers/https%3A%2F%2Fapi.test%2F").await;
        assert_eq!(by_identifier.body, made.body);
        let changed = admin.patch("/api/v2/resource-servers/https%3A%2F%2Fapi.test%2F", json!({ "scopes": [{ "value": "read:y", "description": "Y" }] })).await;
        assert_eq!((changed.status, &changed.body["scopes"]), (200, &json!([{ "value": "read:y", "description": "Y" }])));
        let system = "/api/v2/resource-servers/https%3A%2F%2Fid.test%2Fapi%2Fv2%2F";
        assert_eq!(admin.get(system).await.body["is_system"], true);
        assert_eq!(admin.patch(system, json!({ "name": "x" })).await.body["message"], "System resource servers cannot be patched.");
        assert_eq!(admin.delete(system).await.body["message"], "System resource servers cannot be deleted.");

        let grant = json!({ "client_id": "m2m", "audience": "https://api.test/", "scope": ["read:y"] });
        let granted = admin.post("/api/v2/client-grants", grant.clone()).await;
        assert_eq!((granted.status, &granted.body["subject_type"]), (201, &json!("client")), "{}", granted.text);
        assert_eq!(admin.post("/api/v2/client-grants", grant).await.status, 409);
        let path = format!("/api/v2/client-grants/{}", granted.body["id"].as_str().unwrap());
        assert_eq!(admin.patch(&path, json!({ "scope": [] })).await.body["scope"], json!([]));
        assert_eq!(admin.patch(&path, json!({ "audience": "x" })).await.status, 400);
        assert_eq!(admin.get("/api/v2/client-grants?audience=https%3A%2F%2Fapi.test%2F&include_totals=true").await.body["total"], 1);
        let nobody = admin.post("/api/v2/client-grants", json!({ "client_id": "nobody", "audience": "https://api.test/" })).await;
        assert_eq!((nobody.status, nobody.body["errorCode"].as_str()), (404, Some("inexistent_client")));
        assert_eq!(admin.delete("/api/v2/resource-servers/https%3A%2F%2Fapi.test%2F").await.status, 204);
        assert_eq!(admin.get(&path).await.body["errorCode"], "inexistent_client_grant");
        assert_eq!(admin.delete(&path).await.status, 204);
        assert_eq!(admin.get("/api/v2/grants?include_totals=true").await.body, json!({ "total": 0, "start": 0, "limit": 50, "grants": [] }));
        assert_eq!(admin.delete("/api/v2/grants?user_id=auth0%7Calice").await.status, 204);
        assert_eq!(admin.delete("/api/v2/grants").await.body["errorCode"], "invalid_query_string");
        assert_eq!(admin.delete("/api/v2/grants/6560cd0f6caaac5b4692f454").await.status, 204);
    }
}
