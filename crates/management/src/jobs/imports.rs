//! `POST /jobs/users-imports`: a file of users comes in, part by part, and never as a whole into memory.

use axum::extract::Request;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use model::connections::{self, Connection};
use model::jobs::import::{Upload, Wanted};
use model::{App, Model};
use multer::{Field, Multipart};
use serde_json::{Map, Value, json};

use crate::access::Grant;
use crate::answers::Accepted;
use crate::errors::Error;

/// The longest field beside the file, in bytes.
const LONGEST_FIELD: usize = 1024;

/// What the form says beside the file.
#[derive(Default)]
struct Form {
    connection_id: Option<String>,
    upsert: bool,
    external_id: Option<String>,
    send_completion_email: bool,
}

/// `POST /jobs/users-imports`: takes the file of a new import. `largest` is the most bytes that the whole form may have.
///
/// # Errors
/// 400 for what is missing or malformed, 413, 429 while two imports run.
pub async fn create(
    app: App,
    grant: Grant,
    largest: u64,
    request: Request,
) -> Result<Accepted<Map<String, Value>>, Error> {
    if declared(request.headers()).is_some_and(|length| length > largest) {
        return Err(too_large(largest));
    }
    let boundary = request.headers().get(CONTENT_TYPE).and_then(|header| header.to_str().ok());
    let boundary = boundary.and_then(|header| multer::parse_boundary(header).ok()).ok_or_else(malformed)?;
    let limit = multer::SizeLimit::new().whole_stream(largest);
    let constraints = multer::Constraints::new().size_limit(limit);
    let mut form = Multipart::with_constraints(request.into_body().into_data_stream(), boundary, constraints);
    let mut upload = Upload::new(&app, &grant.tenant.id);
    let outcome = read(&app, &mut form, &mut upload, largest).await;
    let checked = match outcome {
        Ok((read, has_file)) => check(&app, &grant, read, has_file, &upload).await,
        Err(error) => Err(error),
    };
    let (fields, connection) = match checked {
        Ok(checked) => checked,
        Err(error) => {
            upload.abandon(&app).await;
            return Err(error);
        }
    };
    let mut told = Map::new();
    told.insert("connection_id".into(), connection.id.as_str().into());
    told.insert("connection".into(), connection.name.as_str().into());
    if let Some(external_id) = fields.external_id.filter(|id| !id.is_empty()) {
        told.insert("external_id".into(), external_id.into());
    }
    let now = app.clock.now();
    grant.caller.sent(&json!({ "upsert": fields.upsert, "external_id": told.get("external_id") }));
    let record = |batch: &mut db::Batch, job: &model::jobs::Job| {
        grant.wrote(&app, batch, StatusCode::ACCEPTED, &job.to_wire(now));
    };
    let Form { upsert, send_completion_email, .. } = fields;
    let made = upload.finish(&app, Wanted { told, upsert, send_completion_email }, record).await?;
    let job = made.map_err(|too_many| Error::TooManyJobs(too_many.to_string()))?;
    Ok(Accepted(job.to_wire(now)))
}

/// Reads the whole form. The file goes on to `upload`; whether there was one is the second answer.
async fn read(
    app: &Model,
    form: &mut Multipart<'_>,
    upload: &mut Upload,
    largest: u64,
) -> Result<(Form, bool), Error> {
    let refused = |error| refused(error, largest);
    let mut read = Form { send_completion_email: true, ..Form::default() };
    let mut has_file = false;
    while let Some(mut field) = form.next_field().await.map_err(refused)? {
        let name = field.name().unwrap_or_default().to_owned();
        match name.as_str() {
            "users" if has_file => return Err(malformed()),
            "users" => {
                has_file = true;
                while let Some(piece) = field.chunk().await.map_err(refused)? {
                    upload.push(app, &piece).await?;
                }
            }
            "connection_id" => read.connection_id = Some(text(&mut field, largest).await?),
            "upsert" => read.upsert = switch("upsert", &text(&mut field, largest).await?)?,
            "external_id" => read.external_id = Some(text(&mut field, largest).await?),
            "send_completion_email" => {
                read.send_completion_email =
                    switch("send_completion_email", &text(&mut field, largest).await?)?;
            }
            // The schema lets other fields be.
            _ => while field.chunk().await.map_err(refused)?.is_some() {},
        }
    }
    Ok((read, has_file))
}

/// What the form must have, in the published words.
async fn check(
    app: &App,
    grant: &Grant,
    read: Form,
    has_file: bool,
    upload: &Upload,
) -> Result<(Form, std::sync::Arc<Connection>), Error> {
    let refused = |text: &'static str| Err(Error::InvalidBody(text.into()));
    if !has_file {
        return refused("Must provide 'users' file as multipart part.");
    }
    if upload.is_empty() {
        return refused("Users file must not be empty.");
    }
    let Some(id) = read.connection_id.as_deref() else {
        return refused("Must provide 'connection_id' as multipart part.");
    };
    if !super::is_connection_id(id) {
        return refused(
            "Payload validation error: 'String does not match pattern ^con_[A-Za-z0-9]{16}$' on property connection_id.",
        );
    }
    let connection = connections::find(app, &grant.tenant.id, id).await?;
    let connection = connection.ok_or(Error::NamedConnectionNotFound)?;
    if !connection.is_database() {
        return refused("Connection must be a database connection.");
    }
    if !connection.is_active() {
        return refused("Connection must be enabled.");
    }
    Ok((read, connection))
}

async fn text(field: &mut Field<'_>, largest: u64) -> Result<String, Error> {
    let mut bytes = Vec::new();
    while let Some(piece) = field.chunk().await.map_err(|error| refused(error, largest))? {
        bytes.extend_from_slice(&piece);
        if bytes.len() > LONGEST_FIELD {
            return Err(malformed());
        }
    }
    String::from_utf8(bytes).ok().filter(|text| !text.contains('\0')).ok_or_else(malformed)
}

fn switch(name: &str, text: &str) -> Result<bool, Error> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(Error::InvalidBody(
            format!(
                "Payload validation error: 'Expected type boolean but found type string' on property {name}."
            )
            .into(),
        )),
    }
}

fn declared(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn malformed() -> Error {
    Error::InvalidBody("Payload validation error: 'Invalid multipart payload format'.".into())
}

fn too_large(largest: u64) -> Error {
    Error::BodyTooLarge(usize::try_from(largest).unwrap_or(usize::MAX))
}

fn refused(error: multer::Error, largest: u64) -> Error {
    match error {
        multer::Error::StreamSizeExceeded { .. } | multer::Error::FieldSizeExceeded { .. } => {
            too_large(largest)
        }
        _ => malformed(),
    }
}
