//! `doorward dev`: the whole product on this machine. The same code paths as `serve`, with a seeded tenant, a
//! certificate of its own, a page that shows every mail and one that moves the clock.

pub mod authority;
pub mod explain;
pub mod faults;
pub mod outbox;
pub mod routes;
pub mod seed;
pub mod trust;

use std::fmt::Write;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use management::Limits;
use model::mail::Delivery;
use model::tenants::Tenant;
use model::{Clock, Net, Random};

use crate::cli::Dev;
use crate::listener::Listener;
use crate::peer::Proxies;
use crate::tls::Certificate;
use crate::{jobs, logging, panics, program, router};
use authority::Authority;
use seed::Credentials;

const PORT: u16 = 8443;

/// Runs until SIGTERM or SIGINT.
pub async fn run(command: Dev) -> anyhow::Result<()> {
    logging::readable()?;
    panics::log_them();
    let now = Clock::system().now();
    let data = data_directory(&command.data)?;
    let authority = Authority::open(&data, now)?;
    // First of all: it helps the browser also where a server runs already.
    if command.trust {
        let installed = trust::install(&authority.certificate, std::env::home_dir().as_deref());
        installed.iter().for_each(|line| println!("{line}"));
    }
    let certificate = Certificate::new(authority.issue(now)?);
    let listener = listen(command.listen, &certificate).await?;
    let port = listener.address()?.port();
    let host = if port == 443 { "localhost".to_owned() } else { format!("localhost:{port}") };

    let ephemeral = command.ephemeral.then(Ephemeral::new).transpose()?;
    let place = ephemeral.as_ref().map_or(&*data, |ephemeral| &ephemeral.0);
    let database =
        command.database.unwrap_or_else(|| format!("sqlite:{}", place.join("doorward.db").display()));
    let breaches = program::breaches(command.breached_passwords.as_deref())?;
    // What is tried here runs on this machine.
    let net = Net::new([IpAddr::from(Ipv4Addr::LOCALHOST).into(), IpAddr::from(Ipv6Addr::LOCALHOST).into()]);
    let app = program::open((&database, None), &program::development_keys(place)?, breaches, net).await?;
    let file = data.join("credentials.json");
    let (tenant, credentials) = seed::seed(&app, &host, &file).await?;

    let tools = routes::Tools::new(&app.random, &app.clock);
    let page = |path: &str| format!("{}{path}?token={}", tenant.issuer, tools.token());
    let pages = [("Mail", page("dev/outbox")), ("Clock", page("dev")), ("Refusals", page("dev/explain"))];
    let router =
        router::layered(app.clone(), Proxies::default(), Limits::default(), |all| routes::extend(all, tools));
    let jobs = jobs::start(&app, Delivery::Outbox);
    let stop = program::stop_signal()?;
    print!("{}", welcome(&tenant, &credentials, &file, &authority.certificate, &pages));
    listener.serve(router, stop).await;
    jobs.stop().await;
    program::close(app).await;
    Ok(())
}

/// The data directory: its owner's alone, and kept out of version control.
fn data_directory(path: &Path) -> anyhow::Result<PathBuf> {
    let context = || format!("cannot use {} as the data directory", path.display());
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).with_context(context)?;
    let ignore = path.join(".gitignore");
    if !ignore.exists() {
        fs::write(&ignore, "*\n").with_context(context)?;
    }
    Ok(path.to_owned())
}

/// Binds the loopback address that was asked for, or both that `localhost` may mean.
async fn listen(asked: Option<SocketAddr>, certificate: &Certificate) -> anyhow::Result<Listener> {
    if let Some(address) = asked.filter(|address| !address.ip().is_loopback()) {
        bail!(
            "`doorward dev` serves this machine only: {address} is no loopback address; for others there is `doorward serve`"
        );
    }
    let first = asked.unwrap_or((Ipv4Addr::LOCALHOST, PORT).into());
    let tls = Some(certificate.acceptor(None));
    let mut listener =
        Listener::bind(&[first], tls).await.with_context(|| format!("cannot listen on {first}"))?;
    if asked.is_none()
        && let Err(error) = listener.also((Ipv6Addr::LOCALHOST, PORT).into()).await
    {
        tracing::debug!(%error, "localhost is served over IPv4 alone");
    }
    Ok(listener)
}

/// A directory that is deleted with its value.
struct Ephemeral(PathBuf);

impl Ephemeral {
    fn new() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("doorward-{}", Random::system().hex(16)));
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Ephemeral {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, "cannot delete {}", self.0.display());
        }
    }
}

/// What is printed once everything answers.
fn welcome(
    tenant: &Tenant,
    credentials: &Credentials,
    file: &Path,
    ca: &Path,
    pages: &[(&str, String)],
) -> String {
    let mut text = format!("\nDoorward is ready at {}\n\n", tenant.issuer);
    let mut line =
        |name: &str, value: String| writeln!(text, "  {name:<14}{value}").expect("a string takes all");
    line("Try first", tenant.account_page());
    for (index, person) in credentials.users.iter().enumerate() {
        let name = if index == 0 { "Sign in as" } else { "" };
        line(name, format!("{:<20}{}", person.email, person.password));
    }
    line("Your app", format!("domain {}  client_id {}", credentials.domain, credentials.spa.client_id));
    line("", "on https://localhost:3000, 4200, 5173 or 8080, at /, /callback or neither".into());
    line(
        "",
        format!(
            "its certificate: {}, key: localhost-key.pem beside it",
            ca.with_file_name("localhost.pem").display()
        ),
    );
    line("An API", format!("{}  read:notes write:notes offline_access", seed::DEMO_API));
    line("Management", format!("client_id {}, secret in {}", credentials.m2m.client_id, file.display()));
    line("Certificate", format!("NODE_EXTRA_CA_CERTS={}; browsers: doorward dev --trust", ca.display()));
    for (name, page) in pages {
        line(name, page.clone());
    }
    text.push_str("\nFor this machine only. Ctrl-C stops it.\n");
    text
}
