//! Login tickets: what a proof is worth that was given on a page of an app's own (authentication contract §7), or on a classic sign-in page
//! of the tenant's (§8.5). `/authorize` takes one in the place of a sign-in, once, for its app and in its browser. Only digests are stored.

use db::{Batch, Db, params};

use crate::app::Model;
use crate::clock::Timestamp;
use crate::identities::Identity;
use crate::ids::{ClientId, TenantId, UserId};
use crate::seal::{digest, same};

/// Seconds that a ticket lives: as long as an app's page keeps its verifier (authentication contract §7).
pub const LIFETIME: i64 = 900;

/// Whose proof it was, and where and for whom it was given.
#[derive(Clone, Debug)]
pub struct LoginTicket {
    /// SHA-256 of the ticket.
    hash: [u8; 32],
    /// The app that it is good for.
    pub client_id: ClientId,
    /// Who gave the proof.
    pub user_id: UserId,
    /// The provider of the identity that they gave it for.
    pub provider: String,
    /// The identity's id there.
    pub subject: String,
    /// The connection that it was given on.
    pub connection: String,
    /// The origin of the page that it was given on.
    pub origin: String,
    /// SHA-256 of the cookie of its browser.
    browser: [u8; 32],
    /// SHA-256 of what the page knows.
    verifier: [u8; 32],
    /// The name under which the page knows it.
    pub verifier_id: String,
    /// When the proof was given.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// What the page gets; told once.
#[derive(Clone, Debug)]
pub struct Told {
    /// The ticket: 32 alphanumerics.
    pub ticket: String,
    /// What proves, where the browser withholds its cookie, that a page has it from here: 32 alphanumerics.
    pub verifier: String,
}

/// Where a proof was given, and for whom.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The app.
    pub client_id: &'a ClientId,
    /// The page's origin.
    pub origin: &'a str,
    /// The cookie of the browser.
    pub browser: &'a str,
}

impl LoginTicket {
    /// A ticket that begins now, and what its page is told of it.
    pub fn begin(app: &Model, user_id: &UserId, identity: &Identity, place: Place<'_>) -> (Self, Told) {
        let (random, now) = (&app.random, app.clock.now());
        let told = Told { ticket: random.alphanumeric(32), verifier: random.alphanumeric(32) };
        let ticket = Self {
            hash: digest(&told.ticket),
            client_id: place.client_id.clone(),
            user_id: user_id.clone(),
            provider: identity.provider.clone(),
            subject: identity.user_id.clone(),
            connection: identity.connection.clone(),
            origin: place.origin.to_owned(),
            browser: digest(place.browser),
            verifier: digest(&told.verifier),
            verifier_id: random.alphanumeric(12),
            created_at: now,
            expires_at: now.plus_seconds(LIFETIME),
        };
        (ticket, told)
    }

    /// Whether the proof was given in the browser whose cookie this is.
    pub fn is_of_browser(&self, browser: Option<&str>) -> bool {
        browser.is_some_and(|browser| same(&digest(browser), &self.browser))
    }

    /// Whether this is what its page knows.
    pub fn is_verified_by(&self, verifier: &str) -> bool {
        same(&digest(verifier), &self.verifier)
    }
}

/// Adds `ticket`. In a batch that also writes its user it comes after.
pub fn insert(batch: &mut Batch, tenant: &TenantId, ticket: &LoginTicket) {
    batch
        .execute(
            "INSERT INTO login_tickets (tenant, hash, client_id, user_id, provider, subject, connection, origin,
                 browser, verifier, verifier_id, created_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
            params![
                tenant,
                ticket.hash,
                &ticket.client_id,
                &ticket.user_id,
                &ticket.provider,
                &ticket.subject,
                &ticket.connection,
                &ticket.origin,
                ticket.browser,
                ticket.verifier,
                &ticket.verifier_id,
                ticket.created_at,
                ticket.expires_at
            ],
        )
        .expect(1);
}

/// What a ticket stands for, while it is good; a spent one is not there.
pub async fn find(
    db: &Db,
    tenant: &TenantId,
    ticket: &str,
    now: Timestamp,
) -> Result<Option<LoginTicket>, db::Error> {
    let hash = digest(ticket);
    let row = db
        .read_one(
            "SELECT client_id, user_id, provider, subject, connection, origin, browser, verifier, verifier_id,
                 created_at, expires_at
             FROM login_tickets WHERE tenant = $1 AND hash = $2 AND expires_at > $3",
            params![tenant, hash, now],
        )
        .await?;
    row.map(|mut row| {
        Ok(LoginTicket {
            hash,
            client_id: row.take()?,
            user_id: row.take()?,
            provider: row.take()?,
            subject: row.take()?,
            connection: row.take()?,
            origin: row.take()?,
            browser: row.take()?,
            verifier: row.take()?,
            verifier_id: row.take()?,
            created_at: row.take()?,
            expires_at: row.take()?,
        })
    })
    .transpose()
}

/// Spends a ticket, once: of two racing sign-ins the other is a `Conflict`.
pub fn spend(batch: &mut Batch, tenant: &TenantId, ticket: &LoginTicket) {
    batch
        .execute("DELETE FROM login_tickets WHERE tenant = $1 AND hash = $2", params![tenant, ticket.hash])
        .expect(1);
}

/// Ends every ticket of a user: the password that it came of is another by now, say.
pub fn remove_for_user(batch: &mut Batch, tenant: &TenantId, user_id: &UserId) {
    batch.execute("DELETE FROM login_tickets WHERE tenant = $1 AND user_id = $2", params![tenant, user_id]);
}
