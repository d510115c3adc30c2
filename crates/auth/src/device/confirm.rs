//! `/u/device-confirmation`: which app and which code, and whether they are this person's.

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use db::Batch;
use model::transactions::{StateError, Transaction};
use model::{App, device_codes, logs};

use super::{end, waiting};
use crate::authorize::page_url;
use crate::authorize::request::Request;
use crate::authorize::response::redirect;
use crate::events;
use crate::login::state_of;
use crate::pages::{DeviceConfirmPage, DeviceEnd, ErrorKind};
use crate::params::Params;
use crate::visit::Visit;

/// `GET /u/device-confirmation?state=…`: the page.
pub async fn show(State(_): State<App>, visit: Visit, RawQuery(query): RawQuery) -> Response {
    let state = state_of(query.as_deref());
    match open(&visit, &state).await {
        Ok((transaction, request)) => page(&visit, &transaction, &request, &state).await,
        Err(response) => response,
    }
}

/// `POST /u/device-confirmation`: `accept` goes on to the sign-in; anything else tells the device that it is nobody's.
pub async fn submit(
    State(_): State<App>,
    visit: Visit,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Ok(params) = Params::parse_body(&headers, &body) else {
        let page = visit.error_page(ErrorKind::InvalidRequest).await;
        return page
            .with_error("invalid_request", "The form holds bytes that are not valid text")
            .into_response();
    };
    let state = params.get("state").map_or_else(|| state_of(query.as_deref()), str::to_owned);
    if !visit.csrf_holds(params.get("_csrf"), &subject(&state)) {
        return visit.error_page(ErrorKind::FormExpired).await.into_response();
    }
    let (transaction, request) = match open(&visit, &state).await {
        Ok(opened) => opened,
        Err(response) => return response,
    };
    let (app, tenant) = (&visit.app, &visit.tenant.id);
    if params.get("action") == Some("accept") {
        return redirect(&page_url("/authorize/resume", &transaction.confirmed().seal(app, tenant)));
    }
    let mut batch = Batch::new();
    if let Some(device) = &request.device {
        device_codes::deny(&mut batch, tenant, device);
    }
    logs::record(&mut batch, events::device_declined(&visit, &request));
    match app.db.commit(batch).await {
        Ok(_) => end(&visit, DeviceEnd::Denied).await,
        Err(db::Error::Conflict { .. }) => end(&visit, DeviceEnd::Over).await,
        Err(error) => visit.failure_page(error).await,
    }
}

/// The device that this browser's user has typed the code of, while it waits and nobody has confirmed it.
async fn open(visit: &Visit, state: &str) -> Result<(Transaction, Request), Response> {
    let transaction = match Transaction::open(&visit.app, &visit.tenant.id, state, visit.browser()) {
        Ok(transaction) => transaction,
        Err(StateError::Expired) => return Err(visit.error_page(ErrorKind::Expired).await.into_response()),
        Err(StateError::Invalid | StateError::Foreign) => {
            return Err(visit.error_page(ErrorKind::FormExpired).await.into_response());
        }
    };
    let Some(device) = transaction.device.as_ref().filter(|device| !device.confirmed) else {
        return Err(visit.error_page(ErrorKind::FormExpired).await.into_response());
    };
    let request = waiting(visit, device).await?;
    Ok((transaction, request))
}

/// What the token of the form is good for.
fn subject(state: &str) -> String {
    format!("device\n{state}")
}

async fn page(visit: &Visit, transaction: &Transaction, request: &Request, state: &str) -> Response {
    let code = transaction.device.as_ref().map(|device| device_codes::shown(&device.user_code));
    DeviceConfirmPage {
        look: visit.look().await,
        client_name: request.client.name.clone(),
        client_logo: request.client.logo_uri.clone(),
        user_code: code.unwrap_or_default(),
        csrf: visit.csrf(visit.browser().unwrap_or_default(), &subject(state)),
        state: state.to_owned(),
    }
    .into_response()
}
