//! Reads reports that a mail server puts into a maildir. A message that was read moves from `new` to `cur`, marked as seen
//! where it was a report; one that could not be taken in stays and is read again.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{Feedback, MOST_BYTES};

const PAUSE: Duration = Duration::from_secs(10);

/// Reads until the stop.
pub async fn run(folder: PathBuf, feedback: Feedback, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(PAUSE);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        if let Err(problem) = round(&folder, &feedback).await {
            warn!(problem, "bounces cannot be read, trying again");
        }
    }
}

/// Takes in what is there.
pub async fn round(folder: &Path, feedback: &Feedback) -> Result<(), String> {
    let new = folder.join("new");
    let problem =
        |path: &Path, error: &std::io::Error| format!("notification.bounce_maildir: {}: {error}", path.display());
    let mut entries = tokio::fs::read_dir(&new).await.map_err(|error| problem(&new, &error))?;
    while let Some(entry) = entries.next_entry().await.map_err(|error| problem(&new, &error))? {
        let path = entry.path();
        let mut message = tokio::fs::read(&path).await.map_err(|error| problem(&path, &error))?;
        message.truncate(MOST_BYTES);
        let taken = feedback.take_message(&message, Timestamp::now()).await;
        let taken = taken.map_err(|error| error.to_string())?;
        if taken.is_none() {
            debug!(file = %path.display(), "not a report");
        }
        let flags = if taken.is_some() { "S" } else { "" };
        let name = entry.file_name().to_string_lossy().into_owned();
        let name = name.split(':').next().unwrap_or_default();
        let read = folder.join("cur").join(format!("{name}:2,{flags}"));
        tokio::fs::rename(&path, &read)
            .await
            .map_err(|error| problem(&read, &error))?;
    }
    Ok(())
}
