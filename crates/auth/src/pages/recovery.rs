//! The pages of getting back into an account, and of proving an address.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::signup::hint_text;
use super::{FormTargets, ICON, Look, Page, PasswordHint, SCRIPT, STYLE, form_url};

/// Asks whom to send a link to, at `/u/reset-password/request/{connection}`.
///
/// Posts `email`, `state`, `_csrf` and `action=default` to `{path}?state=…`.
#[derive(Template, Debug)]
#[template(path = "reset_request.html")]
pub struct ResetRequestPage {
    /// The tenant's look.
    pub look: Look,
    /// Where the form posts: the page's own path.
    pub path: String,
    /// The login transaction.
    pub state: String,
    /// The token that proves the form is ours.
    pub csrf: String,
    /// What the person typed before.
    pub email: String,
    /// Whether the connection has usernames besides e-mail addresses.
    pub with_usernames: bool,
    /// Whether the field was left empty.
    pub is_missing: bool,
    /// The sign-in page.
    pub login_url: String,
}

/// Asks for a new password, at `/u/reset-password`.
///
/// Posts `password`, `ticket`, `_csrf` and `action=default` to `/u/reset-password`.
#[derive(Template, Debug)]
#[template(path = "reset_password.html")]
pub struct ResetPasswordPage {
    /// The tenant's look.
    pub look: Look,
    /// The link's token.
    pub ticket: String,
    /// The token that proves the form is ours.
    pub csrf: String,
    /// Whose password it is: what they sign in with.
    pub user_label: String,
    /// What the connection asks of a password.
    pub hints: Vec<PasswordHint>,
    /// What went wrong with the last try.
    pub error: Option<ResetError>,
    /// Where the form may lead in the end: to the link's own address.
    pub form_targets: FormTargets,
}

/// Why a password was not set, as far as the person may know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetError {
    /// The field was empty.
    NoPassword,
    /// The password does not do what the hints ask.
    WeakPassword,
    /// The password is too long.
    LongPassword,
    /// The password is known to have leaked.
    BreachedPassword,
    /// The password is one that many people have.
    CommonPassword,
    /// The password holds what is known of its user.
    PersonalPassword,
    /// The password was the user's before.
    OldPassword,
    /// The server has no time for another password now.
    Busy,
}

/// Asks to confirm an address, at `/u/email-verification`: a link alone proves nothing, since programs follow links.
///
/// Posts `ticket`, `_csrf` and `action=default` to `/u/email-verification`.
#[derive(Template, Debug)]
#[template(path = "verify_email.html")]
pub struct VerifyEmailPage {
    /// The tenant's look.
    pub look: Look,
    /// The link's token.
    pub ticket: String,
    /// The token that proves the form is ours.
    pub csrf: String,
    /// The address.
    pub email: String,
    /// Where the form may lead in the end: to the link's own address.
    pub form_targets: FormTargets,
}

/// Says what has happened.
#[derive(Template, Debug)]
#[template(path = "message.html")]
pub struct MessagePage {
    /// The tenant's look.
    pub look: Look,
    /// What it says.
    pub message: Message,
    /// Where to go on: an app's page, or one of ours.
    pub continue_url: Option<String>,
}

/// What a [`MessagePage`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// If there is such an account, a mail is on its way.
    ResetSent,
    /// The password is set.
    PasswordChanged,
    /// The address is proved.
    EmailVerified,
    /// The link to set a password works no more.
    ResetEnded,
    /// The link to prove an address works no more.
    VerificationEnded,
}

impl ResetError {
    fn text_key(self) -> &'static str {
        match self {
            Self::NoPassword => "reset-password/reset-password/no-password",
            Self::WeakPassword => "reset-password/reset-password/password-too-weak",
            Self::LongPassword => "reset-password/reset-password/password-too-long",
            Self::BreachedPassword => "reset-password/reset-password/password-breached",
            Self::CommonPassword => "reset-password/reset-password/password-common",
            Self::PersonalPassword => "reset-password/reset-password/password-personal",
            Self::OldPassword => "reset-password/reset-password/password-used",
            Self::Busy => "reset-password/reset-password/busy",
        }
    }

    fn is_of_field(self) -> bool {
        self != Self::Busy
    }
}

impl ResetRequestPage {
    fn form_url(&self) -> String {
        form_url(&self.path, &self.state)
    }

    fn label(&self) -> &'static str {
        if self.with_usernames {
            "reset-password/reset-password-request/usernameLabel"
        } else {
            "reset-password/reset-password-request/emailLabel"
        }
    }

    fn missing_key(&self) -> &'static str {
        if self.with_usernames {
            "reset-password/reset-password-request/no-username"
        } else {
            "reset-password/reset-password-request/no-email"
        }
    }
}

impl Page for ResetRequestPage {
    fn look(&self) -> &Look {
        &self.look
    }

    fn page_title(&self) -> &'static str {
        "reset-password/reset-password-request/pageTitle"
    }
}

impl IntoResponse for ResetRequestPage {
    fn into_response(self) -> Response {
        let status = if self.is_missing { StatusCode::BAD_REQUEST } else { StatusCode::OK };
        self.answer(status, &FormTargets::default())
    }
}

impl ResetPasswordPage {
    fn hint(&self, hint: &PasswordHint) -> String {
        hint_text(*hint, |key| self.t(key))
    }

    fn field_is_wrong(&self) -> bool {
        self.error.is_some_and(ResetError::is_of_field)
    }

    fn described_by(&self) -> &'static str {
        if self.field_is_wrong() { "error password-hints" } else { "password-hints" }
    }
}

impl Page for ResetPasswordPage {
    fn look(&self) -> &Look {
        &self.look
    }

    fn page_title(&self) -> &'static str {
        "reset-password/reset-password/pageTitle"
    }

    fn values(&self) -> Vec<(&'static str, &str)> {
        vec![("userName", &self.user_label)]
    }
}

impl IntoResponse for ResetPasswordPage {
    fn into_response(self) -> Response {
        let status = match self.error {
            None => StatusCode::OK,
            Some(ResetError::Busy) => StatusCode::SERVICE_UNAVAILABLE,
            Some(_) => StatusCode::BAD_REQUEST,
        };
        self.answer(status, &self.form_targets)
    }
}

impl Page for VerifyEmailPage {
    fn look(&self) -> &Look {
        &self.look
    }

    fn page_title(&self) -> &'static str {
        "email-verification/email-verification/pageTitle"
    }

    fn values(&self) -> Vec<(&'static str, &str)> {
        vec![("email", &self.email)]
    }
}

impl IntoResponse for VerifyEmailPage {
    fn into_response(self) -> Response {
        self.answer(StatusCode::OK, &self.form_targets)
    }
}

impl Message {
    /// The keys of its title in the window, its title, and its description.
    pub(super) fn text_keys(self) -> [&'static str; 3] {
        match self {
            Self::ResetSent => [
                "reset-password/reset-password-email/pageTitle",
                "reset-password/reset-password-email/title",
                "reset-password/reset-password-email/description",
            ],
            Self::PasswordChanged => [
                "reset-password/reset-password-success/pageTitle",
                "reset-password/reset-password-success/title",
                "reset-password/reset-password-success/description",
            ],
            Self::EmailVerified => [
                "email-verification/email-verification-success/pageTitle",
                "email-verification/email-verification-success/title",
                "email-verification/email-verification-success/description",
            ],
            Self::ResetEnded => [
                "reset-password/reset-password-error/pageTitle",
                "reset-password/reset-password-error/title",
                "reset-password/reset-password-error/description",
            ],
            Self::VerificationEnded => [
                "email-verification/email-verification-error/pageTitle",
                "email-verification/email-verification-error/title",
                "email-verification/email-verification-error/description",
            ],
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::ResetEnded | Self::VerificationEnded => StatusCode::BAD_REQUEST,
            _ => StatusCode::OK,
        }
    }

    /// The key of the words that lead on.
    fn link_key(self) -> &'static str {
        match self {
            Self::ResetSent => "reset-password/reset-password-email/backText",
            _ => "common/common/continueText",
        }
    }
}

impl Page for MessagePage {
    fn look(&self) -> &Look {
        &self.look
    }

    fn page_title(&self) -> &'static str {
        self.message.text_keys()[0]
    }
}

impl MessagePage {
    fn text(&self, part: usize) -> String {
        self.t(self.message.text_keys()[part])
    }

    /// The address that leads on, if it is one that a link may have.
    fn link(&self) -> Option<&str> {
        self.continue_url.as_deref().filter(|url| {
            url.starts_with("https://")
                || url.starts_with("http://")
                || url.starts_with('/') && !url.starts_with("//")
        })
    }
}

impl IntoResponse for MessagePage {
    fn into_response(self) -> Response {
        self.answer(self.message.status(), &FormTargets::default())
    }
}
