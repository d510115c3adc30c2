//! Which origins may call from a browser (authentication contract §0.2, management contract §2.7).
//!
//! Public metadata and `/userinfo` answer any origin; the endpoints that apps call answer an origin that some client
//! of the tenant lists; everything else answers none. Two endpoints allow such an origin credentials: they are there for pages of an
//! app's own that sign people in, and look for themselves at whose origin it is.

use axum::extract::Request;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use model::tenants::Tenant;
use model::{Model, clients};

use crate::refusal::Refusal;

const METHODS: HeaderValue = HeaderValue::from_static("GET,POST,PATCH,PUT,DELETE,OPTIONS");
const HEADERS: HeaderValue = HeaderValue::from_static(
    "Authorization,Content-Type,Accept,Auth0-Client,DPoP,X-Request-Language,X-Requested-With",
);
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "DPoP-Nonce,X-RateLimit-Limit,X-RateLimit-Remaining,X-RateLimit-Reset,Retry-After",
);
/// Seconds. A client that is unlisted stays answered by a browser's cached preflight for as long.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// What a path allows.
#[derive(Debug, PartialEq, Eq)]
enum Rule {
    /// Any origin, without credentials: it tells nothing that a `curl` would not get.
    Anybody,
    /// An origin that some client of the tenant lists.
    Listed,
    /// The same, with cookies.
    Credentialed,
    /// None: pages, redirects and files.
    Nobody,
}

impl Rule {
    fn of(path: &str) -> Self {
        const LISTED: [&str; 6] =
            ["/api/v2/", "/mfa/", "/dbconnections/", "/passwordless/", "/passkey/", "/me/"];
        match path {
            "/userinfo" => Self::Anybody,
            "/passwordless/verify_redirect" => Self::Nobody,
            "/co/authenticate" | "/user/ssodata" => Self::Credentialed,
            "/oauth/token" | "/oauth/revoke" | "/oauth/device/code" | "/usernamepassword/challenge" => {
                Self::Listed
            }
            path if path.starts_with("/.well-known/") => Self::Anybody,
            path if LISTED.iter().any(|prefix| path.starts_with(prefix)) => Self::Listed,
            _ => Self::Nobody,
        }
    }

    /// Whether the answer depends on the origin.
    fn is_listed(&self) -> bool {
        matches!(self, Self::Listed | Self::Credentialed)
    }
}

/// Who may read the answer to a request.
pub struct Origins {
    rule: Rule,
    allowed: Option<HeaderValue>,
}

impl Origins {
    /// What holds for a request for `path` with these headers.
    ///
    /// # Errors
    /// 503 when the clients' lists cannot be read.
    pub async fn of(app: &Model, tenant: &Tenant, path: &str, headers: &HeaderMap) -> Result<Self, Refusal> {
        let rule = Rule::of(path);
        let allowed = match rule {
            Rule::Nobody => None,
            Rule::Anybody => Some(HeaderValue::from_static("*")),
            Rule::Listed | Rule::Credentialed => listed(app, tenant, headers).await.map_err(|error| {
                tracing::error!(%error, "cannot look up an origin");
                Refusal::UNAVAILABLE
            })?,
        };
        Ok(Self { rule, allowed })
    }

    /// The answer to a preflight; `None` for every other request.
    pub fn preflight(&self, request: &Request) -> Option<Response> {
        (self.rule != Rule::Nobody && is_preflight(request))
            .then(|| preflight(&self.rule, self.allowed.clone(), request.headers()))
    }

    /// Marks an answer for whom may read it.
    pub fn mark(self, headers: &mut HeaderMap) {
        if self.rule.is_listed() {
            headers.append(VARY, HeaderValue::from_static("Origin"));
        }
        if let Some(origin) = self.allowed {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
            if self.rule == Rule::Credentialed {
                headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
            }
        }
    }
}

/// The request's origin, if some client of the tenant lists it.
async fn listed(app: &Model, tenant: &Tenant, headers: &HeaderMap) -> Result<Option<HeaderValue>, db::Error> {
    let mut origins = headers.get_all(ORIGIN).iter();
    let (Some(value), None) = (origins.next(), origins.next()) else { return Ok(None) };
    let Some(origin) = value.to_str().ok().filter(|origin| is_origin(origin)) else { return Ok(None) };
    Ok(clients::origin_listed(app, &tenant.id, origin).await?.then(|| value.clone()))
}

/// Whether `text` has the form of a serialized origin (RFC 6454 §6.2): `scheme://host[:port]`, never `null`. Schemes of
/// packaged apps (`capacitor://localhost`) are origins too; whether one may call is for the client's list to say.
fn is_origin(text: &str) -> bool {
    let Some((scheme, authority)) = text.split_once("://") else { return false };
    let in_scheme = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte);
    let in_authority =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._:[]".contains(&byte);
    text.len() <= 255
        && scheme.starts_with(|first: char| first.is_ascii_lowercase())
        && scheme.bytes().all(in_scheme)
        && !authority.is_empty()
        && authority.bytes().all(in_authority)
}

/// A preflight as Fetch defines it (§4.8): OPTIONS that names an origin and a method.
fn is_preflight(request: &Request) -> bool {
    request.method() == Method::OPTIONS
        && request.headers().contains_key(ORIGIN)
        && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// 204 to everybody, since a preflight carries no token; what it allows depends on the origin.
fn preflight(rule: &Rule, allowed: Option<HeaderValue>, request: &HeaderMap) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    if rule.is_listed() {
        headers.insert(VARY, HeaderValue::from_static("Origin,Access-Control-Request-Headers"));
    }
    let Some(origin) = allowed else { return response };
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    if *rule == Rule::Credentialed {
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
    let asked = request.get(ACCESS_CONTROL_REQUEST_HEADERS).filter(|asked| is_header_list(asked.as_bytes()));
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked.cloned().unwrap_or(HEADERS));
    response
}

fn is_header_list(list: &[u8]) -> bool {
    !list.is_empty() && list.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_, ".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_one_rule() {
        assert_eq!(Rule::of("/.well-known/jwks.json"), Rule::Anybody);
        assert_eq!(Rule::of("/userinfo"), Rule::Anybody);
        assert_eq!(Rule::of("/oauth/token"), Rule::Listed);
        assert_eq!(Rule::of("/api/v2/users/auth0|1"), Rule::Listed);
        assert_eq!(Rule::of("/co/authenticate"), Rule::Credentialed);
        assert_eq!(Rule::of("/user/ssodata"), Rule::Credentialed);
        for page in
            ["/authorize", "/u/login", "/v2/logout", "/oidc/logout", "/account/", "/dev", "/", "/userinfo/"]
        {
            assert_eq!(Rule::of(page), Rule::Nobody, "{page}");
        }
    }

    #[test]
    fn only_a_serialized_origin_is_one() {
        for good in
            ["https://app.test", "http://localhost:3000", "capacitor://localhost", "http://[::1]:8080"]
        {
            assert!(is_origin(good), "{good}");
        }
        for bad in [
            "null",
            "",
            "*",
            "https://app.test/",
            "HTTPS://app.test",
            "https://App.test",
            "file://",
            "https://u@app.test",
            "app.test",
            "data:text/html,x",
            "https://app.test evil",
            "https://*.app.test",
            "https://app.test,b",
        ] {
            assert!(!is_origin(bad), "{bad}");
        }
    }
}
