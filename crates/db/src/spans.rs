//! What the database is asked, as spans for traces: of the target `traces`, which no log takes. Where nobody collects them, a span
//! costs a look at a flag.

use std::borrow::Cow;

use tracing::field::Empty;
use tracing::{Instrument, Span};

use crate::{Engine, Error, Sql};

/// How much of a batch's text a span holds, in bytes.
const MOST: usize = 2_000;

/// A span for one question.
pub struct Asked(Span);

impl Asked {
    /// For one query.
    pub fn query(engine: &Engine, kind: &'static str, sql: &Sql) -> Self {
        Self::several(engine, kind, [sql])
    }

    /// For queries or statements that go together. Text that was built is left out: a literal alone cannot hold what a caller said.
    pub fn several<'a>(
        engine: &Engine,
        kind: &'static str,
        statements: impl IntoIterator<Item = &'a Sql>,
    ) -> Self {
        let span = tracing::debug_span!(
            target: "traces",
            "database",
            otel.name = kind,
            "db.system.name" = match engine {
                Engine::Sqlite(_) => "sqlite",
                Engine::Postgres(_) => "postgresql",
            },
            "db.operation.name" = kind,
            "db.operation.batch.size" = Empty,
            "db.query.text" = Empty,
            "error.type" = Empty,
        );
        if !span.is_disabled() {
            let (mut count, mut text) = (0_u64, String::new());
            for sql in statements {
                count += 1;
                if text.len() < MOST {
                    text.push_str(if count == 1 { "" } else { "; " });
                    let literal = if let Cow::Borrowed(sql) = sql { sql } else { "…" };
                    text.extend(literal.split_ascii_whitespace().flat_map(|word| [word, " "]));
                    text.pop();
                }
            }
            span.record("db.operation.batch.size", count).record("db.query.text", text);
        }
        Self(span)
    }

    /// Does the work right here.
    pub fn here<T>(self, work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        let done = self.0.in_scope(work);
        self.tell(&done);
        done
    }

    /// Waits for the work.
    pub async fn wait<T>(self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let done = work.instrument(self.0.clone()).await;
        self.tell(&done);
        done
    }

    /// A conflict is none of the database's failures, and is told all the same: it costs another try.
    fn tell<T>(&self, done: &Result<T, Error>) {
        let Err(error) = done else { return };
        let kind = match error {
            Error::Conflict { .. } => "conflict",
            Error::Unique(_) => "unique",
            Error::ForeignKey => "foreign_key",
            Error::Retry => "retry",
            Error::Unknown => "unknown",
            Error::Failed(_) => "failed",
        };
        self.0.record("error.type", kind);
    }
}
