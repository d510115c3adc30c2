//! From the `Authorization` header to the caller: the token, then the user and the client it speaks for as they are now.

use axum::extract::OriginalUri;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use model::client_certificates::ClientCertificate;
use model::jose::{Verified, VerifyError};
use model::proof_of_possession::{self, Expected, ProofError};
use model::tenants::Tenant;
use model::users::User;
use model::{ClientId, Model, UserId, clients, users};
use serde_json::Value;

use crate::access::{Bearer, Scopes, Subject};
use crate::errors::Error;
use crate::operations::Api;

/// What the subject of a machine's token ends with.
const MACHINE: &str = "@clients";

/// How a token is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `Bearer`.
    Bearer,
    /// `DPoP`: with a proof of the key that it is bound to (RFC 9449 §7.1).
    Bound,
}

/// The token of a request. Tokens are accepted nowhere else: not from the query, not from a cookie, not from a body.
///
/// # Errors
/// 401 without one or with several headers, 400 `Bearer` when it is not two parts or the token not three.
pub fn token(headers: &HeaderMap) -> Result<(Scheme, &str), Error> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(Error::MissingAuthentication);
    };
    let value = value.to_str().map_err(|_| Error::BadAuthenticationHeader)?;
    let mut parts = value.split(' ').filter(|part| !part.is_empty());
    let scheme = match parts.next() {
        Some(scheme) if scheme.eq_ignore_ascii_case("bearer") => Scheme::Bearer,
        Some(scheme) if scheme.eq_ignore_ascii_case("dpop") => Scheme::Bound,
        _ => return Err(Error::MissingAuthentication),
    };
    match (parts.next(), parts.next()) {
        (Some(token), None) if token.split('.').count() == 3 => Ok((scheme, token)),
        _ => Err(Error::BadAuthenticationHeader),
    }
}

/// Verifies the token: signature, time, issuer, audience, the key or the certificate that it is bound to and the claims that the access rule reads.
///
/// # Errors
/// The 400 and 401 answers of management contract §2.2; 401 `invalid_dpop_proof` and `use_dpop_nonce`.
pub async fn verify(app: &Model, tenant: &Tenant, api: Api, parts: &Parts) -> Result<Bearer, Error> {
    let (scheme, token) = token(&parts.headers)?;
    let verified = app.keys.verify(app, &tenant.id, token).await.map_err(refusal)?;
    let bearer = claims(tenant, api, &verified)?;
    let jkt = match verified.bound_to_certificate() {
        // RFC 8705 §3: it comes over a connection that proved that very certificate.
        Some(thumbprint) if shows(parts, thumbprint) => None,
        Some(_) => return Err(Error::InvalidToken),
        None => verified.bound_to().map_err(|()| Error::InvalidToken)?,
    };
    possession(app, tenant, parts, (scheme, token), jkt).await?;
    Ok(bearer)
}

/// Whether the connection proved the certificate with this thumbprint.
fn shows(parts: &Parts, thumbprint: &str) -> bool {
    parts.extensions.get::<ClientCertificate>().is_some_and(|shown| shown.thumbprint == thumbprint)
}

/// RFC 9449 §7.1: a token that is bound to a key is shown with a proof of it, and as nothing but a bound token.
async fn possession(
    app: &Model,
    tenant: &Tenant,
    parts: &Parts,
    (scheme, token): (Scheme, &str),
    jkt: Option<&str>,
) -> Result<(), Error> {
    let jkt = match (scheme, jkt) {
        (Scheme::Bearer, None) => return Ok(()),
        (Scheme::Bearer, Some(_)) | (Scheme::Bound, None) => return Err(Error::InvalidToken),
        (Scheme::Bound, Some(jkt)) => jkt,
    };
    let mut proofs = parts.headers.get_all("dpop").iter();
    let (Some(Ok(proof)), None) = (proofs.next().map(HeaderValue::to_str), proofs.next()) else {
        return Err(Error::InvalidProof);
    };
    let uri = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |original| &original.0);
    let url = format!("{}{}", tenant.issuer.trim_end_matches('/'), uri.path());
    let expected =
        Expected { method: parts.method.as_str(), url: &url, access_token: Some(token), nonce: false };
    match proof_of_possession::check(app, tenant, proof, expected).await {
        Ok(proven) if proven == jkt => Ok(()),
        Ok(_) | Err(ProofError::Invalid(_)) => Err(Error::InvalidProof),
        Err(ProofError::Nonce(nonce)) => Err(Error::WantsNonce(nonce)),
        Err(ProofError::Failed(error)) => Err(error.into()),
    }
}

/// Reads the claims of a token whose signature and time are good.
fn claims(tenant: &Tenant, api: Api, token: &Verified) -> Result<Bearer, Error> {
    // An ID token is for a client; its audience is no API, and some of its claims are never in an access token.
    if token.issuer() != tenant.issuer || token.claims.contains_key("nonce") || is_for_client(token) {
        return Err(Error::InvalidToken);
    }
    let audience = api.audience(tenant);
    if !token.is_for(&audience) {
        return Err(Error::BadAudience(audience));
    }
    let (Some(client), Some(issued_at)) =
        (token.text("azp").filter(|azp| !azp.is_empty()), token.integer("iat"))
    else {
        return Err(Error::InvalidToken);
    };
    let subject = match token.subject().strip_suffix(MACHINE) {
        Some(machine) if machine == client => Subject::Client,
        Some(_) => return Err(Error::InvalidToken),
        None if token.subject().contains('|') => Subject::User(UserId::from(token.subject())),
        None => return Err(Error::InvalidToken),
    };
    let scopes = match token.claims.get("scope") {
        None => Scopes::default(),
        Some(Value::String(scopes)) => Scopes::new(scopes),
        Some(_) => return Err(Error::InvalidToken),
    };
    let token_id = token.text("jti").map(str::to_owned);
    // RFC 9068 §2.2.1: how surely the user was known when the token was asked for.
    let methods = token.claims.get("amr").and_then(Value::as_array);
    Ok(Bearer {
        subject,
        client: ClientId::from(client),
        scopes,
        token_id,
        issued_at,
        authenticated_at: token.integer("auth_time"),
        mfa: methods.is_some_and(|methods| methods.iter().any(|method| method == "mfa")),
    })
}

/// Whether the token is for the very client that asked for it: an ID token.
fn is_for_client(token: &Verified) -> bool {
    match (token.claims.get("aud"), token.text("azp")) {
        (Some(Value::String(audience)), Some(azp)) => audience == azp,
        (Some(Value::String(audience)), None) => !audience.contains(':'),
        _ => false,
    }
}

fn refusal(error: VerifyError) -> Error {
    match error {
        VerifyError::Malformed => Error::BadAuthenticationHeader,
        VerifyError::Signature => Error::InvalidSignature,
        VerifyError::Expired => Error::ExpiredToken,
        VerifyError::Invalid => Error::InvalidToken,
        VerifyError::Failed(error) => Error::Database(error),
    }
}

/// The caller's user as they are now, if a person calls; the client is looked up too. A block or a delete acts on the next call.
///
/// # Errors
/// 401.
pub async fn current_user(app: &Model, tenant: &Tenant, bearer: &Bearer) -> Result<Option<User>, Error> {
    if clients::find(app, &tenant.id, bearer.client.as_str()).await?.is_none() {
        return Err(Error::InvalidToken);
    }
    let Subject::User(id) = &bearer.subject else { return Ok(None) };
    match users::find(&app.db, &tenant.id, id).await? {
        Some(user) if bearer.speaks_for(&user) => Ok(Some(user)),
        _ => Err(Error::InvalidToken),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn header(values: &[&str]) -> HeaderMap {
        let value = |text: &&str| (header::AUTHORIZATION, HeaderValue::from_str(text).unwrap());
        values.iter().map(value).collect()
    }

    #[test]
    fn a_token_comes_in_one_header_of_two_parts() {
        assert_eq!(token(&header(&["Bearer a.b.c"])).unwrap(), (Scheme::Bearer, "a.b.c"));
        assert_eq!(token(&header(&["bearer a.b.c"])).unwrap(), (Scheme::Bearer, "a.b.c"));
        assert_eq!(token(&header(&["DPoP a.b.c"])).unwrap(), (Scheme::Bound, "a.b.c"));
        for missing in [&[][..], &[""], &["Basic eDp5"], &["Token a.b.c"], &["Bearer a.b.c", "Bearer a.b.c"]]
        {
            assert!(matches!(token(&header(missing)), Err(Error::MissingAuthentication)), "{missing:?}");
        }
        for bad in ["Bearer", "Bearer ", "Bearer opaque", "Bearer a.b", "Bearer a.b.c.d", "Bearer a.b.c d"] {
            assert!(matches!(token(&header(&[bad])), Err(Error::BadAuthenticationHeader)), "{bad}");
        }
    }
}
