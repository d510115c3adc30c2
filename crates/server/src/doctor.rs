//! `doorward doctor`: what is wrong with a server's surroundings, and what to do. Nothing is changed.

use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use db::{Db, Health};
use model::attack_protection::Breaches;
use model::factors::Kind;
use model::migrations::MIGRATIONS;
use model::seal::{MasterKey, opens, signing_keys_open};
use model::tenants::{self, Tenant};
use model::{App, Clock, Net, guardian, mail};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::{CertificateError, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::net::TcpListener;

use crate::config::{Config, Transport};
use crate::program;
use crate::tls::Certificate;

/// How long before its end a certificate is complained of.
const SOON: Duration = Duration::from_secs(14 * 24 * 3600);
/// How far two clocks may be apart, in milliseconds.
const APART: i64 = 5_000;
/// Descriptors beside those of connections.
const SPARE: u64 = 256;

/// Looks at everything, and prints what it finds.
///
/// # Errors
/// When the server would not work.
pub async fn run(path: &Path) -> anyhow::Result<()> {
    let mut report = Report::default();
    let config = match program::configuration(path) {
        Ok(config) => config,
        Err(error) => {
            report.wrong("configuration", error, "mend the file or the variable");
            return report.end();
        }
    };
    report.good("configuration", path.display());
    let keys = match program::master_keys(&config.master_key) {
        Ok(keys) => {
            report.good(
                "master key",
                format!("{} there, the newest seals", counted(keys.len(), "key is", "keys are")),
            );
            keys
        }
        Err(error) => {
            report.wrong(
                "master key",
                error,
                "put it back from its copy; only a server without data may take a new one",
            );
            Vec::new()
        }
    };
    certificate(&mut report, &config);
    listener(&mut report, &config).await;
    descriptors(&mut report, &config);
    database(&mut report, &config, &keys).await;
    #[cfg(feature = "otel")]
    collector(&mut report, &config).await;
    report.end()
}

/// What was found, line by line.
#[derive(Default)]
struct Report {
    wrong: usize,
}

impl Report {
    fn good(&mut self, what: &str, found: impl Display) {
        println!("ok     {what}: {found}");
    }

    /// Something that works and may not be meant.
    fn doubtful(&mut self, what: &str, found: impl Display, advice: &str) {
        println!("note   {what}: {found}\n       {advice}");
    }

    fn wrong(&mut self, what: &str, found: impl Display, advice: &str) {
        self.wrong += 1;
        println!("WRONG  {what}: {found}\n       {advice}");
    }

    fn end(self) -> anyhow::Result<()> {
        match self.wrong {
            0 => {
                println!("\nnothing is wrong");
                Ok(())
            }
            wrong => bail!("{} wrong", counted(wrong, "thing is", "things are")),
        }
    }
}

fn counted(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

fn certificate(report: &mut Report, config: &Config) {
    let (certificate, key) = match &config.transport {
        Transport::BehindProxy => return report.good("TLS", "left to the proxies in `trusted_proxies`"),
        Transport::Acme(settings) if !settings.files().0.exists() => {
            return report.good("TLS", "a certificate is ordered when the server starts");
        }
        Transport::Acme(settings) => settings.files(),
        Transport::Tls { certificate, key } => (certificate.clone(), key.clone()),
    };
    let (certificate, key) = (&*certificate, &*key);
    if let Err(error) = Certificate::read(certificate, key) {
        return report.wrong("TLS", error, "the chain and its key must be PEM files that belong together");
    }
    let Ok(chain) = CertificateDer::pem_file_iter(certificate).map(Iterator::collect::<Result<Vec<_>, _>>)
    else {
        return;
    };
    let Ok(chain) = chain else { return };
    let Some((own, others)) = chain.split_first() else { return };
    let Some(issuer) = &config.issuer else {
        return report.good("TLS", "the certificate and its key belong together");
    };
    let name = issuer.host.split(':').next().unwrap_or_default();
    let Ok(server) = ServerName::try_from(name.to_owned()) else { return };
    let now = Duration::from_millis(u64::try_from(Clock::system().now().millis()).unwrap_or_default());
    let look = |roots: RootCertStore, moment| {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
        let verifier = verifier.map_err(|error| rustls::Error::General(error.to_string()))?;
        verifier.verify_server_cert(own, others, &server, &[], UnixTime::since_unix_epoch(moment)).map(|_| ())
    };
    // Trusting whatever the chain ends with: its dates and its name are looked at though its issuer is nobody's.
    let mut of_chain = RootCertStore::empty();
    if let Some(last) = chain.last() {
        of_chain.add_parsable_certificates([last.clone()]);
    }
    let mut system = RootCertStore::empty();
    system.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    match look(of_chain.clone(), now) {
        Ok(()) if look(of_chain, now + SOON).is_err() => report.doubtful(
            "TLS",
            "the certificate ends within 14 days",
            "renew it and send SIGHUP: the server reads it again without a stop",
        ),
        Ok(()) if look(system, now).is_err() => report.doubtful(
            "TLS",
            format!("the certificate is {name}'s, and this machine does not trust its issuer"),
            "browsers will not either, unless it is your own; the file must hold the whole chain",
        ),
        Ok(()) => report.good("TLS", format!("the certificate is {name}'s and trusted")),
        Err(rustls::Error::InvalidCertificate(error)) => match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                report.wrong("TLS", "the certificate has expired", "renew it and send SIGHUP");
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                report.wrong("TLS", "the certificate is not valid yet", "look at this machine's clock");
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                report.wrong(
                    "TLS",
                    format!("the certificate is not for {name}"),
                    "get one for the host in `issuer`",
                );
            }
            other => report.wrong("TLS", format!("{other:?}"), "get another certificate"),
        },
        Err(error) => report.wrong("TLS", error, "get another certificate"),
    }
}

async fn listener(report: &mut Report, config: &Config) {
    let addresses = [("listen", Some(config.listen)), ("monitoring.listen", config.monitoring)];
    for (name, address) in addresses.into_iter().filter_map(|(name, address)| Some((name, address?))) {
        match TcpListener::bind(address).await {
            Ok(_) => report.good(name, format!("{address} is free")),
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
                report
                    .good(name, format!("something listens on {address} already, the server itself perhaps"));
            }
            Err(error) => report.wrong(
                name,
                format!("{address}: {error}"),
                "ports below 1024 need CAP_NET_BIND_SERVICE, and the address must be this machine's",
            ),
        }
    }
    if let Some(address) = config.monitoring.filter(|address| address.ip().is_unspecified()) {
        report.doubtful(
            "monitoring.listen",
            format!("{address} is every address"),
            "metrics are not for the world: name one",
        );
    }
}

fn descriptors(report: &mut Report, config: &Config) {
    let Some(most) = crate::metrics::limit("Max open files") else { return };
    let wanted = u64::from(config.bounds.connections) + SPARE;
    if most < wanted {
        let found = format!("{most} file descriptors for {} connections", config.bounds.connections);
        report.doubtful("limits", found, "raise LimitNOFILE, or lower `limits.connections`");
    } else {
        report.good("limits", format!("{most} file descriptors"));
    }
}

async fn database(report: &mut Report, config: &Config, keys: &[MasterKey]) {
    if let Some(path) = config.database.strip_prefix("sqlite:")
        && !Path::new(path).exists()
    {
        return report.good("database", format!("{path} is made at the first start"));
    }
    let db = match Db::open(&config.database).await {
        Ok(db) => db,
        Err(db::Error::Failed(text)) if text.contains("is in use by another process") => {
            let advice = "stop it to have the database looked at; until then /ready tells";
            return report.doubtful("database", "the server runs and has it open", advice);
        }
        Err(error) => {
            let advice = "is the address right, does the server answer, and may this user connect?";
            return report.wrong("database", error, advice);
        }
    };
    match db.health(MIGRATIONS).await {
        Ok(Health { pending, clock, sound }) => {
            if let Some(told) = sound {
                report.wrong("database", told, "restore the last backup: `doorward help restore`");
            } else if pending > 0 {
                report.good(
                    "database",
                    format!("{} run at the next start", counted(pending, "migration", "migrations")),
                );
            } else {
                report.good("database", "answers, and its schema is up to date");
            }
            let apart = clock.map_or(0, |clock| clock - Clock::system().now().millis());
            if apart.abs() > APART {
                let found = format!("this machine and the database are {} s apart", apart / 1000);
                report.wrong(
                    "clock",
                    found,
                    "run an NTP client on both: tokens carry times that nodes compare",
                );
            } else {
                report.good("clock", "fits the database");
            }
            if pending == 0 && !keys.is_empty() {
                let net = Net::new(config.outbound.clone());
                let app = program::model(db.clone(), keys, Breaches::none(), net);
                if let Err(error) = within(report, &app).await {
                    report.wrong("database", error, "look at the database's own log");
                }
            }
        }
        Err(error) => {
            report.wrong("database", error, "run the version of the program that wrote it, or a newer one");
        }
    }
    db.close().await;
}

/// What only the tenants' own data tells.
async fn within(report: &mut Report, app: &App) -> Result<(), db::Error> {
    let keys_open = signing_keys_open(&app.db, &app.seal).await?;
    match opens(&app.db, &app.seal).await?.map(|opens| opens && keys_open) {
        Some(false) => report.wrong(
            "master key",
            "it does not open what is sealed in the database",
            "put the key of this database into its place: without it client secrets and signing keys are lost",
        ),
        Some(true) => report.good("master key", "opens what is sealed in the database"),
        None => {}
    }
    let tenants = tenants::all(app).await?;
    if tenants.is_empty() {
        report.doubtful(
            "tenants",
            "there is none yet",
            "name an `issuer`, or run `doorward admin create-tenant`",
        );
    }
    for tenant in &tenants {
        name(report, tenant).await;
        phones(report, app, tenant).await?;
        let what = format!("mail of {}", tenant.host);
        match mail::try_out(app, tenant).await? {
            Ok(()) => report.good(&what, "the server lets us in"),
            Err(error) if error.reason == "no e-mail provider is configured" => {
                report.doubtful(
                    &what,
                    error,
                    "letters wait a day and are given up: `POST /api/v2/emails/provider`",
                );
            }
            Err(error) => report.wrong(
                &what,
                error,
                "letters wait a day and are given up: `PATCH /api/v2/emails/provider`",
            ),
        }
    }
    Ok(())
}

/// Whether codes by SMS, where a tenant wants them as second factor, have a way to its users.
async fn phones(report: &mut Report, app: &App, tenant: &Tenant) -> Result<(), db::Error> {
    let guardian = guardian::find(app, &tenant.id).await?;
    let what = format!("SMS of {}", tenant.host);
    if guardian.offers(Kind::Phone) {
        report.good(&what, "a connection names a gateway");
    } else if guardian.wants_sms() {
        report.doubtful(
            &what,
            "the factor is enabled, and no connection of strategy sms names a gateway",
            "it is not offered, and whoever has a phone alone cannot sign in: set `gateway_url` of such a connection",
        );
    }
    Ok(())
}

async fn name(report: &mut Report, tenant: &Tenant) {
    let (name, port) = tenant.host.rsplit_once(':').unwrap_or((&tenant.host, "443"));
    let port = port.parse().unwrap_or(443);
    let found = tokio::net::lookup_host((name, port)).await.map(Iterator::count);
    match found {
        Ok(1..) => report.good(&tenant.host, "has an address"),
        _ => report.doubtful(
            &tenant.host,
            "has no address that this machine knows",
            "point its DNS name at the server or its proxy",
        ),
    }
}

#[cfg(feature = "otel")]
async fn collector(report: &mut Report, config: &Config) {
    let Some(traces) = &config.traces else { return };
    match crate::traces::try_out(traces).await {
        Ok(()) => report.good("traces", "the collector takes them"),
        Err(error) => report.wrong(
            "traces",
            format!("the collector does not take them: {error}"),
            "requests are answered all the same, and their traces are lost: look at `[traces]` and at the collector",
        ),
    }
}
