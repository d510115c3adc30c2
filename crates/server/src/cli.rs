//! The command line. Its help is the first manual that people read: every command shows an example.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// A self-hosted identity server that speaks Auth0's protocols.
#[derive(Debug, Parser)]
#[command(
    name = "doorward",
    version,
    about,
    after_help = "Examples:\n  \
        doorward dev                                  try everything on https://localhost:8443\n  \
        doorward keys new-master /etc/doorward/master.key\n  \
        doorward serve --config /etc/doorward/doorward.toml\n\n\
        `doorward help COMMAND` explains a command."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the whole product on this machine, with test users and apps
    #[command(long_about = DEV, after_long_help = DEV_EXAMPLES)]
    Dev(Dev),
    /// Run in production
    #[command(long_about = SERVE, after_long_help = SERVE_EXAMPLES)]
    Serve(Configured),
    /// Set up tenants and their first clients
    #[command(subcommand)]
    Admin(Admin),
    /// Bring the database's schema up to date
    #[command(
        long_about = "Bring the database's schema up to date. `serve` does it too when it starts: run this first where \
        several nodes share a database and the new version should migrate before any of them serves."
    )]
    Migrate(Configured),
    /// List, rotate and revoke signing keys; make and change the master key
    #[command(subcommand)]
    Keys(Keys),
    /// Copy the SQLite database into one file, while the server runs
    #[command(long_about = BACKUP, after_long_help = BACKUP_EXAMPLES)]
    Backup(Backup),
    /// Put a backup in the database's place
    #[command(long_about = RESTORE, after_long_help = RESTORE_EXAMPLES)]
    Restore(Restore),
    /// Copy everything from SQLite to an empty PostgreSQL database
    #[command(long_about = COPY, after_long_help = COPY_EXAMPLES)]
    Copy(Copy),
    /// Look for what is wrong, and say what to do
    #[command(
        long_about = "Look at everything that `serve` needs: the configuration, the master key, the certificate, the clock, the database, and each \
        tenant's name and mail server. Every line says what was found, and where something is wrong what to do. Nothing is changed. It ends \
        with 1 if the server would not work.",
        after_long_help = "Example:\n  doorward doctor --config /etc/doorward/doorward.toml"
    )]
    Doctor(Configured),
    /// Print the version
    Version,
}

const DEV: &str = "Run the whole product on this machine: https with a certificate of its own, a tenant with two users, a \
    single-page app, an API and a machine client. Everything is kept in the data directory, so that a second start \
    finds it all again; `--ephemeral` starts from nothing each time. It listens on this machine only.\n\n\
    What to sign in with is printed, and written to DIR/credentials.json.";

const DEV_EXAMPLES: &str = "Examples:\n  \
    doorward dev                                  data in .doorward/, on https://localhost:8443\n  \
    doorward dev --trust                          let browsers of this machine trust the certificate\n  \
    doorward dev --listen 127.0.0.1:9443          another port\n  \
    doorward dev --ephemeral                      a fresh database, deleted at the end\n  \
    doorward dev --database postgres://localhost/doorward\n\n\
    Programs trust the certificate by DIR/ca.pem, for example NODE_EXTRA_CA_CERTS=.doorward/ca.pem.";

/// `doorward dev`.
#[derive(Args, Debug)]
pub struct Dev {
    /// Where the database, the keys, the certificates and credentials.json are kept
    #[arg(long, value_name = "DIR", default_value = ".doorward")]
    pub data: PathBuf,
    /// A loopback address and a port; without it, port 8443 of localhost
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Option<SocketAddr>,
    /// Another database than DIR/doorward.db: sqlite:PATH or postgres://…
    #[arg(long, value_name = "URL", conflicts_with = "ephemeral")]
    pub database: Option<String>,
    /// Start from an empty database, and delete it at the end
    #[arg(long)]
    pub ephemeral: bool,
    /// A file of SHA-1 digests of breached passwords, ordered by hash
    #[arg(long, value_name = "FILE")]
    pub breached_passwords: Option<PathBuf>,
    /// Install the development CA in this machine's trust stores, or print how
    #[arg(long)]
    pub trust: bool,
}

const SERVE: &str = "Run in production with the settings of a TOML file:\n\n  \
    database = \"sqlite:/var/lib/doorward/doorward.db\"   # or \"postgres://user:password@host/doorward\"\n  \
    database_replica = \"postgres://…\"                  # optional: where lists of users and logs are read, with PostgreSQL\n  \
    listen = \"0.0.0.0:443\"\n  \
    issuer = \"https://id.example.com/\"                  # optional: this tenant is made at first start\n  \
    master_key_file = \"/etc/doorward/master.key\"        # or the variable DOORWARD_MASTER_KEY\n  \
    log = \"info\"                                        # optional\n  \
    breached_passwords_file = \"/var/lib/doorward/pwned.txt\"  # optional: SHA-1, ordered by hash\n  \
    trusted_proxies = [\"10.0.0.7\"]                      # optional: whose X-Forwarded-* headers count\n  \
    [tls]                                               # without: plain HTTP, for the proxies alone\n  \
    certificate = \"/etc/doorward/chain.pem\"\n  \
    key = \"/etc/doorward/key.pem\"\n  \
    client_certificates = false                         # ask clients for theirs (RFC 8705)\n  \
    client_authorities = \"/etc/doorward/clients.pem\"  # optional: who vouches for them\n  \
    [acme]                                              # in place of [tls]: certificates by ACME, from Let's Encrypt unless told\n  \
    agree_to_terms = true                               # the authority's\n  \
    store = \"/var/lib/doorward/acme\"                   # for the account, the certificate and its key\n  \
    contact = \"mailto:admin@example.com\"              # optional, as are names, directory and root\n  \
    [self_service]                                      # optional: one person's Management API calls\n  \
    calls_per_second = 10                               # 0 for no limit\n  \
    burst = 50\n  \
    [imports]                                           # optional\n  \
    largest_file = 512000                               # bytes of a file of users\n  \
    [monitoring]                                        # optional: /metrics, /health and /ready in plain HTTP\n  \
    listen = \"127.0.0.1:9464\"\n  \
    [stopping]                                          # optional\n  \
    announce_seconds = 0                                # at first only /ready says 503\n  \
    drain_seconds = 30                                  # for what was accepted\n  \
    [limits]                                            # optional\n  \
    plan = \"off\"                                        # each tenant's rate: free, essentials, enterprise or off\n  \
    connections = 20000\n  \
    headers_seconds = 30                                # for a request's headers\n  \
    request_seconds = 30                                # for a whole request and its answer\n  \
    [outbound]                                          # optional: networks beside the Internet that log streams and mail may go to\n  \
    allow = [\"10.0.0.25\"]\n  \
    [traces]                                            # optional, in programs with the feature otel\n  \
    collector = \"http://127.0.0.1:4318/v1/traces\"\n  \
    share = 1.0                                         # of what begins a trace\n  \
    headers = { x-api-key = \"…\" }\n  \
    from_proxies = false                                # go on with what trusted proxies began\n\n\
    Each key can be overridden by a variable: DOORWARD_DATABASE, DOORWARD_DATABASE_REPLICA, DOORWARD_LISTEN, DOORWARD_ISSUER, \
    DOORWARD_MASTER_KEY_FILE, DOORWARD_BREACHED_PASSWORDS_FILE, DOORWARD_LOG, DOORWARD_TRUSTED_PROXIES (with commas), DOORWARD_TLS_CERTIFICATE, \
    DOORWARD_TLS_KEY, DOORWARD_TLS_CLIENT_CERTIFICATES, DOORWARD_TLS_CLIENT_AUTHORITIES, DOORWARD_IMPORTS_LARGEST_FILE, DOORWARD_SELF_SERVICE_CALLS_PER_SECOND, DOORWARD_SELF_SERVICE_BURST, DOORWARD_MONITORING_LISTEN, DOORWARD_STOPPING_ANNOUNCE_SECONDS, DOORWARD_STOPPING_DRAIN_SECONDS, DOORWARD_LIMITS_PLAN, DOORWARD_LIMITS_CONNECTIONS, DOORWARD_LIMITS_HEADERS_SECONDS, \
    DOORWARD_LIMITS_REQUEST_SECONDS, DOORWARD_OUTBOUND_ALLOW, DOORWARD_TRACES_COLLECTOR, DOORWARD_TRACES_SHARE, DOORWARD_TRACES_HEADERS (name=value, with commas), \
    DOORWARD_TRACES_FROM_PROXIES. A setting that is unknown, contradictory or unsafe stops the start with a message.\n\n\
    SIGTERM and SIGINT finish the requests in flight, within 30 seconds unless told. SIGHUP reads the certificate's files again, and changes \
    nothing where there are none.";

const BACKUP: &str = "Copy the SQLite database into one file as it is at this moment, while the server runs and writes: every change that was \
    answered before is in it, and nothing by halves. The file carries a digest of what it holds, and is its owner's alone.\n\n\
    The master key is not inside unless --with-master-key puts it there: without it nothing sealed in the backup opens again. With it the \
    file alone holds every secret.\n\n\
    PostgreSQL has tools of its own for this; the command says which.";

const BACKUP_EXAMPLES: &str = "Examples:\n  \
    doorward backup --config /etc/doorward/doorward.toml /var/backups/doorward-2026-03-01.db\n  \
    doorward backup --data .doorward before-the-experiment.db --with-master-key";

/// `doorward backup`.
#[derive(Args, Debug)]
pub struct Backup {
    /// Where the data is.
    #[command(flatten)]
    pub source: Source,
    /// The file to make; it must not exist
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Put the master key inside too
    #[arg(long)]
    pub with_master_key: bool,
}

const RESTORE: &str = "Put a backup in the place of the SQLite database, while the server is stopped. Before anything there is touched, the backup \
    is copied, read whole, compared with its digest, brought up to date, and opened with the configured master key.\n\n\
    A database that is there already is replaced only with --replace, and kept beside it with `.replaced` at the end of its name. A master key \
    that is inside is written to the configured file if there is none.";

const RESTORE_EXAMPLES: &str = "Examples:\n  \
    doorward restore --config /etc/doorward/doorward.toml /var/backups/doorward-2026-03-01.db\n  \
    doorward restore --data .doorward before-the-experiment.db --replace";

/// `doorward restore`.
#[derive(Args, Debug)]
pub struct Restore {
    /// Where the data is to be.
    #[command(flatten)]
    pub source: Source,
    /// A file that `doorward backup` made
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Replace the database that is there
    #[arg(long)]
    pub replace: bool,
}

const COPY: &str = "Copy everything from the configured SQLite database to an empty PostgreSQL database, while the server is stopped. The schema is \
    made there, every row is copied and read back, and the digests of both must be the same; the SQLite file stays as it is. Then put the \
    new address into the configuration and start the server: the master key, the keys and all tokens stay good.";

const COPY_EXAMPLES: &str = "Example:\n  \
    doorward copy --config /etc/doorward/doorward.toml --to postgres://doorward@db.internal/doorward?sslmode=require";

/// `doorward copy`.
#[derive(Args, Debug)]
pub struct Copy {
    /// Where the data is.
    #[command(flatten)]
    pub source: Source,
    /// The address of the PostgreSQL database; or set DOORWARD_COPY_TO, which other users of the machine cannot see
    #[arg(long, value_name = "URL", env = "DOORWARD_COPY_TO", hide_env_values = true)]
    pub to: String,
}

const SERVE_EXAMPLES: &str = "First set-up:\n  \
    doorward keys new-master /etc/doorward/master.key\n  \
    doorward admin create-client --config /etc/doorward/doorward.toml --all-scopes\n  \
    doorward serve --config /etc/doorward/doorward.toml";

/// Commands that work on a configured server's data.
#[derive(Args, Debug)]
pub struct Configured {
    /// The settings of `doorward serve`
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
}

/// Whose data a command works on: a configured server's, or that of `doorward dev`.
#[derive(Args, Debug)]
pub struct Target {
    /// Where the data is.
    #[command(flatten)]
    pub source: Source,
    /// The tenant, by its id or host; it may be left out while there is only one
    #[arg(long, value_name = "ID|HOST")]
    pub tenant: Option<String>,
}

/// Where the data is.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub struct Source {
    /// The settings of `doorward serve`
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The data directory of `doorward dev`
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

/// `doorward admin …`. On SQLite these run while the server is stopped: the file belongs to one process.
#[derive(Debug, Subcommand)]
pub enum Admin {
    /// Make a machine client for the Management API and print its secret, this once
    #[command(after_help = "Examples:\n  \
        doorward admin create-client --config doorward.toml --all-scopes\n  \
        doorward admin create-client --config doorward.toml --name CI --scopes read:clients,update:clients\n\n\
        Keep the secret where only the program that uses it can read it.")]
    CreateClient(CreateClient),
    /// Make a tenant: its API, its connection, its signing keys and its account page's client
    #[command(after_help = "Example:\n  \
        doorward admin create-tenant --config doorward.toml --issuer https://id.example.com/")]
    CreateTenant(CreateTenant),
    /// Let a tenant be reached at a further host, whose tokens name it as their issuer
    #[command(after_help = "Example:\n  \
        doorward admin add-domain --config doorward.toml --issuer https://login.example.com/\n\n\
        Its name has to lead here, and the certificate has to be good for it. Apps are pointed at the host that they \
        shall use; the APIs keep their identifiers, the Management API too.")]
    AddDomain(Domain),
    /// Stop answering at a further host of a tenant
    #[command(after_help = "Example:\n  \
        doorward admin remove-domain --config doorward.toml --issuer https://login.example.com/\n\n\
        JWTs of that host are good nowhere from then on.")]
    RemoveDomain(Domain),
}

/// `doorward admin add-domain` and `remove-domain`.
#[derive(Args, Debug)]
pub struct Domain {
    /// Whose host it is.
    #[command(flatten)]
    pub target: Target,
    /// Where the tenant is reached too: an https origin
    #[arg(long, value_name = "URL")]
    pub issuer: String,
}

/// `doorward admin create-client`.
#[derive(Args, Debug)]
pub struct CreateClient {
    /// Whose data it is.
    #[command(flatten)]
    pub target: Target,
    /// What the client is called
    #[arg(long, default_value = "Administration")]
    pub name: String,
    /// What it may do.
    #[command(flatten)]
    pub scopes: Scopes,
}

/// What a machine client may do.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub struct Scopes {
    /// Every scope of the Management API
    #[arg(long)]
    pub all_scopes: bool,
    /// These scopes only
    #[arg(long, value_name = "SCOPE,…", value_delimiter = ',')]
    pub scopes: Vec<String>,
}

/// `doorward admin create-tenant`.
#[derive(Args, Debug)]
pub struct CreateTenant {
    /// Where the data is.
    #[command(flatten)]
    pub source: Source,
    /// Where the tenant is reached: an https origin
    #[arg(long, value_name = "URL")]
    pub issuer: String,
    /// A short id that never changes; derived from the host unless given
    #[arg(long)]
    pub id: Option<String>,
    /// What people read on its pages; the host unless given
    #[arg(long)]
    pub name: Option<String>,
}

/// `doorward keys …`. On SQLite these run while the server is stopped: the file belongs to one process.
#[derive(Debug, Subcommand)]
pub enum Keys {
    /// List a tenant's signing keys
    List(Target),
    /// Make the next signing key the current one, and publish a new next one
    #[command(after_help = "Tokens of the previous key stay good until they expire or the key is revoked.")]
    Rotate(Target),
    /// Refuse every token that a previous key signed
    #[command(after_help = "Example:\n  doorward keys revoke --config doorward.toml J3kVvUGr2pCj0WSwPZ7QB")]
    Revoke(Revoke),
    /// Make a master key: a new file of mode 0600
    #[command(after_help = "Example:\n  doorward keys new-master /etc/doorward/master.key\n\n\
        Keep a copy apart from the database's backups: without it nothing sealed in the database opens again.")]
    NewMaster {
        /// The file to make; it must not exist
        file: PathBuf,
    },
    /// Seal everything in the database under the newest master key
    #[command(after_help = "To change the master key:\n  \
        1. make a new one (`doorward keys new-master new.key`) and put its line above the old one in the key file;\n  \
        2. restart every node: they open with both and seal with the new one;\n  \
        3. run `doorward keys rewrap --config doorward.toml`;\n  \
        4. delete the old line and restart.")]
    Rewrap(Source),
}

/// `doorward keys revoke`.
#[derive(Args, Debug)]
pub struct Revoke {
    /// Whose data it is.
    #[command(flatten)]
    pub target: Target,
    /// The key's id, as `doorward keys list` shows it
    pub kid: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_client_has_all_scopes_or_the_named_ones() {
        let parse = |scopes: &[&str]| {
            let command = ["doorward", "admin", "create-client", "--config", "x.toml"];
            Cli::try_parse_from(command.iter().chain(scopes)).is_ok()
        };
        assert!(parse(&["--all-scopes"]) && parse(&["--scopes", "read:users,read:clients"]));
        assert!(!parse(&[]) && !parse(&["--all-scopes", "--scopes", "read:users"]));
    }
}
