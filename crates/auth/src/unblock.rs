//! The page behind the link that a blocked account's user gets by mail, `/u/unblock`. Opening the link uses nothing up: programs
//! that look into mail open links too.

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use db::Batch;
use model::attack_protection as protection;
use model::{App, logs};

use crate::events;
use crate::pages::{ErrorKind, Unblock, UnblockPage};
use crate::params::Params;
use crate::visit::Visit;

/// `GET /u/unblock?ticket=…`: asks whether to unblock the account.
pub async fn show(State(app): State<App>, visit: Visit, RawQuery(query): RawQuery) -> Response {
    let params = Params::parse_form(query.as_deref().unwrap_or_default()).unwrap_or_default();
    let ticket = params.get("ticket").unwrap_or_default();
    match protection::find_ticket(&app, &visit.tenant.id, ticket).await {
        Ok(Some(_)) => page(&visit, Unblock::Ask { ticket: ticket.to_owned() }).await,
        Ok(None) => page(&visit, Unblock::Failed).await,
        Err(error) => visit.failure_page(error).await,
    }
}

/// `POST /u/unblock`: lifts the blocks. The ticket itself proves that the form comes from whoever has the mail.
pub async fn submit(State(app): State<App>, visit: Visit, headers: HeaderMap, body: Bytes) -> Response {
    let Ok(params) = Params::parse_body(&headers, &body) else {
        return visit.error_page(ErrorKind::InvalidRequest).await.into_response();
    };
    let (tenant, ticket) = (&visit.tenant.id, params.get("ticket").unwrap_or_default());
    let user = match protection::find_ticket(&app, tenant, ticket).await {
        Ok(Some(user)) => user,
        Ok(None) => return page(&visit, Unblock::Failed).await,
        Err(error) => return visit.failure_page(error).await,
    };
    let mut batch = Batch::new();
    protection::spend_ticket(&mut batch, &app, tenant, ticket);
    protection::lift(&mut batch, tenant, &user);
    logs::record(&mut batch, events::unblocked(&visit, &user));
    match app.db.commit(batch).await {
        Ok(_) => page(&visit, Unblock::Done).await,
        Err(db::Error::Conflict { .. }) => page(&visit, Unblock::Failed).await,
        Err(error) => visit.failure_page(error).await,
    }
}

async fn page(visit: &Visit, what: Unblock) -> Response {
    UnblockPage { look: visit.look().await, what }.into_response()
}
