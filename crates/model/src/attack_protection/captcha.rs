//! `captcha`: the providers that a tenant has. Their secrets are sealed and shown to nobody; no page asks for a captcha yet.

use db::{Batch, params};
use serde_json::{Map, Value as Json, json};

use super::settings::{merge, write};
use crate::ids::TenantId;
use crate::{Model, document, seal};

const PART: &str = "captcha";

/// What of a provider is secret.
const SECRETS: [&str; 2] = ["secret", "api_key"];

/// A tenant's providers.
#[derive(Clone)]
pub struct Captcha {
    /// What is shown: `active_provider_id`, and an object for each provider.
    pub shown: Map<String, Json>,
    /// The secrets of each provider.
    secrets: Map<String, Json>,
    version: i64,
}

impl std::fmt::Debug for Captcha {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Captcha").field("shown", &self.shown).finish_non_exhaustive()
    }
}

impl Default for Captcha {
    fn default() -> Self {
        let shown = json!({
            "active_provider_id": "auth_challenge",
            "simple_captcha": {},
            "auth_challenge": { "fail_open": false },
            "recaptcha_v2": { "site_key": "" },
            "recaptcha_enterprise": { "site_key": "", "project_id": "" },
            "hcaptcha": { "site_key": "" },
            "friendly_captcha": { "site_key": "" },
            "arkose": {
                "site_key": "",
                "client_subdomain": "client-api",
                "verify_subdomain": "verify-api",
                "fail_open": false
            }
        });
        let Json::Object(shown) = shown else { unreachable!("it is written as an object") };
        Self { shown, secrets: Map::new(), version: 0 }
    }
}

impl Captcha {
    /// The providers after a PATCH, which replaces the values that it names.
    #[must_use]
    pub fn patched(&self, patch: &Map<String, Json>) -> Self {
        let mut captcha = self.clone();
        let mut shown = patch.clone();
        for (provider, settings) in &mut shown {
            let Some(settings) = settings.as_object_mut() else { continue };
            // This one has no settings.
            if provider == "simple_captcha" {
                settings.clear();
            }
            let secrets: Map<_, _> =
                SECRETS.iter().filter_map(|key| settings.shift_remove_entry(*key)).collect();
            if !secrets.is_empty() {
                merge(&mut captcha.secrets, &Map::from_iter([(provider.clone(), Json::Object(secrets))]));
            }
        }
        merge(&mut captcha.shown, &shown);
        captcha
    }

    /// What a provider's secret is, for who asks the provider.
    pub fn secret(&self, provider: &str) -> Option<&str> {
        let secrets = self.secrets.get(provider)?;
        SECRETS.iter().find_map(|key| secrets.get(*key)?.as_str())
    }
}

/// The tenant's providers as they stand in the database.
pub async fn load_captcha(app: &Model, tenant: &TenantId) -> Result<Captcha, db::Error> {
    let sql = "SELECT doc, secrets, version FROM attack_protection WHERE tenant = $1 AND part = $2";
    let Some(mut row) = app.db.read_one(sql, params![tenant, PART]).await? else {
        return Ok(Captcha::default());
    };
    let shown = row.take()?;
    let sealed: Option<Vec<u8>> = row.take()?;
    let secrets = match sealed {
        Some(sealed) => serde_json::from_str(&document::unseal(app, &context(tenant), &sealed)?)
            .map_err(|error| db::Error::Failed(format!("sealed captcha secrets do not parse: {error}")))?,
        None => Map::new(),
    };
    Ok(Captcha { shown, secrets, version: row.take()? })
}

/// Writes changed providers, if nobody else has since they were read.
pub fn save_captcha(app: &Model, batch: &mut Batch, tenant: &TenantId, captcha: &mut Captcha) {
    let secrets = Json::Object(captcha.secrets.clone()).to_string();
    let sealed = app.seal.seal(&context(tenant), secrets.as_bytes());
    write(batch, tenant, PART, &captcha.shown, Some(sealed), captcha.version);
    captcha.version += 1;
}

fn context(tenant: &TenantId) -> String {
    seal::context("attack_protection", &[tenant.as_str(), PART], "secrets")
}
