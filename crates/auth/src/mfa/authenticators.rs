//! `/mfa/authenticators`: what a person has enrolled.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use db::Batch;
use model::factors::{self, Factor, Kind};
use model::{App, logs, mail};
use serde_json::{Map, Value};

use super::bearer::{Bearer, Proof};
use super::wire_type;
use crate::errors::{NoStore, OAuthError};
use crate::events;
use crate::factors::masked_number;
use crate::visit::Visit;

/// `GET /mfa/authenticators`: each of them, those whose enrolment is under way as inactive.
///
/// # Errors
/// 401; 403 `invalid_grant`, `insufficient_scope`.
pub async fn list(State(_): State<App>, visit: Visit, headers: HeaderMap) -> Response {
    match all(&visit, &headers).await {
        Ok(all) => NoStore(all).into_response(),
        Err(error) => error.into_response(),
    }
}

async fn all(visit: &Visit, headers: &HeaderMap) -> Result<Vec<Value>, OAuthError> {
    let bearer = Bearer::of_header(visit, headers).await?;
    bearer.may("read:authenticators")?;
    let all = factors::list(&visit.app.db, &visit.tenant.id, &bearer.user.id).await?;
    Ok(all.iter().map(to_wire).collect())
}

/// An authenticator as recorded; `type` as newer tenants tell it.
fn to_wire(factor: &Factor) -> Value {
    let (kind, channel) = match factor.kind {
        Kind::Totp => ("otp", None),
        Kind::Email => ("oob", Some("email")),
        Kind::Phone => ("oob", Some("sms")),
        Kind::RecoveryCode => ("recovery-code", None),
    };
    let mut wire = Map::from_iter([
        ("id".to_owned(), Value::from(factor.authenticator_id())),
        ("authenticator_type".to_owned(), kind.into()),
        ("active".to_owned(), factor.is_confirmed().into()),
    ]);
    if let Some(channel) = channel {
        wire.insert("oob_channel".into(), channel.into());
        wire.insert("name".into(), masked(factor.address.as_deref().unwrap_or_default()).into());
    }
    wire.insert("type".into(), wire_type(factor.kind).into());
    wire.into()
}

/// An address or a number, of which as much shows as recorded: `****@exam*******`, `XXXXXXXXX9167`.
fn masked(address: &str) -> String {
    match address.rsplit_once('@') {
        Some((local, domain)) => {
            let shown = (domain.chars().count() / 2).min(4);
            let hide = |(at, char): (usize, char)| if at < shown { char } else { '*' };
            let domain: String = domain.chars().enumerate().map(hide).collect();
            format!("{}@{domain}", "*".repeat(local.chars().count().min(64)))
        }
        None => masked_number(address),
    }
}

/// `DELETE /mfa/authenticators/{id}`: takes one away, with what stands in for it when it was the last.
///
/// # Errors
/// 401; 403 `access_denied` for an `mfa_token`, `insufficient_scope`, `insufficient_user_authentication` where the self-service
/// policy asks for a later or surer sign-in; 404.
pub async fn remove(
    State(_): State<App>,
    visit: Visit,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    match end(&visit, &headers, &id).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => error.into_response(),
    }
}

async fn end(visit: &Visit, headers: &HeaderMap, id: &str) -> Result<(), OAuthError> {
    let (app, tenant) = (&visit.app, &visit.tenant.id);
    let bearer = Bearer::of_header(visit, headers).await?;
    bearer.may("remove:authenticators")?;
    if matches!(bearer.proof, Proof::First(_)) {
        return Err(OAuthError::access_denied("An mfa_token removes no authenticator"));
    }
    bearer.may_change_factors(visit).await?;
    let decide = async || {
        let nothing = (Batch::new(), false);
        let Some(mut user) = model::users::find(&app.db, tenant, &bearer.user.id).await? else {
            return Ok(nothing);
        };
        let all = factors::list(&app.db, tenant, &user.id).await?;
        // Another's is as little there as one that never was.
        let Some(factor) = all.iter().find(|factor| factor.authenticator_id() == id) else {
            return Ok(nothing);
        };
        let mut batch = Batch::new();
        factors::ended(&mut batch, &mut user, &all, &[factor], app.clock.now());
        if factor.is_confirmed() {
            let (notice, client) = (mail::Kind::FactorRemoved, Some(&bearer.client_id));
            factors::notify(&mut batch, app, &user, notice, factor.kind, client).await?;
        }
        let event = events::factor(visit, logs::Kind::FactorRemoved, None, &user, factor.kind.as_str());
        logs::record(&mut batch, event.client_id(&bearer.client_id));
        Ok::<_, db::Error>((batch, true))
    };
    match app.db.retry(decide).await? {
        true => Ok(()),
        false => Err(OAuthError::new(StatusCode::NOT_FOUND, "not_found", "Authenticator not found")),
    }
}

#[cfg(test)]
mod tests {
    use super::masked;

    /// Recorded: `go-auth0:authentication/TestMFAListAuthenticators`.
    #[test]
    fn an_address_shows_as_little_as_recorded() {
        assert_eq!(masked("chuc@example.com"), "****@exam*******");
        assert_eq!(masked("+440000009167"), "XXXXXXXXX9167");
        assert_eq!(masked(""), "");
    }
}
