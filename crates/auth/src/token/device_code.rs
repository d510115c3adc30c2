//! The device code grant (RFC 8628 §3.4, §3.5; authentication contract §4.1).

use axum::http::StatusCode;
use db::Batch;
use model::clients::Client;
use model::device_codes::{self, Answer};
use model::seal::digest;
use model::{grants, logs, users};

use super::Tokens;
use super::polled::{Outcome, let_in};
use super::user_tokens::Purchase;
use crate::aim::Aim;
use crate::errors::OAuthError;
use crate::events;
use crate::issue::Via;
use crate::params::Params;
use crate::visit::Visit;

/// Exchanges a device's code, once its user has let it in.
///
/// # Errors
/// 403 `authorization_pending`, `access_denied`, `expired_token` (once), `invalid_grant`; 429 `slow_down`.
pub async fn exchange(visit: &Visit, client: &Client, params: &Params) -> Result<Tokens, OAuthError> {
    let (app, tenant) = (&visit.app, &visit.tenant.id);
    let given = params.get("device_code").ok_or_else(|| OAuthError::missing("device_code"))?;
    let hash = digest(given);
    let unknown = || OAuthError::invalid_grant("Invalid or expired device code.");
    let refused = |error: OAuthError| {
        app.audit.push(events::device_refused(visit, client, &error.description));
        error
    };
    let code = device_codes::find(&app.db, tenant, &hash).await?;
    let code = code.filter(|code| code.client_id == client.client_id);
    let code = code.ok_or_else(|| refused(unknown()))?;
    if code.expires_at <= app.clock.now() {
        let mut batch = Batch::new();
        device_codes::remove(&mut batch, tenant, &hash);
        app.db.commit(batch).await?;
        let description = "The device code has expired.";
        return Err(refused(OAuthError::new(StatusCode::FORBIDDEN, "expired_token", description)));
    }
    let mut batch = Batch::new();
    device_codes::polled(&mut batch, tenant, &hash, app.clock.now());
    match app.db.commit(batch).await {
        Err(db::Error::Conflict { .. }) => {
            let description = format!(
                "You are polling faster than the specified interval of {} seconds.",
                device_codes::INTERVAL
            );
            return Err(OAuthError::new(StatusCode::TOO_MANY_REQUESTS, "slow_down", description));
        }
        committed => committed?,
    };
    let decide = async || {
        let nothing = |error| Ok((Batch::new(), Outcome::Refused(error)));
        let Some(code) = device_codes::find(&app.db, tenant, &hash).await? else { return nothing(unknown()) };
        let (user_id, mfa) = match code.answer {
            Answer::Pending => {
                let description = "User has yet to authorize device code.";
                let status = StatusCode::FORBIDDEN;
                return nothing(OAuthError::new(status, "authorization_pending", description));
            }
            Answer::Denied => {
                return nothing(OAuthError::access_denied("User cancelled the confirmation prompt."));
            }
            Answer::Approved { user_id, mfa } => (user_id, mfa),
        };
        let asked = (code.audience.as_str(), code.scope.as_str());
        let (user, audience, scopes) = match let_in(visit, client, &user_id, asked, unknown()).await? {
            Ok(let_in) => let_in,
            Err(error) => return nothing(error),
        };
        if audience.api().is_some() || !client.is_first_party {
            // What the user allowed may have been taken back since.
            let (client_id, audience) = (&client.client_id, audience.identifier());
            let grant = grants::find(&app.db, tenant, &user.id, client_id, audience).await?;
            if grant.is_none_or(|grant| !scopes.within(&grant.scopes)) {
                return nothing(unknown());
            }
        }
        let mut batch = Batch::new();
        users::unchanged(&mut batch, &user);
        device_codes::spend(&mut batch, tenant, &hash, &user.id);
        let purchase = Purchase { user, audience, scopes, via: Via::Code, multi_factor: mfa };
        let stored = purchase.store(visit, client, &mut batch).await?;
        let (audience, scopes) = (purchase.audience.identifier(), &purchase.scopes);
        let event = events::device_exchanged(visit, Aim { client, audience, scopes }, &purchase.user);
        logs::record(&mut batch, event);
        Ok::<_, db::Error>((batch, Outcome::Issued(Box::new((purchase, stored)))))
    };
    app.db.retry(decide).await?.tokens(visit, client, refused).await
}
