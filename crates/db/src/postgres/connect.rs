//! The pool of connections, and what each connection is told first.

use std::path::{Path, PathBuf};
use std::time::Duration;

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Pool, RecyclingMethod, Runtime, Timeouts};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::Error;

/// Connections per node: more made writes slower, not faster, on two cores.
const POOL_SIZE: usize = 16;
/// How long to wait for a connection, free or new.
const PATIENCE: Duration = Duration::from_secs(5);

/// A server's default isolation may differ from the one that guards are made for; a lost client must not hold its locks for long.
const SESSION: &str = "
    SET default_transaction_isolation = 'read committed';
    SET lock_timeout = '5s';
    SET idle_in_transaction_session_timeout = '10s';
";

/// Where the system keeps the certificates that it trusts.
const SYSTEM_ROOTS: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// What an address says beyond what the driver reads itself.
#[derive(Debug, PartialEq)]
struct Address {
    /// The address for the driver.
    url: String,
    pool_size: usize,
    tls: bool,
    /// The certificate authorities to trust instead of the system's.
    roots: Option<PathBuf>,
}

/// Makes the pool; nothing is connected yet.
pub(super) fn pool(url: &str) -> Result<Pool, Error> {
    let address = parse(url)?;
    let mut config: Config = address.url.parse().map_err(|error| failed("the database's address", &error))?;
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(PATIENCE);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(Duration::from_secs(30)).keepalives_idle(Duration::from_secs(30));
    }
    if config.get_application_name().is_none() {
        config.application_name("doorward");
    }
    config.ssl_mode(if address.tls { SslMode::Require } else { SslMode::Disable });
    if !address.tls && config.get_hosts().iter().any(is_remote) {
        tracing::warn!("the connection to the database is not encrypted: its address has no sslmode=require");
    }
    let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = if address.tls {
        Manager::from_config(config, tls(address.roots)?, recycling)
    } else {
        Manager::from_config(config, NoTls, recycling)
    };
    Pool::builder(manager)
        .max_size(address.pool_size)
        .timeouts(Timeouts { wait: Some(PATIENCE), create: Some(PATIENCE), recycle: Some(PATIENCE) })
        .runtime(Runtime::Tokio1)
        .post_create(Hook::async_fn(|client, _| {
            Box::pin(async { client.batch_execute(SESSION).await.map_err(HookError::Backend) })
        }))
        .build()
        .map_err(|error| failed("the database's pool", &error))
}

/// `sslmode` is `disable` (also when absent), or `require` or `verify-full`, which both verify the certificate and its name:
/// encryption for whoever answers protects from nobody.
fn parse(url: &str) -> Result<Address, Error> {
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let mut address = Address { url: base.to_owned(), pool_size: POOL_SIZE, tls: false, roots: None };
    let mut separator = '?';
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        match parameter.split_once('=') {
            Some(("pool_size", size)) => {
                let size = size.parse().ok().filter(|size| *size > 0);
                address.pool_size =
                    size.ok_or_else(|| Error::Failed("pool_size is not a number from 1".into()))?;
            }
            Some(("sslmode", "disable")) => address.tls = false,
            Some(("sslmode", "require" | "verify-full")) => address.tls = true,
            Some(("sslmode", other)) => {
                return Err(Error::Failed(format!(
                    "sslmode is disable, require or verify-full, not {other}"
                )));
            }
            Some(("sslrootcert", "system")) => address.roots = None,
            Some(("sslrootcert", path)) => address.roots = Some(path.replace("%2F", "/").into()),
            _ => {
                address.url.push(separator);
                address.url.push_str(parameter);
                separator = '&';
            }
        }
    }
    Ok(address)
}

fn is_remote(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => name != "localhost" && !name.starts_with("127.") && name != "::1",
        Host::Unix(_) => false,
    }
}

fn tls(roots: Option<PathBuf>) -> Result<MakeRustlsConnect, Error> {
    let file = match roots {
        Some(file) => file,
        None => SYSTEM_ROOTS.iter().map(PathBuf::from).find(|path| path.exists()).ok_or_else(|| {
            Error::Failed("no trusted certificates on this system: say sslrootcert=FILE".into())
        })?,
    };
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| failed("TLS", &error))?
        .with_root_certificates(trusted(&file)?)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

fn trusted(file: &Path) -> Result<rustls::RootCertStore, Error> {
    let unreadable = |error| failed(&format!("sslrootcert {}", file.display()), &error);
    let mut store = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(unreadable)? {
        // A system's bundle may hold one that is too old for the parser; the others still count.
        if let Err(error) = store.add(certificate.map_err(unreadable)?) {
            tracing::debug!(%error, "a trusted certificate was skipped");
        }
    }
    if store.is_empty() {
        return Err(Error::Failed(format!("sslrootcert {} holds no certificate", file.display())));
    }
    Ok(store)
}

fn failed(what: &str, error: &dyn std::error::Error) -> Error {
    Error::Failed(format!("{what}: {}", super::errors::chain(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_parameters_are_taken_out_of_the_address() {
        let address = parse(
            "postgres://u@h/d?application_name=x&pool_size=3&sslmode=require&sslrootcert=%2Fca.pem&port=1",
        );
        assert_eq!(
            address.unwrap(),
            Address {
                url: "postgres://u@h/d?application_name=x&port=1".into(),
                pool_size: 3,
                tls: true,
                roots: Some("/ca.pem".into()),
            }
        );
    }

    #[test]
    fn encryption_without_verification_is_not_offered() {
        assert!(!parse("postgres://u@h/d").unwrap().tls);
        assert!(!parse("postgres://u@h/d?sslmode=disable").unwrap().tls);
        for mode in ["prefer", "allow", "verify-ca"] {
            assert!(parse(&format!("postgres://u@h/d?sslmode={mode}")).is_err());
        }
        assert!(parse("postgres://u@h/d?pool_size=0").is_err());
    }
}
