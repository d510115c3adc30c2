//! No password, secret or token gets into the log, whatever a request or an answer held.

use serde_json::Value;

/// What stands in the place of a secret, as recorded.
pub const MASK: &str = "*****";

/// What stands in the place of a text that is too long to keep.
const CUT: &str = "[truncated]";

/// The longest text that is kept, in bytes.
const MOST_TEXT: usize = 4096;
/// The most that is kept of an event's details, in values.
const MOST_VALUES: usize = 2000;

/// Keys whose values are secret, in lower case and without `_` and `-`.
const SECRET: [&str; 30] = [
    "assertion",
    "authorization",
    "authsession",
    "clientassertion",
    "code",
    "codeverifier",
    "configuration",
    "cookie",
    "custompasswordhash",
    "devicecode",
    "dpop",
    "hash",
    "idtokenhint",
    "jwt",
    "key",
    "linkwith",
    "loginticket",
    "mfarecoverycode",
    "oobcode",
    "otp",
    "passwordhash",
    "privatekey",
    "recoverycode",
    "secrets",
    "setcookie",
    "signature",
    "state",
    "ticket",
    "totpseed",
    "usercode",
];

/// Endings of keys whose values are secret, in the same form: `client_secret`, `access_token`, `new_password`.
const SECRET_ENDINGS: [&str; 5] = ["password", "secret", "token", "apikey", "accesskey"];

/// Replaces every secret in an event's details by [`MASK`], however deep, and leaves out what is too long.
pub fn redact(details: &mut Value) {
    let mut left = MOST_VALUES;
    walk(details, &mut left);
}

fn walk(value: &mut Value, left: &mut usize) {
    match value {
        Value::Object(object) => {
            let keys: Vec<String> = object.keys().cloned().collect();
            for key in keys {
                if *left == 0 || key.contains('\0') {
                    object.shift_remove(&key);
                    continue;
                }
                *left -= 1;
                let Some(value) = object.get_mut(&key) else { continue };
                if is_secret(&key, value) { mask(value) } else { walk(value, left) }
            }
        }
        Value::Array(items) => {
            items.retain_mut(|item| {
                let kept = *left > 0;
                if kept {
                    *left -= 1;
                    walk(item, left);
                }
                kept
            });
        }
        Value::String(text) if is_token(text) => *value = MASK.into(),
        Value::String(text) if text.len() > MOST_TEXT => *value = CUT.into(),
        Value::String(text) if text.contains('\0') => *text = text.replace('\0', "\u{fffd}"),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Everything under a secret's key, but for what only says whether there is something.
fn mask(value: &mut Value) {
    if !matches!(value, Value::Null | Value::Bool(_)) {
        *value = MASK.into();
    }
}

fn is_secret(key: &str, value: &Value) -> bool {
    // Also the name of a client's settings, which are an object and no secret.
    if key == "refresh_token" && value.is_object() {
        return false;
    }
    let key: String = key.chars().filter(|c| !matches!(c, '_' | '-')).flat_map(char::to_lowercase).collect();
    SECRET.contains(&key.as_str()) || SECRET_ENDINGS.iter().any(|ending| key.ends_with(ending))
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
    }

    #[test]
    fn a_nul_is_never_written() {
        assert_eq!(redacted(json!({"a": "x\0y", "b\0": 1})), json!({"a": "x\u{fffd}y"}));
    }
}
