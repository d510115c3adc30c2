//! `/api/v2/doorward/protocol` and `/api/v2/doorward/clients/{id}`: whether Auth0's answers are given, or the specifications'. It is
//! Doorward's own, with scopes of its own, so that what Auth0's tools read and write stays as they know it.

use axum::extract::State;
use axum::http::StatusCode;
use db::Batch;
use model::document::{self, object};
use model::protocol::ClientProtocol;
use model::tenant_documents::TenantDocument;
use model::{App, ClientId, clients, protocol};
use schemars::JsonSchema;
use serde_json::{Map, Value};

use crate::access::Grant;
use crate::answers::Answer;
use crate::changes::Change;
use crate::documents::{Document, unfit};
use crate::errors::{Error, Missing};
use crate::paths::Path;
use crate::requests::Json;
use crate::signing_keys::provide_keys;
use crate::texts::HttpsAddress;

/// The body of `PATCH /doorward/protocol`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("minProperties" = 1))]
pub struct UpdateProtocol {
    /// Whether the specification's answer is given where Auth0's differs, to clients that do not say otherwise.
    #[schemars(default)]
    pub strict: Change<bool>,
    /// Whether every client must push its authorization requests.
    #[schemars(default)]
    pub require_pushed_authorization_requests: Change<bool>,
    /// Whether a client registers itself only with a token that may create clients.
    #[schemars(default)]
    pub registration_needs_token: Change<bool>,
    /// Whether a client that registers itself is strict.
    #[schemars(default)]
    pub strict_registration: Change<bool>,
}

/// The body of `PATCH /doorward/clients/{id}`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("minProperties" = 1))]
pub struct UpdateClientProtocol {
    /// Whether the specification's answer is given where Auth0's differs; the tenant decides where it is null.
    #[schemars(default)]
    pub strict: Change<bool>,
    /// The algorithm that signs what `/userinfo` tells the client; it is told plainly where it is null.
    #[schemars(default, extend("enum" = ["RS256", "RS512", "PS256", "ES256", "EdDSA", null]))]
    pub userinfo_signed_response_alg: Change<String>,
    /// The algorithm of signed authorization responses; RS256 where it is null.
    #[schemars(default, extend("enum" = ["RS256", "RS512", "PS256", "ES256", "EdDSA", null]))]
    pub authorization_signed_response_alg: Change<String>,
    /// Where the client publishes the keys that verify its assertions and request objects.
    #[schemars(default)]
    pub jwks_uri: Change<HttpsAddress>,
    /// Whether the client knows users by a name of their own.
    #[schemars(default, extend("enum" = ["public", "pairwise", null]))]
    pub subject_type: Change<String>,
    /// The host whose clients know users by the same names; that of the callback where it is null.
    #[schemars(default, length(min = 1, max = 255))]
    pub sector_identifier: Change<String>,
    /// The page that says what the client does with what it learns.
    #[schemars(default)]
    pub policy_uri: Change<HttpsAddress>,
    /// The page with the client's terms.
    #[schemars(default)]
    pub tos_uri: Change<HttpsAddress>,
    /// The seconds that count where the client's requests say no `max_age`.
    #[schemars(default, range(min = 0, max = 2_147_483_647))]
    pub default_max_age: Change<i64>,
    /// Whether the client's ID tokens always say when the user proved who they are.
    #[schemars(default)]
    pub require_auth_time: Change<bool>,
    /// The one algorithm by which the client signs its request objects; any that there is where it is null.
    #[schemars(default, extend("enum" = ["RS256", "RS384", "PS256", null]))]
    pub request_object_signing_alg: Change<String>,
    /// Whether the client is held to FAPI 2.0's Security Profile: requests that are pushed with PKCE, tokens bound to keys or to certificates, assertions for the
    /// issuer alone, and nothing but codes. It is strict then.
    #[schemars(default)]
    pub fapi2_security_profile: Change<bool>,
}

/// `GET /doorward/protocol`.
pub async fn get(State(app): State<App>, grant: Grant) -> Result<Answer<Map<String, Value>>, Error> {
    Ok(Answer(object(&protocol::load(&app, &grant.tenant.id).await?)))
}

/// `PATCH /doorward/protocol`: replaces the named settings; `null` brings back what a new tenant has.
///
/// # Errors
/// 400 `invalid_body`.
pub async fn update(
    State(app): State<App>,
    grant: Grant,
    Json(body): Json<Document<UpdateProtocol>>,
) -> Result<Answer<Map<String, Value>>, Error> {
    let decide = async || {
        let stored = protocol::load(&app, &grant.tenant.id).await?;
        let mut changed = stored.patched(&body.keys).map_err(unfit)?;
        let mut batch = Batch::new();
        protocol::save(&mut batch, &grant.tenant.id, &mut changed, app.clock.now());
        let answer = object(&changed);
        grant.wrote(&app, &mut batch, StatusCode::OK, &answer);
        Ok::<_, Error>((batch, answer))
    };
    Ok(Answer(app.db.retry(decide).await?))
}

/// `GET /doorward/clients/{id}`.
///
/// # Errors
/// 404 `inexistent_client`.
pub async fn get_of_client(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<ClientId>,
) -> Result<Answer<Map<String, Value>>, Error> {
    let client = clients::load(&app, &grant.tenant.id, id.as_str()).await?;
    Ok(Answer(object(&client.ok_or(Error::NotFound(Missing::Client))?.protocol)))
}

/// `PATCH /doorward/clients/{id}`: replaces the named settings; with `null` the tenant decides.
///
/// # Errors
/// 404 `inexistent_client`, 400 `invalid_body`.
pub async fn update_of_client(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<ClientId>,
    Json(body): Json<Document<UpdateClientProtocol>>,
) -> Result<Answer<Map<String, Value>>, Error> {
    for key in ["userinfo_signed_response_alg", "authorization_signed_response_alg"] {
        provide_keys(&app, &grant, body.text(key)).await?;
    }
    if let Some(uri) = body.text("jwks_uri") {
        app.net.check(uri).map_err(|error| Error::InvalidBody(format!("jwks_uri: {error}").into()))?;
    }
    let decide = async || {
        let found = clients::load(&app, &grant.tenant.id, id.as_str()).await?;
        let mut client = found.ok_or(Error::NotFound(Missing::Client))?;
        let changed: ClientProtocol = document::patch(&client.protocol, &body.keys).map_err(unfit)?;
        client.protocol = changed;
        let mut batch = Batch::new();
        clients::save(&mut batch, &grant.tenant.id, &mut client);
        let answer = object(&client.protocol);
        grant.wrote(&app, &mut batch, StatusCode::OK, &answer);
        Ok::<_, Error>((batch, answer))
    };
    Ok(Answer(app.db.retry(decide).await?))
}
