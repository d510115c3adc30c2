//! `/userinfo` (OIDC Core §5.3; authentication contract §4.3).

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use model::access_tokens::{self, Opened};
use model::clients::{self, Client};
use model::jose::{Algorithm, Verified, VerifyError};
use model::proof_of_possession::{self as proofs, Expected, ProofError};
use model::requested_claims::{RequestedClaim, RequestedClaims};
use model::seal::digest;
use model::users::{self, User};
use model::{App, UserId, subjects};
use serde_json::{Map, Value};

use crate::issue::as_specified;
use crate::params::Params;
use crate::possession::only;
use crate::scopes::Scopes;
use crate::visit::Visit;

/// `GET|POST /userinfo`: the claims that the token's scopes allow. Every refusal is 401.
pub async fn userinfo(
    State(_): State<App>,
    visit: Visit,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    match claims(&visit, &method, &headers, &body).await {
        Ok(Granted { user, scopes, named, client, strict }) => {
            let mut body = Map::new();
            match subjects::of(&visit.app, &visit.tenant.id, &client, &user.id).await {
                Ok(sub) => body.insert("sub".into(), sub.into()),
                Err(error) => return Visit::json_error(error),
            };
            body.extend(user.claims(|scope| scopes.has(scope)));
            body.extend(user.requested_claims(&named));
            if strict {
                as_specified(&mut body);
            }
            if let Some(algorithm) = client.protocol.userinfo_algorithm() {
                return signed(&visit, &client, algorithm, body).await;
            }
            let json = serde_json::to_vec(&body).unwrap_or_default();
            let kept = [
                (header::CONTENT_TYPE, "application/json; charset=utf-8"),
                (header::CACHE_CONTROL, "no-store"),
            ];
            (kept, json).into_response()
        }
        Err(Unopened::NoToken) => unauthorized("Bearer realm=\"Users\"", None),
        Err(Unopened::Token) => unauthorized(
            "Bearer realm=\"Users\", error=\"invalid_token\", error_description=\"The access token is not valid\"",
            None,
        ),
        Err(Unopened::Proof) => {
            unauthorized("DPoP realm=\"Users\", error=\"invalid_dpop_proof\", algs=\"ES256\"", None)
        }
        Err(Unopened::Nonce(nonce)) => {
            unauthorized("DPoP realm=\"Users\", error=\"use_dpop_nonce\", algs=\"ES256\"", Some(nonce))
        }
        Err(Unopened::Failed(error)) => Visit::json_error(error),
    }
}

/// What is told, signed (OIDC Core §5.3.2). Its type says that it is no ID token.
async fn signed(
    visit: &Visit,
    client: &Client,
    algorithm: Algorithm,
    mut body: Map<String, Value>,
) -> Response {
    let (app, tenant) = (&visit.app, &visit.tenant);
    body.insert("iss".into(), tenant.issuer.as_str().into());
    body.insert("aud".into(), client.client_id.as_str().into());
    match app.keys.sign(app, &tenant.id, algorithm, "userinfo+jwt", &body).await {
        Ok(token) => {
            ([(header::CONTENT_TYPE, "application/jwt"), (header::CACHE_CONTROL, "no-store")], token)
                .into_response()
        }
        Err(error) => Visit::json_error(error),
    }
}

fn unauthorized(challenge: &'static str, nonce: Option<String>) -> Response {
    let mut response = (StatusCode::UNAUTHORIZED, "Unauthorized").into_response();
    let headers = response.headers_mut();
    headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(nonce) = nonce.and_then(|nonce| HeaderValue::try_from(nonce).ok()) {
        headers.insert("dpop-nonce", nonce);
    }
    response
}

/// Why nothing is told.
enum Unopened {
    /// No `Authorization` at all.
    NoToken,
    /// A token that is none of ours, or not shown as it must be.
    Token,
    /// No proof of the key that the token is bound to.
    Proof,
    /// A proof that needs this nonce.
    Nonce(String),
    Failed(db::Error),
}

impl From<db::Error> for Unopened {
    fn from(error: db::Error) -> Self {
        Self::Failed(error)
    }
}

/// What a token opens here.
struct Granted {
    user: User,
    scopes: Scopes,
    /// What it tells besides: the claims that were named one by one.
    named: Vec<RequestedClaim>,
    client: Arc<Client>,
    /// Whether the client is answered as the specification has it.
    strict: bool,
}

/// The user and scopes of the token: opaque, or a JWT for an API that names this endpoint too.
async fn claims(
    visit: &Visit,
    method: &Method,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Granted, Unopened> {
    let untried =
        || if headers.contains_key(header::AUTHORIZATION) { Unopened::Token } else { Unopened::NoToken };
    let posted = posted(method, headers, body);
    let (scheme, token) = match &posted {
        Some(token) if !headers.contains_key(header::AUTHORIZATION) => (Scheme::Bearer, token.as_str()),
        _ => shown(headers).ok_or_else(untried)?,
    };
    let (app, tenant) = (&visit.app, &visit.tenant);
    let (opened, issued_at) = if token.contains('.') {
        let verified = match app.keys.verify(app, &tenant.id, token).await {
            Ok(verified) => verified,
            Err(VerifyError::Failed(error)) => return Err(error.into()),
            Err(_) => return Err(Unopened::Token),
        };
        if verified.issuer() != tenant.issuer || !verified.is_for(&tenant.userinfo_audience()) {
            return Err(Unopened::Token);
        }
        let (Some(client_id), Some(iat)) =
            (verified.text("azp").or_else(|| verified.text("client_id")), verified.integer("iat"))
        else {
            return Err(Unopened::Token);
        };
        let opened = Opened {
            user_id: UserId::from(verified.subject()),
            client_id: client_id.into(),
            scope: verified.text("scope").unwrap_or_default().to_owned(),
            jkt: bound_to_key(&verified)?,
            certificate: verified.bound_to_certificate().map(str::to_owned),
            claims: Some(RequestedClaims { userinfo: named(&verified), ..RequestedClaims::default() }),
        };
        (opened, Some(iat))
    } else {
        let found = access_tokens::find(&app.db, &tenant.id, &digest(token), app.clock.now()).await?;
        (found.ok_or(Unopened::Token)?, None)
    };
    let scopes = Scopes::parse(&opened.scope);
    let client = clients::find(app, &tenant.id, opened.client_id.as_str()).await?;
    let client = client.filter(|_| scopes.has("openid")).ok_or(Unopened::Token)?;
    let strict = visit.is_strict_for(&client).await?;
    match (&posted, headers.contains_key(header::AUTHORIZATION)) {
        (Some(_), false) if !strict => return Err(Unopened::NoToken),
        // RFC 6750 §2: a client shows its token in one way.
        (Some(_), true) if strict => return Err(Unopened::Token),
        _ => {}
    }
    certified(visit, opened.certificate.as_deref())?;
    possession(visit, method, headers, (scheme, token), opened.jkt.as_deref()).await?;
    let user = users::find(&app.db, &tenant.id, &opened.user_id).await?;
    // A token older than its user is another user's who had the same id.
    let living = user
        .filter(|user| !user.is_blocked() && issued_at.is_none_or(|iat| iat >= user.created_at.seconds()));
    let named = opened.claims.unwrap_or_default().userinfo;
    living.map(|user| Granted { user, scopes, named, client, strict }).ok_or(Unopened::Token)
}

/// The key that a JWT is bound to, if it is bound to one.
fn bound_to_key(token: &Verified) -> Result<Option<String>, Unopened> {
    match token.bound_to_certificate() {
        Some(_) => Ok(None),
        None => Ok(token.bound_to().map_err(|()| Unopened::Token)?.map(str::to_owned)),
    }
}

/// RFC 8705 §3: a token that is bound to a certificate comes over a connection that proved it.
fn certified(visit: &Visit, thumbprint: Option<&str>) -> Result<(), Unopened> {
    let Some(thumbprint) = thumbprint else { return Ok(()) };
    let shown = visit.certificate.as_ref().is_some_and(|shown| shown.thumbprint == thumbprint);
    if shown { Ok(()) } else { Err(Unopened::Token) }
}

/// The claims that a JWT says were named one by one.
fn named(token: &Verified) -> Vec<RequestedClaim> {
    let names = token.claims.get("userinfo_claims").and_then(Value::as_array);
    names.into_iter().flatten().filter_map(Value::as_str).map(RequestedClaim::any).collect()
}

/// RFC 9449 §7.1: a token that is bound to a key is shown with a proof of it, and as nothing but a bound token.
async fn possession(
    visit: &Visit,
    method: &Method,
    headers: &HeaderMap,
    (scheme, token): (Scheme, &str),
    jkt: Option<&str>,
) -> Result<(), Unopened> {
    let jkt = match (scheme, jkt) {
        (Scheme::Bearer, None) => return Ok(()),
        (Scheme::Bearer, Some(_)) | (Scheme::Bound, None) => return Err(Unopened::Token),
        (Scheme::Bound, Some(jkt)) => jkt,
    };
    let Ok(Some(proof)) = only(headers) else { return Err(Unopened::Proof) };
    let url = visit.tenant.userinfo_audience();
    let expected = Expected { method: method.as_str(), url: &url, access_token: Some(token), nonce: false };
    match proofs::check(&visit.app, &visit.tenant, proof, expected).await {
        Ok(proven) if proven == jkt => Ok(()),
        Ok(_) | Err(ProofError::Invalid(_)) => Err(Unopened::Proof),
        Err(ProofError::Nonce(nonce)) => Err(Unopened::Nonce(nonce)),
        Err(ProofError::Failed(error)) => Err(error.into()),
    }
}

/// How a token is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Bearer,
    /// `DPoP`.
    Bound,
}

/// The token that a form brings (RFC 6750 §2.2): of strict clients alone, as Auth0 looks at the header and nowhere else.
fn posted(method: &Method, headers: &HeaderMap, body: &[u8]) -> Option<String> {
    let kind = headers.get(header::CONTENT_TYPE)?.to_str().ok()?.split(';').next()?.trim();
    let is_form = method == Method::POST && kind.eq_ignore_ascii_case("application/x-www-form-urlencoded");
    let params = is_form.then(|| Params::parse_form(std::str::from_utf8(body).ok()?).ok())??;
    params.get("access_token").map(str::to_owned)
}

/// The token of the one `Authorization` header (RFC 6750 §2.1, RFC 9449 §7.1). The query is not looked at.
fn shown(headers: &HeaderMap) -> Option<(Scheme, &str)> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (first, None) = (values.next()?, values.next()) else { return None };
    let (scheme, token) = first.to_str().ok()?.split_once(' ')?;
    let scheme = if scheme.eq_ignore_ascii_case("bearer") {
        Scheme::Bearer
    } else if scheme.eq_ignore_ascii_case("dpop") {
        Scheme::Bound
    } else {
        return None;
    };
    (!token.is_empty() && !token.contains(' ')).then_some((scheme, token))
}
