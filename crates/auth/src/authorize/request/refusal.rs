//! Why an authorize request goes no further.

use super::super::response::Target;
use crate::pages::ErrorKind;

/// Why a request goes no further.
#[derive(Debug)]
pub enum Refusal {
    /// An error page: client or redirect URI are unproven, and nothing is sent anywhere.
    Page {
        /// What the page says.
        kind: ErrorKind,
        /// The `error` code.
        error: &'static str,
        /// The published description.
        description: String,
        /// The value that was refused.
        detail: Option<String>,
    },
    /// An error for the client, at its proven redirect URI.
    Client {
        /// Where it goes.
        target: Box<Target>,
        /// The `error` code.
        error: &'static str,
        /// The `error_description`.
        description: String,
    },
    /// The database failed.
    Database(db::Error),
}

impl From<db::Error> for Refusal {
    fn from(error: db::Error) -> Self {
        Self::Database(error)
    }
}

impl Refusal {
    pub(super) fn page(kind: ErrorKind, description: &str, detail: Option<&str>) -> Self {
        let (description, detail) = (description.to_owned(), detail.map(str::to_owned));
        Self::Page { kind, error: "invalid_request", description, detail }
    }

    /// A page for a request that cannot even be read.
    pub fn page_of(error: &'static str, description: &str, detail: Option<&str>) -> Self {
        let (description, detail) = (description.to_owned(), detail.map(str::to_owned));
        Self::Page { kind: ErrorKind::InvalidRequest, error, description, detail }
    }

    /// An error for the client at `target`.
    pub fn client(target: &Target, error: &'static str, description: impl Into<String>) -> Self {
        Self::Client { target: Box::new(target.clone()), error, description: description.into() }
    }

    pub(super) fn invalid(target: &Target, description: impl Into<String>) -> Self {
        Self::client(target, "invalid_request", description)
    }
}
