//! Who calls: client authentication by nothing, by a secret in the body or by HTTP Basic, by an assertion, or by the certificate of the
//! connection (authentication contract §3.1).

mod assertion;
mod basic;

use std::sync::Arc;

use axum::http::{HeaderMap, header};
use model::clients::{self, Client};
use model::protocol;

use crate::errors::OAuthError;
use crate::params::Params;
use crate::visit::Visit;

/// What the caller showed, where that is no assertion.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    client_id: String,
    secret: Option<String>,
    basic: bool,
}

/// The client that calls, proven as its settings ask. Basic and body are interchangeable; the query proves nothing.
///
/// Errors: 401 `access_denied` for an unknown client and for a wrong, missing or doubled secret alike; 401 `invalid_client` for an
/// assertion that does not hold.
pub async fn authenticate(
    visit: &Visit,
    query: Option<&str>,
    headers: &HeaderMap,
    params: &Params,
) -> Result<Arc<Client>, OAuthError> {
    if params.has("client_assertion") || params.has("client_assertion_type") {
        return assertion::authenticate(visit, query, headers, params).await;
    }
    let of_tenant = protocol::find(&visit.app, &visit.tenant.id).await?;
    let shown = shown(query, headers, params).map_err(|error| error.told(of_tenant.strict))?;
    let refused =
        |strict| OAuthError { basic: shown.basic, ..OAuthError::unauthorized_caller() }.told(strict);
    let client = find(visit, &shown.client_id).await?.ok_or_else(|| refused(of_tenant.strict))?;
    let strict = of_tenant.is_strict_for(&client);
    if client.proves_by_certificate() {
        // RFC 8705 §2: `client_id` says who it is, the connection proves it, and nothing else stands beside it.
        let certificate = visit.certificate.as_ref().filter(|_| shown.secret.is_none() && !shown.basic);
        return match certificate.is_some_and(|shown| client.is_proven_by(shown, visit.app.clock.now())) {
            true => Ok(client),
            false => Err(refused(strict)),
        };
    }
    let proven = client.is_public() && !client.protocol.is_fapi2()
        || client.client_authentication_methods.is_none()
            && !client.protocol.is_fapi2()
            && (!strict || shown.is_by(client.token_endpoint_auth_method.as_deref()))
            && shown.secret.as_deref().is_some_and(|secret| client.check_secret(secret));
    if proven { Ok(client) } else { Err(refused(strict)) }
}

impl Shown {
    /// Whether it was shown by this very method.
    fn is_by(&self, method: Option<&str>) -> bool {
        match method {
            Some("client_secret_basic") => self.basic,
            Some("client_secret_post") => !self.basic,
            _ => true,
        }
    }
}

async fn find(visit: &Visit, client_id: &str) -> Result<Option<Arc<Client>>, db::Error> {
    let client = clients::find(&visit.app, &visit.tenant.id, client_id).await?;
    Ok(client.filter(|client| !client.global))
}

fn shown(query: Option<&str>, headers: &HeaderMap, params: &Params) -> Result<Shown, OAuthError> {
    if query.is_some_and(|query| query.contains("client_secret")) {
        return Err(OAuthError::unauthorized_caller());
    }
    let mut authorization = headers.get_all(header::AUTHORIZATION).iter();
    let (first, second) = (authorization.next(), authorization.next());
    let Some(value) = first else {
        let client_id = params.get("client_id").ok_or_else(|| OAuthError::missing("client_id"))?;
        let secret = params.get("client_secret").map(str::to_owned);
        return Ok(Shown { client_id: client_id.to_owned(), secret, basic: false });
    };
    let refused = OAuthError { basic: true, ..OAuthError::unauthorized_caller() };
    let basic = value.to_str().ok().and_then(basic::parse).ok_or_else(|| refused.clone())?;
    // RFC 6749 §2.3: a client uses one method a request.
    let other_client = params.get("client_id").is_some_and(|client_id| client_id != basic.client_id);
    if second.is_some() || params.has("client_secret") || other_client {
        return Err(refused);
    }
    Ok(basic)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderValue, StatusCode};

    /// `a:s`.
    const BASIC: &str = "Basic YTpz";

    fn with(authorization: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, HeaderValue::from_str(authorization).unwrap());
        headers
    }

    #[test]
    fn one_method_a_request_and_none_in_the_query() {
        let body = |text: &str| Params::parse_form(text).unwrap();
        let refused =
            |result: Result<Shown, OAuthError>| result.unwrap_err().status == StatusCode::UNAUTHORIZED;
        assert!(refused(shown(None, &with(BASIC), &body("client_id=a&client_secret=s"))));
        assert!(refused(shown(None, &with(BASIC), &body("client_id=b"))));
        assert!(refused(shown(Some("client_secret=s"), &HeaderMap::new(), &body("client_id=a"))));
        assert!(shown(None, &with(BASIC), &body("client_id=a")).is_ok());
        assert_eq!(shown(None, &HeaderMap::new(), &body("")).unwrap_err(), OAuthError::missing("client_id"));
    }

    #[test]
    fn two_authorization_headers_prove_nothing() {
        let mut headers = with(BASIC);
        headers.append(header::AUTHORIZATION, HeaderValue::from_static(BASIC));
        assert!(shown(None, &headers, &Params::default()).is_err());
    }
}
