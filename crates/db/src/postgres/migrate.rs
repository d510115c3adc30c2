//! Migrations on PostgreSQL: one transaction under an advisory lock, so that nodes may start together.

use deadpool_postgres::Client;

use super::{Transaction, errors};
use crate::Error;
use crate::migrations::{Applied, Migration, OWN_TABLES, pending};

/// Any number that nothing else in the database locks.
const BEGIN: &str = "BEGIN; SET LOCAL lock_timeout = 0; SELECT pg_advisory_xact_lock(410722061148)";

/// Runs what is pending, all of it or nothing.
pub(super) async fn migrate(client: Client, migrations: &[Migration]) -> Result<(), Error> {
    let transaction = Transaction::new(client);
    let client = transaction.client();
    let script = async |sql: &str, what: &str| {
        let ran = client.batch_execute(sql).await;
        ran.map_err(|error| Error::Failed(format!("{what}: {}", errors::chain(&error))))
    };
    script(BEGIN, "migrating").await?;
    script(OWN_TABLES, "migrating").await?;
    for migration in pending(migrations, &applied(client).await?, |migration| migration.postgres)? {
        script(migration.postgres, &format!("migration {migration}")).await?;
        client
            .execute(
                "INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3)",
                &[&i64::from(migration.version), &migration.name, &migration.checksum(migration.postgres)],
            )
            .await
            .map_err(|error| Error::Failed(errors::chain(&error)))?;
    }
    script("COMMIT", "migrating").await?;
    transaction.ended();
    Ok(())
}

async fn applied(client: &Client) -> Result<Vec<Applied>, Error> {
    let sql = "SELECT version, name, checksum FROM schema_migrations ORDER BY version";
    let rows = client.query(sql, &[]).await.map_err(|error| errors::error(&error, sql))?;
    let applied = rows.iter().map(|row| {
        Ok(Applied { version: row.try_get(0)?, name: row.try_get(1)?, checksum: row.try_get(2)? })
    });
    applied.collect::<Result<_, _>>().map_err(|error| errors::error(&error, sql))
}
