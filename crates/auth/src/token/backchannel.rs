//! The CIBA grant (CIBA Core §10.1, §11; authentication contract §4.4).

use axum::http::StatusCode;
use db::Batch;
use model::backchannel_requests::{self, Answer};
use model::clients::Client;
use model::{logs, users};

use super::Tokens;
use super::polled::{Outcome, let_in};
use super::user_tokens::Purchase;
use crate::aim::Aim;
use crate::errors::OAuthError;
use crate::events;
use crate::issue::Via;
use crate::params::Params;
use crate::visit::Visit;

/// 403 `access_denied`, and to who wants it strictly which of the two it is.
fn ended(specified: &'static str) -> OAuthError {
    let description = "The end-user denied the authorization request or it has been expired";
    OAuthError { specified: Some(specified), ..OAuthError::access_denied(description) }
}

/// Exchanges what an app polls with, once its user has let it in.
///
/// # Errors
/// 400 `invalid_request`, `authorization_pending`, `slow_down` (with `Retry-After`); 403 `access_denied`, `invalid_grant`.
pub async fn exchange(visit: &Visit, client: &Client, params: &Params) -> Result<Tokens, OAuthError> {
    let (app, tenant) = (&visit.app, &visit.tenant.id);
    let token = params.get("auth_req_id").ok_or_else(|| OAuthError::missing("auth_req_id"))?;
    let unknown = || OAuthError::invalid_grant("Invalid or expired auth_req_id");
    let refused = |error: OAuthError| {
        app.audit.push(events::backchannel_refused(visit, client, &error.description));
        error
    };
    let request = backchannel_requests::find(&app.db, tenant, token).await?;
    let request = request.filter(|request| request.client_id == client.client_id);
    let request = request.ok_or_else(|| refused(unknown()))?;
    let over = request.expires_at <= app.clock.now();
    if over || request.answer == Answer::Denied {
        let mut batch = Batch::new();
        backchannel_requests::remove(&mut batch, tenant, &request);
        app.db.commit(batch).await?;
        return Err(refused(ended(if over { "expired_token" } else { "access_denied" })));
    }
    let mut batch = Batch::new();
    backchannel_requests::polled(&mut batch, tenant, &request, app.clock.now());
    match app.db.commit(batch).await {
        Err(db::Error::Conflict { .. }) => {
            let seconds = backchannel_requests::slow_down(app, tenant, &request).await?;
            let description = format!("You are polling faster than allowed. Try again in {seconds} seconds.");
            let error = OAuthError::new(StatusCode::BAD_REQUEST, "slow_down", description);
            return Err(OAuthError { retry_after: u8::try_from(seconds).ok(), ..error });
        }
        committed => committed?,
    };
    let decide = async || {
        let nothing = |error| Ok((Batch::new(), Outcome::Refused(error)));
        let Some(request) = backchannel_requests::find(&app.db, tenant, token).await? else {
            return nothing(unknown());
        };
        let mfa = match request.answer {
            Answer::Pending => {
                let description = "The end-user authorization is pending";
                return nothing(OAuthError::new(
                    StatusCode::BAD_REQUEST,
                    "authorization_pending",
                    description,
                ));
            }
            Answer::Denied => return nothing(ended("access_denied")),
            Answer::Approved { mfa } => mfa,
        };
        let asked = (request.audience.as_str(), request.scope.as_str());
        let (user, audience, scopes) = match let_in(visit, client, &request.user_id, asked, unknown()).await?
        {
            Ok(let_in) => let_in,
            Err(error) => return nothing(error),
        };
        let mut batch = Batch::new();
        users::unchanged(&mut batch, &user);
        backchannel_requests::spend(&mut batch, tenant, &request);
        let purchase = Purchase { user, audience, scopes, via: Via::Code, multi_factor: mfa };
        let stored = purchase.store(visit, client, &mut batch).await?;
        let (audience, scopes) = (purchase.audience.identifier(), &purchase.scopes);
        let event = events::backchannel_exchanged(visit, Aim { client, audience, scopes }, &purchase.user);
        logs::record(&mut batch, event);
        Ok::<_, db::Error>((batch, Outcome::Issued(Box::new((purchase, stored)))))
    };
    app.db.retry(decide).await?.tokens(visit, client, refused).await
}
