//! What PostgreSQL's errors mean.

use deadpool_postgres::{HookError, PoolError};
use tokio_postgres::error::{DbError, Severity, SqlState};

use crate::Error;

/// The error for the caller, provided that nothing was written.
pub(super) fn error(error: &tokio_postgres::Error, sql: &str) -> Error {
    match error.as_db_error() {
        Some(answer) => answered(answer, sql),
        None if is_cut(error) => Error::Retry,
        None => Error::Failed(format!("{}, in `{sql}`", chain(error))),
    }
}

/// The error of a commit: when the server did not answer that it failed, it may have happened.
pub(super) fn of_commit(error: &tokio_postgres::Error, sql: &str) -> Error {
    match error.as_db_error() {
        Some(answer) if answer.parsed_severity() == Some(Severity::Error) => answered(answer, sql),
        _ => Error::Unknown,
    }
}

/// Whether a prepared statement no longer fits the schema, which another node has migrated.
pub(super) fn is_stale_plan(error: &tokio_postgres::Error) -> bool {
    error.code() == Some(&SqlState::FEATURE_NOT_SUPPORTED)
        && error.as_db_error().is_some_and(|answer| answer.message().contains("cached plan"))
}

pub(super) fn of_pool(error: &PoolError) -> Error {
    match error {
        PoolError::Timeout(_) => Error::Retry,
        PoolError::Backend(cause) | PoolError::PostCreateHook(HookError::Backend(cause)) => {
            tracing::warn!(cause = chain(cause), "no connection to the database");
            self::error(cause, "connecting")
        }
        PoolError::Closed => Error::Failed("the database is closed".into()),
        other => Error::Failed(chain(other)),
    }
}

/// An error with its causes: the driver's own text names none.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

fn is_cut(error: &tokio_postgres::Error) -> bool {
    use std::error::Error;
    error.is_closed() || error.source().is_some_and(|cause| cause.is::<std::io::Error>())
}

fn answered(answer: &DbError, sql: &str) -> Error {
    let name = || answer.constraint().unwrap_or_default().to_owned();
    match *answer.code() {
        SqlState::UNIQUE_VIOLATION => Error::Unique(name()),
        SqlState::FOREIGN_KEY_VIOLATION | SqlState::RESTRICT_VIOLATION => Error::ForeignKey,
        SqlState::T_R_SERIALIZATION_FAILURE
        | SqlState::T_R_DEADLOCK_DETECTED
        | SqlState::LOCK_NOT_AVAILABLE
        | SqlState::TOO_MANY_CONNECTIONS
        // A primary that became a standby.
        | SqlState::READ_ONLY_SQL_TRANSACTION
        | SqlState::ADMIN_SHUTDOWN
        | SqlState::CRASH_SHUTDOWN
        | SqlState::CANNOT_CONNECT_NOW
        | SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT
        | SqlState::IDLE_SESSION_TIMEOUT => Error::Retry,
        // The details may hold what was to be written; the message does not.
        _ => Error::Failed(format!("{} ({}), in `{sql}`", answer.message(), answer.code().code())),
    }
}
