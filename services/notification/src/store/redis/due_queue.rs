//! [`DueQueue`] over Redis: due subscribers are claimed in batches, under a lease and a fencing token.
//!
//! The token is a number that only grows. Every later script of the attempt brings it along.

use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use jiff::Timestamp;
use redis::Script;
use tokio::sync::Notify;

use super::connection::{from_score, millis};
use super::keys;
use super::log::SubscriberLog;
use crate::ports::{DueQueue, StoreError, StoreTimes};
use crate::subscribers::Channel;
use crate::subscribers::deliveries::{DueBatch, FencingToken};

static CLAIM_DUE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("claim_due.lua")));

/// Wakes whoever waits for somebody to become due; clones wake the same.
#[derive(Clone, Default)]
pub struct Wakeups(Arc<[Notify; 2]>);

impl Wakeups {
    /// Wakes the waiters of all channels.
    pub fn wake(&self) {
        for changed in self.0.iter() {
            changed.notify_one();
        }
    }
}

/// The sorted sets of who is due.
pub struct RedisDueQueue {
    log: SubscriberLog,
    wakeups: Wakeups,
    times: StoreTimes,
    /// Tells owners of leases apart that are of different processes.
    process: String,
}

impl RedisDueQueue {
    /// Beside a log.
    pub fn new(log: SubscriberLog, wakeups: Wakeups, times: StoreTimes) -> Self {
        Self {
            log,
            wakeups,
            times,
            process: uuid::Uuid::new_v4().simple().to_string(),
        }
    }

    fn token_of(&self, epoch: u64) -> FencingToken {
        FencingToken {
            epoch,
            owner: format!("{epoch}.{}", self.process),
        }
    }
}

#[async_trait]
impl DueQueue for RedisDueQueue {
    async fn claim(&self, channel: Channel, now: Timestamp, most: usize) -> Result<DueBatch, StoreError> {
        self.log.flush_pending_ends().await?;
        let now = now.as_millisecond();
        let arguments = [
            now.to_string(),
            (now + millis(self.times.lease)).to_string(),
            most.to_string(),
        ];
        let keys = [keys::due(channel).to_owned(), keys::EPOCH.to_owned()];
        let arguments = arguments.map(String::into_bytes);
        let (epoch, ids) = self.log.connection.script(&CLAIM_DUE, &keys, &arguments).await?;
        Ok(DueBatch {
            token: self.token_of(epoch),
            ids,
        })
    }

    async fn token(&self) -> Result<FencingToken, StoreError> {
        let epoch = self.log.connection.ask(redis::cmd("INCR").arg(keys::EPOCH)).await?;
        Ok(self.token_of(epoch))
    }

    async fn reschedule(&self, channel: Channel, due: &[(&str, Timestamp)]) -> Result<(), StoreError> {
        if due.is_empty() {
            return Ok(());
        }
        let mut command = redis::cmd("ZADD");
        command.arg(keys::due(channel)).arg("XX");
        for (id, due) in due {
            command.arg(due.as_millisecond()).arg(*id);
        }
        self.log.connection.ask(&command).await
    }

    async fn due(&self, id: &str) -> Result<Option<Timestamp>, StoreError> {
        let mut due = None;
        for channel in Channel::ALL {
            let mut command = redis::cmd("ZSCORE");
            let score: Option<f64> = self.log.connection.ask(command.arg(keys::due(channel)).arg(id)).await?;
            due = [due, score.and_then(from_score)].into_iter().flatten().min();
        }
        Ok(due)
    }

    async fn next_due(&self, channel: Channel) -> Result<Option<Timestamp>, StoreError> {
        let mut command = redis::cmd("ZRANGE");
        command.arg(keys::due(channel)).arg(0).arg(0).arg("WITHSCORES");
        let first: Vec<(String, f64)> = self.log.connection.ask(&command).await?;
        Ok(first.first().and_then(|(_, score)| from_score(*score)))
    }

    async fn changed(&self, channel: Channel) {
        self.wakeups.0[channel as usize].notified().await;
    }
}
