//! Every answer that is not a success: one variant per answer that a client can tell apart (management contract §2.2, §2.3).

use std::borrow::Cow;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use model::paging;
use model::password_policies::Weakness;
use serde_json::{Map, Value, json};

use crate::audit::Refused;

/// Why a call is refused. The text of a variant is the published message; causes go to the log, never to the client.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// 404 of a route that does not exist; no error code.
    #[error("Not Found")]
    NoRoute,
    /// 405 of a route that exists with other methods; the router adds `Allow`.
    #[error("Method Not Allowed")]
    NoMethod,

    /// 401: no `Authorization` header, or another scheme than Bearer.
    #[error("Missing authentication")]
    MissingAuthentication,
    /// 400 `Bearer`: the header has not two parts, or the token not three.
    #[error("Bad HTTP authentication header format")]
    BadAuthenticationHeader,
    /// 401: the token's time is over.
    #[error("Expired token received for JSON Web Token validation")]
    ExpiredToken,
    /// 401: the signature is not one of this tenant's keys.
    #[error("Invalid signature received for JSON Web Token validation")]
    InvalidSignature,
    /// 401: an ID token, another issuer, an unknown or revoked key, a subject or client that is blocked or gone.
    #[error("Invalid token")]
    InvalidToken,
    /// 401: a token of this tenant for another API; the audience is the one expected.
    #[error("Bad audience: {0}")]
    BadAudience(String),

    /// 401: no proof, or no good one, of the key that the token is bound to (RFC 9449 §7.1).
    #[error("Invalid DPoP proof")]
    InvalidProof,
    /// 401: the proof must hold this nonce (RFC 9449 §9).
    #[error("Resource server requires nonce in DPoP proof")]
    WantsNonce(String),

    /// 403 `insufficient_scope`: the scopes any of which would have done, as published.
    #[error("Insufficient scope, expected any of: {}", .0.join(","))]
    InsufficientScope(Vec<&'static str>),
    /// 403 `insufficient_scope`: fields that the token's scopes do not let be written.
    #[error("You cannot update the following fields: {}", .0.join(", "))]
    ForbiddenFields(Vec<String>),
    /// 403 `unowned_resource`: a current-user token names another user, existing or not.
    #[error("User to be acted on does not match subject in bearer token.")]
    UnownedResource,

    /// 403 `self_service_policy`: the rule of the tenant's self-service policy that a person's change breaks, and how.
    #[error("The self-service policy does not allow this: {rule}: {problem}")]
    SelfService {
        /// The rule, as the policy names it.
        rule: &'static str,
        /// How it is broken.
        problem: String,
    },
    /// 403 `insufficient_user_authentication`: the policy asks for a later or a surer sign-in (RFC 9470).
    #[error("{}", unproven_text(.change, .rule, *.max_age))]
    Unproven {
        /// The change, as the policy names it.
        change: &'static str,
        /// The rule that is not met: `max_age` or `mfa`.
        rule: &'static str,
        /// How old a sign-in may be, in seconds.
        max_age: Option<i64>,
        /// Whether it must be with a second factor.
        mfa: bool,
    },
    /// 403 `unowned_resource`: a device's key for a user or a client that is not the caller's.
    #[error("Cannot create device credentials for that {0}.")]
    ForbiddenDevice(&'static str),

    /// 400 `invalid_uri`.
    #[error("{0}")]
    InvalidUri(String),
    /// 400 `invalid_query_string`.
    #[error("{0}")]
    InvalidQuery(String),
    /// 400 `invalid_body`.
    #[error("{0}")]
    InvalidBody(Cow<'static, str>),
    /// 400 `invalid_paging`: the window lies beyond the first 1000 records.
    #[error(
        "You can only page through the first 1000 records. See https://auth0.com/docs/users/search/v3/view-search-results-by-page#limitation"
    )]
    InvalidPaging,
    /// 400 without an error code: the password does not meet the connection's policy.
    #[error("{0}")]
    WeakPassword(Weakness),
    /// 400 `operation_not_supported`: what is asked is never done to this object.
    #[error("{0}")]
    NotSupported(Cow<'static, str>),
    /// 400 `inexistent_connection`: the body names a connection that is not there.
    #[error("The connection does not exist.")]
    NamedConnectionNotFound,
    /// 413.
    #[error("Payload content length greater than maximum allowed: {0}")]
    BodyTooLarge(usize),
    /// 415.
    #[error("Unsupported Media Type")]
    UnsupportedMediaType,

    /// 404 with the resource's own text and, where there is one, its code.
    #[error("{0}")]
    NotFound(Missing),
    /// 404 without a code, below the path of a role.
    #[error("No such role with id: {0}")]
    NoSuchRole(String),
    /// 409 `auth0_idp_error`.
    #[error("The user already exists.")]
    UserExists,
    /// 400 `auth0_idp_error`.
    #[error("The user already exists (username: {0}).")]
    UsernameExists(String),
    /// 400 `auth0_idp_error`: a change to an address, a name or a number that another user has.
    #[error("The specified new {0} already exists")]
    IdentifierTaken(&'static str),
    /// 409 of a configuration object.
    #[error("{0}")]
    AlreadyExists(&'static str),
    /// 409 of an e-mail template.
    #[error("Template {0} already exists.")]
    TemplateExists(&'static str),

    /// 400 `invalid_auth_session`: not that of the enrolment, which may have ended or been begun anew.
    #[error("Invalid auth_session.")]
    InvalidAuthSession,
    /// 400 `invalid_otp_code`.
    #[error("Invalid otp_code.")]
    InvalidOtpCode,

    /// 403 `too_many_entities`: the user has as many authentication methods as one may.
    #[error("You reached the limit of entities of this type for this user.")]
    TooManyMethods,

    /// 429 `too_many_requests`; seconds until the next call may succeed.
    #[error("Global limit has been reached")]
    TooManyRequests(u64),
    /// 429 `too_many_requests`: as many imports run as may.
    #[error("{0}")]
    TooManyJobs(String),
    /// 503: the password pool cannot take more now; seconds to wait.
    #[error("Service Unavailable")]
    Unavailable(u64),
    /// 503 where another attempt may succeed, else 500; the cause is logged.
    #[error("{}", database_text(.0))]
    Database(#[from] db::Error),
    /// 500; the cause was logged.
    #[error("Internal error")]
    Internal,
}

/// The resources whose absence has its own text (management contract §2.3: some end with a full stop, some have no code).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// `inexistent_user`.
    #[error("The user does not exist.")]
    User,
    /// `inexistent_client`.
    #[error("The client does not exist")]
    Client,
    /// No code.
    #[error("Credential does not exist")]
    Credential,
    /// `inexistent_connection`.
    #[error("The connection does not exist")]
    Connection,
    /// `inexistent_resource_server`.
    #[error("The resource server does not exist")]
    ResourceServer,
    /// `inexistent_client_grant`.
    #[error("The grant does not exist.")]
    ClientGrant,
    /// `enrollment_not_found`.
    #[error("Enrollment not found")]
    Enrollment,
    /// No code.
    #[error("The authentication method could not be found.")]
    AuthenticationMethod,
    /// `inexistent_log`.
    #[error("Log not found.")]
    Log,
    /// No code.
    #[error("The log stream does not exist.")]
    LogStream,
    /// `inexistent_email_provider`.
    #[error("There is not a configured email provider")]
    EmailProvider,
    /// `inexistent_email_template`.
    #[error("The template does not exist.")]
    EmailTemplate,
    /// No code.
    #[error("Signing key not found.")]
    SigningKey,
    /// `inexistent_job`.
    #[error("Job not found.")]
    Job,
    /// `inexistent_job`, where its errors are asked for.
    #[error("The job does not exist")]
    JobErrors,
    /// No code.
    #[error("The role does not exist.")]
    Role,
    /// No code.
    #[error("The session does not exist.")]
    Session,
    /// No code.
    #[error("The refresh token does not exist.")]
    RefreshToken,
    /// No code: the address is not throttled.
    #[error("Not Found")]
    AddressBlock,
}

impl Missing {
    /// The error code; absent in many 404 answers.
    fn code(self) -> Option<&'static str> {
        match self {
            Self::User => Some("inexistent_user"),
            Self::Client => Some("inexistent_client"),
            Self::Connection => Some("inexistent_connection"),
            Self::ResourceServer => Some("inexistent_resource_server"),
            Self::ClientGrant => Some("inexistent_client_grant"),
            Self::Log => Some("inexistent_log"),
            Self::Enrollment => Some("enrollment_not_found"),
            Self::EmailProvider => Some("inexistent_email_provider"),
            Self::EmailTemplate => Some("inexistent_email_template"),
            Self::Job | Self::JobErrors => Some("inexistent_job"),
            Self::SigningKey
            | Self::LogStream
            | Self::AddressBlock
            | Self::AuthenticationMethod
            | Self::Credential
            | Self::Role
            | Self::Session
            | Self::RefreshToken => None,
        }
    }
}

impl Error {
    /// The status and, where the answer has one, the `errorCode`.
    pub fn status(&self) -> (StatusCode, Option<&'static str>) {
        use StatusCode as S;
        match self {
            Self::NoRoute => (S::NOT_FOUND, None),
            Self::NoMethod => (S::METHOD_NOT_ALLOWED, None),
            Self::BadAuthenticationHeader => (S::BAD_REQUEST, Some("Bearer")),
            Self::MissingAuthentication
            | Self::ExpiredToken
            | Self::InvalidSignature
            | Self::InvalidToken
            | Self::InvalidProof
            | Self::WantsNonce(_)
            | Self::BadAudience(_) => (S::UNAUTHORIZED, None),
            Self::InsufficientScope(_) | Self::ForbiddenFields(_) => {
                (S::FORBIDDEN, Some("insufficient_scope"))
            }
            Self::SelfService { .. } => (S::FORBIDDEN, Some("self_service_policy")),
            Self::Unproven { .. } => (S::FORBIDDEN, Some("insufficient_user_authentication")),
            Self::UnownedResource | Self::ForbiddenDevice(_) => (S::FORBIDDEN, Some("unowned_resource")),
            Self::InvalidUri(_) => (S::BAD_REQUEST, Some("invalid_uri")),
            Self::InvalidQuery(_) => (S::BAD_REQUEST, Some("invalid_query_string")),
            Self::InvalidBody(_) => (S::BAD_REQUEST, Some("invalid_body")),
            Self::InvalidAuthSession => (S::BAD_REQUEST, Some("invalid_auth_session")),
            Self::InvalidOtpCode => (S::BAD_REQUEST, Some("invalid_otp_code")),
            Self::InvalidPaging => (S::BAD_REQUEST, Some("invalid_paging")),
            Self::WeakPassword(_) => (S::BAD_REQUEST, None),
            Self::NotSupported(_) => (S::BAD_REQUEST, Some("operation_not_supported")),
            Self::NamedConnectionNotFound => (S::BAD_REQUEST, Some("inexistent_connection")),
            Self::BodyTooLarge(_) => (S::PAYLOAD_TOO_LARGE, None),
            Self::UnsupportedMediaType => (S::UNSUPPORTED_MEDIA_TYPE, None),
            Self::NotFound(what) => (S::NOT_FOUND, what.code()),
            Self::NoSuchRole(_) => (S::NOT_FOUND, None),
            Self::UserExists => (S::CONFLICT, Some("auth0_idp_error")),
            Self::UsernameExists(_) | Self::IdentifierTaken(_) => (S::BAD_REQUEST, Some("auth0_idp_error")),
            Self::AlreadyExists(_) | Self::TemplateExists(_) => (S::CONFLICT, None),
            Self::TooManyRequests(_) | Self::TooManyJobs(_) => {
                (S::TOO_MANY_REQUESTS, Some("too_many_requests"))
            }
            Self::TooManyMethods => (S::FORBIDDEN, Some("too_many_entities")),
            Self::Unavailable(_) => (S::SERVICE_UNAVAILABLE, None),
            Self::Database(error) if is_passing(error) => (S::SERVICE_UNAVAILABLE, None),
            Self::Database(_) | Self::Internal => (S::INTERNAL_SERVER_ERROR, None),
        }
    }

    /// The JSON body.
    pub fn body(&self) -> Value {
        let (status, code) = self.status();
        let message = self.to_string();
        let mut body = Map::new();
        body.insert("statusCode".into(), json!(status.as_u16()));
        body.insert("error".into(), json!(reason(status)));
        body.insert("message".into(), json!(message));
        if matches!(self, Self::ExpiredToken | Self::InvalidSignature | Self::InvalidToken) {
            body.insert("attributes".into(), json!({ "error": message }));
        }
        if let Some(code) = code {
            body.insert("errorCode".into(), json!(code));
        }
        Value::Object(body)
    }

    /// The unique index that a commit ran into, if that is what this is.
    pub fn taken(&self) -> Option<&str> {
        match self {
            Self::Database(db::Error::Unique(index)) => Some(index),
            _ => None,
        }
    }

    /// Seconds after which another attempt may succeed.
    fn retry_after(&self) -> Option<u64> {
        match self {
            Self::TooManyRequests(seconds) | Self::Unavailable(seconds) => Some(*seconds),
            Self::Database(error) if is_passing(error) => Some(1),
            _ => None,
        }
    }

    /// The challenge that goes with a 401 (RFC 6750 §3), and with a sign-in that will not do (RFC 9470 §3).
    fn challenge(&self) -> Option<String> {
        match self {
            Self::MissingAuthentication => Some("Bearer".into()),
            Self::InvalidProof => Some("DPoP error=\"invalid_dpop_proof\", algs=\"ES256\"".into()),
            Self::WantsNonce(_) => Some("DPoP error=\"use_dpop_nonce\", algs=\"ES256\"".into()),
            Self::ExpiredToken | Self::InvalidSignature | Self::InvalidToken | Self::BadAudience(_) => {
                Some(format!("Bearer error=\"{self}\""))
            }
            Self::Unproven { max_age, mfa, .. } => {
                let mut challenge = format!(
                    "Bearer error=\"insufficient_user_authentication\", error_description=\"{self}\""
                );
                if let Some(seconds) = max_age {
                    challenge.push_str(&format!(", max_age=\"{seconds}\""));
                }
                if *mfa {
                    challenge.push_str(&format!(", acr_values=\"{MULTI_FACTOR}\""));
                }
                Some(challenge)
            }
            _ => None,
        }
    }
}

/// The `acr_values` that ask for a second factor.
const MULTI_FACTOR: &str = "http://schemas.openid.net/pape/policies/2007/06/multi-factor";

fn unproven_text(change: &str, rule: &str, max_age: Option<i64>) -> String {
    match max_age.filter(|_| rule == "max_age") {
        Some(seconds) => {
            format!("The self-service policy asks for a later sign-in: {change}.max_age: {seconds} seconds")
        }
        None => format!("The self-service policy asks for a sign-in with a second factor: {change}.mfa"),
    }
}

/// The status in words. The table is the published one; the standard library of phrases says `Payload Too Large` differently.
fn reason(status: StatusCode) -> &'static str {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => "Payload Too Large",
        other => other.canonical_reason().unwrap_or("Error"),
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let body = self.body();
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = self.status().0;
        response.extensions_mut().insert(Refused(body));
        let headers = response.headers_mut();
        if let Some(challenge) = self.challenge().and_then(|text| HeaderValue::from_str(&text).ok()) {
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Self::WantsNonce(nonce) = &self
            && let Ok(nonce) = HeaderValue::try_from(nonce)
        {
            headers.insert("dpop-nonce", nonce);
        }
        if let Some(seconds) = self.retry_after() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Self::Database(error) = &self {
            tracing::error!(%error, "the database did not do what was asked");
        }
        response
    }
}

impl db::AsError for Error {
    fn as_error(&self) -> Option<&db::Error> {
        match self {
            Self::Database(error) => Some(error),
            _ => None,
        }
    }
}

impl From<paging::Error> for Error {
    fn from(error: paging::Error) -> Self {
        match error {
            paging::Error::Checkpoint => {
                Self::InvalidQuery("Query validation error: 'Invalid checkpoint' on property from.".into())
            }
            paging::Error::Db(error) => Self::Database(error),
        }
    }
}

/// Whether what failed may well succeed a moment later.
fn is_passing(error: &db::Error) -> bool {
    error.may_retry() || matches!(error, db::Error::Unknown)
}

fn database_text(error: &db::Error) -> &'static str {
    if is_passing(error) { "Service Unavailable" } else { "Internal error" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_has_the_published_shape() {
        assert_eq!(
            Error::InsufficientScope(vec!["read:users", "read:current_user"]).body(),
            json!({ "statusCode": 403, "error": "Forbidden",
                "message": "Insufficient scope, expected any of: read:users,read:current_user", "errorCode": "insufficient_scope" })
        );
        assert_eq!(
            Error::BadAuthenticationHeader.body(),
            json!({ "statusCode": 400, "error": "Bad Request", "message": "Bad HTTP authentication header format", "errorCode": "Bearer" })
        );
        assert_eq!(
            Error::NotFound(Missing::User).body(),
            json!({ "statusCode": 404, "error": "Not Found", "message": "The user does not exist.", "errorCode": "inexistent_user" })
        );
        assert_eq!(
            Error::NoRoute.body(),
            json!({ "statusCode": 404, "error": "Not Found", "message": "Not Found" })
        );
        assert_eq!(Error::BodyTooLarge(1).body()["error"], "Payload Too Large");
    }

    #[test]
    fn a_bad_token_is_named_twice_and_challenged() {
        let body = Error::ExpiredToken.body();
        assert_eq!(body["attributes"]["error"], body["message"]);
        assert!(body.get("errorCode").is_none());
        assert!(Error::BadAudience("https://t/api/v2/".into()).body().get("attributes").is_none());
        let challenge = |error: Error| error.into_response().headers()[header::WWW_AUTHENTICATE].clone();
        assert_eq!(challenge(Error::MissingAuthentication), "Bearer");
        assert_eq!(challenge(Error::InvalidToken), "Bearer error=\"Invalid token\"");
    }
}
