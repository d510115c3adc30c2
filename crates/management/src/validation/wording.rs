//! The library's errors in the words of the z-schema validator, which is what the published messages quote
//! (management contract §2.4).

use std::cmp::Ordering;

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind as Problem};
use jsonschema::paths::LocationSegment;
use serde_json::Value;

/// Which part of the request a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The body.
    Payload,
    /// The query string.
    Query,
}

/// A key of the root schema: what to add after the names of properties that are not allowed.
pub const ADDITIONAL_PROPERTIES_HINT: &str = "x-additional-properties-hint";

/// The longest piece of the caller's own value that a message quotes.
const LONGEST_QUOTE: usize = 255;

/// The message for the problem that z-schema would have met first: outer before inner, then in the order of the instance.
pub fn first(kind: Kind, errors: Vec<ValidationError<'_>>, schema: &Value, instance: &Value) -> String {
    let first = errors.iter().min_by(|a, b| order(a, b, instance));
    first.map_or_else(
        || format!("{} validation error.", kind.name()),
        |error| message(kind, error, schema, ""),
    )
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Payload => "Payload",
            Self::Query => "Query",
        }
    }
}

/// `<Kind> validation error: '<problem>' on property <path> (<description>).`
fn message(kind: Kind, error: &ValidationError<'_>, schema: &Value, within: &str) -> String {
    let schema_path = format!("{within}{}", error.schema_path().as_str());
    let owner = schema_path.rsplit_once('/').map_or("", |(owner, _)| owner);
    let described = schema.pointer(owner);
    let mut text = format!("{} validation error: '{}'", kind.name(), problem(error, described));
    let property = property_path(error);
    if !property.is_empty() {
        text.push_str(" on property ");
        text.push_str(&property);
        // Only properties are described: what says what an item is stands in our own words.
        let description = described.filter(|_| owner.rsplit('/').nth(1) == Some("properties"));
        if let Some(description) = description.and_then(|schema| schema.get("description")?.as_str()) {
            text.push_str(&format!(" ({description})"));
        }
    }
    text.push('.');
    if let Problem::AnyOf { context } | Problem::OneOfNotValid { context } = error.kind() {
        let inner: Vec<_> = context
            .iter()
            .filter_map(|branch| branch.first())
            .map(|error| message(kind, error, schema, ""))
            .collect();
        text.push_str(&format!(" Inner errors: [ {} ].", inner.join(" (also) ")));
    }
    text
}

/// The problem itself, without where it is.
fn problem(error: &ValidationError<'_>, schema: Option<&Value>) -> String {
    let instance = error.instance();
    let quoted = || quote(instance);
    let length = || instance.as_str().map_or(0, |text| text.chars().count());
    let items = || instance.as_array().map_or(0, Vec::len);
    let properties = || instance.as_object().map_or(0, serde_json::Map::len);
    match error.kind() {
        Problem::Type { kind } => {
            format!("Expected type {} but found type {}", expected_types(kind, schema), type_of(instance))
        }
        Problem::Required { property } => {
            format!("Missing required property: {}", property.as_str().unwrap_or_default())
        }
        Problem::AdditionalProperties { unexpected } => {
            let hint = schema
                .and_then(|schema| schema.get(ADDITIONAL_PROPERTIES_HINT)?.as_str())
                .unwrap_or_default();
            format!("Additional properties not allowed: {}{hint}", clip(&unexpected.join(",")))
        }
        Problem::Format { format } => {
            format!("Object didn't pass validation for format {format}: {}", quoted())
        }
        Problem::Enum { .. } | Problem::Constant { .. } => format!("No enum match for: {}", quoted()),
        Problem::Pattern { pattern } => format!("String does not match pattern {pattern}: {}", quoted()),
        Problem::MinLength { limit } => {
            format!("String is too short ({} chars), minimum {limit}", length())
        }
        Problem::MaxLength { limit } => format!("String is too long ({} chars), maximum {limit}", length()),
        Problem::Minimum { limit } => format!("Value {} is less than minimum {}", quoted(), number(limit)),
        Problem::Maximum { limit } => format!("Value {} is greater than maximum {}", quoted(), number(limit)),
        Problem::MinItems { limit } => format!("Array is too short ({}), minimum {limit}", items()),
        Problem::MaxItems { limit } => format!("Array is too long ({}), maximum {limit}", items()),
        Problem::MinProperties { limit } => {
            format!("Too few properties defined ({}), minimum {limit}", properties())
        }
        Problem::MaxProperties { limit } => {
            format!("Too many properties defined ({}), maximum {limit}", properties())
        }
        Problem::UniqueItems => {
            let (a, b) = twins(instance);
            format!("Array items are not unique (indexes {a} and {b})")
        }
        Problem::AnyOf { .. } | Problem::OneOfNotValid { .. } => "None of the valid schemas were met".into(),
        Problem::OneOfMultipleValid { .. } => {
            "Data is valid against more than one schema from 'oneOf'".into()
        }
        _ => "Data does not match the schema".into(),
    }
}

/// The types the schema names, in its order.
fn expected_types(kind: &TypeKind, schema: Option<&Value>) -> String {
    match schema.and_then(|schema| schema.get("type")) {
        Some(Value::String(one)) => one.clone(),
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","),
        _ => match kind {
            TypeKind::Single(one) => one.to_string(),
            TypeKind::Multiple(_) => "value".into(),
        },
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.as_f64().is_some_and(|value| value.fract() == 0.0) => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// A value as JavaScript would print it into a message, cut short.
fn quote(value: &Value) -> String {
    match value {
        Value::String(text) => clip(text),
        other => clip(&other.to_string()),
    }
}

fn clip(text: &str) -> String {
    text.chars().take(LONGEST_QUOTE).collect()
}

/// A limit without the `.0` that a derived schema may carry.
fn number(limit: &Value) -> String {
    match limit.as_f64() {
        Some(value) if value.fract() == 0.0 && value.abs() < 1e15 => format!("{value:.0}"),
        _ => limit.to_string(),
    }
}

/// The first two equal items.
fn twins(array: &Value) -> (usize, usize) {
    let items = array.as_array().map_or(&[][..], Vec::as_slice);
    for (second, item) in items.iter().enumerate().take(1000) {
        if let Some(first) = items[..second].iter().position(|earlier| earlier == item) {
            return (first, second);
        }
    }
    (0, 0)
}

/// `groups[0].email`; empty at the root.
fn property_path(error: &ValidationError<'_>) -> String {
    let mut path = String::new();
    for segment in error.instance_path() {
        match segment {
            LocationSegment::Property(name) => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(&name);
            }
            LocationSegment::Index(index) => path.push_str(&format!("[{index}]")),
        }
    }
    path
}

/// Outer before inner, earlier in the instance before later, and in one place the type before the rest.
fn order(a: &ValidationError<'_>, b: &ValidationError<'_>, instance: &Value) -> Ordering {
    place(a, instance).cmp(&place(b, instance)).then_with(|| rank(a.kind()).cmp(&rank(b.kind())))
}

/// Where the error is, as positions among siblings from the root down.
fn place(error: &ValidationError<'_>, instance: &Value) -> Vec<usize> {
    let mut here = Some(instance);
    let mut place = Vec::new();
    for segment in error.instance_path() {
        let (position, next) = match (segment, here) {
            (LocationSegment::Property(name), Some(Value::Object(map))) => {
                (map.keys().position(|key| *key == *name).unwrap_or(usize::MAX), map.get(&*name))
            }
            (LocationSegment::Index(index), Some(Value::Array(items))) => (index, items.get(index)),
            _ => (usize::MAX, None),
        };
        place.push(position);
        here = next;
    }
    place
}

fn rank(problem: &Problem) -> u8 {
    match problem {
        Problem::Type { .. } => 0,
        Problem::Required { .. } => 1,
        Problem::AdditionalProperties { .. } => 2,
        _ => 3,
    }
}
