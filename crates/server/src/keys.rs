//! `doorward keys …`: the tenants' signing keys and the master key.

use anyhow::{Context, bail};
use model::Random;
use model::keys::State;
use model::seal::{MasterKey, SEALED, rewrap};

use crate::cli::{Keys, Revoke, Source, Target};
use crate::{admin, program};

/// Runs one command on the database itself.
pub async fn run(command: Keys) -> anyhow::Result<()> {
    match command {
        Keys::List(target) => list(target).await,
        Keys::Rotate(target) => rotate(target).await,
        Keys::Revoke(command) => revoke(command).await,
        Keys::NewMaster { file } => {
            MasterKey::create(&file, &Random::system())?;
            println!("made {}", file.display());
            Ok(())
        }
        Keys::Rewrap(source) => rewrap_all(source).await,
    }
}

async fn list(target: Target) -> anyhow::Result<()> {
    let app = admin::open(&target.source).await?;
    let tenant = admin::tenant(&app, &target).await?;
    println!("{:<24}{:<8}{:<10}since", "kid", "alg", "state");
    for key in app.keys.list(&app, &tenant.id).await? {
        let since = key.revoked_at.or(key.current_until).or(key.current_since);
        let state = match key.state {
            State::Next => "next",
            State::Current => "current",
            State::Previous => "previous",
            State::Revoked => "revoked",
        };
        let alg = format!("{:?}", key.alg);
        println!("{:<24}{alg:<8}{state:<10}{}", key.kid, since.map_or(String::new(), |moment| moment.iso()));
    }
    program::close(app).await;
    Ok(())
}

async fn rotate(target: Target) -> anyhow::Result<()> {
    let app = admin::open(&target.source).await?;
    let tenant = admin::tenant(&app, &target).await?;
    let current = app.keys.rotate(&app, &tenant.id, |_, _| {}).await?;
    println!("{} signs from now on; tokens of the previous key stay good until it is revoked", current.kid);
    program::close(app).await;
    Ok(())
}

async fn revoke(command: Revoke) -> anyhow::Result<()> {
    let app = admin::open(&command.target.source).await?;
    let tenant = admin::tenant(&app, &command.target).await?;
    app.keys.revoke(&app, &tenant.id, &command.kid, |_, _| {}).await?;
    println!("revoked {}: its tokens are refused from now on", command.kid);
    program::close(app).await;
    Ok(())
}

async fn rewrap_all(source: Source) -> anyhow::Result<()> {
    let app = admin::open(&source).await?;
    let done = rewrap(&app.db, &app.seal, SEALED).await.context("cannot seal anew")?;
    program::close(app).await;
    println!("{} sealed values, {} of them moved to the newest master key", done.found, done.moved);
    if done.unreadable > 0 {
        bail!("{} do not open: they are damaged, or their master key is missing", done.unreadable);
    }
    Ok(())
}
