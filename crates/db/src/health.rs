//! Whether a database is fit for this program, without changing anything.

use crate::migrations::{Applied, Migration, pending};
use crate::{Db, Engine, Error, params};

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Migrations that would run.
    pub pending: usize,
    /// PostgreSQL's own clock, in milliseconds since the epoch.
    pub clock: Option<i64>,
    /// What SQLite's own check complains of, if it does.
    pub sound: Option<String>,
}

impl Db {
    /// Looks at the schema, the clock and the file. Errors: `Failed` when the program does not fit the database.
    pub async fn health(&self, migrations: &'static [Migration]) -> Result<Health, Error> {
        let sqlite = matches!(self.0.engine, Engine::Sqlite(_));
        let there = match sqlite {
            true => "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'schema_migrations'",
            false => {
                "SELECT 1 FROM pg_tables WHERE tablename = 'schema_migrations' AND schemaname = ANY (current_schemas(FALSE))"
            }
        };
        let mut applied = Vec::new();
        if self.read_one(there, params![]).await?.is_some() {
            let sql = "SELECT version, name, checksum FROM schema_migrations ORDER BY version LIMIT 10000";
            for mut row in self.read(sql, params![]).await? {
                applied.push(Applied { version: row.take()?, name: row.take()?, checksum: row.take()? });
            }
        }
        let text = |migration: &Migration| if sqlite { migration.sqlite } else { migration.postgres };
        let pending = pending(migrations, &applied, text)?.len();
        let (mut clock, mut sound) = (None, None);
        if sqlite {
            let check = "SELECT quick_check FROM pragma_quick_check LIMIT 1";
            let told: String =
                self.scan(check, params![]).await?.pop().map_or(Ok(String::new()), |mut row| row.take())?;
            sound = (told != "ok").then_some(told);
        } else {
            let now = "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)";
            clock = self.read_one(now, params![]).await?.map(|mut row| row.take()).transpose()?;
        }
        Ok(Health { pending, clock, sound })
    }
}
