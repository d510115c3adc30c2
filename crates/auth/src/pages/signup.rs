//! The sign-up page, `/u/signup`.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::{FormTargets, ICON, Look, Page, SCRIPT, STYLE, form_url};

/// Asks for what a new account needs.
///
/// Posts `email`, `username` (where the connection asks for one), `password`, `state`, `_csrf` and `action=default` to
/// `/u/signup?state=…`.
#[derive(Template, Debug)]
#[template(path = "signup.html")]
pub struct SignupPage {
    /// The tenant's look.
    pub look: Look,
    /// The name of the app that asks.
    pub client_name: String,
    /// The login transaction.
    pub state: String,
    /// The token that proves the form is ours.
    pub csrf: String,
    /// What the person typed before, or the request's `login_hint`.
    pub email: String,
    /// Where the connection asks for a username: what the person typed before, maybe nothing.
    pub username: Option<String>,
    /// What the connection asks of a password.
    pub hints: Vec<PasswordHint>,
    /// Which of it the last password did not do.
    pub broken: Vec<PasswordHint>,
    /// What went wrong with the last try.
    pub errors: Vec<SignupError>,
    /// The sign-in page, for those who have an account.
    pub login_url: String,
    /// Where the form may lead in the end: to the redirect URI, or on from there.
    pub form_targets: FormTargets,
}

/// One thing that a connection asks of a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordHint {
    /// At least so many characters.
    Length(u32),
    /// Lower case, upper case and a number (`fair`).
    LowerUpperNumber,
    /// Three of lower case, upper case, numbers and special characters (`good`, `excellent`).
    ThreeKinds,
    /// A lower case letter.
    Lower,
    /// An upper case letter.
    Upper,
    /// A number.
    Number,
    /// A special character.
    Special,
    /// No character more than twice in a row (`excellent`).
    NoRepeats,
    /// No three characters that follow each other.
    NoSequences,
    /// No password that many people have.
    NotCommon,
    /// No name or address of the person.
    NotPersonal,
}

/// Why an account could not be made, as far as the person may know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignupError {
    /// The e-mail field was empty.
    NoEmail,
    /// Not an e-mail address.
    InvalidEmail,
    /// The username field was empty.
    NoUsername,
    /// A username that the connection does not allow.
    InvalidUsername,
    /// The password field was empty.
    NoPassword,
    /// The password does not do what the hints ask.
    WeakPassword,
    /// Many people have this password.
    CommonPassword,
    /// The password holds the person's name or address.
    PersonalPassword,
    /// The password is too long.
    LongPassword,
    /// The password is known to have leaked.
    BreachedPassword,
    /// There is such an account, or there is another reason not to make it: the two look alike.
    CannotSignUp,
    /// Too many sign-ups from this address.
    AddressBlocked,
    /// The server has no time for another password now.
    Busy,
    /// The form was too old or not ours; trying again works.
    FormExpired,
}

/// A field of the form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Email,
    Username,
    Password,
}

impl SignupError {
    /// The key of its text.
    fn text_key(self) -> &'static str {
        match self {
            Self::NoEmail => "signup/signup/no-email",
            Self::InvalidEmail => "signup/signup/invalid-email-format",
            Self::NoUsername => "signup/signup/no-username",
            Self::InvalidUsername => "signup/signup/invalid-username",
            Self::NoPassword => "signup/signup/no-password",
            Self::WeakPassword => "signup/signup/password-too-weak",
            Self::CommonPassword => "signup/signup/password-too-common",
            Self::PersonalPassword => "signup/signup/password-contains-user-info",
            Self::LongPassword => "signup/signup/password-too-long",
            Self::BreachedPassword => "signup/signup/password-breached",
            Self::CannotSignUp => "signup/signup/cannot-sign-up",
            Self::AddressBlocked => "signup/signup/ip-blocked",
            Self::Busy => "signup/signup/busy",
            Self::FormExpired => "signup/signup/form-expired",
        }
    }

    /// The status of a page that shows it.
    pub fn status(self) -> StatusCode {
        match self {
            Self::FormExpired => StatusCode::FORBIDDEN,
            Self::AddressBlocked => StatusCode::TOO_MANY_REQUESTS,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    fn field(self) -> Option<Field> {
        match self {
            Self::NoEmail | Self::InvalidEmail => Some(Field::Email),
            Self::NoUsername | Self::InvalidUsername => Some(Field::Username),
            Self::NoPassword
            | Self::WeakPassword
            | Self::CommonPassword
            | Self::PersonalPassword
            | Self::LongPassword
            | Self::BreachedPassword => Some(Field::Password),
            Self::CannotSignUp | Self::AddressBlocked | Self::Busy | Self::FormExpired => None,
        }
    }

    /// The link from the summary to its field.
    fn anchor(self) -> Option<&'static str> {
        self.field().map(|field| match field {
            Field::Email => "#email",
            Field::Username => "#username",
            Field::Password => "#password",
        })
    }
}

impl SignupPage {
    fn form_url(&self) -> String {
        form_url("/u/signup", &self.state)
    }

    /// The error that belongs to a field.
    fn wrong(&self, field: Field) -> Option<SignupError> {
        self.errors.iter().copied().find(|error| error.field() == Some(field))
    }

    /// What a screen reader reads with the password field: its error, then the hints.
    fn password_described_by(&self) -> Option<&'static str> {
        match (self.wrong(Field::Password).is_some(), self.hints.is_empty()) {
            (true, false) => Some("password-error password-hints"),
            (true, true) => Some("password-error"),
            (false, false) => Some("password-hints"),
            (false, true) => None,
        }
    }

    fn hint(&self, hint: &PasswordHint) -> String {
        hint_text(*hint, |key| self.t(key))
    }
}

/// A hint in the words that `text` has for a key.
pub(super) fn hint_text(hint: PasswordHint, text: impl Fn(&str) -> String) -> String {
    match hint {
        PasswordHint::Length(least) => {
            text("signup/signup/passwordLength").replace("${length}", &least.to_string())
        }
        PasswordHint::LowerUpperNumber => text("signup/signup/passwordLowerUpperNumber"),
        PasswordHint::ThreeKinds => text("signup/signup/passwordThreeKinds"),
        PasswordHint::Lower => text("signup/signup/passwordLower"),
        PasswordHint::Upper => text("signup/signup/passwordUpper"),
        PasswordHint::Number => text("signup/signup/passwordNumber"),
        PasswordHint::Special => text("signup/signup/passwordSpecial"),
        PasswordHint::NoRepeats => text("signup/signup/passwordNoRepeats"),
        PasswordHint::NoSequences => text("signup/signup/passwordNoSequences"),
        PasswordHint::NotCommon => text("signup/signup/passwordNotCommon"),
        PasswordHint::NotPersonal => text("signup/signup/passwordNotPersonal"),
    }
}

impl Page for SignupPage {
    fn look(&self) -> &Look {
        &self.look
    }

    fn page_title(&self) -> &'static str {
        "signup/signup/pageTitle"
    }

    fn values(&self) -> Vec<(&'static str, &str)> {
        vec![("clientName", &self.client_name)]
    }
}

impl IntoResponse for SignupPage {
    fn into_response(self) -> Response {
        let status = self.errors.first().map_or(StatusCode::OK, |error| error.status());
        self.answer(status, &self.form_targets)
    }
}
