//! Linking makes an identity of one user an identity of another; unlinking makes it a user again (management contract §1.5, §1.6).

use db::{Batch, params};
use serde_json::{Map, Value};

use super::defaults::{blank, default_name, default_nickname, default_picture, fill_in};
use super::{User, insert_row, save};
use crate::clock::Timestamp;
use crate::logout_notices::{End, Initiator};
use crate::{identities, sessions};

/// Moves every identity of `secondary` to `primary` and deletes `secondary`, whose metadata is lost. Each identity brings its profile as
/// `profileData`, and its password. All that `secondary` was signed in with ends, but for the session `kept`, which is `primary`'s
/// from now on. A `Conflict` if either user changed since they were read.
pub fn link(batch: &mut Batch, primary: &mut User, secondary: &User, kept: Option<&str>, now: Timestamp) {
    primary.updated_at = now;
    primary.identities[0].profile = Some(own_profile(primary));
    // Two links in opposite directions must not wait for each other: the users' rows are touched in the order of their ids.
    if secondary.id < primary.id {
        touch(batch, secondary);
        save(batch, primary);
    } else {
        save(batch, primary);
        touch(batch, secondary);
    }
    for (place, moved) in secondary.identities.iter().enumerate() {
        let mut identity = moved.clone();
        if place == 0 {
            identity.profile = Some(own_profile(secondary));
        }
        let login = identity.own_login();
        let position = primary.identities.len();
        identities::give(batch, &primary.tenant, (&secondary.id, &primary.id), position, &identity, &login);
        identity.stored = login;
        primary.identities.push(identity);
    }
    if let Some(sid) = kept {
        sessions::hand_over(batch, &primary.tenant, sid, (&secondary.id, &primary.id), now);
    }
    let end = End::new(Initiator::AccountDeleted, now);
    sessions::remove_for_user(batch, &secondary.tenant, &secondary.id, end);
    batch
        .execute("DELETE FROM users WHERE tenant = $1 AND id = $2", params![&secondary.tenant, &secondary.id])
        .expect(1);
}

/// Holds the row of a user as it was read.
fn touch(batch: &mut Batch, user: &User) {
    batch
        .execute(
            "UPDATE users SET version = version + 1 WHERE tenant = $1 AND id = $2 AND version = $3 AND created_at = $4",
            params![&user.tenant, &user.id, user.version, user.created_at],
        )
        .expect(1);
}

/// Makes the identity at `position` a user of its own, with the profile it brought and no metadata. What `user` was signed in to with that
/// identity ends. `None` for the primary
/// identity, which cannot be removed, and for a position that does not exist; then nothing is added to the batch.
pub fn unlink(batch: &mut Batch, user: &mut User, position: usize, now: Timestamp) -> Option<User> {
    if position == 0 || position >= user.identities.len() {
        return None;
    }
    let mut identity = user.identities.remove(position);
    user.updated_at = now;
    save(batch, user);
    let profile = identity.profile.take().unwrap_or_default();
    let mut restored = blank(&user.tenant, identity, now);
    restore(&mut restored, profile);
    insert_row(batch, &restored);
    let login = restored.login_of(0);
    identities::give(batch, &user.tenant, (&user.id, &restored.id), 0, &restored.identities[0], &login);
    restored.identities[0].stored = login;
    let end = End::new(Initiator::SessionRevoked, now);
    sessions::remove_of_identity(batch, &user.tenant, &user.id, &restored.identities[0], end);
    Some(restored)
}

/// A user's root profile as `profileData`. What was only filled in is left out, as recorded.
pub(super) fn own_profile(user: &User) -> Map<String, Value> {
    let given = |value: &Option<String>, default: Option<String>| value.clone().filter(|_| *value != default);
    let mut profile = Map::new();
    let mut put = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            profile.insert(key.to_owned(), value);
        }
    };
    put("email", user.email.clone().map(Value::from));
    put("given_name", user.given_name.clone().map(Value::from));
    put("family_name", user.family_name.clone().map(Value::from));
    put("username", user.username.clone().map(Value::from));
    put("nickname", given(&user.nickname, default_nickname(user)).map(Value::from));
    put("picture", given(&user.picture, default_picture(user)).map(Value::from));
    put("email_verified", user.email.as_ref().map(|_| user.email_verified.into()));
    put("name", given(&user.name, default_name(user)).map(Value::from));
    put("phone_number", user.phone_number.clone().map(Value::from));
    put("phone_verified", user.phone_number.as_ref().map(|_| user.phone_verified.into()));
    for (claim, value) in user.profile.iter().flatten() {
        profile.entry(claim.clone()).or_insert_with(|| value.clone());
    }
    profile
}

/// The reverse of [`own_profile`].
fn restore(user: &mut User, mut profile: Map<String, Value>) {
    let mut text = |key: &str| match profile.shift_remove(key) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    };
    user.email = text("email");
    user.given_name = text("given_name");
    user.family_name = text("family_name");
    user.username = text("username");
    user.nickname = text("nickname");
    user.picture = text("picture");
    user.name = text("name");
    user.phone_number = text("phone_number");
    let mut proven = |key: &str| profile.shift_remove(key) == Some(Value::Bool(true));
    user.email_verified = proven("email_verified");
    user.phone_verified = proven("phone_verified");
    user.profile = (!profile.is_empty()).then_some(profile);
    fill_in(user);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::users::fixture::{ann, chuck};

    #[test]
    fn what_is_restored_is_what_was_given() {
        for more in [None, Some(Map::from_iter([("locale".to_owned(), Value::from("de"))]))] {
            let before = User { profile: more.clone(), ..chuck() };
            let mut after = ann();
            restore(&mut after, own_profile(&before));
            assert_eq!((after.email, after.profile), (before.email, more));
        }
    }

    #[test]
    fn profile_data_holds_what_was_given_in_the_recorded_order() {
        assert_eq!(
            Value::Object(own_profile(&chuck())).to_string(),
            concat!(
                r#"{"email":"chuck878@example.com","given_name":"Chuck","family_name":"Sanchez","username":"test-user636","#,
                r#""nickname":"Chucky","picture":"https://example-picture-url.jpg","email_verified":true}"#
            )
        );
        assert_eq!(
            Value::Object(own_profile(&ann())),
            json!({"email": "ann@example.com", "username": "ann", "email_verified": false})
        );
    }

    /// Whose rows are held first: of two links in opposite directions neither waits for the other.
    #[test]
    fn the_users_are_written_in_the_order_of_their_ids() {
        let user = |id: &str| User { id: id.into(), ..chuck() };
        for (primary, secondary, secondary_first) in
            [("auth0|a", "auth0|b", false), ("auth0|b", "auth0|a", true)]
        {
            let mut batch = Batch::new();
            let secondary = user(secondary);
            link(&mut batch, &mut user(primary), &secondary, None, secondary.created_at);
            let place = format!("{batch:?}").find("UPDATE users SET version = version + 1 WHERE");
            let other = format!("{batch:?}").find("UPDATE users SET email");
            assert!(place.is_some() && other.is_some(), "{batch:?}");
            assert_eq!(place < other, secondary_first);
        }
    }

    #[test]
    fn a_restored_user_is_as_before_without_metadata() {
        let before = chuck();
        let mut after = blank(&before.tenant, before.identities[0].clone(), before.created_at);
        restore(&mut after, own_profile(&before));
        let mut expected = before.to_wire();
        for lost in ["user_metadata", "app_metadata", "blocked"] {
            expected.shift_remove(lost);
        }
        assert_eq!(after.to_wire(), expected);
    }
}
