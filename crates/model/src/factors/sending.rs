//! Codes on their way: to an e-mail address or to a phone.

use std::net::IpAddr;

use db::Batch;

use super::attempts::{self, Limited};
use super::{Factor, Kind, codes};
use crate::app::{Model, Peer};
use crate::ids::{ClientId, TenantId, UserId};
use crate::mail::{self, Letter};
use crate::users::{self, User};
use crate::{logs, sms};

/// Where a code goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// What it is: an address or a phone.
    pub kind: Kind,
    /// The e-mail address or the number.
    pub address: String,
    /// Whether it has yet to be proved: the code ends an enrolment.
    pub enrolling: bool,
}

/// What a code is sent for.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    /// Whom it is sent to.
    pub user: &'a User,
    /// What it is bound to.
    pub purpose: &'a str,
    /// Who asks.
    pub peer: &'a Peer,
    /// The application that they come from.
    pub client_id: Option<&'a ClientId>,
    /// The enrolments that begin with it.
    pub begun: &'a [Factor],
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sending {
    /// It is on its way.
    Sent,
    /// Another has just gone out.
    TooSoon,
    /// Too many went out.
    TooMany,
}

impl Destination {
    /// Sends a code, if enough time has passed since the last one for its purpose and not too many went out. `event` makes the event of
    /// a kind that tells of it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn send(
        &self,
        app: &Model,
        wish: Wish<'_>,
        event: impl Fn(logs::Kind) -> logs::Event,
    ) -> Result<Sending, db::Error> {
        let (user, tenant) = (wish.user, &wish.user.tenant);
        let before = codes::find(&app.db, tenant, wish.purpose).await?;
        if before.is_some_and(|sent| sent.pause(app.clock.now()) > 0) {
            return Ok(Sending::TooSoon);
        }
        if !self.admits(app, tenant, &user.id, wish.peer.ip).await? {
            app.audit.push(event(logs::Kind::FactorLimited));
            return Ok(Sending::TooMany);
        }
        let mut batch = Batch::new();
        users::unchanged(&mut batch, user);
        for factor in wish.begun {
            super::begin(&mut batch, tenant, factor);
        }
        let code = codes::send(&mut batch, app, tenant, wish.purpose, &user.id, &self.address);
        let letter = self.letter(user, code, wish.peer);
        let letter = match wish.client_id {
            Some(client_id) => letter.client(client_id),
            None => letter,
        };
        mail::queue(&mut batch, app, tenant, letter);
        logs::record(&mut batch, event(self.event()));
        match app.db.commit(batch).await {
            Ok(_) => Ok(Sending::Sent),
            Err(db::Error::Conflict { .. }) => Ok(Sending::TooSoon),
            Err(error) => Err(error),
        }
    }

    /// Counts a code that is about to be sent there: for the user, and of a phone for the number and the IP address too. Answers whether
    /// it may be.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn admits(
        &self,
        app: &Model,
        tenant: &TenantId,
        user_id: &UserId,
        ip: IpAddr,
    ) -> Result<bool, db::Error> {
        if !attempts::take(app, tenant, user_id, Limited::Sending).await? {
            return Ok(false);
        }
        match self.kind {
            Kind::Phone => sms::admit(app, tenant, &self.address, !self.enrolling, ip).await,
            _ => Ok(true),
        }
    }

    /// The letter or the message that says `code` to the user.
    pub fn letter(&self, user: &User, code: String, peer: &Peer) -> Letter {
        let kind = match (self.kind, self.enrolling) {
            (Kind::Phone, true) => mail::Kind::SmsEnrollment,
            (Kind::Phone, false) => mail::Kind::SmsVerification,
            _ => mail::Kind::MfaOobCode,
        };
        let letter = Letter::new(kind, &self.address).about(user).with("code", code);
        if kind.is_message() { letter.with("req", peer.told()) } else { letter }
    }

    /// The event that tells of it.
    pub fn event(&self) -> logs::Kind {
        match self.kind {
            Kind::Phone => logs::Kind::FactorSms,
            _ => logs::Kind::FactorMail,
        }
    }
}
