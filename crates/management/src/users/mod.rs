//! `/api/v2/users` and `/api/v2/users-by-email` (management contract §1, §4.3).

pub mod authentication_methods;
mod bodies;
mod change;
pub mod factors;
mod identities;
mod link_with;
mod own;
mod passwords;
pub mod roles;

use axum::extract::State;
use axum::http::StatusCode;
use db::Batch;
use model::connections::{self, Connection};
use model::factors::remembered;
use model::logout_notices::End;
use model::mail::Kind;
use model::paging::{Page, Paging};
use model::recovery::Links;
use model::users::search::{Filter, USERS};
use model::users::{self, MetadataError, NewUser, Sort};
use model::{App, UserId, attack_protection, passwordless, recovery, self_service};
use serde_json::{Map, Value};

pub(crate) use factors::{end_factors, shown_number, shows_whole};

pub use bodies::{CreateUser, FindByEmail, ListUsers, UpdateUser};
pub use identities::{LinkIdentity, link, unlink};

use crate::access::{Grant, Reach};
use crate::answers::{Answer, Created, NoContent};
use crate::errors::{Error, Missing};
use crate::fields::Fields;
use crate::lists::Style;
use crate::paths::Path;
use crate::requests::{Json, Query};
use crate::self_service::rules::check_metadata;

const LIST: Style = Style { length: true, first_thousand: true, ..Style::offsets("users").from_zero() };

/// `GET /users`: the users that a search matches.
///
/// # Errors
/// 400 `invalid_query_string` for a query that cannot be read, `invalid_paging` beyond the first 1000.
pub async fn list(
    State(app): State<App>,
    grant: Grant,
    Query(query): Query<ListUsers>,
) -> Result<Answer<Value>, Error> {
    let paging = LIST.paging(&query.pages)?;
    let Paging::Offset { page, per_page, totals } = paging else { return Err(Error::Internal) };
    if let Some(old) = query.search_engine.as_deref().filter(|engine| *engine != "v3") {
        return Err(Error::InvalidQuery(format!(
            "You are not allowed to use search_engine={old}. Use search_engine=v3 instead."
        )));
    }
    let refused = |property: &str, problem: String| {
        Error::InvalidQuery(format!("Query validation error: '{problem}' on property {property}."))
    };
    let search = query.q.as_deref().filter(|q| !q.trim().is_empty());
    let filter = search.map(|q| Filter::parse(q, &USERS)).transpose();
    let sort = query.sort.as_deref().map(Sort::parse).transpose();
    let wanted = users::Query {
        connection: query.connection,
        filter: filter.map_err(|error| refused("q", error.to_string()))?,
        sort: sort.map_err(|error| refused("sort", error.to_string()))?,
        offset: i64::from(page) * i64::from(per_page),
        limit: i64::from(per_page),
        total: totals,
    };
    let found = users::list(&app.db, &grant.tenant.id, &wanted).await?;
    let items = found.users.iter().map(|user| query.fields.of(user.to_wire())).collect();
    let total = found.total.and_then(|total| u64::try_from(total).ok());
    Ok(Answer(LIST.answer(&paging, Page { items, total, next: None })))
}

/// `GET /users-by-email`: the users with exactly this stored address.
pub async fn by_email(
    State(app): State<App>,
    grant: Grant,
    Query(query): Query<FindByEmail>,
) -> Result<Answer<Vec<Map<String, Value>>>, Error> {
    let found = users::find_by_email(&app.db, &grant.tenant.id, &query.email).await?;
    Ok(Answer(found.iter().map(|user| query.fields.of(user.to_wire())).collect()))
}

/// `GET /users/{id}`: one user.
///
/// # Errors
/// 404 `inexistent_user`.
pub async fn get(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<UserId>,
    Query(fields): Query<Fields>,
) -> Result<Answer<Map<String, Value>>, Error> {
    let user = grant.user(&app, &id).await?.ok_or(Error::NotFound(Missing::User))?;
    Ok(Answer(fields.of(user.to_wire())))
}

/// `POST /users`: adds a user to a database connection, or to one whose people sign in by a code.
///
/// # Errors
/// 400 `inexistent_connection`, `invalid_body`, a weak password; 409 `auth0_idp_error` for a taken address.
pub async fn create(
    State(app): State<App>,
    grant: Grant,
    Json(body): Json<CreateUser>,
) -> Result<Created<Map<String, Value>>, Error> {
    let tenant = &grant.tenant.id;
    let connection = connections::find_by_name(&app, tenant, &body.connection).await?;
    let connection = connection.ok_or(Error::NamedConnectionNotFound)?;
    let password = check_new(&connection, &body)?.map(str::to_owned);
    let username = body.username.clone();
    let asks_proof = body.verify_email.unwrap_or(!body.email_verified.unwrap_or(false));
    let links = Links::of(&app, &grant.tenant, Kind::VerifyEmail, None).await?;
    let make = if password.is_some() { users::new_database_user } else { passwordless::made_user };
    let user = make(&app, tenant, &connection, new_user(body));
    let password = match password {
        Some(password) => Some(passwords::hash(&app, &connection, &user, user.primary(), &password).await?),
        None => None,
    };
    let answer = user.to_wire();
    let mut batch = Batch::new();
    connections::exists(&mut batch, tenant, &connection);
    users::insert(&mut batch, &user);
    if let Some(password) = password {
        password.set(&mut batch, tenant, user.primary(), app.clock.now());
        if asks_proof && !links.switched_off {
            recovery::queue_verification(&app, &mut batch, &grant.tenant, (&user, 0), None, &links);
        }
    }
    grant.wrote(&app, &mut batch, StatusCode::CREATED, &answer);
    app.db.commit(batch).await.map_err(|error| match Error::from(error) {
        // It was deleted while the password was hashed.
        Error::Database(db::Error::Conflict { .. }) => Error::NamedConnectionNotFound,
        error if error.taken() == Some("identities_username") => {
            Error::UsernameExists(username.unwrap_or_default())
        }
        error if error.taken().is_some() => Error::UserExists,
        error => error,
    })?;
    Ok(Created(answer))
}

/// `PATCH /users/{id}`: changes the named fields of a user.
///
/// Metadata merges at its first level and `null` removes a key; a caller who may only change their own user may send
/// `user_metadata` and nothing else. A block, and another password, address, user name or phone number, end the user's sessions and
/// tokens.
///
/// # Errors
/// 403 `insufficient_scope` or `self_service_policy`, 400 `invalid_body`, 404 `inexistent_user`.
pub async fn update(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<UserId>,
    Json(patch): Json<UpdateUser>,
) -> Result<Answer<Map<String, Value>>, Error> {
    own::check_fields(&grant.reach, &grant.powers, &patch)?;
    change::check(&patch)?;
    let tenant = &grant.tenant.id;
    let prepared = change::Prepared::new(&app, &grant.tenant, &id, &patch).await?;
    let policy = self_service::find(&app, tenant).await?;
    let decide = async || {
        let mut user = grant.user(&app, &id).await?.ok_or(Error::NotFound(Missing::User))?;
        if let Some(metadata) = &patch.user_metadata {
            own::check_additions(&grant.powers, user.user_metadata.as_ref(), metadata)?;
        }
        let mut batch = Batch::new();
        if patch.named().is_empty() {
            users::unchanged(&mut batch, &user);
        } else {
            let now = app.clock.now();
            let before = user.clone();
            user.updated_at = now;
            prepared.apply(&mut user)?;
            if let (Reach::Own(_), Some(metadata)) = (&grant.reach, &patch.user_metadata) {
                let [before, after] = [&before, &user].map(|user| user.user_metadata.as_ref());
                check_metadata(&policy.user_metadata, before, metadata, after)?;
            }
            let password = prepared.password(&user)?;
            if password.is_some() {
                user.last_password_reset = Some(now);
            }
            users::save(&mut batch, &mut user);
            if let Some((position, password)) = password {
                password.set(&mut batch, tenant, &user.identities[position], now);
                // Whoever knew the old one may have had their browser remembered.
                remembered::forget(&mut batch, tenant, &user.id);
            }
            prepared.tell(&app, &mut batch, &grant.tenant, &policy, &before, &user)?;
            if let Some(initiator) = prepared.shuts_out(&before, &user) {
                users::sign_out(&mut batch, tenant, &user.id, End::new(initiator, now));
            }
        }
        let answer = user.to_wire();
        grant.wrote(&app, &mut batch, StatusCode::OK, &answer);
        Ok::<_, Error>((batch, answer))
    };
    app.db.retry(decide).await.map(Answer).map_err(|error| match error.taken() {
        Some("identities_username") => Error::IdentifierTaken("username"),
        Some("identities_phone") => Error::IdentifierTaken("phone number"),
        Some(_) => Error::IdentifierTaken("email"),
        None => error,
    })
}

/// `DELETE /users/{id}`: deletes a user and all that hangs on them; one who is not there is deleted already.
pub async fn delete(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<UserId>,
) -> Result<NoContent, Error> {
    let tenant = &grant.tenant.id;
    let decide = async || {
        let mut batch = Batch::new();
        if let Reach::Own(own) = &grant.reach {
            grant.user(&app, own).await?.iter().for_each(|user| users::unchanged(&mut batch, user));
        }
        users::remove(&mut batch, tenant, &id, app.clock.now());
        attack_protection::lift(&mut batch, tenant, &id);
        grant.wrote(&app, &mut batch, StatusCode::NO_CONTENT, &Value::Null);
        Ok::<_, Error>((batch, ()))
    };
    app.db.retry(decide).await?;
    Ok(NoContent)
}

/// Refuses a body that this connection takes no user from; answers the password, if its people have one.
fn check_new<'a>(connection: &Connection, body: &'a CreateUser) -> Result<Option<&'a str>, Error> {
    let is_passwordless = matches!(connection.strategy.as_str(), "email" | "sms");
    if !connection.is_database() && !is_passwordless {
        return Err(Error::InvalidBody(
            "Connection does not support user creation through the API. It must either be a database or passwordless connection."
                .into(),
        ));
    }
    if !connection.is_active() {
        return Err(Error::InvalidBody("Connection is disabled.".into()));
    }
    let missing = |property: &str| {
        Error::InvalidBody(
            format!("Payload validation error: 'Missing required property: {property}'.").into(),
        )
    };
    if let Some(metadata) = &body.user_metadata {
        users::check_user_metadata(metadata).map_err(bad_metadata)?;
    }
    if let Some(metadata) = &body.app_metadata {
        users::check_app_metadata(metadata).map_err(bad_metadata)?;
    }
    if is_passwordless {
        let unknown = |property: &str| {
            Error::InvalidBody(
                format!("Payload validation error: 'Additional properties not allowed: {property}'.").into(),
            )
        };
        return match connection.strategy.as_str() {
            _ if body.password.is_some() => Err(unknown("password")),
            _ if body.username.is_some() => Err(unknown("username")),
            "email" if body.email.is_none() => Err(missing("email")),
            "sms" if body.phone_number.is_none() => Err(missing("phone_number")),
            _ => Ok(None),
        };
    }
    let has_attributes = connection.options.contains_key("attributes");
    let named = body.email.is_some() || body.username.is_some() || body.phone_number.is_some();
    if body.email.is_none() && !(has_attributes && named) {
        return Err(missing("email"));
    }
    match &body.username {
        Some(username) => check_username(connection, username)?,
        None if connection.has_usernames() && !has_attributes => return Err(missing("username")),
        None => {}
    }
    body.password.as_deref().map(Some).ok_or_else(|| missing("password"))
}

/// Whether users of the connection have such a username.
fn check_username(connection: &Connection, username: &str) -> Result<(), Error> {
    if !connection.has_usernames() {
        return Err(Error::InvalidBody(
            "Cannot set username for connection without requires_username.".into(),
        ));
    }
    let (shortest, longest) = connection.username_length();
    if !users::is_username(username, shortest, longest) {
        return Err(Error::InvalidBody(
            format!("Payload validation error: 'Object didn't pass validation for format username: {username}' on property username.")
                .into(),
        ));
    }
    Ok(())
}

fn bad_metadata(error: MetadataError) -> Error {
    Error::InvalidBody(format!("Payload validation error: '{error}'.").into())
}

fn new_user(body: CreateUser) -> NewUser {
    NewUser {
        user_id: body.user_id.filter(|id| !id.is_empty()),
        email: body.email,
        email_verified: body.email_verified.unwrap_or(false),
        username: body.username,
        phone_number: body.phone_number,
        phone_verified: body.phone_verified.unwrap_or(false),
        name: body.name,
        nickname: body.nickname,
        given_name: body.given_name,
        family_name: body.family_name,
        picture: body.picture,
        blocked: body.blocked,
        user_metadata: body.user_metadata,
        app_metadata: body.app_metadata,
    }
}
