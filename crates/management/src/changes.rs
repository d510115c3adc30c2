//! What a PATCH says of one property: nothing, `null`, or a value.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer};
use serde_json::json;

use crate::validation::NULLABLE;

/// A property of a PATCH that may be absent, `null` or set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Change<T> {
    /// The property is absent: it stays as it is.
    #[default]
    Keep,
    /// The property is `null`: it is unset.
    Unset,
    /// The property has a new value.
    Set(T),
}

impl<T> Change<T> {
    /// Whether the property is there.
    pub fn is_named(&self) -> bool {
        !matches!(self, Self::Keep)
    }

    /// The new value, if there is one.
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Set(value) => Some(value),
            Self::Keep | Self::Unset => None,
        }
    }
}

impl<T: Clone> Change<T> {
    /// Does to `target` what the PATCH says.
    pub fn apply(&self, target: &mut Option<T>) {
        match self {
            Self::Keep => {}
            Self::Unset => *target = None,
            Self::Set(value) => *target = Some(value.clone()),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Change<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Unset, Self::Set))
    }
}

impl<T: JsonSchema> JsonSchema for Change<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Change_of_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = generator.subschema_for::<Option<T>>();
        schema.insert(NULLABLE.into(), json!(true));
        schema
    }
}
