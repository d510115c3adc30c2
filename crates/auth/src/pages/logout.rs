//! The pages of signing out: the question, and the end.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::{FormTargets, ICON, Look, Page, SCRIPT, STYLE};

/// Asks whether to sign out, where the request does not prove that the person wants it (OIDC RP-Initiated Logout §2).
///
/// Posts `params`, `_csrf` and `action`, which is `accept` or `deny`, to `action_url`.
#[derive(Template, Debug)]
#[template(path = "logout.html")]
pub struct LogoutConfirmPage {
    /// The tenant's look.
    pub look: Look,
    /// The name of the app that asks, if one does.
    pub client_name: Option<String>,
    /// Who is signed in: an e-mail address, or a name.
    pub user_label: Option<String>,
    /// Where the form posts: a path of ours.
    pub action_url: String,
    /// What the form hands on, as hidden fields.
    pub params: Vec<(String, String)>,
    /// The token that proves the form is ours.
    pub csrf: String,
    /// Where the form may lead in the end: to the URL to return to, or on from there.
    pub form_targets: FormTargets,
}

/// Says that the session has ended.
#[derive(Template, Debug)]
#[template(path = "logged_out.html")]
pub struct LoggedOutPage {
    /// The tenant's look.
    pub look: Look,
}

impl Page for LogoutConfirmPage {
    fn look(&self) -> &Look {
        &self.look
    }

    fn page_title(&self) -> &'static str {
        "logout/logout/pageTitle"
    }

    fn values(&self) -> Vec<(&'static str, &str)> {
        vec![
            ("clientName", self.client_name.as_deref().unwrap_or_default()),
            ("userName", self.user_label.as_deref().unwrap_or_default()),
        ]
    }
}

impl IntoResponse for LogoutConfirmPage {
    fn into_response(self) -> Response {
        self.answer(StatusCode::OK, &self.form_targets)
    }
}

impl Page for LoggedOutPage {
    fn look(&self) -> &Look {
        &self.look
    }

    fn page_title(&self) -> &'static str {
        "logout/logout-complete/pageTitle"
    }
}

impl IntoResponse for LoggedOutPage {
    fn into_response(self) -> Response {
        self.answer(StatusCode::OK, &FormTargets::default())
    }
}
