//! What goes into the log of subscribers and suppressions beside Redis, see [`common::journal`], and what the log alone
//! decides while Redis does not answer.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use common::clock::Clock;
use common::flow;
use common::journal::{Journal, LogEntry, NewEntry};
use futures::{FutureExt as _, StreamExt as _};
use jiff::Timestamp;
use proto::convert::to_wire_time;
use proto::subscriptions::v1::{DeliveryLogged, PendingLogged, SubscriberLogged, SuppressionLogged};
use tokio::sync::Notify;
use tracing::{debug, error};

use super::connection::RedisConnection;
use super::records::{self, SubscriberWrite};
use super::suppressions;
use crate::ports::{NextDue, Placement, StoreError};
use crate::subscribers::{Subscriber, SubscriberState};

/// How many changes Redis may have had and not logged while it did not answer; what is decided without it counts as newer.
const VERSIONS_AHEAD: u64 = 1_000;

/// The log beside Redis; clones share it.
#[derive(Clone)]
pub struct SubscriberLog {
    pub connection: RedisConnection,
    journal: Option<Journal>,
    clock: Clock,
    /// Who ended in the log while Redis did not answer, and not in Redis yet. Ids alone: an outage may be long, and whoever has
    /// a link may open it again and again.
    pending_ends: Arc<Mutex<BTreeSet<String>>>,
    end_noted: Arc<Notify>,
}

impl SubscriberLog {
    /// Beside what a connection leads to; without a journal nothing is logged.
    pub fn new(connection: RedisConnection, journal: Option<Journal>, clock: Clock) -> Self {
        Self {
            connection,
            journal,
            clock,
            pending_ends: Arc::default(),
            end_noted: Arc::default(),
        }
    }

    /// The log itself.
    pub fn journal(&self) -> Option<&Journal> {
        self.journal.as_ref()
    }

    /// Whether the log takes new subscribers: what room is left when it is almost full is for those it has.
    pub fn require_room(&self) -> Result<(), StoreError> {
        let room = self.journal.as_ref().map(Journal::require_room::<SubscriberLogged>);
        Ok(room.unwrap_or(Ok(()))?)
    }

    /// The clock of the process.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Puts the newest state of a subscriber into the log, where that has an older one.
    pub async fn put_subscriber(&self, id: &str) -> Result<(), StoreError> {
        let Some(journal) = &self.journal else {
            return Ok(());
        };
        let newest = |logged: Option<SubscriberLogged>| {
            let reading = async move {
                let Some(known) = records::load(&self.connection, id).await? else {
                    return Ok::<_, StoreError>(None);
                };
                let there = logged.is_some_and(|logged| logged.version >= known.version);
                Ok((!there).then(|| records::to_log(&known)))
            };
            reading.boxed()
        };
        journal.put(id, newest).await.map(drop)
    }

    /// Puts what is said of an address into the log, where that has nothing or an older word.
    pub async fn put_suppression(&self, address_hash: &str) -> Result<(), StoreError> {
        let Some(journal) = &self.journal else {
            return Ok(());
        };
        let newest = |logged: Option<SuppressionLogged>| {
            let reading = async move {
                let Some(entry) = suppressions::load(&self.connection, address_hash).await? else {
                    return Ok::<_, StoreError>(None);
                };
                let known = logged.is_some_and(|logged| logged.version >= entry.version);
                Ok((!known).then(|| suppressions::to_log(entry, address_hash)))
            };
            reading.boxed()
        };
        journal.put(address_hash, newest).await.map(drop)
    }

    /// So many subscribers at most, in the order of their last changes, from where an earlier page ended; and where to go
    /// on. One that does not parse is logged and left out of the page.
    pub async fn page(&self, after: u64, size: usize) -> Result<(Vec<Subscriber>, Option<u64>), StoreError> {
        let mut page = Vec::new();
        let Some(journal) = &self.journal else {
            return Ok((page, None));
        };
        let mut entries = journal.read(flow::SUBSCRIBERS, after).await?.take(size);
        let mut next = None;
        while let Some(entry) = entries.next().await {
            next = (entry.waiting > 0).then_some(entry.place);
            let Some(logged) = entry.message::<SubscriberLogged>()?.filter(|logged| !logged.forgotten) else {
                continue;
            };
            match records::from_log(&logged) {
                Ok(one) => page.push(one),
                Err(problem) => error!(
                    problem,
                    subscriber = logged.subscriber_id,
                    "a subscriber in the log does not parse and is missing in a list"
                ),
            }
        }
        Ok((page, next))
    }

    /// Ends a subscription in the log alone.
    pub async fn end(&self, id: &str, now: Timestamp) -> Result<Option<Subscriber>, StoreError> {
        let Some(journal) = &self.journal else {
            return Ok(None);
        };
        let end = |logged: Option<SubscriberLogged>| {
            let logged = logged.and_then(|logged| ended(&logged, now));
            futures::future::ready(Ok::<_, StoreError>(logged)).boxed()
        };
        let Some(logged) = journal.put(id, end).await?.filter(|logged| !logged.forgotten) else {
            return Ok(None);
        };
        self.note_end(id);
        self.end_noted.notify_one();
        let ended = records::from_log(&logged).map_err(|problem| StoreError::corrupt(id, problem))?;
        Ok(Some(ended))
    }

    /// Remembers that somebody may have ended in the log alone.
    fn note_end(&self, id: &str) {
        self.pending_ends().insert(id.to_owned());
    }

    /// Remembers an end that another replica has logged, until Redis has it.
    pub fn note_end_of(&self, entry: &LogEntry) {
        // One that does not parse is reported by whoever restores it.
        let logged = entry.message::<SubscriberLogged>().ok().flatten();
        if let Some(logged) = logged.filter(is_over) {
            self.note_end(&logged.subscriber_id);
        }
    }

    /// Whether somebody ended in the log who is not known to have ended in Redis.
    pub fn has_pending_ends(&self) -> bool {
        !self.pending_ends().is_empty()
    }

    /// Returns when somebody has ended in the log alone since the last time.
    pub async fn end_noted(&self) {
        self.end_noted.notified().await;
    }

    /// Ends in Redis what was ended in the log while Redis did not answer. To be done before anything is sent.
    pub async fn flush_pending_ends(&self) -> Result<(), StoreError> {
        loop {
            let Some(id) = self.pending_ends().first().cloned() else {
                return Ok(());
            };
            self.end_in_redis(&id).await?;
            self.pending_ends().remove(&id);
        }
    }

    async fn end_in_redis(&self, id: &str) -> Result<(), StoreError> {
        let logged = match &self.journal {
            Some(journal) => journal.newest::<SubscriberLogged>(id).await?,
            None => None,
        };
        // Who was forgotten meanwhile is forgotten in Redis, too.
        let Some(logged) = logged.filter(|logged| !logged.forgotten) else {
            return Ok(());
        };
        let ended = records::from_log(&logged).map_err(|problem| StoreError::corrupt(id, problem))?;
        let never = Placement {
            due: [NextDue::Never; 2],
            vectors_hold: false,
        };
        // Somebody who subscribed again meanwhile was in Redis first.
        if is_over(&logged) {
            let restored = SubscriberWrite::over_older(&ended, never).run(&self.connection).await?;
            debug!(subscriber = id, restored, "ended in redis, too");
        }
        Ok(())
    }

    /// Leaves no more of a subscriber in the log than that there was one of this id.
    pub async fn forget(&self, id: &str, version: u64) -> Result<(), StoreError> {
        let Some(journal) = &self.journal else {
            return Ok(());
        };
        let forgotten = |_| {
            let entry = SubscriberLogged {
                subscriber_id: id.to_owned(),
                version,
                forgotten: true,
                ..SubscriberLogged::default()
            };
            futures::future::ready(Ok::<_, StoreError>(Some(entry))).boxed()
        };
        journal.put(id, forgotten).await?;
        Ok(journal.discard::<DeliveryLogged>(id).await?)
    }

    /// Erases what was said of a forgotten subscriber before, from the files of the log, too.
    pub async fn erase(&self, id: &str) -> Result<(), StoreError> {
        let Some(journal) = &self.journal else {
            return Ok(());
        };
        journal.erase_earlier::<SubscriberLogged>(id).await?;
        // Digests that ended while the subscriber was forgotten.
        Ok(journal.discard::<DeliveryLogged>(id).await?)
    }

    /// Adds a request to subscribe.
    pub async fn add_pending(&self, pending: PendingLogged) -> Result<(), StoreError> {
        let Some(journal) = &self.journal else {
            return Ok(());
        };
        let id = pending.request_id.clone();
        let entry = NewEntry {
            key: id.clone(),
            id,
            message: pending,
        };
        for added in journal.add_all(vec![entry]).await {
            added?;
        }
        Ok(())
    }

    /// Takes a request to subscribe out of the log.
    pub async fn forget_pending(&self, id: &str) -> Result<(), StoreError> {
        match &self.journal {
            Some(journal) => Ok(journal.forget::<PendingLogged>(id).await?),
            None => Ok(()),
        }
    }

    fn pending_ends(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.pending_ends.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a subscriber in the log becomes when the subscription ends; none where it has ended.
fn ended(logged: &SubscriberLogged, now: Timestamp) -> Option<SubscriberLogged> {
    if logged.forgotten || is_over(logged) {
        return None;
    }
    Some(SubscriberLogged {
        state: SubscriberState::Unsubscribed.name().to_owned(),
        ended_time: Some(to_wire_time(now)),
        paused_until_time: None,
        version: logged.version + VERSIONS_AHEAD,
        ..logged.clone()
    })
}

fn is_over(logged: &SubscriberLogged) -> bool {
    let over = [SubscriberState::Unsubscribed, SubscriberState::Suppressed].map(SubscriberState::name);
    over.contains(&logged.state.as_str())
}
