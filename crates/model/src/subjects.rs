//! What a client knows a user by: the user's id, or for pairwise clients a name that no other sector knows (OpenID Connect Core §8).

use std::sync::Arc;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use db::{Batch, params};
use url::Url;

use crate::clients::Client;
use crate::ids::{TenantId, UserId};
use crate::seal::context;
use crate::{Model, document};

/// The kind of the salts in the cache.
const CACHED: &str = "subject_salts";

impl Client {
    /// The sector whose clients know a user by the same name, where it is pairwise (§8.1): as it was found when the client registered, else
    /// the host of its callback.
    pub fn sector(&self) -> Option<String> {
        if self.protocol.subject_type.as_deref() != Some("pairwise") {
            return None;
        }
        let host = |uri: &String| Some(Url::parse(uri).ok()?.host_str()?.to_owned());
        let named = self.protocol.sector_identifier.clone();
        // A client without an address is a sector of its own.
        Some(
            named
                .or_else(|| self.callbacks.iter().flatten().find_map(host))
                .unwrap_or_else(|| self.client_id.to_string()),
        )
    }
}

/// The `sub` by which `client` knows the user. It says nothing of the user to anybody else, and is the same each time.
///
/// # Errors
/// When the database fails.
pub async fn of(app: &Model, tenant: &TenantId, client: &Client, user: &UserId) -> Result<String, db::Error> {
    let Some(sector) = client.sector() else { return Ok(user.to_string()) };
    let salt = salt(app, tenant).await?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, salt.as_bytes());
    // A host holds no line feed.
    let tag = hmac::sign(&key, format!("{sector}\n{user}").as_bytes());
    Ok(URL_SAFE_NO_PAD.encode(tag))
}

/// The tenant's salt, which is made when it is first needed, and never changed: each subject would be another.
async fn salt(app: &Model, tenant: &TenantId) -> Result<Arc<String>, db::Error> {
    let load = async {
        if let Some(salt) = load(app, tenant).await? {
            return Ok(Some(salt));
        }
        let mut batch = Batch::new();
        batch.execute(
            "INSERT INTO subject_salts (tenant, salt) VALUES ($1, $2) ON CONFLICT (tenant) DO NOTHING",
            params![tenant, app.seal.seal(&place(tenant), app.random.token().as_bytes())],
        );
        app.db.commit(batch).await?;
        load(app, tenant).await
    };
    let salt = app.db.cached(CACHED, tenant.as_str(), "", load).await?;
    salt.ok_or_else(|| db::Error::Failed("the salt was just made".into()))
}

async fn load(app: &Model, tenant: &TenantId) -> Result<Option<String>, db::Error> {
    let sql = "SELECT salt FROM subject_salts WHERE tenant = $1";
    let Some(mut row) = app.db.read_one(sql, params![tenant]).await? else { return Ok(None) };
    let sealed: Vec<u8> = row.take()?;
    document::unseal(app, &place(tenant), &sealed).map(Some)
}

fn place(tenant: &TenantId) -> String {
    context("subject_salts", &[tenant.as_str()], "salt")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::TestModel;

    fn client(callback: &str, sector: Option<&str>) -> Client {
        let body = json!({ "name": "c", "callbacks": [callback] });
        let mut client = Client::new("c".into(), body.as_object().unwrap()).unwrap();
        client.protocol.subject_type = Some("pairwise".to_owned());
        client.protocol.sector_identifier = sector.map(str::to_owned);
        client
    }

    #[tokio::test]
    async fn a_sector_knows_a_user_by_one_name_that_no_other_knows() {
        for app in TestModel::each().await {
            let of = async |client: &Client, user: &str| {
                super::of(&app, &app.tenant, client, &user.into()).await.unwrap()
            };
            let (a, b) = (client("https://a.test/cb", None), client("https://b.test/cb", None));
            let both =
                [client("https://a.test/cb", Some("s.test")), client("https://b.test/cb", Some("s.test"))];
            let sub = of(&a, "auth0|annabelle").await;
            assert!(sub.len() == 43 && !sub.contains("annabelle"), "{sub}");
            assert_eq!(sub, of(&client("https://a.test/other", None), "auth0|annabelle").await);
            assert_ne!(sub, of(&b, "auth0|annabelle").await);
            assert_ne!(sub, of(&a, "auth0|bob").await);
            assert_eq!(of(&both[0], "auth0|annabelle").await, of(&both[1], "auth0|annabelle").await);
            let mut public = a;
            public.protocol = crate::protocol::ClientProtocol::default();
            assert_eq!(of(&public, "auth0|annabelle").await, "auth0|annabelle");
        }
    }
}
