//! Certificates that clients show on the connection (RFC 8705): asked for where the operator wants it, and demanded of nobody.
//!
//! A handshake proves that the client holds the key of its certificate, whoever signed it: some clients are known by their very certificate.
//! Whether an authority vouches for the name in it is looked at besides, and told with it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::client_certificates::ClientCertificate;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, UnixTime};

/// Why the authorities cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("`tls.client_authorities`: {}: {}", .0.display(), .1)]
    Unreadable(PathBuf, pem::Error),
    /// It holds no certificate of an authority.
    #[error("`tls.client_authorities`: {}: holds no certificate of an authority", .0.display())]
    None(PathBuf),
}

/// How clients' certificates are asked for and looked at.
#[derive(Clone)]
pub struct ClientCertificates {
    provider: Arc<CryptoProvider>,
    authorities: Option<Arc<dyn ClientCertVerifier>>,
}

impl ClientCertificates {
    /// With the authorities in a PEM file, where there is one. Without, a certificate proves nothing but itself.
    ///
    /// # Errors
    /// When the file holds none.
    pub fn read(authorities: Option<&Path>) -> Result<Self, Error> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let Some(path) = authorities else { return Ok(Self { provider, authorities: None }) };
        let refuse = |error| Error::Unreadable(path.into(), error);
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(path).map_err(refuse)? {
            let _ = roots.add(certificate.map_err(refuse)?);
        }
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build();
        let authorities = verifier.map_err(|_| Error::None(path.into()))?;
        Ok(Self { provider, authorities: Some(authorities) })
    }

    /// What the client proved to hold: its own certificate first, then those that lead to an authority.
    pub fn look(&self, chain: &[CertificateDer<'_>]) -> Option<ClientCertificate> {
        let (own, others) = chain.split_first()?;
        let vouched = |verifier: &Arc<dyn ClientCertVerifier>| {
            verifier.verify_client_cert(own, others, UnixTime::now()).is_ok()
        };
        ClientCertificate::from_der(own, self.authorities.as_ref().is_some_and(vouched))
    }
}

impl fmt::Debug for ClientCertificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificates").field("authorities", &self.authorities.is_some()).finish()
    }
}

impl ClientCertVerifier for ClientCertificates {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // None: a client that is known by its very certificate shows it too.
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::routing::get;
    use axum::{Extension, Router};
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
    use rustls::ClientConfig;
    use rustls::sign::CertifiedKey;
    use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio_rustls::TlsConnector;

    use super::*;
    use crate::listener::Listener;
    use crate::tls::Certificate;

    type Shown = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

    fn key(pair: &KeyPair) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(pair.serialize_der()).into()
    }

    fn named(name: &str) -> CertificateParams {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params
    }

    /// A server that tells what it saw, and the certificate it shows.
    async fn start(clients: Option<ClientCertificates>) -> (SocketAddr, CertificateDer<'static>) {
        let own = rcgen::generate_simple_self_signed(["id.test".to_owned()]).unwrap();
        let der = own.cert.der().clone();
        let certified =
            CertifiedKey::from_der(vec![der.clone()], key(&own.signing_key), &aws_lc_rs::default_provider());
        let acceptor = Certificate::new(certified.unwrap()).acceptor(clients.as_ref());
        let listener = Listener::bind(&["127.0.0.1:0".parse().unwrap()], Some(acceptor)).await.unwrap();
        let address = listener.address().unwrap();
        let seen = |shown: Option<Extension<ClientCertificate>>| async move {
            shown.map_or_else(
                || "nobody".to_owned(),
                |Extension(shown)| format!("{} {}", shown.subject_dn, shown.verified),
            )
        };
        let router = Router::new().route("/", get(seen));
        tokio::spawn(listener.asking(clients).serve(router, std::future::pending()));
        (address, der)
    }

    /// What the server at `address` saw.
    async fn ask(address: SocketAddr, server: &CertificateDer<'static>, shown: Option<Shown>) -> String {
        let mut roots = RootCertStore::empty();
        roots.add(server.clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match shown {
            Some((chain, key)) => config.with_client_auth_cert(chain, key).unwrap(),
            None => config.with_no_client_auth(),
        };
        let stream = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("id.test").unwrap();
        let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: id.test\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer).await;
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    #[tokio::test]
    async fn a_connection_tells_the_certificate_that_was_proven_on_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("clients.pem");
        let authority_key = KeyPair::generate().unwrap();
        let mut authority = named("Authority");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        std::fs::write(&path, authority.self_signed(&authority_key).unwrap().pem()).unwrap();
        let issuer = Issuer::new(authority, &authority_key);

        let pair = KeyPair::generate().unwrap();
        let signed = named("client.test").signed_by(&pair, &issuer).unwrap();
        let signed = || Some((vec![signed.der().clone()], key(&pair)));
        let alone = named("client.test").self_signed(&pair).unwrap();
        let alone = || Some((vec![alone.der().clone()], key(&pair)));

        let (address, server) = start(Some(ClientCertificates::read(Some(&path)).unwrap())).await;
        assert_eq!(ask(address, &server, signed()).await, "CN=client.test true");
        assert_eq!(ask(address, &server, alone()).await, "CN=client.test false");
        assert_eq!(ask(address, &server, None).await, "nobody");
        // Without authorities nobody vouches; and who is not asked shows nothing.
        let (address, server) = start(Some(ClientCertificates::read(None).unwrap())).await;
        assert_eq!(ask(address, &server, signed()).await, "CN=client.test false");
        let (address, server) = start(None).await;
        assert_eq!(ask(address, &server, signed()).await, "nobody");
    }

    #[test]
    fn a_file_without_an_authority_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("clients.pem");
        std::fs::write(&path, "").unwrap();
        let error = ClientCertificates::read(Some(&path)).unwrap_err().to_string();
        assert_eq!(
            error,
            format!("`tls.client_authorities`: {}: holds no certificate of an authority", path.display())
        );
    }
}
