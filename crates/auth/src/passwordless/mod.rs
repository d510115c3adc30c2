//! Signing in without a password: a code or a link goes to an address, and whoever brings it back is signed in (authentication
//! contract §3.4, §8.3, §8.4).

pub mod proof;
mod pushed;
pub mod start;
pub mod verify;

use std::sync::Arc;

use model::ClientId;
use model::connections::{self, Connection};
use model::identities::fold_email;
use model::users::is_email;

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
}

/// The connection of this name whose codes go out by e-mail, where the client's users may sign in with it.
pub async fn connection(
    visit: &Visit,
    client_id: &ClientId,
    name: &str,
) -> Result<Option<Arc<Connection>>, db::Error> {
    let found = connections::find_by_name(&visit.app, &visit.tenant.id, name).await?;
    Ok(found.filter(|connection| {
        connection.sends_codes_by_email() && connection.is_active() && connection.is_enabled_for(client_id)
    }))
}
