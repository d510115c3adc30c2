//! The rules of the policy, as they meet a person's call. An administrator's call meets none.

use model::Timestamp;
use model::self_service::{Change, Metadata, Policy};
use serde_json::{Map, Value};

use crate::access::Bearer;
use crate::errors::Error;

/// A refusal names no more keys than these.
const MOST_NAMED: usize = 20;

/// The longest problem that a refusal tells of, in characters.
const LONGEST_PROBLEM: usize = 255;

/// Refuses a change whose rule asks for a later or a surer sign-in than the token tells of.
///
/// # Errors
/// 403 `insufficient_user_authentication`, naming the rule.
pub fn check_proof(policy: &Policy, change: Change, bearer: &Bearer, now: Timestamp) -> Result<(), Error> {
    let asked = policy.of(change);
    let unproven = |rule: &'static str| Error::Unproven {
        change: change.name(),
        rule,
        max_age: asked.max_age,
        mfa: asked.asks_mfa(),
    };
    if let Some(max_age) = asked.max_age {
        let age = bearer.authenticated_at.map(|at| now.seconds().saturating_sub(at));
        if age.is_none_or(|age| age > max_age) {
            return Err(unproven("max_age"));
        }
    }
    if asked.asks_mfa() && !bearer.mfa {
        return Err(unproven("mfa"));
    }
    Ok(())
}

/// Refuses what a person may not make of their metadata: `patch` makes `after` of `before`.
///
/// # Errors
/// 403 `self_service_policy`, naming the rule.
pub fn check_metadata(
    rules: &Metadata,
    before: Option<&Map<String, Value>>,
    patch: &Map<String, Value>,
    after: Option<&Map<String, Value>>,
) -> Result<(), Error> {
    let refused = |rule: &'static str, problem: String| Error::SelfService { rule, problem };
    if let Some(allowed) = &rules.allowed_keys {
        // `{}` removes all that is there.
        let touched = if patch.is_empty() { before } else { Some(patch) };
        let keys = touched.into_iter().flat_map(Map::keys).filter(|key| !allowed.contains(key));
        let keys: Vec<_> = keys.take(MOST_NAMED).map(String::as_str).collect();
        if !keys.is_empty() {
            return Err(refused(
                "user_metadata.allowed_keys",
                format!("not among them: {}", keys.join(", ")),
            ));
        }
    }
    let after = after.cloned().unwrap_or_default();
    if let Some(most) = rules.max_bytes {
        let bytes = serde_json::to_vec(&after).map_or(usize::MAX, |text| text.len());
        if u64::try_from(bytes).is_ok_and(|bytes| bytes > most) {
            return Err(refused("user_metadata.max_bytes", format!("{bytes} bytes, maximum {most}")));
        }
    }
    if let Some(schema) = &rules.schema {
        let compiled = compile(&Value::Object(schema.clone())).map_err(|problem| {
            tracing::error!(problem, "a stored schema is no schema");
            Error::Internal
        })?;
        let after = Value::Object(after);
        if let Err(error) = compiled.validate(&after) {
            let place = error.instance_path().to_string();
            let at = if place.is_empty() { String::new() } else { format!(" at {place}") };
            let problem: String = format!("{error}{at}").chars().take(LONGEST_PROBLEM).collect();
            return Err(refused("user_metadata.schema", problem));
        }
    }
    Ok(())
}

/// Compiles a JSON Schema. Nothing is fetched: one that names another elsewhere does not compile. Patterns are matched in linear time.
///
/// # Errors
/// What is wrong with it.
pub fn compile(schema: &Value) -> Result<jsonschema::Validator, String> {
    let patterns = jsonschema::PatternOptions::regex().size_limit(1 << 20).dfa_size_limit(1 << 20);
    jsonschema::options().with_pattern_options(patterns).build(schema).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::access::{Scopes, Subject};

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    fn rules(value: Value) -> Metadata {
        serde_json::from_value(value).unwrap()
    }

    fn refusal(rules: &Metadata, before: Value, patch: Value) -> String {
        let (before, patch) = (object(before), object(patch));
        let after = model::users::merge_metadata(Some(before.clone()), patch.clone());
        match check_metadata(rules, Some(&before), &patch, after.as_ref()) {
            Ok(()) => String::new(),
            Err(Error::SelfService { rule, problem }) => format!("{rule}: {problem}"),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn only_listed_keys_are_set_changed_or_removed() {
        let rules = rules(json!({ "allowed_keys": ["color"] }));
        for (before, patch) in [
            (json!({}), json!({ "color": "teal" })),
            (json!({ "plan": 1 }), json!({ "color": null })),
            (json!({ "color": "teal" }), json!({})),
            (json!({}), json!({})),
        ] {
            assert_eq!(refusal(&rules, before, patch), "");
        }
        let told = "user_metadata.allowed_keys: not among them: plan";
        for patch in [json!({ "plan": 1 }), json!({ "color": "red", "plan": null }), json!({})] {
            assert_eq!(refusal(&rules, json!({ "plan": 1 }), patch), told);
        }
    }

    #[test]
    fn the_whole_has_its_size_and_its_schema_after_the_change() {
        let small = rules(json!({ "max_bytes": 16 }));
        assert_eq!(refusal(&small, json!({}), json!({ "color": "teal" })), "");
        assert_eq!(
            refusal(&small, json!({ "a": 1 }), json!({ "color": "teal" })),
            "user_metadata.max_bytes: 22 bytes, maximum 16"
        );
        let shaped = rules(json!({ "schema": {
            "type": "object", "required": ["color"], "properties": { "color": { "enum": ["teal", "red"] } }
        } }));
        assert_eq!(refusal(&shaped, json!({ "color": "teal" }), json!({ "size": 1 })), "");
        assert_eq!(
            refusal(&shaped, json!({}), json!({ "color": "blue" })),
            "user_metadata.schema: \"blue\" is not one of \"teal\" or \"red\" at /color"
        );
        assert_eq!(
            refusal(&shaped, json!({ "color": "teal" }), json!({})),
            "user_metadata.schema: \"color\" is a required property"
        );
    }

    #[test]
    fn a_schema_is_whole_and_its_patterns_take_linear_time() {
        assert!(compile(&json!({ "properties": { "a": { "pattern": "^(a+)+$" } } })).is_ok());
        for bad in [
            json!({ "type": "text" }),
            json!({ "$ref": "https://example.com/schema.json" }),
            json!({ "$ref": "file:///etc/passwd" }),
            json!({ "properties": { "a": { "pattern": "(?=a)b" } } }),
            json!({ "properties": { "a": { "pattern": "(" } } }),
        ] {
            assert!(compile(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_sign_in_is_late_and_sure_enough() {
        let bearer = |authenticated_at, mfa| Bearer {
            subject: Subject::User("auth0|a".into()),
            client: "spa".into(),
            scopes: Scopes::default(),
            token_id: None,
            issued_at: 0,
            authenticated_at,
            mfa,
        };
        let policy = |value: Value| Policy::default().patched(&object(value)).unwrap();
        let check = |policy: &Policy, at, mfa| {
            let now = Timestamp::from_millis(1_000_000);
            match check_proof(policy, Change::LinkIdentity, &bearer(at, mfa), now) {
                Ok(()) => "",
                Err(Error::Unproven { rule, .. }) => rule,
                Err(other) => panic!("{other}"),
            }
        };
        assert_eq!(check(&Policy::default(), None, false), "");
        let lately = policy(json!({ "link_identity": { "max_age": 60 } }));
        assert_eq!(check(&lately, Some(940), false), "");
        assert_eq!(check(&lately, Some(939), true), "max_age");
        assert_eq!(check(&lately, None, true), "max_age");
        let surely = policy(json!({ "link_identity": { "mfa": true } }));
        assert_eq!((check(&surely, None, true), check(&surely, Some(999), false)), ("", "mfa"));
        let other = policy(json!({ "unlink_identity": { "mfa": true, "max_age": 1 } }));
        assert_eq!(check(&other, None, false), "");
    }
}
