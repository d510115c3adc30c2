//! `/u/mfa-sms-enrollment`: whoever needs a second factor and has none names a phone. The code that goes there ends the enrolment on the page
//! of [`super::sent`]; until then the number opens nothing.

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use model::factors::sending::Destination;
use model::factors::{Factor, Kind};
use model::{App, sms};

use super::sent::send;
use super::step::Step;
use super::{challenge_page, enrollment_page};
use crate::authorize::page_url;
use crate::authorize::response::redirect;
use crate::pages::{PhoneError, SmsEnrollmentPage};
use crate::visit::Visit;

/// `GET /u/mfa-sms-enrollment?state=…`: asks for a number.
pub async fn show(State(_): State<App>, visit: Visit, RawQuery(query): RawQuery) -> Response {
    match Step::open(visit, query.as_deref()).await {
        Ok(step) if step.enrollable().contains(&Kind::Phone) => page(&step, "", None).await,
        Ok(step) => step.back(),
        Err(response) => response,
    }
}

/// `POST /u/mfa-sms-enrollment`: sends a code to `phone`, in the place of any other number of this sign-in, and asks for it.
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
    if !step.enrollable().contains(&Kind::Phone) {
        return step.back();
    }
    let typed = params.get("phone").unwrap_or_default();
    let Some(number) = sms::typed(typed) else { return page(&step, typed, Some(PhoneError::NoNumber)).await };
    let on_its_way = step.pending(Kind::Phone).is_some_and(|factor| factor.address.as_ref() == Some(&number));
    let factor = Factor::begin(&step.visit.app, &step.user.id, Kind::Phone, &step.purpose(Kind::Phone));
    let to = Destination { kind: Kind::Phone, address: number.clone(), enrolling: true };
    match send(&step, &to, &[factor.with_address(&number)]).await {
        Ok(sending) => match PhoneError::of(sending, on_its_way) {
            None => redirect(&page_url(challenge_page(Kind::Phone), &step.state)),
            error => page(&step, typed, error).await,
        },
        Err(error) => step.visit.failure_page(error).await,
    }
}

async fn page(step: &Step, number: &str, error: Option<PhoneError>) -> Response {
    SmsEnrollmentPage {
        look: step.visit.look().await,
        path: enrollment_page(Kind::Phone),
        number: number.to_owned(),
        state: step.state.clone(),
        csrf: step.csrf(),
        error,
        options_url: step.other_ways(Kind::Phone),
        form_targets: step.request.target.form_targets.clone(),
    }
    .into_response()
}
