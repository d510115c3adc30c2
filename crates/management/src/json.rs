//! Reading JSON that a stranger sent: no duplicate keys, no NUL, at most 128 levels deep (the parser's own limit) and
//! [`MOST_VALUES`] values, no lone surrogates. What was accepted once means one thing to every reader after us.

use std::cell::Cell;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Parses `text`.
///
/// # Errors
/// What is wrong, in a few words; the position is left out, for a message that is the same for every reader.
pub fn parse(text: &[u8]) -> Result<Value, &'static str> {
    let refused = |error: serde_json::Error| match error.to_string() {
        text if text.starts_with(DUPLICATE) => DUPLICATE,
        text if text.starts_with(NUL) => NUL,
        text if text.starts_with(TOO_MANY) => TOO_MANY,
        _ => "Invalid request payload JSON format",
    };
    let left = Cell::new(MOST_VALUES);
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let value = Strict(&left).deserialize(&mut deserializer).map_err(refused)?;
    deserializer.end().map_err(refused)?;
    Ok(value)
}

/// The most values that a text may hold, objects and arrays among them: each takes many times its bytes in memory.
const MOST_VALUES: usize = 100_000;

const DUPLICATE: &str = "Invalid request payload JSON format: a property is there twice";
const NUL: &str = "Invalid request payload JSON format: a string holds a NUL";
const TOO_MANY: &str = "Invalid request payload JSON format: too many values";

/// Reads a value; there is room for so many more.
#[derive(Clone, Copy)]
struct Strict<'a>(&'a Cell<usize>);

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let left = self.0.get().checked_sub(1).ok_or_else(|| de::Error::custom(TOO_MANY))?;
        self.0.set(left);
        deserializer.deserialize_any(self)
    }
}

fn without_nul<E: de::Error>(text: &str) -> Result<&str, E> {
    if text.contains('\0') { Err(E::custom(NUL)) } else { Ok(text) }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        Ok(without_nul(value)?.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(self)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            let value = access.next_value_seed(self)?;
            if map.insert(without_nul::<A::Error>(&key)?.to_owned(), value).is_some() {
                return Err(de::Error::custom(DUPLICATE));
            }
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_accepted_is_exactly_what_was_sent() {
        let text =
            r#"{"__proto__":{"$where":1,"a.b":[true,null,-7,0.5,18446744073709551615]},"é":"\ud83d\ude00"}"#;
        assert_eq!(
            parse(text.as_bytes()).unwrap(),
            json!({ "__proto__": { "$where": 1, "a.b": [true, null, -7, 0.5, u64::MAX] }, "é": "😀" })
        );
    }

    #[test]
    fn what_two_readers_could_take_differently_is_refused() {
        for bad in [
            r#"{"a":1,"a":2}"#,
            r#"{"x":{"a":1,"b":0,"a":1}}"#,
            r#"{"a":"\u0000"}"#,
            r#"{"\u0000":1}"#,
            r#"["\ud800"]"#,
            "{\"a\":\"\u{1}\"}",
            "[1] []",
            "[1e999]",
            "{'a':1}",
            "[NaN]",
            "",
            "{",
        ] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(parse(b"\"\xff\"").is_err());
    }

    #[test]
    fn the_number_of_values_is_bounded() {
        let items = |number: usize| format!("[{}0]", "0,".repeat(number - 1));
        assert!(parse(items(MOST_VALUES - 1).as_bytes()).is_ok());
        assert_eq!(parse(items(MOST_VALUES).as_bytes()), Err(TOO_MANY));
        assert_eq!(parse(format!("[{}[]]", "{\"a\":[]},".repeat(MOST_VALUES / 2)).as_bytes()), Err(TOO_MANY));
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| [b"[".repeat(depth), b"]".repeat(depth)].concat();
        assert!(parse(&nested(100)).is_ok());
        assert!(parse(&nested(500)).is_err());
        assert!(parse(&b"[".repeat(100_000)).is_err());
    }
}
