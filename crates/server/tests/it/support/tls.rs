//! A browser's end of a TLS connection.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// The certificate that the server shows, if those in `roots` vouch for it.
pub async fn shown(roots: &Path, address: SocketAddr, name: &str) -> Option<Vec<u8>> {
    let host = ServerName::try_from(name.to_owned()).expect("a name");
    let stream = TcpStream::connect(address).await.ok()?;
    let stream = connector(roots).connect(host, stream).await.ok()?;
    Some(stream.get_ref().1.peer_certificates()?[0].to_vec())
}

fn connector(roots: &Path) -> TlsConnector {
    let mut trusted = RootCertStore::empty();
    trusted.add(CertificateDer::from_pem_file(roots).expect("a certificate")).expect("a root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the default versions")
        .with_root_certificates(trusted)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

/// Asks over TLS, trusting the certificates in `roots` alone; returns the server's certificate and the whole answer.
pub async fn ask(
    roots: &Path,
    address: SocketAddr,
    name: &str,
    path: &str,
) -> (CertificateDer<'static>, String) {
    let host = ServerName::try_from(name.split(':').next().expect("a name").to_owned()).expect("a name");
    let stream = TcpStream::connect(address).await.expect("the server listens");
    let mut stream = connector(roots).connect(host, stream).await.expect("a trusted server");
    let certificate = stream.get_ref().1.peer_certificates().expect("it showed one")[0].clone().into_owned();
    let request = format!("GET {path} HTTP/1.1\r\nhost: {name}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("the server reads");
    let mut answer = String::new();
    // A server may close without a farewell once it has answered.
    let _ = stream.read_to_string(&mut answer).await;
    (certificate, answer)
}
