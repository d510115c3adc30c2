//! Migrations on SQLite: one exclusive transaction with foreign keys off, as its documentation asks for when tables are rebuilt.

use rusqlite::{Connection, TransactionBehavior};

use crate::Error;
use crate::migrations::{Applied, Migration, OWN_TABLES, pending};

/// Runs what is pending, all of it or nothing.
pub(super) fn migrate(connection: &mut Connection, migrations: &[Migration]) -> Result<(), Error> {
    connection.pragma_update(None, "foreign_keys", false).map_err(failed)?;
    let result = in_transaction(connection, migrations);
    connection.pragma_update(None, "foreign_keys", true).map_err(failed)?;
    result
}

fn in_transaction(connection: &mut Connection, migrations: &[Migration]) -> Result<(), Error> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Exclusive).map_err(failed)?;
    transaction.execute_batch(OWN_TABLES).map_err(failed)?;
    let applied = applied(&transaction).map_err(failed)?;
    for migration in pending(migrations, &applied, |migration| migration.sqlite)? {
        transaction
            .execute_batch(migration.sqlite)
            .map_err(|error| Error::Failed(format!("migration {migration}: {error}")))?;
        transaction
            .execute(
                "INSERT INTO schema_migrations (version, name, checksum) VALUES (?1, ?2, ?3)",
                (migration.version, migration.name, migration.checksum(migration.sqlite)),
            )
            .map_err(failed)?;
    }
    let broken: i64 = transaction
        .query_row("SELECT COUNT(*) FROM pragma_foreign_key_check", [], |row| row.get(0))
        .map_err(failed)?;
    if broken > 0 {
        return Err(Error::Failed(format!("the migrations leave {broken} rows that refer to nothing")));
    }
    transaction.commit().map_err(failed)
}

fn applied(connection: &Connection) -> rusqlite::Result<Vec<Applied>> {
    let mut statement =
        connection.prepare("SELECT version, name, checksum FROM schema_migrations ORDER BY version")?;
    let rows = statement.query_map([], |row| {
        Ok(Applied { version: row.get(0)?, name: row.get(1)?, checksum: row.get(2)? })
    })?;
    rows.collect()
}

fn failed(error: rusqlite::Error) -> Error {
    Error::Failed(format!("migrating: {error}"))
}
