//! What the storage owes when things go wrong: the built binary is killed and stopped while it works.

mod crash;
mod imports;
mod shutdown;

use std::path::{Path, PathBuf};

use crate::running::Program;

/// A running server in a directory of its own.
async fn program(name: &str) -> Program {
    let directory = std::env::temp_dir().join(format!("doorward-{name}-{}", std::process::id()));
    let binary: PathBuf = Path::new(env!("CARGO_BIN_EXE_doorward")).into();
    Program::start(&binary, directory, None).await
}
