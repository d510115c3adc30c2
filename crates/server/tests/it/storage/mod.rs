//! What the storage owes when things go wrong: the built binary is killed and stopped while it works.

mod big;
mod clock;
mod crash;
mod disk;
mod imports;
mod load;
mod locks;
mod nodes;
mod once;
mod outage;
mod rotation;
mod shutdown;
mod soak;
mod upgrade;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::running::Program;

/// A size that `make torture` sets in the environment, and what it is without.
fn size<N: FromStr>(name: &str, usual: N) -> N {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// A line of the ledger that `make torture` prints at its end: what was acknowledged, what of it was found, and what was dropped.
/// Nothing is written unless `LEDGER` names the file.
fn ledger(case: &str, acknowledged: u64, found: u64, dropped: u64) {
    let Some(path) = std::env::var_os("LEDGER") else { return };
    let file = std::fs::OpenOptions::new().create(true).append(true).open(&path);
    let line = format!("| {case} | {acknowledged} | {found} | {dropped} |\n");
    file.and_then(|mut file| file.write_all(line.as_bytes())).expect("the ledger is written");
}

/// A running server in a directory of its own.
async fn program(name: &str) -> Program {
    let directory = std::env::temp_dir().join(format!("doorward-{name}-{}", std::process::id()));
    let binary: PathBuf = Path::new(env!("CARGO_BIN_EXE_doorward")).into();
    Program::start(&binary, directory, None).await
}

/// The same on this database.
async fn program_on(name: &str, database: &str) -> Program {
    let directory = std::env::temp_dir().join(format!("doorward-{name}-{}", std::process::id()));
    let binary: PathBuf = Path::new(env!("CARGO_BIN_EXE_doorward")).into();
    Program::start(&binary, directory, Some(database)).await
}
