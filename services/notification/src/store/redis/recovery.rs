//! [`StoreRecovery`]: Redis from the log. Subscribers, suppressions and deliveries that Redis has lost, or has in an older
//! version; and the other way round, what the log has lost.
//!
//! Done again it changes nothing. Deliveries come first, so that a subscriber is never due again for a slot that was sent.
//!
//! Whoever changed Redis writes its current content over the log entry that was read before, so the newest state is the last
//! one, whatever races. At startup, and whenever Redis turns out to be new or empty, Redis is brought up to the log,
//! deliveries first, and the log up to Redis.

use std::collections::HashMap;
use std::sync::LazyLock;

use async_trait::async_trait;
use common::bus::BusError;
use common::clock::Clock;
use common::flow;
use common::journal::{Journal, LogEntry, StreamState};
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use proto::convert::from_wire_time;
use proto::subscriptions::v1::{DeliveryLogged, PendingLogged, SubscriberLogged, SuppressionLogged};
use redis::Script;
use tracing::error;

use super::connection::{RedisConnection, invocation};
use super::due_queue::Wakeups;
use super::ledger::picks_to_json;
use super::log::SubscriberLog;
use super::records::{self, SubscriberWrite, WRITE};
use super::{keys, pending, suppressions};
use crate::metrics::RESTORED;
use crate::ports::{NextDue, Placement, RecoveryExtent, RecoveryProgress, StoreError, StoreRecovery};
use crate::subscribers::deliveries::{DeliveryStage, Pick};
use crate::subscribers::{Channel, Subscriber, seen};

/// Entries that are restored in one round trip.
const CHUNK: usize = 256;
/// Subscribers that are logged at the same time.
const LOGGED_AT_ONCE: usize = 32;

static RESTORE_DELIVERY: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("restore_delivery.lua")));

/// How far both logs are, or were when Redis was known to have everything.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mark {
    /// Which streams these are.
    made: String,
    subscribers: u64,
    deliveries: u64,
}

impl Mark {
    const BEGINNING: Self = Self {
        made: String::new(),
        subscribers: 0,
        deliveries: 0,
    };

    /// Whether the streams that `now` is of go on from here. A log that was put back from a copy may end before.
    fn is_before(&self, now: &Self) -> bool {
        self.made == now.made && self.subscribers <= now.subscribers && self.deliveries <= now.deliveries
    }
}

/// Brings Redis up to the log.
pub struct RedisRecovery {
    log: SubscriberLog,
    wakeups: Wakeups,
    clock: Clock,
}

impl RedisRecovery {
    /// From a log.
    pub fn new(log: SubscriberLog, wakeups: Wakeups, clock: Clock) -> Self {
        Self { log, wakeups, clock }
    }

    fn connection(&self) -> &RedisConnection {
        &self.log.connection
    }

    /// Makes sure that Redis has not lost what it had, before something is taken for new. The reconciler finds that out,
    /// too, but only after a while.
    pub async fn ensure_complete(&self) -> Result<(), StoreError> {
        if self.log.journal().is_some() && !self.is_marked().await? {
            Box::pin(self.recover(RecoveryExtent::SinceMark, &mut |_| {})).await?;
        }
        Ok(())
    }

    /// New entries of the log of subscribers, behind what Redis has.
    pub async fn follow_log(&self) -> Result<BoxStream<'static, LogEntry>, StoreError> {
        let Some(journal) = self.log.journal() else {
            return Ok(futures::stream::pending().boxed());
        };
        let after = self.mark().await?.map_or(0, |mark| mark.subscribers);
        Ok(journal.follow(flow::SUBSCRIBERS, after).await?)
    }

    /// Says that Redis has everything up to this place of the log of subscribers, and up to that one of deliveries.
    pub async fn move_mark(&self, subscribers: u64, deliveries: u64) -> Result<(), StoreError> {
        let mut command = redis::cmd("HSET");
        command.arg(keys::LOGGED).arg("subscribers").arg(subscribers);
        self.connection().ask(command.arg("deliveries").arg(deliveries)).await
    }

    /// The last place of the log of deliveries.
    pub async fn last_delivery(&self) -> Result<u64, StoreError> {
        match self.log.journal() {
            Some(journal) => Ok(journal.stream_state(flow::DELIVERIES).await?.last),
            None => Ok(0),
        }
    }

    /// Whether Redis is the one that was marked: one that lost its data, or fell back behind it, is not.
    pub async fn is_marked(&self) -> Result<bool, StoreError> {
        Ok(self.mark().await?.is_some())
    }

    /// Ends in Redis what was ended in the log while Redis did not answer.
    pub async fn flush_pending_ends(&self) -> Result<(), StoreError> {
        self.log.flush_pending_ends().await
    }

    /// The log, for who keeps Redis up to it.
    pub fn log(&self) -> &SubscriberLog {
        &self.log
    }

    /// The id of the run of Redis: another one has been started anew.
    pub async fn redis_run(&self) -> Result<String, StoreError> {
        let info: String = self.connection().ask(redis::cmd("INFO").arg("server")).await?;
        let run = info.lines().find_map(|line| line.strip_prefix("run_id:"));
        Ok(run.unwrap_or_default().trim().to_owned())
    }

    /// Takes entries into Redis in one or two round trips; answers how many were news. A subscriber that does not parse is
    /// left out, so nothing is sent there; a suppression that does not parse suppresses all the same; a delivery in a state
    /// that this version does not know is taken as it is, so that its digest is refused instead of sent again.
    pub async fn restore(&self, entries: &[LogEntry]) -> Result<u64, StoreError> {
        let mut news = 0;
        let (mut subscribers, mut deliveries) = (Vec::new(), Vec::new());
        for entry in entries {
            if let Some(id) = entry.key::<SubscriberLogged>() {
                match entry.message::<SubscriberLogged>() {
                    Ok(Some(logged)) if logged.forgotten => {
                        let forgotten = records::forget(self.connection(), &logged.subscriber_id, logged.version);
                        news += u64::from(forgotten.await?);
                    }
                    Ok(logged) => subscribers.extend(parsed(id, logged)),
                    Err(error) => error!(%error, subscriber = id, "a subscriber in the log is left out"),
                }
            } else if let Some(hash) = entry.key::<SuppressionLogged>() {
                let logged = entry.message::<SuppressionLogged>().map(Option::unwrap_or_default);
                let restored = suppressions::restore(self.connection(), hash, logged, self.clock.now());
                news += u64::from(restored.await?);
            } else if let Some(id) = entry.key::<PendingLogged>() {
                news += u64::from(self.restore_pending(id, entry).await?);
            } else if let Some(id) = entry.key::<DeliveryLogged>() {
                match entry.message::<DeliveryLogged>() {
                    Ok(logged) => deliveries.extend(logged),
                    Err(error) => error!(%error, subscriber = id, "a delivery in the log is left out"),
                }
            }
        }
        news += self.restore_deliveries(&deliveries).await?;
        Ok(news + self.restore_subscribers(&subscribers).await?)
    }

    /// Takes a request to subscribe into Redis; one that does not parse is left out, and its reader asks again.
    async fn restore_pending(&self, id: &str, entry: &LogEntry) -> Result<bool, StoreError> {
        let restored = match entry.message::<PendingLogged>() {
            Ok(Some(logged)) => pending::restore(self.connection(), &logged, self.clock.now()).await,
            Ok(None) => Ok(false),
            Err(error) => Err(error.into()),
        };
        match restored {
            Err(error @ (StoreError::Corrupt { .. } | StoreError::Log(BusError::Undecodable { .. }))) => {
                error!(%error, request = id, "a request to subscribe in the log is left out");
                Ok(false)
            }
            other => other,
        }
    }

    async fn restore_subscribers(&self, subscribers: &[Subscriber]) -> Result<u64, StoreError> {
        if subscribers.is_empty() {
            return Ok(0);
        }
        let now = self.clock.now();
        let mut reading = redis::pipe();
        for one in subscribers {
            let slot = one.preferences.schedule.current_slot(now);
            for channel in Channel::ALL {
                reading
                    .cmd("HGET")
                    .arg(keys::delivery(channel, &one.id, slot))
                    .arg("state");
            }
        }
        let states: Vec<Option<String>> = self.connection().pipeline(&reading).await?;
        let (states, _) = states.as_chunks::<2>();
        let write = |(one, states): (&Subscriber, &[Option<String>; 2])| {
            let placement = Placement {
                due: Channel::ALL.map(|channel| next_due(one, channel, states[channel as usize].as_deref(), now)),
                vectors_hold: false,
            };
            SubscriberWrite::over_older(one, placement).invocation()
        };
        let calls: Vec<_> = subscribers.iter().zip(states).map(write).collect();
        let written = self.connection().script_each(&WRITE, &calls).await?;
        self.wakeups.wake();
        Ok(written)
    }

    async fn restore_deliveries(&self, deliveries: &[DeliveryLogged]) -> Result<u64, StoreError> {
        let mut calls = Vec::with_capacity(deliveries.len());
        for logged in deliveries {
            match restoring(logged) {
                Ok((keys, arguments)) => calls.push(invocation(&RESTORE_DELIVERY, &keys, &arguments)),
                Err(error) => error!(%error, "a delivery in the log is left out"),
            }
        }
        self.connection().script_each(&RESTORE_DELIVERY, &calls).await
    }

    /// Logs what Redis has and the log has lost.
    async fn log_everything(
        &self,
        progress: &mut RecoveryProgress,
        report: &mut (dyn FnMut(RecoveryProgress) + Send),
    ) -> Result<(), StoreError> {
        let mut cursor = 0;
        loop {
            let mut command = redis::cmd("SCAN");
            command
                .arg(cursor)
                .arg("MATCH")
                .arg(keys::subscriber("*"))
                .arg("COUNT")
                .arg(1_000);
            let (next, keys): (u64, Vec<String>) = self.connection().ask(&command).await?;
            let ids: Vec<String> = keys
                .iter()
                .filter_map(|key| key.rsplit(':').next())
                .map(str::to_owned)
                .collect();
            let logging = futures::stream::iter(ids).map(|id| async move { self.log_readable(&id).await });
            let logged: Vec<()> = logging.buffer_unordered(LOGGED_AT_ONCE).try_collect().await?;
            progress.logged += logged.len() as u64;
            report(*progress);
            if next == 0 {
                break;
            }
            cursor = next;
        }
        let hashes: Vec<String> = self.connection().ask(redis::cmd("HKEYS").arg(keys::SUPPRESSED)).await?;
        let count = hashes.len() as u64;
        let logging = futures::stream::iter(hashes).map(|hash| async move { self.log.put_suppression(&hash).await });
        let _: Vec<()> = logging.buffer_unordered(LOGGED_AT_ONCE).try_collect().await?;
        progress.logged += count;
        Ok(())
    }

    /// Logs a subscriber; one that cannot be read is reported and left as it is.
    async fn log_readable(&self, id: &str) -> Result<(), StoreError> {
        match self.log.put_subscriber(id).await {
            Err(error @ StoreError::Corrupt { .. }) => {
                error!(%error, "a subscriber is left out of the log");
                Ok(())
            }
            other => other,
        }
    }

    async fn mark(&self) -> Result<Option<Mark>, StoreError> {
        let fields: HashMap<String, String> = self.connection().ask(redis::cmd("HGETALL").arg(keys::LOGGED)).await?;
        let place = |name: &str| fields.get(name).and_then(|place| place.parse().ok()).unwrap_or(0);
        Ok(fields.get("made").map(|made| Mark {
            made: made.clone(),
            subscribers: place("subscribers"),
            deliveries: place("deliveries"),
        }))
    }

    async fn set_mark(&self, mark: &Mark) -> Result<(), StoreError> {
        let mut command = redis::cmd("HSET");
        command.arg(keys::LOGGED).arg("made").arg(&mark.made);
        command.arg("subscribers").arg(mark.subscribers);
        self.connection()
            .ask(command.arg("deliveries").arg(mark.deliveries))
            .await
    }
}

#[async_trait]
impl StoreRecovery for RedisRecovery {
    async fn recover(
        &self,
        extent: RecoveryExtent,
        report: &mut (dyn FnMut(RecoveryProgress) + Send),
    ) -> Result<RecoveryProgress, StoreError> {
        let Some(journal) = self.log.journal() else {
            return Ok(RecoveryProgress::default());
        };
        let (subscribers, deliveries, pending) = stream_states(journal).await?;
        let now = Mark {
            made: format!("{}.{}", subscribers.made, deliveries.made),
            subscribers: subscribers.last,
            deliveries: deliveries.last,
        };
        let known = self.mark().await?;
        let from = known.filter(|mark| mark.is_before(&now) && extent == RecoveryExtent::SinceMark);
        let begin = from.clone().unwrap_or(Mark::BEGINNING);
        let of_readers = match &from {
            Some(_) => (now.subscribers - begin.subscribers) + (now.deliveries - begin.deliveries),
            None => subscribers.entries + deliveries.entries,
        };
        let mut progress = RecoveryProgress {
            total: of_readers + pending.entries,
            ..RecoveryProgress::default()
        };
        // A Redis without a key has nothing that the log could lack.
        let keys: u64 = self.connection().ask(&redis::cmd("DBSIZE")).await?;
        for (stream, after) in [
            (flow::DELIVERIES, begin.deliveries),
            (flow::SUBSCRIBERS, begin.subscribers),
            // All of them, every time: they are few, and most of them are gone soon.
            (flow::PENDING, 0),
        ] {
            let mut chunks = journal.read(stream, after).await?.ready_chunks(CHUNK);
            while let Some(entries) = chunks.next().await {
                progress.restored += self.restore(&entries).await?;
                progress.read += entries.len() as u64;
                report(progress);
            }
        }
        if from.is_none() && keys > 0 {
            self.log_everything(&mut progress, report).await?;
        }
        self.set_mark(&now).await?;
        RESTORED.inc_by(progress.restored);
        Ok(progress)
    }
}

async fn stream_states(journal: &Journal) -> Result<(StreamState, StreamState, StreamState), BusError> {
    futures::try_join!(
        journal.stream_state(flow::SUBSCRIBERS),
        journal.stream_state(flow::DELIVERIES),
        journal.stream_state(flow::PENDING)
    )
}

fn parsed(id: &str, logged: Option<SubscriberLogged>) -> Option<Subscriber> {
    let parsed = records::from_log(&logged?);
    parsed
        .inspect_err(|problem| error!(problem, subscriber = id, "a subscriber in the log is left out"))
        .ok()
}

/// When a subscriber from the log is due on a channel: at the slot that is running where its digest is not known to have
/// ended and its slots counted then already, else at the next one.
fn next_due(of: &Subscriber, channel: Channel, delivery: Option<&str>, now: Timestamp) -> NextDue {
    if !of.is_due_on(channel) {
        return NextDue::Never;
    }
    let schedule = &of.preferences.schedule;
    let slot = schedule.current_slot(now);
    let agreed = of.webhook.as_ref().map(|webhook| webhook.since);
    let since = of.due_since.max(agreed.filter(|_| channel == Channel::Webhook));
    let counted = since.is_none_or(|since| since <= slot);
    // A stage that this version does not know may be an end.
    let open = delivery.is_none_or(|stage| {
        matches!(
            DeliveryStage::parse(stage),
            Some(DeliveryStage::Intended | DeliveryStage::Sending | DeliveryStage::Deferred)
        )
    });
    NextDue::At(if counted && open { slot } else { schedule.next_slot(now) })
}

/// Keys and arguments of the script that puts a delivery back.
fn restoring(logged: &DeliveryLogged) -> Result<([String; 3], Vec<Vec<u8>>), StoreError> {
    let id = &logged.subscriber_id;
    let wrong = |problem: String| StoreError::corrupt(&format!("delivery of {id} in the log"), problem);
    let slot = logged
        .slot_time
        .ok_or_else(|| wrong("slot_time is missing".to_owned()))?;
    let slot = from_wire_time("slot_time", slot).map_err(|error| wrong(error.to_string()))?;
    let channel = Channel::parse(&logged.channel).ok_or_else(|| wrong(format!("channel is {:?}", logged.channel)))?;
    let picks: Vec<Pick> = logged.paper_ids.iter().map(|id| Pick::known_only(id)).collect();
    let keys = [
        keys::delivery(channel, id, slot),
        keys::deliveries(channel, id),
        keys::seen(id),
    ];
    let at = logged
        .time
        .and_then(|time| from_wire_time("time", time).ok())
        .unwrap_or(slot);
    let arguments = [
        slot.as_millisecond().to_string(),
        logged.state.clone(),
        picks_to_json(&keys[0], &picks)?,
        logged.message_id.clone(),
        at.as_millisecond().to_string(),
    ];
    let mut arguments: Vec<Vec<u8>> = arguments.map(String::into_bytes).into();
    if logged.state == DeliveryStage::Sent.name() {
        arguments.push(seen::pack(logged.paper_ids.iter().map(String::as_str), slot));
    }
    Ok((keys, arguments))
}
