//! What is known of a user and may not stand in their password.

use serde_json::Value;

use crate::users::User;

/// The attributes that are looked at where the connection names none.
pub(super) const DEFAULT: [&str; 7] = [
    "name",
    "username",
    "nickname",
    "email",
    "user_metadata.name",
    "user_metadata.first",
    "user_metadata.last",
];

/// The shortest piece that counts: shorter ones stand in every password.
const SHORTEST: usize = 3;

/// Whether one of these attributes of `user`, or a word of it, stands in `password`. Of an address it is the part before the `@`.
pub(super) fn stands_in(password: &str, user: &User, fields: &[String]) -> bool {
    let password = password.to_lowercase();
    fields.iter().filter_map(|field| value(user, field)).any(|value| {
        let value = value.to_lowercase();
        let pieces = std::iter::once(value.as_str()).chain(value.split_whitespace());
        let mut pieces = pieces.filter(|piece| piece.chars().count() >= SHORTEST);
        pieces.any(|piece| password.contains(piece))
    })
}

fn value<'a>(user: &'a User, field: &str) -> Option<&'a str> {
    match field {
        "name" => user.name.as_deref(),
        "username" => user.username.as_deref(),
        "nickname" => user.nickname.as_deref(),
        "given_name" => user.given_name.as_deref(),
        "family_name" => user.family_name.as_deref(),
        "phone_number" => user.phone_number.as_deref(),
        "email" => user.email.as_deref()?.rsplit_once('@').map(|(local, _)| local),
        other => {
            let path = other.strip_prefix("user_metadata.")?;
            let mut parts = path.split('.');
            let first = user.user_metadata.as_ref()?.get(parts.next()?)?;
            parts.try_fold(first, |value, part| value.get(part)).and_then(Value::as_str)
        }
    }
}
