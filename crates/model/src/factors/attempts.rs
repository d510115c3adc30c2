//! How often a user may try a code, and be sent one: one account of it for each user, over all sign-ins, addresses and kinds
//! of codes.

use db::{Batch, params};

use crate::app::Model;
use crate::clock::SKEW;
use crate::ids::{TenantId, UserId};

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limited {
    /// Trying a code.
    Check,
    /// Being sent one.
    Sending,
}

impl Limited {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Check => "check",
            // As rows know it.
            Self::Sending => "mail",
        }
    }
}

/// How many in a row.
pub const MOST: i64 = 10;

/// Seconds after which one more is free.
pub const EVERY: i64 = 360;

/// Takes one of the user's attempts, before what is tried is looked at: so that a hundred at once are not more than ten.
/// Answers whether there was one left.
pub async fn take(
    app: &Model,
    tenant: &TenantId,
    user_id: &UserId,
    what: Limited,
) -> Result<bool, db::Error> {
    let now = app.clock.now();
    let mut batch = Batch::new();
    batch
        .execute(
            "INSERT INTO factor_limits (tenant, user_id, kind, free_at) VALUES ($1, $2, $3, $4)
             ON CONFLICT (tenant, user_id, kind) DO UPDATE
             SET free_at = CASE WHEN factor_limits.free_at > $5 AND factor_limits.free_at <= $8
                 THEN factor_limits.free_at + $6 ELSE $4 END
             WHERE factor_limits.free_at <= $7 OR factor_limits.free_at > $8",
            params![
                tenant,
                user_id,
                what.as_str(),
                now.plus_seconds(EVERY),
                now,
                EVERY * 1000,
                now.plus_seconds((MOST - 1) * EVERY),
                now.plus_seconds(MOST * EVERY + SKEW),
            ],
        )
        .expect(1);
    match app.db.commit(batch).await {
        Ok(_) => Ok(true),
        Err(db::Error::Conflict { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Gives all attempts back: the right code was among them.
pub fn forgive(batch: &mut Batch, tenant: &TenantId, user_id: &UserId) {
    batch.execute(
        "DELETE FROM factor_limits WHERE tenant = $1 AND user_id = $2 AND kind = $3",
        params![tenant, user_id, Limited::Check.as_str()],
    );
}

/// Gives all attempts of every kind back, when an administrator resets what is enrolled. A user who does gets none: they would be sent as
/// many codes as they like.
pub fn reset(batch: &mut Batch, tenant: &TenantId, user_id: &UserId) {
    batch.execute("DELETE FROM factor_limits WHERE tenant = $1 AND user_id = $2", params![tenant, user_id]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestModel;

    #[tokio::test]
    async fn attempts_end_come_back_one_by_one_and_are_given_back() {
        for app in TestModel::each().await {
            let user = app.add_user().await.id;
            let taken = async |what| take(&app, &app.tenant, &user, what).await.unwrap();
            let spent = async || {
                for what in [Limited::Check, Limited::Sending] {
                    while taken(what).await {}
                }
            };
            for place in 0..MOST {
                assert!(taken(Limited::Check).await, "{place}");
            }
            assert!(!taken(Limited::Check).await && taken(Limited::Sending).await);
            app.clock.advance(EVERY);
            assert!(taken(Limited::Check).await && !taken(Limited::Check).await);

            spent().await;
            let mut batch = Batch::new();
            forgive(&mut batch, &app.tenant, &user);
            app.db.commit(batch).await.unwrap();
            assert!(taken(Limited::Check).await && !taken(Limited::Sending).await);

            spent().await;
            let mut batch = Batch::new();
            reset(&mut batch, &app.tenant, &user);
            app.db.commit(batch).await.unwrap();
            assert!(taken(Limited::Check).await && taken(Limited::Sending).await);
        }
    }
}
