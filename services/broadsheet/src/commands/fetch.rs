//! `fetch`: servers and model into the cache, so that a later start needs no network.

use std::path::PathBuf;

use standalone::Toolbox;

use crate::failure::Failure;

const MODEL: &str = "potion-base-8M";

/// Fetches what is missing and says where it is.
pub async fn run(into: Option<PathBuf>) -> Result<(), Failure> {
    let fetching = tokio::task::spawn_blocking(move || fetch(into));
    fetching.await.map_err(Failure::other)?
}

fn fetch(into: Option<PathBuf>) -> Result<(), Failure> {
    let toolbox = Toolbox::from_env();
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
    let model = toolbox.model(MODEL).map_err(Failure::other)?;
    let Some(folder) = into else {
        println!("model        {}", model.display());
        return Ok(());
    };
    let target = folder.join(MODEL);
    std::fs::create_dir_all(&target).map_err(|error| Failure::other(format!("{}: {error}", target.display())))?;
    for file in std::fs::read_dir(&model).map_err(Failure::other)? {
        let file = file.map_err(Failure::other)?;
        std::fs::copy(file.path(), target.join(file.file_name())).map_err(Failure::other)?;
    }
    println!("model        {}", target.display());
    Ok(())
}
