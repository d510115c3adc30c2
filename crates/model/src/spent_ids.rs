//! What proves something once: the `jti` of client assertions (RFC 7523 §3), of proofs of possession (RFC 9449 §11.1) and of signed
//! requests (RFC 9101 §4).

use db::{Batch, params};

use crate::clock::Timestamp;
use crate::ids::TenantId;
use crate::{Model, seal};

/// What an id is of, and so among which others it occurs once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An assertion by which a client proves itself.
    ClientAssertion,
    /// A proof of possession.
    Proof,
    /// A signed authorization request.
    RequestObject,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::ClientAssertion => "assertion",
            Self::Proof => "proof",
            Self::RequestObject => "request",
        }
    }
}

/// Spends the id `jti` of `owner`: `false` where it was spent before. It must not be good for anything after `expires_at`: then it is
/// forgotten.
pub async fn spend(
    app: &Model,
    tenant: &TenantId,
    (kind, owner): (Kind, &str),
    jti: &str,
    expires_at: Timestamp,
) -> Result<bool, db::Error> {
    let hash = seal::digest(&format!("{}\n{owner}\n{jti}", kind.name()));
    let mut batch = Batch::new();
    batch
        .execute(
            "INSERT INTO spent_ids (tenant, hash, expires_at) VALUES ($1, $2, $3) ON CONFLICT (tenant, hash) DO NOTHING",
            params![tenant, hash, expires_at],
        )
        .expect(1);
    match app.db.commit(batch).await {
        Ok(_) => Ok(true),
        Err(db::Error::Conflict { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
