//! The pages that sign people in without a password: the one that asks for an address, `/u/passwordless`; the one that asks for the code
//! which went there, `/u/passwordless-challenge`; and the one behind a link, `/passwordless/verify_redirect`.

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

/// Asks where to send a code.
///
/// Posts `address`, `state`, `_csrf` and `action=default` to `/u/passwordless?state=…`.
#[derive(Template, Debug)]
#[template(path = "passwordless.html")]
pub struct PasswordlessPage {
    /// The tenant's look.
    pub look: Look,
    /// The name of the app that asks.
    pub client_name: String,
    /// Whether codes go to phones.
    pub by_sms: bool,
    /// What was typed before, or the request's `login_hint`.
    pub address: String,
    /// The login transaction.
    pub state: String,
    /// The token that proves the form is ours.
    pub csrf: String,
    /// Why nothing was sent.
    pub error: Option<StartProblem>,
    /// Where the form may lead in the end: to the redirect URI, or on from there.
    pub form_targets: FormTargets,
}

/// Why no code was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartProblem {
    /// The field holds no address.
    NoAddress,
    /// Too many were asked for.
    TooMany,
    /// The gateway did not take it.
    Failed,
}

impl StartProblem {
    /// The key of its text.
    fn text_key(self, by_sms: bool) -> &'static str {
        match self {
            Self::NoAddress if by_sms => "login-id/login-id/invalid-phone",
            Self::NoAddress => "login-id/login-id/invalid-email",
            Self::TooMany => "login-id/login-id/too-many-codes",
            Self::Failed => "login-id/login-id/not-sent",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::NoAddress => StatusCode::BAD_REQUEST,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Self::Failed => StatusCode::BAD_GATEWAY,
        }
    }
}

impl PasswordlessPage {
    fn form_url(&self) -> String {
        form_url("/u/passwordless", &self.state)
    }

    fn address_is_wrong(&self) -> bool {
        self.error == Some(StartProblem::NoAddress)
    }

    fn label(&self) -> &'static str {
        if self.by_sms { "login-id/login-id/phoneLabel" } else { "login-id/login-id/emailLabel" }
    }

    fn lead(&self) -> &'static str {
        if self.by_sms { "login-id/login-id/smsDescription" } else { "login-id/login-id/emailDescription" }
    }
}

impl Page for PasswordlessPage {
    fn look(&self) -> &Look {
        &self.look
    }

    fn page_title(&self) -> &'static str {
        "login-id/login-id/pageTitle"
    }

    fn values(&self) -> Vec<(&'static str, &str)> {
        vec![("clientName", &self.client_name)]
    }
}

impl IntoResponse for PasswordlessPage {
    fn into_response(self) -> Response {
        self.answer(self.error.map_or(StatusCode::OK, StartProblem::status), &self.form_targets)
    }
}

/// Asks for the code that was sent.
///
/// Posts `code`, `state`, `_csrf` and `action` to `/u/passwordless-challenge?state=…`; `action=resend` asks for another.
#[derive(Template, Debug)]
#[template(path = "passwordless_code.html")]
pub struct PasswordlessCodePage {
    /// The tenant's look.
    pub look: Look,
    /// The name of the app that asks.
    pub client_name: String,
    /// Whether it went to a phone.
    pub by_sms: bool,
    /// Where it went.
    pub address: String,
    /// Seconds until another may be sent.
    pub pause: i64,
    /// The login transaction.
    pub state: String,
    /// The token that proves the form is ours.
    pub csrf: String,
    /// What went wrong with the last try.
    pub error: Option<CodeProblem>,
    /// The page that asks for an address.
    pub back_url: String,
    /// Where the form may lead in the end: to the redirect URI, or on from there.
    pub form_targets: FormTargets,
}

/// Why a code was not taken, or not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeProblem {
    /// The field is empty.
    NoCode,
    /// It is not the one that was sent, or was used.
    Wrong,
    /// It was right, too late.
    Expired,
    /// It was tried too often.
    WornOut,
    /// Too many were tried, of the account or from the address.
    TooManyTries,
    /// The account is blocked.
    UserBlocked,
    /// The server has no time now.
    Busy,
    /// One has just been sent.
    TooSoon,
    /// Too many were sent.
    TooManyCodes,
    /// The gateway did not take it.
    NotSent,
}

impl CodeProblem {
    /// The key of its text.
    fn text_key(self) -> &'static str {
        match self {
            Self::NoCode => "mfa-otp/mfa-otp-challenge/no-code",
            Self::Wrong => "login-passwordless/login-passwordless-email-code/invalid-code",
            Self::Expired => "login-passwordless/login-passwordless-email-code/code-expired",
            Self::WornOut => "login-passwordless/login-passwordless-email-code/too-many-tries",
            Self::TooManyTries => "login/login/too-many-failures",
            Self::UserBlocked => "login/login/user-blocked",
            Self::Busy => "login/login/busy",
            Self::TooSoon => "mfa-email/mfa-email-challenge/too-soon",
            Self::TooManyCodes => "login-id/login-id/too-many-codes",
            Self::NotSent => "login-id/login-id/not-sent",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::NoCode | Self::Wrong | Self::Expired | Self::WornOut | Self::UserBlocked => {
                StatusCode::BAD_REQUEST
            }
            Self::TooManyTries | Self::TooSoon | Self::TooManyCodes => StatusCode::TOO_MANY_REQUESTS,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::NotSent => StatusCode::BAD_GATEWAY,
        }
    }

    /// Whether the code itself is at fault.
    fn is_of_code(self) -> bool {
        matches!(self, Self::NoCode | Self::Wrong | Self::Expired | Self::WornOut)
    }
}

impl PasswordlessCodePage {
    fn form_url(&self) -> String {
        form_url("/u/passwordless-challenge", &self.state)
    }

    fn is_wrong(&self) -> bool {
        self.error.is_some_and(CodeProblem::is_of_code)
    }

    /// The keys of title and lead, of what asks for another code, and of the way back.
    fn text_keys(&self) -> [&'static str; 4] {
        match self.by_sms {
            true => [
                "login-passwordless/login-passwordless-sms-otp/title",
                "login-passwordless/login-passwordless-sms-otp/description",
                "login-passwordless/login-passwordless-sms-otp/resendText",
                "login-passwordless/login-passwordless-sms-otp/editText",
            ],
            false => [
                "login-passwordless/login-passwordless-email-code/title",
                "login-passwordless/login-passwordless-email-code/description",
                "mfa-email/mfa-email-challenge/resendText",
                "login-passwordless/login-passwordless-email-code/editText",
            ],
        }
    }

    fn resend_wait(&self) -> String {
        self.t("mfa-email/mfa-email-challenge/resendWaitText").replace("${seconds}", &self.pause.to_string())
    }
}

impl Page for PasswordlessCodePage {
    fn look(&self) -> &Look {
        &self.look
    }

    fn page_title(&self) -> &'static str {
        "mfa-otp/mfa-otp-challenge/pageTitle"
    }

    fn values(&self) -> Vec<(&'static str, &str)> {
        vec![("clientName", &self.client_name), ("email", &self.address), ("phone", &self.address)]
    }
}

impl IntoResponse for PasswordlessCodePage {
    fn into_response(self) -> Response {
        self.answer(self.error.map_or(StatusCode::OK, CodeProblem::status), &self.form_targets)
    }
}
