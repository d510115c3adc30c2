//! `/dbconnections/…`: sign-up and forgotten passwords for apps with pages of their own (authentication contract §8.1, §8.2).

pub mod change_password;
pub mod signup;

use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::{Map, Value, json};

use crate::errors::no_store_json;
use crate::params::Params;

/// The parameters of a body: a JSON object, or a form. What is too large or no text of its kind is `None`.
fn read(headers: &HeaderMap, body: &[u8]) -> Option<Map<String, Value>> {
    Params::parse_object(headers, body).ok()
}

/// A parameter that is a text, without blanks around it; absent where it is empty.
fn text<'a>(body: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    body.get(name)?.as_str().map(str::trim).filter(|text| !text.is_empty() && !text.contains('\0'))
}

/// 400 `{"error": …}`.
fn refused(error: &str) -> Response {
    no_store_json(StatusCode::BAD_REQUEST, &json!({ "error": error }))
}
