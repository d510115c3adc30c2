//! The pages that ask for the code of a second factor: of an authenticator app, by e-mail or SMS, or a recovery code.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use model::factors::Kind;
use model::factors::sending::Sending;

use super::{FormTargets, ICON, Look, Page, SCRIPT, STYLE, form_url};

/// Asks for a code.
///
/// Posts `code`, `rememberBrowser`, `state`, `_csrf` and `action` to the page's own address; `action=resend` asks for another
/// one to be sent.
#[derive(Template, Debug)]
#[template(path = "mfa_code.html")]
pub struct CodePage {
    /// The tenant's look.
    pub look: Look,
    /// What the code is of.
    pub way: LoginWay,
    /// The page's own path.
    pub path: &'static str,
    /// Where the code was sent, masked; empty where none is sent.
    pub address: String,
    /// The login transaction, or the ticket.
    pub state: String,
    /// The token that proves the form is ours.
    pub csrf: String,
    /// Seconds until another code may be sent.
    pub pause: i64,
    /// Whether the browser can be remembered.
    pub remembers: bool,
    /// The page that takes another number, of an enrolment.
    pub edit_url: Option<String>,
    /// What went wrong with the last try.
    pub error: Option<CodeError>,
    /// The other ways to go on, where there are any.
    pub options_url: Option<String>,
    /// Where the form may lead in the end: to the redirect URI, or on from there.
    pub form_targets: FormTargets,
}

/// A way to give a second factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginWay {
    /// The code of an authenticator app.
    Otp,
    /// A code by SMS.
    Sms,
    /// A code by e-mail.
    Email,
    /// A recovery code.
    RecoveryCode,
}

impl LoginWay {
    /// The way in which codes of this kind are given.
    pub fn of(kind: Kind) -> Self {
        match kind {
            Kind::Totp => Self::Otp,
            Kind::Phone => Self::Sms,
            Kind::Email => Self::Email,
            Kind::RecoveryCode => Self::RecoveryCode,
        }
    }

    /// The keys of its page's title in the window, title and lead, of the code's label and of its own name among others.
    fn text_keys(self) -> [&'static str; 5] {
        match self {
            Self::Otp => [
                "mfa-otp/mfa-otp-challenge/pageTitle",
                "mfa-otp/mfa-otp-challenge/title",
                "mfa-otp/mfa-otp-challenge/description",
                "mfa-otp/mfa-otp-challenge/placeholder",
                "mfa/mfa-login-options/authenticatorNamesOTP",
            ],
            Self::Sms => [
                "mfa-sms/mfa-sms-challenge/pageTitle",
                "mfa-sms/mfa-sms-challenge/title",
                "mfa-sms/mfa-sms-challenge/description",
                "mfa-sms/mfa-sms-challenge/placeholder",
                "mfa/mfa-login-options/authenticatorNamesSMS",
            ],
            Self::Email => [
                "mfa-email/mfa-email-challenge/pageTitle",
                "mfa-email/mfa-email-challenge/title",
                "mfa-email/mfa-email-challenge/description",
                "mfa-email/mfa-email-challenge/placeholder",
                "mfa/mfa-login-options/authenticatorNamesEmail",
            ],
            Self::RecoveryCode => [
                "mfa-recovery-code/mfa-recovery-code-challenge/pageTitle",
                "mfa-recovery-code/mfa-recovery-code-challenge/title",
                "mfa-recovery-code/mfa-recovery-code-challenge/description",
                "mfa-recovery-code/mfa-recovery-code-challenge/placeholder",
                "mfa/mfa-login-options/authenticatorNamesRecoveryCode",
            ],
        }
    }

    /// The key of its name.
    pub(super) fn name(self) -> &'static str {
        self.text_keys()[4]
    }

    /// The key of what asks for another code, where codes are sent.
    fn resend(self) -> Option<&'static str> {
        match self {
            Self::Sms => Some("mfa-sms/mfa-sms-challenge/resendText"),
            Self::Email => Some("mfa-email/mfa-email-challenge/resendText"),
            Self::Otp | Self::RecoveryCode => None,
        }
    }
}

/// Why a code was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeError {
    /// The field holds no code.
    NoCode,
    /// Not the code, or one that was used or is too old.
    Wrong,
    /// Too many tries.
    TooMany,
    /// Another code was asked for too soon.
    TooSoon,
    /// Too many codes were sent.
    TooManySent,
}

impl CodeError {
    /// Why none was sent.
    pub fn of(sending: Sending) -> Option<Self> {
        match sending {
            Sending::Sent => None,
            Sending::TooSoon => Some(Self::TooSoon),
            Sending::TooMany => Some(Self::TooManySent),
        }
    }

    /// The key of its text.
    pub(super) fn text_key(self, way: LoginWay) -> &'static str {
        match (self, way) {
            (Self::NoCode, LoginWay::RecoveryCode) => "mfa-recovery-code/mfa-recovery-code-challenge/no-code",
            (Self::Wrong, LoginWay::RecoveryCode) => {
                "mfa-recovery-code/mfa-recovery-code-challenge/invalid-code"
            }
            (Self::NoCode, _) => "mfa-otp/mfa-otp-challenge/no-code",
            (Self::Wrong, LoginWay::Sms) => "mfa-sms/mfa-sms-challenge/invalid-code",
            (Self::Wrong, LoginWay::Email) => "mfa-email/mfa-email-challenge/invalid-code",
            (Self::Wrong, _) => "mfa-otp/mfa-otp-challenge/invalid-code",
            (Self::TooMany, _) => "mfa-otp/mfa-otp-challenge/too-many-failures",
            (Self::TooSoon, _) => "mfa-email/mfa-email-challenge/too-soon",
            (Self::TooManySent, _) => "mfa-email/mfa-email-challenge/too-many-email",
        }
    }

    /// The status of a page that shows it.
    pub fn status(self) -> StatusCode {
        match self {
            Self::NoCode | Self::Wrong => StatusCode::BAD_REQUEST,
            Self::TooMany | Self::TooSoon | Self::TooManySent => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    /// Whether the code itself is at fault.
    pub(super) fn is_of_code(self) -> bool {
        matches!(self, Self::NoCode | Self::Wrong)
    }
}

impl CodePage {
    fn form_url(&self) -> String {
        form_url(self.path, &self.state)
    }

    fn text(&self, at: usize) -> String {
        self.t(self.way.text_keys()[at])
    }

    fn has_digits(&self) -> bool {
        self.way != LoginWay::RecoveryCode
    }

    fn is_wrong(&self) -> bool {
        self.error.is_some_and(CodeError::is_of_code)
    }

    /// The key of what leads to the other ways.
    fn pick(&self) -> &'static str {
        match self.edit_url {
            Some(_) => "mfa/mfa-enroll-options/pickText",
            None => "mfa-otp/mfa-otp-challenge/pickAuthenticatorText",
        }
    }

    fn resend_wait(&self) -> String {
        self.t("mfa-email/mfa-email-challenge/resendWaitText").replace("${seconds}", &self.pause.to_string())
    }
}

impl Page for CodePage {
    fn look(&self) -> &Look {
        &self.look
    }

    fn page_title(&self) -> &'static str {
        self.way.text_keys()[0]
    }

    fn values(&self) -> Vec<(&'static str, &str)> {
        vec![("email", &self.address), ("phone", &self.address)]
    }
}

impl IntoResponse for CodePage {
    fn into_response(self) -> Response {
        self.answer(self.error.map_or(StatusCode::OK, CodeError::status), &self.form_targets)
    }
}
