//! A code that somebody brings back, looked at: what the grant and the page of the link have in common.

use std::sync::Arc;

use db::Batch;
use model::attack_protection::{self as protection, Attempt};
use model::connections::Connection;
use model::factors::totp;
use model::passwordless::{self, Code};
use model::sessions::{Limits, Session};
use model::transactions::{self, Transaction};
use model::users::{self, User};
use model::{Timestamp, logs};

use super::Address;
use crate::aim::Aim;
use crate::authorize::request::Request;
use crate::events;
use crate::login::replace_session;
use crate::pages::LoginError;
use crate::protection::Guess;
use crate::visit::Visit;

/// Why a code opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It is not the one that was sent, or none was.
    Code,
    /// It was right, too late.
    Expired,
    /// It was tried too often.
    WornOut,
    /// The account or the address is blocked.
    Limited(LoginError),
}

/// A right code. It is not spent yet.
pub struct Right {
    /// Where it was sent from.
    pub connection: Arc<Connection>,
    address: Address,
    code: Code,
    attempt: Attempt,
}

/// Checks a code. Attempts are counted as those of passwords are, and the tries of the code besides.
pub async fn check(
    visit: &Visit,
    aim: Aim<'_>,
    connection: &Arc<Connection>,
    address: Address,
    given: &str,
) -> Result<Result<Right, Wrong>, db::Error> {
    let (app, tenant) = (&visit.app, &visit.tenant.id);
    let found = users::find_login(&app.db, tenant, &connection.name, &address.given).await?;
    let found = found.map(|found| (connection.clone(), found));
    let directories = [connection.clone()];
    let guess =
        Guess { visit, aim, directories: &directories, found: found.as_ref(), username: &address.given };
    let attempt = match guess.begin().await? {
        Ok(attempt) => attempt,
        Err(error) => return Ok(Err(Wrong::Limited(error))),
    };
    passwordless::try_once(app, tenant, &connection.name, &address.folded).await?;
    let typed = totp::typed(given).unwrap_or_else(|| given.trim().to_owned());
    let sent = passwordless::find(&app.db, tenant, &connection.name, &address.folded).await?;
    // A code is of use to the client that asked for it alone.
    let sent = sent.filter(|sent| sent.client_id == aim.client.client_id);
    let wrong = match &sent {
        Some(sent) if sent.is_worn_out => Some(Wrong::WornOut),
        Some(sent) if !passwordless::is_right(sent, &connection.name, &address.folded, &typed) => {
            Some(Wrong::Code)
        }
        Some(sent) if sent.expires_at <= app.clock.now() => Some(Wrong::Expired),
        Some(_) => None,
        None => Some(Wrong::Code),
    };
    match (sent, wrong) {
        (Some(code), None) => Ok(Ok(Right { connection: connection.clone(), address, code, attempt })),
        (_, wrong) => {
            guess.failed(&attempt).await?;
            Ok(Err(wrong.unwrap_or(Wrong::Code)))
        }
    }
}

/// Who a right code is of.
pub enum Who {
    /// A user, in whose batch the proof of the address is, and the place of the identity that it is of.
    User(Box<User>, usize),
    /// Nobody, and nobody new is taken in.
    Nobody,
    /// Somebody who may not come in, which only the right code learns.
    Blocked(Box<User>),
}

impl Right {
    /// Adds to a batch that the code is spent and its user is there: made where they were not, with the address proved where it was
    /// not. `again` says that the id of a new user was taken. Whoever commits says what becomes of it.
    pub async fn user(
        &self,
        visit: &Visit,
        aim: Aim<'_>,
        batch: &mut Batch,
        again: bool,
        now: Timestamp,
    ) -> Result<Who, db::Error> {
        let (app, tenant) = (&visit.app, &visit.tenant.id);
        let connection = &self.connection;
        let found = users::find_login(&app.db, tenant, &connection.name, &self.address.given).await?;
        let (user, identity) = match found {
            Some(found) if found.user.is_blocked() => return Ok(Who::Blocked(Box::new(found.user))),
            Some(found) => {
                let mut user = found.user;
                let proven = match connection.sends_codes_by_sms() {
                    true => user.phone_verified,
                    false => user.email_verified,
                };
                if !proven && found.identity == 0 {
                    match connection.sends_codes_by_sms() {
                        true => user.phone_verified = true,
                        false => user.prove_email(0),
                    }
                    user.updated_at = now;
                    users::save(batch, &mut user);
                }
                (user, found.identity)
            }
            None if !connection.takes_new_users() => return Ok(Who::Nobody),
            None => {
                let place = (self.address.given.as_str(), self.address.folded.as_str());
                let user = passwordless::new_user(app, tenant, connection, place, again, now);
                users::insert(batch, &user);
                logs::record(batch, events::passwordless_signup(visit, aim, &user, &connection.name));
                (user, 0)
            }
        };
        Ok(Who::User(Box::new(user), identity))
    }

    /// Adds to a batch that the code is spent, which happens once, and that the attempt was right.
    pub fn spend(&self, batch: &mut Batch, visit: &Visit) {
        let (tenant, connection) = (&visit.tenant.id, &self.connection.name);
        passwordless::spend(batch, tenant, connection, &self.address.folded, &self.code);
        self.clear(batch, visit);
    }

    /// Adds to a batch that the attempt was right.
    pub fn clear(&self, batch: &mut Batch, visit: &Visit) {
        protection::cleared(batch, &visit.tenant.id, &self.attempt);
    }
}

/// Why a right code begins no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// It is of nobody, and nobody new is taken in.
    Nobody,
    /// Its user is blocked.
    Blocked,
}

/// Begins a session for a right code, in the place of the browser's former one: one batch, in which the code is spent and the transaction
/// proved.
///
/// # Errors
/// `Conflict` where the code was spent, or the transaction completed, elsewhere.
pub async fn sign_in(
    visit: &Visit,
    request: &Request,
    transaction: &Transaction,
    right: &Right,
) -> Result<Result<(Session, String), Closed>, db::Error> {
    let (app, tenant, aim) = (&visit.app, &visit.tenant.id, request.aim());
    let limits = Limits::of(&*visit.settings().await?);
    // A new user whose id is taken gets another.
    for again in [false, true] {
        let now = app.clock.now();
        let mut batch = Batch::new();
        let (user, identity) = match right.user(visit, aim, &mut batch, again, now).await? {
            Who::User(user, identity) => (user, identity),
            Who::Blocked(user) => {
                app.audit.push(events::blocked_login(visit, aim, &user));
                return Ok(Err(Closed::Blocked));
            }
            Who::Nobody => return Ok(Err(Closed::Nobody)),
        };
        users::touch_login(&mut batch, &user, now, &visit.peer.ip.to_string());
        let (session, token) =
            Session::begin(app, &visit.peer, user.id.clone(), &user.identities[identity], limits);
        replace_session(visit, &mut batch, &session, &request.client.client_id);
        transactions::authenticated(&mut batch, tenant, transaction, &session.sid);
        right.spend(&mut batch, visit);
        logs::record(&mut batch, events::login(visit, request, &user, &right.connection.name));
        match app.db.commit(batch).await {
            Ok(_) => return Ok(Ok((session, token))),
            Err(db::Error::Unique(_)) if !again => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Err(Closed::Nobody))
}
