//! A tenant's second factors: which there are, when they are asked for, and the services that would deliver messages.

use std::sync::Arc;

use db::{Batch, params};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};

use crate::factors::Kind;
use crate::ids::TenantId;
use crate::seal::context;
use crate::{Model, document, sms};

/// The factors that a tenant can have, in the order in which they are listed (management contract §4.11).
pub const FACTORS: [&str; 8] = [
    "sms",
    "push-notification",
    "otp",
    "email",
    "duo",
    "webauthn-roaming",
    "webauthn-platform",
    "recovery-code",
];

/// What a tenant has set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Guardian {
    /// Which factors are enabled, by name; what is absent is not.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    factors: Map<String, Json>,
    /// When a second factor is asked for: `all-applications`, `confidence-score`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<String>,
    /// How codes reach a phone: `sms`, `voice`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub message_types: Vec<String>,
    /// Who delivers to phones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone_provider: Option<String>,
    /// Who delivers push notifications.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push_provider: Option<String>,
    /// The texts of messages to phones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone_templates: Option<Map<String, Json>>,
    /// The settings of services by name: sealed, and read only with [`load`].
    #[serde(skip)]
    providers: Map<String, Json>,
    /// Whether there is a gateway that takes messages to phones; told by [`find`] alone.
    #[serde(skip)]
    reaches_phones: bool,
    /// The row's version; 0 when there is none.
    #[serde(skip)]
    pub version: i64,
}

impl Guardian {
    /// Whether the factor with this name is enabled.
    pub fn enables(&self, name: &str) -> bool {
        self.factors.get(name) == Some(&Json::Bool(true))
    }

    /// Enables or disables a factor.
    pub fn enable(&mut self, name: &str, enabled: bool) {
        self.factors.insert(name.to_owned(), enabled.into());
    }

    /// Whether a sign-in to any application needs a second factor. A policy without a factor that could be asked for asks for
    /// none. `confidence-score` asks always: nothing here judges a sign-in, and so none is trusted.
    pub fn asks_everywhere(&self) -> bool {
        !self.policies.is_empty() && self.can_ask()
    }

    /// Whether there is a factor that can be asked for: an authenticator app, a phone, or e-mail.
    pub fn can_ask(&self) -> bool {
        [Kind::Totp, Kind::Phone, Kind::Email].into_iter().any(|kind| self.offers(kind))
    }

    /// Whether the tenant wants codes by SMS: the factor is enabled, and calls are not the only way to a phone.
    pub fn wants_sms(&self) -> bool {
        let way = |name: &str| self.message_types.iter().any(|known| known == name);
        self.enables("sms") && (self.message_types.is_empty() || way("sms"))
    }

    /// Whether this kind of factor is enabled, and one that can be asked for: codes for phones need a gateway that takes them.
    pub fn offers(&self, kind: Kind) -> bool {
        match kind {
            Kind::Totp => self.enables("otp"),
            Kind::Email => self.enables("email"),
            Kind::RecoveryCode => self.enables("recovery-code"),
            Kind::Phone => self.wants_sms() && self.reaches_phones,
        }
    }

    /// The settings of a service; empty when unset.
    pub fn provider(&self, name: &str) -> Map<String, Json> {
        self.providers.get(name).and_then(Json::as_object).cloned().unwrap_or_default()
    }

    /// Sets the settings of a service.
    pub fn set_provider(&mut self, name: &str, settings: Map<String, Json>) {
        self.providers.insert(name.to_owned(), settings.into());
    }

    /// The texts of messages to phones; the published ones when unset.
    pub fn templates(&self) -> Map<String, Json> {
        self.phone_templates.clone().unwrap_or_else(|| document::object(&published_templates()))
    }

    /// The text of a message with a code, in Liquid: the tenant's own, and the published one.
    pub fn message(&self, enrolling: bool) -> (Option<&str>, String) {
        let name = if enrolling { "enrollment_message" } else { "verification_message" };
        let own = self.phone_templates.as_ref().and_then(|own| own.get(name)?.as_str());
        (own, published_templates()[name].as_str().unwrap_or_default().to_owned())
    }
}

fn published_templates() -> Json {
    let verification = "{{code}} is your verification code for {{tenant.friendly_name}}";
    let enrollment = format!("{verification}. Please enter this code to verify your enrollment.");
    json!({ "enrollment_message": enrollment, "verification_message": verification })
}

/// What the tenant has set, without the settings of services, and whether messages reach phones. Cached.
pub async fn find(app: &Model, tenant: &TenantId) -> Result<Arc<Guardian>, db::Error> {
    let without = async {
        let found = load(app, tenant).await?;
        Ok(Some(Guardian { providers: Map::new(), ..found }))
    };
    let found = app.db.cached("guardian", tenant.as_str(), "", without).await?.unwrap_or_default();
    // The gateway is a connection's, and changes with that.
    if !found.wants_sms() || sms::gateway(app, tenant).await?.is_none() {
        return Ok(found);
    }
    Ok(Arc::new(Guardian { reaches_phones: true, ..Guardian::clone(&found) }))
}

/// All of it as it stands in the database: what a change begins with.
pub async fn load(app: &Model, tenant: &TenantId) -> Result<Guardian, db::Error> {
    let sql = "SELECT doc, version, providers FROM guardian WHERE tenant = $1";
    let Some(mut row) = app.db.read_one(sql, params![tenant]).await? else { return Ok(Guardian::default()) };
    let found: Guardian = document::parse(row.take()?)?;
    let version = row.take()?;
    let providers = match row.take::<Option<Vec<u8>>>()? {
        None => Map::new(),
        Some(sealed) => {
            let text = document::unseal(app, &place(tenant), &sealed)?;
            serde_json::from_str(&text)
                .map_err(|error| db::Error::Failed(format!("stored settings do not parse: {error}")))?
        }
    };
    Ok(Guardian { version, providers, ..found })
}

/// Writes what was changed, if nobody else has since it was read.
pub fn save(batch: &mut Batch, app: &Model, tenant: &TenantId, guardian: &mut Guardian) {
    let read = guardian.version;
    guardian.version += 1;
    let doc = document::column(guardian, &[]);
    let providers = Json::Object(guardian.providers.clone()).to_string();
    let sealed = app.seal.seal(&place(tenant), providers.as_bytes());
    let added = if read == 0 {
        batch.execute(
            "INSERT INTO guardian (tenant, doc, providers, version) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (tenant) DO NOTHING",
            params![tenant, doc, sealed, guardian.version],
        )
    } else {
        batch.execute(
            "UPDATE guardian SET doc = $1, providers = $2, version = $3 WHERE tenant = $4 AND version = $5",
            params![doc, sealed, guardian.version, tenant, read],
        )
    };
    added.expect(1);
    batch.changed("guardian", tenant.as_str(), "");
}

fn place(tenant: &TenantId) -> String {
    context("guardian", &[tenant.as_str()], "providers")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TestModel, object};

    #[test]
    fn a_policy_asks_only_where_something_can_be_asked_for() {
        let mut guardian = Guardian { policies: vec!["all-applications".into()], ..Guardian::default() };
        for (name, asks) in [("sms", false), ("recovery-code", false), ("otp", true)] {
            guardian.enable(name, true);
            assert_eq!(guardian.asks_everywhere(), asks, "{name}");
        }
        guardian.enable("otp", false);
        guardian.enable("email", true);
        assert!(guardian.asks_everywhere());
        guardian.policies.clear();
        assert!(!guardian.asks_everywhere() && guardian.can_ask());
    }

    #[test]
    fn codes_by_sms_need_the_factor_the_way_and_a_gateway() {
        let mut guardian = Guardian { reaches_phones: true, ..Guardian::default() };
        assert!(!guardian.offers(Kind::Phone));
        guardian.enable("sms", true);
        for (types, offers) in
            [(&[] as &[&str], true), (&["sms"], true), (&["voice"], false), (&["voice", "sms"], true)]
        {
            guardian.message_types = types.iter().map(|way| (*way).to_owned()).collect();
            assert_eq!((guardian.offers(Kind::Phone), guardian.can_ask()), (offers, offers), "{types:?}");
        }
        assert!(!Guardian { reaches_phones: false, ..guardian }.can_ask());
    }

    #[tokio::test]
    async fn settings_are_seen_at_once_and_those_of_services_lie_sealed() {
        for model in TestModel::each().await {
            assert_eq!(*find(&model, &model.tenant).await.unwrap(), Guardian::default());
            let mut first = load(&model, &model.tenant).await.unwrap();
            let mut late = first.clone();
            for secret in ["hush-1", "hush-2"] {
                first.enable("otp", true);
                first.set_provider("twilio", object(json!({ "auth_token": secret })));
                let mut batch = Batch::new();
                save(&mut batch, &model, &model.tenant, &mut first);
                model.db.commit(batch).await.unwrap();
                assert!(find(&model, &model.tenant).await.unwrap().enables("otp"));
                assert_eq!(load(&model, &model.tenant).await.unwrap(), first);
            }
            let mut batch = Batch::new();
            save(&mut batch, &model, &model.tenant, &mut late);
            assert!(matches!(model.db.commit(batch).await, Err(db::Error::Conflict { .. })));
            let sql = "SELECT providers FROM guardian WHERE tenant = $1";
            let stored: Vec<u8> =
                model.db.read_one(sql, params![&model.tenant]).await.unwrap().unwrap().take().unwrap();
            assert!(!String::from_utf8_lossy(&stored).contains("hush"));
        }
    }
}
