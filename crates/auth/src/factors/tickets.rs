//! `/mfa/enrollment?ticket=…`: a link that an administrator made lets a user set up an authenticator app. Looking at the page
//! uses nothing up: a mail scanner may do so.

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use db::Batch;
use model::factors::attempts::{self, Limited};
use model::factors::tickets::{self, Ticket};
use model::factors::{self, Factor, Kind, recovery_code, totp};
use model::users::User;
use model::{App, guardian, logs, mail, users};

use super::enrollment::{page_of, seed};
use crate::events;
use crate::pages::{CodeError, ErrorKind, OtpEnrollmentPage, RecoveryCodePage};
use crate::params::Params;
use crate::visit::{Visit, with_cookie};

/// A ticket that is good, and for whom.
struct Opened {
    id: String,
    ticket: Ticket,
    user: User,
    factors: Vec<Factor>,
}

/// `GET /mfa/enrollment?ticket=…`: the page.
pub async fn show(State(_): State<App>, visit: Visit, RawQuery(query): RawQuery) -> Response {
    let id = ticket_of(query.as_deref());
    match open(&visit, &id).await {
        Ok(Some(opened)) => page(&visit, &opened, None).await,
        Ok(None) => visit.error_page(ErrorKind::Expired).await.into_response(),
        Err(error) => visit.failure_page(error).await,
    }
}

/// `POST /mfa/enrollment`: a right `code` confirms the app and spends the ticket.
pub async fn submit(
    State(_): State<App>,
    visit: Visit,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Ok(params) = Params::parse_body(&headers, &body) else {
        return visit.error_page(ErrorKind::InvalidRequest).await.into_response();
    };
    let id = params.get("state").map_or_else(|| ticket_of(query.as_deref()), str::to_owned);
    if !visit.csrf_holds(params.get("_csrf"), &subject(&id)) {
        return visit.error_page(ErrorKind::FormExpired).await.into_response();
    }
    let opened = match open(&visit, &id).await {
        Ok(Some(opened)) => opened,
        Ok(None) => return visit.error_page(ErrorKind::Expired).await.into_response(),
        Err(error) => return visit.failure_page(error).await,
    };
    let Some(code) = totp::typed(params.get("code").unwrap_or_default()) else {
        return page(&visit, &opened, Some(CodeError::NoCode)).await;
    };
    match attempts::take(&visit.app, &visit.tenant.id, &opened.user.id, Limited::Check).await {
        Ok(true) => {}
        Ok(false) => return page(&visit, &opened, Some(CodeError::TooMany)).await,
        Err(error) => return visit.failure_page(error).await,
    }
    match confirm(&visit, &id, &code).await {
        Ok(Some(code)) => RecoveryCodePage {
            look: visit.look().await,
            code: code.unwrap_or_default(),
            form: None,
            unsaved: false,
            form_targets: Default::default(),
        }
        .into_response(),
        Ok(None) => page(&visit, &opened, Some(CodeError::Wrong)).await,
        Err(db::Error::Conflict { .. }) => visit.error_page(ErrorKind::FormExpired).await.into_response(),
        Err(error) => visit.failure_page(error).await,
    }
}

/// The ticket, if it is good for its user as they are now: one who has a factor needs a ticket that says so.
async fn open(visit: &Visit, id: &str) -> Result<Option<Opened>, db::Error> {
    let (app, tenant) = (&visit.app, &visit.tenant.id);
    let Some(ticket) = tickets::find(&app.db, tenant, id, app.clock.now()).await? else { return Ok(None) };
    let user = users::find(&app.db, tenant, &ticket.user_id).await?.filter(|user| !user.is_blocked());
    let offered = guardian::find(app, tenant).await?.offers(Kind::Totp);
    let Some(user) = user.filter(|_| offered) else { return Ok(None) };
    let factors = factors::list(&app.db, tenant, &user.id).await?;
    let fits = ticket.allow_multiple || !factors.iter().any(Factor::protects);
    Ok(fits.then(|| Opened { id: id.to_owned(), ticket, user, factors }))
}

/// Confirms the app that the code is of. Answers the new recovery code, where the user gets one.
async fn confirm(visit: &Visit, id: &str, code: &str) -> Result<Option<Option<String>>, db::Error> {
    let (app, tenant) = (&visit.app, &visit.tenant.id);
    let decide = async || {
        let nothing = (Batch::new(), None);
        let Some(mut opened) = open(visit, id).await? else { return Ok(nothing) };
        let now = app.clock.now();
        let pending = opened.factors.iter().find(|factor| factor.is_pending_for(id)).cloned();
        let Some(factor) = pending else { return Ok(nothing) };
        let seed = factor.seed(app, tenant)?;
        let Some(at) = factor.step_of(&seed, code, now) else { return Ok(nothing) };
        let user = &mut opened.user;
        let mut batch = Batch::new();
        factors::enrolled(&mut batch, user, now);
        tickets::spend(&mut batch, tenant, &opened.ticket, now);
        factors::confirm(&mut batch, tenant, &factor, at, now);
        attempts::forgive(&mut batch, tenant, &user.id);
        let has_code = opened.factors.iter().any(Factor::is_good_recovery_code);
        let offers = guardian::find(app, tenant).await?.offers(Kind::RecoveryCode);
        let recovery = (offers && !has_code).then(|| recovery_code::new(&app.random));
        if let Some(recovery) = &recovery {
            let kept = Factor::recovery_code(app, &user.id, recovery);
            recovery_code::replace(&mut batch, tenant, &kept);
        }
        factors::notify(&mut batch, app, user, mail::Kind::FactorAdded, Kind::Totp, None).await?;
        let event = events::factor(visit, logs::Kind::FactorEnrolled, None, user, Kind::Totp.as_str());
        logs::record(&mut batch, event);
        Ok::<_, db::Error>((batch, Some(recovery)))
    };
    app.db.retry(decide).await
}

async fn page(visit: &Visit, opened: &Opened, error: Option<CodeError>) -> Response {
    let seed = match seed(&visit.app, &visit.tenant, &opened.user, &opened.id).await {
        Ok(seed) => seed,
        Err(error) => return visit.failure_page(error).await,
    };
    let (browser, cookie) = visit.bind_browser();
    let page = OtpEnrollmentPage {
        csrf: visit.csrf(&browser, &subject(&opened.id)),
        error,
        ..page_of(visit.look().await, &opened.user, &seed, "/mfa/enrollment", &opened.id)
    };
    with_cookie(page.into_response(), cookie)
}

/// What the token of the form is good for.
fn subject(ticket: &str) -> String {
    format!("ticket\n{ticket}")
}

fn ticket_of(query: Option<&str>) -> String {
    let params = Params::parse_form(query.unwrap_or_default()).unwrap_or_default();
    params.get("ticket").or(params.get("state")).unwrap_or_default().to_owned()
}
