//! `/passwordless/verify_redirect`, where links lead, and `POST /passwordless/verify`, which only looks. Opening a link uses nothing
//! up: programs that look into mail open links too.

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use db::Batch;
use model::sessions::Session;
use model::transactions::Transaction;
use model::{App, clients};
use serde_json::json;

use super::proof::{self, Closed, Right, Wrong};
use super::{Address, connection, pushed, wrong_code};
use crate::aim::Aim;
use crate::authorize::refuse;
use crate::authorize::request::Request;
use crate::errors::{OAuthError, no_store_json};
use crate::login::{Form, enter, subject};
use crate::pages::{ErrorKind, LinkError, LoginError, PasswordlessLinkPage};
use crate::params::Params;
use crate::scopes::Scopes;
use crate::visit::{Visit, with_cookie};

/// The parameters that are the link's own: the others are an authorize request.
const OWN: [&str; 3] = ["email", "phone_number", "verification_code"];

/// `GET /passwordless/verify_redirect?…`: asks whether to sign in to the app as this address.
pub async fn show(State(_): State<App>, visit: Visit, RawQuery(query): RawQuery) -> Response {
    let Ok(params) = Params::parse_form(query.as_deref().unwrap_or_default()) else {
        let page = visit.error_page(ErrorKind::InvalidRequest).await;
        return page
            .with_error("invalid_request", "The request holds bytes that are not valid text")
            .into_response();
    };
    let text = |name: &str| params.get(name).unwrap_or_default().to_owned();
    let address = params.get("email").or_else(|| params.get("phone_number")).unwrap_or_default().to_owned();
    let code = text("verification_code");
    let asked = params.only(|name| !OWN.contains(&name));
    let asked = match pushed::asked(&visit, asked).await {
        Ok(asked) => asked,
        Err(refusal) => return refuse(&visit, refusal).await,
    };
    let visit = visit.asking(&asked);
    let request = match Request::check(&visit, &asked).await {
        Ok(request) => request,
        Err(refusal) => return refuse(&visit, refusal).await,
    };
    let (browser, cookie) = visit.bind_browser();
    let source = asked.source();
    let transaction = Transaction::begin(&visit.app, &browser, asked.into_pairs(), source);
    let state = transaction.seal(&visit.app, &visit.tenant.id);
    let csrf = visit.csrf(&browser, &subject(&state, None));
    with_cookie(page(&visit, &request, (&address, &code), (state, csrf), None).await, cookie)
}

/// `POST /passwordless/verify_redirect`: `email` and `verification_code` prove who this is, and lead back to `/authorize/resume`.
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
    let text = |name: &str| form.params.get(name).unwrap_or_default().to_owned();
    let (email, code) = (text("email"), text("verification_code"));
    match sign_in(&form, &email, &code).await {
        Ok(Ok((session, token))) => enter(&form.visit, &session, &token, &form.state).await,
        Ok(Err(error)) => {
            let csrf = form.visit.csrf(form.visit.browser().unwrap_or_default(), &subject(&form.state, None));
            let hidden = (form.state.clone(), csrf);
            page(&form.visit, &form.request, (&email, ""), hidden, Some(error)).await
        }
        Err(db::Error::Conflict { .. }) => {
            form.visit.error_page(ErrorKind::FormExpired).await.into_response()
        }
        Err(error) => form.visit.failure_page(error).await,
    }
}

async fn sign_in(
    form: &Form,
    address: &str,
    code: &str,
) -> Result<Result<(Session, String), LinkError>, db::Error> {
    let Form { visit, transaction, request, .. } = form;
    let named = request.connection.as_ref().filter(|connection| connection.sends_codes());
    let address = named.and_then(|connection| Address::on(connection, address));
    let (Some(connection), Some(address)) = (named, address) else {
        return Ok(Err(LinkError::Over));
    };
    let right = match proof::check(visit, request.aim(), connection, address, code).await? {
        Ok(right) => right,
        Err(wrong) => return Ok(Err(link_error(wrong))),
    };
    match proof::sign_in(visit, request, transaction, &right).await? {
        Ok(begun) => Ok(Ok(begun)),
        Err(Closed::Blocked) => Ok(Err(LinkError::UserBlocked)),
        Err(Closed::Nobody) => Ok(Err(LinkError::Over)),
    }
}

fn link_error(wrong: Wrong) -> LinkError {
    match wrong {
        Wrong::Code | Wrong::Expired | Wrong::WornOut => LinkError::Over,
        Wrong::Limited(LoginError::Busy) => LinkError::Busy,
        Wrong::Limited(_) => LinkError::TooMany,
    }
}

async fn page(
    visit: &Visit,
    request: &Request,
    (email, code): (&str, &str),
    (state, csrf): (String, String),
    error: Option<LinkError>,
) -> Response {
    PasswordlessLinkPage {
        look: visit.look().await,
        client_name: request.client.name.clone(),
        address: email.chars().take(254).collect(),
        code: code.chars().take(64).collect(),
        state,
        csrf,
        error,
        form_targets: request.target.form_targets.clone(),
    }
    .into_response()
}

/// `POST /passwordless/verify`: whether a code is right, for a page that then goes to `/passwordless/verify_redirect` with it. It counts
/// as a try, and spends nothing.
///
/// # Errors
/// 400 `invalid_request`; 401 `invalid_user_password`; 429.
pub async fn verify(State(_): State<App>, visit: Visit, headers: HeaderMap, body: Bytes) -> Response {
    match look(&visit, &headers, &body).await {
        Ok(()) => no_store_json(StatusCode::OK, &json!({})),
        Err(error) => error.into_response(),
    }
}

async fn look(visit: &Visit, headers: &HeaderMap, body: &[u8]) -> Result<(), OAuthError> {
    let params = Params::parse_body(headers, body)?;
    let required = |name: &str| params.get(name).ok_or_else(|| OAuthError::missing(name));
    let (client_id, name) = (required("client_id")?, required("connection")?);
    let address = if params.get("phone_number").is_some() { "phone_number" } else { "email" };
    let (address, code) = (required(address)?, required("verification_code")?);
    let refused = |text| {
        let error = OAuthError::new(StatusCode::UNAUTHORIZED, "invalid_user_password", text);
        OAuthError { specified: Some("invalid_grant"), ..error }
    };
    let wrong = || refused("Wrong email or verification code.");
    let client = clients::find(&visit.app, &visit.tenant.id, client_id).await?;
    let client = client.filter(|client| !client.global).ok_or_else(wrong)?;
    let strict = visit.is_strict_for(&client).await?;
    // RFC 6749 §5.2 has 400 for a grant that is wrong.
    let wrong = || match strict {
        true => OAuthError { status: StatusCode::BAD_REQUEST, ..wrong() }.strictly(),
        false => wrong(),
    };
    let connection = connection(visit, &client.client_id, name).await?.ok_or_else(wrong)?;
    let wrong = || match strict {
        true => OAuthError { status: StatusCode::BAD_REQUEST, ..refused(wrong_code(&connection)) }.strictly(),
        false => refused(wrong_code(&connection)),
    };
    let address = Address::on(&connection, address).ok_or_else(wrong)?;
    let scopes = Scopes::default();
    let aim = Aim { client: &client, audience: "", scopes: &scopes };
    match proof::check(visit, aim, &connection, address, code).await? {
        Ok(right) => Ok(release(visit, &right).await?),
        Err(Wrong::Limited(LoginError::Busy)) => Err(OAuthError::busy()),
        Err(Wrong::Limited(_)) => {
            Err(OAuthError::too_many("Too many codes were tried. Please try again later."))
        }
        Err(_) => Err(wrong()),
    }
}

/// The attempt was right, and came to nothing.
async fn release(visit: &Visit, right: &Right) -> Result<(), db::Error> {
    let mut batch = Batch::new();
    right.clear(&mut batch, visit);
    visit.app.db.commit(batch).await.map(drop)
}
