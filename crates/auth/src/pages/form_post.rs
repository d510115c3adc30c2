//! The answer of `response_mode=form_post` (OAuth 2.0 Form Post Response Mode §2).

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::{FormTargets, Html, ICON, Look, Page, STYLE};

/// Posts itself to the app at once; without JavaScript it shows a button that does.
#[derive(Template, Debug)]
#[template(path = "form_post.html")]
pub struct FormPostPage {
    /// The tenant's look.
    pub look: Look,
    /// The redirect URI, which has been validated.
    pub action: String,
    /// The parameters, in their order.
    pub params: Vec<(String, String)>,
    /// Where the form may lead: to `action`, or on from there.
    pub form_targets: FormTargets,
}

/// The inline script; its hash is in the policy.
const SUBMIT: &str = "document.forms[0].submit()";

impl Page for FormPostPage {
    fn look(&self) -> &Look {
        &self.look
    }

    fn page_title(&self) -> &'static str {
        "redirect/form-post/pageTitle"
    }
}

impl IntoResponse for FormPostPage {
    fn into_response(self) -> Response {
        Html {
            status: StatusCode::OK,
            body: self.render().expect("writing to a string cannot fail"),
            form_targets: self.form_targets,
            style: Some(self.look.style().to_owned()),
            script: Some(SUBMIT.to_owned()),
            frame: None,
            framed: false,
        }
        .into_response()
    }
}
