//! Device credentials: the public keys that devices registered, and a view of the users' refresh tokens (management contract §1.9).
//!
//! A refresh token's entry is named after its family, so that it keeps its id through rotation; deleting the entry ends the family.

use db::{Batch, Db, Error, Row, params};
use serde_json::{Map, Value};

use crate::app::Model;
use crate::clock::Timestamp;
use crate::ids::{ClientId, TenantId, UserId};
use crate::paging::Page;

/// What the ids of entries begin with.
const PREFIX: &str = "dcr_";

/// How much of a family's id is in its entry's: 95 bits.
const LENGTH: usize = 16;

/// How many keys a user keeps with one client; the oldest go first.
pub const KEYS_PER_CLIENT: i64 = 200;

/// No list reaches farther.
pub const MOST_LISTED: i64 = 1000;

/// What an entry stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `public_key`: a device registered it.
    PublicKey,
    /// `refresh_token`: one that stays the same.
    RefreshToken,
    /// `rotating_refresh_token`: one that each exchange replaces.
    RotatingRefreshToken,
}

impl Kind {
    const ALL: [Self; 3] = [Self::PublicKey, Self::RefreshToken, Self::RotatingRefreshToken];

    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PublicKey => "public_key",
            Self::RefreshToken => "refresh_token",
            Self::RotatingRefreshToken => "rotating_refresh_token",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// A public key that a device registers.
#[derive(Clone, Debug)]
pub struct PublicKey {
    /// `dcr_` and 16 alphanumerics.
    pub id: String,
    /// Whose device it is.
    pub user_id: UserId,
    /// The client on it.
    pub client_id: ClientId,
    /// The device's own id: hexadecimal digits and `-`, at most 36.
    pub device_id: String,
    /// What its user calls it.
    pub device_name: String,
    /// The key, base64.
    pub value: String,
    /// When it was registered.
    pub created_at: Timestamp,
}

/// An entry of the list.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// `dcr_` and 16 alphanumerics.
    pub id: String,
    /// What it stands for: `public_key`, `refresh_token` or `rotating_refresh_token`.
    pub kind: String,
    /// Whose it is.
    pub user_id: UserId,
    /// The client that has it.
    pub client_id: ClientId,
    /// The device's own id; of a refresh token none is known.
    pub device_id: Option<String>,
    /// What the device is called; of a refresh token the browser that it was issued to.
    pub device_name: Option<String>,
}

impl Entry {
    /// The item of `GET /device-credentials`.
    pub fn to_wire(&self) -> Map<String, Value> {
        let values = [
            ("id", Some(self.id.as_str())),
            ("device_name", self.device_name.as_deref()),
            ("device_id", self.device_id.as_deref()),
            ("type", Some(&*self.kind)),
            ("user_id", Some(self.user_id.as_str())),
            ("client_id", Some(self.client_id.as_str())),
        ];
        values.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?.into()))).collect()
    }
}

/// A new id.
pub fn new_id(app: &Model) -> String {
    format!("{PREFIX}{}", app.random.alphanumeric(LENGTH))
}

/// The part of an id after its prefix; `None` for what is no id.
pub fn suffix(id: &str) -> Option<&str> {
    let suffix = id.strip_prefix(PREFIX)?;
    (suffix.len() == LENGTH && suffix.bytes().all(|byte| byte.is_ascii_alphanumeric())).then_some(suffix)
}

/// Adds a key, and ends the oldest of the user and client beyond the limit. A second key of one device is
/// `Unique("device_credentials_device")`, a user or client that is gone `ForeignKey`.
pub fn insert(batch: &mut Batch, tenant: &TenantId, key: &PublicKey) {
    batch
        .execute(
            "INSERT INTO device_credentials (tenant, id, user_id, client_id, device_id, device_name, value, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            params![
                tenant,
                &key.id,
                &key.user_id,
                &key.client_id,
                &key.device_id,
                &key.device_name,
                &key.value,
                key.created_at
            ],
        )
        .expect(1);
    batch.execute(
        "DELETE FROM device_credentials WHERE tenant = $1 AND id IN (
             SELECT id FROM device_credentials WHERE tenant = $1 AND user_id = $2 AND client_id = $3
             ORDER BY created_at DESC, id LIMIT 1000 OFFSET $4)",
        params![tenant, &key.user_id, &key.client_id, KEYS_PER_CLIENT],
    );
}

/// Whose device a key is of, and what it is called; with `of`, only if it is that user's.
pub async fn find_device(
    db: &Db,
    tenant: &TenantId,
    id: &str,
    of: Option<&UserId>,
) -> Result<Option<(UserId, String)>, Error> {
    let row = db
        .read_one(
            "SELECT user_id, device_name FROM device_credentials
             WHERE tenant = $1 AND id = $2 AND (CAST($3 AS TEXT) IS NULL OR user_id = $3)",
            params![tenant, id, of.map(UserId::as_str)],
        )
        .await?;
    row.map(|mut row| Ok((row.take()?, row.take()?))).transpose()
}

/// Ends what an id stands for: a key, or the family of a refresh token. With `of`, only if it is that user's; what is not there, or
/// not theirs, stays without a word.
pub fn remove(batch: &mut Batch, tenant: &TenantId, id: &str, of: Option<&UserId>) {
    let of = of.map(UserId::as_str);
    if let Some(start) = suffix(id) {
        // Ids are alphanumeric: after `z` comes `{`.
        let end = format!("{start}{{");
        batch.execute(
            "DELETE FROM refresh_token_families
             WHERE tenant = $1 AND id >= $2 AND id < $3 AND (CAST($4 AS TEXT) IS NULL OR user_id = $4)",
            params![tenant, start, end, of],
        );
    }
    batch.execute(
        "DELETE FROM device_credentials WHERE tenant = $1 AND id = $2 AND (CAST($3 AS TEXT) IS NULL OR user_id = $3)",
        params![tenant, id, of],
    );
}

/// Which entries [`list`] answers: all that match every field that is given.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Whose.
    pub user_id: Option<UserId>,
    /// With which client.
    pub client_id: Option<ClientId>,
    /// Of which kind.
    pub kind: Option<Kind>,
}

/// A page of keys and living refresh tokens, the oldest first; never more than the first [`MOST_LISTED`], and never more counted.
pub async fn list(
    db: &Db,
    tenant: &TenantId,
    filter: &Filter,
    (offset, limit): (i64, i64),
    now: Timestamp,
) -> Result<Page<Entry>, Error> {
    let given = || -> Vec<db::Value> {
        params![
            tenant,
            filter.user_id.as_ref().map(UserId::as_str),
            filter.client_id.as_ref().map(ClientId::as_str),
            filter.kind.map(Kind::as_str),
            now
        ]
    };
    let mut page = given();
    page.extend(params![limit.min(MOST_LISTED - offset).max(0), offset]);
    let mut answers = db.snapshot(vec![(LIST.into(), page), (COUNT.into(), given())]).await?;
    let total: i64 = answers.pop().and_then(|mut rows| rows.pop()).map_or(Ok(0), |mut row| row.take())?;
    let rows = answers.pop().unwrap_or_default();
    let items = rows.into_iter().map(from_row).collect::<Result<_, _>>()?;
    Ok(Page { items, total: u64::try_from(total.min(MOST_LISTED)).ok(), next: None })
}

/// Both kinds of entries that match; of each no more than could be shown.
macro_rules! entries {
    () => {
        "(SELECT id, kind, user_id, client_id, device_id, device_name, created_at FROM (
              SELECT id, 'public_key' AS kind, user_id, client_id, device_id, device_name, created_at
              FROM device_credentials
              WHERE tenant = $1 AND (CAST($2 AS TEXT) IS NULL OR user_id = $2)
                AND (CAST($3 AS TEXT) IS NULL OR client_id = $3)
                AND (CAST($4 AS TEXT) IS NULL OR CAST($4 AS TEXT) = 'public_key')
              ORDER BY created_at, id LIMIT 1000) AS k
          UNION ALL
          SELECT id, kind, user_id, client_id, device_id, device_name, created_at FROM (
              SELECT 'dcr_' || SUBSTR(id, 1, 16) AS id,
                     CASE WHEN rotating THEN 'rotating_refresh_token' ELSE 'refresh_token' END AS kind,
                     user_id, client_id, CAST(NULL AS TEXT) AS device_id, user_agent AS device_name, created_at
              FROM refresh_token_families
              WHERE tenant = $1 AND (CAST($2 AS TEXT) IS NULL OR user_id = $2)
                AND (CAST($3 AS TEXT) IS NULL OR client_id = $3)
                AND (CAST($4 AS TEXT) IS NULL OR CAST($4 AS TEXT)
                     = CASE WHEN rotating THEN 'rotating_refresh_token' ELSE 'refresh_token' END)
                AND (expires_at IS NULL OR expires_at > $5) AND (idle_expires_at IS NULL OR idle_expires_at > $5)
              ORDER BY created_at, id LIMIT 1000) AS t) AS entries"
    };
}

const LIST: &str = concat!(
    "SELECT id, kind, user_id, client_id, device_id, device_name FROM ",
    entries!(),
    " ORDER BY created_at, id LIMIT $6 OFFSET $7"
);

const COUNT: &str = concat!("SELECT COUNT(*) FROM ", entries!());

fn from_row(mut row: Row) -> Result<Entry, Error> {
    Ok(Entry {
        id: row.take()?,
        kind: row.take()?,
        user_id: row.take()?,
        client_id: row.take()?,
        device_id: row.take()?,
        device_name: row.take()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_its_prefix_and_sixteen_alphanumerics() {
        assert_eq!(suffix("dcr_0123456789abcDEF"), Some("0123456789abcDEF"));
        for bad in [
            "",
            "dcr_",
            "dcr_0123456789abcDE",
            "dcr_0123456789abcDEFG",
            "dcr_0123456789abcDE-",
            "con_0123456789abcDEF",
        ] {
            assert_eq!(suffix(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_kind_has_one_name() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_name(kind.as_str()), Some(kind));
        }
        assert_eq!(Kind::from_name("password"), None);
    }

    #[test]
    fn an_entry_leaves_out_what_is_not_known() {
        let entry = Entry {
            id: "dcr_1".into(),
            kind: "refresh_token".into(),
            user_id: "auth0|a".into(),
            client_id: "c".into(),
            device_id: None,
            device_name: Some("Browser".into()),
        };
        assert_eq!(
            Value::Object(entry.to_wire()).to_string(),
            r#"{"id":"dcr_1","device_name":"Browser","type":"refresh_token","user_id":"auth0|a","client_id":"c"}"#
        );
    }
}
