//! The page that asks whom to send a link to, `/u/reset-password/request/{connection}`.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use model::App;
use model::connections::Connection;
use model::recovery::{self, NewRequest};

use crate::authorize::request::Request;
use crate::authorize::{self, page_url};
use crate::login::{Form, directories, state_of, subject};
use crate::pages::{ErrorKind, Message, MessagePage, ResetRequestPage};
use crate::visit::Visit;

/// Where the page of a connection is.
pub fn path(connection: &Connection) -> String {
    format!("/u/reset-password/request/{}", connection.name)
}

/// `GET`: the page.
pub async fn show(
    State(_): State<App>,
    visit: Visit,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let state = state_of(query.as_deref());
    let (visit, _, request) = match authorize::open(visit, &state).await {
        Ok(opened) => opened,
        Err(response) => return response,
    };
    match directory(&visit, &request, &name).await {
        Ok(connection) => {
            let email = request.login_hint.clone().unwrap_or_default();
            page(&visit, &connection, &state, email, false).await
        }
        Err(response) => response,
    }
}

/// `POST`: writes the request down. The answer is the same whoever is named, and takes as long.
pub async fn submit(
    State(_): State<App>,
    visit: Visit,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let form = match Form::open(visit, None, query.as_deref(), &headers, &body).await {
        Ok(form) => form,
        Err(response) => return response,
    };
    let Form { visit, request, state, params, .. } = form;
    let connection = match directory(&visit, &request, &name).await {
        Ok(connection) => connection,
        Err(response) => return response,
    };
    let login = params.get("email").unwrap_or_default().trim().to_owned();
    if login.is_empty() {
        return page(&visit, &connection, &state, login, true).await;
    }
    let asked = NewRequest {
        connection: &connection.name,
        login: &login,
        client_id: Some(&request.client.client_id),
    };
    if let Err(error) = recovery::request(&visit.app, &visit.tenant, &visit.peer, asked).await {
        return visit.failure_page(error).await;
    }
    let continue_url = Some(page_url("/u/login", &state));
    MessagePage { look: visit.look().await, message: Message::ResetSent, continue_url }.into_response()
}

/// The connection of this name, if a sign-in for this request may use it and its users set their own passwords.
async fn directory(visit: &Visit, request: &Request, name: &str) -> Result<Arc<Connection>, Response> {
    match directories(visit, request).await {
        Ok(usable) => {
            let found = usable
                .into_iter()
                .find(|connection| connection.name == name && connection.allows_password_reset());
            match found {
                Some(connection) => Ok(connection),
                None => Err(visit.error_page(ErrorKind::NotFound).await.into_response()),
            }
        }
        Err(refusal) => Err(authorize::refuse(visit, refusal).await),
    }
}

async fn page(
    visit: &Visit,
    connection: &Connection,
    state: &str,
    email: String,
    is_missing: bool,
) -> Response {
    ResetRequestPage {
        look: visit.look().await,
        path: path(connection),
        state: state.to_owned(),
        csrf: visit.csrf(visit.browser().unwrap_or_default(), &subject(state, None)),
        email,
        with_usernames: connection.has_usernames(),
        is_missing,
        login_url: page_url("/u/login", state),
    }
    .into_response()
}
