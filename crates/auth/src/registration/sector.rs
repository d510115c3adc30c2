//! `sector_identifier_uri` (OpenID Connect Core §8.1, Registration §5): the document by which several hosts are one sector.

use serde_json::Value;

use super::metadata::{Metadata, invalid};
use crate::errors::OAuthError;
use crate::visit::Visit;

/// Refuses a client whose document does not list every address at which it may be answered.
pub(super) async fn check(visit: &Visit, metadata: &Metadata) -> Result<(), OAuthError> {
    let Some(uri) = &metadata.sector_identifier_uri else { return Ok(()) };
    let unread = |reason: String| invalid(format!("sector_identifier_uri cannot be read: {reason}"));
    let (status, body) = visit.app.net.get(uri).await.map_err(|error| unread(error.to_string()))?;
    if status != 200 {
        return Err(unread(format!("the answer was {status}")));
    }
    let listed: Value = serde_json::from_slice(&body).map_err(|_| unread("the answer is not JSON".into()))?;
    let listed = listed.as_array().ok_or_else(|| unread("the answer is no list".into()))?;
    match metadata.redirect_uris().iter().all(|uri| listed.iter().any(|listed| listed == uri)) {
        true => Ok(()),
        false => Err(invalid("sector_identifier_uri does not list every one of redirect_uris")),
    }
}
