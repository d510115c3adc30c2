//! `/mfa/…`: second factors for apps with pages of their own (authentication contract §3.6).
//!
//! Who calls shows an `mfa_token`, which stands for a password that was right, or an access token for the API over second factors
//! ([`bearer`]). What is begun here is ended by the grants of [`crate::token::second_factor`].

pub mod associate;
pub mod authenticators;
pub mod bearer;
pub mod challenge;

use model::clients::Client;
use model::factors::sending::{Destination, Sending, Wish};
use model::factors::{Factor, Kind};

use crate::errors::OAuthError;
use crate::events;
use crate::visit::Visit;
use bearer::Bearer;

/// What a code that is sent is bound to: who asked for it, and the `oob_code` that they were told.
pub fn oob_purpose(token: &str, oob_code: &str) -> String {
    format!("{token}\n{oob_code}")
}

/// The name of a kind in these answers.
pub fn wire_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Totp => "otp",
        Kind::Email => "email",
        Kind::Phone => "phone",
        Kind::RecoveryCode => "recovery-code",
    }
}

/// The channel by which codes of a kind are sent; empty for kinds that are not.
pub fn oob_channel(kind: Kind) -> &'static str {
    match kind {
        Kind::Email => "email",
        Kind::Phone => "sms",
        Kind::Totp | Kind::RecoveryCode => "",
    }
}

/// Sends a code that is bound to `oob_code`, and begins in the same batch what is `begun` with it.
///
/// # Errors
/// 429 when too many were sent.
async fn send_code(
    visit: &Visit,
    client: &Client,
    bearer: &Bearer,
    to: &Destination,
    oob_code: &str,
    begun: &[Factor],
) -> Result<(), OAuthError> {
    let user = &bearer.user;
    let event = |kind| events::factor(visit, kind, None, user, to.kind.as_str()).client(client);
    let wish = Wish {
        user,
        purpose: &oob_purpose(&bearer.token, oob_code),
        peer: &visit.peer,
        client_id: Some(&client.client_id),
        begun,
    };
    match to.send(&visit.app, wish, event).await? {
        Sending::Sent => Ok(()),
        Sending::TooSoon | Sending::TooMany => {
            Err(OAuthError::too_many("Too many codes were sent. Please try again later."))
        }
    }
}
