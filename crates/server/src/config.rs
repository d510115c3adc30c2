//! The configuration of `doorward serve`: a TOML file, overridden key by key from the environment, checked before
//! anything starts. A message names the key and what to do, and never quotes a secret.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use management::{Limits, Rate};
use serde::Deserialize;

/// The variables that override a key, in the order of the file's documentation.
const VARIABLES: [&str; 13] = [
    "DOORWARD_DATABASE",
    "DOORWARD_LISTEN",
    "DOORWARD_ISSUER",
    "DOORWARD_TLS_CERTIFICATE",
    "DOORWARD_TLS_KEY",
    "DOORWARD_TRUSTED_PROXIES",
    "DOORWARD_MASTER_KEY_FILE",
    "DOORWARD_MASTER_KEY",
    "DOORWARD_BREACHED_PASSWORDS_FILE",
    "DOORWARD_SELF_SERVICE_CALLS_PER_SECOND",
    "DOORWARD_SELF_SERVICE_BURST",
    "DOORWARD_IMPORTS_LARGEST_FILE",
    "DOORWARD_LOG",
];

/// Read by the build, not by the program; it may be left over in the environment.
const BUILD_VARIABLES: [&str; 1] = ["DOORWARD_REQUIRE_ACCOUNT"];

/// A configuration that can be served: complete, consistent and safe.
pub struct Config {
    /// `sqlite:PATH` or `postgres://…`; may hold a password.
    pub database: String,
    /// Where to listen.
    pub listen: SocketAddr,
    /// The tenant that is made at first start, by its issuer.
    pub issuer: Option<Issuer>,
    /// Who ends TLS.
    pub transport: Transport,
    /// The peers whose `X-Forwarded-*` headers count. Empty by default.
    pub trusted_proxies: Vec<IpNet>,
    /// Where the master key comes from.
    pub master_key: MasterKeySource,
    /// Digests of passwords that have leaked, in their order.
    pub breached_passwords: Option<PathBuf>,
    /// How fast one person may call the Management API with their own token, and how large a file of users may be.
    pub self_service: Limits,
    /// The log filter, `info` by default.
    pub log: String,
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
    listen: Option<String>,
    issuer: Option<String>,
    tls: Option<Tls>,
    trusted_proxies: Option<Vec<String>>,
    master_key_file: Option<PathBuf>,
    breached_passwords_file: Option<PathBuf>,
    self_service: Option<SelfService>,
    imports: Option<Imports>,
    log: Option<String>,
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
struct Tls {
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
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
            Error::Syntax(path.into(), line, error.message().to_owned())
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
        let listen = listen(variables.take("DOORWARD_LISTEN").or(file.listen))?;
        let issuer = variables.take("DOORWARD_ISSUER").or(file.issuer);
        let issuer = issuer.map(|issuer| Issuer::parse(&issuer)).transpose()?;

        let tls = file.tls.unwrap_or_default();
        let certificate =
            variables.take("DOORWARD_TLS_CERTIFICATE").map(PathBuf::from).or(tls.certificate.map(relative));
        let key = variables.take("DOORWARD_TLS_KEY").map(PathBuf::from).or(tls.key.map(relative));
        let proxies = match variables.take("DOORWARD_TRUSTED_PROXIES") {
            Some(list) => list.split(',').map(|proxy| proxy.trim().to_owned()).collect(),
            None => file.trusted_proxies.unwrap_or_default(),
        };
        let trusted_proxies = trusted_proxies(&proxies)?;
        let transport = transport(certificate, key, &trusted_proxies)?;

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
        Ok(Self {
            database,
            listen,
            issuer,
            transport,
            trusted_proxies,
            master_key,
            breached_passwords,
            self_service,
            log,
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

/// The overrides that the environment holds.
struct Variables(BTreeMap<String, String>);

impl Variables {
    fn collect(environment: impl Iterator<Item = (String, String)>) -> Result<Self, Error> {
        let mut found = BTreeMap::new();
        for (name, value) in environment.filter(|(name, _)| name.starts_with("DOORWARD_")) {
            if BUILD_VARIABLES.contains(&&*name) {
                continue;
            }
            if !VARIABLES.contains(&&*name) {
                return Err(Error::UnknownVariable(name));
            }
            found.insert(name, value);
        }
        Ok(Self(found))
    }

    fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
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

fn listen(address: Option<String>) -> Result<SocketAddr, Error> {
    let address =
        address.ok_or(Error::Missing("listen", "write listen = \"0.0.0.0:443\" (address and port)"))?;
    address.parse().map_err(|_| {
        Error::Invalid("listen", format!("is not an address and port: {address:?}; write \"0.0.0.0:443\""))
    })
}

fn trusted_proxies(listed: &[String]) -> Result<Vec<IpNet>, Error> {
    let parse = |text: &String| {
        let net = text.parse::<IpNet>().or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from));
        let net = net.map_err(|_| {
            Error::Invalid(
                "trusted_proxies",
                format!("holds {text:?}, which is no address: write \"10.0.0.7\" or \"10.0.0.0/24\""),
            )
        })?;
        if net.prefix_len() == 0 {
            return Err(Error::Invalid(
                "trusted_proxies",
                format!("holds {text:?}, which trusts the whole Internet: name the proxy"),
            ));
        }
        Ok(net)
    };
    listed.iter().map(parse).collect()
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
            "plain HTTP to anybody is refused: set `tls.certificate` and `tls.key`, \
             or name in `trusted_proxies` the proxy that ends TLS",
        )),
        (None, None) => Ok(Transport::BehindProxy),
    }
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
mod tests {
    use super::*;

    const GOOD: &str = r#"
        database = "postgres://doorward:hunter2@db/doorward"
        listen = "0.0.0.0:443"
        master_key_file = "master.key"
        [tls]
        certificate = "chain.pem"
        key = "/etc/key.pem"
    "#;

    fn parse(text: &str, environment: &[(&str, &str)]) -> Result<Config, Error> {
        let environment = environment.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        Config::parse(Path::new("/etc/doorward/doorward.toml"), text, environment)
    }

    fn refusal(text: &str, environment: &[(&str, &str)]) -> String {
        parse(text, environment).err().expect("must be refused").to_string()
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        let config = parse(GOOD, &[]).expect("is good");
        assert_eq!(
            config.transport,
            Transport::Tls { certificate: "/etc/doorward/chain.pem".into(), key: "/etc/key.pem".into() }
        );
        assert_eq!(config.master_key, MasterKeySource::File("/etc/doorward/master.key".into()));
        assert!(config.trusted_proxies.is_empty() && config.breached_passwords.is_none());
        let leaked = GOOD.replace("[tls]", "breached_passwords_file = \"pwned.txt\"\n[tls]");
        let config = parse(&leaked, &[]).expect("is good");
        assert_eq!(config.breached_passwords, Some("/etc/doorward/pwned.txt".into()));
        let moved = parse(&leaked, &[("DOORWARD_BREACHED_PASSWORDS_FILE", "x.txt")]).expect("is good");
        assert_eq!(moved.breached_passwords, Some("x.txt".into()));
        let here = GOOD.replace("postgres://doorward:hunter2@db/doorward", "sqlite:doorward.db");
        let config =
            Config::parse(Path::new("src/doorward.toml"), &here, std::iter::empty()).expect("is good");
        assert_eq!(config.database, "sqlite:src/doorward.db");
        let moved = [("DOORWARD_DATABASE".to_owned(), "sqlite:src/x.db".to_owned())].into_iter();
        let config = Config::parse(Path::new("src/doorward.toml"), &here, moved).expect("is good");
        assert_eq!(config.database, "sqlite:src/x.db");
    }

    #[test]
    fn the_environment_wins_key_by_key() {
        let config = parse(
            GOOD,
            &[
                ("DOORWARD_LISTEN", "127.0.0.1:8443"),
                ("DOORWARD_TRUSTED_PROXIES", "10.0.0.7, fd00::/8"),
                ("DOORWARD_ISSUER", "https://ID.example.com:443"),
                ("DOORWARD_REQUIRE_ACCOUNT", "1"),
                ("HOME", "/root"),
            ],
        )
        .expect("is good");
        assert_eq!(config.listen, "127.0.0.1:8443".parse().unwrap());
        assert_eq!(config.trusted_proxies, ["10.0.0.7/32".parse().unwrap(), "fd00::/8".parse().unwrap()]);
        assert_eq!(config.issuer, Some(Issuer { host: "id.example.com".into() }));
    }

    #[test]
    fn unknown_keys_and_variables_are_refused() {
        assert_eq!(
            refusal("databse = \"sqlite:x\"", &[]),
            "/etc/doorward/doorward.toml:1: unknown field `databse`, expected one of `database`, `listen`, \
             `issuer`, `tls`, `trusted_proxies`, `master_key_file`, `breached_passwords_file`, `self_service`, `imports`, \
             `log`"
        );
        assert!(
            refusal(GOOD, &[("DOORWARD_LISTN", "x")])
                .starts_with("unknown environment variable DOORWARD_LISTN;")
        );
    }

    #[test]
    fn a_syntax_error_names_the_line_and_quotes_nothing() {
        let message = refusal("listen = \"0.0.0.0:1\"\ndatabase = \"postgres://u:hunter2@db\" x", &[]);
        assert!(message.starts_with("/etc/doorward/doorward.toml:2: "), "{message}");
        assert!(!message.contains("hunter2"), "{message}");
    }

    #[test]
    fn a_database_that_is_none_is_refused_without_its_value() {
        assert_eq!(
            refusal(&GOOD.replace("postgres://", "mysql://"), &[]),
            "`database` must begin with sqlite: or postgres://"
        );
        assert_eq!(
            refusal(
                &GOOD.replace("postgres://doorward:hunter2@db/doorward", "sqlite:/no/such/place/x.db"),
                &[]
            ),
            "`database` lies in /no/such/place, which is not a directory"
        );
        assert!(refusal("", &[]).starts_with("`database` is missing: "));
    }

    #[test]
    fn plain_http_needs_a_named_proxy() {
        let plain = GOOD.split("[tls]").next().expect("has a first part");
        assert!(refusal(plain, &[]).starts_with("plain HTTP to anybody is refused: "));
        assert_eq!(
            parse(plain, &[("DOORWARD_TRUSTED_PROXIES", "127.0.0.1")]).expect("is good").transport,
            Transport::BehindProxy
        );
        for everybody in ["0.0.0.0/0", "::/0"] {
            assert!(
                refusal(plain, &[("DOORWARD_TRUSTED_PROXIES", everybody)])
                    .contains("trusts the whole Internet")
            );
        }
        assert!(
            refusal(plain, &[("DOORWARD_TRUSTED_PROXIES", "proxy.internal")]).contains("which is no address")
        );
    }

    #[test]
    fn half_a_tls_configuration_is_refused() {
        assert!(
            refusal(&GOOD.replace("key = \"/etc/key.pem\"", ""), &[]).starts_with("`tls.key` is missing: ")
        );
        assert!(
            refusal(&GOOD.replace("certificate = \"chain.pem\"", ""), &[])
                .starts_with("`tls.certificate` is missing: ")
        );
    }

    #[test]
    fn the_master_key_is_given_once() {
        let twice = refusal(GOOD, &[("DOORWARD_MASTER_KEY", "c2VjcmV0")]);
        assert!(twice.starts_with("the master key is given twice: "), "{twice}");
        assert!(!twice.contains("c2VjcmV0"), "{twice}");
        assert!(
            refusal(&GOOD.replace("master_key_file = \"master.key\"", ""), &[])
                .starts_with("`master_key_file` is missing: ")
        );
    }

    #[test]
    fn the_self_service_limit_is_set_by_halves_or_switched_off() {
        let limit = |lines: &str, environment: &[(&str, &str)]| {
            let config = parse(&format!("{GOOD}\n{lines}"), environment).expect("is good");
            config.self_service.user.map(|rate| (rate.per_second.get(), rate.burst.get()))
        };
        assert_eq!(limit("", &[]), Some((10, 50)));
        assert_eq!(limit("[self_service]\ncalls_per_second = 20", &[]), Some((20, 50)));
        assert_eq!(limit("[self_service]\ncalls_per_second = 100\nburst = 5", &[]), Some((100, 100)));
        assert_eq!(limit("[self_service]\ncalls_per_second = 0", &[]), None);
        assert_eq!(limit("", &[("DOORWARD_SELF_SERVICE_BURST", "60")]), Some((10, 60)));
        assert_eq!(limit("", &[("DOORWARD_SELF_SERVICE_CALLS_PER_SECOND", "0")]), None);
        assert_eq!(
            refusal(GOOD, &[("DOORWARD_SELF_SERVICE_BURST", "many")]),
            "`DOORWARD_SELF_SERVICE_BURST` is not a whole number: \"many\""
        );
    }

    #[test]
    fn an_issuer_is_a_bare_https_origin() {
        for (issuer, reason) in [
            ("http://id.example.com/", "must begin with https://"),
            ("id.example.com", "is not a URL"),
            ("https://id.example.com/auth", "must be a bare origin"),
            ("https://id.example.com/?x", "must be a bare origin"),
            ("https://u:p@id.example.com/", "must not hold a user name"),
        ] {
            let message = refusal(GOOD, &[("DOORWARD_ISSUER", issuer)]);
            assert!(message.starts_with(&format!("`issuer` {reason}")), "{message}");
        }
    }
}
