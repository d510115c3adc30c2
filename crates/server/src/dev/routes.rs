//! The development routes: an index, the outbox ([`super::outbox`]), a movable clock and fault switches. They exist only in the
//! router that `dev` builds, answer
//! `localhost` alone, and ask for the token that `dev` prints.

use std::sync::{Arc, LazyLock};

use axum::extract::{Extension, Query, Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_SECURITY_POLICY};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Form, Json, Router};
use base64::Engine;
use model::tenants::Tenant;
use model::{App, Clock, Random, seal};
use serde::Deserialize;
use serde_json::json;

use super::explain::{self, Refusals};
use super::faults::{self, Faults};
use super::outbox;
use crate::refusal::{Refusal, Shape};

/// What the development routes need beside the application.
#[derive(Clone)]
pub struct Tools {
    token: Arc<str>,
    faults: Faults,
    refusals: Refusals,
    clock: Clock,
}

impl Tools {
    /// With a fresh token.
    pub fn new(random: &Random, clock: &Clock) -> Self {
        let (faults, refusals) = (Faults::default(), Refusals::default());
        Self { token: random.token().into(), faults, refusals, clock: clock.clone() }
    }

    /// What a caller must show: `Authorization: Bearer …`, or `token` in the query.
    pub fn token(&self) -> &str {
        &self.token
    }
}

/// The product's routes under the fault switches, and the development routes beside them: `GET /dev`, `POST /dev/clock`,
/// `GET|POST|DELETE /dev/faults`, `GET /dev/explain`, and those of the outbox.
pub fn extend(product: Router<App>, tools: Tools) -> Router<App> {
    let development = Router::new()
        .route("/dev", get(index))
        .route("/dev/clock", post(advance))
        .route("/dev/faults", get(faults::list).post(faults::switch_on).delete(faults::switch_off))
        .route("/dev/explain", get(explain::page))
        .merge(outbox::routes())
        .route_layer(Extension(tools.faults.clone()))
        .route_layer(Extension(tools.refusals.clone()))
        .route_layer(from_fn(guard))
        .route_layer(Extension(tools.clone()));
    product
        .layer(from_fn_with_state(tools.faults, faults::act))
        .layer(from_fn_with_state((tools.refusals, tools.clock), explain::remember))
        .merge(development)
}

#[derive(Deserialize)]
struct Shown {
    token: Option<String>,
}

/// A page elsewhere cannot know the token, nor reach this by a name of its own that leads to this machine.
async fn guard(
    Extension(tools): Extension<Tools>,
    Query(shown): Query<Shown>,
    request: Request,
    next: Next,
) -> Response {
    let tenant = request.extensions().get::<Arc<Tenant>>().expect("the host layer ran before");
    let name = tenant.host.split(':').next().unwrap_or_default();
    if name != "localhost" {
        return Refusal::NOT_FOUND.answer(&request);
    }
    let header = request.headers().get(AUTHORIZATION).and_then(|header| header.to_str().ok());
    let token = header.and_then(|header| header.strip_prefix("Bearer ")).or(shown.token.as_deref());
    if !token.is_some_and(|token| seal::same(token.as_bytes(), tools.token.as_bytes())) {
        return Refusal::new(StatusCode::UNAUTHORIZED, "Show the token that `doorward dev` printed.")
            .answer(&request);
    }
    next.run(request).await
}

/// `GET /dev`: what time it is here, and buttons that move it.
async fn index(State(app): State<App>, Extension(tools): Extension<Tools>) -> Response {
    let steps = [("1 minute", 60), ("1 hour", 3_600), ("1 day", 86_400), ("30 days", 2_592_000)];
    let buttons: String = steps
        .iter()
        .map(|(name, seconds)| {
            format!("<button name=\"advance_seconds\" value=\"{seconds}\">{name}</button> ")
        })
        .collect();
    let page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Doorward development</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><style>{STYLE}</style></head><body><main>\
         <h1>Development</h1><p>The server's clock says <time>{now}</time>.</p>\
         <form method=\"post\" action=\"/dev/clock?token={token}\"><p>Move it by</p>{buttons}</form>\
         <p>Tokens, sessions and codes expire by this clock. It cannot go back but by a restart.</p>\
         <p><a href=\"/dev/outbox?token={token}\">The outbox</a> · \
         <a href=\"/dev/explain?token={token}\">Refused requests</a> · <a href=\"/account/\">The account page</a> · \
         <a href=\"/.well-known/openid-configuration\">Discovery</a></p></main></body></html>",
        now = app.clock.now().iso(),
        token = tools.token(),
    );
    ([(CONTENT_SECURITY_POLICY, POLICY.clone())], Html(page)).into_response()
}

#[derive(Deserialize)]
struct Advance {
    advance_seconds: u32,
}

/// `POST /dev/clock` with `advance_seconds`, as a form or as JSON: moves the clock forward. JSON is answered `{"now"}`.
async fn advance(State(app): State<App>, Extension(tools): Extension<Tools>, body: AdvanceBody) -> Response {
    match body {
        AdvanceBody::Json(advance) => {
            app.clock.advance(i64::from(advance.advance_seconds));
            Json(json!({ "now": app.clock.now() })).into_response()
        }
        AdvanceBody::Form(advance) => {
            app.clock.advance(i64::from(advance.advance_seconds));
            Redirect::to(&format!("/dev?token={}", tools.token())).into_response()
        }
        AdvanceBody::Neither => {
            Refusal::new(StatusCode::BAD_REQUEST, "Send advance_seconds, a whole number.")
                .render(Shape::OAuth)
        }
    }
}

enum AdvanceBody {
    Json(Advance),
    Form(Advance),
    Neither,
}

impl<S: Send + Sync> axum::extract::FromRequest<S> for AdvanceBody {
    type Rejection = std::convert::Infallible;

    async fn from_request(request: Request, state: &S) -> Result<Self, Self::Rejection> {
        let json = request
            .headers()
            .get("content-type")
            .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
        Ok(if json {
            Json::from_request(request, state)
                .await
                .map_or(Self::Neither, |Json(advance)| Self::Json(advance))
        } else {
            Form::from_request(request, state)
                .await
                .map_or(Self::Neither, |Form(advance)| Self::Form(advance))
        })
    }
}

pub(super) const STYLE: &str = ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;margin:0}\
    main{max-width:560px;margin:48px auto;padding:0 24px}button{font:inherit;padding:8px 12px}";

pub(super) static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = base64::engine::general_purpose::STANDARD.encode(seal::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    );
    HeaderValue::from_str(&policy).expect("base64 is a header value")
});
