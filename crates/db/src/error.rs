//! What can go wrong, by what the caller can do about it.

/// Why a query or a commit did not happen.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An expectation or a guard of the batch did not hold: nothing was written. What was read has changed; decide anew.
    #[error("statement {statement} of the batch touched {affected} rows, which is not what it expects")]
    Conflict {
        /// The statement's position in the batch, from 0.
        statement: usize,
        /// The rows that it touched, or for a guard the rows that it found.
        affected: u64,
    },
    /// The unique index of this name holds such a row already, or one of several that do: nothing was written.
    #[error("a row with this key exists already ({0})")]
    Unique(String),
    /// A row that is referred to does not exist, or one that is to go is still referred to: nothing was written.
    #[error("a referenced row is missing, or the row is still referenced")]
    ForeignKey,
    /// Nothing was written, and the same attempt may well succeed: a deadlock, a connection cut before the commit, a restart of the database.
    #[error("the database was not able to do this now")]
    Retry,
    /// The answer to a commit was lost: the batch may be written or not. Never repeated automatically.
    #[error("it is not known whether this was written")]
    Unknown,
    /// Nothing was written, and trying again would fail again. The text is for the log; it holds no parameters.
    #[error("{0}")]
    Failed(String),
}

impl Error {
    /// Whether deciding and committing anew may succeed: what [`Db::retry`](crate::Db::retry) does.
    pub fn may_retry(&self) -> bool {
        matches!(self, Self::Conflict { .. } | Self::Retry)
    }
}

/// An error that may carry a database's, so that [`Db::retry`](crate::Db::retry) sees a `Retry` that a read inside a decision met.
pub trait AsError {
    /// The database error, when that is what this is.
    fn as_error(&self) -> Option<&Error>;
}

impl AsError for Error {
    fn as_error(&self) -> Option<&Error> {
        Some(self)
    }
}
