//! Starting, stopping, and the one process that a SQLite file belongs to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::support::binary::{Site, complaint, mode};
use crate::support::engine::Engine;
use crate::support::tls;

#[tokio::test]
async fn st_06_a_second_process_on_the_same_file_is_refused() {
    let site = Site::with("sqlite:doorward.db", "issuer = \"https://id.test/\"");
    let first = site.serve();
    for command in
        [&["serve"][..], &["migrate"], &["keys", "list"], &["admin", "create-client", "--all-scopes"]]
    {
        let second = site.command(command);
        let said = complaint(&second);
        assert_eq!(second.status.code(), Some(1), "{command:?}: {said}");
        assert!(
            said.contains("cannot open the database: ") && said.contains("another process"),
            "{command:?}: {said}"
        );
        assert!(said.contains("doorward.db"), "{command:?}: {said}");
    }
    let answer = first.ask("GET", "/.well-known/jwks.json", "", "").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert_eq!(mode(&site.directory.path().join("doorward.db")), 0o600);
    first.terminate();
    assert_eq!(first.wait().code(), Some(0));
    assert!(site.command(&["keys", "list"]).status.success());
}

/// Nodes that start at once on an empty database agree on who makes the schema and the tenant.
#[tokio::test]
async fn several_nodes_start_at_once_on_an_empty_database() {
    let site = Arc::new(Site::new(Engine::Postgres).await);
    let starting: Vec<_> = (0..4)
        .map(|_| {
            let site = site.clone();
            tokio::task::spawn_blocking(move || site.serve())
        })
        .collect();
    let mut keys = Vec::new();
    for node in starting {
        let node = node.await.expect("the node starts");
        keys.push(node.json("GET", "/.well-known/jwks.json", "", "").await);
    }
    assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
}

/// SIGHUP reads the certificate again; one that does not fit is refused, and the old one serves on.
#[tokio::test]
async fn a_new_certificate_is_served_without_a_restart() {
    let tls = "issuer = \"https://id.test/\"\n[tls]\ncertificate = \"chain.pem\"\nkey = \"key.pem\"";
    let site = Site::with("sqlite:doorward.db", tls);
    let write =
        |name: &str, text: &str| std::fs::write(site.directory.path().join(name), text).expect("writes");
    let fresh = || rcgen::generate_simple_self_signed(["id.test".to_owned()]).expect("a certificate");
    let (first, second) = (fresh(), fresh());
    write("chain.pem", &first.cert.pem());
    write("key.pem", &first.signing_key.serialize_pem());
    let server = site.serve();
    let roots = site.directory.path().join("roots.pem");
    write("roots.pem", &first.cert.pem());
    let (shown, answer) = tls::ask(&roots, server.address, "id.test", "/.well-known/jwks.json").await;
    assert_eq!(&shown, first.cert.der());
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");

    write("chain.pem", &second.cert.pem());
    server.signal("-HUP");
    server.logs("keeping the old certificate");
    assert_eq!(&tls::ask(&roots, server.address, "id.test", "/").await.0, first.cert.der());

    write("key.pem", &second.signing_key.serialize_pem());
    server.signal("-HUP");
    server.logs("serving the certificate read again");
    write("roots.pem", &second.cert.pem());
    assert_eq!(&tls::ask(&roots, server.address, "id.test", "/").await.0, second.cert.der());
}

/// A manager of services sends SIGHUP to whatever runs. Where there are no files to read again nothing ends.
#[tokio::test]
async fn a_hangup_ends_no_server_that_has_no_certificate_of_its_own() {
    let site = Site::with("sqlite:doorward.db", "issuer = \"https://id.test/\"");
    let server = site.serve();
    server.signal("-HUP");
    server.logs("there is no certificate's file to read again");
    let answer = server.ask("GET", "/.well-known/jwks.json", "", "").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    server.terminate();
    assert_eq!(server.wait().code(), Some(0));
}

/// Whoever started with a strange key would seal with it what the right one does not open.
#[tokio::test]
async fn another_master_key_is_refused_before_it_seals_anything() {
    let site = Site::with("sqlite:doorward.db", "issuer = \"https://id.test/\"");
    let server = site.serve();
    server.terminate();
    assert_eq!(server.wait().code(), Some(0));
    let key = site.directory.path().join("master.key");
    let right = std::fs::read(&key).expect("the key is there");
    let other = Site::with("sqlite:doorward.db", "issuer = \"https://id.test/\"");
    std::fs::copy(other.directory.path().join("master.key"), &key).expect("another takes its place");
    for command in [&["serve"][..], &["keys", "rotate"], &["admin", "create-client", "--all-scopes"]] {
        let refused = site.command(command);
        let said = complaint(&refused);
        assert_eq!(refused.status.code(), Some(1), "{command:?}: {said}");
        assert!(said.contains("the master key is not the one of this database"), "{command:?}: {said}");
    }
    std::fs::write(&key, right).expect("it comes back");
    let server = site.serve();
    let answer = server.ask("GET", "/.well-known/jwks.json", "", "").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
}

both_databases! {
    /// Requests that were accepted when SIGTERM came are answered, none is cut off, and the program ends well.
    async fn st_08_a_stop_drops_no_request(engine: Engine) {
        let site = Site::new(engine).await;
        let server = site.serve();
        let (stopping, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let callers: Vec<_> = (0..16)
            .map(|_| tokio::spawn(hammer(server.address, stopping.clone(), answered.clone())))
            .collect();
        while answered.load(Ordering::Relaxed) < 500 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        server.terminate();
        for caller in callers {
            caller.await.expect("no request is cut off");
        }
        assert_eq!(server.wait().code(), Some(0));
    }
}

/// Asks over kept connections until the server takes no new one. An answer that is cut off panics.
async fn hammer(address: std::net::SocketAddr, stopping: Arc<AtomicBool>, answered: Arc<AtomicUsize>) {
    while let Ok(stream) = TcpStream::connect(address).await {
        let mut stream = BufReader::new(stream);
        loop {
            let request = b"GET /.well-known/jwks.json HTTP/1.1\r\nhost: id.test\r\n\r\n";
            stream.write_all(request).await.expect("the server reads");
            let (mut length, mut close, mut line) = (0, false, String::new());
            stream.read_line(&mut line).await.expect("the server answers");
            assert_eq!(line, "HTTP/1.1 200 OK\r\n");
            loop {
                line.clear();
                stream.read_line(&mut line).await.expect("the server answers");
                let header = line.trim_end().to_ascii_lowercase();
                match header.split_once(": ") {
                    Some(("content-length", value)) => length = value.parse().expect("is a number"),
                    Some(("connection", value)) => close = value == "close",
                    Some(_) => {}
                    None => break,
                }
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).await.expect("the whole body comes");
            answered.fetch_add(1, Ordering::Relaxed);
            if close {
                stopping.store(true, Ordering::Relaxed);
                break;
            }
        }
        if stopping.load(Ordering::Relaxed) {
            return;
        }
    }
}
