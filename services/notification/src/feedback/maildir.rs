//! Reads the reports that a mail server puts into a maildir. A message that was read moves from `new` to `cur`, marked as seen
//! where it is a report; one that could not be handled stays and is read again.

use std::path::{Path, PathBuf};
use std::time::Duration;

use common::clock::Clock;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{FeedbackHandler, MAX_MESSAGE_BYTES};

/// Between two readings.
const PAUSE: Duration = Duration::from_secs(10);

/// Reads until the stop.
pub async fn run(folder: PathBuf, feedback: FeedbackHandler, clock: Clock, stop: CancellationToken) {
    while !stop.is_cancelled() {
        if let Err(problem) = handle_new(&folder, &feedback).await {
            warn!(problem, "bounces cannot be read, trying again");
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = clock.sleep(PAUSE) => {}
        }
    }
}

/// Handles all new messages.
pub async fn handle_new(folder: &Path, feedback: &FeedbackHandler) -> Result<(), String> {
    let new = folder.join("new");
    let problem =
        |path: &Path, error: &std::io::Error| format!("notification.bounce_maildir: {}: {error}", path.display());
    let mut entries = tokio::fs::read_dir(&new).await.map_err(|error| problem(&new, &error))?;
    while let Some(entry) = entries.next_entry().await.map_err(|error| problem(&new, &error))? {
        let path = entry.path();
        let mut message = tokio::fs::read(&path).await.map_err(|error| problem(&path, &error))?;
        message.truncate(MAX_MESSAGE_BYTES);
        let result = feedback.handle_message(&message).await;
        let result = result.map_err(|error| error.to_string())?;
        if result.is_none() {
            debug!(file = %path.display(), "not a report");
        }
        let flags = if result.is_some() { "S" } else { "" };
        let name = entry.file_name().to_string_lossy().into_owned();
        let name = name.split(':').next().unwrap_or_default();
        let read = folder.join("cur").join(format!("{name}:2,{flags}"));
        tokio::fs::rename(&path, &read)
            .await
            .map_err(|error| problem(&read, &error))?;
    }
    Ok(())
}
