//! Sends editions when they are due: claims due subscribers, delivers, sets the next slot.
//!
//! After downtime each subscriber gets the current slot's edition once, not one for every slot that was missed.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::editions::{EditionError, Editions};
use crate::metrics::EDITIONS;
use crate::subscribers::deliveries::Stage;
use crate::subscribers::{State, Subscriber, Subscribers, SubscribersError};

const CLAIMED_AT_ONCE: usize = 64;
const SENT_AT_ONCE: usize = 16;
/// Longest sleep: subscribers added by another replica are found within it.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

/// Runs until the stop.
pub async fn run(subscribers: Subscribers, editions: Arc<Editions>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let pause = match round(&subscribers, &editions, &stop).await {
            Ok(0) => until_next(&subscribers).await,
            Ok(_) => continue,
            Err(error) => {
                warn!(%error, "due editions cannot be claimed, trying again");
                Duration::from_secs(5)
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = subscribers.changed() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn round(
    subscribers: &Subscribers,
    editions: &Editions,
    stop: &CancellationToken,
) -> Result<usize, SubscribersError> {
    let ids = subscribers.claim_due(Timestamp::now(), CLAIMED_AT_ONCE).await?;
    let count = ids.len();
    let sending = futures::stream::iter(ids).for_each_concurrent(SENT_AT_ONCE, |id| async move {
        // What is not begun at the stop is due again after the lease.
        if stop.is_cancelled() {
            return;
        }
        if let Err(error) = one(subscribers, editions, &id).await {
            EDITIONS.with_label_values(&["error"]).inc();
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
    match delivered.record.stage {
        Stage::Sent | Stage::Failed | Stage::Empty => Ok(subscribers.set_due(id, next_slot(&subscriber)).await?),
        // The record of a deferred edition said when it is due; one in other hands is looked at after the lease.
        Stage::Deferred | Stage::None | Stage::Intended | Stage::Sending => Ok(()),
    }
}

fn next_slot(subscriber: &Subscriber) -> Timestamp {
    subscriber.preferences.schedule.next_slot(Timestamp::now())
}

async fn until_next(subscribers: &Subscribers) -> Duration {
    let next = subscribers.next_due().await.ok().flatten();
    let wait = next.map(|next| next.duration_since(Timestamp::now()));
    let wait = wait.map_or(LONGEST_SLEEP, |wait| Duration::try_from(wait).unwrap_or(Duration::ZERO));
    // A moment of rest keeps a claim that has just been leased from spinning.
    wait.clamp(Duration::from_millis(100), LONGEST_SLEEP)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::House;

    #[tokio::test]
    async fn what_is_due_is_sent_once_and_due_again_at_the_next_slot() {
        let house = House::build().await;
        house.add_paper("x:a", "on cats", "test@1");
        let stop = CancellationToken::new();
        let (subscribers, editions) = (house.subscribers.clone(), Arc::clone(&house.editions));
        // Slots of three days were missed.
        let reader = house.reader("ada@example.org", &[]).await;
        house
            .subscribers
            .set_due(&reader.id, house.later(-3 * 24 * 60))
            .await
            .expect("set");
        let running = tokio::spawn(run(subscribers, editions, stop.clone()));
        house.post.taken.notified().await;
        stop.cancel();
        running.await.expect("a clean end");
        assert_eq!(house.mails().len(), 1);
        let due = house
            .subscribers
            .due(&reader.id)
            .await
            .expect("redis answers")
            .expect("due");
        let next = next_slot(&reader);
        assert_eq!(due.as_millisecond(), next.as_millisecond());
    }

    #[tokio::test]
    async fn a_deferred_edition_keeps_the_moment_of_its_retry() {
        let house = House::build().await;
        house.add_paper("x:a", "on cats", "test@1");
        let reader = house.reader("ada@example.org", &[]).await;
        house.answer(Err(crate::mailer::SendError::Transient("451".into())));
        one(&house.subscribers, &house.editions, &reader.id)
            .await
            .expect("put off");
        let due = house
            .subscribers
            .due(&reader.id)
            .await
            .expect("redis answers")
            .expect("due");
        assert!(due < next_slot(&reader), "before the next slot");
    }
}
