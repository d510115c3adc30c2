//! The page that lets a user choose how to give their second factor.

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
}

impl Page for LoginOptionsPage {
    fn look(&self) -> &Look {
        &self.look
    }

    fn page_title(&self) -> &'static str {
        "mfa/mfa-login-options/pageTitle"
    }
}

impl IntoResponse for LoginOptionsPage {
    fn into_response(self) -> Response {
        self.answer(StatusCode::OK, &FormTargets::default())
    }
}
