//! `doorward admin …`: what has to be there before the Management API can be called at all (MG-11).

use anyhow::{Context, bail};
use db::Batch;
use model::attack_protection::Breaches;
use model::bootstrap::{self, Scopes};
use model::clients::{self, Client};
use model::tenants::{self, Tenant};
use model::{App, Net};

use crate::cli::{Admin, CreateClient, CreateTenant, Domain, Source, Target};
use crate::config::Issuer;
use crate::program;

/// Runs one command on the database itself.
pub async fn run(command: Admin) -> anyhow::Result<()> {
    match command {
        Admin::CreateClient(command) => create_client(command).await,
        Admin::CreateTenant(command) => create_tenant(command).await,
        Admin::AddDomain(command) => add_domain(command).await,
        Admin::RemoveDomain(command) => remove_domain(command).await,
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

async fn add_domain(command: Domain) -> anyhow::Result<()> {
    let (app, tenant, further) = further_host(&command).await?;
    if let Some(there) = tenants::load(&app, &further.host).await? {
        bail!("{} is a host of the tenant {} already", there.host, there.id);
    }
    let decide = async || {
        let mut batch = Batch::new();
        tenants::insert_domain(&mut batch, &further, app.clock.now());
        if let Some(mut client) = account_client(&app, &tenant).await? {
            let page = further.account_page();
            client.callbacks.get_or_insert_default().push(page.clone());
            client.allowed_logout_urls.get_or_insert_default().push(page);
            client.web_origins.get_or_insert_default().push(origin(&further));
            clients::save(&mut batch, &tenant.id, &mut client);
        }
        Ok::<_, db::Error>((batch, ()))
    };
    app.db.retry(decide).await?;
    println!("the tenant {} is at {} too", tenant.id, further.issuer);
    program::close(app).await;
    Ok(())
}

async fn remove_domain(command: Domain) -> anyhow::Result<()> {
    let (app, tenant, further) = further_host(&command).await?;
    if further.host == tenant.host {
        bail!("{} is the tenant's first host: its APIs are named after it", tenant.host);
    }
    if tenants::load(&app, &further.host).await?.is_none_or(|there| there.id != tenant.id) {
        bail!("{} is no host of the tenant {}", further.host, tenant.id);
    }
    let decide = async || {
        let mut batch = Batch::new();
        tenants::remove_domain(&mut batch, &further);
        if let Some(mut client) = account_client(&app, &tenant).await? {
            let (page, origin) = (further.account_page(), origin(&further));
            let lists = [&mut client.callbacks, &mut client.allowed_logout_urls, &mut client.web_origins];
            for list in lists.into_iter().flatten() {
                list.retain(|url| *url != page && *url != origin);
            }
            clients::save(&mut batch, &tenant.id, &mut client);
        }
        Ok::<_, db::Error>((batch, ()))
    };
    app.db.retry(decide).await?;
    println!("the tenant {} is at {} no more", tenant.id, further.issuer);
    program::close(app).await;
    Ok(())
}

/// The data, the tenant by its first host, and the same at the host that the command names.
async fn further_host(command: &Domain) -> anyhow::Result<(App, Tenant, Tenant)> {
    let issuer = Issuer::parse(&command.issuer).map_err(|error| anyhow::anyhow!("--issuer: {error}"))?;
    let app = open(&command.target.source).await?;
    let named = tenant(&app, &command.target).await?;
    let tenant = tenants::find(&app, &named.id).await?.context("the tenant is gone")?;
    let further = Tenant { issuer: format!("https://{}/", issuer.host), host: issuer.host, ..tenant.clone() };
    Ok((app, tenant, further))
}

/// The client of the account page, if some client lists it, to be changed.
async fn account_client(app: &App, tenant: &Tenant) -> Result<Option<Client>, db::Error> {
    match clients::find_by_callback(app, &tenant.id, &tenant.account_page()).await? {
        Some(id) => clients::load(app, &tenant.id, id.as_str()).await,
        None => Ok(None),
    }
}

fn origin(tenant: &Tenant) -> String {
    tenant.issuer.trim_end_matches('/').to_owned()
}
