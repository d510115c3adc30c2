//! The `password` grant (RFC 6749 §4.3) and its sister that names a realm (authentication contract §3.4).
//!
//! The password is looked at as on the sign-in page, with the same counters; where a second factor is missing, what is handed out
//! is a token for that alone ([`super::second_factor`]).

use std::sync::Arc;

use axum::http::StatusCode;
use db::Batch;
use model::clients::Client;
use model::connections::{self, Connection};
use model::factors::Kind;
use model::mfa_tokens::{self, MfaToken};
use model::{guardian, logs, users};
use serde_json::{Map, Value, json};

use super::Tokens;
use super::user_tokens::{Purchase, Stored, sought};
use crate::aim::Aim;
use crate::errors::OAuthError;
use crate::events;
use crate::factors::{self, Missing};
use crate::issue::Via;
use crate::mfa::wire_type;
use crate::pages::LoginError;
use crate::params::Params;
use crate::proof;
use crate::visit::Visit;

/// The grant that names a realm.
pub const REALM: &str = "http://auth0.com/oauth/grant-type/password-realm";

/// How an exchange went, as far as the database is concerned.
enum Outcome {
    Issued(Box<(Purchase, Stored)>),
    FactorRequired { token: String, missing: Missing, user: Box<model::users::User> },
    Impossible,
    Changed,
    Blocked,
}

/// Exchanges a password for tokens.
///
/// # Errors
/// 400 `invalid_request`; 401 `password_leaked`; 403 `invalid_grant`, `access_denied`, `mfa_required`; 429 `too_many_attempts`; 500
/// `server_error` where the tenant has no default directory.
pub async fn exchange(
    visit: &Visit,
    client: &Client,
    params: &Params,
    by_realm: bool,
) -> Result<Tokens, OAuthError> {
    let app = &visit.app;
    let username = params.get("username").map(str::trim).filter(|username| !username.is_empty());
    let username = username.ok_or_else(|| OAuthError::missing("username"))?;
    let password = params.get("password").ok_or_else(|| OAuthError::missing("password"))?;
    let directory = match by_realm {
        true => realm(visit, client, params.get("realm")).await?,
        false => default_directory(visit, client).await?,
    };
    let (audience, scopes) = sought(visit, client, params).await?;
    let aim = Aim { client, audience: audience.identifier(), scopes: &scopes };
    let refused = |error: OAuthError| {
        app.audit.push(events::password_refused(visit, aim, username, &error.description));
        error
    };
    let proven = proof::check(visit, aim, &[directory], username, password.to_owned()).await?;
    let proven = proven.map_err(|error| refused(refusal(error)))?;
    let connection = &proven.connection.name;
    let decide = async || {
        let nothing = |outcome| Ok((Batch::new(), outcome));
        let Some(found) = proven.again(visit, username).await? else { return nothing(Outcome::Changed) };
        if found.user.is_blocked() {
            return nothing(Outcome::Blocked);
        }
        let (tenant, now) = (&visit.tenant.id, app.clock.now());
        let mut batch = Batch::new();
        match factors::missing_for_grant(visit, &audience, &found.user).await? {
            Some(Missing::Impossible) => nothing(Outcome::Impossible),
            Some(missing) => {
                let user = found.user.clone();
                let token = app.random.token();
                let whose = (&user.id, &client.client_id);
                let kept = MfaToken::begin(app, &token, whose, connection, aim.audience, scopes.to_string());
                users::unchanged(&mut batch, &user);
                proven.hold_password(&mut batch, visit, &found);
                mfa_tokens::insert(&mut batch, tenant, &kept);
                proven.clear(&mut batch, visit);
                logs::record(&mut batch, events::factor_required(visit, aim, &user, connection));
                Ok((batch, Outcome::FactorRequired { token, missing, user: Box::new(user) }))
            }
            None => {
                proven.log_in(&mut batch, visit, &found, now);
                let whose = &found.user.id;
                let scopes = audience.permitted(app, &visit.tenant, whose, scopes.clone()).await?;
                let purchase = Purchase {
                    user: found.user,
                    audience: audience.clone(),
                    scopes,
                    via: Via::Password,
                    multi_factor: false,
                };
                let stored = purchase.store(visit, client, &mut batch).await?;
                proven.clear(&mut batch, visit);
                let event = events::password_exchanged(visit, aim, &purchase.user, connection);
                logs::record(&mut batch, event);
                Ok::<_, db::Error>((batch, Outcome::Issued(Box::new((purchase, stored)))))
            }
        }
    };
    match app.db.retry(decide).await? {
        Outcome::Issued(issued) => {
            let (purchase, stored) = *issued;
            purchase.issue(visit, client, stored).await
        }
        Outcome::FactorRequired { token, missing, user } => {
            Err(factor_required(visit, token, missing, &user).await?)
        }
        Outcome::Impossible => {
            Err(refused(OAuthError::access_denied("The user has no second factor to sign in with")))
        }
        Outcome::Changed => Err(refused(refusal(LoginError::WrongCredentials))),
        Outcome::Blocked => Err(refused(OAuthError::user_blocked())),
    }
}

/// The directory that a realm names: a connection of this client's by its name, or by one of its realms.
pub async fn realm(
    visit: &Visit,
    client: &Client,
    realm: Option<&str>,
) -> Result<Arc<Connection>, OAuthError> {
    let realm = realm.ok_or_else(|| OAuthError::missing("realm"))?;
    let enabled = connections::enabled_for(&visit.app, &visit.tenant.id, &client.client_id).await?;
    let usable = || enabled.iter().filter(|connection| connection.is_database() && connection.is_active());
    let named = usable().find(|connection| connection.name == realm);
    let named =
        named.or_else(|| usable().find(|connection| connection.realms.iter().any(|own| own == realm)));
    named.cloned().ok_or_else(|| {
        let realm: String = realm.chars().take(128).collect();
        OAuthError::invalid_request(format!("Unknown realm {realm}."))
    })
}

/// The directory that the tenant has set for requests which name none.
pub async fn default_directory(visit: &Visit, client: &Client) -> Result<Arc<Connection>, OAuthError> {
    let settings = visit.settings().await?;
    let name = settings.default_directory.as_str();
    let found = match name.is_empty() {
        true => None,
        false => connections::find_by_name(&visit.app, &visit.tenant.id, name).await?,
    };
    let found = found.filter(|connection| connection.is_database() && connection.is_active());
    let found = found.ok_or_else(|| {
        let description = "Authorization server not configured with default connection.";
        OAuthError::new(StatusCode::INTERNAL_SERVER_ERROR, "server_error", description)
    })?;
    match found.is_enabled_for(&client.client_id) {
        true => Ok(found),
        false => Err(OAuthError::invalid_request("the connection is not enabled")),
    }
}

/// What the sign-in page would say, as the token endpoint says it.
pub fn refusal(error: LoginError) -> OAuthError {
    match error {
        LoginError::UserBlocked => OAuthError::user_blocked(),
        LoginError::AccountBlocked { notified: true } => OAuthError::too_many(
            "Your account has been blocked after multiple consecutive login attempts. We've sent you an email with \
             instructions on how to unblock it.",
        ),
        LoginError::AccountBlocked { notified: false } => {
            OAuthError::too_many("Your account has been blocked after multiple consecutive login attempts.")
        }
        LoginError::AddressBlocked => OAuthError::too_many(
            "We have detected suspicious login behavior and further attempts will be blocked. Please contact the \
             administrator.",
        ),
        LoginError::PasswordBreached => OAuthError::new(
            StatusCode::UNAUTHORIZED,
            "password_leaked",
            "This login has been blocked because your password has been leaked in another website.",
        ),
        LoginError::Busy => OAuthError::busy(),
        LoginError::NoUsername
        | LoginError::NoPassword
        | LoginError::FormExpired
        | LoginError::WrongCredentials => OAuthError::invalid_grant("Wrong email or password."),
    }
}

/// 403 `mfa_required`: the token for what is missing, and what would do (authentication contract §3.5).
pub async fn factor_required(
    visit: &Visit,
    token: String,
    missing: Missing,
    user: &model::users::User,
) -> Result<OAuthError, db::Error> {
    let (app, tenant) = (&visit.app, &visit.tenant.id);
    let guardian = guardian::find(app, tenant).await?;
    let (name, kinds) = match missing {
        Missing::Challenge(_) => {
            let factors = model::factors::list(&app.db, tenant, &user.id).await?;
            ("challenge", factors::ways(&guardian, &factors, user))
        }
        _ => {
            let enrolled = [Kind::Totp, Kind::Phone, Kind::Email].into_iter();
            ("enroll", enrolled.filter(|kind| guardian.offers(*kind)).collect())
        }
    };
    let kinds: Vec<_> = kinds.into_iter().map(|kind| json!({ "type": wire_type(kind) })).collect();
    let more = Map::from_iter([
        ("mfa_token".to_owned(), Value::from(token)),
        ("mfa_requirements".to_owned(), json!({ name: kinds })),
    ]);
    let error = OAuthError::new(StatusCode::FORBIDDEN, "mfa_required", "Multifactor authentication required");
    Ok(OAuthError { more: Some(Box::new(more)), ..error })
}
