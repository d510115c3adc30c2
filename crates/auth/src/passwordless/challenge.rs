//! `/u/passwordless-challenge`: the code that went to the address which was typed in this browser.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use db::Batch;
use model::connections::Connection;
use model::sessions::Session;
use model::transactions::Transaction;
use model::{App, passwordless};

use super::proof::{self, Closed, Wrong};
use super::sending::{self, Sending};
use super::{Address, connection_of, hosted};
use crate::authorize::request::Request;
use crate::authorize::response::redirect;
use crate::authorize::{self, page_url};
use crate::login::{Form, enter, state_of, subject};
use crate::pages::{CodeProblem, ErrorKind, LoginError, PasswordlessCodePage};
use crate::visit::Visit;

/// Where the page is.
pub const PATH: &str = "/u/passwordless-challenge";

/// What the page is about.
struct Challenge {
    visit: Visit,
    transaction: Transaction,
    request: Request,
    state: String,
    connection: Arc<Connection>,
    address: Address,
}

impl Challenge {
    /// The challenge of a sign-in for which a code has been sent; any other begins with the address.
    async fn of(
        visit: Visit,
        transaction: Transaction,
        request: Request,
        state: String,
    ) -> Result<Self, Response> {
        let connection = match connection_of(&visit, &request).await {
            Ok(Some(connection)) => connection,
            Ok(None) => return Err(redirect(&page_url("/authorize/resume", &state))),
            Err(error) => return Err(visit.failure_page(error).await),
        };
        let address = transaction.address.as_deref().and_then(|address| Address::on(&connection, address));
        match address {
            Some(address) => Ok(Self { visit, transaction, request, state, connection, address }),
            None => Err(redirect(&page_url(hosted::PATH, &state))),
        }
    }
}

/// `GET /u/passwordless-challenge?state=…`: the page.
pub async fn show(State(_): State<App>, visit: Visit, RawQuery(query): RawQuery) -> Response {
    let state = state_of(query.as_deref());
    let (visit, transaction, request) = match authorize::open(visit, &state).await {
        Ok(opened) => opened,
        Err(response) => return response,
    };
    match Challenge::of(visit, transaction, request, state).await {
        Ok(challenge) => page(&challenge, None).await,
        Err(response) => response,
    }
}

/// `POST /u/passwordless-challenge`: `code`, which leads back to `/authorize/resume`; or `action=resend`, which sends another.
pub async fn submit(
    State(_): State<App>,
    visit: Visit,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Form { visit, transaction, request, state, params } =
        match Form::open(visit, None, query.as_deref(), &headers, &body).await {
            Ok(form) => form,
            Err(response) => return response,
        };
    let challenge = match Challenge::of(visit, transaction, request, state).await {
        Ok(challenge) => challenge,
        Err(response) => return response,
    };
    if params.get("action") == Some("resend") {
        return match resend(&challenge).await {
            Ok(error) => page(&challenge, error).await,
            Err(error) => challenge.visit.failure_page(error).await,
        };
    }
    let Some(code) = params.get("code") else { return page(&challenge, Some(CodeProblem::NoCode)).await };
    match sign_in(&challenge, code).await {
        Ok(Ok((session, token))) => enter(&challenge.visit, &session, &token, &challenge.state).await,
        Ok(Err(error)) => page(&challenge, Some(error)).await,
        // Of two at once the other has spent the code, or completed the sign-in.
        Err(db::Error::Conflict { .. }) => {
            challenge.visit.error_page(ErrorKind::FormExpired).await.into_response()
        }
        Err(error) => challenge.visit.failure_page(error).await,
    }
}

async fn resend(challenge: &Challenge) -> Result<Option<CodeProblem>, db::Error> {
    let Challenge { visit, request, connection, address, .. } = challenge;
    let (sending, _) = sending::send(visit, &request.client, connection, address, Batch::new(), None).await?;
    Ok(match sending {
        Sending::Sent => None,
        Sending::TooSoon => Some(CodeProblem::TooSoon),
        Sending::TooMany => Some(CodeProblem::TooManyCodes),
        Sending::Failed => Some(CodeProblem::NotSent),
    })
}

async fn sign_in(
    challenge: &Challenge,
    code: &str,
) -> Result<Result<(Session, String), CodeProblem>, db::Error> {
    let Challenge { visit, transaction, request, connection, address, .. } = challenge;
    let right = match proof::check(visit, request.aim(), connection, address.clone(), code).await? {
        Ok(right) => right,
        Err(wrong) => {
            return Ok(Err(match wrong {
                Wrong::Code => CodeProblem::Wrong,
                Wrong::Expired => CodeProblem::Expired,
                Wrong::WornOut => CodeProblem::WornOut,
                Wrong::Limited(LoginError::Busy) => CodeProblem::Busy,
                Wrong::Limited(_) => CodeProblem::TooManyTries,
            }));
        }
    };
    let begun = proof::sign_in(visit, request, transaction, &right).await?;
    Ok(begun.map_err(|closed| match closed {
        Closed::Nobody => CodeProblem::Wrong,
        Closed::Blocked => CodeProblem::UserBlocked,
    }))
}

async fn page(challenge: &Challenge, error: Option<CodeProblem>) -> Response {
    let Challenge { visit, request, state, connection, address, .. } = challenge;
    let (app, tenant) = (&visit.app, &visit.tenant.id);
    let sent = match passwordless::find(&app.db, tenant, &connection.name, &address.folded).await {
        Ok(sent) => sent,
        Err(error) => return visit.failure_page(error).await,
    };
    PasswordlessCodePage {
        look: visit.look().await,
        client_name: request.client.name.clone(),
        by_sms: connection.sends_codes_by_sms(),
        address: address.given.clone(),
        pause: sent.map_or(0, |sent| sent.pause(app.clock.now())),
        state: state.clone(),
        csrf: visit.csrf(visit.browser().unwrap_or_default(), &subject(state, None)),
        error,
        back_url: page_url(hosted::PATH, state),
        form_targets: request.target.form_targets.clone(),
    }
    .into_response()
}
