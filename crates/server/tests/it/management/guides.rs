//! The guide to other kinds of apps: each of its commands does something.

use axum::http::Method;
use serde_json::{Value, json};

use crate::support::TestApp;
use crate::support::client_key::ClientKey;

const GUIDE: &str = include_str!("../../../../../docs/guides/other-apps.md");

/// The calls that the guide makes with its `api`, in order: method, path and body. The one whose body another program writes is left out.
fn calls() -> Vec<(Method, String, String)> {
    let blocks = GUIDE.split("```").skip(1).step_by(2).filter_map(|block| block.strip_prefix("sh\n"));
    let mut calls = Vec::new();
    for line in
        blocks.flat_map(|block| block.split("\napi ").map(|call| call.strip_prefix("api ").unwrap_or(call)))
    {
        let mut words = line.splitn(3, ' ');
        let (Some(method), Some(path), Some(body)) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        if let (Ok(method @ (Method::POST | Method::PATCH)), Some(body)) =
            (method.parse(), body.strip_prefix('\''))
        {
            let body = body.split('\'').next().unwrap_or_default();
            calls.push((method, format!("/api/v2/{path}"), body.to_owned()));
        }
    }
    calls
}

both_databases! {
    async fn every_command_of_the_guide_is_taken(app: TestApp) {
        let admin = app.admin();
        app.add_client("app", json!({})).await;
        let key = ClientKey::number(0).pem();
        let credential = json!({ "name": "first", "credential_type": "public_key", "alg": "RS256", "pem": key });
        let credential = admin.post("/api/v2/clients/app/credentials", credential).await;
        assert_eq!(credential.status, 201, "{}", credential.text);
        let id = credential.body["id"].as_str().expect("it has an id");
        let calls = calls();
        assert!(calls.len() > 10, "{calls:?}");
        for (method, path, body) in calls {
            let put = |text: &str| text.replace("CLIENT_ID", "app").replace("CREDENTIAL_ID", id);
            let body: Value = serde_json::from_str(&put(&body)).unwrap_or_else(|error| panic!("{error}: {body}"));
            let answer = admin.json(method.clone(), &put(&path), body).await;
            assert!((200..300).contains(&answer.status), "{method} {path}: {}", answer.text);
        }
    }
}
