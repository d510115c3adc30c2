//! `POST /oauth/par`: authorization requests that the client pushes before it sends the browser (RFC 9126; authentication contract
//! §10).

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use db::Batch;
use model::App;
use model::clients::Client;
use model::pushed_requests::{self, PushedRequest};
use model::seal::digest;
use model::transactions::Source;
use serde_json::json;

use super::request::{Refusal, Request};
use super::{LONGEST_REQUEST, signed};
use crate::client_authentication;
use crate::errors::{OAuthError, no_store_json};
use crate::params::{self, Params, ParamsError};
use crate::possession;
use crate::visit::Visit;

/// What every `request_uri` of ours begins with (RFC 9126 §2.2).
pub const PREFIX: &str = "urn:ietf:params:oauth:request_uri:";

/// Seconds that a pushed request lives, unless its client says otherwise.
const LIFETIME: i64 = 30;

/// So many parameters of the client's own invention (`ext-…`) are kept.
const MOST_EXTENSIONS: usize = 10;

/// Parameters that prove the client, and are no part of its request.
const CREDENTIALS: [&str; 3] = ["client_secret", "client_assertion", "client_assertion_type"];

/// `POST /oauth/par`. Errors: 404 `endpoint_disabled`, 401 as at the token endpoint, and as 400 whatever `/authorize` would refuse.
pub async fn push(
    State(_): State<App>,
    visit: Visit,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    match accept(visit, query.as_deref(), &headers, &body).await {
        Ok((uri, expires_in)) => {
            no_store_json(StatusCode::CREATED, &json!({ "request_uri": uri, "expires_in": expires_in }))
        }
        Err(error) => error.into_response(),
    }
}

async fn accept(
    visit: Visit,
    query: Option<&str>,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<(String, i64), OAuthError> {
    if visit.settings().await?.pushed_authorization_requests_supported != Some(true) {
        let description = "Pushed authorization requests are not enabled for the tenant";
        return Err(OAuthError::new(StatusCode::NOT_FOUND, "endpoint_disabled", description));
    }
    let params = Params::parse_body(headers, body)?;
    let client = client_authentication::authenticate(&visit, query, headers, &params).await?;
    if params.has("request_uri") {
        return Err(OAuthError::invalid_request("The request_uri parameter is not allowed here"));
    }
    let jkt = possession::proven(&visit, headers, "oauth/par", false).await?;
    let visit = visit.asking(&params);
    let mut params = signed::open(&visit, request_of(&client, &params)?).await?;
    // RFC 9449 §10.1: the proof says the same as the parameter.
    match (jkt, params.get("dpop_jkt")) {
        (Some(jkt), None) => params.add("dpop_jkt".to_owned(), jkt)?,
        (Some(jkt), Some(named)) if jkt != named => {
            return Err(OAuthError::invalid_request(
                "dpop_jkt is not the thumbprint of the key that was proven",
            ));
        }
        _ => {}
    }
    if params.length() > LONGEST_REQUEST {
        return Err(ParamsError::TooLong.into());
    }
    let source = Source { pushed: true, ..params.source() };
    let params = params.sent(source);
    Request::check(&visit, &params).await?;

    let (app, token) = (&visit.app, visit.app.random.token());
    let expires_in = client.par_request_expiry().unwrap_or(LIFETIME);
    let request = PushedRequest {
        hash: digest(&token),
        client_id: client.client_id.clone(),
        params: params.into_pairs(),
        signed: source.signed,
        expires_at: app.clock.now().plus_seconds(expires_in),
        spent_at: None,
    };
    let mut batch = Batch::new();
    pushed_requests::insert(&mut batch, &visit.tenant.id, &request);
    app.db.commit(batch).await?;
    Ok((format!("{PREFIX}{token}"), expires_in))
}

/// The parameters that are the request: what is neither a credential nor known is dropped, but for a few of the client's own.
fn request_of(client: &Client, params: &Params) -> Result<Params, ParamsError> {
    let extensions = std::cell::Cell::new(0);
    let mut request = params.only(|name| {
        let extends = name.starts_with("ext-") && extensions.replace(extensions.get() + 1) < MOST_EXTENSIONS;
        extends || params::is_known(name) && !CREDENTIALS.contains(&name)
    });
    if !request.has("client_id") {
        request.add("client_id".to_owned(), client.client_id.to_string())?;
    }
    Ok(request)
}

/// What was pushed in the place of a `request_uri` of ours, which is used up by the answer and not by a look: a page may be loaded
/// twice (FAPI 2.0 Security Profile §5.3.2.2). Other parameters, but for the client, count for nothing; other request URIs are left for
/// the checks to refuse.
pub(super) async fn take(visit: &Visit, params: Params) -> Result<Params, Refusal> {
    let Some(token) = params.get("request_uri").and_then(|uri| uri.strip_prefix(PREFIX)) else {
        return Ok(params);
    };
    let (app, tenant) = (&visit.app, &visit.tenant.id);
    let now = app.clock.now();
    let found = pushed_requests::find(&app.db, tenant, &digest(token)).await?;
    let usable = |request: &PushedRequest| {
        params.get("client_id") == Some(request.client_id.as_str())
            && request.spent_at.is_none()
            && request.expires_at > now
    };
    let request = found.filter(usable).ok_or_else(invalid)?;
    let source = Source { pushed: true, signed: request.signed, uri: Some(request.hash) };
    Ok(Params::from_pairs(request.params, source))
}

fn invalid() -> Refusal {
    Refusal::page_of("invalid_request_uri", "The request_uri is unknown, expired or was used before", None)
}

/// Spends the request that was pushed with its answer, unless it was answered before. The sign-in in between may have taken longer than
/// the request lives.
pub(super) async fn spend(visit: &Visit, batch: &mut Batch, hash: &[u8; 32]) -> Result<(), Refusal> {
    let (app, tenant) = (&visit.app, &visit.tenant.id);
    let found = pushed_requests::find(&app.db, tenant, hash).await?;
    if found.is_none_or(|request| request.spent_at.is_some()) {
        return Err(invalid());
    }
    pushed_requests::spend(batch, tenant, hash, app.clock.now());
    Ok(())
}

/// What a page or the client would be told, as this endpoint tells it (RFC 9126 §2.3).
impl From<Refusal> for OAuthError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Page { error, description, .. } | Refusal::Client { error, description, .. } => {
                Self::new(StatusCode::BAD_REQUEST, error, description)
            }
            Refusal::Database(error) => error.into(),
        }
    }
}
