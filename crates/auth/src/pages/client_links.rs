//! What an app says of itself, as links on the pages that lead to it.

use super::look::https;

/// The pages that an app names: `https` URLs; others are not shown.
#[derive(Clone, Debug, Default)]
pub struct ClientLinks {
    /// What it does with what it learns (`policy_uri`).
    pub policy: Option<String>,
    /// Its terms (`tos_uri`).
    pub terms: Option<String>,
}

impl ClientLinks {
    /// Those that may be shown.
    pub(super) fn checked(&self) -> Self {
        Self { policy: https(self.policy.as_deref()), terms: https(self.terms.as_deref()) }
    }
}
