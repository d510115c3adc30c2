//! How sessions end. Whoever took part in one is told so ([`crate::logout_notices`]), in the batch of its end.

use db::{Batch, Value, params};

use crate::Model;
use crate::identities::Identity;
use crate::ids::{TenantId, UserId};
use crate::logout_notices::{self, End, Initiator, notices_of_sessions};
use crate::seal::digest;

/// Sessions that one batch ends at most, of those that have expired.
const AT_A_TIME: usize = 200;

/// The statements that end sessions. They are held first, so that no application joins between the notices and the end.
struct Ending {
    hold: &'static str,
    notices: &'static str,
    delete: &'static str,
}

/// The condition twice: with markers from `$2` on, and of `s` with markers from `$4` on.
macro_rules! ending {
    ($own:literal, $of_s:literal) => {
        Ending {
            hold: concat!(
                "UPDATE sessions SET last_interacted_at = last_interacted_at WHERE tenant = $1 AND ",
                $own
            ),
            notices: notices_of_sessions!($of_s),
            delete: concat!("DELETE FROM sessions WHERE tenant = $1 AND ", $own),
        }
    };
}

impl Ending {
    fn add(self, batch: &mut Batch, tenant: &TenantId, end: End, condition: Vec<Value>) {
        let mut given = params![tenant];
        given.extend(condition.clone());
        batch.execute(self.hold, given.clone());
        logout_notices::queue(batch, self.notices, tenant, end, condition);
        batch.execute(self.delete, given);
    }
}

/// Ends a session; of one that has ended already, nothing.
pub fn remove(batch: &mut Batch, tenant: &TenantId, sid: &str, end: End) {
    ending!("sid = $2", "s.sid = $4").add(batch, tenant, end, params![sid]);
}

/// Ends the session of the cookie with this token, whether or not its user may use it now.
pub fn remove_by_token(batch: &mut Batch, tenant: &TenantId, token: &str, end: End) {
    ending!("hash = $2", "s.hash = $4").add(batch, tenant, end, params![digest(token)]);
}

/// Ends every session of a user.
pub fn remove_for_user(batch: &mut Batch, tenant: &TenantId, user_id: &UserId, end: End) {
    ending!("user_id = $2", "s.user_id = $4").add(batch, tenant, end, params![user_id]);
}

/// Ends the sessions of a user that began with an identity that is theirs no more, and the codes and tokens that they bought. Of a session
/// of which nobody knows what it began with, the connection decides; a refresh token of which nobody knows it, as those that a password
/// bought without a session, ends.
pub(crate) fn remove_of_identity(
    batch: &mut Batch,
    tenant: &TenantId,
    user_id: &UserId,
    identity: &Identity,
    end: End,
) {
    let whose = || params![tenant, user_id, identity.as_user_id(), &identity.connection];
    batch.execute(
        "DELETE FROM access_tokens WHERE tenant = $1 AND user_id = $2 AND (
             family IN (SELECT id FROM refresh_token_families WHERE tenant = $1 AND user_id = $2 AND (identity = $3 OR identity IS NULL))
             OR code_hash IN (SELECT hash FROM authorization_codes WHERE tenant = $1 AND user_id = $2 AND sid IN
                 (SELECT sid FROM sessions WHERE tenant = $1 AND user_id = $2
                  AND (identity = $3 OR (identity IS NULL AND connection = $4)))))",
        whose(),
    );
    batch.execute(
        "DELETE FROM authorization_codes WHERE tenant = $1 AND user_id = $2 AND spent_at IS NULL AND sid IN
             (SELECT sid FROM sessions WHERE tenant = $1 AND user_id = $2
              AND (identity = $3 OR (identity IS NULL AND connection = $4)))",
        whose(),
    );
    batch.execute(
        "DELETE FROM refresh_token_families WHERE tenant = $1 AND user_id = $2 AND (identity = $3 OR identity IS NULL)",
        params![tenant, user_id, identity.as_user_id()],
    );
    ending!(
        "user_id = $2 AND (identity = $3 OR (identity IS NULL AND connection = $4))",
        "s.user_id = $4 AND (s.identity = $5 OR (s.identity IS NULL AND s.connection = $6))"
    )
    .add(batch, tenant, end, params![user_id, identity.as_user_id(), &identity.connection]);
}

/// Ends the sessions of the first `most` users, by id, whose main identity is of a connection: who go with it next.
pub(crate) fn remove_of_users_of(
    batch: &mut Batch,
    tenant: &TenantId,
    connection: &str,
    most: u32,
    end: End,
) {
    ending!(
        "user_id IN (SELECT user_id FROM identities WHERE tenant = $1 AND connection = $2 AND position = 0
             ORDER BY user_id LIMIT $3)",
        "s.user_id IN (SELECT user_id FROM identities WHERE tenant = $1 AND connection = $4 AND position = 0
             ORDER BY user_id LIMIT $5)"
    )
    .add(batch, tenant, end, params![connection, most]);
}

/// Ends every session that began with an identity of a connection that goes, or that is a user's who goes with it, and the refresh tokens that
/// were bought by those that others had linked.
pub(crate) fn remove_of_connection(batch: &mut Batch, tenant: &TenantId, connection: &str, end: End) {
    batch.execute(
        "DELETE FROM refresh_token_families WHERE tenant = $1 AND identity IN
             (SELECT provider || '|' || subject FROM identities WHERE tenant = $1 AND connection = $2)",
        params![tenant, connection],
    );
    ending!(
        "(connection = $2 OR user_id IN
             (SELECT user_id FROM identities WHERE tenant = $1 AND connection = $2 AND position = 0))",
        "(s.connection = $4 OR s.user_id IN
             (SELECT user_id FROM identities WHERE tenant = $1 AND connection = $4 AND position = 0))"
    )
    .add(batch, tenant, end, params![connection]);
}

/// Ends the tenant's sessions that were not used for too long, or are too old. Answers how many there were. Several nodes may do so at once.
///
/// # Errors
/// When the database fails; what is left ends the next time.
pub async fn end_expired(app: &Model, tenant: &TenantId) -> Result<u64, db::Error> {
    let mut ended = 0;
    for found in [
        "SELECT sid FROM sessions WHERE tenant = $1 AND expires_at <= $2 ORDER BY expires_at, sid LIMIT $3",
        "SELECT sid FROM sessions WHERE tenant = $1 AND idle_expires_at <= $2 ORDER BY idle_expires_at, sid LIMIT $3",
    ] {
        loop {
            let now = app.clock.now();
            let rows = app.db.read(found, params![tenant, now, AT_A_TIME as i64]).await?;
            let sids = rows.into_iter().map(|mut row| row.take()).collect::<Result<Vec<String>, _>>()?;
            if sids.is_empty() {
                break;
            }
            let mut batch = Batch::new();
            end_all(&mut batch, tenant, &sids, End::new(Initiator::SessionExpired, now));
            let outcome = app.db.commit(batch).await?;
            ended += outcome.affected.last().copied().unwrap_or_default();
            if sids.len() < AT_A_TIME {
                break;
            }
        }
    }
    Ok(ended)
}

/// Ends these sessions as far as they have expired: one that was used at the last moment lives on.
fn end_all(batch: &mut Batch, tenant: &TenantId, sids: &[String], end: End) {
    let markers = |first: usize| {
        (first..first + sids.len()).map(|number| format!("${number}")).collect::<Vec<_>>().join(", ")
    };
    let listed = || sids.iter().map(|sid| Value::from(sid.as_str()));
    let own =
        format!("tenant = $1 AND (idle_expires_at <= $2 OR expires_at <= $2) AND sid IN ({})", markers(3));
    let mut given = params![tenant, end.now];
    given.extend(listed());
    let hold = format!("UPDATE sessions SET last_interacted_at = last_interacted_at WHERE {own}");
    batch.execute(hold, given.clone());
    let of_s = format!("(s.idle_expires_at <= $3 OR s.expires_at <= $3) AND s.sid IN ({})", markers(4));
    let notices = format!("{}{of_s}", notices_of_sessions!(""));
    logout_notices::queue(batch, notices, tenant, end, listed().collect());
    batch.execute(format!("DELETE FROM sessions WHERE {own}"), given);
}
