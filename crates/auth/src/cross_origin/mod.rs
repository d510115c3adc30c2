//! Signing in on a page of the app's own (authentication contract §7). The page posts what its user typed ([`authenticate`]), gets a
//! ticket for it, and sends the browser to `/authorize` with that.
//!
//! Whoever is lured there with a stranger's ticket must not end up in the stranger's account: a ticket is good in the browser that
//! it was given to, which a cookie tells; where browsers withhold that cookie, a page of the app's own origin that knows the ticket's
//! verifier tells it. What is not proven in either way is a sign-in that has yet to happen.

pub mod authenticate;

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use db::Batch;
use model::login_tickets::{self, LoginTicket};
use model::sessions::{Limits, Session};
use model::transactions::{self, Transaction};
use model::{App, connections, logs, users};

use crate::authorize::request::{Refusal, Request};
use crate::authorize::response::{encode, origin, redirect};
use crate::authorize::{self, Begun, page_url, refuse, refused_params, silent_failure};
use crate::events;
use crate::login::{Form, enter, replace_session, subject};
use crate::pages::CrossOriginPage;
use crate::params::Params;
use crate::visit::{Visit, with_cookie};

/// Takes the `login_ticket` of a request in the place of a sign-in (authentication contract §1.2 step 5).
pub async fn arrive(visit: &Visit, request: &Request, params: Params) -> Response {
    let token = params.get("login_ticket").unwrap_or_default().to_owned();
    let ticket = match usable(visit, request, &token).await {
        Ok(Some(ticket)) => ticket,
        Ok(None) => return unknown(visit, request).await,
        Err(error) => return visit.failure_page(error).await,
    };
    let here = ticket.is_of_browser(visit.browser());
    if !here && request.prompt.none {
        return silent_failure(visit, request, "login_required", "Login required").await;
    }
    let begun = match authorize::begin(visit, params) {
        Ok(begun) => begun,
        Err(error) => return refused_params(visit, &error).await,
    };
    match here {
        true => sign_in(visit, request, &begun.transaction, &begun.state, &token).await,
        false => ask(visit, request, &ticket, begun).await,
    }
}

/// Asks a page of the app's own for the ticket's verifier; where the app has none, asks its user to sign in here.
async fn ask(visit: &Visit, request: &Request, ticket: &LoginTicket, begun: Begun) -> Response {
    let page = request.client.cross_origin_loc.as_deref();
    let page = page.filter(|page| origin(page).as_deref() == Some(&ticket.origin));
    let Some(page) = page else {
        return with_cookie(elsewhere(visit, request, &begun.state).await, begun.cookie);
    };
    let own = visit.tenant.issuer.trim_end_matches('/');
    let fragment = encode(&[("origin".to_owned(), own.into())].into_iter().collect());
    let page = CrossOriginPage {
        look: visit.look().await,
        page: format!("{}#{fragment}", page.split('#').next().unwrap_or_default()),
        origin: ticket.origin.clone(),
        verifier_id: ticket.verifier_id.clone(),
        csrf: visit.csrf(&begun.browser, &subject(&begun.state, None)),
        state: begun.state,
        form_targets: request.target.form_targets.clone(),
    };
    with_cookie(page.into_response(), begun.cookie)
}

/// To the page where people sign in here.
async fn elsewhere(visit: &Visit, request: &Request, state: &str) -> Response {
    match authorize::sign_in_page(visit, request).await {
        Ok(page) => redirect(&page_url(page, state)),
        Err(refusal) => refuse(visit, refusal).await,
    }
}

/// `POST /co/verify`: the `verifier` that a page of the app's own told ours. A wrong one leads to the sign-in page.
pub async fn verified(
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
    let asked = Params::from_pairs(transaction.params.clone(), transaction.source);
    let token = asked.get("login_ticket").unwrap_or_default();
    let ticket = match usable(&visit, &request, token).await {
        Ok(Some(ticket)) => ticket,
        Ok(None) => return unknown(&visit, &request).await,
        Err(error) => return visit.failure_page(error).await,
    };
    match ticket.is_verified_by(params.get("verifier").unwrap_or_default()) {
        true => sign_in(&visit, &request, &transaction, &state, token).await,
        false => elsewhere(&visit, &request, &state).await,
    }
}

/// The ticket, if it is good for this request: of this app, from a page and a connection that may still be used, and no other
/// connection is asked for.
pub async fn usable(visit: &Visit, request: &Request, token: &str) -> Result<Option<LoginTicket>, db::Error> {
    let (app, tenant, client) = (&visit.app, &visit.tenant, &request.client);
    let found = login_tickets::find(&app.db, &tenant.id, token, app.clock.now()).await?;
    let Some(ticket) = found.filter(|ticket| ticket.client_id == client.client_id) else { return Ok(None) };
    let own = ticket.origin == own_origin(visit);
    let is_open = own || client.cross_origin_authentication && client.allows_origin(&ticket.origin);
    if !is_open || request.connection.as_ref().is_some_and(|asked| asked.name != ticket.connection) {
        return Ok(None);
    }
    let connection = connections::find_by_name(app, &tenant.id, &ticket.connection).await?;
    let is_open = connection
        .is_some_and(|connection| connection.is_active() && connection.is_enabled_for(&client.client_id));
    Ok(is_open.then_some(ticket))
}

/// The origin of this tenant's own pages.
pub fn own_origin(visit: &Visit) -> String {
    origin(&visit.tenant.issuer).unwrap_or_default()
}

/// Begins the session that the ticket stands for, spends the ticket, and goes on with the sign-in.
pub async fn sign_in(
    visit: &Visit,
    request: &Request,
    transaction: &Transaction,
    state: &str,
    token: &str,
) -> Response {
    match session(visit, request, transaction, token).await {
        Ok(Some((session, token))) => enter(visit, &session, &token, state).await,
        Ok(None) => unknown(visit, request).await,
        Err(error) => visit.failure_page(error).await,
    }
}

/// One batch: the login is counted, the session takes the place of the browser's former one, and the ticket is spent. `None` where it
/// was spent meanwhile, or its user may not sign in any more.
async fn session(
    visit: &Visit,
    request: &Request,
    transaction: &Transaction,
    token: &str,
) -> Result<Option<(Session, String)>, db::Error> {
    let (app, tenant) = (&visit.app, &visit.tenant.id);
    let limits = Limits::of(&*visit.settings().await?);
    let decide = async || {
        let nothing = || Ok((Batch::new(), None));
        let Some(ticket) = usable(visit, request, token).await? else { return nothing() };
        let Some(user) = users::find(&app.db, tenant, &ticket.user_id).await? else { return nothing() };
        let Some((_, identity)) = user.identity(&ticket.provider, &ticket.subject) else { return nothing() };
        if user.is_blocked() {
            app.audit.push(events::blocked_login(visit, request.aim(), &user));
            return nothing();
        }
        let (session, cookie) = Session::begin(app, &visit.peer, user.id.clone(), identity, limits);
        let session = Session { authenticated_at: ticket.created_at, ..session };
        let mut batch = Batch::new();
        users::touch_login(&mut batch, &user, app.clock.now(), &visit.peer.ip.to_string());
        replace_session(visit, &mut batch, &session, &request.client.client_id);
        transactions::authenticated(&mut batch, tenant, transaction, &session.sid);
        login_tickets::spend(&mut batch, tenant, &ticket);
        logs::record(&mut batch, events::login(visit, request, &user, &ticket.connection));
        Ok::<_, db::Error>((batch, Some((session, cookie))))
    };
    app.db.retry(decide).await
}

async fn unknown(visit: &Visit, request: &Request) -> Response {
    let description = "Unknown or invalid login ticket.";
    refuse(visit, Refusal::client(&request.target, "access_denied", description)).await
}
