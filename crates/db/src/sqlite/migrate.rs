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
    let pending = pending(migrations, &applied, |migration| migration.sqlite)?;
    if pending.is_empty() {
        // Nothing changes, and looking at every row takes as long as there are rows.
        return transaction.commit().map_err(failed);
    }
    for migration in pending {
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

#[cfg(test)]
mod tests {
    use super::*;

    const fn migration(version: u32, text: &'static str) -> Migration {
        Migration { version, name: "m", sqlite: text, postgres: text }
    }

    /// Rows are looked at when something changes, and a start where nothing does costs the same however many there are.
    #[test]
    fn references_are_checked_where_a_migration_ran() {
        let all = [
            migration(1, "CREATE TABLE a (id TEXT PRIMARY KEY); CREATE TABLE b (a TEXT REFERENCES a (id));"),
            migration(2, "CREATE TABLE c (id TEXT PRIMARY KEY);"),
        ];
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, &all[..1]).unwrap();
        let lost = "PRAGMA foreign_keys = OFF; INSERT INTO b VALUES ('nobody'); PRAGMA foreign_keys = ON;";
        connection.execute_batch(lost).unwrap();
        migrate(&mut connection, &all[..1]).unwrap();
        let error = migrate(&mut connection, &all).unwrap_err().to_string();
        assert!(error.contains("1 rows that refer to nothing"), "{error}");
    }
}
