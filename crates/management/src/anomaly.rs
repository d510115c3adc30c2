//! `/api/v2/anomaly/blocks/ips`: addresses that are throttled (management contract §4.16).

use std::net::IpAddr;

use axum::extract::State;
use axum::http::StatusCode;
use db::Batch;
use model::App;
use model::attack_protection as protection;
use serde_json::Value;

use crate::access::Grant;
use crate::answers::NoContent;
use crate::errors::{Error, Missing};
use crate::paths::Path;

/// `GET /anomaly/blocks/ips/{id}`: 200 without a body when the address is throttled now.
///
/// # Errors
/// 400 `invalid_uri`, 404.
pub async fn check(
    State(app): State<App>,
    grant: Grant,
    Path(ip): Path<IpAddr>,
) -> Result<StatusCode, Error> {
    match protection::is_blocked(&app, &grant.tenant.id, ip).await? {
        true => Ok(StatusCode::OK),
        false => Err(Error::NotFound(Missing::AddressBlock)),
    }
}

/// `DELETE /anomaly/blocks/ips/{id}`: forgets what came from an address, throttled or not.
///
/// # Errors
/// 400 `invalid_uri`.
pub async fn lift(State(app): State<App>, grant: Grant, Path(ip): Path<IpAddr>) -> Result<NoContent, Error> {
    let mut batch = Batch::new();
    protection::lift_address(&mut batch, &grant.tenant.id, ip);
    grant.wrote(&app, &mut batch, StatusCode::NO_CONTENT, &Value::Null);
    app.db.commit(batch).await?;
    Ok(NoContent)
}
