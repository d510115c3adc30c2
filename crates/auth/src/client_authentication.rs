//! Who calls: client authentication by nothing, by a secret in the body, or by HTTP Basic (authentication contract §3.1).

use std::sync::Arc;

use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use model::clients::{self, Client};

use crate::errors::OAuthError;
use crate::params::{self, Params};
use crate::visit::Visit;

/// What the caller showed.
#[derive(Debug, PartialEq, Eq)]
struct Credentials {
    client_id: String,
    secret: Option<String>,
    basic: bool,
}

/// The client that calls, proven as its settings ask. Basic and body are interchangeable; the query proves nothing.
///
/// Errors: 401 `access_denied` for an unknown client and for a wrong, missing or doubled secret alike.
pub async fn authenticate(
    visit: &Visit,
    query: Option<&str>,
    headers: &HeaderMap,
    params: &Params,
) -> Result<Arc<Client>, OAuthError> {
    let credentials = credentials(query, headers, params)?;
    let refused = || OAuthError { basic: credentials.basic, ..OAuthError::unauthorized_caller() };
    let client = clients::find(&visit.app, &visit.tenant.id, &credentials.client_id)
        .await?
        .filter(|client| !client.global)
        .ok_or_else(refused)?;
    let proven = client.is_public()
        || client.client_authentication_methods.is_none()
            && credentials.secret.as_deref().is_some_and(|secret| client.check_secret(secret));
    if proven { Ok(client) } else { Err(refused()) }
}

fn credentials(query: Option<&str>, headers: &HeaderMap, params: &Params) -> Result<Credentials, OAuthError> {
    if query.is_some_and(|query| query.contains("client_secret")) {
        return Err(OAuthError::unauthorized_caller());
    }
    let mut authorization = headers.get_all(header::AUTHORIZATION).iter();
    let (first, second) = (authorization.next(), authorization.next());
    let Some(value) = first else {
        let client_id = params.get("client_id").ok_or_else(|| OAuthError::missing("client_id"))?;
        let secret = params.get("client_secret").map(str::to_owned);
        return Ok(Credentials { client_id: client_id.to_owned(), secret, basic: false });
    };
    let refused = OAuthError { basic: true, ..OAuthError::unauthorized_caller() };
    let basic = value.to_str().ok().and_then(parse_basic).ok_or_else(|| refused.clone())?;
    // RFC 6749 §2.3: a client uses one method a request.
    let other_client = params.get("client_id").is_some_and(|client_id| client_id != basic.client_id);
    if second.is_some() || params.has("client_secret") || other_client {
        return Err(refused);
    }
    Ok(basic)
}

/// `Basic base64(urlencode(id):urlencode(secret))` (RFC 6749 §2.3.1).
fn parse_basic(value: &str) -> Option<Credentials> {
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    let (client_id, secret) = (params::decode(id).ok()?, params::decode(secret).ok()?);
    let usable = !client_id.is_empty() && !client_id.contains('\0');
    usable.then(|| Credentials {
        client_id,
        secret: Some(secret).filter(|secret| !secret.is_empty()),
        basic: true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderValue, StatusCode};

    fn with(authorization: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, HeaderValue::from_str(authorization).unwrap());
        headers
    }

    fn basic(pair: &str) -> String {
        format!("Basic {}", STANDARD.encode(pair))
    }

    #[test]
    fn basic_is_decoded_and_then_form_decoded() {
        let parsed = parse_basic(&basic("a%3Ab:s%2Bt+u")).unwrap();
        assert_eq!((parsed.client_id.as_str(), parsed.secret.as_deref()), ("a:b", Some("s+t u")));
        for bad in [
            "Basic",
            "Basic !!!",
            "Bearer abc",
            &basic("no-colon"),
            &basic(":s"),
            &basic("a:%zz"),
            &basic("%00:s"),
        ] {
            assert_eq!(parse_basic(bad), None, "{bad}");
        }
    }

    #[test]
    fn one_method_a_request_and_none_in_the_query() {
        let body = |text: &str| Params::parse_form(text).unwrap();
        let refused =
            |result: Result<Credentials, OAuthError>| result.unwrap_err().status == StatusCode::UNAUTHORIZED;
        assert!(refused(credentials(None, &with(&basic("a:s")), &body("client_id=a&client_secret=s"))));
        assert!(refused(credentials(None, &with(&basic("a:s")), &body("client_id=b"))));
        assert!(refused(credentials(Some("client_secret=s"), &HeaderMap::new(), &body("client_id=a"))));
        assert!(credentials(None, &with(&basic("a:s")), &body("client_id=a")).is_ok());
        assert_eq!(
            credentials(None, &HeaderMap::new(), &body("")).unwrap_err(),
            OAuthError::missing("client_id")
        );
    }

    #[test]
    fn two_authorization_headers_prove_nothing() {
        let mut headers = with(&basic("a:s"));
        headers.append(header::AUTHORIZATION, HeaderValue::from_str(&basic("a:s")).unwrap());
        assert!(credentials(None, &headers, &Params::default()).is_err());
    }
}
