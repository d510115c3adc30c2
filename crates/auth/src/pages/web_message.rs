//! The answer of `response_mode=web_message`: a message to the window that opened or framed us.

use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use url::Url;

use super::Html;

/// Hands the response to the app's window, and to no other origin. It may be framed and shows nothing.
#[derive(Debug)]
pub struct WebMessagePage {
    /// The origin of the validated redirect URI: scheme, host and port, never `*`.
    pub target_origin: String,
    /// The parameters of the success, or `error`, `error_description` and `state`.
    pub response: Map<String, Value>,
    /// The relay, when the request named one by `web_message_uri` and `web_message_target`.
    pub relay: Option<Relay>,
}

/// A frame of the app's window that gets the response in its place.
#[derive(Clone, Debug)]
pub struct Relay {
    /// `web_message_uri`, of which only the origin counts; the caller has checked that it is a web origin of the client.
    pub uri: String,
    /// `web_message_target`: the frame's name.
    pub target: String,
}

/// The script behind the three constants. The response goes to the origin named beside it or nowhere.
const SCRIPT: &str = "\
var mainWin = window.opener ? window.opener : window.parent;\
if (webMessageRequest.web_message_uri && webMessageRequest.web_message_target) {\
window.addEventListener('message', function (evt) {\
if (evt.source !== mainWin || evt.origin !== targetOrigin || !evt.data || evt.data.type !== 'relay_response') return;\
var target = evt.source.frames[webMessageRequest.web_message_target];\
if (target) target.postMessage(authorizationResponse, webMessageRequest.web_message_uri);\
window.close();\
});\
mainWin.postMessage({ type: 'relay_request' }, targetOrigin);\
} else {\
mainWin.postMessage(authorizationResponse, targetOrigin);\
}";

impl WebMessagePage {
    /// The inline script; its hash goes into the policy.
    fn script(&self) -> String {
        let relay = match &self.relay {
            Some(relay) => match origin(&relay.uri) {
                Some(origin) => json!({ "web_message_uri": origin, "web_message_target": relay.target }),
                None => json!({}),
            },
            None => json!({}),
        };
        let message = json!({ "type": "authorization_response", "response": self.response });
        let target = origin(&self.target_origin).unwrap_or_default();
        format!(
            "(function (window) {{var targetOrigin = {};var webMessageRequest = {};var authorizationResponse = {};{SCRIPT}}})(this);",
            in_script(&Value::from(target)),
            in_script(&relay),
            in_script(&message),
        )
    }
}

/// The origin of an `https` or `http` URL.
fn origin(url: &str) -> Option<String> {
    let origin = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "https" | "http"))?.origin();
    Some(origin.ascii_serialization())
}

/// JSON that can stand in a `<script>`: nothing in it ends the element or a line.
pub fn in_script(value: &Value) -> String {
    let mut escaped = String::new();
    for c in value.to_string().chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                escaped.push_str(&format!("\\u{:04x}", u32::from(c)))
            }
            _ => escaped.push(c),
        }
    }
    escaped
}

impl IntoResponse for WebMessagePage {
    fn into_response(self) -> Response {
        Html::of_script(self.script(), true).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(target_origin: &str, state: &str) -> WebMessagePage {
        let mut response = Map::new();
        response.insert("code".into(), "abc".into());
        response.insert("state".into(), state.into());
        WebMessagePage { target_origin: target_origin.into(), response, relay: None }
    }

    #[test]
    fn the_response_goes_to_the_origin_and_not_the_path() {
        let script = page("https://app.test:3000/callback?x", "s").script();
        assert!(script.contains(r#"var targetOrigin = "https://app.test:3000";"#), "{script}");
        assert!(script.contains(
            r#"var authorizationResponse = {"type":"authorization_response","response":{"code":"abc","state":"s"}};"#
        ));
    }

    #[test]
    fn a_star_or_an_opaque_origin_is_no_target() {
        for target in ["*", "/", "null", "com.acme.app://callback", "data:text/html,x"] {
            let script = page(target, "s").script();
            assert!(script.contains(r#"var targetOrigin = "";"#), "{target}: {script}");
        }
    }

    #[test]
    fn nothing_in_a_value_ends_the_script() {
        let script = page("https://app.test", "</script><!--&\u{2028}\u{2029}\"\\").script();
        assert!(script.contains(r#""\u003c/script\u003e\u003c!--\u0026\u2028\u2029\"\\""#), "{script}");
    }

    #[test]
    fn a_relay_is_named_by_its_origin_and_frame() {
        let mut page = page("https://app.test", "s");
        page.relay = Some(Relay { uri: "https://app.test/relay?x".into(), target: "frame\"1".into() });
        assert!(page.script().contains(
            r#"var webMessageRequest = {"web_message_uri":"https://app.test","web_message_target":"frame\"1"};"#
        ));
        page.relay = Some(Relay { uri: "*".into(), target: "frame".into() });
        assert!(page.script().contains("var webMessageRequest = {};"));
    }
}
