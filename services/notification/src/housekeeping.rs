//! What is done now and then while the service runs: pauses whose time has come end, and the metrics say how long digests
//! have been due.

use std::sync::Arc;
use std::time::Duration;

use common::clock::Clock;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::metrics::OVERDUE;
use crate::ports::{DueQueue, StoreError};
use crate::subscribers::{Channel, Subscriptions};

const INTERVAL: Duration = Duration::from_secs(5);

/// Runs until the stop.
pub async fn run(subscriptions: Subscriptions, due_queue: Arc<dyn DueQueue>, clock: Clock, stop: CancellationToken) {
    while !stop.is_cancelled() {
        if let Err(error) = subscriptions.resume_due().await {
            warn!(%error, "pauses that have ended are not resumed yet, trying again");
        }
        for channel in Channel::ALL {
            match overdue(due_queue.as_ref(), channel, &clock).await {
                Ok(overdue) => OVERDUE.with_label_values(&[channel.name()]).set(overdue.as_secs_f64()),
                Err(error) => warn!(%error, channel = channel.name(), "it is not known how long digests have been due"),
            }
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = clock.sleep(INTERVAL) => {}
        }
    }
}

/// For how long the digest that waits longest has been due.
async fn overdue(due_queue: &dyn DueQueue, channel: Channel, clock: &Clock) -> Result<Duration, StoreError> {
    let due = due_queue.next_due(channel).await?;
    let waits = due.and_then(|due| Duration::try_from(clock.now().duration_since(due)).ok());
    Ok(waits.unwrap_or_default())
}
