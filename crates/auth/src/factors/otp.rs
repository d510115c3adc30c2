//! `/u/mfa-otp-challenge`: a code of the user's authenticator app.

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use db::Batch;
use model::factors::{Kind, totp};
use model::{App, logs, users};

use super::step::{Passed, Step, Told};
use crate::pages::{CodeError, CodePage, LoginWay};
use crate::visit::Visit;

/// `GET /u/mfa-otp-challenge?state=…`: the page.
pub async fn show(State(_): State<App>, visit: Visit, RawQuery(query): RawQuery) -> Response {
    match Step::asking(visit, query.as_deref(), Kind::Totp).await {
        Ok(step) => page(&step, None).await,
        Err(response) => response,
    }
}

/// `POST /u/mfa-otp-challenge`: `code`, and `rememberBrowser` where it is not to be asked for again here.
pub async fn submit(
    State(_): State<App>,
    visit: Visit,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let answering = Step::answering(visit, query.as_deref(), &headers, &body, Kind::Totp).await;
    let (step, params) = match answering {
        Ok(posted) => posted,
        Err(response) => return response,
    };
    let told = match step.attempt(totp::typed(params.get("code").unwrap_or_default())).await {
        Ok(code) => {
            step.outcome(Kind::Totp, prove(&step, &code, params.get("rememberBrowser").is_some()).await).await
        }
        Err(told) => told,
    };
    match told {
        Told::Again(error) => page(&step, Some(error)).await,
        Told::Elsewhere(response) => response,
    }
}

/// Spends the code's time step. A code that was used, by whomever else at the same moment, is a wrong one.
async fn prove(step: &Step, code: &str, remember: bool) -> Result<Option<Passed>, db::Error> {
    let app = &step.visit.app;
    let decide = async || {
        let nothing = (Batch::new(), None);
        let Some(step) = step.again().await? else { return Ok(nothing) };
        let (tenant, now) = (&step.visit.tenant.id, app.clock.now());
        for factor in step.factors.iter().filter(|factor| factor.kind == Kind::Totp && factor.is_confirmed())
        {
            let seed = factor.seed(app, tenant)?;
            if let Some(at) = factor.step_of(&seed, code, now) {
                let mut batch = Batch::new();
                users::unchanged(&mut batch, &step.user);
                totp::spend(&mut batch, tenant, factor, at, now);
                let passed = step.passed(&mut batch, remember, logs::Kind::FactorSucceeded, Kind::Totp);
                return Ok::<_, db::Error>((batch, Some(passed)));
            }
        }
        Ok(nothing)
    };
    app.db.retry(decide).await
}

async fn page(step: &Step, error: Option<CodeError>) -> Response {
    CodePage {
        look: step.visit.look().await,
        way: LoginWay::Otp,
        path: "/u/mfa-otp-challenge",
        address: String::new(),
        state: step.state.clone(),
        csrf: step.csrf(),
        pause: 0,
        remembers: true,
        edit_url: None,
        error,
        options_url: step.other_ways(Kind::Totp),
        form_targets: step.request.target.form_targets.clone(),
    }
    .into_response()
}
