//! Certificates by which clients prove themselves on the connection itself (RFC 8705).

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::clients::{Client, Credential, CredentialType, certificate_of};
use crate::clock::Timestamp;
use crate::seal::same;

/// The certificate that the other end of a connection proved to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// SHA-256 of it, base64url (§3.1).
    pub thumbprint: String,
    /// Whom it names, one attribute a line.
    pub subject_dn: String,
    /// Whether an authority that the operator trusts has signed it, and its time has come and is not over.
    pub verified: bool,
}

impl ClientCertificate {
    /// Reads one from its DER form; `None` for what is none.
    pub fn from_der(der: &[u8], verified: bool) -> Option<Self> {
        let subject_dn = certificate_of(der)?;
        Some(Self { thumbprint: URL_SAFE_NO_PAD.encode(digest(&SHA256, der)), subject_dn, verified })
    }

    /// Reads one from its PEM form.
    pub fn from_pem(text: &str, verified: bool) -> Option<Self> {
        let (_, block) = x509_parser::pem::parse_x509_pem(text.trim().as_bytes()).ok()?;
        (block.label == "CERTIFICATE").then(|| Self::from_der(&block.contents, verified))?
    }
}

impl Client {
    /// Whether it proves itself by a certificate, and by nothing else.
    pub fn proves_by_certificate(&self) -> bool {
        let methods = self.client_authentication_methods.as_ref();
        methods.is_some_and(|methods| {
            ["tls_client_auth", "self_signed_tls_client_auth"].iter().any(|name| methods.get(*name).is_some())
        })
    }

    /// Whether the certificate proves it: by the name in it where an authority vouches for that (§2.1), or by being the very one (§2.2).
    pub fn is_proven_by(&self, certificate: &ClientCertificate, now: Timestamp) -> bool {
        let living = |credential: &&Credential| credential.expires_at.is_none_or(|end| end > now);
        let named = self.credentials_of("tls_client_auth").filter(living).any(|credential| {
            credential.credential_type == CredentialType::CertSubjectDn
                && certificate.verified
                && credential.subject_dn.as_deref() == Some(certificate.subject_dn.as_str())
        });
        let known = self.credentials_of("self_signed_tls_client_auth").filter(living).any(|credential| {
            let thumbprint = credential.thumbprint_sha256.as_deref().unwrap_or_default();
            credential.credential_type == CredentialType::X509Cert
                && same(thumbprint.as_bytes(), certificate.thumbprint.as_bytes())
        });
        named || known
    }

    /// The credentials of one of its ways to prove itself.
    fn credentials_of(&self, method: &str) -> impl Iterator<Item = &Credential> {
        let settings = self.client_authentication_methods.as_ref().and_then(|methods| methods.get(method));
        let references = settings.and_then(|settings| settings.get("credentials")?.as_array());
        references
            .into_iter()
            .flatten()
            .filter_map(|reference| self.credential(reference.get("id")?.as_str()?))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::Random;
    use crate::clients::take_credentials;
    use crate::jose::{Algorithm, SigningKey};
    use crate::keys::Certificate;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn pem(name: &str) -> String {
        let der = SigningKey::generate(Algorithm::ES256).unwrap();
        Certificate::for_tests(name, &der, NOW).pem()
    }

    fn client(method: &str, credential: Value) -> Client {
        let body = json!({ "name": "c", "client_authentication_methods": { method: { "credentials": [credential] } } });
        let mut body: Map<String, Value> = body.as_object().unwrap().clone();
        let credentials = take_credentials(&Random::seeded(1), NOW, &mut body).unwrap();
        let mut client = Client::new("c".into(), &body).unwrap();
        client.credentials = credentials;
        client
    }

    #[test]
    fn a_certificate_proves_by_its_name_where_it_is_vouched_for_or_by_being_the_one() {
        let (own, other) = (pem("client.example"), pem("client.example"));
        let shown = |pem: &str, verified| ClientCertificate::from_pem(pem, verified).unwrap();
        assert_eq!(shown(&own, false).subject_dn, "CN=client.example");

        let named = client(
            "tls_client_auth",
            json!({ "credential_type": "cert_subject_dn", "subject_dn": "CN=client.example" }),
        );
        assert!(named.is_proven_by(&shown(&own, true), NOW) && named.is_proven_by(&shown(&other, true), NOW));
        assert!(!named.is_proven_by(&shown(&own, false), NOW), "anybody can write that name");
        assert!(!named.is_proven_by(&shown(&pem("other.example"), true), NOW));

        let known =
            client("self_signed_tls_client_auth", json!({ "credential_type": "x509_cert", "pem": own }));
        assert!(known.is_proven_by(&shown(&own, false), NOW));
        assert!(!known.is_proven_by(&shown(&other, true), NOW));
        let end = known.credentials[0].expires_at.unwrap();
        assert!(!known.is_proven_by(&shown(&own, false), end));

        // A credential of the other kind is none here.
        let crossed = client("tls_client_auth", json!({ "credential_type": "x509_cert", "pem": own }));
        assert!(!crossed.is_proven_by(&shown(&own, true), NOW));
        assert!(named.proves_by_certificate() && known.proves_by_certificate());
        assert!(
            ClientCertificate::from_pem("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", true)
                .is_none()
        );
    }
}
