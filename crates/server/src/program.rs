//! What `dev`, `serve` and the administrator's commands share: opening the data, running until a signal, closing.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::thread::available_parallelism;

use anyhow::{Context, bail};
use model::attack_protection::Breaches;
use model::bootstrap::{self, NewTenant};
use model::clients::{self, Client};
use model::keys::Keys;
use model::migrations::MIGRATIONS;
use model::passwords::Hasher;
use model::seal::{MasterKey, Sealer, signing_keys_open};
use model::tenants::{self, Tenant};
use model::{App, Clock, Model, Net, Random, connections, logs};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::config::{Config, Issuer, MasterKeySource};
use crate::{logging, private_file};

/// Hashes that may wait for each hashing thread. What comes on top is answered 503 at once.
const WAITING_HASHES: usize = 16;

/// Opens the database, with its read replica if it has one, and brings its schema up to date.
pub async fn open(
    (database, replica): (&str, Option<&str>),
    master_keys: &[MasterKey],
    breaches: Breaches,
    net: Net,
) -> anyhow::Result<App> {
    if master_keys.is_empty() {
        bail!("there is no master key");
    }
    let app = model(open_with(database, replica).await?, master_keys, breaches, net);
    if !signing_keys_open(&app.db, &app.seal).await? {
        bail!(
            "the master key is not the one of this database: its signing keys do not open. Put the key into its place that they were sealed \
             with; after `keys rewrap` the older one may go"
        );
    }
    bootstrap::complete_tenants(&app).await.context("cannot complete the tenants")?;
    Ok(app)
}

/// The application on a database that is open. Nothing is written to it.
///
/// # Panics
/// Without a master key.
pub fn model(db: db::Db, master_keys: &[MasterKey], breaches: Breaches, net: Net) -> App {
    let (newest, older) = master_keys.split_first().expect("the callers have looked");
    let threads = available_parallelism().map_or(1, NonZeroUsize::get);
    let (clock, random) = (Clock::system(), Random::system());
    Arc::new(Model {
        audit: logs::Queue::start(db.clone(), clock.clone(), &random),
        db,
        clock,
        random,
        seal: Sealer::new(newest, older),
        breaches,
        hasher: Hasher::new(threads, threads * WAITING_HASHES),
        keys: Keys::new(),
        net,
    })
}

/// Opens the operator's file of breached passwords, if there is one.
pub fn breaches(file: Option<&Path>) -> anyhow::Result<Breaches> {
    Ok(file.map(Breaches::open).transpose()?.unwrap_or_default())
}

/// Opens the database alone and brings its schema up to date. A new SQLite file is its owner's alone.
pub async fn open_database(database: &str) -> anyhow::Result<db::Db> {
    open_with(database, None).await
}

async fn open_with(database: &str, replica: Option<&str>) -> anyhow::Result<db::Db> {
    if let Some(path) = database.strip_prefix("sqlite:") {
        private_file::create_if_missing(Path::new(path))?;
    }
    let db = db::Db::open_with(database, replica).await.context("cannot open the database")?;
    db.migrate(MIGRATIONS).await.context("cannot bring the database's schema up to date")?;
    Ok(db)
}

/// Writes what is still queued and closes the database.
pub async fn close(app: App) {
    app.audit.flush().await;
    app.db.close().await;
}

/// The master keys of a configuration, the newest first.
pub fn master_keys(source: &MasterKeySource) -> anyhow::Result<Vec<MasterKey>> {
    Ok(match source {
        MasterKeySource::File(path) => MasterKey::read(path)?,
        MasterKeySource::Environment(value) => MasterKey::from_text("DOORWARD_MASTER_KEY", value)?,
    })
}

/// The master keys of a development data directory, made at first start.
pub fn development_keys(directory: &Path) -> anyhow::Result<Vec<MasterKey>> {
    let path = directory.join("master.key");
    if path.exists() {
        return Ok(MasterKey::read(&path)?);
    }
    Ok(vec![MasterKey::create(&path, &Random::system())?])
}

/// The configuration in `path`, with the environment's overrides.
pub fn configuration(path: &Path) -> anyhow::Result<Config> {
    let environment = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    let environment = environment.map(|(name, value)| (name, value.to_string_lossy().into_owned()));
    Ok(Config::load(path, environment)?)
}

/// Makes the configured tenant unless it is there; of several nodes that start at once one makes it.
pub async fn ensure_tenant(app: &App, issuer: &Issuer) -> anyhow::Result<()> {
    if tenants::load(app, &issuer.host).await?.is_some() {
        return Ok(());
    }
    match create_tenant(app, issuer, None, None).await {
        Ok(tenant) => tracing::info!(issuer = tenant.issuer, "made the tenant"),
        Err(_) if tenants::load(app, &issuer.host).await?.is_some() => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Makes a tenant, with the client of its account page. There are no credentials in it.
pub async fn create_tenant(
    app: &App,
    issuer: &Issuer,
    id: Option<&str>,
    name: Option<&str>,
) -> anyhow::Result<Tenant> {
    if tenants::load(app, &issuer.host).await?.is_some() {
        bail!("there is already a tenant at https://{}/", issuer.host);
    }
    let derived = issuer.host.replace(|char: char| !char.is_ascii_alphanumeric(), "-");
    let id = id.unwrap_or(&derived);
    if id.is_empty()
        || id.len() > 64
        || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    {
        bail!("a tenant's id is 1 to 64 letters, digits, `-` and `_`");
    }
    let new =
        NewTenant { id: id.into(), host: issuer.host.clone(), name: name.unwrap_or(&issuer.host).into() };
    let tenant = match bootstrap::create_tenant(app, new).await {
        Err(db::Error::Unique(_)) => bail!("there is already a tenant with the id {id}"),
        other => other?,
    };
    create_account_client(app, &tenant).await?;
    Ok(tenant)
}

/// The public client with which people sign in to `/account/`.
async fn create_account_client(app: &App, tenant: &Tenant) -> anyhow::Result<()> {
    let page = tenant.account_page();
    let body = json!({
        "name": "Account",
        "description": "The account page that this server serves",
        "app_type": "spa",
        "oidc_conformant": true,
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code"],
        "callbacks": [page],
        "allowed_logout_urls": [page],
        "web_origins": [tenant.issuer.trim_end_matches('/')],
        "jwt_configuration": { "alg": "RS256", "lifetime_in_seconds": 36_000 },
    });
    let body = body.as_object().context("it is written as an object")?;
    let mut client = Client::new(clients::new_id(&app.random), body)?;
    let (secret, now) = (clients::new_secret(&app.random), app.clock.now());
    let connection = connections::find_by_name(app, &tenant.id, "Username-Password-Authentication").await?;
    let connection = connection.context("the tenant has no connection for users with passwords")?;
    let mut batch = db::Batch::new();
    clients::insert(app, &mut batch, &tenant.id, &mut client, &secret, now);
    connections::set_client(&mut batch, &tenant.id, &connection.id, &client.client_id, true, now);
    app.db.commit(batch).await?;
    Ok(())
}

/// Resolves at SIGTERM or SIGINT. A second one ends the process at once.
pub fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            logging::finish();
            std::process::exit(130);
        });
    })
}
