//! `doorward migrate`: the schema alone, before any node of the new version serves.

use std::path::Path;

use model::migrations::MIGRATIONS;

use crate::program;

/// Brings the schema up to date. It needs no key: migrations never open what is sealed.
pub async fn run(path: &Path) -> anyhow::Result<()> {
    let config = program::configuration(path)?;
    program::open_database(&config.database).await?.close().await;
    println!("the schema is at version {}", MIGRATIONS.last().map_or(0, |migration| migration.version));
    Ok(())
}
