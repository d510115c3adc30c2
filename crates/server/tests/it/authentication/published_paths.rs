//! Every path of the published description of the Authentication API is served, retired or absent, as `docs/compatibility.md` lists it.

use std::path::Path;

use axum::http::Method;
use serde_json::Value;

use crate::support::TestApp;

/// What there is not, by the beginning of its path. It answers 404.
const ABSENT: [&str; 3] = ["/samlp/", "/wsfed/", "/oauth/global-token-revocation/"];

/// What new tenants never had. It answers 404 `endpoint_disabled`.
const RETIRED: [&str; 6] = [
    "/oauth/access_token",
    "/oauth/ro",
    "/tokeninfo",
    "/delegation",
    "/users/{user_id}/impersonate",
    "/login/unlink",
];

/// The operations of the description; `None` where it is not at hand.
fn published() -> Option<Vec<(Method, String)>> {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/reference");
    let text = std::fs::read_to_string(shared.join("authentication-openapi.json")).ok()?;
    let description: Value = serde_json::from_str(&text).expect("is JSON");
    let mut operations = Vec::new();
    for (path, methods) in description["paths"].as_object().expect("has paths") {
        for method in methods.as_object().expect("has methods").keys() {
            let method = Method::from_bytes(method.to_uppercase().as_bytes());
            operations.push((method.expect("is a method"), path.clone()));
        }
    }
    Some(operations)
}

/// A path with its parameters filled in.
fn filled(path: &str) -> String {
    let part = |part: &str| if part.starts_with('{') { "x".to_owned() } else { part.to_owned() };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}

both_databases! {
    async fn every_published_path_is_served_or_listed_as_absent(app: TestApp) {
        let Some(operations) = published() else {
            println!("skipped: the description of the Authentication API is not beside the repository");
            return;
        };
        assert!(operations.len() > 25, "{}", operations.len());
        // What is served where a setting allows it.
        let settings = serde_json::json!({ "pushed_authorization_requests_supported": true, "flags": { "enable_dynamic_client_registration": true } });
        assert_eq!(app.admin().patch("/api/v2/tenants/settings", settings).await.status, 200);
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/compatibility.md");
        let page = std::fs::read_to_string(page).expect("docs/compatibility.md");
        let parts = ["served", "retired", "absent"].map(|part| {
            let (_, rest) = page.split_once(&format!("\n## What is {part}\n")).expect("has this part");
            rest.split_once("\n## ").map_or(rest, |(part, _)| part)
        });
        for (method, path) in operations {
            let answer = app.caller().send(method.clone(), &filled(&path), None, String::new()).await;
            let retired = RETIRED.contains(&path.as_str());
            let missing = ABSENT.iter().any(|prefix| path.starts_with(prefix));
            let told = format!("`{method} {path}`");
            println!("{told}: {}", if missing { "absent" } else if retired { "disabled" } else { "served" });
            match (retired, missing) {
                (true, _) => assert_eq!((answer.status, &answer.body["error"]), (404, &Value::from("endpoint_disabled")), "{told}"),
                (_, true) => assert_eq!(answer.status, 404, "{told}"),
                _ => assert!(![404, 405, 500, 501].contains(&answer.status), "{told}: {} {}", answer.status, answer.text),
            }
            // In a row of its own: one that is retired names what takes its place.
            let within = parts.map(|part| part.contains(&format!("\n| {told} |")));
            let expected = [!retired && !missing, retired, missing && !retired];
            assert_eq!(within, expected, "served, retired, absent in docs/compatibility.md: {told}");
        }
    }
}
