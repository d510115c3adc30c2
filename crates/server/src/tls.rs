//! Certificates: read from PEM files, checked before the program serves, read again on SIGHUP.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::Context;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::client_certificates::ClientCertificates;

/// Why a certificate cannot be served. Keys are never quoted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read, or holds no certificate.
    #[error("`tls.certificate`: {}: {}", .0.display(), reason(.1, "certificate"))]
    Certificate(PathBuf, pem::Error),
    /// The file cannot be read, or holds no private key.
    #[error("`tls.key`: {}: {}", .0.display(), reason(.1, "private key"))]
    Key(PathBuf, pem::Error),
    /// The key is not the certificate's, or of a kind that TLS does not know.
    #[error("`tls.key` does not fit `tls.certificate`: {0}")]
    Pair(rustls::Error),
}

fn reason(error: &pem::Error, wanted: &str) -> String {
    match error {
        pem::Error::Io(error) => error.to_string(),
        pem::Error::NoItemsFound => format!("holds no {wanted} in PEM form"),
        _ => "is not valid PEM".into(),
    }
}

/// RFC 8737 §6.2: the protocol in which an authority looks for a proof.
pub const PROOFS: &[u8] = b"acme-tls/1";

/// The certificate in use. Clones share it, so that [`Certificate::replace`] reaches every new connection.
#[derive(Clone)]
pub struct Certificate(Arc<Shown>);

struct Shown {
    certificate: RwLock<Arc<CertifiedKey>>,
    /// What is shown in place of it, by name, to whoever asks for [`PROOFS`].
    challenges: RwLock<HashMap<String, Arc<CertifiedKey>>>,
}

impl Certificate {
    /// Reads a chain and its key from PEM files.
    pub fn read(certificate: &Path, key: &Path) -> Result<CertifiedKey, Error> {
        let refuse = |error| Error::Certificate(certificate.into(), error);
        let chain = CertificateDer::pem_file_iter(certificate).map_err(refuse)?;
        let chain: Vec<_> = chain.collect::<Result<_, _>>().map_err(refuse)?;
        if chain.is_empty() {
            return Err(refuse(pem::Error::NoItemsFound));
        }
        let key = PrivateKeyDer::from_pem_file(key).map_err(|error| Error::Key(key.into(), error))?;
        CertifiedKey::from_der(chain, key, &provider()).map_err(Error::Pair)
    }

    /// Starts with `key`.
    pub fn new(key: CertifiedKey) -> Self {
        Self(Arc::new(Shown { certificate: RwLock::new(Arc::new(key)), challenges: RwLock::default() }))
    }

    /// Serves `key` from the next connection on.
    pub fn replace(&self, key: CertifiedKey) {
        *self.0.certificate.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(key);
    }

    /// Shows `key` to an authority that looks for a proof about `name`.
    pub fn show_challenge(&self, name: &str, key: CertifiedKey) {
        let mut challenges = self.0.challenges.write().unwrap_or_else(PoisonError::into_inner);
        challenges.insert(name.to_lowercase(), Arc::new(key));
    }

    /// There is nothing to prove any more.
    pub fn forget_challenges(&self) {
        self.0.challenges.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// TLS 1.2 and 1.3 with HTTP/2 and HTTP/1.1, asking for clients' certificates where that is wanted.
    pub fn acceptor(&self, clients: Option<&ClientCertificates>) -> TlsAcceptor {
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("the provider has the default versions");
        let config = match clients {
            Some(clients) => config.with_client_cert_verifier(Arc::new(clients.clone())),
            None => config.with_no_client_auth(),
        };
        let mut config = config.with_cert_resolver(Arc::new(self.clone()));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec(), PROOFS.to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Certificate")
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // RFC 8737 §3: it offers this protocol alone.
        if hello.alpn().is_some_and(|mut offered| offered.any(|protocol| protocol == PROOFS)) {
            let challenges = self.0.challenges.read().unwrap_or_else(PoisonError::into_inner);
            return challenges.get(&hello.server_name()?.to_lowercase()).cloned();
        }
        Some(Arc::clone(&self.0.certificate.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// A client's side that trusts the certificates of a PEM file alone.
pub fn trusting(root: &Path) -> anyhow::Result<ClientConfig> {
    let unreadable = || format!("cannot read {}", root.display());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(root).with_context(unreadable)? {
        roots.add(certificate.with_context(unreadable)?).with_context(unreadable)?;
    }
    let config = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// What does the cryptography of TLS.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(directory: &Path, name: &str, text: &str) -> PathBuf {
        let path = directory.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn a_key_that_is_not_the_certificates_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let own = rcgen::generate_simple_self_signed(["id.example.com".into()]).unwrap();
        let other = rcgen::KeyPair::generate().unwrap();
        let certificate = write(directory.path(), "chain.pem", &own.cert.pem());
        let key = write(directory.path(), "key.pem", &own.signing_key.serialize_pem());
        assert!(Certificate::read(&certificate, &key).is_ok());
        let key = write(directory.path(), "other.pem", &other.serialize_pem());
        let refusal = Certificate::read(&certificate, &key).unwrap_err().to_string();
        assert!(refusal.starts_with("`tls.key` does not fit `tls.certificate`: "), "{refusal}");
    }

    #[test]
    fn a_file_that_is_none_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let empty = write(directory.path(), "empty.pem", "");
        let refusal = Certificate::read(&empty, &empty).unwrap_err().to_string();
        assert_eq!(
            refusal,
            format!("`tls.certificate`: {}: holds no certificate in PEM form", empty.display())
        );
        let missing = directory.path().join("missing.pem");
        let refusal = Certificate::read(&missing, &missing).unwrap_err().to_string();
        assert!(refusal.contains("missing.pem: No such file"), "{refusal}");
    }
}
