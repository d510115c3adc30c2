//! What the recorded tenant called things, and what ours calls them.

use std::collections::HashMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::exchange::Exchange;

/// The name that stands for every recorded tenant.
pub const TENANT: &str = "example-tenant";

/// All but what RFC 3986 §2.3 leaves unreserved.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Recorded ids and ours, and the host.
pub struct Names {
    host: String,
    ours: HashMap<String, String>,
}

impl Names {
    /// For a tenant at `host`.
    pub fn new(host: &str) -> Self {
        Self { host: host.to_owned(), ours: HashMap::new() }
    }

    /// What the recorded id is called here, once it has been seen.
    pub fn known(&self, recorded: &str) -> Option<&str> {
        self.ours.get(recorded).map(String::as_str)
    }

    /// From now on `recorded` is `ours`.
    pub fn bind(&mut self, recorded: &str, ours: &str) {
        self.ours.insert(recorded.to_owned(), ours.to_owned());
    }

    /// A recorded text as it would stand here: a known id, else with our host in place of the recorded one.
    pub fn text(&self, recorded: &str) -> String {
        match self.known(recorded) {
            Some(ours) => ours.to_owned(),
            None => self.with_host(recorded),
        }
    }

    fn with_host(&self, recorded: &str) -> String {
        let Some(start) = recorded.find(&format!("{TENANT}.")) else { return recorded.to_owned() };
        let rest = &recorded[start..];
        let host = rest.split(['/', ':', ' ', '"']).next().unwrap_or_default();
        if !host.ends_with(".auth0.com") {
            return recorded.to_owned();
        }
        format!("{}{}{}", &recorded[..start], self.host, self.with_host(&rest[host.len()..]))
    }

    /// A recorded value as it would stand here.
    pub fn value(&self, recorded: &Value) -> Value {
        match recorded {
            Value::String(text) => self.text(text).into(),
            Value::Array(items) => items.iter().map(|item| self.value(item)).collect(),
            Value::Object(fields) => {
                fields.iter().map(|(key, value)| (key.clone(), self.value(value))).collect()
            }
            other => other.clone(),
        }
    }

    /// The path and query of a request to us.
    pub fn path(&self, exchange: &Exchange) -> String {
        let mut path = "/api/v2".to_owned();
        for segment in exchange.segments() {
            path.push('/');
            path.extend(utf8_percent_encode(&self.text(&segment), SEGMENT));
        }
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (key, value) in exchange.query() {
            query.append_pair(&key, &self.text(&value));
        }
        let query = query.finish();
        if query.is_empty() { path } else { format!("{path}?{query}") }
    }
}
