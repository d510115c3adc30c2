//! Bodies of configuration objects. They are checked against a struct's schema and kept as they came: in a document an
//! absent key, a `null` and a value mean three things, and settings that only tools know pass through.

use std::borrow::Cow;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::errors::Error;

/// The keys of a body that fits the schema of `T`.
#[derive(Clone, Debug)]
pub struct Document<T> {
    /// As they were sent.
    pub keys: Map<String, Value>,
    shape: PhantomData<fn() -> T>,
}

impl<T> Document<T> {
    /// The value of a key, unless it is absent or `null`.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.keys.get(key).filter(|value| !value.is_null())
    }

    /// The text of a key.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.get(key)?.as_str()
    }

    /// The texts of a key that holds a list of them.
    pub fn texts(&self, key: &str) -> Option<Vec<&str>> {
        Some(self.get(key)?.as_array()?.iter().filter_map(Value::as_str).collect())
    }
}

impl<'de, T> Deserialize<'de> for Document<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self { keys: Map::deserialize(deserializer)?, shape: PhantomData })
    }
}

impl<T: JsonSchema> JsonSchema for Document<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// The schema of a PATCH body made from that of the POST body: nothing is required, and these keys may be `null` too.
pub fn patch_schema(mut schema: Schema, nullable: &[&str]) -> Schema {
    schema.remove("required");
    schema.insert("minProperties".into(), 1.into());
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    for (name, property) in properties.into_iter().flatten() {
        if nullable.contains(&name.as_str()) {
            allow_null(property);
        }
    }
    schema
}

/// Lets a property be `null`.
fn allow_null(property: &mut Value) {
    let Some(property) = property.as_object_mut() else { return };
    property.insert(crate::validation::NULLABLE.into(), true.into());
    match property.get_mut("type") {
        Some(Value::Array(types)) if !types.contains(&"null".into()) => types.push("null".into()),
        Some(one @ Value::String(_)) => *one = Value::Array(vec![one.take(), "null".into()]),
        _ => {}
    }
    if let Some(Value::Array(options)) = property.get_mut("enum")
        && !options.contains(&Value::Null)
    {
        options.push(Value::Null);
    }
}

/// A body that fits its schema and yet not the object.
pub fn unfit(error: serde_json::Error) -> Error {
    Error::InvalidBody(format!("Payload validation error: '{error}'.").into())
}
