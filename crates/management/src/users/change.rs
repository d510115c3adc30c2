//! Carrying out `PATCH /users/{id}`: which identity is meant, what may change together, and the change itself.

use db::Batch;
use model::connections::{self, Connection};
use model::identities::{stored_email, stored_username};
use model::logout_notices::Initiator;
use model::mail::{self, Kind, Letter};
use model::password_policies::NewPassword;
use model::recovery::{self, Links};
use model::self_service::Policy;
use model::tenants::Tenant;
use model::tickets;
use model::users::{self, User};
use model::{ClientId, Model, UserId};
use serde_json::{Map, Value, json};
use std::sync::Arc;

use super::bodies::UpdateUser;
use super::passwords;
use crate::changes::Change;
use crate::errors::{Error, Missing};

/// Pairs that one call may not change together.
const APART: [[&str; 2]; 5] = [
    ["password", "email"],
    ["password", "email_verified"],
    ["username", "email"],
    ["username", "email_verified"],
    ["username", "password"],
];

/// What an identity logs in with; all else is the user's.
const OF_IDENTITY: [&str; 6] =
    ["email", "email_verified", "phone_number", "phone_verified", "username", "password"];

/// The part of the profile that only a primary identity has.
const OF_PROFILE: [&str; 5] = ["family_name", "given_name", "name", "nickname", "picture"];

/// Refuses what no user could be changed to.
///
/// # Errors
/// 400 `invalid_body`.
pub fn check(patch: &UpdateUser) -> Result<(), Error> {
    let named = patch.named();
    for [one, other] in APART {
        if named.contains(&one) && named.contains(&other) {
            return Err(Error::InvalidBody(
                format!("Cannot update {one} and {other} simultaneously.").into(),
            ));
        }
    }
    if let Some(metadata) = &patch.user_metadata {
        users::check_user_metadata(metadata).map_err(super::bad_metadata)?;
    }
    if let Some(metadata) = &patch.app_metadata {
        users::check_app_metadata(metadata).map_err(super::bad_metadata)?;
    }
    Ok(())
}

/// A change whose slow part is done: the connection is known and a new password is hashed.
pub struct Prepared<'a> {
    patch: &'a UpdateUser,
    connection: Option<Arc<Connection>>,
    password: Option<NewPassword>,
    links: Links,
}

impl<'a> Prepared<'a> {
    /// Finds the connection that the patch is about, and hashes a new password.
    ///
    /// # Errors
    /// 404 `inexistent_user`, 400 for an unknown connection or a weak password.
    pub async fn new(
        app: &Model,
        tenant: &Tenant,
        id: &UserId,
        patch: &'a UpdateUser,
    ) -> Result<Self, Error> {
        let mut prepared = Self { patch, connection: None, password: None, links: Links::default() };
        if !patch.named().iter().any(|name| OF_IDENTITY.contains(name) || *name == "connection") {
            return Ok(prepared);
        }
        let user = users::find(&app.db, &tenant.id, id).await?.ok_or(Error::NotFound(Missing::User))?;
        if patch.verify_email == Some(true) {
            prepared.links = Links::of(
                app,
                tenant,
                Kind::VerifyEmail,
                patch.client_id.as_deref().map(ClientId::from).as_ref(),
            )
            .await?;
        }
        let name = patch.connection.as_deref().unwrap_or(&user.primary().connection);
        prepared.connection = connections::find_by_name(app, &tenant.id, name).await?;
        if prepared.connection.is_none() && patch.connection.is_some() {
            return Err(Error::NamedConnectionNotFound);
        }
        if let (Change::Set(password), Some(connection)) = (&patch.password, &prepared.connection) {
            let position = prepared.position(&user)?;
            if user.identities[position].is_database() {
                // A rule about the user's own data looks at what becomes of it.
                let mut changed = user.clone();
                patch.name.apply(&mut changed.name);
                patch.nickname.apply(&mut changed.nickname);
                if let Some(metadata) = &patch.user_metadata {
                    changed.user_metadata = merged(changed.user_metadata.take(), metadata)?;
                }
                let identity = &user.identities[position];
                let accepted = passwords::hash(app, connection, &changed, identity, password).await?;
                prepared.password = Some(accepted);
            }
        }
        Ok(prepared)
    }

    /// The place of the identity that is meant: that of the connection, else the primary.
    fn position(&self, user: &User) -> Result<usize, Error> {
        let Some(name) = &self.patch.connection else { return Ok(0) };
        let place = user.identities.iter().position(|identity| identity.connection == *name);
        place
            .ok_or_else(|| Error::InvalidBody("The specified connection does not belong to the user.".into()))
    }

    /// The identity that gets a new password, and which.
    pub fn password(&self, user: &User) -> Result<Option<(usize, &NewPassword)>, Error> {
        let Some(password) = &self.password else { return Ok(None) };
        Ok(Some((self.position(user)?, password)))
    }

    /// Changes the user.
    ///
    /// # Errors
    /// 400 for what this user cannot become.
    pub fn apply(&self, user: &mut User) -> Result<(), Error> {
        let position = self.position(user)?;
        self.check_kind(user, position)?;
        match position {
            0 => self.apply_to_primary(user)?,
            _ => self.apply_to_secondary(user, position)?,
        }
        let patch = self.patch;
        if let Some(blocked) = patch.blocked {
            user.blocked = Some(blocked);
        }
        if let Some(metadata) = &patch.user_metadata {
            user.user_metadata = merged(user.user_metadata.take(), metadata)?;
        }
        if let Some(metadata) = &patch.app_metadata {
            user.app_metadata = merged(user.app_metadata.take(), metadata)?;
        }
        Ok(())
    }

    /// Why whoever was signed in as the user is so no longer, if that is so: after a block, and after a change of the password or
    /// of what the user logs in with.
    pub fn shuts_out(&self, before: &User, after: &User) -> Option<Initiator> {
        let became_another = identifiers(after) != identifiers(before);
        [
            (after.is_blocked() && !before.is_blocked(), Initiator::AccountDeactivated),
            (self.password.is_some(), Initiator::PasswordChanged),
            (became_another && after.email != before.email, Initiator::EmailIdentifierChanged),
            (became_another, Initiator::SessionRevoked),
        ]
        .into_iter()
        .find_map(|(happened, initiator)| happened.then_some(initiator))
    }

    /// Queues what the policy has the user told of the change: a new password and a new address to the one they had, and where it was asked for a
    /// link to prove the new one. Links for the old password and address end.
    pub fn tell(
        &self,
        app: &Model,
        batch: &mut Batch,
        tenant: &Tenant,
        policy: &Policy,
        before: &User,
        after: &User,
    ) -> Result<(), Error> {
        let position = self.position(after)?;
        let (old, new) = (tickets::email_of(before, position), tickets::email_of(after, position));
        let identity = &after.identities[position];
        let whose = (identity.provider.as_str(), identity.user_id.as_str());
        let now = app.clock.now();
        if self.password.is_some() {
            tickets::end(batch, &tenant.id, tickets::Kind::Password, &after.id, whose, now);
            if let Some(email) = new.filter(|_| policy.sends(Kind::PasswordChanged)) {
                mail::queue(batch, app, &tenant.id, Letter::new(Kind::PasswordChanged, email).about(after));
            }
        }
        if old != new {
            tickets::end(batch, &tenant.id, tickets::Kind::Password, &after.id, whose, now);
            tickets::end(batch, &tenant.id, tickets::Kind::Verification, &after.id, whose, now);
            if let Some(email) = old.filter(|_| policy.sends(Kind::EmailChanged)) {
                let letter = Letter::new(Kind::EmailChanged, email).about(before);
                mail::queue(batch, app, &tenant.id, letter.with("new_email", new.map(masked)));
            }
        }
        if self.patch.verify_email == Some(true) {
            let client_id = self.patch.client_id.as_deref().map(ClientId::from);
            recovery::queue_verification(
                app,
                batch,
                tenant,
                (after, position),
                client_id.as_ref(),
                &self.links,
            );
        }
        Ok(())
    }

    /// What only database identities have, and user names where the connection has them.
    fn check_kind(&self, user: &User, position: usize) -> Result<(), Error> {
        let patch = self.patch;
        if !user.identities[position].is_database() {
            for (name, named) in [
                ("email", patch.email.is_named()),
                ("password", patch.password.is_named()),
                ("username", patch.username.is_named()),
            ] {
                if named {
                    return Err(Error::InvalidBody(
                        format!("Cannot update {name} for non-database user.").into(),
                    ));
                }
            }
        }
        if let (Change::Set(username), Some(connection)) = (&patch.username, &self.connection) {
            super::check_username(connection, username)?;
        }
        Ok(())
    }

    fn apply_to_primary(&self, user: &mut User) -> Result<(), Error> {
        let patch = self.patch;
        patch.name.apply(&mut user.name);
        patch.nickname.apply(&mut user.nickname);
        patch.given_name.apply(&mut user.given_name);
        patch.family_name.apply(&mut user.family_name);
        patch.picture.apply(&mut user.picture);

        let email = user.email.clone();
        patch.email.apply(&mut user.email);
        user.email = user.email.as_deref().map(stored_email);
        if user.email != email {
            user.email_verified = false;
        }
        patch.username.apply(&mut user.username);
        user.username = user.username.as_deref().map(stored_username);
        let phone = user.phone_number.clone();
        patch.phone_number.apply(&mut user.phone_number);
        if user.phone_number != phone {
            user.phone_verified = false;
        }
        if let Some(verified) = patch.email_verified {
            user.email_verified = verified;
        }
        if let Some(verified) = patch.phone_verified {
            user.phone_verified = verified;
        }
        if user.email.is_none() && user.username.is_none() && user.phone_number.is_none() {
            return Err(nothing_left());
        }
        Ok(())
    }

    /// A linked identity keeps its attributes in its own profile.
    fn apply_to_secondary(&self, user: &mut User, position: usize) -> Result<(), Error> {
        let patch = self.patch;
        let named = patch.named();
        let of_profile: Vec<_> = OF_PROFILE.into_iter().filter(|name| named.contains(name)).collect();
        if !of_profile.is_empty() {
            return Err(Error::InvalidBody(
                format!(
                    "The following user attributes cannot be updated: {}. The specified connection belongs to a secondary identity.",
                    of_profile.join(", ")
                )
                .into(),
            ));
        }
        let profile = user.identities[position].profile.get_or_insert_default();
        let mut put = |name: &str, change: Option<Value>| match change {
            None => false,
            Some(Value::Null) => profile.shift_remove(name).is_some(),
            Some(value) => profile.insert(name.into(), value.clone()).is_none_or(|old| old != value),
        };
        if put("email", changed(&patch.email, stored_email)) {
            put("email_verified", Some(json!(false)));
        }
        put("username", changed(&patch.username, stored_username));
        if put("phone_number", changed(&patch.phone_number, str::to_owned)) {
            put("phone_verified", Some(json!(false)));
        }
        put("email_verified", patch.email_verified.map(Value::from));
        put("phone_verified", patch.phone_verified.map(Value::from));
        if ["email", "username", "phone_number"].iter().all(|name| !profile.contains_key(*name)) {
            return Err(nothing_left());
        }
        Ok(())
    }
}

/// The addresses, user names and phone numbers of the root profile and of the linked identities.
fn identifiers(user: &User) -> Vec<[Option<&str>; 3]> {
    let root = [&user.email, &user.username, &user.phone_number].map(Option::as_deref);
    let linked = user.identities.iter().skip(1).map(|identity| {
        let profile = identity.profile.as_ref();
        ["email", "username", "phone_number"].map(|name| profile?.get(name)?.as_str())
    });
    std::iter::once(root).chain(linked).collect()
}

/// An address by which its owner knows it and nobody else can use it.
fn masked(email: &str) -> String {
    let (local, domain) = email.split_once('@').unwrap_or((email, ""));
    let first: String = local.chars().take(1).collect();
    format!("{first}…@{domain}")
}

fn merged(
    old: Option<Map<String, Value>>,
    patch: &Map<String, Value>,
) -> Result<Option<Map<String, Value>>, Error> {
    let merged = users::merge_metadata(old, patch.clone());
    merged.as_ref().map_or(Ok(()), users::check_metadata_size).map_err(super::bad_metadata)?;
    Ok(merged)
}

/// `None` where the patch says nothing, `null` where it unsets.
fn changed(change: &Change<String>, stored: impl Fn(&str) -> String) -> Option<Value> {
    match change {
        Change::Keep => None,
        Change::Unset => Some(Value::Null),
        Change::Set(text) => Some(stored(text).into()),
    }
}

fn nothing_left() -> Error {
    Error::InvalidBody("The user would be left without an email, a username and a phone number.".into())
}

#[cfg(test)]
mod tests {
    use model::Timestamp;
    use model::identities::Identity;

    use super::*;

    fn alice() -> User {
        let mut linked = Identity::new("second", "auth0", "2", false);
        linked.profile = json!({ "email": "old@example.com", "email_verified": true }).as_object().cloned();
        let social = Identity::new("google-oauth2", "google-oauth2", "115", true);
        User {
            tenant: "t".into(),
            id: "auth0|1".into(),
            email: Some("alice@example.com".into()),
            email_verified: true,
            username: None,
            phone_number: None,
            phone_verified: false,
            name: Some("Alice".into()),
            nickname: None,
            given_name: Some("A".into()),
            family_name: None,
            picture: None,
            blocked: None,
            user_metadata: None,
            app_metadata: None,
            profile: None,
            multifactor: vec![],
            created_at: Timestamp::from_millis(0),
            updated_at: Timestamp::from_millis(0),
            last_login: None,
            last_ip: None,
            logins_count: 0,
            last_password_reset: None,
            identities: vec![Identity::new("db", "auth0", "1", false), linked, social],
            version: 1,
        }
    }

    fn change(body: Value) -> Result<User, String> {
        let patch: UpdateUser = serde_json::from_value(body).unwrap();
        check(&patch).map_err(|error| error.to_string())?;
        let mut user = alice();
        let prepared = Prepared { patch: &patch, connection: None, password: None, links: Links::default() };
        prepared.apply(&mut user).map_err(|error| error.to_string())?;
        Ok(user)
    }

    #[test]
    fn a_new_address_is_unproven_unless_said_otherwise() {
        let user = change(json!({ "email": "New@Example.com" })).unwrap();
        assert_eq!((user.email.as_deref(), user.email_verified), (Some("new@example.com"), false));
        let user = change(json!({ "email": "new@example.com", "email_verified": true })).unwrap();
        assert!(user.email_verified);
        let user = change(json!({ "email": "Alice@example.com" })).unwrap();
        assert!(user.email_verified);
    }

    #[test]
    fn whoever_logs_in_otherwise_is_signed_out() {
        let signed_out = |body: Value| {
            let patch: UpdateUser = serde_json::from_value(body).unwrap();
            let prepared =
                Prepared { patch: &patch, connection: None, password: None, links: Links::default() };
            let mut user = alice();
            prepared.apply(&mut user).unwrap();
            prepared.shuts_out(&alice(), &user)
        };
        for (change, initiator) in [
            (json!({ "email": "new@example.com" }), Initiator::EmailIdentifierChanged),
            (json!({ "phone_number": "+491" }), Initiator::SessionRevoked),
            (json!({ "username": "alice" }), Initiator::SessionRevoked),
            (json!({ "connection": "second", "email": "new@example.com" }), Initiator::SessionRevoked),
            (json!({ "connection": "second", "phone_number": "+491" }), Initiator::SessionRevoked),
            (json!({ "connection": "second", "username": "alice" }), Initiator::SessionRevoked),
            (json!({ "blocked": true }), Initiator::AccountDeactivated),
            (json!({ "blocked": true, "email": "new@example.com" }), Initiator::AccountDeactivated),
        ] {
            assert_eq!(signed_out(change.clone()), Some(initiator), "{change}");
        }
        for change in
            [json!({ "name": "A" }), json!({ "email": "Alice@example.com" }), json!({ "blocked": false })]
        {
            assert_eq!(signed_out(change.clone()), None, "{change}");
        }
    }

    #[test]
    fn null_unsets_and_absent_keeps() {
        let user = change(json!({ "given_name": null, "blocked": false })).unwrap();
        assert_eq!((user.given_name, user.name.as_deref(), user.blocked), (None, Some("Alice"), Some(false)));
    }

    #[test]
    fn somebody_stays_reachable() {
        assert!(change(json!({ "email": null })).unwrap_err().starts_with("The user would be left"));
        assert_eq!(change(json!({ "email": null, "phone_number": "+491" })).unwrap().email, None);
    }

    #[test]
    fn pairs_do_not_change_together() {
        for [one, other] in APART {
            let value = |name: &str| if name == "email_verified" { json!(true) } else { json!("a@b.co") };
            let text = change(json!({ one: value(one), other: value(other) })).unwrap_err();
            assert_eq!(text, format!("Cannot update {one} and {other} simultaneously."));
        }
    }

    #[test]
    fn a_linked_identity_keeps_its_own_attributes() {
        let user = change(json!({ "connection": "second", "email": "New@example.com" })).unwrap();
        assert_eq!(user.email.as_deref(), Some("alice@example.com"));
        assert_eq!(
            user.identities[1].profile,
            json!({ "email": "new@example.com", "email_verified": false }).as_object().cloned()
        );
        assert_eq!(
            change(json!({ "connection": "second", "name": "x", "email": "a@b.co" })).unwrap_err(),
            "The following user attributes cannot be updated: name. The specified connection belongs to a secondary identity."
        );
        assert!(change(json!({ "connection": "third", "email": "a@b.co" })).is_err());
    }

    #[test]
    fn only_database_identities_have_addresses_and_passwords_to_change() {
        for (name, value) in [("email", "a@b.co"), ("password", "Correct-horse-9"), ("username", "a")] {
            assert_eq!(
                change(json!({ "connection": "google-oauth2", name: value })).unwrap_err(),
                format!("Cannot update {name} for non-database user.")
            );
        }
    }
}
