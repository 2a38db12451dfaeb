//! [`SubscriberStore`] over Redis and the log.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use domain::{EmailAddress, Int8Vector};
use jiff::Timestamp;
use redis::{Script, Value};

use super::connection::{RedisConnection, parse};
use super::due_queue::Wakeups;
use super::keys;
use super::log::SubscriberLog;
use super::records::{self, SubscriberWrite};
use super::recovery::RedisRecovery;
use super::suppressions::{self, WriteOver};
use crate::ports::{Each, InterestVectors, Placement, StoreError, SubscriberProfile, SubscriberStore};
use crate::subscribers::suppressions::{Suppression, SuppressionEntry};
use crate::subscribers::{Channel, Subscriber, SubscriberState};

static KEEP_VECTORS: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("keep_vectors.lua")));

/// Versions that a subscriber may be ahead of the one that is forgotten.
const FORGOTTEN_VERSIONS: u64 = 1_000;

/// Subscribers in Redis.
pub struct RedisSubscribers {
    log: SubscriberLog,
    wakeups: Wakeups,
    recovery: Arc<RedisRecovery>,
}

impl RedisSubscribers {
    /// Beside a log.
    pub fn new(log: SubscriberLog, wakeups: Wakeups, recovery: Arc<RedisRecovery>) -> Self {
        Self { log, wakeups, recovery }
    }

    fn connection(&self) -> &RedisConnection {
        &self.log.connection
    }
}

#[async_trait]
impl SubscriberStore for RedisSubscribers {
    async fn get(&self, id: &str) -> Result<Option<Subscriber>, StoreError> {
        records::load(self.connection(), id).await
    }

    async fn find(&self, email: &EmailAddress) -> Result<Option<Subscriber>, StoreError> {
        let key = keys::email(&email.key());
        let id: Option<String> = self.connection().ask(redis::cmd("GET").arg(key)).await?;
        match id {
            Some(id) => self.get(&id).await,
            None => Ok(None),
        }
    }

    async fn ensure_complete(&self) -> Result<(), StoreError> {
        self.recovery.ensure_complete().await
    }

    fn require_room(&self) -> Result<(), StoreError> {
        self.log.require_room()
    }

    async fn reserve_id(&self, email: &EmailAddress, fresh: &str) -> Result<String, StoreError> {
        self.log.require_room()?;
        let key = keys::email(&email.key());
        let mut command = redis::cmd("SET");
        command.arg(&key).arg(fresh).arg("NX");
        let _: Option<String> = self.connection().ask(&command).await?;
        self.connection().ask(redis::cmd("GET").arg(&key)).await
    }

    async fn replace(&self, subscriber: &Subscriber, placement: Placement) -> Result<bool, StoreError> {
        let write = SubscriberWrite::over_previous(subscriber, placement);
        if !write.run_once(self.connection()).await? {
            return Ok(false);
        }
        self.log.put_subscriber(&subscriber.id).await?;
        if subscriber.state == SubscriberState::Active {
            self.wakeups.wake();
        }
        Ok(true)
    }

    async fn ensure_logged(&self, id: &str) -> Result<(), StoreError> {
        self.log.put_subscriber(id).await
    }

    async fn end_in_log(&self, id: &str, now: Timestamp) -> Result<Option<Subscriber>, StoreError> {
        self.log.end(id, now).await
    }

    async fn wait_for_disk(&self) {
        self.connection().wait_for_disk().await;
    }

    async fn forget(&self, subscriber: &Subscriber) -> Result<(), StoreError> {
        // The log first: should the process end in between, the log makes Redis forget.
        let version = subscriber.version + FORGOTTEN_VERSIONS;
        self.log.forget(&subscriber.id, version).await?;
        records::forget(self.connection(), &subscriber.id, version)
            .await
            .map(drop)
    }

    async fn page(&self, after: u64, size: usize) -> Result<(Vec<Subscriber>, Option<u64>), StoreError> {
        self.log.page(after, size).await
    }

    async fn active(&self, channel: Channel, cursor: u64) -> Result<(u64, Vec<String>), StoreError> {
        let mut command = redis::cmd("ZSCAN");
        command.arg(keys::due(channel)).arg(cursor).arg("COUNT").arg(500);
        let (next, due): (u64, Vec<(String, f64)>) = self.connection().ask(&command).await?;
        Ok((next, due.into_iter().map(|(id, _)| id).collect()))
    }

    async fn pauses_ending(&self, until: Timestamp, most: usize) -> Result<Vec<String>, StoreError> {
        let mut command = redis::cmd("ZRANGEBYSCORE");
        command.arg(keys::PAUSED).arg("-inf").arg(until.as_millisecond());
        self.connection().ask(command.arg("LIMIT").arg(0).arg(most)).await
    }

    async fn profiles(&self, ids: &[String]) -> Each<Option<SubscriberProfile>> {
        let mut pipeline = redis::pipe();
        for id in ids {
            pipeline.cmd("HGETALL").arg(keys::subscriber(id));
        }
        let answers = self.connection().read_all(&mut pipeline).await?;
        let read = |(id, answer): (&String, Value)| {
            let fields: HashMap<String, Vec<u8>> = parse(answer)?;
            records::profile(id, &fields)
        };
        Ok(ids.iter().zip(answers).map(read).collect())
    }

    async fn keep_vectors(
        &self,
        subscriber: &Subscriber,
        (encoder, vectors): &InterestVectors,
    ) -> Result<(), StoreError> {
        let bytes: Vec<u8> = vectors.iter().flat_map(Int8Vector::to_bytes).collect();
        let version = subscriber.version.to_string();
        let arguments = [version.into_bytes(), encoder.as_str().into(), bytes];
        let keys = [keys::subscriber(&subscriber.id)];
        self.connection().script(&KEEP_VECTORS, &keys, &arguments).await
    }

    async fn suppression(&self, address_hash: &str) -> Result<Option<SuppressionEntry>, StoreError> {
        suppressions::load(self.connection(), address_hash).await
    }

    async fn replace_suppression(&self, address_hash: &str, entry: SuppressionEntry) -> Result<bool, StoreError> {
        if !suppressions::write(self.connection(), address_hash, WriteOver::Previous, entry).await? {
            return Ok(false);
        }
        self.log.put_suppression(address_hash).await?;
        Ok(true)
    }

    async fn ensure_suppression_logged(&self, address_hash: &str) -> Result<(), StoreError> {
        self.log.put_suppression(address_hash).await
    }

    async fn suppressions(&self, cursor: u64, about: usize) -> Result<(u64, Vec<Suppression>), StoreError> {
        suppressions::scan(self.connection(), cursor, about).await
    }
}
