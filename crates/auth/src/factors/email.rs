//! `/u/mfa-email-challenge`: a code by e-mail, bound to the sign-in it was sent for.

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use db::Batch;
use model::factors::attempts::{self, Limited};
use model::factors::{self, Kind, codes, totp};
use model::mail::{self, Letter};
use model::{App, logs, users};

use super::step::{Passed, Step, Told};
use super::{address, masked};
use crate::pages::{CodeError, CodePage, LoginWay};
use crate::visit::Visit;

/// `GET /u/mfa-email-challenge?state=…`: sends a code, unless one is on its way, and asks for it.
pub async fn show(State(_): State<App>, visit: Visit, RawQuery(query): RawQuery) -> Response {
    let step = match Step::asking(visit, query.as_deref(), Kind::Email).await {
        Ok(step) => step,
        Err(response) => return response,
    };
    let (app, tenant) = (&step.visit.app, &step.visit.tenant.id);
    match codes::find(&app.db, tenant, &step.transaction.id).await {
        Ok(Some(sent)) if sent.user_id == step.user.id && sent.expires_at > app.clock.now() => {
            page(&step, None).await
        }
        Ok(_) => send(&step).await,
        Err(error) => step.visit.failure_page(error).await,
    }
}

/// `POST /u/mfa-email-challenge`: `code`; or `action=resend`, which sends another.
pub async fn submit(
    State(_): State<App>,
    visit: Visit,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let answering = Step::answering(visit, query.as_deref(), &headers, &body, Kind::Email).await;
    let (step, params) = match answering {
        Ok(posted) => posted,
        Err(response) => return response,
    };
    if params.get("action") == Some("resend") {
        return send(&step).await;
    }
    let told = match step.attempt(totp::typed(params.get("code").unwrap_or_default())).await {
        Ok(code) => {
            step.outcome(Kind::Email, prove(&step, &code, params.get("rememberBrowser").is_some()).await)
                .await
        }
        Err(told) => told,
    };
    match told {
        Told::Again(error) => page(&step, Some(error)).await,
        Told::Elsewhere(response) => response,
    }
}

/// Sends a code, if enough time has passed since the last one, and shows the page that asks for it.
async fn send(step: &Step) -> Response {
    let Some(address) = address(&step.factors, &step.user) else { return step.back() };
    let (app, tenant) = (&step.visit.app, &step.visit.tenant.id);
    let sent = async {
        let now = app.clock.now();
        let before = codes::find(&app.db, tenant, &step.transaction.id).await?;
        if before.is_some_and(|sent| sent.pause(now) > 0) {
            return Ok(Some(CodeError::TooSoon));
        }
        if !attempts::take(app, tenant, &step.user.id, Limited::Mail).await? {
            app.audit.push(step.event(logs::Kind::FactorLimited, Kind::Email.as_str()));
            return Ok(Some(CodeError::TooManyMails));
        }
        let mut batch = Batch::new();
        users::unchanged(&mut batch, &step.user);
        let code = codes::send(&mut batch, app, tenant, &step.transaction.id, &step.user.id, &address);
        let letter = Letter::new(mail::Kind::MfaOobCode, &address).about(&step.user);
        let letter = letter.client(&step.request.client.client_id).with("code", code);
        mail::queue(&mut batch, app, tenant, letter);
        logs::record(&mut batch, step.event(logs::Kind::FactorMail, Kind::Email.as_str()));
        match app.db.commit(batch).await {
            Ok(_) => Ok(None),
            Err(db::Error::Conflict { .. }) => Ok(Some(CodeError::TooSoon)),
            Err(error) => Err(error),
        }
    };
    match sent.await {
        Ok(error) => page(step, error).await,
        Err(error) => step.visit.failure_page(error).await,
    }
}

/// Spends the code that was sent for this sign-in.
async fn prove(step: &Step, code: &str, remember: bool) -> Result<Option<Passed>, db::Error> {
    let app = &step.visit.app;
    let purpose = &step.transaction.id;
    if !codes::try_once(app, &step.visit.tenant.id, purpose).await? {
        return Ok(None);
    }
    let decide = async || {
        let nothing = (Batch::new(), None);
        let Some(step) = step.again().await? else { return Ok(nothing) };
        let (tenant, now) = (&step.visit.tenant.id, app.clock.now());
        let sent = codes::find(&app.db, tenant, purpose).await?;
        let right = sent.filter(|sent| {
            // Of this user, and to an address that is still theirs.
            sent.user_id == step.user.id
                && address(&step.factors, &step.user).as_ref() == Some(&sent.address)
                && sent.is(purpose, code, now)
        });
        let Some(sent) = right else { return Ok(nothing) };
        let mut batch = Batch::new();
        users::unchanged(&mut batch, &step.user);
        let factor = step.factors.iter().find(|factor| factor.kind == Kind::Email && factor.is_confirmed());
        if let Some(factor) = factor {
            factors::used(&mut batch, tenant, factor, now);
        }
        codes::spend(&mut batch, tenant, purpose, &sent);
        let passed = step.passed(&mut batch, remember, logs::Kind::FactorSucceeded, Kind::Email);
        Ok::<_, db::Error>((batch, Some(passed)))
    };
    app.db.retry(decide).await
}

async fn page(step: &Step, error: Option<CodeError>) -> Response {
    let (app, tenant) = (&step.visit.app, &step.visit.tenant.id);
    let sent = match codes::find(&app.db, tenant, &step.transaction.id).await {
        Ok(sent) => sent,
        Err(error) => return step.visit.failure_page(error).await,
    };
    CodePage {
        look: step.visit.look().await,
        way: LoginWay::Email,
        address: address(&step.factors, &step.user).map(|address| masked(&address)).unwrap_or_default(),
        state: step.state.clone(),
        csrf: step.csrf(),
        pause: sent.map_or(0, |sent| sent.pause(app.clock.now())),
        error,
        options_url: step.other_ways(Kind::Email),
        form_targets: step.request.target.form_targets.clone(),
    }
    .into_response()
}
