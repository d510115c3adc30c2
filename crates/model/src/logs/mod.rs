//! Audit events, in the shape of Auth0's log entries (management contract §3.4).
//!
//! An event that tells of a change rides in the batch of that change ([`record`]). Events of issued tokens, reads and anonymous
//! refusals go through the bounded [`Queue`], so that they cost a request next to nothing. No password, secret or token is ever
//! part of an entry, nor waits in the queue: details are redacted when they are given.

mod event;
mod id;
mod kind;
mod list;
mod queue;
mod redact;

#[cfg(test)]
mod tests;

use db::{Batch, Db, Error, Row, params};
use serde_json::{Map, Value};

use crate::clock::Timestamp;
use crate::ids::TenantId;

pub use event::Event;
pub use id::{ids_from, is_id};
pub use kind::Kind;
pub use list::{LOGS, Page, Query, Sort, list, list_after, list_between};
pub use queue::{Counts, Queue, Share};
pub use redact::{MASK, excerpt, redact};

/// A stored event: the whole entry as it is answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry(Map<String, Value>);

impl Entry {
    /// The entry's id.
    pub fn id(&self) -> &str {
        self.0.get("log_id").and_then(Value::as_str).unwrap_or_default()
    }

    /// Its type.
    pub fn kind(&self) -> &str {
        self.0.get("type").and_then(Value::as_str).unwrap_or_default()
    }

    /// The item of `GET /logs`.
    pub fn to_wire(self) -> Map<String, Value> {
        self.0
    }
}

impl Entry {
    fn from_row(mut row: Row) -> Result<Self, Error> {
        row.take().map(Self)
    }
}

/// Writes an event together with what it tells of.
pub fn record(batch: &mut Batch, event: Event) {
    let id = event.next_id();
    insert(batch, &event, &id);
}

fn insert(batch: &mut Batch, event: &Event, id: &str) {
    let [user_id, client_id, connection, ip] = event.columns();
    batch
        .execute(
            "INSERT INTO logs (tenant, id, date, type, user_id, client_id, connection, ip, doc)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            params![
                event.tenant(),
                id,
                event.date(),
                event.kind().code(),
                user_id,
                client_id,
                connection,
                ip,
                event.to_entry(id),
            ],
        )
        .expect(1);
}

/// The entry with this id.
pub async fn find(db: &Db, tenant: &TenantId, id: &str) -> Result<Option<Entry>, Error> {
    let row = db.read_one("SELECT doc FROM logs WHERE tenant = $1 AND id = $2", params![tenant, id]);
    row.await?.map(Entry::from_row).transpose()
}

/// Deletes at most `most` entries that are older than `moment`, of all tenants, the oldest first; answers how many it were.
/// To be repeated while it answers `most`.
pub async fn remove_older_than(db: &Db, moment: Timestamp, most: u32) -> Result<u64, Error> {
    let mut batch = Batch::new();
    batch.execute(
        "DELETE FROM logs WHERE (tenant, id) IN
           (SELECT tenant, id FROM logs WHERE date < $1 ORDER BY date, tenant, id LIMIT $2)",
        params![moment, most],
    );
    Ok(db.commit(batch).await?.affected.first().copied().unwrap_or_default())
}
