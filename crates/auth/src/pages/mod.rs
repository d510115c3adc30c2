//! The hosted pages: one struct and one template each. They post plain forms, work without JavaScript, and take every
//! word from `texts/en.json`.

pub mod assets;
mod authorization_requests;
mod client_links;
mod colour;
mod consent;
mod cross_origin;
mod device;
mod error;
mod form_post;
mod login;
mod logout;
mod look;
mod mfa_code;
mod mfa_login_options;
mod mfa_otp_enrollment;
mod mfa_recovery_code;
mod mfa_sms_enrollment;
mod passwordless;
mod policy;
mod popup;
mod recovery;
mod signup;
#[cfg(test)]
mod tests;
mod texts;
mod unblock;
mod web_message;

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

pub use authorization_requests::{AuthorizationRequest, AuthorizationRequestsPage, RequestsNotice};
pub use client_links::ClientLinks;
pub use consent::{ConsentPage, ScopeLine};
pub use cross_origin::{CrossOriginPage, HiddenFormPage};
pub use device::{DeviceCodePage, DeviceConfirmPage, DeviceEnd, DeviceEndPage, DeviceError};
pub use error::{ErrorKind, ErrorPage, Told};
pub use form_post::FormPostPage;
pub use login::{LoginError, LoginPage};
pub use logout::{LoggedOutPage, LogoutConfirmPage};
pub use look::{DEFAULT_PRIMARY, Footer, Look};
pub use mfa_code::{CodeError, CodePage, LoginWay};
pub use mfa_login_options::LoginOptionsPage;
pub use mfa_otp_enrollment::OtpEnrollmentPage;
pub use mfa_recovery_code::RecoveryCodePage;
pub use mfa_sms_enrollment::{PhoneError, SmsEnrollmentPage};
pub use passwordless::{
    CodeProblem, LinkError, PasswordlessCodePage, PasswordlessLinkPage, PasswordlessPage, StartProblem,
};
pub use policy::{FormTargets, Html};
pub use popup::PopupPage;
pub use recovery::{Message, MessagePage, ResetError, ResetPasswordPage, ResetRequestPage, VerifyEmailPage};
pub use signup::{PasswordHint, SignupError, SignupPage};
pub use texts::Texts;
pub use unblock::{Unblock, UnblockPage};
pub use web_message::{Relay, WebMessagePage, in_script};

use assets::{ICON, SCRIPT, STYLE};

/// What every page with the tenant's look has in common: what `layout.html` asks for.
trait Page: Template {
    /// The tenant's look.
    fn look(&self) -> &Look;

    /// The key of the page's title in the window.
    fn page_title(&self) -> &'static str;

    /// What fills the placeholders of the page's texts, besides `companyName`.
    fn values(&self) -> Vec<(&'static str, &str)> {
        Vec::new()
    }

    /// Text `key` with its placeholders filled.
    fn t(&self, key: &str) -> String {
        let mut values = self.values();
        values.push(("companyName", &self.look().tenant_name));
        Texts::of(&self.look().lang).fill(key, &values)
    }

    /// The page as a response. Forms may lead to us and to `form_targets`.
    fn answer(&self, status: StatusCode, form_targets: &FormTargets) -> Response {
        let body = self.render().expect("writing to a string cannot fail");
        Html {
            status,
            body,
            form_targets: form_targets.clone(),
            style: Some(self.look().style().to_owned()),
            script: None,
            frame: None,
            framed: false,
        }
        .into_response()
    }
}

/// Where the form of a page posts: the page itself, with `state` also in the URL so that a reload finds its way.
fn form_url(path: &str, state: &str) -> String {
    let query: String =
        percent_encoding::utf8_percent_encode(state, percent_encoding::NON_ALPHANUMERIC).to_string();
    format!("{path}?state={query}")
}

/// At most 64 characters of a value that somebody else chose; what was cut off shows as `…`.
pub fn excerpt(value: &str) -> String {
    if value.chars().count() <= 64 {
        return value.to_owned();
    }
    value.chars().take(63).chain(['…']).collect()
}
