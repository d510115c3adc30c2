//! The query and the body of a request: read, checked against the struct's schema, and only then parsed.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use url::form_urlencoded;

use crate::access::Grant;
use crate::errors::Error;
use crate::json;
use crate::validation::{Kind, Strict, Validator};

/// The largest body, in bytes.
pub const LARGEST_BODY: usize = 1024 * 1024;

/// The most parameters a query or a form may have.
const MOST_PARAMETERS: usize = 1000;

/// The query string as `T`. Unknown parameters are refused.
#[derive(Clone, Debug)]
pub struct Query<T>(pub T);

/// The body as `T`: JSON, or a form whose values are read as the schema wants them.
#[derive(Clone, Debug)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned + JsonSchema + 'static, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        let validator = Validator::of::<T>(Strict::AtRoot);
        let query = parts.uri.query().unwrap_or_default();
        let mut params =
            pairs(query.as_bytes(), &validator).map_err(|text| Error::InvalidQuery(text.into()))?;
        // SDKs send every paging parameter on every list, the unused ones empty.
        params.retain(|name, value| !(name == "from" && value == ""));
        parse(&validator, Kind::Query, Value::Object(params)).map(Self)
    }
}

impl<T: DeserializeOwned + JsonSchema + 'static, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Error;

    async fn from_request(request: Request, _: &S) -> Result<Self, Error> {
        let (parts, body) = request.into_parts();
        let validator = Validator::of::<T>(Strict::AsDerived);
        let encoding = Encoding::of(&parts)?;
        let bytes = match Limited::new(body, LARGEST_BODY).collect().await {
            Ok(collected) => collected.to_bytes(),
            Err(error) if is_too_long(&*error) => return Err(Error::BodyTooLarge(LARGEST_BODY)),
            Err(_) => return Err(Error::InvalidBody("The body ended early".into())),
        };
        let value = match encoding {
            _ if bytes.is_empty() => Value::Null,
            Encoding::Json => json::parse(&bytes).map_err(|text| Error::InvalidBody(text.into()))?,
            Encoding::Form => {
                let params = pairs(&bytes, &validator).map_err(|text| Error::InvalidBody(text.into()))?;
                Value::Object(params)
            }
        };
        if let Some(grant) = parts.extensions.get::<Grant>() {
            grant.caller.sent(&value);
        }
        parse(&validator, Kind::Payload, value).map(Self)
    }
}

/// Whether a body ended at a limit: ours, or that of a layer before us, which comes wrapped.
fn is_too_long(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source()).any(|error| error.is::<LengthLimitError>())
}

enum Encoding {
    Json,
    Form,
}

impl Encoding {
    fn of(parts: &Parts) -> Result<Self, Error> {
        let Some(header) = parts.headers.get(CONTENT_TYPE) else { return Ok(Self::Json) };
        let essence = header.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
        if essence.is_empty() || essence.eq_ignore_ascii_case("application/json") {
            Ok(Self::Json)
        } else if essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            Ok(Self::Form)
        } else {
            Err(Error::UnsupportedMediaType)
        }
    }
}

fn parse<T: DeserializeOwned>(validator: &Validator, kind: Kind, value: Value) -> Result<T, Error> {
    let refused = |text: String| match kind {
        Kind::Payload => Error::InvalidBody(text.into()),
        Kind::Query => Error::InvalidQuery(text),
    };
    validator.check(kind, &value).map_err(refused)?;
    serde_json::from_value(value).map_err(|error| {
        tracing::error!(%error, "a value passed its schema and not its type");
        refused(format!("{kind:?} validation error."))
    })
}

/// The parameters of a query or a form, each as the schema's property of that name wants it.
fn pairs(text: &[u8], validator: &Validator) -> Result<Map<String, Value>, &'static str> {
    let properties = validator.schema().get("properties");
    let mut params = Map::new();
    for (count, (name, value)) in form_urlencoded::parse(text).enumerate() {
        if count == MOST_PARAMETERS {
            return Err("Too many parameters");
        }
        if name.contains('\0') || value.contains('\0') {
            return Err("A parameter holds a NUL");
        }
        let schema = properties.and_then(|properties| properties.get(&*name));
        let wanted = schema.and_then(|schema| schema.get("type"));
        let repeatable = wants(wanted, "array");
        let value = if repeatable { Value::from(value) } else { typed(wanted, &value) };
        match params.get_mut(&*name) {
            Some(Value::Array(values)) => values.push(value),
            Some(earlier) => *earlier = Value::Array(vec![earlier.take(), value]),
            None => {
                let value = if repeatable { Value::Array(vec![value]) } else { value };
                params.insert(name.into_owned(), value);
            }
        }
    }
    Ok(params)
}

fn wants(schema_type: Option<&Value>, name: &str) -> bool {
    match schema_type {
        Some(Value::String(one)) => one == name,
        Some(Value::Array(several)) => several.iter().any(|one| one == name),
        _ => false,
    }
}

/// A text as the type that the schema wants; as it is, when it does not look like that type, for validation to refuse.
fn typed(schema_type: Option<&Value>, text: &str) -> Value {
    let read = match text {
        "true" | "false" if wants(schema_type, "boolean") => Some(Value::Bool(text == "true")),
        _ if wants(schema_type, "integer") => text.parse::<i64>().ok().map(Value::from),
        _ if wants(schema_type, "object") => json::parse(text.as_bytes()).ok(),
        _ => None,
    };
    read.unwrap_or_else(|| text.into())
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    /// A query.
    #[derive(Debug, Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "read through Debug")]
    struct Find {
        #[schemars(range(min = 0))]
        page: Option<u32>,
        include_totals: Option<bool>,
        strategy: Option<Vec<String>>,
        q: Option<String>,
    }

    fn query(text: &str) -> Result<String, String> {
        let validator = Validator::of::<Find>(Strict::AtRoot);
        let params = pairs(text.as_bytes(), &validator)?;
        parse::<Find>(&validator, Kind::Query, params.into())
            .map(|find| format!("{find:?}"))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn parameters_are_read_as_the_schema_wants_them() {
        assert_eq!(
            query("page=2&include_totals=true&strategy=auth0&strategy=oidc&q=5").unwrap(),
            r#"Find { page: Some(2), include_totals: Some(true), strategy: Some(["auth0", "oidc"]), q: Some("5") }"#
        );
        assert_eq!(
            query("strategy=auth0").unwrap(),
            r#"Find { page: None, include_totals: None, strategy: Some(["auth0"]), q: None }"#
        );
    }

    #[test]
    fn unknown_repeated_and_mistyped_parameters_are_refused() {
        for (text, expected) in [
            ("foo=1", "Query validation error: 'Additional properties not allowed: foo'."),
            (
                "page=abc",
                "Query validation error: 'Expected type integer but found type string' on property page.",
            ),
            ("page=-1", "Query validation error: 'Value -1 is less than minimum 0' on property page."),
            ("q=1&q=2", "Query validation error: 'Expected type string but found type array' on property q."),
            (
                "include_totals=yes",
                "Query validation error: 'Expected type boolean but found type string' on property include_totals.",
            ),
            ("q=%00", "A parameter holds a NUL"),
        ] {
            assert_eq!(query(text).unwrap_err(), expected, "{text}");
        }
        assert!(query(&"q=1&".repeat(1001)).is_err());
    }

    #[test]
    fn a_form_may_hold_an_object_as_json() {
        assert_eq!(typed(Some(&json!("object")), r#"{"a":1}"#), json!({ "a": 1 }));
        assert_eq!(typed(Some(&json!(["object", "null"])), "x"), json!("x"));
        assert_eq!(typed(None, "5"), json!("5"));
    }
}
