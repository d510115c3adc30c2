//! The two shapes of a refusal: the OAuth error object of the token endpoint and its neighbours, and the error page.

use std::borrow::Cow;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use crate::params::ParamsError;

/// An OAuth error answer: `{"error","error_description"[,"error_uri"]}` (RFC 6749 §5.2; statuses as in the
/// authentication contract §0.5, where `invalid_grant` and its like are 403).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error}: {description}")]
pub struct OAuthError {
    /// The status of the answer.
    pub status: StatusCode,
    /// The `error` code.
    pub error: &'static str,
    /// The `error_description`.
    pub description: Cow<'static, str>,
    /// The `error_uri`.
    pub uri: Option<&'static str>,
    /// Whether the client tried HTTP Basic, so that the answer names that scheme (RFC 6749 §5.2).
    pub basic: bool,
    /// The code that the specification gives, where Auth0 gives another.
    pub specified: Option<&'static str>,
    /// What the body holds besides.
    pub more: Option<Box<Map<String, Value>>>,
    /// Seconds to wait before the next try.
    pub retry_after: Option<u8>,
    /// A nonce for the next proof of possession (RFC 9449 §8).
    pub dpop_nonce: Option<String>,
}

impl OAuthError {
    /// An error with any status and code.
    pub fn new(status: StatusCode, error: &'static str, description: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            error,
            description: description.into(),
            uri: None,
            basic: false,
            specified: None,
            more: None,
            retry_after: None,
            dpop_nonce: None,
        }
    }

    /// The error as the specifications have it (RFC 6749 §5.2, RFC 8628 §3.5): 400, but for a client that is not proven.
    pub fn strictly(self) -> Self {
        let status = match self.status {
            StatusCode::FORBIDDEN => StatusCode::BAD_REQUEST,
            StatusCode::TOO_MANY_REQUESTS if self.error == "slow_down" => StatusCode::BAD_REQUEST,
            status => status,
        };
        Self { status, error: self.specified.unwrap_or(self.error), uri: None, ..self }
    }

    /// The error as the client is told it: strictly, or in Auth0's way.
    pub fn told(self, strict: bool) -> Self {
        if strict { self.strictly() } else { self }
    }

    /// 400 `invalid_request`.
    pub fn invalid_request(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", description)
    }

    /// 400 `invalid_request` for a parameter that must be there.
    pub fn missing(parameter: &str) -> Self {
        Self::invalid_request(format!("Missing required parameter: {parameter}"))
    }

    /// 403 `invalid_grant`.
    pub fn invalid_grant(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "invalid_grant", description)
    }

    /// 403 `access_denied`.
    pub fn access_denied(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "access_denied", description)
    }

    /// 401 `access_denied`: the client is unknown or its secret is wrong (authentication contract §3.1).
    pub fn unauthorized_caller() -> Self {
        let error = Self::new(StatusCode::UNAUTHORIZED, "access_denied", "Unauthorized");
        Self { specified: Some("invalid_client"), ..error }
    }

    /// 403 `unauthorized_client`: the grant type is not enabled for the client (authentication contract §3.2).
    pub fn grant_not_allowed(grant_type: &str) -> Self {
        Self {
            uri: Some("https://auth0.com/docs/clients/client-grant-types"),
            ..Self::new(
                StatusCode::FORBIDDEN,
                "unauthorized_client",
                format!("Grant type '{grant_type}' not allowed for the client."),
            )
        }
    }

    /// 403 `unauthorized_client`: the redirect URI of the exchange is not that of the request (authentication contract §3.4).
    pub fn wrong_redirect_uri(given: Option<&str>, expected: &str) -> Self {
        let given = given.unwrap_or("null");
        let description = format!("The redirect URI is wrong. You sent {given}, and we expected {expected}");
        Self {
            specified: Some("invalid_grant"),
            ..Self::new(StatusCode::FORBIDDEN, "unauthorized_client", description)
        }
    }

    /// 403 `invalid_grant`: the user may not sign in any more. Clients look for these words (authentication contract §3.2).
    pub fn user_blocked() -> Self {
        Self::invalid_grant("user is blocked")
    }

    /// 429 `too_many_attempts`.
    pub fn too_many(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_attempts", description)
    }

    /// 503: the server has no room for the work just now.
    pub fn busy() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "temporarily_unavailable",
            "The server is busy, try again in a moment",
        )
    }
}

impl From<ParamsError> for OAuthError {
    fn from(error: ParamsError) -> Self {
        Self::invalid_request(error.to_string())
    }
}

impl From<db::Error> for OAuthError {
    fn from(error: db::Error) -> Self {
        tracing::error!(%error, "database");
        match error {
            db::Error::Retry | db::Error::Conflict { .. } => Self::busy(),
            _ => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "server_error", "Internal error"),
        }
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let mut body = json!({ "error": self.error, "error_description": self.description });
        if let Some(uri) = self.uri {
            body["error_uri"] = uri.into();
        }
        if let (Some(more), Some(body)) = (self.more, body.as_object_mut()) {
            body.extend(*more);
        }
        let mut response = no_store_json(self.status, &body);
        if self.basic {
            let challenge = HeaderValue::from_static("Basic realm=\"token\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        // RFC 6750 §3.
        if self.error == "invalid_token" {
            let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(nonce) = self.dpop_nonce.and_then(|nonce| HeaderValue::try_from(nonce).ok()) {
            response.headers_mut().insert("dpop-nonce", nonce);
        }
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(u16::from(seconds)));
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// What an endpoint answers as JSON that nobody keeps (RFC 6749 §5.1).
pub struct NoStore<T>(pub T);

impl<T: serde::Serialize> IntoResponse for NoStore<T> {
    fn into_response(self) -> Response {
        no_store_json(StatusCode::OK, &self.0)
    }
}

/// `body` as JSON that no cache keeps (RFC 6749 §5.1), of the type that all endpoints but the token endpoint name (authentication
/// contract §0).
pub fn no_store_json(status: StatusCode, body: &impl serde::Serialize) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::PRAGMA, "no-cache"),
    ];
    (status, headers, serde_json::to_vec(body).unwrap_or_default()).into_response()
}
