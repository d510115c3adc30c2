//! Signing in without a password: a code or a link goes to an address, and whoever brings it back is signed in (authentication
//! contract §3.4, §8.3, §8.4).

pub mod challenge;
pub mod hosted;
pub mod proof;
mod pushed;
mod sending;
pub mod start;
pub mod verify;

use std::sync::Arc;

use model::ClientId;
use model::connections::{self, Connection};
use model::identities::{fold_email, fold_phone};
use model::users::is_email;

use crate::authorize::request::Request;
use crate::visit::Visit;

/// The grant that gives a code.
pub const GRANT: &str = "http://auth0.com/oauth/grant-type/passwordless/otp";

/// An address that codes go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// As it was given.
    pub given: String,
    /// As addresses are compared.
    pub folded: String,
}

impl Address {
    /// The e-mail address in `text`, if it is one.
    pub fn email(text: &str) -> Option<Self> {
        let given = text.trim();
        is_email(given).then(|| Self { given: given.to_owned(), folded: fold_email(given) })
    }

    /// The phone number in `text`, if it is one: `+` and at most 15 digits (E.164).
    pub fn phone(text: &str) -> Option<Self> {
        let given = text.trim();
        let digits = given.strip_prefix('+')?;
        let is_number = (1..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| Self { given: given.to_owned(), folded: fold_phone(given) })
    }

    /// The address in `text` that this connection sends codes to.
    pub fn on(connection: &Connection, text: &str) -> Option<Self> {
        if connection.sends_codes_by_sms() { Self::phone(text) } else { Self::email(text) }
    }
}

/// What is said of a code that is not the one that was sent.
pub fn wrong_code(connection: &Connection) -> &'static str {
    match connection.sends_codes_by_sms() {
        true => "Wrong phone number or verification code.",
        false => "Wrong email or verification code.",
    }
}

/// The connection of this name that sends codes, where the client's users may sign in with it.
pub async fn connection(
    visit: &Visit,
    client_id: &ClientId,
    name: &str,
) -> Result<Option<Arc<Connection>>, db::Error> {
    let found = connections::find_by_name(&visit.app, &visit.tenant.id, name).await?;
    Ok(found.filter(|connection| {
        connection.sends_codes() && connection.is_active() && connection.is_enabled_for(client_id)
    }))
}

/// The connection by whose codes people sign in here for this request: the one that it names, or where nobody signs in to the client
/// with a password the first that sends codes.
pub async fn connection_of(visit: &Visit, request: &Request) -> Result<Option<Arc<Connection>>, db::Error> {
    let mut usable = match &request.connection {
        Some(connection) => vec![connection.clone()],
        None => connections::enabled_for(&visit.app, &visit.tenant.id, &request.client.client_id).await?,
    };
    usable.retain(|connection| connection.is_active());
    if usable.iter().any(|connection| connection.is_database()) {
        return Ok(None);
    }
    Ok(usable.into_iter().find(|connection| connection.sends_codes()))
}
