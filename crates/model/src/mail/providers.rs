//! What sends a tenant's mail: the body of `GET /api/v2/emails/provider`. Credentials are sealed.

use std::fmt;
use std::sync::Arc;

use db::{Batch, params};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use crate::ids::TenantId;
use crate::seal::context;
use crate::{Model, document};

/// Where a provider's credentials hold what is told to nobody.
const SECRET: [&str; 8] = [
    "api_key",
    "smtp_pass",
    "accessKeyId",
    "secretAccessKey",
    "connectionString",
    "tenantId",
    "clientId",
    "clientSecret",
];

/// A tenant's e-mail provider.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Provider {
    /// Its kind: `smtp` delivers; others are kept as they were given.
    pub name: String,
    /// Whether mail goes out by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Whom letters are from, where their template does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_from_address: Option<String>,
    /// `smtp_host`, `smtp_port`, `smtp_user` and `smtp_pass`, or what another kind has.
    #[serde(default)]
    pub credentials: Map<String, Json>,
    /// What only the kind knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settings: Option<Json>,
    /// The row's version; 0 when there is none.
    #[serde(skip)]
    pub version: i64,
}

impl fmt::Debug for Provider {
    /// Without the credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider")
            .field("name", &self.name)
            .field("enabled", &self.enabled)
            .finish_non_exhaustive()
    }
}

impl Provider {
    /// A provider that `body` describes; it is enabled unless that says otherwise.
    pub fn new(body: &Map<String, Json>) -> Result<Self, serde_json::Error> {
        let provider: Self = serde_json::from_value(Json::Object(body.clone()))?;
        Ok(Self { enabled: provider.enabled.or(Some(true)), ..provider })
    }

    /// The provider after a PATCH: named keys are replaced. Credentials are replaced whole, but those that the answers leave out stay
    /// where kind and server stay and the new ones do not name them. Settings of another kind go with it.
    pub fn patched(&self, patch: &Map<String, Json>) -> Result<Self, serde_json::Error> {
        let mut provider: Self = document::patch(self, patch)?;
        if provider.name != self.name && !patch.contains_key("settings") {
            provider.settings = None;
        }
        // A password is for the server that it was given for: nobody who cannot read it has it sent elsewhere.
        let same_server = provider.credential("smtp_host") == self.credential("smtp_host");
        if provider.name == self.name && same_server {
            for (key, value) in &self.credentials {
                if SECRET.contains(&key.as_str()) && !provider.credentials.contains_key(key) {
                    provider.credentials.insert(key.clone(), value.clone());
                }
            }
        }
        provider.version = self.version;
        Ok(provider)
    }

    /// The provider without its secrets: what answers show.
    pub fn to_wire(&self) -> Map<String, Json> {
        let mut shown = self.clone();
        shown.credentials.retain(|key, _| !SECRET.contains(&key.as_str()));
        document::object(&shown)
    }

    /// A credential that is a text.
    pub fn credential(&self, name: &str) -> Option<&str> {
        self.credentials.get(name)?.as_str()
    }
}

/// The tenant's provider, if it has one. Cached.
pub async fn find(app: &Model, tenant: &TenantId) -> Result<Option<Arc<Provider>>, db::Error> {
    app.db.cached("email_providers", tenant.as_str(), "", load(app, tenant)).await
}

/// The tenant's provider as it stands in the database: what a change begins with.
pub async fn load(app: &Model, tenant: &TenantId) -> Result<Option<Provider>, db::Error> {
    let sql = "SELECT doc, credentials, version FROM email_providers WHERE tenant = $1";
    let Some(mut row) = app.db.read_one(sql, params![tenant]).await? else { return Ok(None) };
    let mut provider: Provider = document::parse(row.take()?)?;
    if let Some(sealed) = row.take::<Option<Vec<u8>>>()? {
        let text = document::unseal(app, &place(tenant), &sealed)?;
        provider.credentials = serde_json::from_str(&text)
            .map_err(|error| db::Error::Failed(format!("stored credentials do not parse: {error}")))?;
    }
    provider.version = row.take()?;
    Ok(Some(provider))
}

/// Writes the tenant's first provider, or the changed one if nobody else has since it was read.
pub fn save(app: &Model, batch: &mut Batch, tenant: &TenantId, provider: &mut Provider) {
    let read = provider.version;
    provider.version += 1;
    let doc = document::column(provider, &["credentials"]);
    let credentials = Json::Object(provider.credentials.clone()).to_string();
    let sealed = app.seal.seal(&place(tenant), credentials.as_bytes());
    let added = if read == 0 {
        batch.execute(
            "INSERT INTO email_providers (tenant, name, credentials, doc, version) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (tenant) DO NOTHING",
            params![tenant, &provider.name, sealed, doc, provider.version],
        )
    } else {
        batch.execute(
            "UPDATE email_providers SET name = $1, credentials = $2, doc = $3, version = $4 WHERE tenant = $5 AND version = $6",
            params![&provider.name, sealed, doc, provider.version, tenant, read],
        )
    };
    added.expect(1);
    batch.changed("email_providers", tenant.as_str(), "");
}

/// Removes the tenant's provider, if there is one.
pub fn remove(batch: &mut Batch, tenant: &TenantId) {
    batch.execute("DELETE FROM email_providers WHERE tenant = $1", params![tenant]);
    batch.changed("email_providers", tenant.as_str(), "");
}

fn place(tenant: &TenantId) -> String {
    context("email_providers", &[tenant.as_str()], "credentials")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::object;

    fn smtp() -> Provider {
        Provider::new(&object(json!({
            "name": "smtp", "credentials": { "smtp_host": "h", "smtp_user": "u", "smtp_pass": "secret" }
        })))
        .unwrap()
    }

    #[test]
    fn no_answer_and_no_log_shows_a_secret() {
        let shown = json!(smtp().to_wire());
        assert_eq!(
            shown,
            json!({ "name": "smtp", "enabled": true, "credentials": { "smtp_host": "h", "smtp_user": "u" } })
        );
        assert!(!format!("{:?}", smtp()).contains("secret"));
    }

    #[test]
    fn what_was_shown_can_be_sent_back_without_losing_the_password() {
        let shown = smtp().to_wire();
        let kept = smtp().patched(&shown).unwrap();
        assert_eq!(kept.credential("smtp_pass"), Some("secret"));
        let other = json!({ "name": "mandrill", "credentials": {} });
        assert_eq!(smtp().patched(&object(other)).unwrap().credential("smtp_pass"), None);
        let new = json!({ "credentials": { "smtp_pass": "new" } });
        let new = smtp().patched(&object(new)).unwrap();
        assert_eq!((new.credential("smtp_pass"), new.credential("smtp_host")), (Some("new"), None));
    }
}
