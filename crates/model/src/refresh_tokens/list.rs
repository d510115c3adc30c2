//! Refresh tokens as an administrator sees them: one for each family (management contract §4.16).

use db::{Batch, Db, Row, params};
use serde_json::{Map, Value as Json, json};

use super::Family;
use crate::Model;
use crate::clock::Timestamp;
use crate::ids::{ClientId, TenantId, UserId};
use crate::paging::{self, List, Page, Paging};

/// A family with what is told of it besides.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The family.
    pub family: Family,
    /// From where it began.
    pub ip: String,
    /// The browser or app that it began in.
    pub user_agent: Option<String>,
    /// What an administrator noted of it.
    pub metadata: Option<Map<String, Json>>,
}

const COLUMNS: &str = "id, client_id, user_id, sid, audience, scope, rotating, generation, code_hash, created_at, \
    exchanged_at, idle_expires_at, expires_at, jkt, claims, details, ip, user_agent, metadata";

fn read(mut row: Row) -> Result<Shown, db::Error> {
    Ok(Shown {
        family: super::take(&mut row)?,
        ip: row.take()?,
        user_agent: row.take()?,
        metadata: row.take()?,
    })
}

impl Shown {
    /// The token on the wire: its id is not itself a token. An audience is told as an API's identifier; what is for `/userinfo` alone
    /// has none.
    pub fn to_wire(&self) -> Map<String, Json> {
        let Self { family, .. } = self;
        let servers = match family.audience.as_str() {
            "" => json!([]),
            audience => json!([{ "audience": audience, "scopes": family.scope }]),
        };
        let mut device = Map::new();
        let told =
            [("initial_ip", Some(self.ip.as_str())), ("initial_user_agent", self.user_agent.as_deref())];
        for (name, value) in told {
            if let Some(value) = value {
                device.insert(name.to_owned(), value.into());
            }
        }
        let mut wire = Map::new();
        let mut put = |key: &str, value: Json| wire.insert(key.to_owned(), value);
        put("id", family.id.as_str().into());
        put("user_id", json!(family.user_id));
        put("created_at", json!(family.created_at));
        put("idle_expires_at", json!(family.idle_expires_at));
        put("expires_at", json!(family.expires_at));
        put("device", device.into());
        put("client_id", json!(family.client_id));
        put("session_id", json!(Some(&family.sid).filter(|sid| !sid.is_empty())));
        put("rotating", family.rotating.into());
        put("resource_servers", servers);
        put("last_exchanged_at", json!(family.exchanged_at));
        if let Some(metadata) = &self.metadata {
            put("refresh_token_metadata", metadata.clone().into());
        }
        wire
    }
}

/// Holds for a token that has not ended, with its moment as the only marker.
const LIVING: [&str; 2] =
    ["(idle_expires_at IS NULL OR idle_expires_at > $?)", "(expires_at IS NULL OR expires_at > $?)"];

/// The token of this id, unless it has ended.
pub async fn find_by_id(
    db: &Db,
    tenant: &TenantId,
    id: &str,
    now: Timestamp,
) -> Result<Option<Shown>, db::Error> {
    let sql = format!("SELECT {COLUMNS} FROM refresh_token_families WHERE tenant = $1 AND id = $2");
    let shown = db.read_one(sql, params![tenant, id]).await?.map(read).transpose()?;
    Ok(shown.filter(|shown| !shown.family.expired(now)))
}

/// A page of a user's tokens that have not ended, the oldest first; with a client, of those that it holds.
pub async fn of_user(
    app: &Model,
    tenant: &TenantId,
    user_id: &UserId,
    client_id: Option<&ClientId>,
    paging: &Paging,
) -> Result<Page<Shown>, paging::Error> {
    let mut list = List::new(tenant, "refresh_token_families", ["created_at", "id"], COLUMNS);
    list.equals("user_id", Some(user_id));
    list.equals("client_id", client_id);
    for condition in LIVING {
        list.such_that(condition, app.clock.now());
    }
    Ok(list.read(app, paging).await?.map(read)?)
}

/// How many tokens that have not ended a user has.
pub async fn count(db: &Db, tenant: &TenantId, user_id: &UserId, now: Timestamp) -> Result<i64, db::Error> {
    let sql = "SELECT COUNT(*) FROM refresh_token_families WHERE tenant = $1 AND user_id = $2
               AND (idle_expires_at IS NULL OR idle_expires_at > $3) AND (expires_at IS NULL OR expires_at > $3)";
    db.read_one(sql, params![tenant, user_id, now]).await?.map_or(Ok(0), |mut row| row.take())
}

/// Notes of a token what an administrator wants to, in the place of what was noted. One that has ended is a `Conflict`.
pub fn describe(batch: &mut Batch, tenant: &TenantId, id: &str, metadata: Option<&Map<String, Json>>) {
    batch
        .execute(
            "UPDATE refresh_token_families SET metadata = $1 WHERE tenant = $2 AND id = $3",
            params![metadata.cloned(), tenant, id],
        )
        .expect(1);
}

/// Which tokens are to end.
#[derive(Clone, Debug, Default)]
pub struct Which {
    /// Those of this user.
    pub user_id: Option<UserId>,
    /// Those that this client holds.
    pub client_id: Option<ClientId>,
    /// Those for this API.
    pub audience: Option<String>,
}

/// Ends at most so many of the tokens that are meant. The statement's count tells how many there were.
pub fn remove_some(batch: &mut Batch, tenant: &TenantId, which: &Which, most: u32) {
    let mut values = vec![db::Value::from(tenant)];
    let mut conditions = String::new();
    let meant = [
        ("user_id", which.user_id.as_ref().map(db::Value::from)),
        ("client_id", which.client_id.as_ref().map(db::Value::from)),
        ("audience", which.audience.as_ref().map(db::Value::from)),
    ];
    for (column, value) in meant {
        if let Some(value) = value {
            values.push(value);
            conditions.push_str(&format!(" AND {column} = ${}", values.len()));
        }
    }
    values.push(db::Value::from(most));
    let limit = values.len();
    let sql = format!(
        "DELETE FROM refresh_token_families WHERE tenant = $1 AND id IN
             (SELECT id FROM refresh_token_families WHERE tenant = $1{conditions} ORDER BY id LIMIT ${limit})"
    );
    batch.execute(sql, values);
}
