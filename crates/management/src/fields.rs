//! `fields` and `include_fields`: which parts of an answer the caller wants (management contract §1.3).

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

/// The two query parameters; flattened into the query of every operation that has them.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
pub struct Fields {
    /// Comma-separated list of fields to include or exclude (based on value provided for include_fields) in the result. Leave empty to retrieve all fields.
    pub fields: Option<String>,
    /// Whether specified fields are to be included (true) or excluded (false).
    pub include_fields: Option<bool>,
}

/// A dotted name with more parts than this names nothing.
const DEEPEST: usize = 16;

/// Names by their first part; a dotted name goes on inside, a plain one means the whole.
#[derive(Debug, Default)]
struct Names<'a>(HashMap<&'a str, Option<Names<'a>>>);

impl Fields {
    /// The answer with only the listed fields, or without them. Unknown names are ignored: it never holds more than the whole.
    pub fn of(&self, whole: Map<String, Value>) -> Map<String, Value> {
        let mut picked = whole;
        self.pick(&mut picked);
        picked
    }

    /// [`Self::of`], with these keys whatever is listed.
    pub fn of_with(&self, always: &[&str], whole: Map<String, Value>) -> Map<String, Value> {
        let kept = always.iter().filter_map(|key| Some(((*key).to_owned(), whole.get(*key)?.clone())));
        let mut picked: Map<_, _> = kept.collect();
        picked.append(&mut self.of(whole));
        picked
    }

    /// [`Self::of`] for each item of a list.
    pub fn of_each(&self, items: Vec<Map<String, Value>>) -> Vec<Map<String, Value>> {
        items.into_iter().map(|item| self.of(item)).collect()
    }

    fn pick(&self, map: &mut Map<String, Value>) {
        let Some(list) = self.fields.as_deref().filter(|list| !list.is_empty()) else { return };
        let mut names = Names::default();
        for name in list.split(',').map(str::trim).filter(|name| name.split('.').count() <= DEEPEST) {
            names.add(name);
        }
        if self.include_fields.unwrap_or(true) { names.keep(map) } else { names.drop(map) }
    }
}

impl<'a> Names<'a> {
    /// Adds a name. A name inside a whole that is listed already adds nothing.
    fn add(&mut self, name: &'a str) {
        let (mut here, mut rest) = (self, name);
        loop {
            let Some((first, inner)) = rest.split_once('.') else {
                here.0.insert(rest, None);
                return;
            };
            match here.0.entry(first).or_insert_with(|| Some(Names::default())) {
                Some(next) => (here, rest) = (next, inner),
                None => return,
            }
        }
    }

    fn keep(&self, map: &mut Map<String, Value>) {
        map.retain(|key, value| match (self.0.get(key.as_str()), value) {
            (None, _) => false,
            (Some(None), _) => true,
            (Some(Some(inner)), Value::Object(inside)) => {
                inner.keep(inside);
                !inside.is_empty()
            }
            (Some(Some(_)), _) => false,
        });
    }

    fn drop(&self, map: &mut Map<String, Value>) {
        map.retain(|key, value| match (self.0.get(key.as_str()), value) {
            (None, _) => true,
            (Some(None), _) => false,
            (Some(Some(inner)), Value::Object(inside)) => {
                inner.drop(inside);
                true
            }
            (Some(Some(_)), _) => true,
        });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pick(fields: &str, include: Option<bool>) -> Value {
        let whole = json!({ "user_id": "auth0|a", "email": "a@b.co", "user_metadata": { "color": "teal", "size": { "x": 1 } } });
        let Value::Object(whole) = whole else { unreachable!() };
        Fields { fields: Some(fields.into()), include_fields: include }.of(whole).into()
    }

    #[test]
    fn listed_fields_are_kept_in_the_order_of_the_answer() {
        assert_eq!(pick("email,user_id", None).to_string(), r#"{"user_id":"auth0|a","email":"a@b.co"}"#);
        assert_eq!(pick("", None).as_object().unwrap().len(), 3);
    }

    #[test]
    fn listed_fields_are_left_out_when_asked() {
        assert_eq!(pick("user_metadata,email", Some(false)), json!({ "user_id": "auth0|a" }));
    }

    #[test]
    fn some_keys_are_there_whatever_is_listed() {
        let whole = || json!({ "id": "1", "name": "a", "size": 2 }).as_object().cloned().unwrap();
        let fields = Fields { fields: Some("name".into()), include_fields: None };
        assert_eq!(Value::from(fields.of_with(&["id", "none"], whole())), json!({ "id": "1", "name": "a" }));
        assert_eq!(Fields::default().of_with(&["id"], whole()), whole());
    }

    #[test]
    fn a_dotted_name_reaches_inside() {
        assert_eq!(pick("user_metadata.color", None), json!({ "user_metadata": { "color": "teal" } }));
        assert_eq!(
            pick("user_metadata.size.x", Some(false))["user_metadata"],
            json!({ "color": "teal", "size": {} })
        );
        assert_eq!(
            pick("user_metadata,user_metadata.color", None)["user_metadata"]["size"],
            json!({ "x": 1 })
        );
    }

    #[test]
    fn unknown_and_secret_names_add_nothing() {
        assert_eq!(pick("password,email.x,user_id.y,nothing", None), json!({}));
        assert_eq!(pick(&".".repeat(10_000), None), json!({}));
        assert_eq!(pick(&"a,".repeat(10_000), None), json!({}));
    }
}
