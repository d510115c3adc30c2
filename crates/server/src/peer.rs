//! Who is at the other end. Forwarded headers count only from a named proxy; the list is empty by default (HT-05).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::Request;
use axum::http::header::USER_AGENT;
use axum::http::{HeaderMap, StatusCode};
use ipnet::IpNet;
use model::Peer;
use model::client_certificates::ClientCertificate;

use crate::refusal::Refusal;

/// The address of the socket that a request came in on; the accept loop puts it in the request's extensions.
#[derive(Clone, Copy, Debug)]
pub struct RemoteAddress(pub SocketAddr);

/// Marks a request whose connection comes from a trusted proxy, so that its `X-Forwarded-*` headers count.
#[derive(Clone, Copy, Debug)]
pub struct FromProxy;

/// The peers that may speak for others.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    /// Their networks.
    pub trusted: Arc<[IpNet]>,
    /// Whether nobody else may connect: plain HTTP behind a proxy.
    pub only: bool,
    /// Whether the traces that they have begun go on here.
    pub begin_traces: bool,
}

impl Proxies {
    /// Whether a connection from `remote` is a trusted proxy's.
    ///
    /// # Errors
    /// In plain HTTP, whoever is not the proxy is refused.
    pub fn admit(&self, remote: IpAddr) -> Result<bool, Refusal> {
        let trusted = self.trusts(remote.to_canonical());
        match self.only && !trusted {
            true => {
                Err(Refusal::new(StatusCode::FORBIDDEN, "This server answers its proxy alone; use https."))
            }
            false => Ok(trusted),
        }
    }

    /// The client's address, behind a proxy where the connection is one's.
    pub fn client_of(&self, remote: IpAddr, headers: &HeaderMap) -> IpAddr {
        let remote = remote.to_canonical();
        if self.trusts(remote) { self.client(remote, headers) } else { remote }
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|net| net.contains(&address))
    }

    /// Whether the trace that a request tells of goes on here: strangers do not decide what is traced.
    #[cfg(feature = "otel")]
    pub fn began_trace(&self, request: &Request) -> bool {
        let remote = request.extensions().get::<RemoteAddress>();
        self.begin_traces && remote.is_some_and(|remote| self.trusts(remote.0.ip().to_canonical()))
    }

    /// The rightmost address that no trusted proxy stands behind: what lies left of it anybody can write.
    fn client(&self, remote: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = remote;
        let lines = headers.get_all("x-forwarded-for").iter().rev();
        for hop in lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b',')) {
            let Some(address) = address(hop) else { break };
            client = address;
            if !self.trusts(address) {
                break;
            }
        }
        client
    }
}

/// An address as a proxy writes it, with or without a port.
fn address(hop: &[u8]) -> Option<IpAddr> {
    let hop = std::str::from_utf8(hop).ok()?.trim();
    let parsed = hop.parse().or_else(|_| hop.parse::<SocketAddr>().map(|address| address.ip()));
    parsed.ok().map(|address: IpAddr| address.to_canonical())
}

/// Puts the [`Peer`] into the request's extensions.
///
/// # Errors
/// In plain HTTP, whoever is not the proxy is refused.
pub fn identify(proxies: &Proxies, request: &mut Request) -> Result<(), Refusal> {
    let Some(RemoteAddress(remote)) = request.extensions().get().copied() else {
        tracing::error!("a request without a remote address: the accept loop must set it");
        return Err(Refusal::INTERNAL);
    };
    let from_proxy = proxies.admit(remote.ip())?;
    let ip = proxies.client_of(remote.ip(), request.headers());
    let user_agent = request.headers().get(USER_AGENT).map(|agent| {
        String::from_utf8_lossy(agent.as_bytes())
            .chars()
            .filter(|char| !char.is_control())
            .take(512)
            .collect()
    });
    tracing::Span::current().record("ip", tracing::field::display(ip));
    request.extensions_mut().insert(Peer { ip, user_agent });
    if from_proxy {
        request.extensions_mut().insert(FromProxy);
        // The proxy speaks TLS, and says what the client proved there; on its own connection it proves nothing for the client.
        request.extensions_mut().remove::<ClientCertificate>();
        if let Some(certificate) = forwarded_certificate(request.headers()) {
            request.extensions_mut().insert(certificate);
        }
    }
    Ok(())
}

/// The certificate that a proxy says the client proved to hold: percent-encoded PEM in `client-certificate`, and `SUCCESS` in
/// `client-certificate-ca-verified` where an authority that the proxy trusts has signed it (authentication contract §3.1).
fn forwarded_certificate(headers: &HeaderMap) -> Option<ClientCertificate> {
    let one = |name: &str| {
        let mut values = headers.get_all(name).iter();
        let (value, None) = (values.next()?, values.next()) else { return None };
        value.to_str().ok()
    };
    let pem = percent_encoding::percent_decode_str(one("client-certificate")?).decode_utf8().ok()?;
    let verified = one("client-certificate-ca-verified") == Some("SUCCESS");
    ClientCertificate::from_pem(&pem, verified)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn client(forwarded: &[&str]) -> String {
        let trusted = ["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
        let proxies = Proxies { trusted: Arc::new(trusted), ..Proxies::default() };
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append("x-forwarded-for", HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        proxies.client("10.0.0.1".parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn the_rightmost_untrusted_hop_is_the_client() {
        assert_eq!(client(&[]), "10.0.0.1");
        assert_eq!(client(&["203.0.113.5"]), "203.0.113.5");
        assert_eq!(client(&["198.51.100.1, 203.0.113.5, 10.0.0.2"]), "203.0.113.5");
        assert_eq!(client(&["198.51.100.1", "203.0.113.5"]), "203.0.113.5");
        assert_eq!(client(&["203.0.113.5:4711"]), "203.0.113.5");
        assert_eq!(client(&["::ffff:203.0.113.5"]), "203.0.113.5");
        assert_eq!(client(&["198.51.100.1, nonsense"]), "10.0.0.1");
        // What the client wrote to the left hides nothing of what the proxy wrote.
        assert_eq!(client(&["caf\u{e9}, 203.0.113.5"]), "203.0.113.5");
        assert_eq!(client(&["203.0.113.5, caf\u{e9}"]), "10.0.0.1");
    }
}
