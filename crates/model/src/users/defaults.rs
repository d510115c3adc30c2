//! A new database user, and what is filled in where nothing was given (management contract §4.3).

use std::fmt::Write;

use md5::{Digest, Md5};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};

use super::User;
use crate::app::Model;
use crate::clock::Timestamp;
use crate::connections::Connection;
use crate::identities::{Identity, stored_email, stored_username};
use crate::ids::{TenantId, UserId};

/// What is known of a user who signs up or is created. Absent is absent: defaults come from [`new_database_user`].
#[derive(Clone, Debug, Default)]
pub struct NewUser {
    /// The id's second part, where the creator chose it; else 24 hexadecimal digits.
    pub user_id: Option<String>,
    /// The address, in any case.
    pub email: Option<String>,
    /// Whether the address is known to be the user's.
    pub email_verified: bool,
    /// The username, in any case.
    pub username: Option<String>,
    /// The phone number.
    pub phone_number: Option<String>,
    /// Whether the number is known to be the user's.
    pub phone_verified: bool,
    /// The full name.
    pub name: Option<String>,
    /// The nickname.
    pub nickname: Option<String>,
    /// The first name.
    pub given_name: Option<String>,
    /// The last name.
    pub family_name: Option<String>,
    /// A picture's URL.
    pub picture: Option<String>,
    /// Answered only if it was given.
    pub blocked: Option<bool>,
    /// What the user may change themselves.
    pub user_metadata: Option<Map<String, Value>>,
    /// What only administrators change.
    pub app_metadata: Option<Map<String, Value>>,
}

/// A user of a database connection, not yet written: with a fresh id, `name`, `nickname` and `picture` filled in.
pub fn new_database_user(app: &Model, tenant: &TenantId, connection: &Connection, new: NewUser) -> User {
    let subject = new.user_id.clone().unwrap_or_else(|| app.random.hex(24));
    database_user(tenant, &connection.name, &subject, app.clock.now(), new)
}

/// The pure part of [`new_database_user`].
pub(super) fn database_user(
    tenant: &TenantId,
    connection: &str,
    subject: &str,
    now: Timestamp,
    new: NewUser,
) -> User {
    described(tenant, Identity::new(connection, "auth0", subject, false), now, new)
}

/// A user of this identity, not yet written, with what is known of them: `name`, `nickname` and `picture` are filled in.
pub(crate) fn described(tenant: &TenantId, identity: Identity, now: Timestamp, new: NewUser) -> User {
    let mut user = blank(tenant, identity, now);
    user.email = new.email.as_deref().map(stored_email);
    user.email_verified = new.email_verified;
    user.username = new.username.as_deref().map(stored_username);
    user.phone_number = new.phone_number;
    user.phone_verified = new.phone_verified;
    user.name = new.name;
    user.nickname = new.nickname;
    user.given_name = new.given_name;
    user.family_name = new.family_name;
    user.picture = new.picture;
    user.blocked = new.blocked;
    user.user_metadata = new.user_metadata;
    user.app_metadata = new.app_metadata;
    fill_in(&mut user);
    user
}

/// A user of this identity of whom nothing else is known.
pub(crate) fn blank(tenant: &TenantId, identity: Identity, now: Timestamp) -> User {
    User {
        tenant: tenant.clone(),
        id: UserId::from(format!("{}|{}", identity.provider, identity.user_id)),
        email: None,
        email_verified: false,
        username: None,
        phone_number: None,
        phone_verified: false,
        name: None,
        nickname: None,
        given_name: None,
        family_name: None,
        picture: None,
        blocked: None,
        user_metadata: None,
        app_metadata: None,
        profile: None,
        multifactor: Vec::new(),
        created_at: now,
        updated_at: now,
        last_login: None,
        last_ip: None,
        logins_count: 0,
        last_password_reset: None,
        identities: vec![identity],
        version: 1,
    }
}

/// Fills in `name`, `nickname` and `picture` where they are absent.
pub(crate) fn fill_in(user: &mut User) {
    if user.name.is_none() {
        user.name = default_name(user);
    }
    if user.nickname.is_none() {
        user.nickname = default_nickname(user);
    }
    if user.picture.is_none() {
        user.picture = default_picture(user);
    }
}

/// The name of a user who gave none: the e-mail address, else the username, else the phone number.
pub fn default_name(user: &User) -> Option<String> {
    user.email.clone().or_else(|| user.username.clone()).or_else(|| user.phone_number.clone())
}

/// The nickname of a user who gave none: the address's local part, else the same as the name.
pub fn default_nickname(user: &User) -> Option<String> {
    match &user.email {
        Some(email) => Some(email.rsplit_once('@').map_or(email.as_str(), |(local, _)| local).to_owned()),
        None => default_name(user),
    }
}

/// The picture of a user who gave none: the Gravatar of the e-mail address, which falls back to its first two letters.
pub fn default_picture(user: &User) -> Option<String> {
    let key = default_name(user)?;
    let mut digest = String::with_capacity(32);
    for byte in Md5::digest(key.as_bytes()) {
        let _ = write!(digest, "{byte:02x}");
    }
    let letters: String = key.chars().take(2).collect();
    let fallback =
        format!("https://cdn.auth0.com/avatars/{}.png", utf8_percent_encode(&letters, NON_ALPHANUMERIC));
    // Everything but the characters that `encodeURIComponent` leaves alone.
    const COMPONENT: &percent_encoding::AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'_')
        .remove(b'.')
        .remove(b'!')
        .remove(b'~')
        .remove(b'*')
        .remove(b'(')
        .remove(b')');
    Some(format!(
        "https://s.gravatar.com/avatar/{digest}?s=480&r=pg&d={}",
        utf8_percent_encode(&fallback, COMPONENT)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(new: NewUser) -> User {
        database_user(&"t".into(), "db", "6581a1f11c2a8abf544cc91c", Timestamp::from_millis(0), new)
    }

    #[test]
    fn name_nickname_and_picture_come_from_the_address() {
        let user =
            user(NewUser { email: Some("TestAccUserRole@acceptance.test.com".into()), ..NewUser::default() });
        assert_eq!(user.id.as_str(), "auth0|6581a1f11c2a8abf544cc91c");
        assert_eq!(user.email.as_deref(), Some("testaccuserrole@acceptance.test.com"));
        assert_eq!(user.name.as_deref(), Some("testaccuserrole@acceptance.test.com"));
        assert_eq!(user.nickname.as_deref(), Some("testaccuserrole"));
        assert_eq!(
            user.picture.as_deref(),
            Some(
                "https://s.gravatar.com/avatar/03852bc69e4a3603ec066b4cc4e25707?s=480&r=pg&d=https%3A%2F%2Fcdn.auth0.com%2Favatars%2Fte.png"
            )
        );
    }

    #[test]
    fn what_was_given_is_kept() {
        let given = NewUser {
            email: Some("a@b.example".into()),
            name: Some("Ann".into()),
            nickname: Some("an".into()),
            picture: Some("https://pictures.example/a".into()),
            ..NewUser::default()
        };
        let user = user(given);
        assert_eq!(
            (user.name.as_deref(), user.nickname.as_deref(), user.picture.as_deref()),
            (Some("Ann"), Some("an"), Some("https://pictures.example/a"))
        );
    }

    #[test]
    fn a_user_without_an_address_is_named_by_what_they_have() {
        let user = user(NewUser { username: Some("Chuck".into()), ..NewUser::default() });
        assert_eq!((user.name.as_deref(), user.nickname.as_deref()), (Some("chuck"), Some("chuck")));
        assert!(user.picture.is_some());
    }
}
