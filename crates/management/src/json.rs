//! Reading JSON that a stranger sent: no duplicate keys, no NUL, at most 128 levels deep (the parser's own limit), no lone
//! surrogates. What was accepted once means one thing to every reader after us.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Parses `text`.
///
/// # Errors
/// What is wrong, in a few words; the position is left out, for a message that is the same for every reader.
pub fn parse(text: &[u8]) -> Result<Value, &'static str> {
    let refused = |error: serde_json::Error| match error.to_string() {
        text if text.starts_with(DUPLICATE) => DUPLICATE,
        text if text.starts_with(NUL) => NUL,
        _ => "Invalid request payload JSON format",
    };
    serde_json::from_slice::<Strict>(text).map(|Strict(value)| value).map_err(refused)
}

const DUPLICATE: &str = "Invalid request payload JSON format: a property is there twice";
const NUL: &str = "Invalid request payload JSON format: a string holds a NUL";

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Strict)
    }
}

struct StrictVisitor;

fn without_nul<E: de::Error>(text: &str) -> Result<&str, E> {
    if text.contains('\0') { Err(E::custom(NUL)) } else { Ok(text) }
}

impl<'de> Visitor<'de> for StrictVisitor {
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
        while let Some(Strict(item)) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            let Strict(value) = access.next_value()?;
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
    fn depth_is_bounded() {
        let nested = |depth: usize| [b"[".repeat(depth), b"]".repeat(depth)].concat();
        assert!(parse(&nested(100)).is_ok());
        assert!(parse(&nested(500)).is_err());
        assert!(parse(&b"[".repeat(100_000)).is_err());
    }
}
