//! The settings, one document a part. What was never changed has the service's defaults.

use std::sync::Arc;

use db::{Batch, params};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::breaches::BreachStage;
use crate::ids::TenantId;
use crate::{Model, document};

/// The settings of one part.
pub trait Settings: Clone + Default + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// What the Management API calls the part, and the cache.
    const PART: &'static str;

    /// What follows from a PATCH besides what it says.
    fn settle(&mut self, _patch: &Map<String, Json>) {}
}

/// Settings as they lie in the database.
#[derive(Clone, Debug, Default)]
pub struct Stored<T> {
    /// The settings.
    pub settings: T,
    /// The row's version; 0 when there is none.
    pub version: i64,
}

/// What is done once a threshold is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shield {
    /// Nothing more is let through.
    Block,
    /// The user gets a mail.
    UserNotification,
    /// The tenant's administrators are told.
    AdminNotification,
}

/// What failed logins are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// By account and address: a stranger locks nobody out.
    CountPerIdentifierAndIp,
    /// By account alone.
    CountPerIdentifier,
}

/// `brute-force-protection`: many passwords for one account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BruteForce {
    /// Whether failed logins are counted.
    pub enabled: bool,
    /// What is done at the threshold; nothing but an entry in the log where this is empty.
    pub shields: Vec<Shield>,
    /// What is counted by.
    pub mode: Mode,
    /// Addresses and networks from which nothing is counted.
    pub allowlist: Vec<String>,
    /// Failed logins in a row.
    pub max_attempts: u32,
}

impl Default for BruteForce {
    fn default() -> Self {
        Self {
            enabled: true,
            shields: vec![Shield::Block, Shield::UserNotification],
            mode: Mode::CountPerIdentifierAndIp,
            allowlist: Vec::new(),
            max_attempts: 10,
        }
    }
}

impl Settings for BruteForce {
    const PART: &'static str = "brute-force-protection";
}

/// How many attempts an address has, and how fast it gets them back.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    /// Attempts at once.
    pub max_attempts: u32,
    /// Milliseconds in which one comes back.
    pub rate: i64,
}

/// `suspicious-ip-throttling`: one address, many accounts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SuspiciousIp {
    /// Whether addresses are throttled.
    pub enabled: bool,
    /// What is done at the threshold.
    pub shields: Vec<Shield>,
    /// Addresses and networks that are not throttled.
    pub allowlist: Vec<String>,
    /// What is counted apart.
    pub stage: Stages,
}

/// The stages of [`SuspiciousIp`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Stages {
    /// Failed logins.
    pub pre_login: Rate,
    /// Sign-ups.
    pub pre_user_registration: Rate,
    /// Exchanges of tokens of the tenant's own kind.
    pub pre_custom_token_exchange: Rate,
}

impl Default for SuspiciousIp {
    fn default() -> Self {
        Self {
            enabled: true,
            shields: vec![Shield::AdminNotification, Shield::Block],
            allowlist: Vec::new(),
            stage: Stages::default(),
        }
    }
}

impl Default for Stages {
    fn default() -> Self {
        Self {
            pre_login: Rate { max_attempts: 100, rate: 864_000 },
            pre_user_registration: Rate { max_attempts: 50, rate: 1200 },
            pre_custom_token_exchange: Rate { max_attempts: 10, rate: 600_000 },
        }
    }
}

impl Settings for SuspiciousIp {
    const PART: &'static str = "suspicious-ip-throttling";
}

/// `breached-password-detection`: passwords that have leaked somewhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BreachedPasswords {
    /// Whether passwords are looked up.
    pub enabled: bool,
    /// What is done at a login.
    pub shields: Vec<Shield>,
    /// How often administrators are told.
    pub admin_notification_frequency: Vec<String>,
    /// `standard` or `enhanced`; one file serves both.
    pub method: String,
    /// What is done elsewhere.
    pub stage: BreachStages,
}

/// The stages of [`BreachedPasswords`] besides the login.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct BreachStages {
    /// Sign-up.
    pub pre_user_registration: Shields,
    /// A password that its owner changes.
    pub pre_change_password: Shields,
}

/// The shields of a stage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Shields {
    /// What is done.
    pub shields: Vec<Shield>,
}

impl Default for BreachedPasswords {
    fn default() -> Self {
        Self {
            enabled: false,
            shields: Vec::new(),
            admin_notification_frequency: Vec::new(),
            method: "standard".to_owned(),
            stage: BreachStages::default(),
        }
    }
}

impl BreachedPasswords {
    /// What is done at a stage.
    pub(super) fn shields_at(&self, stage: BreachStage) -> &[Shield] {
        match stage {
            BreachStage::Login => &self.shields,
            BreachStage::Signup => &self.stage.pre_user_registration.shields,
            BreachStage::ChangePassword => &self.stage.pre_change_password.shields,
        }
    }
}

impl Settings for BreachedPasswords {
    const PART: &'static str = "breached-password-detection";

    /// How often administrators are told is forgotten once they are told at no stage, as recorded.
    fn settle(&mut self, patch: &Map<String, Json>) {
        let stages = [
            &self.shields,
            &self.stage.pre_user_registration.shields,
            &self.stage.pre_change_password.shields,
        ];
        let told = stages.into_iter().any(|shields| shields.contains(&Shield::AdminNotification));
        if !told && !patch.contains_key("admin_notification_frequency") {
            self.admin_notification_frequency.clear();
        }
    }
}

/// `bot-detection`: kept for the tools; no page asks for a captcha yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BotDetection {
    /// When a login with a password is challenged.
    pub challenge_password_policy: String,
    /// When a login without one is.
    pub challenge_passwordless_policy: String,
    /// When a reset is.
    pub challenge_password_reset_policy: String,
    /// Addresses that are not challenged.
    pub allowlist: Vec<String>,
    /// How readily.
    pub bot_detection_level: String,
    /// Whether it is only written down.
    pub monitoring_mode_enabled: bool,
}

impl Default for BotDetection {
    fn default() -> Self {
        let never = || "never".to_owned();
        Self {
            challenge_password_policy: never(),
            challenge_passwordless_policy: never(),
            challenge_password_reset_policy: never(),
            allowlist: Vec::new(),
            bot_detection_level: "medium".to_owned(),
            monitoring_mode_enabled: false,
        }
    }
}

impl Settings for BotDetection {
    const PART: &'static str = "bot-detection";
}

impl<T: Settings> Stored<T> {
    /// The settings after a PATCH: it replaces the values that it names, inside objects too.
    pub fn patched(&self, patch: &Map<String, Json>) -> Result<Self, serde_json::Error> {
        let mut doc = document::object(&self.settings);
        merge(&mut doc, patch);
        let mut settings: T = serde_json::from_value(Json::Object(doc))?;
        settings.settle(patch);
        Ok(Self { settings, version: self.version })
    }
}

/// Replaces what `patch` names; of an object, what it names inside.
pub(super) fn merge(doc: &mut Map<String, Json>, patch: &Map<String, Json>) {
    for (key, value) in patch {
        match (doc.get_mut(key), value) {
            (Some(Json::Object(inside)), Json::Object(value)) => merge(inside, value),
            _ => {
                doc.insert(key.clone(), value.clone());
            }
        }
    }
}

/// A part's settings. Cached.
pub async fn find<T: Settings>(app: &Model, tenant: &TenantId) -> Result<Arc<T>, db::Error> {
    let load = async { load::<T>(app, tenant).await.map(|stored| Some(stored.settings)) };
    Ok(app.db.cached(T::PART, tenant.as_str(), "", load).await?.unwrap_or_default())
}

/// A part's settings as they stand in the database: what a change begins with.
pub async fn load<T: Settings>(app: &Model, tenant: &TenantId) -> Result<Stored<T>, db::Error> {
    let sql = "SELECT doc, version FROM attack_protection WHERE tenant = $1 AND part = $2";
    let Some(mut row) = app.db.read_one(sql, params![tenant, T::PART]).await? else {
        return Ok(Stored::default());
    };
    Ok(Stored { settings: document::parse(row.take()?)?, version: row.take()? })
}

/// Writes changed settings, if nobody else has since they were read.
pub fn save<T: Settings>(batch: &mut Batch, tenant: &TenantId, stored: &mut Stored<T>) {
    write(batch, tenant, T::PART, &document::object(&stored.settings), None, stored.version);
    stored.version += 1;
}

/// Writes the row of a part that was read at `version`.
pub(super) fn write(
    batch: &mut Batch,
    tenant: &TenantId,
    part: &'static str,
    doc: &Map<String, Json>,
    secrets: Option<Vec<u8>>,
    version: i64,
) {
    let added = if version == 0 {
        batch.execute(
            "INSERT INTO attack_protection (tenant, part, secrets, doc, version) VALUES ($1, $2, $3, $4, 1) \
             ON CONFLICT (tenant, part) DO NOTHING",
            params![tenant, part, secrets, doc],
        )
    } else {
        batch.execute(
            "UPDATE attack_protection SET secrets = $1, doc = $2, version = version + 1 \
             WHERE tenant = $3 AND part = $4 AND version = $5",
            params![secrets, doc, tenant, part, version],
        )
    };
    added.expect(1);
    batch.changed(part, tenant.as_str(), "");
}
