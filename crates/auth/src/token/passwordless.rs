//! The passwordless grant: a code that went to an address (authentication contract §3.4).

use db::Batch;
use model::clients::Client;
use model::connections::Connection;
use model::mfa_tokens::{self, MfaToken};
use model::users::User;
use model::{logs, users};

use super::Tokens;
use super::password::factor_required;
use super::user_tokens::{Purchase, Stored, sought};
use crate::aim::Aim;
use crate::errors::OAuthError;
use crate::events;
use crate::factors::{self, Missing};
use crate::issue::Via;
use crate::pages::LoginError;
use crate::params::Params;
use crate::passwordless::proof::{self, Right, Who, Wrong};
use crate::passwordless::{Address, connection, wrong_code};
use crate::visit::Visit;

/// How an exchange went, as far as the database is concerned.
enum Outcome {
    Issued(Box<(Purchase, Stored)>),
    FactorRequired { token: String, missing: Missing, user: Box<User> },
    Impossible,
    Nobody,
    Blocked,
}

/// Exchanges a code for tokens.
///
/// # Errors
/// 400 `invalid_request`; 403 `invalid_grant`, `access_denied`, `mfa_required`; 429 `too_many_attempts`.
pub async fn exchange(visit: &Visit, client: &Client, params: &Params) -> Result<Tokens, OAuthError> {
    let app = &visit.app;
    let required = |name: &str| params.get(name).ok_or_else(|| OAuthError::missing(name));
    let (username, otp, realm) = (required("username")?, required("otp")?, required("realm")?);
    let (audience, scopes) = sought(visit, client, params).await?;
    let aim = Aim { client, audience: audience.identifier(), scopes: &scopes };
    let refused = |error: OAuthError| {
        app.audit.push(events::password_refused(visit, aim, username, &error.description));
        error
    };
    let Some(connection) = connection(visit, &client.client_id, realm).await? else {
        let realm: String = realm.chars().take(128).collect();
        return Err(refused(OAuthError::invalid_request(format!("Unknown realm {realm}."))));
    };
    let refusal = |wrong| refusal(&connection, wrong);
    let Some(address) = Address::on(&connection, username) else { return Err(refused(refusal(Wrong::Code))) };
    let right = proof::check(visit, aim, &connection, address, otp).await?;
    let right = right.map_err(|wrong| refused(refusal(wrong)))?;
    let outcome = match decided(visit, aim, &right, &audience, false).await {
        // A new user whose id is taken gets another.
        Err(db::Error::Unique(_)) => decided(visit, aim, &right, &audience, true).await,
        outcome => outcome,
    };
    match outcome {
        Ok(Outcome::Issued(issued)) => {
            let (purchase, stored) = *issued;
            purchase.issue(visit, client, stored).await
        }
        Ok(Outcome::FactorRequired { token, missing, user }) => {
            Err(factor_required(visit, token, missing, &user).await?)
        }
        Ok(Outcome::Impossible) => {
            Err(refused(OAuthError::access_denied("The user has no second factor to sign in with")))
        }
        Ok(Outcome::Blocked) => Err(refused(OAuthError::user_blocked())),
        // Of two at once the other has spent the code.
        Ok(Outcome::Nobody) | Err(db::Error::Conflict { .. }) => Err(refused(refusal(Wrong::Code))),
        Err(error) => Err(error.into()),
    }
}

async fn decided(
    visit: &Visit,
    aim: Aim<'_>,
    right: &Right,
    audience: &crate::authorize::audience::Audience,
    again: bool,
) -> Result<Outcome, db::Error> {
    let (app, tenant) = (&visit.app, &visit.tenant.id);
    let (client, connection) = (aim.client, &right.connection.name);
    let now = app.clock.now();
    let mut batch = Batch::new();
    let user = match right.user(visit, aim, &mut batch, again, now).await? {
        Who::User(user, _) => user,
        Who::Nobody => return Ok(Outcome::Nobody),
        Who::Blocked(_) => return Ok(Outcome::Blocked),
    };
    let outcome = match factors::missing_for_grant(visit, audience, &user).await? {
        Some(Missing::Impossible) => return Ok(Outcome::Impossible),
        Some(missing) => {
            let token = app.random.token();
            let whose = (&user.id, &client.client_id);
            let scope = aim.scopes.to_string();
            let kept = MfaToken::begin(app, &token, whose, connection, aim.audience, scope);
            users::unchanged(&mut batch, &user);
            mfa_tokens::insert(&mut batch, tenant, &kept);
            right.spend(&mut batch, visit);
            logs::record(&mut batch, events::factor_required(visit, aim, &user, connection));
            Outcome::FactorRequired { token, missing, user }
        }
        None => {
            users::touch_login(&mut batch, &user, now, &visit.peer.ip.to_string());
            let scopes = audience.permitted(app, &visit.tenant, &user.id, aim.scopes.clone()).await?;
            let purchase = Purchase {
                user: *user,
                audience: audience.clone(),
                scopes,
                via: Via::Password,
                multi_factor: false,
            };
            let stored = purchase.store(visit, client, &mut batch).await?;
            right.spend(&mut batch, visit);
            logs::record(&mut batch, events::password_exchanged(visit, aim, &purchase.user, connection));
            Outcome::Issued(Box::new((purchase, stored)))
        }
    };
    app.db.commit(batch).await?;
    Ok(outcome)
}

/// What is said of a code that opens nothing.
fn refusal(connection: &Connection, wrong: Wrong) -> OAuthError {
    match wrong {
        Wrong::Code => OAuthError::invalid_grant(wrong_code(connection)),
        Wrong::Expired => {
            OAuthError::invalid_grant("The verification code has expired. Please try to login again.")
        }
        Wrong::WornOut => OAuthError::invalid_grant(
            "You've reached the maximum number of attempts. Please try to login again.",
        ),
        Wrong::Limited(LoginError::Busy) => OAuthError::busy(),
        Wrong::Limited(_) => {
            OAuthError::too_many("You've reached the maximum number of attempts. Please try to login again.")
        }
    }
}
