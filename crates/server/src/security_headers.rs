//! Headers that every answer carries unless it says otherwise itself (HT-01).

use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;

/// A year, as browsers' preload lists ask. Not `includeSubDomains`: the neighbours are not ours to promise for.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000");
const NOTHING: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");

/// Adds what is missing. A page's own policy stands; a redirect carries no framing header, since it may end a login
/// in an app's hidden frame (sdk-expectations §11).
pub fn add(response: &mut Response) {
    let redirects = response.status().is_redirection();
    let headers = response.headers_mut();
    set(headers, X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    set(headers, REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    set(headers, CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if !redirects {
        set(headers, CONTENT_SECURITY_POLICY, NOTHING);
    }
    if headers.get(CONTENT_SECURITY_POLICY).is_some_and(forbids_framing) {
        set(headers, X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    }
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: HeaderValue) {
    headers.entry(name).or_insert(value);
}

fn forbids_framing(policy: &HeaderValue) -> bool {
    policy.to_str().is_ok_and(|policy| policy.contains("frame-ancestors 'none'"))
}

/// HSTS on a tenant's own host, unless that is this machine: a browser would remember it for every port of `localhost`.
pub fn promise_https(headers: &mut HeaderMap, host: &str) {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let local =
        name == "localhost" || name.ends_with(".localhost") || name == "[::1]" || name.starts_with("127.");
    if !local {
        set(headers, STRICT_TRANSPORT_SECURITY, HSTS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_is_promised_for_real_hosts_alone() {
        let promised = |host: &str| {
            let mut headers = HeaderMap::new();
            promise_https(&mut headers, host);
            headers.contains_key(STRICT_TRANSPORT_SECURITY)
        };
        assert!(
            promised("id.example.com")
                && promised("id.example.com:8443")
                && promised("localhost.example.com")
        );
        for local in ["localhost", "localhost:8443", "acme.localhost:8443", "127.0.0.1:8443", "[::1]:8443"] {
            assert!(!promised(local), "{local}");
        }
    }
}
