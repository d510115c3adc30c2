//! The page that asks for the number of a phone that is to be a second factor.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use model::factors::sending::Sending;

use super::{FormTargets, ICON, Look, Page, SCRIPT, STYLE, form_url};

/// Asks for a number.
///
/// Posts `phone`, `state`, `_csrf` and `action=default` to `path?state=…`.
#[derive(Template, Debug)]
#[template(path = "mfa_sms_enrollment.html")]
pub struct SmsEnrollmentPage {
    /// The tenant's look.
    pub look: Look,
    /// The page's own path.
    pub path: &'static str,
    /// What was typed before.
    pub number: String,
    /// The login transaction, or the ticket.
    pub state: String,
    /// The token that proves the form is ours.
    pub csrf: String,
    /// Why no code was sent.
    pub error: Option<PhoneError>,
    /// The page that sets up something else, where there is a choice.
    pub options_url: Option<String>,
    /// Where the form may lead in the end: to the redirect URI, or on from there.
    pub form_targets: FormTargets,
}

/// Why no code was sent to a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PhoneError {
    /// The field holds no number in international form.
    NoNumber,
    /// One was sent a moment ago.
    TooSoon,
    /// Too many were sent.
    TooMany,
}

impl PhoneError {
    /// Why none was sent; one that went out to this very number a moment ago is as good.
    pub fn of(sending: Sending, on_its_way: bool) -> Option<Self> {
        match sending {
            Sending::Sent => None,
            Sending::TooSoon if on_its_way => None,
            Sending::TooSoon => Some(Self::TooSoon),
            Sending::TooMany => Some(Self::TooMany),
        }
    }

    /// The key of its text.
    fn text_key(self) -> &'static str {
        match self {
            Self::NoNumber => "login-id/login-id/invalid-phone",
            Self::TooSoon => "mfa-email/mfa-email-challenge/too-soon",
            Self::TooMany => "mfa-email/mfa-email-challenge/too-many-email",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::NoNumber => StatusCode::BAD_REQUEST,
            Self::TooSoon | Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
        }
    }
}

impl SmsEnrollmentPage {
    fn form_url(&self) -> String {
        form_url(self.path, &self.state)
    }

    fn is_wrong(&self) -> bool {
        self.error == Some(PhoneError::NoNumber)
    }
}

impl Page for SmsEnrollmentPage {
    fn look(&self) -> &Look {
        &self.look
    }

    fn page_title(&self) -> &'static str {
        "mfa-sms/mfa-sms-enrollment/pageTitle"
    }
}

impl IntoResponse for SmsEnrollmentPage {
    fn into_response(self) -> Response {
        self.answer(self.error.map_or(StatusCode::OK, PhoneError::status), &self.form_targets)
    }
}
