//! `fetch`: servers and model into the cache, so that a later start needs no network.

use std::path::{Path, PathBuf};

use standalone::Toolbox;

use crate::failure::Failure;
use crate::platform::model;

/// Fetches what is missing and says where it is.
pub async fn run(into: Option<PathBuf>, profile: String) -> Result<(), Failure> {
    let fetching = tokio::task::spawn_blocking(move || fetch(into, &profile));
    fetching.await.map_err(Failure::other)?
}

fn fetch(into: Option<PathBuf>, profile: &str) -> Result<(), Failure> {
    // A name that is none of ours is refused with those that are.
    let name = model::of_profile(profile).unwrap_or(profile);
    let toolbox = Toolbox::from_env().on_progress(|line| eprintln!("{line}"));
    if into.is_none() {
        println!(
            "nats-server  {}",
            toolbox.nats_server().map_err(Failure::other)?.display()
        );
        println!(
            "redis        {}",
            toolbox.redis_server().map_err(Failure::other)?.display()
        );
    }
    let model = toolbox.model(name).map_err(Failure::other)?;
    let Some(folder) = into else {
        println!("model        {}", model.display());
        return Ok(());
    };
    let target = folder.join(name);
    copy(&model, &target).map_err(|error| Failure::other(format!("{}: {error}", target.display())))?;
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
