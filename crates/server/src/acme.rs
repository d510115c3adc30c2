//! Certificates that the program gets and renews by itself: ACME (RFC 8555), proved over TLS on the port that it serves (RFC 8737).
//!
//! The account's key, the certificate and its key are files of one directory. While there is no certificate yet, a self-signed one serves,
//! which no client trusts; an order that fails is tried again, and what is there serves on.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;

use anyhow::{Context, bail};
use axum::body::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response};
use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, BodyWrapper, BytesResponse, ChallengeType, HttpClient,
    Identifier, NewAccount, NewOrder, Order, OrderStatus, RetryPolicy,
};
use model::{Clock, Net, Random, Timestamp};
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use x509_parser::parse_x509_certificate;

use crate::private_file::write_private;
use crate::tls::{self, Certificate};

/// How long an authority may take for a proof, and for a certificate.
const PATIENCE: RetryPolicy = RetryPolicy::new().timeout(Duration::from_secs(90));
/// After an order that failed: a minute at first, an hour at most.
const FIRST_PAUSE: Duration = Duration::from_secs(60);
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);
/// The date is looked at so often at least: a clock may be set.
const LOOK: Duration = Duration::from_secs(3600);

/// What the operator says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The authority's directory.
    pub directory: String,
    /// The names of the certificate.
    pub names: Vec<String>,
    /// Whom the authority writes to, as `mailto:…`.
    pub contact: Option<String>,
    /// Where the files are kept.
    pub store: PathBuf,
    /// The certificate that the authority itself is trusted by, where it is not one of the system's.
    pub root: Option<PathBuf>,
}

impl Settings {
    /// Where the chain and its key are kept.
    pub fn files(&self) -> (PathBuf, PathBuf) {
        (self.store.join("chain.pem"), self.store.join("key.pem"))
    }
}

/// Keeps a certificate fresh.
pub struct Renewal {
    settings: Settings,
    certificate: Certificate,
    net: Net,
    clock: Clock,
    random: Random,
}

impl Renewal {
    /// With what the store holds, or with a certificate that stands in. Errors: the store cannot be used.
    pub fn begin(settings: Settings, net: Net, clock: Clock, random: Random) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&settings.store)
            .with_context(|| format!("cannot make {}", settings.store.display()))?;
        let (chain, key) = settings.files();
        let certificate = match Certificate::read(&chain, &key) {
            Ok(kept) => kept,
            Err(_) => stand_in(&settings.names)?,
        };
        let net = match &settings.root {
            Some(root) => net.trusting(tls::trusting(root)?),
            None => net,
        };
        Ok(Self { settings, certificate: Certificate::new(certificate), net, clock, random })
    }

    /// The certificate that is kept fresh.
    pub fn certificate(&self) -> Certificate {
        self.certificate.clone()
    }

    /// Runs for ever: orders when there is none, or when a third of its time is left.
    pub async fn run(self) {
        let mut pause = FIRST_PAUSE;
        loop {
            let left = self.left();
            if !left.is_zero() {
                tokio::time::sleep(left.min(LOOK)).await;
                continue;
            }
            match self.order().await {
                Ok(()) => {
                    tracing::info!(names = self.settings.names.join(","), "serving a new certificate");
                    pause = FIRST_PAUSE;
                }
                Err(error) => {
                    tracing::error!(
                        error = format!("{error:#}"),
                        again_in = pause.as_secs(),
                        "no certificate was issued; the old one stays"
                    );
                    // A tenth more or less: nodes and servers that failed together come back apart.
                    let scatter = f64::from(self.random.bytes::<1>()[0]) / 255.0 * 0.2 + 0.9;
                    tokio::time::sleep(pause.mul_f64(scatter)).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// How long the certificate in the store is good for without a new order.
    fn left(&self) -> Duration {
        let due = due(&self.settings.files().0, &self.settings.names);
        let millis = due.map_or(0, |due| due.millis() - self.clock.now().millis());
        Duration::from_millis(u64::try_from(millis).unwrap_or_default())
    }

    async fn order(&self) -> anyhow::Result<()> {
        let account = self.account().await?;
        let names: Vec<_> = self.settings.names.iter().cloned().map(Identifier::Dns).collect();
        let mut order = account.new_order(&NewOrder::new(&names)).await.context("the order was refused")?;
        let proved = self.prove(&mut order).await;
        self.certificate.forget_challenges();
        proved?;
        let mut request = CertificateParams::new(self.settings.names.clone())?;
        request.distinguished_name = DistinguishedName::new();
        let key = KeyPair::generate()?;
        order
            .finalize_csr(request.serialize_request(&key)?.der())
            .await
            .context("the request was refused")?;
        let chain = order.poll_certificate(&PATIENCE).await.context("no certificate came")?;
        let fresh = certified(&chain, &key)?;
        let (chain_file, key_file) = self.settings.files();
        // The key first: a chain that does not fit its key is ordered anew.
        write_private(&key_file, &key.serialize_pem())?;
        write_private(&chain_file, &chain)?;
        self.certificate.replace(fresh);
        Ok(())
    }

    /// Shows for each name, to whoever asks by the protocol of proofs, that this server is the one.
    async fn prove(&self, order: &mut Order) -> anyhow::Result<()> {
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization?;
            match authorization.status {
                AuthorizationStatus::Pending => {}
                AuthorizationStatus::Valid => continue,
                other => bail!("the authority says {other:?} of a name"),
            }
            let mut challenge = authorization
                .challenge(ChallengeType::TlsAlpn01)
                .context("the authority offers no proof over TLS (tls-alpn-01)")?;
            let name = challenge.identifier().to_string();
            let digest = challenge.key_authorization().digest().as_ref().to_vec();
            self.certificate.show_challenge(&name, proof(&name, &digest)?);
            challenge.set_ready().await?;
        }
        match order.poll_ready(&PATIENCE).await.context("the proof was not accepted")? {
            OrderStatus::Ready => Ok(()),
            other => bail!("the order is {other:?}"),
        }
    }

    /// The account in the store, or a new one: using the authority is agreeing to its terms, which the settings say.
    async fn account(&self) -> anyhow::Result<Account> {
        let file = self.settings.store.join("account.json");
        let builder = || Account::builder_with_http(Box::new(WayOut(self.net.clone())));
        if let Ok(text) = std::fs::read_to_string(&file) {
            let kept: AccountCredentials =
                serde_json::from_str(&text).with_context(|| format!("{} is damaged", file.display()))?;
            return builder().from_credentials(kept).await.context("the authority does not answer");
        }
        let contact: Vec<&str> = self.settings.contact.as_deref().into_iter().collect();
        let new =
            NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
        let (account, kept) = builder()
            .create(&new, self.settings.directory.clone(), None)
            .await
            .context("no account could be made at the authority")?;
        write_private(&file, &serde_json::to_string(&kept)?)?;
        Ok(account)
    }
}

/// When the certificate in a file is to be renewed. `None` if it is none, or not for all these names.
fn due(chain: &Path, names: &[String]) -> Option<Timestamp> {
    let der = CertificateDer::from_pem_file(chain).ok()?;
    let (_, certificate) = parse_x509_certificate(&der).ok()?;
    let alternative = certificate.subject_alternative_name().ok()??;
    let held: Vec<String> =
        alternative.value.general_names.iter().filter_map(|name| dns(name).map(str::to_lowercase)).collect();
    if !names.iter().all(|name| held.contains(&name.to_lowercase())) {
        return None;
    }
    let validity = certificate.validity();
    let (from, to) = (validity.not_before.timestamp(), validity.not_after.timestamp());
    Some(Timestamp::from_millis((to - (to - from) / 3) * 1000))
}

fn dns<'a>(name: &'a x509_parser::extensions::GeneralName<'_>) -> Option<&'a str> {
    match name {
        x509_parser::extensions::GeneralName::DNSName(name) => Some(name),
        _ => None,
    }
}

/// RFC 8737 §3: a self-signed certificate for the name, with the digest of the key authorization.
fn proof(name: &str, digest: &[u8]) -> anyhow::Result<CertifiedKey> {
    let mut parameters = CertificateParams::new([name.to_owned()])?;
    parameters.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    self_signed(parameters)
}

fn stand_in(names: &[String]) -> anyhow::Result<CertifiedKey> {
    self_signed(CertificateParams::new(names.to_vec())?)
}

fn self_signed(parameters: CertificateParams) -> anyhow::Result<CertifiedKey> {
    let key = KeyPair::generate()?;
    let chain = vec![parameters.self_signed(&key)?.der().clone()];
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    // Not compared with its certificate: the library reads none that has the extension of a proof.
    Ok(CertifiedKey::new(chain, tls::provider().key_provider.load_private_key(key)?))
}

fn certified(chain: &str, key: &KeyPair) -> anyhow::Result<CertifiedKey> {
    let chain = CertificateDer::pem_slice_iter(chain.as_bytes()).collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    Ok(CertifiedKey::from_der(chain, key, &tls::provider())?)
}

/// The library's requests go the way of all others that leave.
struct WayOut(Net);

impl HttpClient for WayOut {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, instant_acme::Error>> + Send>> {
        let net = self.0.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            let asked = net.exchange(parts.method, &parts.uri.to_string(), parts.headers, body).await;
            let (status, headers, body) =
                asked.map_err(|error| instant_acme::Error::Other(Box::new(error)))?;
            let mut response = Response::new(Full::new(Bytes::from(body)));
            *response.status_mut() = status;
            *response.headers_mut() = headers;
            Ok(BytesResponse::from(response))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_due_when_a_third_of_its_time_is_left() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("chain.pem");
        let names = ["id.example.com".to_owned()];
        assert_eq!(due(&path, &names), None, "there is none");
        let mut parameters = CertificateParams::new(names.to_vec()).unwrap();
        let day = |day: u64| std::time::UNIX_EPOCH + Duration::from_secs(day * 24 * 3600);
        (parameters.not_before, parameters.not_after) = (day(1000).into(), day(1090).into());
        let key = KeyPair::generate().unwrap();
        std::fs::write(&path, parameters.self_signed(&key).unwrap().pem()).unwrap();
        assert_eq!(due(&path, &names), Some(Timestamp::from_millis(1060 * 24 * 3600 * 1000)));
        assert_eq!(due(&path, &["ID.example.com".to_owned()]), due(&path, &names));
        assert_eq!(due(&path, &["other.example.com".to_owned()]), None, "it is for another name");
    }
}
