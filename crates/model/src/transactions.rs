//! Login transactions. Until the first proof a transaction lives in `state` alone: sealed, and bound to the browser by a
//! cookie, so that a flood of anonymous requests writes nothing. From then on a row says how far it has come, and
//! completing it spends the row.

use db::{Batch, Db, params};
use serde::{Deserialize, Serialize};

use crate::app::Model;
use crate::clock::Timestamp;
use crate::ids::TenantId;
use crate::seal::{digest, same};

/// How long a person has to finish, in seconds.
pub const LIFETIME: i64 = 3600;

/// A sign-in under way, as `state` carries it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Transaction {
    /// Names its row.
    pub id: String,
    /// SHA-256 of the cookie that binds it to the browser.
    browser: Vec<u8>,
    /// When it ends, in milliseconds since the epoch.
    expires_at: i64,
    /// The parameters of the `/authorize` request, as they came.
    pub params: Vec<(String, String)>,
    /// How they came.
    #[serde(default)]
    pub source: Source,
    /// Where the code went that is to be typed, where one was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The device that is to be let in, where that is what the sign-in is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<Device>,
}

/// The device that a sign-in is for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Device {
    /// SHA-256 of its code.
    pub hash: [u8; 32],
    /// What its user typed, to be shown to them again.
    pub user_code: String,
    /// Whether its user has confirmed, in this browser, that it is theirs.
    pub confirmed: bool,
}

/// How the parameters of a request came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The client pushed them first (RFC 9126).
    pub pushed: bool,
    /// The client signed them (RFC 9101).
    pub signed: bool,
    /// The digest of the `request_uri` that stood for them: their answer spends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<[u8; 32]>,
}

/// How far a transaction has come.
#[derive(Clone, Debug)]
pub struct Progress {
    /// The session that the proof was given in.
    pub sid: String,
    /// Whether the user proved who they are within this transaction.
    pub authenticated: bool,
    /// Whether the user answered the consent page within this transaction.
    pub consented: bool,
    /// A recovery code that the user has yet to be shown, sealed ([`recovery_code`]).
    pub recovery_code: Option<String>,
    /// Whether it has been completed.
    pub done: bool,
}

/// Why a `state` is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateError {
    /// Not one of ours, or altered.
    Invalid,
    /// Begun in another browser.
    Foreign,
    /// Too old.
    Expired,
}

impl Transaction {
    /// A transaction that begins now in the browser whose cookie holds `browser`.
    pub fn begin(app: &Model, browser: &str, params: Vec<(String, String)>, source: Source) -> Self {
        Self {
            id: app.random.token(),
            browser: digest(browser).to_vec(),
            expires_at: app.clock.now().plus_seconds(LIFETIME).millis(),
            params,
            source,
            address: None,
            device: None,
        }
    }

    /// A sign-in in the browser whose cookie holds `browser`, for a device that its user has yet to confirm.
    pub fn for_device(app: &Model, browser: &str, hash: [u8; 32], user_code: &str) -> Self {
        let device = Device { hash, user_code: user_code.to_owned(), confirmed: false };
        Self { device: Some(device), ..Self::begin(app, browser, Vec::new(), Source::default()) }
    }

    /// The same sign-in, now that its user has confirmed the device.
    pub fn confirmed(mut self) -> Self {
        if let Some(device) = &mut self.device {
            device.confirmed = true;
        }
        self
    }

    /// The same sign-in, now that a code has gone to this address.
    pub fn sent_to(self, address: &str) -> Self {
        Self { address: Some(address.to_owned()), ..self }
    }

    /// The transaction as a `state` value for our own pages.
    pub fn seal(&self, app: &Model, tenant: &TenantId) -> String {
        let json = serde_json::to_string(self).expect("strings and numbers always serialise");
        app.seal.seal_text(&context(tenant), &json)
    }

    /// The transaction in `state`, if this browser began it and it is not too old.
    pub fn open(
        app: &Model,
        tenant: &TenantId,
        state: &str,
        browser: Option<&str>,
    ) -> Result<Self, StateError> {
        let json = app.seal.open_text(&context(tenant), state).map_err(|_| StateError::Invalid)?;
        let transaction: Self = serde_json::from_str(&json).map_err(|_| StateError::Invalid)?;
        if !browser.is_some_and(|browser| same(&digest(browser), &transaction.browser)) {
            return Err(StateError::Foreign);
        }
        if transaction.expires_at() <= app.clock.now() {
            return Err(StateError::Expired);
        }
        Ok(transaction)
    }

    /// What the client of a sign-in had asked for, whatever its time and browser: nothing is allowed by it. `None` for what is none of ours.
    pub fn asked(app: &Model, tenant: &TenantId, state: &str) -> Option<Vec<(String, String)>> {
        let json = app.seal.open_text(&context(tenant), state).ok()?;
        serde_json::from_str::<Self>(&json).ok().map(|transaction| transaction.params)
    }

    /// When it ends.
    pub fn expires_at(&self) -> Timestamp {
        Timestamp::from_millis(self.expires_at)
    }
}

fn context(tenant: &TenantId) -> String {
    format!("transactions/state/{tenant}")
}

/// How far a transaction has come; `None` before its first proof.
pub async fn progress(db: &Db, tenant: &TenantId, id: &str) -> Result<Option<Progress>, db::Error> {
    let row = db
        .read_one(
            "SELECT sid, authenticated, consented, recovery_code, done_at FROM transactions WHERE tenant = $1 AND id = $2",
            params![tenant, id],
        )
        .await?;
    row.map(|mut row| {
        Ok(Progress {
            sid: row.take()?,
            authenticated: row.take()?,
            consented: row.take()?,
            recovery_code: row.take()?,
            done: row.take::<Option<i64>>()?.is_some(),
        })
    })
    .transpose()
}

/// Notes that the user proved who they are, in session `sid`: what the user of another session answered before counts no
/// more. A completed transaction is a `Conflict`.
pub fn authenticated(batch: &mut Batch, tenant: &TenantId, transaction: &Transaction, sid: &str) {
    batch
        .execute(
            "INSERT INTO transactions (tenant, id, sid, authenticated, consented, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (tenant, id) DO UPDATE SET sid = $3, authenticated = $4, consented = $5, recovery_code = $7
             WHERE transactions.done_at IS NULL",
            params![tenant, &transaction.id, sid, true, false, transaction.expires_at(), None::<String>],
        )
        .expect(1);
}

/// Notes that the user of session `sid` answered the consent page. A completed transaction is a `Conflict`.
pub fn consented(batch: &mut Batch, tenant: &TenantId, transaction: &Transaction, sid: &str) {
    batch
        .execute(
            "INSERT INTO transactions (tenant, id, sid, authenticated, consented, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (tenant, id) DO UPDATE SET consented = $5
             WHERE transactions.done_at IS NULL AND transactions.sid = $3",
            params![tenant, &transaction.id, sid, false, true, transaction.expires_at()],
        )
        .expect(1);
}

/// Keeps a new recovery code of the user of session `sid` until they have seen it. A completed transaction is a `Conflict`.
pub fn show_recovery_code(
    batch: &mut Batch,
    app: &Model,
    tenant: &TenantId,
    transaction: &Transaction,
    sid: &str,
    code: &str,
) {
    let sealed = app.seal.seal_text(&code_context(tenant, &transaction.id, sid), code);
    batch
        .execute(
            "INSERT INTO transactions (tenant, id, sid, authenticated, consented, recovery_code, expires_at)
             VALUES ($1, $2, $3, $4, $4, $5, $6)
             ON CONFLICT (tenant, id) DO UPDATE SET recovery_code = $5
             WHERE transactions.done_at IS NULL AND transactions.sid = $3",
            params![tenant, &transaction.id, sid, false, sealed, transaction.expires_at()],
        )
        .expect(1);
}

/// The recovery code that the user of this transaction has yet to be shown.
pub fn recovery_code(
    app: &Model,
    tenant: &TenantId,
    transaction: &Transaction,
    progress: &Progress,
) -> Option<String> {
    let context = code_context(tenant, &transaction.id, &progress.sid);
    let opened = app.seal.open_text(&context, progress.recovery_code.as_deref()?);
    opened.ok().map(|code| code.to_string())
}

/// Notes that the user has seen their recovery code, once.
pub fn saw_recovery_code(
    batch: &mut Batch,
    tenant: &TenantId,
    transaction: &Transaction,
    progress: &Progress,
) {
    batch
        .execute(
            "UPDATE transactions SET recovery_code = $1
             WHERE tenant = $2 AND id = $3 AND sid = $4 AND recovery_code = $5 AND done_at IS NULL",
            params![None::<String>, tenant, &transaction.id, &progress.sid, &progress.recovery_code],
        )
        .expect(1);
}

fn code_context(tenant: &TenantId, id: &str, sid: &str) -> String {
    crate::seal::context("transactions", &[tenant.as_str(), id, sid], "recovery_code")
}

/// Completes a transaction, once.
pub fn done(batch: &mut Batch, tenant: &TenantId, id: &str, now: Timestamp) {
    batch
        .execute(
            "UPDATE transactions SET done_at = $1 WHERE tenant = $2 AND id = $3 AND done_at IS NULL",
            params![now, tenant, id],
        )
        .expect(1);
}

/// Completes a transaction that the user refused, whether or not it had a row.
pub fn refused(batch: &mut Batch, tenant: &TenantId, transaction: &Transaction, sid: &str, now: Timestamp) {
    batch
        .execute(
            "INSERT INTO transactions (tenant, id, sid, authenticated, consented, expires_at, done_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT (tenant, id) DO UPDATE SET done_at = $7 WHERE transactions.done_at IS NULL",
            params![tenant, &transaction.id, sid, false, false, transaction.expires_at(), now],
        )
        .expect(1);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestModel;

    #[tokio::test]
    async fn a_state_is_of_one_tenant_and_one_browser() {
        for model in TestModel::each().await {
            let begun = Transaction::begin(&model, "browser", Vec::new(), Source::default());
            let state = begun.seal(&model, &model.tenant);
            let opened = |tenant: &TenantId, browser| Transaction::open(&model, tenant, &state, browser);
            assert_eq!(opened(&model.tenant, Some("browser")).unwrap().id, begun.id);
            assert!(matches!(opened(&"other".into(), Some("browser")), Err(StateError::Invalid)));
            for browser in [None, Some("other")] {
                assert!(matches!(opened(&model.tenant, browser), Err(StateError::Foreign)));
            }
        }
    }

    #[tokio::test]
    async fn a_recovery_code_is_shown_in_the_session_that_made_it() {
        for model in TestModel::each().await {
            let tenant = &model.tenant;
            let begun = Transaction::begin(&model, "browser", Vec::new(), Source::default());
            let mut batch = Batch::new();
            show_recovery_code(&mut batch, &model, tenant, &begun, "one", "ABCDEF");
            model.db.commit(batch).await.unwrap();
            let progress_of = async || progress(&model.db, tenant, &begun.id).await.unwrap().unwrap();
            let mut found = progress_of().await;
            assert_eq!(recovery_code(&model, tenant, &begun, &found).as_deref(), Some("ABCDEF"));
            found.sid = "two".into();
            assert_eq!(recovery_code(&model, tenant, &begun, &found), None);
            let other = Transaction::begin(&model, "browser", Vec::new(), Source::default());
            assert_eq!(recovery_code(&model, tenant, &other, &progress_of().await), None);
        }
    }

    #[tokio::test]
    async fn a_refusal_ends_a_transaction_once() {
        for model in TestModel::each().await {
            let begun = Transaction::begin(&model, "browser", Vec::new(), Source::default());
            for ok in [true, false] {
                let mut batch = Batch::new();
                refused(&mut batch, &model.tenant, &begun, "one", model.clock.now());
                assert_eq!(model.db.commit(batch).await.is_ok(), ok);
            }
            assert!(progress(&model.db, &model.tenant, &begun.id).await.unwrap().unwrap().done);
        }
    }
}
