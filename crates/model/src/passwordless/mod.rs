//! Signing in without a password: codes and links that go to an address, and what a right one makes of who has it
//! (authentication contract §3.4, §8.3, §8.4).

mod codes;
mod users;

use crate::Model;
use crate::attack_protection::network;
use crate::ids::TenantId;
use crate::recovery::counted;

pub use codes::{Code, find, is_right, send, spend, try_once};
pub use users::{made_user, new_user, subject};

/// Seconds that a code works (authentication contract §2.2).
pub const CODE_LIFETIME: i64 = 180;

/// Seconds that a link works.
pub const LINK_LIFETIME: i64 = 300;

/// Seconds before another is sent to the same address.
pub const PAUSE: i64 = 10;

/// Codes and links to one address in an hour that one IP address asks for, and whoever does: a stranger alone locks nobody out.
pub const MOST_TO_ADDRESS_FROM_IP: i64 = 10;
/// See [`MOST_TO_ADDRESS_FROM_IP`].
pub const MOST_TO_ADDRESS: i64 = 30;

/// Codes and links that one IP address asks for in an hour; of IPv6 its whole network.
pub const MOST_FROM_IP: i64 = 50;

/// Counts a request for a code, and answers whether it is within the limits of the address and of the IP address. Known and unknown
/// addresses are counted alike.
///
/// # Errors
/// When the database fails.
pub async fn admit(
    app: &Model,
    tenant: &TenantId,
    address: &str,
    ip: std::net::IpAddr,
) -> Result<bool, db::Error> {
    let network = network(ip);
    // Whoever asks too often leaves no more rows, and counts no more for others: of addresses there are many.
    Ok(counted(app, tenant, &format!("passwordless/ip/{network}")).await? <= MOST_FROM_IP
        && counted(app, tenant, &format!("passwordless/ip/{network}/{address}")).await?
            <= MOST_TO_ADDRESS_FROM_IP
        && counted(app, tenant, &format!("passwordless/address/{address}")).await? <= MOST_TO_ADDRESS)
}
