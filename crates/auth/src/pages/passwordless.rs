//! The page behind a link that signs people in, `/passwordless/verify_redirect`.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::{FormTargets, ICON, Look, Page, SCRIPT, STYLE, form_url};

/// Names the app and the address, and asks whether to sign in; or says why that cannot be.
///
/// Posts `email`, `verification_code`, `state`, `_csrf` and `action=default` to `/passwordless/verify_redirect?state=…`.
#[derive(Template, Debug)]
#[template(path = "passwordless_link.html")]
pub struct PasswordlessLinkPage {
    /// The tenant's look.
    pub look: Look,
    /// The name of the app that is signed in to.
    pub client_name: String,
    /// The address that the link went to.
    pub address: String,
    /// The code in the link.
    pub code: String,
    /// The login transaction.
    pub state: String,
    /// The token that proves the form is ours.
    pub csrf: String,
    /// Why the link leads nowhere.
    pub error: Option<LinkError>,
    /// Where the form may lead in the end: to the redirect URI, or on from there.
    pub form_targets: FormTargets,
}

/// Why a link leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkError {
    /// It was used, is too old, or is none.
    Over,
    /// The account is blocked.
    UserBlocked,
    /// Too many were tried.
    TooMany,
    /// The server has no time now.
    Busy,
}

impl LinkError {
    /// The key of its text.
    fn text_key(self) -> &'static str {
        match self {
            Self::Over => "login-passwordless/login-passwordless-email-link/invalid-link",
            Self::UserBlocked => "login/login/user-blocked",
            Self::TooMany => "login/login/too-many-failures",
            Self::Busy => "login/login/busy",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::Over | Self::UserBlocked => StatusCode::BAD_REQUEST,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl PasswordlessLinkPage {
    fn form_url(&self) -> String {
        form_url("/passwordless/verify_redirect", &self.state)
    }
}

impl Page for PasswordlessLinkPage {
    fn look(&self) -> &Look {
        &self.look
    }

    fn page_title(&self) -> &'static str {
        "login-passwordless/login-passwordless-email-link/pageTitle"
    }

    fn values(&self) -> Vec<(&'static str, &str)> {
        vec![("clientName", &self.client_name), ("email", &self.address)]
    }
}

impl IntoResponse for PasswordlessLinkPage {
    fn into_response(self) -> Response {
        self.answer(self.error.map_or(StatusCode::OK, LinkError::status), &self.form_targets)
    }
}
