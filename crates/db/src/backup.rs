//! Backups of a SQLite database: a copy of the file as it is at one moment, with a table that tells what it holds. The file is a
//! SQLite database itself.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::contents::total;
use crate::sqlite::{copy_file, create, forget, lock};
use crate::{Batch, Db, Error, Migration, params};

/// What is written into a backup, and into it alone.
pub(crate) const TABLE: &str = "backup";

/// What a backup says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    /// When it was made, in milliseconds since the epoch.
    pub made_at: i64,
    /// The version of the program that made it.
    pub program: String,
    /// How many rows it holds.
    pub rows: u64,
    /// The digest of what it holds.
    pub digest: String,
    /// The lines of the master key's file, if they were put in.
    pub master_key: Option<String>,
}

/// What is written into a backup by whoever makes it.
#[derive(Clone, Debug)]
pub struct Note {
    /// Now, in milliseconds since the epoch.
    pub made_at: i64,
    /// The version of the program.
    pub program: String,
    /// The lines of the master key's file, if they are to be inside.
    pub master_key: Option<String>,
}

/// Copies the SQLite file `from` into the new file `to`, while another process may be writing to it: what was committed before this
/// is in it, and nothing by halves. `to` is there when it is whole and on the disk, or not at all.
///
/// Errors: `Failed`, also when `from` is no database of this program or `to` exists.
pub async fn make(from: &Path, to: &Path, note: Note) -> Result<Backup, Error> {
    if to.exists() {
        return Err(Error::Failed(format!("{} exists already", to.display())));
    }
    let draft = Draft::beside(to)?;
    let (source, target) = (from.to_owned(), draft.0.clone());
    tokio::task::spawn_blocking(move || copy_file(&source, &target))
        .await
        .map_err(|error| Error::Failed(format!("copying the database: {error}")))??;
    let db = draft.open().await?;
    let written = describe(&db, note).await;
    db.close().await;
    let backup = written?;
    draft.become_file(to)?;
    Ok(backup)
}

async fn describe(db: &Db, note: Note) -> Result<Backup, Error> {
    let ours = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'schema_migrations'";
    if db.read_one(ours, params![]).await?.is_none() {
        return Err(Error::Failed("the file is no database of this program".into()));
    }
    let contents = db.contents().await?;
    let Note { made_at, program, master_key } = note;
    let rows = contents.iter().map(|table| table.rows).sum();
    let backup = Backup { made_at, program, rows, digest: total(&contents), master_key };
    let mut batch = Batch::new();
    batch.execute(
        "CREATE TABLE backup (one BIGINT PRIMARY KEY, made_at BIGINT NOT NULL, program TEXT NOT NULL, entries BIGINT NOT NULL, \
         digest TEXT NOT NULL, master_key TEXT)",
        params![],
    );
    batch
        .execute(
            "INSERT INTO backup (one, made_at, program, entries, digest, master_key) VALUES (1, $1, $2, $3, $4, $5)",
            params![
                backup.made_at,
                &backup.program,
                i64::try_from(backup.rows).unwrap_or(i64::MAX),
                &backup.digest,
                &backup.master_key
            ],
        )
        .expect(1);
    db.commit(batch).await?;
    Ok(backup)
}

/// Puts the backup `from` in the place of the SQLite file `to`, which no process may have open. Before `to` is touched the backup is
/// copied, read whole and compared with its digest, migrated, and shown to `check`, which may refuse it.
///
/// A file that is there already is replaced only if `replace` says so, and kept beside it as `TO.replaced`. Errors: `Failed`.
pub async fn restore<E: From<Error>>(
    from: &Path,
    to: &Path,
    replace: bool,
    migrations: &'static [Migration],
    check: impl AsyncFnOnce(&Db, &Backup) -> Result<(), E>,
) -> Result<Backup, E> {
    // By whatever name: what is locked and moved is the file itself.
    let to = &to.canonicalize().unwrap_or_else(|_| to.to_owned());
    let kept = beside(to, ".replaced");
    let free = |path: &Path| match path.exists() {
        true => Err(Error::Failed(format!("{} exists already: move it away first", path.display()))),
        false => Ok(()),
    };
    free(if replace { &kept } else { to })?;
    let _lock = lock(to)?;
    let draft = Draft::beside(to)?;
    copy_private(from, &draft.0).map_err(|error| Error::Failed(format!("{}: {error}", from.display())))?;
    let db = draft.open().await;
    let db =
        db.map_err(|error| Error::Failed(format!("the backup is damaged, or the file is none: {error}")))?;
    let looked = inspect(&db, migrations, check).await;
    db.close().await;
    let backup = looked?;
    forget(&draft.0, TABLE)?;
    let moved = |error| Error::Failed(format!("{}: {error}", to.display()));
    // Also where the file itself is gone: a log that was left would be taken for the new one's.
    for suffix in ["-wal", "-shm", ""] {
        let (old, new) = (beside(to, suffix), beside(&kept, suffix));
        if old.exists() {
            free(&new)?;
            fs::rename(old, new).map_err(moved)?;
        }
    }
    draft.become_file(to)?;
    Ok(backup)
}

async fn inspect<E: From<Error>>(
    db: &Db,
    migrations: &'static [Migration],
    check: impl AsyncFnOnce(&Db, &Backup) -> Result<(), E>,
) -> Result<Backup, E> {
    let foreign = || Error::Failed("the file is no backup of this program".into());
    let damaged =
        || Error::Failed("the backup is damaged: it does not hold what it held when it was made".into());
    let row =
        db.read_one("SELECT made_at, program, entries, digest, master_key FROM backup", params![]).await;
    let mut row = row.ok().flatten().ok_or_else(foreign)?;
    let (made_at, program) = (row.take()?, row.take()?);
    let rows: i64 = row.take()?;
    let backup = Backup {
        made_at,
        program,
        rows: u64::try_from(rows).map_err(|_| damaged())?,
        digest: row.take()?,
        master_key: row.take()?,
    };
    let sound = "SELECT integrity_check FROM pragma_integrity_check";
    let sound = db.scan(sound, params![]).await.ok().and_then(|rows| rows.into_iter().next()?.take().ok());
    if sound.is_none_or(|told: String| told != "ok") {
        return Err(damaged().into());
    }
    let contents = db.contents().await.map_err(|_| damaged())?;
    if total(&contents) != backup.digest {
        return Err(damaged().into());
    }
    db.migrate(migrations).await?;
    check(db, &backup).await?;
    Ok(backup)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

fn copy_private(from: &Path, to: &Path) -> io::Result<()> {
    let mut source = File::open(from)?;
    create(to)?;
    io::copy(&mut source, &mut File::options().write(true).open(to)?)?;
    Ok(())
}

/// A database that is being made beside the place where it is to be. What is left of it goes with its value.
struct Draft(PathBuf);

impl Draft {
    fn beside(path: &Path) -> Result<Self, Error> {
        let draft = Self(beside(path, ".draft"));
        // One that a crash has left may be anything.
        draft.remove();
        match draft.0.exists() {
            true => Err(Error::Failed(format!("{} cannot be removed", draft.0.display()))),
            false => Ok(draft),
        }
    }

    async fn open(&self) -> Result<Db, Error> {
        Db::open(&format!("sqlite:{}", self.0.display())).await
    }

    /// Under its own name, and on the disk.
    fn become_file(self, path: &Path) -> Result<(), Error> {
        if beside(&self.0, "-wal").metadata().is_ok_and(|log| log.len() > 0) {
            let why = "the last of it could not be written into the file: is the disk full?";
            return Err(Error::Failed(format!("{}: {why}", path.display())));
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let moved = File::open(&self.0)
            .and_then(|file| file.sync_all())
            .and_then(|()| fs::rename(&self.0, path))
            .and_then(|()| File::open(folder)?.sync_all());
        moved.map_err(|error| Error::Failed(format!("{}: {error}", path.display())))
    }

    fn remove(&self) {
        for suffix in ["", "-wal", "-shm", ".lock"] {
            // Most of them are not there.
            let _ = fs::remove_file(beside(&self.0, suffix));
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        self.remove();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: &[Migration] = &[];

    async fn filled(path: &Path, rows: usize) -> Db {
        let db = Db::open(&format!("sqlite:{}", path.display())).await.unwrap();
        db.migrate(NONE).await.unwrap();
        let mut batch = Batch::new();
        batch.execute("CREATE TABLE things (id BIGINT NOT NULL PRIMARY KEY, text TEXT NOT NULL)", params![]);
        for row in 0..rows {
            batch
                .execute("INSERT INTO things VALUES ($1, $2)", params![row as i64, "x".repeat(500)])
                .expect(1);
        }
        db.commit(batch).await.unwrap();
        db
    }

    async fn count(path: &Path) -> usize {
        let db = Db::open(&format!("sqlite:{}", path.display())).await.unwrap();
        let there = db.read("SELECT id FROM things LIMIT 1000", params![]).await.unwrap().len();
        db.close().await;
        there
    }

    /// A backup with three rows, in a directory of its own.
    async fn backup(key: Option<&str>) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("from.db"), directory.path().join("backup.db"));
        filled(&from, 3).await.close().await;
        let note = Note { made_at: 1, program: "1".into(), master_key: key.map(str::to_owned) };
        make(&from, &to, note).await.unwrap();
        (directory, to)
    }

    async fn put_back(from: &Path, to: &Path, replace: bool) -> Result<Backup, Error> {
        restore(from, to, replace, NONE, async |_, _| Ok::<_, Error>(())).await
    }

    #[tokio::test]
    async fn a_log_that_was_left_is_not_taken_for_that_of_the_restored_file() {
        let (directory, backup) = backup(None).await;
        let to = directory.path().join("live.db");
        // As a kill leaves it: the last of it is in the log alone. Then somebody moves the file away.
        let db = filled(&to, 50).await;
        let log = beside(&to, "-wal");
        let left = fs::read(&log).unwrap();
        assert!(!left.is_empty());
        db.close().await;
        fs::remove_file(&to).unwrap();
        fs::write(&log, left).unwrap();
        put_back(&backup, &to, false).await.unwrap();
        assert!(beside(&to, ".replaced-wal").exists());
        assert_eq!(count(&to).await, 3);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn what_is_open_is_not_replaced_under_another_name() {
        let (directory, backup) = backup(None).await;
        let (real, link) = (directory.path().join("real.db"), directory.path().join("link.db"));
        let db = filled(&real, 1).await;
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let refused = put_back(&backup, &link, true).await.unwrap_err();
        assert!(refused.to_string().contains("in use by another process"), "{refused}");
        db.close().await;
        put_back(&backup, &link, true).await.unwrap();
        assert!(link.is_symlink());
        assert_eq!(count(&real).await, 3);
    }

    #[tokio::test]
    async fn a_master_key_stays_in_no_page_of_the_restored_file() {
        let key = "master-key-of-this-test".repeat(50);
        let (directory, backup) = backup(Some(&key)).await;
        let holds = |path: &Path| {
            fs::read(path).unwrap().windows(23).any(|bytes| bytes == b"master-key-of-this-test")
        };
        assert!(holds(&backup));
        let to = directory.path().join("live.db");
        let told = put_back(&backup, &to, false).await.unwrap();
        assert_eq!(told.master_key.as_deref(), Some(&*key));
        assert!(!holds(&to));
        assert_eq!(count(&to).await, 3);
    }

    #[test]
    fn a_file_whose_log_could_not_be_moved_into_it_is_no_backup() {
        let directory = tempfile::tempdir().unwrap();
        let to = directory.path().join("x.db");
        let draft = Draft::beside(&to).unwrap();
        fs::write(&draft.0, "most of it").unwrap();
        fs::write(beside(&draft.0, "-wal"), "the rest").unwrap();
        assert!(draft.become_file(&to).unwrap_err().to_string().contains("is the disk full?"));
        assert!(!to.exists());
    }
}
