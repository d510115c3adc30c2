//! User grants: what a user consented that a client may do on an API. Management contract §4.16.

use db::{Batch, Db, Error, Row, Value as Bound, params};
use serde_json::{Map, Value, json};

use crate::app::Model;
use crate::clock::Timestamp;
use crate::ids::{ClientId, TenantId, UserId};

/// A user's consent.
#[derive(Clone, Debug, PartialEq)]
pub struct Grant {
    /// 24 hexadecimal digits.
    pub id: String,
    /// Who consented.
    pub user_id: UserId,
    /// To whom.
    pub client_id: ClientId,
    /// On which API.
    pub audience: String,
    /// To what, in the order in which it was granted.
    pub scopes: Vec<String>,
}

impl Grant {
    /// Whether every one of `scopes` was consented to.
    pub fn covers<'a>(&self, scopes: impl IntoIterator<Item = &'a str>) -> bool {
        scopes.into_iter().all(|scope| self.scopes.iter().any(|granted| granted == scope))
    }

    /// The item of `GET /grants`, with `clientID` spelt as Auth0 spells it.
    pub fn to_wire(&self) -> Map<String, Value> {
        let item = json!({
            "id": self.id,
            "clientID": self.client_id.as_str(),
            "user_id": self.user_id.as_str(),
            "audience": self.audience,
            "scope": self.scopes,
        });
        let Value::Object(item) = item else { return Map::new() };
        item
    }
}

/// What a user consented to for a client and an API.
pub async fn find(
    db: &Db,
    tenant: &TenantId,
    user: &UserId,
    client: &ClientId,
    audience: &str,
) -> Result<Option<Grant>, Error> {
    let row = db.read_one(
        "SELECT id, user_id, client_id, audience, scope FROM user_grants
         WHERE tenant = $1 AND user_id = $2 AND client_id = $3 AND audience = $4",
        params![tenant, user, client, audience],
    );
    row.await?.map(from_row).transpose()
}

/// The grant with this id.
pub async fn find_by_id(db: &Db, tenant: &TenantId, id: &str) -> Result<Option<Grant>, Error> {
    let row = db.read_one(
        "SELECT id, user_id, client_id, audience, scope FROM user_grants WHERE tenant = $1 AND id = $2",
        params![tenant, id],
    );
    row.await?.map(from_row).transpose()
}

/// Which grants [`list`] answers: all that match every field that is given.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Who consented.
    pub user_id: Option<UserId>,
    /// To whom.
    pub client_id: Option<ClientId>,
    /// On which API.
    pub audience: Option<String>,
}

/// A page of grants in the order of their ids, and how many match altogether.
pub async fn list(
    db: &Db,
    tenant: &TenantId,
    filter: &Filter,
    offset: i64,
    limit: i64,
) -> Result<(Vec<Grant>, i64), Error> {
    let matching = || -> Vec<Bound> {
        params![
            tenant,
            filter.user_id.as_ref().map(UserId::as_str),
            filter.client_id.as_ref().map(ClientId::as_str),
            filter.audience.as_deref()
        ]
    };
    let mut page = matching();
    page.extend(params![limit, offset]);
    let mut answers = db
        .snapshot(vec![
            (
                "SELECT id, user_id, client_id, audience, scope FROM user_grants
                 WHERE tenant = $1 AND (CAST($2 AS TEXT) IS NULL OR user_id = $2)
                   AND (CAST($3 AS TEXT) IS NULL OR client_id = $3) AND (CAST($4 AS TEXT) IS NULL OR audience = $4)
                 ORDER BY id LIMIT $5 OFFSET $6"
                    .into(),
                page,
            ),
            (
                "SELECT COUNT(*) FROM user_grants
                 WHERE tenant = $1 AND (CAST($2 AS TEXT) IS NULL OR user_id = $2)
                   AND (CAST($3 AS TEXT) IS NULL OR client_id = $3) AND (CAST($4 AS TEXT) IS NULL OR audience = $4)"
                    .into(),
                matching(),
            ),
        ])
        .await?;
    let total = answers.pop().and_then(|mut rows| rows.pop()).map_or(Ok(0), |mut row| row.take())?;
    let grants = answers.pop().unwrap_or_default().into_iter().map(from_row).collect::<Result<_, _>>()?;
    Ok((grants, total))
}

fn from_row(mut row: Row) -> Result<Grant, Error> {
    Ok(Grant {
        id: row.take()?,
        user_id: row.take()?,
        client_id: row.take()?,
        audience: row.take()?,
        scopes: row
            .take::<String>()?
            .split(' ')
            .filter(|scope| !scope.is_empty())
            .map(str::to_owned)
            .collect(),
    })
}

/// Adds `scopes` to what a user consented to, and answers the whole. `old` is what was read; of two consents at the same
/// moment one is a `Conflict`, to be decided anew.
pub fn grow(
    batch: &mut Batch,
    app: &Model,
    tenant: &TenantId,
    (user, client, audience): (&UserId, &ClientId, &str),
    old: Option<&Grant>,
    scopes: &[impl AsRef<str>],
) -> Grant {
    let fresh = || (app.random.hex(24), app.clock.now());
    let (id, now) = old.map_or_else(fresh, |old| (old.id.clone(), app.clock.now()));
    let mut grant = Grant {
        id,
        user_id: user.clone(),
        client_id: client.clone(),
        audience: audience.to_owned(),
        scopes: old.map(|old| old.scopes.clone()).unwrap_or_default(),
    };
    for scope in scopes {
        if !grant.covers([scope.as_ref()]) {
            grant.scopes.push(scope.as_ref().to_owned());
        }
    }
    write(batch, tenant, old, &grant, now);
    grant
}

fn write(batch: &mut Batch, tenant: &TenantId, old: Option<&Grant>, grant: &Grant, now: Timestamp) {
    match old {
        None => batch.execute(
            "INSERT INTO user_grants (tenant, id, user_id, client_id, audience, scope, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $7) ON CONFLICT (tenant, user_id, client_id, audience) DO NOTHING",
            params![tenant, &grant.id, &grant.user_id, &grant.client_id, &grant.audience, grant.scopes.join(" "), now],
        ),
        Some(old) if old.scopes == grant.scopes => return,
        Some(old) => batch.execute(
            "UPDATE user_grants SET scope = $1, updated_at = $2 WHERE tenant = $3 AND id = $4 AND scope = $5",
            params![grant.scopes.join(" "), now, tenant, &grant.id, old.scopes.join(" ")],
        ),
    }
    .expect(1);
}

/// Goes on only while a consent is as it was read: one that is withdrawn meanwhile is a `Conflict`.
pub fn unchanged(batch: &mut Batch, tenant: &TenantId, grant: &Grant) {
    batch.guard(
        "SELECT 1 FROM user_grants WHERE tenant = $1 AND id = $2 AND scope = $3",
        params![tenant, &grant.id, grant.scopes.join(" ")],
    );
}

/// Withdraws a consent. An unknown id is no error.
pub fn remove(batch: &mut Batch, tenant: &TenantId, id: &str) {
    batch.execute("DELETE FROM user_grants WHERE tenant = $1 AND id = $2", params![tenant, id]);
}

/// Withdraws what a user consented to for a client and an API.
pub fn remove_for(batch: &mut Batch, tenant: &TenantId, user: &UserId, client: &ClientId, audience: &str) {
    batch.execute(
        "DELETE FROM user_grants WHERE tenant = $1 AND user_id = $2 AND client_id = $3 AND audience = $4",
        params![tenant, user, client, audience],
    );
}

/// Withdraws all that a user consented to.
pub fn remove_of_user(batch: &mut Batch, tenant: &TenantId, user: &UserId) {
    batch.execute("DELETE FROM user_grants WHERE tenant = $1 AND user_id = $2", params![tenant, user]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::users::fixture::{ann, chuck, commit, databases};
    use crate::users::{insert, remove as remove_user};

    fn grant(scopes: &[&str]) -> Grant {
        Grant {
            id: "0123456789abcdef01234567".into(),
            user_id: chuck().id,
            client_id: "client".into(),
            audience: "https://api.example".into(),
            scopes: scopes.iter().map(ToString::to_string).collect(),
        }
    }

    fn tenant() -> TenantId {
        "tenant".into()
    }

    const NOW: Timestamp = Timestamp::from_millis(1_000);

    async fn found(db: &Db) -> Option<Grant> {
        let wanted = grant(&[]);
        find(db, &tenant(), &wanted.user_id, &wanted.client_id, &wanted.audience).await.unwrap()
    }

    #[tokio::test]
    async fn a_consent_grows_and_of_two_at_once_one_conflicts() {
        for db in databases().await {
            commit(&db, |batch| insert(batch, &chuck())).await.unwrap();
            assert_eq!(found(&db).await, None);
            let first = grant(&["openid"]);
            commit(&db, |batch| write(batch, &tenant(), None, &first, NOW)).await.unwrap();
            let other = Grant { id: "another".into(), ..grant(&["email"]) };
            let late = commit(&db, |batch| write(batch, &tenant(), None, &other, NOW)).await;
            assert!(matches!(late, Err(Error::Conflict { .. })), "{late:?}");
            let grown = grant(&["openid", "email"]);
            commit(&db, |batch| write(batch, &tenant(), Some(&first), &grown, NOW)).await.unwrap();
            let late = commit(&db, |batch| write(batch, &tenant(), Some(&first), &other, NOW)).await;
            assert!(matches!(late, Err(Error::Conflict { .. })), "{late:?}");
            assert_eq!(found(&db).await, Some(grown.clone()));
            let mut batch = Batch::new();
            write(&mut batch, &tenant(), Some(&grown), &grown, NOW);
            assert!(batch.is_empty(), "what was granted before is not written again");
        }
    }

    #[tokio::test]
    async fn consents_are_listed_by_what_is_asked_and_withdrawn() {
        for db in databases().await {
            let mine = grant(&["openid"]);
            let hers =
                Grant { id: "1123456789abcdef01234567".into(), user_id: ann().id, ..grant(&["email"]) };
            let elsewhere = Grant {
                id: "2123456789abcdef01234567".into(),
                audience: "https://other.example".into(),
                ..mine.clone()
            };
            commit(&db, |batch| {
                insert(batch, &chuck());
                insert(batch, &ann());
                for grant in [&mine, &hers, &elsewhere] {
                    write(batch, &tenant(), None, grant, NOW);
                }
            })
            .await
            .unwrap();
            let all = Filter::default();
            assert_eq!(list(&db, &tenant(), &all, 1, 1).await.unwrap(), (vec![hers.clone()], 3));
            let filter = Filter { user_id: Some(chuck().id), ..Filter::default() };
            assert_eq!(
                list(&db, &tenant(), &filter, 0, 10).await.unwrap(),
                (vec![mine.clone(), elsewhere.clone()], 2)
            );
            let filter = Filter {
                audience: Some(elsewhere.audience.clone()),
                client_id: Some("client".into()),
                ..filter
            };
            assert_eq!(list(&db, &tenant(), &filter, 0, 10).await.unwrap(), (vec![elsewhere.clone()], 1));
            assert_eq!(list(&db, &"other".into(), &all, 0, 10).await.unwrap(), (vec![], 0));
            assert_eq!(find_by_id(&db, &tenant(), &hers.id).await.unwrap(), Some(hers.clone()));
            commit(&db, |batch| remove(batch, &tenant(), &mine.id)).await.unwrap();
            let (user, client) = (&elsewhere.user_id, &elsewhere.client_id);
            commit(&db, |batch| remove_for(batch, &tenant(), user, client, &elsewhere.audience))
                .await
                .unwrap();
            assert_eq!(list(&db, &tenant(), &all, 0, 10).await.unwrap(), (vec![hers.clone()], 1));
            commit(&db, |batch| remove_user(batch, &tenant(), &hers.user_id, Timestamp::from_millis(0)))
                .await
                .unwrap();
            assert_eq!(list(&db, &tenant(), &all, 0, 10).await.unwrap(), (vec![], 0));
        }
    }

    #[test]
    fn a_consent_covers_what_is_in_it() {
        let grant = grant(&["openid", "email"]);
        assert!(grant.covers(["email"]) && grant.covers([]) && !grant.covers(["email", "phone"]));
        assert_eq!(
            Value::Object(grant.to_wire()).to_string(),
            concat!(
                r#"{"id":"0123456789abcdef01234567","clientID":"client","user_id":"auth0|63d17c4a9d503d76c056c160","#,
                r#""audience":"https://api.example","scope":["openid","email"]}"#
            )
        );
    }
}
