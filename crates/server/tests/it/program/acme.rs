//! Certificates by ACME, from the authority that is made for such tests. `make acme` gets it and runs this.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::running::free_address;
use crate::support::binary::{Server, Site, mode};
use crate::support::tls;

/// A running authority: its directory, and the certificate that it is trusted by.
struct Authority {
    child: Child,
    directory: String,
    root: PathBuf,
    roots: String,
}

impl Authority {
    /// One that looks for its proofs at this port, and whose certificates live for so many seconds.
    async fn start(place: &Path, proofs_at: u16, seconds: u64) -> Self {
        let binary =
            std::env::var_os("PEBBLE").expect("PEBBLE names the authority's program: see `make acme`");
        let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let root = place.join("authority.pem");
        std::fs::write(&root, own.cert.pem()).expect("writes");
        std::fs::write(place.join("authority-key.pem"), own.signing_key.serialize_pem()).expect("writes");
        let (listens, manages) = (free_address(), free_address());
        let config = json!({ "pebble": {
            "listenAddress": listens, "managementListenAddress": manages,
            "certificate": root, "privateKey": place.join("authority-key.pem"),
            "httpPort": 1, "tlsPort": proofs_at, "ocspResponderURL": "", "externalAccountBindingRequired": false,
            "profiles": { "default": { "description": "short", "validityPeriod": seconds } },
        }});
        let file = place.join("authority.json");
        std::fs::write(&file, config.to_string()).expect("writes");
        let mut command = Command::new(binary);
        command.arg("-config").arg(&file).env("PEBBLE_VA_NOSLEEP", "1").stdout(Stdio::null());
        let directory = format!("https://localhost:{}/dir", listens.port());
        let roots = format!("https://localhost:{}/roots/0", manages.port());
        let started = Self { child: command.spawn().expect("the authority starts"), directory, root, roots };
        for _ in 0..1000 {
            if std::net::TcpStream::connect(listens).is_ok() {
                return started;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the authority does not answer");
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until the server shows another certificate than this one; the one it shows.
async fn shows_another(server: &Server, roots: &Path, than: Option<&[u8]>) -> Vec<u8> {
    let begun = Instant::now();
    loop {
        if let Some(shown) = tls::shown(roots, server.address, "localhost").await
            && Some(&*shown) != than
        {
            return shown;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "no certificate comes: {:#?}", server.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The first start orders a certificate and proves the name on its own port; it is renewed before it ends, and kept over a restart.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs an authority: `make acme`"]
async fn certificates_are_ordered_and_renewed() {
    let place = tempfile::tempdir().expect("a directory");
    let address = free_address();
    let authority = Authority::start(place.path(), address.port(), 20).await;
    let lines = format!(
        "issuer = \"https://localhost:{}/\"\n[outbound]\nallow = [\"127.0.0.1\", \"::1\"]\n[acme]\nagree_to_terms = true\n\
         store = \"acme\"\ncontact = \"mailto:admin@example.com\"\ndirectory = \"{}\"\nroot = \"{}\"",
        address.port(),
        authority.directory,
        authority.root.display()
    );
    let site = Site::with("sqlite:doorward.db", &lines);
    let config = std::fs::read_to_string(&site.config).expect("reads");
    // On both families: a name of this machine leads to either.
    let config = config
        .replace("127.0.0.1:0", &format!("[::]:{}", address.port()))
        .replace("trusted_proxies = [\"127.0.0.1\"]\n", "");
    std::fs::write(&site.config, config).expect("writes");

    let roots = place.path().join("roots.pem");
    let root = Command::new("curl").args(["-sk", &authority.roots]).output().expect("curl runs").stdout;
    std::fs::write(&roots, root).expect("writes");
    let server = site.serve();
    let first = shows_another(&server, &roots, None).await;
    let (_, answer) =
        tls::ask(&roots, server.address, &format!("localhost:{}", address.port()), "/.well-known/jwks.json")
            .await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    let second = shows_another(&server, &roots, Some(&first)).await;
    for file in ["account.json", "chain.pem", "key.pem"] {
        assert_eq!(mode(&site.directory.path().join("acme").join(file)), 0o600, "{file}");
    }
    server.terminate();
    assert_eq!(server.wait().code(), Some(0));

    // What was kept serves at once, the authority being away.
    drop(authority);
    let server = site.serve();
    assert_eq!(tls::shown(&roots, server.address, "localhost").await.as_deref(), Some(&*second));
}
