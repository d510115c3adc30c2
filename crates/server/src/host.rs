//! From the request's host to its tenant, before any handler. `iss`, links and cookies come from that row,
//! never from what a client sent.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::header::HOST;
use axum::http::{HeaderName, StatusCode, Version};
use model::Model;
use model::tenants::{self, Tenant};

use crate::peer::FromProxy;
use crate::refusal::Refusal;

const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// The tenant of the request's host, which also goes into its extensions.
///
/// # Errors
/// 400 without one host, 404 for an unknown one.
pub async fn resolve(app: &Model, request: &mut Request) -> Result<Arc<Tenant>, Refusal> {
    let from_proxy = request.extensions().get::<FromProxy>().is_some();
    let host = named(request, from_proxy)?;
    match tenants::resolve(app, &host).await {
        Ok(Some(tenant)) => {
            tracing::Span::current().record("tenant", tenant.id.as_str());
            request.extensions_mut().insert::<Arc<Tenant>>(tenant.clone());
            Ok(tenant)
        }
        Ok(None) => {
            tracing::info!(host, "no tenant has this host");
            Err(Refusal::NOT_FOUND)
        }
        Err(error) => {
            tracing::error!(%error, "cannot look up the tenant");
            Err(Refusal::UNAVAILABLE)
        }
    }
}

/// The host that the client asked for, `name[:port]` in lower case without https's own port.
///
/// # Errors
/// 400 unless it is one.
pub fn named(request: &Request, from_proxy: bool) -> Result<String, Refusal> {
    const AMBIGUOUS: Refusal = Refusal::new(StatusCode::BAD_REQUEST, "The request does not name one host.");
    let headers = request.headers();
    let named = if from_proxy && headers.contains_key(X_FORWARDED_HOST) {
        single(headers.get_all(X_FORWARDED_HOST).iter())
    } else if let Some(authority) = request.uri().authority() {
        // RFC 9112 §3.2.2: an absolute-form target overrides Host; HTTP/2 carries `:authority` here.
        let host = headers.get(HOST).map(|host| host.as_bytes());
        let agrees = host.is_none_or(|host| host.eq_ignore_ascii_case(authority.as_str().as_bytes()));
        (request.version() != Version::HTTP_2 || agrees).then(|| authority.as_str())
    } else {
        // RFC 9112 §3.2: exactly one.
        single(headers.get_all(HOST).iter())
    };
    normalize(named.ok_or(AMBIGUOUS)?).ok_or(AMBIGUOUS)
}

fn single<'a>(mut values: impl Iterator<Item = &'a axum::http::HeaderValue>) -> Option<&'a str> {
    let first = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(first)
}

/// Lower case, without `:443`. Only what a host may consist of passes.
fn normalize(named: &str) -> Option<String> {
    let host = named.trim();
    let host = host.strip_suffix(":443").unwrap_or(host);
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    (!host.is_empty() && host.len() <= 255 && host.bytes().all(allowed)).then(|| host.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    fn host(uri: &str, headers: &[(&str, &str)], from_proxy: bool) -> Option<String> {
        let mut request = Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        named(&request.body(Body::empty()).expect("is a request"), from_proxy).ok()
    }

    #[test]
    fn a_host_is_normalized() {
        assert_eq!(host("/", &[("host", "ID.Example.com:443")], false).as_deref(), Some("id.example.com"));
        assert_eq!(host("/", &[("host", "localhost:8443")], false).as_deref(), Some("localhost:8443"));
        assert_eq!(host("/", &[("host", "[::1]:8443")], false).as_deref(), Some("[::1]:8443"));
        assert_eq!(host("https://a.test/", &[("host", "b.test")], false).as_deref(), Some("a.test"));
    }

    #[test]
    fn a_request_names_exactly_one_host() {
        assert_eq!(host("/", &[], false), None);
        assert_eq!(host("/", &[("host", "")], false), None);
        assert_eq!(host("/", &[("host", "a.test"), ("host", "b.test")], false), None);
        assert_eq!(host("/", &[("host", "a.test, b.test")], false), None);
        assert_eq!(host("/", &[("host", "user@a.test")], false), None);
    }

    #[test]
    fn a_forwarded_host_counts_from_a_proxy_alone() {
        let headers = [("host", "inner"), ("x-forwarded-host", "id.example.com")];
        assert_eq!(host("/", &headers, false).as_deref(), Some("inner"));
        assert_eq!(host("/", &headers, true).as_deref(), Some("id.example.com"));
        assert_eq!(host("/", &[("x-forwarded-host", "a, b")], true), None);
    }
}
