//! The variables of the environment, each of which overrides a key of the file.

use std::collections::BTreeMap;

use super::Error;

/// All of them, in the order of the file's documentation.
pub(super) const VARIABLES: &[&str] = &[
    "DOORWARD_DATABASE",
    "DOORWARD_DATABASE_REPLICA",
    "DOORWARD_LISTEN",
    "DOORWARD_ISSUER",
    "DOORWARD_TLS_CERTIFICATE",
    "DOORWARD_TLS_KEY",
    "DOORWARD_TLS_CLIENT_CERTIFICATES",
    "DOORWARD_TLS_CLIENT_AUTHORITIES",
    "DOORWARD_TRUSTED_PROXIES",
    "DOORWARD_MASTER_KEY_FILE",
    "DOORWARD_MASTER_KEY",
    "DOORWARD_BREACHED_PASSWORDS_FILE",
    "DOORWARD_SELF_SERVICE_CALLS_PER_SECOND",
    "DOORWARD_SELF_SERVICE_BURST",
    "DOORWARD_IMPORTS_LARGEST_FILE",
    "DOORWARD_MONITORING_LISTEN",
    "DOORWARD_STOPPING_ANNOUNCE_SECONDS",
    "DOORWARD_STOPPING_DRAIN_SECONDS",
    "DOORWARD_OUTBOUND_ALLOW",
    "DOORWARD_LIMITS_PLAN",
    "DOORWARD_LIMITS_CONNECTIONS",
    "DOORWARD_LIMITS_HEADERS_SECONDS",
    "DOORWARD_LIMITS_REQUEST_SECONDS",
    "DOORWARD_LOG",
    "DOORWARD_TRACES_COLLECTOR",
    "DOORWARD_TRACES_FROM_PROXIES",
    "DOORWARD_TRACES_HEADERS",
    "DOORWARD_TRACES_SHARE",
];

/// Read by the build and by a command; they may be left over in the environment.
const OTHERS: [&str; 2] = ["DOORWARD_REQUIRE_ACCOUNT", "DOORWARD_COPY_TO"];

/// Those that are set and were not taken yet.
pub(super) struct Variables(BTreeMap<String, String>);

impl Variables {
    /// Refuses a name that begins like ours and is none.
    pub(super) fn collect(environment: impl Iterator<Item = (String, String)>) -> Result<Self, Error> {
        let mut found = BTreeMap::new();
        for (name, value) in environment.filter(|(name, _)| name.starts_with("DOORWARD_")) {
            if OTHERS.contains(&&*name) {
                continue;
            }
            if !VARIABLES.contains(&&*name) {
                return Err(Error::UnknownVariable(name));
            }
            found.insert(name, value);
        }
        Ok(Self(found))
    }

    /// What is set under a name, once.
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        debug_assert!(VARIABLES.contains(&name), "{name} would be refused");
        self.0.remove(name)
    }

    /// Whether everything that is set has been taken.
    pub(super) fn are_taken(&self) -> bool {
        self.0.is_empty()
    }
}
