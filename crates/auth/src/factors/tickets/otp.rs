//! `/mfa/enrollment?ticket=…`: the page of a ticket that sets up an authenticator app.

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use db::Batch;
use model::App;
use model::factors::Kind;

use super::super::enrollment::{page_of, seed};
use super::super::step::Told;
use super::{OTP, Opened, attempt, end, open, opened, outcome, posted, subject, ticket_of};
use crate::pages::{CodeError, OtpEnrollmentPage};
use crate::visit::{Visit, with_cookie};

/// `GET /mfa/enrollment?ticket=…`: the page.
pub async fn show(State(_): State<App>, visit: Visit, RawQuery(query): RawQuery) -> Response {
    match opened(&visit, &ticket_of(query.as_deref()), Kind::Totp).await {
        Ok(opened) => page(&visit, &opened, None).await,
        Err(response) => response,
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
    let (opened, params) = match posted(&visit, query.as_deref(), &headers, &body, Kind::Totp).await {
        Ok(posted) => posted,
        Err(response) => return response,
    };
    let told = match attempt(&visit, &opened.user, &params).await {
        Ok(code) => outcome(&visit, confirm(&visit, &opened.id, &code).await).await,
        Err(told) => told,
    };
    match told {
        Told::Again(error) => page(&visit, &opened, Some(error)).await,
        Told::Elsewhere(response) => response,
    }
}

/// Confirms the app that the code is of. Answers the new recovery code, where the user gets one.
async fn confirm(visit: &Visit, id: &str, code: &str) -> Result<Option<Option<String>>, db::Error> {
    let app = &visit.app;
    let decide = async || {
        let nothing = (Batch::new(), None);
        let Some(opened) = open(visit, id).await? else { return Ok(nothing) };
        let now = app.clock.now();
        let Some(factor) = opened.pending(Kind::Totp).cloned() else { return Ok(nothing) };
        let seed = factor.seed(app, &visit.tenant.id)?;
        let Some(at) = factor.step_of(&seed, code, now) else { return Ok(nothing) };
        let mut batch = Batch::new();
        let recovery = end(visit, &mut batch, opened, (&factor, at), now).await?;
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
        options_url: opened.other(Kind::Totp),
        ..page_of(visit.look().await, &opened.user, &seed, OTP, &opened.id)
    };
    with_cookie(page.into_response(), cookie)
}
