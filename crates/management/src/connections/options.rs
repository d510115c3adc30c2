//! What no schema can say of a database connection's `options` (recorded refusals).

use serde_json::{Map, Value};

use crate::errors::Error;

/// Refuses options that contradict each other.
///
/// # Errors
/// 400 `invalid_body`.
pub fn check(strategy: &str, options: &Map<String, Value>) -> Result<(), Error> {
    let Some(attributes) =
        options.get("attributes").and_then(Value::as_object).filter(|_| strategy == "auth0")
    else {
        return Ok(());
    };
    let refused = |text: String| Err(Error::InvalidBody(text.into()));
    if options.get("requires_username") == Some(&Value::Bool(true)) {
        return refused("Cannot set both options.attributes and options.requires_username".into());
    }
    if options.get("validation").is_some_and(|validation| !validation.is_null()) {
        return refused("Cannot set both options.attributes and options.validation".into());
    }
    if attributes.get("email").and_then(|email| email.get("unique")) == Some(&Value::Bool(false)) {
        return refused("cannot add non-unique email attribute".into());
    }
    let is_identifier =
        |attribute: &Value| attribute.pointer("/identifier/active") == Some(&Value::Bool(true));
    if !attributes.values().any(is_identifier) {
        return refused("attributes must contain one active identifier".into());
    }
    for (name, attribute) in attributes {
        let required = attribute.get("profile_required") == Some(&Value::Bool(true));
        let at_signup = attribute.pointer("/signup/status").and_then(Value::as_str);
        if required && at_signup.is_some_and(|status| status != "required") {
            return refused(format!("attribute {name} must also be required on signup"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refusal(options: Value) -> Option<String> {
        check("auth0", options.as_object().unwrap()).err().map(|error| error.to_string())
    }

    fn attribute(active: bool, status: &str) -> Value {
        json!({ "identifier": { "active": active }, "profile_required": true, "signup": { "status": status } })
    }

    /// Recorded: `go-auth0:TestConnectionManager_Create…`.
    #[test]
    fn contradictions_are_refused_as_recorded() {
        let email = attribute(true, "required");
        assert_eq!(refusal(json!({ "attributes": { "email": email } })), None);
        assert_eq!(refusal(json!({ "requires_username": false, "attributes": { "email": email } })), None);
        for (options, text) in [
            (
                json!({ "requires_username": true, "attributes": { "email": email } }),
                "Cannot set both options.attributes and options.requires_username",
            ),
            (
                json!({ "validation": { "username": { "max": 5, "min": 1 } }, "attributes": { "email": email } }),
                "Cannot set both options.attributes and options.validation",
            ),
            (
                json!({ "attributes": { "email": attribute(false, "required") } }),
                "attributes must contain one active identifier",
            ),
            (
                json!({ "attributes": { "phone_number": attribute(true, "inactive") } }),
                "attribute phone_number must also be required on signup",
            ),
            (
                json!({ "attributes": { "email": { "unique": false } } }),
                "cannot add non-unique email attribute",
            ),
        ] {
            assert_eq!(refusal(options.clone()).as_deref(), Some(text), "{options}");
        }
    }
}
