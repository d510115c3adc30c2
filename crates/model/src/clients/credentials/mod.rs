//! Keys and certificates of clients: given where they are used, kept apart, and referred to by id.

mod pem;

pub(crate) use pem::certificate_of;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};

use super::Client;
use crate::clock::Timestamp;
use crate::document;
use crate::jose::{Algorithm, VerifyingKey, thumbprint};
use crate::random::Random;

/// The settings that hold credentials.
pub const CREDENTIAL_HOLDERS: [&str; 2] = ["client_authentication_methods", "signed_request_object"];

/// So many credentials one use of them may name: the old one and the new one while keys are exchanged.
pub const MOST_IN_USE: usize = 2;

/// A key or a certificate of a client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Credential {
    /// `cred_` and 22 characters.
    pub id: String,
    /// What it is.
    pub credential_type: CredentialType,
    /// The id that tokens name it by; of a public key alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// The only algorithm that it verifies; of a public key alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alg: Option<String>,
    /// Free text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whom certificates must name, one attribute a line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject_dn: Option<String>,
    /// SHA-256 of the certificate, base64url.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thumbprint_sha256: Option<String>,
    /// The key or certificate as it was given; never answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pem: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed.
    pub updated_at: Timestamp,
    /// When it ends, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// What a credential is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialType {
    /// A public key that verifies what the client signs.
    PublicKey,
    /// The name in certificates of an authority.
    CertSubjectDn,
    /// One certificate.
    X509Cert,
}

/// Why a body is no credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// No type, or one that there is not.
    #[error("credential_type must be public_key, cert_subject_dn or x509_cert")]
    Type,
    /// A key or certificate without a text.
    #[error("pem is required for this credential_type")]
    Missing,
    /// A name neither given nor in a certificate, or both.
    #[error("exactly one of pem and subject_dn is required for credential_type cert_subject_dn")]
    Subject,
    /// A member that goes with another type.
    #[error(
        "subject_dn is allowed for credential_type cert_subject_dn alone, alg and kid for public_key alone"
    )]
    Foreign,
    /// A text that holds no key or certificate of the type.
    #[error("pem is not a PEM-formatted public key or X509 certificate")]
    Pem,
    /// A key that is too short or not of the algorithm.
    #[error("pem must hold an RSA public key of at least 2048 bits")]
    Key,
    /// An expiry that is no moment.
    #[error("expires_at is not a date")]
    Expiry,
}

impl Credential {
    /// A credential as a body describes it.
    pub fn new(random: &Random, now: Timestamp, given: &Map<String, Json>) -> Result<Self, CredentialError> {
        let text = |name: &str| given.get(name).and_then(Json::as_str).map(str::to_owned);
        let kind = given.get("credential_type").cloned().unwrap_or_default();
        let kind: CredentialType = serde_json::from_value(kind).map_err(|_| CredentialError::Type)?;
        let is_key = kind == CredentialType::PublicKey;
        let (pem, subject_dn) = (text("pem"), text("subject_dn"));
        let foreign = subject_dn.is_some() && kind != CredentialType::CertSubjectDn
            || !is_key && (given.contains_key("alg") || given.contains_key("kid"));
        if foreign {
            return Err(CredentialError::Foreign);
        }
        let expires_at = match text("expires_at") {
            Some(text) => Some(Timestamp::parse(&text).ok_or(CredentialError::Expiry)?),
            None => None,
        };
        let mut made = Self {
            id: format!("cred_{}", random.base58(22)),
            credential_type: kind,
            kid: None,
            alg: None,
            name: text("name"),
            subject_dn,
            thumbprint_sha256: None,
            pem,
            created_at: now,
            updated_at: now,
            expires_at,
        };
        let found = match &made.pem {
            Some(text) => Some(pem::read(text).ok_or(CredentialError::Pem)?),
            None => None,
        };
        match (kind, found) {
            (CredentialType::PublicKey, Some(found)) => {
                let alg = text("alg").unwrap_or_else(|| "RS256".to_owned());
                let jwk = found.jwk.ok_or(CredentialError::Key)?;
                made.kid = text("kid").or_else(|| thumbprint(&jwk));
                made.alg = Some(alg);
                made.verifying_key().ok_or(CredentialError::Key)?;
                let from_certificate =
                    given.get("parse_expiry_from_cert").and_then(Json::as_bool) == Some(true);
                if let Some(certificate) = found.certificate.filter(|_| from_certificate) {
                    made.expires_at = Some(certificate.not_after);
                }
            }
            (CredentialType::X509Cert, Some(found)) => {
                let certificate = found.certificate.ok_or(CredentialError::Pem)?;
                made.thumbprint_sha256 = Some(certificate.thumbprint);
                made.expires_at = made.expires_at.or(Some(certificate.not_after));
            }
            (CredentialType::CertSubjectDn, Some(found)) => {
                if made.subject_dn.is_some() {
                    return Err(CredentialError::Subject);
                }
                made.subject_dn = Some(found.certificate.ok_or(CredentialError::Pem)?.subject_dn);
            }
            (CredentialType::CertSubjectDn, None) if made.subject_dn.is_some() => {}
            (CredentialType::CertSubjectDn, None) => return Err(CredentialError::Subject),
            (_, None) => return Err(CredentialError::Missing),
        }
        Ok(made)
    }

    /// As it is answered: without the key itself.
    pub fn to_wire(&self) -> Map<String, Json> {
        let mut wire = document::object(self);
        wire.shift_remove("pem");
        wire
    }

    /// The key that verifies what the client signs with this credential, if it is one.
    fn verifying_key(&self) -> Option<VerifyingKey> {
        let algorithm = match Algorithm::from_name(self.alg.as_deref()?)? {
            algorithm @ (Algorithm::RS256 | Algorithm::RS384 | Algorithm::PS256) => algorithm,
            _ => return None,
        };
        let jwk = pem::read(self.pem.as_deref()?)?.jwk?;
        VerifyingKey::from_jwk(algorithm, self.kid.as_deref(), &jwk).ok()
    }
}

impl Client {
    /// The keys that verify its assertions now (`private_key_jwt`, RFC 7523); `None` where it does not prove itself so.
    pub fn assertion_keys(&self, now: Timestamp) -> Option<Vec<VerifyingKey>> {
        let method = self.client_authentication_methods.as_ref()?.get("private_key_jwt")?;
        Some(self.keys_of(method, now))
    }

    /// The keys that verify its request objects now (RFC 9101).
    pub fn request_object_keys(&self, now: Timestamp) -> Vec<VerifyingKey> {
        self.other
            .get("signed_request_object")
            .map(|settings| self.keys_of(settings, now))
            .unwrap_or_default()
    }

    fn keys_of(&self, settings: &Json, now: Timestamp) -> Vec<VerifyingKey> {
        let references = settings.get("credentials").and_then(Json::as_array).into_iter().flatten();
        let named = references.filter_map(|reference| self.credential(reference.get("id")?.as_str()?));
        named
            .filter(|credential| credential.expires_at.is_none_or(|end| end > now))
            .filter_map(Credential::verifying_key)
            .collect()
    }

    /// Its credential of this id.
    pub fn credential(&self, id: &str) -> Option<&Credential> {
        self.credentials.iter().find(|credential| credential.id == id)
    }

    /// An id that it refers to and has no credential of.
    pub fn unknown_credential(&self) -> Option<&str> {
        let signed = self.other.get("signed_request_object");
        let lists = self.client_authentication_methods.iter().chain(signed).flat_map(references);
        lists
            .flatten()
            .filter_map(|reference| reference.get("id")?.as_str())
            .find(|id| self.credential(id).is_none())
    }

    /// Whether one use names more credentials than it may.
    pub fn uses_too_many_credentials(&self) -> bool {
        let signed = self.other.get("signed_request_object");
        let lists = self.client_authentication_methods.iter().chain(signed).flat_map(references);
        lists.into_iter().any(|list| list.len() > MOST_IN_USE)
    }

    /// Takes one of its credentials away, and every reference to it. Whether it was there.
    pub fn remove_credential(&mut self, id: &str) -> bool {
        let before = self.credentials.len();
        self.credentials.retain(|credential| credential.id != id);
        let signed = self.other.get_mut("signed_request_object");
        for settings in self.client_authentication_methods.iter_mut().chain(signed) {
            forget(settings, id);
        }
        self.credentials.len() < before
    }
}

/// The lists of references in a holder, at any depth.
fn references(settings: &Json) -> Vec<&Vec<Json>> {
    let mut found = Vec::new();
    for (key, value) in settings.as_object().into_iter().flatten() {
        match value {
            Json::Array(list) if key == "credentials" => found.push(list),
            other => found.extend(references(other)),
        }
    }
    found
}

fn forget(settings: &mut Json, id: &str) {
    for (key, value) in settings.as_object_mut().into_iter().flatten() {
        match value {
            Json::Array(list) if key == "credentials" => list.retain(|reference| reference["id"] != id),
            other => forget(other, id),
        }
    }
}

/// Takes the new credentials out of the body of a POST or PATCH and leaves `{"id": "cred_…"}` in the place of each.
pub fn take_credentials(
    random: &Random,
    now: Timestamp,
    body: &mut Map<String, Json>,
) -> Result<Vec<Credential>, CredentialError> {
    let mut taken = Vec::new();
    for holder in CREDENTIAL_HOLDERS {
        if let Some(settings) = body.get_mut(holder) {
            take(random, now, settings, &mut taken)?;
        }
    }
    Ok(taken)
}

/// Shows these credentials, but for their keys, in an answer that refers to them: as a POST answers.
pub fn show_credentials(credentials: &[Credential], answer: &mut Map<String, Json>) {
    for holder in CREDENTIAL_HOLDERS {
        if let Some(settings) = answer.get_mut(holder) {
            show(credentials, settings);
        }
    }
}

fn show(credentials: &[Credential], settings: &mut Json) {
    for (key, value) in settings.as_object_mut().into_iter().flatten() {
        let Some(references) = value.as_array_mut().filter(|_| key == "credentials") else {
            show(credentials, value);
            continue;
        };
        for reference in references {
            if let Some(whole) = credentials.iter().find(|whole| reference["id"] == whole.id) {
                *reference = whole.to_wire().into();
            }
        }
    }
}

fn take(
    random: &Random,
    now: Timestamp,
    settings: &mut Json,
    taken: &mut Vec<Credential>,
) -> Result<(), CredentialError> {
    for (key, value) in settings.as_object_mut().into_iter().flatten() {
        let Some(credentials) = value.as_array_mut().filter(|_| key == "credentials") else {
            take(random, now, value, taken)?;
            continue;
        };
        for credential in credentials.iter_mut().filter(|credential| credential.get("id").is_none()) {
            let made = Credential::new(random, now, credential.as_object().unwrap_or(&Map::new()))?;
            *credential = json!({ "id": made.id });
            taken.push(made);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Certificate;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn certificate(algorithm: Algorithm) -> String {
        let der = crate::jose::SigningKey::generate(algorithm).unwrap();
        Certificate::for_tests("client.example", &der, NOW).pem()
    }

    fn made(body: Json) -> Result<Credential, CredentialError> {
        Credential::new(&Random::seeded(1), NOW, body.as_object().unwrap())
    }

    #[test]
    fn a_new_credential_is_taken_out_and_one_with_an_id_stays() {
        let pem = certificate(Algorithm::RS256);
        let mut body = json!({
            "name": "a",
            "client_authentication_methods": {
                "private_key_jwt": { "credentials": [{ "credential_type": "public_key", "pem": pem }, { "id": "cred_1" }] }
            },
            "signed_request_object": { "required": true, "credentials": [{ "credential_type": "public_key", "pem": pem }] }
        });
        let taken = take_credentials(&Random::seeded(1), NOW, body.as_object_mut().unwrap()).unwrap();
        let ids: Vec<_> = taken.iter().map(|credential| credential.id.as_str()).collect();
        assert!(ids.iter().all(|id| id.len() == 27 && id.starts_with("cred_")) && ids[0] != ids[1]);
        assert_eq!(
            body,
            json!({
                "name": "a",
                "client_authentication_methods":
                    { "private_key_jwt": { "credentials": [{ "id": ids[0] }, { "id": "cred_1" }] } },
                "signed_request_object": { "required": true, "credentials": [{ "id": ids[1] }] }
            })
        );
        show_credentials(&taken, body.as_object_mut().unwrap());
        let shown = &body["client_authentication_methods"]["private_key_jwt"]["credentials"];
        assert_eq!((&shown[0]["alg"], &shown[0]["pem"]), (&json!("RS256"), &json!(null)));
        assert_eq!(shown[1], json!({ "id": "cred_1" }));
    }

    #[test]
    fn a_credential_says_what_its_type_has() {
        let (rsa, ec) = (certificate(Algorithm::RS256), certificate(Algorithm::ES256));
        let key =
            made(json!({ "credential_type": "public_key", "pem": rsa, "parse_expiry_from_cert": true }))
                .unwrap();
        assert!(key.kid.as_ref().is_some_and(|kid| kid.len() == 43) && key.expires_at > Some(NOW), "{key:?}");
        assert_eq!(key.alg.as_deref(), Some("RS256"));
        let whole = made(json!({ "credential_type": "x509_cert", "pem": ec })).unwrap();
        assert_eq!(whole.thumbprint_sha256.as_ref().map(String::len), Some(43));
        assert!(whole.expires_at > Some(NOW) && whole.kid.is_none() && whole.alg.is_none());
        let named = made(json!({ "credential_type": "cert_subject_dn", "pem": ec })).unwrap();
        assert_eq!(named.subject_dn.as_deref(), Some("CN=client.example"));
    }

    #[test]
    fn what_is_no_credential_is_refused_for_what_it_lacks() {
        let (rsa, ec) = (certificate(Algorithm::RS256), certificate(Algorithm::ES256));
        let key = |pem: &str| json!({ "credential_type": "public_key", "pem": pem });
        for (body, error) in [
            (json!({ "pem": rsa }), CredentialError::Type),
            (json!({ "credential_type": "secret" }), CredentialError::Type),
            (json!({ "credential_type": "public_key" }), CredentialError::Missing),
            (key("nothing"), CredentialError::Pem),
            (key("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"), CredentialError::Pem),
            (key(&ec), CredentialError::Key),
            (json!({ "credential_type": "public_key", "pem": rsa, "alg": "HS256" }), CredentialError::Key),
            (
                json!({ "credential_type": "public_key", "pem": rsa, "subject_dn": "CN=a" }),
                CredentialError::Foreign,
            ),
            (json!({ "credential_type": "x509_cert", "pem": ec, "alg": "RS256" }), CredentialError::Foreign),
            (json!({ "credential_type": "cert_subject_dn" }), CredentialError::Subject),
            (
                json!({ "credential_type": "cert_subject_dn", "pem": ec, "subject_dn": "CN=a" }),
                CredentialError::Subject,
            ),
            (
                json!({ "credential_type": "public_key", "pem": rsa, "expires_at": "soon" }),
                CredentialError::Expiry,
            ),
        ] {
            assert_eq!(made(body.clone()).unwrap_err(), error, "{body}");
        }
    }
}
