//! Each tenant's rate for whatever is not the Management API, which counts its own calls: off unless the operator names a plan.
//!
//! What a browser loads beside a page, and the files of the account page, cost nothing.

use axum::extract::Request;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use management::{Buckets, Exceeded, Standing};
use model::tenants::Tenant;
use model::{Clock, TenantId};

use crate::refusal::Refusal;

/// Whose calls are counted elsewhere, or not at all.
const UNCOUNTED: [&str; 5] = ["/api/v2", "/me/v1", "/account", "/assets/", "/dev"];

/// Takes a request from the tenant's bucket. `None` if nothing is counted.
///
/// # Errors
/// The answer to a request that comes on top: 429 in the shape of its surface.
#[expect(clippy::result_large_err, reason = "it is the answer, and handed on at once")]
pub fn take(
    buckets: &Buckets<TenantId>,
    clock: &Clock,
    tenant: &Tenant,
    request: &Request,
) -> Result<Option<Standing>, Response> {
    let path = request.uri().path();
    if UNCOUNTED.iter().any(|prefix| path.starts_with(prefix)) {
        return Ok(None);
    }
    buckets.take(clock, &tenant.id).map_err(|Exceeded(seconds, empty)| {
        let refusal = Refusal::new(StatusCode::TOO_MANY_REQUESTS, "Global limit has been reached");
        let mut response = refusal.answer(request);
        empty.write(response.headers_mut(), clock.now().seconds() + i64::try_from(seconds).unwrap_or(1));
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        response
    })
}

/// Tells the caller how much is left.
pub fn tell(standing: &Standing, clock: &Clock, response: &mut Response) {
    standing.write(response.headers_mut(), clock.now().seconds() + 1);
}
