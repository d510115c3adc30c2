//! The self-service policy: what a tenant asks of people who change what is theirs with their own tokens, beyond what Auth0 asks.
//! All of it is off until it is set, but for the notices of what an attacker would do first.

pub mod metadata;

use std::sync::Arc;

use db::Batch;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use crate::Model;
use crate::clock::Timestamp;
use crate::ids::TenantId;
use crate::mail::Kind;
use crate::tenant_documents::{self, TenantDocument};

/// A tenant's policy: the body of `GET /api/v2/doorward/self-service`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Policy {
    /// What people may write to their `user_metadata`.
    pub user_metadata: Metadata,
    /// What linking an account asks for.
    pub link_identity: Requirement,
    /// What unlinking one asks for.
    pub unlink_identity: Requirement,
    /// What dropping a second factor asks for.
    pub remove_factor: Requirement,
    /// Of which changes people are told by mail.
    pub notices: Notices,
    /// The row's version; 0 when there is none.
    #[serde(skip)]
    pub version: i64,
}

/// What people may write to their `user_metadata`. Administrators write what they like.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Metadata {
    /// The only keys of the first level that they may set, change or remove.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_keys: Option<Vec<String>>,
    /// The most that the whole may take afterwards, in bytes of JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u64>,
    /// A JSON Schema that the whole must fit afterwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<Map<String, Json>>,
}

/// How surely, and how lately, a person must have proved who they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requirement {
    /// The sign-in that the token came of may be so many seconds old.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<i64>,
    /// Whether it must have been with a second factor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mfa: Option<bool>,
}

/// Of which changes people are told by mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Notices {
    /// Another password.
    pub password_changed: bool,
    /// Another address, told to the old one.
    pub email_changed: bool,
    /// Another second factor.
    pub factor_added: bool,
    /// One second factor less.
    pub factor_removed: bool,
    /// The recovery code was replaced, or used.
    pub recovery_code_changed: bool,
    /// Another account was linked.
    pub identity_linked: bool,
    /// A linked account was unlinked.
    pub identity_unlinked: bool,
    /// A device was registered. Off at first: apps may do so at each sign-in.
    pub device_registered: bool,
    /// A device was removed. Off at first.
    pub device_removed: bool,
}

impl Default for Notices {
    fn default() -> Self {
        Self {
            password_changed: true,
            email_changed: true,
            factor_added: true,
            factor_removed: true,
            recovery_code_changed: true,
            identity_linked: true,
            identity_unlinked: true,
            device_registered: false,
            device_removed: false,
        }
    }
}

/// A change that a policy may ask a fresh or surer proof for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Linking an account.
    LinkIdentity,
    /// Unlinking one.
    UnlinkIdentity,
    /// Dropping a second factor.
    RemoveFactor,
}

impl Change {
    const ALL: [Self; 3] = [Self::LinkIdentity, Self::UnlinkIdentity, Self::RemoveFactor];

    /// The policy's key for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LinkIdentity => "link_identity",
            Self::UnlinkIdentity => "unlink_identity",
            Self::RemoveFactor => "remove_factor",
        }
    }
}

impl Requirement {
    /// Whether anything is asked for.
    pub fn is_empty(&self) -> bool {
        self.max_age.is_none() && !self.asks_mfa()
    }

    /// Whether a second factor is asked for.
    pub fn asks_mfa(&self) -> bool {
        self.mfa == Some(true)
    }
}

impl Policy {
    /// What a change asks for.
    pub fn of(&self, change: Change) -> &Requirement {
        match change {
            Change::LinkIdentity => &self.link_identity,
            Change::UnlinkIdentity => &self.unlink_identity,
            Change::RemoveFactor => &self.remove_factor,
        }
    }

    /// Whether tokens must tell when and how their user signed in.
    pub fn asks_for_proof(&self) -> bool {
        Change::ALL.into_iter().any(|change| !self.of(change).is_empty())
    }

    /// Whether a letter of this kind is sent: every one that is no notice is.
    pub fn sends(&self, kind: Kind) -> bool {
        let notices = &self.notices;
        match kind {
            Kind::PasswordChanged => notices.password_changed,
            Kind::EmailChanged => notices.email_changed,
            Kind::FactorAdded => notices.factor_added,
            Kind::FactorRemoved => notices.factor_removed,
            Kind::RecoveryCodeChanged => notices.recovery_code_changed,
            Kind::IdentityLinked => notices.identity_linked,
            Kind::IdentityUnlinked => notices.identity_unlinked,
            Kind::DeviceRegistered => notices.device_registered,
            Kind::DeviceRemoved => notices.device_removed,
            _ => true,
        }
    }
}

impl TenantDocument for Policy {
    const TABLE: &'static str = "self_service";

    fn version(&self) -> i64 {
        self.version
    }

    fn at(self, version: i64) -> Self {
        Self { version, ..self }
    }
}

/// The tenant's policy. Cached.
pub async fn find(app: &Model, tenant: &TenantId) -> Result<Arc<Policy>, db::Error> {
    tenant_documents::find(app, tenant).await
}

/// The tenant's policy as it stands in the database: what a change begins with.
pub async fn load(app: &Model, tenant: &TenantId) -> Result<Policy, db::Error> {
    tenant_documents::load(app, tenant).await
}

/// Writes a changed policy, if nobody else has since it was read.
pub fn save(batch: &mut Batch, tenant: &TenantId, policy: &mut Policy, now: Timestamp) {
    tenant_documents::save(batch, tenant, policy, now);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{TestModel, object};

    #[test]
    fn nothing_is_asked_for_until_it_is_set() {
        let policy = Policy::default();
        assert!(!policy.asks_for_proof());
        assert!(policy.sends(Kind::IdentityLinked) && policy.sends(Kind::ResetEmail));
        assert!(!policy.sends(Kind::DeviceRegistered));
        assert_eq!(json!(policy)["link_identity"], json!({}));
    }

    #[test]
    fn a_patch_replaces_a_rule_whole_and_null_unsets_it() {
        let set = json!({ "link_identity": { "max_age": 300, "mfa": true }, "notices": { "identity_linked": false } });
        let policy = Policy::default().patched(&object(set)).unwrap();
        assert!(policy.asks_for_proof() && policy.link_identity.asks_mfa());
        assert!(!policy.sends(Kind::IdentityLinked) && policy.sends(Kind::IdentityUnlinked));
        let less =
            policy.patched(&object(json!({ "link_identity": { "mfa": false }, "notices": null }))).unwrap();
        assert_eq!(json!(less.link_identity), json!({ "mfa": false }));
        assert!(!less.asks_for_proof() && less.sends(Kind::IdentityLinked));
    }

    #[tokio::test]
    async fn a_policy_is_empty_until_set_and_then_seen_at_once() {
        for model in TestModel::each().await {
            assert_eq!(*find(&model, &model.tenant).await.unwrap(), Policy::default());
            let mut first = load(&model, &model.tenant).await.unwrap();
            let mut late = first.clone();
            for seconds in [60, 120] {
                first.link_identity.max_age = Some(seconds);
                let mut batch = Batch::new();
                save(&mut batch, &model.tenant, &mut first, model.clock.now());
                model.db.commit(batch).await.unwrap();
                assert_eq!(*find(&model, &model.tenant).await.unwrap(), first);
            }
            let mut batch = Batch::new();
            save(&mut batch, &model.tenant, &mut late, model.clock.now());
            assert!(matches!(model.db.commit(batch).await, Err(db::Error::Conflict { .. })));
        }
    }
}
