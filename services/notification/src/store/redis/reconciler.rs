//! Keeps Redis and the log together while the service runs: takes in what other replicas logged, and notices a Redis that
//! lost what it had.

use std::sync::Arc;
use std::time::Duration;

use common::clock::Clock;
use common::journal::LogEntry;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::RedisRecovery;
use crate::metrics::REDIS_ANSWERS;
use crate::ports::{RecoveryExtent, StoreError, StoreRecovery as _};

/// Between two checks of Redis.
const INTERVAL: Duration = Duration::from_secs(5);
/// The same while somebody has ended in the log alone: another replica must not send to them before.
const EAGER_INTERVAL: Duration = Duration::from_secs(1);
/// Checks between two marks. What was sent is settled in Redis long before the mark of two rounds ago is set.
const CHECKS_PER_MARK: u32 = 12;

/// What is known of Redis and the log.
struct Reconciler {
    recovery: Arc<RedisRecovery>,
    /// The run of Redis that was seen last.
    run: Option<String>,
    /// New entries of the log; none until Redis is known to have the others.
    news: Option<BoxStream<'static, LogEntry>>,
    /// Entries up to here are in Redis; none before the first.
    place: Option<u64>,
    /// The last places of the log of deliveries, a round ago and two rounds ago.
    deliveries: (Option<u64>, Option<u64>),
    checks: u32,
}

/// Runs until the stop.
pub async fn run(recovery: Arc<RedisRecovery>, clock: Clock, stop: CancellationToken) {
    let mut reconciler = Reconciler {
        recovery,
        run: None,
        news: None,
        place: None,
        deliveries: (None, None),
        checks: 0,
    };
    let noted = reconciler.recovery.log().clone();
    let mut due = clock.instant();
    loop {
        let left = due.saturating_duration_since(clock.instant());
        tokio::select! {
            () = stop.cancelled() => return,
            () = clock.sleep(left) => {
                if let Err(error) = reconciler.check().await {
                    warn!(%error, "redis and the log cannot be compared, trying again");
                    reconciler.news = None;
                }
                let log = reconciler.recovery.log();
                due = clock.instant() + if log.has_pending_ends() { EAGER_INTERVAL } else { INTERVAL };
            }
            () = noted.end_noted() => due = due.min(clock.instant() + EAGER_INTERVAL),
            entry = next(&mut reconciler.news) => match entry {
                Some(entry) => if let Err(error) = reconciler.restore(&entry).await {
                    warn!(%error, "an entry of the log is not in redis yet, trying again");
                    reconciler.news = None;
                },
                None => reconciler.news = None,
            },
        }
    }
}

async fn next(news: &mut Option<BoxStream<'static, LogEntry>>) -> Option<LogEntry> {
    match news {
        Some(news) => news.next().await,
        None => std::future::pending().await,
    }
}

impl Reconciler {
    async fn check(&mut self) -> Result<(), StoreError> {
        let run = self.recovery.redis_run().await;
        REDIS_ANSWERS.set(i64::from(run.is_ok()));
        let run = run?;
        let same = self.run.as_ref().is_none_or(|known| *known == run);
        if !same || !self.recovery.is_marked().await? {
            self.news = None;
            let progress = Box::pin(self.recovery.recover(RecoveryExtent::SinceMark, &mut |_| {})).await?;
            info!(
                ?progress,
                "redis was started anew or lost its data; brought up to the log"
            );
            self.place = None;
        }
        self.run = Some(run);
        if self.news.is_none() {
            self.news = Some(self.recovery.follow_log().await?);
        }
        self.recovery.flush_pending_ends().await?;
        self.checks += 1;
        if self.checks.is_multiple_of(CHECKS_PER_MARK) {
            self.mark().await?;
        }
        Ok(())
    }

    async fn restore(&mut self, entry: &LogEntry) -> Result<(), StoreError> {
        self.recovery.log().note_end_of(entry);
        self.recovery.restore(std::slice::from_ref(entry)).await?;
        self.place = Some(entry.place);
        Ok(())
    }

    async fn mark(&mut self) -> Result<(), StoreError> {
        let last = self.recovery.last_delivery().await?;
        if let (Some(place), Some(deliveries)) = (self.place, self.deliveries.1) {
            self.recovery.move_mark(place, deliveries).await?;
        }
        self.deliveries = (Some(last), self.deliveries.0);
        Ok(())
    }
}
