//! Messages to phones: what a number is, how they leave, and how many.

mod gateway;
mod limits;
mod number;

pub use gateway::{Message, SmsError, filled, has_gateway, send, words};
pub use limits::{MOST_FROM_IP, MOST_TO_NEW, MOST_TO_OWN, MOST_TO_OWN_FROM_IP, admit};
pub use number::typed;

use std::sync::Arc;

use crate::app::Model;
use crate::connections::{self, Connection};
use crate::ids::TenantId;

/// The connection whose gateway takes the tenant's codes for phones as second factor: the oldest of strategy `sms` that names one,
/// whether or not anybody may sign in with it.
///
/// # Errors
/// When the database fails.
pub async fn gateway(app: &Model, tenant: &TenantId) -> Result<Option<Arc<Connection>>, db::Error> {
    for id in connections::of_phones(app, tenant).await?.iter() {
        let found = connections::find(app, tenant, id).await?;
        if let Some(connection) = found.filter(|connection| has_gateway(connection)) {
            return Ok(Some(connection));
        }
    }
    Ok(None)
}
