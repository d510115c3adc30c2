//! `POST /co/authenticate`: a password, or a code that was mailed, from a page of the app's own.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use db::Batch;
use model::clients::{self, Client};
use model::connections::Connection;
use model::login_tickets::{self, LoginTicket, Place, Told};
use model::{App, logs, users};
use serde_json::json;

use crate::aim::Aim;
use crate::errors::{NoStore, OAuthError};
use crate::events;
use crate::pages::LoginError;
use crate::params::{self, Params};
use crate::passwordless::proof::{self as codes, Who, Wrong};
use crate::passwordless::{self, Address};
use crate::proof;
use crate::scopes::Scopes;
use crate::token::password;
use crate::visit::{Visit, with_cookie};

/// What a page may send in the place of a sign-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Credential {
    /// A password, for the tenant's default directory.
    Password,
    /// A password, for a directory that is named.
    PasswordRealm,
    /// A code that was sent.
    Code,
}

impl Credential {
    fn parse(name: &str) -> Option<Self> {
        match name {
            "password" => Some(Self::Password),
            password::REALM => Some(Self::PasswordRealm),
            passwordless::GRANT => Some(Self::Code),
            _ => None,
        }
    }

    /// The fields that a body has, all of them and no other.
    fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Password => &["client_id", "credential_type", "username", "password"],
            Self::PasswordRealm => &["client_id", "credential_type", "username", "password", "realm"],
            Self::Code => &["client_id", "credential_type", "username", "otp", "realm"],
        }
    }
}

/// Why a page gets no ticket.
enum Refused {
    /// Its origin is not one of the app's. What it reads is no OAuth error (authentication contract §0.2).
    Origin(String),
    /// All else.
    Told(OAuthError),
}

impl From<OAuthError> for Refused {
    fn from(error: OAuthError) -> Self {
        Self::Told(error)
    }
}

impl From<db::Error> for Refused {
    fn from(error: db::Error) -> Self {
        Self::Told(error.into())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self {
            Self::Told(error) => error.into_response(),
            Self::Origin(origin) => {
                let kept = [
                    (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
                    (header::CACHE_CONTROL, "no-store"),
                    (header::PRAGMA, "no-cache"),
                ];
                (StatusCode::FORBIDDEN, kept, format!("Origin {origin} is not allowed.")).into_response()
            }
        }
    }
}

/// Answers `login_ticket`, `co_verifier` and `co_id`, and binds the ticket to the browser by a cookie. Known and unknown users are
/// answered alike, and attempts count as those on the sign-in page do.
///
/// # Errors
/// 400 `invalid_request`, `unsupported_credential_type`; 401 `unauthorized_client`, `password_leaked`; 403 `access_denied`,
/// `blocked_user`, and in plain text for a foreign origin; 429 `too_many_attempts`.
pub async fn authenticate(State(_): State<App>, visit: Visit, headers: HeaderMap, body: Bytes) -> Response {
    match accept(&visit, &headers, &body).await {
        Ok((ticket, told, cookie)) => {
            let answer = NoStore(json!({
                "login_ticket": told.ticket,
                "co_verifier": told.verifier,
                "co_id": ticket.verifier_id,
            }));
            with_cookie(answer.into_response(), cookie)
        }
        Err(refused) => refused.into_response(),
    }
}

async fn accept(
    visit: &Visit,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<(LoginTicket, Told, Option<HeaderValue>), Refused> {
    let (credential, params) = read(headers, body)?;
    let field = |name: &str| params.get(name).unwrap_or_default();
    let client = client(visit, field("client_id")).await?;
    let origin = origin(headers);
    if !client.allows_origin(&origin) {
        visit.app.audit.push(events::page_refused(
            visit,
            client.client_id.as_str(),
            "Origin is not allowed.",
        ));
        return Err(Refused::Origin(origin.chars().take(255).collect()));
    }
    let (browser, cookie) = visit.bind_browser();
    let place = Place { client_id: &client.client_id, origin: &origin, browser: &browser };
    let scopes = Scopes::default();
    let aim = Aim { client: &client, audience: "", scopes: &scopes };
    let username = field("username").trim();
    let issued = match credential {
        Credential::Code => with_code(visit, aim, place, username, field("otp"), field("realm")).await,
        Credential::Password => match password::default_directory(visit, &client).await {
            Ok(directory) => with_password(visit, aim, place, directory, username, field("password")).await,
            Err(error) => Err(error),
        },
        Credential::PasswordRealm => match password::realm(visit, &client, params.get("realm")).await {
            Ok(directory) => with_password(visit, aim, place, directory, username, field("password")).await,
            Err(error) => Err(error),
        },
    };
    match issued {
        Ok((ticket, told)) => Ok((ticket, told, cookie)),
        Err(error) => {
            visit.app.audit.push(events::ticket_refused(visit, aim, username, &error.description));
            Err(error.into())
        }
    }
}

/// The body: a JSON object with the fields of its kind, all of them and no other.
fn read(headers: &HeaderMap, body: &[u8]) -> Result<(Credential, Params), OAuthError> {
    let invalid = |credential: Credential| {
        let fields = credential.fields().join(", ");
        OAuthError::invalid_request(format!("Invalid request body. All and only of {fields} are required."))
    };
    if !params::is_json(headers) {
        return Err(OAuthError::invalid_request("The request body must be a JSON object"));
    }
    let params = Params::parse_body(headers, body)?;
    let object = Params::parse_object(headers, body)?;
    let Some(name) = params.get("credential_type") else { return Err(invalid(Credential::PasswordRealm)) };
    let Some(credential) = Credential::parse(name) else {
        let description = "Unknown credential type parameter.";
        return Err(OAuthError::new(StatusCode::BAD_REQUEST, "unsupported_credential_type", description));
    };
    let fields = credential.fields();
    let given =
        |name: &str| params.get(name).is_some_and(|text| name == "password" || !text.trim().is_empty());
    let complete = fields.iter().all(|name| given(name));
    match complete && object.len() == fields.len() {
        true => Ok((credential, params)),
        false => Err(invalid(credential)),
    }
}

/// The app whose page asks: one that may, and of the tenant's own, since others see no passwords.
async fn client(visit: &Visit, client_id: &str) -> Result<Arc<Client>, OAuthError> {
    let found = clients::find(&visit.app, &visit.tenant.id, client_id).await?;
    let open =
        |client: &Arc<Client>| !client.global && client.cross_origin_authentication && client.is_first_party;
    found.filter(open).ok_or_else(|| {
        let description = "Cross origin login not allowed.";
        visit.app.audit.push(events::page_refused(visit, client_id, description));
        OAuthError::new(StatusCode::UNAUTHORIZED, "unauthorized_client", description)
    })
}

/// The origin that the browser says the page is of; `null` where there is none, or more than one.
fn origin(headers: &HeaderMap) -> String {
    let mut origins = headers.get_all(header::ORIGIN).iter();
    let only = origins.next().filter(|_| origins.next().is_none());
    only.and_then(|origin| origin.to_str().ok()).unwrap_or("null").to_owned()
}

/// A ticket for a password.
async fn with_password(
    visit: &Visit,
    aim: Aim<'_>,
    place: Place<'_>,
    directory: Arc<Connection>,
    username: &str,
    password: &str,
) -> Result<(LoginTicket, Told), OAuthError> {
    match issue(visit, aim, place, &[directory], username, password).await? {
        Ok(issued) => Ok(issued),
        Err(LoginError::WrongCredentials) => Err(wrong_password()),
        Err(LoginError::UserBlocked) => {
            Err(OAuthError::new(StatusCode::FORBIDDEN, "blocked_user", "Blocked user"))
        }
        Err(error) => Err(password::refusal(error)),
    }
}

fn wrong_password() -> OAuthError {
    OAuthError::access_denied("Wrong email or password.")
}

/// Looks at a password as the sign-in page does, and writes a ticket for a right one: if user and password are as they were read.
pub async fn issue(
    visit: &Visit,
    aim: Aim<'_>,
    place: Place<'_>,
    directories: &[Arc<Connection>],
    username: &str,
    password: &str,
) -> Result<Result<(LoginTicket, Told), LoginError>, db::Error> {
    let (app, tenant) = (&visit.app, &visit.tenant.id);
    let proven = match proof::check(visit, aim, directories, username, password.to_owned()).await? {
        Ok(proven) => proven,
        Err(error) => return Ok(Err(error)),
    };
    let decide = async || {
        let Some(found) = proven.again(visit, username).await? else {
            return Ok((Batch::new(), Err(LoginError::WrongCredentials)));
        };
        if found.user.is_blocked() {
            return Ok((Batch::new(), Err(LoginError::UserBlocked)));
        }
        let identity = &found.user.identities[found.identity];
        let (ticket, told) = LoginTicket::begin(app, &found.user.id, identity, place);
        let mut batch = Batch::new();
        users::unchanged(&mut batch, &found.user);
        proven.hold_password(&mut batch, visit, &found);
        login_tickets::insert(&mut batch, tenant, &ticket);
        proven.clear(&mut batch, visit);
        let event = events::ticket_issued(visit, aim, &found.user, &proven.connection.name);
        logs::record(&mut batch, event);
        Ok::<_, db::Error>((batch, Ok((ticket, told))))
    };
    app.db.retry(decide).await
}

/// A ticket for a code that was sent.
async fn with_code(
    visit: &Visit,
    aim: Aim<'_>,
    place: Place<'_>,
    username: &str,
    otp: &str,
    realm: &str,
) -> Result<(LoginTicket, Told), OAuthError> {
    let (app, tenant) = (&visit.app, &visit.tenant.id);
    let Some(connection) = passwordless::connection(visit, &aim.client.client_id, realm).await? else {
        let realm: String = realm.chars().take(128).collect();
        return Err(OAuthError::invalid_request(format!("Unknown realm {realm}.")));
    };
    let wrong = || OAuthError::access_denied(passwordless::wrong_code(&connection));
    let address = Address::on(&connection, username).ok_or_else(wrong)?;
    let right = match codes::check(visit, aim, &connection, address, otp).await? {
        Ok(right) => right,
        Err(Wrong::Limited(error)) => return Err(password::refusal(error)),
        Err(Wrong::Expired) => {
            let description = "The verification code has expired. Please try to login again.";
            return Err(OAuthError::access_denied(description));
        }
        Err(Wrong::WornOut) => {
            let description = "You've reached the maximum number of attempts. Please try to login again.";
            return Err(OAuthError::access_denied(description));
        }
        Err(Wrong::Code) => return Err(wrong()),
    };
    // A new user whose id is taken gets another.
    for again in [false, true] {
        let mut batch = Batch::new();
        let (user, identity) = match right.user(visit, aim, &mut batch, again, app.clock.now()).await? {
            Who::User(user, identity) => (user, identity),
            Who::Nobody => return Err(wrong()),
            Who::Blocked(_) => {
                return Err(OAuthError::new(StatusCode::FORBIDDEN, "blocked_user", "Blocked user"));
            }
        };
        users::unchanged(&mut batch, &user);
        let (ticket, told) = LoginTicket::begin(app, &user.id, &user.identities[identity], place);
        right.spend(&mut batch, visit);
        login_tickets::insert(&mut batch, tenant, &ticket);
        logs::record(&mut batch, events::ticket_issued(visit, aim, &user, &connection.name));
        match app.db.commit(batch).await {
            Ok(_) => return Ok((ticket, told)),
            Err(db::Error::Unique(_)) if !again => {}
            // Of two at once the other has spent the code.
            Err(db::Error::Conflict { .. }) => return Err(wrong()),
            Err(error) => return Err(error.into()),
        }
    }
    Err(wrong())
}
