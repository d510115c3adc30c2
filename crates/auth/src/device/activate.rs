//! `/activate`: a person types the code that a device shows (RFC 8628 §3.3). Following a link that holds one only fills it in.

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use model::App;
use model::device_codes::{self, limits, typed};
use model::logs::Share as LogShare;
use model::transactions::Transaction;

use crate::authorize::page_url;
use crate::authorize::response::redirect;
use crate::events;
use crate::pages::{DeviceCodePage, DeviceError, ErrorKind};
use crate::params::Params;
use crate::visit::{Visit, with_cookie};

/// What the token of the form is good for.
const SUBJECT: &str = "activate";

/// `GET /activate[?user_code=…]`: the page.
pub async fn show(State(_): State<App>, visit: Visit, RawQuery(query): RawQuery) -> Response {
    let params = Params::parse_form(query.as_deref().unwrap_or_default()).unwrap_or_default();
    let visit = visit.asking(&params);
    page(&visit, params.get("user_code").unwrap_or_default(), None).await
}

/// `POST /activate`: `user_code`. A right one leads to the page that says whose it is.
pub async fn submit(State(_): State<App>, visit: Visit, headers: HeaderMap, body: Bytes) -> Response {
    let Ok(params) = Params::parse_body(&headers, &body) else {
        let page = visit.error_page(ErrorKind::InvalidRequest).await;
        return page
            .with_error("invalid_request", "The form holds bytes that are not valid text")
            .into_response();
    };
    if !visit.csrf_holds(params.get("_csrf"), SUBJECT) {
        return visit.error_page(ErrorKind::FormExpired).await.into_response();
    }
    let given = params.get("user_code").unwrap_or_default();
    match look_up(&visit, given).await {
        Ok(Ok(state)) => redirect(&page_url("/u/device-confirmation", &state)),
        Ok(Err(error)) => page(&visit, given, Some(error)).await,
        Err(error) => visit.failure_page(error).await,
    }
}

/// Looks for the device with this code. Guesses are counted for the address and, where there is one, for the session, each before
/// it is looked at; a right one is none.
async fn look_up(visit: &Visit, given: &str) -> Result<Result<String, DeviceError>, db::Error> {
    let (app, tenant) = (&visit.app, &visit.tenant.id);
    if given.trim().is_empty() {
        return Ok(Err(DeviceError::NoCode));
    }
    let mut shares = vec![limits::Share::guesses_from(visit.peer.ip)];
    if let Some((session, _)) = visit.session().await? {
        shares.push(limits::Share::guesses_in(&session.sid));
    }
    let note = |reason: &'static str| {
        let now = app.clock.now();
        app.audit.push_from(visit.peer.ip, LogShare::Stranger, now, || {
            events::device_not_activated(visit, reason)
        });
    };
    if !limits::take(app, tenant, shares.clone()).await? {
        note("Too many codes were tried.");
        return Ok(Err(DeviceError::TooMany));
    }
    let found = match typed(given) {
        Some(code) => {
            let found = device_codes::find_open(&app.db, tenant, &code, app.clock.now()).await?;
            found.map(|found| (found, code))
        }
        None => None,
    };
    let Some((found, code)) = found else {
        note("The code is not valid.");
        return Ok(Err(DeviceError::Wrong));
    };
    limits::give_back(app, tenant, shares).await?;
    let browser = visit.browser().unwrap_or_default();
    let transaction = Transaction::for_device(app, browser, found.hash, &code);
    Ok(Ok(transaction.seal(app, tenant)))
}

async fn page(visit: &Visit, user_code: &str, error: Option<DeviceError>) -> Response {
    let (browser, cookie) = visit.bind_browser();
    let page = DeviceCodePage {
        look: visit.look().await,
        user_code: user_code.chars().take(32).collect(),
        csrf: visit.csrf(&browser, SUBJECT),
        error,
    };
    with_cookie(page.into_response(), cookie)
}
