//! `/api/v2/clients/{client_id}/credentials`: the keys and certificates by which a client proves itself (management contract §4.1).

use axum::extract::State;
use axum::http::StatusCode;
use db::Batch;
use model::clients::{self, Client, Credential};
use model::{App, ClientId, Timestamp};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{check, load};
use crate::access::Grant;
use crate::answers::{Answer, Created, NoContent};
use crate::changes::Change;
use crate::documents::Document;
use crate::errors::{Error, Missing};
use crate::paths::Path;
use crate::requests::{Json, Query};

/// The body of `POST /clients/{client_id}/credentials`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct CreateCredential {
    /// The type of credential.
    #[schemars(extend("enum" = ["public_key", "cert_subject_dn", "x509_cert"]))]
    pub credential_type: String,
    /// Friendly name for a credential.
    #[schemars(length(max = 128))]
    pub name: Option<String>,
    /// Subject Distinguished Name. Mutually exclusive with `pem` property. Applies to `cert_subject_dn` credential type.
    #[schemars(length(min = 1, max = 256))]
    pub subject_dn: Option<String>,
    /// PEM-formatted public key (SPKI and PKCS1) or X509 certificate. Must be JSON escaped.
    #[schemars(length(min = 1, max = 4096))]
    pub pem: Option<String>,
    /// Algorithm which will be used with the credential. Can be one of RS256, RS384, PS256. If not specified, RS256 will be used. Applies to `public_key` credential type.
    #[schemars(extend("enum" = ["RS256", "RS384", "PS256"]))]
    pub alg: Option<String>,
    /// Parse expiry from x509 certificate. If true, attempts to parse the expiry date from the provided PEM. Applies to `public_key` credential type.
    pub parse_expiry_from_cert: Option<bool>,
    /// The ISO 8601 formatted date representing the expiration of the credential. If not specified (not recommended), the credential never expires. Applies to `public_key` credential type.
    #[schemars(extend("format" = "date-time"))]
    pub expires_at: Option<String>,
    /// Optional kid (Key ID), used to uniquely identify the credential. If not specified, a kid value will be auto-generated. The kid header parameter in JWTs sent by your client should match this value.
    #[schemars(regex(pattern = "^([0-9a-zA-Z-_]{10,64})$"))]
    pub kid: Option<String>,
}

/// The body of `PATCH /clients/{client_id}/credentials/{credential_id}`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 1))]
pub struct UpdateCredential {
    /// The ISO 8601 formatted date representing the expiration of the credential.
    #[serde(default)]
    #[schemars(extend("format" = "date-time"))]
    pub expires_at: Change<String>,
}

/// The query of `GET /clients/{client_id}/credentials`: tools send the parameters of a paged list, which it is not.
#[derive(Deserialize, JsonSchema)]
pub struct ListCredentials {
    /// Ignored.
    pub page: Option<u32>,
    /// Ignored.
    pub per_page: Option<u32>,
    /// Ignored.
    pub include_totals: Option<bool>,
    /// Ignored.
    pub take: Option<u32>,
    /// Ignored.
    pub from: Option<String>,
}

/// `GET /clients/{client_id}/credentials`: all of them, oldest first.
///
/// # Errors
/// 404 `inexistent_client`.
pub async fn list(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<ClientId>,
    Query(_): Query<ListCredentials>,
) -> Result<Answer<Vec<Map<String, Value>>>, Error> {
    let client = load(&app, &grant, &id).await?;
    Ok(Answer(client.credentials.iter().map(Credential::to_wire).collect()))
}

/// `GET /clients/{client_id}/credentials/{credential_id}`.
///
/// # Errors
/// 404 `inexistent_client`, 404 for an unknown credential.
pub async fn get(
    State(app): State<App>,
    grant: Grant,
    Path((id, credential)): Path<(ClientId, String)>,
) -> Result<Answer<Map<String, Value>>, Error> {
    let client = load(&app, &grant, &id).await?;
    let found = client.credential(&credential).ok_or(Error::NotFound(Missing::Credential))?;
    Ok(Answer(found.to_wire()))
}

/// `POST /clients/{client_id}/credentials`: adds one, which nothing uses yet.
///
/// # Errors
/// 404 `inexistent_client`, 400 `invalid_body`.
pub async fn create(
    State(app): State<App>,
    grant: Grant,
    Path(id): Path<ClientId>,
    Json(body): Json<Document<CreateCredential>>,
) -> Result<Created<Map<String, Value>>, Error> {
    let made = Credential::new(&app.random, app.clock.now(), &body.keys).map_err(unusable)?;
    let answer = made.to_wire();
    change(&app, &grant, &id, StatusCode::CREATED, |client| {
        client.credentials.push(made.clone());
        Ok(answer.clone())
    })
    .await
    .map(Created)
}

/// `PATCH /clients/{client_id}/credentials/{credential_id}`: moves its end; `null` takes it away.
///
/// # Errors
/// 404 `inexistent_client`, 404 for an unknown credential, 400 `invalid_body`.
pub async fn update(
    State(app): State<App>,
    grant: Grant,
    Path((id, credential)): Path<(ClientId, String)>,
    Json(body): Json<UpdateCredential>,
) -> Result<Answer<Map<String, Value>>, Error> {
    let expires_at = match body.expires_at.value() {
        Some(text) => Some(Timestamp::parse(text).ok_or_else(|| unusable(clients::CredentialError::Expiry))?),
        None => None,
    };
    let now = app.clock.now();
    let decide = |client: &mut Client| {
        let found = client.credentials.iter_mut().find(|known| known.id == credential);
        let found = found.ok_or(Error::NotFound(Missing::Credential))?;
        (found.expires_at, found.updated_at) = (expires_at, now);
        Ok(found.to_wire())
    };
    change(&app, &grant, &id, StatusCode::OK, decide).await.map(Answer)
}

/// `DELETE /clients/{client_id}/credentials/{credential_id}`: ends it, wherever it is used; one that is not there is deleted already.
pub async fn delete(
    State(app): State<App>,
    grant: Grant,
    Path((id, credential)): Path<(ClientId, String)>,
) -> Result<NoContent, Error> {
    let decide = async || {
        let mut batch = Batch::new();
        if let Some(mut client) = clients::load(&app, &grant.tenant.id, id.as_str()).await?
            && client.remove_credential(&credential)
        {
            clients::save(&mut batch, &grant.tenant.id, &mut client);
        }
        grant.wrote(&app, &mut batch, StatusCode::NO_CONTENT, &Value::Null);
        Ok((batch, NoContent))
    };
    app.db.retry(decide).await
}

/// Changes a client's credentials, if nobody else has since they were read.
async fn change(
    app: &App,
    grant: &Grant,
    id: &ClientId,
    status: StatusCode,
    decide_on: impl Fn(&mut Client) -> Result<Map<String, Value>, Error>,
) -> Result<Map<String, Value>, Error> {
    let decide = async || {
        let mut client = load(app, grant, id).await?;
        let answer = decide_on(&mut client)?;
        check(&client)?;
        let mut batch = Batch::new();
        clients::save(&mut batch, &grant.tenant.id, &mut client);
        grant.wrote(app, &mut batch, status, &answer);
        Ok::<_, Error>((batch, answer))
    };
    app.db.retry(decide).await
}

/// A body that fits its schema and is no credential.
pub fn unusable(error: clients::CredentialError) -> Error {
    Error::InvalidBody(format!("Payload validation error: '{error}'.").into())
}
