//! A password that an administrator sets: the connection's policy first, then the hash on the pool of its own.

use model::Model;
use model::connections::Connection;
use model::password_policies::PasswordPolicy;
use model::passwords::HashError;

use crate::errors::Error;

/// Hashes `password`, if the connection's policy takes it.
///
/// # Errors
/// 400 when it is too weak or too long, 503 when the pool has no room.
pub async fn hash(app: &Model, connection: &Connection, password: &str) -> Result<String, Error> {
    if !PasswordPolicy::of(connection).accepts(password) {
        return Err(Error::WeakPassword);
    }
    app.hasher.hash(password.to_owned()).await.map_err(|error| match error {
        HashError::Busy => Error::Unavailable(1),
        HashError::TooLong => Error::InvalidBody(
            "Payload validation error: 'String is too long, maximum 1024 bytes' on property password.".into(),
        ),
    })
}
