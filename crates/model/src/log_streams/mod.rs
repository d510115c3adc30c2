//! Where a tenant's log goes as it is written: the body of `/api/v2/log-streams` (management contract §4.12). Sinks hold secrets and
//! are sealed. Streams of type `http` are delivered; others are kept as they were given, for the tools that set them.

mod category;
mod deliver;

use db::{Batch, Row, params};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};

use crate::clock::Timestamp;
use crate::ids::TenantId;
use crate::random::Random;
use crate::seal::context;
use crate::{Model, document, logs};

pub use category::of as category;
pub use deliver::{SETTLED, deliver};

/// What stands in an answer for a password that is told to nobody.
const MASK: &str = "********";
/// The sink's key that answers mask.
const MASKED: &str = "mixpanelServiceAccountPassword";
/// The most streams of a tenant.
pub const MOST: usize = 50;

/// A stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogStream {
    /// `lst_` and 16 digits.
    #[serde(default)]
    pub id: String,
    /// What people call it.
    #[serde(default)]
    pub name: String,
    /// What it goes to; it never changes.
    #[serde(rename = "type")]
    pub kind: String,
    /// `active`, `paused`, or `suspended` after a week without success.
    #[serde(default = "active")]
    pub status: String,
    /// Where exactly, and the secrets for it.
    pub sink: Map<String, Json>,
    /// The categories that go there; all where it is absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<Json>,
    /// Whether it is for security events.
    #[serde(rename = "isPriority", default)]
    pub is_priority: bool,
    /// What of a person is masked on the way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pii_config: Option<Json>,
    /// The row's version.
    #[serde(skip)]
    pub version: i64,
}

/// The filters of a priority stream, whatever was asked for.
fn security() -> Vec<Json> {
    vec![json!({ "type": "category", "name": category::SECURITY })]
}

fn active() -> String {
    "active".into()
}

impl LogStream {
    /// A stream that `body` describes.
    ///
    /// # Errors
    /// Which value does not fit its field.
    pub fn new(random: &Random, body: &Map<String, Json>) -> Result<Self, serde_json::Error> {
        let mut stream: Self = serde_json::from_value(Json::Object(body.clone()))?;
        stream.id = format!("lst_{:016}", u64::from_be_bytes(random.bytes()) % 10_000_000_000_000_000);
        if stream.is_priority {
            stream.filters = security();
        }
        let partner = random.hex(32);
        match stream.kind.as_str() {
            "eventbridge" => {
                stream.sink.insert("awsPartnerEventSource".into(), format!("doorward/{partner}").into());
            }
            "eventgrid" => {
                stream.sink.insert("azurePartnerTopic".into(), format!("doorward-{partner}").into());
            }
            _ => {}
        }
        Ok(stream)
    }

    /// The stream after a PATCH: named keys are replaced. A password that answers mask stays unless the new sink names another.
    ///
    /// # Errors
    /// Which value does not fit its field.
    pub fn patched(&self, patch: &Map<String, Json>) -> Result<Self, serde_json::Error> {
        let mut stream: Self = document::patch(self, patch)?;
        let named = stream.sink.get(MASKED).is_some_and(|value| value != MASK);
        if let Some(kept) = self.sink.get(MASKED).filter(|_| !named && stream.kind == self.kind) {
            stream.sink.insert(MASKED.into(), kept.clone());
        }
        if stream.is_priority {
            stream.filters = security();
        } else if self.is_priority && !patch.contains_key("filters") {
            stream.filters = Vec::new();
        }
        stream.version = self.version;
        Ok(stream)
    }

    /// As answers show it.
    pub fn to_wire(&self) -> Map<String, Json> {
        let mut shown = self.clone();
        if let Some(password) = shown.sink.get_mut(MASKED) {
            *password = MASK.into();
        }
        document::object(&shown)
    }

    /// A text of the sink.
    pub fn of_sink(&self, name: &str) -> Option<&str> {
        self.sink.get(name)?.as_str()
    }
}

/// The tenant's streams, by their ids.
///
/// # Errors
/// When the database fails.
pub async fn list(app: &Model, tenant: &TenantId) -> Result<Vec<LogStream>, db::Error> {
    let sql = "SELECT id, sink, doc, version FROM log_streams WHERE tenant = $1 ORDER BY id LIMIT 1000";
    let rows = app.db.read(sql, params![tenant]).await?;
    rows.into_iter().map(|mut row| from_row(app, tenant, row.take()?, row)).collect()
}

/// A stream.
///
/// # Errors
/// When the database fails.
pub async fn load(app: &Model, tenant: &TenantId, id: &str) -> Result<Option<LogStream>, db::Error> {
    let sql = "SELECT id, sink, doc, version FROM log_streams WHERE tenant = $1 AND id = $2";
    let row = app.db.read_one(sql, params![tenant, id]).await?;
    row.map(|mut row| from_row(app, tenant, row.take()?, row)).transpose()
}

/// `sink`, `doc`, `version` of the stream with this id.
fn from_row(app: &Model, tenant: &TenantId, id: String, mut row: Row) -> Result<LogStream, db::Error> {
    let sealed: Vec<u8> = row.take()?;
    let mut doc: Map<String, Json> = row.take()?;
    let text = document::unseal(app, &place(tenant, &id), &sealed)?;
    let sink: Json = serde_json::from_str(&text)
        .map_err(|error| db::Error::Failed(format!("a stored sink does not parse: {error}")))?;
    doc.insert("sink".into(), sink);
    let mut stream: LogStream = document::parse(doc)?;
    stream.version = row.take()?;
    Ok(stream)
}

/// Writes a new stream. It begins with what is written from `from` on.
pub fn insert(app: &Model, batch: &mut Batch, tenant: &TenantId, stream: &mut LogStream, from: Timestamp) {
    stream.version = 1;
    batch
        .execute(
            "INSERT INTO log_streams (tenant, id, type, status, sink, doc, cursor, attempts, failing_since, next_at, version)
             VALUES ($1, $2, $3, $4, $5, $6, $7, 0, NULL, $8, 1)",
            params![
                tenant,
                &stream.id,
                &stream.kind,
                &stream.status,
                sealed(app, tenant, stream),
                document::column(stream, &["sink"]),
                logs::ids_from(from),
                app.clock.now()
            ],
        )
        .expect(1);
}

/// Writes a changed stream, which is then tried at once, unless somebody else has changed it since it was read.
pub fn save(app: &Model, batch: &mut Batch, tenant: &TenantId, stream: &mut LogStream) {
    let read = stream.version;
    stream.version += 1;
    batch
        .execute(
            "UPDATE log_streams SET status = $1, sink = $2, doc = $3, attempts = 0, failing_since = NULL, next_at = $4, version = $5
             WHERE tenant = $6 AND id = $7 AND version = $8",
            params![
                &stream.status,
                sealed(app, tenant, stream),
                document::column(stream, &["sink"]),
                app.clock.now(),
                stream.version,
                tenant,
                &stream.id,
                read
            ],
        )
        .expect(1);
}

/// Removes a stream, if it is there.
pub fn remove(batch: &mut Batch, tenant: &TenantId, id: &str) {
    batch.execute("DELETE FROM log_streams WHERE tenant = $1 AND id = $2", params![tenant, id]);
}

fn sealed(app: &Model, tenant: &TenantId, stream: &LogStream) -> Vec<u8> {
    let text = Json::Object(stream.sink.clone()).to_string();
    app.seal.seal(&place(tenant, &stream.id), text.as_bytes())
}

fn place(tenant: &TenantId, id: &str) -> String {
    context("log_streams", &[tenant.as_str(), id], "sink")
}
