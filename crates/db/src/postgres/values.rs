//! Values on PostgreSQL's wire: strictly typed both ways.

use std::error::Error as StdError;
use std::fmt;

use tokio_postgres::Statement;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type};

use crate::{Error, Value};

type Cause = Box<dyn StdError + Sync + Send>;

/// Refuses parameters that are too few, too many, or of another kind than the place they stand in, before anything is sent.
pub(super) fn check(statement: &Statement, params: &[Value], sql: &str) -> Result<(), Error> {
    let wanted = statement.params();
    if wanted.len() != params.len() {
        return Err(Error::Failed(format!(
            "{} parameters for {} markers, in `{sql}`",
            params.len(),
            wanted.len()
        )));
    }
    for (position, (param, wanted)) in params.iter().zip(wanted).enumerate() {
        if !fits(param, wanted) {
            let (number, kind) = (position + 1, param.kind());
            return Err(Error::Failed(format!("${number} is {kind} where {wanted} is wanted, in `{sql}`")));
        }
    }
    Ok(())
}

fn fits(param: &Value, wanted: &Type) -> bool {
    match param {
        Value::Null => true,
        Value::Bool(_) => *wanted == Type::BOOL,
        Value::Int(value) => {
            *wanted == Type::INT8 || (*wanted == Type::INT4 && i32::try_from(*value).is_ok())
        }
        Value::Real(_) => *wanted == Type::FLOAT8,
        Value::Text(_) => matches!(*wanted, Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME),
        Value::Bytes(_) => *wanted == Type::BYTEA,
        Value::Json(_) => *wanted == Type::JSON,
    }
}

/// A parameter. Its `Debug` tells nothing of the value: the driver logs it.
pub(super) struct Param<'a>(pub &'a Value);

impl fmt::Debug for Param<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.kind())
    }
}

impl ToSql for Param<'_> {
    fn to_sql(&self, wanted: &Type, out: &mut BytesMut) -> Result<IsNull, Cause> {
        match self.0 {
            Value::Null => Ok(IsNull::Yes),
            Value::Bool(value) => value.to_sql(wanted, out),
            Value::Int(value) if *wanted == Type::INT4 => i32::try_from(*value)?.to_sql(wanted, out),
            Value::Int(value) => value.to_sql(wanted, out),
            Value::Real(value) => value.to_sql(wanted, out),
            Value::Text(text) => text.to_sql(wanted, out),
            Value::Bytes(bytes) => bytes.to_sql(wanted, out),
            Value::Json(text) => {
                out.extend_from_slice(text.as_bytes());
                Ok(IsNull::No)
            }
        }
    }

    /// [`check`] has looked at the types.
    fn accepts(_: &Type) -> bool {
        true
    }

    fn to_sql_checked(&self, wanted: &Type, out: &mut BytesMut) -> Result<IsNull, Cause> {
        self.to_sql(wanted, out)
    }
}

/// A column of an answer.
pub(super) struct Column(pub Value);

impl<'a> FromSql<'a> for Column {
    fn from_sql(given: &Type, raw: &'a [u8]) -> Result<Self, Cause> {
        Ok(Self(match *given {
            Type::BOOL => Value::Bool(bool::from_sql(given, raw)?),
            Type::INT8 => Value::Int(i64::from_sql(given, raw)?),
            Type::INT4 => Value::Int(i32::from_sql(given, raw)?.into()),
            Type::INT2 => Value::Int(i16::from_sql(given, raw)?.into()),
            Type::FLOAT8 => Value::Real(f64::from_sql(given, raw)?),
            Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME => {
                Value::Text(String::from_sql(given, raw)?)
            }
            Type::BYTEA => Value::Bytes(raw.to_vec()),
            Type::JSON => Value::Json(str::from_utf8(raw)?.to_owned()),
            _ => return Err(format!("a column is of the type {given}, which needs a cast").into()),
        }))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Cause> {
        Ok(Self(Value::Null))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_fits_its_own_type_only() {
        let kinds = [
            (Value::Bool(true), Type::BOOL),
            (Value::Int(1), Type::INT8),
            (Value::Real(1.0), Type::FLOAT8),
            (Value::Text("a".into()), Type::TEXT),
            (Value::Bytes(vec![1]), Type::BYTEA),
            (Value::Json("{}".into()), Type::JSON),
        ];
        for (value, own) in &kinds {
            for (_, wanted) in &kinds {
                assert_eq!(fits(value, wanted), own == wanted, "{value:?} as {wanted}");
                assert!(fits(&Value::Null, wanted));
            }
        }
        assert!(fits(&Value::Int(5), &Type::INT4) && !fits(&Value::Int(i64::MAX), &Type::INT4));
    }

    #[test]
    fn the_log_shows_no_parameter() {
        assert_eq!(format!("{:?}", Param(&Value::Text("secret".into()))), "a text");
    }
}
