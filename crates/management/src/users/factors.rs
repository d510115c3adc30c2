//! What a user has enrolled besides a password, and its end: enrolments, recovery code, remembered browsers (management contract
//! §1.7, §1.8, §4.3).

use axum::extract::State;
use axum::http::StatusCode;
use db::Batch;
use model::factors::{self, Factor, Kind, attempts, recovery_code, remembered};
use model::users::{self, User};
use model::{App, UserId, logs, mail, tenants};
use serde_json::{Map, Value, json};

use crate::access::{Grant, Reach};
use crate::answers::{Answer, NoContent};
use crate::errors::{Error, Missing};
use crate::paths::{self, Parameter, Path};

/// A provider of second factors, in a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// `google-authenticator`: apps that show codes.
    GoogleAuthenticator,
    /// `duo`, of which nobody has any here.
    Duo,
}

impl Parameter for Provider {
    fn read(name: &str, value: &str) -> Result<Self, Error> {
        match value {
            "google-authenticator" => Ok(Self::GoogleAuthenticator),
            "duo" => Ok(Self::Duo),
            _ => Err(paths::no_match(name, value)),
        }
    }
}

/// Whether the tenant has addresses and numbers told whole.
pub async fn shows_whole(app: &App, grant: &Grant) -> Result<bool, Error> {
    let settings = tenants::settings(app, &grant.tenant.id).await?;
    Ok(settings.flag("disable_management_api_sms_obfuscation"))
}

/// A phone's number, of which the last four digits show.
pub fn shown_number(factor: &Factor, whole: bool) -> Option<String> {
    let number = factor.address.as_deref().filter(|_| factor.kind == Kind::Phone)?;
    let hidden = number.chars().count().saturating_sub(4);
    let hide = |(at, char): (usize, char)| if at < hidden && !whole { '*' } else { char };
    Some(number.chars().enumerate().map(hide).collect())
}

/// An e-mail address, of which the first four characters of each part show, as recorded: `chuc****@exam*******`.
pub fn shown_address(factor: &Factor, whole: bool) -> Option<String> {
    let address = factor.address.as_deref().filter(|_| factor.kind == Kind::Email)?;
    if whole {
        return Some(address.to_owned());
    }
    let (local, domain) = address.rsplit_once('@').unwrap_or((address, ""));
    let part = |text: &str| {
        let shown = (text.chars().count() / 2).min(4);
        text.chars().enumerate().map(|(at, char)| if at < shown { char } else { '*' }).collect::<String>()
    };
    Some(format!("{}@{}", part(local), part(domain)))
}

/// Ends factors of a user in the batch, with the events and the letters that tell of it.
pub async fn end_factors(
    app: &App,
    grant: &Grant,
    batch: &mut Batch,
    mut user: User,
    all: &[Factor],
    gone: &[&Factor],
) -> Result<(), db::Error> {
    factors::ended(batch, &mut user, all, gone, app.clock.now());
    // Whoever takes away their own has sent and tried as much as before: each message costs.
    if user.multifactor.is_empty() && grant.reach == Reach::Everyone {
        attempts::reset(batch, &user.tenant, &user.id);
    }
    for factor in gone.iter().filter(|factor| factor.is_confirmed()) {
        let client = grant.caller.bearer().map(|bearer| &bearer.client);
        factors::notify(batch, app, &user, mail::Kind::FactorRemoved, factor.kind, client).await?;
        let event = grant.caller.of(app, logs::Kind::FactorRemoved).user(&user);
        logs::record(batch, event.details(json!({ "factor": factor.kind.as_str() })));
    }
    Ok(())
}

/// Ends what `ends` chooses of a user's factors. An unknown user is `missing`, or nobody whose factors could end.
pub async fn end(
    app: &App,
    grant: &Grant,
    id: &UserId,
    ends: impl Fn(&Factor) -> bool,
    missing: Option<Missing>,
) -> Result<NoContent, Error> {
    let tenant = &grant.tenant.id;
    let decide = async || {
        let found = grant.user(app, id).await?;
        let mut batch = Batch::new();
        match (found, missing) {
            (None, Some(missing)) => return Err(Error::NotFound(missing)),
            (None, None) => {}
            (Some(user), _) => {
                let all = factors::list(&app.db, tenant, id).await?;
                let gone: Vec<_> = all.iter().filter(|factor| ends(factor)).collect();
                if gone.is_empty() {
                    users::unchanged(&mut batch, &user);
                } else {
                    end_factors(app, grant, &mut batch, user, &all, &gone).await?;
                }
            }
        }
        grant.wrote(app, &mut batch, StatusCode::NO_CONTENT, &Value::Null);
        Ok::<_, Error>((batch, ()))
    };
    app.db.retry(decide).await?;
    Ok(NoContent)
}

/// `GET /users/{id}/enrollments`: the first confirmed one of the kinds that are listed.
///
/// # Errors
/// 404 `inexistent_user`.
pub async fn enrollments(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<UserId>,
) -> Result<Answer<Vec<Map<String, Value>>>, Error> {
    let tenant = &grant.tenant.id;
    grant.user(&app, &id).await?.ok_or(Error::NotFound(Missing::User))?;
    let whole = shows_whole(&app, &grant).await?;
    let listed = |factor: &&Factor| factor.protects() && factor.kind != Kind::Email;
    let all = factors::list(&app.db, tenant, &id).await?;
    Ok(Answer(all.iter().find(listed).map(|factor| enrollment(factor, whole)).into_iter().collect()))
}

fn enrollment(factor: &Factor, whole: bool) -> Map<String, Value> {
    let method = if factor.kind == Kind::Phone { "sms" } else { "authenticator" };
    let wire = json!({
        "id": factor.id,
        "status": "confirmed",
        "type": method,
        "name": factor.name.clone().unwrap_or_default(),
        "identifier": "",
        "phone_number": shown_number(factor, whole).unwrap_or_default(),
        "auth_method": method,
        "enrolled_at": factor.confirmed_at,
        "last_auth": factor.last_auth_at,
    });
    let Value::Object(mut wire) = wire else { return Map::new() };
    wire.retain(|_, value| !value.is_null());
    wire
}

/// `DELETE /users/{id}/multifactor/{provider}`: what the user has of this provider; nothing is fine too.
///
/// # Errors
/// 400 `invalid_uri`, 404 `inexistent_user`.
pub async fn remove_multifactor(
    State(app): State<App>,
    grant: Grant,
    Path((id, provider)): Path<(UserId, Provider)>,
) -> Result<NoContent, Error> {
    let ends = |factor: &Factor| provider == Provider::GoogleAuthenticator && factor.kind == Kind::Totp;
    end(&app, &grant, &id, ends, Some(Missing::User)).await
}

/// `DELETE /users/{id}/authenticators`: all that the user has.
pub async fn remove_authenticators(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<UserId>,
) -> Result<NoContent, Error> {
    end(&app, &grant, &id, |_| true, None).await
}

/// `POST /users/{id}/recovery-code-regeneration`: a new recovery code, which is told this once; the old one is over.
///
/// # Errors
/// 404 `inexistent_user`.
pub async fn regenerate_recovery_code(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<UserId>,
) -> Result<Answer<Value>, Error> {
    let tenant = &grant.tenant.id;
    let decide = async || {
        let user = users::find(&app.db, tenant, &id).await?.ok_or(Error::NotFound(Missing::User))?;
        let code = recovery_code::new(&app.random);
        let mut batch = Batch::new();
        users::unchanged(&mut batch, &user);
        recovery_code::replace(&mut batch, tenant, &Factor::recovery_code(&app, &id, &code));
        let client = grant.caller.bearer().map(|bearer| &bearer.client);
        let notice = mail::Kind::RecoveryCodeChanged;
        factors::notify(&mut batch, &app, &user, notice, Kind::RecoveryCode, client).await?;
        grant.wrote(&app, &mut batch, StatusCode::OK, &json!({ "recovery_code": Value::Null }));
        Ok::<_, Error>((batch, json!({ "recovery_code": code })))
    };
    Ok(Answer(app.db.retry(decide).await?))
}

/// `POST /users/{id}/multifactor/actions/invalidate-remember-browser`: the user is asked again in every browser.
pub async fn forget_browsers(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<UserId>,
) -> Result<NoContent, Error> {
    let mut batch = Batch::new();
    remembered::forget(&mut batch, &grant.tenant.id, &id);
    grant.wrote(&app, &mut batch, StatusCode::NO_CONTENT, &Value::Null);
    app.db.commit(batch).await?;
    Ok(NoContent)
}
