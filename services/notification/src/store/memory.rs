//! The ports over memory, for tests of the rules above them. It keeps what Redis keeps, held to the same suite, and loses
//! it with the test.

mod deliveries;
mod pending;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use domain::EmailAddress;
use jiff::Timestamp;
use tokio::sync::Notify;

use self::pending::{PendingTable, WindowTable};
use crate::ports::{
    Each, FullWindow, InterestVectors, NextDue, Placement, RateLimiter, RecoveryExtent, RecoveryProgress,
    SlidingWindow, StoreError, StoreRecovery, StoreTimes, SubscriberProfile, SubscriberStore, TokenBucket,
};
use crate::subscribers::deliveries::{DeliveryAttempt, DeliveryRecord};
use crate::subscribers::suppressions::{Suppression, SuppressionEntry};
use crate::subscribers::{Channel, Subscriber, SubscriberState};

/// A store of its own; clones share it.
#[derive(Clone)]
pub struct MemoryStore {
    tables: Arc<Mutex<Tables>>,
    changed: Arc<[Notify; 2]>,
    times: StoreTimes,
}

#[derive(Default)]
struct Tables {
    subscribers: BTreeMap<String, KeptSubscriber>,
    ids_by_email: HashMap<String, String>,
    suppressions: BTreeMap<String, SuppressionEntry>,
    due: [BTreeMap<String, Timestamp>; 2],
    deliveries: BTreeMap<(usize, String, Timestamp), KeptDelivery>,
    seen: HashMap<String, Vec<u8>>,
    soft_bounces: HashMap<String, HashSet<Timestamp>>,
    buckets: HashMap<String, (f64, Timestamp)>,
    pending: PendingTable,
    windows: WindowTable,
    epoch: u64,
}

struct KeptSubscriber {
    subscriber: Subscriber,
    vectors: Option<InterestVectors>,
}

/// A record with what only the ledger knows of it.
#[derive(Default)]
struct KeptDelivery {
    record: DeliveryRecord,
    owner: Option<String>,
    epoch: u64,
    lease_end: Option<Timestamp>,
    /// Who settled it last.
    settler: Option<String>,
    /// Whether an attempt ended without an answer.
    unknown: bool,
    papers_fixed: bool,
}

impl MemoryStore {
    /// With nothing in it.
    pub fn new(times: StoreTimes) -> Self {
        Self {
            tables: Arc::default(),
            changed: Arc::default(),
            times,
        }
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().expect("unpoisoned")
    }

    fn wake(&self) {
        for changed in self.changed.iter() {
            changed.notify_one();
        }
    }
}

fn delivery_key(channel: Channel, id: &str, slot: Timestamp) -> (usize, String, Timestamp) {
    // As Redis keeps it: to the millisecond.
    let slot = Timestamp::from_millisecond(slot.as_millisecond()).expect("in range");
    (channel as usize, id.to_owned(), slot)
}

fn attempt_key(attempt: &DeliveryAttempt<'_>) -> (usize, String, Timestamp) {
    delivery_key(attempt.channel, attempt.id, attempt.slot)
}

#[async_trait]
impl SubscriberStore for MemoryStore {
    async fn get(&self, id: &str) -> Result<Option<Subscriber>, StoreError> {
        Ok(self.tables().subscribers.get(id).map(|kept| kept.subscriber.clone()))
    }

    async fn find(&self, email: &EmailAddress) -> Result<Option<Subscriber>, StoreError> {
        let id = self.tables().ids_by_email.get(&email.key()).cloned();
        match id {
            Some(id) => self.get(&id).await,
            None => Ok(None),
        }
    }

    async fn ensure_complete(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn reserve_id(&self, email: &EmailAddress, fresh: &str) -> Result<String, StoreError> {
        let mut tables = self.tables();
        let id = tables
            .ids_by_email
            .entry(email.key())
            .or_insert_with(|| fresh.to_owned());
        Ok(id.clone())
    }

    async fn replace(&self, subscriber: &Subscriber, placement: Placement) -> Result<bool, StoreError> {
        {
            let mut tables = self.tables();
            let known = tables.subscribers.get(&subscriber.id);
            if known.map_or(0, |known| known.subscriber.version) != subscriber.version - 1 {
                return Ok(false);
            }
            let vectors = known.and_then(|known| known.vectors.clone());
            let kept = KeptSubscriber {
                subscriber: subscriber.clone(),
                vectors: vectors.filter(|_| placement.vectors_hold),
            };
            tables.subscribers.insert(subscriber.id.clone(), kept);
            for (due, placed) in tables.due.iter_mut().zip(placement.due) {
                match placed {
                    NextDue::Unchanged => {}
                    NextDue::Never => drop(due.remove(&subscriber.id)),
                    NextDue::At(moment) => drop(due.insert(subscriber.id.clone(), moment)),
                }
            }
        }
        if subscriber.state == SubscriberState::Active {
            self.wake();
        }
        Ok(true)
    }

    async fn ensure_logged(&self, _: &str) -> Result<(), StoreError> {
        Ok(())
    }

    async fn end_in_log(&self, _: &str, _: Timestamp) -> Result<Option<Subscriber>, StoreError> {
        Ok(None)
    }

    async fn wait_for_disk(&self) {}

    async fn forget(&self, subscriber: &Subscriber) -> Result<(), StoreError> {
        let mut tables = self.tables();
        let id = &subscriber.id;
        tables.subscribers.remove(id);
        tables.ids_by_email.retain(|_, of| of != id);
        for due in &mut tables.due {
            due.remove(id);
        }
        tables.deliveries.retain(|(_, of, _), _| of != id);
        tables.seen.remove(id);
        tables.soft_bounces.remove(id);
        Ok(())
    }

    async fn page(&self, after: u64, size: usize) -> Result<(Vec<Subscriber>, Option<u64>), StoreError> {
        let tables = self.tables();
        let after = usize::try_from(after).expect("small");
        let page: Vec<Subscriber> = tables
            .subscribers
            .values()
            .skip(after)
            .take(size)
            .map(|kept| kept.subscriber.clone())
            .collect();
        let end = after + page.len();
        Ok((page, (end < tables.subscribers.len()).then_some(end as u64)))
    }

    async fn active(&self, channel: Channel, _: u64) -> Result<(u64, Vec<String>), StoreError> {
        Ok((0, self.tables().due[channel as usize].keys().cloned().collect()))
    }

    async fn pauses_ending(&self, until: Timestamp, most: usize) -> Result<Vec<String>, StoreError> {
        let tables = self.tables();
        let ending = tables.subscribers.values().filter(|kept| {
            let end = kept.subscriber.paused_until;
            end.is_some_and(|end| end <= until)
        });
        Ok(ending.map(|kept| kept.subscriber.id.clone()).take(most).collect())
    }

    async fn profiles(&self, ids: &[String]) -> Each<Option<SubscriberProfile>> {
        let tables = self.tables();
        let profile = |id: &String| {
            let kept = tables.subscribers.get(id)?;
            Some(SubscriberProfile {
                subscriber: kept.subscriber.clone(),
                vectors: kept.vectors.clone(),
            })
        };
        Ok(ids.iter().map(|id| Ok(profile(id))).collect())
    }

    async fn keep_vectors(&self, subscriber: &Subscriber, vectors: &InterestVectors) -> Result<(), StoreError> {
        let mut tables = self.tables();
        let kept = tables.subscribers.get_mut(&subscriber.id);
        if let Some(kept) = kept.filter(|kept| kept.subscriber.version == subscriber.version) {
            kept.vectors = Some(vectors.clone());
        }
        Ok(())
    }

    async fn suppression(&self, address_hash: &str) -> Result<Option<SuppressionEntry>, StoreError> {
        Ok(self.tables().suppressions.get(address_hash).copied())
    }

    async fn replace_suppression(&self, address_hash: &str, entry: SuppressionEntry) -> Result<bool, StoreError> {
        let mut tables = self.tables();
        let known = tables.suppressions.get(address_hash).map_or(0, |known| known.version);
        if known != entry.version - 1 {
            return Ok(false);
        }
        tables.suppressions.insert(address_hash.to_owned(), entry);
        Ok(true)
    }

    async fn ensure_suppression_logged(&self, _: &str) -> Result<(), StoreError> {
        Ok(())
    }

    async fn suppressions(&self, _: u64, _: usize) -> Result<(u64, Vec<Suppression>), StoreError> {
        let tables = self.tables();
        let found = tables.suppressions.iter().filter_map(|(hash, entry)| {
            Some(Suppression {
                hash: hash.clone(),
                cause: entry.cause?,
                since: entry.since,
            })
        });
        Ok((0, found.collect()))
    }
}

#[async_trait]
impl RateLimiter for MemoryStore {
    async fn take(&self, buckets: &[TokenBucket], now: Timestamp) -> Result<Option<Duration>, StoreError> {
        let mut tables = self.tables();
        let mut wait = Duration::ZERO;
        let mut left = Vec::with_capacity(buckets.len());
        for bucket in buckets {
            let capacity = f64::from(bucket.capacity);
            let (known, at) = tables.buckets.get(&bucket.name).copied().unwrap_or((capacity, now));
            let per_second = capacity / bucket.filled_in.as_secs_f64();
            let tokens = capacity.min(known + now.duration_since(at).as_secs_f64() * per_second);
            if tokens < 1.0 {
                let missing = ((1.0 - tokens) / per_second * 1_000.0).ceil() / 1_000.0;
                wait = wait.max(Duration::from_secs_f64(missing));
            }
            left.push(tokens);
        }
        if !wait.is_zero() {
            return Ok(Some(wait));
        }
        for (bucket, tokens) in buckets.iter().zip(left) {
            tables.buckets.insert(bucket.name.clone(), (tokens - 1.0, now));
        }
        Ok(None)
    }

    async fn count(
        &self,
        windows: &[SlidingWindow],
        event: &str,
        now: Timestamp,
    ) -> Result<Option<FullWindow>, StoreError> {
        let table = &mut self.tables().windows;
        if pending::is_counted(table, windows, event) {
            return Ok(None);
        }
        let full = pending::full(table, windows, now);
        if full.is_none() {
            pending::count(table, windows, event, now);
        }
        Ok(full)
    }

    async fn full_window(&self, windows: &[SlidingWindow], now: Timestamp) -> Result<Option<FullWindow>, StoreError> {
        Ok(pending::full(&self.tables().windows, windows, now))
    }

    async fn uncount(&self, windows: &[SlidingWindow], event: &str, counted: Timestamp) -> Result<(), StoreError> {
        pending::uncount(&mut self.tables().windows, windows, event, counted);
        Ok(())
    }
}

#[async_trait]
impl StoreRecovery for MemoryStore {
    async fn recover(
        &self,
        _: RecoveryExtent,
        _: &mut (dyn FnMut(RecoveryProgress) + Send),
    ) -> Result<RecoveryProgress, StoreError> {
        Ok(RecoveryProgress::default())
    }
}
