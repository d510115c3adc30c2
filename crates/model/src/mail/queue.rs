//! The table `letters`.

use db::{Batch, Db, Row, params};
use serde_json::{Map, Value};

use super::render::Mail;
use super::{Kind, Letter, SendError};
use crate::clock::Timestamp;
use crate::ids::{ClientId, TenantId, UserId};
use crate::seal::context;
use crate::{Model, document};

/// Puts a letter into the queue, in the batch of what it tells of. It is rendered and delivered by the mail job; its variables
/// are sealed. Its row hangs on the tenant's alone, and comes after those of users and sessions in the batch.
pub fn queue(batch: &mut Batch, app: &Model, tenant: &TenantId, letter: Letter) {
    let (id, now) = (app.random.alphanumeric(24), app.clock.now());
    let variables = Value::Object(letter.variables).to_string();
    batch
        .execute(
            "INSERT INTO letters (tenant, id, kind, recipient, user_id, client_id, variables, state, attempts, due_at, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, 'queued', 0, $8, $8)",
            params![
                tenant,
                &id,
                letter.kind.name(),
                letter.to,
                letter.user_id,
                letter.client_id,
                app.seal.seal(&place(tenant, &id, "variables"), variables.as_bytes()),
                now
            ],
        )
        .expect(1);
}

/// A letter in the queue, as it lies there: what it says is sealed.
#[derive(Clone, Debug)]
pub struct Queued {
    /// The tenant whose letter it is.
    pub tenant: TenantId,
    /// Its id.
    pub id: String,
    /// The name of what it is about.
    pub kind: String,
    /// The address it goes to.
    pub to: String,
    /// Whom it is about.
    pub user_id: Option<UserId>,
    /// The application that it came from.
    pub client_id: Option<ClientId>,
    /// What its text may name, sealed.
    variables: Option<Vec<u8>>,
    /// How often its delivery has been tried.
    pub attempts: i64,
    /// When it is to be tried, as it was read: what a lease compares.
    pub due_at: Timestamp,
    /// When it was queued.
    pub created_at: Timestamp,
}

/// The letters of all tenants that are due, the longest due first. None of them is opened here: one that cannot be keeps no other.
pub(super) async fn due(app: &Model, now: Timestamp, most: u32) -> Result<Vec<Queued>, db::Error> {
    let rows = app.db.read(
        "SELECT tenant, id, kind, recipient, user_id, client_id, variables, attempts, due_at, created_at FROM letters
         WHERE state = 'queued' AND due_at <= $1 ORDER BY due_at, tenant, id LIMIT $2",
        params![now, most],
    );
    rows.await?.into_iter().map(queued).collect()
}

fn queued(mut row: Row) -> Result<Queued, db::Error> {
    Ok(Queued {
        tenant: row.take()?,
        id: row.take()?,
        kind: row.take()?,
        to: row.take()?,
        user_id: row.take()?,
        client_id: row.take()?,
        variables: row.take()?,
        attempts: row.take()?,
        due_at: row.take()?,
        created_at: row.take()?,
    })
}

impl Queued {
    /// What the letter says.
    ///
    /// # Errors
    /// When it cannot be opened, which a master key that comes back mends, or holds what this version does not know, which nothing does.
    pub(super) fn open(&self, app: &Model) -> Result<Letter, SendError> {
        let kind = Kind::from_name(&self.kind)
            .ok_or_else(|| SendError::lasting(format!("a letter of the unknown kind {}", self.kind)))?;
        let variables = match &self.variables {
            Some(sealed) => {
                let place = place(&self.tenant, &self.id, "variables");
                let text = document::unseal(app, &place, sealed).map_err(SendError::passing)?;
                serde_json::from_str(&text)
                    .map_err(|_| SendError::lasting("what the letter says does not parse"))?
            }
            None => Map::new(),
        };
        let (user_id, client_id) = (self.user_id.clone(), self.client_id.clone());
        Ok(Letter { kind, to: self.to.clone(), user_id, client_id, variables })
    }
}

/// Takes a due letter until `until`, once: of two nodes one gets a `Conflict`.
pub(super) fn lease(batch: &mut Batch, letter: &mut Queued, until: Timestamp) {
    batch
        .execute(
            "UPDATE letters SET due_at = $1, attempts = attempts + 1
             WHERE tenant = $2 AND id = $3 AND state = 'queued' AND due_at = $4",
            params![until, &letter.tenant, &letter.id, letter.due_at],
        )
        .expect(1);
    letter.due_at = until;
    letter.attempts += 1;
}

/// Notes that a leased letter has gone, and forgets what it said.
pub(super) fn sent(batch: &mut Batch, letter: &Queued, now: Timestamp) {
    finish(batch, letter, "sent", None, now);
}

/// Notes that a leased letter is in the outbox.
pub(super) fn kept(app: &Model, batch: &mut Batch, letter: &Queued, mail: &Mail, now: Timestamp) {
    finish(batch, letter, "sent", None, now);
    let text = serde_json::to_vec(mail).expect("texts always serialise");
    batch
        .execute(
            "UPDATE letters SET rendered = $1 WHERE tenant = $2 AND id = $3",
            params![
                app.seal.seal(&place(&letter.tenant, &letter.id, "rendered"), &text),
                &letter.tenant,
                &letter.id
            ],
        )
        .expect(1);
}

/// Notes that a leased letter is given up, why, and forgets what it said.
pub(super) fn failed(batch: &mut Batch, letter: &Queued, reason: &str, now: Timestamp) {
    finish(batch, letter, "failed", Some(reason), now);
}

fn finish(batch: &mut Batch, letter: &Queued, state: &'static str, reason: Option<&str>, now: Timestamp) {
    batch
        .execute(
            "UPDATE letters SET state = $1, error = $2, finished_at = $3, variables = NULL
             WHERE tenant = $4 AND id = $5 AND state = 'queued' AND due_at = $6",
            params![state, reason.map(storable), now, &letter.tenant, &letter.id, letter.due_at],
        )
        .expect(1);
}

/// Puts a leased letter off, and notes why.
pub(super) fn put_off(batch: &mut Batch, letter: &Queued, reason: &str, until: Timestamp) {
    batch
        .execute(
            "UPDATE letters SET error = $1, due_at = $2
             WHERE tenant = $3 AND id = $4 AND state = 'queued' AND due_at = $5",
            params![storable(reason), until, &letter.tenant, &letter.id, letter.due_at],
        )
        .expect(1);
}

/// What a mail server said, as a column takes it.
fn storable(reason: &str) -> String {
    reason.chars().filter(|char| *char != '\0').take(1000).collect()
}

/// Puts a letter off that was taken and not tried. One that another node has by now stays as it is.
pub(super) fn leave(batch: &mut Batch, letter: &Queued, until: Timestamp) {
    batch.execute(
        "UPDATE letters SET due_at = $1 WHERE tenant = $2 AND id = $3 AND state = 'queued' AND due_at = $4",
        params![until, &letter.tenant, &letter.id, letter.due_at],
    );
}

/// A letter as the outbox shows it.
#[derive(Clone, Debug)]
pub struct Shown {
    /// Its id.
    pub id: String,
    /// The name of what it is about.
    pub kind: String,
    /// The address it goes to.
    pub to: String,
    /// `queued`, `sent` or `failed`.
    pub state: String,
    /// Why the last try failed.
    pub error: Option<String>,
    /// When it was queued.
    pub created_at: Timestamp,
    /// The mail, once it is there.
    pub mail: Option<Mail>,
}

const SHOWN: &str =
    "SELECT id, kind, recipient, state, error, created_at, rendered FROM letters WHERE tenant = $1";

/// The tenant's newest letters, the newest first.
pub async fn newest(app: &Model, tenant: &TenantId, most: u32) -> Result<Vec<Shown>, db::Error> {
    let sql = format!("{SHOWN} ORDER BY created_at DESC, id DESC LIMIT $2");
    let rows = app.db.read(sql, params![tenant, most]).await?;
    rows.into_iter().map(|row| shown(app, tenant, row)).collect()
}

/// One of the tenant's letters.
pub async fn find(app: &Model, tenant: &TenantId, id: &str) -> Result<Option<Shown>, db::Error> {
    let row = app.db.read_one(format!("{SHOWN} AND id = $2"), params![tenant, id]).await?;
    row.map(|row| shown(app, tenant, row)).transpose()
}

fn shown(app: &Model, tenant: &TenantId, mut row: Row) -> Result<Shown, db::Error> {
    let id: String = row.take()?;
    let (kind, to, state, error, created_at) =
        (row.take()?, row.take()?, row.take()?, row.take()?, row.take()?);
    let mail = match row.take::<Option<Vec<u8>>>()? {
        Some(sealed) => {
            let text = document::unseal(app, &place(tenant, &id, "rendered"), &sealed)?;
            let mail = serde_json::from_str(&text);
            Some(mail.map_err(|error| db::Error::Failed(format!("a letter does not parse: {error}")))?)
        }
        None => None,
    };
    Ok(Shown { id, kind, to, state, error, created_at, mail })
}

/// Deletes a tenant's letters: what the outbox's button does.
pub async fn clear(db: &Db, tenant: &TenantId) -> Result<(), db::Error> {
    let mut batch = Batch::new();
    batch.execute("DELETE FROM letters WHERE tenant = $1 AND state <> 'queued'", params![tenant]);
    db.commit(batch).await.map(drop)
}

/// What a sealed column of a letter is sealed for.
fn place(tenant: &TenantId, id: &str, column: &str) -> String {
    context("letters", &[tenant.as_str(), id], column)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestModel;

    #[tokio::test]
    async fn a_letter_waits_with_its_variables_sealed() {
        for app in TestModel::each().await {
            let mut batch = Batch::new();
            let letter = Letter::new(Kind::MfaOobCode, "ann@example.com").with("code", "123456");
            queue(&mut batch, &app, &app.tenant, letter);
            app.db.commit(batch).await.unwrap();
            let sql = "SELECT id, kind, recipient, state, variables FROM letters WHERE tenant = $1";
            let mut row = app.db.read_one(sql, params![&app.tenant]).await.unwrap().unwrap();
            let id: String = row.take().unwrap();
            let texts: [String; 3] = [row.take().unwrap(), row.take().unwrap(), row.take().unwrap()];
            assert_eq!(texts, ["mfa_oob_code", "ann@example.com", "queued"]);
            let sealed: Vec<u8> = row.take().unwrap();
            assert!(!sealed.windows(6).any(|window| window == b"123456"));
            let opened = app.seal.open(&place(&app.tenant, &id, "variables"), &sealed).unwrap();
            assert_eq!(**opened, *br#"{"code":"123456"}"#);
        }
    }
}
