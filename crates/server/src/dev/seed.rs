//! What a fresh `doorward dev` holds: two users, a single-page app, an API and a machine client. A second start finds
//! what the first made, and makes again what was deleted meanwhile.

use std::path::Path;

use anyhow::Context;
use db::Batch;
use model::bootstrap::{self, NewTenant, Scopes};
use model::clients::{self, Client};
use model::paging::Paging;
use model::resource_servers::{self, ResourceServer};
use model::tenants::{self, Tenant};
use model::users::{self, NewUser};
use model::{App, ClientId, connections, credentials, guardian};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::private_file::write_private;

/// The identifier of the API that the example app calls.
pub const DEMO_API: &str = "https://demo.example/api";

const CONNECTION: &str = "Username-Password-Authentication";
const SPA: &str = "My single-page app";
const MACHINE: &str = "Administration";
/// Where the tool chains of single-page apps serve by default.
const APP_PORTS: [u16; 4] = [3000, 4200, 5173, 8080];
const PEOPLE: [(&str, &str, &str); 2] =
    [("ada@example.com", "Ada", "Lovelace"), ("grace@example.com", "Grace", "Hopper")];

/// `credentials.json`: what a person, an app and a test suite need to begin.
#[derive(Debug, Serialize, Deserialize)]
pub struct Credentials {
    /// Host and port: what SDKs call the domain.
    pub domain: String,
    /// `https://domain/`.
    pub issuer: String,
    /// A client with every scope of the Management API.
    pub m2m: Machine,
    /// A public client for single-page apps.
    pub spa: Spa,
    /// Who can sign in.
    pub users: Vec<Person>,
}

/// A confidential client.
#[derive(Debug, Serialize, Deserialize)]
pub struct Machine {
    /// Its id.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
}

/// A public client.
#[derive(Debug, Serialize, Deserialize)]
pub struct Spa {
    /// Its id.
    pub client_id: String,
}

/// A user's e-mail address and password.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Person {
    /// What to sign in with.
    pub email: String,
    /// The password, in clear: these users are nobody's.
    pub password: String,
}

/// Makes sure that the tenant of `host` holds all of it, and writes `file`.
pub async fn seed(app: &App, host: &str, file: &Path) -> anyhow::Result<(Tenant, Credentials)> {
    let tenant = tenant(app, host).await?;
    second_factors(app, &tenant).await?;
    let spa = spa(app, &tenant).await?;
    demo_api(app, &tenant).await?;
    let m2m = machine(app, &tenant).await?;
    let known =
        std::fs::read_to_string(file).ok().and_then(|text| serde_json::from_str::<Credentials>(&text).ok());
    let known =
        known.filter(|known| known.domain == tenant.host).map(|known| known.users).unwrap_or_default();
    let mut users = Vec::new();
    for (email, given_name, family_name) in PEOPLE {
        let known = known.iter().find(|person| person.email == email);
        users.push(person(app, &tenant, known, email, given_name, family_name).await?);
    }
    let credentials = Credentials {
        domain: tenant.host.clone(),
        issuer: tenant.issuer.clone(),
        m2m,
        spa: Spa { client_id: spa.to_string() },
        users,
    };
    write_private(file, &format!("{}\n", serde_json::to_string_pretty(&credentials)?))?;
    Ok((tenant, credentials))
}

/// One tenant for each host: another port is another issuer, with tokens and an API of its own.
async fn tenant(app: &App, host: &str) -> anyhow::Result<Tenant> {
    if let Some(tenant) = tenants::resolve(app, host).await? {
        return Ok(Tenant::clone(&tenant));
    }
    let id = host.replace(|char: char| !char.is_ascii_alphanumeric(), "-");
    let new = NewTenant { id: id.as_str().into(), host: host.into(), name: "Doorward".into() };
    Ok(bootstrap::create_tenant(app, new).await?)
}

/// An app that asks for a second factor gets one: authenticator apps, with recovery codes. No policy asks by itself.
async fn second_factors(app: &App, tenant: &Tenant) -> anyhow::Result<()> {
    let mut guardian = guardian::load(app, &tenant.id).await?;
    if guardian.version == 0 {
        guardian.enable("otp", true);
        guardian.enable("recovery-code", true);
        let mut batch = Batch::new();
        guardian::save(&mut batch, app, &tenant.id, &mut guardian);
        app.db.commit(batch).await?;
    }
    Ok(())
}

async fn client_named(app: &App, tenant: &Tenant, name: &str) -> anyhow::Result<Option<Client>> {
    let all = Paging::Offset { page: 0, per_page: 100, totals: false };
    let page = clients::list(app, &tenant.id, &clients::Filter::default(), &all).await?;
    Ok(page.items.into_iter().find(|client| client.name == name))
}

async fn spa(app: &App, tenant: &Tenant) -> anyhow::Result<ClientId> {
    if let Some(client) = client_named(app, tenant, SPA).await? {
        return Ok(client.client_id);
    }
    let origins: Vec<String> = APP_PORTS.iter().map(|port| format!("https://localhost:{port}")).collect();
    let pages: Vec<String> = origins
        .iter()
        .flat_map(|origin| ["", "/", "/callback"].map(|path| format!("{origin}{path}")))
        .collect();
    let account = tenant.account_page();
    let own_origin = tenant.issuer.trim_end_matches('/').to_owned();
    let body = object(json!({
        "name": SPA,
        "app_type": "spa",
        "oidc_conformant": true,
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "implicit", "refresh_token"],
        "callbacks": with(pages.clone(), &account),
        "allowed_logout_urls": with(pages, &account),
        "web_origins": with(origins.clone(), &own_origin),
        "allowed_origins": with(origins, &own_origin),
        "jwt_configuration": { "alg": "RS256", "lifetime_in_seconds": 36_000 },
        "refresh_token": { "rotation_type": "rotating", "expiration_type": "expiring" },
    }));
    let mut client =
        Client::new(clients::new_id(&app.random), &body).context("the app's settings do not fit")?;
    let connection =
        connections::find_by_name(app, &tenant.id, CONNECTION).await?.context("the tenant has no users")?;
    let (secret, now) = (clients::new_secret(&app.random), app.clock.now());
    let mut batch = Batch::new();
    clients::insert(app, &mut batch, &tenant.id, &mut client, &secret, now);
    connections::set_client(&mut batch, &tenant.id, &connection.id, &client.client_id, true, now);
    app.db.commit(batch).await?;
    Ok(client.client_id)
}

fn with(mut list: Vec<String>, last: &str) -> Vec<String> {
    list.push(last.to_owned());
    list
}

async fn demo_api(app: &App, tenant: &Tenant) -> anyhow::Result<()> {
    if resource_servers::find_by_identifier(app, &tenant.id, DEMO_API).await?.is_some() {
        return Ok(());
    }
    let body = object(json!({
        "name": "Demo API",
        "identifier": DEMO_API,
        "scopes": [
            { "value": "read:notes", "description": "Read your notes" },
            { "value": "write:notes", "description": "Write notes for you" },
        ],
        "allow_offline_access": true,
        "signing_alg": "RS256",
    }));
    let api = ResourceServer::new(&app.random, &body).context("the API's settings do not fit")?;
    let mut batch = Batch::new();
    resource_servers::insert(app, &mut batch, &tenant.id, &api, app.clock.now());
    app.db.commit(batch).await?;
    Ok(())
}

async fn machine(app: &App, tenant: &Tenant) -> anyhow::Result<Machine> {
    if let Some(client) = client_named(app, tenant, MACHINE).await?
        && let Some(client_secret) = clients::secret(app, &tenant.id, &client.client_id).await?
    {
        return Ok(Machine { client_id: client.client_id.to_string(), client_secret });
    }
    let (client_id, client_secret) =
        bootstrap::create_machine_client(app, tenant, MACHINE, Scopes::All).await?;
    Ok(Machine { client_id: client_id.to_string(), client_secret })
}

/// A user whose password is known: the one in the file while the user is there, else a new one.
async fn person(
    app: &App,
    tenant: &Tenant,
    known: Option<&Person>,
    email: &str,
    given_name: &str,
    family_name: &str,
) -> anyhow::Result<Person> {
    let found = users::find_by_login(&app.db, &tenant.id, CONNECTION, email).await?;
    if let (Some(_), Some(known)) = (&found, known) {
        return Ok(known.clone());
    }
    // Every password policy takes it: upper and lower case, digits and a sign.
    let password = format!("Dw-{}-{}9", app.random.alphanumeric(8), app.random.alphanumeric(8));
    let hash = app.hasher.hash(password.clone()).await.context("cannot hash a password")?;
    let mut batch = Batch::new();
    let user = match found {
        Some(user) => user,
        None => {
            let connection = connections::find_by_name(app, &tenant.id, CONNECTION).await?;
            let connection = connection.context("the tenant has no users")?;
            let new = NewUser {
                email: Some(email.into()),
                email_verified: true,
                name: Some(format!("{given_name} {family_name}")),
                given_name: Some(given_name.into()),
                family_name: Some(family_name.into()),
                ..NewUser::default()
            };
            let user = users::new_database_user(app, &tenant.id, &connection, new);
            users::insert(&mut batch, &user);
            user
        }
    };
    credentials::set(&mut batch, &tenant.id, user.primary(), &hash, app.clock.now());
    app.db.commit(batch).await?;
    Ok(Person { email: email.into(), password })
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => unreachable!("{other} is written as an object"),
    }
}
