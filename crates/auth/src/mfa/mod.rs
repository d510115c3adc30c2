//! `/mfa/…`: second factors for apps with pages of their own (authentication contract §3.6).
//!
//! Who calls shows an `mfa_token`, which stands for a password that was right, or an access token for the API over second factors
//! ([`bearer`]). What is begun here is ended by the grants of [`crate::token::second_factor`].

pub mod associate;
pub mod authenticators;
pub mod bearer;
pub mod challenge;

use db::Batch;
use model::clients::Client;
use model::factors::attempts::{self, Limited};
use model::factors::{self, Factor, Kind, codes};
use model::mail::{self, Letter};
use model::{logs, users};

use crate::errors::OAuthError;
use crate::events;
use crate::visit::Visit;
use bearer::Bearer;

/// What a code by e-mail is bound to: who asked for it, and the `oob_code` that they were told.
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

/// Sends a code by e-mail that is bound to `oob_code`, and begins in the same batch what is `begun` with it.
///
/// # Errors
/// 429 when the user was sent too many.
async fn send_code(
    visit: &Visit,
    client: &Client,
    bearer: &Bearer,
    address: &str,
    oob_code: &str,
    begun: &[Factor],
) -> Result<(), OAuthError> {
    let (app, tenant, user) = (&visit.app, &visit.tenant.id, &bearer.user);
    let event = |kind| events::factor(visit, kind, None, user, Kind::Email.as_str()).client(client);
    if !attempts::take(app, tenant, &user.id, Limited::Mail).await? {
        app.audit.push(event(logs::Kind::FactorLimited));
        return Err(OAuthError::too_many("Too many codes were sent. Please try again later."));
    }
    let purpose = oob_purpose(&bearer.token, oob_code);
    let mut batch = Batch::new();
    users::unchanged(&mut batch, user);
    let code = codes::send(&mut batch, app, tenant, &purpose, &user.id, address);
    for factor in begun {
        factors::begin(&mut batch, tenant, factor);
    }
    let letter = Letter::new(mail::Kind::MfaOobCode, address).about(user);
    mail::queue(&mut batch, app, tenant, letter.client(&client.client_id).with("code", code));
    logs::record(&mut batch, event(logs::Kind::FactorMail));
    app.db.commit(batch).await?;
    Ok(())
}
