//! A name and a password, looked at: what the sign-in page and the password grants have in common.

use std::sync::Arc;

use db::Batch;
use model::attack_protection::{self as protection, Attempt};
use model::connections::Connection;
use model::passwords::HashError;
use model::users::{self, Found};
use model::{Timestamp, credentials};

use crate::aim::Aim;
use crate::events;
use crate::pages::LoginError;
use crate::protection::Guess;
use crate::visit::Visit;

/// A user who gave their password.
pub struct Proven {
    /// Where the user was found.
    pub connection: Arc<Connection>,
    /// The user, and the identity and password that the name led to.
    pub found: Found,
    /// What was counted for it.
    attempt: Attempt,
    /// The password in the present form, where it was kept in an older one.
    rehashed: Option<String>,
}

impl Proven {
    /// The user as they are now, if what was proved still holds: same user, same password.
    pub async fn again(&self, visit: &Visit, username: &str) -> Result<Option<Found>, db::Error> {
        let (app, tenant) = (&visit.app, &visit.tenant.id);
        let now = users::find_login(&app.db, tenant, &self.connection.name, username).await?;
        let hash = |found: &Found| found.credential.as_ref().map(|credential| credential.hash.clone());
        Ok(now.filter(|now| now.user.id == self.found.user.id && hash(now) == hash(&self.found)))
    }

    /// Adds to a batch that the user, as `found`, logged in: a block, a delete or another password since then is a `Conflict`.
    pub fn log_in(&self, batch: &mut Batch, visit: &Visit, found: &Found, now: Timestamp) {
        users::touch_login(batch, &found.user, now, &visit.peer.ip.to_string());
        self.hold_password(batch, visit, found);
    }

    /// Adds to a batch that the password is as it was read, or keeps it in the present form.
    pub fn hold_password(&self, batch: &mut Batch, visit: &Visit, found: &Found) {
        let identity = &found.user.identities[found.identity];
        let Some(credential) = &found.credential else { return };
        match &self.rehashed {
            Some(hash) => credentials::rehash(batch, &visit.tenant.id, identity, credential, hash),
            None => credentials::unchanged(batch, &visit.tenant.id, identity, credential),
        }
    }

    /// Adds to a batch that the attempt was right.
    pub fn clear(&self, batch: &mut Batch, visit: &Visit) {
        protection::cleared(batch, &visit.tenant.id, &self.attempt);
    }
}

/// Checks a password. Known, unknown and blocked users cost the same statements and exactly one hash, and only the right
/// password learns that its user is blocked. `directories` are one at least.
pub async fn check(
    visit: &Visit,
    aim: Aim<'_>,
    directories: &[Arc<Connection>],
    username: &str,
    password: String,
) -> Result<Result<Proven, LoginError>, db::Error> {
    let app = &visit.app;
    let found = find(visit, directories, username).await?;
    let guess = Guess { visit, aim, directories, found: found.as_ref(), username };
    let attempt = match guess.begin().await? {
        Ok(attempt) => attempt,
        Err(error) => return Ok(Err(error)),
    };
    let hash = found
        .as_ref()
        .and_then(|(_, found)| found.credential.as_ref())
        .map(|credential| credential.hash.clone());
    let verdict = match app.hasher.verify(password.clone(), hash).await {
        Ok(verdict) => verdict,
        Err(HashError::Busy) => {
            protection::released(app, &visit.tenant.id, &attempt).await?;
            return Ok(Err(LoginError::Busy));
        }
        Err(HashError::TooLong) => {
            guess.failed(&attempt).await?;
            return Ok(Err(LoginError::WrongCredentials));
        }
    };
    let known = found.as_ref().filter(|(_, found)| verdict.matches && found.credential.is_some());
    let Some((connection, found)) = known else {
        guess.failed(&attempt).await?;
        return Ok(Err(LoginError::WrongCredentials));
    };
    if found.user.is_blocked() {
        let mut batch = Batch::new();
        protection::cleared(&mut batch, &visit.tenant.id, &attempt);
        app.db.commit(batch).await?;
        app.audit.push(events::blocked_login(visit, aim, &found.user));
        return Ok(Err(LoginError::UserBlocked));
    }
    if guess.is_breached(&password, &found.user, &attempt).await? {
        return Ok(Err(LoginError::PasswordBreached));
    }
    let rehashed = if verdict.rehash { app.hasher.hash(password).await.ok() } else { None };
    Ok(Ok(Proven { connection: connection.clone(), found: found.clone(), attempt, rehashed }))
}

/// Looks for the user in each directory: also in those after the first that knows them, so that the time tells nothing.
async fn find(
    visit: &Visit,
    directories: &[Arc<Connection>],
    username: &str,
) -> Result<Option<(Arc<Connection>, Found)>, db::Error> {
    let mut first = None;
    for connection in directories {
        let found = users::find_login(&visit.app.db, &visit.tenant.id, &connection.name, username).await?;
        first = first.or(found.map(|found| (connection.clone(), found)));
    }
    Ok(first)
}
