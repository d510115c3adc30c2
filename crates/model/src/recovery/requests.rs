//! The table `recovery_requests`.

use std::net::IpAddr;

use db::{Batch, Row, params};

use super::limits;
use super::links::{Links, queue_reset};
use crate::app::Peer;
use crate::attack_protection::network;
use crate::identities::fold_email;
use crate::ids::{ClientId, TenantId};
use crate::logs::{self, Event, Kind as EventKind};
use crate::mail::Kind;
use crate::tenants::{self, Tenant};
use crate::users::{self, Found};
use crate::{Model, connections};

/// Requests that one step looks at.
pub const AT_A_TIME: u32 = 50;
/// The longest that is kept of what somebody typed, in characters: no address is longer.
const LONGEST_LOGIN: usize = 320;

/// Somebody wants a new password.
#[derive(Clone, Debug)]
pub struct NewRequest<'a> {
    /// The connection's name.
    pub connection: &'a str,
    /// The address or user name that they typed.
    pub login: &'a str,
    /// The application that they came from.
    pub client_id: Option<&'a ClientId>,
}

/// Writes down that somebody wants a new password, unless there were too many requests: then nothing happens, and the answer is the
/// same. It costs the same for known and unknown addresses.
pub async fn request(
    app: &Model,
    tenant: &Tenant,
    peer: &Peer,
    request: NewRequest<'_>,
) -> Result<(), db::Error> {
    let clean = |text: &str, most: usize| -> String {
        text.trim().chars().filter(|c| *c != '\0').take(most).collect()
    };
    let (connection, login) = (clean(request.connection, 128), clean(request.login, LONGEST_LOGIN));
    let ip = peer.ip.to_string();
    let address = format!("{connection}/{}", fold_email(&login));
    if !limits::count(app, &tenant.id, &address, &network(peer.ip)).await? {
        return Ok(());
    }
    let mut batch = Batch::new();
    batch
        .execute(
            "INSERT INTO recovery_requests (tenant, id, host, connection, login, client_id, ip, user_agent, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            params![
                &tenant.id,
                app.random.alphanumeric(24),
                &tenant.host,
                connection,
                login,
                request.client_id.map(|id| clean(id.as_str(), 64)),
                ip,
                peer.user_agent.as_deref().map(|agent| clean(agent, 512)),
                app.clock.now()
            ],
        )
        .expect(1);
    app.db.commit(batch).await.map(drop)
}

struct Pending {
    tenant: TenantId,
    id: String,
    host: String,
    connection: String,
    login: String,
    client_id: Option<ClientId>,
    peer: Peer,
}

impl Pending {
    fn read(mut row: Row) -> Result<Self, db::Error> {
        let (tenant, id, host) = (row.take()?, row.take()?, row.take()?);
        let (connection, login, client_id) = (row.take()?, row.take()?, row.take()?);
        let ip = row.take::<String>()?.parse().unwrap_or(IpAddr::from([0, 0, 0, 0]));
        let peer = Peer { ip, user_agent: row.take()? };
        Ok(Self { tenant, id, host, connection, login, client_id, peer })
    }
}

/// Looks at what was asked for, the oldest first: for a user who is there a letter with a link is queued, for anybody else
/// nothing. Answers how many requests it were. Several nodes may do so at once.
pub async fn process(app: &Model) -> Result<usize, db::Error> {
    let rows = app.db.read(
        "SELECT tenant, id, host, connection, login, client_id, ip, user_agent FROM recovery_requests
         ORDER BY created_at, tenant, id LIMIT $1",
        params![AT_A_TIME],
    );
    let mut done = 0;
    for row in rows.await? {
        let pending = Pending::read(row)?;
        match answer(app, &pending).await {
            Ok(()) => done += 1,
            // Another node has it, or the user changed just now: then it is looked at again.
            Err(db::Error::Conflict { .. } | db::Error::Retry | db::Error::Unknown) => {}
            // It is this request's fault, and keeps no other; where it is the database's, this fails too.
            Err(error) => {
                let mut batch = Batch::new();
                remove(&mut batch, &pending);
                app.db.commit(batch).await?;
                tracing::error!(tenant = %pending.tenant, %error, "a request for a new password is given up");
                done += 1;
            }
        }
    }
    Ok(done)
}

async fn answer(app: &Model, pending: &Pending) -> Result<(), db::Error> {
    let tenant = match tenants::load(app, &pending.host).await?.filter(|tenant| tenant.id == pending.tenant) {
        Some(tenant) => Some(tenant),
        None => tenants::find(app, &pending.tenant).await?,
    };
    // A tenant's requests end with it.
    let Some(tenant) = tenant else { return Ok(()) };
    let event = |kind: EventKind| {
        let event = Event::new(app, &tenant, kind).peer(&pending.peer).connection_name(&pending.connection);
        match &pending.client_id {
            Some(client_id) => event.client_id(client_id),
            None => event,
        }
    };
    let mut batch = Batch::new();
    match find(app, &tenant, pending).await? {
        // An address, a user name and a number, each in many spellings, may all be one person's.
        Some(found) if !limits::may_write_to(app, &tenant.id, &found.user.id).await? => {}
        Some(found) => {
            users::unchanged(&mut batch, &found.user);
            limits::writes_to(&mut batch, &tenant.id, &found.user.id, app.clock.now());
            let links = Links::of(app, &tenant, Kind::ResetEmail, pending.client_id.as_ref()).await?;
            let whom = (&found.user, found.identity);
            queue_reset(app, &mut batch, &tenant, whom, pending.client_id.as_ref(), &links);
            let event = event(EventKind::PasswordChangeRequested).user(&found.user);
            logs::record(&mut batch, event);
        }
        None => {
            let event = event(EventKind::FailedPasswordChangeRequest)
                .user_name(&pending.login)
                .description("There is no such user with a password and an address.");
            logs::record(&mut batch, event);
        }
    }
    remove(&mut batch, pending);
    app.db.commit(batch).await.map(drop)
}

/// The user whom the request names, where people set their passwords themselves and there is an address to write to.
async fn find(app: &Model, tenant: &Tenant, pending: &Pending) -> Result<Option<Found>, db::Error> {
    let connection = connections::find_by_name(app, &tenant.id, &pending.connection).await?;
    if !connection.is_some_and(|connection| connection.allows_password_reset() && connection.is_active()) {
        return Ok(None);
    }
    let found = users::find_login(&app.db, &tenant.id, &pending.connection, &pending.login).await?;
    Ok(found.filter(|found| crate::tickets::email_of(&found.user, found.identity).is_some()))
}

fn remove(batch: &mut Batch, pending: &Pending) {
    batch
        .execute(
            "DELETE FROM recovery_requests WHERE tenant = $1 AND id = $2",
            params![&pending.tenant, &pending.id],
        )
        .expect(1);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connections::Connection;
    use crate::testing::TestModel;

    #[tokio::test]
    async fn what_is_written_down_is_looked_at_some_at_a_time_and_once() {
        for app in TestModel::each().await {
            let tenant = tenants::find(&app, &app.tenant).await.unwrap().unwrap();
            for place in 0..=AT_A_TIME {
                // From many networks, so that no limit is met.
                let peer = Peer { ip: IpAddr::from([10, 0, place as u8, 1]), user_agent: None };
                let login = format!("nobody{place}@acme.test");
                let asked = NewRequest { connection: "none", login: &login, client_id: None };
                request(&app, &tenant, &peer, asked).await.unwrap();
            }
            for expected in [AT_A_TIME as usize, 1, 0] {
                assert_eq!(process(&app).await.unwrap(), expected);
            }
        }
    }

    /// What was asked for at a connection that cannot be read any more is given up; what came after it is looked at.
    #[tokio::test]
    async fn a_request_that_cannot_be_answered_keeps_no_other() {
        for app in TestModel::each().await {
            let tenant = tenants::find(&app, &app.tenant).await.unwrap().unwrap();
            let mut batch = Batch::new();
            let body = serde_json::json!({ "name": "broken", "strategy": "auth0" });
            let broken = Connection::new(&app.random, body.as_object().unwrap()).unwrap();
            connections::insert(&app, &mut batch, &app.tenant, &broken, app.clock.now());
            batch
                .execute(
                    "UPDATE connections SET options = $1 WHERE tenant = $2 AND id = $3",
                    params![b"no seal".to_vec(), &app.tenant, &broken.id],
                )
                .expect(1);
            app.db.commit(batch).await.unwrap();
            let peer = Peer { ip: IpAddr::from([10, 0, 0, 1]), user_agent: None };
            for (connection, later) in [("broken", 0), ("none", 1)] {
                app.clock.advance(later);
                let asked = NewRequest { connection, login: "ann@acme.test", client_id: None };
                request(&app, &tenant, &peer, asked).await.unwrap();
            }
            assert_eq!(process(&app).await.unwrap(), 2);
            assert_eq!(process(&app).await.unwrap(), 0);
            let refused = "SELECT type FROM logs WHERE tenant = $1 AND type = 'fcpr'";
            assert_eq!(app.db.read(refused, params![&app.tenant]).await.unwrap().len(), 1);
        }
    }
}
