//! Stored documents: how a configuration struct becomes its `doc` column, comes back, and takes a PATCH.

use db::Value;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json};

use crate::Model;

/// The struct as a JSON object: its wire names, absent values left out.
pub fn object<T: Serialize>(value: &T) -> Map<String, Json> {
    match serde_json::to_value(value) {
        Ok(Json::Object(object)) => object,
        other => unreachable!("a configuration struct serialises to an object, not {other:?}"),
    }
}

/// The `doc` column of a struct, without the keys that have columns or tables of their own.
pub fn column<T: Serialize>(value: &T, elsewhere: &[&str]) -> Value {
    let mut object = object(value);
    object.retain(|key, _| !elsewhere.contains(&key.as_str()));
    Value::from(object)
}

/// The struct that a `doc` column holds.
pub fn parse<T: DeserializeOwned>(doc: Map<String, Json>) -> Result<T, db::Error> {
    serde_json::from_value(Json::Object(doc))
        .map_err(|error| db::Error::Failed(format!("a stored document does not parse: {error}")))
}

/// The text that was sealed into a column. What does not open is a damaged row or the wrong master key.
pub fn unseal(app: &Model, context: &str, sealed: &[u8]) -> Result<String, db::Error> {
    let plain = app
        .seal
        .open(context, sealed)
        .map_err(|_| db::Error::Failed(format!("{context} does not open with the master key")))?;
    String::from_utf8(plain.to_vec()).map_err(|_| db::Error::Failed(format!("{context} holds no text")))
}

/// The struct after a PATCH: named keys are replaced whole and `null` unsets (management contract §4.1).
///
/// The error says which value does not fit its field.
pub fn patch<T: Serialize + DeserializeOwned>(
    current: &T,
    patch: &Map<String, Json>,
) -> Result<T, serde_json::Error> {
    let mut doc = object(current);
    for (key, value) in patch {
        if value.is_null() {
            doc.shift_remove(key);
        } else {
            doc.insert(key.clone(), value.clone());
        }
    }
    serde_json::from_value(Json::Object(doc))
}

/// `value` without what lies deeper than `most` levels: what is put into another document is read again as a whole, and the reader
/// takes no more than some levels.
pub fn shallow(value: &Json, most: usize) -> Json {
    match value {
        Json::Object(_) | Json::Array(_) if most == 0 => Json::Null,
        Json::Object(object) => {
            object.iter().map(|(key, value)| (key.clone(), shallow(value, most - 1))).collect()
        }
        Json::Array(items) => items.iter().map(|item| shallow(item, most - 1)).collect(),
        plain => plain.clone(),
    }
}

/// The most levels that may be kept of what a stranger sent: it lies some levels deep in a document, which is read again as a whole.
pub const DEEPEST: usize = 64;

/// Whether nothing in `value` lies deeper than `most` levels.
pub fn is_shallow(value: &Json, most: usize) -> bool {
    match value {
        Json::Object(object) => most > 0 && object.values().all(|value| is_shallow(value, most - 1)),
        Json::Array(items) => most > 0 && items.iter().all(|item| is_shallow(item, most - 1)),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde_json::json;

    #[derive(Serialize, Deserialize)]
    struct Sample {
        name: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        options: Option<Json>,
        #[serde(flatten)]
        other: Map<String, Json>,
    }

    fn patched(change: Json) -> Json {
        let sample: Sample = serde_json::from_value(json!({
            "name": "a", "options": { "one": 1, "two": 2 }, "unknown": [1]
        }))
        .unwrap();
        json!(patch(&sample, change.as_object().unwrap()).unwrap())
    }

    #[test]
    fn a_patch_replaces_whole_values() {
        let after = patched(json!({ "options": { "three": 3 } }));
        assert_eq!(after, json!({ "name": "a", "options": { "three": 3 }, "unknown": [1] }));
    }

    #[test]
    fn null_unsets() {
        let after = patched(json!({ "options": null, "unknown": null }));
        assert_eq!(after, json!({ "name": "a" }));
    }
}
