//! Tickets: one-time links that set a new password or prove an address.
//!
//! A ticket is bound to a user, to one of their identities, and to the address it was made for. It is used once, by one conditional
//! UPDATE; a newer one of its kind ends it, and so does a change of what it is about.

use db::{Batch, Db, params};

use crate::Model;
use crate::clock::Timestamp;
use crate::ids::{ClientId, TenantId, UserId};
use crate::seal::digest;
use crate::users::User;

/// Seconds that a link works unless somebody says otherwise: five days.
pub const LIFETIME: i64 = 432_000;
/// The longest that anybody may ask for, in seconds: a year.
pub const LONGEST: i64 = 365 * 86_400;

/// What a link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Setting a new password.
    Password,
    /// Proving an address.
    Verification,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Verification => "verification",
        }
    }

    /// The page that the link leads to.
    pub fn path(self) -> &'static str {
        match self {
            Self::Password => "u/reset-password",
            Self::Verification => "u/email-verification",
        }
    }
}

/// What a link is bound to, and where it leads.
#[derive(Clone, Debug)]
pub struct Ticket {
    /// What it is for.
    pub kind: Kind,
    /// Whose it is.
    pub user_id: UserId,
    /// Which of their identities: its provider.
    pub provider: String,
    /// Which of their identities: its id there.
    pub subject: String,
    /// The address that it was made for.
    pub email: Option<String>,
    /// Whether a new password also proves the address: whoever got the link by mail reads it.
    pub marks_verified: bool,
    /// Where the browser goes afterwards.
    pub result_url: Option<String>,
    /// Whether the address goes there too.
    pub include_email: bool,
    /// The application that it came from.
    pub client_id: Option<ClientId>,
    /// When it ends, in milliseconds since the epoch.
    pub expires_at: Timestamp,
}

impl Ticket {
    /// A ticket for one of a user's identities, which works `lifetime` seconds.
    pub fn new(app: &Model, kind: Kind, user: &User, position: usize, lifetime: i64) -> Self {
        let identity = &user.identities[position];
        Self {
            kind,
            user_id: user.id.clone(),
            provider: identity.provider.clone(),
            subject: identity.user_id.clone(),
            email: email_of(user, position).map(str::to_owned),
            marks_verified: false,
            result_url: None,
            include_email: false,
            client_id: None,
            expires_at: app.clock.now().plus_seconds(lifetime.clamp(1, LONGEST)),
        }
    }

    /// The place of the ticket's identity, if it still is the user's, with the address that the ticket was made for.
    pub fn identity(&self, user: &User) -> Option<usize> {
        let (position, _) = user.identity(&self.provider, &self.subject)?;
        (email_of(user, position) == self.email.as_deref()).then_some(position)
    }
}

/// The address of one of a user's identities: the root's for the primary, its own for a linked one.
pub fn email_of(user: &User, position: usize) -> Option<&str> {
    match position {
        0 => user.email.as_deref(),
        _ => user.identities[position].profile.as_ref()?.get("email")?.as_str(),
    }
}

/// Writes a ticket and ends the older ones of its kind and identity. Answers the link's token: 32 alphanumerics. In a batch that also
/// writes the user it comes after.
pub fn insert(app: &Model, batch: &mut Batch, tenant: &TenantId, ticket: &Ticket) -> String {
    let (token, now) = (app.random.alphanumeric(32), app.clock.now());
    end(batch, tenant, ticket.kind, &ticket.user_id, (&ticket.provider, &ticket.subject), now);
    batch
        .execute(
            "INSERT INTO tickets (tenant, hash, kind, user_id, provider, subject, email, marks_verified, result_url, include_email,
               client_id, created_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
            params![
                tenant,
                digest(&token),
                ticket.kind.name(),
                &ticket.user_id,
                &ticket.provider,
                &ticket.subject,
                &ticket.email,
                ticket.marks_verified,
                &ticket.result_url,
                ticket.include_email,
                ticket.client_id.clone(),
                now,
                ticket.expires_at
            ],
        )
        .expect(1);
    token
}

/// The link with a token, at a tenant's issuer. It ends in `#`, as Auth0's do: what a mail program appends is not sent.
pub fn link(issuer: &str, kind: Kind, token: &str) -> String {
    format!("{issuer}{}?ticket={token}#", kind.path())
}

/// The ticket of a link, while it works.
pub async fn find(
    db: &Db,
    tenant: &TenantId,
    kind: Kind,
    token: &str,
    now: Timestamp,
) -> Result<Option<Ticket>, db::Error> {
    let row = db.read_one(
        "SELECT user_id, provider, subject, email, marks_verified, result_url, include_email, client_id, expires_at FROM tickets
         WHERE tenant = $1 AND hash = $2 AND kind = $3 AND ended_at IS NULL AND expires_at > $4",
        params![tenant, digest(token), kind.name(), now],
    );
    let Some(mut row) = row.await? else { return Ok(None) };
    Ok(Some(Ticket {
        kind,
        user_id: row.take()?,
        provider: row.take()?,
        subject: row.take()?,
        email: row.take()?,
        marks_verified: row.take()?,
        result_url: row.take()?,
        include_email: row.take()?,
        client_id: row.take()?,
        expires_at: row.take()?,
    }))
}

/// Uses a ticket: of two racing calls one commits and the other gets a `Conflict`, as does one that comes too late.
pub fn spend(batch: &mut Batch, tenant: &TenantId, kind: Kind, token: &str, now: Timestamp) {
    batch
        .execute(
            "UPDATE tickets SET ended_at = $1
             WHERE tenant = $2 AND hash = $3 AND kind = $4 AND ended_at IS NULL AND expires_at > $1",
            params![now, tenant, digest(token), kind.name()],
        )
        .expect(1);
}

/// Ends the living tickets of a kind of one of a user's identities, named by its provider and its id there: a new password ends the
/// links that would set one, a new address those that would prove the old.
pub fn end(
    batch: &mut Batch,
    tenant: &TenantId,
    kind: Kind,
    user_id: &UserId,
    (provider, subject): (&str, &str),
    now: Timestamp,
) {
    batch.execute(
        "UPDATE tickets SET ended_at = $1
         WHERE tenant = $2 AND user_id = $3 AND kind = $4 AND provider = $5 AND subject = $6 AND ended_at IS NULL",
        params![now, tenant, user_id, kind.name(), provider, subject],
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::users::fixture::{ann, chuck, commit};

    #[test]
    fn a_ticket_is_worth_nothing_with_another_address() {
        let ticket = |email: &str| Ticket {
            kind: Kind::Verification,
            user_id: chuck().id,
            provider: "auth0".into(),
            subject: chuck().primary().user_id.clone(),
            email: Some(email.into()),
            marks_verified: false,
            result_url: None,
            include_email: false,
            client_id: None,
            expires_at: Timestamp::default(),
        };
        assert_eq!(ticket("chuck878@example.com").identity(&chuck()), Some(0));
        assert_eq!(ticket("old@example.com").identity(&chuck()), None);
        assert_eq!(ticket("chuck878@example.com").identity(&ann()), None);
    }

    #[tokio::test]
    async fn a_token_is_found_by_its_digest_alone_and_spent_once() {
        for app in crate::testing::TestModel::each().await {
            let user = crate::users::User { tenant: app.tenant.clone(), ..chuck() };
            commit(&app.db, |batch| crate::users::insert(batch, &user)).await.unwrap();
            let ticket = Ticket::new(&app, Kind::Password, &user, 0, 60);
            let mut token = String::new();
            commit(&app.db, |batch| token = insert(&app, batch, &app.tenant, &ticket)).await.unwrap();
            let find = async |kind, token: &str| {
                find(&app.db, &app.tenant, kind, token, app.clock.now()).await.unwrap().is_some()
            };
            assert!(find(Kind::Password, &token).await && !find(Kind::Verification, &token).await);
            let spend =
                |batch: &mut Batch| spend(batch, &app.tenant, Kind::Password, &token, app.clock.now());
            commit(&app.db, spend).await.unwrap();
            assert!(matches!(commit(&app.db, spend).await, Err(db::Error::Conflict { .. })));
            assert!(!find(Kind::Password, &token).await);

            let mut tokens = Vec::new();
            for _ in 0..2 {
                commit(&app.db, |batch| tokens.push(insert(&app, batch, &app.tenant, &ticket)))
                    .await
                    .unwrap();
            }
            assert!(!find(Kind::Password, &tokens[0]).await && find(Kind::Password, &tokens[1]).await);
            app.clock.advance(60);
            assert!(!find(Kind::Password, &tokens[1]).await);
        }
    }
}
