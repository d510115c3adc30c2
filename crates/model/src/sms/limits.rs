//! How many messages go out: each costs the tenant money, and some numbers earn by what is sent to them.
//!
//! A number that nobody has proved theirs is anybody's wish, and is counted apart: so that nobody who enrols another's number over and over
//! keeps its owner from signing in.

use std::net::IpAddr;

use crate::Model;
use crate::attack_protection::network;
use crate::ids::TenantId;
use crate::recovery::counted;

/// Messages in an hour to one number that is about to be enrolled, whoever's account it is for.
pub const MOST_TO_NEW: i64 = 5;

/// Messages in an hour to one number that is enrolled, in however many accounts.
pub const MOST_TO_OWN: i64 = 20;

/// Messages in an hour to numbers about to be enrolled that one IP address asks for; of IPv6 its whole network.
pub const MOST_FROM_IP: i64 = 30;

/// Messages in an hour to enrolled numbers that one IP address asks for: a whole office may sign in at nine.
pub const MOST_TO_OWN_FROM_IP: i64 = 300;

/// Counts a message to a number, which is its asker's own or has yet to be proved. Answers whether it is within the limits of the number and
/// of the IP address.
///
/// # Errors
/// When the database fails.
pub async fn admit(
    app: &Model,
    tenant: &TenantId,
    number: &str,
    is_own: bool,
    ip: IpAddr,
) -> Result<bool, db::Error> {
    let (kind, from_ip, to_number) = match is_own {
        true => ("own", MOST_TO_OWN_FROM_IP, MOST_TO_OWN),
        false => ("new", MOST_FROM_IP, MOST_TO_NEW),
    };
    let ip = format!("sms/{kind}/ip/{}", network(ip));
    // Whoever asks too often leaves no more rows: of numbers there are many, and each has one.
    Ok(counted(app, tenant, &ip).await? <= from_ip
        && counted(app, tenant, &format!("sms/{kind}/number/{number}")).await? <= to_number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestModel;

    #[tokio::test]
    async fn a_number_and_an_ip_address_have_so_many_in_an_hour() {
        for app in TestModel::each().await {
            let within = async |number: &str, is_own: bool, ip: &str| {
                let ip = ip.parse().expect("an address");
                admit(&app, &app.tenant, number, is_own, ip).await.unwrap()
            };
            for _ in 0..MOST_TO_NEW {
                assert!(within("+15550100", false, "192.0.2.1").await);
            }
            assert!(!within("+15550100", false, "192.0.2.2").await, "wherever it is asked for");
            assert!(within("+15550100", true, "192.0.2.1").await, "its owner signs in all the same");
            for other in 0..MOST_FROM_IP - MOST_TO_NEW {
                assert!(within(&format!("+1555020{other}"), false, "192.0.2.1").await, "{other}");
            }
            assert!(!within("+15550300", false, "192.0.2.1").await);
            app.clock.advance(3600);
            assert!(within("+15550100", false, "192.0.2.1").await);
        }
    }
}
