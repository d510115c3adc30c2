//! Validation of bodies and queries: one struct parses, validates and documents. Its schema is compiled at first use.

mod formats;
mod wording;

use std::any::TypeId;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};
use serde_json::{Value, json};

pub use wording::Kind;

/// A struct's schema and its compiled form.
pub struct Validator {
    schema: Value,
    compiled: jsonschema::Validator,
}

/// Marks a schema that takes `null`. Elsewhere an `Option` means that a property may be absent, not that it may be null.
pub const NULLABLE: &str = "x-nullable";

impl Validator {
    /// The validator of `T`. A `strict` one refuses properties that `T` does not name.
    pub fn of<T: JsonSchema + 'static>(strict: Strict) -> Arc<Self> {
        type Cache = RwLock<HashMap<(TypeId, Strict), Arc<Validator>>>;
        static COMPILED: LazyLock<Cache> = LazyLock::new(Cache::default);

        let key = (TypeId::of::<T>(), strict);
        if let Some(known) = COMPILED.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return known.clone();
        }
        let made = Arc::new(Self::compile(schema_of::<T>(strict)));
        COMPILED.write().unwrap_or_else(PoisonError::into_inner).entry(key).or_insert(made).clone()
    }

    fn compile(schema: Value) -> Self {
        let options =
            jsonschema::options().with_draft(jsonschema::Draft::Draft7).should_validate_formats(true);
        let compiled = formats::register(options).build(&schema).expect("a derived schema is a valid schema");
        Self { schema, compiled }
    }

    /// The schema, as the OpenAPI document shows it.
    pub fn schema(&self) -> &Value {
        &self.schema
    }

    /// Checks `instance` and puts the first problem into the published words.
    ///
    /// # Errors
    /// The message of the 400 answer.
    pub fn check(&self, kind: Kind, instance: &Value) -> Result<(), String> {
        if self.compiled.is_valid(instance) {
            return Ok(());
        }
        // A body of a megabyte may have a hundred thousand errors: looking at the first few is enough to answer.
        let errors = self.compiled.iter_errors(instance).take(64).collect();
        Err(wording::first(kind, errors, &self.schema, instance))
    }
}

/// What happens to properties that the struct does not name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Strict {
    /// The struct itself says (`deny_unknown_fields`).
    AsDerived,
    /// They are refused at the root: queries, whose structs are flattened from shared parts.
    AtRoot,
}

fn schema_of<T: JsonSchema>(strict: Strict) -> Value {
    let mut settings = SchemaSettings::draft07();
    settings.inline_subschemas = true;
    settings.meta_schema = None;
    let generator = settings.with_transform(RecursiveTransform(forbid_null)).into_generator();
    let mut schema = generator.into_root_schema_for::<T>();
    if strict == Strict::AtRoot {
        schema.insert("additionalProperties".into(), json!(false));
    }
    schema.to_value()
}

/// Takes the `null` that `Option` adds out of every schema that is not marked [`NULLABLE`].
fn forbid_null(schema: &mut Schema) {
    let Some(schema) = schema.as_object_mut() else { return };
    if schema.remove(NULLABLE).is_some() {
        return;
    }
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            schema.insert("type".into(), only);
        }
    }
    if let Some(Value::Array(options)) = schema.get_mut("enum") {
        options.retain(|option| !option.is_null());
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    /// A body.
    #[derive(Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    struct Body {
        /// The connection.
        connection: String,
        /// The user's email.
        #[schemars(extend("format" = "email"))]
        email: Option<String>,
        #[schemars(length(min = 1, max = 4))]
        nickname: Option<String>,
        #[schemars(range(min = 1, max = 100))]
        take: Option<i64>,
        #[schemars(regex(pattern = "^[a-z]+$"))]
        slug: Option<String>,
        #[schemars(extend("enum" = ["spa", "native"]))]
        kind: Option<String>,
        /// Groups.
        groups: Option<Vec<Group>>,
        #[schemars(extend("uniqueItems" = true))]
        tags: Option<Vec<String>>,
    }

    /// A group.
    #[derive(Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    struct Group {
        /// Google Workspace Directory group email
        #[schemars(extend("format" = "email"))]
        email: String,
    }

    fn message(body: Value) -> String {
        Validator::of::<Body>(Strict::AsDerived).check(Kind::Payload, &body).unwrap_err()
    }

    #[test]
    fn problems_are_told_in_the_published_words() {
        for (body, expected) in [
            (json!({}), "'Missing required property: connection'."),
            (json!({ "connection": "c", "b": 1, "a": 2 }), "'Additional properties not allowed: b,a'."),
            (
                json!({ "connection": "c", "email": "x" }),
                "'Object didn't pass validation for format email: x' on property email (The user's email.).",
            ),
            (
                json!({ "connection": "c", "groups": [{ "email": "" }] }),
                "'Object didn't pass validation for format email: ' on property groups[0].email (Google Workspace Directory group email).",
            ),
            (
                json!({ "connection": 5 }),
                "'Expected type string but found type integer' on property connection (The connection.).",
            ),
            (json!([]), "'Expected type object but found type array'."),
            (json!(null), "'Expected type object but found type null'."),
            (
                json!({ "connection": "c", "nickname": null }),
                "'Expected type string but found type null' on property nickname.",
            ),
            (
                json!({ "connection": "c", "nickname": "" }),
                "'String is too short (0 chars), minimum 1' on property nickname.",
            ),
            (
                json!({ "connection": "c", "nickname": "abcde" }),
                "'String is too long (5 chars), maximum 4' on property nickname.",
            ),
            (
                json!({ "connection": "c", "take": 101 }),
                "'Value 101 is greater than maximum 100' on property take.",
            ),
            (json!({ "connection": "c", "take": 0 }), "'Value 0 is less than minimum 1' on property take."),
            (
                json!({ "connection": "c", "slug": "A" }),
                "'String does not match pattern ^[a-z]+$: A' on property slug.",
            ),
            (json!({ "connection": "c", "kind": "x" }), "'No enum match for: x' on property kind."),
            (
                json!({ "connection": "c", "tags": ["x", "y", "x"] }),
                "'Array items are not unique (indexes 0 and 2)' on property tags.",
            ),
            (
                json!({ "connection": "c", "groups": [{ "email": "a@b.co", "x": 1 }] }),
                "'Additional properties not allowed: x' on property groups[0].",
            ),
        ] {
            assert_eq!(message(body.clone()), format!("Payload validation error: {expected}"), "{body}");
        }
    }

    #[test]
    fn the_first_problem_is_the_outermost_and_then_the_first_in_the_body() {
        assert_eq!(
            message(json!({ "take": 0 })),
            "Payload validation error: 'Missing required property: connection'."
        );
        assert_eq!(
            message(json!({ "connection": "c", "groups": [{ "email": "" }], "take": 0 })),
            "Payload validation error: 'Object didn't pass validation for format email: ' on property groups[0].email \
             (Google Workspace Directory group email)."
        );
        assert_eq!(
            message(json!({ "take": 0, "connection": "c", "groups": [{ "email": "" }] })),
            "Payload validation error: 'Value 0 is less than minimum 1' on property take."
        );
    }
}
