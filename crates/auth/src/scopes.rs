//! Scope values (RFC 6749 §3.3).

use std::fmt;

/// The OIDC scopes and the older claim-name scopes that any client may ask for (authentication contract §1.6).
const OPENID_SCOPES: &[&str] = &[
    "openid",
    "profile",
    "email",
    "address",
    "phone",
    "offline_access",
    "name",
    "given_name",
    "family_name",
    "nickname",
    "email_verified",
    "picture",
    "created_at",
    "identities",
];

/// How many words of a `scope` parameter are looked at: more than the Management API has scopes.
const MOST: usize = 1000;

/// A set of scopes that keeps the order they were asked for in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes(Vec<String>);

impl Scopes {
    /// The scopes of a `scope` parameter; repeated ones count once, and beyond the first [`MOST`] words none.
    pub fn parse(text: &str) -> Self {
        let mut scopes = Self::default();
        for scope in text.split_ascii_whitespace().take(MOST) {
            if !scopes.has(scope) {
                scopes.0.push(scope.to_owned());
            }
        }
        scopes
    }

    /// Those of OpenID Connect that tell of a user, as a password grant gives them where it asks for nothing (recorded).
    pub fn every_openid() -> Self {
        Self(["openid", "profile", "email", "address", "phone"].map(str::to_owned).to_vec())
    }

    /// The scopes of a list from our own store, where each stands once.
    pub fn from_list(scopes: Vec<String>) -> Self {
        Self(scopes)
    }

    /// Whether `scope` is one of them.
    pub fn has(&self, scope: &str) -> bool {
        self.0.iter().any(|known| known == scope)
    }

    /// Those for which `keep` says yes.
    pub fn only(&self, keep: impl Fn(&str) -> bool) -> Self {
        Self(self.0.iter().filter(|scope| keep(scope)).cloned().collect())
    }

    /// Whether every one of them is in `other`.
    pub fn within(&self, other: &[String]) -> bool {
        self.0.iter().all(|scope| other.contains(scope))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Each of them, to be stored.
    pub fn to_vec(&self) -> Vec<String> {
        self.0.clone()
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

/// Whether any client may ask for `scope`, whatever the API.
pub fn is_openid(scope: &str) -> bool {
    OPENID_SCOPES.contains(&scope)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_keep_their_order_and_count_once() {
        let scopes = Scopes::parse(" openid  read:a openid ");
        assert_eq!(scopes.to_string(), "openid read:a");
        assert!(scopes.within(&["read:a".into(), "openid".into(), "x".into()]));
        assert!(!scopes.within(&["openid".into()]));
        assert_eq!(scopes.only(is_openid).to_string(), "openid");
    }
}
