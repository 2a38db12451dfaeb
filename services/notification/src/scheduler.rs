//! Sends digests when they are due: claims due subscribers in batches, has their digests composed, and sends them while
//! the next batch is composed. Mail and webhooks have a run each, so that neither waits for the other.
//!
//! After downtime each subscriber gets the current slot's digest once, not one for every slot that was missed, and none
//! where that slot is too long ago.
//!
//! The scheduler claims a batch of due subscribers in one script, under a lease and a fencing token that only grows; no
//! script lets an owner act on a digest that a later owner has leased. A batch is read in two round trips, interests without
//! vectors are embedded in one call, and all readers of the batch are matched together: the int8 vectors of their interests
//! times the vectors of recent papers, exact ([`domain::matching`]). The rules of a single reader follow
//! ([`domain::selection`]). The previous batch is delivered meanwhile.

mod pace;

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::clock::Clock;
use common::tasks;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::digests::{DigestTrigger, Digests, PreparedBatch};
use crate::metrics::DIGESTS;
use crate::ports::DueQueue;
use crate::subscribers::Channel;
use crate::subscribers::deliveries::DueBatch;
pub use pace::SendingPace;

/// One is composed, one is sent, and the slowest mails of a third are waited for.
const BATCHES_AT_ONCE: usize = 3;
/// Longest sleep: subscribers added by another replica are found within it.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);
/// After a claim or a preparation that failed: what fails at once must not be claimed all the faster.
const REST: Duration = Duration::from_secs(1);

/// Sends what is due on one channel.
pub struct Scheduler {
    /// The channel.
    pub channel: Channel,
    /// Says who is due.
    pub due_queue: Arc<dyn DueQueue>,
    /// Makes and delivers.
    pub digests: Arc<Digests>,
    /// How many are claimed at once.
    pub pace: SendingPace,
    /// Tells the time.
    pub clock: Clock,
}

impl Scheduler {
    /// Runs until the stop, and returns when what was claimed has ended.
    pub async fn run(self, stop: CancellationToken) {
        let this = Arc::new(self);
        let free_places = Arc::new(Semaphore::new(BATCHES_AT_ONCE));
        let mut batches = JoinSet::new();
        while !stop.is_cancelled() {
            let place = tokio::select! {
                () = stop.cancelled() => break,
                place = Arc::clone(&free_places).acquire_owned() => place,
            };
            while batches.try_join_next().is_some() {}
            let pause = match this.claim().await {
                Some(due) if due.ids.is_empty() => this.until_next().await,
                Some(due) => match Box::pin(this.prepare(due)).await {
                    Some((batch, count)) => {
                        let (this, stop) = (Arc::clone(&this), stop.clone());
                        batches.spawn(async move {
                            this.deliver(batch, count, &stop).await;
                            drop(place);
                        });
                        continue;
                    }
                    None => REST,
                },
                None => REST,
            };
            drop(place);
            tokio::select! {
                () = stop.cancelled() => {}
                () = this.due_queue.changed(this.channel) => {}
                () = this.clock.sleep(pause) => {}
            }
        }
        while batches.join_next().await.is_some() {}
    }

    async fn claim(&self) -> Option<DueBatch> {
        let due = self
            .due_queue
            .claim(self.channel, self.clock.now(), self.pace.batch())
            .await;
        due.inspect_err(|error| warn!(%error, "due digests cannot be claimed, trying again"))
            .ok()
    }

    /// None where that failed: the subscribers are due again after the lease.
    async fn prepare(&self, due: DueBatch) -> Option<(PreparedBatch, usize)> {
        let DueBatch { token, ids } = due;
        let (channel, count, now) = (self.channel, ids.len(), self.clock.now());
        let preparing = Box::pin(self.digests.prepare(channel, ids, &token, DigestTrigger::Schedule, now));
        let prepared = tasks::contained("preparation of digests", preparing).await;
        let problem = match prepared {
            Some(Ok(batch)) => return Some((batch, count)),
            Some(Err(error)) => error.to_string(),
            None => "preparing them panicked".to_owned(),
        };
        let failed = DIGESTS.with_label_values(&[channel.name(), "error"]);
        failed.inc_by(count as u64);
        error!(
            problem,
            count, "digests are not prepared; they are due again after the lease"
        );
        None
    }

    async fn deliver(&self, batch: PreparedBatch, count: usize, stop: &CancellationToken) {
        let begun = Instant::now();
        let delivering = Box::pin(self.digests.deliver(self.channel, batch, stop));
        let outcomes = tasks::contained("delivery of a batch", delivering).await;
        // Only what was delivered says how fast that goes.
        if outcomes.is_some_and(|outcomes| outcomes.iter().all(|outcome| outcome.result.is_ok())) {
            self.pace.took(count, begun.elapsed());
        }
    }

    async fn until_next(&self) -> Duration {
        let next = self.due_queue.next_due(self.channel).await.ok().flatten();
        let wait = next.map(|next| next.duration_since(self.clock.now()));
        let wait = wait.map_or(LONGEST_SLEEP, |wait| Duration::try_from(wait).unwrap_or(Duration::ZERO));
        // A moment of rest keeps a claim that has just been leased from spinning.
        wait.clamp(Duration::from_millis(100), LONGEST_SLEEP)
    }
}

#[cfg(test)]
mod tests;
