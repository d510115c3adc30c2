//! `doorward`: the program. What it does is in the library; here are its allocator, its runtime and its exit status.

use std::process::ExitCode;

use clap::Parser;
use server::cli::{Cli, Command};
use server::{admin, backup, copy, dev, doctor, keys, logging, migrate, serve};

/// musl's allocator is slow under threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Dev(command) => dev::run(command).await,
        Command::Serve(command) => serve::run(&command.config).await,
        Command::Admin(command) => admin::run(command).await,
        Command::Migrate(command) => migrate::run(&command.config).await,
        Command::Keys(command) => keys::run(command).await,
        Command::Backup(command) => backup::make(command).await,
        Command::Restore(command) => backup::restore(command).await,
        Command::Copy(command) => copy::run(command).await,
        Command::Doctor(command) => doctor::run(&command.config).await,
        Command::Version => {
            println!("doorward {}", env!("CARGO_PKG_VERSION"));
            Ok(())
        }
    };
    logging::finish();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("doorward: {error:#}");
            ExitCode::FAILURE
        }
    }
}
