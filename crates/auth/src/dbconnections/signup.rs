//! `POST /dbconnections/signup` (authentication contract §8.1).

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use db::Batch;
use model::attack_protection::{self as protection, BreachStage, Stage};
use model::clients::{self, Client};
use model::connections::{self, Connection};
use model::mail::Kind;
use model::password_policies::{self, PasswordPolicy, Refused, Weakness};
use model::passwords::HashError;
use model::recovery::{self, Links};
use model::self_service::metadata::{self, Refused as Refusal};
use model::users::{self, NewUser, User};
use model::{App, logs, self_service};
use serde_json::{Map, Value, json};

use super::{read, refused, text};
use crate::errors::{OAuthError, no_store_json};
use crate::events;
use crate::visit::Visit;

/// The most keys of `user_metadata`, and the most characters of each of its texts.
const MOST_METADATA: (usize, usize) = (10, 500);

/// What a sign-up may say.
const KNOWN: [&str; 11] = [
    "client_id",
    "connection",
    "email",
    "username",
    "password",
    "name",
    "given_name",
    "family_name",
    "nickname",
    "picture",
    "user_metadata",
];

/// Makes an account. Its user signs in afterwards.
pub async fn signup(State(_): State<App>, visit: Visit, headers: HeaderMap, body: Bytes) -> Response {
    let Some(mut body) = read(&headers, &body) else { return refused("invalid request") };
    // What nobody reads is not held while the password waits for its hash.
    body.retain(|name, _| KNOWN.contains(&name.as_str()));
    match sign_up(&visit, &body).await {
        Ok(user) => no_store_json(StatusCode::OK, &answer(&user, &body)),
        Err(response) => response,
    }
}

async fn sign_up(visit: &Visit, body: &Map<String, Value>) -> Result<User, Response> {
    let failed = |error: db::Error| Visit::json_error(error);
    let (app, tenant) = (&visit.app, &visit.tenant.id);
    let (client, connection) = place(visit, body).await?;
    let new = new_user(&connection, body).map_err(|refused| *refused)?;
    if let Some(metadata) = &new.user_metadata {
        check_metadata(visit, metadata).await?;
    }
    let password = body.get("password").and_then(Value::as_str).unwrap_or_default();
    if password.is_empty() {
        return Err(refused("password is required"));
    }
    let user = users::new_database_user(app, tenant, &connection, new);
    if let Err(weakness) = PasswordPolicy::of(&connection).check(password, &user) {
        return Err(no_store_json(StatusCode::BAD_REQUEST, &weak(weakness, &connection, password, &user)));
    }
    let admitted = protection::admit(app, tenant, Stage::Signup, visit.peer.ip, |batch| {
        logs::record(batch, events::api_address_blocked(visit, &client));
    });
    if !admitted.await.map_err(failed)? {
        let body = json!({
            "name": "TooManyRequestsError", "code": "too_many_attempts",
            "description": "Too many sign-ups from this address.", "statusCode": 429,
        });
        return Err(no_store_json(StatusCode::TOO_MANY_REQUESTS, &body));
    }
    let breached = protection::breached(app, tenant, BreachStage::Signup, password).await.map_err(failed)?;
    if let Some(breached) = breached {
        let email = user.email.as_deref().unwrap_or_default();
        app.audit.push(events::api_leaked_signup_password(visit, &client, email));
        if breached.blocks {
            return Err(bad("password_leaked", "Password is known to have leaked"));
        }
    }
    let accepted = password_policies::accept(app, &connection, &user, user.primary(), password).await;
    let password = match accepted {
        Ok(accepted) => accepted,
        Err(Refused::Weak(weakness)) => {
            return Err(no_store_json(
                StatusCode::BAD_REQUEST,
                &weak(weakness, &connection, password, &user),
            ));
        }
        Err(Refused::Hash(HashError::Busy)) => return Err(Visit::json_error(OAuthError::busy())),
        Err(Refused::Hash(HashError::TooLong)) => {
            return Err(bad("invalid_password", "Password is too long"));
        }
        Err(Refused::Database(error)) => return Err(failed(error)),
    };
    let links =
        Links::of(app, &visit.tenant, Kind::VerifyEmail, Some(&client.client_id)).await.map_err(failed)?;
    let mut batch = Batch::new();
    connections::exists(&mut batch, tenant, &connection);
    users::insert(&mut batch, &user);
    password.set(&mut batch, tenant, user.primary(), app.clock.now());
    if !links.switched_off {
        recovery::queue_verification(
            app,
            &mut batch,
            &visit.tenant,
            (&user, 0),
            Some(&client.client_id),
            &links,
        );
    }
    logs::record(&mut batch, events::api_signup(visit, &client, &user, &connection));
    match app.db.commit(batch).await {
        Ok(_) => Ok(user),
        Err(db::Error::Unique(_) | db::Error::Conflict { .. }) => {
            let event = events::api_signup_refused(visit, &client, &connection, user.email.as_deref());
            app.audit.push(event);
            Err(bad("invalid_signup", "Invalid sign up"))
        }
        Err(error) => Err(failed(error)),
    }
}

/// The application and its connection, where people may sign themselves up.
async fn place(visit: &Visit, body: &Map<String, Value>) -> Result<(Arc<Client>, Arc<Connection>), Response> {
    let failed = |error: db::Error| Visit::json_error(error);
    let (app, tenant) = (&visit.app, &visit.tenant.id);
    let Some(client_id) = text(body, "client_id") else { return Err(refused("client_id is required")) };
    let Some(name) = text(body, "connection") else { return Err(refused("connection is required")) };
    let client = clients::find(app, tenant, client_id).await.map_err(failed)?;
    let client = client.ok_or_else(|| refused("invalid client"))?;
    let connection = connections::find_by_name(app, tenant, name).await.map_err(failed)?;
    let connection = connection
        .filter(|connection| connection.is_database() && connection.is_active())
        .filter(|connection| connection.is_enabled_for(&client.client_id))
        .ok_or_else(|| refused("invalid connection"))?;
    if !connection.allows_signup() {
        return Err(bad("public_signup", "Public signup is disabled"));
    }
    Ok((client, connection))
}

/// The user that the body describes.
fn new_user(connection: &Connection, body: &Map<String, Value>) -> Result<NewUser, Box<Response>> {
    let invalid = || Box::new(bad("invalid_signup", "Invalid sign up"));
    let profile = |name: &str| -> Result<Option<String>, Box<Response>> {
        match body.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.chars().count() <= 300 && !text.contains('\0') => {
                Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty()))
            }
            Some(_) => Err(invalid()),
        }
    };
    let email = text(body, "email").ok_or_else(|| Box::new(refused("email is required")))?;
    if !users::is_email(email) {
        return Err(invalid());
    }
    let username = if connection.has_usernames() {
        let (shortest, longest) = connection.username_length();
        let name = text(body, "username").ok_or_else(|| Box::new(refused("username is required")))?;
        Some(name.to_owned())
            .filter(|name| users::is_username(name, shortest, longest))
            .ok_or_else(invalid)?
            .into()
    } else {
        None
    };
    let metadata = match body.get("user_metadata") {
        None | Some(Value::Null) => None,
        Some(Value::Object(metadata)) => Some(metadata.clone()).filter(|metadata| !metadata.is_empty()),
        Some(_) => return Err(invalid()),
    };
    if let Some(metadata) = &metadata {
        let (most, longest) = MOST_METADATA;
        let fits = |value: &Value| value.as_str().is_some_and(|text| text.chars().count() <= longest);
        if metadata.len() > most
            || !metadata.values().all(fits)
            || users::check_user_metadata(metadata).is_err()
        {
            return Err(invalid());
        }
    }
    Ok(NewUser {
        email: Some(email.to_owned()),
        username,
        name: profile("name")?,
        nickname: profile("nickname")?,
        given_name: profile("given_name")?,
        family_name: profile("family_name")?,
        picture: profile("picture")?,
        user_metadata: metadata,
        ..NewUser::default()
    })
}

/// Holds what a person writes to their metadata against the tenant's self-service policy: an app's sign-up is theirs.
async fn check_metadata(visit: &Visit, metadata: &Map<String, Value>) -> Result<(), Response> {
    let policy = self_service::find(&visit.app, &visit.tenant.id).await.map_err(Visit::json_error)?;
    match metadata::check(&policy.user_metadata, None, metadata, Some(metadata)) {
        Ok(()) => Ok(()),
        Err(refused @ Refusal::Rule { .. }) => Err(bad("self_service_policy", &refused.to_string())),
        Err(Refusal::NoSchema(problem)) => {
            Err(Visit::json_error(db::Error::Failed(format!("a stored schema is no schema: {problem}"))))
        }
    }
}

/// The new user as the app sees them: `_id` is the part of the id after the provider.
fn answer(user: &User, body: &Map<String, Value>) -> Value {
    let mut answer = Map::from_iter([
        ("_id".to_owned(), Value::from(user.id.subject())),
        ("email_verified".to_owned(), user.email_verified.into()),
        ("email".to_owned(), user.email.clone().into()),
    ]);
    if let Some(username) = &user.username {
        answer.insert("username".into(), username.as_str().into());
    }
    for name in ["given_name", "family_name", "name", "nickname", "picture"] {
        if let Some(given) = text(body, name) {
            answer.insert(name.into(), given.into());
        }
    }
    if let Some(metadata) = &user.user_metadata {
        answer.insert("user_metadata".into(), metadata.clone().into());
    }
    answer.into()
}

fn bad(code: &str, description: &str) -> Response {
    let body =
        json!({ "name": "BadRequestError", "code": code, "description": description, "statusCode": 400 });
    no_store_json(StatusCode::BAD_REQUEST, &body)
}

/// What a password lacks: rule by rule where it is too weak.
fn weak(weakness: Weakness, connection: &Connection, password: &str, user: &User) -> Value {
    let policy = PasswordPolicy::of(connection);
    let (name, message) = match weakness {
        Weakness::Strength => ("PasswordStrengthError", "Password is too weak"),
        Weakness::Dictionary => ("PasswordDictionaryError", "Password is too common"),
        Weakness::UserInfo => ("PasswordNoUserInfoError", "Password contains user information"),
        Weakness::History => ("PasswordHistoryError", "Password has previously been used"),
    };
    let description = match weakness {
        Weakness::Strength => policy.explain(password, user),
        _ => message.into(),
    };
    json!({
        "name": name, "message": message, "code": "invalid_password", "description": description,
        "policy": policy.text(), "statusCode": 400,
    })
}
