//! `/authorize`: one visible pipeline (authentication contract §1.2).
//!
//! `request.rs` checks the request, [`standing`] decides what is still missing, and `complete.rs` answers. Every page
//! of ours leads back through `/authorize/resume`, where the same pipeline runs again with what has been proven since.

pub mod audience;
pub mod complete;
pub mod pushed;
mod refusals;
pub mod request;
pub mod response;
pub mod signed;

pub use pushed::push;

use axum::body::Bytes;
use axum::extract::{OriginalUri, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::response::{IntoResponse, Response};
use model::connections::{self, Connection};
use model::grants;
use model::sessions::Session;
use model::transactions::{self, Progress, StateError, Transaction};
use model::users::User;
use model::{App, subjects};

use crate::cross_origin;
use crate::device;
use crate::factors::{self, Missing};
use crate::hints;
use crate::initiate;
use crate::issue;
use crate::login::directories;
use crate::pages::ErrorKind;
use crate::params::{Params, ParamsError};
use crate::passwordless;
use crate::visit::{Visit, with_cookie};
use complete::Incomplete;
pub use refusals::refuse;
pub use refusals::{refused_params, silent_failure};
use request::{Refusal, Request};
use response::redirect;

/// `GET|POST /authorize`: OAuth 2.0 and OpenID Connect's front door.
pub async fn authorize(
    State(_): State<App>,
    visit: Visit,
    method: Method,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let params = match read(&method, query.as_deref(), &headers, &body) {
        Ok(params) => params,
        Err(error) => return refused_params(&visit, &error).await,
    };
    let visit = visit.asking(&params);
    match resolve(&visit, params).await {
        Ok((request, params)) if params.get("login_ticket").is_some() => {
            cross_origin::arrive(&visit, &request, params).await
        }
        Ok((request, params)) => go_on(&visit, &request, Arrival::Fresh(params)).await,
        Err(refusal) => refuse(&visit, refusal).await,
    }
}

/// The request that was meant: the one that was pushed before, the one in a signed object, or what stands in the parameters.
async fn resolve(visit: &Visit, params: Params) -> Result<(Request, Params), Refusal> {
    let params = pushed::take(visit, params).await?;
    let params = signed::open(visit, params).await?;
    let request = Request::check(visit, &params).await?;
    Ok((request, params))
}

/// `GET /authorize/resume?state=…`: goes on with a sign-in after one of our pages.
pub async fn resume(State(_): State<App>, visit: Visit, OriginalUri(uri): OriginalUri) -> Response {
    let state = match Params::parse_form(uri.query().unwrap_or_default()) {
        Ok(params) => params.get("state").unwrap_or_default().to_owned(),
        Err(error) => return refused_params(&visit, &error).await,
    };
    let (visit, transaction, request) = match open(visit, &state).await {
        Ok(opened) => opened,
        Err(response) => return response,
    };
    go_on(&visit, &request, Arrival::Resumed { transaction, state }).await
}

/// The longest request, in bytes of its parameters: some are stored, and all are carried in the URLs of our pages.
pub const LONGEST_REQUEST: usize = 9 * 1024;

/// The longest `state` of our pages, in characters: it comes back in URLs, which have their limits.
const LONGEST_STATE: usize = 12 * 1024;

/// How a request got here: for the first time, or back from one of our pages.
enum Arrival {
    Fresh(Params),
    Resumed { transaction: Transaction, state: String },
}

impl Arrival {
    /// How far the sign-in has come.
    async fn progress(&self, visit: &Visit) -> Result<Option<Progress>, db::Error> {
        match self {
            Self::Fresh(_) => Ok(None),
            Self::Resumed { transaction, .. } => {
                transactions::progress(&visit.app.db, &visit.tenant.id, &transaction.id).await
            }
        }
    }

    /// The transaction that an answer to this request completes: one that has come any way.
    fn completes(&self, progress: Option<&Progress>) -> Option<&str> {
        match self {
            Self::Resumed { transaction, .. } => progress.map(|_| transaction.id.as_str()),
            Self::Fresh(_) => None,
        }
    }

    /// Leads to the page at `path` with the transaction in `state`.
    async fn leading_to(self, visit: &Visit, path: &str) -> Response {
        match self {
            Self::Resumed { state, .. } => redirect(&page_url(path, &state)),
            Self::Fresh(params) => match begin(visit, params) {
                Ok(begun) => with_cookie(redirect(&page_url(path, &begun.state)), begun.cookie),
                Err(error) => refused_params(visit, &error).await,
            },
        }
    }
}

/// A sign-in that begins.
pub struct Begun {
    /// What our pages know of it.
    pub transaction: Transaction,
    /// The same, sealed.
    pub state: String,
    /// The value that binds it to the browser.
    pub browser: String,
    /// The cookie with that value, where the browser has none yet.
    pub cookie: Option<HeaderValue>,
}

/// Begins a sign-in for a request with these parameters.
///
/// # Errors
/// `TooLong` for parameters that no URL of our pages could carry.
pub fn begin(visit: &Visit, params: Params) -> Result<Begun, ParamsError> {
    let (browser, cookie) = visit.bind_browser();
    let source = params.source();
    let transaction = Transaction::begin(&visit.app, &browser, params.into_pairs(), source);
    let state = transaction.seal(&visit.app, &visit.tenant.id);
    match state.len() > LONGEST_STATE {
        true => Err(ParamsError::TooLong),
        false => Ok(Begun { transaction, state, browser, cookie }),
    }
}

/// `path` with `state`, which is base64url and needs no encoding.
pub fn page_url(path: &str, state: &str) -> String {
    format!("{path}?state={state}")
}

/// What a request needs before it can be answered.
enum Standing {
    Login,
    Factor(Missing),
    Consent,
    Ready(Box<(Session, User)>),
}

/// How often a request is looked at anew because something moved while it was being answered.
const ATTEMPTS: usize = 8;

/// §1.2 steps 6 to 10.
async fn go_on(visit: &Visit, request: &Request, arrival: Arrival) -> Response {
    for _ in 0..ATTEMPTS {
        let progress = match arrival.progress(visit).await {
            Ok(Some(progress)) if progress.done => {
                return visit.error_page(ErrorKind::Expired).await.into_response();
            }
            Ok(progress) => progress,
            Err(error) => return visit.failure_page(error).await,
        };
        match standing(visit, request, progress.as_ref()).await {
            Ok(Standing::Ready(ready)) => {
                let (session, user) = *ready;
                let transaction = arrival.completes(progress.as_ref());
                match complete::complete(visit, request, &session, &user, transaction).await {
                    Ok(response) => return response,
                    Err(Incomplete::Changed) => {}
                    Err(Incomplete::Refused(refusal)) => return refuse(visit, refusal).await,
                }
            }
            Ok(missing) => return ask(visit, request, arrival, &missing).await,
            Err(refusal) => return refuse(visit, refusal).await,
        }
    }
    let description = "The sign-in changed while it was being completed";
    refuse(visit, Refusal::client(&request.target, "temporarily_unavailable", description)).await
}

/// Leads to the page that asks for what is missing, unless the request forbids pages.
async fn ask(visit: &Visit, request: &Request, arrival: Arrival, missing: &Standing) -> Response {
    match missing {
        Standing::Consent if request.prompt.none => {
            silent_failure(visit, request, "consent_required", "Consent required").await
        }
        Standing::Consent => arrival.leading_to(visit, "/u/consent").await,
        Standing::Factor(_) if request.prompt.none => {
            silent_failure(visit, request, "login_required", "Multifactor authentication required").await
        }
        Standing::Factor(Missing::Impossible) => {
            let description = "The user has no second factor to sign in with";
            refuse(visit, Refusal::client(&request.target, "unmet_authentication_requirements", description))
                .await
        }
        Standing::Factor(missing) => arrival.leading_to(visit, missing.page()).await,
        _ if request.prompt.none => silent_failure(visit, request, "login_required", "Login required").await,
        _ => match sign_in_page(visit, request).await {
            Err(refusal) => refuse(visit, refusal).await,
            Ok(page) => arrival.leading_to(visit, page).await,
        },
    }
}

/// The page where people sign in for this request.
pub async fn sign_in_page(visit: &Visit, request: &Request) -> Result<&'static str, Refusal> {
    if passwordless::connection_of(visit, request).await?.is_some() {
        return Ok(passwordless::hosted::PATH);
    }
    directories(visit, request).await?;
    Ok(if request.signup { "/u/signup" } else { "/u/login" })
}

/// Decides what is missing: a sign-in, a second factor, consent, or nothing.
async fn standing(
    visit: &Visit,
    request: &Request,
    progress: Option<&Progress>,
) -> Result<Standing, Refusal> {
    let Some((session, user)) = visit.session().await? else { return Ok(Standing::Login) };
    let here = progress.filter(|progress| progress.sid == session.sid);
    let authenticated_here = here.is_some_and(|progress| progress.authenticated);
    if !authenticated_here && !satisfies(visit, request, &session).await? {
        return Ok(Standing::Login);
    }
    if !hinted_user(visit, request, &session).await? || !named_subject(visit, request, &session).await? {
        return Ok(Standing::Login);
    }
    if let Some(missing) = factors::missing(visit, request, &session, &user, here).await? {
        return Ok(Standing::Factor(missing));
    }
    let consented_here = here.is_some_and(|progress| progress.consented);
    // What is asked for in detail is another thing each time, and so is the question (RFC 9396 §1).
    let asks_anew = request.prompt.consent || request.details.is_some();
    if asks_anew && !consented_here || consent_missing(visit, request, &user).await? {
        return Ok(Standing::Consent);
    }
    Ok(Standing::Ready(Box::new((session, user))))
}

/// §1.2 step 6: whether a session from before this request will do. It must come from a connection whose users may sign in
/// to this client, and the client must share sessions at all.
async fn satisfies(visit: &Visit, request: &Request, session: &Session) -> Result<bool, Refusal> {
    let age = visit.app.clock.now().millis() - session.authenticated_at.millis();
    let fresh = request.max_age.is_none_or(|max_age| age <= max_age.saturating_mul(1000) && max_age > 0);
    if request.prompt.login || !fresh || request.client.sso_disabled == Some(true) {
        return Ok(false);
    }
    let usable = match &request.connection {
        Some(connection) => vec![connection.clone()],
        None => connections::enabled_for(&visit.app, &visit.tenant.id, &request.client.client_id).await?,
    };
    let shares = |connection: &Connection| connection.is_database() || connection.sends_codes();
    Ok(usable.iter().any(|connection| {
        connection.name == session.connection && connection.is_active() && shares(connection)
    }))
}

/// OIDC Core §3.1.2.1: `id_token_hint` names the user that the answer must be about.
async fn hinted_user(visit: &Visit, request: &Request, session: &Session) -> Result<bool, Refusal> {
    let Some(hint) = &request.id_token_hint else { return Ok(true) };
    match hints::id_token(visit, hint).await? {
        Some(hint) => Ok(hint.is_about(visit, &session.user_id).await?),
        None => Err(Refusal::client(&request.target, "invalid_request", "id_token_hint is not valid")),
    }
}

/// OIDC Core §5.5.1: the claim `sub` with a value names the user that the answer must be about.
async fn named_subject(visit: &Visit, request: &Request, session: &Session) -> Result<bool, Refusal> {
    let Some(named) = request.subjects() else { return Ok(true) };
    let sub = subjects::of(&visit.app, &visit.tenant.id, &request.client, &session.user_id).await?;
    Ok(named.contains(&sub.as_str()))
}

/// §1.7: whether what is granted here is the user's to consent to. To a stranger everything is, also who they are, and so is what an API's
/// tokens tell without being asked.
pub fn needs_consent(request: &Request) -> bool {
    let (client, api) = (&request.client, request.audience.api());
    if client.is_first_party && api.is_none_or(|api| api.skip_consent_for_verifiable_first_party_clients) {
        return false;
    }
    !client.is_first_party || !request.consented().is_empty() || api.is_some_and(issue::tells_permissions)
}

/// §1.7: whether the user must still be asked.
pub async fn consent_missing(visit: &Visit, request: &Request, user: &User) -> Result<bool, db::Error> {
    if !needs_consent(request) {
        return Ok(false);
    }
    let (tenant, client_id) = (&visit.tenant.id, &request.client.client_id);
    let grant =
        grants::find(&visit.app.db, tenant, &user.id, client_id, request.audience.identifier()).await?;
    Ok(grant.is_none_or(|grant| !request.consented().within(&grant.scopes)))
}

/// Opens `state` and checks its request anew: the client may have changed since.
pub async fn open(visit: Visit, state: &str) -> Result<(Visit, Transaction, Request), Response> {
    let transaction = match Transaction::open(&visit.app, &visit.tenant.id, state, visit.browser()) {
        Ok(transaction) => transaction,
        Err(StateError::Expired) => return Err(initiate::begin_anew(&visit, state).await),
        Err(StateError::Invalid | StateError::Foreign) => {
            return Err(visit.error_page(ErrorKind::FormExpired).await.into_response());
        }
    };
    if let Some(device) = &transaction.device {
        return match device::request(&visit, device).await {
            Ok(request) => Ok((visit, transaction, request)),
            Err(response) => Err(response),
        };
    }
    let params = Params::from_pairs(transaction.params.clone(), transaction.source);
    let visit = visit.asking(&params);
    match Request::check(&visit, &params).await {
        Ok(request) => Ok((visit, transaction, request)),
        Err(refusal) => Err(refuse(&visit, refusal).await),
    }
}

/// The parameters of the query, and of the form where one is posted.
fn read(
    method: &Method,
    query: Option<&str>,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Params, ParamsError> {
    let query = Params::parse_form(query.unwrap_or_default())?;
    let params = match *method {
        Method::POST => query.and(Params::parse_body(headers, body)?)?,
        _ => query,
    };
    if params.length() > LONGEST_REQUEST { Err(ParamsError::TooLong) } else { Ok(params) }
}
