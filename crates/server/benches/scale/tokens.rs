//! Refresh tokens of many users, written to the database itself.

use db::{Batch, Db, Error, params};

use crate::running::rows::{AT_A_TIME, FIRST, mixed, subject};

/// The refresh token of the user of this number, which [`add`] makes.
pub fn refresh_token(number: u64) -> String {
    format!("v1.row-{number}-{:016x}", mixed(number))
}

/// Gives the users of these numbers a refresh token each, of a client and for an API. They do not end.
///
/// # Errors
/// When the database fails.
pub async fn add(
    db: &Db,
    tenant: &str,
    (client, audience, scope): (&str, &str, &str),
    numbers: std::ops::Range<u64>,
) -> Result<(), Error> {
    let mut next = numbers.start;
    while next < numbers.end {
        let last = (next + AT_A_TIME).min(numbers.end);
        let write = async || {
            let mut batch = Batch::new();
            for number in next..last {
                let (id, user) = (format!("row{:021x}", mixed(number)), format!("auth0|{}", subject(number)));
                batch.execute(
                    "INSERT INTO refresh_token_families (tenant, id, client_id, user_id, sid, audience, scope, rotating,
                       generation, created_at, ip)
                     VALUES ($1, $2, $3, $4, $2, $5, $6, TRUE, 0, $7, '203.0.113.9')",
                    params![tenant, &id, client, &user, audience, scope, FIRST + number as i64 * 1000],
                );
                batch.execute(
                    "INSERT INTO refresh_tokens (tenant, hash, family, generation) VALUES ($1, $2, $3, 0)",
                    params![tenant, model::seal::digest(&refresh_token(number)), &id],
                );
            }
            Ok::<_, Error>((batch, ()))
        };
        db.retry(write).await?;
        next = last;
    }
    Ok(())
}
