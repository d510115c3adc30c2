//! What a caller may write of a user: the rules of current-user tokens and of limited administrators (management contract §1.4).

use serde_json::{Map, Value};

use super::bodies::UpdateUser;
use crate::access::{Grant, Powers, Reach};
use crate::errors::Error;
use crate::operations::Power;

/// Refuses the whole body when it names a property that the caller may not write, be it with an unchanged value.
///
/// # Errors
/// 403 `insufficient_scope`, naming the properties.
pub fn check_fields(grant: &Grant, patch: &UpdateUser) -> Result<(), Error> {
    let Some(allowed) = only_field(&grant.reach, &grant.powers) else { return Ok(()) };
    let forbidden: Vec<_> =
        patch.named().into_iter().filter(|name| *name != allowed).map(str::to_owned).collect();
    if forbidden.is_empty() { Ok(()) } else { Err(Error::ForbiddenFields(forbidden)) }
}

/// The one property that the caller may write; `None` for all of them.
fn only_field(reach: &Reach, powers: &Powers) -> Option<&'static str> {
    match reach {
        Reach::Own(_) => Some("user_metadata"),
        Reach::Everyone if powers.has(Power::AppMetadataOnly) => Some("app_metadata"),
        Reach::Everyone => None,
    }
}

/// Refuses a patch of `user_metadata` that changes or removes anything, from a caller who may only add.
///
/// `{}` would empty the whole, and `null` removes a key: neither is adding, whatever is there.
///
/// # Errors
/// 403 `insufficient_scope`, naming the keys.
pub fn check_additions(
    powers: &Powers,
    old: Option<&Map<String, Value>>,
    patch: &Map<String, Value>,
) -> Result<(), Error> {
    if !powers.has(Power::AddMetadataOnly) {
        return Ok(());
    }
    if patch.is_empty() {
        return Err(Error::ForbiddenFields(vec!["user_metadata".into()]));
    }
    let is_there = |key: &String| old.is_some_and(|old| old.contains_key(key));
    let changed = patch.iter().filter(|(key, value)| value.is_null() || is_there(key));
    let changed: Vec<_> = changed.map(|(key, _)| format!("user_metadata.{key}")).collect();
    if changed.is_empty() { Ok(()) } else { Err(Error::ForbiddenFields(changed)) }
}
