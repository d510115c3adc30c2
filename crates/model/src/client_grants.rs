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
        grant.version = 1;
        Ok(grant.with_scope())
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
            ..grant.with_scope()
        })
    }

    /// The same with a list of scopes, be it empty, where not all are allowed.
    fn with_scope(mut self) -> Self {
        if self.scope.is_none() && self.allow_all_scopes != Some(true) {
            self.scope = Some(vec![]);
        }
        self
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
    /// Grants that hold in every organization, or those that do not.
    pub allow_any_organization: Option<bool>,
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
    list.equals("allow_any_organization", filter.allow_any_organization);
    Ok(list.read(app, paging).await?.map(parse)?)
}

/// Adds a grant. A second one for the same client, API and subject type is
/// `Unique("client_grants_unique")`; an unknown client or API is `ForeignKey`.
pub fn insert(batch: &mut Batch, tenant: &TenantId, grant: &ClientGrant, now: Timestamp) {
    batch
        .execute(
            "INSERT INTO client_grants \
             (tenant, id, client_id, audience, subject_type, default_for, allow_any_organization, doc, \
             created_at, version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            params![
                tenant,
                &grant.id,
                grant.client_id.as_ref().map(ClientId::as_str),
                &grant.audience,
                &grant.subject_type,
                grant.default_for.as_deref(),
                grant.allow_any_organization.unwrap_or(false),
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
            "UPDATE client_grants SET allow_any_organization = $1, doc = $2, version = $3 \
             WHERE tenant = $4 AND id = $5 AND version = $6",
            params![
                grant.allow_any_organization.unwrap_or(false),
                document::column(grant, &[]),
                grant.version,
                tenant,
                &grant.id,
                read
            ],
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{TestModel, object, page};

    fn grant(body: Json) -> ClientGrant {
        ClientGrant::new(&Random::seeded(1), &object(body)).unwrap()
    }

    #[test]
    fn a_grant_is_for_the_client_itself_unless_it_says_otherwise() {
        let grant = grant(json!({ "client_id": "c1", "audience": "https://api", "id": "mine" }));
        assert_eq!(
            json!(grant),
            json!({
                "id": grant.id, "client_id": "c1", "audience": "https://api", "scope": [], "subject_type": "client"
            })
        );
        assert!(grant.id.starts_with("cgr_") && grant.id.len() == 20);
    }

    #[test]
    fn a_grant_allows_its_scopes_or_all() {
        let some = grant(json!({ "client_id": "c1", "audience": "https://api", "scope": ["a"] }));
        assert!(some.allows("a") && !some.allows("b"));
        let all = some.patched(&object(json!({ "allow_all_scopes": true }))).unwrap();
        assert!(all.allows("b") && all.scope.is_none());
        let none = all.patched(&object(json!({ "allow_all_scopes": false, "scope": [] }))).unwrap();
        assert!(!none.allows("a"));
        let unsaid = all.patched(&object(json!({ "allow_all_scopes": false }))).unwrap();
        assert_eq!(unsaid.scope, Some(vec![]));
    }

    #[test]
    fn a_patch_never_changes_whom_and_what_it_is_for() {
        let before = grant(json!({ "client_id": "c1", "audience": "https://api" }));
        let patch = json!({
            "client_id": "c2", "audience": "https://other", "subject_type": "user", "default_for": "x",
            "organization_usage": "allow"
        });
        let after = before.patched(&object(patch)).unwrap();
        assert_eq!(after, ClientGrant { organization_usage: Some("allow".into()), ..before });
    }

    #[tokio::test]
    async fn a_grant_is_found_for_its_subject_type_only_and_changes_at_once() {
        for model in TestModel::each().await {
            let client = model.add_client(json!({ "name": "a" })).await.client_id;
            model.add_api(json!({ "identifier": "https://api" })).await;
            let found = async |subject_type: &str| {
                find_for(&model, &model.tenant, &client, "https://api", subject_type).await.unwrap()
            };
            assert!(found(FOR_CLIENT).await.is_none());
            let body = json!({ "client_id": client, "audience": "https://api", "scope": ["a"] });
            let mut stored = model.add_grant(body.clone()).await;
            assert_eq!(found(FOR_CLIENT).await.as_deref(), Some(&stored));
            assert!(found(FOR_USER).await.is_none());

            let mut batch = Batch::new();
            insert(&mut batch, &model.tenant, &grant(body), model.clock.now());
            let answer = model.db.commit(batch).await;
            assert!(matches!(answer, Err(db::Error::Unique(index)) if index == "client_grants_unique"));

            stored.scope = Some(vec!["b".into()]);
            let mut batch = Batch::new();
            save(&mut batch, &model.tenant, &mut stored);
            model.db.commit(batch).await.unwrap();
            assert!(found(FOR_CLIENT).await.unwrap().allows("b"));

            let mut batch = Batch::new();
            remove(&mut batch, &model.tenant, &stored);
            model.db.commit(batch).await.unwrap();
            assert!(found(FOR_CLIENT).await.is_none());
        }
    }

    #[tokio::test]
    async fn a_grant_does_not_outlive_its_api() {
        for model in TestModel::each().await {
            let client = model.add_client(json!({ "name": "a" })).await.client_id;
            let api = model.add_api(json!({ "identifier": "https://api" })).await;
            model.add_grant(json!({ "client_id": client, "audience": "https://api", "scope": ["a"] })).await;
            let found = async || {
                find_for(&model, &model.tenant, &client, "https://api", FOR_CLIENT).await.unwrap().is_some()
            };
            assert!(found().await);
            let mut batch = Batch::new();
            resource_servers::remove(&mut batch, &model.tenant, &api);
            model.db.commit(batch).await.unwrap();
            assert!(!found().await);
            model.add_api(json!({ "identifier": "https://api" })).await;
            assert!(!found().await);
            model.add_grant(json!({ "client_id": client, "audience": "https://api", "scope": ["a"] })).await;
            assert!(found().await);
        }
    }

    #[tokio::test]
    async fn a_grant_needs_its_client_and_its_api() {
        for model in TestModel::each().await {
            let client = model.add_client(json!({ "name": "a" })).await.client_id;
            model.add_api(json!({ "identifier": "https://api" })).await;
            for body in [
                json!({ "client_id": "nobody", "audience": "https://api" }),
                json!({ "client_id": client, "audience": "https://nothing" }),
            ] {
                let mut batch = Batch::new();
                insert(&mut batch, &model.tenant, &grant(body), model.clock.now());
                assert!(matches!(model.db.commit(batch).await, Err(db::Error::ForeignKey)));
            }
        }
    }

    #[tokio::test]
    async fn a_list_is_narrowed_and_default_grants_need_no_client() {
        for model in TestModel::each().await {
            let client = model.add_client(json!({ "name": "a" })).await.client_id;
            model.add_api(json!({ "identifier": "https://api" })).await;
            let own = model.add_grant(json!({ "client_id": client, "audience": "https://api" })).await;
            let default = model
            .add_grant(
                json!({ "default_for": "third_party_clients", "audience": "https://api", "scope": ["a"] }),
            )
            .await;
            let ids = async |filter: Filter| {
                let page = list(&model, &model.tenant, &filter, &page(0, 50)).await.unwrap();
                page.items.into_iter().map(|grant| grant.id).collect::<Vec<_>>()
            };
            assert_eq!(
                ids(Filter { audience: Some("https://api".into()), ..Filter::default() }).await.len(),
                2
            );
            assert_eq!(
                ids(Filter { client_id: Some(client.to_string()), ..Filter::default() }).await,
                [own.id]
            );
            let filter = Filter { default_for: Some("third_party_clients".into()), ..Filter::default() };
            assert_eq!(ids(filter).await, [default.id]);
            let filter = |any| Filter { allow_any_organization: Some(any), ..Filter::default() };
            assert_eq!((ids(filter(true)).await.len(), ids(filter(false)).await.len()), (0, 2));
            assert!(ids(Filter { subject_type: Some("user".into()), ..Filter::default() }).await.is_empty());
        }
    }
}
