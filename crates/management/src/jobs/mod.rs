//! `/api/v2/jobs` (management contract §3.2).

use axum::extract::State;
use model::App;
use model::jobs::{self, Job, Status};
use serde_json::{Map, Value};

use crate::access::Grant;
use crate::answers::Answer;
use crate::errors::{Error, Missing};
use crate::paths::{Parameter, Path};

/// `GET /jobs/{id}`: where a job stands.
///
/// # Errors
/// 400 `invalid_uri`, 404.
pub async fn get(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<JobId>,
) -> Result<Answer<Map<String, Value>>, Error> {
    let job = find(&app, &grant, &id).await?.ok_or(Error::NotFound(Missing::Job))?;
    Ok(Answer(job.to_wire(app.clock.now())))
}

/// The job, once its file came in whole.
async fn find(app: &App, grant: &Grant, id: &JobId) -> Result<Option<Job>, Error> {
    let job = jobs::find(&app.db, &grant.tenant.id, &id.0).await?;
    Ok(job.filter(|job| job.status != Status::Uploading))
}

/// A job's id: `job_` and 16 alphanumerics.
#[derive(Clone, Debug)]
pub struct JobId(pub String);

impl Parameter for JobId {
    fn read(name: &str, value: &str) -> Result<Self, Error> {
        let rest = value.strip_prefix("job_").unwrap_or_default();
        if rest.len() == 16 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Ok(Self(value.to_owned()));
        }
        let shown: String = value.chars().take(255).collect();
        Err(Error::InvalidUri(format!(
            "Path validation error: 'String does not match pattern ^job_[A-Za-z0-9]{{16}}$: {shown}' on property {name} (ID of the job)."
        )))
    }
}
