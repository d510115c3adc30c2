//! `/api/v2/guardian/enrollments`: tickets that let a user enrol, and what was enrolled, by its own id.

use axum::extract::State;
use axum::http::StatusCode;
use db::Batch;
use model::factors::{self, Factor, tickets};
use model::mail::{self, Letter};
use model::{App, UserId, users};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::access::Grant;
use crate::answers::{Answer, NoContent};
use crate::errors::{Error, Missing};
use crate::paths::Path;
use crate::requests::Json;
use crate::users::{end_factors, shown_number};

/// The body of `POST /guardian/enrollments/ticket`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateTicket {
    /// user_id for the enrollment ticket
    #[schemars(length(min = 1, max = 1024), extend("format" = "user-id"))]
    pub user_id: String,
    /// alternate email to which the enrollment email will be sent. Optional - by default, the email will be sent to the user's default address
    #[schemars(extend("format" = "email"))]
    pub email: Option<String>,
    /// Send an email to the user to start the enrollment
    pub send_mail: Option<bool>,
    /// Optional. Specify the locale of the enrollment email. Used with send_email.
    #[schemars(length(max = 100))]
    pub email_locale: Option<String>,
    /// The factor to be enrolled.
    #[schemars(extend("enum" = ["push-notification", "phone", "email", "otp", "webauthn-roaming", "webauthn-platform"]))]
    pub factor: Option<String>,
    /// Optional. Allows a user who has previously enrolled in MFA to enroll with additional factors.
    pub allow_multiple_enrollments: Option<bool>,
}

/// `POST /guardian/enrollments/ticket`: a link for one user, and a letter with it if it is asked for.
///
/// # Errors
/// 400 `invalid_body`, 404 `inexistent_user`.
pub async fn create_ticket(
    State(app): State<App>,
    grant: Grant,
    Json(body): Json<CreateTicket>,
) -> Result<Answer<Value>, Error> {
    let tenant = &grant.tenant.id;
    let user_id = UserId::from(body.user_id.as_str());
    let decide = async || {
        let user = users::find(&app.db, tenant, &user_id).await?.ok_or(Error::NotFound(Missing::User))?;
        let mut batch = Batch::new();
        users::unchanged(&mut batch, &user);
        let many = body.allow_multiple_enrollments == Some(true);
        let id = tickets::create(&mut batch, &app, tenant, &user.id, body.factor.as_deref(), many);
        let url = format!("{}mfa/enrollment?ticket={id}", grant.tenant.issuer);
        let to = body.email.as_ref().or(user.email.as_ref()).filter(|_| body.send_mail == Some(true));
        if let Some(to) = to {
            let letter = Letter::new(mail::Kind::EnrollmentEmail, to).about(&user).with("link", url.as_str());
            mail::queue(&mut batch, &app, tenant, letter);
        }
        // The ticket is a secret, and the log is read by many.
        let noted = json!({ "ticket_id": Value::Null, "ticket_url": Value::Null });
        grant.wrote(&app, &mut batch, StatusCode::OK, &noted);
        Ok::<_, Error>((batch, json!({ "ticket_id": id, "ticket_url": url })))
    };
    Ok(Answer(app.db.retry(decide).await?))
}

/// `GET /guardian/enrollments/{id}`: what was enrolled.
///
/// # Errors
/// 404 `enrollment_not_found`.
pub async fn get_enrollment(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<String>,
) -> Result<Answer<Map<String, Value>>, Error> {
    let found = factors::find(&app.db, &grant.tenant.id, &id).await?;
    let factor = found.ok_or(Error::NotFound(Missing::Enrollment))?;
    let plain = crate::users::shows_whole(&app, &grant).await?;
    Ok(Answer(to_wire(&factor, plain)))
}

fn to_wire(factor: &Factor, plain: bool) -> Map<String, Value> {
    let mut wire = Map::new();
    let mut put = |key: &str, value: Value| {
        if !value.is_null() {
            wire.insert(key.to_owned(), value);
        }
    };
    put("id", factor.id.as_str().into());
    put("status", if factor.is_confirmed() { "confirmed" } else { "pending" }.into());
    put("name", factor.name.clone().into());
    put("phone_number", shown_number(factor, plain).into());
    put("enrolled_at", json!(factor.confirmed_at));
    put("last_auth", json!(factor.last_auth_at));
    wire
}

/// `DELETE /guardian/enrollments/{id}`: takes it away from its user.
///
/// # Errors
/// 404 `enrollment_not_found`.
pub async fn remove_enrollment(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<String>,
) -> Result<NoContent, Error> {
    let tenant = &grant.tenant.id;
    let found = factors::find(&app.db, tenant, &id).await?;
    let user_id = found.ok_or(Error::NotFound(Missing::Enrollment))?.user_id;
    let decide = async || {
        let missing = || Error::NotFound(Missing::Enrollment);
        let user = users::find(&app.db, tenant, &user_id).await?.ok_or_else(missing)?;
        let all = factors::list(&app.db, tenant, &user_id).await?;
        let gone: Vec<_> = all.iter().filter(|factor| factor.id == id).collect();
        if gone.is_empty() {
            return Err(missing());
        }
        let mut batch = Batch::new();
        end_factors(&app, &grant, &mut batch, user, &all, &gone).await?;
        grant.wrote(&app, &mut batch, StatusCode::NO_CONTENT, &Value::Null);
        Ok::<_, Error>((batch, ()))
    };
    app.db.retry(decide).await?;
    Ok(NoContent)
}
