//! Keeps Redis and the log together while the service runs: takes in what other replicas logged, notices a Redis that lost
//! what it had, ends pauses whose time has come, and shows how long editions wait.

use std::time::Duration;

use common::journal::Entry;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::rebuild::Reach;
use super::{Channel, PAUSED, Subscribers, SubscribersError};
use crate::metrics::{OVERDUE, REDIS_ANSWERS};

/// Between two looks at Redis.
const LOOK: Duration = Duration::from_secs(5);
/// Looks between two marks. What was sent is settled in Redis long before the mark of two rounds ago is set.
const LOOKS_PER_MARK: u32 = 12;
/// Pauses ended in one look.
const RESUMED_AT_ONCE: usize = 1_000;

/// What is known of Redis and the log.
struct Keeper {
    subscribers: Subscribers,
    /// The run of Redis that was looked at last.
    run: Option<String>,
    /// Entries up to here are in Redis; none before the first.
    place: Option<u64>,
    /// The last places of the log of deliveries, a round ago and two rounds ago.
    deliveries: (Option<u64>, Option<u64>),
    looks: u32,
}

/// Runs until the stop.
pub async fn run(subscribers: Subscribers, stop: CancellationToken) {
    let mut keeper = Keeper {
        subscribers,
        run: None,
        place: None,
        deliveries: (None, None),
        looks: 0,
    };
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut news: Option<BoxStream<'static, Entry>> = None;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = look.tick() => {
                if let Err(error) = keeper.look(&mut news).await {
                    warn!(%error, "subscribers are not looked after, trying again");
                    news = None;
                }
            }
            entry = next(&mut news) => match entry {
                Some(entry) => if let Err(error) = keeper.take(&entry).await {
                    warn!(%error, "an entry of the log is not in redis yet, trying again");
                    news = None;
                },
                None => news = None,
            },
        }
    }
}

async fn next(news: &mut Option<BoxStream<'static, Entry>>) -> Option<Entry> {
    match news {
        Some(news) => news.next().await,
        None => std::future::pending().await,
    }
}

impl Keeper {
    async fn look(&mut self, news: &mut Option<BoxStream<'static, Entry>>) -> Result<(), SubscribersError> {
        let run = self.subscribers.run_of_redis().await;
        REDIS_ANSWERS.set(i64::from(run.is_ok()));
        let run = run?;
        let same = self.run.as_ref().is_none_or(|known| *known == run);
        if !same || !self.subscribers.is_marked().await? {
            *news = None;
            let rebuilt = Box::pin(self.subscribers.rebuild(Reach::SinceMark, |_| {})).await?;
            info!(
                ?rebuilt,
                "redis was started anew or lost its data; brought up to the log"
            );
            self.place = None;
        }
        self.run = Some(run);
        if news.is_none() {
            *news = Some(self.subscribers.follow_log().await?);
        }
        self.subscribers.pay_what_is_owed().await?;
        self.subscribers.end_pauses(Timestamp::now()).await?;
        self.subscribers.show_overdue(Timestamp::now()).await?;
        self.looks += 1;
        if self.looks.is_multiple_of(LOOKS_PER_MARK) {
            self.mark().await?;
        }
        Ok(())
    }

    async fn take(&mut self, entry: &Entry) -> Result<(), SubscribersError> {
        self.subscribers.restore_entries(std::slice::from_ref(entry)).await?;
        self.place = Some(entry.place);
        Ok(())
    }

    async fn mark(&mut self) -> Result<(), SubscribersError> {
        let last = self.subscribers.last_delivery().await?;
        if let (Some(place), Some(deliveries)) = (self.place, self.deliveries.1) {
            self.subscribers.move_mark(place, deliveries).await?;
        }
        self.deliveries = (Some(last), self.deliveries.0);
        Ok(())
    }
}

impl Subscribers {
    /// Resumes who paused until now.
    pub(super) async fn end_pauses(&self, now: Timestamp) -> Result<(), SubscribersError> {
        let mut command = redis::cmd("ZRANGEBYSCORE");
        command.arg(PAUSED).arg("-inf").arg(now.as_millisecond());
        let ids: Vec<String> = self.ask(command.arg("LIMIT").arg(0).arg(RESUMED_AT_ONCE)).await?;
        for id in ids {
            self.resume(&id, now).await?;
        }
        Ok(())
    }

    /// Shows how long editions wait for somebody to take them in hand.
    async fn show_overdue(&self, now: Timestamp) -> Result<(), SubscribersError> {
        for channel in Channel::ALL {
            let overdue = self.overdue(channel, now).await?;
            OVERDUE.with_label_values(&[channel.name()]).set(overdue.as_secs_f64());
        }
        Ok(())
    }

    /// For how long the edition that waits longest has been due.
    async fn overdue(&self, channel: Channel, now: Timestamp) -> Result<Duration, SubscribersError> {
        let due = self.next_due(channel).await?;
        let waits = due.and_then(|due| Duration::try_from(now.duration_since(due)).ok());
        Ok(waits.unwrap_or_default())
    }

    async fn run_of_redis(&self) -> Result<String, SubscribersError> {
        let info: String = self.ask(redis::cmd("INFO").arg("server")).await?;
        let run = info.lines().find_map(|line| line.strip_prefix("run_id:"));
        Ok(run.unwrap_or_default().trim().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::House;

    const ADA: &str = "ada@example.org";

    #[tokio::test]
    async fn editions_wait_from_their_slot_until_somebody_takes_them_in_hand() {
        let house = House::build().await;
        let overdue = async |minutes| {
            let overdue = house.subscribers.overdue(Channel::Mail, house.later(minutes)).await;
            overdue.expect("redis answers")
        };
        assert_eq!(overdue(5).await, Duration::ZERO, "nobody is subscribed");
        house.reader(ADA, &[]).await;
        house.set_due(ADA, 3).await;
        assert_eq!(overdue(2).await, Duration::ZERO, "not due yet");
        assert_eq!(overdue(5).await.as_secs(), 120);
        let claimed = house.subscribers.claim_due(Channel::Mail, house.later(5), 10).await;
        assert_eq!(claimed.expect("redis answers").ids, [ADA]);
        assert_eq!(overdue(5).await, Duration::ZERO, "in hand");
    }
}
