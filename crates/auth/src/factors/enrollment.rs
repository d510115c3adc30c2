//! `/u/mfa-otp-enrollment`: whoever needs a second factor and has none sets up an authenticator app.

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use db::Batch;
use model::factors::{self, Factor, Kind, totp};
use model::tenants::Tenant;
use model::users::User;
use model::{App, Model, logs, mail, users};

use super::step::{Passed, Step, Told};
use crate::pages::{CodeError, Look, OtpEnrollmentPage};
use crate::visit::Visit;

/// `GET /u/mfa-otp-enrollment?state=…`: a new seed, as QR code and as text. A reload shows the same one.
pub async fn show(State(_): State<App>, visit: Visit, RawQuery(query): RawQuery) -> Response {
    match Step::open(visit, query.as_deref()).await {
        Ok(step) if step.enrollable().contains(&Kind::Totp) => page(&step, None).await,
        Ok(step) => step.back(),
        Err(response) => response,
    }
}

/// `POST /u/mfa-otp-enrollment`: a right `code` confirms the app, and is the second factor of this sign-in too.
pub async fn submit(
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
    if !step.enrollable().contains(&Kind::Totp) {
        return step.back();
    }
    let told = match step.attempt(totp::typed(params.get("code").unwrap_or_default())).await {
        Ok(code) => step.outcome(Kind::Totp, confirm(&step, &code).await).await,
        Err(told) => told,
    };
    match told {
        Told::Again(error) => page(&step, Some(error)).await,
        Told::Elsewhere(response) => response,
    }
}

async fn confirm(step: &Step, code: &str) -> Result<Option<Passed>, db::Error> {
    let app = &step.visit.app;
    let decide = async || {
        let nothing = (Batch::new(), None);
        let Some(mut step) = step.again().await? else { return Ok(nothing) };
        let (tenant, now) = (&step.visit.tenant.id, app.clock.now());
        let Some(factor) = step.pending(Kind::Totp).cloned() else { return Ok(nothing) };
        let seed = factor.seed(app, tenant)?;
        let Some(at) = factor.step_of(&seed, code, now) else { return Ok(nothing) };
        let mut batch = Batch::new();
        factors::enrolled(&mut batch, &mut step.user, now);
        factors::confirm(&mut batch, &step.visit.tenant.id, &factor, at, now);
        let passed = step.passed(&mut batch, false, logs::Kind::FactorEnrolled, Kind::Totp);
        let client = &step.request.client.client_id;
        factors::notify(&mut batch, app, &step.user, mail::Kind::FactorAdded, Kind::Totp, Some(client))
            .await?;
        Ok::<_, db::Error>((batch, Some(passed)))
    };
    app.db.retry(decide).await
}

/// The seed of the enrolment that `purpose` names, made where there is none. Nobody else's pages show it: an enrolment that was
/// begun elsewhere is replaced.
pub async fn seed(app: &Model, tenant: &Tenant, user: &User, purpose: &str) -> Result<Vec<u8>, db::Error> {
    let decide = async || {
        let all = factors::list(&app.db, &tenant.id, &user.id).await?;
        let pending = |factor: &&Factor| factor.kind == Kind::Totp && factor.is_pending_for(purpose);
        if let Some(pending) = all.iter().find(pending) {
            return Ok::<_, db::Error>((Batch::new(), pending.seed(app, &tenant.id)?));
        }
        let seed = totp::new_seed(&app.random);
        let factor = Factor::begin(app, &user.id, Kind::Totp, purpose).with_seed(app, &tenant.id, &seed);
        let mut batch = Batch::new();
        users::unchanged(&mut batch, user);
        factors::begin(&mut batch, &tenant.id, &factor);
        Ok((batch, seed.to_vec()))
    };
    app.db.retry(decide).await
}

/// The page for a seed.
pub fn page_of(look: Look, user: &User, seed: &[u8], path: &'static str, state: &str) -> OtpEnrollmentPage {
    OtpEnrollmentPage {
        uri: totp::key_uri(&look.tenant_name, &totp::account(user), seed),
        secret: totp::encode(seed),
        look,
        path,
        state: state.to_owned(),
        csrf: String::new(),
        error: None,
        options_url: None,
        form_targets: Default::default(),
    }
}

async fn page(step: &Step, error: Option<CodeError>) -> Response {
    let (app, tenant) = (&step.visit.app, &step.visit.tenant);
    let seed = match seed(app, tenant, &step.user, &step.transaction.id).await {
        Ok(seed) => seed,
        Err(error) => return step.failure(error).await,
    };
    OtpEnrollmentPage {
        csrf: step.csrf(),
        error,
        options_url: step.other_ways(Kind::Totp),
        form_targets: step.request.target.form_targets.clone(),
        ..page_of(step.visit.look().await, &step.user, &seed, "/u/mfa-otp-enrollment", &step.state)
    }
    .into_response()
}
