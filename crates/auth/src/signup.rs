//! The sign-up page, `/u/signup`.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use db::Batch;
use model::connections::Connection;
use model::mail::Kind;
use model::password_policies::{self, Class, PasswordPolicy, Refused, Rule, Weakness};
use model::passwords::HashError;
use model::recovery::{self, Links};
use model::sessions::{Limits, Session};
use model::transactions;
use model::users::{self, NewUser, User};
use model::{App, connections, logs};

use crate::authorize::request::{Refusal, Request};
use crate::authorize::{self, page_url};
use crate::events;
use crate::login::{Form, directories, enter, replace_session, state_of, subject};
use crate::pages::{ErrorKind, PasswordHint, SignupError, SignupPage};
use crate::protection;
use crate::visit::Visit;

/// `GET /u/signup?state=…`: the page.
pub async fn show(State(_): State<App>, visit: Visit, RawQuery(query): RawQuery) -> Response {
    let state = state_of(query.as_deref());
    let (visit, _, request) = match authorize::open(visit, &state).await {
        Ok(opened) => opened,
        Err(response) => return response,
    };
    let typed = Typed { email: request.login_hint.clone().unwrap_or_default(), ..Typed::default() };
    page(&visit, &request, &state, typed, Vec::new()).await
}

/// `POST /u/signup`: makes the account, signs its user in, and leads back to `/authorize/resume`.
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
    let Form { visit, request, state, params, .. } = &form;
    let typed = Typed {
        email: params.get("email").unwrap_or_default().trim().to_owned(),
        username: params.get("username").unwrap_or_default().trim().to_owned(),
        password: params.raw("password").unwrap_or_default().to_owned(),
    };
    let connection = match open_directory(visit, request).await {
        Ok(connection) => connection,
        Err(refusal) => return authorize::refuse(visit, refusal).await,
    };
    match sign_up(&form, connection.as_deref(), &typed).await {
        Ok(Ok((session, token))) => enter(visit, &session, &token, state).await,
        Ok(Err(errors)) => page(visit, request, state, typed, errors).await,
        Err(db::Error::Conflict { .. }) => visit.error_page(ErrorKind::FormExpired).await.into_response(),
        Err(error) => visit.failure_page(error).await,
    }
}

/// What a person typed.
#[derive(Clone, Default)]
struct Typed {
    email: String,
    username: String,
    password: String,
}

/// The first directory of the request where people may sign up.
async fn open_directory(visit: &Visit, request: &Request) -> Result<Option<Arc<Connection>>, Refusal> {
    Ok(directories(visit, request).await?.into_iter().find(|connection| connection.allows_signup()))
}

/// Makes user, password and session in one batch. An account that is there already looks like any other failure.
async fn sign_up(
    form: &Form,
    connection: Option<&Connection>,
    typed: &Typed,
) -> Result<Result<(Session, String), Vec<SignupError>>, db::Error> {
    let Form { visit, transaction, request, .. } = form;
    let (app, tenant) = (&visit.app, &visit.tenant.id);
    let Some(connection) = connection else {
        return Ok(Err(vec![SignupError::CannotSignUp]));
    };
    let user = new_user(visit, connection, typed);
    let errors = check(connection, typed, &user);
    if !errors.is_empty() {
        return Ok(Err(errors));
    }
    if !protection::admits_signup(visit, request).await? {
        return Ok(Err(vec![SignupError::AddressBlocked]));
    }
    if protection::is_breached_at_signup(visit, request, &typed.email, &typed.password).await? {
        return Ok(Err(vec![SignupError::BreachedPassword]));
    }
    let accepted = password_policies::accept(app, connection, &user, user.primary(), &typed.password).await;
    let password = match accepted {
        Ok(password) => password,
        Err(Refused::Weak(weakness)) => return Ok(Err(vec![weak(weakness)])),
        Err(Refused::Hash(HashError::Busy)) => return Ok(Err(vec![SignupError::Busy])),
        Err(Refused::Hash(HashError::TooLong)) => return Ok(Err(vec![SignupError::LongPassword])),
        Err(Refused::Database(error)) => return Err(error),
    };
    let client_id = &request.client.client_id;
    let links = Links::of(app, &visit.tenant, Kind::VerifyEmail, Some(client_id)).await?;
    let limits = Limits::of(&*visit.settings().await?);
    let (session, token) = Session::begin(app, &visit.peer, user.id.clone(), user.primary(), limits);
    let now = app.clock.now();

    let mut batch = Batch::new();
    // A connection that was deleted during the hash gets no user.
    connections::exists(&mut batch, tenant, connection);
    users::insert(&mut batch, &user);
    password.set(&mut batch, tenant, user.primary(), now);
    replace_session(visit, &mut batch, &session, client_id);
    transactions::authenticated(&mut batch, tenant, transaction, &session.sid);
    if !links.switched_off {
        recovery::queue_verification(app, &mut batch, &visit.tenant, (&user, 0), Some(client_id), &links);
    }
    users::touch_login(&mut batch, &user, now, &visit.peer.ip.to_string());
    logs::record(&mut batch, events::signup(visit, request, &user, &connection.name));
    logs::record(&mut batch, events::login(visit, request, &user, &connection.name));
    match app.db.commit(batch).await {
        Ok(_) => Ok(Ok((session, token))),
        Err(db::Error::Unique(_)) => {
            app.audit.push(events::signup_refused(visit, request, &typed.email, "The user already exists."));
            Ok(Err(vec![SignupError::CannotSignUp]))
        }
        Err(error) => Err(error),
    }
}

/// The user whom the fields make.
fn new_user(visit: &Visit, connection: &Connection, typed: &Typed) -> User {
    let new = NewUser {
        email: Some(typed.email.clone()),
        username: connection.has_usernames().then(|| typed.username.clone()),
        ..NewUser::default()
    };
    users::new_database_user(&visit.app, &visit.tenant.id, connection, new)
}

/// What is wrong with the fields, before anything is hashed.
fn check(connection: &Connection, typed: &Typed, user: &User) -> Vec<SignupError> {
    let mut errors = Vec::new();
    match typed.email.as_str() {
        "" => errors.push(SignupError::NoEmail),
        email if !users::is_email(email) => errors.push(SignupError::InvalidEmail),
        _ => {}
    }
    if connection.has_usernames() {
        let (shortest, longest) = connection.username_length();
        match typed.username.as_str() {
            "" => errors.push(SignupError::NoUsername),
            name if !users::is_username(name, shortest, longest) => errors.push(SignupError::InvalidUsername),
            _ => {}
        }
    }
    match typed.password.as_str() {
        "" => errors.push(SignupError::NoPassword),
        password => {
            let checked = PasswordPolicy::of(connection).check(password, user);
            errors.extend(checked.err().map(weak));
        }
    }
    errors
}

fn weak(weakness: Weakness) -> SignupError {
    match weakness {
        Weakness::Dictionary => SignupError::CommonPassword,
        Weakness::UserInfo => SignupError::PersonalPassword,
        // Who signs up has no history.
        Weakness::Strength | Weakness::History => SignupError::WeakPassword,
    }
}

/// A rule as the pages word it: one of several classes is a hint each.
pub fn hints(rule: &Rule) -> Vec<PasswordHint> {
    match rule {
        Rule::Length(least) => vec![PasswordHint::Length(u32::try_from(*least).unwrap_or(u32::MAX))],
        Rule::Classes(3, classes) if *classes == [Class::Lower, Class::Upper, Class::Number] => {
            vec![PasswordHint::LowerUpperNumber]
        }
        Rule::Classes(least, classes) if *least < classes.len() => vec![PasswordHint::ThreeKinds],
        Rule::Classes(_, classes) => classes
            .iter()
            .map(|class| match class {
                Class::Lower => PasswordHint::Lower,
                Class::Upper => PasswordHint::Upper,
                Class::Number => PasswordHint::Number,
                Class::Special => PasswordHint::Special,
            })
            .collect(),
        Rule::NoRepeats => vec![PasswordHint::NoRepeats],
        Rule::NoSequences => vec![PasswordHint::NoSequences],
        Rule::NotCommon => vec![PasswordHint::NotCommon],
        Rule::NotPersonal => vec![PasswordHint::NotPersonal],
    }
}

/// What the connection asks of a password, and what of it the one that was typed does not do.
fn policy(visit: &Visit, connection: &Connection, typed: &Typed) -> (Vec<PasswordHint>, Vec<PasswordHint>) {
    let policy = PasswordPolicy::of(connection);
    let user = new_user(visit, connection, typed);
    let rules = policy.rules();
    let broken =
        rules.iter().filter(|rule| !typed.password.is_empty() && !policy.keeps(rule, &typed.password, &user));
    (rules.iter().flat_map(hints).collect(), broken.flat_map(hints).collect())
}

async fn page(
    visit: &Visit,
    request: &Request,
    state: &str,
    typed: Typed,
    errors: Vec<SignupError>,
) -> Response {
    let connection = match open_directory(visit, request).await {
        Ok(Some(connection)) => connection,
        Ok(None) => {
            let page = visit.error_page(ErrorKind::AccessDenied).await;
            return page.with_error("access_denied", "Public signup is disabled").into_response();
        }
        Err(refusal) => return authorize::refuse(visit, refusal).await,
    };
    let (hints, broken) = policy(visit, &connection, &typed);
    SignupPage {
        look: visit.look().await,
        client_name: request.client.name.clone(),
        state: state.to_owned(),
        csrf: visit.csrf(visit.browser().unwrap_or_default(), &subject(state, None)),
        email: typed.email,
        username: connection.has_usernames().then_some(typed.username),
        hints,
        broken,
        errors,
        login_url: page_url("/u/login", state),
        form_targets: request.target.form_targets.clone(),
    }
    .into_response()
}
