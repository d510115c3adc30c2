//! Many users at once, written to the database itself: only their number matters.

use db::{Batch, Db, Error, params};

/// Users of one batch: three statements each.
pub const AT_A_TIME: u64 = 300;
/// When the first of them came, in milliseconds; the others a second later each.
pub const FIRST: i64 = 1_700_000_000_000;

/// A number that looks like any other: SplitMix64.
pub fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The part behind `auth0|` of a user's id: as scattered as those that the server makes.
pub fn subject(number: u64) -> String {
    format!("{:016x}{:08x}", mixed(number), mixed(!number) >> 32)
}

/// A user's address.
pub fn address(number: u64) -> String {
    format!("person.{number}@example{}.com", number % 97)
}

/// Adds the users of these numbers, with a password each where a hash is given.
///
/// # Errors
/// When the database fails.
pub async fn add_users(
    db: &Db,
    tenant: &str,
    connection: &str,
    numbers: std::ops::Range<u64>,
    hash: &str,
) -> Result<(), Error> {
    let mut next = numbers.start;
    while next < numbers.end {
        let last = (next + AT_A_TIME).min(numbers.end);
        // A database that is busy may turn a batch away.
        let write = async || {
            let mut batch = Batch::new();
            for number in next..last {
                let (subject, email) = (subject(number), address(number));
                let (id, at) = (format!("auth0|{subject}"), FIRST + number as i64 * 1000);
                let (name, nickname) = (format!("Person {number}"), format!("person.{number}"));
                batch.execute(
                    "INSERT INTO users (tenant, id, email, email_verified, phone_verified, name, nickname, name_folded,
                       nickname_folded, user_metadata, created_at, updated_at, logins_count, version)
                     VALUES ($1, $2, $3, TRUE, FALSE, $4, $5, $6, $5, '{\"color\":\"teal\"}', $7, $7, 0, 1)",
                    params![tenant, &id, &email, &name, &nickname, name.to_lowercase(), at],
                );
                batch.execute(
                    "INSERT INTO identities (tenant, provider, subject, connection, user_id, position, is_social, email)
                     VALUES ($1, 'auth0', $2, $3, $4, 0, FALSE, $5)",
                    params![tenant, &subject, connection, &id, &email],
                );
                batch.execute(
                    "INSERT INTO credentials (tenant, provider, subject, hash, changed_at) VALUES ($1, 'auth0', $2, $3, $4)",
                    params![tenant, &subject, hash, at],
                );
            }
            Ok::<_, Error>((batch, ()))
        };
        db.retry(write).await?;
        next = last;
    }
    Ok(())
}
