//! Codes that are sent: six digits, bound to the sign-in or enrolment they were sent for, five minutes, few tries.

use db::{Batch, Db, params};

use super::Kind;
use crate::app::Model;
use crate::clock::{SKEW, Timestamp};
use crate::ids::{TenantId, UserId};
use crate::random::Random;
use crate::seal::{digest, same};

/// Seconds that a code lives (authentication contract §2.2).
pub const LIFETIME: i64 = 300;

/// Seconds before another may be sent.
pub const PAUSE: i64 = 30;

/// How often one code may be tried.
const MOST_TRIES: i64 = 5;

/// A code that was sent.
#[derive(Clone, Debug)]
pub struct Sent {
    /// SHA-256 of purpose and code.
    hash: [u8; 32],
    /// Whom it was sent to.
    pub user_id: UserId,
    /// Where it was sent to.
    pub address: String,
    /// When.
    pub sent_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

impl Sent {
    /// Whether `code` is the one that was sent for `purpose`, and still good.
    pub fn is(&self, purpose: &str, code: &str, now: Timestamp) -> bool {
        same(&self.hash, &hash(purpose, code)) && self.expires_at > now
    }

    /// Whether it was sent to this user, and there.
    pub fn went_to(&self, user_id: &UserId, address: &str) -> bool {
        self.user_id == *user_id && self.address == address
    }

    /// What it was sent to: an e-mail address, or a number, which has no `@`.
    pub fn kind(&self) -> Kind {
        if self.address.contains('@') { Kind::Email } else { Kind::Phone }
    }

    /// Seconds until another may be sent; 0 when it may be now.
    pub fn pause(&self, now: Timestamp) -> i64 {
        let pause = self.sent_at.plus_seconds(PAUSE).seconds() - now.seconds();
        // A clock that was set back keeps nobody waiting.
        if pause > PAUSE + SKEW { 0 } else { pause.max(0) }
    }
}

/// Six random digits, each number equally likely.
pub fn new(random: &Random) -> String {
    random.digits(6)
}

/// The code alone would be found by trying them all; with the purpose a table made in advance is of no use.
fn hash(purpose: &str, code: &str) -> [u8; 32] {
    digest(&format!("{purpose}\n{code}"))
}

/// The code that was last sent for `purpose`.
pub async fn find(db: &Db, tenant: &TenantId, purpose: &str) -> Result<Option<Sent>, db::Error> {
    let row = db
        .read_one(
            "SELECT hash, user_id, address, sent_at, expires_at FROM factor_codes WHERE tenant = $1 AND purpose = $2",
            params![tenant, digest(purpose)],
        )
        .await?;
    row.map(|mut row| {
        Ok(Sent {
            hash: row.take()?,
            user_id: row.take()?,
            address: row.take()?,
            sent_at: row.take()?,
            expires_at: row.take()?,
        })
    })
    .transpose()
}

/// Makes a code for `purpose`, in the place of the one before, and answers it: to be sent to `address` in the same batch. Of
/// two at once the later is a `Conflict`, since the pause is not over.
pub fn send(
    batch: &mut Batch,
    app: &Model,
    tenant: &TenantId,
    purpose: &str,
    user_id: &UserId,
    address: &str,
) -> String {
    let (code, now) = (new(&app.random), app.clock.now());
    batch
        .execute(
            "INSERT INTO factor_codes (tenant, purpose, user_id, address, hash, tries, sent_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
             ON CONFLICT (tenant, purpose) DO UPDATE
             SET user_id = $3, address = $4, hash = $5, tries = $6, sent_at = $7, expires_at = $8
             WHERE factor_codes.sent_at <= $9 OR factor_codes.sent_at > $10",
            params![
                tenant,
                digest(purpose),
                user_id,
                address,
                hash(purpose, &code),
                0_i64,
                now,
                now.plus_seconds(LIFETIME),
                now.plus_seconds(-PAUSE),
                now.plus_seconds(SKEW),
            ],
        )
        .expect(1);
    code
}

/// Whether a code that was sent to this user and there at `sent_at` is still waited for: it was not given, and no other took its place.
pub async fn is_awaited(
    db: &Db,
    tenant: &TenantId,
    user_id: &UserId,
    address: &str,
    sent_at: Timestamp,
) -> Result<bool, db::Error> {
    // The message was made in the same batch, a moment later; another code comes after a pause.
    let (from, to) = (sent_at.plus_seconds(-PAUSE / 2), sent_at.plus_seconds(PAUSE / 2));
    let found = db
        .read_one(
            "SELECT 1 FROM factor_codes WHERE tenant = $1 AND user_id = $2 AND address = $3
             AND sent_at > $4 AND sent_at < $5 LIMIT 1",
            params![tenant, user_id, address, from, to],
        )
        .await?;
    Ok(found.is_some())
}

/// Counts a try, before the code is looked at. Answers whether it may be made.
pub async fn try_once(app: &Model, tenant: &TenantId, purpose: &str) -> Result<bool, db::Error> {
    let mut batch = Batch::new();
    batch
        .execute(
            "UPDATE factor_codes SET tries = tries + 1 WHERE tenant = $1 AND purpose = $2 AND tries < $3",
            params![tenant, digest(purpose), MOST_TRIES],
        )
        .expect(1);
    match app.db.commit(batch).await {
        Ok(_) => Ok(true),
        Err(db::Error::Conflict { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Spends a code, once.
pub fn spend(batch: &mut Batch, tenant: &TenantId, purpose: &str, sent: &Sent) {
    batch
        .execute(
            "DELETE FROM factor_codes WHERE tenant = $1 AND purpose = $2 AND hash = $3",
            params![tenant, digest(purpose), sent.hash],
        )
        .expect(1);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestModel;

    #[test]
    fn every_code_has_six_digits_and_none_is_favoured() {
        let random = Random::seeded(1);
        let codes: Vec<String> = (0..2000).map(|_| new(&random)).collect();
        assert!(codes.iter().all(|code| code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit())));
        for digit in b'0'..=b'9' {
            let first = codes.iter().filter(|code| code.as_bytes()[0] == digit).count();
            assert!((120..280).contains(&first), "{first} of 2000 begin with {}", char::from(digit));
        }
    }

    #[tokio::test]
    async fn a_code_is_spent_once_and_another_comes_after_a_pause() {
        for app in TestModel::each().await {
            let user = app.add_user().await;
            let mut batch = Batch::new();
            let code = send(&mut batch, &app, &app.tenant, "sign-in", &user.id, "a@acme.test");
            app.db.commit(batch).await.unwrap();
            let sent = find(&app.db, &app.tenant, "sign-in").await.unwrap().unwrap();
            let now = app.clock.now();
            assert!(sent.is("sign-in", &code, now) && !sent.is("other", &code, now));
            let pauses = [0, 1, PAUSE - 1, PAUSE, PAUSE + 1].map(|later| sent.pause(now.plus_seconds(later)));
            assert_eq!(pauses, [PAUSE, PAUSE - 1, 1, 0, 0]);
            let awaited = async |address: &str, later: i64| {
                let at = sent.sent_at.plus_seconds(later);
                is_awaited(&app.db, &app.tenant, &user.id, address, at).await.unwrap()
            };
            assert!(awaited("a@acme.test", 0).await && awaited("a@acme.test", 1).await);
            assert!(!awaited("b@acme.test", 0).await && !awaited("a@acme.test", -PAUSE).await);
            // The clock is set back: another is sent, in its place.
            app.clock.advance(-3600);
            assert_eq!(sent.pause(app.clock.now()), 0);
            let mut batch = Batch::new();
            let code = send(&mut batch, &app, &app.tenant, "sign-in", &user.id, "a@acme.test");
            app.db.commit(batch).await.unwrap();
            let again = find(&app.db, &app.tenant, "sign-in").await.unwrap().unwrap();
            assert!(again.is("sign-in", &code, app.clock.now()) && !awaited("a@acme.test", 0).await);
            let sent = again;
            for ok in [true, false] {
                let mut batch = Batch::new();
                spend(&mut batch, &app.tenant, "sign-in", &sent);
                assert_eq!(app.db.commit(batch).await.is_ok(), ok);
            }
            assert!(find(&app.db, &app.tenant, "sign-in").await.unwrap().is_none());
        }
    }
}
