//! What a poll comes to, for what a user lets in elsewhere: a device (RFC 8628), or an app that asked them (CIBA).

use model::UserId;
use model::clients::Client;
use model::users::{self, User};

use super::user_tokens::{Purchase, Stored};
use super::{Tokens, granted_now};
use crate::authorize::audience::Audience;
use crate::errors::OAuthError;
use crate::possession;
use crate::scopes::Scopes;
use crate::visit::Visit;

/// How a poll went, as far as the database is concerned.
pub enum Outcome {
    /// What was let in has its tokens.
    Issued(Box<(Purchase, Stored)>),
    /// It has none, yet or ever.
    Refused(OAuthError),
}

impl Outcome {
    /// The tokens; or the refusal, by way of `refused` unless the user has yet to answer.
    pub async fn tokens(
        self,
        visit: &Visit,
        client: &Client,
        refused: impl FnOnce(OAuthError) -> OAuthError,
    ) -> Result<Tokens, OAuthError> {
        match self {
            Self::Issued(issued) => {
                let (purchase, stored) = *issued;
                purchase.issue(visit, client, stored).await
            }
            Self::Refused(error) if error.error == "authorization_pending" => Err(error),
            Self::Refused(error) => Err(refused(error)),
        }
    }
}

/// The user who said yes, and what the client may have of them now. `unknown` is for a user who is gone.
pub async fn let_in(
    visit: &Visit,
    client: &Client,
    user_id: &UserId,
    (audience, scope): (&str, &str),
    unknown: OAuthError,
) -> Result<Result<(User, Audience, Scopes), OAuthError>, db::Error> {
    let Some(user) = users::find(&visit.app.db, &visit.tenant.id, user_id).await? else {
        return Ok(Err(unknown));
    };
    if user.is_blocked() {
        return Ok(Err(OAuthError::user_blocked()));
    }
    let asked = Scopes::parse(scope);
    let Some((audience, scopes)) = granted_now(visit, client, &user.id, audience, &asked).await? else {
        return Ok(Err(OAuthError::access_denied("The API is closed to the client")));
    };
    match possession::demanded_by_api(visit, client, audience.api()) {
        Ok(()) => Ok(Ok((user, audience, scopes))),
        Err(error) => Ok(Err(error)),
    }
}
