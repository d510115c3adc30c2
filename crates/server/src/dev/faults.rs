//! Fault switches: what an app does when the server is slow, limits it or is down can be tried without breaking anything.
//!
//! A fault answers requests to a path with an error of that surface, delays them, or both; for ever, or a number of times.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use auth::ForEverybody;
use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Extension, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::refusal::{Refusal, Shape};

/// The longest delay, in milliseconds.
const LONGEST_DELAY: u64 = 60_000;
/// The most faults at a time.
const MOST: usize = 50;

/// One switched fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The path it is for; with `*` at its end, every path that begins so.
    pub path: String,
    /// The method it is for; every method without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The status to answer with: 429, 500, 502, 503 or 504. Without one the request goes on after its delay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// How long to wait first, in milliseconds, a minute at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
    /// For how many requests; until it is switched off without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
}

impl Fault {
    /// What is wrong with it, if anything is.
    fn complaint(&self) -> Option<&'static str> {
        if !self.path.starts_with('/') {
            return Some("path begins with a slash.");
        }
        if self.method.as_ref().is_some_and(|method| Method::from_bytes(method.as_bytes()).is_err()) {
            return Some("method is an HTTP method.");
        }
        if self.status.is_some_and(|status| refusal(status).is_none()) {
            return Some("status is one of 429, 500, 502, 503 and 504.");
        }
        if self.delay_ms.is_some_and(|delay| delay > LONGEST_DELAY) {
            return Some("delay_ms is at most 60000.");
        }
        if self.times == Some(0) {
            return Some("times is at least 1.");
        }
        if self.status.is_none() && self.delay_ms.is_none() {
            return Some("Give a status, a delay_ms or both.");
        }
        None
    }

    fn is_for(&self, method: &Method, path: &str) -> bool {
        let path_fits = match self.path.strip_suffix('*') {
            Some(beginning) => path.starts_with(beginning),
            None => path == self.path,
        };
        path_fits && self.method.as_deref().is_none_or(|name| name.eq_ignore_ascii_case(method.as_str()))
    }
}

/// The answer of a fault with this status.
fn refusal(status: u16) -> Option<Refusal> {
    const SWITCHED: &str = "A fault switch of doorward dev answers here";
    match status {
        429 | 500 | 502 | 504 => {
            StatusCode::from_u16(status).ok().map(|status| Refusal::new(status, SWITCHED))
        }
        503 => Some(Refusal::UNAVAILABLE),
        _ => None,
    }
}

/// The faults that are switched on.
#[derive(Clone, Default)]
pub struct Faults(Arc<Mutex<Vec<Fault>>>);

impl Faults {
    /// Those that are on, with how often they still act.
    pub fn list(&self) -> Vec<Fault> {
        self.on().clone()
    }

    /// Takes one use of the first fault for such a request.
    fn take(&self, method: &Method, path: &str) -> Option<Fault> {
        let mut faults = self.on();
        let place = faults.iter().position(|fault| fault.is_for(method, path))?;
        let taken = faults[place].clone();
        match &mut faults[place].times {
            Some(1) => drop(faults.remove(place)),
            Some(times) => *times -= 1,
            None => {}
        }
        Some(taken)
    }

    fn on(&self) -> MutexGuard<'_, Vec<Fault>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The layer that acts on the product's routes; the development routes are outside of it.
pub async fn act(State(faults): State<Faults>, request: Request, next: Next) -> Response {
    if let Some(fault) = faults.take(request.method(), request.uri().path()) {
        tokio::time::sleep(Duration::from_millis(fault.delay_ms.unwrap_or_default())).await;
        if let Some(refusal) = fault.status.and_then(refusal) {
            return refusal.answer(&request);
        }
    }
    let mut response = next.run(request).await;
    // It is not given again past this switch.
    response.extensions_mut().remove::<ForEverybody>();
    response
}

/// `GET /dev/faults`: those that are on.
pub async fn list(Extension(faults): Extension<Faults>) -> Json<Vec<Fault>> {
    Json(faults.list())
}

/// `POST /dev/faults`: switches one on. Answers 201 and the fault.
pub async fn switch_on(
    Extension(faults): Extension<Faults>,
    body: Result<Json<Fault>, JsonRejection>,
) -> Response {
    const SHAPE: &str = r#"Send JSON such as {"path":"/oauth/token","status":503,"delay_ms":500,"times":2}."#;
    let refused = |message| Refusal::new(StatusCode::BAD_REQUEST, message).render(Shape::OAuth);
    let Ok(Json(fault)) = body else { return refused(SHAPE) };
    if let Some(complaint) = fault.complaint() {
        return refused(complaint);
    }
    let mut on = faults.on();
    if on.len() >= MOST {
        return refused("50 faults are on: switch some off first.");
    }
    on.push(fault.clone());
    (StatusCode::CREATED, Json(fault)).into_response()
}

/// `DELETE /dev/faults`: switches all of them off.
pub async fn switch_off(Extension(faults): Extension<Faults>) -> StatusCode {
    faults.on().clear();
    StatusCode::NO_CONTENT
}
