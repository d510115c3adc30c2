//! How a tenant's endpoints speak, where that is Doorward's own to say: Auth0's words and statuses, or the specifications'.

use std::sync::Arc;

use db::Batch;
use serde::{Deserialize, Serialize};

use crate::Model;
use crate::clients::Client;
use crate::clock::Timestamp;
use crate::ids::TenantId;
use crate::jose::Algorithm;
use crate::tenant_documents::{self, TenantDocument};

/// A tenant's protocol: the body of `GET /api/v2/doorward/protocol`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Protocol {
    /// Whether the specification's answer is given where Auth0's differs, to clients that do not say otherwise.
    pub strict: bool,
    /// Whether every client must push its authorization requests (RFC 9126 §5).
    pub require_pushed_authorization_requests: bool,
    /// Whether a client registers itself only with a token that may create clients (RFC 7591 §3).
    pub registration_needs_token: bool,
    /// Whether a client that registers itself is strict.
    pub strict_registration: bool,
    /// The row's version; 0 when there is none.
    #[serde(skip)]
    pub version: i64,
}

/// What a client says of its own: the body of `GET /api/v2/doorward/clients/{id}/protocol`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClientProtocol {
    /// Whether the specification's answer is given where Auth0's differs; the tenant decides where it is not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
    /// The algorithm that signs what `/userinfo` tells it (OIDC Core §5.3.2); it is told plainly where none is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub userinfo_signed_response_alg: Option<String>,
    /// The algorithm of signed authorization responses (JARM §3); RS256 where none is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization_signed_response_alg: Option<String>,
    /// Where it publishes the keys that verify its assertions and request objects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    /// `public`, or `pairwise`: whether it knows users by a name of their own (OIDC Core §8).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject_type: Option<String>,
    /// The host whose clients know users by the same names; that of its callback where none is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sector_identifier: Option<String>,
    /// The page that says what it does with what it learns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_uri: Option<String>,
    /// The page with its terms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tos_uri: Option<String>,
    /// The seconds that count where its requests say no `max_age` (OpenID Connect Registration §2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_max_age: Option<i64>,
    /// Whether its ID tokens always say when the user proved who they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require_auth_time: Option<bool>,
    /// The one algorithm by which it signs its request objects; any that we know where none is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_object_signing_alg: Option<String>,
    /// Whether it is held to FAPI 2.0's Security Profile, and strict: it pushes its requests with a PKCE challenge, its tokens are bound
    /// to keys or certificates, it proves itself by a certificate or by `private_key_jwt` with an assertion for the issuer alone, and it is answered with codes alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fapi2_security_profile: Option<bool>,
}

impl ClientProtocol {
    /// The algorithm that signs what `/userinfo` tells it, if it is signed.
    pub fn userinfo_algorithm(&self) -> Option<Algorithm> {
        Algorithm::from_name(self.userinfo_signed_response_alg.as_deref()?)
    }

    /// The algorithm of its signed authorization responses.
    pub fn authorization_algorithm(&self) -> Algorithm {
        let named = self.authorization_signed_response_alg.as_deref();
        named.and_then(Algorithm::from_name).unwrap_or(Algorithm::RS256)
    }

    /// Whether it is held to FAPI 2.0's Security Profile.
    pub fn is_fapi2(&self) -> bool {
        self.fapi2_security_profile == Some(true)
    }

    /// Whether nothing is set.
    pub fn is_unset(&self) -> bool {
        *self == Self::default()
    }
}

impl Protocol {
    /// Whether the specification's answer is given to `client`.
    pub fn is_strict_for(&self, client: &Client) -> bool {
        client.protocol.is_fapi2() || client.protocol.strict.unwrap_or(self.strict)
    }
}

impl TenantDocument for Protocol {
    const TABLE: &'static str = "protocol";

    fn version(&self) -> i64 {
        self.version
    }

    fn at(self, version: i64) -> Self {
        Self { version, ..self }
    }
}

/// The tenant's protocol. Cached.
pub async fn find(app: &Model, tenant: &TenantId) -> Result<Arc<Protocol>, db::Error> {
    tenant_documents::find(app, tenant).await
}

/// The tenant's protocol as it stands in the database: what a change begins with.
pub async fn load(app: &Model, tenant: &TenantId) -> Result<Protocol, db::Error> {
    tenant_documents::load(app, tenant).await
}

/// Writes a changed protocol, if nobody else has since it was read.
pub fn save(batch: &mut Batch, tenant: &TenantId, protocol: &mut Protocol, now: Timestamp) {
    tenant_documents::save(batch, tenant, protocol, now);
}
