//! Second factors: what a user has enrolled besides a password, one file for each kind behind [`Kind`].
//!
//! A change of what is confirmed also saves the user ([`enrolled`], [`ended`]): that tells in `multifactor` whether there is
//! anything, and of two changes at once the later is decided anew.

pub mod attempts;
pub mod codes;
pub mod recovery_code;
pub mod remembered;
pub mod sending;
pub mod tickets;
pub mod totp;

use db::{Batch, Db, Row, params};

use crate::app::Model;
use crate::clock::Timestamp;
use crate::ids::{ClientId, TenantId, UserId};
use crate::mail::{self, Letter};
use crate::seal::{context, digest};
use crate::self_service;
use crate::users::{self, User};

/// The most factors that a user may have, enrolments under way included.
pub const MOST: usize = 20;

/// What `multifactor` of a user with a second factor holds.
const PROVIDER: &str = "guardian";

/// The kinds of factors, by the names that the Management API gives them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Codes of an authenticator app (RFC 6238).
    Totp,
    /// Codes by e-mail.
    Email,
    /// Codes to a phone: by SMS. A preferred call is kept for whoever reads it back, and nothing calls.
    Phone,
    /// One code for the day that every other factor is lost.
    RecoveryCode,
}

impl Kind {
    /// Every kind there is.
    pub const ALL: [Self; 4] = [Self::Totp, Self::Email, Self::Phone, Self::RecoveryCode];

    /// The `type` of an authentication method.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Totp => "totp",
            Self::Email => "email",
            Self::Phone => "phone",
            Self::RecoveryCode => "recovery-code",
        }
    }

    /// The kind with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

impl Kind {
    /// What people call it, in letters.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Totp => "Authenticator app",
            Self::Email => "Codes by email",
            Self::Phone => "Codes to a phone",
            Self::RecoveryCode => "Recovery code",
        }
    }
}

/// A factor of a user.
#[derive(Clone)]
pub struct Factor {
    /// `dev_` and 16 characters.
    pub id: String,
    /// Whose it is.
    pub user_id: UserId,
    /// What it is.
    pub kind: Kind,
    /// What its user or an administrator calls it.
    pub name: Option<String>,
    /// The e-mail address or the phone number.
    pub address: Option<String>,
    /// `sms` or `voice`, of a phone.
    pub preferred: Option<String>,
    /// When the enrolment began.
    pub created_at: Timestamp,
    /// When a right code ended the enrolment: before that the factor opens nothing.
    pub confirmed_at: Option<Timestamp>,
    /// When it was last used.
    pub last_auth_at: Option<Timestamp>,
    /// The last time step whose code was used, of an authenticator app.
    last_step: i64,
    /// The sealed seed, of an authenticator app.
    secret: Option<Vec<u8>>,
    /// SHA-256 of a recovery code.
    hash: Option<[u8; 32]>,
    /// Digest of what an enrolment under way is bound to.
    pending: Option<[u8; 32]>,
}

impl std::fmt::Debug for Factor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Factor").field("id", &self.id).field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl Factor {
    /// A factor whose enrolment begins now, bound to `purpose`, which is the id of a sign-in or of an enrolment of its own.
    pub fn begin(app: &Model, user_id: &UserId, kind: Kind, purpose: &str) -> Self {
        Self { pending: Some(digest(purpose)), confirmed_at: None, ..Self::confirmed(app, user_id, kind) }
    }

    /// A factor that is confirmed from the beginning.
    pub fn confirmed(app: &Model, user_id: &UserId, kind: Kind) -> Self {
        let now = app.clock.now();
        Self {
            id: format!("dev_{}", app.random.alphanumeric(16)),
            user_id: user_id.clone(),
            kind,
            name: None,
            address: None,
            preferred: None,
            created_at: now,
            confirmed_at: Some(now),
            last_auth_at: None,
            last_step: 0,
            secret: None,
            hash: None,
            pending: None,
        }
    }

    /// With the seed of an authenticator app, which is sealed.
    #[must_use]
    pub fn with_seed(mut self, app: &Model, tenant: &TenantId, seed: &[u8]) -> Self {
        self.secret = Some(app.seal.seal(&seed_context(tenant, &self.id), seed));
        self
    }

    /// With an e-mail address, or a phone number, which is written to unless another way is preferred.
    #[must_use]
    pub fn with_address(mut self, address: &str) -> Self {
        if self.kind == Kind::Phone {
            self.preferred.get_or_insert_with(|| "sms".to_owned());
        }
        self.address = Some(address.to_owned());
        self
    }

    /// The seed of an authenticator app.
    ///
    /// # Errors
    /// When the row is damaged, or sealed under a key that is not here.
    pub fn seed(&self, app: &Model, tenant: &TenantId) -> Result<Vec<u8>, db::Error> {
        let place = seed_context(tenant, &self.id);
        let sealed = self.secret.as_deref().unwrap_or_default();
        let opened = app.seal.open(&place, sealed);
        opened.map(|seed| seed.to_vec()).map_err(|_| db::Error::Failed(format!("{place} does not open")))
    }

    /// The id as an authentication method has it: `totp|dev_…`.
    pub fn method_id(&self) -> String {
        format!("{}|{}", self.kind.as_str(), self.id)
    }

    /// The id as an authenticator has it, which names the way of a phone: `sms|dev_…`.
    pub fn authenticator_id(&self) -> String {
        match self.kind {
            Kind::Phone => format!("sms|{}", self.id),
            _ => self.method_id(),
        }
    }

    /// Whether a right code has ended the enrolment.
    pub fn is_confirmed(&self) -> bool {
        self.confirmed_at.is_some()
    }

    /// Whether it is an enrolment under way, bound to `purpose`.
    pub fn is_pending_for(&self, purpose: &str) -> bool {
        !self.is_confirmed() && self.pending == Some(digest(purpose))
    }

    /// Whether both are enrolments under way that the same end.
    pub fn is_pending_with(&self, other: &Self) -> bool {
        !self.is_confirmed() && self.pending.is_some() && self.pending == other.pending
    }

    /// Whether it is one of the factors that protect an account: a recovery code only stands in for them.
    pub fn protects(&self) -> bool {
        self.is_confirmed() && self.kind != Kind::RecoveryCode
    }
}

fn seed_context(tenant: &TenantId, id: &str) -> String {
    context("factors", &[tenant.as_str(), id], "secret")
}

/// Every factor of a user, enrolments under way included, oldest first.
pub async fn list(db: &Db, tenant: &TenantId, user_id: &UserId) -> Result<Vec<Factor>, db::Error> {
    let rows = db
        .read(
            "SELECT id, user_id, kind, name, address, preferred, created_at, confirmed_at, last_auth_at, last_step, secret,
                 hash, pending
             FROM factors WHERE tenant = $1 AND user_id = $2 ORDER BY created_at, id LIMIT 100",
            params![tenant, user_id],
        )
        .await?;
    rows.into_iter().map(from_row).collect()
}

/// The factor with this id, whosever it is.
pub async fn find(db: &Db, tenant: &TenantId, id: &str) -> Result<Option<Factor>, db::Error> {
    let row = db
        .read_one(
            "SELECT id, user_id, kind, name, address, preferred, created_at, confirmed_at, last_auth_at, last_step, secret,
                 hash, pending
             FROM factors WHERE tenant = $1 AND id = $2",
            params![tenant, id],
        )
        .await?;
    row.map(from_row).transpose()
}

fn from_row(mut row: Row) -> Result<Factor, db::Error> {
    Ok(Factor {
        id: row.take()?,
        user_id: row.take()?,
        kind: {
            let kind: String = row.take()?;
            Kind::parse(&kind).ok_or_else(|| db::Error::Failed(format!("no factor is a {kind}")))?
        },
        name: row.take()?,
        address: row.take()?,
        preferred: row.take()?,
        created_at: row.take()?,
        confirmed_at: row.take()?,
        last_auth_at: row.take()?,
        last_step: row.take()?,
        secret: row.take()?,
        hash: row.take()?,
        pending: row.take()?,
    })
}

/// Adds `factor`. A second recovery code is `Unique` of `factors_recovery_code`.
pub fn insert(batch: &mut Batch, tenant: &TenantId, factor: &Factor) {
    batch
        .execute(
            "INSERT INTO factors (tenant, id, user_id, kind, name, address, preferred, secret, hash, last_step, pending,
                 created_at, confirmed_at, last_auth_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
            params![
                tenant,
                &factor.id,
                &factor.user_id,
                factor.kind.as_str(),
                &factor.name,
                &factor.address,
                &factor.preferred,
                &factor.secret,
                factor.hash,
                factor.last_step,
                factor.pending,
                factor.created_at,
                factor.confirmed_at,
                factor.last_auth_at,
            ],
        )
        .expect(1);
}

/// Puts an enrolment under way in the place of the user's others of its kind: one at a time.
pub fn begin(batch: &mut Batch, tenant: &TenantId, factor: &Factor) {
    batch.execute(
        "DELETE FROM factors WHERE tenant = $1 AND user_id = $2 AND kind = $3 AND confirmed_at IS NULL",
        params![tenant, &factor.user_id, factor.kind.as_str()],
    );
    insert(batch, tenant, factor);
}

/// Ends an enrolment under way with a right code. One that was ended or replaced meanwhile is a `Conflict`.
pub fn confirm(batch: &mut Batch, tenant: &TenantId, factor: &Factor, step: i64, now: Timestamp) {
    batch
        .execute(
            "UPDATE factors SET confirmed_at = $1, last_auth_at = $1, last_step = $2, pending = $3
             WHERE tenant = $4 AND id = $5 AND confirmed_at IS NULL AND pending = $6",
            params![now, step, None::<Vec<u8>>, tenant, &factor.id, factor.pending],
        )
        .expect(1);
}

/// Notes that a confirmed factor was used. One that has gone meanwhile is a `Conflict`.
pub fn used(batch: &mut Batch, tenant: &TenantId, factor: &Factor, now: Timestamp) {
    batch
        .execute(
            "UPDATE factors SET last_auth_at = $1 WHERE tenant = $2 AND id = $3 AND confirmed_at IS NOT NULL",
            params![now, tenant, &factor.id],
        )
        .expect(1);
}

/// Gives a factor another name and another preferred way. One that has gone meanwhile is a `Conflict`.
pub fn describe(batch: &mut Batch, tenant: &TenantId, factor: &Factor) {
    batch
        .execute(
            "UPDATE factors SET name = $1, preferred = $2 WHERE tenant = $3 AND id = $4",
            params![&factor.name, &factor.preferred, tenant, &factor.id],
        )
        .expect(1);
}

/// Says of a user who is about to be written that they have a second factor.
pub(crate) fn mark(user: &mut User) {
    user.multifactor = vec![PROVIDER.to_owned()];
}

/// Saves the user of whom a factor has just been confirmed, before the statement that confirms it.
pub fn enrolled(batch: &mut Batch, user: &mut User, now: Timestamp) {
    mark(user);
    user.updated_at = now;
    users::save(batch, user);
}

/// Ends factors of a user: `gone` of what they have, which is `all`. With the last one that protects the account go the
/// recovery code and the remembered browsers; so that nothing of it opens what is enrolled later.
pub fn ended(batch: &mut Batch, user: &mut User, all: &[Factor], gone: &[&Factor], now: Timestamp) {
    let is_gone = |factor: &Factor| gone.iter().any(|other| other.id == factor.id);
    let protected = all.iter().any(|factor| factor.protects() && !is_gone(factor));
    user.multifactor = if protected { vec![PROVIDER.to_owned()] } else { Vec::new() };
    user.updated_at = now;
    users::save(batch, user);
    if protected {
        for factor in gone {
            batch.execute(
                "DELETE FROM factors WHERE tenant = $1 AND id = $2",
                params![&user.tenant, &factor.id],
            );
        }
    } else {
        batch.execute(
            "DELETE FROM factors WHERE tenant = $1 AND user_id = $2",
            params![&user.tenant, &user.id],
        );
        remembered::forget(batch, &user.tenant, &user.id);
    }
}

/// Writes to the user that a factor of theirs was added, removed or, of a recovery code, replaced; where they have an address and
/// the tenant's policy sends such letters.
pub async fn notify(
    batch: &mut Batch,
    app: &Model,
    user: &User,
    notice: mail::Kind,
    factor: Kind,
    client_id: Option<&ClientId>,
) -> Result<(), db::Error> {
    if !self_service::find(app, &user.tenant).await?.sends(notice) {
        return Ok(());
    }
    let Some(letter) = Letter::to_user(notice, user) else { return Ok(()) };
    let letter = letter.with("factor", factor.words());
    let letter = match client_id {
        Some(client_id) => letter.client(client_id),
        None => letter,
    };
    mail::queue(batch, app, &user.tenant, letter);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestModel;

    #[tokio::test]
    async fn what_goes_to_a_log_names_a_factor_and_tells_nothing_of_it() {
        for model in TestModel::each().await {
            let factor =
                Factor::confirmed(&model, &"auth0|x".into(), Kind::Email).with_address("x@example.com");
            let told = format!("{factor:?}");
            assert!(
                told.contains(&factor.id) && told.contains("Email") && !told.contains("x@example.com"),
                "{told}"
            );
        }
    }

    #[tokio::test]
    async fn enrolments_under_way_end_together_if_they_are_bound_to_the_same() {
        for model in TestModel::each().await {
            let user = "auth0|x".into();
            let begun = |purpose| Factor::begin(&model, &user, Kind::Totp, purpose);
            assert!(begun("one").is_pending_with(&begun("one")));
            assert!(!begun("one").is_pending_with(&begun("two")));
            let confirmed = Factor { confirmed_at: Some(model.clock.now()), ..begun("one") };
            assert!(!confirmed.is_pending_with(&begun("one")));
            let bound_to_nothing = || Factor { pending: None, ..begun("one") };
            assert!(!bound_to_nothing().is_pending_with(&bound_to_nothing()));
        }
    }

    #[tokio::test]
    async fn an_enrolment_is_confirmed_once_and_by_what_it_is_bound_to() {
        for model in TestModel::each().await {
            let (mut user, tenant, now) = (model.add_user().await, &model.tenant, model.clock.now());
            let factor =
                Factor::begin(&model, &user.id, Kind::Totp, "one").with_seed(&model, tenant, b"seed");
            let mut batch = Batch::new();
            begin(&mut batch, tenant, &factor);
            model.db.commit(batch).await.unwrap();
            let found = list(&model.db, tenant, &user.id).await.unwrap().pop().unwrap();
            assert_eq!(found.seed(&model, tenant).unwrap(), b"seed");
            assert!(found.is_pending_for("one") && !found.is_pending_for("two") && !found.protects());
            for ok in [true, false] {
                let mut batch = Batch::new();
                enrolled(&mut batch, &mut user, now);
                confirm(&mut batch, tenant, &found, 7, now);
                assert_eq!(model.db.commit(batch).await.is_ok(), ok);
            }
            let found = find(&model.db, tenant, &factor.id).await.unwrap().unwrap();
            assert!(found.protects() && !found.is_pending_for("one"));
        }
    }

    #[tokio::test]
    async fn a_new_enrolment_takes_the_place_of_the_one_under_way() {
        for model in TestModel::each().await {
            let (user, tenant) = (model.add_user().await, &model.tenant);
            for purpose in ["one", "two"] {
                let mut batch = Batch::new();
                begin(&mut batch, tenant, &Factor::begin(&model, &user.id, Kind::Totp, purpose));
                model.db.commit(batch).await.unwrap();
            }
            let all = list(&model.db, tenant, &user.id).await.unwrap();
            assert_eq!(all.len(), 1);
            assert!(all[0].is_pending_for("two"));
        }
    }

    #[tokio::test]
    async fn with_the_last_factor_go_recovery_code_and_remembered_browsers() {
        for model in TestModel::each().await {
            let (mut user, tenant, now) = (model.add_user().await, &model.tenant, model.clock.now());
            let [totp, email, code] = [Kind::Totp, Kind::Email, Kind::RecoveryCode]
                .map(|kind| Factor::confirmed(&model, &user.id, kind));
            let mut batch = Batch::new();
            enrolled(&mut batch, &mut user, now);
            for factor in [&totp, &email, &code] {
                insert(&mut batch, tenant, factor);
            }
            let token = remembered::remember(&mut batch, &model, tenant, &user.id, None);
            model.db.commit(batch).await.unwrap();
            for (gone, left) in [(&totp, 2), (&email, 0)] {
                let all = list(&model.db, tenant, &user.id).await.unwrap();
                let mut batch = Batch::new();
                ended(&mut batch, &mut user, &all, &[gone], now);
                model.db.commit(batch).await.unwrap();
                assert_eq!(list(&model.db, tenant, &user.id).await.unwrap().len(), left);
                let known = remembered::holds(&model.db, tenant, &user.id, &token, now).await.unwrap();
                let multifactor =
                    users::find(&model.db, tenant, &user.id).await.unwrap().unwrap().multifactor;
                assert_eq!((known, multifactor.is_empty()), (left > 0, left == 0));
            }
        }
    }
}
