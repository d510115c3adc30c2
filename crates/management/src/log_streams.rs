//! `/api/v2/log-streams` (management contract §4.12).

use axum::extract::State;
use axum::http::StatusCode;
use db::Batch;
use model::log_streams::{self, LogStream};
use model::{App, Model, Timestamp};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::access::Grant;
use crate::answers::{Answer, NoContent};
use crate::documents::{Document, unfit};
use crate::errors::{Error, Missing};
use crate::paths::Path;
use crate::requests::Json;

type Object = Map<String, Value>;

/// The kinds of streams, and what their sinks must have.
const KINDS: [(&str, &[&str]); 8] = [
    ("http", &["httpEndpoint"]),
    ("eventbridge", &["awsAccountId", "awsRegion"]),
    ("eventgrid", &["azureSubscriptionId", "azureRegion", "azureResourceGroup"]),
    ("datadog", &["datadogApiKey", "datadogRegion"]),
    ("splunk", &["splunkDomain", "splunkPort", "splunkToken", "splunkSecure"]),
    ("sumo", &["sumoSourceAddress"]),
    ("segment", &["segmentWriteKey"]),
    (
        "mixpanel",
        &[
            "mixpanelRegion",
            "mixpanelProjectId",
            "mixpanelServiceAccountUsername",
            "mixpanelServiceAccountPassword",
        ],
    ),
];

const NAMES: &[&str] =
    &["http", "eventbridge", "eventgrid", "datadog", "splunk", "sumo", "segment", "mixpanel"];

/// Headers that the request has of its own.
const OURS: [&str; 7] = [
    "host",
    "content-length",
    "content-type",
    "transfer-encoding",
    "connection",
    "authorization",
    "user-agent",
];

/// The body of `POST /log-streams`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct CreateLogStream {
    /// log stream name
    #[schemars(length(max = 255))]
    pub name: Option<String>,
    /// What it goes to.
    #[schemars(extend("enum" = NAMES))]
    pub r#type: String,
    /// True for priority log streams, false for non-priority
    #[schemars(rename = "isPriority")]
    pub is_priority: Option<bool>,
    /// Only logs events matching these filters will be delivered by the stream. If omitted or empty, all events will be delivered.
    #[schemars(length(max = 100))]
    pub filters: Option<Vec<Filter>>,
    /// What of a person is masked.
    pub pii_config: Option<Pii>,
    /// Where exactly.
    pub sink: Sink,
    /// The optional datetime (ISO 8601) to start streaming logs from
    #[schemars(rename = "startFrom", length(max = 64))]
    pub start_from: Option<String>,
}

/// The body of `PATCH /log-streams/{id}`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct UpdateLogStream {
    /// log stream name
    #[schemars(length(max = 255))]
    pub name: Option<String>,
    /// The status of the log stream. Possible values: `active`, `paused`, `suspended`
    #[schemars(extend("enum" = ["active", "paused", "suspended"]))]
    pub status: Option<String>,
    /// True for priority log streams, false for non-priority
    #[schemars(rename = "isPriority")]
    pub is_priority: Option<bool>,
    /// Only logs events matching these filters will be delivered by the stream. If omitted or empty, all events will be delivered.
    #[schemars(length(max = 100))]
    pub filters: Option<Vec<Filter>>,
    /// What of a person is masked.
    pub pii_config: Option<Pii>,
    /// Where exactly.
    pub sink: Option<Sink>,
}

/// A category of events.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is looked at")]
pub struct Filter {
    #[schemars(extend("enum" = ["category"]))]
    r#type: Option<String>,
    #[schemars(extend("enum" = ["auth.login.fail", "auth.login.notification", "auth.login.success", "auth.logout.fail",
        "auth.logout.success", "auth.signup.fail", "auth.signup.success", "auth.silent_auth.fail", "auth.silent_auth.success",
        "auth.token_exchange.fail", "auth.token_exchange.success", "management.fail", "management.success", "scim.event",
        "system.notification", "user.fail", "user.notification", "user.success", "actions", "other", "security"]))]
    name: Option<String>,
}

/// What of a person is masked, and how.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is looked at")]
pub struct Pii {
    #[schemars(length(min = 1, max = 6), extend("items" = {"type": "string",
        "enum": ["first_name", "last_name", "username", "email", "phone", "address"]}))]
    log_fields: Vec<String>,
    #[schemars(extend("enum" = ["mask", "hash"]))]
    method: Option<String>,
    #[schemars(extend("enum" = ["xxhash"]))]
    algorithm: Option<String>,
}

/// A header of the operator's own.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is looked at")]
pub struct CustomHeader {
    #[schemars(length(max = 255))]
    header: Option<String>,
    #[schemars(length(max = 4096))]
    value: Option<String>,
}

/// Where a stream goes: each kind has its own of these.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[expect(dead_code, reason = "only its schema is looked at")]
pub struct Sink {
    #[schemars(length(max = 4096))]
    http_authorization: Option<String>,
    #[schemars(extend("enum" = ["JSONARRAY", "JSONLINES", "JSONOBJECT"]))]
    http_content_format: Option<String>,
    #[schemars(length(max = 255))]
    http_content_type: Option<String>,
    #[schemars(length(max = 2048), regex(pattern = r"^https://.*"))]
    http_endpoint: Option<String>,
    #[schemars(length(max = 20))]
    http_custom_headers: Option<Vec<CustomHeader>>,
    #[schemars(length(max = 255))]
    aws_account_id: Option<String>,
    #[schemars(length(max = 255))]
    aws_region: Option<String>,
    #[schemars(length(max = 255))]
    aws_partner_event_source: Option<String>,
    #[schemars(length(max = 255))]
    azure_subscription_id: Option<String>,
    #[schemars(length(max = 255))]
    azure_region: Option<String>,
    #[schemars(length(max = 255))]
    azure_resource_group: Option<String>,
    #[schemars(length(max = 255))]
    azure_partner_topic: Option<String>,
    #[schemars(length(max = 4096))]
    datadog_api_key: Option<String>,
    #[schemars(extend("enum" = ["us", "eu", "us3", "us5"]))]
    datadog_region: Option<String>,
    #[schemars(length(max = 255))]
    splunk_domain: Option<String>,
    #[schemars(length(max = 255))]
    splunk_port: Option<String>,
    #[schemars(length(max = 4096))]
    splunk_token: Option<String>,
    splunk_secure: Option<bool>,
    #[schemars(length(max = 2048))]
    sumo_source_address: Option<String>,
    #[schemars(length(max = 4096))]
    segment_write_key: Option<String>,
    #[schemars(extend("enum" = ["us", "eu"]))]
    mixpanel_region: Option<String>,
    #[schemars(length(max = 255))]
    mixpanel_project_id: Option<String>,
    #[schemars(length(max = 255))]
    mixpanel_service_account_username: Option<String>,
    #[schemars(length(max = 4096))]
    mixpanel_service_account_password: Option<String>,
}

/// `GET /log-streams`: an array, whatever was asked for.
pub async fn list(State(app): State<App>, grant: Grant) -> Result<Answer<Vec<Object>>, Error> {
    let found = log_streams::list(&app, &grant.tenant.id).await?;
    Ok(Answer(found.iter().map(LogStream::to_wire).collect()))
}

/// `GET /log-streams/{id}`.
///
/// # Errors
/// 404.
pub async fn get(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<String>,
) -> Result<Answer<Object>, Error> {
    Ok(Answer(load(&app, &grant, &id).await?.to_wire()))
}

/// `POST /log-streams`: 200, as recorded.
///
/// # Errors
/// 400 `invalid_body`, 409 for one too many.
pub async fn create(
    State(app): State<App>,
    grant: Grant,
    Json(mut body): Json<Document<CreateLogStream>>,
) -> Result<Answer<Object>, Error> {
    let tenant = &grant.tenant.id;
    let from = match body.keys.shift_remove("startFrom") {
        Some(text) => moment(text.as_str().unwrap_or_default())?,
        None => app.clock.now(),
    };
    let mut stream = LogStream::new(&app.random, &body.keys).map_err(unfit)?;
    fits(&app, &stream)?;
    if log_streams::list(&app, tenant).await?.len() >= log_streams::MOST {
        return Err(Error::AlreadyExists(
            "You have reached the maximum number of log streams for your account.",
        ));
    }
    let mut batch = Batch::new();
    log_streams::insert(&app, &mut batch, tenant, &mut stream, from);
    let answer = stream.to_wire();
    grant.wrote(&app, &mut batch, StatusCode::OK, &answer);
    app.db.commit(batch).await?;
    Ok(Answer(answer))
}

/// `PATCH /log-streams/{id}`: what it goes to never changes. A stream that was failing is tried at once.
///
/// # Errors
/// 400 `invalid_body`, 404.
pub async fn update(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<String>,
    Json(body): Json<Document<UpdateLogStream>>,
) -> Result<Answer<Object>, Error> {
    let decide = async || {
        let mut changed = load(&app, &grant, &id).await?.patched(&body.keys).map_err(unfit)?;
        fits(&app, &changed)?;
        let mut batch = Batch::new();
        log_streams::save(&app, &mut batch, &grant.tenant.id, &mut changed);
        let answer = changed.to_wire();
        grant.wrote(&app, &mut batch, StatusCode::OK, &answer);
        Ok::<_, Error>((batch, answer))
    };
    Ok(Answer(app.db.retry(decide).await?))
}

/// `DELETE /log-streams/{id}`; one that is not there is deleted already.
pub async fn delete(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<String>,
) -> Result<NoContent, Error> {
    let mut batch = Batch::new();
    log_streams::remove(&mut batch, &grant.tenant.id, &id);
    grant.wrote(&app, &mut batch, StatusCode::NO_CONTENT, &Value::Null);
    app.db.commit(batch).await?;
    Ok(NoContent)
}

/// Whether the sink is one of its kind, and goes where the server may go.
fn fits(app: &Model, stream: &LogStream) -> Result<(), Error> {
    let (_, wanted) = KINDS.iter().find(|(kind, _)| *kind == stream.kind).ok_or(Error::Internal)?;
    if let Some(missing) = wanted.iter().find(|name| !stream.sink.contains_key(**name)) {
        let text =
            format!("Payload validation error: 'Missing required property: {missing}' on property sink.");
        return Err(Error::InvalidBody(text.into()));
    }
    if let Some(url) = stream.of_sink("httpEndpoint") {
        app.net.check(url).map_err(|error| Error::InvalidBody(format!("httpEndpoint: {error}").into()))?;
    }
    let headers = stream.sink.get("httpCustomHeaders").and_then(Value::as_array);
    for header in headers.into_iter().flatten() {
        let name = header.get("header").and_then(Value::as_str).unwrap_or_default();
        let token = !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        if !token || OURS.contains(&&*name.to_ascii_lowercase()) {
            return Err(Error::InvalidBody("httpCustomHeaders: this is no header that can be set".into()));
        }
    }
    let texts = [stream.of_sink("httpAuthorization"), stream.of_sink("httpContentType")];
    let values = headers.into_iter().flatten().map(|header| header.get("value").and_then(Value::as_str));
    if values.chain(texts).flatten().any(|text| text.chars().any(char::is_control)) {
        return Err(Error::InvalidBody("sink: a header's value holds a control character".into()));
    }
    Ok(())
}

fn moment(text: &str) -> Result<Timestamp, Error> {
    Timestamp::parse(text)
        .ok_or_else(|| Error::InvalidBody("startFrom: this is no moment in ISO 8601".into()))
}

async fn load(app: &Model, grant: &Grant, id: &str) -> Result<LogStream, Error> {
    log_streams::load(app, &grant.tenant.id, id).await?.ok_or(Error::NotFound(Missing::LogStream))
}
