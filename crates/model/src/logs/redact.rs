//! No password, secret or token gets into the log, whatever a request or an answer held.

use serde_json::{Map, Value};

/// What stands in the place of a secret, as recorded.
pub const MASK: &str = "*****";

/// What stands in the place of a text that is too long to keep.
const CUT: &str = "[truncated]";

/// The longest text that is kept, in bytes.
const MOST_TEXT: usize = 4096;
/// The most that is kept of an event's details, in values.
const MOST_VALUES: usize = 2000;
/// The most that is kept of them in bytes of texts and keys.
const MOST_BYTES: usize = 64 * 1024;
/// The most that is kept of what somebody sent, in values.
const EXCERPT_VALUES: usize = 256;
/// The most that is kept of it in bytes of texts and keys.
const EXCERPT_BYTES: usize = 8 * 1024;
/// How deep details may nest. An entry holds a request's body some levels down, and is itself read again as JSON, whose depth the
/// reader limits.
const DEEPEST: usize = 32;

/// Keys whose values are secret, in lower case and without `_` and `-`.
const SECRET: &[&str] = &[
    "accesskeyid",
    "assertion",
    "authorization",
    "authsession",
    "clientassertion",
    "code",
    "codeverifier",
    "configuration",
    "connectionstring",
    "cookie",
    "customheaders",
    "custompasswordhash",
    "decryptionkey",
    "devicecode",
    "dpop",
    "hash",
    "httpcustomheaders",
    "httpendpoint",
    "idtokenhint",
    "jwt",
    "key",
    "linkwith",
    "loginticket",
    "masterkey",
    "mfarecoverycode",
    "oobcode",
    "otp",
    "otpcode",
    "passwordhash",
    "privatekey",
    "recoverycode",
    "secrets",
    "setcookie",
    "signature",
    "signingkey",
    "smtppass",
    "state",
    "sumosourceaddress",
    "ticket",
    "totpseed",
    "usercode",
];

/// Endings of keys whose values are secret, in the same form: `client_secret`, `access_token`, `new_password`; and what services
/// that deliver messages call theirs: `skey`, `server_key`, `server_credentials`, `p12`.
const SECRET_ENDINGS: &[&str] = &[
    "authorization",
    "writekey",
    "password",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "skey",
    "serverkey",
    "servercredentials",
    "p12",
];

/// Replaces every secret in an event's details by [`MASK`], however deep, and leaves out what is too long, too deep or too much.
pub fn redact(details: &mut Value) {
    *details = Room { values: MOST_VALUES, bytes: MOST_BYTES }.copy(details, 0);
}

/// The beginning of what somebody sent, redacted: enough to tell what it was, and little to keep until it is written.
pub fn excerpt(sent: &Value) -> Value {
    Room { values: EXCERPT_VALUES, bytes: EXCERPT_BYTES }.copy(sent, 0)
}

/// What an entry still has room for.
struct Room {
    values: usize,
    bytes: usize,
}

impl Room {
    /// What there is room for of `value`. What is left out is not copied first: it may be large.
    fn copy(&mut self, value: &Value, depth: usize) -> Value {
        match value {
            Value::Object(_) | Value::Array(_) if depth == DEEPEST => CUT.into(),
            Value::Object(object) => {
                let mut kept = Map::new();
                for (key, value) in object {
                    if self.values == 0 {
                        break;
                    }
                    if !key.contains('\0') && self.take(key.len()) {
                        let value =
                            if is_secret(key, value) { mask(value) } else { self.copy(value, depth + 1) };
                        kept.insert(key.clone(), value);
                    }
                }
                Value::Object(kept)
            }
            Value::Array(items) => Value::Array(
                items.iter().map_while(|item| self.take(0).then(|| self.copy(item, depth + 1))).collect(),
            ),
            Value::String(text) if is_token(text) || names_a_user(text) => MASK.into(),
            Value::String(text) if text.len() > MOST_TEXT || text.len() > self.bytes => CUT.into(),
            Value::String(text) => {
                self.bytes -= text.len();
                if text.contains('\0') { text.replace('\0', "\u{fffd}").into() } else { value.clone() }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }

    /// Whether there is room for one value more, under a key of so many bytes.
    fn take(&mut self, key: usize) -> bool {
        let fits = self.values > 0 && key <= self.bytes;
        if fits {
            self.values -= 1;
            self.bytes -= key;
        }
        fits
    }
}

/// Everything under a secret's key, but for what only says whether there is something.
fn mask(value: &Value) -> Value {
    if matches!(value, Value::Null | Value::Bool(_)) { value.clone() } else { MASK.into() }
}

fn is_secret(key: &str, value: &Value) -> bool {
    // Also the name of a client's settings, which are an object and no secret.
    if key == "refresh_token" && value.is_object() {
        return false;
    }
    let key: String = key.chars().filter(|c| !matches!(c, '_' | '-')).flat_map(char::to_lowercase).collect();
    SECRET.contains(&key.as_str()) || SECRET_ENDINGS.iter().any(|ending| key.ends_with(ending))
}

/// Whether a text is an address that says who asks, and by which password.
fn names_a_user(text: &str) -> bool {
    let authority = text.split_once("://").and_then(|(_, rest)| rest.split(['/', '?', '#']).next());
    authority.is_some_and(|authority| authority.contains('@'))
}

/// Whether a text is a signed or encrypted token: its first part is the base64url of a JSON object.
fn is_token(text: &str) -> bool {
    text.starts_with("eyJ") && text.bytes().filter(|byte| *byte == b'.').count() >= 2
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn redacted(mut value: Value) -> Value {
        redact(&mut value);
        value
    }

    #[test]
    fn a_password_is_masked_as_recorded() {
        assert_eq!(
            redacted(
                json!({"request": {"body": {"email": "a@b.c", "password": "Passwords hide their chuck"}}})
            ),
            json!({"request": {"body": {"email": "a@b.c", "password": "*****"}}})
        );
    }

    #[test]
    fn an_address_with_a_password_in_it_is_masked() {
        let value = json!({"gateway_url": "https://us:s3cret@sms.test/send", "url": "https://sms.test/a@b"});
        assert_eq!(redacted(value), json!({"gateway_url": "*****", "url": "https://sms.test/a@b"}));
    }

    #[test]
    fn secrets_are_masked_by_their_names_however_deep() {
        for key in [
            "client_secret",
            "refresh_token",
            "access_token",
            "newPassword",
            "link_with",
            "code_verifier",
            "Authorization",
            "signing_secret",
            "twilio_token",
            "private_key",
            "mfa_token",
            "otp",
            "client_assertion",
            "x-api-key",
            "masterkey",
            "decryptionKey",
            "signing_key",
            "customHeaders",
        ] {
            let value = json!({"a": [{"b": {key: "s3cret"}}]});
            assert_eq!(redacted(value), json!({"a": [{"b": {key: "*****"}}]}), "{key}");
        }
        assert_eq!(redacted(json!({"secrets": [{"name": "A", "value": "b"}]})), json!({"secrets": "*****"}));
        assert_eq!(redacted(json!({"pin_password": 1234})), json!({"pin_password": "*****"}));
    }

    #[test]
    fn settings_are_kept() {
        let settings = json!({
            "refresh_token": {"rotation_type": "rotating", "leeway": 0},
            "token_endpoint_auth_method": "none",
            "token_lifetime": 86400,
            "passwordPolicy": "good",
            "jwt_configuration": {"secret_encoded": false},
            "password": null,
        });
        assert_eq!(redacted(settings.clone()), settings);
    }

    #[test]
    fn a_token_is_masked_under_any_name() {
        assert_eq!(redacted(json!({"note": "eyJhbGciOiJSUzI1NiJ9.e30.c2ln"})), json!({"note": "*****"}));
        assert_eq!(redacted(json!(["eyJhbGciOiJSUzI1NiJ9.e30.c2ln"])), json!(["*****"]));
    }

    #[test]
    fn what_is_too_long_is_cut() {
        assert_eq!(redacted(json!({"text": "x".repeat(MOST_TEXT + 1)})), json!({"text": "[truncated]"}));
        let many = redacted(json!({"body": vec![0; MOST_VALUES * 2], "after": 1}));
        assert_eq!((many["body"].as_array().unwrap().len(), many.get("after")), (MOST_VALUES - 1, None));
        let long = redacted(
            json!({"x".repeat(MOST_BYTES + 1): 1, "texts": vec!["x".repeat(MOST_TEXT); 20], "last": 1}),
        );
        let length = long.to_string().len();
        assert!((MOST_BYTES - MOST_TEXT..MOST_BYTES).contains(&length), "{length}");
        assert_eq!((&long["texts"][19], long.get("last")), (&json!("[truncated]"), Some(&json!(1))));
    }

    /// As many keys as fit into a request's body: a quadratic walk would take minutes.
    #[test]
    fn many_keys_are_left_out_at_once() {
        let many: Map<String, Value> = (0..150_000).map(|number| (number.to_string(), Value::Null)).collect();
        let kept = redacted(Value::Object(many));
        assert_eq!(kept.as_object().unwrap().keys().next_back().unwrap(), &(MOST_VALUES - 1).to_string());
    }

    #[test]
    fn an_excerpt_is_short_and_holds_no_secret() {
        let short = json!({ "password": "s3cret", "email": "a@b.c" });
        assert_eq!(excerpt(&short), json!({ "password": "*****", "email": "a@b.c" }));
        for long in [json!(vec![0; 500_000]), json!({ "a": vec!["x".repeat(4000); 250] })] {
            let kept = excerpt(&long).to_string().len();
            assert!(kept < EXCERPT_BYTES + EXCERPT_VALUES * 16, "{kept}");
        }
    }

    #[test]
    fn what_is_too_deep_to_be_read_again_is_cut() {
        let deep = (0..125).fold(json!({}), |inner, _| json!({ "a": inner }));
        let kept = redacted(json!({ "request": { "body": deep } })).to_string();
        assert_eq!(kept.matches('{').count(), DEEPEST);
        assert!(kept.contains(r#"{"a":"[truncated]"}"#), "{kept}");
    }

    #[test]
    fn a_nul_is_never_written() {
        assert_eq!(redacted(json!({"a": "x\0y", "b\0": 1})), json!({"a": "x\u{fffd}y"}));
    }
}
