//! `/api/v2/jobs` (management contract §3.2).

mod exports;
mod imports;
mod verification_email;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use model::App;
use model::jobs::{self, Job, Status};
use serde_json::{Map, Value};

pub use verification_email::{SendVerification, create as send_verification};

use crate::access::Grant;
use crate::answers::{Answer, NoContent};
use crate::errors::{Error, Missing};
use crate::paths::{Parameter, Path};

pub use exports::{CreateExport, ExportField, create as create_export, downloads};
pub use imports::create as create_import;

/// The path of the one operation whose body may be larger than all others'. It counts its bytes itself.
pub const IMPORTS: &str = "/api/v2/jobs/users-imports";

/// `GET /jobs/{id}`: where a job stands, and where its file can be fetched.
///
/// # Errors
/// 400 `invalid_uri`, 404.
pub async fn get(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<JobId>,
) -> Result<Answer<Map<String, Value>>, Error> {
    let job = find(&app, &grant, &id).await?.ok_or(Error::NotFound(Missing::Job))?;
    let mut wire = job.to_wire(app.clock.now());
    if let Some(location) = exports::location(&app, &grant.tenant, &job) {
        wire.insert("location".into(), location.into());
    }
    Ok(Answer(wire))
}

/// `GET /jobs/{id}/errors`: the rows of an import that were refused, and why; or why the job as a whole failed.
///
/// # Errors
/// 400 `invalid_uri`, 404.
pub async fn errors(State(app): State<App>, grant: Grant, Path(id): Path<JobId>) -> Result<Response, Error> {
    let job = find(&app, &grant, &id).await?.ok_or(Error::NotFound(Missing::JobErrors))?;
    if job.progress.problem.is_some() {
        return Ok(Answer(job.to_wire(app.clock.now())).into_response());
    }
    let first = jobs::errors(&app.db, &job, -1).await?;
    if first.is_empty() {
        return Ok(NoContent.into_response());
    }
    Ok(list(app, job, first))
}

/// An array that is read and written a piece at a time.
fn list(app: App, job: Job, first: Vec<(i64, Map<String, Value>)>) -> Response {
    enum Next {
        Read(Vec<(i64, Map<String, Value>)>),
        End,
    }
    let pieces = stream::try_unfold((app, job, Next::Read(first), '['), async |(app, job, next, before)| {
        let Next::Read(errors) = next else { return Ok(None) };
        let Some((last, _)) = errors.last() else {
            return Ok(Some((String::from("]"), (app, job, Next::End, ']'))));
        };
        let last = *last;
        let mut text = String::new();
        let mut mark = before;
        for (_, error) in errors {
            text.push(mark);
            text.push_str(&Value::Object(error).to_string());
            mark = ',';
        }
        let more = jobs::errors(&app.db, &job, last).await?;
        Ok::<_, db::Error>(Some((text, (app, job, Next::Read(more), ','))))
    });
    let mut response = Response::new(Body::from_stream(pieces));
    *response.status_mut() = StatusCode::OK;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
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
        if is_made(value, "job_") {
            return Ok(Self(value.to_owned()));
        }
        let shown: String = value.chars().take(255).collect();
        Err(Error::InvalidUri(format!(
            "Path validation error: 'String does not match pattern ^job_[A-Za-z0-9]{{16}}$: {shown}' on property {name} (ID of the job)."
        )))
    }
}

fn is_connection_id(text: &str) -> bool {
    is_made(text, "con_")
}

/// A prefix and 16 alphanumerics.
fn is_made(text: &str, prefix: &str) -> bool {
    let rest = text.strip_prefix(prefix).unwrap_or_default();
    rest.len() == 16 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
}
