//! The users of passwordless connections.

use std::fmt::Write;

use crate::app::Model;
use crate::clock::Timestamp;
use crate::connections::Connection;
use crate::identities::{Identity, fold_email, fold_phone, stored_email};
use crate::ids::TenantId;
use crate::seal::digest;
use crate::users::{NewUser, User, blank_user, described, fill_in};

/// The id that a user of this address gets: the same each time that it is asked for, so that an answer which tells it tells nothing
/// of whether there is such a user.
pub fn subject(tenant: &TenantId, connection: &Connection, address: &str) -> String {
    let digest = digest(&format!("passwordless\n{tenant}\n{}\n{address}", connection.name));
    let mut hex = String::with_capacity(24);
    for byte in &digest[..12] {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

/// A user whom an administrator makes, not yet written: with the id that the address stands for, unless they give another. `new` holds
/// the address of the connection's kind.
pub fn made_user(app: &Model, tenant: &TenantId, connection: &Connection, new: NewUser) -> User {
    let folded = match connection.strategy.as_str() {
        "sms" => new.phone_number.as_deref().map(fold_phone),
        _ => new.email.as_deref().map(fold_email),
    };
    let given = new.user_id.clone();
    let subject = given.unwrap_or_else(|| subject(tenant, connection, &folded.unwrap_or_default()));
    let identity = Identity::new(&connection.name, &connection.strategy, &subject, false);
    described(tenant, identity, app.clock.now(), new)
}

/// A user who has just proved an address, not yet written. `again` says that the id which the address stands for is another's.
pub fn new_user(
    app: &Model,
    tenant: &TenantId,
    connection: &Connection,
    (address, folded): (&str, &str),
    again: bool,
    now: Timestamp,
) -> User {
    let subject = if again { app.random.hex(24) } else { subject(tenant, connection, folded) };
    let identity = Identity::new(&connection.name, &connection.strategy, &subject, false);
    let mut user = blank_user(tenant, identity, now);
    if connection.strategy == "sms" {
        user.phone_number = Some(address.to_owned());
        user.phone_verified = true;
    } else {
        user.email = Some(stored_email(address));
        user.email_verified = true;
    }
    fill_in(&mut user);
    user
}
