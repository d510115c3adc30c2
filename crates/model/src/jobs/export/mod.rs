//! An export of users: NDJSON or CSV, compressed as one gzip file that grows by a piece each step.

mod fields;
mod gzip;

use std::fmt::Write;

use db::Batch;
use serde_json::{Map, Value, json};

use super::{Job, Status, store};
use crate::App;
use crate::users::{self, User};

pub use fields::{Field, UnknownField};

/// Users of a step.
const USERS: i64 = 100;

/// The most fields of a CSV file.
pub const MOST_CSV_FIELDS: usize = 30;

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A JSON object a line.
    Json,
    /// Comma-separated values, with a line of names first.
    Csv,
}

impl Format {
    /// As the wire names it.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "json" => Some(Self::Json),
            "csv" => Some(Self::Csv),
            _ => None,
        }
    }

    /// The ending of a file's name.
    pub const fn ending(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Csv => "csv",
        }
    }

    /// The format of a job.
    pub fn of(job: &Job) -> Self {
        job.doc.get("format").and_then(Value::as_str).and_then(Self::parse).unwrap_or(Self::Json)
    }
}

/// Writes the next users.
///
/// # Errors
/// `Conflict` when another took the job over.
pub(super) async fn step(app: &App, job: &mut Job) -> Result<(), db::Error> {
    let format = Format::of(job);
    let connection = job.doc.get("connection").and_then(Value::as_str).map(str::to_owned);
    let limit = job.doc.get("limit").and_then(Value::as_u64).unwrap_or(u64::MAX);
    let mut ahead = job.clone();
    let mut text = String::new();
    let fields = fields::of(job);
    if job.progress.parts == 0 {
        let total = users::count(&app.db, &job.tenant, connection.as_deref()).await?;
        ahead.progress.total = u64::try_from(total).unwrap_or(0).min(limit);
        if format == Format::Csv {
            header(&mut text, &fields);
        }
    }
    let left = limit.saturating_sub(job.progress.done);
    let wanted = i64::try_from(left).unwrap_or(i64::MAX).min(USERS);
    let after = job.progress.after.as_deref().unwrap_or_default();
    let users = users::after(&app.db, &job.tenant, connection.as_deref(), after, wanted).await?;
    for user in &users {
        line(&mut text, format, &fields, user);
    }
    let done = users.len() as u64;
    ahead.progress.done += done;
    ahead.progress.after = users.last().map(|user| user.id.to_string()).or(ahead.progress.after);
    let is_last = done < USERS as u64 || ahead.progress.done >= limit;
    let piece = gzip::piece(&mut ahead.progress, text.as_bytes(), is_last);
    if is_last {
        ahead.status = Status::Completed;
    }
    let number = job.progress.parts;
    ahead.progress.parts += 1;
    let mut batch = Batch::new();
    store::save(&mut batch, &mut ahead, app.clock.now());
    store::insert_part(&mut batch, job, number, &store::seal(app, job, number, &piece));
    app.db.commit(batch).await?;
    *job = ahead;
    Ok(())
}

/// Ends the job before it is done.
pub(super) async fn fail(app: &App, job: &mut Job, problem: &str) -> Result<(), db::Error> {
    job.status = Status::Failed;
    job.progress.problem = Some(problem.to_owned());
    let mut batch = Batch::new();
    store::save(&mut batch, job, app.clock.now());
    app.db.commit(batch).await.map(drop)
}

/// A piece of the file that a job wrote.
///
/// # Errors
/// When the database fails, or the piece does not open.
pub async fn piece(app: &App, job: &Job, number: u64) -> Result<Option<Vec<u8>>, db::Error> {
    store::open_part(app, job, number).await
}

fn header(text: &mut String, fields: &[Field]) {
    let names: Vec<String> = fields.iter().map(|field| quoted("", &field.export_as)).collect();
    text.push_str(&names.join(","));
    text.push_str("\r\n");
}

fn line(text: &mut String, format: Format, fields: &[Field], user: &User) {
    let wire = Value::Object(user.to_wire());
    match format {
        Format::Json => {
            let mut object = Map::new();
            for field in fields {
                if let Some(value) = field.of(&wire) {
                    object.insert(field.export_as.clone(), value.clone());
                }
            }
            let _ = write!(text, "{}", Value::Object(object));
            text.push('\n');
        }
        Format::Csv => {
            let values: Vec<String> = fields
                .iter()
                .map(|field| field.of(&wire).map(|value| cell(field, value)).unwrap_or_default())
                .collect();
            text.push_str(&values.join(","));
            text.push_str("\r\n");
        }
    }
}

/// A value of a CSV file. A text gets an apostrophe, so that no spreadsheet takes it for a formula; a moment that we wrote does not.
fn cell(field: &Field, value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) if field.is_moment() => quoted("", text),
        Value::String(text) => quoted("'", text),
        Value::Array(_) | Value::Object(_) => quoted("'", &value.to_string()),
    }
}

fn quoted(prefix: &str, text: &str) -> String {
    format!("\"{prefix}{}\"", text.replace('"', "\"\""))
}

/// What a job is told of, from what was asked: without a field nobody gave.
pub fn told(
    connection: Option<(&str, &str)>,
    format: Option<&str>,
    limit: Option<u64>,
    fields: Option<&Value>,
) -> Map<String, Value> {
    let mut told = Map::new();
    let mut put = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            told.insert(key.to_owned(), value);
        }
    };
    put("connection_id", connection.map(|(id, _)| json!(id)));
    put("format", format.map(Value::from));
    put("limit", limit.map(Value::from));
    put("fields", fields.cloned());
    put("connection", connection.map(|(_, name)| json!(name)));
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::users::fixture::chuck;

    fn written(format: Format, fields: &[(&str, &str)], user: &User) -> String {
        let fields: Vec<Field> =
            fields.iter().map(|(name, export_as)| Field::parse(name, Some(export_as)).unwrap()).collect();
        let mut text = String::new();
        if format == Format::Csv {
            header(&mut text, &fields);
        }
        line(&mut text, format, &fields, user);
        text
    }

    #[test]
    fn a_line_of_json_holds_what_was_asked_by_the_name_it_was_asked_under() {
        let fields = [
            ("email", "email"),
            ("identities[0].connection", "provider"),
            ("user_metadata.favourite_attack", "attack"),
            ("user_metadata.none", "none"),
            ("app_metadata", "app"),
            ("identities[7].connection", "seventh"),
        ];
        assert_eq!(
            written(Format::Json, &fields, &chuck()),
            concat!(
                r#"{"email":"chuck878@example.com","provider":"Username-Password-Authentication","attack":"roundhouse_kick","#,
                r#""app":{"facts":["count_to_infinity_twice"]}}"#,
                "\n"
            )
        );
    }

    #[test]
    fn a_text_of_csv_is_no_formula() {
        let mut user = chuck();
        user.name = Some("=HYPERLINK(\"https://evil.test\")".into());
        let fields = [
            ("name", "name"),
            ("email_verified", "Verified"),
            ("created_at", "Since"),
            ("user_metadata.none", "none"),
        ];
        assert_eq!(
            written(Format::Csv, &fields, &user),
            "\"name\",\"Verified\",\"Since\",\"none\"\r\n\"'=HYPERLINK(\"\"https://evil.test\"\")\",true,\"2023-01-25T19:00:26.539Z\",\r\n"
        );
    }
}
