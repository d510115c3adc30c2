//! `/u/mfa-login-options`, `/u/mfa-enroll-options`: the choice between the codes that a user can give, and between the factors that they
//! can set up.

use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use model::App;

use super::step::Step;
use crate::pages::LoginOptionsPage;
use crate::visit::Visit;

/// `GET /u/mfa-login-options?state=…`: the page.
pub async fn show(State(_): State<App>, visit: Visit, RawQuery(query): RawQuery) -> Response {
    let step = match Step::open(visit, query.as_deref()).await {
        Ok(step) => step,
        Err(response) => return response,
    };
    let ways = step.all_ways();
    if ways.is_empty() {
        return step.back();
    }
    LoginOptionsPage { look: step.visit.look().await, ways, enrolling: false }.into_response()
}

/// `GET /u/mfa-enroll-options?state=…`: the page for whoever has nothing yet.
pub async fn show_enrollable(State(_): State<App>, visit: Visit, RawQuery(query): RawQuery) -> Response {
    let step = match Step::open(visit, query.as_deref()).await {
        Ok(step) => step,
        Err(response) => return response,
    };
    let ways = step.all_enrollable();
    if ways.is_empty() {
        return step.back();
    }
    LoginOptionsPage { look: step.visit.look().await, ways, enrolling: true }.into_response()
}
