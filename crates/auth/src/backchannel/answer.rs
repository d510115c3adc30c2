//! `/u/authorization-requests`: what waits for the answer of the person who is signed in in this browser.

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use db::Batch;
use model::backchannel_requests::{self, BackchannelRequest};
use model::sessions::Session;
use model::users::{self, User};
use model::{App, clients, logs};

use crate::authorize::audience::Audience;
use crate::events;
use crate::factors;
use crate::pages::{AuthorizationRequest, AuthorizationRequestsPage, ErrorKind, RequestsNotice};
use crate::params::Params;
use crate::visit::{Visit, with_cookie};

/// `GET /u/authorization-requests`: the page.
pub async fn show(State(_): State<App>, visit: Visit, RawQuery(query): RawQuery) -> Response {
    let params = Params::parse_form(query.as_deref().unwrap_or_default()).unwrap_or_default();
    let visit = visit.asking(&params);
    page(&visit, None).await
}

/// `POST /u/authorization-requests`: `id` and `action`, which is `accept` or `deny`. The form is good for the session that it was shown to.
pub async fn submit(State(_): State<App>, visit: Visit, headers: HeaderMap, body: Bytes) -> Response {
    let Ok(params) = Params::parse_body(&headers, &body) else {
        return visit.error_page(ErrorKind::InvalidRequest).await.into_response();
    };
    let (session, user) = match visit.session().await {
        Ok(Some(session)) => session,
        Ok(None) => return page(&visit, None).await,
        Err(error) => return visit.failure_page(error).await,
    };
    if !visit.csrf_holds(params.get("_csrf"), &subject(&session)) {
        return visit.error_page(ErrorKind::FormExpired).await.into_response();
    }
    let accepted = params.get("action") == Some("accept");
    match answer(&visit, &session, &user, params.get("id").unwrap_or_default(), accepted).await {
        Ok(notice) => page(&visit, Some(notice)).await,
        Err(error) => visit.failure_page(error).await,
    }
}

/// What the token of a form is good for.
fn subject(session: &Session) -> String {
    format!("authorization requests\n{}", session.sid)
}

/// Stores the answer: one that was given before, or comes too late, changes nothing.
async fn answer(
    visit: &Visit,
    session: &Session,
    user: &User,
    id: &str,
    accepted: bool,
) -> Result<RequestsNotice, db::Error> {
    let (app, tenant) = (&visit.app, &visit.tenant);
    let now = app.clock.now();
    let open = backchannel_requests::open_of_user(&app.db, &tenant.id, &user.id, now).await?;
    let Some(request) = open.into_iter().find(|request| request.id == id) else {
        return Ok(RequestsNotice::Over);
    };
    let mut batch = Batch::new();
    users::unchanged(&mut batch, user);
    if accepted {
        if lacks_factor(visit, session, user, &request).await? {
            return Ok(RequestsNotice::FactorMissing);
        }
        let mfa = session.mfa_at.is_some();
        backchannel_requests::approve(&mut batch, &tenant.id, &request, mfa, now);
        logs::record(&mut batch, events::backchannel_answered(visit, &request, user, true));
    } else {
        backchannel_requests::deny(&mut batch, &tenant.id, &request);
        logs::record(&mut batch, events::backchannel_answered(visit, &request, user, false));
    }
    match app.db.commit(batch).await {
        Ok(_) if accepted => Ok(RequestsNotice::Allowed),
        Ok(_) => Ok(RequestsNotice::Denied),
        Err(db::Error::Conflict { .. }) => Ok(RequestsNotice::Over),
        Err(error) => Err(error),
    }
}

/// Whether the tenant asks for a second factor that was not given in this session.
async fn lacks_factor(
    visit: &Visit,
    session: &Session,
    user: &User,
    request: &BackchannelRequest,
) -> Result<bool, db::Error> {
    if session.mfa_at.is_some() {
        return Ok(false);
    }
    match Audience::find(&visit.app, &visit.tenant, Some(&request.audience)).await {
        Ok(audience) => Ok(factors::missing_for_grant(visit, &audience, user).await?.is_some()),
        // An API that is gone gives nothing, whoever asks.
        Err(crate::authorize::audience::AudienceError::Database(error)) => Err(error),
        Err(_) => Ok(false),
    }
}

async fn page(visit: &Visit, notice: Option<RequestsNotice>) -> Response {
    match shown(visit, notice).await {
        Ok(response) => response,
        Err(error) => visit.failure_page(error).await,
    }
}

async fn shown(visit: &Visit, notice: Option<RequestsNotice>) -> Result<Response, db::Error> {
    let (app, tenant) = (&visit.app, &visit.tenant.id);
    let look = visit.look().await;
    let Some((session, user)) = visit.session().await? else {
        let (requests, csrf, user) = (Vec::new(), String::new(), None);
        return Ok(AuthorizationRequestsPage { look, user, requests, csrf, notice }.into_response());
    };
    let mut requests = Vec::new();
    for request in backchannel_requests::open_of_user(&app.db, tenant, &user.id, app.clock.now()).await? {
        let client = clients::find(app, tenant, request.client_id.as_str()).await?;
        let Some(client) = client else { continue };
        requests.push(AuthorizationRequest {
            id: request.id,
            client_name: client.name.clone(),
            binding_message: request.binding_message,
            audience: Some(request.audience).filter(|audience| !audience.is_empty()),
            scopes: request.scope.split_ascii_whitespace().map(str::to_owned).collect(),
        });
    }
    let (browser, cookie) = visit.bind_browser();
    let csrf = visit.csrf(&browser, &subject(&session));
    let label =
        user.email.clone().or_else(|| user.name.clone()).unwrap_or_else(|| user.id.as_str().to_owned());
    let page = AuthorizationRequestsPage { look, user: Some(label), requests, csrf, notice };
    Ok(with_cookie(page.into_response(), cookie))
}
