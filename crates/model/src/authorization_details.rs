//! What a request asks for in detail (RFC 9396): objects, each of a type that the API knows.

use db::Value;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use crate::document;
use crate::resource_servers::ResourceServer;

/// The most that one request asks for.
const MOST: usize = 20;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuthorizationDetails {
    /// Each has a `type`.
    details: Vec<Map<String, Json>>,
}

/// A parameter that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("authorization_details must be a JSON array of objects with a type each")]
pub struct Malformed;

impl AuthorizationDetails {
    /// Reads the parameter (§2).
    ///
    /// # Errors
    /// When it is no such list, or an empty or too long one.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let details: Vec<Map<String, Json>> = serde_json::from_str(text).map_err(|_| Malformed)?;
        let typed = |detail: &Map<String, Json>| {
            detail.get("type").and_then(Json::as_str).is_some_and(|kind| !kind.is_empty())
        };
        // A NUL is in no column.
        let storable = !text.contains("\\u0000");
        let shallow = |detail: &Map<String, Json>| {
            detail.values().all(|value| document::is_shallow(value, document::DEEPEST))
        };
        ((1..=MOST).contains(&details.len())
            && details.iter().all(typed)
            && details.iter().all(shallow)
            && storable)
            .then_some(Self { details })
            .ok_or(Malformed)
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Map<String, Json>> {
        self.details.iter()
    }

    /// The type of each.
    pub fn types(&self) -> impl Iterator<Item = &str> {
        self.details.iter().filter_map(|detail| detail.get("type")?.as_str())
    }

    /// As they stand in tokens and answers (§7, §9.1).
    pub fn to_wire(&self) -> Json {
        self.details.iter().cloned().map(Json::Object).collect()
    }

    /// As a column holds them.
    pub(crate) fn to_column(details: Option<&Self>) -> Value {
        match details {
            Some(details) => document::column(details, &[]),
            None => Value::from(None::<Map<String, Json>>),
        }
    }

    /// From such a column.
    pub(crate) fn from_column(column: Option<Map<String, Json>>) -> Result<Option<Self>, db::Error> {
        column.map(document::parse).transpose()
    }
}

impl ResourceServer {
    /// Whether the API knows this type of details.
    pub fn knows_details_of(&self, kind: &str) -> bool {
        let known = self.other.get("authorization_details").and_then(Json::as_array);
        known.into_iter().flatten().any(|known| known.get("type").is_some_and(|known| known == kind))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn details_are_objects_with_a_type_each() {
        let text = r#"[{"type":"payment","amount":{"value":"1.00"}},{"type":"account"}]"#;
        let details = AuthorizationDetails::parse(text).unwrap();
        assert_eq!(details.types().collect::<Vec<_>>(), ["payment", "account"]);
        assert_eq!(details.to_wire().to_string(), text);
        let stored: AuthorizationDetails = document::parse(document::object(&details)).unwrap();
        assert_eq!(stored, details);
        let many = json!(vec![json!({ "type": "a" }); MOST + 1]).to_string();
        for bad in [
            "",
            "{}",
            "[]",
            "[1]",
            "[{}]",
            r#"[{"type":1}]"#,
            r#"[{"type":""}]"#,
            r#"{"type":"a"}"#,
            r#"[{"type":"a\u0000"}]"#,
            &many,
        ] {
            assert_eq!(AuthorizationDetails::parse(bad), Err(Malformed), "{bad}");
        }
    }
}
