//! `/api/v2/users/{id}/authentication-methods`: second factors as an administrator sees and sets them (management contract §4.3).

use std::borrow::Cow;

use axum::extract::State;
use axum::http::StatusCode;
use db::Batch;
use model::factors::{self, Factor, Kind, totp};
use model::paging::{Page, Paging};
use model::users::{self, User};
use model::{App, UserId, logs, mail};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::factors::{end, end_factors, shown_address, shown_number, shows_whole};
use crate::access::Grant;
use crate::answers::{Answer, Created, NoContent};
use crate::errors::{Error, Missing};
use crate::lists::{Pages, Style};
use crate::paths::Path;
use crate::requests::{Json, Query};

const LIST: Style = Style::offsets("authenticators").from_zero();

/// The query of `GET /users/{id}/authentication-methods`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ListMethods {
    /// The page.
    #[serde(flatten)]
    pub pages: Pages,
}

/// The body of `POST /users/{id}/authentication-methods`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateMethod {
    /// The type.
    #[serde(rename = "type")]
    #[schemars(extend("enum" = ["phone", "email", "totp", "webauthn-roaming", "passkey"]))]
    pub kind: String,
    /// A human-readable label to identify the authentication method.
    #[schemars(length(max = 255))]
    pub name: Option<String>,
    /// Base32 encoded secret for TOTP generation.
    #[schemars(length(max = 256))]
    pub totp_secret: Option<String>,
    /// Applies to phone authentication methods only. The destination phone number used to send verification codes via text and voice.
    #[schemars(length(min = 2, max = 30))]
    pub phone_number: Option<String>,
    /// Applies to email authentication methods only. The email address used to send verification messages.
    #[schemars(extend("format" = "email"))]
    pub email: Option<String>,
    /// Applies to phone authentication methods only. The preferred communication method.
    #[schemars(extend("enum" = ["voice", "sms"]))]
    pub preferred_authentication_method: Option<String>,
    /// Applies to webauthn authentication methods only. The id of the credential.
    #[schemars(length(max = 2048))]
    pub key_id: Option<String>,
    /// Applies to webauthn authentication methods only. The public key, which is encoded as base64.
    #[schemars(length(max = 8192))]
    pub public_key: Option<String>,
    /// Applies to passkeys only. Authenticator Attestation Globally Unique Identifier.
    #[schemars(length(max = 64))]
    pub aaguid: Option<String>,
    /// Applies to webauthn authentication methods only. The relying party identifier.
    #[schemars(length(max = 255))]
    pub relying_party_identifier: Option<String>,
    /// Applies to passkeys only. The kind of device the credential is stored on.
    #[schemars(extend("enum" = ["single_device", "multi_device"]))]
    pub credential_device_type: Option<String>,
    /// Applies to passkeys only. Whether the credential was backed up.
    pub credential_backed_up: Option<bool>,
    /// Applies to passkeys only. The ID of the user identity linked with the authentication method.
    #[schemars(length(max = 255))]
    pub identity_user_id: Option<String>,
    /// Applies to passkeys only. The user-agent of the browser used to create the passkey.
    #[schemars(length(max = 1024))]
    pub user_agent: Option<String>,
    /// Applies to passkeys only. The user handle of the user identity.
    #[schemars(length(max = 255))]
    pub user_handle: Option<String>,
    /// Applies to passkeys only. The transports used by clients to communicate with the authenticator.
    #[schemars(length(max = 10), inner(length(max = 64)))]
    pub transports: Option<Vec<String>>,
}

/// One of the body of `PUT /users/{id}/authentication-methods`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetMethod {
    /// The type.
    #[serde(rename = "type")]
    #[schemars(extend("enum" = ["phone", "email", "totp"]))]
    pub kind: String,
    /// Applies to phone authentication methods only. The preferred communication method.
    #[schemars(extend("enum" = ["voice", "sms"]))]
    pub preferred_authentication_method: Option<String>,
    /// A human-readable label to identify the authentication method.
    #[schemars(length(min = 1, max = 20))]
    pub name: Option<String>,
    /// Applies to phone authentication methods only. The destination phone number used to send verification codes via text and voice.
    #[schemars(length(min = 2, max = 30))]
    pub phone_number: Option<String>,
    /// Applies to email authentication methods only. The email address used to send verification messages.
    #[schemars(extend("format" = "email"))]
    pub email: Option<String>,
    /// Applies to totp authentication methods only. The base32 encoded secret for TOTP generation.
    #[schemars(length(min = 1, max = 256))]
    pub totp_secret: Option<String>,
}

/// The body of `PUT /users/{id}/authentication-methods`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct SetMethods(#[schemars(length(max = 20))] pub Vec<SetMethod>);

/// The body of `PATCH /users/{id}/authentication-methods/{id}`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateMethod {
    /// A human-readable label to identify the authentication method.
    #[schemars(length(max = 255))]
    pub name: Option<String>,
    /// Applies to phone authentication methods only. The preferred communication method.
    #[schemars(extend("enum" = ["voice", "sms"]))]
    pub preferred_authentication_method: Option<String>,
}

impl UpdateMethod {
    /// Describes a factor as the body says: a preferred way is a phone's alone.
    pub(crate) fn apply(&self, factor: &mut Factor) {
        if self.name.is_some() {
            factor.name.clone_from(&self.name);
        }
        if self.preferred_authentication_method.is_some() && factor.kind == Kind::Phone {
            factor.preferred.clone_from(&self.preferred_authentication_method);
        }
    }
}

/// What a factor is made of.
struct New<'a> {
    kind: &'a str,
    name: Option<&'a String>,
    totp_secret: Option<&'a String>,
    phone_number: Option<&'a String>,
    email: Option<&'a String>,
    preferred: Option<&'a String>,
}

impl New<'_> {
    /// The factor, confirmed.
    ///
    /// # Errors
    /// 400 `invalid_body` when what its kind needs is missing, `operation_not_supported` for a kind that cannot be set here.
    fn factor(&self, app: &App, tenant: &model::TenantId, user: &User) -> Result<Factor, Error> {
        let Some(kind) = Kind::parse(self.kind) else {
            let refused = format!("Authentication methods of type {} cannot be set.", self.kind);
            return Err(Error::NotSupported(refused.into()));
        };
        let mut factor = Factor::confirmed(app, &user.id, kind);
        factor.name = self.name.cloned();
        let needed = |value: Option<&String>, name: &str| {
            let refused = format!("Payload validation error: 'Missing required property: {name}'.");
            value.cloned().ok_or(Error::InvalidBody(refused.into()))
        };
        Ok(match kind {
            Kind::Totp => {
                let secret = needed(self.totp_secret, "totp_secret")?;
                let seed = totp::decode(&secret).ok_or(Error::InvalidBody(Cow::Borrowed(
                    "Payload validation error: 'Object didn't pass validation for format base32' on property totp_secret.",
                )))?;
                factor.with_seed(app, tenant, &seed)
            }
            Kind::Email => factor.with_address(&needed(self.email, "email")?.to_lowercase()),
            Kind::Phone | Kind::RecoveryCode => {
                let number = needed(self.phone_number, "phone_number")?;
                if !is_number(&number) {
                    return Err(Error::InvalidBody(
                        format!("Payload validation error: 'Object didn't pass validation for format phone-number: {number}' on property phone_number.").into(),
                    ));
                }
                factor.preferred = Some(self.preferred.cloned().unwrap_or_else(|| "sms".to_owned()));
                factor.with_address(&number)
            }
        })
    }
}

/// E.164: a plus and up to fifteen digits.
fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or_default();
    (1..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether two factors are one method: an app there is once, an address and a number each.
fn is_same(one: &Factor, other: &Factor) -> bool {
    one.kind == other.kind && one.address == other.address
}

/// A factor as these operations answer it.
pub fn to_wire(factor: &Factor, whole: bool) -> Map<String, Value> {
    let mut wire = Map::new();
    let mut put = |key: &str, value: Value| {
        if !value.is_null() {
            wire.insert(key.to_owned(), value);
        }
    };
    put("id", factor.method_id().into());
    put("type", factor.kind.as_str().into());
    put("confirmed", factor.is_confirmed().into());
    put("name", factor.name.clone().into());
    put("email", shown_address(factor, whole).into());
    put("phone_number", shown_number(factor, whole).into());
    if factor.kind == Kind::Phone {
        put("preferred_authentication_method", factor.preferred.clone().into());
        let ways = ["sms", "voice"].map(|way| json!({ "id": format!("{way}|{}", factor.id), "type": way }));
        put("authentication_methods", ways.into_iter().collect());
    }
    put("created_at", json!(factor.created_at));
    put("enrolled_at", json!(factor.confirmed_at));
    put("last_auth_at", json!(factor.last_auth_at));
    wire
}

/// A factor as it is answered when it was just set: without the moments that are told of a method in use.
fn to_wire_as_set(factor: &Factor, whole: bool) -> Map<String, Value> {
    let mut wire = to_wire(factor, whole);
    wire.retain(|key, _| !["confirmed", "enrolled_at", "last_auth_at"].contains(&key.as_str()));
    wire
}

async fn owner(app: &App, grant: &Grant, id: &UserId) -> Result<User, Error> {
    users::find(&app.db, &grant.tenant.id, id).await?.ok_or(Error::NotFound(Missing::User))
}

/// Which of the user's factors an id of a path names: `totp|dev_…` or `dev_…`.
fn position(all: &[Factor], id: &str) -> Result<usize, Error> {
    let named = all.iter().position(|factor| factor.method_id() == id || factor.id == id);
    named.ok_or(Error::NotFound(Missing::AuthenticationMethod))
}

/// `GET /users/{id}/authentication-methods`.
///
/// # Errors
/// 400 `invalid_query_string`, 404 `inexistent_user`.
pub async fn list(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<UserId>,
    Query(query): Query<ListMethods>,
) -> Result<Answer<Value>, Error> {
    let paging = LIST.paging(&query.pages)?;
    let Paging::Offset { page, per_page, .. } = paging else { return Err(Error::Internal) };
    owner(&app, &grant, &id).await?;
    let whole = shows_whole(&app, &grant).await?;
    let all = factors::list(&app.db, &grant.tenant.id, &id).await?;
    let skipped = usize::try_from(u64::from(page) * u64::from(per_page)).unwrap_or(usize::MAX);
    let taken = usize::try_from(per_page).unwrap_or(usize::MAX);
    let items = all.iter().skip(skipped).take(taken).map(|factor| to_wire(factor, whole)).collect();
    let total = u64::try_from(all.len()).ok();
    Ok(Answer(LIST.answer(&paging, Page { items, total, next: None })))
}

/// `GET /users/{id}/authentication-methods/{authentication_method_id}`.
///
/// # Errors
/// 404 `inexistent_user`, or without a code for a method that the user does not have.
pub async fn get(
    State(app): State<App>,
    grant: Grant,
    Path((id, method)): Path<(UserId, String)>,
) -> Result<Answer<Map<String, Value>>, Error> {
    owner(&app, &grant, &id).await?;
    let whole = shows_whole(&app, &grant).await?;
    let all = factors::list(&app.db, &grant.tenant.id, &id).await?;
    Ok(Answer(to_wire(&all[position(&all, &method)?], whole)))
}

/// `POST /users/{id}/authentication-methods`: a confirmed one.
///
/// # Errors
/// 400 `invalid_body`, `operation_not_supported`; 403 for too many; 404 `inexistent_user`; 409 for one that is there.
pub async fn create(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<UserId>,
    Json(body): Json<CreateMethod>,
) -> Result<Created<Map<String, Value>>, Error> {
    let tenant = &grant.tenant.id;
    let whole = shows_whole(&app, &grant).await?;
    let new = New {
        kind: &body.kind,
        name: body.name.as_ref(),
        totp_secret: body.totp_secret.as_ref(),
        phone_number: body.phone_number.as_ref(),
        email: body.email.as_ref(),
        preferred: body.preferred_authentication_method.as_ref(),
    };
    let decide = async || {
        let mut user = owner(&app, &grant, &id).await?;
        let factor = new.factor(&app, tenant, &user)?;
        let all = factors::list(&app.db, tenant, &id).await?;
        if all.iter().any(|other| other.is_confirmed() && is_same(other, &factor)) {
            return Err(Error::AlreadyExists("Authentication method already exists."));
        }
        if all.len() >= factors::MOST {
            return Err(Error::TooManyMethods);
        }
        let answer = to_wire_as_set(&factor, whole);
        let mut batch = Batch::new();
        factors::enrolled(&mut batch, &mut user, app.clock.now());
        added(&app, &grant, &mut batch, &user, &factor).await?;
        grant.wrote(&app, &mut batch, StatusCode::CREATED, &answer);
        Ok::<_, Error>((batch, answer))
    };
    Ok(Created(app.db.retry(decide).await?))
}

/// Adds a factor in the batch, with the event and the letter that tell of it.
async fn added(
    app: &App,
    grant: &Grant,
    batch: &mut Batch,
    user: &User,
    factor: &Factor,
) -> Result<(), db::Error> {
    factors::insert(batch, &user.tenant, factor);
    tell_enrolled(app, grant, batch, user, (mail::Kind::FactorAdded, factor.kind)).await
}

/// Adds to the batch of an enrolment the letter and the event that tell of it, whoever made the call.
pub(crate) async fn tell_enrolled(
    app: &App,
    grant: &Grant,
    batch: &mut Batch,
    user: &User,
    (notice, kind): (mail::Kind, Kind),
) -> Result<(), db::Error> {
    let client = grant.caller.bearer().map(|bearer| &bearer.client);
    factors::notify(batch, app, user, notice, kind, client).await?;
    logs::record(batch, event(app, grant, user, logs::Kind::FactorEnrolled, kind));
    Ok(())
}

/// An event of this call about a factor.
pub(crate) fn event(app: &App, grant: &Grant, user: &User, what: logs::Kind, kind: Kind) -> logs::Event {
    grant.caller.of(app, what).user(user).details(json!({ "factor": kind.as_str() }))
}

/// `PUT /users/{id}/authentication-methods`: these in the place of all that the user has.
///
/// # Errors
/// 400 `invalid_body`, 404 `inexistent_user`, 409 for one that is there twice.
pub async fn set(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<UserId>,
    Json(SetMethods(body)): Json<SetMethods>,
) -> Result<Answer<Vec<Map<String, Value>>>, Error> {
    let tenant = &grant.tenant.id;
    let whole = shows_whole(&app, &grant).await?;
    let decide = async || {
        let mut user = owner(&app, &grant, &id).await?;
        let mut wanted: Vec<Factor> = Vec::new();
        for method in &body {
            let new = New {
                kind: &method.kind,
                name: method.name.as_ref(),
                totp_secret: method.totp_secret.as_ref(),
                phone_number: method.phone_number.as_ref(),
                email: method.email.as_ref(),
                preferred: method.preferred_authentication_method.as_ref(),
            };
            let factor = new.factor(&app, tenant, &user)?;
            if wanted.iter().any(|other| is_same(other, &factor)) {
                return Err(Error::AlreadyExists("Authentication method already exists."));
            }
            wanted.push(factor);
        }
        let all = factors::list(&app.db, tenant, &id).await?;
        let mut batch = Batch::new();
        end_factors(&app, &grant, &mut batch, user.clone(), &all, &all.iter().collect::<Vec<_>>()).await?;
        if !wanted.is_empty() {
            // The statement before has saved the user once.
            user.version += 1;
            factors::enrolled(&mut batch, &mut user, app.clock.now());
        }
        for factor in &wanted {
            added(&app, &grant, &mut batch, &user, factor).await?;
        }
        let answer: Vec<_> = wanted.iter().map(|factor| to_wire_as_set(factor, whole)).collect();
        grant.wrote(&app, &mut batch, StatusCode::OK, &answer);
        Ok::<_, Error>((batch, answer))
    };
    Ok(Answer(app.db.retry(decide).await?))
}

/// `PATCH /users/{id}/authentication-methods/{authentication_method_id}`: another name, another preferred way.
///
/// # Errors
/// 400 `invalid_body`, 404.
pub async fn update(
    State(app): State<App>,
    grant: Grant,
    Path((id, method)): Path<(UserId, String)>,
    Json(body): Json<UpdateMethod>,
) -> Result<Answer<Map<String, Value>>, Error> {
    let tenant = &grant.tenant.id;
    let whole = shows_whole(&app, &grant).await?;
    let decide = async || {
        let user = owner(&app, &grant, &id).await?;
        let mut all = factors::list(&app.db, tenant, &id).await?;
        let at = position(&all, &method)?;
        let factor = &mut all[at];
        body.apply(factor);
        let answer = to_wire_as_set(factor, whole);
        let mut batch = Batch::new();
        users::unchanged(&mut batch, &user);
        factors::describe(&mut batch, tenant, factor);
        grant.wrote(&app, &mut batch, StatusCode::OK, &answer);
        Ok::<_, Error>((batch, answer))
    };
    Ok(Answer(app.db.retry(decide).await?))
}

/// `DELETE /users/{id}/authentication-methods`: all that the user has.
pub async fn remove_all(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<UserId>,
) -> Result<NoContent, Error> {
    end(&app, &grant, &id, |_| true, None).await
}

/// `DELETE /users/{id}/authentication-methods/{authentication_method_id}`.
///
/// # Errors
/// 404 `inexistent_user`, or without a code for a method that the user does not have.
pub async fn remove(
    State(app): State<App>,
    grant: Grant,
    Path((id, method)): Path<(UserId, String)>,
) -> Result<NoContent, Error> {
    owner(&app, &grant, &id).await?;
    let all = factors::list(&app.db, &grant.tenant.id, &id).await?;
    let gone = all[position(&all, &method)?].id.clone();
    end(&app, &grant, &id, |factor| factor.id == gone, Some(Missing::User)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_a_plus_and_digits() {
        for good in ["+1", "+15551234567", "+123456789012345"] {
            assert!(is_number(good), "{good}");
        }
        for bad in ["", "+", "15551234567", "+1234567890123456", "+1 555", "+１２"] {
            assert!(!is_number(bad), "{bad}");
        }
    }
}
