//! The page that sets up an authenticator app.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fast_qr::convert::svg::SvgBuilder;
use fast_qr::convert::{Builder, Shape};
use fast_qr::{ECL, QRBuilder};

use super::mfa_code::CodeError;
use super::{FormTargets, ICON, LoginWay, Look, Page, SCRIPT, STYLE, form_url};

/// Shows a seed as QR code and as text, and asks for the first code.
///
/// Posts `code`, `state`, `_csrf` and `action=default` to `path?state=…`.
#[derive(Template)]
#[template(path = "mfa_otp_enrollment.html")]
pub struct OtpEnrollmentPage {
    /// The tenant's look.
    pub look: Look,
    /// The key URI that the QR code holds.
    pub uri: String,
    /// The seed in base32.
    pub secret: String,
    /// The page's own path.
    pub path: &'static str,
    /// The login transaction, or the ticket.
    pub state: String,
    /// The token that proves the form is ours.
    pub csrf: String,
    /// What went wrong with the last try.
    pub error: Option<CodeError>,
    /// The page that sets up something else, where there is a choice.
    pub options_url: Option<String>,
    /// Where the form may lead in the end: to the redirect URI, or on from there.
    pub form_targets: FormTargets,
}

impl OtpEnrollmentPage {
    fn form_url(&self) -> String {
        form_url(self.path, &self.state)
    }

    /// The QR code as an image of its own, dark on light in every theme: that is what cameras read. None, where the URI is too
    /// long for one: the text does as well.
    fn image(&self) -> Option<String> {
        let code = QRBuilder::new(self.uri.as_str()).ecl(ECL::M).build().ok()?;
        let svg = SvgBuilder::default().shape(Shape::Square).margin(4).to_str(&code);
        Some(format!("data:image/svg+xml;base64,{}", STANDARD.encode(svg)))
    }

    /// The seed in groups of four, which are easier to type.
    fn groups(&self) -> String {
        let chars: Vec<char> = self.secret.chars().collect();
        chars.chunks(4).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join(" ")
    }

    fn error_text(&self) -> Option<String> {
        self.error.map(|error| self.t(error.text_key(LoginWay::Otp)))
    }

    fn is_wrong(&self) -> bool {
        self.error.is_some_and(CodeError::is_of_code)
    }
}

impl Page for OtpEnrollmentPage {
    fn look(&self) -> &Look {
        &self.look
    }

    fn page_title(&self) -> &'static str {
        "mfa-otp/mfa-otp-enrollment-qr/pageTitle"
    }
}

impl IntoResponse for OtpEnrollmentPage {
    fn into_response(self) -> Response {
        self.answer(self.error.map_or(StatusCode::OK, CodeError::status), &self.form_targets)
    }
}
