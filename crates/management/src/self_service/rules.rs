//! The rules of the policy, as they meet a person's call. An administrator's call meets none.

use model::Timestamp;
use model::self_service::metadata::{self, Refused};
use model::self_service::{Change, Metadata, Policy};
use serde_json::{Map, Value};

use crate::access::Bearer;
use crate::errors::Error;

/// Refuses a change whose rule asks for a later or a surer sign-in than the token tells of.
///
/// # Errors
/// 403 `insufficient_user_authentication`, naming the rule.
pub fn check_proof(policy: &Policy, change: Change, bearer: &Bearer, now: Timestamp) -> Result<(), Error> {
    let asked = policy.of(change);
    let unproven = |rule: &'static str| Error::Unproven {
        change: change.name(),
        rule,
        max_age: asked.max_age,
        mfa: asked.asks_mfa(),
    };
    if let Some(max_age) = asked.max_age {
        let age = bearer.authenticated_at.map(|at| now.seconds().saturating_sub(at));
        if age.is_none_or(|age| age > max_age) {
            return Err(unproven("max_age"));
        }
    }
    if asked.asks_mfa() && !bearer.mfa {
        return Err(unproven("mfa"));
    }
    Ok(())
}

/// Refuses what a person may not make of their metadata: `patch` makes `after` of `before`.
///
/// # Errors
/// 403 `self_service_policy`, naming the rule.
pub fn check_metadata(
    rules: &Metadata,
    before: Option<&Map<String, Value>>,
    patch: &Map<String, Value>,
    after: Option<&Map<String, Value>>,
) -> Result<(), Error> {
    metadata::check(rules, before, patch, after).map_err(|refused| match refused {
        Refused::Rule { rule, problem } => Error::SelfService { rule, problem },
        Refused::NoSchema(problem) => {
            tracing::error!(problem, "a stored schema is no schema");
            Error::Internal
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::access::{Scopes, Subject};
    use model::tenant_documents::TenantDocument;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn a_sign_in_is_late_and_sure_enough() {
        let bearer = |authenticated_at, mfa| Bearer {
            subject: Subject::User("auth0|a".into()),
            client: "spa".into(),
            scopes: Scopes::default(),
            token_id: None,
            issued_at: 0,
            authenticated_at,
            mfa,
        };
        let policy = |value: Value| Policy::default().patched(&object(value)).unwrap();
        let check = |policy: &Policy, at, mfa| {
            let now = Timestamp::from_millis(1_000_000);
            match check_proof(policy, Change::LinkIdentity, &bearer(at, mfa), now) {
                Ok(()) => "",
                Err(Error::Unproven { rule, .. }) => rule,
                Err(other) => panic!("{other}"),
            }
        };
        assert_eq!(check(&Policy::default(), None, false), "");
        let lately = policy(json!({ "link_identity": { "max_age": 60 } }));
        assert_eq!(check(&lately, Some(940), false), "");
        assert_eq!(check(&lately, Some(939), true), "max_age");
        assert_eq!(check(&lately, None, true), "max_age");
        let surely = policy(json!({ "link_identity": { "mfa": true } }));
        assert_eq!((check(&surely, None, true), check(&surely, Some(999), false)), ("", "mfa"));
        let other = policy(json!({ "unlink_identity": { "mfa": true, "max_age": 1 } }));
        assert_eq!(check(&other, None, false), "");
    }
}
