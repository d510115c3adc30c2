//! Clients' keys and certificates.

use serde_json::{Value, json};

use crate::support::TestApp;
use crate::support::client_key::ClientKey;

const PATH: &str = "/api/v2/clients/m2m/credentials";

fn refused(message: &str) -> Value {
    json!({ "statusCode": 400, "error": "Bad Request", "message": message, "errorCode": "invalid_body" })
}

both_databases! {
    async fn a_credential_is_added_read_moved_and_removed(app: TestApp) {
        let admin = app.admin();
        let pem = ClientKey::number(0).pem();
        let made = admin.post(PATH, json!({ "credential_type": "public_key", "name": "first", "pem": pem })).await;
        let now = app.app.clock.now().iso();
        let expected = json!({
            "id": made.body["id"], "credential_type": "public_key", "kid": made.body["kid"], "alg": "RS256", "name": "first",
            "created_at": now, "updated_at": now,
        });
        assert_eq!((made.status, &made.body), (201, &expected));
        assert_eq!(made.body["kid"].as_str().map(str::len), Some(43));
        let own = format!("{PATH}/{}", made.body["id"].as_str().expect("has one"));
        assert_eq!(admin.get(PATH).await.body, json!([expected]));
        assert_eq!(admin.get(&format!("{PATH}?page=0&per_page=50&include_totals=true&take=50&from=")).await.body, json!([expected]));
        app.app.clock.advance(5);
        let admin = app.admin();
        let moved = admin.patch(&own, json!({ "expires_at": "2050-05-13T09:33:13Z" })).await;
        let mut later = expected.clone();
        later["updated_at"] = json!(app.app.clock.now().iso());
        later["expires_at"] = json!("2050-05-13T09:33:13.000Z");
        assert_eq!((moved.status, &moved.body), (200, &later));
        assert_eq!(admin.get(&own).await.body, later);
        let client = admin.get("/api/v2/clients/m2m").await;
        assert!(!client.text.contains("cred_") && !client.text.contains("BEGIN PUBLIC"), "{}", client.text);
        assert_eq!(admin.delete(&own).await.status, 204);
        assert_eq!(admin.delete(&own).await.status, 204);
        assert_eq!(admin.get(PATH).await.body, json!([]));
        let gone = admin.get(&own).await;
        assert_eq!((gone.status, &gone.body), (404, &json!({ "statusCode": 404, "error": "Not Found", "message": "Credential does not exist" })));
        assert_eq!(admin.patch(&own, json!({ "expires_at": null })).await.status, 404);
        for path in ["/api/v2/clients/nobody/credentials", "/api/v2/clients/nobody/credentials/cred_1"] {
            let missing = admin.get(path).await;
            assert_eq!((missing.status, &missing.body["errorCode"]), (404, &json!("inexistent_client")));
        }
    }

    async fn what_is_no_credential_is_refused(app: TestApp) {
        let admin = app.admin();
        let pem = ClientKey::number(0).pem();
        let key = |pem: &str| json!({ "credential_type": "public_key", "pem": pem });
        for (body, message) in [
            (key("x"), "pem is not a PEM-formatted public key or X509 certificate"),
            (key("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"), "pem is not a PEM-formatted public key or X509 certificate"),
            (key("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"), "pem is not a PEM-formatted public key or X509 certificate"),
            (json!({ "credential_type": "x509_cert", "pem": pem }), "pem is not a PEM-formatted public key or X509 certificate"),
            (json!({ "credential_type": "public_key" }), "pem is required for this credential_type"),
            (json!({ "credential_type": "cert_subject_dn" }), "exactly one of pem and subject_dn is required for credential_type cert_subject_dn"),
        ] {
            let answer = admin.post(PATH, body.clone()).await;
            assert_eq!((answer.status, &answer.body), (400, &refused(&format!("Payload validation error: '{message}'."))), "{body}");
            let inside = json!({ "name": "c", "client_authentication_methods": { "private_key_jwt": { "credentials": [body] } } });
            assert_eq!(admin.post("/api/v2/clients", inside).await.body, answer.body);
        }
        // Nobody refers to a credential that is not theirs, nor to more than two.
        let refer = |ids: &[&str]| {
            let references: Vec<_> = ids.iter().map(|id| json!({ "id": id })).collect();
            json!({ "client_authentication_methods": { "private_key_jwt": { "credentials": references } }, "token_endpoint_auth_method": null })
        };
        let others = admin.post("/api/v2/clients/spa/credentials", key(&pem)).await.body["id"].as_str().expect("has one").to_owned();
        let answer = admin.patch("/api/v2/clients/m2m", refer(&[&others])).await;
        assert_eq!((answer.status, &answer.body), (400, &refused(&format!("Credential {others} does not exist"))));
        let mut own = Vec::new();
        for _ in 0..3 {
            own.push(admin.post(PATH, key(&pem)).await.body["id"].as_str().expect("has one").to_owned());
        }
        let answer = admin.patch("/api/v2/clients/m2m", refer(&[&own[0], &own[1], &own[2]])).await;
        assert_eq!(answer.status, 400, "{}", answer.text);
        assert_eq!(admin.patch("/api/v2/clients/m2m", refer(&[&own[0], &own[1]])).await.status, 200);
        // One that is used goes with its references.
        assert_eq!(admin.delete(&format!("{PATH}/{}", own[0])).await.status, 204);
        let left = admin.get("/api/v2/clients/m2m").await.body;
        assert_eq!(left["client_authentication_methods"], json!({ "private_key_jwt": { "credentials": [{ "id": own[1] }] } }));
    }
}
