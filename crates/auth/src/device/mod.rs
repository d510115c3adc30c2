//! Devices without a browser (RFC 8628; authentication contract §4.1). A device asks for a code ([`code`]) and polls; its user
//! types that code elsewhere ([`activate`]), sees which app it is of and says that it is theirs ([`confirm`]), and signs in like
//! anybody. The answer of that sign-in lets the device in.
//!
//! Whoever lures somebody here with a code of their own device is told apart by nothing but that person's eyes: so nothing is
//! confirmed by following a link, and the page says what is let in.

pub mod activate;
pub mod code;
pub mod confirm;

use axum::response::{IntoResponse, Response};
use model::device_codes;
use model::transactions::Device;

use crate::authorize::refuse;
use crate::authorize::request::Request;
use crate::pages::{DeviceEnd, DeviceEndPage, ErrorKind};
use crate::visit::Visit;

/// The grant that a device polls with.
pub const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// The request of the device that a sign-in is for. One that its user has not confirmed goes no further; one that was answered
/// meanwhile, or has waited too long, ends here.
pub async fn request(visit: &Visit, device: &Device) -> Result<Request, Response> {
    if !device.confirmed {
        return Err(visit.error_page(ErrorKind::FormExpired).await.into_response());
    }
    waiting(visit, device).await
}

/// Whether a device still waits for its user's answer.
pub async fn waits(visit: &Visit, hash: &[u8; 32]) -> Result<bool, db::Error> {
    let code = device_codes::find(&visit.app.db, &visit.tenant.id, hash).await?;
    Ok(code.is_some_and(|code| code.is_open(visit.app.clock.now())))
}

/// The request of a device that still waits.
async fn waiting(visit: &Visit, device: &Device) -> Result<Request, Response> {
    let (app, tenant) = (&visit.app, &visit.tenant.id);
    let code = match device_codes::find(&app.db, tenant, &device.hash).await {
        Ok(code) => code.filter(|code| code.is_open(app.clock.now())),
        Err(error) => return Err(visit.failure_page(error).await),
    };
    let Some(code) = code else { return Err(end(visit, DeviceEnd::Over).await) };
    match Request::for_device(visit, &code).await {
        Ok(request) => Ok(request),
        Err(refusal) => Err(refuse(visit, refusal).await),
    }
}

/// The last page.
pub async fn end(visit: &Visit, how: DeviceEnd) -> Response {
    DeviceEndPage { look: visit.look().await, how }.into_response()
}
