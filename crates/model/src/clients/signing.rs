//! Tokens that a client checks as it checks its ID tokens, and tokens that it signs itself.

use serde_json::{Map, Value as Json};

use super::{Client, secret};
use crate::Model;
use crate::ids::TenantId;
use crate::jose::{Algorithm, SigningKey, Verified, VerifyError, VerifyingKey, verify_jwt_of_client};

impl Client {
    /// Signs `claims` as this client's ID tokens are: with the tenant's key, or with the client's secret where it chose HS256 (authentication
    /// contract §2.4).
    ///
    /// # Errors
    /// When the database fails, or the key.
    pub async fn sign_for(
        &self,
        app: &Model,
        tenant: &TenantId,
        typ: &str,
        claims: &Map<String, Json>,
    ) -> Result<String, db::Error> {
        let algorithm = Algorithm::from_name(self.id_token_algorithm()).unwrap_or(Algorithm::RS256);
        let secret = match algorithm {
            Algorithm::HS256 => secret(app, tenant, &self.client_id).await?,
            _ => None,
        };
        let failed = |error: crate::jose::KeyError| db::Error::Failed(error.to_string());
        match (algorithm, secret) {
            (_, Some(secret)) => {
                SigningKey::hs256(None, secret.as_bytes()).sign_jwt(typ, claims).map_err(failed)
            }
            (Algorithm::HS256, None) => app.keys.sign(app, tenant, Algorithm::RS256, typ, claims).await,
            (algorithm, None) => app.keys.sign(app, tenant, algorithm, typ, claims).await,
        }
    }

    /// Verifies what the client signed: by these keys of its own, else by those that it publishes.
    ///
    /// # Errors
    /// See [`VerifyError`].
    pub async fn verify_signed(
        &self,
        app: &Model,
        own: &[VerifyingKey],
        token: &str,
    ) -> Result<Verified, VerifyError> {
        match (verify_jwt_of_client(token, own), &self.protocol.jwks_uri) {
            (Err(VerifyError::Invalid | VerifyError::Signature), Some(url)) => {
                app.keys.verify_published(app, url, token).await
            }
            (verified, _) => verified,
        }
    }
}
