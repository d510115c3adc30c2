//! The development CA: made once in the data directory, and able to vouch for this machine alone. Its name constraints
//! (RFC 5280 §4.2.1.10) keep a stolen key from impersonating anything beyond `localhost`. The certificate that it issues
//! lies beside it, so that an app on another port can be served over https too: silent renewal needs that.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use anyhow::Context;
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, NameConstraints, SanType,
};
use rustls::crypto::aws_lc_rs;
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::private_file::write_private;

/// The name under which trust stores list the CA.
pub const NAME: &str = "Doorward development CA";

/// Seconds in a day.
const DAY: i64 = 24 * 3600;

/// The development CA of a data directory.
pub struct Authority {
    /// Its certificate in PEM form: what trust stores and `NODE_EXTRA_CA_CERTS` take.
    pub certificate: PathBuf,
    pem: String,
    key: KeyPair,
}

impl Authority {
    /// Reads `DIR/ca.pem` and `DIR/ca-key.pem`, or makes them.
    pub fn open(directory: &Path, now: model::Timestamp) -> anyhow::Result<Self> {
        let certificate = directory.join("ca.pem");
        let key_path = directory.join("ca-key.pem");
        if certificate.exists() && key_path.exists() {
            let read = |path: &Path| {
                fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
            };
            let key = KeyPair::from_pem(&read(&key_path)?).with_context(|| {
                format!("{} is damaged: delete it and ca.pem to start anew", key_path.display())
            })?;
            return Ok(Self { pem: read(&certificate)?, certificate, key });
        }
        let key = KeyPair::generate()?;
        let pem = parameters(now)?.self_signed(&key)?.pem();
        write_private(&key_path, &key.serialize_pem())?;
        fs::write(&certificate, &pem).with_context(|| format!("cannot write {}", certificate.display()))?;
        Ok(Self { certificate, pem, key })
    }

    /// A fresh certificate for `localhost` and the loopback addresses, good for 30 days, also written to
    /// `DIR/localhost.pem` and `DIR/localhost-key.pem`.
    pub fn issue(&self, now: model::Timestamp) -> anyhow::Result<CertifiedKey> {
        let issuer =
            Issuer::from_ca_cert_pem(&self.pem, &self.key).context("the development CA is damaged")?;
        let key = KeyPair::generate()?;
        let mut leaf = CertificateParams::new(["localhost".to_owned()])?;
        leaf.subject_alt_names.push(SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        leaf.subject_alt_names.push(SanType::IpAddress(IpAddr::V6(Ipv6Addr::LOCALHOST)));
        leaf.distinguished_name.push(DnType::CommonName, "localhost");
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.use_authority_key_identifier_extension = true;
        (leaf.not_before, leaf.not_after) = (date(now, -1)?, date(now, 30)?);
        let certificate = leaf.signed_by(&key, &issuer)?;
        let path = self.certificate.with_file_name("localhost.pem");
        fs::write(&path, certificate.pem()).with_context(|| format!("cannot write {}", path.display()))?;
        write_private(&self.certificate.with_file_name("localhost-key.pem"), &key.serialize_pem())?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let chain: Vec<CertificateDer<'static>> = vec![certificate.der().clone()];
        Ok(CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())?)
    }
}

fn parameters(now: model::Timestamp) -> anyhow::Result<CertificateParams> {
    let mut ca = CertificateParams::default();
    ca.distinguished_name.push(DnType::CommonName, NAME);
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    ca.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![
            GeneralSubtree::DnsName("localhost".into()),
            GeneralSubtree::IpAddress(CidrSubnet::from_v4_prefix([127, 0, 0, 0], 8)),
            GeneralSubtree::IpAddress(CidrSubnet::from_v6_prefix(Ipv6Addr::LOCALHOST.octets(), 128)),
        ],
        excluded_subtrees: Vec::new(),
    });
    (ca.not_before, ca.not_after) = (date(now, -1)?, date(now, 3650)?);
    Ok(ca)
}

/// The system's days, not the movable clock's: browsers check against theirs.
fn date<T: From<std::time::SystemTime>>(now: model::Timestamp, days: i64) -> anyhow::Result<T> {
    let seconds =
        u64::try_from(now.plus_seconds(days * DAY).seconds()).context("the clock stands before 1970")?;
    Ok((std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds)).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_authority_is_made_once_and_its_key_is_private() {
        let directory = tempfile::tempdir().unwrap();
        let now = model::Clock::system().now();
        let first = Authority::open(directory.path(), now).unwrap();
        let again = Authority::open(directory.path(), now).unwrap();
        assert_eq!(first.pem, again.pem);
        let mode = fs::metadata(directory.path().join("ca-key.pem")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn its_certificates_hold_for_this_machine_alone() {
        let directory = tempfile::tempdir().unwrap();
        let now = model::Clock::system().now();
        let authority = Authority::open(directory.path(), now).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(rustls_pki_types::pem::PemObject::from_pem_file(&authority.certificate).unwrap()).unwrap();
        let verifier = rustls::client::WebPkiServerVerifier::builder_with_provider(
            roots.into(),
            aws_lc_rs::default_provider().into(),
        );
        let verifier = verifier.build().unwrap();
        let leaf = authority.issue(now).unwrap();
        let moment = std::time::Duration::from_millis(now.millis() as u64);
        let verify = |leaf: &CertificateDer<'_>, name: &str| {
            use rustls::client::danger::ServerCertVerifier;
            let name = name.to_owned().try_into().unwrap();
            verifier.verify_server_cert(
                leaf,
                &[],
                &name,
                &[],
                rustls_pki_types::UnixTime::since_unix_epoch(moment),
            )
        };
        for name in ["localhost", "127.0.0.1", "::1"] {
            verify(&leaf.cert[0], name).expect(name);
        }
        // A certificate for somebody else, made with the CA's own key, is worth nothing.
        let issuer = Issuer::from_ca_cert_pem(&authority.pem, &authority.key).unwrap();
        let forged = CertificateParams::new(["bank.example".to_owned()]).unwrap();
        let forged = forged.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap();
        assert!(verify(forged.der(), "bank.example").is_err());
    }
}
