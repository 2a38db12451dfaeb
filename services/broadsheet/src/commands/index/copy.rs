//! `index copy`: copies every collection of one store into another, without a platform.

use common::clock::Clock;
use common::config::{COMMON_DEFAULTS, Settings};
use indexing::store::copy;

use super::{BAR, CopyArgs};
use crate::error::CommandError;
use crate::{ConnectArgs, client, output};

/// Copies, and prints how much was written.
pub(super) async fn run(connect: &ConnectArgs, args: CopyArgs, clock: &Clock) -> Result<(), CommandError> {
    let from = if let Some(from) = args.from {
        from
    } else {
        let folder = client::data_folder(connect.data.as_deref())?;
        folder.join("index").display().to_string()
    };
    let (source, target) = (store(&from)?, store(&args.to)?);
    let source = source.open(clock).await.map_err(CommandError::other)?;
    let target = target.open(clock).await.map_err(CommandError::other)?;
    let bar = output::progress_bar(0, BAR);
    let report = |progress: &copy::CopyProgress| {
        bar.set_length(progress.total.max(progress.compared));
        bar.set_position(progress.compared);
        bar.set_message(progress.collection.clone());
    };
    let copied = copy::copy(source.as_ref(), target.as_ref(), report).await;
    let copied = copied.map_err(CommandError::other)?;
    bar.finish_and_clear();
    println!(
        "{} collections: {} papers and {} withdrawals written, {} were there already",
        copied.collections, copied.papers, copied.withdrawn, copied.skipped
    );
    Ok(())
}

/// A store, configured as the service configures it.
fn store(named: &str) -> Result<indexing::StoreLocation, CommandError> {
    let mut settings = Settings::load(&[COMMON_DEFAULTS, indexing::DEFAULTS], None, std::env::vars());
    let key = if named.starts_with("http://") || named.starts_with("https://") {
        if let Ok(key) = std::env::var("QDRANT_API_KEY") {
            settings.set_default("indexing.qdrant_api_key", key, "QDRANT_API_KEY");
        }
        "indexing.qdrant_url"
    } else {
        "indexing.folder"
    };
    settings.replace("indexing.qdrant_url", "");
    settings.replace(key, named);
    let location = indexing::StoreLocation::read(&mut settings);
    settings.finish().map_err(CommandError::config)?;
    Ok(location)
}
