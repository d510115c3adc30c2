//! `doorward backup` and `doorward restore`: the SQLite database as one file, and back.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use db::backup::{self, Note};
use model::migrations::MIGRATIONS;
use model::seal::{MasterKey, Sealer, opens};
use model::{Clock, Timestamp};

use crate::cli::{Backup, Restore, Source};
use crate::config::MasterKeySource;
use crate::{private_file, program};

/// Where the data of a command is.
pub struct Place {
    /// The database's address.
    pub database: String,
    /// Where its master key comes from.
    pub master_key: MasterKeySource,
}

impl Place {
    /// What the configuration or the development directory says.
    ///
    /// # Errors
    /// When the configuration cannot be used.
    pub fn of(source: &Source) -> anyhow::Result<Self> {
        match (&source.config, &source.data) {
            (Some(path), _) => {
                let config = program::configuration(path)?;
                Ok(Self { database: config.database, master_key: config.master_key })
            }
            (None, Some(directory)) => Ok(Self {
                database: format!("sqlite:{}", directory.join("doorward.db").display()),
                master_key: MasterKeySource::File(directory.join("master.key")),
            }),
            (None, None) => bail!("name --config FILE or --data DIR"),
        }
    }

    /// The file of a SQLite database.
    pub fn file(&self) -> Option<PathBuf> {
        self.database.strip_prefix("sqlite:").map(PathBuf::from)
    }
}

/// `doorward backup`.
///
/// # Errors
/// When there is no whole backup in the end; then there is no file either.
pub async fn make(command: Backup) -> anyhow::Result<()> {
    let place = Place::of(&command.source)?;
    let Some(database) = place.file() else {
        bail!(
            "the database is PostgreSQL, which makes its own backups: pg_dump --format=custom --file=doorward.dump URL, \
             and pg_restore puts them back; keep the master key apart"
        );
    };
    if !database.exists() {
        bail!("there is no database {}", database.display());
    }
    let master_key = match command.with_master_key {
        true => Some(lines(&program::master_keys(&place.master_key)?)),
        false => None,
    };
    let note = Note {
        made_at: Clock::system().now().millis(),
        program: env!("CARGO_PKG_VERSION").to_owned(),
        master_key,
    };
    let made = backup::make(&database, &command.file, note).await.context("no backup was made")?;
    println!("made {}: {} rows, SHA-256 {}", command.file.display(), made.rows, made.digest);
    println!(
        "{}",
        match made.master_key {
            Some(_) => "the master key is inside: this file alone holds every secret",
            None =>
                "the master key is not inside: keep a copy of it elsewhere, or nothing sealed opens again",
        }
    );
    Ok(())
}

/// `doorward restore`.
///
/// # Errors
/// When the backup cannot be used; then what was there is untouched.
pub async fn restore(command: Restore) -> anyhow::Result<()> {
    let place = Place::of(&command.source)?;
    let Some(database) = place.file() else {
        bail!(
            "the database is PostgreSQL: put its backups back with pg_restore, or `doorward copy` a restored SQLite file there"
        );
    };
    let mut unlocked = false;
    let mut missing = None;
    let restored = backup::restore(
        &command.file,
        &database,
        command.replace,
        MIGRATIONS,
        async |db, backup| {
            let keys = match (&place.master_key, &backup.master_key) {
                (MasterKeySource::File(path), Some(inside)) if !path.exists() => {
                    missing = Some((path.clone(), inside.clone()));
                    MasterKey::from_text("the backup", inside)?
                }
                (source, _) => program::master_keys(source)?,
            };
            let (newest, older) = keys.split_first().context("there is no master key")?;
            unlocked = opens(db, &Sealer::new(newest, older)).await?.unwrap_or(true);
            if !unlocked {
                bail!(
                    "the configured master key does not open what is sealed in the backup: put the one of that time into its place"
                );
            }
            Ok(())
        },
    );
    let restored =
        restored.await.with_context(|| format!("nothing was restored from {}", command.file.display()))?;
    if let Some((path, inside)) = missing {
        private_file::write_private(&path, &inside)?;
        println!("wrote the master key to {}", path.display());
    }
    let made = Timestamp::from_millis(restored.made_at).iso();
    println!("restored {}: {} rows as they were at {made}", database.display(), restored.rows);
    if command.replace {
        let kept = Path::new(&format!("{}.replaced", database.display())).exists();
        if kept {
            println!("the former database is {}.replaced", database.display());
        }
    }
    Ok(())
}

/// The lines of a key file.
fn lines(keys: &[MasterKey]) -> String {
    keys.iter().map(|key| format!("{}\n", *key.to_base64())).collect()
}
