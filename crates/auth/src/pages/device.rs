//! The pages that let a device in: the code, whose it is, and the end.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::{FormTargets, ICON, Look, Page, SCRIPT, STYLE, form_url, look};

/// Asks for the code that a device shows.
///
/// Posts `user_code`, `_csrf` and `action=default` to `/activate`.
#[derive(Template, Debug)]
#[template(path = "device_code.html")]
pub struct DeviceCodePage {
    /// The tenant's look.
    pub look: Look,
    /// What was typed before, or came with the link.
    pub user_code: String,
    /// The token that proves the form is ours.
    pub csrf: String,
    /// What went wrong with the last try.
    pub error: Option<DeviceError>,
}

/// Why a code led nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceError {
    /// The field was empty.
    NoCode,
    /// No device waits with this code.
    Wrong,
    /// Too many were tried.
    TooMany,
}

impl DeviceError {
    /// The key of its text.
    fn text_key(self) -> &'static str {
        match self {
            Self::NoCode => "device-flow/device-code-activation/no-code",
            Self::Wrong => "device-flow/device-code-activation/invalid-code",
            Self::TooMany => "device-flow/device-code-activation/too-many-failures",
        }
    }

    /// The status of a page that shows it.
    fn status(self) -> StatusCode {
        match self {
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Self::NoCode | Self::Wrong => StatusCode::BAD_REQUEST,
        }
    }
}

impl Page for DeviceCodePage {
    fn look(&self) -> &Look {
        &self.look
    }

    fn page_title(&self) -> &'static str {
        "device-flow/device-code-activation/pageTitle"
    }
}

impl IntoResponse for DeviceCodePage {
    fn into_response(self) -> Response {
        self.answer(self.error.map_or(StatusCode::OK, DeviceError::status), &FormTargets::default())
    }
}

/// Names the app and the code, and asks whether they are this person's.
///
/// Posts `state`, `_csrf` and `action`, which is `accept` or `deny`, to `/u/device-confirmation?state=…`.
#[derive(Template, Debug)]
#[template(path = "device_confirm.html")]
pub struct DeviceConfirmPage {
    /// The tenant's look.
    pub look: Look,
    /// The name of the app on the device.
    pub client_name: String,
    /// Its logo, if it has one.
    pub client_logo: Option<String>,
    /// The code, as the device shows it.
    pub user_code: String,
    /// The token that proves the form is ours.
    pub csrf: String,
    /// The sign-in that is to begin.
    pub state: String,
}

impl DeviceConfirmPage {
    fn form_url(&self) -> String {
        form_url("/u/device-confirmation", &self.state)
    }

    fn logo(&self) -> Option<String> {
        look::image(self.client_logo.as_deref())
    }

    fn client_monogram(&self) -> String {
        look::monogram(&self.client_name)
    }
}

impl Page for DeviceConfirmPage {
    fn look(&self) -> &Look {
        &self.look
    }

    fn page_title(&self) -> &'static str {
        "device-flow/device-code-confirmation/pageTitle"
    }

    fn values(&self) -> Vec<(&'static str, &str)> {
        vec![("clientName", &self.client_name)]
    }
}

impl IntoResponse for DeviceConfirmPage {
    fn into_response(self) -> Response {
        self.answer(StatusCode::OK, &FormTargets::default())
    }
}

/// Says what became of a device.
#[derive(Template, Debug)]
#[template(path = "device_end.html")]
pub struct DeviceEndPage {
    /// The tenant's look.
    pub look: Look,
    /// What did.
    pub how: DeviceEnd,
}

/// What became of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceEnd {
    /// It is let in.
    Allowed,
    /// Somebody said that it is not theirs.
    Denied,
    /// It was answered before, or has waited too long.
    Over,
}

impl DeviceEndPage {
    /// The keys of the title of the window, of the title and of what it means.
    fn text_keys(&self) -> [&'static str; 3] {
        match self.how {
            DeviceEnd::Allowed => [
                "device-flow/device-code-activation-allowed/pageTitle",
                "device-flow/device-code-activation-allowed/title",
                "device-flow/device-code-activation-allowed/description",
            ],
            DeviceEnd::Denied => [
                "device-flow/device-code-activation-denied/pageTitle",
                "device-flow/device-code-activation-denied/title",
                "device-flow/device-code-activation-denied/description",
            ],
            DeviceEnd::Over => [
                "device-flow/device-code-activation-denied/pageTitle",
                "device-flow/device-code-activation/expired-title",
                "device-flow/device-code-activation/expired-description",
            ],
        }
    }
}

impl Page for DeviceEndPage {
    fn look(&self) -> &Look {
        &self.look
    }

    fn page_title(&self) -> &'static str {
        self.text_keys()[0]
    }
}

impl IntoResponse for DeviceEndPage {
    fn into_response(self) -> Response {
        let status = match self.how {
            DeviceEnd::Over => StatusCode::BAD_REQUEST,
            DeviceEnd::Allowed | DeviceEnd::Denied => StatusCode::OK,
        };
        self.answer(status, &FormTargets::default())
    }
}
