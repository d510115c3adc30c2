//! MG-07: who reads configuration and the audit log reads no secret.

use serde_json::{Map, Value, json};

use crate::support::TestApp;

/// What marks a private key in each of its forms.
const PRIVATE: [&str; 8] =
    ["PRIVATE KEY", "\"d\":", "\"p\":", "\"q\":", "\"dp\":", "\"dq\":", "\"qi\":", "\"oth\":"];

both_databases! {
    async fn mg_07_a_clients_secret_has_a_scope_of_its_own(app: TestApp) {
        let admin = app.admin();
        let made = admin.post("/api/v2/clients", json!({ "name": "c", "app_type": "regular_web" })).await;
        let secret = made.body["client_secret"].as_str().expect("a new secret is shown").to_owned();
        assert_eq!((made.status, secret.len()), (201, 64));
        let one = format!("/api/v2/clients/{}", made.body["client_id"].as_str().expect("it has an id"));
        for path in [&one, "/api/v2/clients", "/api/v2/clients?include_totals=true&per_page=100", "/api/v2/clients?take=100", "/api/v2/clients?fields=client_secret,signing_keys,encryption_key,client_id"] {
            for scopes in ["read:clients", "read:client_credentials", "read:client_summary", "read:clients read:client_summary", "read:client_summary read:client_credentials"] {
                let answer = app.machine(scopes).get(path).await;
                assert_eq!(answer.status, 200, "{path} {scopes}: {}", answer.text);
                for word in ["client_secret\"", "signing_keys", "encryption_key", &secret, "m2m-secret", "spa-secret"] {
                    assert!(!answer.text.contains(word), "{path} {scopes} {word}: {}", answer.text);
                }
            }
            let answer = app.machine("read:client_keys").get(path).await;
            assert!(answer.text.contains(&secret), "{path}: {}", answer.text);
        }
        let summary = app.machine("read:client_summary").get(&one).await;
        assert_eq!(summary.body, json!({ "name": "c", "client_id": made.body["client_id"], "app_type": "regular_web" }));
        // Whoever changes a client without the secret's scope is not shown it either.
        let changed = app.machine("update:clients").patch(&one, json!({ "name": "d" })).await;
        assert!(changed.status == 200 && !changed.text.contains(&secret), "{}", changed.text);
        let refused = app.machine("update:clients").patch(&one, json!({ "client_secret": "x".repeat(64) })).await;
        assert_eq!((refused.status, &refused.body["errorCode"]), (403, &json!("insufficient_scope")), "{}", refused.text);
        assert!(app.machine("read:client_keys").get(&one).await.text.contains(&secret));
    }

    async fn mg_07_a_private_key_is_never_shown(app: TestApp) {
        let admin = app.admin();
        assert_eq!(admin.post("/api/v2/keys/signing/rotate", json!({})).await.status, 201);
        let keys = admin.get("/api/v2/keys/signing").await;
        assert_eq!(keys.body.as_array().map(Vec::len), Some(3));
        let kid = keys.body[0]["kid"].as_str().expect("it has an id").to_owned();
        for path in ["/api/v2/keys/signing".to_owned(), format!("/api/v2/keys/signing/{kid}"), "/.well-known/jwks.json".to_owned()] {
            let answer = app.machine("read:signing_keys").get(&path).await;
            assert_eq!(answer.status, 200, "{}", answer.text);
            for word in PRIVATE {
                assert!(!answer.text.contains(word), "{path} {word}: {}", answer.text);
            }
        }
        let allowed = ["kid", "cert", "pkcs7", "current", "next", "previous", "current_since", "current_until", "fingerprint", "thumbprint", "revoked", "revoked_at"];
        for key in keys.body.as_array().expect("is a list") {
            assert!(key.as_object().expect("is one").keys().all(|name| allowed.contains(&name.as_str())), "{key}");
        }
    }

    /// Options of a connection are shown as recorded; the log tells who read them.
    async fn mg_07_a_read_of_connections_is_in_the_log(app: TestApp) {
        let admin = app.admin();
        let body = json!({ "name": "upstream", "strategy": "oidc", "options": { "client_id": "x", "client_secret": "upstream-s3cret" } });
        let made = admin.post("/api/v2/connections", body).await;
        assert_eq!(made.status, 201, "{}", made.text);
        let path = format!("/api/v2/connections/{}", made.body["id"].as_str().expect("it has an id"));
        let reader = app.machine("read:connections");
        assert_eq!(reader.get(&path).await.body["options"]["client_id"], "x");
        app.app.audit.flush().await;
        let logs = app.machine("read:logs").get("/api/v2/logs?per_page=100").await;
        let read = |entry: &&Value| entry["details"]["request"]["path"] == *path && entry["details"]["request"]["method"] == "get";
        let entries = logs.body.as_array().expect("is a list").iter().filter(read).collect::<Vec<_>>();
        assert_eq!(entries.len(), 1, "{}", logs.text);
        assert_eq!(entries[0]["details"]["request"]["auth"]["credentials"]["scopes"], json!(["read:connections"]));
        assert!(!logs.text.contains("upstream-s3cret"), "{}", logs.text);
    }

    async fn mg_07_the_log_of_a_secrets_change_holds_no_secret(app: TestApp) {
        app.add_user("auth0|alice").await;
        let admin = app.admin();
        let mut secrets = Vec::new();
        let made = admin.post("/api/v2/clients", json!({ "name": "c", "app_type": "regular_web" })).await.body;
        secrets.push(made["client_secret"].as_str().expect("is shown").to_owned());
        let client = format!("/api/v2/clients/{}", made["client_id"].as_str().expect("it has an id"));
        let rotated = admin.post(&format!("{client}/rotate-secret"), json!({})).await.body;
        secrets.push(rotated["client_secret"].as_str().expect("is shown").to_owned());
        assert_ne!(secrets[0], secrets[1]);
        let chosen = "chosen-secret-of-a-good-length-0123456789";
        let set = admin.patch(&client, json!({ "client_secret": chosen })).await;
        assert_eq!(set.status, 200, "{}", set.text);
        secrets.push(chosen.to_owned());
        let user = json!({ "connection": "Username-Password-Authentication", "email": "u@example.com", "password": "Secret-horse-1" });
        assert_eq!(admin.post("/api/v2/users", user).await.status, 201);
        assert_eq!(admin.patch("/api/v2/users/auth0%7Calice", json!({ "password": "Secret-horse-2" })).await.status, 200);
        // What is refused is logged too.
        assert_eq!(admin.patch("/api/v2/users/auth0%7Calice", json!({ "password": "Secret-horse-3", "email": "x@example.com" })).await.status, 400);
        assert_eq!(app.machine("read:users").patch("/api/v2/users/auth0%7Calice", json!({ "password": "Secret-horse-4" })).await.status, 403);
        assert_eq!(app.token("auth0|alice", "update:current_user_metadata").patch("/api/v2/users/auth0%7Calice", json!({ "password": "Secret-horse-5" })).await.status, 403);
        secrets.extend((1..=5).map(|number| format!("Secret-horse-{number}")));
        let api = admin.post("/api/v2/resource-servers", json!({ "identifier": "urn:hs", "signing_alg": "HS256", "signing_secret": "signing-secret-of-a-good-length-000" })).await;
        assert_eq!(api.status, 201, "{}", api.text);
        secrets.push("signing-secret-of-a-good-length-000".to_owned());
        // What the services that deliver messages know a tenant by.
        for (service, key, secret) in [
            ("duo/settings", "skey", "secret-of-duo"),
            ("push-notification/providers/apns", "p12", "secret-of-apns"),
            ("push-notification/providers/fcm", "server_key", "secret-of-fcm"),
            ("push-notification/providers/fcmv1", "server_credentials", "secret-of-fcmv1"),
            ("push-notification/providers/sns", "aws_secret_access_key", "secret-of-sns"),
            ("phone/providers/twilio", "auth_token", "secret-of-twilio"),
        ] {
            let body = Value::Object(Map::from_iter([(key.to_owned(), json!(secret))]));
            let set = admin.put(&format!("/api/v2/guardian/factors/{service}"), body).await;
            assert_eq!(set.status, 200, "{service}: {}", set.text);
            secrets.push(secret.to_owned());
        }
        let bearer = admin.bearer().await;
        let query = admin.get(&format!("/api/v2/users?access_token={bearer}")).await;
        assert_eq!(query.status, 400, "{}", query.text);
        secrets.push(bearer);

        app.app.audit.flush().await;
        let reader = app.machine("read:logs");
        let logs = reader.get("/api/v2/logs?per_page=100").await;
        let entries = logs.body.as_array().expect("is a list");
        let of = |method: &str, path: &str| entries.iter().filter(|entry| {
            let request = &entry["details"]["request"];
            request["method"] == *method && request["path"] == *path
        }).collect::<Vec<_>>();
        assert_eq!(of("post", &format!("{client}/rotate-secret")).len(), 1);
        let set = of("patch", &client);
        assert_eq!((set.len(), &set[0]["details"]["request"]["body"]), (1, &json!({ "client_secret": "*****" })));
        assert_eq!(set[0]["details"]["response"]["body"]["client_secret"], "*****");
        assert_eq!(of("patch", "/api/v2/users/auth0%7Calice").len(), 4);
        assert_eq!(of("post", "/api/v2/users")[0]["details"]["request"]["body"]["password"], "*****");
        for secret in &secrets {
            assert!(!logs.text.contains(secret.as_str()), "{secret}");
            for entry in entries {
                let one = reader.get(&format!("/api/v2/logs/{}", entry["log_id"].as_str().expect("it has an id"))).await;
                assert!(one.status == 200 && !one.text.contains(secret.as_str()), "{secret}: {}", one.text);
            }
        }
    }
}
