//! The job's step: what is due is leased, signed, posted and noted.
//!
//! A client that does not take its notices is tried ever more seldom, with one of them at a time, and keeps no other waiting. What it has not
//! taken after a day is given up, which the tenant's log tells.

use std::collections::BTreeMap;
use std::time::Duration;

use db::{Batch, params};
use futures_util::future::join_all;
use serde_json::{Map, Value as Json, json};

use super::Notice;
use crate::clients::{self, Client};
use crate::clock::Timestamp;
use crate::ids::{ClientId, TenantId};
use crate::logs::{self, Event, Kind};
use crate::seal::digest;
use crate::tenants::{self, Tenant};
use crate::{Model, net, subjects};

/// Notices that one step takes.
const AT_A_TIME: u32 = 100;
/// How long a client may take to answer (authentication contract §5.3).
const LONGEST: Duration = Duration::from_secs(5);
/// Seconds that a notice belongs to who leased it: longer than a try takes.
const LEASE: i64 = 30;
/// Seconds from each failed try to the next; the last repeats.
const PAUSES: [i64; 7] = [5, 15, 60, 300, 900, 1_800, 3_600];
/// Seconds after which a notice is given up.
const A_DAY: i64 = 24 * 3600;
/// Seconds that a logout token is good for (authentication contract §2.2).
const LIFETIME: i64 = 120;
/// The event that a logout token tells of (OIDC Back-Channel Logout §2.4).
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// What came of a try.
enum Told {
    /// It was taken.
    Taken,
    /// The client does not want this one, or is there no more.
    Unwanted,
    /// It was not taken, and will not be.
    Refused(String),
    /// It was not taken this time.
    Failed(String),
}

/// Delivers what is due. Answers how many notices were done with. Several nodes may do so at once.
///
/// # Errors
/// When the database fails; what was leased then goes later.
pub async fn deliver(app: &Model) -> Result<usize, db::Error> {
    let sql = format!(
        "SELECT {} FROM logout_notices WHERE due_at <= $1 ORDER BY due_at, tenant, sid, client_id LIMIT $2",
        Notice::COLUMNS
    );
    let mut by_client: BTreeMap<(TenantId, ClientId), Vec<Notice>> = BTreeMap::new();
    for row in app.db.read(sql, params![app.clock.now(), AT_A_TIME]).await? {
        let notice = Notice::from_row(row)?;
        by_client.entry((notice.tenant.clone(), notice.client_id.clone())).or_default().push(notice);
    }
    let mut done = 0;
    for client in join_all(by_client.into_iter().map(|(who, notices)| deliver_to(app, who, notices))).await {
        done += client?;
    }
    Ok(done)
}

/// Delivers what one client is to be told, until it fails.
async fn deliver_to(
    app: &Model,
    (tenant, client_id): (TenantId, ClientId),
    notices: Vec<Notice>,
) -> Result<usize, db::Error> {
    let Some(tenant) = tenants::find(app, &tenant).await? else { return Ok(0) };
    let client = clients::find(app, &tenant.id, client_id.as_str()).await?;
    let mut done = 0;
    for mut notice in notices {
        if !lease(app, &mut notice).await? {
            continue;
        }
        let told = match client.as_deref() {
            Some(client) => tell(app, &tenant, client, &notice).await?,
            None => Told::Unwanted,
        };
        if !note(app, &tenant, client.as_deref(), &notice, told).await? {
            break;
        }
        done += 1;
    }
    Ok(done)
}

/// Takes a due notice for a while, once: of two nodes one gets it.
async fn lease(app: &Model, notice: &mut Notice) -> Result<bool, db::Error> {
    let until = app.clock.now().plus_seconds(LEASE);
    let mut batch = Batch::new();
    batch
        .execute(
            "UPDATE logout_notices SET due_at = $1, attempts = attempts + 1
             WHERE tenant = $2 AND sid = $3 AND client_id = $4 AND due_at = $5",
            params![until, &notice.tenant, &notice.sid, &notice.client_id, notice.due_at],
        )
        .expect(1);
    match app.db.commit(batch).await {
        Ok(_) => {}
        Err(db::Error::Conflict { .. }) => return Ok(false),
        Err(error) => return Err(error),
    }
    notice.due_at = until;
    notice.attempts += 1;
    Ok(true)
}

async fn tell(app: &Model, tenant: &Tenant, client: &Client, notice: &Notice) -> Result<Told, db::Error> {
    let Some(url) = client.backchannel_logout_url().filter(|_| client.is_told_of(&notice.initiator)) else {
        return Ok(Told::Unwanted);
    };
    let sub = subjects::of(app, &tenant.id, client, &notice.user_id).await?;
    let claims = claims(app, tenant, client, notice, sub);
    // A type of its own keeps it from being taken for an ID token (§2.4).
    let token = client.sign_for(app, &tenant.id, "logout+jwt", &claims).await?;
    let body = format!("logout_token={token}").into_bytes();
    let posted = app.net.post(url, Vec::new(), "application/x-www-form-urlencoded", body);
    Ok(match tokio::time::timeout(LONGEST, posted).await {
        Ok(Ok((200..=299, _))) => Told::Taken,
        Ok(Ok((400, _))) => Told::Refused("the client answered 400".into()),
        Ok(Ok((status, _))) => Told::Failed(format!("the client answered {status}")),
        Ok(Err(error @ net::NetError::Url)) => Told::Refused(error.to_string()),
        Ok(Err(error)) => Told::Failed(error.to_string()),
        Err(_) => Told::Failed("no answer came within 5 seconds".into()),
    })
}

/// The claims of a logout token (§2.4): never a nonce.
fn claims(app: &Model, tenant: &Tenant, client: &Client, notice: &Notice, sub: String) -> Map<String, Json> {
    let now = app.clock.now().seconds();
    let mut claims = Map::new();
    let mut put = |name: &str, value: Json| claims.insert(name.to_owned(), value);
    put("iss", tenant.issuer.as_str().into());
    put("sub", sub.into());
    put("aud", client.client_id.as_str().into());
    put("iat", now.into());
    put("exp", (now + LIFETIME).into());
    put("jti", app.random.alphanumeric(32).into());
    put("events", json!({ EVENT: {} }));
    // The same for all who are told of one session's end, and each time.
    let trace: String = digest(&notice.sid)[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    put("trace_id", trace.into());
    put("sid", notice.sid.as_str().into());
    if client.wants_session_metadata() {
        put("session_metadata", json!(notice.metadata.clone().unwrap_or_default()));
    }
    claims
}

/// Notes what came of a leased notice. Whether to go on with its client.
async fn note(
    app: &Model,
    tenant: &Tenant,
    client: Option<&Client>,
    notice: &Notice,
    told: Told,
) -> Result<bool, db::Error> {
    let now = app.clock.now();
    let mut batch = Batch::new();
    let (goes_on, result) = match told {
        Told::Unwanted => (true, None),
        Told::Taken => (true, Some((Kind::BackchannelLogout, None))),
        Told::Refused(reason) => (true, Some((Kind::FailedBackchannelLogout, Some(reason)))),
        Told::Failed(reason) if now >= notice.created_at.plus_seconds(A_DAY) => {
            (true, Some((Kind::FailedBackchannelLogout, Some(reason))))
        }
        Told::Failed(reason) => {
            tracing::warn!(
                tenant = %tenant.id, client = %notice.client_id, attempts = notice.attempts, reason,
                "a client was not told of a logout; trying again later"
            );
            put_off(&mut batch, notice, now);
            (false, None)
        }
    };
    if goes_on {
        batch
            .execute(
                "DELETE FROM logout_notices WHERE tenant = $1 AND sid = $2 AND client_id = $3 AND due_at = $4",
                params![&notice.tenant, &notice.sid, &notice.client_id, notice.due_at],
            )
            .expect(1);
    }
    if let Some((kind, reason)) = result {
        logs::record(&mut batch, event(app, tenant, client, notice, kind, reason.as_deref()));
    }
    match app.db.commit(batch).await {
        Ok(_) => Ok(goes_on),
        // The lease ran out and another node has it.
        Err(db::Error::Conflict { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Tries the client again later, with whatever else it would be told now.
fn put_off(batch: &mut Batch, notice: &Notice, now: Timestamp) {
    let place = usize::try_from(notice.attempts - 1).unwrap_or_default().min(PAUSES.len() - 1);
    let until = now.plus_seconds(PAUSES[place]);
    batch
        .execute(
            "UPDATE logout_notices SET due_at = $1 WHERE tenant = $2 AND sid = $3 AND client_id = $4 AND due_at = $5",
            params![until, &notice.tenant, &notice.sid, &notice.client_id, notice.due_at],
        )
        .expect(1);
    batch.execute(
        "UPDATE logout_notices SET due_at = $1 WHERE tenant = $2 AND client_id = $3 AND due_at <= $4",
        params![until, &notice.tenant, &notice.client_id, now],
    );
}

fn event(
    app: &Model,
    tenant: &Tenant,
    client: Option<&Client>,
    notice: &Notice,
    kind: Kind,
    reason: Option<&str>,
) -> Event {
    let event =
        Event::new(app, tenant, kind).user_id(&notice.user_id).client_id(&notice.client_id).details(json!({
            "sid": notice.sid, "initiator": notice.initiator, "attempts": notice.attempts,
            "url": client.and_then(Client::backchannel_logout_url),
        }));
    let event = match client {
        Some(client) => event.client_name(&client.name),
        None => event,
    };
    match reason {
        Some(reason) => event.description(reason),
        None => event,
    }
}
