//! `/api/v2/keys/signing` (management contract §4.17).

use axum::extract::State;
use axum::http::StatusCode;
use model::jose::Algorithm;
use model::keys::{Key, RevokeError};
use model::{App, Model};
use serde_json::{Map, Value, json};

use crate::access::Grant;
use crate::answers::{Answer, Created};
use crate::errors::{Error, Missing};
use crate::paths::Path;

type Object = Map<String, Value>;

/// Makes the keys of a newly selected algorithm, so that they are published before they sign.
///
/// # Errors
/// Those of the database.
pub async fn provide_keys(app: &Model, grant: &Grant, selected: Option<&str>) -> Result<(), Error> {
    match selected.and_then(Algorithm::from_name) {
        None | Some(Algorithm::HS256) => Ok(()),
        Some(algorithm) => Ok(app.keys.provide(app, &grant.tenant.id, algorithm).await?),
    }
}

/// `GET /keys/signing`: all keys of the tenant.
pub async fn list(State(app): State<App>, grant: Grant) -> Result<Answer<Vec<Object>>, Error> {
    let keys = app.keys.list(&app, &grant.tenant.id).await?;
    Ok(Answer(keys.iter().map(Key::to_wire).collect::<Result<_, _>>()?))
}

/// `GET /keys/signing/{kid}`.
///
/// # Errors
/// 404.
pub async fn get(
    State(app): State<App>,
    grant: Grant,
    Path(kid): Path<String>,
) -> Result<Answer<Object>, Error> {
    let key =
        app.keys.find(&app, &grant.tenant.id, &kid).await?.ok_or(Error::NotFound(Missing::SigningKey))?;
    Ok(Answer(key.to_wire()?))
}

/// `POST /keys/signing/rotate`: the next key becomes the current one, and a fresh next is made.
pub async fn rotate(State(app): State<App>, grant: Grant) -> Result<Created<Value>, Error> {
    let record = |batch: &mut db::Batch, key: &Key| {
        grant.wrote(&app, batch, StatusCode::CREATED, &json!({ "kid": key.kid }))
    };
    let current = app.keys.rotate(&app, &grant.tenant.id, record).await?;
    Ok(Created(summary(&current)?))
}

/// `PUT /keys/signing/{kid}/revoke`: tokens of a previous key are refused from now on.
///
/// # Errors
/// 404, 400 for a key that is still in use.
pub async fn revoke(
    State(app): State<App>,
    grant: Grant,
    Path(kid): Path<String>,
) -> Result<Answer<Value>, Error> {
    let record = |batch: &mut db::Batch, key: &Key| {
        grant.wrote(&app, batch, StatusCode::OK, &json!({ "kid": key.kid }))
    };
    let revoked =
        app.keys.revoke(&app, &grant.tenant.id, &kid, record).await.map_err(|error| match error {
            RevokeError::NotFound => Error::NotFound(Missing::SigningKey),
            RevokeError::NotPrevious => {
                Error::NotSupported("Only a previous signing key can be revoked.".into())
            }
            RevokeError::Failed(error) => error.into(),
        })?;
    Ok(Answer(summary(&revoked)?))
}

/// What the answer to a change of a key holds.
fn summary(key: &Key) -> Result<Value, Error> {
    Ok(json!({ "cert": key.certificate()?.pem(), "kid": key.kid }))
}
