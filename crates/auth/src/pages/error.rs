//! The error page: what happened, what to do, and what a developer needs.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::{FormTargets, ICON, Look, Page, SCRIPT, STYLE, excerpt};

/// Says what went wrong where no app can be told. Its words come from `kind`; the rest is detail for a developer.
#[derive(Template, Debug)]
#[template(path = "error.html")]
pub struct ErrorPage {
    /// The tenant's look.
    pub look: Look,
    /// What happened.
    pub kind: ErrorKind,
    /// The error's code, for example `invalid_request`.
    pub code: Option<String>,
    /// The published description, for developers.
    pub description: Option<String>,
    /// The value that was refused: shown as code, cut at 64 characters.
    pub detail: Option<String>,
    /// What finds the event in the logs.
    pub tracking: Option<String>,
    /// Where to start again: `https` or `http`.
    pub start_again_url: Option<String>,
}

/// What happened, as far as the person who sees it is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The app sent a request that cannot be answered.
    InvalidRequest,
    /// The request names no app of this tenant.
    UnknownClient,
    /// The request names a redirect URI that the app has not registered.
    CallbackMismatch,
    /// The request names a logout URL that is not registered.
    LogoutUrlMismatch,
    /// The sign-in took too long, was finished already, or began in another browser.
    Expired,
    /// A form that was not ours, or is too old.
    FormExpired,
    /// A rule or the person said no.
    AccessDenied,
    /// Nothing here.
    NotFound,
    /// Too many requests.
    TooManyRequests,
    /// Too much to do; trying again works.
    Unavailable,
    /// Our fault.
    Internal,
}

impl ErrorKind {
    /// The status of a page that shows it.
    pub fn status(self) -> StatusCode {
        match self {
            Self::InvalidRequest | Self::UnknownClient | Self::LogoutUrlMismatch | Self::Expired => {
                StatusCode::BAD_REQUEST
            }
            Self::CallbackMismatch | Self::FormExpired | Self::AccessDenied => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The keys of its title, of what happened and of what to do.
    fn text_keys(self) -> [&'static str; 3] {
        match self {
            Self::InvalidRequest => [
                "error/invalid-request/title",
                "error/invalid-request/message",
                "error/invalid-request/action",
            ],
            Self::UnknownClient => {
                ["error/unknown-client/title", "error/unknown-client/message", "error/unknown-client/action"]
            }
            Self::CallbackMismatch => [
                "error/callback-mismatch/title",
                "error/callback-mismatch/message",
                "error/callback-mismatch/action",
            ],
            Self::LogoutUrlMismatch => {
                ["error/logout-url/title", "error/logout-url/message", "error/logout-url/action"]
            }
            Self::Expired => ["error/expired/title", "error/expired/message", "error/expired/action"],
            Self::FormExpired => {
                ["error/form-expired/title", "error/form-expired/message", "error/form-expired/action"]
            }
            Self::AccessDenied => {
                ["error/access-denied/title", "error/access-denied/message", "error/access-denied/action"]
            }
            Self::NotFound => ["error/not-found/title", "error/not-found/message", "error/not-found/action"],
            Self::TooManyRequests => [
                "error/too-many-requests/title",
                "error/too-many-requests/message",
                "error/too-many-requests/action",
            ],
            Self::Unavailable => {
                ["error/unavailable/title", "error/unavailable/message", "error/unavailable/action"]
            }
            Self::Internal => ["error/internal/title", "error/internal/message", "error/internal/action"],
        }
    }
}

impl ErrorPage {
    /// A page that says no more than `kind` does.
    pub fn new(look: Look, kind: ErrorKind) -> Self {
        Self {
            look,
            kind,
            code: None,
            description: None,
            detail: None,
            tracking: None,
            start_again_url: None,
        }
    }

    /// With the error's code and its published description.
    pub fn with_error(mut self, code: &str, description: &str) -> Self {
        self.code = Some(code.to_owned());
        self.description = Some(description.to_owned());
        self
    }

    /// With the value that was refused.
    pub fn with_detail(mut self, detail: &str) -> Self {
        self.detail = Some(detail.to_owned());
        self
    }

    /// With what finds the event in the logs.
    pub fn with_tracking(mut self, tracking: &str) -> Self {
        self.tracking = Some(tracking.to_owned());
        self
    }

    /// With a place to start again.
    pub fn with_start_again(mut self, url: &str) -> Self {
        self.start_again_url = Some(url.to_owned());
        self
    }

    fn text(&self, part: usize) -> String {
        self.t(self.kind.text_keys()[part])
    }

    fn has_details(&self) -> bool {
        self.code.is_some() || self.description.is_some() || self.detail.is_some() || self.tracking.is_some()
    }

    fn short(&self, value: &str) -> String {
        excerpt(value)
    }

    fn start_again(&self) -> Option<&str> {
        self.start_again_url.as_deref().filter(|url| {
            url.starts_with("https://")
                || url.starts_with("http://")
                || url.starts_with('/') && !url.starts_with("//")
        })
    }
}

impl Page for ErrorPage {
    fn look(&self) -> &Look {
        &self.look
    }

    fn page_title(&self) -> &'static str {
        "error/error/pageTitle"
    }
}

impl IntoResponse for ErrorPage {
    fn into_response(self) -> Response {
        let mut response = self.answer(self.kind.status(), &FormTargets::default());
        let (code, description) = (self.code.unwrap_or_default(), self.description.unwrap_or_default());
        response.extensions_mut().insert(Told { code, description });
        response
    }
}

/// What an error page tells, in its answer's extensions: for the explain page of `doorward dev`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The error's code; empty if it has none.
    pub code: String,
    /// Its published description; empty if it has none.
    pub description: String,
}
