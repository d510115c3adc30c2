//! Finding the user who types an e-mail address, a username or a phone number.

use db::{Db, Error, params};

use super::{User, collect, columns};
use crate::credentials::Credential;
use crate::identities::{fold_email, fold_phone, fold_username};
use crate::ids::TenantId;

/// A user found by a login identifier.
#[derive(Clone, Debug)]
pub struct Found {
    /// The user: after linking, the primary one.
    pub user: User,
    /// The place of the identity that the identifier names, in `user.identities`.
    pub identity: usize,
    /// That identity's password, if it has one.
    pub credential: Option<Credential>,
}

/// The user whom `identifier` names on a connection, with the password of that identity. Blanks around it do not count. An e-mail address goes before a
/// username of the same letters, and that before a phone number. Known and unknown identifiers cost the same one statement.
pub async fn find_login(
    db: &Db,
    tenant: &TenantId,
    connection: &str,
    identifier: &str,
) -> Result<Option<Found>, Error> {
    let identifier = identifier.trim();
    if identifier.contains('\0') {
        return Ok(None);
    }
    let rows = db
        .read(
            concat!(
                "SELECT l.provider, l.subject, c.hash, c.changed_at, ",
                columns!(),
                " FROM (SELECT provider, subject, user_id, 0 AS place FROM identities
                        WHERE tenant = $1 AND connection = $2 AND email = $3
                        UNION ALL
                        SELECT provider, subject, user_id, 1 AS place FROM identities
                        WHERE tenant = $1 AND connection = $2 AND username = $4
                        UNION ALL
                        SELECT provider, subject, user_id, 2 AS place FROM identities
                        WHERE tenant = $1 AND connection = $2 AND phone = $5) AS l
                  JOIN users u ON u.tenant = $1 AND u.id = l.user_id
                  JOIN identities i ON i.tenant = $1 AND i.user_id = l.user_id
                  LEFT JOIN credentials c ON c.tenant = $1 AND c.provider = l.provider AND c.subject = l.subject
                  ORDER BY l.place, l.provider, l.subject, i.position"
            ),
            params![tenant, connection, fold_email(identifier), fold_username(identifier), fold_phone(identifier)],
        )
        .await?;
    let mut first: Option<(String, String)> = None;
    let mut credential = None;
    let mut own = Vec::new();
    for mut row in rows {
        let matched: (String, String) = (row.take()?, row.take()?);
        let (hash, changed_at) = (row.take::<Option<String>>()?, row.take()?);
        if first.as_ref().is_some_and(|first| *first != matched) {
            break;
        }
        if first.is_none() {
            credential = hash.zip(changed_at).map(|(hash, changed_at)| Credential { hash, changed_at });
            first = Some(matched);
        }
        own.push(row);
    }
    let (Some((provider, subject)), Some(user)) = (first, collect(tenant, own)?.pop()) else {
        return Ok(None);
    };
    let Some((identity, _)) = user.identity(&provider, &subject) else { return Ok(None) };
    Ok(Some(Found { user, identity, credential }))
}

/// The user whom `identifier` names on a connection.
pub async fn find_by_login(
    db: &Db,
    tenant: &TenantId,
    connection: &str,
    identifier: &str,
) -> Result<Option<User>, Error> {
    Ok(find_login(db, tenant, connection, identifier).await?.map(|found| found.user))
}
