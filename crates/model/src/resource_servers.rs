//! APIs.

use std::fmt;
use std::sync::Arc;

use db::{Batch, Row, params};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};

use crate::clients::Client;
use crate::clock::Timestamp;
use crate::ids::TenantId;
use crate::paging::{self, List, Page, Paging};
use crate::random::Random;
use crate::{Model, document, seal};

/// The scopes of the Management API that a user's token may hold. They are not in the API's own list.
pub const CURRENT_USER_SCOPES: [&str; 7] = [
    "read:current_user",
    "update:current_user_metadata",
    "create:current_user_metadata",
    "delete:current_user_metadata",
    "update:current_user_identities",
    "create:current_user_device_credentials",
    "delete:current_user_device_credentials",
];

/// The scopes of the My Account API with what they allow (authentication contract §12).
pub const MY_ACCOUNT_SCOPES: [(&str, &str); 8] = [
    ("create:me:authentication_methods", "Create authentication methods"),
    ("read:me:authentication_methods", "Read authentication methods"),
    ("update:me:authentication_methods", "Update authentication methods"),
    ("delete:me:authentication_methods", "Delete authentication methods"),
    ("read:me:factors", "Read factors"),
    ("create:me:connected_accounts", "Create connected accounts"),
    ("read:me:connected_accounts", "Read connected accounts"),
    ("delete:me:connected_accounts", "Delete connected accounts"),
];

/// The scopes of the API over a person's second factors, `/mfa/…` (authentication contract §3.6).
pub const MFA_SCOPES: [&str; 3] = ["enroll", "read:authenticators", "remove:authenticators"];

/// Seconds that its access tokens last (authentication contract §2.2).
const MFA_TOKEN_LIFETIME: i64 = 600;

/// The scopes of what the Management API has beside Auth0's. They are not in the API's own list either, so that tools find there what
/// they know.
pub const DOORWARD_SCOPES: &[&str] = &[
    "read:doorward_protocol",
    "update:doorward_protocol",
    "read:doorward_self_service",
    "update:doorward_self_service",
    "read:doorward_administrators",
    "update:doorward_administrators",
];

/// An API: the body of `GET /api/v2/resource-servers/{id}`.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct ResourceServer {
    /// 24 hexadecimal digits.
    pub id: String,
    /// What people call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What `audience` and `aud` say; never changes.
    pub identifier: String,
    /// Whether refresh tokens are given for it.
    pub allow_offline_access: bool,
    /// Whether first-party clients get along without consent.
    pub skip_consent_for_verifiable_first_party_clients: bool,
    /// Who needs a client grant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject_type_authorization: Option<SubjectTypeAuthorization>,
    /// Seconds that an access token lasts.
    pub token_lifetime: i64,
    /// Seconds that an access token from `/authorize` lasts.
    pub token_lifetime_for_web: i64,
    /// `RS256`, `HS256`, `PS256` or `RS512`.
    pub signing_alg: String,
    /// The secret of HS256.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing_secret: Option<String>,
    /// The scopes; absent until set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<Scope>>,
    /// Whether it is one of the tenant's own APIs.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_system: bool,
    /// Whether a user's scopes are those of their permissions (RBAC).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enforce_policies: Option<bool>,
    /// The claims of its access tokens: `access_token`, `access_token_authz`, `rfc9068_profile` or `rfc9068_profile_authz`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_dialect: Option<String>,
    /// Settings that are kept as given.
    #[serde(flatten)]
    pub other: Map<String, Json>,
    /// The row's version.
    #[serde(skip)]
    pub version: i64,
}

/// One scope of an API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// As in `scope`.
    pub value: String,
    /// What consent says it allows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// What a subject needs for a token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SubjectTypeAuthorization {
    /// Tokens for a user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<SubjectPolicy>,
    /// Tokens that a client gets for itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<SubjectPolicy>,
}

/// The policy for one kind of subject.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SubjectPolicy {
    /// Which.
    pub policy: Policy,
}

/// Who gets tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// Every first-party client.
    AllowAll,
    /// Nobody.
    DenyAll,
    /// Clients with a client grant for this subject type, and its scopes only.
    RequireClientGrant,
}

impl fmt::Debug for ResourceServer {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResourceServer")
            .field("id", &self.id)
            .field("identifier", &self.identifier)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

impl ResourceServer {
    /// An API with what the service fills in, and then what `body` says.
    pub fn new(random: &Random, body: &Map<String, Json>) -> Result<Self, serde_json::Error> {
        let mut doc = json!({
            "id": random.hex(24),
            "allow_offline_access": false,
            "skip_consent_for_verifiable_first_party_clients": false,
            "subject_type_authorization":
                { "user": { "policy": "allow_all" }, "client": { "policy": "require_client_grant" } },
            "token_lifetime": 86_400,
            "token_lifetime_for_web": 7_200,
            "signing_alg": "RS256",
        });
        for (key, value) in body {
            if key != "id" && key != "is_system" && !value.is_null() {
                doc[key] = value.clone();
            }
        }
        let mut api: Self = serde_json::from_value(doc)?;
        api.version = 1;
        api.complete(random);
        Ok(api)
    }

    /// The API over a person's second factors. It is every tenant's, cannot be changed, and so is in no list.
    pub fn second_factors(identifier: String) -> Self {
        Self {
            id: String::new(),
            name: None,
            identifier,
            allow_offline_access: false,
            skip_consent_for_verifiable_first_party_clients: true,
            subject_type_authorization: None,
            token_lifetime: MFA_TOKEN_LIFETIME,
            token_lifetime_for_web: MFA_TOKEN_LIFETIME,
            signing_alg: "RS256".into(),
            signing_secret: None,
            scopes: Some(MFA_SCOPES.map(|value| Scope { value: value.into(), description: None }).into()),
            is_system: true,
            enforce_policies: None,
            token_dialect: None,
            other: Map::new(),
            version: 1,
        }
    }

    /// The API after a PATCH; its identifier never changes.
    pub fn patched(&self, random: &Random, patch: &Map<String, Json>) -> Result<Self, serde_json::Error> {
        let mut api: Self = document::patch(self, patch)?;
        api.id.clone_from(&self.id);
        api.identifier.clone_from(&self.identifier);
        api.is_system = self.is_system;
        api.version = self.version;
        api.complete(random);
        Ok(api)
    }

    /// What one setting brings with it: HS256 a secret, either RBAC setting the other, and a browser's tokens last no
    /// longer than others.
    fn complete(&mut self, random: &Random) {
        if self.signing_alg == "HS256" {
            self.signing_secret.get_or_insert_with(|| random.alphanumeric(32));
        }
        if self.enforce_policies.is_some() || self.token_dialect.is_some() {
            self.enforce_policies.get_or_insert(false);
            self.token_dialect.get_or_insert_with(|| "access_token".into());
        }
        self.token_lifetime_for_web = self.token_lifetime_for_web.min(self.token_lifetime);
    }

    /// Whether what it is cannot be changed, nor can it be removed: so are the tenant's own APIs.
    pub fn is_fixed(&self) -> bool {
        self.is_system
    }

    /// Whether it lists the scope, or has it without listing it.
    pub fn has_scope(&self, scope: &str) -> bool {
        let listed = self.scopes.iter().flatten().any(|one| one.value == scope);
        listed || self.is_system && DOORWARD_SCOPES.contains(&scope)
    }

    /// What a user's token needs; everyone may have one when nothing is said.
    pub fn user_policy(&self) -> Policy {
        let said = self.subject_type_authorization.as_ref().and_then(|said| said.user.as_ref());
        said.map_or(Policy::AllowAll, |said| said.policy)
    }

    /// Whether `client` gets a token for it only with a proof of possession (RFC 9449, RFC 8705): `proof_of_possession` is for all clients, or
    /// for public ones.
    pub fn wants_proof_from(&self, client: &Client) -> bool {
        let Some(settings) = self.other.get("proof_of_possession") else { return false };
        let required = settings.get("required").and_then(Json::as_bool) == Some(true);
        let all = settings.get("required_for").and_then(Json::as_str) != Some("public_clients");
        required && (all || client.is_public())
    }

    /// Whether its tokens are bound to the certificate that the client showed (RFC 8705), and not to a key that it proved (RFC 9449).
    pub fn binds_to_certificate(&self) -> bool {
        let mechanism = self.other.get("proof_of_possession").and_then(|settings| settings.get("mechanism"));
        mechanism.is_some_and(|mechanism| mechanism == "mtls")
    }

    /// What a client's own token needs; a grant when nothing is said.
    pub fn client_policy(&self) -> Policy {
        let said = self.subject_type_authorization.as_ref().and_then(|said| said.client.as_ref());
        said.map_or(Policy::RequireClientGrant, |said| said.policy)
    }
}

/// What a list is narrowed to.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The APIs of these identifiers; all when empty.
    pub identifiers: Vec<String>,
}

/// What is in columns of its own.
const ELSEWHERE: [&str; 1] = ["signing_secret"];
const COLUMNS: &str = "signing_secret, doc, version";

fn parse(app: &Model, tenant: &TenantId, mut row: Row) -> Result<ResourceServer, db::Error> {
    let sealed: Option<Vec<u8>> = row.take()?;
    let doc = row.take()?;
    let mut api = ResourceServer { version: row.take()?, ..document::parse(doc)? };
    if let Some(sealed) = sealed {
        api.signing_secret = Some(document::unseal(app, &seal_context(tenant, &api.id), &sealed)?);
    }
    Ok(api)
}

fn seal_context(tenant: &TenantId, id: &str) -> String {
    seal::context("resource_servers", &[tenant.as_str(), id], "signing_secret")
}

/// The API of an id. Cached.
pub async fn find(
    app: &Model,
    tenant: &TenantId,
    id: &str,
) -> Result<Option<Arc<ResourceServer>>, db::Error> {
    app.db.cached("resource_servers", tenant.as_str(), id, load_by_id(app, tenant, id)).await
}

/// The API of an identifier, an `audience`. Cached.
pub async fn find_by_identifier(
    app: &Model,
    tenant: &TenantId,
    identifier: &str,
) -> Result<Option<Arc<ResourceServer>>, db::Error> {
    let id = app
        .db
        .cached("resource_server_identifiers", tenant.as_str(), identifier, async {
            let sql = "SELECT id FROM resource_servers WHERE tenant = $1 AND identifier = $2";
            let row = app.db.read_one(sql, params![tenant, identifier]).await?;
            row.map(|mut row| row.take::<String>()).transpose()
        })
        .await?;
    match id {
        Some(id) => find(app, tenant, &id).await,
        None => Ok(None),
    }
}

async fn load_by_id(app: &Model, tenant: &TenantId, id: &str) -> Result<Option<ResourceServer>, db::Error> {
    let sql = "SELECT signing_secret, doc, version FROM resource_servers WHERE tenant = $1 AND id = $2";
    let row = app.db.read_one(sql, params![tenant, id]).await?;
    row.map(|row| parse(app, tenant, row)).transpose()
}

/// The API of an id or an identifier, as it stands in the database: what a change begins with.
pub async fn load(
    app: &Model,
    tenant: &TenantId,
    id_or_identifier: &str,
) -> Result<Option<ResourceServer>, db::Error> {
    if let Some(api) = load_by_id(app, tenant, id_or_identifier).await? {
        return Ok(Some(api));
    }
    let sql =
        "SELECT signing_secret, doc, version FROM resource_servers WHERE tenant = $1 AND identifier = $2";
    let row = app.db.read_one(sql, params![tenant, id_or_identifier]).await?;
    row.map(|row| parse(app, tenant, row)).transpose()
}

/// A page of APIs, oldest first.
pub async fn list(
    app: &Model,
    tenant: &TenantId,
    filter: &Filter,
    paging: &Paging,
) -> Result<Page<ResourceServer>, paging::Error> {
    let mut list = List::new(tenant, "resource_servers", ["created_at", "id"], COLUMNS);
    list.one_of("identifier", &filter.identifiers);
    Ok(list.read(app, paging).await?.map(|row| parse(app, tenant, row))?)
}

/// Adds an API. A second one of the same identifier is `Unique("resource_servers_identifier")`.
pub fn insert(app: &Model, batch: &mut Batch, tenant: &TenantId, api: &ResourceServer, now: Timestamp) {
    batch
        .execute(
            "INSERT INTO resource_servers \
             (tenant, id, identifier, is_system, signing_secret, doc, created_at, version) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            params![
                tenant,
                &api.id,
                &api.identifier,
                api.is_system,
                sealed_secret(app, tenant, api),
                document::column(api, &ELSEWHERE),
                now,
                api.version
            ],
        )
        .expect(1);
    batch.changed("resource_server_identifiers", tenant.as_str(), &api.identifier);
    batch.changed("resource_servers", tenant.as_str(), &api.id);
}

/// Writes a changed API, if nobody else has since it was read.
pub fn save(app: &Model, batch: &mut Batch, tenant: &TenantId, api: &mut ResourceServer) {
    let read = api.version;
    api.version += 1;
    batch
        .execute(
            "UPDATE resource_servers SET signing_secret = $1, doc = $2, version = $3 \
             WHERE tenant = $4 AND id = $5 AND version = $6",
            params![
                sealed_secret(app, tenant, api),
                document::column(api, &ELSEWHERE),
                api.version,
                tenant,
                &api.id,
                read
            ],
        )
        .expect(1);
    batch.changed("resource_servers", tenant.as_str(), &api.id);
}

/// Removes an API with its client grants, if nobody has changed it since it was read.
pub fn remove(batch: &mut Batch, tenant: &TenantId, api: &ResourceServer) {
    batch
        .execute(
            "DELETE FROM resource_servers WHERE tenant = $1 AND id = $2 AND version = $3",
            params![tenant, &api.id, api.version],
        )
        .expect(1);
    batch.changed("resource_server_identifiers", tenant.as_str(), &api.identifier);
    batch.changed("resource_servers", tenant.as_str(), &api.id);
}

fn sealed_secret(app: &Model, tenant: &TenantId, api: &ResourceServer) -> Option<Vec<u8>> {
    let secret = api.signing_secret.as_ref()?;
    Some(app.seal.seal(&seal_context(tenant, &api.id), secret.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TestModel, object, page};

    fn api(body: Json) -> ResourceServer {
        ResourceServer::new(&Random::seeded(1), &object(body)).unwrap()
    }

    #[test]
    fn an_api_of_an_identifier_only_is_filled_in() {
        let api = api(json!({ "identifier": "https://api", "id": "mine", "is_system": true }));
        assert_eq!(
            json!(api),
            json!({
                "id": api.id,
                "identifier": "https://api",
                "allow_offline_access": false,
                "skip_consent_for_verifiable_first_party_clients": false,
                "subject_type_authorization":
                    { "user": { "policy": "allow_all" }, "client": { "policy": "require_client_grant" } },
                "token_lifetime": 86_400,
                "token_lifetime_for_web": 7_200,
                "signing_alg": "RS256"
            })
        );
        assert!(api.id.len() == 24 && !api.is_fixed());
    }

    #[test]
    fn one_setting_brings_another_with_it() {
        let hs256 = api(json!({ "identifier": "https://api", "signing_alg": "HS256" }));
        assert_eq!(hs256.signing_secret.as_ref().map(String::len), Some(32));
        let rbac = api(json!({ "identifier": "https://api", "enforce_policies": true }));
        assert_eq!(rbac.token_dialect.as_deref(), Some("access_token"));
        let dialect = api(json!({ "identifier": "https://api", "token_dialect": "rfc9068_profile" }));
        assert_eq!(dialect.enforce_policies, Some(false));
        let short = api(json!({ "identifier": "https://api", "token_lifetime": 600 }));
        assert_eq!(short.token_lifetime_for_web, 600);
    }

    #[test]
    fn a_patch_replaces_scopes_and_keeps_the_identifier() {
        let before =
            api(json!({ "identifier": "https://api", "scopes": [{ "value": "a" }, { "value": "b" }] }));
        let patch =
            json!({ "scopes": [{ "value": "c", "description": "C" }], "identifier": "https://other" });
        let after = before.patched(&Random::seeded(2), &object(patch)).unwrap();
        assert!(after.has_scope("c") && !after.has_scope("a"));
        assert_eq!((after.identifier.as_str(), after.id == before.id), ("https://api", true));
    }

    #[test]
    fn policies_default_to_what_new_tenants_have() {
        let plain = api(json!({ "identifier": "https://api", "subject_type_authorization": {} }));
        assert_eq!(
            (plain.user_policy(), plain.client_policy()),
            (Policy::AllowAll, Policy::RequireClientGrant)
        );
        let shut = api(json!({
            "identifier": "https://api",
            "subject_type_authorization": { "user": { "policy": "deny_all" }, "client": { "policy": "allow_all" } }
        }));
        assert_eq!((shut.user_policy(), shut.client_policy()), (Policy::DenyAll, Policy::AllowAll));
    }

    #[tokio::test]
    async fn an_api_is_found_by_id_and_identifier_with_its_secret() {
        for model in TestModel::each().await {
            let stored = model.add_api(json!({ "identifier": "https://api", "signing_alg": "HS256" })).await;
            for found in [
                find_by_identifier(&model, &model.tenant, "https://api").await.unwrap().as_deref(),
                find(&model, &model.tenant, &stored.id).await.unwrap().as_deref(),
                load(&model, &model.tenant, &stored.id).await.unwrap().as_ref(),
                load(&model, &model.tenant, "https://api").await.unwrap().as_ref(),
            ] {
                assert_eq!(json!(found), json!(stored));
            }
            let sql = "SELECT doc FROM resource_servers WHERE tenant = $1 AND id = $2";
            let mut row = model.db.read_one(sql, params![&model.tenant, &stored.id]).await.unwrap().unwrap();
            assert!(!row.take::<Json>().unwrap().to_string().contains(&stored.signing_secret.unwrap()));
        }
    }

    #[tokio::test]
    async fn identifiers_are_unique_and_narrow_the_list() {
        for model in TestModel::each().await {
            model.add_api(json!({ "identifier": "https://one" })).await;
            model.add_api(json!({ "identifier": "https://two" })).await;
            let mut batch = Batch::new();
            let again = api(json!({ "identifier": "https://one" }));
            insert(&model, &mut batch, &model.tenant, &again, model.clock.now());
            let answer = model.db.commit(batch).await;
            assert!(
                matches!(answer, Err(db::Error::Unique(index)) if index == "resource_servers_identifier")
            );
            let filter = Filter { identifiers: vec!["https://two".into(), "https://three".into()] };
            let page = list(&model, &model.tenant, &filter, &page(0, 50)).await.unwrap();
            assert_eq!(
                (page.items.len(), page.total, &*page.items[0].identifier),
                (1, Some(1), "https://two")
            );
        }
    }

    #[tokio::test]
    async fn a_removed_api_is_gone_at_once() {
        for model in TestModel::each().await {
            let mut stored = model.add_api(json!({ "identifier": "https://api" })).await;
            assert!(find_by_identifier(&model, &model.tenant, "https://api").await.unwrap().is_some());
            let mut late = stored.clone();
            stored.name = Some("Renamed".into());
            let mut batch = Batch::new();
            save(&model, &mut batch, &model.tenant, &mut stored);
            model.db.commit(batch).await.unwrap();
            let mut batch = Batch::new();
            save(&model, &mut batch, &model.tenant, &mut late);
            assert!(matches!(model.db.commit(batch).await, Err(db::Error::Conflict { .. })));
            let mut batch = Batch::new();
            remove(&mut batch, &model.tenant, &stored);
            model.db.commit(batch).await.unwrap();
            assert!(find_by_identifier(&model, &model.tenant, "https://api").await.unwrap().is_none());
            assert!(find(&model, &model.tenant, &stored.id).await.unwrap().is_none());
        }
    }
}
