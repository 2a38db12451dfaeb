//! Reads what a mail server puts into a maildir. A message that was read moves from `new` to `cur`, marked as seen where it is
//! a report or an unsubscription; one that could not be handled stays and is read again.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::clock::Clock;
use tokio::io::AsyncReadExt as _;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{FeedbackHandler, MAX_MESSAGE_BYTES};

/// Between two readings.
const PAUSE: Duration = Duration::from_secs(10);

/// Reads until the stop.
pub async fn run(folder: PathBuf, feedback: FeedbackHandler, clock: Clock, stop: CancellationToken) {
    while !stop.is_cancelled() {
        if let Err(problem) = handle_new(&folder, &feedback).await {
            warn!(problem, "the bounce maildir cannot be handled, trying again");
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = clock.sleep(PAUSE) => {}
        }
    }
}

/// Handles all new messages. One that cannot be handled holds up no other; once the store does not answer, reports wait for
/// it, and unsubscriptions do not.
pub async fn handle_new(folder: &Path, feedback: &FeedbackHandler) -> Result<(), String> {
    let new = folder.join("new");
    let problem = |error: std::io::Error| MaildirError::File(new.clone(), error).to_string();
    let mut entries = tokio::fs::read_dir(&new).await.map_err(problem)?;
    let mut first_error: Option<MaildirError> = None;
    while let Some(entry) = entries.next_entry().await.map_err(problem)? {
        let reports_wait = matches!(first_error, Some(MaildirError::Store(_)));
        if let Err(error) = handle_one(folder, &entry.path(), feedback, reports_wait).await
            && !matches!(first_error, Some(MaildirError::Store(_)))
        {
            first_error = Some(error);
        }
    }
    first_error.map_or(Ok(()), |error| Err(error.to_string()))
}

#[derive(Debug, thiserror::Error)]
enum MaildirError {
    #[error("notification.bounce_maildir: {}: {}", .0.display(), .1)]
    File(PathBuf, std::io::Error),
    #[error(transparent)]
    Store(#[from] crate::ports::StoreError),
}

async fn handle_one(
    folder: &Path,
    path: &Path,
    feedback: &FeedbackHandler,
    reports_wait: bool,
) -> Result<(), MaildirError> {
    let file_error = |error| MaildirError::File(path.to_owned(), error);
    let message = match read(path).await {
        // Another process reads the same folder.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        message => message.map_err(file_error)?,
    };
    let result = match feedback.handle_unsubscription(&message).await? {
        None if reports_wait => return Ok(()),
        None => feedback.handle_report(&message).await?,
        result => result,
    };
    if result.is_none() {
        debug!(file = %path.display(), "neither a report nor an unsubscription");
    }
    let flags = if result.is_some() { "S" } else { "" };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.split(':').next().unwrap_or_default();
    let read = folder.join("cur").join(format!("{name}:2,{flags}"));
    match tokio::fs::rename(path, &read).await {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        renamed => renamed.map_err(|error| MaildirError::File(read, error)),
    }
}

/// A message, cut where it is too long.
async fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let limit = u64::try_from(MAX_MESSAGE_BYTES).unwrap_or(u64::MAX);
    let mut message = Vec::new();
    let mut file = tokio::fs::File::open(path).await?.take(limit);
    file.read_to_end(&mut message).await?;
    Ok(message)
}
