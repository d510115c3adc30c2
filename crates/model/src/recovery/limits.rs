//! How often mail may be asked for: what keeps a stranger from filling somebody's mailbox.

use db::{Batch, params};

use crate::Model;
use crate::clock::{SKEW, Timestamp};
use crate::ids::{TenantId, UserId};
use crate::seal::digest;

/// Seconds of a window, which begins with the first request.
pub const WINDOW: i64 = 3600;
/// Mails to one address in a window.
pub const MOST_TO_ADDRESS: i64 = 3;
/// Requests from one IP address in a window; of IPv6 from its whole network.
pub const MOST_FROM_IP: i64 = 30;

/// Counts a request, and answers whether it is within the limits of the address and of the IP address. Known and unknown
/// addresses are counted alike.
pub(super) async fn count(
    app: &Model,
    tenant: &TenantId,
    address: &str,
    ip: &str,
) -> Result<bool, db::Error> {
    // Whoever asks too often leaves no more rows: of addresses there are many, and each has one.
    Ok(counted(app, tenant, &format!("ip/{ip}")).await? <= MOST_FROM_IP
        && counted(app, tenant, &format!("address/{address}")).await? <= MOST_TO_ADDRESS)
}

/// Whether a user was not written to about `what` in this window. It counts as done.
///
/// # Errors
/// When the database fails.
pub async fn first(app: &Model, tenant: &TenantId, what: &str, user: &UserId) -> Result<bool, db::Error> {
    Ok(counted(app, tenant, &format!("{what}/{user}")).await? == 1)
}

/// What the links to new passwords are counted under that go to a user.
fn resets(user: &UserId) -> [u8; 32] {
    digest(&format!("reset/{user}"))
}

/// Whether a user may be written to once more in this window, by whichever name they were asked for.
pub(super) async fn may_write_to(app: &Model, tenant: &TenantId, user: &UserId) -> Result<bool, db::Error> {
    let now = app.clock.now();
    let sql = "SELECT 1 FROM mail_counts
               WHERE tenant = $1 AND key = $2 AND count >= $3 AND began_at > $4 AND began_at <= $5";
    let window = (now.plus_seconds(-WINDOW), now.plus_seconds(SKEW));
    let given = params![tenant, &resets(user), MOST_TO_ADDRESS, window.0, window.1];
    Ok(app.db.read_one(sql, given).await?.is_none())
}

/// Counts what is written to a user in this batch.
pub(super) fn writes_to(batch: &mut Batch, tenant: &TenantId, user: &UserId, now: Timestamp) {
    add(batch, tenant, &resets(user), now);
}

/// Counts one more, and answers how many there were in the window.
pub(crate) async fn counted(app: &Model, tenant: &TenantId, what: &str) -> Result<i64, db::Error> {
    let mut batch = Batch::new();
    add(&mut batch, tenant, &digest(what), app.clock.now());
    let outcome = app.db.commit(batch).await?;
    let row = outcome.rows.into_iter().flatten().next();
    row.map_or(Ok(i64::MAX), |mut row| row.take())
}

fn add(batch: &mut Batch, tenant: &TenantId, key: &[u8; 32], now: Timestamp) {
    batch
        .execute(
            "INSERT INTO mail_counts (tenant, key, count, began_at) VALUES ($1, $2, 1, $3)
             ON CONFLICT (tenant, key) DO UPDATE SET
               count = CASE WHEN mail_counts.began_at <= $4 OR mail_counts.began_at > $5 THEN 1 ELSE mail_counts.count + 1 END,
               began_at = CASE WHEN mail_counts.began_at <= $4 OR mail_counts.began_at > $5 THEN $3 ELSE mail_counts.began_at END
             RETURNING count",
            params![tenant, key, now, now.plus_seconds(-WINDOW), now.plus_seconds(SKEW)],
        )
        .expect(1);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestModel;

    #[tokio::test]
    async fn an_address_and_an_ip_address_have_so_many_in_an_hour() {
        for app in TestModel::each().await {
            let within = async |address: &str, ip: &str| count(&app, &app.tenant, address, ip).await.unwrap();
            for _ in 0..MOST_TO_ADDRESS {
                assert!(within("ann@example.com", "10.0.0.1").await);
            }
            assert!(!within("ann@example.com", "10.0.0.2").await);
            assert!(within("bob@example.com", "10.0.0.1").await);
            for other in 0..MOST_FROM_IP - MOST_TO_ADDRESS - 1 {
                assert!(within(&format!("{other}@example.com"), "10.0.0.1").await);
            }
            assert!(!within("one-more@example.com", "10.0.0.1").await);
            let rows =
                async || app.db.read("SELECT key FROM mail_counts LIMIT 100", vec![]).await.unwrap().len();
            let before = rows().await;
            assert!(!within("yet-another@example.com", "10.0.0.1").await);
            assert_eq!(rows().await, before, "what comes too often is kept nowhere");
            app.clock.advance(WINDOW);
            assert!(within("ann@example.com", "10.0.0.1").await);
            let ann = UserId::from("auth0|ann");
            for (after, due) in [(0, true), (WINDOW - 1, false), (1, true)] {
                app.clock.advance(after);
                assert_eq!(first(&app, &app.tenant, "leak", &ann).await.unwrap(), due);
            }
        }
    }
}
