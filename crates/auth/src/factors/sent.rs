//! `/u/mfa-email-challenge`, `/u/mfa-sms-challenge`: a code that was sent, bound to the sign-in it was sent for. The latter ends the
//! enrolment of a phone too, and is then the second factor of this sign-in.

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use db::Batch;
use model::factors::sending::{Destination, Sending, Wish};
use model::factors::{self, Factor, Kind, codes, totp};
use model::{App, logs, mail, users};

use super::step::{Passed, Step, Told};
use super::{challenge_page, enrollment_page, masked};
use crate::authorize::page_url;
use crate::pages::{CodeError, CodePage, LoginWay};
use crate::visit::Visit;

/// `GET /u/mfa-email-challenge?state=…`: sends a code, unless one is on its way, and asks for it.
pub async fn show_email(State(_): State<App>, visit: Visit, RawQuery(query): RawQuery) -> Response {
    show(visit, query, Kind::Email).await
}

/// `GET /u/mfa-sms-challenge?state=…`: the same by SMS.
pub async fn show_sms(State(_): State<App>, visit: Visit, RawQuery(query): RawQuery) -> Response {
    show(visit, query, Kind::Phone).await
}

/// `POST /u/mfa-email-challenge`: `code`; or `action=resend`, which sends another.
pub async fn submit_email(
    State(_): State<App>,
    visit: Visit,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    submit(visit, query, headers, body, Kind::Email).await
}

/// `POST /u/mfa-sms-challenge`: the same by SMS.
pub async fn submit_sms(
    State(_): State<App>,
    visit: Visit,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    submit(visit, query, headers, body, Kind::Phone).await
}

async fn show(visit: Visit, query: Option<String>, kind: Kind) -> Response {
    let step = match Step::open(visit, query.as_deref()).await {
        Ok(step) => step,
        Err(response) => return response,
    };
    let Some(to) = step.destination(kind) else { return step.back() };
    let (app, tenant) = (&step.visit.app, &step.visit.tenant.id);
    match codes::find(&app.db, tenant, &step.purpose(kind)).await {
        Ok(Some(sent)) if sent.went_to(&step.user.id, &to.address) && sent.expires_at > app.clock.now() => {
            page(&step, &to, None).await
        }
        Ok(_) => send_and_ask(&step, &to).await,
        Err(error) => step.visit.failure_page(error).await,
    }
}

async fn submit(
    visit: Visit,
    query: Option<String>,
    headers: HeaderMap,
    body: Bytes,
    kind: Kind,
) -> Response {
    let (step, params) = match Step::posted(visit, query.as_deref(), &headers, &body).await {
        Ok(posted) => posted,
        Err(response) => return response,
    };
    let Some(to) = step.destination(kind) else { return step.back() };
    if params.get("action") == Some("resend") {
        return send_and_ask(&step, &to).await;
    }
    let told = match step.attempt(totp::typed(params.get("code").unwrap_or_default())).await {
        Ok(code) => {
            let remember = params.get("rememberBrowser").is_some();
            step.outcome(kind, prove(&step, kind, &code, remember).await).await
        }
        Err(told) => told,
    };
    match told {
        Told::Again(error) => page(&step, &to, Some(error)).await,
        Told::Elsewhere(response) => response,
    }
}

/// Sends a code, and shows the page that asks for it.
async fn send_and_ask(step: &Step, to: &Destination) -> Response {
    match send(step, to, &[]).await {
        Ok(sending) => page(step, to, CodeError::of(sending)).await,
        Err(error) => step.visit.failure_page(error).await,
    }
}

/// Sends a code for this sign-in, and begins in the same batch what is `begun` with it.
pub(super) async fn send(step: &Step, to: &Destination, begun: &[Factor]) -> Result<Sending, db::Error> {
    let wish = Wish {
        user: &step.user,
        purpose: &step.purpose(to.kind),
        peer: &step.visit.peer,
        client_id: Some(&step.request.client.client_id),
        begun,
    };
    to.send(&step.visit.app, wish, |kind| step.event(kind, to.kind.as_str())).await
}

/// Spends the code that was sent for this sign-in, and ends the enrolment that it was sent for.
async fn prove(step: &Step, kind: Kind, code: &str, remember: bool) -> Result<Option<Passed>, db::Error> {
    let app = &step.visit.app;
    let purpose = step.purpose(kind);
    if !codes::try_once(app, &step.visit.tenant.id, &purpose).await? {
        return Ok(None);
    }
    let decide = async || {
        let nothing = (Batch::new(), None);
        let Some(mut step) = step.again().await? else { return Ok(nothing) };
        let now = app.clock.now();
        let sent = codes::find(&app.db, &step.visit.tenant.id, &purpose).await?;
        let to = step.destination(kind);
        // Of this user, and to an address or a number that is still theirs.
        let right = sent
            .zip(to)
            .filter(|(sent, to)| sent.went_to(&step.user.id, &to.address) && sent.is(&purpose, code, now));
        let Some((sent, to)) = right else { return Ok(nothing) };
        let begun = step.pending(kind).cloned();
        let mut batch = Batch::new();
        let how = match &begun {
            Some(factor) => {
                factors::enrolled(&mut batch, &mut step.user, now);
                factors::confirm(&mut batch, &step.visit.tenant.id, factor, 0, now);
                logs::Kind::FactorEnrolled
            }
            None => {
                users::unchanged(&mut batch, &step.user);
                let given = |factor: &&Factor| {
                    factor.kind == kind
                        && factor.is_confirmed()
                        && factor.address.as_ref() == Some(&to.address)
                };
                if let Some(factor) = step.factors.iter().find(given) {
                    factors::used(&mut batch, &step.visit.tenant.id, factor, now);
                }
                logs::Kind::FactorSucceeded
            }
        };
        codes::spend(&mut batch, &step.visit.tenant.id, &purpose, &sent);
        let passed = step.passed(&mut batch, remember, how, kind);
        if begun.is_some() {
            let client = &step.request.client.client_id;
            factors::notify(&mut batch, app, &step.user, mail::Kind::FactorAdded, kind, Some(client)).await?;
        }
        Ok::<_, db::Error>((batch, Some(passed)))
    };
    app.db.retry(decide).await
}

async fn page(step: &Step, to: &Destination, error: Option<CodeError>) -> Response {
    let (app, tenant) = (&step.visit.app, &step.visit.tenant.id);
    let sent = match codes::find(&app.db, tenant, &step.purpose(to.kind)).await {
        Ok(sent) => sent,
        Err(error) => return step.visit.failure_page(error).await,
    };
    CodePage {
        look: step.visit.look().await,
        way: LoginWay::of(to.kind),
        path: challenge_page(to.kind),
        // Who has just typed it may read it again.
        address: if to.enrolling { to.address.clone() } else { masked(&to.address) },
        state: step.state.clone(),
        csrf: step.csrf(),
        pause: sent.map_or(0, |sent| sent.pause(app.clock.now())),
        remembers: true,
        edit_url: to.enrolling.then(|| page_url(enrollment_page(to.kind), &step.state)),
        error,
        options_url: step.other_ways(to.kind),
        form_targets: step.request.target.form_targets.clone(),
    }
    .into_response()
}
