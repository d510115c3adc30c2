//! The origins that clients list, kept in a table of their own so that a preflight, which names no client, is one lookup.

use std::collections::BTreeSet;

use db::{Batch, params};

use super::{Client, store, urls};
use crate::Model;
use crate::ids::{ClientId, TenantId};

/// Every URL of a client whose origin may call the API.
pub(super) fn listed(client: &Client) -> impl Iterator<Item = &str> {
    let lists = [&client.web_origins, &client.allowed_origins, &client.callbacks];
    lists.into_iter().flatten().flatten().map(String::as_str)
}

fn of(client: &Client) -> BTreeSet<String> {
    listed(client).filter_map(urls::origin).collect()
}

/// Whether any client of the tenant lists the origin. Cached by the origin's family.
pub async fn origin_listed(app: &Model, tenant: &TenantId, origin: &str) -> Result<bool, db::Error> {
    // An address longer than a host name can be is not looked up.
    let Some(origin) = urls::origin(origin).filter(|origin| origin.len() <= 300) else { return Ok(false) };
    let family = urls::family(&origin);
    let found = app
        .db
        .cached("origins", tenant.as_str(), &family, async {
            let sql = "SELECT DISTINCT origin FROM client_origins WHERE tenant = $1 AND family = $2 \
                       ORDER BY origin LIMIT 10000";
            let rows = app.db.read(sql, params![tenant, &family]).await?;
            let origins =
                rows.into_iter().map(|mut row| row.take::<String>()).collect::<Result<Vec<_>, _>>()?;
            Ok(Some(origins).filter(|origins| !origins.is_empty()))
        })
        .await?;
    Ok(found.is_some_and(|listed| listed.iter().any(|one| urls::matches_origin(one, &origin))))
}

/// The tenant's oldest own client that lists exactly this callback. A stranger may register one with any.
pub async fn find_by_callback(
    app: &Model,
    tenant: &TenantId,
    callback: &str,
) -> Result<Option<ClientId>, db::Error> {
    let Some(origin) = urls::origin(callback) else { return Ok(None) };
    let sql = "SELECT c.secret_digest, c.doc, c.created_at, c.version FROM client_origins o \
               JOIN clients c ON c.tenant = o.tenant AND c.client_id = o.client_id \
               WHERE o.tenant = $1 AND o.family = $2 AND o.origin = $3 \
               ORDER BY c.created_at, c.client_id LIMIT 1000";
    for row in app.db.read(sql, params![tenant, urls::family(&origin), origin]).await? {
        let client = store::parse(row)?;
        let own = client.is_first_party && !client.global;
        if own && client.callbacks.iter().flatten().any(|listed| listed == callback) {
            return Ok(Some(client.client_id));
        }
    }
    Ok(None)
}

/// Makes the table say what the client lists.
pub(super) fn store(batch: &mut Batch, tenant: &TenantId, client: &mut Client) {
    let stored: BTreeSet<String> = client.stored_origins.drain(..).collect();
    let wanted = of(client);
    for gone in stored.difference(&wanted) {
        batch.execute(
            "DELETE FROM client_origins WHERE tenant = $1 AND client_id = $2 AND origin = $3",
            params![tenant, &client.client_id, gone],
        );
        batch.changed("origins", tenant.as_str(), &urls::family(gone));
    }
    for new in wanted.difference(&stored) {
        let family = urls::family(new);
        batch.execute(
            "INSERT INTO client_origins (tenant, client_id, origin, family) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (tenant, client_id, origin) DO NOTHING",
            params![tenant, &client.client_id, new, &family],
        );
        batch.changed("origins", tenant.as_str(), &family);
    }
    client.stored_origins.extend(wanted);
}

/// What the table holds for a client as it was read.
pub(super) fn stored(client: &Client) -> Vec<String> {
    of(client).into_iter().collect()
}

/// The client's rows go with it; this tells the caches.
pub(super) fn forget(batch: &mut Batch, tenant: &TenantId, client: &Client) {
    for gone in &client.stored_origins {
        batch.changed("origins", tenant.as_str(), &urls::family(gone));
    }
}
