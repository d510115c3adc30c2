//! Running one statement on a SQLite connection, and what its errors mean.

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, Statement, ToSql, ffi};

use crate::{Error, Row, Sql, Value};

/// Prepares (or takes from the cache), binds, and runs to the end. Answers the rows and how many rows were touched or found.
pub(super) fn run(connection: &Connection, sql: &Sql, params: &[Value]) -> Result<(Vec<Row>, u64), Failure> {
    match sql {
        Sql::Borrowed(text) => run_prepared(connection, &mut *connection.prepare_cached(text)?, params),
        Sql::Owned(text) => run_prepared(connection, &mut connection.prepare(text)?, params),
    }
}

fn run_prepared(
    connection: &Connection,
    statement: &mut Statement<'_>,
    params: &[Value],
) -> Result<(Vec<Row>, u64), Failure> {
    bind(statement, params)?;
    let columns = statement.column_count();
    let only_reads = statement.readonly();
    let mut found = Vec::new();
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next()? {
        let values = (0..columns).map(|column| Ok(value(row.get_ref(column)?)?));
        found.push(Row::new(values.collect::<Result<_, Failure>>()?));
    }
    drop(rows);
    // `changes` still tells of the statement before when this one only reads.
    let affected = if only_reads { found.len() as u64 } else { connection.changes() };
    Ok((found, affected))
}

/// Binds by number. SQLite would number `$1` by its first appearance, so the marker's name says which parameter it is.
fn bind(statement: &mut Statement<'_>, params: &[Value]) -> Result<(), Failure> {
    let markers = statement.parameter_count();
    if markers != params.len() {
        return Err(Error::Failed(format!("{} parameters for {markers} markers", params.len())).into());
    }
    for index in 1..=markers {
        let name = statement.parameter_name(index).unwrap_or_default();
        let number = name.strip_prefix('$').and_then(|number| number.parse::<usize>().ok());
        let param = number.and_then(|number| params.get(number.checked_sub(1)?));
        let Some(param) = param else {
            return Err(Error::Failed(format!("`{name}` is not a marker from $1 to ${markers}")).into());
        };
        statement.raw_bind_parameter(index, Bound(param))?;
    }
    Ok(())
}

struct Bound<'a>(&'a Value);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            Value::Null => ValueRef::Null,
            Value::Bool(value) => ValueRef::Integer(i64::from(*value)),
            Value::Int(value) => ValueRef::Integer(*value),
            Value::Real(value) => ValueRef::Real(*value),
            Value::Text(text) | Value::Json(text) => ValueRef::Text(text.as_bytes()),
            Value::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

fn value(column: ValueRef<'_>) -> Result<Value, Error> {
    Ok(match column {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(value) => Value::Int(value),
        ValueRef::Real(value) => Value::Real(value),
        ValueRef::Text(text) => match str::from_utf8(text) {
            Ok(text) => Value::Text(text.to_owned()),
            Err(_) => return Err(Error::Failed("a text column does not hold UTF-8".into())),
        },
        ValueRef::Blob(bytes) => Value::Bytes(bytes.to_vec()),
    })
}

/// Why a statement did not run.
pub(super) enum Failure {
    /// Our own refusal.
    Refused(Error),
    /// SQLite's.
    Engine(rusqlite::Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Engine(error)
    }
}

impl Failure {
    /// SQLite's primary result code.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused(_) => None,
            Self::Engine(error) => error.sqlite_error_code(),
        }
    }

    /// Whether the file can no longer be trusted to hold what was written to it: recovery decides, at the next start.
    pub fn breaks_the_file(&self) -> bool {
        matches!(
            self.code(),
            Some(ErrorCode::SystemIoFailure | ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
        )
    }

    /// The error for the caller, provided that nothing was written.
    pub fn into_error(self, connection: &Connection, sql: &str) -> Error {
        let error = match self {
            Self::Refused(Error::Failed(text)) => return Error::Failed(format!("{text}, in `{sql}`")),
            Self::Refused(error) => return error,
            Self::Engine(error) => error,
        };
        let rusqlite::Error::SqliteFailure(cause, message) = &error else {
            return Error::Failed(format!("{error}, in `{sql}`"));
        };
        match (cause.code, cause.extended_code) {
            (ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked, _) => Error::Retry,
            (ErrorCode::DiskFull, _) => {
                tracing::warn!("the disk is full");
                Error::Retry
            }
            (_, ffi::SQLITE_CONSTRAINT_FOREIGNKEY) => Error::ForeignKey,
            (
                _,
                ffi::SQLITE_CONSTRAINT_UNIQUE
                | ffi::SQLITE_CONSTRAINT_PRIMARYKEY
                | ffi::SQLITE_CONSTRAINT_ROWID,
            ) => Error::Unique(violated(connection, message.as_deref().unwrap_or_default())),
            _ => Error::Failed(format!("{error}, in `{sql}`")),
        }
    }
}

/// The name of the unique index that was violated, as PostgreSQL would give it. SQLite names the columns only:
/// `UNIQUE constraint failed: users.tenant, users.email`.
fn violated(connection: &Connection, message: &str) -> String {
    let (_, listed) = message.rsplit_once("failed: ").unwrap_or(("", message));
    if let Some(index) = listed.strip_prefix("index '").and_then(|rest| rest.strip_suffix('\'')) {
        return index.to_owned();
    }
    let mut table = "";
    let mut columns = Vec::new();
    for column in listed.split(", ") {
        let (of, name) = column.split_once('.').unwrap_or(("", column));
        table = of;
        columns.push(name.to_owned());
    }
    find_index(connection, table, &columns).unwrap_or_else(|_| listed.to_owned())
}

fn find_index(connection: &Connection, table: &str, columns: &[String]) -> rusqlite::Result<String> {
    let mut indexes = connection
        .prepare_cached("SELECT name, origin FROM pragma_index_list(?1) WHERE \"unique\" ORDER BY name")?;
    let mut of_index = connection.prepare_cached("SELECT name FROM pragma_index_info(?1) ORDER BY seqno")?;
    let named = indexes.query_map([table], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    for index in named {
        let (name, origin) = index?;
        let its: Vec<String> = of_index.query_map([&name], |row| row.get(0))?.collect::<Result<_, _>>()?;
        if its == columns {
            return Ok(match origin.as_str() {
                "pk" => format!("{table}_pkey"),
                "u" => format!("{table}_{}_key", columns.join("_")),
                _ => name,
            });
        }
    }
    // The rowid's own key has no index.
    Ok(format!("{table}_pkey"))
}
