//! Back-channel logout (OpenID Connect Back-Channel Logout 1.0, authentication contract §5.3): the applications of a session are told when
//! it ends.
//!
//! What they are to be told is a row in the batch that ends the session, so that neither is without the other. A job delivers it
//! ([`deliver`]), more than once rather than never.

mod deliver;

use db::{Batch, Value, params};
use serde_json::{Map, Value as Json};

use crate::clients::Client;
use crate::clock::Timestamp;
use crate::ids::{ClientId, TenantId, UserId};

pub use deliver::deliver;

macro_rules! initiators {
    ($($(#[$doc:meta])* $name:ident = $wire:literal,)*) => {
        /// What ended a session, by the names that a client's `backchannel_logout_initiators` lists.
        ///
        /// `idp-logout` and `mfa-phone-unenrolled` are names that a client may list, and nothing here does either yet.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Initiator {
            $($(#[$doc])* $name,)*
        }

        impl Initiator {
            /// Every one there is.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its name.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $wire,)* }
            }
        }
    };
}

initiators! {
    /// The user logged out, at an application or at ours.
    RpLogout = "rp-logout",
    /// The user's password was changed.
    PasswordChanged = "password-changed",
    /// The session was not used for too long, or was too old.
    SessionExpired = "session-expired",
    /// An administrator or the user ended it, or another sign-in took its place.
    SessionRevoked = "session-revoked",
    /// The user was deleted, or became another one's.
    AccountDeleted = "account-deleted",
    /// What the user logs in with was changed.
    EmailIdentifierChanged = "email-identifier-changed",
    /// The user was blocked.
    AccountDeactivated = "account-deactivated",
}

/// Why a session ends, and when.
#[derive(Clone, Copy, Debug)]
pub struct End {
    /// What ended it.
    pub initiator: Initiator,
    /// When.
    pub now: Timestamp,
}

impl End {
    /// An end of this kind.
    pub fn new(initiator: Initiator, now: Timestamp) -> Self {
        Self { initiator, now }
    }
}

/// Text of the statement that writes the notices of the sessions that meet a condition on `s`, whose markers begin with `$4`. A session whose
/// time was over has expired, whatever ends it now.
macro_rules! notices_of_sessions {
    ($condition:literal) => {
        concat!(
            "INSERT INTO logout_notices (tenant, sid, client_id, user_id, initiator, metadata, attempts, due_at, created_at)
             SELECT s.tenant, s.sid, c.client_id, s.user_id,
                 CASE WHEN s.idle_expires_at <= $3 OR s.expires_at <= $3 THEN 'session-expired' ELSE CAST($2 AS TEXT) END, s.metadata, 0, CAST($3 AS BIGINT), CAST($3 AS BIGINT)
             FROM sessions s
             JOIN session_clients sc ON sc.tenant = s.tenant AND sc.sid = s.sid
             JOIN clients c ON c.tenant = sc.tenant AND c.client_id = sc.client_id AND c.told_of_logout
             WHERE s.tenant = $1 AND ",
            $condition
        )
    };
}
pub(crate) use notices_of_sessions;

/// Queues what `sql`, made by [`notices_of_sessions`], selects.
pub(crate) fn queue(
    batch: &mut Batch,
    sql: impl Into<db::Sql>,
    tenant: &TenantId,
    end: End,
    condition: Vec<Value>,
) {
    let mut given = params![tenant, end.initiator.name(), end.now];
    given.extend(condition);
    batch.execute(sql, given);
}

/// What a client is to be told.
#[derive(Clone, Debug)]
struct Notice {
    tenant: TenantId,
    sid: String,
    client_id: ClientId,
    user_id: UserId,
    initiator: String,
    /// What an administrator noted of the session.
    metadata: Option<Map<String, Json>>,
    attempts: i64,
    /// When it is to be delivered, as it was read: what a lease compares.
    due_at: Timestamp,
    created_at: Timestamp,
}

/// What a client's `oidc_logout` says.
impl Client {
    /// Where it wants to be told of ended sessions. Of several addresses the first counts.
    pub fn backchannel_logout_url(&self) -> Option<&str> {
        let urls = self.oidc_logout.as_ref()?.get("backchannel_logout_urls")?.as_array()?;
        urls.first()?.as_str().filter(|url| !url.is_empty())
    }

    /// Whether it wants to be told of sessions that this ends: in the mode `custom`, which is the default, of those that it lists, or of
    /// logouts where it lists none.
    pub fn is_told_of(&self, initiator: &str) -> bool {
        let wanted = self.oidc_logout.as_ref().and_then(|logout| logout.get("backchannel_logout_initiators"));
        if wanted.and_then(|wanted| wanted.get("mode")).and_then(Json::as_str) == Some("all") {
            return true;
        }
        match wanted.and_then(|wanted| wanted.get("selected_initiators")).and_then(Json::as_array) {
            Some(selected) => selected.iter().any(|selected| selected == initiator),
            None => ["rp-logout", "idp-logout"].contains(&initiator),
        }
    }

    /// Whether it wants to know what was noted of the session.
    fn wants_session_metadata(&self) -> bool {
        let wanted =
            self.oidc_logout.as_ref().and_then(|logout| logout.get("backchannel_logout_session_metadata"));
        wanted.and_then(|wanted| wanted.get("include")).and_then(Json::as_bool) == Some(true)
    }
}

impl Notice {
    const COLUMNS: &str =
        "tenant, sid, client_id, user_id, initiator, metadata, attempts, due_at, created_at";

    fn from_row(mut row: db::Row) -> Result<Self, db::Error> {
        Ok(Self {
            tenant: row.take()?,
            sid: row.take()?,
            client_id: row.take()?,
            user_id: row.take()?,
            initiator: row.take()?,
            metadata: row.take()?,
            attempts: row.take()?,
            due_at: row.take()?,
            created_at: row.take()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(oidc_logout: Json) -> Vec<&'static str> {
        let body = json!({ "name": "c", "oidc_logout": oidc_logout });
        let client = Client::new("c".into(), body.as_object().unwrap()).unwrap();
        Initiator::ALL
            .iter()
            .map(|initiator| initiator.name())
            .filter(|name| client.is_told_of(name))
            .collect()
    }

    #[test]
    fn a_client_is_told_of_what_it_lists() {
        assert_eq!(told(json!({})), ["rp-logout"]);
        assert_eq!(told(json!({ "backchannel_logout_initiators": { "mode": "custom" } })), ["rp-logout"]);
        let two = json!({ "mode": "custom", "selected_initiators": ["password-changed", "account-deleted"] });
        assert_eq!(
            told(json!({ "backchannel_logout_initiators": two })),
            ["password-changed", "account-deleted"]
        );
        let all = json!({ "mode": "all", "selected_initiators": ["rp-logout"] });
        assert_eq!(told(json!({ "backchannel_logout_initiators": all })).len(), Initiator::ALL.len());
    }
}
