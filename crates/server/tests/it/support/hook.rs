//! An endpoint on this machine that takes what is posted to it, and serves a document, over TLS with a certificate that [`TestApp`](super::TestApp) trusts.

use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// The certificate for `127.0.0.1`, and its key.
static OWN: LazyLock<(CertificateDer<'static>, Vec<u8>)> = LazyLock::new(|| {
    let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    (own.cert.der().clone(), own.signing_key.serialize_der())
});

/// What the product trusts under test.
pub fn trust() -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(OWN.0.clone()).expect("it is a certificate");
    ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has them")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// What came: the head in lower case, and the body.
pub type Post = (String, String);

pub struct Hook {
    pub url: String,
    status: Arc<AtomicU16>,
    /// Milliseconds before it answers.
    pause: Arc<AtomicU16>,
    posts: Arc<Mutex<Vec<Post>>>,
    document: Arc<Mutex<String>>,
}

impl Hook {
    /// One that takes everything.
    pub async fn open() -> Self {
        let key = PrivateKeyDer::try_from(OWN.1.clone()).expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider has them")
            .with_no_client_auth()
            .with_single_cert(vec![OWN.0.clone()], key)
            .expect("they belong together");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("https://{}/logs?x=1", listener.local_addr().expect("bound"));
        let (status, posts) = (Arc::new(AtomicU16::new(200)), Arc::<Mutex<Vec<Post>>>::default());
        let document = Arc::<Mutex<String>>::default();
        let pause = Arc::new(AtomicU16::new(0));
        let (answer, late) = (status.clone(), pause.clone());
        let (seen, served) = (posts.clone(), document.clone());
        tokio::spawn(async move {
            let acceptor = TlsAcceptor::from(Arc::new(config));
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, answer) = (acceptor.clone(), (answer.clone(), late.clone()));
                tokio::spawn(take(stream, acceptor, answer, seen.clone(), served.clone()));
            }
        });
        Self { url, status, pause, posts, document }
    }

    /// Serves this from now on.
    pub fn serves(&self, document: impl ToString) {
        *self.document.lock().expect("nobody panics") = document.to_string();
    }

    /// Answers so from now on.
    pub fn answers(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    /// Takes so long from now on before it answers.
    pub fn waits(&self, milliseconds: u16) {
        self.pause.store(milliseconds, Ordering::SeqCst);
    }

    /// What came since the last call, and was taken or not.
    pub fn posts(&self) -> Vec<Post> {
        std::mem::take(&mut *self.posts.lock().expect("nobody panics"))
    }
}

async fn take(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    (status, pause): (Arc<AtomicU16>, Arc<AtomicU16>),
    posts: Arc<Mutex<Vec<Post>>>,
    document: Arc<Mutex<String>>,
) -> Option<()> {
    let mut stream = acceptor.accept(stream).await.ok()?;
    let mut bytes = Vec::new();
    let (head, length) = loop {
        stream.read_buf(&mut bytes).await.ok().filter(|read| *read > 0)?;
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length = length.map_or(Some(0), |length| length.parse::<usize>().ok())?;
        break (head, end + 4 + length);
    };
    while bytes.len() < length {
        stream.read_buf(&mut bytes).await.ok().filter(|read| *read > 0)?;
    }
    let body = bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|end| bytes[end + 4..].to_vec())?;
    posts.lock().expect("nobody panics").push((head, String::from_utf8_lossy(&body).into_owned()));
    tokio::time::sleep(Duration::from_millis(pause.load(Ordering::SeqCst).into())).await;
    let document = document.lock().expect("nobody panics").clone();
    let answer = format!(
        "HTTP/1.1 {} x\r\ncontent-length: {}\r\nlocation: https://127.0.0.1:1/\r\n\r\n{document}",
        status.load(Ordering::SeqCst),
        document.len()
    );
    stream.write_all(answer.as_bytes()).await.ok()?;
    stream.shutdown().await.ok()
}
