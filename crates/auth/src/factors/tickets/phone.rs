//! `/mfa/enrollment/phone`, `/mfa/enrollment/code`: the pages of a ticket that set up a phone: one asks for the number, the other for the
//! code that went there.

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use db::Batch;
use model::factors::sending::{Destination, Sending, Wish};
use model::factors::{Factor, Kind, codes};
use model::{App, sms};

use super::super::step::Told;
use super::{CODE, Opened, PHONE, attempt, end, open, opened, outcome, posted, subject, ticket_of};
use crate::authorize::response::redirect;
use crate::events;
use crate::pages::{CodeError, CodePage, LoginWay, PhoneError, SmsEnrollmentPage};
use crate::visit::{Visit, with_cookie};

/// `GET /mfa/enrollment/phone?ticket=…`: asks for a number.
pub async fn show(State(_): State<App>, visit: Visit, RawQuery(query): RawQuery) -> Response {
    match opened(&visit, &ticket_of(query.as_deref()), Kind::Phone).await {
        Ok(opened) => number_page(&visit, &opened, "", None).await,
        Err(response) => response,
    }
}

/// `POST /mfa/enrollment/phone`: sends a code to `phone`, and asks for it.
pub async fn submit(
    State(_): State<App>,
    visit: Visit,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let (opened, params) = match posted(&visit, query.as_deref(), &headers, &body, Kind::Phone).await {
        Ok(posted) => posted,
        Err(response) => return response,
    };
    let typed = params.get("phone").unwrap_or_default();
    let Some(number) = sms::typed(typed) else {
        return number_page(&visit, &opened, typed, Some(PhoneError::NoNumber)).await;
    };
    let on_its_way =
        opened.pending(Kind::Phone).is_some_and(|factor| factor.address.as_ref() == Some(&number));
    match send(&visit, &opened, &number).await {
        Ok(sending) => match PhoneError::of(sending, on_its_way) {
            None => redirect(&opened.page(CODE)),
            error => number_page(&visit, &opened, typed, error).await,
        },
        Err(error) => visit.failure_page(error).await,
    }
}

/// `GET /mfa/enrollment/code?ticket=…`: asks for the code.
pub async fn show_code(State(_): State<App>, visit: Visit, RawQuery(query): RawQuery) -> Response {
    match opened(&visit, &ticket_of(query.as_deref()), Kind::Phone).await {
        Ok(opened) => code_page(&visit, &opened, None).await,
        Err(response) => response,
    }
}

/// `POST /mfa/enrollment/code`: a right `code` confirms the phone and spends the ticket; `action=resend` sends another.
pub async fn submit_code(
    State(_): State<App>,
    visit: Visit,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let (opened, params) = match posted(&visit, query.as_deref(), &headers, &body, Kind::Phone).await {
        Ok(posted) => posted,
        Err(response) => return response,
    };
    let number = opened.pending(Kind::Phone).and_then(|factor| factor.address.clone());
    let Some(number) = number else { return redirect(&opened.page(PHONE)) };
    if params.get("action") == Some("resend") {
        return match send(&visit, &opened, &number).await {
            Ok(sending) => code_page(&visit, &opened, CodeError::of(sending)).await,
            Err(error) => visit.failure_page(error).await,
        };
    }
    let told = match attempt(&visit, &opened.user, &params).await {
        Ok(code) => outcome(&visit, confirm(&visit, &opened, &code).await).await,
        Err(told) => told,
    };
    match told {
        Told::Again(error) => code_page(&visit, &opened, Some(error)).await,
        Told::Elsewhere(response) => response,
    }
}

/// Sends a code to a number that is enrolled with this ticket from now on.
async fn send(visit: &Visit, opened: &Opened, number: &str) -> Result<Sending, db::Error> {
    let (app, user, purpose) = (&visit.app, &opened.user, opened.purpose(Kind::Phone));
    let factor = Factor::begin(app, &user.id, Kind::Phone, &purpose).with_address(number);
    let to = Destination { kind: Kind::Phone, address: number.to_owned(), enrolling: true };
    let wish = Wish { user, purpose: &purpose, peer: &visit.peer, client_id: None, begun: &[factor] };
    to.send(app, wish, |kind| events::factor(visit, kind, None, user, Kind::Phone.as_str())).await
}

/// Confirms the phone that the code went to. Answers the new recovery code, where the user gets one.
async fn confirm(visit: &Visit, opened: &Opened, code: &str) -> Result<Option<Option<String>>, db::Error> {
    let (app, tenant) = (&visit.app, &visit.tenant.id);
    let purpose = opened.purpose(Kind::Phone);
    if !codes::try_once(app, tenant, &purpose).await? {
        return Ok(None);
    }
    let decide = async || {
        let nothing = (Batch::new(), None);
        let Some(opened) = open(visit, &opened.id).await? else { return Ok(nothing) };
        let now = app.clock.now();
        let Some(factor) = opened.pending(Kind::Phone).cloned() else { return Ok(nothing) };
        let sent = codes::find(&app.db, tenant, &purpose).await?.filter(|sent| {
            let number = factor.address.as_deref().unwrap_or_default();
            sent.went_to(&opened.user.id, number) && sent.is(&purpose, code, now)
        });
        let Some(sent) = sent else { return Ok(nothing) };
        let mut batch = Batch::new();
        let recovery = end(visit, &mut batch, opened, (&factor, 0), now).await?;
        codes::spend(&mut batch, tenant, &purpose, &sent);
        Ok::<_, db::Error>((batch, Some(recovery)))
    };
    app.db.retry(decide).await
}

async fn number_page(visit: &Visit, opened: &Opened, number: &str, error: Option<PhoneError>) -> Response {
    let (browser, cookie) = visit.bind_browser();
    let page = SmsEnrollmentPage {
        look: visit.look().await,
        path: PHONE,
        number: number.to_owned(),
        state: opened.id.clone(),
        csrf: visit.csrf(&browser, &subject(&opened.id)),
        error,
        options_url: opened.other(Kind::Phone),
        form_targets: Default::default(),
    };
    with_cookie(page.into_response(), cookie)
}

async fn code_page(visit: &Visit, opened: &Opened, error: Option<CodeError>) -> Response {
    let number = opened.pending(Kind::Phone).and_then(|factor| factor.address.clone());
    let Some(address) = number else { return redirect(&opened.page(PHONE)) };
    let sent = match codes::find(&visit.app.db, &visit.tenant.id, &opened.purpose(Kind::Phone)).await {
        Ok(sent) => sent,
        Err(error) => return visit.failure_page(error).await,
    };
    let (browser, cookie) = visit.bind_browser();
    let page = CodePage {
        look: visit.look().await,
        way: LoginWay::Sms,
        path: CODE,
        address,
        state: opened.id.clone(),
        csrf: visit.csrf(&browser, &subject(&opened.id)),
        pause: sent.map_or(0, |sent| sent.pause(visit.app.clock.now())),
        remembers: false,
        edit_url: Some(opened.page(PHONE)),
        error,
        options_url: opened.other(Kind::Phone),
        form_targets: Default::default(),
    };
    with_cookie(page.into_response(), cookie)
}
