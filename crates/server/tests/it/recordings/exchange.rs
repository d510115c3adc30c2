//! The recorded exchanges as they lie in the folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use management::Operation;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::{Map, Value};

/// One request and its answer.
#[derive(Debug, Deserialize)]
pub struct Exchange {
    pub source_test: String,
    pub seq: u32,
    pub method: String,
    /// With the query.
    path: String,
    pub request_body: Value,
    pub status: u16,
    pub response_body: Value,
    pub response_headers: Map<String, Value>,
    /// How often the same request got the same answer in the test; the copies were left out, wherever they were.
    #[serde(default)]
    pub repeats: u32,
    /// Only the status is known.
    #[serde(default)]
    pub response_body_lost: bool,
    /// A person typed ids into it.
    #[serde(default)]
    pub hand_edited: bool,
    /// The recorder read the body into a struct and wrote it again: a missing key proves nothing.
    #[serde(default)]
    pub reencoded: bool,
}

impl Exchange {
    /// The segments of the path below `/api/v2`, decoded.
    pub fn segments(&self) -> Vec<String> {
        let path = self.path.split('?').next().unwrap_or_default();
        let below = path.strip_prefix("/api/v2/").unwrap_or_default();
        below.split('/').map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned()).collect()
    }

    /// The parameters of the query, decoded.
    pub fn query(&self) -> Vec<(String, String)> {
        let query = self.path.split_once('?').map_or("", |(_, query)| query);
        url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
    }

    /// The first segment: `users`, `clients`, …; empty outside the Management API.
    pub fn family(&self) -> String {
        self.segments().swap_remove(0)
    }

    /// What the product calls it, if it is there.
    pub fn operation(&self) -> Option<&'static Operation> {
        let segments = self.segments();
        management::operations().iter().find(|operation| {
            let template: Vec<_> = operation.path.trim_start_matches('/').split('/').collect();
            operation.method == *self.method
                && template.len() == segments.len()
                && template
                    .iter()
                    .zip(&segments)
                    .all(|(part, segment)| part.starts_with('{') || part == segment)
        })
    }

    /// The items of a list, or the object that was answered.
    pub fn objects(&self) -> Vec<&Map<String, Value>> {
        match list(&self.response_body) {
            Some(items) => items.iter().filter_map(Value::as_object).collect(),
            None => self.response_body.as_object().into_iter().collect(),
        }
    }
}

/// The items if this is the body of a list, in whichever of its three styles.
pub fn list(body: &Value) -> Option<&Vec<Value>> {
    const WRAPPER: [&str; 5] = ["start", "limit", "total", "length", "next"];
    match body {
        Value::Array(items) => Some(items),
        Value::Object(wrapper) => {
            let mut others = wrapper.iter().filter(|(key, _)| !WRAPPER.contains(&key.as_str()));
            let (Some((_, Value::Array(items))), None) = (others.next(), others.next()) else { return None };
            Some(items)
        }
        _ => None,
    }
}

/// Where the recordings are, beside the repository.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/reference/recordings")
}

/// The exchanges of each recorded test, in their order.
pub fn read(folder: &Path) -> BTreeMap<String, Vec<Exchange>> {
    let mut tests: BTreeMap<String, Vec<Exchange>> = BTreeMap::new();
    for file in fs::read_dir(folder).expect("the folder is there") {
        let path = file.expect("the folder can be read").path();
        if path.extension().is_none_or(|extension| extension != "jsonl") {
            continue;
        }
        for line in fs::read_to_string(&path).expect("the file can be read").lines() {
            let exchange: Exchange = serde_json::from_str(line).expect("a line is an exchange");
            tests.entry(exchange.source_test.clone()).or_default().push(exchange);
        }
    }
    for exchanges in tests.values_mut() {
        exchanges.sort_by_key(|exchange| exchange.seq);
    }
    tests
}
