//! Sends editions when they are due: claims due subscribers in chunks, has their editions composed, and sends them while
//! the next chunk is composed. Mail and webhooks have a run each, so that neither waits for the other.
//!
//! After downtime each subscriber gets the current slot's edition once, not one for every slot that was missed, and none
//! where that slot is too long ago.

mod pace;

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::editions::{Editions, Occasion, Plan};
use crate::metrics::EDITIONS;
use crate::subscribers::claims::Claimed;
use crate::subscribers::{Channel, Subscribers};
pub use pace::Pace;

/// One is composed, one is sent, and the slowest mails of a third are waited for.
const CHUNKS_IN_HAND: usize = 3;
/// Longest sleep: subscribers added by another replica are found within it.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);
/// After a claim that failed.
const REST: Duration = Duration::from_secs(1);

/// Runs for one way until the stop, and returns when what is in hand has ended.
pub async fn run(
    channel: Channel,
    subscribers: Subscribers,
    editions: Arc<Editions>,
    pace: Pace,
    stop: CancellationToken,
) {
    let desk = Desk {
        channel,
        editions,
        pace,
        stop: stop.clone(),
    };
    let desk = Arc::new(desk);
    let in_hand = Arc::new(Semaphore::new(CHUNKS_IN_HAND));
    let mut chunks = JoinSet::new();
    while !stop.is_cancelled() {
        let free = tokio::select! {
            () = stop.cancelled() => break,
            free = Arc::clone(&in_hand).acquire_owned() => free,
        };
        while chunks.try_join_next().is_some() {}
        let pause = match subscribers
            .claim_due(channel, Timestamp::now(), desk.pace.chunk())
            .await
        {
            Ok(claimed) if claimed.ids.is_empty() => until_next(channel, &subscribers).await,
            Ok(claimed) => {
                let (desk, count) = (Arc::clone(&desk), claimed.ids.len());
                let plan = desk.plan(claimed).await;
                chunks.spawn(async move {
                    desk.carry_out(plan, count).await;
                    drop(free);
                });
                continue;
            }
            Err(error) => {
                warn!(%error, "due editions cannot be claimed, trying again");
                REST
            }
        };
        drop(free);
        tokio::select! {
            () = stop.cancelled() => {}
            () = subscribers.changed(channel) => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
    while chunks.join_next().await.is_some() {}
}

/// Where chunks are worked on.
struct Desk {
    channel: Channel,
    editions: Arc<Editions>,
    pace: Pace,
    stop: CancellationToken,
}

impl Desk {
    /// Nothing to do where composing failed.
    async fn plan(&self, claimed: Claimed) -> Plan {
        let (count, now) = (claimed.ids.len(), Timestamp::now());
        let plan = self
            .editions
            .plan(self.channel, claimed.ids, claimed.fence, Occasion::Due, now);
        plan.await.unwrap_or_else(|error| {
            let not_made = EDITIONS.with_label_values(&[self.channel.name(), "error"]);
            not_made.inc_by(count as u64);
            error!(%error, count, "editions not composed, they are due again after the lease");
            Plan::default()
        })
    }

    async fn carry_out(&self, plan: Plan, count: usize) {
        let begun = Instant::now();
        self.editions.carry_out_on(self.channel, plan, &self.stop).await;
        self.pace.took(count, begun.elapsed());
    }
}

async fn until_next(channel: Channel, subscribers: &Subscribers) -> Duration {
    let next = subscribers.next_due(channel).await.ok().flatten();
    let wait = next.map(|next| next.duration_since(Timestamp::now()));
    let wait = wait.map_or(LONGEST_SLEEP, |wait| Duration::try_from(wait).unwrap_or(Duration::ZERO));
    // A moment of rest keeps a claim that has just been leased from spinning.
    wait.clamp(Duration::from_millis(100), LONGEST_SLEEP)
}

#[cfg(test)]
mod tests;
