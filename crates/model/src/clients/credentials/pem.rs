//! The keys and certificates that clients hand over: PEM (RFC 7468), or a public key as JWK (RFC 7517).

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use x509_parser::certificate::X509Certificate;
use x509_parser::objects::{oid_registry, oid2abbrev};
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::{PublicKey, RSAPublicKey};
use x509_parser::x509::{SubjectPublicKeyInfo, X509Name};

use crate::clock::Timestamp;

/// What a PEM text holds.
pub(super) struct Pem {
    /// The public key as a JWK, if it is one that clients sign with.
    pub jwk: Option<Map<String, Value>>,
    /// What the certificate says, if it is one.
    pub certificate: Option<Certificate>,
}

/// What a certificate says.
pub(super) struct Certificate {
    /// When it ends.
    pub not_after: Timestamp,
    /// Whom it names: one attribute a line, as the service shows it.
    pub subject_dn: String,
    /// SHA-256 of it, base64url (RFC 8705 §3.1).
    pub thumbprint: String,
}

/// Reads the first block of a PEM text: a certificate, or a public key by itself; or a JWK.
pub(super) fn read(text: &str) -> Option<Pem> {
    if text.trim_start().starts_with('{') {
        return Some(Pem { jwk: public_rsa(text), certificate: None });
    }
    let (_, block) = parse_x509_pem(text.trim_start().as_bytes()).ok()?;
    let der = block.contents.as_slice();
    match block.label.as_str() {
        "CERTIFICATE" => {
            let (rest, certificate) = X509Certificate::from_der(der).ok()?;
            let found = Certificate {
                not_after: Timestamp::from_millis(
                    certificate.validity().not_after.timestamp().checked_mul(1000)?,
                ),
                subject_dn: lines(certificate.subject()),
                thumbprint: URL_SAFE_NO_PAD.encode(digest(&SHA256, der)),
            };
            rest.is_empty().then(|| Pem { jwk: jwk_of(certificate.public_key()), certificate: Some(found) })
        }
        "PUBLIC KEY" => {
            let (rest, key) = SubjectPublicKeyInfo::from_der(der).ok()?;
            rest.is_empty().then(|| Pem { jwk: jwk_of(&key), certificate: None })
        }
        "RSA PUBLIC KEY" => {
            let (rest, key) = RSAPublicKey::from_der(der).ok()?;
            rest.is_empty().then(|| Pem { jwk: Some(rsa(&key)), certificate: None })
        }
        _ => None,
    }
}

/// Whom a certificate names, one attribute a line; `None` for what is no certificate.
pub(crate) fn certificate_of(der: &[u8]) -> Option<String> {
    let (rest, certificate) = X509Certificate::from_der(der).ok()?;
    rest.is_empty().then(|| lines(certificate.subject()))
}

/// The public part of an RSA key that is given as JWK.
fn public_rsa(text: &str) -> Option<Map<String, Value>> {
    let jwk: Map<String, Value> = serde_json::from_str(text).ok()?;
    let members = ["kty", "n", "e"].map(|name| jwk.get(name).map(|value| (name.to_owned(), value.clone())));
    let public: Map<String, Value> = members.into_iter().collect::<Option<_>>()?;
    (public.get("kty").is_some_and(|kty| kty == "RSA")).then_some(public)
}

fn jwk_of(key: &SubjectPublicKeyInfo<'_>) -> Option<Map<String, Value>> {
    match key.parsed().ok()? {
        PublicKey::RSA(key) => Some(rsa(&key)),
        _ => None,
    }
}

/// RFC 7518 §6.3.1.
fn rsa(key: &RSAPublicKey<'_>) -> Map<String, Value> {
    let number = |bytes: &[u8]| {
        let start = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
        json!(URL_SAFE_NO_PAD.encode(&bytes[start..]))
    };
    Map::from_iter([
        ("kty".to_owned(), json!("RSA")),
        ("n".to_owned(), number(key.modulus)),
        ("e".to_owned(), number(key.exponent)),
    ])
}

/// `C=JP`, `CN=client.example.org`, …, a line each.
fn lines(name: &X509Name<'_>) -> String {
    let line = |attribute: &x509_parser::x509::AttributeTypeAndValue<'_>| {
        let oid = attribute.attr_type();
        let name = oid2abbrev(oid, oid_registry()).map_or_else(|_| oid.to_id_string(), str::to_owned);
        format!("{name}={}", attribute.as_str().unwrap_or_default())
    };
    name.iter_attributes().map(line).collect::<Vec<_>>().join("\n")
}
