//! Numbered migrations: which are pending, and whether the database is one that this program may run on.

use std::fmt;

use crate::Error;

/// One step of the schema. Steps are only added, and never edited once merged.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// Its number; each is greater than the one before.
    pub version: u32,
    /// What it is called, for messages.
    pub name: &'static str,
    /// Its statements for SQLite.
    pub sqlite: &'static str,
    /// Its statements for PostgreSQL; the same text, where it can be shared.
    pub postgres: &'static str,
}

impl Migration {
    /// FNV-1a, 64 bits, in hexadecimal: tells an edited file from the one that ran, nothing more.
    pub(crate) fn checksum(&self, text: &str) -> String {
        let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        format!("{hash:016x}")
    }
}

impl fmt::Display for Migration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.version, self.name)
    }
}

/// A migration that has run on this database.
#[derive(Debug)]
pub(crate) struct Applied {
    pub version: i64,
    pub name: String,
    pub checksum: String,
}

/// The tables of this crate, made before the first migration: which migrations ran, and which configuration changed.
pub(crate) const OWN_TABLES: &str = "
    CREATE TABLE IF NOT EXISTS schema_migrations (
        version BIGINT NOT NULL PRIMARY KEY,
        name TEXT NOT NULL,
        checksum TEXT NOT NULL
    );
    CREATE TABLE IF NOT EXISTS changes (
        seq BIGINT NOT NULL PRIMARY KEY,
        tenant TEXT NOT NULL,
        kind TEXT NOT NULL,
        id TEXT NOT NULL
    );
    CREATE TABLE IF NOT EXISTS changes_counter (
        one BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
        seq BIGINT NOT NULL
    );
    INSERT INTO changes_counter (one, seq) VALUES (1, 0) ON CONFLICT (one) DO NOTHING;
";

/// The migrations that have yet to run. Errors: `Failed` when one that ran was edited or is unknown, which is what a newer program
/// leaves behind, or when the list itself is out of order.
pub(crate) fn pending<'a>(
    migrations: &'a [Migration],
    applied: &[Applied],
    text: impl Fn(&Migration) -> &'static str,
) -> Result<&'a [Migration], Error> {
    if let Some(pair) = migrations.windows(2).find(|pair| pair[0].version >= pair[1].version) {
        return Err(Error::Failed(format!("migration {} is listed before {}", pair[0], pair[1])));
    }
    let newest = migrations.last().map_or(0, |migration| i64::from(migration.version));
    if let Some(newer) = applied.iter().find(|applied| applied.version > newest) {
        return Err(Error::Failed(format!(
            "the database is at version {} ({}) and this program knows versions up to {newest}: run a newer program",
            newer.version, newer.name
        )));
    }
    for (position, applied) in applied.iter().enumerate() {
        let known = migrations.get(position).filter(|known| i64::from(known.version) == applied.version);
        let Some(known) = known else {
            return Err(Error::Failed(format!(
                "migration {} ({}) has run on this database, or one before it has not, against this program's list",
                applied.version, applied.name
            )));
        };
        if known.checksum(text(known)) != applied.checksum {
            return Err(Error::Failed(format!("migration {known} was edited after it ran on this database")));
        }
    }
    Ok(&migrations[applied.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn step(version: u32, sql: &'static str) -> Migration {
        Migration { version, name: "step", sqlite: sql, postgres: sql }
    }

    fn ran(migration: &Migration) -> Applied {
        Applied {
            version: migration.version.into(),
            name: migration.name.into(),
            checksum: migration.checksum(migration.sqlite),
        }
    }

    fn check(migrations: &[Migration], applied: &[Applied]) -> Result<Vec<u32>, String> {
        pending(migrations, applied, |migration| migration.sqlite)
            .map(|left| left.iter().map(|migration| migration.version).collect())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn what_has_not_run_is_pending() {
        let steps = [step(1, "a"), step(2, "b"), step(4, "c")];
        assert_eq!(check(&steps, &[]), Ok(vec![1, 2, 4]));
        assert_eq!(check(&steps, &[ran(&steps[0])]), Ok(vec![2, 4]));
        assert_eq!(check(&steps, &[ran(&steps[0]), ran(&steps[1]), ran(&steps[2])]), Ok(vec![]));
    }

    #[test]
    fn an_edited_newer_missing_or_misplaced_migration_is_refused() {
        let steps = [step(1, "a"), step(3, "c")];
        let edited = check(&[step(1, "A")], &[ran(&steps[0])]);
        assert_eq!(edited, Err("migration 1 (step) was edited after it ran on this database".into()));
        let newer = check(&steps, &[ran(&steps[0]), ran(&steps[1]), ran(&step(7, "g"))]).unwrap_err();
        assert!(newer.contains("at version 7") && newer.contains("up to 3"), "{newer}");
        assert!(check(&steps, &[ran(&steps[0]), ran(&step(2, "b"))]).is_err());
        assert!(check(&steps, &[ran(&steps[1])]).is_err());
        assert!(check(&[steps[1], steps[0]], &[]).is_err());
    }
}
