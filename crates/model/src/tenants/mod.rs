//! Tenants, their domains and settings.

mod settings;

use std::sync::Arc;

use db::{Batch, Row, params};

use crate::Model;
use crate::clock::Timestamp;
use crate::ids::TenantId;

pub use settings::{
    ErrorPage, SessionCookie, Settings, insert_settings, load_settings, save_settings, settings,
};

/// What a host name leads to: the tenant, and who it says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// The key of all its rows.
    pub id: TenantId,
    /// The tenant's name: `tenant` in Management API answers.
    pub name: String,
    /// The host the request came in on, with its port if it has one.
    pub host: String,
    /// `https://host[:port]/`: the `iss` of tokens asked for at this host.
    pub issuer: String,
    /// The issuer of the tenant's first host, which names the APIs that every tenant has.
    pub canonical_issuer: String,
}

impl Tenant {
    /// The Management API's identifier, the same at each host.
    pub fn management_audience(&self) -> String {
        format!("{}api/v2/", self.canonical_issuer)
    }

    /// The My Account API's identifier, the same at each host.
    pub fn my_account_audience(&self) -> String {
        format!("{}me/", self.canonical_issuer)
    }

    /// The identifier of the API over a person's second factors, `/mfa/…`.
    pub fn mfa_audience(&self) -> String {
        format!("{}mfa/", self.issuer)
    }

    /// Where the account page is, at this host.
    pub fn account_page(&self) -> String {
        format!("{}account/", self.issuer)
    }

    /// The audience of access tokens for `/userinfo`.
    pub fn userinfo_audience(&self) -> String {
        format!("{}userinfo", self.issuer)
    }
}

/// The tenant that `host` (as in the Host header, in any case) leads to. Cached.
pub async fn resolve(app: &Model, host: &str) -> Result<Option<Arc<Tenant>>, db::Error> {
    let host = host.to_ascii_lowercase();
    app.db.cached("domains", "", &host, load(app, &host)).await
}

/// The columns of a [`Tenant`]; `$first` is the domain of its first host.
macro_rules! columns {
    ($first:literal) => {
        concat!(
            "SELECT t.id, t.name, d.host, d.issuer, ",
            $first,
            " FROM domains d JOIN tenants t ON t.id = d.tenant "
        )
    };
}

/// The tenant of `host`, in lower case, as it stands in the database.
pub async fn load(app: &Model, host: &str) -> Result<Option<Tenant>, db::Error> {
    let sql = concat!(
        columns!(
            "(SELECT f.issuer FROM domains f WHERE f.tenant = d.tenant ORDER BY f.created_at, f.host LIMIT 1)"
        ),
        "WHERE d.host = $1"
    );
    app.db.read_one(sql, params![host]).await?.map(from_row).transpose()
}

/// Every tenant with its first host, by age: what a program start and a key rotation go through.
pub async fn all(app: &Model) -> Result<Vec<Tenant>, db::Error> {
    let sql = concat!(
        columns!("d.issuer"),
        "WHERE NOT EXISTS (SELECT 1 FROM domains e WHERE e.tenant = d.tenant AND \
         (e.created_at < d.created_at OR (e.created_at = d.created_at AND e.host < d.host))) \
         ORDER BY t.created_at, t.id"
    );
    app.db.scan(sql, params![]).await?.into_iter().map(from_row).collect()
}

/// The tenant with its first host: what works for a tenant without a request to it, such as mail.
pub async fn find(app: &Model, id: &TenantId) -> Result<Option<Tenant>, db::Error> {
    let sql = concat!(columns!("d.issuer"), "WHERE t.id = $1 ORDER BY d.created_at, d.host LIMIT 1");
    app.db.read_one(sql, params![id]).await?.map(from_row).transpose()
}

fn from_row(mut row: Row) -> Result<Tenant, db::Error> {
    Ok(Tenant {
        id: row.take()?,
        name: row.take()?,
        host: row.take()?,
        issuer: row.take()?,
        canonical_issuer: row.take()?,
    })
}

/// Adds a tenant. Its unique keys are reported as `tenants_pkey` and `domains_pkey` or the database's like.
pub fn insert(batch: &mut Batch, tenant: &Tenant, now: Timestamp) {
    batch
        .execute(
            "INSERT INTO tenants (id, name, created_at) VALUES ($1, $2, $3)",
            params![&tenant.id, &tenant.name, now],
        )
        .expect(1);
    insert_domain(batch, tenant, now);
}

/// Makes `tenant.host` lead to the tenant. It is younger than the hosts that the tenant has, whatever the clock says: the first names the APIs.
pub fn insert_domain(batch: &mut Batch, tenant: &Tenant, now: Timestamp) {
    batch
        .execute(
            "INSERT INTO domains (host, tenant, issuer, created_at)
             SELECT $1, $2, $3, CASE WHEN MAX(created_at) >= $4 THEN MAX(created_at) + 1 ELSE $4 END
             FROM domains WHERE tenant = $2",
            params![&tenant.host, &tenant.id, &tenant.issuer, now],
        )
        .expect(1);
    batch.changed("domains", "", &tenant.host);
}

/// Makes `tenant.host` lead nowhere.
pub fn remove_domain(batch: &mut Batch, tenant: &Tenant) {
    batch
        .execute("DELETE FROM domains WHERE host = $1 AND tenant = $2", params![&tenant.host, &tenant.id])
        .expect(1);
    batch.changed("domains", "", &tenant.host);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestModel;

    #[test]
    fn audiences_hang_on_the_issuer() {
        let tenant = Tenant {
            id: "acme".into(),
            name: "acme".into(),
            host: "login.test:8443".into(),
            issuer: "https://login.test:8443/".into(),
            canonical_issuer: "https://acme.test/".into(),
        };
        assert_eq!(tenant.management_audience(), "https://acme.test/api/v2/");
        assert_eq!(tenant.userinfo_audience(), "https://login.test:8443/userinfo");
    }

    #[tokio::test]
    async fn a_host_leads_to_its_tenant_in_any_case() {
        for model in TestModel::each().await {
            assert!(resolve(&model, "other.test").await.unwrap().is_none());
            let tenant = resolve(&model, "ACME.test").await.unwrap().unwrap();
            assert_eq!((tenant.id.as_str(), tenant.issuer.as_str()), ("acme", "https://acme.test/"));
            let other = Tenant {
                host: "other.test".into(),
                issuer: "https://other.test/".into(),
                ..(*tenant).clone()
            };
            let mut batch = Batch::new();
            // The clock was set back since.
            insert_domain(&mut batch, &other, model.clock.now().plus_seconds(-3600));
            model.db.commit(batch).await.unwrap();
            assert_eq!(resolve(&model, "other.test").await.unwrap().as_deref(), Some(&other));
            assert_eq!(other.canonical_issuer, "https://acme.test/");
            assert_eq!(all(&model).await.unwrap(), [(*tenant).clone()]);
            let mut batch = Batch::new();
            remove_domain(&mut batch, &other);
            model.db.commit(batch).await.unwrap();
            assert!(resolve(&model, "other.test").await.unwrap().is_none());
        }
    }
}
