//! Who speaks about a person's second factors: the bearer of an `mfa_token`, or of an access token for the API over them.

use axum::http::{HeaderMap, StatusCode, header};
use model::clients::{self, Client};
use model::jose::VerifyError;
use model::mfa_tokens::{self, MfaToken};
use model::protocol;
use model::self_service::{self, Change};
use model::users::{self, User};
use model::{ClientId, UserId};

use crate::errors::OAuthError;
use crate::scopes::Scopes;
use crate::visit::Visit;

/// Who speaks.
#[derive(Debug)]
pub struct Bearer {
    /// The token as it came: what is begun with it is bound to it.
    pub token: String,
    /// The client that it was issued to.
    pub client_id: ClientId,
    /// Whose factors it is about.
    pub user: User,
    /// What it stands for.
    pub proof: Proof,
}

/// What a token stands for.
#[derive(Debug)]
pub enum Proof {
    /// A first factor; the second is missing.
    First(MfaToken),
    /// A sign-in, with a second factor where there is one, for these scopes.
    Whole {
        /// What was granted.
        scopes: Scopes,
        /// When the user proved who they are, in seconds since the epoch, where the token tells.
        authenticated_at: Option<i64>,
        /// Whether with a second factor, where the token tells.
        mfa: bool,
    },
}

impl Bearer {
    /// The bearer of the one `Authorization: Bearer` header (RFC 6750 §2.1).
    ///
    /// # Errors
    /// 401 without one; else as [`Bearer::of`].
    pub async fn of_header(visit: &Visit, headers: &HeaderMap) -> Result<Self, OAuthError> {
        let strict = protocol::find(&visit.app, &visit.tenant.id).await?.strict;
        Self::shown(visit, headers).await.map_err(|error| if strict { as_bearer(error) } else { error })
    }

    async fn shown(visit: &Visit, headers: &HeaderMap) -> Result<Self, OAuthError> {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let (Some(first), None) = (values.next(), values.next()) else {
            return Err(OAuthError::unauthorized_caller());
        };
        let token = first.to_str().ok().and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
        });
        Self::of(visit, token.ok_or_else(OAuthError::unauthorized_caller)?).await
    }

    /// The bearer of `token`.
    ///
    /// # Errors
    /// 401 `expired_token`, 403 `invalid_grant`.
    pub async fn of(visit: &Visit, token: &str) -> Result<Self, OAuthError> {
        let malformed = || OAuthError::invalid_grant("Malformed mfa_token");
        let (app, tenant) = (&visit.app, &visit.tenant.id);
        let (user_id, client_id, issued_at, proof) = match token.contains('.') {
            true => access_token(visit, token).await?.ok_or_else(malformed)?,
            false => {
                let found = mfa_tokens::find(&app.db, tenant, token).await?.ok_or_else(malformed)?;
                if found.expires_at <= app.clock.now() {
                    let description = "mfa_token is expired";
                    return Err(OAuthError::new(StatusCode::UNAUTHORIZED, "expired_token", description));
                }
                (found.user_id.clone(), found.client_id.clone(), None, Proof::First(found))
            }
        };
        let client = clients::find(app, tenant, client_id.as_str()).await?;
        let user = users::find(&app.db, tenant, &user_id).await?;
        // A token older than its user is another user's who had the same id.
        let user = user.filter(|user| issued_at.is_none_or(|iat| iat >= user.created_at.seconds()));
        let (Some(_), Some(user)) = (client, user) else { return Err(malformed()) };
        if user.is_blocked() {
            return Err(OAuthError::user_blocked());
        }
        Ok(Self { token: token.to_owned(), client_id, user, proof })
    }

    /// Refuses every client but the one that the token was issued to.
    ///
    /// # Errors
    /// 403 `invalid_grant`.
    pub fn is_for(&self, client: &Client) -> Result<(), OAuthError> {
        match self.client_id == client.client_id {
            true => Ok(()),
            false => Err(OAuthError::invalid_grant("Malformed mfa_token")),
        }
    }

    /// Refuses a sign-in that is older or less sure than the self-service policy wants for a change of somebody's factors.
    ///
    /// # Errors
    /// 403 `insufficient_user_authentication`.
    pub async fn may_change_factors(&self, visit: &Visit) -> Result<(), OAuthError> {
        let Proof::Whole { authenticated_at, mfa, .. } = self.proof else { return Ok(()) };
        let (app, tenant) = (&visit.app, &visit.tenant.id);
        let policy = self_service::find(app, tenant).await?;
        let rule = policy.of(Change::RemoveFactor);
        let age = authenticated_at.map(|at| app.clock.now().seconds().saturating_sub(at));
        let late = rule.max_age.is_some_and(|max_age| age.is_none_or(|age| age > max_age));
        if late || rule.asks_mfa() && !mfa {
            let description = "Changing authenticators needs a later or surer sign-in";
            let status = StatusCode::FORBIDDEN;
            return Err(OAuthError::new(status, "insufficient_user_authentication", description));
        }
        Ok(())
    }

    /// Refuses an access token without this scope. An `mfa_token` has none, and goes as far as the caller says.
    ///
    /// # Errors
    /// 403 `insufficient_scope`.
    pub fn may(&self, scope: &'static str) -> Result<(), OAuthError> {
        match &self.proof {
            Proof::Whole { scopes, .. } if !scopes.has(scope) => Err(OAuthError::new(
                StatusCode::FORBIDDEN,
                "insufficient_scope",
                format!("Insufficient scope, expected any of: {scope}"),
            )),
            _ => Ok(()),
        }
    }
}

/// RFC 6750 §3.1: a bearer token that does not hold is 401 `invalid_token`.
fn as_bearer(error: OAuthError) -> OAuthError {
    match error.error {
        "invalid_grant" | "expired_token" | "access_denied" => {
            OAuthError { status: StatusCode::UNAUTHORIZED, error: "invalid_token", ..error }
        }
        _ => error,
    }
}

type Claimed = (UserId, ClientId, Option<i64>, Proof);

/// What an access token for the API over second factors says.
async fn access_token(visit: &Visit, token: &str) -> Result<Option<Claimed>, db::Error> {
    let tenant = &visit.tenant;
    let verified = match visit.app.keys.verify(&visit.app, &tenant.id, token).await {
        Ok(verified) => verified,
        Err(VerifyError::Failed(error)) => return Err(error),
        Err(_) => return Ok(None),
    };
    let client_id = verified.text("azp").or_else(|| verified.text("client_id"));
    let (Some(client_id), Some(iat)) = (client_id, verified.integer("iat")) else { return Ok(None) };
    // A token that is bound to a key is not shown by itself.
    let bound = verified.bound_to() != Ok(None);
    if bound || verified.issuer() != tenant.issuer || !verified.is_for(&tenant.mfa_audience()) {
        return Ok(None);
    }
    let amr = verified.claims.get("amr").and_then(serde_json::Value::as_array);
    let proof = Proof::Whole {
        scopes: Scopes::parse(verified.text("scope").unwrap_or_default()),
        authenticated_at: verified.integer("auth_time"),
        mfa: amr.is_some_and(|methods| methods.iter().any(|method| method == "mfa")),
    };
    Ok(Some((UserId::from(verified.subject()), client_id.into(), Some(iat), proof)))
}
