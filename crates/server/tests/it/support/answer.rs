//! A whole answer.

use std::collections::BTreeMap;

use axum::body::to_bytes;
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::Value;

/// Status, headers and body of an answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What was asked for, without its query.
    pub path: String,
    pub status: u16,
    pub headers: HeaderMap,
    /// Parsed if it is JSON, else `Null`.
    pub body: Value,
    /// As it came.
    pub text: String,
    /// The same, where it is no text.
    pub bytes: Vec<u8>,
}

impl Answer {
    /// Reads the response to a request for `path` to its end.
    pub async fn read(path: &str, response: Response) -> Self {
        let path = path.split('?').next().unwrap_or_default().to_owned();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.expect("an answer in memory is read whole");
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let body = serde_json::from_slice(&bytes).unwrap_or_default();
        Self {
            path,
            status: parts.status.as_u16(),
            headers: parts.headers,
            body,
            text,
            bytes: bytes.to_vec(),
        }
    }

    /// A header as text; empty when it is absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("it is text"))
    }

    /// Whether the header is there.
    pub fn has(&self, name: &str) -> bool {
        self.headers.contains_key(name)
    }

    /// The value of a cookie that this answer sets.
    pub fn cookie(&self, name: &str) -> Option<String> {
        self.headers.get_all("set-cookie").iter().find_map(|line| {
            let (key, rest) = line.to_str().ok()?.split_once('=')?;
            (key == name).then(|| rest.split(';').next().unwrap_or_default().to_owned())
        })
    }

    /// Where it redirects to.
    pub fn location(&self) -> &str {
        self.header("location")
    }

    /// The parameters that this answer hands to the client at its redirect URI: of the fragment, else of the query.
    pub fn returned(&self) -> BTreeMap<String, String> {
        let location = self.location();
        let (before, fragment) = location.split_once('#').unwrap_or((location, ""));
        let query = before.split_once('?').map_or("", |(_, query)| query);
        let encoded = if fragment.is_empty() { query } else { fragment };
        url::form_urlencoded::parse(encoded.as_bytes()).into_owned().collect()
    }

    /// One parameter of [`returned`](Self::returned); empty when it is absent.
    pub fn param(&self, name: &str) -> String {
        self.returned().remove(name).unwrap_or_default()
    }
}
