//! The configuration of `doorward serve`: a TOML file, overridden key by key from the environment, checked before
//! anything starts. A message names the key and what to do, and never quotes a secret.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use management::{Limits, Plan, Rate};
use serde::Deserialize;

use crate::listener::Bounds;

mod acme;
mod traces;
mod variables;

pub use traces::Traces;
use variables::{VARIABLES, Variables};

/// A configuration that can be served: complete, consistent and safe.
pub struct Config {
    /// `sqlite:PATH` or `postgres://…`; may hold a password.
    pub database: String,
    /// A read replica of a PostgreSQL database, which lists are read from.
    pub replica: Option<String>,
    /// Where to listen.
    pub listen: SocketAddr,
    /// The tenant that is made at first start, by its issuer.
    pub issuer: Option<Issuer>,
    /// Who ends TLS.
    pub transport: Transport,
    /// The peers whose `X-Forwarded-*` headers count. Empty by default.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether clients are asked for certificates.
    pub client_certificates: bool,
    /// The PEM file of the authorities that vouch for the names in them.
    pub client_authorities: Option<PathBuf>,
    /// Where the master key comes from.
    pub master_key: MasterKeySource,
    /// Digests of passwords that have leaked, in their order.
    pub breached_passwords: Option<PathBuf>,
    /// How fast one person may call the Management API with their own token, how fast a tenant may be called, and how large a file of
    /// users may be.
    pub self_service: Limits,
    /// Where the metrics, health and readiness are served, if anywhere: in plain HTTP, and not to the world.
    pub monitoring: Option<SocketAddr>,
    /// What strangers may hold open, and how the program stops.
    pub bounds: Bounds,
    /// Networks beside the Internet that log streams and mail may go to. Empty by default.
    pub outbound: Vec<IpNet>,
    /// The log filter, `info` by default.
    pub log: String,
    /// Where spans go, if anywhere. Never anywhere without the feature `otel`.
    pub traces: Option<Traces>,
}

/// Who ends TLS.
#[derive(Debug, PartialEq, Eq)]
pub enum Transport {
    /// This program, with these PEM files.
    Tls {
        /// The chain, the server's own certificate first.
        certificate: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
    /// This program, with certificates that it gets by itself.
    Acme(crate::acme::Settings),
    /// A named proxy in front: plain HTTP, accepted from the trusted proxies alone.
    BehindProxy,
}

/// Where the master key comes from. There is no default: `serve` refuses to invent one.
#[derive(PartialEq, Eq)]
pub enum MasterKeySource {
    /// A file of mode 0600.
    File(PathBuf),
    /// The value of `DOORWARD_MASTER_KEY`.
    Environment(String),
}

impl fmt::Debug for MasterKeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Environment(_) => f.write_str("Environment"),
        }
    }
}

/// An issuer, `https://host[:port]/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// `host[:port]` in lower case, without the default port.
    pub host: String,
}

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read the configuration {}: {}", .0.display(), .1)]
    Unreadable(PathBuf, std::io::Error),
    /// The file is not TOML, or a key is unknown or of the wrong type.
    #[error("{}:{}: {}", .0.display(), .1, .2)]
    Syntax(PathBuf, usize, String),
    /// A variable begins with `DOORWARD_` and names no key.
    #[error("unknown environment variable {}; known are {}", .0, VARIABLES.join(", "))]
    UnknownVariable(String),
    /// A key that has no default is missing.
    #[error("`{0}` is missing: {1}")]
    Missing(&'static str, &'static str),
    /// A value that cannot be used.
    #[error("`{0}` {1}")]
    Invalid(&'static str, String),
    /// Keys that contradict each other, or together are unsafe.
    #[error("{0}")]
    Contradiction(&'static str),
}

/// The file as written. Unknown keys are refused.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    database: Option<String>,
    database_replica: Option<String>,
    listen: Option<String>,
    issuer: Option<String>,
    tls: Option<Tls>,
    acme: Option<acme::Acme>,
    trusted_proxies: Option<Vec<String>>,
    master_key_file: Option<PathBuf>,
    breached_passwords_file: Option<PathBuf>,
    self_service: Option<SelfService>,
    imports: Option<Imports>,
    monitoring: Option<Monitoring>,
    stopping: Option<Stopping>,
    limits: Option<LimitsTable>,
    outbound: Option<Outbound>,
    log: Option<String>,
    traces: Option<traces::Table>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct SelfService {
    calls_per_second: Option<u32>,
    burst: Option<u32>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Imports {
    largest_file: Option<u32>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Monitoring {
    listen: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stopping {
    announce_seconds: Option<u32>,
    drain_seconds: Option<u32>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitsTable {
    plan: Option<String>,
    connections: Option<u32>,
    headers_seconds: Option<u32>,
    request_seconds: Option<u32>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Outbound {
    allow: Option<Vec<String>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tls {
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    client_certificates: Option<bool>,
    client_authorities: Option<PathBuf>,
}

impl Config {
    /// Reads `path`, applies the environment and checks the whole.
    pub fn load(path: &Path, environment: impl Iterator<Item = (String, String)>) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(|error| Error::Unreadable(path.into(), error))?;
        Self::parse(path, &text, environment)
    }

    /// [`Config::load`] for a text that was read already. Paths in it are relative to `path`'s directory, those in the
    /// environment to the working directory.
    pub fn parse(
        path: &Path,
        text: &str,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, Error> {
        // The library's own rendering quotes the line, which may hold a password.
        let file: File = toml::from_str(text).map_err(|error| {
            let line =
                error.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
            Error::Syntax(path.into(), line, discreet(error.message()))
        })?;
        let variables = Variables::collect(environment)?;
        Self::check(path.parent().unwrap_or(Path::new("")), file, variables)
    }

    fn check(directory: &Path, file: File, mut variables: Variables) -> Result<Self, Error> {
        let relative = |path: PathBuf| directory.join(path);
        let database = match variables.take("DOORWARD_DATABASE") {
            Some(url) => database(Some(url), Path::new(""))?,
            None => database(file.database, directory)?,
        };
        let replica = variables.take("DOORWARD_DATABASE_REPLICA").or(file.database_replica);
        let replica = replica.map(|url| self::replica(url, &database)).transpose()?;
        let listen = listen(variables.take("DOORWARD_LISTEN").or(file.listen))?;
        let monitoring = variables
            .take("DOORWARD_MONITORING_LISTEN")
            .or(file.monitoring.and_then(|monitoring| monitoring.listen));
        let monitoring = monitoring.map(|text| address("monitoring.listen", &text)).transpose()?;
        let issuer = variables.take("DOORWARD_ISSUER").or(file.issuer);
        let issuer = issuer.map(|issuer| Issuer::parse(&issuer)).transpose()?;

        let tls = file.tls.unwrap_or_default();
        let certificate =
            variables.take("DOORWARD_TLS_CERTIFICATE").map(PathBuf::from).or(tls.certificate.map(relative));
        let key = variables.take("DOORWARD_TLS_KEY").map(PathBuf::from).or(tls.key.map(relative));
        let client_authorities = variables
            .take("DOORWARD_TLS_CLIENT_AUTHORITIES")
            .map(PathBuf::from)
            .or(tls.client_authorities.map(relative));
        let asked =
            variables.take("DOORWARD_TLS_CLIENT_CERTIFICATES").map(|text| switch(&text)).transpose()?;
        let client_certificates = asked.or(tls.client_certificates).unwrap_or(client_authorities.is_some());
        let mut nets = |name: &str, written: Option<Vec<String>>| match variables.take(name) {
            Some(list) => list.split(',').map(|net| net.trim().to_owned()).collect(),
            None => written.unwrap_or_default(),
        };
        let trusted_proxies = trusted_proxies(&nets("DOORWARD_TRUSTED_PROXIES", file.trusted_proxies))?;
        let allowed = file.outbound.and_then(|outbound| outbound.allow);
        let outbound = networks("outbound.allow", &nets("DOORWARD_OUTBOUND_ALLOW", allowed))?;
        let transport = match file.acme {
            Some(_) if certificate.is_some() || key.is_some() => {
                return Err(Error::Contradiction("`[tls]` and `[acme]` are both given: keep one"));
            }
            Some(acme) => Transport::Acme(acme.check(issuer.as_ref(), relative)?),
            None => transport(certificate, key, &trusted_proxies)?,
        };

        let key_file = variables
            .take("DOORWARD_MASTER_KEY_FILE")
            .map(PathBuf::from)
            .or(file.master_key_file.map(relative));
        let master_key = master_key(key_file, variables.take("DOORWARD_MASTER_KEY"))?;
        let breached_passwords = variables
            .take("DOORWARD_BREACHED_PASSWORDS_FILE")
            .map(PathBuf::from)
            .or(file.breached_passwords_file.map(relative));
        let log = variables.take("DOORWARD_LOG").or(file.log).unwrap_or_else(|| "info".into());
        let mut calls = |name: &'static str| variables.take(name).map(|text| number(name, &text)).transpose();
        let limit = file.self_service.unwrap_or_default();
        let self_service = self_service(
            calls("DOORWARD_SELF_SERVICE_CALLS_PER_SECOND")?.or(limit.calls_per_second),
            calls("DOORWARD_SELF_SERVICE_BURST")?.or(limit.burst),
        );
        let largest =
            calls("DOORWARD_IMPORTS_LARGEST_FILE")?.or(file.imports.and_then(|imports| imports.largest_file));
        let self_service = Limits { import: largest.map_or(self_service.import, u64::from), ..self_service };
        let limits = file.limits.unwrap_or_default();
        let bounds = bounds(&mut calls, file.stopping.unwrap_or_default(), &limits)?;
        let traces = Traces::check(file.traces, &mut |name| variables.take(name))?;
        let plan = plan(variables.take("DOORWARD_LIMITS_PLAN").or(limits.plan))?;
        let self_service = Limits { plan, ..self_service };
        debug_assert!(variables.are_taken(), "a variable that is known does nothing");
        Ok(Self {
            database,
            replica,
            monitoring,
            bounds,
            outbound,
            listen,
            issuer,
            transport,
            trusted_proxies,
            client_certificates,
            client_authorities,
            master_key,
            breached_passwords,
            self_service,
            log,
            traces,
        })
    }
}

impl Issuer {
    /// Parses `https://host[:port]` with or without the closing slash.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let refuse = |reason: &str| Error::Invalid("issuer", reason.to_owned());
        let url = url::Url::parse(text).map_err(|_| refuse("is not a URL: write https://id.example.com/"))?;
        if url.scheme() != "https" {
            return Err(refuse("must begin with https://: tokens never travel in the clear"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refuse("must not hold a user name or a password"));
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(refuse(
                "must be a bare origin: https://id.example.com/ has no path, query or fragment",
            ));
        }
        let host = url.host_str().ok_or_else(|| refuse("has no host"))?;
        let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        Ok(Self { host })
    }
}

/// A reader's complaint without the text that it quotes, which may be a password or a key: what is wrong with it stays.
fn discreet(message: &str) -> String {
    match (message.split_once(": string \""), message.rsplit_once("\", expected ")) {
        (Some((what, _)), Some((_, expected))) => format!("{what}: a text, expected {expected}"),
        _ if message.contains("://") => "a key that is none".to_owned(),
        _ => message.to_owned(),
    }
}

fn database(url: Option<String>, directory: &Path) -> Result<String, Error> {
    let url = url.ok_or(Error::Missing(
        "database",
        "write database = \"sqlite:/var/lib/doorward/doorward.db\" or \"postgres://…\"",
    ))?;
    if let Some(path) = url.strip_prefix("sqlite:") {
        if path.is_empty() || path.contains(":memory:") {
            return Err(Error::Invalid(
                "database",
                "needs a file: sqlite:/var/lib/doorward/doorward.db".into(),
            ));
        }
        let path = directory.join(path);
        let parent = path.parent().unwrap_or(directory);
        if !parent.as_os_str().is_empty() && !parent.is_dir() {
            return Err(Error::Invalid(
                "database",
                format!("lies in {}, which is not a directory", parent.display()),
            ));
        }
        return Ok(format!("sqlite:{}", path.display()));
    }
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return Ok(url);
    }
    // The value is not quoted: it may hold a password.
    Err(Error::Invalid("database", "must begin with sqlite: or postgres://".into()))
}

fn replica(url: String, database: &str) -> Result<String, Error> {
    if database.starts_with("sqlite:") {
        return Err(Error::Contradiction(
            "`database_replica` is for PostgreSQL: a SQLite `database` has no replicas",
        ));
    }
    match url.starts_with("postgres://") || url.starts_with("postgresql://") {
        true => Ok(url),
        false => Err(Error::Invalid("database_replica", "must begin with postgres://".into())),
    }
}

fn listen(address: Option<String>) -> Result<SocketAddr, Error> {
    let address =
        address.ok_or(Error::Missing("listen", "write listen = \"0.0.0.0:443\" (address and port)"))?;
    address.parse().map_err(|_| {
        Error::Invalid("listen", format!("is not an address and port: {address:?}; write \"0.0.0.0:443\""))
    })
}

fn address(name: &'static str, text: &str) -> Result<SocketAddr, Error> {
    text.parse().map_err(|_| {
        Error::Invalid(name, format!("is not an address and port: {text:?}; write \"127.0.0.1:9464\""))
    })
}

/// What stands in the environment, by the variable's name.
type Numbers<'a> = dyn FnMut(&'static str) -> Result<Option<u32>, Error> + 'a;

/// The longest that may be set.
const AN_HOUR: u32 = 3600;

fn bounds(variable: &mut Numbers<'_>, stopping: Stopping, limits: &LimitsTable) -> Result<Bounds, Error> {
    let usual = Bounds::DEFAULT;
    let mut number =
        |key: &'static str, name, written: Option<u32>, allowed: RangeInclusive<u32>| match variable(name)?
            .or(written)
        {
            Some(number) if !allowed.contains(&number) => {
                let (least, most) = allowed.into_inner();
                Err(Error::Invalid(key, format!("is not from {least} to {most}: {number}")))
            }
            number => Ok(number),
        };
    let connections =
        number("limits.connections", "DOORWARD_LIMITS_CONNECTIONS", limits.connections, 1..=1_000_000)?;
    let mut seconds = |key, name, written, least, usual| {
        let seconds = number(key, name, written, least..=AN_HOUR)?;
        Ok::<_, Error>(seconds.map_or(usual, |seconds| Duration::from_secs(seconds.into())))
    };
    let mut bounds = Bounds {
        connections: connections.unwrap_or(usual.connections),
        headers: seconds(
            "limits.headers_seconds",
            "DOORWARD_LIMITS_HEADERS_SECONDS",
            limits.headers_seconds,
            1,
            usual.headers,
        )?,
        request: seconds(
            "limits.request_seconds",
            "DOORWARD_LIMITS_REQUEST_SECONDS",
            limits.request_seconds,
            1,
            usual.request,
        )?,
        announce: seconds(
            "stopping.announce_seconds",
            "DOORWARD_STOPPING_ANNOUNCE_SECONDS",
            stopping.announce_seconds,
            0,
            usual.announce,
        )?,
        drain: seconds(
            "stopping.drain_seconds",
            "DOORWARD_STOPPING_DRAIN_SECONDS",
            stopping.drain_seconds,
            0,
            usual.drain,
        )?,
        ..usual
    };
    // Whatever asks a connection to end, the request on it keeps the time that it was given.
    bounds.leave = bounds.leave.max(bounds.request).max(bounds.drain);
    Ok(bounds)
}

fn plan(name: Option<String>) -> Result<Plan, Error> {
    let Some(name) = name else { return Ok(Plan::default()) };
    let known = Plan::NAMES.iter().find(|(known, _)| *known == name);
    known.map(|(_, plan)| *plan).ok_or_else(|| {
        let names = Plan::NAMES.map(|(name, _)| name).join(", ");
        Error::Invalid("limits.plan", format!("is {name:?}, which is none of {names}"))
    })
}

/// Addresses and networks.
fn networks(key: &'static str, listed: &[String]) -> Result<Vec<IpNet>, Error> {
    let parse = |text: &String| {
        let net = text.parse::<IpNet>().or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from));
        net.map_err(|_| {
            let advice = "write \"10.0.0.7\" or \"10.0.0.0/24\"";
            Error::Invalid(key, format!("holds {text:?}, which is no address: {advice}"))
        })
    };
    listed.iter().map(parse).collect()
}

fn trusted_proxies(listed: &[String]) -> Result<Vec<IpNet>, Error> {
    let nets = networks("trusted_proxies", listed)?;
    match nets.iter().zip(listed).find(|(net, _)| net.prefix_len() == 0) {
        Some((_, text)) => Err(Error::Invalid(
            "trusted_proxies",
            format!("holds {text:?}, which trusts the whole Internet: name the proxy"),
        )),
        None => Ok(nets),
    }
}

fn transport(
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    trusted_proxies: &[IpNet],
) -> Result<Transport, Error> {
    match (certificate, key) {
        (Some(certificate), Some(key)) => Ok(Transport::Tls { certificate, key }),
        (Some(_), None) => {
            Err(Error::Missing("tls.key", "`tls.certificate` needs its private key beside it"))
        }
        (None, Some(_)) => {
            Err(Error::Missing("tls.certificate", "`tls.key` needs its certificate beside it"))
        }
        (None, None) if trusted_proxies.is_empty() => Err(Error::Contradiction(
            "plain HTTP to anybody is refused: set `tls.certificate` and `tls.key`, or `[acme]`, \
             or name in `trusted_proxies` the proxy that ends TLS",
        )),
        (None, None) => Ok(Transport::BehindProxy),
    }
}

fn switch(text: &str) -> Result<bool, Error> {
    text.parse().map_err(|_| {
        Error::Invalid("tls.client_certificates", format!("is neither true nor false: {text:?}"))
    })
}

fn number(name: &'static str, text: &str) -> Result<u32, Error> {
    text.parse().map_err(|_| Error::Invalid(name, format!("is not a whole number: {text:?}")))
}

/// Zero calls a second stand for no limit, and a burst below one second's calls for that many.
fn self_service(calls_per_second: Option<u32>, burst: Option<u32>) -> Limits {
    let usual = Limits::default();
    let (usual_calls, usual_burst) =
        usual.user.map_or((0, 0), |rate| (rate.per_second.get(), rate.burst.get()));
    let user = NonZeroU32::new(calls_per_second.unwrap_or(usual_calls)).map(|per_second| {
        let burst =
            NonZeroU32::new(burst.unwrap_or(usual_burst)).map_or(per_second, |burst| burst.max(per_second));
        Rate { per_second, burst }
    });
    Limits { user, ..Limits::default() }
}

fn master_key(file: Option<PathBuf>, value: Option<String>) -> Result<MasterKeySource, Error> {
    match (file, value) {
        (Some(file), None) => Ok(MasterKeySource::File(file)),
        (None, Some(value)) => Ok(MasterKeySource::Environment(value)),
        (Some(_), Some(_)) => Err(Error::Contradiction(
            "the master key is given twice: by `master_key_file` and by DOORWARD_MASTER_KEY; keep one",
        )),
        (None, None) => Err(Error::Missing(
            "master_key_file",
            "name a file made by `doorward keys new-master FILE`, or set DOORWARD_MASTER_KEY",
        )),
    }
}

#[cfg(test)]
mod tests;
