//! `user_metadata` and `app_metadata`: how a patch merges (management contract §1.4) and which keys are refused.

use serde_json::{Map, Value};

/// Keys that `app_metadata` may not hold, since they once were root attributes.
pub const FORBIDDEN_APP_METADATA: [&str; 18] = [
    "__tenant",
    "_id",
    "blocked",
    "clientID",
    "created_at",
    "email_verified",
    "email",
    "globalClientID",
    "global_client_id",
    "identities",
    "lastIP",
    "lastLogin",
    "loginsCount",
    "metadata",
    "multifactor_last_modified",
    "multifactor",
    "updated_at",
    "user_id",
];

/// The largest `user_metadata` or `app_metadata`, in bytes of JSON.
pub const MOST_METADATA: usize = 1024 * 1024;

/// The most values in it, however deep, which are as many as one body may bring: short ones take far more memory than their text.
pub const MOST_VALUES: usize = 100_000;

/// Why metadata is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// A key holds `.` or `$`, which search paths could not tell apart.
    #[error("Invalid property name {0}: names may not contain '.' or '$'")]
    Name(String),
    /// `app_metadata` may not hold this key.
    #[error("app_metadata may not contain the property {0}")]
    Forbidden(String),
    /// A key or a text holds U+0000, which no database stores.
    #[error("metadata may not contain the character U+0000")]
    Nul,
    /// The whole object is larger than [`MOST_METADATA`].
    #[error("metadata may not be larger than {MOST_METADATA} bytes")]
    TooLarge,
    /// The whole object has more values than [`MOST_VALUES`].
    #[error("metadata may not have more than {MOST_VALUES} values")]
    TooMany,
}

/// Merges `patch` into `old`: each key of the patch replaces that key whole, `null` removes it, and `{}` empties the object.
pub fn merge_metadata(
    old: Option<Map<String, Value>>,
    patch: Map<String, Value>,
) -> Option<Map<String, Value>> {
    if patch.is_empty() {
        return Some(Map::new());
    }
    let mut merged = old.unwrap_or_default();
    // In one walk: taking keys out one by one would move all the others each time.
    merged.retain(|key, _| !patch.get(key).is_some_and(Value::is_null));
    merged.extend(patch.into_iter().filter(|(_, value)| !value.is_null()));
    Some(merged)
}

/// Whether merged metadata may be kept: a limited request could otherwise be repeated until it is of any size.
pub fn check_metadata_size(metadata: &Map<String, Value>) -> Result<(), MetadataError> {
    let bytes = serde_json::to_vec(metadata).map_or(usize::MAX, |text| text.len());
    if bytes > MOST_METADATA {
        return Err(MetadataError::TooLarge);
    }
    if Extent::of(metadata).values > MOST_VALUES { Err(MetadataError::TooMany) } else { Ok(()) }
}

/// What an object holds, however deep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Extent {
    pub values: usize,
    /// Of texts and names.
    pub bytes: usize,
}

impl Extent {
    pub fn of(object: &Map<String, Value>) -> Self {
        let mut extent = Self::default();
        extent.add_members(object);
        extent
    }

    fn add_members(&mut self, object: &Map<String, Value>) {
        self.values += object.len();
        for (name, value) in object {
            self.bytes += name.len();
            self.add(value);
        }
    }

    fn add(&mut self, value: &Value) {
        match value {
            Value::Object(object) => self.add_members(object),
            Value::Array(items) => {
                self.values += items.len();
                items.iter().for_each(|item| self.add(item));
            }
            Value::String(text) => self.bytes += text.len(),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

/// Whether `metadata` may be written to `user_metadata`.
pub fn check_user_metadata(metadata: &Map<String, Value>) -> Result<(), MetadataError> {
    match metadata.keys().find(|key| key.contains(['.', '$'])) {
        Some(key) => Err(MetadataError::Name(key.clone())),
        None if holds_nul(metadata) => Err(MetadataError::Nul),
        None => Ok(()),
    }
}

/// Whether `metadata` may be written to `app_metadata`.
pub fn check_app_metadata(metadata: &Map<String, Value>) -> Result<(), MetadataError> {
    match metadata.keys().find(|key| FORBIDDEN_APP_METADATA.contains(&key.as_str())) {
        Some(key) => Err(MetadataError::Forbidden(key.clone())),
        None => check_user_metadata(metadata),
    }
}

fn holds_nul(object: &Map<String, Value>) -> bool {
    object.iter().any(|(key, value)| key.contains('\0') || value_holds_nul(value))
}

fn value_holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(value_holds_nul),
        Value::Object(object) => holds_nul(object),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    fn merged(old: Value, patch: Value) -> Value {
        let old = (!old.is_null()).then(|| object(old));
        merge_metadata(old, object(patch)).map_or(Value::Null, Value::Object)
    }

    #[test]
    fn a_patch_replaces_first_level_keys_and_null_removes_them() {
        assert_eq!(
            merged(json!({"baz": "qux", "foo": "bar"}), json!({"baz": null, "foo": "bars"})),
            json!({"foo": "bars"})
        );
        assert_eq!(merged(json!(null), json!({"a": 1})), json!({"a": 1}));
        assert_eq!(merged(json!({"a": 1}), json!({"missing": null})), json!({"a": 1}));
    }

    #[test]
    fn nested_objects_are_replaced_whole_and_keep_their_nulls() {
        assert_eq!(
            merged(json!({"theme": {"dark": true, "size": 2}}), json!({"theme": {"dark": null}})),
            json!({"theme": {"dark": null}})
        );
    }

    #[test]
    fn an_empty_patch_empties_the_object() {
        assert_eq!(merged(json!({"a": 1}), json!({})), json!({}));
    }

    #[test]
    fn the_order_of_the_keys_left_is_kept() {
        let text = merged(json!({"c": 1, "b": 2, "a": 3}), json!({"c": null, "d": 4})).to_string();
        assert_eq!(text, r#"{"b":2,"a":3,"d":4}"#);
    }

    /// As many keys as fit into a request's body: a quadratic merge would take minutes.
    #[test]
    fn many_keys_are_removed_at_once() {
        let all = |value: Value| (0..150_000).map(move |key| (key.to_string(), value.clone())).collect();
        let mut old: Map<String, Value> = all(json!(1));
        old.insert("left".into(), json!(1));
        assert_eq!(merge_metadata(Some(old), all(Value::Null)), Some(object(json!({"left": 1}))));
    }

    #[test]
    fn metadata_has_a_largest_size() {
        let of = |length: usize| object(json!({ "a": "x".repeat(length) }));
        assert_eq!(check_metadata_size(&of(MOST_METADATA - 8)), Ok(()));
        assert_eq!(check_metadata_size(&of(MOST_METADATA - 7)), Err(MetadataError::TooLarge));
    }

    #[test]
    fn many_short_values_are_too_many() {
        let of = |count: usize| object(json!({ "a": vec![0; count - 10], "b": { "c": vec!["text"; 7] } }));
        assert_eq!(Extent::of(&of(20)), Extent { values: 20, bytes: 3 + 7 * 4 });
        assert_eq!(check_metadata_size(&of(MOST_VALUES)), Ok(()));
        assert_eq!(check_metadata_size(&of(MOST_VALUES + 1)), Err(MetadataError::TooMany));
    }

    #[test]
    fn names_with_a_dot_or_a_dollar_are_refused() {
        assert_eq!(check_user_metadata(&object(json!({"a.b": 1}))), Err(MetadataError::Name("a.b".into())));
        assert_eq!(
            check_user_metadata(&object(json!({"$where": 1}))),
            Err(MetadataError::Name("$where".into()))
        );
        assert_eq!(check_user_metadata(&object(json!({"__proto__": {"x.y": 1}}))), Ok(()));
    }

    #[test]
    fn app_metadata_refuses_the_names_of_root_attributes() {
        for key in FORBIDDEN_APP_METADATA {
            let metadata = Map::from_iter([(key.to_owned(), Value::Bool(true))]);
            assert_eq!(check_app_metadata(&metadata), Err(MetadataError::Forbidden(key.into())));
            assert_eq!(check_user_metadata(&metadata), Ok(()));
        }
    }

    #[test]
    fn a_nul_is_refused_however_deep() {
        assert_eq!(check_user_metadata(&object(json!({"a": [{"b": "x\0"}]}))), Err(MetadataError::Nul));
        assert_eq!(check_user_metadata(&object(json!({"a": {"b\0": 1}}))), Err(MetadataError::Nul));
    }
}
