//! What the storage owes when things go wrong: the built binary is killed and stopped while it works.

mod crash;
mod imports;
mod load;
mod nodes;
mod outage;
mod shutdown;

use std::path::{Path, PathBuf};

use crate::running::Program;

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
