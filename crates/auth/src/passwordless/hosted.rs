//! `/u/passwordless`: the sign-in page of a client whose users have no passwords. It asks for an address, and a code goes there whether
//! or not anybody has it.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use db::Batch;
use model::App;
use model::connections::Connection;

use super::sending::{self, Sending};
use super::{Address, challenge, connection_of};
use crate::authorize::request::Request;
use crate::authorize::response::redirect;
use crate::authorize::{self, page_url};
use crate::login::{Form, state_of, subject};
use crate::pages::{PasswordlessPage, StartProblem};
use crate::visit::Visit;

/// Where the page is.
pub const PATH: &str = "/u/passwordless";

/// `GET /u/passwordless?state=…`: the page. A client with passwords has another.
pub async fn show(State(_): State<App>, visit: Visit, RawQuery(query): RawQuery) -> Response {
    let state = state_of(query.as_deref());
    let (visit, transaction, request) = match authorize::open(visit, &state).await {
        Ok(opened) => opened,
        Err(response) => return response,
    };
    match connection_of(&visit, &request).await {
        Ok(Some(connection)) => {
            let known = transaction.address.or_else(|| request.login_hint.clone()).unwrap_or_default();
            page(&visit, &request, &connection, &state, known, None).await
        }
        Ok(None) => redirect(&page_url("/authorize/resume", &state)),
        Err(error) => visit.failure_page(error).await,
    }
}

/// `POST /u/passwordless`: sends a code to `address`, and asks for it.
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
    let connection = match connection_of(&visit, &request).await {
        Ok(Some(connection)) => connection,
        Ok(None) => return redirect(&page_url("/authorize/resume", &state)),
        Err(error) => return visit.failure_page(error).await,
    };
    let given = params.get("address").unwrap_or_default().to_owned();
    let typed: String = match connection.sends_codes_by_sms() {
        // As people write numbers.
        true => given.chars().filter(|char| !" -/().\u{a0}".contains(*char)).collect(),
        false => given.clone(),
    };
    let again = async |error| page(&visit, &request, &connection, &state, given.clone(), Some(error)).await;
    let Some(address) = Address::on(&connection, &typed) else {
        return again(StartProblem::NoAddress).await;
    };
    match sending::send(&visit, &request.client, &connection, &address, Batch::new(), None).await {
        Ok((Sending::Sent | Sending::TooSoon, _)) => {
            let sent = transaction.sent_to(&address.given).seal(&visit.app, &visit.tenant.id);
            redirect(&page_url(challenge::PATH, &sent))
        }
        Ok((Sending::TooMany, _)) => again(StartProblem::TooMany).await,
        Ok((Sending::Failed, _)) => again(StartProblem::Failed).await,
        Err(error) => visit.failure_page(error).await,
    }
}

async fn page(
    visit: &Visit,
    request: &Request,
    connection: &Arc<Connection>,
    state: &str,
    address: String,
    error: Option<StartProblem>,
) -> Response {
    PasswordlessPage {
        look: visit.look().await,
        client_name: request.client.name.clone(),
        by_sms: connection.sends_codes_by_sms(),
        address,
        state: state.to_owned(),
        csrf: visit.csrf(visit.browser().unwrap_or_default(), &subject(state, None)),
        error,
        form_targets: request.target.form_targets.clone(),
    }
    .into_response()
}
