//! Values as both engines know them, and rows of them.

use serde_json::Map;

use crate::Error;

/// A parameter or a column. Its kind has to be the column's: an `Int` is never taken for a boolean or a text.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// SQL `NULL`, of any type.
    Null,
    /// `BOOLEAN`.
    Bool(bool),
    /// `BIGINT`.
    Int(i64),
    /// `DOUBLE PRECISION`; always finite.
    Real(f64),
    /// `TEXT`; never holds a NUL.
    Text(String),
    /// `BYTEA`.
    Bytes(Vec<u8>),
    /// `JSON`: the text of an object, kept byte for byte.
    Json(String),
}

impl Value {
    /// The kind, as error messages call it.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Int(_) => "an integer",
            Self::Real(_) => "a float",
            Self::Text(_) => "a text",
            Self::Bytes(_) => "bytes",
            Self::Json(_) => "JSON",
        }
    }

    /// Refuses what one of the engines would refuse or quietly change: a NUL, a float that is no number, JSON that is no object.
    pub(crate) fn check(&self) -> Result<(), Error> {
        match self {
            Self::Text(text) | Self::Json(text) if text.contains('\0') => {
                Err(Error::Failed("a text parameter holds a NUL character".into()))
            }
            Self::Json(text) if !text.starts_with('{') => {
                Err(Error::Failed("a JSON parameter is not an object".into()))
            }
            Self::Real(number) if !number.is_finite() => {
                Err(Error::Failed("a float parameter is not a finite number".into()))
            }
            _ => Ok(()),
        }
    }
}

/// The parameters of a statement, each turned into a [`Value`]: `params![tenant, now, &user.email]` binds `$1`, `$2`, `$3`.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => { ::std::vec![$($crate::Value::from($value)),*] };
}

macro_rules! from {
    ($($type:ty => $variant:ident($convert:expr)),* $(,)?) => {
        $(impl From<$type> for Value {
            fn from(value: $type) -> Self {
                let convert: fn($type) -> _ = $convert;
                Self::$variant(convert(value))
            }
        })*
    };
}

from! {
    bool => Bool(|value| value),
    i32 => Int(i64::from),
    u32 => Int(i64::from),
    i64 => Int(|value| value),
    f64 => Real(|value| value),
    &str => Text(str::to_owned),
    &String => Text(String::clone),
    String => Text(|value| value),
    &[u8] => Bytes(<[u8]>::to_vec),
    &Vec<u8> => Bytes(Vec::clone),
    Vec<u8> => Bytes(|value| value),
    [u8; 32] => Bytes(|value| value.to_vec()),
    &[u8; 32] => Bytes(|value| value.to_vec()),
    &Map<String, serde_json::Value> => Json(|object| JsonText(object).to_string()),
    Map<String, serde_json::Value> => Json(|object| JsonText(&object).to_string()),
}

/// A JSON `null` becomes SQL `NULL`; anything but an object is refused when it is bound.
impl From<&serde_json::Value> for Value {
    fn from(value: &serde_json::Value) -> Self {
        if value.is_null() { Self::Null } else { Self::Json(value.to_string()) }
    }
}

impl From<serde_json::Value> for Value {
    fn from(value: serde_json::Value) -> Self {
        Self::from(&value)
    }
}

impl<T> From<Option<T>> for Value
where
    Value: From<T>,
{
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Self::from)
    }
}

impl<T: Clone> From<&Option<T>> for Value
where
    Value: From<T>,
{
    fn from(value: &Option<T>) -> Self {
        value.clone().map_or(Self::Null, Self::from)
    }
}

/// Writes an object without cloning it into a `serde_json::Value` first.
struct JsonText<'a>(&'a Map<String, serde_json::Value>);

impl std::fmt::Display for JsonText<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&serde_json::to_string(self.0).map_err(|_| std::fmt::Error)?)
    }
}

/// One row of an answer.
#[derive(Clone, Debug)]
pub struct Row(std::vec::IntoIter<Value>);

impl Row {
    pub(crate) fn new(values: Vec<Value>) -> Self {
        Self(values.into_iter())
    }

    /// The next column, in the order of the `SELECT`: `User { id: row.take()?, name: row.take()? }`, since Rust evaluates
    /// the fields of a struct expression as they are written.
    pub fn take<T: FromValue>(&mut self) -> Result<T, Error> {
        let value =
            self.0.next().ok_or_else(|| Error::Failed("a row has fewer columns than are taken".into()))?;
        T::from_value(value)
    }
}

/// A Rust type that a column can be read into.
pub trait FromValue: Sized {
    /// Takes the value over. Errors: `Failed` when it is of another kind, or `NULL` where the type has none.
    fn from_value(value: Value) -> Result<Self, Error>;
}

fn mismatch<T>(wanted: &str, found: &Value) -> Result<T, Error> {
    Err(Error::Failed(format!("a column holds {} where {wanted} is wanted", found.kind())))
}

/// SQLite stores booleans as 0 and 1.
impl FromValue for bool {
    fn from_value(value: Value) -> Result<Self, Error> {
        match value {
            Value::Bool(value) => Ok(value),
            Value::Int(0) => Ok(false),
            Value::Int(1) => Ok(true),
            other => mismatch("a boolean", &other),
        }
    }
}

impl FromValue for i64 {
    fn from_value(value: Value) -> Result<Self, Error> {
        match value {
            Value::Int(value) => Ok(value),
            other => mismatch("an integer", &other),
        }
    }
}

impl FromValue for i32 {
    fn from_value(value: Value) -> Result<Self, Error> {
        let wide = i64::from_value(value)?;
        Self::try_from(wide).map_err(|_| Error::Failed(format!("{wide} does not fit 32 bits")))
    }
}

impl FromValue for u32 {
    fn from_value(value: Value) -> Result<Self, Error> {
        let wide = i64::from_value(value)?;
        Self::try_from(wide).map_err(|_| Error::Failed(format!("{wide} does not fit 32 unsigned bits")))
    }
}

impl FromValue for f64 {
    fn from_value(value: Value) -> Result<Self, Error> {
        match value {
            Value::Real(value) => Ok(value),
            other => mismatch("a float", &other),
        }
    }
}

/// The text of a JSON column is a text too, for those who parse it themselves.
impl FromValue for String {
    fn from_value(value: Value) -> Result<Self, Error> {
        match value {
            Value::Text(text) | Value::Json(text) => Ok(text),
            other => mismatch("a text", &other),
        }
    }
}

impl FromValue for Vec<u8> {
    fn from_value(value: Value) -> Result<Self, Error> {
        match value {
            Value::Bytes(bytes) => Ok(bytes),
            other => mismatch("bytes", &other),
        }
    }
}

impl FromValue for [u8; 32] {
    fn from_value(value: Value) -> Result<Self, Error> {
        let bytes = Vec::from_value(value)?;
        Self::try_from(bytes)
            .map_err(|bytes| Error::Failed(format!("{} bytes where 32 are wanted", bytes.len())))
    }
}

/// SQLite gives JSON back as text.
impl FromValue for serde_json::Value {
    fn from_value(value: Value) -> Result<Self, Error> {
        match value {
            Value::Json(text) | Value::Text(text) => {
                serde_json::from_str(&text).map_err(|error| unreadable(&error))
            }
            other => mismatch("JSON", &other),
        }
    }
}

impl FromValue for Map<String, serde_json::Value> {
    fn from_value(value: Value) -> Result<Self, Error> {
        match value {
            Value::Json(text) | Value::Text(text) => {
                serde_json::from_str(&text).map_err(|error| unreadable(&error))
            }
            other => mismatch("a JSON object", &other),
        }
    }
}

fn unreadable(error: &serde_json::Error) -> Error {
    Error::Failed(format!("a JSON column cannot be read: {error}"))
}

impl FromValue for Value {
    fn from_value(value: Value) -> Result<Self, Error> {
        Ok(value)
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: Value) -> Result<Self, Error> {
        match value {
            Value::Null => Ok(None),
            value => T::from_value(value).map(Some),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_are_taken_in_order_and_not_beyond_the_last() {
        let mut row = Row::new(params![7, "seven", None::<&str>]);
        assert_eq!(row.take::<i64>().unwrap(), 7);
        assert_eq!(row.take::<String>().unwrap(), "seven");
        assert_eq!(row.take::<Option<String>>().unwrap(), None);
        assert!(matches!(row.take::<i64>(), Err(Error::Failed(_))));
    }

    #[test]
    fn a_column_of_another_kind_or_null_is_refused() {
        assert!(i64::from_value(Value::Text("7".into())).is_err());
        assert!(String::from_value(Value::Int(7)).is_err());
        assert!(bool::from_value(Value::Int(2)).is_err());
        assert!(i64::from_value(Value::Bool(true)).is_err());
        assert!(String::from_value(Value::Null).is_err());
        assert!(i32::from_value(Value::Int(i64::MAX)).is_err());
        assert!(u32::from_value(Value::Int(-1)).is_err());
    }

    #[test]
    fn options_become_null_and_back() {
        assert_eq!(Value::from(None::<i64>), Value::Null);
        assert_eq!(Value::from(&Some("a".to_owned())), Value::Text("a".into()));
        assert_eq!(Option::<bool>::from_value(Value::Bool(true)).unwrap(), Some(true));
    }

    #[test]
    fn json_keeps_the_order_of_its_keys_and_is_an_object() {
        let object = json!({ "zebra": 1, "ant": { "b": 2, "a": 3 } });
        let value = Value::from(&object);
        assert_eq!(value, Value::Json(r#"{"zebra":1,"ant":{"b":2,"a":3}}"#.into()));
        assert_eq!(serde_json::Value::from_value(value).unwrap(), object);
        assert_eq!(Value::from(serde_json::Value::Null), Value::Null);
        assert!(Value::from(json!([1])).check().is_err());
    }

    #[test]
    fn what_only_one_engine_would_take_is_refused() {
        assert!(Value::from("a\0b").check().is_err());
        assert!(Value::from(f64::NAN).check().is_err());
        assert!(Value::from("a").check().is_ok());
    }
}
