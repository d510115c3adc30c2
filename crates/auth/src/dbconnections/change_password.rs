//! `POST /dbconnections/change_password` (authentication contract §8.2).

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use model::recovery::{self, NewRequest};
use model::{App, ClientId};

use super::{read, refused, text};
use crate::visit::Visit;

/// What is answered whoever is named.
const SENT: &str = "We've just sent you an email to reset your password.";

/// Writes down that somebody wants a new password. Known and unknown users, and requests that come too often, are answered alike.
pub async fn change_password(
    State(_): State<App>,
    visit: Visit,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(body) = read(&headers, &body) else { return refused("invalid request") };
    let Some(login) = text(&body, "email").or_else(|| text(&body, "username")) else {
        return refused("email is required");
    };
    let Some(connection) = text(&body, "connection") else { return refused("connection is required") };
    let client_id = text(&body, "client_id").map(ClientId::from);
    let request = NewRequest { connection, login, client_id: client_id.as_ref() };
    match recovery::request(&visit.app, &visit.tenant, &visit.peer, request).await {
        Ok(()) => {
            let headers =
                [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
            (StatusCode::OK, headers, SENT).into_response()
        }
        Err(error) => Visit::json_error(error),
    }
}
