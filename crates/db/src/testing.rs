//! Databases for tests, gone when the process ends, however it ends. Failures panic: a test has nothing better to do.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use crate::{Db, Sql};

/// The statements that ran, once somebody wants to know.
#[derive(Debug, Default)]
pub(crate) struct Noted(Mutex<Option<Vec<Sql>>>);

impl Noted {
    pub fn add<'a>(&self, statements: impl IntoIterator<Item = &'a Sql>) {
        if let Some(noted) = &mut *self.0.lock().expect("nobody panics here") {
            noted.extend(statements.into_iter().cloned());
        }
    }
}

impl Db {
    /// The texts of the statements that ran since the last call, in order; the first call starts the list.
    pub fn statements(&self) -> Vec<Sql> {
        let mut noted = self.0.noted.0.lock().expect("nobody panics here");
        noted.replace(Vec::new()).unwrap_or_default()
    }
}

/// A new SQLite file, as an address for [`Db::open`](crate::Db::open).
pub fn sqlite() -> String {
    static DIRECTORY: OnceLock<Guarded> = OnceLock::new();
    let directory = DIRECTORY.get_or_init(|| {
        Guarded::start(Command::new("sh"), DIRECTORY_SCRIPT, &[]).expect("a directory for temporary files")
    });
    format!("sqlite:{}/{}.db", directory.path, next_name())
}

/// What SQLite's own check says of a file that nobody has open: `ok`, or what is broken.
pub fn integrity(url: &str) -> String {
    let path = url.strip_prefix("sqlite:").expect("the address of a SQLite file");
    let file = rusqlite::Connection::open(path).expect("the file opens");
    file.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("the check answers")
}

/// What another program does to a SQLite file meanwhile: it ends with the value.
#[derive(Debug)]
pub struct Held {
    /// The connection whose transaction holds it.
    _connection: rusqlite::Connection,
}

impl Held {
    /// Reads, and goes on reading the same moment: what is written meanwhile stays in the log.
    pub fn read(url: &str) -> Self {
        Self::begun(url, "BEGIN; SELECT COUNT(*) FROM sqlite_master")
    }

    /// Holds the lock that a writer needs.
    pub fn write(url: &str) -> Self {
        Self::begun(url, "BEGIN IMMEDIATE; SELECT COUNT(*) FROM sqlite_master")
    }

    fn begun(url: &str, script: &str) -> Self {
        let path = url.strip_prefix("sqlite:").expect("the address of a SQLite file");
        let connection = rusqlite::Connection::open(path).expect("the file opens");
        connection.busy_timeout(std::time::Duration::from_secs(10)).expect("is set");
        connection.execute_batch(script).expect("the transaction begins");
        Self { _connection: connection }
    }
}

/// How SQLite would run a query: a line a step, `SCAN …` where it reads a whole table or index. The file is one that nobody has open
/// in this process.
pub fn plan(url: &str, sql: &str) -> Vec<String> {
    let path = url.strip_prefix("sqlite:").expect("the address of a SQLite file");
    let file = rusqlite::Connection::open(path).expect("the file opens");
    let mut statement = file.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect("is a query");
    // A plan does not look at the values.
    let nothing = std::iter::repeat_n(rusqlite::types::Null, statement.parameter_count());
    let steps =
        statement.query_map(rusqlite::params_from_iter(nothing), |row| row.get(3)).expect("it is explained");
    steps.collect::<Result<_, _>>().expect("steps are text")
}

/// PostgreSQL: the server that `TEST_DATABASE_URL` names, or a private cluster, one per process, when its programs are installed.
#[derive(Debug)]
pub struct Postgres;

impl Postgres {
    /// A new, empty database, as an address for [`Db::open`](crate::Db::open).
    pub async fn database() -> String {
        static SERVER: OnceLock<Server> = OnceLock::new();
        Self::database_on(&SERVER, FAST).await
    }

    /// The same on a server that answers when what was written is on the disk, as a production server does: for measures.
    pub async fn durable_database() -> String {
        static SERVER: OnceLock<Server> = OnceLock::new();
        Self::database_on(&SERVER, DURABLE).await
    }

    async fn database_on(server: &'static OnceLock<Server>, settings: &'static str) -> String {
        let started =
            tokio::task::spawn_blocking(move || server.get_or_init(|| Server::start(settings))).await;
        let server = started.expect("starting PostgreSQL");
        let name = next_name();
        let script =
            format!("CREATE DATABASE {name} ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
        let made = crate::postgres::Postgres::execute_script(&server.address("postgres"), &script).await;
        made.unwrap_or_else(|error| panic!("{script}: {error}"));
        server.address(&name)
    }

    /// Runs statements as the owner of the server, in the database of that address: to do what no program does.
    pub async fn execute(url: &str, script: &str) {
        let ran = crate::postgres::Postgres::execute_script(url, script).await;
        ran.unwrap_or_else(|error| panic!("{script}: {error}"));
    }
}

/// A PostgreSQL server and its standby, which every commit reaches before it is answered. They are the test's own, and end with it.
#[derive(Debug)]
pub struct Pair {
    cluster: Guarded,
    ports: [String; 2],
}

impl Pair {
    /// Starts both.
    pub async fn start() -> Self {
        let started = tokio::task::spawn_blocking(|| {
            let programs = programs(&["initdb", "postgres", "pg_basebackup", "psql"])
                .expect("the tests of two servers need PostgreSQL's server programs");
            (0..5).find_map(|_| {
                let ports = [free_port(), free_port()];
                let arguments = [&*programs.to_string_lossy(), &ports[0], &ports[1]];
                Guarded::start(as_postgres(), PAIR_SCRIPT, &arguments).map(|cluster| Self { cluster, ports })
            })
        });
        started.await.expect("starting PostgreSQL").expect("PostgreSQL did not start")
    }

    /// A new, empty database: its address at the primary and at the standby.
    pub async fn database(&self) -> [String; 2] {
        let name = next_name();
        let addresses = |name: &str| {
            self.ports
                .each_ref()
                .map(|port| format!("postgres://doorward@127.0.0.1:{port}/{name}?pool_size=8"))
        };
        let script =
            format!("CREATE DATABASE {name} ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
        Postgres::execute(&addresses("postgres")[0], &script).await;
        let both = addresses(&name);
        // The standby has heard of it by now, and yet may have to copy its files.
        for _ in 0..600 {
            if crate::postgres::Postgres::execute_script(&both[1], "SELECT 1").await.is_ok() {
                return both;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the standby does not come to have {name}");
    }

    /// An address that leads to whichever of the two takes writes.
    pub fn either(&self, [primary, _]: &[String; 2]) -> String {
        let name = primary.rsplit_once('/').map_or("", |(_, name)| name);
        let [one, two] = &self.ports;
        format!("postgres://doorward@127.0.0.1:{one},127.0.0.1:{two}/{name}&target_session_attrs=read-write")
    }

    /// Ends the primary as a power cut does.
    pub fn kill_primary(&self) {
        let file = format!("{}/data/postmaster.pid", self.cluster.path);
        let text = std::fs::read_to_string(file).expect("the primary runs");
        let killed = Command::new("kill").args(["-QUIT", text.lines().next().unwrap_or_default()]).status();
        assert!(killed.is_ok_and(|status| status.success()), "the primary takes signals");
    }

    /// Makes the standby the primary.
    pub async fn promote(&self) {
        let address = format!("postgres://doorward@127.0.0.1:{}/postgres", self.ports[1]);
        Postgres::execute(&address, "SELECT pg_promote(true, 30)").await;
    }
}

struct Server {
    /// Before and behind the database's name.
    address: (String, String),
    _cluster: Option<Guarded>,
}

impl Server {
    fn start(settings: &str) -> Self {
        if let Ok(given) = std::env::var("TEST_DATABASE_URL") {
            let (base, query) = given.split_once('?').unwrap_or((&given, ""));
            let authority = base.find("://").map_or(0, |at| at + 3);
            let end = base[authority..].find('/').map_or(base.len(), |at| authority + at);
            return Self { address: (format!("{}/", &base[..end]), format!("?{query}")), _cluster: None };
        }
        let programs = programs(&["initdb", "postgres"]).expect(
            "the tests need PostgreSQL: install its server programs, or set TEST_DATABASE_URL to a server's address",
        );
        // Another process may take the port before the cluster does.
        let started = (0..5).find_map(|_| {
            let port = free_port();
            let arguments = [&*programs.to_string_lossy(), &port, settings];
            Guarded::start(as_postgres(), CLUSTER_SCRIPT, &arguments).map(|cluster| (port, cluster))
        });
        let (port, cluster) = started.expect("PostgreSQL did not start");
        let host = cluster.path.replace('/', "%2F");
        // Many tests share a server that serves few at a time.
        let pool = if settings == FAST { "?pool_size=8" } else { "" };
        let address = (format!("postgres://doorward@{host}:{port}/"), pool.to_owned());
        Self { address, _cluster: Some(cluster) }
    }

    fn address(&self, name: &str) -> String {
        format!("{}{name}{}", self.address.0, self.address.1)
    }
}

/// Unlike any other, also of other processes on the same server.
fn next_name() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let scatter = crate::retry::scatter();
    format!("doorward_test_{}_{}_{scatter:016x}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Where these programs of PostgreSQL are: on the path, or where Debian puts the newest.
fn programs(wanted: &[&str]) -> Option<PathBuf> {
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut debian: Vec<_> = debian.map(|version| version.path().join("bin")).collect();
    debian.sort();
    std::env::split_paths(&on_path)
        .chain(debian.into_iter().rev())
        .find(|directory| wanted.iter().all(|program| directory.join(program).exists()))
}

/// A port that was free just now.
fn free_port() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    listener.expect("a free port").port().to_string()
}

/// PostgreSQL refuses to run as root.
fn as_postgres() -> Command {
    let root = std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    if !root {
        return Command::new("sh");
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--init-groups", "sh"]);
    command
}

/// A directory, and what runs in it, in the care of a shell that waits for our end of a pipe to close. The kernel closes it when this
/// process ends, even when it is killed.
#[derive(Debug)]
struct Guarded {
    path: String,
    _shell: Child,
}

impl Guarded {
    /// `script` says the directory's path on its first line of output, and then waits for the end of its input. `None` when it ends
    /// without a word.
    fn start(mut shell: Command, script: &str, arguments: &[&str]) -> Option<Self> {
        let temporary = std::env::temp_dir();
        let mut shell = shell
            .args(["-c", script, "sh"])
            .arg(&temporary)
            .args(arguments)
            .current_dir(Path::new("/"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .expect("a shell");
        let mut path = String::new();
        let said = BufReader::new(shell.stdout.take().expect("its output is piped")).read_line(&mut path);
        said.expect("its output is text");
        path.starts_with('/').then(|| Self { path: path.trim_end().to_owned(), _shell: shell })
    }
}

/// `$1` is the directory for temporary files.
const DIRECTORY_SCRIPT: &str = r#"
trap '' INT TERM HUP PIPE
directory=$(mktemp -d "$1/doorward-sqlite-XXXXXX") || exit 1
echo "$directory"
cat >/dev/null
rm -rf "$directory"
"#;

/// Settings of a server whose data nobody will miss.
const FAST: &str = "-c fsync=off -c full_page_writes=off -c synchronous_commit=off -c autovacuum=off";
/// Settings of a server that loses nothing: its defaults.
const DURABLE: &str = "";

/// `$2` is the directory of PostgreSQL's programs, `$3` a port, `$4` further settings.
const CLUSTER_SCRIPT: &str = r#"
trap '' INT TERM HUP PIPE
directory=$(mktemp -d "$1/doorward-postgres-XXXXXX") || exit 1
chmod 755 "$directory"
log="$directory/log"
"$2/initdb" --pgdata="$directory/data" --username=doorward --auth=trust --encoding=UTF8 --locale=C --no-sync >"$log" 2>&1 &&
"$2/postgres" -D "$directory/data" -k "$directory" -p "$3" -c listen_addresses=127.0.0.1 \
    -c max_connections=300 $4 >>"$log" 2>&1 &
server=$!
tries=0
until grep -q ready "$directory/data/postmaster.pid" 2>/dev/null; do
    tries=$((tries + 1))
    if [ $tries -gt 3000 ] || ! kill -0 $server 2>/dev/null; then
        cat "$log" >&2
        rm -rf "$directory"
        exit 1
    fi
    sleep 0.02
done
echo "$directory"
cat >/dev/null
kill -QUIT "$(head -n 1 "$directory/data/postmaster.pid")"
wait $server
rm -rf "$directory"
"#;

/// `$2` is the directory of PostgreSQL's programs, `$3` and `$4` are ports.
const PAIR_SCRIPT: &str = r#"
trap '' INT TERM HUP PIPE
directory=$(mktemp -d "$1/doorward-postgres-XXXXXX") || exit 1
chmod 755 "$directory"
log="$directory/log"
serve() {
    "$programs/postgres" -D "$directory/$1" -k "$directory" -p "$2" -c listen_addresses=127.0.0.1 -c fsync=off \
        -c full_page_writes=off -c autovacuum=off -c max_connections=100 >>"$log" 2>&1 &
    server=$!
    tries=0
    until grep -qE 'ready|standby' "$directory/$1/postmaster.pid" 2>/dev/null; do
        tries=$((tries + 1))
        if [ $tries -gt 3000 ] || ! kill -0 $server 2>/dev/null; then failed; fi
        sleep 0.02
    done
}
stop() {
    for data in standby data; do
        pid=$(head -n 1 "$directory/$data/postmaster.pid" 2>/dev/null) && kill -QUIT "$pid" 2>/dev/null
    done
    wait
    rm -rf "$directory"
}
failed() { cat "$log" >&2; stop; exit 1; }
programs=$2
"$programs/initdb" --pgdata="$directory/data" --username=doorward --auth=trust --encoding=UTF8 --locale=C --no-sync >"$log" 2>&1 || failed
serve data "$3"
"$programs/pg_basebackup" -h 127.0.0.1 -p "$3" -U doorward -D "$directory/standby" -R -X stream -c fast --no-sync >>"$log" 2>&1 || failed
serve standby "$4"
"$programs/psql" -h 127.0.0.1 -p "$3" -U doorward -d postgres -qc "ALTER SYSTEM SET synchronous_standby_names = '*'" \
    -c "SELECT pg_reload_conf()" >>"$log" 2>&1 || failed
echo "$directory"
cat >/dev/null
stop
"#;
