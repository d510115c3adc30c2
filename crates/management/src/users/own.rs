//! What a caller may write of a user: the rules of current-user tokens and of limited administrators (management contract §1.4).

use serde_json::{Map, Value};

use super::bodies::UpdateUser;
use crate::access::{Powers, Reach};
use crate::errors::Error;
use crate::operations::Power;

/// A refusal names no more keys than these.
const MOST_NAMED: usize = 20;

/// Refuses the whole body when it names a property that the caller may not write, be it with an unchanged value.
///
/// # Errors
/// 403 `insufficient_scope`, naming the properties.
pub fn check_fields(reach: &Reach, powers: &Powers, patch: &UpdateUser) -> Result<(), Error> {
    let Some(allowed) = only_field(reach, powers) else { return Ok(()) };
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
    let changed: Vec<_> = changed.take(MOST_NAMED).map(|(key, _)| format!("user_metadata.{key}")).collect();
    if changed.is_empty() { Ok(()) } else { Err(Error::ForbiddenFields(changed)) }
}

#[cfg(test)]
mod tests {
    use axum::http::Method;
    use serde_json::json;

    use super::*;
    use crate::access::{Bearer, Scopes, Subject, decide};
    use crate::operations::{Api, Operation, Scope, everyone, own_id, power};

    fn granted(subject: &str, scope: &'static str) -> (Reach, Powers) {
        let scopes: [Scope; 4] = [
            everyone("update:users"),
            power("update:users_app_metadata", Power::AppMetadataOnly),
            own_id("update:current_user_metadata"),
            own_id("create:current_user_metadata").with(Power::AddMetadataOnly),
        ];
        let operation = Operation {
            api: Api::Management,
            method: Method::PATCH,
            path: "/users/{id}",
            title: "",
            scopes: scopes.to_vec(),
        };
        let bearer = Bearer {
            subject: Subject::User(subject.into()),
            client: "spa".into(),
            scopes: Scopes::new(scope),
            token_id: None,
            issued_at: 0,
            authenticated_at: None,
            mfa: false,
        };
        decide(&operation, &bearer, Some(subject)).unwrap()
    }

    fn refused_fields(scope: &'static str, body: Value) -> Vec<String> {
        let (reach, powers) = granted("auth0|alice", scope);
        match check_fields(&reach, &powers, &serde_json::from_value(body).unwrap()) {
            Ok(()) => vec![],
            Err(Error::ForbiddenFields(fields)) => fields,
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn a_current_user_writes_user_metadata_and_nothing_else() {
        for scope in ["update:current_user_metadata", "create:current_user_metadata"] {
            assert!(refused_fields(scope, json!({ "user_metadata": {} })).is_empty());
            assert!(refused_fields(scope, json!({})).is_empty());
            let mixed = json!({ "user_metadata": {}, "app_metadata": {}, "email": null, "password": "x", "verify_email": false });
            assert_eq!(refused_fields(scope, mixed), ["email", "app_metadata", "verify_email", "password"]);
        }
    }

    #[test]
    fn a_limited_administrator_writes_app_metadata_and_nothing_else() {
        assert!(refused_fields("update:users_app_metadata", json!({ "app_metadata": {} })).is_empty());
        assert_eq!(
            refused_fields("update:users_app_metadata", json!({ "user_metadata": {} })),
            ["user_metadata"]
        );
        assert!(refused_fields("update:users", json!({ "email": "a@b.co", "app_metadata": {} })).is_empty());
    }

    fn refused_keys(scope: &'static str, old: Value, patch: Value) -> Vec<String> {
        let (_, powers) = granted("auth0|alice", scope);
        match check_additions(&powers, old.as_object(), patch.as_object().unwrap()) {
            Ok(()) => vec![],
            Err(Error::ForbiddenFields(fields)) => fields,
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn a_create_only_token_adds_keys_and_touches_none() {
        let scope = "create:current_user_metadata";
        assert!(refused_keys(scope, json!(null), json!({ "color": "teal" })).is_empty());
        assert!(refused_keys(scope, json!({ "color": "teal" }), json!({ "size": 1 })).is_empty());
        for patch in [json!({ "color": "red" }), json!({ "color": "teal" }), json!({ "color": null })] {
            assert_eq!(refused_keys(scope, json!({ "color": "teal" }), patch), ["user_metadata.color"]);
        }
        assert_eq!(refused_keys(scope, json!(null), json!({ "gone": null })), ["user_metadata.gone"]);
        assert_eq!(refused_keys(scope, json!({ "color": "teal" }), json!({})), ["user_metadata"]);
        assert!(
            refused_keys(
                "update:current_user_metadata",
                json!({ "color": "teal" }),
                json!({ "color": null })
            )
            .is_empty()
        );
    }
}
