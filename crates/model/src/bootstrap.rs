//! What a tenant holds from its first moment (management contract §5).

use db::Batch;
use serde_json::{Map, Value as Json, json};

use crate::client_grants::{self, ClientGrant, FOR_CLIENT};
use crate::clients::{self, Client};
use crate::ids::{ClientId, TenantId};
use crate::jose::Algorithm;
use crate::random::Random;
use crate::resource_servers::{self, ResourceServer};
use crate::tenants::{self, Settings, Tenant};
use crate::{Model, connections};

/// The scopes of the Management API with what they allow, one a line, in the real service's order. Those of the current user are not among them, as on the real service.
const MANAGEMENT_SCOPES: &str = include_str!("../data/management_scopes.txt");

/// A tenant to be.
#[derive(Clone, Debug)]
pub struct NewTenant {
    /// The key of its rows.
    pub id: TenantId,
    /// The host name, with a port if it has one, that leads to it.
    pub host: String,
    /// Its name.
    pub name: String,
}

impl NewTenant {
    fn tenant(&self) -> Tenant {
        let host = self.host.to_ascii_lowercase();
        let issuer = format!("https://{host}/");
        Tenant {
            id: self.id.clone(),
            name: self.name.clone(),
            host,
            canonical_issuer: issuer.clone(),
            issuer,
        }
    }
}

/// The scopes of a machine client on the Management API.
#[derive(Clone, Debug)]
pub enum Scopes {
    /// Every scope.
    All,
    /// These.
    These(Vec<String>),
}

/// Makes a tenant: settings, the Management and the My Account API, the client that stands for all applications, a connection for users with
/// passwords, and two signing keys. There are no credentials in it: see [`create_machine_client`].
pub async fn create_tenant(app: &Model, new: NewTenant) -> Result<Tenant, db::Error> {
    let now = app.clock.now();
    let tenant = new.tenant();
    let keys = app.keys.prepare(app, &tenant.id, &tenant.host, Algorithm::RS256).await?;
    let mut batch = Batch::new();
    tenants::insert(&mut batch, &tenant, now);
    tenants::insert_settings(&mut batch, &tenant.id, &Settings::new(&new.name), now);
    let mut all_applications = Client::all_applications(clients::new_id(&app.random));
    let secret = clients::new_secret(&app.random);
    clients::insert(app, &mut batch, &tenant.id, &mut all_applications, &secret, now);
    let connection = connections::username_password(&app.random, &[]);
    connections::insert(app, &mut batch, &tenant.id, &connection, now);
    resource_servers::insert(app, &mut batch, &tenant.id, &management_api(&app.random, &tenant), now);
    resource_servers::insert(app, &mut batch, &tenant.id, &my_account_api(&app.random, &tenant), now);
    keys.insert(&mut batch, now);
    app.db.commit(batch).await?;
    Ok(tenant)
}

/// Gives the tenants that an earlier version made what [`create_tenant`] has made since: the My Account API.
pub async fn complete_tenants(app: &Model) -> Result<(), db::Error> {
    for tenant in tenants::all(app).await? {
        let audience = tenant.my_account_audience();
        if resource_servers::find_by_identifier(app, &tenant.id, &audience).await?.is_some() {
            continue;
        }
        let (mut batch, api) = (Batch::new(), my_account_api(&app.random, &tenant));
        resource_servers::insert(app, &mut batch, &tenant.id, &api, app.clock.now());
        match app.db.commit(batch).await {
            // Another node was faster.
            Ok(_) | Err(db::Error::Unique(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Adds a machine client with a grant on the Management API; returns its id and its secret, which is shown here only.
pub async fn create_machine_client(
    app: &Model,
    tenant: &Tenant,
    name: &str,
    scopes: Scopes,
) -> Result<(ClientId, String), db::Error> {
    let now = app.clock.now();
    let (mut client, grant) = machine_client(&app.random, tenant, name, scopes);
    let secret = clients::new_secret(&app.random);
    let mut batch = Batch::new();
    clients::insert(app, &mut batch, &tenant.id, &mut client, &secret, now);
    client_grants::insert(&mut batch, &tenant.id, &grant, now);
    app.db.commit(batch).await?;
    Ok((client.client_id, secret))
}

fn machine_client(random: &Random, tenant: &Tenant, name: &str, scopes: Scopes) -> (Client, ClientGrant) {
    let body = object(json!({
        "name": name,
        "app_type": "non_interactive",
        "oidc_conformant": true,
        "token_endpoint_auth_method": "client_secret_post",
        "grant_types": ["client_credentials"],
        "jwt_configuration": { "alg": "RS256", "lifetime_in_seconds": 36_000 },
    }));
    let client = Client::new(clients::new_id(random), &body).expect("all its fields fit");
    let scope: Vec<String> = match scopes {
        Scopes::All => all_scopes().map(str::to_owned).collect(),
        Scopes::These(scopes) => scopes,
    };
    let body = object(json!({
        "client_id": client.client_id,
        "audience": tenant.management_audience(),
        "scope": scope,
        "subject_type": FOR_CLIENT,
    }));
    let grant = ClientGrant::new(random, &body).expect("all its fields fit");
    (client, grant)
}

/// The API with which a tenant is configured.
fn management_api(random: &Random, tenant: &Tenant) -> ResourceServer {
    let scopes: Vec<Json> =
        described_scopes().map(|(scope, text)| json!({ "value": scope, "description": text })).collect();
    let body = object(json!({
        "name": "Auth0 Management API",
        "identifier": tenant.management_audience(),
        "scopes": scopes,
    }));
    let api = ResourceServer::new(random, &body).expect("all its fields fit");
    ResourceServer { is_system: true, ..api }
}

/// The API with which people change what is theirs: for apps that an administrator has granted it, and for no machine.
fn my_account_api(random: &Random, tenant: &Tenant) -> ResourceServer {
    let scopes: Vec<Json> = resource_servers::MY_ACCOUNT_SCOPES
        .iter()
        .map(|(scope, text)| json!({ "value": scope, "description": text }))
        .collect();
    let body = object(json!({
        "name": "Auth0 My Account API",
        "identifier": tenant.my_account_audience(),
        "subject_type_authorization":
            { "user": { "policy": "require_client_grant" }, "client": { "policy": "deny_all" } },
        "scopes": scopes,
    }));
    let api = ResourceServer::new(random, &body).expect("all its fields fit");
    ResourceServer { is_system: true, ..api }
}

/// The scopes that the Management API lists.
pub fn management_scopes() -> impl Iterator<Item = &'static str> {
    described_scopes().map(|(scope, _)| scope)
}

/// The scopes that a machine client can have on the Management API: those it lists, and Doorward's own.
pub fn all_scopes() -> impl Iterator<Item = &'static str> {
    management_scopes().chain(resource_servers::DOORWARD_SCOPES.iter().copied())
}

fn described_scopes() -> impl Iterator<Item = (&'static str, &'static str)> {
    MANAGEMENT_SCOPES.lines().filter_map(|line| line.split_once('\t'))
}

fn object(value: Json) -> Map<String, Json> {
    match value {
        Json::Object(object) => object,
        other => unreachable!("{other} is written as an object"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client_grants::find_for;
    use crate::clients::Filter;
    use crate::testing::{TestModel, page};

    #[test]
    fn the_list_of_scopes_is_the_real_services() {
        let scopes: Vec<_> = management_scopes().collect();
        assert_eq!(scopes.len(), 273);
        assert!(scopes.contains(&"read:users") && scopes.iter().all(|scope| scope.contains(':')));
        for scope in resource_servers::CURRENT_USER_SCOPES {
            assert!(!scopes.contains(&scope), "{scope}");
        }
        assert_eq!(described_scopes().next(), Some(("read:client_grants", "Read Client Grants")));
    }

    #[tokio::test]
    async fn a_new_tenant_holds_what_tools_look_for_and_no_credentials() {
        for model in TestModel::each().await {
            let tenant = tenants::resolve(&model, "acme.test").await.unwrap().unwrap();
            let api =
                resource_servers::find_by_identifier(&model, &tenant.id, "https://acme.test/api/v2/").await;
            let api = api.unwrap().unwrap();
            assert!(api.is_system && api.is_fixed() && !api.allow_offline_access);
            assert_eq!(
                (api.name.as_deref(), api.scopes.as_ref().map(Vec::len)),
                (Some("Auth0 Management API"), Some(273))
            );
            assert_eq!((api.token_lifetime, api.token_lifetime_for_web), (86_400, 7_200));
            let clients =
                clients::list(&model, &tenant.id, &Filter::default(), &page(0, 50)).await.unwrap().items;
            assert!(clients.len() == 1 && clients[0].global);
            let connection =
                connections::find_by_name(&model, &tenant.id, "Username-Password-Authentication").await;
            assert!(connection.unwrap().unwrap().is_database());
            assert_eq!(model.keys.list(&model, &tenant.id).await.unwrap().len(), 2);
            assert_eq!(
                tenants::settings(&model, &tenant.id).await.unwrap().friendly_name.as_deref(),
                Some("acme")
            );
        }
    }

    #[tokio::test]
    async fn a_tenant_of_an_earlier_version_gets_the_my_account_api_once() {
        for model in TestModel::each().await {
            let tenant = tenants::resolve(&model, "acme.test").await.unwrap().unwrap();
            let audience = tenant.my_account_audience();
            let find = async || {
                let found = resource_servers::find_by_identifier(&model, &tenant.id, &audience).await;
                found.unwrap().map(|api| json!(&*api))
            };
            let made = find().await.unwrap();
            assert_eq!((&made["is_system"], &made["allow_offline_access"]), (&json!(true), &json!(false)));
            assert_eq!(
                made["subject_type_authorization"],
                json!({ "user": { "policy": "require_client_grant" }, "client": { "policy": "deny_all" } })
            );
            let api = resource_servers::load(&model, &tenant.id, &audience).await.unwrap().unwrap();
            let mut batch = Batch::new();
            resource_servers::remove(&mut batch, &tenant.id, &api);
            model.db.commit(batch).await.unwrap();
            assert_eq!(find().await, None);
            complete_tenants(&model).await.unwrap();
            let again = find().await.unwrap();
            assert_eq!(again["scopes"], made["scopes"]);
            complete_tenants(&model).await.unwrap();
            assert_eq!(find().await, Some(again));
        }
    }

    #[tokio::test]
    async fn a_machine_client_gets_the_scopes_it_is_made_for() {
        for model in TestModel::each().await {
            let tenant = tenants::resolve(&model, "acme.test").await.unwrap().unwrap();
            let these = Scopes::These(vec!["read:users".into()]);
            let (id, secret) = create_machine_client(&model, &tenant, "CI", these).await.unwrap();
            let client = clients::find(&model, &tenant.id, id.as_str()).await.unwrap().unwrap();
            assert!(client.check_secret(&secret) && secret.len() == 64);
            assert_eq!(client.grant_types.as_deref(), Some(&["client_credentials".to_owned()][..]));
            let grant = find_for(&model, &tenant.id, &id, &tenant.management_audience(), FOR_CLIENT).await;
            let grant = grant.unwrap().unwrap();
            assert!(grant.allows("read:users") && !grant.allows("update:users"));
            let (id, _) = create_machine_client(&model, &tenant, "All", Scopes::All).await.unwrap();
            let grant = find_for(&model, &tenant.id, &id, &tenant.management_audience(), FOR_CLIENT).await;
            assert_eq!(grant.unwrap().unwrap().scope.as_ref().map(Vec::len), Some(279));
        }
    }

    #[tokio::test]
    async fn a_second_tenant_of_the_same_host_is_refused_whole() {
        for model in TestModel::each().await {
            let new = NewTenant { id: "other".into(), host: "Acme.test".into(), name: "other".into() };
            assert!(matches!(create_tenant(&model, new).await, Err(db::Error::Unique(_))));
            let found =
                clients::list(&model, &"other".into(), &Filter::default(), &page(0, 50)).await.unwrap();
            assert_eq!(found.total, Some(0));
        }
    }
}
