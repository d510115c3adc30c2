//! `POST /oauth/token`: client authentication, then one file per grant (authentication contract §3).

mod authorization_code;
mod backchannel;
mod client_credentials;
mod device_code;
pub mod password;
mod passwordless;
mod polled;
mod refresh_token;
pub mod second_factor;
mod token_exchange;
pub mod user_tokens;

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use model::clients::Client;
use model::{App, UserId, proof_of_possession};
use serde::Serialize;

use crate::authorize::audience::{Audience, AudienceError};
use crate::client_authentication;
use crate::errors::{OAuthError, no_store_json};
use crate::params::Params;
use crate::possession;
use crate::scopes::Scopes;
use crate::visit::Visit;

/// A successful answer (RFC 6749 §5.1).
#[derive(Debug, Serialize)]
pub struct Tokens {
    /// The access token.
    pub access_token: String,
    /// The next refresh token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
    /// The ID token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_token: Option<String>,
    /// What was granted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Seconds.
    pub expires_in: i64,
    /// `Bearer`, or [`BOUND`].
    pub token_type: &'static str,
    /// The recovery code that takes the place of the one that was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovery_code: Option<String>,
    /// What kind of token an exchange gave (RFC 8693 §2.2.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issued_token_type: Option<&'static str>,
    /// What was granted in detail (RFC 9396 §7).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization_details: Option<serde_json::Value>,
}

/// The grants that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Grant {
    AuthorizationCode,
    RefreshToken,
    ClientCredentials,
    Password,
    PasswordRealm,
    MfaOtp,
    MfaOob,
    MfaRecoveryCode,
    DeviceCode,
    Passwordless,
    TokenExchange,
    Backchannel,
}

impl Grant {
    const ALL: &[Self] = &[
        Self::AuthorizationCode,
        Self::RefreshToken,
        Self::ClientCredentials,
        Self::Password,
        Self::PasswordRealm,
        Self::MfaOtp,
        Self::MfaOob,
        Self::MfaRecoveryCode,
        Self::DeviceCode,
        Self::Passwordless,
        Self::TokenExchange,
        Self::Backchannel,
    ];

    /// `grant_type`.
    const fn name(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
            Self::RefreshToken => "refresh_token",
            Self::ClientCredentials => "client_credentials",
            Self::Password => "password",
            Self::PasswordRealm => password::REALM,
            Self::MfaOtp => second_factor::OTP,
            Self::MfaOob => second_factor::OOB,
            Self::MfaRecoveryCode => second_factor::RECOVERY_CODE,
            Self::DeviceCode => crate::device::GRANT,
            Self::Passwordless => crate::passwordless::GRANT,
            Self::TokenExchange => token_exchange::GRANT,
            Self::Backchannel => crate::backchannel::GRANT,
        }
    }

    fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|grant| grant.name() == name)
    }

    /// Whether the client lists the grant. `password` stands for both of its kind; a third party sees no passwords.
    fn is_allowed(self, client: &Client) -> bool {
        let listed = client.allows_grant(self.name());
        match self {
            Self::Password | Self::Passwordless => listed && client.is_first_party,
            Self::PasswordRealm => (listed || client.allows_grant("password")) && client.is_first_party,
            _ => listed,
        }
    }
}

/// The type of a token that is bound to a key (RFC 9449 §5).
pub const BOUND: &str = "DPoP";

/// What is left of the scopes that a user once granted on an API: its policy, its scopes or the client may have changed
/// since. `None` where nothing may be issued any more.
async fn granted_now(
    visit: &Visit,
    client: &Client,
    user: &UserId,
    audience: &str,
    scopes: &Scopes,
) -> Result<Option<(Audience, Scopes)>, db::Error> {
    let found = async {
        let audience = Audience::find(&visit.app, &visit.tenant, Some(audience)).await?;
        let (app, tenant) = (&visit.app, &visit.tenant);
        let left = audience.grantable(app, tenant, client, scopes, true).await?;
        let left = audience.permitted(app, tenant, user, left).await?;
        Ok((audience, left))
    };
    match found.await {
        Ok(left) => Ok(Some(left)),
        Err(AudienceError::Database(error)) => Err(error),
        Err(AudienceError::Unknown(_) | AudienceError::Denied(_)) => Ok(None),
    }
}

/// The grant that a request to the token endpoint asked for, among the known ones, in its answer's extensions: for the metrics.
#[derive(Clone, Copy, Debug)]
pub struct GrantType(pub &'static str);

/// `POST /oauth/token`. Errors: 400 `invalid_request`, 401 `access_denied` (client), 403 `unauthorized_client`,
/// `unsupported_grant_type`, `invalid_grant`, `access_denied`.
pub async fn token(
    State(_): State<App>,
    visit: Visit,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut asked = None;
    let mut response = match exchange(&visit, query.as_deref(), &headers, &body, &mut asked).await {
        Ok(tokens) => {
            let mut response = no_store_json(StatusCode::OK, &tokens);
            if tokens.token_type == BOUND {
                let nonce = proof_of_possession::nonce(&visit.app, &visit.tenant.id);
                let nonce = HeaderValue::try_from(nonce).expect("it is base64url");
                response.headers_mut().insert("dpop-nonce", nonce);
            }
            response
        }
        Err(error) => error.into_response(),
    };
    // Alone among the endpoints it names no charset (authentication contract §0).
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(grant) = asked {
        response.extensions_mut().insert(GrantType(grant));
    }
    response
}

async fn exchange(
    visit: &Visit,
    query: Option<&str>,
    headers: &HeaderMap,
    body: &[u8],
    asked: &mut Option<&'static str>,
) -> Result<Tokens, OAuthError> {
    let params = Params::parse_body(headers, body)?;
    let grant_type = params.get("grant_type").ok_or_else(|| OAuthError::missing("grant_type"))?;
    *asked = Grant::parse(grant_type).map(Grant::name);
    let client = client_authentication::authenticate(visit, query, headers, &params).await?;
    let strict = visit.is_strict_for(&client).await?;
    let bound = async {
        let jkt = possession::proven(visit, headers, "oauth/token", client.is_public()).await?;
        let visit = visit.told_by(&client, headers).holding(jkt);
        let tokens = granted(&visit, &client, grant_type, &params).await?;
        let token_type = if visit.jkt.is_some() { BOUND } else { tokens.token_type };
        Ok(Tokens { token_type, ..tokens })
    };
    bound.await.map_err(|error: OAuthError| error.told(strict))
}

/// What the grant gives to a client that is proven.
async fn granted(
    visit: &Visit,
    client: &Client,
    grant_type: &str,
    params: &Params,
) -> Result<Tokens, OAuthError> {
    let Some(grant) = Grant::parse(grant_type) else {
        return Err(OAuthError::new(
            StatusCode::FORBIDDEN,
            "unsupported_grant_type",
            format!("Unsupported grant type: {}", grant_type.chars().take(64).collect::<String>()),
        ));
    };
    possession::demanded_by_client(visit, client)?;
    if !grant.is_allowed(client) {
        return Err(OAuthError::grant_not_allowed(grant.name()));
    }
    match grant {
        Grant::AuthorizationCode => authorization_code::exchange(visit, client, params).await,
        Grant::RefreshToken => refresh_token::exchange(visit, client, params).await,
        Grant::ClientCredentials => client_credentials::exchange(visit, client, params).await,
        Grant::Password => password::exchange(visit, client, params, false).await,
        Grant::PasswordRealm => password::exchange(visit, client, params, true).await,
        Grant::MfaOtp => second_factor::otp(visit, client, params).await,
        Grant::MfaOob => second_factor::oob(visit, client, params).await,
        Grant::Passwordless => passwordless::exchange(visit, client, params).await,
        Grant::TokenExchange => token_exchange::exchange(visit, client, params).await,
        Grant::DeviceCode => device_code::exchange(visit, client, params).await,
        Grant::Backchannel => backchannel::exchange(visit, client, params).await,
        Grant::MfaRecoveryCode => second_factor::recovery_code(visit, client, params).await,
    }
}
