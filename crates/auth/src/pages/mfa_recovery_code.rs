//! The page that shows a new recovery code, once; and the end of an enrolment that nothing follows.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::{FormTargets, ICON, Look, Page, SCRIPT, STYLE, form_url};

/// Shows a recovery code and asks whether its user has it.
///
/// Posts `saved`, `state`, `_csrf` and `action=default` to `/u/mfa-recovery-code-enrollment?state=…`.
#[derive(Template)]
#[template(path = "mfa_recovery_code.html")]
pub struct RecoveryCodePage {
    /// The tenant's look.
    pub look: Look,
    /// The code; empty where an enrolment ends without one.
    pub code: String,
    /// The login transaction and the token that proves the form is ours; none where no sign-in goes on.
    pub form: Option<(String, String)>,
    /// Whether the form came back without the user's word that they have the code.
    pub unsaved: bool,
    /// Where the form may lead in the end: to the redirect URI, or on from there.
    pub form_targets: FormTargets,
}

impl RecoveryCodePage {
    fn form_url(&self) -> String {
        let state = self.form.as_ref().map(|(state, _)| state.as_str());
        form_url("/u/mfa-recovery-code-enrollment", state.unwrap_or_default())
    }

    /// The code in groups of four, which are easier to copy by hand. On a narrow page it breaks in the middle and nowhere else.
    fn groups(&self) -> String {
        let chars: Vec<char> = self.code.chars().collect();
        let groups: Vec<String> = chars.chunks(4).map(|group| group.iter().collect()).collect();
        let half = groups.len().div_ceil(2).max(1);
        groups.chunks(half).map(|groups| groups.join("\u{a0}")).collect::<Vec<_>>().join(" ")
    }
}

impl Page for RecoveryCodePage {
    fn look(&self) -> &Look {
        &self.look
    }

    fn page_title(&self) -> &'static str {
        if self.code.is_empty() {
            "mfa/mfa-enroll-result/pageTitle"
        } else {
            "mfa-recovery-code/mfa-recovery-code-enrollment/pageTitle"
        }
    }
}

impl IntoResponse for RecoveryCodePage {
    fn into_response(self) -> Response {
        let status = if self.unsaved { StatusCode::BAD_REQUEST } else { StatusCode::OK };
        self.answer(status, &self.form_targets)
    }
}
