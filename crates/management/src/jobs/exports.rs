//! `POST /jobs/users-exports`, and the download of what an export wrote.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, RawQuery, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use db::Batch;
use futures_util::stream;
use model::connections;
use model::jobs::export::{self, Field, Format, MOST_CSV_FIELDS};
use model::jobs::{self, Job, Kind, Status};
use model::tenants::Tenant;
use model::{App, Timestamp};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use crate::access::Grant;
use crate::answers::Answer;
use crate::errors::Error;
use crate::requests::Json;

/// Seconds that a download's address is good for.
const GOOD_FOR: i64 = 60;

/// What a download's ticket is sealed for.
const PURPOSE: &str = "download of an export";

const PATH: &str = "/downloads/users-exports";

/// The body of `POST /jobs/users-exports`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateExport {
    /// connection_id of the connection from which users will be exported.
    #[schemars(regex(pattern = r"^con_[A-Za-z0-9]{16}$"))]
    pub connection_id: Option<String>,
    /// Format of the file. Must be json or csv.
    #[schemars(extend("enum" = ["json", "csv"]))]
    pub format: Option<String>,
    /// Limit the number of records.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub limit: Option<u64>,
    /// List of fields to be included in the CSV. Defaults to a predefined set of fields.
    #[schemars(length(max = 200))]
    pub fields: Option<Vec<ExportField>>,
}

/// A field of an export.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExportField {
    /// Name of the field in the profile.
    #[schemars(length(max = 100))]
    pub name: String,
    /// Title of the column in the exported CSV.
    #[schemars(length(max = 100))]
    pub export_as: Option<String>,
}

/// `POST /jobs/users-exports`: a new export waits for its turn.
///
/// # Errors
/// 400 `invalid_body`, `inexistent_connection`.
pub async fn create(
    State(app): State<App>,
    grant: Grant,
    Json(body): Json<CreateExport>,
) -> Result<Answer<Map<String, Value>>, Error> {
    let tenant = &grant.tenant.id;
    let connection = match &body.connection_id {
        Some(id) => Some(connections::find(&app, tenant, id).await?.ok_or(Error::NamedConnectionNotFound)?),
        None => None,
    };
    check_fields(&body)?;
    let fields = body.fields.as_ref().map(|fields| fields.iter().map(told_field).collect::<Value>());
    let connection = connection.as_ref().map(|connection| (connection.id.as_str(), connection.name.as_str()));
    let told = export::told(connection, body.format.as_deref(), body.limit, fields.as_ref());
    let job = Job::new(&app, tenant, Kind::UsersExport, told);
    let answer = job.to_wire(app.clock.now());
    let mut batch = Batch::new();
    jobs::insert(&mut batch, &job);
    grant.wrote(&app, &mut batch, StatusCode::OK, &answer);
    app.db.commit(batch).await?;
    Ok(Answer(answer))
}

fn told_field(field: &ExportField) -> Value {
    let mut told = json!({ "name": field.name });
    if let Some(export_as) = &field.export_as {
        told["export_as"] = export_as.as_str().into();
    }
    told
}

fn check_fields(body: &CreateExport) -> Result<(), Error> {
    let is_csv = body.format.as_deref().and_then(Format::parse) == Some(Format::Csv);
    let refused = |problem: String, property: String| {
        Error::InvalidBody(format!("Payload validation error: '{problem}' on property {property}.").into())
    };
    let fields = body.fields.as_deref().unwrap_or_default();
    if is_csv && fields.len() > MOST_CSV_FIELDS {
        let problem = format!("Array is too long ({}), maximum {MOST_CSV_FIELDS}", fields.len());
        return Err(refused(problem, "fields".into()));
    }
    for (place, field) in fields.iter().enumerate() {
        let property = || format!("fields[{place}].name");
        let read = Field::parse(&field.name, field.export_as.as_deref());
        let read = read.map_err(|error| refused(error.to_string(), property()))?;
        if is_csv && read.is_whole_metadata() {
            let problem = format!("{} as a whole cannot be exported as csv", field.name);
            return Err(refused(problem, property()));
        }
    }
    Ok(())
}

/// Where the file of a job can be fetched for the next minute, once it is whole.
pub fn location(app: &App, tenant: &Tenant, job: &Job) -> Option<String> {
    if job.kind != Kind::UsersExport || job.status != Status::Completed {
        return None;
    }
    let end = app.clock.now().plus_seconds(GOOD_FOR).millis();
    let ticket = app.seal.seal_text(PURPOSE, &json!([tenant.id, job.id, end]).to_string());
    Some(format!("{}{}?ticket={ticket}", tenant.issuer, &PATH[1..]))
}

/// The route of downloads. It is outside of `/api/v2`: what opens it is the ticket in the address.
pub fn downloads() -> Router<App> {
    Router::new().route(PATH, get(download))
}

/// `GET /downloads/users-exports?ticket=…`: the file.
async fn download(
    State(app): State<App>,
    Extension(tenant): Extension<Arc<Tenant>>,
    RawQuery(query): RawQuery,
) -> Response {
    let query = query.unwrap_or_default();
    let ticket = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "ticket");
    let ticket = ticket.map(|(_, ticket)| ticket).unwrap_or_default();
    let Some(id) = admitted(&app, &tenant, &ticket) else {
        return (
            StatusCode::FORBIDDEN,
            "This link is not valid, or no longer. Ask for the job again to get a new one.",
        )
            .into_response();
    };
    match jobs::find(&app.db, &tenant.id, &id).await {
        Ok(Some(job)) if job.status == Status::Completed => file(app, &tenant, job),
        Ok(_) => StatusCode::NOT_FOUND.into_response(),
        Err(error) => Error::from(error).into_response(),
    }
}

/// The job that a ticket opens here and now.
fn admitted(app: &App, tenant: &Tenant, ticket: &str) -> Option<String> {
    let opened = app.seal.open_text(PURPOSE, ticket).ok()?;
    let (whose, job, end): (String, String, i64) = serde_json::from_str(&opened).ok()?;
    (whose == tenant.id.as_str() && app.clock.now() <= Timestamp::from_millis(end)).then_some(job)
}

/// The pieces of the file, one at a time. An error cuts the answer short, which its checksum tells.
fn file(app: App, tenant: &Tenant, job: Job) -> Response {
    let name = format!("attachment; filename=\"{}.{}.gz\"", tenant.id, Format::of(&job).ending());
    let pieces = stream::try_unfold((app, job, 0), async |(app, job, number)| {
        let piece = export::piece(&app, &job, number).await?;
        Ok::<_, db::Error>(piece.map(|piece| (piece, (app, job, number + 1))))
    });
    let mut response = Response::new(Body::from_stream(pieces));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/gzip"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    if let Ok(name) = HeaderValue::try_from(name) {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    response
}
