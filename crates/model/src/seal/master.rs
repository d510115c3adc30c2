//! Master keys: where they come from and how they are kept.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::random::Random;

/// The bytes of a key.
const SIZE: usize = 32;

/// The most a key file may hold: some hundred keys.
const LONGEST_FILE: u64 = 8 * 1024;

/// The key from which all sealing keys derive: 32 random bytes. Whoever has it and the database has every secret in it.
///
/// As text it is 44 characters of base64. A key file has mode 0600 and holds one key a line, the newest first; lines
/// that are empty or begin with `#` are skipped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct MasterKey([u8; SIZE]);

/// Why there is no master key. The messages are for the operator and never hold a key.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// The file cannot be read or written.
    #[error("the master key file {} cannot be {doing}: {error}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What was tried: `created`, `read`.
        doing: &'static str,
        /// Why not.
        error: io::Error,
    },
    /// Others than its owner can read or write the file.
    #[error("the master key file {} has mode {mode:04o}: others may read it; run chmod 600", path.display())]
    Open {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The path does not lead to an ordinary file.
    #[error("the master key file {} is not an ordinary file", .0.display())]
    NotAFile(PathBuf),
    /// The text holds no key.
    #[error("{0} holds no master key")]
    Empty(String),
    /// One key of the text is not base64 of 32 bytes.
    #[error("key {number} in {source_name} is not base64 of 32 bytes (44 characters)")]
    Shape {
        /// Where the text is from.
        source_name: String,
        /// Which key, from 1.
        number: usize,
    },
}

impl MasterKey {
    /// A new random key.
    pub fn generate(random: &Random) -> Self {
        Self(random.bytes())
    }

    /// Makes a new key and writes it to a new file of mode 0600, on the disk when this returns.
    ///
    /// # Errors
    /// When the file exists or cannot be written.
    pub fn create(path: &Path, random: &Random) -> Result<Self, MasterKeyError> {
        let key = Self::generate(random);
        key.write(path).map_err(|error| file_error(path, "created", error))?;
        Ok(key)
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        let line = Zeroizing::new(format!("{}\n", *self.to_base64()));
        file.write_all(line.as_bytes())?;
        file.sync_all()?;
        match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
            _ => Ok(()),
        }
    }

    /// Reads the keys of a file, the newest first.
    ///
    /// # Errors
    /// When it is missing, not an ordinary file, open to others than its owner, or holds anything but keys.
    pub fn read(path: &Path) -> Result<Vec<Self>, MasterKeyError> {
        let failed = |error| file_error(path, "read", error);
        let mut file = File::open(path).map_err(failed)?;
        // Of the open file, not of the path: what is checked is what is read.
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(MasterKeyError::NotAFile(path.to_owned()));
        }
        let mode = metadata.mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(MasterKeyError::Open { path: path.to_owned(), mode });
        }
        let mut text = Zeroizing::new(String::new());
        (&mut file).take(LONGEST_FILE).read_to_string(&mut text).map_err(failed)?;
        Self::parse(&format!("the master key file {}", path.display()), text.lines())
    }

    /// Reads the keys of an environment variable's value: base64, the newest first, separated by white space or
    /// commas. `source_name` is for the messages.
    ///
    /// # Errors
    /// When it holds no key, or anything but keys.
    pub fn from_text(source_name: &str, text: &str) -> Result<Vec<Self>, MasterKeyError> {
        Self::parse(source_name, text.split(|c: char| c.is_whitespace() || c == ','))
    }

    fn parse<'a>(
        source_name: &str,
        texts: impl Iterator<Item = &'a str>,
    ) -> Result<Vec<Self>, MasterKeyError> {
        let keys = texts
            .map(str::trim)
            .filter(|text| !text.is_empty() && !text.starts_with('#'))
            .enumerate()
            .map(|(index, text)| {
                let shape =
                    || MasterKeyError::Shape { source_name: source_name.to_owned(), number: index + 1 };
                let bytes = Zeroizing::new(STANDARD.decode(text).map_err(|_| shape())?);
                Ok(Self(<[u8; SIZE]>::try_from(bytes.as_slice()).map_err(|_| shape())?))
            })
            .collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() { Err(MasterKeyError::Empty(source_name.to_owned())) } else { Ok(keys) }
    }

    /// The key as a line of a key file.
    pub fn to_base64(&self) -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(self.0))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey")
    }
}

fn file_error(path: &Path, doing: &'static str, error: io::Error) -> MasterKeyError {
    MasterKeyError::File { path: path.to_owned(), doing, error }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_created_file_is_the_owners_alone_and_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let key = MasterKey::create(&path, &Random::seeded(1)).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        let read = MasterKey::read(&path).unwrap();
        assert_eq!((read.len(), &read[0].0), (1, &key.0));
        assert_eq!(
            MasterKey::create(&path, &Random::seeded(2)).unwrap_err().to_string(),
            format!("the master key file {} cannot be created: File exists (os error 17)", path.display()),
        );
    }

    #[test]
    fn a_file_open_to_others_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        MasterKey::create(&path, &Random::seeded(1)).unwrap();
        for mode in [0o640, 0o604, 0o620, 0o610] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(
                MasterKey::read(&path).unwrap_err().to_string(),
                format!(
                    "the master key file {} has mode {mode:04o}: others may read it; run chmod 600",
                    path.display()
                ),
            );
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        assert!(MasterKey::read(&path).is_ok());
    }

    #[test]
    fn what_is_no_key_is_named_and_not_shown() {
        let key = MasterKey::generate(&Random::seeded(1)).to_base64();
        let message = |text: &str| MasterKey::from_text("DOORWARD_MASTER_KEY", text).unwrap_err().to_string();
        assert_eq!(message(" \n"), "DOORWARD_MASTER_KEY holds no master key");
        let shape =
            |number| format!("key {number} in DOORWARD_MASTER_KEY is not base64 of 32 bytes (44 characters)");
        assert_eq!(message("c2hvcnQ="), shape(1));
        assert_eq!(message(&format!("{}, {}", *key, &key[1..])), shape(2));
        assert_eq!(message(&format!("{}x", *key)), shape(1));
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(
            MasterKey::read(folder.path()).unwrap_err().to_string(),
            format!("the master key file {} is not an ordinary file", folder.path().display()),
        );
    }

    #[test]
    fn several_keys_are_read_in_their_order() {
        let [one, two] = [1, 2].map(|seed| MasterKey::generate(&Random::seeded(seed)));
        let text = format!("# newest first\n{}\n\n{}\n", *one.to_base64(), *two.to_base64());
        let keys = MasterKey::parse("test", text.lines()).unwrap();
        assert_eq!(keys.iter().map(|key| key.0).collect::<Vec<_>>(), [one.0, two.0]);
    }
}
