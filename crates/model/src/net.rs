//! Requests to addresses that callers choose: log streams, mail servers, and what clients publish. Nobody makes the server speak to what only the server can
//! reach (MG-08).
//!
//! A name is resolved once, and the connection goes to an address that was looked at. Redirects are not followed, nothing is taken
//! from the environment, and time and size are bounded. HTTP is spoken over one connection for one request.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use ipnet::IpNet;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tracing::Instrument;
use tracing::field::Empty;
use url::{Host, Url};

/// How long a whole request may take, from the name to the end of the answer.
const LONGEST: Duration = Duration::from_secs(10);
/// How much of an answer's body is read.
const MOST: usize = 64 * 1024;

/// Why nothing came back. The text is for the operator and the tenant's administrator; it tells an address only as they wrote it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetError {
    /// The URL is none that may be asked: another scheme, or with a password in it.
    #[error("the URL must begin with https:// and hold no user name or password")]
    Url,
    /// The name leads nowhere.
    #[error("{0} has no address")]
    Unknown(String),
    /// Every address of it is one that only this server can reach, and the operator has not allowed it.
    #[error("{0} is not a public address: the operator can allow its network in `outbound.allow`")]
    Refused(String),
    /// Nobody answered, or not as HTTP or TLS is spoken.
    #[error("{0}")]
    Failed(String),
    /// It took too long.
    #[error("no answer came within 10 seconds")]
    Late,
}

impl NetError {
    /// One word for it.
    fn kind(&self) -> &'static str {
        match self {
            Self::Url => "url",
            Self::Unknown(_) => "unknown_name",
            Self::Refused(_) => "refused_address",
            Self::Failed(_) => "failed",
            Self::Late => "timeout",
        }
    }
}

type Resolving = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;
type Resolve = Arc<dyn Fn(String) -> Resolving + Send + Sync>;

/// The way out.
#[derive(Clone)]
pub struct Net {
    allowed: Arc<[IpNet]>,
    resolve: Resolve,
    tls: Arc<OnceLock<Arc<rustls::ClientConfig>>>,
}

/// A header of a request.
pub type Header = (HeaderName, HeaderValue);

/// Status, headers and the beginning of the body of an answer.
pub type Answer = (StatusCode, HeaderMap, Vec<u8>);

impl Net {
    /// To public addresses, and to those in `allowed` too.
    pub fn new(allowed: impl Into<Arc<[IpNet]>>) -> Self {
        let resolve = |name: String| -> Resolving {
            Box::pin(async move {
                let found = tokio::net::lookup_host((name, 0)).await?;
                Ok(found.map(|address| address.ip()).collect())
            })
        };
        Self { allowed: allowed.into(), resolve: Arc::new(resolve), tls: Arc::default() }
    }

    /// With another way from a name to its addresses, for tests.
    pub fn resolving(self, resolve: impl Fn(&str) -> Vec<IpAddr> + Send + Sync + 'static) -> Self {
        let resolve = move |name: String| -> Resolving {
            let found = resolve(&name);
            Box::pin(async move { Ok(found) })
        };
        Self { resolve: Arc::new(resolve), ..self }
    }

    /// Trusting these certificate authorities instead of the system's.
    pub fn trusting(self, config: rustls::ClientConfig) -> Self {
        Self { tls: Arc::new(OnceLock::from(Arc::new(config))), ..self }
    }

    /// The addresses of a name, or the address that it is, as far as they may be connected to.
    ///
    /// # Errors
    /// When there is none.
    pub async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, NetError> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let found = match bare.parse::<IpAddr>() {
            Ok(address) => vec![address],
            Err(_) => (self.resolve)(host.to_owned()).await.unwrap_or_default(),
        };
        if found.is_empty() {
            return Err(NetError::Unknown(host.to_owned()));
        }
        let open: Vec<IpAddr> = found.into_iter().filter(|address| self.allows(*address)).collect();
        if open.is_empty() { Err(NetError::Refused(host.to_owned())) } else { Ok(open) }
    }

    /// Whether an address may be connected to.
    fn allows(&self, address: IpAddr) -> bool {
        is_public(address) || self.is_allowed(address)
    }

    fn is_allowed(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.allowed.iter().any(|net| net.contains(&address))
    }

    /// Whether a URL is one that could be posted to; its name is looked at when it is.
    ///
    /// # Errors
    /// `Url`, or `Refused` for an address that is written out.
    pub fn check(&self, url: &str) -> Result<Url, NetError> {
        let url = Url::parse(url).map_err(|_| NetError::Url)?;
        let written = match url.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            Some(Host::Domain(_)) => None,
            None => return Err(NetError::Url),
        };
        // Plain HTTP is for a network that the operator has allowed.
        let scheme = url.scheme() == "https" || url.scheme() == "http" && !self.allowed.is_empty();
        if !scheme || !url.username().is_empty() || url.password().is_some() {
            return Err(NetError::Url);
        }
        match written {
            Some(address) if !self.allows(address) => {
                Err(NetError::Refused(url.host_str().unwrap_or_default().to_owned()))
            }
            _ => Ok(url),
        }
    }

    /// Posts a body, and answers the status and the beginning of the body that came back.
    ///
    /// # Errors
    /// When no answer came; a status is never an error.
    pub async fn post(
        &self,
        url: &str,
        headers: Vec<Header>,
        kind: &str,
        body: Vec<u8>,
    ) -> Result<(u16, Vec<u8>), NetError> {
        let kind = HeaderValue::from_str(kind).map_err(|error| NetError::Failed(error.to_string()))?;
        let mut all = HeaderMap::from_iter([(CONTENT_TYPE, kind)]);
        all.extend(headers);
        let (status, _, body) = self.exchange(Method::POST, url, all, Bytes::from(body)).await?;
        Ok((status.as_u16(), body))
    }

    /// Sends any request, and answers the status, the headers and the beginning of the body that came back.
    ///
    /// # Errors
    /// When no answer came; a status is never an error.
    pub async fn exchange(
        &self,
        method: Method,
        url: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Answer, NetError> {
        let url = self.check(url)?;
        // For traces; paths and queries may hold secrets of their owners.
        let span = tracing::debug_span!(
            target: "traces",
            "call",
            otel.name = method.as_str(),
            otel.kind = "client",
            "http.request.method" = method.as_str(),
            "server.address" = url.host_str(),
            "http.response.status_code" = Empty,
            "error.type" = Empty,
        );
        let asked = self.send(method, &url, headers, body).instrument(span.clone());
        let answer = tokio::time::timeout(LONGEST, asked).await.unwrap_or(Err(NetError::Late));
        match &answer {
            Ok((status, ..)) => span.record("http.response.status_code", status.as_u16()),
            Err(error) => span.record("error.type", error.kind()),
        };
        answer
    }

    /// Gets a JSON document, and answers the status and the body that came back; of one that is too long none.
    ///
    /// # Errors
    /// When no answer came; a status is never an error.
    pub async fn get(&self, url: &str) -> Result<(u16, Vec<u8>), NetError> {
        let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]);
        let (status, _, body) = self.exchange(Method::GET, url, headers, Bytes::new()).await?;
        Ok((status.as_u16(), body))
    }

    async fn send(
        &self,
        method: Method,
        url: &Url,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Answer, NetError> {
        let host = url.host_str().ok_or(NetError::Url)?;
        let port = url.port_or_known_default().ok_or(NetError::Url)?;
        let mut addresses = self.addresses(host).await?;
        if url.scheme() == "http" {
            addresses.retain(|address| self.is_allowed(*address));
        }
        let stream = connect(&addresses, port).await?;
        let authority = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let path =
            url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
        let failed = |error: &dyn std::error::Error| NetError::Failed(error.to_string());
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, authority)
            .body(Full::new(body))
            .map_err(|error| failed(&error))?;
        request.headers_mut().extend(headers);
        let own = HeaderValue::from_static(concat!("Doorward/", env!("CARGO_PKG_VERSION")));
        request.headers_mut().entry(USER_AGENT).or_insert(own);
        match url.scheme() {
            "https" => {
                let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
                let name = ServerName::try_from(name).map_err(|error| failed(&error))?;
                let connector = TlsConnector::from(self.tls()?);
                ask(connector.connect(name, stream).await.map_err(|error| failed(&error))?, request).await
            }
            _ => ask(stream, request).await,
        }
    }

    /// Read when it is first needed: the system's certificates are many.
    fn tls(&self) -> Result<Arc<rustls::ClientConfig>, NetError> {
        if let Some(config) = self.tls.get() {
            return Ok(config.clone());
        }
        let mut roots = rustls::RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| NetError::Failed(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(self.tls.get_or_init(|| Arc::new(config)).clone())
    }
}

impl std::fmt::Debug for Net {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Net").field("allowed", &self.allowed).finish_non_exhaustive()
    }
}

/// To the first of the addresses that answers.
async fn connect(addresses: &[IpAddr], port: u16) -> Result<TcpStream, NetError> {
    let mut last =
        NetError::Failed("the connection is not encrypted, and no address of the name is allowed so".into());
    for address in addresses {
        match TcpStream::connect(SocketAddr::new(*address, port)).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = NetError::Failed(format!("cannot connect: {}", error.kind())),
        }
    }
    Err(last)
}

async fn ask(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<Answer, NetError> {
    let failed = |error: hyper::Error| NetError::Failed(format!("no answer as HTTP has it: {error}"));
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    // It ends with this future.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let response = sender.send_request(request).await.map_err(failed)?;
    let (parts, body) = response.into_parts();
    // What is too long or cut off does not matter: the status has come.
    let body = Limited::new(body, MOST).collect().await;
    Ok((parts.status, parts.headers, body.map(|body| body.to_bytes().to_vec()).unwrap_or_default()))
}

/// Whether an address is one of the Internet's, and leads to one: IANA's special-purpose registries list the others.
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = match a {
        0 | 10 | 127 | 224..=255 => true,
        100 => (64..128).contains(&b),
        169 => b == 254,
        172 => (16..32).contains(&b),
        192 => b == 168 || (b, c) == (0, 0) || (b, c) == (0, 2) || (b, c) == (88, 99),
        198 => b == 18 || b == 19 || (b, c) == (51, 100),
        203 => (b, c) == (0, 113),
        _ => false,
    };
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, c, d, .., y, z] = address.segments();
    let v4 = |high: u16, low: u16| {
        let ([p, q], [r, s]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(p, q, r, s))
    };
    match (a, b) {
        // NAT64 and 6to4 lead to the address that is inside.
        (0x64, 0xff9b) => (c, d) == (0, 0) && v4(y, z),
        (0x2002, _) => v4(b, c),
        // Protocols, Teredo among them; then examples.
        (0x2001, 0..=0x01ff | 0x0db8) => false,
        (0x3fff, 0..=0x0fff) => false,
        _ => a & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    #[test]
    fn only_the_internets_addresses_are_public() {
        for public in [
            "1.1.1.1",
            "100.63.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "2606:4700::1111",
            "64:ff9b::101:101",
            "2002:101:101::1",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for private in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.0.9",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.0.1",
            "192.0.0.8",
            "192.0.2.1",
            "198.18.0.1",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "2002:7f00:1::1",
            "2002:a00:1::1",
            "2001::1",
            "2001:db8::1",
            "3fff::1",
            "100::1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
    }

    #[test]
    fn an_address_is_the_same_however_it_is_written() {
        let net = Net::new([]);
        for url in [
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://0177.0.0.1/",
            "https://127.1/",
            "https://0/",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[::ffff:7f00:1]/",
            "https://169.254.169.254/latest/meta-data",
            "https://１２７.0.0.1/",
            "https://10.0.0.1:8443/x",
        ] {
            assert!(matches!(net.check(url), Err(NetError::Refused(_))), "{url}");
        }
        for url in [
            "http://example.com/",
            "ftp://example.com/",
            "file:///etc/passwd",
            "https://u:p@example.com/",
            "example.com",
            "",
        ] {
            assert_eq!(net.check(url).unwrap_err(), NetError::Url, "{url}");
        }
        assert!(net.check("https://example.com/hook?x=1").is_ok());
        assert!(Net::new(["10.0.0.0/8".parse().unwrap()]).check("http://10.0.0.1/x").is_ok());
    }

    /// A server that counts who connects, and answers every request so.
    async fn canary(answer: &'static str) -> (u16, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, seen) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
        let count = seen.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let mut bytes = [0; 4096];
                let _ = stream.read(&mut bytes).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        (port, seen)
    }

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    async fn post(net: &Net, url: &str) -> Result<(u16, Vec<u8>), NetError> {
        net.post(url, Vec::new(), "application/json", b"{}".to_vec()).await
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_is_refused_before_a_connection() {
        let (port, seen) = canary("").await;
        let net = Net::new([]).resolving(|_| vec![HERE]);
        let refused = post(&net, &format!("https://inside.example.com:{port}/")).await.unwrap_err();
        assert_eq!(refused, NetError::Refused("inside.example.com".into()));
        assert_eq!(net.addresses("localhost").await.unwrap_err(), NetError::Refused("localhost".into()));
        assert_eq!(seen.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn a_name_is_resolved_once_and_the_connection_goes_where_it_led() {
        let (port, seen) = canary("").await;
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        // An address that is allowed first, where nobody listens, and the canary's to whoever asks again.
        let net = Net::new(["127.0.0.2/32".parse().unwrap()]).resolving(move |_| {
            match count.fetch_add(1, Ordering::SeqCst) {
                0 => vec!["127.0.0.2".parse().unwrap()],
                _ => vec![HERE],
            }
        });
        let answer = post(&net, &format!("https://rebinding.example.com:{port}/")).await;
        assert_eq!(answer, Err(NetError::Failed("cannot connect: connection refused".into())));
        assert_eq!((asked.load(Ordering::SeqCst), seen.load(Ordering::SeqCst)), (1, 0));
    }

    #[tokio::test]
    async fn an_allowed_network_is_reached_and_no_redirect_is_followed() {
        const AWAY: &str = "HTTP/1.1 302 Found\r\nlocation: /again\r\ncontent-length: 2\r\n\r\nok";
        let (port, seen) = canary(AWAY).await;
        let net = Net::new(["127.0.0.0/8".parse().unwrap()]).resolving(|_| vec![HERE]);
        assert_eq!(post(&net, &format!("http://hooks.internal:{port}/x")).await, Ok((302, b"ok".to_vec())));
        assert_eq!(seen.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn an_answer_without_end_is_cut_off() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
        });
        let net = Net::new(["127.0.0.0/8".parse().unwrap()]);
        let (status, body) = post(&net, &format!("http://127.0.0.1:{port}/")).await.unwrap();
        assert_eq!(status, 200);
        assert!(body.len() <= MOST);
    }
}
