//! The page on which a person answers apps that ask to act for them, `/u/authorization-requests`.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::{FormTargets, ICON, Look, Page, SCRIPT, STYLE};

/// Shows what waits for an answer. Each request is a form of its own.
///
/// Posts `id`, `_csrf` and `action`, which is `accept` or `deny`, to `/u/authorization-requests`.
#[derive(Template, Debug)]
#[template(path = "authorization_requests.html")]
pub struct AuthorizationRequestsPage {
    /// The tenant's look.
    pub look: Look,
    /// Who is signed in, as they know themselves; nobody is asked to sign in.
    pub user: Option<String>,
    /// What waits, oldest first.
    pub requests: Vec<AuthorizationRequest>,
    /// The token that proves a form is ours.
    pub csrf: String,
    /// What became of the last answer.
    pub notice: Option<RequestsNotice>,
}

/// What an app asks for.
#[derive(Clone, Debug)]
pub struct AuthorizationRequest {
    /// Its name in the form.
    pub id: String,
    /// The app's name.
    pub client_name: String,
    /// What the app shows to the person too.
    pub binding_message: String,
    /// The API's identifier, if it is for one.
    pub audience: Option<String>,
    /// The scopes that it would get.
    pub scopes: Vec<String>,
}

/// What became of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestsNotice {
    /// The app is let in.
    Allowed,
    /// It is not.
    Denied,
    /// It was answered before, or has waited too long.
    Over,
    /// The person has yet to give a second factor.
    FactorMissing,
}

impl RequestsNotice {
    /// The key of its text.
    fn text_key(self) -> &'static str {
        match self {
            Self::Allowed => "authorization-requests/authorization-requests/allowed",
            Self::Denied => "authorization-requests/authorization-requests/denied",
            Self::Over => "authorization-requests/authorization-requests/over",
            Self::FactorMissing => "authorization-requests/authorization-requests/factor-missing",
        }
    }

    fn is_error(self) -> bool {
        matches!(self, Self::Over | Self::FactorMissing)
    }

    fn status(self) -> StatusCode {
        match self {
            Self::Allowed | Self::Denied => StatusCode::OK,
            Self::Over => StatusCode::BAD_REQUEST,
            Self::FactorMissing => StatusCode::FORBIDDEN,
        }
    }
}

impl AuthorizationRequestsPage {
    /// The key of the lead.
    fn lead(&self) -> &'static str {
        match (&self.user, self.requests.is_empty()) {
            (None, _) => "authorization-requests/authorization-requests/signed-out",
            (Some(_), true) => "authorization-requests/authorization-requests/empty",
            (Some(_), false) => "authorization-requests/authorization-requests/description",
        }
    }
}

impl Page for AuthorizationRequestsPage {
    fn look(&self) -> &Look {
        &self.look
    }

    fn page_title(&self) -> &'static str {
        "authorization-requests/authorization-requests/pageTitle"
    }

    fn values(&self) -> Vec<(&'static str, &str)> {
        vec![("user", self.user.as_deref().unwrap_or_default())]
    }
}

impl IntoResponse for AuthorizationRequestsPage {
    fn into_response(self) -> Response {
        self.answer(self.notice.map_or(StatusCode::OK, RequestsNotice::status), &FormTargets::default())
    }
}
