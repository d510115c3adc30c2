//! What a client may ask of an API.

use std::sync::Arc;

use db::{Batch, Row, params};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use crate::clock::Timestamp;
use crate::ids::{ClientId, TenantId};
use crate::paging::{self, List, Page, Paging};
use crate::random::Random;
use crate::{Model, document, resource_servers};

/// A grant: the body of `GET /api/v2/client-grants/{id}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClientGrant {
    /// `cgr_` and 16 alphanumerics.
    pub id: String,
    /// Who may ask; `None` in a default grant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<ClientId>,
    /// The API's identifier.
    pub audience: String,
    /// What may be asked; `None` where `allow_all_scopes` stands in its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<Vec<String>>,
    /// Whether the grant holds in organizations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization_usage: Option<String>,
    /// Whether the grant holds in every organization.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_any_organization: Option<bool>,
    /// `client` for tokens of the client itself, `user` for tokens of a user.
    pub subject_type: String,
    /// The kind of clients that a default grant is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_for: Option<String>,
    /// Types of authorization details.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization_details_types: Option<Vec<String>>,
    /// Whether every scope of the API may be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_all_scopes: Option<bool>,
    /// Settings that are kept as given.
    #[serde(flatten)]
    pub other: Map<String, Json>,
    /// The row's version.
    #[serde(skip)]
    pub version: i64,
}

/// The subject type of tokens that a client gets for itself.
pub const FOR_CLIENT: &str = "client";
/// The subject type of tokens that a client gets for a user.
pub const FOR_USER: &str = "user";

impl ClientGrant {
    /// A grant with what the service fills in, and then what `body` says.
    pub fn new(random: &Random, body: &Map<String, Json>) -> Result<Self, serde_json::Error> {
        let mut doc = Map::from_iter([
            ("id".to_owned(), Json::from(format!("cgr_{}", random.alphanumeric(16)))),
            ("subject_type".to_owned(), FOR_CLIENT.into()),
        ]);
        let given = body.iter().filter(|(key, value)| *key != "id" && !value.is_null());
        doc.extend(given.map(|(key, value)| (key.clone(), value.clone())));
        let mut grant: Self = serde_json::from_value(Json::Object(doc))?;
        if grant.scope.is_none() && grant.allow_all_scopes != Some(true) {
            grant.scope = Some(vec![]);
        }
        grant.version = 1;
        Ok(grant)
    }

    /// The grant after a PATCH; whom and what it is for never changes.
    pub fn patched(&self, patch: &Map<String, Json>) -> Result<Self, serde_json::Error> {
        let mut patch = patch.clone();
        if patch.get("allow_all_scopes") == Some(&Json::Bool(true)) {
            patch.insert("scope".into(), Json::Null);
        }
        let grant: Self = document::patch(self, &patch)?;
        Ok(Self {
            id: self.id.clone(),
            client_id: self.client_id.clone(),
            audience: self.audience.clone(),
            subject_type: self.subject_type.clone(),
            default_for: self.default_for.clone(),
            version: self.version,
            ..grant
        })
    }

    /// Whether the scope may be asked, given that the API has it.
    pub fn allows(&self, scope: &str) -> bool {
        self.allow_all_scopes == Some(true)
            || self.scope.as_ref().is_some_and(|listed| listed.iter().any(|one| one == scope))
    }
}

/// What a list is narrowed to.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Grants for this API.
    pub audience: Option<String>,
    /// Grants of this client.
    pub client_id: Option<String>,
    /// Grants for this subject type.
    pub subject_type: Option<String>,
    /// Default grants for this kind of clients.
    pub default_for: Option<String>,
}

const COLUMNS: &str = "doc, version";

fn parse(mut row: Row) -> Result<ClientGrant, db::Error> {
    let doc = row.take()?;
    Ok(ClientGrant { version: row.take()?, ..document::parse(doc)? })
}

/// The client's grant for an API and a subject type ([`FOR_CLIENT`], [`FOR_USER`]). Cached.
pub async fn find_for(
    app: &Model,
    tenant: &TenantId,
    client_id: &ClientId,
    audience: &str,
    subject_type: &str,
) -> Result<Option<Arc<ClientGrant>>, db::Error> {
    let Some(api) = resource_servers::find_by_identifier(app, tenant, audience).await? else {
        return Ok(None);
    };
    let sql = "SELECT doc, version FROM client_grants \
               WHERE tenant = $1 AND client_id = $2 AND audience = $3 AND subject_type = $4";
    let read = async || {
        let row = app.db.read_one(sql, params![tenant, client_id, audience, subject_type]).await?;
        row.map(parse).transpose()
    };
    let key = cache_key(subject_type, client_id, audience);
    let load = async { Ok(read().await?.map(|grant| Found { api: api.id.clone(), grant: Arc::new(grant) })) };
    match app.db.cached("client_grants", tenant.as_str(), &key, load).await? {
        // Grants go with their API: what was found for an older one of the same identifier holds no more.
        Some(found) if found.api != api.id => Ok(read().await?.map(Arc::new)),
        found => Ok(found.map(|found| found.grant.clone())),
    }
}

/// A cached grant, and the id of the API that it was found for.
struct Found {
    api: String,
    grant: Arc<ClientGrant>,
}

fn cache_key(subject_type: &str, client_id: &ClientId, audience: &str) -> String {
    format!("{subject_type} {client_id} {audience}")
}

/// The grant as it stands in the database.
pub async fn load(app: &Model, tenant: &TenantId, id: &str) -> Result<Option<ClientGrant>, db::Error> {
    let sql = "SELECT doc, version FROM client_grants WHERE tenant = $1 AND id = $2";
    app.db.read_one(sql, params![tenant, id]).await?.map(parse).transpose()
}

/// A page of grants, oldest first.
pub async fn list(
    app: &Model,
    tenant: &TenantId,
    filter: &Filter,
    paging: &Paging,
) -> Result<Page<ClientGrant>, paging::Error> {
    let mut list = List::new(tenant, "client_grants", ["created_at", "id"], COLUMNS);
    list.equals("audience", filter.audience.as_ref());
    list.equals("client_id", filter.client_id.as_ref());
    list.equals("subject_type", filter.subject_type.as_ref());
    list.equals("default_for", filter.default_for.as_ref());
    Ok(list.read(app, paging).await?.map(parse)?)
}

/// Adds a grant. A second one for the same client, API and subject type is
/// `Unique("client_grants_unique")`; an unknown client or API is `ForeignKey`.
pub fn insert(batch: &mut Batch, tenant: &TenantId, grant: &ClientGrant, now: Timestamp) {
    batch
        .execute(
            "INSERT INTO client_grants \
             (tenant, id, client_id, audience, subject_type, default_for, doc, created_at, version) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            params![
                tenant,
                &grant.id,
                grant.client_id.as_ref().map(ClientId::as_str),
                &grant.audience,
                &grant.subject_type,
                grant.default_for.as_deref(),
                document::column(grant, &[]),
                now,
                grant.version
            ],
        )
        .expect(1);
    changed(batch, tenant, grant);
}

/// Writes a changed grant, if nobody else has since it was read.
pub fn save(batch: &mut Batch, tenant: &TenantId, grant: &mut ClientGrant) {
    let read = grant.version;
    grant.version += 1;
    batch
        .execute(
            "UPDATE client_grants SET doc = $1, version = $2 WHERE tenant = $3 AND id = $4 AND version = $5",
            params![document::column(grant, &[]), grant.version, tenant, &grant.id, read],
        )
        .expect(1);
    changed(batch, tenant, grant);
}

/// Removes a grant, if nobody has changed it since it was read.
pub fn remove(batch: &mut Batch, tenant: &TenantId, grant: &ClientGrant) {
    batch
        .execute(
            "DELETE FROM client_grants WHERE tenant = $1 AND id = $2 AND version = $3",
            params![tenant, &grant.id, grant.version],
        )
        .expect(1);
    changed(batch, tenant, grant);
}

fn changed(batch: &mut Batch, tenant: &TenantId, grant: &ClientGrant) {
    if let Some(client_id) = &grant.client_id {
        let key = cache_key(&grant.subject_type, client_id, &grant.audience);
        batch.changed("client_grants", tenant.as_str(), &key);
    }
}
