//! `/me/v1/authentication-methods`: a person's own second factors. An enrolment begins with `POST`, which tells an `auth_session`, and
//! ends with `verify`, which takes it and what shows that the factor works.

use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use db::Batch;
use model::factors::attempts::{self, Limited};
use model::factors::sending::Destination;
use model::factors::{self, Factor, Kind, codes, recovery_code, totp};
use model::mail;
use model::self_service::{self, Change};
use model::tenants::Tenant;
use model::users::{self, User};
use model::{App, Timestamp, guardian, logs, sms, tenants};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{USAGE, person};
use crate::access::Grant;
use crate::answers::{Accepted, Answer, Created, NoContent};
use crate::errors::{Error, Missing};
use crate::paths::Path;
use crate::requests::{Json, Query};
use crate::self_service::rules::check_proof;
use crate::users::authentication_methods::{UpdateMethod, event, tell_enrolled};
use crate::users::factors::end;

/// Seconds that an enrolment may take.
const LIFETIME: i64 = 3600;

type Object = Map<String, Value>;

/// An answer that says where the method is.
type Located<T> = ([(HeaderName, String); 1], T);

/// The query of `GET /authentication-methods`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ListMethods {
    /// Filter authentication methods by type.
    #[serde(rename = "type")]
    #[schemars(extend("enum" = ["password", "passkey", "webauthn-platform", "webauthn-roaming", "totp", "phone", "email",
        "push-notification", "recovery-code"]))]
    pub kind: Option<String>,
}

/// The body of `POST /authentication-methods`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateMethod {
    /// Authentication method type (factor).
    #[serde(rename = "type")]
    #[schemars(extend("enum" = ["passkey", "totp", "push-notification", "recovery-code", "email", "phone", "password"]))]
    pub kind: String,
    /// The email address to use for sending one-time codes.
    #[schemars(extend("format" = "email"))]
    pub email: Option<String>,
    /// The phone number to use for sending one-time codes.
    #[schemars(length(max = 30))]
    pub phone_number: Option<String>,
    /// The preferred communication method.
    #[schemars(extend("enum" = ["sms", "voice"]))]
    pub preferred_authentication_method: Option<String>,
    /// The name of the connection.
    #[schemars(length(max = 255))]
    pub connection: Option<String>,
    /// The ID of the user identity.
    #[schemars(length(max = 255))]
    pub identity_user_id: Option<String>,
}

/// The body of `POST /authentication-methods/{id}/verify`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyMethod {
    /// The unique session identifier for the enrollment as returned by POST /authentication-methods.
    #[schemars(length(max = 1024))]
    pub auth_session: String,
    /// The one-time password code.
    #[schemars(length(max = 255))]
    pub otp_code: Option<String>,
}

impl CreateMethod {
    /// What is to be enrolled, and where its codes go.
    fn wanted(&self) -> Result<(Kind, Option<String>), Error> {
        let Some(kind) = Kind::parse(&self.kind) else {
            let refused = format!("Authentication methods of type {} cannot be enrolled.", self.kind);
            return Err(Error::NotSupported(refused.into()));
        };
        let of_phone = kind == Kind::Phone;
        let foreign = [
            ("email", self.email.is_some() && kind != Kind::Email),
            ("phone_number", self.phone_number.is_some() && !of_phone),
            ("preferred_authentication_method", self.preferred_authentication_method.is_some() && !of_phone),
            ("connection", self.connection.is_some()),
            ("identity_user_id", self.identity_user_id.is_some()),
        ];
        if let Some((name, _)) = foreign.into_iter().find(|(_, given)| *given) {
            return Err(invalid(&format!("Additional properties not allowed: {name}")));
        }
        match (kind, &self.email, &self.phone_number) {
            (Kind::Email, None, _) => Err(invalid("Missing required property: email")),
            (Kind::Phone, _, None) => Err(invalid("Missing required property: phone_number")),
            (Kind::Phone, _, Some(number)) => match sms::typed(number) {
                Some(number) => Ok((kind, Some(number))),
                None => {
                    let text = format!(
                        "Payload validation error: 'Object didn't pass validation for format phone-number: {number}' on property phone_number."
                    );
                    Err(Error::InvalidBody(text.into()))
                }
            },
            (_, email, _) => Ok((kind, email.as_ref().map(|email| email.to_lowercase()))),
        }
    }
}

fn invalid(problem: &str) -> Error {
    Error::InvalidBody(format!("Payload validation error: '{problem}'.").into())
}

/// A factor as its owner sees it.
fn to_wire(factor: &Factor) -> Object {
    let address = |kind: Kind| factor.address.as_ref().filter(|_| factor.kind == kind);
    let wire = json!({
        "id": factor.method_id(),
        "type": factor.kind.as_str(),
        "confirmed": factor.is_confirmed(),
        "name": factor.name,
        "email": address(Kind::Email),
        "phone_number": address(Kind::Phone),
        "preferred_authentication_method": factor.preferred,
        "usage": USAGE,
        "created_at": factor.created_at,
        "last_auth_at": factor.last_auth_at,
    });
    let Value::Object(mut wire) = wire else { return Map::new() };
    wire.retain(|_, value| !value.is_null());
    wire
}

/// Which of the person's own factors an id names: another's is as little there as one that never was.
fn position(all: &[Factor], id: &str) -> Result<usize, Error> {
    let named = all.iter().position(|factor| factor.method_id() == id);
    named.ok_or(Error::NotFound(Missing::AuthenticationMethod))
}

fn location(tenant: &Tenant, factor: &Factor) -> [(HeaderName, String); 1] {
    let id = factor.method_id().replace('|', "%7C");
    [(header::LOCATION, format!("{}me/v1/authentication-methods/{id}", tenant.issuer))]
}

/// `GET /authentication-methods`.
///
/// # Errors
/// 400 for an unknown type.
pub async fn list(
    State(app): State<App>,
    grant: Grant,
    Query(query): Query<ListMethods>,
) -> Result<Answer<Value>, Error> {
    let user = person(&app, &grant).await?;
    let all = factors::list(&app.db, &grant.tenant.id, &user.id).await?;
    let asked = |factor: &&Factor| query.kind.as_ref().is_none_or(|kind| kind == factor.kind.as_str());
    let methods: Vec<_> = all.iter().filter(asked).map(to_wire).collect();
    Ok(Answer(json!({ "authentication_methods": methods })))
}

/// `GET /authentication-methods/{authentication_method_id}`.
///
/// # Errors
/// 404.
pub async fn get(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<String>,
) -> Result<Answer<Object>, Error> {
    let user = person(&app, &grant).await?;
    let all = factors::list(&app.db, &grant.tenant.id, &user.id).await?;
    Ok(Answer(to_wire(&all[position(&all, &id)?])))
}

/// `POST /authentication-methods`: begins an enrolment, in the place of one of its kind that was under way.
///
/// Whoever has a second factor already adds another, or changes the recovery code, only with the proof that the self-service
/// policy asks for before one is removed: a factor that is added opens as much.
///
/// # Errors
/// 400 `invalid_body`, `operation_not_supported` for a kind that is not offered; 403 for too many or without the proof; 409 for one
/// that is there; 429 when too many codes were sent.
pub async fn create(
    State(app): State<App>,
    grant: Grant,
    Json(body): Json<CreateMethod>,
) -> Result<Located<Accepted<Object>>, Error> {
    let tenant = &grant.tenant.id;
    let (kind, address) = body.wanted()?;
    if !guardian::find(&app, tenant).await?.offers(kind) {
        let refused = format!("Authentication methods of type {} are not enabled.", kind.as_str());
        return Err(Error::NotSupported(refused.into()));
    }
    let (policy, settings) =
        (self_service::find(&app, tenant).await?, tenants::settings(&app, tenant).await?);
    let issuer = settings.friendly_name.as_deref().unwrap_or(&grant.tenant.name);
    let allowed = async |user: &User| {
        let all = factors::list(&app.db, tenant, &user.id).await?;
        let protected = all.iter().any(Factor::protects);
        if let Some(bearer) = grant.caller.bearer().filter(|_| protected) {
            check_proof(&policy, Change::RemoveFactor, bearer, app.clock.now())?;
        }
        let same = |other: &Factor| other.is_confirmed() && other.kind == kind && other.address == address;
        match kind {
            Kind::RecoveryCode if !protected => Err(Error::NotSupported(
                "A recovery code stands in for another factor: enroll one first.".into(),
            )),
            Kind::RecoveryCode => Ok(()),
            _ if all.iter().any(same) => Err(Error::AlreadyExists("Authentication method already exists.")),
            _ if all.len() >= factors::MOST => Err(Error::TooManyMethods),
            _ => Ok(()),
        }
    };
    let to = address.clone().map(|address| Destination { kind, address, enrolling: true });
    let peer = grant.caller.peer();
    if let Some(to) = &to {
        let user = person(&app, &grant).await?;
        allowed(&user).await?;
        if !to.admits(&app, tenant, &user.id, peer.ip).await? {
            app.audit.push(event(&app, &grant, &user, logs::Kind::FactorLimited, kind));
            return Err(Error::TooManyRequests(attempts::EVERY.unsigned_abs()));
        }
    }
    let decide = async || {
        let user = person(&app, &grant).await?;
        allowed(&user).await?;
        let auth_session = app.random.token();
        let mut factor = Factor::begin(&app, &user.id, kind, &auth_session);
        let mut batch = Batch::new();
        users::unchanged(&mut batch, &user);
        let mut answer = Map::new();
        match (kind, &to) {
            (_, Some(to)) => {
                // Kept for whoever reads it back: codes go by SMS.
                factor.preferred.clone_from(&body.preferred_authentication_method);
                factor = factor.with_address(&to.address);
                let code = codes::send(&mut batch, &app, tenant, &auth_session, &user.id, &to.address);
                let letter = to.letter(&user, code, peer);
                let letter = match grant.caller.bearer() {
                    Some(bearer) => letter.client(&bearer.client),
                    None => letter,
                };
                mail::queue(&mut batch, &app, tenant, letter);
                logs::record(&mut batch, event(&app, &grant, &user, to.event(), kind));
            }
            (Kind::RecoveryCode, _) => {
                let code = recovery_code::new(&app.random);
                factor = Factor::begin_recovery_code(&app, &user.id, &code, &auth_session);
                answer.insert("recovery_code".into(), code.into());
            }
            _ => {
                let seed = totp::new_seed(&app.random);
                factor = factor.with_seed(&app, tenant, &seed);
                let uri = totp::key_uri(issuer, &totp::account(&user), &seed);
                answer.insert("barcode_uri".into(), uri.into());
                answer.insert("manual_input_code".into(), totp::encode(&seed).into());
            }
        }
        factors::begin(&mut batch, tenant, &factor);
        answer.insert("id".into(), factor.method_id().into());
        answer.insert("auth_session".into(), auth_session.into());
        // What was made is told to the caller alone.
        grant.wrote(&app, &mut batch, StatusCode::ACCEPTED, &json!({ "id": factor.method_id() }));
        Ok::<_, Error>((batch, (location(&grant.tenant, &factor), Accepted(answer))))
    };
    app.db.retry(decide).await
}

/// `POST /authentication-methods/{authentication_method_id}/verify`: ends an enrolment. Its `auth_session` is good once.
///
/// # Errors
/// 400 `invalid_body`, `invalid_auth_session`, `invalid_otp_code`; 404; 429 when too many codes were tried.
pub async fn verify(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<String>,
    Json(body): Json<VerifyMethod>,
) -> Result<Located<Created<Object>>, Error> {
    let tenant = &grant.tenant.id;
    let under_way = async || {
        let user = person(&app, &grant).await?;
        let all = factors::list(&app.db, tenant, &user.id).await?;
        let factor = all[position(&all, &id)?].clone();
        let over = factor.created_at.plus_seconds(LIFETIME) <= app.clock.now();
        if over || !factor.is_pending_for(&body.auth_session) {
            return Err(Error::InvalidAuthSession);
        }
        Ok((user, all, factor))
    };
    let (user, _, factor) = under_way().await?;
    let code = body.code(factor.kind)?;
    if code.is_some() && !attempts::take(&app, tenant, &user.id, Limited::Check).await? {
        app.audit.push(event(&app, &grant, &user, logs::Kind::FactorLimited, factor.kind));
        return Err(Error::TooManyRequests(attempts::EVERY.unsigned_abs()));
    }
    if factor.address.is_some() && !codes::try_once(&app, tenant, &body.auth_session).await? {
        return Err(Error::InvalidOtpCode);
    }
    let decide = async || {
        let ((mut user, all, mut factor), now) = (under_way().await?, app.clock.now());
        let mut batch = Batch::new();
        let notice = if factor.kind == Kind::RecoveryCode {
            if !all.iter().any(Factor::protects) {
                return Err(Error::InvalidAuthSession);
            }
            users::unchanged(&mut batch, &user);
            recovery_code::confirm(&mut batch, tenant, &factor, now);
            mail::Kind::RecoveryCodeChanged
        } else {
            let code = code.as_deref().unwrap_or_default();
            let step = prove(&app, &mut batch, &user, &factor, &body.auth_session, code, now).await?;
            factors::enrolled(&mut batch, &mut user, now);
            factors::confirm(&mut batch, tenant, &factor, step, now);
            mail::Kind::FactorAdded
        };
        tell_enrolled(&app, &grant, &mut batch, &user, (notice, factor.kind)).await?;
        (factor.confirmed_at, factor.last_auth_at) = (Some(now), Some(now));
        let answer = to_wire(&factor);
        grant.wrote(&app, &mut batch, StatusCode::CREATED, &answer);
        Ok((batch, (location(&grant.tenant, &factor), Created(answer))))
    };
    let verified = app.db.retry(decide).await;
    if matches!(verified, Err(Error::InvalidOtpCode)) {
        app.audit.push(event(&app, &grant, &user, logs::Kind::FactorFailed, factor.kind));
    }
    verified
}

impl VerifyMethod {
    /// The code that an enrolment of this kind ends with; that of a recovery code takes none.
    fn code(&self, kind: Kind) -> Result<Option<String>, Error> {
        match (&self.otp_code, kind) {
            (None, Kind::RecoveryCode) => Ok(None),
            (Some(_), Kind::RecoveryCode) => Err(invalid("Additional properties not allowed: otp_code")),
            (None, _) => Err(invalid("Missing required property: otp_code")),
            (Some(code), _) => totp::typed(code).ok_or(Error::InvalidOtpCode).map(Some),
        }
    }
}

/// Checks the code of an authenticator app, or spends the one that was sent; answers the app's time step.
async fn prove(
    app: &App,
    batch: &mut Batch,
    user: &User,
    factor: &Factor,
    auth_session: &str,
    code: &str,
    now: Timestamp,
) -> Result<i64, Error> {
    let tenant = &user.tenant;
    if factor.kind == Kind::Totp {
        let seed = factor.seed(app, tenant)?;
        return factor.step_of(&seed, code, now).ok_or(Error::InvalidOtpCode);
    }
    let sent = codes::find(&app.db, tenant, auth_session).await?.filter(|sent| {
        sent.user_id == user.id
            && Some(&sent.address) == factor.address.as_ref()
            && sent.is(auth_session, code, now)
    });
    codes::spend(batch, tenant, auth_session, &sent.ok_or(Error::InvalidOtpCode)?);
    Ok(0)
}

/// `PATCH /authentication-methods/{authentication_method_id}`: another name, another preferred way.
///
/// # Errors
/// 400 `invalid_body`, 404.
pub async fn update(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<String>,
    Json(body): Json<UpdateMethod>,
) -> Result<Answer<Object>, Error> {
    let tenant = &grant.tenant.id;
    let decide = async || {
        let user = person(&app, &grant).await?;
        let mut all = factors::list(&app.db, tenant, &user.id).await?;
        let at = position(&all, &id)?;
        let factor = &mut all[at];
        body.apply(factor);
        let answer = to_wire(factor);
        let mut batch = Batch::new();
        users::unchanged(&mut batch, &user);
        factors::describe(&mut batch, tenant, factor);
        grant.wrote(&app, &mut batch, StatusCode::OK, &answer);
        Ok::<_, Error>((batch, answer))
    };
    Ok(Answer(app.db.retry(decide).await?))
}

/// `DELETE /authentication-methods/{authentication_method_id}`.
///
/// # Errors
/// 403 without the proof that the self-service policy asks for, 404.
pub async fn remove(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<String>,
) -> Result<NoContent, Error> {
    let user = person(&app, &grant).await?;
    let all = factors::list(&app.db, &grant.tenant.id, &user.id).await?;
    let gone = all[position(&all, &id)?].id.clone();
    end(&app, &grant, &user.id, |factor| factor.id == gone, None).await
}
