//! The sign-in page, `/u/login`.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::{ClientLinks, FormTargets, ICON, Look, Page, SCRIPT, STYLE, form_url, look};

/// Asks for an e-mail or username and a password.
///
/// Posts `username`, `password`, `state`, `_csrf` and `action=default` to `/u/login?state=…`.
#[derive(Template, Debug)]
#[template(path = "login.html")]
pub struct LoginPage {
    /// The tenant's look.
    pub look: Look,
    /// The name of the app that asks.
    pub client_name: String,
    /// The app's logo: an `https` or `data:image/` URL; others are not shown.
    pub client_logo: Option<String>,
    /// What the app says of itself.
    pub links: ClientLinks,
    /// The login transaction.
    pub state: String,
    /// The token that proves the form is ours.
    pub csrf: String,
    /// What the person typed before, or the request's `login_hint`.
    pub username: String,
    /// Whether the connection has usernames besides e-mail addresses.
    pub with_usernames: bool,
    /// What went wrong with the last try.
    pub error: Option<LoginError>,
    /// The page for those who forgot their password, where they may set another.
    pub reset_url: Option<String>,
    /// The signup page, where signing up is allowed.
    pub signup_url: Option<String>,
    /// Where the form may lead in the end: to the redirect URI, or on from there.
    pub form_targets: FormTargets,
}

/// Why a try to sign in failed, as far as the person may know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginError {
    /// The username field was empty.
    NoUsername,
    /// The password field was empty.
    NoPassword,
    /// No such user, or not their password: the two look alike.
    WrongCredentials,
    /// The account is blocked (said only after the right password).
    UserBlocked,
    /// Too many wrong passwords for this account, known or not.
    AccountBlocked {
        /// Whether a mail tells how to go on.
        notified: bool,
    },
    /// Too many wrong passwords from this address.
    AddressBlocked,
    /// The password, which was right, is known to have leaked.
    PasswordBreached,
    /// The server has no time for another password now.
    Busy,
    /// The form was too old or not ours; trying again works.
    FormExpired,
}

impl LoginError {
    /// The key of its text, which names the field as the form does.
    fn text_key(self, with_usernames: bool) -> &'static str {
        match self {
            Self::NoUsername if with_usernames => "login/login/no-username",
            Self::NoUsername => "login/login/no-email",
            Self::NoPassword => "login/login/no-password",
            Self::WrongCredentials if with_usernames => "login/login/wrong-credentials",
            Self::WrongCredentials => "login/login/wrong-email-credentials",
            Self::UserBlocked => "login/login/user-blocked",
            Self::AccountBlocked { notified: true } => "login/login/too-many-failures-notified",
            Self::AccountBlocked { notified: false } => "login/login/too-many-failures",
            Self::AddressBlocked => "login/login/ip-blocked",
            Self::PasswordBreached => "login/login/password-breached",
            Self::Busy => "login/login/busy",
            Self::FormExpired => "login/login/form-expired",
        }
    }

    /// The status of a page that shows it.
    pub fn status(self) -> StatusCode {
        match self {
            Self::FormExpired => StatusCode::FORBIDDEN,
            Self::AccountBlocked { .. } | Self::AddressBlocked => StatusCode::TOO_MANY_REQUESTS,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

impl LoginPage {
    fn form_url(&self) -> String {
        form_url("/u/login", &self.state)
    }

    fn logo(&self) -> Option<String> {
        look::image(self.client_logo.as_deref())
    }

    fn username_label(&self) -> &'static str {
        if self.with_usernames { "login/login/usernameLabel" } else { "login/login/emailLabel" }
    }

    fn username_is_wrong(&self) -> bool {
        matches!(self.error, Some(LoginError::NoUsername | LoginError::WrongCredentials))
    }

    fn password_is_wrong(&self) -> bool {
        matches!(self.error, Some(LoginError::NoPassword | LoginError::WrongCredentials))
    }
}

impl Page for LoginPage {
    fn look(&self) -> &Look {
        &self.look
    }

    fn page_title(&self) -> &'static str {
        "login/login/pageTitle"
    }

    fn values(&self) -> Vec<(&'static str, &str)> {
        vec![("clientName", &self.client_name)]
    }
}

impl IntoResponse for LoginPage {
    fn into_response(self) -> Response {
        self.answer(self.error.map_or(StatusCode::OK, LoginError::status), &self.form_targets)
    }
}
