//! Lists of users.

use std::borrow::Cow;

use db::{Db, Error, Value as Bound, params};

use super::search::Filter;
use super::{User, collect, columns};
use crate::ids::TenantId;

/// The most that `total` counts to, as in Auth0; offset paging reaches no further either.
pub const MOST_TOTAL: i64 = 1000;

/// Which users to list.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Only users with an identity of the connection of this name.
    pub connection: Option<String>,
    /// Only users that a search query matches.
    pub filter: Option<Filter>,
    /// In which order; by id where nothing is said.
    pub sort: Option<Sort>,
    /// How many to skip.
    pub offset: i64,
    /// How many to answer at most.
    pub limit: i64,
    /// Whether to count all that match.
    pub total: bool,
}

/// A page of a list of users.
#[derive(Clone, Debug)]
pub struct Page {
    /// The users on this page.
    pub users: Vec<User>,
    /// How many match, up to [`MOST_TOTAL`]; `None` if it was not asked for.
    pub total: Option<i64>,
}

/// An order of users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sort {
    /// By which attribute.
    pub column: SortColumn,
    /// Greatest first.
    pub descending: bool,
}

/// `sort` is not `{attribute}:1` or `{attribute}:-1`, or nobody can be sorted by that attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an attribute and a direction to sort by")]
pub struct UnknownSort;

macro_rules! sort_columns {
    ($($name:literal => $variant:ident, $column:literal, $nulls:literal;)*) => {
        /// What users can be sorted by. Metadata is not among it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[expect(missing_docs, reason = "the names are the attributes'")]
        pub enum SortColumn { $($variant),* }

        impl SortColumn {
            #[cfg(test)]
            pub(super) const ALL: &[Self] = &[$(Self::$variant),*];

            fn parse(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
            }

            /// The `ORDER BY` terms. Users without the attribute come last either way.
            fn order(self, descending: bool) -> &'static str {
                match (self, descending) {
                    $((Self::$variant, false) => concat!($column, " ASC", $nulls, ", u.id ASC"),
                      (Self::$variant, true) => concat!($column, " DESC", $nulls, ", u.id DESC"),)*
                }
            }
        }
    };
}

sort_columns! {
    "user_id" => UserId, "u.id", "";
    "email" => Email, "u.email", " NULLS LAST";
    "email_verified" => EmailVerified, "u.email_verified", "";
    "username" => Username, "u.username", " NULLS LAST";
    "phone_number" => PhoneNumber, "u.phone_number", " NULLS LAST";
    "name" => Name, "u.name_folded", " NULLS LAST";
    "nickname" => Nickname, "u.nickname_folded", " NULLS LAST";
    "given_name" => GivenName, "u.given_name_folded", " NULLS LAST";
    "family_name" => FamilyName, "u.family_name_folded", " NULLS LAST";
    "blocked" => Blocked, "u.blocked", " NULLS LAST";
    "created_at" => CreatedAt, "u.created_at", "";
    "updated_at" => UpdatedAt, "u.updated_at", "";
    "last_login" => LastLogin, "u.last_login", " NULLS LAST";
    "last_ip" => LastIp, "u.last_ip", " NULLS LAST";
    "logins_count" => LoginsCount, "u.logins_count", "";
    "last_password_reset" => LastPasswordReset, "u.last_password_reset", " NULLS LAST";
}

impl Sort {
    /// Reads `created_at:-1`.
    pub fn parse(text: &str) -> Result<Self, UnknownSort> {
        let (name, direction) = text.split_once(':').ok_or(UnknownSort)?;
        let descending = match direction {
            "1" => false,
            "-1" => true,
            _ => return Err(UnknownSort),
        };
        Ok(Self { column: SortColumn::parse(name).ok_or(UnknownSort)?, descending })
    }
}

/// A page of the tenant's users.
pub async fn list(db: &Db, tenant: &TenantId, query: &Query) -> Result<Page, Error> {
    let mut matching = String::from("u.tenant = $1");
    let mut bound: Vec<Bound> = params![tenant];
    if let Some(filter) = &query.filter {
        matching.push_str(" AND ");
        matching.push_str(filter.sql());
        bound.extend_from_slice(filter.params());
    }
    if let Some(connection) = &query.connection {
        bound.push(connection.into());
        let marker = bound.len();
        matching.push_str(&format!(
            " AND EXISTS (SELECT 1 FROM identities x
               WHERE x.tenant = u.tenant AND x.user_id = u.id AND x.connection = ${marker})"
        ));
    }
    let total = if query.total {
        let count = format!(
            "SELECT COUNT(*) FROM (SELECT 1 AS one FROM users u WHERE {matching} LIMIT {MOST_TOTAL}) AS found"
        );
        let counted = db.list(Cow::Owned(count), bound.clone()).await?;
        Some(counted.into_iter().next().map_or(Ok(0), |mut row| row.take())?)
    } else {
        None
    };
    // `CROSS JOIN` keeps SQLite to the order written: the page first, then its users and their identities.
    let order = query.sort.map_or("u.id ASC", |sort| sort.column.order(sort.descending));
    bound.extend(params![query.limit, query.offset]);
    let (limit, offset) = (bound.len() - 1, bound.len());
    let page = format!(
        "SELECT {} FROM (SELECT u.id FROM users u WHERE {matching} ORDER BY {order} LIMIT ${limit} OFFSET ${offset}) AS page
           CROSS JOIN users u CROSS JOIN identities i
         WHERE u.tenant = $1 AND u.id = page.id AND i.tenant = $1 AND i.user_id = page.id
         ORDER BY {order}, i.position",
        columns!()
    );
    let users = collect(tenant, db.list(Cow::Owned(page), bound).await?)?;
    Ok(Page { users, total })
}

/// How many users there are, of a connection where one is named.
pub async fn count(db: &Db, tenant: &TenantId, connection: Option<&str>) -> Result<i64, Error> {
    let rows = match connection {
        None => db.scan("SELECT COUNT(*) FROM users WHERE tenant = $1", params![tenant]),
        Some(connection) => db.scan(
            "SELECT COUNT(DISTINCT user_id) FROM identities WHERE tenant = $1 AND connection = $2",
            params![tenant, connection],
        ),
    };
    rows.await?.into_iter().next().map_or(Ok(0), |mut row| row.take())
}

/// The next users after an id, in the order of ids, of a connection where one is named.
pub async fn after(
    db: &Db,
    tenant: &TenantId,
    connection: Option<&str>,
    id: &str,
    limit: i64,
) -> Result<Vec<User>, Error> {
    let rows = db
        .scan(
            concat!(
                "SELECT ",
                columns!(),
                " FROM (SELECT u.id FROM users u WHERE u.tenant = $1 AND u.id > $2
                          AND (CAST($3 AS TEXT) IS NULL OR EXISTS (SELECT 1 FROM identities x
                            WHERE x.tenant = u.tenant AND x.user_id = u.id AND x.connection = $3))
                        ORDER BY u.id LIMIT $4) AS page
                    CROSS JOIN users u CROSS JOIN identities i
                  WHERE u.tenant = $1 AND u.id = page.id AND i.tenant = $1 AND i.user_id = page.id
                  ORDER BY u.id, i.position"
            ),
            params![tenant, id, connection, limit],
        )
        .await?;
    collect(tenant, rows)
}

/// The users with this e-mail address, as stored; at most 100. The comparison is exact: the caller decides about case.
pub async fn find_by_email(db: &Db, tenant: &TenantId, email: &str) -> Result<Vec<User>, Error> {
    let rows = db
        .read(
            concat!(
                "SELECT ",
                columns!(),
                " FROM (SELECT id FROM users WHERE tenant = $1 AND email = $2 ORDER BY id LIMIT 100) AS page
                    CROSS JOIN users u CROSS JOIN identities i
                  WHERE u.tenant = $1 AND u.id = page.id AND i.tenant = $1 AND i.user_id = page.id
                  ORDER BY u.id, i.position"
            ),
            params![tenant, email],
        )
        .await?;
    collect(tenant, rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_names_an_attribute_and_a_direction() {
        assert_eq!(
            Sort::parse("created_at:-1"),
            Ok(Sort { column: SortColumn::CreatedAt, descending: true })
        );
        assert_eq!(Sort::parse("email:1"), Ok(Sort { column: SortColumn::Email, descending: false }));
    }

    #[test]
    fn metadata_secrets_and_statements_are_no_order() {
        for text in
            ["user_metadata.a:1", "password:1", "created_at", "created_at:2", "id;DROP TABLE users:1", ""]
        {
            assert_eq!(Sort::parse(text), Err(UnknownSort), "{text}");
        }
    }
}
