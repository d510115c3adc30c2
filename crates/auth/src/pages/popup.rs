//! The answer to a window that auth0.js opened (`owp`): a message to the page that opened it, in the words of WinChan, the library that waits for it.

use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::{Html, in_script};

/// Hands the response to the page that opened the window, and to no other origin; where there is none, the window goes to the app.
#[derive(Debug)]
pub struct PopupPage {
    /// The origin of the validated redirect URI: scheme, host and port, never `*`.
    pub target_origin: String,
    /// The parameters of the success, or `error`, `error_description` and `state`.
    pub response: Map<String, Value>,
    /// The redirect URI with the response in its fragment.
    pub otherwise: String,
}

/// WinChan takes texts of JSON.
const SCRIPT: &str = "\
if (window.opener) window.opener.postMessage(JSON.stringify(message), targetOrigin);\
else window.location.replace(otherwise);";

impl PopupPage {
    /// The inline script; its hash goes into the policy.
    fn script(&self) -> String {
        format!(
            "(function (window) {{var targetOrigin = {};var message = {};var otherwise = {};{SCRIPT}}})(this);",
            in_script(&json!(self.target_origin)),
            in_script(&json!({ "a": "response", "d": self.response })),
            in_script(&json!(self.otherwise)),
        )
    }
}

impl IntoResponse for PopupPage {
    fn into_response(self) -> Response {
        Html::of_script(self.script(), false).into_response()
    }
}
