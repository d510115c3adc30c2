//! What people may write to their own `user_metadata`: one piece for a change by their token and for a sign-up.

use std::collections::HashMap;

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::Metadata;

/// A refusal names no more keys than these.
const MOST_NAMED: usize = 20;

/// The longest problem that a refusal tells of, in characters.
const LONGEST_PROBLEM: usize = 255;

/// Why metadata is not written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A rule of the policy, and how it is broken.
    #[error("The self-service policy does not allow this: {rule}: {problem}")]
    Rule {
        /// The rule.
        rule: &'static str,
        /// How it is broken.
        problem: String,
    },
    /// The stored schema is none.
    #[error("the stored schema is no schema: {0}")]
    NoSchema(String),
}

/// Refuses what a person may not make of their metadata: `patch` makes `after` of `before`.
///
/// # Errors
/// The first rule that it breaks.
pub fn check(
    rules: &Metadata,
    before: Option<&Map<String, Value>>,
    patch: &Map<String, Value>,
    after: Option<&Map<String, Value>>,
) -> Result<(), Refused> {
    let refused = |rule: &'static str, problem: String| Refused::Rule { rule, problem };
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
        let compiled = compile(&Value::Object(schema.clone())).map_err(Refused::NoSchema)?;
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
    if weight(schema, schema, &mut HashMap::new()) > MOST_WEIGHT {
        return Err("it is too much work to hold a document against it: it has too many parts, its references followed, or leads back to itself".into());
    }
    let patterns = jsonschema::PatternOptions::regex().size_limit(1 << 20).dfa_size_limit(1 << 20);
    jsonschema::options().with_pattern_options(patterns).build(schema).map_err(|error| error.to_string())
}

/// The most parts that a schema may have, its references followed: a few that name the next twice are more work than anybody has.
const MOST_WEIGHT: u64 = 10_000;

/// Where a part of a schema names another.
const REFERENCES: [&str; 3] = ["$ref", "$dynamicRef", "$recursiveRef"];

/// How many parts `part` of a schema has, its references followed. What is named in another way than by its place counts as too much.
fn weight(schema: &Value, part: &Value, known: &mut HashMap<String, u64>) -> u64 {
    let sum = |sum: u64, more: u64| sum.saturating_add(more);
    match part {
        Value::Object(object) => {
            if object.contains_key("$id") && !std::ptr::eq(part, schema) {
                return u64::MAX;
            }
            let own = object.iter().filter(|(name, _)| *name != "$defs" && *name != "definitions");
            own.map(|(name, value)| match value {
                Value::String(place) if REFERENCES.contains(&name.as_str()) => {
                    referenced(schema, place, known)
                }
                value => weight(schema, value, known),
            })
            .fold(1, sum)
        }
        Value::Array(items) => items.iter().map(|item| weight(schema, item, known)).fold(0, sum),
        _ => 0,
    }
}

fn referenced(schema: &Value, place: &str, known: &mut HashMap<String, u64>) -> u64 {
    if let Some(weight) = known.get(place) {
        return *weight;
    }
    // One that leads back to itself twice would double with each level of the document.
    known.insert(place.to_owned(), u64::MAX);
    let pointer = place.strip_prefix('#').and_then(|place| percent_decode_str(place).decode_utf8().ok());
    let weight = match pointer.and_then(|pointer| schema.pointer(&pointer)) {
        Some(part) => weight(schema, part, known),
        None => u64::MAX,
    };
    known.insert(place.to_owned(), weight);
    weight
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::object;

    fn rules(value: Value) -> Metadata {
        serde_json::from_value(value).unwrap()
    }

    fn refusal(rules: &Metadata, before: Value, patch: Value) -> String {
        let (before, patch) = (object(before), object(patch));
        let after = crate::users::merge_metadata(Some(before.clone()), patch.clone());
        match check(rules, Some(&before), &patch, after.as_ref()) {
            Ok(()) => String::new(),
            Err(Refused::Rule { rule, problem }) => format!("{rule}: {problem}"),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_schema_whose_references_multiply_is_no_schema() {
        let chain = |length: u32| {
            let part = |at: u32| match at {
                0 => json!({ "type": "object" }),
                at => {
                    json!({ "allOf": [{ "$ref": format!("#/$defs/l{}", at - 1) }, { "$ref": format!("#/$defs/l{}", at - 1) }] })
                }
            };
            let parts: Map<String, Value> = (0..=length).map(|at| (format!("l{at}"), part(at))).collect();
            json!({ "$defs": parts, "$ref": format!("#/$defs/l{length}") })
        };
        assert!(compile(&chain(8)).is_ok());
        for long in [20, 40, 200] {
            assert!(compile(&chain(long)).unwrap_err().starts_with("it is too much work"), "{long}");
        }
        let doubling = json!({ "properties": { "x": { "allOf": [{ "$ref": "#" }, { "$ref": "#" }] } } });
        assert!(compile(&doubling).is_err(), "it doubles with each level of the document");
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
}
