//! Attack protection where a password is tried: what is counted before the hash, and what becomes of it afterwards.

use std::sync::Arc;

use db::Batch;
use model::attack_protection::{self as protection, Attempt, BreachStage, Refused, Stage, Who};
use model::connections::Connection;
use model::logs::{self, Share};
use model::mail::{self, Kind, Letter};
use model::recovery::{self, Links};
use model::users::{Found, User};
use serde_json::Value;

use crate::aim::Aim;
use crate::authorize::request::Request;
use crate::events;
use crate::pages::LoginError;
use crate::visit::Visit;

/// A password that somebody tries.
pub struct Guess<'a> {
    /// The request.
    pub visit: &'a Visit,
    /// What it is for.
    pub aim: Aim<'a>,
    /// The directories that were searched: one at least.
    pub directories: &'a [Arc<Connection>],
    /// The user of that name, if there is one.
    pub found: Option<&'a (Arc<Connection>, Found)>,
    /// What was typed.
    pub username: &'a str,
}

impl Guess<'_> {
    /// Counts the attempt before anything is hashed. Of an account that is not there it is counted alike.
    pub async fn begin(&self) -> Result<Result<Attempt, LoginError>, db::Error> {
        let Visit { app, tenant, peer, .. } = self.visit;
        let connection = self.connection();
        let who = Who {
            user: self.found.map(|(_, found)| &found.user.id),
            identifier: self.username,
            connection: connection.map_or("", |connection| &connection.name),
            guarded: connection.is_some_and(|connection| connection.has_brute_force_protection()),
        };
        let error = match protection::begin(app, &tenant.id, peer.ip, who).await? {
            Ok(attempt) => {
                if attempt.over {
                    self.note_address().await?;
                }
                return Ok(Ok(attempt));
            }
            Err(Refused::Account { notified }) => LoginError::AccountBlocked { notified },
            Err(Refused::Address) => {
                self.note_address().await?;
                LoginError::AddressBlocked
            }
            Err(Refused::Busy) => return Ok(Err(LoginError::Busy)),
        };
        let reason = match error {
            LoginError::AddressBlocked => "Too many failed logins from this address.",
            _ => "Your account has been blocked after multiple consecutive login attempts.",
        };
        app.audit.push_from(peer.ip, Share::Stranger, app.clock.now(), || {
            events::refused_login(self.visit, self.aim, self.username, reason)
        });
        Ok(Err(error))
    }

    /// The password was wrong.
    pub async fn failed(&self, attempt: &Attempt) -> Result<(), db::Error> {
        let Visit { app, tenant, .. } = self.visit;
        app.audit.push(events::wrong_password(self.visit, self.aim, self.username));
        let user = self.found.map(|(_, found)| &found.user);
        let connection = self.connection().map_or("", |connection| &connection.name);
        protection::failed(app, &tenant.id, attempt, |batch, tell| {
            let event = events::account_blocked(self.visit, self.aim, user, self.username, connection);
            logs::record(batch, event);
            if let Some(user) = user.filter(|_| tell) {
                self.tell_blocked(batch, user);
            }
        })
        .await
    }

    /// Sends the user the link that lifts the block.
    fn tell_blocked(&self, batch: &mut Batch, user: &User) {
        let Visit { app, tenant, peer, .. } = self.visit;
        let Some(mut letter) = Letter::to_user(Kind::BlockedAccount, user) else { return };
        let ticket = protection::insert_ticket(batch, app, &tenant.id, &user.id);
        if let Some(about) = letter.variables.get_mut("user").and_then(Value::as_object_mut) {
            about.insert("source_ip".to_owned(), peer.ip.to_string().into());
        }
        let letter = letter.client(&self.aim.client.client_id);
        let letter = letter.with("url", format!("{}u/unblock?ticket={ticket}", tenant.issuer));
        mail::queue(batch, app, &tenant.id, letter);
    }

    /// The password was right, and may have leaked: whether it is of no use any more.
    pub async fn is_breached(
        &self,
        password: &str,
        user: &User,
        attempt: &Attempt,
    ) -> Result<bool, db::Error> {
        let Visit { app, tenant, .. } = self.visit;
        let breached = protection::breached(app, &tenant.id, BreachStage::Login, password).await?;
        let Some(breached) = breached else { return Ok(false) };
        let connection = self.connection().map_or("", |connection| &connection.name);
        let mut batch = Batch::new();
        if breached.blocks {
            protection::cleared(&mut batch, &tenant.id, attempt);
        }
        logs::record(&mut batch, events::leaked_password(self.visit, self.aim, user, connection));
        if breached.notifies {
            self.tell_leaked(&mut batch, user).await?;
        }
        app.db.commit(batch).await?;
        Ok(breached.blocks)
    }

    /// Sends the user the link that sets another password: once an hour.
    async fn tell_leaked(&self, batch: &mut Batch, user: &User) -> Result<(), db::Error> {
        let Visit { app, tenant, .. } = self.visit;
        let Some((_, found)) = self.found else { return Ok(()) };
        let client_id = Some(&self.aim.client.client_id);
        let links = Links::of(app, tenant, Kind::StolenCredentials, client_id).await?;
        if !links.switched_off && recovery::first(app, &tenant.id, "leaked", &user.id).await? {
            recovery::queue_stolen(app, batch, tenant, (user, found.identity), client_id, &links);
        }
        Ok(())
    }

    /// The user's connection; of nobody the first that was searched.
    fn connection(&self) -> Option<&Connection> {
        self.found
            .map(|(connection, _)| connection)
            .or(self.directories.first())
            .map(|connection| &**connection)
    }

    async fn note_address(&self) -> Result<(), db::Error> {
        let Visit { app, tenant, peer, .. } = self.visit;
        protection::note(app, &tenant.id, Stage::Login, peer.ip, |batch| {
            logs::record(batch, events::address_blocked(self.visit, self.aim, Stage::Login));
        })
        .await
    }
}

/// Whether a password has leaked that somebody signs up with, and is of no use.
pub async fn is_breached_at_signup(
    visit: &Visit,
    request: &Request,
    email: &str,
    password: &str,
) -> Result<bool, db::Error> {
    let Visit { app, tenant, .. } = visit;
    let breached = protection::breached(app, &tenant.id, BreachStage::Signup, password).await?;
    if breached.is_some() {
        app.audit.push(events::leaked_signup_password(visit, request, email));
    }
    Ok(breached.is_some_and(|breached| breached.blocks))
}

/// Counts a sign-up: whether its address may go on.
pub async fn admits_signup(visit: &Visit, request: &Request) -> Result<bool, db::Error> {
    protection::admit(&visit.app, &visit.tenant.id, Stage::Signup, visit.peer.ip, |batch| {
        logs::record(batch, events::address_blocked(visit, request.aim(), Stage::Signup));
    })
    .await
}
