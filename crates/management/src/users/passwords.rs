//! A password that an administrator sets: the connection's policy first, then the hash on the pool of its own.

use model::Model;
use model::connections::Connection;
use model::identities::Identity;
use model::password_policies::{self, NewPassword, Refused};
use model::passwords::HashError;
use model::users::User;

use crate::errors::Error;

/// Hashes `password` for this identity of `user`, if the connection's policy takes it.
///
/// # Errors
/// 400 when it is too weak or too long, 503 when the pool has no room.
pub async fn hash(
    app: &Model,
    connection: &Connection,
    user: &User,
    identity: &Identity,
    password: &str,
) -> Result<NewPassword, Error> {
    password_policies::accept(app, connection, user, identity, password).await.map_err(
        |refusal| match refusal {
            Refused::Weak(weakness) => Error::WeakPassword(weakness),
            Refused::Hash(HashError::Busy) => Error::Unavailable(1),
            Refused::Hash(HashError::TooLong) => Error::InvalidBody(
                "Payload validation error: 'String is too long, maximum 1024 bytes' on property password."
                    .into(),
            ),
            Refused::Database(error) => Error::Database(error),
        },
    )
}
