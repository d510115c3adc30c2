//! Passwords that have leaked somewhere: a file of SHA-1 digests, in the order of the digests, as Have I Been Pwned gives it out.
//!
//! A line is 40 hexadecimal digits, and may go on with `:` and a count. The file may be larger than the memory: a lookup reads
//! about twice as many short pieces of it as its size has bits, on the pool for blocking work.

use std::cmp::Ordering;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use super::notices::{self, Noticed};
use super::settings::{BreachedPasswords, Shield, find};
use crate::Model;
use crate::ids::TenantId;

/// Digits of a SHA-1 digest.
const DIGITS: usize = 40;
/// The longest line, its end included, in bytes.
const LINE: usize = 64;
/// A file up to this size is checked whole when it is opened.
const CHECKED: u64 = 16 * 1024 * 1024;
/// Of a larger one so many lines are.
const SAMPLES: u64 = 4096;

/// The operator's file, if there is one. Clones are handles to the same file.
#[derive(Clone, Debug, Default)]
pub struct Breaches(Option<Arc<Source>>);

#[derive(Debug)]
struct Source {
    path: PathBuf,
    file: File,
    length: u64,
}

/// Why a file is refused.
#[derive(Debug, thiserror::Error)]
pub enum BreachesError {
    /// It cannot be read.
    #[error("cannot read the breached passwords {}: {}", .0.display(), .1)]
    Unreadable(PathBuf, io::Error),
    /// It holds something else.
    #[error(
        "{}, byte {}: not a line of 40 hexadecimal digits of SHA-1, alone or with `:` and a count behind",
        .0.display(), .1
    )]
    Malformed(PathBuf, u64),
    /// It is in another order.
    #[error(
        "{}, byte {}: the lines are not in the order of their digests; get the file \"ordered by hash\", or sort it: LC_ALL=C sort -o FILE FILE",
        .0.display(), .1
    )]
    Unsorted(PathBuf, u64),
}

/// Where a password is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreachStage {
    /// At a login, once it was right.
    Login,
    /// At a sign-up.
    Signup,
    /// Where its owner changes it.
    ChangePassword,
}

/// What is done about a password that has leaked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breached {
    /// It cannot be used.
    pub blocks: bool,
    /// The user is told.
    pub notifies: bool,
}

/// Looks a password up where the tenant wants that: `None` when it has not leaked, or nobody asks. Administrators are told here, users
/// by whoever knows them. A file that cannot be read any
/// more lets every password pass, and says so in the log of the program: it is not a reason to keep everybody out.
pub async fn breached(
    app: &Model,
    tenant: &TenantId,
    stage: BreachStage,
    password: &str,
) -> Result<Option<Breached>, db::Error> {
    if app.breaches.is_none() {
        return Ok(None);
    }
    let settings = find::<BreachedPasswords>(app, tenant).await?;
    let shields = settings.shields_at(stage);
    if !settings.enabled || !app.breaches.contains(password).await {
        return Ok(None);
    }
    notices::tell(app, tenant, Noticed::Leak(stage)).await?;
    Ok(Some(Breached {
        blocks: shields.contains(&Shield::Block),
        notifies: shields.contains(&Shield::UserNotification),
    }))
}

impl Breaches {
    /// Without a file: no password is known to have leaked.
    pub fn none() -> Self {
        Self(None)
    }

    /// Opens a file and looks whether it can be searched: whole, or where it is large at many places.
    pub fn open(path: &Path) -> Result<Self, BreachesError> {
        let unreadable = |error| BreachesError::Unreadable(path.to_owned(), error);
        let file = File::open(path).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(unreadable(io::Error::other("it is no file")));
        }
        let source = Source { path: path.to_owned(), file, length: metadata.len() };
        source.check()?;
        Ok(Self(Some(Arc::new(source))))
    }

    /// Whether there is no file.
    pub fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// Whether a password is in the file.
    async fn contains(&self, password: &str) -> bool {
        let Some(source) = self.0.clone() else { return false };
        let wanted = wanted(password);
        let found = tokio::task::spawn_blocking(move || {
            let found = source.find(&wanted);
            found.inspect_err(
                |error| tracing::error!(%error, path = %source.path.display(), "cannot look up passwords"),
            )
        });
        matches!(found.await, Ok(Ok(true)))
    }
}

/// The digits that a password has in the file.
fn wanted(password: &str) -> [u8; DIGITS] {
    const DIGIT: &[u8; 16] = b"0123456789ABCDEF";
    let mut digits = [0; DIGITS];
    let digest = digest(&SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes());
    for (pair, byte) in digits.chunks_exact_mut(2).zip(digest.as_ref()) {
        pair.copy_from_slice(&[DIGIT[usize::from(byte >> 4)], DIGIT[usize::from(byte & 15)]]);
    }
    digits
}

/// A line, and where the next one begins.
struct Line {
    digits: [u8; DIGITS],
    start: u64,
    end: u64,
}

impl Source {
    /// The line that the byte at `offset` belongs to; `None` when it is not one.
    fn line_at(&self, offset: u64) -> io::Result<Option<Line>> {
        let from = offset.saturating_sub(LINE as u64);
        let mut piece = [0; 2 * LINE];
        let mut length = 0;
        while length < piece.len() {
            match self.file.read_at(&mut piece[length..], from + length as u64)? {
                0 => break,
                read => length += read,
            }
        }
        let piece = &piece[..length];
        let here = usize::try_from(offset - from).unwrap_or_default();
        let start = match piece[..here.min(length)].iter().rposition(|byte| *byte == b'\n') {
            Some(newline) => newline + 1,
            None if from == 0 => 0,
            None => return Ok(None),
        };
        let line = &piece[start..];
        let end = line.iter().position(|byte| *byte == b'\n');
        if end.is_none() && from + (length as u64) < self.length {
            return Ok(None);
        }
        let text = &line[..end.unwrap_or(line.len())];
        let next = from + (start + end.map_or(line.len(), |end| end + 1)) as u64;
        Ok(digits(text).map(|digits| Line { digits, start: from + start as u64, end: next }))
    }

    fn find(&self, wanted: &[u8; DIGITS]) -> io::Result<bool> {
        // What is looked for begins at `low` or later, and before `high`.
        let (mut low, mut high) = (0, self.length);
        while low < high {
            let Some(line) = self.line_at(low + (high - low) / 2)? else {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the file has changed"));
            };
            match line.digits.cmp(wanted) {
                Ordering::Equal => return Ok(true),
                Ordering::Less => low = line.end,
                Ordering::Greater => high = line.start,
            }
        }
        Ok(false)
    }

    fn check(&self) -> Result<(), BreachesError> {
        let step = if self.length <= CHECKED { 0 } else { self.length / SAMPLES };
        let (mut offset, mut last) = (0, [0; DIGITS]);
        while offset < self.length {
            let line =
                self.line_at(offset).map_err(|error| BreachesError::Unreadable(self.path.clone(), error))?;
            let Some(line) = line else { return Err(BreachesError::Malformed(self.path.clone(), offset)) };
            if line.digits < last {
                return Err(BreachesError::Unsorted(self.path.clone(), line.start));
            }
            last = line.digits;
            // Of a large file the last line is looked at in any case.
            offset = match line.end.max(line.start + step) {
                far if far >= self.length && line.end < self.length => self.length - 1,
                next => next,
            };
        }
        match self.length {
            0 => Err(BreachesError::Malformed(self.path.clone(), 0)),
            _ => Ok(()),
        }
    }
}

/// The digits of a line, in upper case.
fn digits(line: &[u8]) -> Option<[u8; DIGITS]> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let (digits, rest) = line.split_at_checked(DIGITS)?;
    let counted = match rest.strip_prefix(b":") {
        Some(count) => !count.is_empty() && count.iter().all(u8::is_ascii_digit),
        None => rest.is_empty(),
    };
    let mut digits: [u8; DIGITS] = digits.try_into().ok()?;
    digits.make_ascii_uppercase();
    (counted && digits.iter().all(u8::is_ascii_hexdigit)).then_some(digits)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    fn line(password: &str) -> String {
        String::from_utf8(wanted(password).to_vec()).unwrap()
    }

    #[test]
    fn a_digest_is_sha_1_in_upper_case() {
        // sha1sum of `password`.
        assert_eq!(line("password"), "5BAA61E4C9B93F3F0682250B6CF8331B7EE68FD8");
    }

    #[tokio::test]
    async fn every_line_is_found_and_nothing_else() {
        for end in ["\n", "\r\n"] {
            for count in [1_usize, 2, 3, 7, 100] {
                let passwords: Vec<_> = (0..count).map(|number| format!("password-{number}")).collect();
                let mut lines: Vec<_> = passwords.iter().map(|password| line(password)).collect();
                lines.sort();
                let counted = lines.iter().zip(1_u64..).map(|(line, seen)| match seen % 3 {
                    0 => line.to_lowercase(),
                    1 => format!("{line}:{}", seen * 977),
                    _ => line.clone(),
                });
                let whole = counted.collect::<Vec<_>>().join(end);
                for text in [whole.clone(), format!("{whole}{end}")] {
                    let file = file(&text);
                    let breaches = Breaches::open(file.path()).unwrap();
                    for password in &passwords {
                        assert!(breaches.contains(password).await, "{password} of {count}");
                    }
                    for other in ["", "Password-1", "password-1 ", "password-100"] {
                        assert!(!breaches.contains(other).await, "{other}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_file_that_cannot_be_searched_is_refused() {
        let refused = |text: &str| Breaches::open(file(text).path()).err().map(|error| error.to_string());
        let (low, high) = ("0".repeat(40), "F".repeat(40));
        assert_eq!(refused(&format!("{low}:5\n{high}:1\n")), None);
        for (text, place) in [
            (String::new(), "byte 0: not a line"),
            ("password\nletmein\n".to_owned(), "byte 0: not a line"),
            (format!("{low}:\n"), "byte 0: not a line"),
            (format!("{low}:5\n\n{high}:1\n"), "byte 43: not a line"),
            (format!("{low} 5\n"), "byte 0: not a line"),
            (format!("{low}:5\n{}\n", "G".repeat(40)), "byte 43: not a line"),
            ("5".repeat(4000), "byte 0: not a line"),
            (format!("{high}:1\n{low}:5\n"), "byte 43: the lines are not in the order of their digests"),
        ] {
            let told = refused(&text).unwrap();
            assert!(told.contains(place), "{told}");
        }
        let missing = Breaches::open(Path::new("/nowhere/at/all")).unwrap_err().to_string();
        assert!(missing.starts_with("cannot read the breached passwords /nowhere/at/all"), "{missing}");
        assert!(Breaches::open(Path::new("/")).is_err());
    }
}
