//! What a tenant holds from its first moment (management contract §5).

use db::Batch;
use serde_json::{Map, Value as Json, json};

use crate::client_grants::{self, ClientGrant, FOR_CLIENT};
use crate::clients::{self, Client};
use crate::ids::{ClientId, TenantId};
use crate::random::Random;
use crate::resource_servers::{self, ResourceServer};
use crate::tenants::{self, Settings, Tenant};
use crate::{Model, connections};

/// The scopes of the Management API, one a line. Those of the current user are not among them, as on the real service.
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
        Tenant { id: self.id.clone(), name: self.name.clone(), issuer: format!("https://{host}/"), host }
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

/// Makes a tenant: settings, the Management API, the client that stands for all applications, a connection for users with
/// passwords, and two signing keys. There are no credentials in it: see [`create_machine_client`].
pub async fn create_tenant(app: &Model, new: NewTenant) -> Result<Tenant, db::Error> {
    let now = app.clock.now();
    let tenant = new.tenant();
    let mut batch = Batch::new();
    tenants::insert(&mut batch, &tenant, now);
    tenants::insert_settings(&mut batch, &tenant.id, &Settings::new(&new.name), now);
    let mut all_applications = Client::all_applications(clients::new_id(&app.random));
    let secret = clients::new_secret(&app.random);
    clients::insert(app, &mut batch, &tenant.id, &mut all_applications, &secret, now);
    let connection = connections::username_password(&app.random, &[]);
    connections::insert(app, &mut batch, &tenant.id, &connection, now);
    resource_servers::insert(app, &mut batch, &tenant.id, &management_api(&app.random, &tenant), now);
    app.db.commit(batch).await?;
    Ok(tenant)
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
        Scopes::All => management_scopes().map(str::to_owned).collect(),
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

/// The tenant's own API.
fn management_api(random: &Random, tenant: &Tenant) -> ResourceServer {
    let scopes: Vec<Json> =
        management_scopes().map(|scope| json!({ "value": scope, "description": describe(scope) })).collect();
    let body = object(json!({
        "name": "Auth0 Management API",
        "identifier": tenant.management_audience(),
        "scopes": scopes,
    }));
    let api = ResourceServer::new(random, &body).expect("all its fields fit");
    ResourceServer { is_system: true, ..api }
}

/// The scopes that the Management API lists.
pub fn management_scopes() -> impl Iterator<Item = &'static str> {
    MANAGEMENT_SCOPES.lines()
}

/// `read:client_grants` is `Read client grants`.
fn describe(scope: &str) -> String {
    let words = scope.replace([':', '_'], " ");
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + letters.as_str())
}

fn object(value: Json) -> Map<String, Json> {
    match value {
        Json::Object(object) => object,
        other => unreachable!("{other} is written as an object"),
    }
}
