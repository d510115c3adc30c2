//! What every refusal of the Management API owes: the published body, nothing written, and an entry in the audit log.

use axum::http::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Caller, TestApp};

/// The body of a refusal; an empty code is none.
pub fn refusal(status: u16, error: &str, message: &str, code: &str) -> Value {
    let mut body = json!({ "statusCode": status, "error": error, "message": message });
    if !code.is_empty() {
        body["errorCode"] = code.into();
    }
    body
}

/// 403: another user, existing or not.
pub fn unowned() -> Value {
    refusal(
        403,
        "Forbidden",
        "User to be acted on does not match subject in bearer token.",
        "unowned_resource",
    )
}

/// 403: none of these scopes.
pub fn insufficient(scopes: &str) -> Value {
    refusal(403, "Forbidden", &format!("Insufficient scope, expected any of: {scopes}"), "insufficient_scope")
}

/// 403: fields that the token may not write.
pub fn forbidden_fields(fields: &str) -> Value {
    let message = format!("You cannot update the following fields: {fields}");
    refusal(403, "Forbidden", &message, "insufficient_scope")
}

/// 400 `invalid_body`.
pub fn invalid_body(message: &str) -> Value {
    refusal(400, "Bad Request", message, "invalid_body")
}

/// 401 without a token.
pub fn missing_authentication() -> Value {
    refusal(401, "Unauthorized", "Missing authentication", "")
}

/// 400: no bearer token at all.
pub fn bad_header() -> Value {
    refusal(400, "Bad Request", "Bad HTTP authentication header format", "Bearer")
}

/// 401 for a token that is not good.
pub fn bad_token(message: &str) -> Value {
    let mut body = refusal(401, "Unauthorized", message, "");
    body["attributes"] = json!({ "error": message });
    body
}

/// One call that is to be refused.
pub struct Attempt<'a> {
    pub method: Method,
    pub path: &'a str,
    pub body: Option<&'a Value>,
}

impl<'a> Attempt<'a> {
    pub fn get(path: &'a str) -> Self {
        Self { method: Method::GET, path, body: None }
    }

    pub fn patch(path: &'a str, body: &'a Value) -> Self {
        Self { method: Method::PATCH, path, body: Some(body) }
    }

    /// Calls, and asserts the whole refusal; that the users are as they were, no statement having written anything; and that the
    /// audit log tells of it. The clock goes on by a second, so that no limit is met.
    pub async fn refused(self, app: &TestApp, caller: &Caller, expected: &Value) -> Answer {
        let Self { method, path, body } = &self;
        let admin = app.admin();
        let before = admin.get("/api/v2/users?per_page=100").await;
        assert_eq!(before.status, 200, "{}", before.text);
        app.app.clock.advance(1);
        app.app.audit.flush().await;
        app.app.db.statements();
        let answer = match body {
            Some(body) => caller.json(method.clone(), path, (*body).clone()).await,
            None => caller.send(method.clone(), path, None, String::new()).await,
        };
        app.app.audit.flush().await;
        let ran = app.app.db.statements();
        let place = format!("{method} {path} {}", body.unwrap_or(&Value::Null));
        assert_eq!(
            (&answer.body, json!(answer.status)),
            (expected, expected["statusCode"].clone()),
            "{place}"
        );
        let writes = ran.iter().filter(|sql| !sql.trim_start().starts_with("SELECT"));
        assert!(writes.clone().all(|sql| sql.starts_with("INSERT INTO logs")), "{place}: {ran:?}");
        assert_eq!(admin.get("/api/v2/users?per_page=100").await.text, before.text, "{place}");

        let entries = app.admin().get("/api/v2/logs?q=type%3Afapi&per_page=1").await.body;
        let entry = &entries[0];
        let (asked, _) = path.split_once('?').unwrap_or((path, ""));
        let told = json!({
            "date": app.app.clock.now(),
            "method": method.as_str().to_ascii_lowercase(),
            "path": asked,
            "status": expected["statusCode"],
            "body": expected,
        });
        let request = &entry["details"]["request"];
        let response = &entry["details"]["response"];
        let found = json!({
            "date": entry["date"],
            "method": request["method"],
            "path": request["path"],
            "status": response["statusCode"],
            "body": response["body"],
        });
        assert_eq!(found, told, "{place}: {entry}");
        answer
    }
}
