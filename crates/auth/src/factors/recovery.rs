//! Recovery codes: `/u/mfa-recovery-code-challenge` takes one, `/u/mfa-recovery-code-enrollment` shows a new one.

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use db::Batch;
use model::factors::{self, Factor, Kind, recovery_code};
use model::{App, logs, mail, transactions, users};

use super::Missing;
use super::step::{Passed, Step, Told};
use crate::pages::{CodeError, CodePage, LoginWay, RecoveryCodePage};
use crate::visit::Visit;

/// `GET /u/mfa-recovery-code-challenge?state=…`: the page.
pub async fn show(State(_): State<App>, visit: Visit, RawQuery(query): RawQuery) -> Response {
    match Step::asking(visit, query.as_deref(), Kind::RecoveryCode).await {
        Ok(step) => page(&step, None).await,
        Err(response) => response,
    }
}

/// `POST /u/mfa-recovery-code-challenge`: `code`, which is spent; a new one is shown next.
pub async fn submit(
    State(_): State<App>,
    visit: Visit,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let answering = Step::answering(visit, query.as_deref(), &headers, &body, Kind::RecoveryCode).await;
    let (step, params) = match answering {
        Ok(posted) => posted,
        Err(response) => return response,
    };
    let told = match step.attempt(recovery_code::typed(params.get("code").unwrap_or_default())).await {
        Ok(code) => step.outcome(Kind::RecoveryCode, prove(&step, &code).await).await,
        Err(told) => told,
    };
    match told {
        Told::Again(error) => page(&step, Some(error)).await,
        Told::Elsewhere(response) => response,
    }
}

/// Spends the code. A code that was used, by whomever else at the same moment, is a wrong one.
async fn prove(step: &Step, code: &str) -> Result<Option<Passed>, db::Error> {
    let app = &step.visit.app;
    let decide = async || {
        let nothing = (Batch::new(), None);
        let Some(step) = step.again().await? else { return Ok(nothing) };
        let factor = step.factors.iter().find(|factor| factor.is_recovery_code(code));
        let Some(factor) = factor.filter(|_| step.ways().contains(&Kind::RecoveryCode)) else {
            return Ok(nothing);
        };
        let mut batch = Batch::new();
        users::unchanged(&mut batch, &step.user);
        recovery_code::spend(&mut batch, &step.visit.tenant.id, factor, app.clock.now());
        let passed = step.passed(&mut batch, false, logs::Kind::RecoverySucceeded, Kind::RecoveryCode);
        let client = &step.request.client.client_id;
        let notice = mail::Kind::RecoveryCodeChanged;
        factors::notify(&mut batch, app, &step.user, notice, Kind::RecoveryCode, Some(client)).await?;
        Ok::<_, db::Error>((batch, Some(passed)))
    };
    app.db.retry(decide).await
}

async fn page(step: &Step, error: Option<CodeError>) -> Response {
    CodePage {
        look: step.visit.look().await,
        way: LoginWay::RecoveryCode,
        path: "/u/mfa-recovery-code-challenge",
        address: String::new(),
        state: step.state.clone(),
        csrf: step.csrf(),
        pause: 0,
        remembers: false,
        edit_url: None,
        error,
        options_url: step.other_ways(Kind::RecoveryCode),
        form_targets: step.request.target.form_targets.clone(),
    }
    .into_response()
}

/// `GET /u/mfa-recovery-code-enrollment?state=…`: the new code, until its user says that they have it.
pub async fn show_new(State(_): State<App>, visit: Visit, RawQuery(query): RawQuery) -> Response {
    match Step::open(visit, query.as_deref()).await {
        Ok(step) => new_page(&step, false).await,
        Err(response) => response,
    }
}

/// `POST /u/mfa-recovery-code-enrollment`: `saved`, and from now on the code is good.
pub async fn saved(
    State(_): State<App>,
    visit: Visit,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let (step, params) = match Step::posted(visit, query.as_deref(), &headers, &body).await {
        Ok(posted) => posted,
        Err(response) => return response,
    };
    if step.missing != Missing::RecoveryCode {
        return step.back();
    }
    if params.get("saved").is_none() {
        return new_page(&step, true).await;
    }
    let app = &step.visit.app;
    let decide = async || {
        let nothing = (Batch::new(), ());
        let step = step.again().await?.filter(|step| step.missing == Missing::RecoveryCode);
        let Some(step) = step else { return Ok(nothing) };
        let (Some(progress), Some(code)) = (&step.progress, code(&step)) else { return Ok(nothing) };
        let (tenant, user) = (&step.visit.tenant.id, &step.user);
        let mut batch = Batch::new();
        users::unchanged(&mut batch, user);
        recovery_code::replace(&mut batch, tenant, &Factor::recovery_code(app, &user.id, &code));
        transactions::saw_recovery_code(&mut batch, tenant, &step.transaction, progress);
        let event = step.event(logs::Kind::FactorEnrolled, Kind::RecoveryCode.as_str());
        logs::record(&mut batch, event);
        Ok::<_, db::Error>((batch, ()))
    };
    match app.db.retry(decide).await {
        Ok(()) => step.back(),
        Err(error) => step.failure(error).await,
    }
}

/// The code that is to be shown in this sign-in.
fn code(step: &Step) -> Option<String> {
    let (app, tenant) = (&step.visit.app, &step.visit.tenant.id);
    transactions::recovery_code(app, tenant, &step.transaction, step.progress.as_ref()?)
}

/// The code, where one is to be shown; else the step that comes now.
async fn new_page(step: &Step, unsaved: bool) -> Response {
    let Some(code) = code(step) else { return step.back() };
    RecoveryCodePage {
        look: step.visit.look().await,
        code,
        form: Some((step.state.clone(), step.csrf())),
        unsaved,
        form_targets: step.request.target.form_targets.clone(),
    }
    .into_response()
}
