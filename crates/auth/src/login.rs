//! The sign-in page, `/u/login`: what it shows, and what a password proves.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use db::Batch;
use model::clients::Client;
use model::connections::{self, Connection};
use model::logs;
use model::sessions::{self, Limits, Session};
use model::transactions::{self, Transaction};
use model::{App, ClientId};

use crate::authorize::request::{Refusal, Request};
use crate::authorize::response::redirect;
use crate::authorize::{self, page_url};
use crate::events;
use crate::pages::{ClientLinks, ErrorKind, LoginError, LoginPage};
use crate::params::Params;
use crate::proof::{self, Proven};
use crate::recovery;
use crate::visit::{self, Visit, with_cookie};

/// `GET /u/login?state=…`: the page.
pub async fn show(State(_): State<App>, visit: Visit, RawQuery(query): RawQuery) -> Response {
    let state = state_of(query.as_deref());
    match authorize::open(visit, &state).await {
        Ok((visit, _, request)) => {
            let username = request.login_hint.clone().unwrap_or_default();
            match directories(&visit, &request).await {
                Ok(directories) => page(&visit, &request, &directories, &state, username, None).await,
                Err(refusal) => authorize::refuse(&visit, refusal).await,
            }
        }
        Err(response) => response,
    }
}

/// `POST /u/login`: `username` and `password` prove who this is, and lead back to `/authorize/resume`.
pub async fn submit(
    State(_): State<App>,
    visit: Visit,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let form = match Form::open(visit, None, query.as_deref(), &headers, &body).await {
        Ok(form) => form,
        Err(response) => return response,
    };
    let Form { visit, transaction, request, state, params } = form;
    let username = params.get("username").unwrap_or_default().trim().to_owned();
    let password = params.raw("password").unwrap_or_default().to_owned();
    let directories = match directories(&visit, &request).await {
        Ok(directories) => directories,
        Err(refusal) => return authorize::refuse(&visit, refusal).await,
    };
    let again =
        async |error| page(&visit, &request, &directories, &state, username.clone(), Some(error)).await;
    if username.is_empty() {
        return again(LoginError::NoUsername).await;
    }
    if password.is_empty() {
        return again(LoginError::NoPassword).await;
    }
    match prove(&visit, &request, &transaction, &directories, &username, password).await {
        Ok(Proof::Signed(session, token)) => enter(&visit, &session, &token, &state).await,
        Ok(Proof::Refused(error)) => again(error).await,
        Ok(Proof::Completed) => visit.error_page(ErrorKind::FormExpired).await.into_response(),
        Err(error) => visit.failure_page(error).await,
    }
}

/// A form of ours that came back: opened, checked, and from the browser it was shown in.
pub struct Form {
    /// The request it came with.
    pub visit: Visit,
    /// The sign-in under way.
    pub transaction: Transaction,
    /// What the client asked for.
    pub request: Request,
    /// The sealed transaction.
    pub state: String,
    /// The fields.
    pub params: Params,
}

impl Form {
    /// Reads a posted form. Without its token, with another browser's, or for a completed sign-in it is 403. The form of a
    /// page that speaks to the user of a session is good for that `session` alone.
    pub async fn open(
        visit: Visit,
        session: Option<&Session>,
        query: Option<&str>,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Self, Response> {
        let Ok(params) = Params::parse_body(headers, body) else {
            let page = visit.error_page(ErrorKind::InvalidRequest).await;
            return Err(page
                .with_error("invalid_request", "The form holds bytes that are not valid text")
                .into_response());
        };
        let state = params.get("state").map_or_else(|| state_of(query), str::to_owned);
        if !visit.csrf_holds(params.get("_csrf"), &subject(&state, session)) {
            return Err(visit.error_page(ErrorKind::FormExpired).await.into_response());
        }
        let (visit, transaction, request) = authorize::open(visit, &state).await?;
        match transactions::progress(&visit.app.db, &visit.tenant.id, &transaction.id).await {
            Ok(Some(progress)) if progress.done => {
                Err(visit.error_page(ErrorKind::FormExpired).await.into_response())
            }
            Ok(_) => Ok(Self { visit, transaction, request, state, params }),
            Err(error) => Err(visit.failure_page(error).await),
        }
    }
}

/// What the token of a form is good for.
pub fn subject(state: &str, session: Option<&Session>) -> String {
    format!("{state}\n{}", session.map_or("", |session| &session.sid))
}

/// The `state` of a page's query string.
pub fn state_of(query: Option<&str>) -> String {
    let params = Params::parse_form(query.unwrap_or_default()).unwrap_or_default();
    params.get("state").unwrap_or_default().to_owned()
}

/// What a password led to.
enum Proof {
    Signed(Box<Session>, String),
    Refused(LoginError),
    /// The sign-in was completed elsewhere meanwhile.
    Completed,
}

/// The database connections that a sign-in for this request may use.
pub async fn usable_directories(visit: &Visit, request: &Request) -> Result<Vec<Arc<Connection>>, Refusal> {
    let client_id = &request.client.client_id;
    let mut usable = match &request.connection {
        Some(connection) => vec![connection.clone()],
        None => connections::enabled_for(&visit.app, &visit.tenant.id, client_id).await?,
    };
    usable.retain(|connection| connection.is_database() && connection.is_active());
    Ok(usable)
}

/// [`usable_directories`], one at least, or the client is told.
pub async fn directories(visit: &Visit, request: &Request) -> Result<Vec<Arc<Connection>>, Refusal> {
    let usable = usable_directories(visit, request).await?;
    if usable.is_empty() {
        let description = "no connections enabled for the client";
        return Err(Refusal::client(&request.target, "invalid_request", description));
    }
    Ok(usable)
}

/// Checks a password and, if it is right, begins a session.
async fn prove(
    visit: &Visit,
    request: &Request,
    transaction: &Transaction,
    directories: &[Arc<Connection>],
    username: &str,
    password: String,
) -> Result<Proof, db::Error> {
    let proven = match proof::check(visit, request.aim(), directories, username, password).await? {
        Ok(proven) => proven,
        Err(error) => return Ok(Proof::Refused(error)),
    };
    let session = begin(visit, request, transaction, &proven).await?;
    Ok(session.map_or(Proof::Completed, |(session, token)| Proof::Signed(Box::new(session), token)))
}

/// Begins the session, ends the browser's former one, and notes the proof in the transaction: one batch. `None` where
/// the transaction was completed, or the user or password changed, since they were read.
async fn begin(
    visit: &Visit,
    request: &Request,
    transaction: &Transaction,
    proven: &Proven,
) -> Result<Option<(Session, String)>, db::Error> {
    let (app, tenant) = (&visit.app, &visit.tenant.id);
    let now = app.clock.now();
    let limits = Limits::of(&*visit.settings().await?);
    let (found, identity) = (&proven.found, &proven.found.user.identities[proven.found.identity]);
    let (session, token) = Session::begin(app, &visit.peer, found.user.id.clone(), identity, limits);

    let mut batch = Batch::new();
    proven.log_in(&mut batch, visit, found, now);
    replace_session(visit, &mut batch, &session, &request.client.client_id);
    transactions::authenticated(&mut batch, tenant, transaction, &session.sid);
    proven.clear(&mut batch, visit);
    logs::record(&mut batch, events::login(visit, request, &found.user, &proven.connection.name));
    match app.db.commit(batch).await {
        Ok(_) => Ok(Some((session, token))),
        Err(db::Error::Conflict { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Puts `session` in the place of the browser's present one.
pub fn replace_session(visit: &Visit, batch: &mut Batch, session: &Session, client_id: &ClientId) {
    let tenant = &visit.tenant.id;
    visit.end_session(batch);
    sessions::insert(batch, tenant, session);
    sessions::add_client(batch, tenant, &session.sid, client_id);
}

/// Sets the session's cookie and goes on with the sign-in.
pub async fn enter(visit: &Visit, session: &Session, token: &str, state: &str) -> Response {
    let settings = match visit.settings().await {
        Ok(settings) => settings,
        Err(error) => return visit.failure_page(error).await,
    };
    let cookie = visit::session_cookie(&settings, session, token, visit.app.clock.now());
    with_cookie(redirect(&page_url("/authorize/resume", state)), Some(cookie))
}

/// What the client says of itself.
pub fn links(client: &Client) -> ClientLinks {
    ClientLinks { policy: client.protocol.policy_uri.clone(), terms: client.protocol.tos_uri.clone() }
}

async fn page(
    visit: &Visit,
    request: &Request,
    directories: &[Arc<Connection>],
    state: &str,
    username: String,
    error: Option<LoginError>,
) -> Response {
    let signup = directories.first().is_some_and(|connection| connection.allows_signup());
    let reset = directories.iter().find(|connection| connection.allows_password_reset());
    LoginPage {
        look: visit.look().await,
        client_name: request.client.name.clone(),
        client_logo: request.client.logo_uri.clone(),
        links: links(&request.client),
        state: state.to_owned(),
        csrf: visit.csrf(visit.browser().unwrap_or_default(), &subject(state, None)),
        username,
        with_usernames: directories.first().is_some_and(|connection| connection.has_usernames()),
        error,
        reset_url: reset.map(|connection| page_url(&recovery::request::path(connection), state)),
        signup_url: signup.then(|| page_url("/u/signup", state)),
        form_targets: request.target.form_targets.clone(),
    }
    .into_response()
}
