//! Users.
//!
//! A user is a row with a root profile, and one or more identities to log in with ([`crate::identities`]). The first identity gives the
//! user their id and mirrors the root profile. Users are never cached: a block or a delete acts on the next call.

mod defaults;
mod identifiers;
mod linking;
mod list;
mod login;
mod metadata;
pub mod search;
mod wire;

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;

use db::{Batch, Db, Error, Row, params};
use serde_json::{Map, Value};

use self::metadata::Extent;
use crate::clock::Timestamp;
use crate::identities::{self, Identity, Login, fold_name};
use crate::ids::{TenantId, UserId};
use crate::logout_notices::{End, Initiator};
use crate::{
    access_tokens, authorization_codes, backchannel_requests, device_codes, login_tickets, mfa_tokens,
    refresh_tokens, sessions,
};

pub use defaults::{NewUser, default_name, default_nickname, default_picture, new_database_user};
pub(crate) use defaults::{blank as blank_user, described, fill_in};
pub use identifiers::{is_email, is_username};
pub use linking::{link, unlink};
pub use list::{Page, Query, Sort, SortColumn, UnknownSort, after, count, find_by_email, list};
pub use login::{Found, find_by_login, find_login};
pub use metadata::{
    FORBIDDEN_APP_METADATA, MOST_METADATA, MetadataError, check_app_metadata, check_metadata_size,
    check_user_metadata, merge_metadata,
};

/// A user as the database holds them. Every public field may be changed and written with [`save`], unless it says otherwise.
#[derive(Clone, Debug)]
pub struct User {
    /// The tenant that the user belongs to. Never changes.
    pub tenant: TenantId,
    /// `{provider}|{rest}`, the primary identity's. Never changes.
    pub id: UserId,
    /// Lower case ([`identities::stored_email`]).
    pub email: Option<String>,
    /// Whether the user proved that the address is theirs.
    pub email_verified: bool,
    /// Lower case ([`identities::stored_username`]).
    pub username: Option<String>,
    /// As given, `+` and digits.
    pub phone_number: Option<String>,
    /// Whether the user proved that the number is theirs.
    pub phone_verified: bool,
    /// The full name; the e-mail address where none was given.
    pub name: Option<String>,
    /// The address's local part where none was given.
    pub nickname: Option<String>,
    /// The first name.
    pub given_name: Option<String>,
    /// The last name.
    pub family_name: Option<String>,
    /// A picture's URL.
    pub picture: Option<String>,
    /// Set once an administrator blocked or unblocked the user.
    pub blocked: Option<bool>,
    /// What the user may change themselves.
    pub user_metadata: Option<Map<String, Value>>,
    /// What only administrators change.
    pub app_metadata: Option<Map<String, Value>>,
    /// Further claims that the provider sent (`locale`, `website`, …), by their OpenID Connect names.
    pub profile: Option<Map<String, Value>>,
    /// The multi-factor providers in use (`guardian`, `google-authenticator`); empty until something is enrolled.
    pub multifactor: Vec<String>,
    /// Never changes. A token issued earlier is not this user's.
    pub created_at: Timestamp,
    /// When the profile changed, or the user logged in: whoever saves sets it.
    pub updated_at: Timestamp,
    /// Only [`touch_login`] writes it.
    pub last_login: Option<Timestamp>,
    /// Only [`touch_login`] writes it.
    pub last_ip: Option<String>,
    /// Only [`touch_login`] writes it.
    pub logins_count: i64,
    /// When the password was last changed, never when it was first set.
    pub last_password_reset: Option<Timestamp>,
    /// The primary first. [`link`] and [`unlink`] change the list.
    pub identities: Vec<Identity>,
    /// Counts the saves.
    pub version: i64,
}

impl User {
    /// Whether an administrator blocked the user.
    pub fn is_blocked(&self) -> bool {
        self.blocked == Some(true)
    }

    /// Whether what others chose of the user, metadata and profiles, takes little memory, as most people's does: some 16 KiB.
    pub fn is_light(&self) -> bool {
        const LIGHT: usize = 16 * 1024;
        const VALUE: usize = 128;
        let own = [&self.user_metadata, &self.app_metadata, &self.profile].into_iter();
        let objects = own.chain(self.identities.iter().map(|identity| &identity.profile)).flatten();
        let extents = objects.map(Extent::of);
        extents.map(|extent| extent.values * VALUE + extent.bytes).sum::<usize>() <= LIGHT
    }

    /// The primary identity.
    pub fn primary(&self) -> &Identity {
        &self.identities[0]
    }

    /// The identity with this provider and id, and its place in the list.
    pub fn identity(&self, provider: &str, user_id: &str) -> Option<(usize, &Identity)> {
        let mut places = self.identities.iter().enumerate();
        places.find(|(_, identity)| identity.provider == provider && identity.user_id == user_id)
    }

    /// Notes that the address of the identity at `position` is the user's: the root's for the primary, its own for a linked one.
    pub fn prove_email(&mut self, position: usize) {
        match position {
            0 => self.email_verified = true,
            _ => {
                let profile = self.identities[position].profile.get_or_insert_default();
                profile.insert("email_verified".into(), true.into());
            }
        }
    }

    /// What the identity at `position` logs in with: the primary by the root profile, a linked one by its own.
    fn login_of(&self, position: usize) -> Login {
        let identity = &self.identities[position];
        match position {
            0 => {
                identity.login(self.email.as_deref(), self.username.as_deref(), self.phone_number.as_deref())
            }
            _ => identity.own_login(),
        }
    }
}

/// The columns of a user joined with one of their identities, for [`collect`]: `u` is `users`, `i` is `identities`.
macro_rules! columns {
    () => {
        "u.id, u.email, u.email_verified, u.username, u.phone_number, u.phone_verified, u.name, u.nickname, u.given_name,
         u.family_name, u.picture, u.blocked, u.user_metadata, u.app_metadata, u.profile, u.multifactor, u.created_at,
         u.updated_at, u.last_login, u.last_ip, u.logins_count, u.last_password_reset, u.version,
         i.connection, i.provider, i.subject, i.is_social, i.profile, i.email, i.username, i.phone"
    };
}
use columns;

/// The user with this id.
pub async fn find(db: &Db, tenant: &TenantId, id: &UserId) -> Result<Option<User>, Error> {
    let rows = db
        .read(
            concat!(
                "SELECT ",
                columns!(),
                " FROM users u JOIN identities i ON i.tenant = u.tenant AND i.user_id = u.id
                  WHERE u.tenant = $1 AND u.id = $2 ORDER BY i.position"
            ),
            params![tenant, id],
        )
        .await?;
    Ok(collect(tenant, rows)?.pop())
}

/// Makes users of rows of [`columns!`]: a user's rows follow each other, the primary identity first.
fn collect(tenant: &TenantId, rows: Vec<Row>) -> Result<Vec<User>, Error> {
    let mut users: Vec<User> = Vec::new();
    for mut row in rows {
        let user = from_row(tenant, &mut row)?;
        if users.last().is_none_or(|last| last.id != user.id) {
            users.push(user);
        }
        let identity = Identity {
            connection: row.take()?,
            provider: row.take()?,
            user_id: row.take()?,
            is_social: row.take()?,
            profile: row.take()?,
            stored: Login { email: row.take()?, username: row.take()?, phone: row.take()? },
        };
        users.last_mut().expect("the row's own user was pushed").identities.push(identity);
    }
    Ok(users)
}

fn from_row(tenant: &TenantId, row: &mut Row) -> Result<User, Error> {
    Ok(User {
        tenant: tenant.clone(),
        id: row.take()?,
        email: row.take()?,
        email_verified: row.take()?,
        username: row.take()?,
        phone_number: row.take()?,
        phone_verified: row.take()?,
        name: row.take()?,
        nickname: row.take()?,
        given_name: row.take()?,
        family_name: row.take()?,
        picture: row.take()?,
        blocked: row.take()?,
        user_metadata: row.take()?,
        app_metadata: row.take()?,
        profile: row.take()?,
        multifactor: row
            .take::<Option<String>>()?
            .map(|names| names.split(' ').map(str::to_owned).collect())
            .unwrap_or_default(),
        created_at: row.take()?,
        updated_at: row.take()?,
        last_login: row.take()?,
        last_ip: row.take()?,
        logins_count: row.take()?,
        last_password_reset: row.take()?,
        version: row.take()?,
        identities: Vec::with_capacity(1),
    })
}

/// Writes a new user with their identities. A taken identifier is `Unique` of `identities_email`, `identities_username` or
/// `identities_phone`; a taken id is `Unique` of the table's primary key.
pub fn insert(batch: &mut Batch, user: &User) {
    insert_row(batch, user);
    for (position, identity) in user.identities.iter().enumerate() {
        identities::insert(batch, &user.tenant, &user.id, position, identity, &user.login_of(position));
    }
}

/// Writes the row of a new user without identities.
fn insert_row(batch: &mut Batch, user: &User) {
    batch
        .execute(
            "INSERT INTO users (tenant, id, email, email_verified, username, phone_number, phone_verified, name, nickname,
               given_name, family_name, picture, name_folded, nickname_folded, given_name_folded, family_name_folded,
               blocked, user_metadata, app_metadata, profile, multifactor, created_at, updated_at, last_login, last_ip,
               logins_count, last_password_reset, version)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22,
               $23, $24, $25, $26, $27, $28)",
            params![
                &user.tenant,
                &user.id,
                &user.email,
                user.email_verified,
                &user.username,
                &user.phone_number,
                user.phone_verified,
                &user.name,
                &user.nickname,
                &user.given_name,
                &user.family_name,
                &user.picture,
                user.name.as_deref().map(fold_name),
                user.nickname.as_deref().map(fold_name),
                user.given_name.as_deref().map(fold_name),
                user.family_name.as_deref().map(fold_name),
                user.blocked,
                &user.user_metadata,
                &user.app_metadata,
                &user.profile,
                multifactor(user),
                user.created_at,
                user.updated_at,
                user.last_login,
                &user.last_ip,
                user.logins_count,
                user.last_password_reset,
                user.version,
            ],
        )
        .expect(1);
}

/// Writes a changed user: a `Conflict` if somebody else saved them since they were read. Not written: what only [`touch_login`]
/// and [`crate::credentials`] write. Once something is linked, the primary identity's own profile follows the root.
pub fn save(batch: &mut Batch, user: &mut User) {
    batch
        .execute(
            "UPDATE users SET email = $1, email_verified = $2, username = $3, phone_number = $4, phone_verified = $5,
               name = $6, nickname = $7, given_name = $8, family_name = $9, picture = $10, name_folded = $11,
               nickname_folded = $12, given_name_folded = $13, family_name_folded = $14, blocked = $15, user_metadata = $16,
               app_metadata = $17, profile = $18, multifactor = $19, updated_at = $20, last_password_reset = $21,
               version = version + 1
             WHERE tenant = $22 AND id = $23 AND version = $24 AND created_at = $25",
            params![
                &user.email,
                user.email_verified,
                &user.username,
                &user.phone_number,
                user.phone_verified,
                &user.name,
                &user.nickname,
                &user.given_name,
                &user.family_name,
                &user.picture,
                user.name.as_deref().map(fold_name),
                user.nickname.as_deref().map(fold_name),
                user.given_name.as_deref().map(fold_name),
                user.family_name.as_deref().map(fold_name),
                user.blocked,
                &user.user_metadata,
                &user.app_metadata,
                &user.profile,
                multifactor(user),
                user.updated_at,
                user.last_password_reset,
                &user.tenant,
                &user.id,
                user.version,
                user.created_at,
            ],
        )
        .expect(1);
    user.version += 1;
    if user.primary().profile.is_some() {
        user.identities[0].profile = Some(linking::own_profile(user));
    }
    for position in 0..user.identities.len() {
        let login = user.login_of(position);
        let identity = &user.identities[position];
        // An unlinked user's only identity has no profile of its own: as a rule there is nothing to write.
        if identity.stored != login || identity.profile.is_some() {
            identities::give(batch, &user.tenant, (&user.id, &user.id), position, identity, &login);
            user.identities[position].stored = login;
        }
    }
}

fn multifactor(user: &User) -> Option<String> {
    (!user.multifactor.is_empty()).then(|| user.multifactor.join(" "))
}

/// Ends all that the user, or whoever took their place, is signed in with: sessions, codes and tokens.
pub fn sign_out(batch: &mut Batch, tenant: &TenantId, id: &UserId, end: End) {
    sessions::remove_for_user(batch, tenant, id, end);
    authorization_codes::remove_for_user(batch, tenant, id);
    refresh_tokens::remove_for_user(batch, tenant, id);
    access_tokens::remove_for_user(batch, tenant, id);
    device_codes::remove_for_user(batch, tenant, id);
    mfa_tokens::remove_for_user(batch, tenant, id);
    login_tickets::remove_for_user(batch, tenant, id);
    backchannel_requests::remove_for_user(batch, tenant, id);
}

/// Deletes a user and all that hangs on them: identities, password, consents, sessions, tokens, enrolments. An unknown id
/// is no error.
pub fn remove(batch: &mut Batch, tenant: &TenantId, id: &UserId, now: Timestamp) {
    // Their row before those of their sessions, as everywhere.
    batch
        .execute("UPDATE users SET version = version + 1 WHERE tenant = $1 AND id = $2", params![tenant, id]);
    sessions::remove_for_user(batch, tenant, id, End::new(Initiator::AccountDeleted, now));
    batch.execute("DELETE FROM users WHERE tenant = $1 AND id = $2", params![tenant, id]);
}

/// Counts a login of the user as they were read: a block or a delete in between is a `Conflict`, as with [`unchanged`]. It
/// moves `updated_at` too, as logins do in Auth0, but not `version`: a login disturbs no save. It takes the row's lock, and so
/// comes first in its batch and without a guard, which two logins at once would both hold while each waits for the other.
pub fn touch_login(batch: &mut Batch, user: &User, now: Timestamp, ip: &str) {
    batch
        .execute(
            "UPDATE users SET logins_count = logins_count + 1, last_login = $1, last_ip = $2, updated_at = $1
             WHERE tenant = $3 AND id = $4 AND version = $5 AND created_at = $6",
            params![now, ip, &user.tenant, &user.id, user.version, user.created_at],
        )
        .expect(1);
}

/// As [`unchanged`], and takes the row's lock: what is counted of a user's and then added to is counted alone. It comes first in its batch.
pub fn hold(batch: &mut Batch, user: &User) {
    batch
        .execute(
            "UPDATE users SET version = version WHERE tenant = $1 AND id = $2 AND version = $3 AND created_at = $4",
            params![&user.tenant, &user.id, user.version, user.created_at],
        )
        .expect(1);
}

/// Goes on only while the user is as they were read: a block or a delete in between is a `Conflict`, also where another user of the
/// same id and version has taken their place.
pub fn unchanged(batch: &mut Batch, user: &User) {
    batch.guard(
        "SELECT 1 FROM users WHERE tenant = $1 AND id = $2 AND version = $3 AND created_at = $4",
        params![&user.tenant, &user.id, user.version, user.created_at],
    );
}
