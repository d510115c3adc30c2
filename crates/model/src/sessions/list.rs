//! Sessions as an administrator sees them: `GET /api/v2/sessions/{id}` (management contract §4.16).

use db::{Batch, Db, Row, params};
use serde_json::{Map, Value as Json, json};

use super::Session;
use crate::Model;
use crate::clock::Timestamp;
use crate::ids::{ClientId, TenantId, UserId};
use crate::paging::{self, List, Page, Paging};

/// The most clients that are told of one session.
const MOST_CLIENTS: i64 = 1000;

/// A session with what is told of it besides.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The session.
    pub session: Session,
    /// From where it was last used.
    pub last_ip: String,
    /// In which browser it was last used.
    pub last_user_agent: Option<String>,
    /// What an administrator noted of it.
    pub metadata: Option<Map<String, Json>>,
    /// The applications that it signed in to.
    pub clients: Vec<ClientId>,
}

const COLUMNS: &str = "sid, hash, user_id, connection, created_at, authenticated_at, mfa_at, last_interacted_at, \
    idle_expires_at, expires_at, ip, user_agent, identity, last_ip, last_user_agent, metadata";

fn read(mut row: Row) -> Result<Shown, db::Error> {
    let session = super::take(&mut row)?;
    let last_ip: Option<String> = row.take()?;
    let last_user_agent: Option<String> = row.take()?;
    Ok(Shown {
        // A session that was not used since it began has no other.
        last_user_agent: if last_ip.is_some() { last_user_agent } else { session.user_agent.clone() },
        last_ip: last_ip.unwrap_or_else(|| session.ip.clone()),
        session,
        metadata: row.take()?,
        clients: Vec::new(),
    })
}

impl Shown {
    /// The session on the wire. Its browser's cookie is not told, nor its digest.
    pub fn to_wire(&self) -> Map<String, Json> {
        let Self { session, .. } = self;
        let mut methods = vec![json!({ "name": "pwd", "timestamp": session.authenticated_at })];
        if let Some(at) = session.mfa_at {
            methods.push(json!({ "name": "mfa", "timestamp": at }));
        }
        let clients: Vec<_> = self.clients.iter().map(|id| json!({ "client_id": id })).collect();
        let mut device = Map::new();
        let told = [
            ("initial_user_agent", session.user_agent.as_deref()),
            ("initial_ip", Some(session.ip.as_str())),
            ("last_user_agent", self.last_user_agent.as_deref()),
            ("last_ip", Some(self.last_ip.as_str())),
        ];
        for (name, value) in told {
            if let Some(value) = value {
                device.insert(name.to_owned(), value.into());
            }
        }
        let mut wire = Map::new();
        let mut put = |key: &str, value: Json| wire.insert(key.to_owned(), value);
        put("id", session.sid.as_str().into());
        put("user_id", json!(session.user_id));
        put("created_at", json!(session.created_at));
        put("updated_at", json!(session.last_interacted_at));
        put("authenticated_at", json!(session.authenticated_at));
        put("idle_expires_at", json!(session.idle_expires_at));
        put("expires_at", json!(session.expires_at));
        put("last_interacted_at", json!(session.last_interacted_at));
        put("device", device.into());
        put("clients", clients.into());
        put("authentication", json!({ "methods": methods }));
        if let Some(metadata) = &self.metadata {
            put("session_metadata", metadata.clone().into());
        }
        wire
    }
}

/// The living session of this public name.
pub async fn find(db: &Db, tenant: &TenantId, sid: &str, now: Timestamp) -> Result<Option<Shown>, db::Error> {
    let sql = format!(
        "SELECT {COLUMNS} FROM sessions WHERE tenant = $1 AND sid = $2 AND idle_expires_at > $3 AND expires_at > $3"
    );
    let Some(row) = db.read_one(sql, params![tenant, sid, now]).await? else { return Ok(None) };
    let mut shown = [read(row)?];
    with_clients(db, tenant, &mut shown).await?;
    let [shown] = shown;
    Ok(Some(shown))
}

/// A page of a user's living sessions, the oldest first.
pub async fn of_user(
    app: &Model,
    tenant: &TenantId,
    user_id: &UserId,
    paging: &Paging,
) -> Result<Page<Shown>, paging::Error> {
    let mut list = List::new(tenant, "sessions", ["created_at", "sid"], COLUMNS);
    let now = app.clock.now();
    list.equals("user_id", Some(user_id));
    list.such_that("idle_expires_at > $?", now);
    list.such_that("expires_at > $?", now);
    let mut page = list.read(app, paging).await?.map(read)?;
    with_clients(&app.db, tenant, &mut page.items).await?;
    Ok(page)
}

/// How many living sessions a user has.
pub async fn count(db: &Db, tenant: &TenantId, user_id: &UserId, now: Timestamp) -> Result<i64, db::Error> {
    let sql = "SELECT COUNT(*) FROM sessions WHERE tenant = $1 AND user_id = $2 AND idle_expires_at > $3 AND expires_at > $3";
    db.read_one(sql, params![tenant, user_id, now]).await?.map_or(Ok(0), |mut row| row.take())
}

async fn with_clients(db: &Db, tenant: &TenantId, shown: &mut [Shown]) -> Result<(), db::Error> {
    if shown.is_empty() {
        return Ok(());
    }
    let sql =
        "SELECT client_id FROM session_clients WHERE tenant = $1 AND sid = $2 ORDER BY client_id LIMIT $3";
    let queries = shown.iter().map(|one| (sql.into(), params![tenant, &one.session.sid, MOST_CLIENTS]));
    let found = db.snapshot(queries.collect()).await?;
    for (one, rows) in shown.iter_mut().zip(found) {
        one.clients = rows.into_iter().map(|mut row| row.take()).collect::<Result<_, _>>()?;
    }
    Ok(())
}

/// Notes of a session what an administrator wants to, in the place of what was noted. One that has ended is a `Conflict`.
pub fn describe(batch: &mut Batch, tenant: &TenantId, sid: &str, metadata: Option<&Map<String, Json>>) {
    batch
        .execute(
            "UPDATE sessions SET metadata = $1 WHERE tenant = $2 AND sid = $3",
            params![metadata.cloned(), tenant, sid],
        )
        .expect(1);
}
