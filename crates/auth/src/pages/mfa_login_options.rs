//! The page that lets a user choose how to give their second factor, or which to set up.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::{FormTargets, ICON, LoginWay, Look, Page, SCRIPT, STYLE};

/// Lists the ways, each as a link.
#[derive(Template, Debug)]
#[template(path = "mfa_login_options.html")]
pub struct LoginOptionsPage {
    /// The tenant's look.
    pub look: Look,
    /// The ways and their pages.
    pub ways: Vec<(LoginWay, String)>,
    /// Whether one is to be set up.
    pub enrolling: bool,
}

impl LoginOptionsPage {
    /// The keys of the page's title in the window, title and lead.
    fn text_keys(&self) -> [&'static str; 3] {
        match self.enrolling {
            true => [
                "mfa/mfa-enroll-options/pageTitle",
                "mfa/mfa-enroll-options/title",
                "mfa/mfa-enroll-options/description",
            ],
            false => [
                "mfa/mfa-login-options/pageTitle",
                "mfa/mfa-login-options/title",
                "mfa/mfa-login-options/description",
            ],
        }
    }
}

impl Page for LoginOptionsPage {
    fn look(&self) -> &Look {
        &self.look
    }

    fn page_title(&self) -> &'static str {
        self.text_keys()[0]
    }
}

impl IntoResponse for LoginOptionsPage {
    fn into_response(self) -> Response {
        self.answer(StatusCode::OK, &FormTargets::default())
    }
}
