//! What a reader sees of a client: a summary, all but secrets and keys, or all (management contract §4.1).

use std::collections::HashMap;

use model::clients::{self, Client};
use model::jose::Algorithm;
use model::keys::State;
use model::{ClientId, Model};
use serde_json::{Map, Value, json};

use crate::access::Grant;
use crate::errors::Error;
use crate::operations::Power;

/// All that a reader of summaries sees.
const SUMMARY: [&str; 4] = ["client_id", "name", "app_type", "description"];

/// How much of a client a reader sees.
pub enum View {
    /// The published summary.
    Summary,
    /// All but secrets and keys.
    Public { tenant: String },
    /// All.
    Whole { tenant: String, secrets: HashMap<ClientId, String>, signing_keys: Value },
}

impl View {
    /// What this reader sees of these clients.
    pub async fn of(app: &Model, grant: &Grant, shown: &[Client]) -> Result<Self, Error> {
        let tenant = grant.tenant.name.clone();
        if grant.powers.has(Power::SummaryOnly) {
            return Ok(Self::Summary);
        }
        if !grant.powers.has(Power::Secrets) {
            return Ok(Self::Public { tenant });
        }
        let ids: Vec<_> = shown.iter().map(|client| client.client_id.clone()).collect();
        let secrets = clients::secrets(app, &grant.tenant.id, &ids).await?;
        let mut signing_keys = signing_keys(app, grant).await?;
        for key in signing_keys.as_array_mut().into_iter().flatten() {
            // The real service names the subject in answers to writes alone.
            key["subject"] = "deprecated".into();
        }
        Ok(Self::Whole { tenant, secrets, signing_keys })
    }

    /// The client, as far as the reader sees it.
    pub fn show(&self, client: &Client) -> Map<String, Value> {
        match self {
            Self::Summary => {
                let mut shown = client.to_wire("", None, None);
                shown.retain(|key, _| SUMMARY.contains(&key.as_str()));
                shown
            }
            Self::Public { tenant } => {
                let mut shown = client.to_wire(tenant, None, None);
                shown.shift_remove("encryption_key");
                shown
            }
            Self::Whole { tenant, secrets, signing_keys } => {
                let secret = secrets.get(&client.client_id).map(String::as_str);
                client.to_wire(tenant, secret, Some(signing_keys.clone()))
            }
        }
    }
}

/// The answer to a write.
pub fn written(
    client: &Client,
    grant: &Grant,
    secret: Option<&str>,
    keys: Option<Value>,
) -> Map<String, Value> {
    client.to_wire(&grant.tenant.name, secret, keys)
}

/// The certificates of the tenant's current key, as every client shows them.
pub async fn signing_keys(app: &Model, grant: &Grant) -> Result<Value, Error> {
    let keys = app.keys.list(app, &grant.tenant.id).await?;
    let current = keys.iter().find(|key| key.state == State::Current && key.alg == Algorithm::RS256);
    let Some(key) = current else { return Ok(json!([])) };
    let certificate = key.certificate()?;
    Ok(
        json!([{ "cert": certificate.pem(), "pkcs7": certificate.pkcs7(), "subject": format!("/CN={}", key.host) }]),
    )
}
