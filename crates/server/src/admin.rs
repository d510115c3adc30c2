//! `doorward admin …`: what has to be there before the Management API can be called at all (MG-11).

use anyhow::{Context, bail};
use model::attack_protection::Breaches;
use model::bootstrap::{self, Scopes};
use model::tenants::{self, Tenant};
use model::{App, Net};

use crate::cli::{Admin, CreateClient, CreateTenant, Source, Target};
use crate::config::Issuer;
use crate::program;

/// Runs one command on the database itself.
pub async fn run(command: Admin) -> anyhow::Result<()> {
    match command {
        Admin::CreateClient(command) => create_client(command).await,
        Admin::CreateTenant(command) => create_tenant(command).await,
    }
}

/// Opens the data that a command names.
pub async fn open(source: &Source) -> anyhow::Result<App> {
    match (&source.config, &source.data) {
        (Some(path), _) => {
            let config = program::configuration(path)?;
            let keys = program::master_keys(&config.master_key)?;
            let app =
                program::open((&config.database, None), &keys, Breaches::none(), Net::new(config.outbound))
                    .await?;
            if let Some(issuer) = &config.issuer {
                program::ensure_tenant(&app, issuer).await?;
            }
            Ok(app)
        }
        (None, Some(directory)) => {
            let database = directory.join("doorward.db");
            if !database.exists() {
                bail!("{} holds no data of `doorward dev`", directory.display());
            }
            let url = format!("sqlite:{}", database.display());
            program::open(
                (&url, None),
                &program::development_keys(directory)?,
                Breaches::none(),
                Net::new([]),
            )
            .await
        }
        (None, None) => bail!("name --config FILE or --data DIR"),
    }
}

/// The tenant that a command names by id or host, or the only one.
pub async fn tenant(app: &App, target: &Target) -> anyhow::Result<Tenant> {
    let all = tenants::all(app).await?;
    let Some(named) = &target.tenant else {
        let [only] = &all[..] else {
            let hosts: Vec<&str> = all.iter().map(|tenant| tenant.host.as_str()).collect();
            let advice = if hosts.is_empty() {
                "there is no tenant yet: make one with `doorward admin create-tenant`".to_owned()
            } else {
                format!("name one of the tenants with --tenant: {}", hosts.join(", "))
            };
            bail!(advice);
        };
        return Ok(only.clone());
    };
    if let Some(tenant) = tenants::resolve(app, named).await? {
        return Ok(Tenant::clone(&tenant));
    }
    all.into_iter()
        .find(|tenant| tenant.id.as_str() == named)
        .with_context(|| format!("there is no tenant {named}"))
}

async fn create_client(command: CreateClient) -> anyhow::Result<()> {
    let scopes = if command.scopes.all_scopes { Scopes::All } else { known(command.scopes.scopes)? };
    let app = open(&command.target.source).await?;
    let tenant = tenant(&app, &command.target).await?;
    let (client_id, client_secret) =
        bootstrap::create_machine_client(&app, &tenant, &command.name, scopes).await?;
    println!("domain         {}", tenant.host);
    println!("client_id      {client_id}");
    println!("client_secret  {client_secret}");
    println!("audience       {}", tenant.management_audience());
    program::close(app).await;
    Ok(())
}

/// The scopes, if the Management API has them all.
fn known(scopes: Vec<String>) -> anyhow::Result<Scopes> {
    for scope in &scopes {
        if !bootstrap::all_scopes().any(|known| known == scope) {
            bail!("the Management API has no scope {scope}");
        }
    }
    Ok(Scopes::These(scopes))
}

async fn create_tenant(command: CreateTenant) -> anyhow::Result<()> {
    let issuer = Issuer::parse(&command.issuer).map_err(|error| anyhow::anyhow!("--issuer: {error}"))?;
    let app = open(&command.source).await?;
    let tenant =
        program::create_tenant(&app, &issuer, command.id.as_deref(), command.name.as_deref()).await?;
    println!("made the tenant {} at {}", tenant.id, tenant.issuer);
    program::close(app).await;
    Ok(())
}
