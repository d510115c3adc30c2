//! `doorward copy`: from SQLite to PostgreSQL.

use anyhow::{Context, bail};
use db::{Db, total};
use model::migrations::MIGRATIONS;

use crate::backup::Place;
use crate::cli::Copy;
use crate::program;

/// Copies every row, and compares what is there in the end.
///
/// # Errors
/// When the source is in use or the target is not an empty PostgreSQL database. A target that was not filled to the end is not
/// used again: it is not empty.
pub async fn run(command: Copy) -> anyhow::Result<()> {
    let place = Place::of(&command.source)?;
    let Some(file) = place.file() else { bail!("the database is PostgreSQL already") };
    if !command.to.starts_with("postgres://") && !command.to.starts_with("postgresql://") {
        bail!("--to must be the address of a PostgreSQL database: postgres://…");
    }
    if !file.exists() {
        bail!("there is no database {}", file.display());
    }
    let from = program::open_database(&place.database).await?;
    let to = Db::open(&command.to).await.context("cannot open the PostgreSQL database")?;
    to.migrate(MIGRATIONS).await.context("cannot make the schema there")?;
    let copied = from.copy_to(&to).await.context("not everything was copied")?;
    from.close().await;
    to.close().await;
    for table in copied.iter().filter(|table| table.rows > 0) {
        println!("{:<28}{:>12}", table.table, table.rows);
    }
    let rows: u64 = copied.iter().map(|table| table.rows).sum();
    println!("copied {rows} rows and read them back: SHA-256 {} on both sides", total(&copied));
    println!("now put the new address into `database` and start the server; {} is as it was", file.display());
    Ok(())
}
