//! The built binary, run as an operator runs it.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Engine;

const BINARY: &str = env!("CARGO_BIN_EXE_doorward");
const PATIENCE: Duration = Duration::from_secs(60);

/// A configuration of `serve` in a directory of its own: plain HTTP behind a proxy on this machine.
pub struct Site {
    pub directory: TempDir,
    pub config: PathBuf,
}

impl Site {
    /// With a master key and a database of this kind.
    pub async fn new(engine: Engine) -> Self {
        Self::with(&engine.database().await, "issuer = \"https://id.test/\"")
    }

    /// With further lines.
    pub fn with(database: &str, lines: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let key = directory.path().join("master.key");
        assert!(run(&["keys", "new-master", &key.to_string_lossy()]).status.success());
        let config = directory.path().join("doorward.toml");
        let text = format!(
            "database = \"{database}\"\nlisten = \"127.0.0.1:0\"\nmaster_key_file = \"master.key\"\n\
             trusted_proxies = [\"127.0.0.1\"]\n{lines}\n"
        );
        std::fs::write(&config, text).expect("writes");
        Self { directory, config }
    }

    /// Runs a command with `--config`, and waits for its end.
    pub fn command(&self, arguments: &[&str]) -> Output {
        bounded(arguments).arg("--config").arg(&self.config).output().expect("the binary runs")
    }

    /// Starts `serve`, and waits until it says that it is ready.
    pub fn serve(&self) -> Server {
        Server::start(clean(BINARY).arg("serve").arg("--config").arg(&self.config), |line| {
            let event: serde_json::Value = serde_json::from_str(line).ok()?;
            if event["message"] == "ready" { event["address"].as_str()?.parse().ok() } else { None }
        })
    }
}

/// A program with nothing of ours in its environment.
fn clean(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env_remove("RUST_LOG");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("DOORWARD_")) {
        command.env_remove(name);
    }
    command
}

/// The binary with arguments, ended after a minute: it is expected to end by itself.
pub fn bounded(arguments: &[&str]) -> Command {
    let mut command = clean("timeout");
    command.args(["60", BINARY]).args(arguments);
    command
}

/// Runs the binary to its end.
pub fn run(arguments: &[&str]) -> Output {
    bounded(arguments).output().expect("the binary runs")
}

/// What a command wrote to standard error.
pub fn complaint(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("is text")
}

/// A running `doorward serve`. It is killed with its value.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    log: Receiver<String>,
    /// Whether nobody reads what it writes any more.
    deaf: Arc<AtomicBool>,
}

impl Server {
    /// `doorward dev` in a data directory, on a port of its own.
    pub fn dev(data: &Path, arguments: &[&str]) -> Self {
        let mut command = clean(BINARY);
        command.args(["dev", "--listen", "127.0.0.1:0", "--data"]).arg(data).args(arguments);
        Self::start(&mut command, |line| {
            let url = line.strip_prefix("Doorward is ready at https://localhost:")?;
            Some(([127, 0, 0, 1], url.trim_end_matches('/').parse().ok()?).into())
        })
    }

    /// `ready` finds, in the line that says so, where it listens.
    fn start(command: &mut Command, ready: fn(&str) -> Option<SocketAddr>) -> Self {
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs");
        let (sender, log) = channel();
        let deaf = Arc::new(AtomicBool::new(false));
        forward(child.stdout.take().expect("is piped"), sender.clone(), deaf.clone());
        forward(child.stderr.take().expect("is piped"), sender, deaf.clone());
        let mut server = Self { child, address: ([0, 0, 0, 0], 0).into(), log, deaf };
        let mut said = Vec::new();
        server.address = loop {
            let line = server.log.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("it is never ready: {said:#?}"));
            match ready(&line) {
                Some(address) => break address,
                None => said.push(line),
            }
        };
        server
    }

    /// What it has logged since it was ready.
    pub fn log(&self) -> Vec<String> {
        self.log.try_iter().collect()
    }

    /// Stops to read what it writes, and leaves the pipe open.
    pub fn turn_deaf(&self) {
        self.deaf.store(true, Ordering::Relaxed);
    }

    /// The answer to one request, as it came.
    pub async fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.expect("the server listens");
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: id.test\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.expect("the server reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("the server answers");
        answer
    }

    /// The body of an answer, which must be JSON.
    pub async fn json(&self, method: &str, path: &str, headers: &str, body: &str) -> serde_json::Value {
        let answer = self.ask(method, path, headers, body).await;
        let (_, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
        serde_json::from_str(body).unwrap_or_else(|_| panic!("no JSON: {answer}"))
    }

    /// The resident memory of the process, in bytes.
    pub fn memory(&self) -> u64 {
        self.told("VmRSS:")
    }

    /// The most that it ever was.
    pub fn peak_memory(&self) -> u64 {
        self.told("VmHWM:")
    }

    fn told(&self, name: &str) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let text = std::fs::read_to_string(path).expect("the process is there");
        let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("the kernel tells");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("is a number") * 1024
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        self.signal("-TERM");
    }

    /// Sends a signal.
    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().expect("there is kill").success());
    }

    /// Waits until it logs a line with `text`.
    pub fn logs(&self, text: &str) {
        while !self
            .log
            .recv_timeout(PATIENCE)
            .unwrap_or_else(|_| panic!("never logged: {text}"))
            .contains(text)
        {}
    }

    /// Waits for the end.
    pub fn wait(mut self) -> ExitStatus {
        self.child.wait().expect("it ends")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends the lines of a stream on until it ends or nobody listens.
fn forward(stream: impl Read + Send + 'static, lines: Sender<String>, deaf: Arc<AtomicBool>) {
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            while deaf.load(Ordering::Relaxed) {
                std::thread::park_timeout(Duration::from_secs(1));
            }
            // A line that nobody takes is thrown away, so that the writer never waits.
            drop(lines.send(line));
        }
    });
}

/// The permission bits of a file.
pub fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).expect("is there").permissions().mode() & 0o777
}
