//! Sends editions when they are due: claims due subscribers, delivers, sets the next slot.
//!
//! After downtime each subscriber gets the current slot's edition once, not one for every slot that was missed.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::editions::{EditionError, Editions, RETRY_AFTER};
use crate::subscribers::{State, Subscriber, Subscribers, SubscribersError};

const CLAIMED_AT_ONCE: usize = 64;
const SENT_AT_ONCE: usize = 16;
/// Longest sleep; a subscriber added meanwhile is due in the future, so this bounds clock changes only.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

/// Runs until the stop.
pub async fn run(subscribers: Subscribers, editions: Arc<Editions>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let pause = match round(&subscribers, &editions).await {
            Ok(0) => until_next(&subscribers).await,
            Ok(_) => continue,
            Err(error) => {
                warn!(%error, "due editions cannot be claimed, trying again");
                Duration::from_secs(5)
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn round(subscribers: &Subscribers, editions: &Editions) -> Result<usize, SubscribersError> {
    let ids = subscribers.claim_due(Timestamp::now(), CLAIMED_AT_ONCE).await?;
    let count = ids.len();
    let sending = futures::stream::iter(ids).for_each_concurrent(SENT_AT_ONCE, |id| async move {
        if let Err(error) = one(subscribers, editions, &id).await {
            error!(subscriber = %id, %error, "edition not made, it is due again after the lease");
        }
    });
    sending.await;
    Ok(count)
}

async fn one(subscribers: &Subscribers, editions: &Editions, id: &str) -> Result<(), EditionError> {
    let Some(subscriber) = subscribers.get(id).await? else {
        return Ok(());
    };
    if subscriber.state != State::Active {
        return Ok(());
    }
    let delivered = editions.deliver(&subscriber, Timestamp::now()).await?;
    let due = if matches!(delivered.record.state.as_str(), "deferred" | "sending") {
        Timestamp::now().saturating_add(RETRY_AFTER).unwrap_or(Timestamp::MAX)
    } else {
        next_slot(&subscriber)?
    };
    Ok(subscribers.set_due(id, due).await?)
}

fn next_slot(subscriber: &Subscriber) -> Result<Timestamp, EditionError> {
    let schedule = subscriber.schedule();
    let schedule = schedule.map_err(|error| EditionError::Subscriber {
        id: subscriber.id.clone(),
        problem: error.to_string(),
    })?;
    Ok(schedule.next_slot(Timestamp::now()))
}

async fn until_next(subscribers: &Subscribers) -> Duration {
    let next = subscribers.next_due().await.ok().flatten();
    let wait = next.map(|next| next.duration_since(Timestamp::now()));
    let wait = wait.map_or(LONGEST_SLEEP, |wait| Duration::try_from(wait).unwrap_or(Duration::ZERO));
    // A moment of rest keeps a claim that has just been leased from spinning.
    wait.clamp(Duration::from_millis(100), LONGEST_SLEEP)
}
