//! The consent page, `/u/consent` (authentication contract §1.7).

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use db::Batch;
use model::authorization_details::AuthorizationDetails;
use model::sessions::Session;
use model::users::User;
use model::{App, device_codes, grants, transactions};
use serde_json::{Map, Value};

use crate::authorize::request::{Refusal, Request};
use crate::authorize::response::redirect;
use crate::authorize::{self, page_url};
use crate::device;
use crate::events;
use crate::factors;
use crate::login::{Form, links, state_of, subject};
use crate::pages::{ConsentPage, DeviceEnd, ErrorKind, ScopeLine};
use crate::scopes::Scopes;
use crate::visit::Visit;

/// `GET /u/consent?state=…`: the page. Without a session it leads back to the start of the sign-in.
pub async fn show(State(_): State<App>, visit: Visit, RawQuery(query): RawQuery) -> Response {
    let state = state_of(query.as_deref());
    let (visit, transaction, request) = match authorize::open(visit, &state).await {
        Ok(opened) => opened,
        Err(response) => return response,
    };
    match visit.session().await {
        Ok(Some((session, user))) => {
            match factors::outstanding(&visit, &request, &transaction, &session, &user).await {
                Ok(false) => page(&visit, &request, &session, &user, &state).await,
                Ok(true) => redirect(&page_url("/authorize/resume", &state)),
                Err(error) => visit.failure_page(error).await,
            }
        }
        Ok(None) => redirect(&page_url("/authorize/resume", &state)),
        Err(error) => visit.failure_page(error).await,
    }
}

/// `POST /u/consent`: `accept` stores the grant and goes on; anything else tells the client that the user declined.
pub async fn submit(
    State(_): State<App>,
    visit: Visit,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let (session, user) = match visit.session().await {
        Ok(Some(session)) => session,
        Ok(None) => {
            let state = state_of(query.as_deref());
            return match authorize::open(visit, &state).await {
                Ok(_) => redirect(&page_url("/authorize/resume", &state)),
                Err(response) => response,
            };
        }
        Err(error) => return visit.failure_page(error).await,
    };
    // Whom the page asked answers, and not who has signed in since.
    let form = match Form::open(visit, Some(&session), query.as_deref(), &headers, &body).await {
        Ok(form) => form,
        Err(response) => return response,
    };
    match factors::outstanding(&form.visit, &form.request, &form.transaction, &session, &user).await {
        Ok(false) => {}
        Ok(true) => return redirect(&page_url("/authorize/resume", &form.state)),
        Err(error) => return form.visit.failure_page(error).await,
    }
    let accepted = form.params.get("action") == Some("accept");
    match answer(&form, &session, &user, accepted).await {
        Ok(()) if accepted => redirect(&page_url("/authorize/resume", &form.state)),
        Ok(()) if form.request.device.is_some() => device::end(&form.visit, DeviceEnd::Denied).await,
        Ok(()) => {
            let declined = "User did not authorize the request";
            let refusal = Refusal::client(&form.request.target, "access_denied", declined);
            authorize::refuse(&form.visit, refusal).await
        }
        Err(db::Error::Conflict { .. }) => {
            form.visit.error_page(ErrorKind::FormExpired).await.into_response()
        }
        Err(error) => form.visit.failure_page(error).await,
    }
}

/// Stores the answer in one batch with the transaction's progress.
async fn answer(form: &Form, session: &Session, user: &User, accepted: bool) -> Result<(), db::Error> {
    let Form { visit, transaction, request, .. } = form;
    let (app, tenant) = (&visit.app, &visit.tenant.id);
    let mut batch = Batch::new();
    if accepted {
        let (client_id, audience) = (&request.client.client_id, request.audience.identifier());
        let known = grants::find(&app.db, tenant, &user.id, client_id, audience).await?;
        let scopes = request.consented().to_vec();
        grants::grow(&mut batch, app, tenant, (&user.id, client_id, audience), known.as_ref(), &scopes);
        transactions::consented(&mut batch, tenant, transaction, &session.sid);
    } else {
        transactions::refused(&mut batch, tenant, transaction, &session.sid, app.clock.now());
        if let Some(device) = &request.device {
            device_codes::deny(&mut batch, tenant, device);
        }
        model::logs::record(&mut batch, events::consent_declined(visit, request, user));
    }
    app.db.commit(batch).await.map(drop)
}

/// What is asked for in detail, in full: nobody consents to what is not shown.
fn detail(detail: &Map<String, Value>) -> (String, Vec<String>) {
    let kind = detail.get("type").and_then(Value::as_str).unwrap_or_default();
    let told = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let rest = detail.iter().filter(|(name, _)| *name != "type");
    (kind.to_owned(), rest.map(|(name, value)| format!("{name}: {}", told(value))).collect())
}

async fn page(visit: &Visit, request: &Request, session: &Session, user: &User, state: &str) -> Response {
    let described = match visit.settings().await {
        Ok(settings) => settings.flag("use_scope_descriptions_for_consent"),
        Err(error) => return visit.failure_page(error).await,
    };
    let api = request.audience.api();
    let description = |scope: &str| {
        let listed = api?.scopes.as_ref()?.iter().find(|listed| listed.value == scope)?;
        listed.description.clone().filter(|_| described)
    };
    let asked = request.consented();
    // Whoever asks for nothing still learns who it is.
    let asked = if asked.is_empty() { Scopes::from_list(vec!["openid".to_owned()]) } else { asked };
    let scopes = asked.iter().map(|scope| ScopeLine { value: scope.into(), description: description(scope) });
    ConsentPage {
        client_name: request.client.name.clone(),
        client_logo: request.client.logo_uri.clone(),
        links: links(&request.client),
        user_label: user.email.clone().or_else(|| user.name.clone()).unwrap_or_else(|| user.id.to_string()),
        api_name: api.and_then(|api| api.name.clone()),
        scopes: scopes.collect(),
        details: request.details.iter().flat_map(AuthorizationDetails::iter).map(detail).collect(),
        csrf: visit.csrf(visit.browser().unwrap_or_default(), &subject(state, Some(session))),
        state: state.to_owned(),
        form_targets: request.target.form_targets.clone(),
        look: visit.look().await,
    }
    .into_response()
}
