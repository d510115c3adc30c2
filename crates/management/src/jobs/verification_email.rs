//! `POST /api/v2/jobs/verification-email` (management contract §3.2).

use axum::extract::State;
use axum::http::StatusCode;
use db::Batch;
use model::jobs::{self, Job, Kind, Status};
use model::mail::Kind as LetterKind;
use model::recovery::{self, Links};
use model::{App, ClientId, UserId, clients, tickets, users};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::access::Grant;
use crate::answers::Created;
use crate::errors::{Error, Missing};
use crate::requests::Json;
use crate::tickets::{TicketIdentity, identity};

/// The body of `POST /jobs/verification-email`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SendVerification {
    /// The user_id of the user to send the verification email to.
    #[schemars(length(max = 1024), extend("format" = "user-id"))]
    pub user_id: String,
    /// client_id of the client (application). If no value provided, the global Client ID will be used.
    #[schemars(extend("format" = "client-id"))]
    pub client_id: Option<String>,
    /// This must be provided to verify primary social, enterprise and passwordless email identities. Also, is needed to verify secondary identities.
    pub identity: Option<TicketIdentity>,
    /// (Optional) Organization ID – the ID of the Organization.
    #[schemars(length(max = 50))]
    pub organization_id: Option<String>,
}

/// `POST /jobs/verification-email`: sends a link that proves the user's address. The letter is queued with the job, which has
/// nothing left to do then; the answer is of the moment it was asked for.
///
/// # Errors
/// 404 `inexistent_user`, 400 for a user without an address, an unknown client, or an identity that is not theirs.
pub async fn create(
    State(app): State<App>,
    grant: Grant,
    Json(body): Json<SendVerification>,
) -> Result<Created<Map<String, Value>>, Error> {
    let tenant = &grant.tenant;
    if body.organization_id.is_some() {
        return Err(Error::InvalidBody("The organization does not exist".into()));
    }
    let client_id = body.client_id.as_deref().map(ClientId::from);
    if let Some(client_id) = &client_id
        && clients::find(&app, &tenant.id, client_id.as_str()).await?.is_none()
    {
        return Err(Error::InvalidBody("The client does not exist".into()));
    }
    let links = Links::of(&app, tenant, LetterKind::VerifyEmail, client_id.as_ref()).await?;
    let id = UserId::from(body.user_id.as_str());
    let decide = async || {
        let user = users::find(&app.db, &tenant.id, &id).await?.ok_or(Error::NotFound(Missing::User))?;
        let position = identity(&user, body.identity.as_ref())?.unwrap_or(0);
        if tickets::email_of(&user, position).is_none() {
            return Err(Error::InvalidBody("User does not have an email address.".into()));
        }
        let mut job = Job::new(&app, &tenant.id, Kind::VerificationEmail, Map::new());
        let answer = job.to_wire(app.clock.now());
        job.status = Status::Completed;
        let mut batch = Batch::new();
        users::unchanged(&mut batch, &user);
        jobs::insert(&mut batch, &job);
        recovery::queue_verification(&app, &mut batch, tenant, (&user, position), client_id.as_ref(), &links);
        grant.wrote(&app, &mut batch, StatusCode::CREATED, &answer);
        Ok::<_, Error>((batch, answer))
    };
    app.db.retry(decide).await.map(Created)
}
