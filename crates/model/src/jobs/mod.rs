//! Jobs: what runs beside the requests and tells how far it is (management contract §3.2).
//!
//! A job is a row that says what was asked for and how far it is. Whoever runs it holds a lease and goes on in steps, each one
//! batch that writes rows together with the progress they make: a step is done once, whoever is killed meanwhile.

pub mod export;
pub mod import;
mod runner;
mod store;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::Model;
use crate::clock::Timestamp;
use crate::ids::TenantId;

pub use runner::{run_next, step_next};
pub use store::{errors, find, insert};

/// Seconds that all of a job is kept after it was made.
pub const KEPT: i64 = 24 * 3600;

/// A job.
#[derive(Clone, Debug)]
pub struct Job {
    /// Whose it is. Never changes.
    pub tenant: TenantId,
    /// `job_` and 16 alphanumerics. Never changes.
    pub id: String,
    /// What it does. Never changes.
    pub kind: Kind,
    /// Where it stands.
    pub status: Status,
    /// What was asked for, as it is told. Never changes.
    pub doc: Map<String, Value>,
    /// How far it is.
    pub progress: Progress,
    /// Never changes.
    pub created_at: Timestamp,
    /// Which of the tenant's places it holds, if it is of a kind that has few.
    pub(crate) slot: Option<i64>,
    /// Counts the writes: whoever runs a job finds out by it that another took over.
    pub(crate) version: i64,
}

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Users come in.
    UsersImport,
    /// Users go out.
    UsersExport,
    /// One mail is sent.
    VerificationEmail,
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Its file is still coming in: to its caller it is not there yet.
    Uploading,
    /// It waits for its turn.
    Pending,
    /// It runs.
    Processing,
    /// It is done.
    Completed,
    /// It ended before it was done.
    Failed,
}

/// How far a job is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Progress {
    /// Rows that are through, whatever came of them.
    pub done: u64,
    /// All rows, once they are counted.
    pub total: u64,
    /// Rows that made a user.
    pub inserted: u64,
    /// Rows that changed a user.
    pub updated: u64,
    /// Rows that were refused.
    pub failed: u64,
    /// Pieces of the file that are there.
    pub parts: u64,
    /// Of an import: the piece at hand, and how many of its rows are through.
    pub part: u64,
    /// See `part`.
    pub row: u64,
    /// Of an import: whether users who are there already are changed.
    pub upsert: bool,
    /// Of an import: whether the administrators are told of its end.
    pub send_completion_email: bool,
    /// Of an export: the last user in the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Of an export: the checksum and the length of the file before it is compressed.
    pub checksum: u32,
    /// See `checksum`.
    pub bytes: u64,
    /// When it was first taken up, in milliseconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<i64>,
    /// Why it failed, as its caller is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl Job {
    /// A new job that waits for its turn; `doc` is told before its id and its moment, in this order.
    pub fn new(app: &Model, tenant: &TenantId, kind: Kind, doc: Map<String, Value>) -> Self {
        Self {
            tenant: tenant.clone(),
            id: format!("job_{}", app.random.alphanumeric(16)),
            kind,
            status: Status::Pending,
            doc,
            progress: Progress::default(),
            created_at: app.clock.now(),
            slot: None,
            version: 1,
        }
    }

    /// Whether it has ended.
    pub fn is_over(&self) -> bool {
        matches!(self.status, Status::Completed | Status::Failed)
    }

    /// The job as it is told; where its file can be fetched is added by who knows it.
    pub fn to_wire(&self, now: Timestamp) -> Map<String, Value> {
        let mut wire = Map::new();
        wire.insert("type".to_owned(), self.kind.name().into());
        wire.insert("status".to_owned(), self.status.name().into());
        wire.extend(self.doc.clone());
        wire.insert("created_at".to_owned(), self.created_at.iso().into());
        wire.insert("id".to_owned(), self.id.as_str().into());
        if self.kind == Kind::VerificationEmail {
            return wire;
        }
        let Progress { done, total, inserted, updated, failed, .. } = self.progress;
        if matches!(self.status, Status::Processing | Status::Completed) {
            wire.insert("percentage_done".to_owned(), self.percentage().into());
            wire.insert("time_left_seconds".to_owned(), self.seconds_left(now).into());
        }
        if self.kind == Kind::UsersImport && self.is_over() {
            let total = total.max(done);
            let summary =
                json!({ "failed": failed, "updated": updated, "inserted": inserted, "total": total });
            wire.insert("summary".to_owned(), summary);
        }
        if let Some(problem) = &self.progress.problem {
            wire.insert("status_details".to_owned(), problem.as_str().into());
        }
        wire
    }

    fn percentage(&self) -> u64 {
        let Progress { done, total, .. } = self.progress;
        if self.status == Status::Completed {
            return 100;
        }
        // It is done when its last step says so, not when the last row is.
        (done * 100).checked_div(total).unwrap_or(0).min(99)
    }

    /// Seconds until it is done, if it goes on as it went.
    fn seconds_left(&self, now: Timestamp) -> u64 {
        let Progress { done, total, started_at, .. } = self.progress;
        if self.status == Status::Completed {
            return 0;
        }
        let millis = started_at.map_or(0, |start| now.millis().saturating_sub(start).max(0));
        let left = total.saturating_sub(done);
        let millis = u64::try_from(millis).unwrap_or(0).saturating_mul(left).checked_div(done).unwrap_or(0);
        millis.div_ceil(1000)
    }
}

impl Kind {
    /// The `type` on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::UsersImport => "users_import",
            Self::UsersExport => "users_export",
            Self::VerificationEmail => "verification_email",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        [Self::UsersImport, Self::UsersExport, Self::VerificationEmail]
            .into_iter()
            .find(|kind| kind.name() == name)
    }
}

impl Status {
    /// The `status` on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Uploading => "uploading",
            Self::Pending => "pending",
            Self::Processing => "processing",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        [Self::Uploading, Self::Pending, Self::Processing, Self::Completed, Self::Failed]
            .into_iter()
            .find(|status| status.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn import(status: Status, progress: Progress) -> Job {
        Job {
            tenant: "t".into(),
            id: "job_0000000000000001".into(),
            kind: Kind::UsersImport,
            status,
            doc: Map::from_iter([("connection_id".to_owned(), json!("con_1"))]),
            progress,
            created_at: Timestamp::from_millis(0),
            slot: None,
            version: 1,
        }
    }

    #[test]
    fn a_job_that_waits_tells_nothing_of_progress() {
        let wire = import(Status::Pending, Progress::default()).to_wire(Timestamp::from_millis(0));
        assert_eq!(
            Value::Object(wire).to_string(),
            r#"{"type":"users_import","status":"pending","connection_id":"con_1","created_at":"1970-01-01T00:00:00.000Z","id":"job_0000000000000001"}"#
        );
    }

    #[test]
    fn a_running_job_tells_how_far_it_is_and_how_long_it_will_take() {
        let told = |done: u64, total: u64, after: i64| {
            let progress = Progress { done, total, started_at: Some(1000), ..Progress::default() };
            let wire = import(Status::Processing, progress).to_wire(Timestamp::from_millis(1000 + after));
            (wire["percentage_done"].as_u64().unwrap(), wire["time_left_seconds"].as_u64().unwrap())
        };
        assert_eq!(told(0, 0, 0), (0, 0));
        assert_eq!(told(0, 400, 5000), (0, 0), "nobody knows yet");
        assert_eq!(told(100, 400, 5000), (25, 15));
        assert_eq!(told(400, 400, 5000), (99, 0), "the last step says that it is done");
    }

    #[test]
    fn an_ended_import_is_summed_up() {
        let progress =
            Progress { done: 3, total: 3, inserted: 1, updated: 1, failed: 1, ..Progress::default() };
        let wire = import(Status::Completed, progress).to_wire(Timestamp::from_millis(0));
        assert_eq!(wire["summary"], json!({ "failed": 1, "updated": 1, "inserted": 1, "total": 3 }));
        assert_eq!((&wire["percentage_done"], &wire["time_left_seconds"]), (&json!(100), &json!(0)));
    }
}
