//! Redis from the log: subscribers, suppressions and deliveries that Redis has lost, or has in an older version; and the
//! other way round, what the log has lost.
//!
//! Done again it changes nothing. Deliveries come first, so that a subscriber is never due again for a slot that was sent.

use std::collections::HashMap;
use std::sync::LazyLock;

use common::bus::BusError;
use common::flow;
use common::journal::{Entry, Journal, Standing};
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use proto::convert::from_wire_time;
use proto::subscriptions::v1::{DeliveryLogged, SubscriberLogged, SuppressionLogged};
use redis::Script;
use tracing::warn;

use super::changes::WRITE;
use super::deliveries::{Pick, to_json};
use super::logging::slot_of;
use super::placing::{placed_at, writing};
use super::reading::seen_key;
use super::seen;
use super::suppressions::SUPPRESSED;
use super::{Channel, LOGGED, Subscriber, Subscribers, SubscribersError, invocation, record, subscriber_key};
use crate::metrics::RESTORED;

/// Entries that are restored in one round trip.
const CHUNK: usize = 256;
/// Subscribers that are logged at the same time.
const LOGGED_AT_ONCE: usize = 32;

static RESTORE_DELIVERY: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("restore_delivery.lua")));

/// How much of the log is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// What is newer than the mark in Redis, where that mark is of this log; else everything.
    SinceMark,
    /// Everything, and everything in Redis is logged.
    Everything,
}

/// How far a rebuild is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Entries read.
    pub read: u64,
    /// Entries there were when it began.
    pub total: u64,
    /// Subscribers, suppressions and deliveries that Redis did not have, or had in an older version.
    pub restored: u64,
    /// Subscribers and suppressions of Redis that were compared with the log, and put there where it had older ones.
    pub logged: u64,
}

/// Where both logs stand, or stood when Redis was known to have everything.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mark {
    /// Which streams these are.
    made: String,
    subscribers: u64,
    deliveries: u64,
}

impl Subscribers {
    /// Brings Redis up to the log, and the log up to Redis. Each step of the way is told.
    pub async fn rebuild(
        &self,
        reach: Reach,
        mut tell: impl FnMut(Progress) + Send,
    ) -> Result<Progress, SubscribersError> {
        let Some(log) = self.log.clone() else {
            return Ok(Progress::default());
        };
        let (subscribers, deliveries) = standings(&log).await?;
        let now = Mark {
            made: format!("{}.{}", subscribers.made, deliveries.made),
            subscribers: subscribers.last,
            deliveries: deliveries.last,
        };
        // A log that was put back from a copy may end before the mark.
        let holds = |mark: &Mark| {
            mark.made == now.made && mark.subscribers <= now.subscribers && mark.deliveries <= now.deliveries
        };
        let from = self
            .mark()
            .await?
            .filter(|mark| holds(mark) && reach == Reach::SinceMark);
        let begin = from.clone().unwrap_or(Mark {
            subscribers: 0,
            deliveries: 0,
            made: String::new(),
        });
        let mut progress = Progress {
            total: match from {
                Some(_) => (now.subscribers - begin.subscribers) + (now.deliveries - begin.deliveries),
                None => subscribers.entries + deliveries.entries,
            },
            ..Progress::default()
        };
        // A Redis without a key has nothing that the log could lack.
        let keys: u64 = self.ask(&redis::cmd("DBSIZE")).await?;
        for (stream, after) in [
            (flow::DELIVERIES, begin.deliveries),
            (flow::SUBSCRIBERS, begin.subscribers),
        ] {
            let mut chunks = log.read(stream, after).await?.ready_chunks(CHUNK);
            while let Some(entries) = chunks.next().await {
                progress.restored += self.restore_entries(&entries).await?;
                progress.read += entries.len() as u64;
                tell(progress);
            }
        }
        if from.is_none() && keys > 0 {
            self.log_everything(&mut progress, &mut tell).await?;
        }
        self.set_mark(&now).await?;
        RESTORED.inc_by(progress.restored);
        Ok(progress)
    }

    /// New entries of the log of subscribers, behind what Redis has.
    pub(super) async fn follow_log(&self) -> Result<BoxStream<'static, Entry>, SubscribersError> {
        let Some(log) = &self.log else {
            return Ok(futures::stream::pending().boxed());
        };
        let after = self.mark().await?.map_or(0, |mark| mark.subscribers);
        Ok(log.follow(flow::SUBSCRIBERS, after).await?)
    }

    /// Says that Redis has everything up to this place of the log of subscribers, and up to that one of deliveries.
    pub(super) async fn move_mark(&self, subscribers: u64, deliveries: u64) -> Result<(), SubscribersError> {
        let mut command = redis::cmd("HSET");
        command.arg(LOGGED).arg("subscribers").arg(subscribers);
        self.ask(command.arg("deliveries").arg(deliveries)).await
    }

    /// The last place of the log of deliveries.
    pub(super) async fn last_delivery(&self) -> Result<u64, SubscribersError> {
        match &self.log {
            Some(log) => Ok(log.standing(flow::DELIVERIES).await?.last),
            None => Ok(0),
        }
    }

    /// Whether Redis is the one that was marked: one that lost its data, or fell back behind it, is not.
    pub(super) async fn is_marked(&self) -> Result<bool, SubscribersError> {
        Ok(self.mark().await?.is_some())
    }

    /// Makes sure that Redis has not lost what it had, before something is taken for new. The keeper finds that out, too, but
    /// only after a while.
    pub(super) async fn be_whole(&self) -> Result<(), SubscribersError> {
        if self.log.is_some() && !self.is_marked().await? {
            Box::pin(self.rebuild(Reach::SinceMark, |_| {})).await?;
        }
        Ok(())
    }

    /// Takes entries into Redis in one or two round trips; answers how many were news.
    pub(super) async fn restore_entries(&self, entries: &[Entry]) -> Result<u64, SubscribersError> {
        let mut news = 0;
        let (mut subscribers, mut deliveries) = (Vec::new(), Vec::new());
        for entry in entries {
            if let Some(logged) = entry.message::<SubscriberLogged>() {
                if logged.forgotten {
                    news += u64::from(self.forget_in_redis(&logged.subscriber_id, logged.version).await?);
                    continue;
                }
                match record::from_log(&logged) {
                    Ok(subscriber) => subscribers.push(subscriber),
                    Err(problem) => {
                        warn!(
                            problem,
                            id = logged.subscriber_id,
                            "subscriber in the log does not parse, left out"
                        );
                    }
                }
            } else if let Some(logged) = entry.message::<SuppressionLogged>() {
                news += u64::from(self.restore_suppression(&logged).await?);
            } else if let Some(logged) = entry.message::<DeliveryLogged>() {
                deliveries.push(logged);
            }
        }
        news += self.restore_deliveries(&deliveries).await?;
        Ok(news + self.restore_subscribers(&subscribers).await?)
    }

    /// Takes one subscriber into Redis, due at a moment on each channel, where Redis has none or an older version; true
    /// where it had.
    pub(super) async fn restore(
        &self,
        subscriber: &Subscriber,
        due: [Option<Timestamp>; 2],
    ) -> Result<bool, SubscribersError> {
        let (keys, arguments) = writing("newer", subscriber, &placed_at(due));
        self.script(&WRITE, &keys, &arguments).await
    }

    async fn restore_subscribers(&self, subscribers: &[Subscriber]) -> Result<u64, SubscribersError> {
        if subscribers.is_empty() {
            return Ok(0);
        }
        let now = Timestamp::now();
        let mut looking = redis::pipe();
        for one in subscribers {
            let slot = one.preferences.schedule.current_slot(now);
            for channel in Channel::ALL {
                looking
                    .cmd("HGET")
                    .arg(channel.delivery_key(&one.id, slot))
                    .arg("state");
            }
        }
        let states: Vec<Option<String>> = looking.query_async(&mut self.redis.clone()).await?;
        let (states, _) = states.as_chunks::<2>();
        let calls: Vec<_> = subscribers
            .iter()
            .zip(states)
            .map(|(one, states)| {
                let due = Channel::ALL.map(|channel| due(one, channel, states[channel as usize].as_deref(), now));
                let (keys, arguments) = writing("newer", one, &placed_at(due));
                invocation(&WRITE, &keys, &arguments)
            })
            .collect();
        let written = self.invoke_all(&WRITE, &calls).await?;
        self.wake();
        Ok(written)
    }

    async fn restore_deliveries(&self, deliveries: &[DeliveryLogged]) -> Result<u64, SubscribersError> {
        let mut calls = Vec::with_capacity(deliveries.len());
        for logged in deliveries {
            let Some(slot) = slot_of(logged) else {
                warn!(
                    id = logged.subscriber_id,
                    "delivery without a slot in the log, left out"
                );
                continue;
            };
            let (keys, arguments) = restoring(logged, slot)?;
            calls.push(invocation(&RESTORE_DELIVERY, &keys, &arguments));
        }
        self.invoke_all(&RESTORE_DELIVERY, &calls).await
    }

    /// Calls one script many times in one round trip; answers how often it said 1.
    async fn invoke_all(
        &self,
        script: &Script,
        calls: &[redis::ScriptInvocation<'_>],
    ) -> Result<u64, SubscribersError> {
        if calls.is_empty() {
            return Ok(0);
        }
        let mut pipeline = redis::pipe();
        pipeline.load_script(script).ignore();
        for call in calls {
            pipeline.invoke_script(call);
        }
        let answers: Vec<u64> = pipeline.query_async(&mut self.redis.clone()).await?;
        Ok(answers.into_iter().sum())
    }

    /// Logs what Redis has and the log has not: it was lost, or Redis is of a release that had none.
    async fn log_everything(
        &self,
        progress: &mut Progress,
        tell: &mut (impl FnMut(Progress) + Send),
    ) -> Result<(), SubscribersError> {
        let mut cursor = 0;
        loop {
            let mut command = redis::cmd("SCAN");
            command
                .arg(cursor)
                .arg("MATCH")
                .arg(subscriber_key("*"))
                .arg("COUNT")
                .arg(1_000);
            let (next, keys): (u64, Vec<String>) = self.ask(&command).await?;
            let ids: Vec<String> = keys
                .iter()
                .filter_map(|key| key.rsplit(':').next())
                .map(str::to_owned)
                .collect();
            let logging = futures::stream::iter(ids).map(|id| async move { self.renew(&id).await });
            let logged: Vec<()> = logging.buffer_unordered(LOGGED_AT_ONCE).try_collect().await?;
            progress.logged += logged.len() as u64;
            tell(*progress);
            if next == 0 {
                break;
            }
            cursor = next;
        }
        let hashes: Vec<String> = self.ask(redis::cmd("HKEYS").arg(SUPPRESSED)).await?;
        let count = hashes.len() as u64;
        let logging = futures::stream::iter(hashes).map(|hash| async move { self.log_suppression(&hash).await });
        let _: Vec<()> = logging.buffer_unordered(LOGGED_AT_ONCE).try_collect().await?;
        progress.logged += count;
        self.ask(redis::cmd("DEL").arg("broadsheet:active")).await
    }

    /// Logs a subscriber; one of a release before versions is written anew first. One that cannot be read is told of and
    /// left as it is.
    async fn renew(&self, id: &str) -> Result<(), SubscribersError> {
        let renewed = match self.get(id).await {
            Ok(Some(known)) if known.version == 0 => {
                let first = Subscriber { version: 1, ..known };
                let due = self.due(id).await?;
                // Of a time before webhooks.
                self.restore(&first, [due, None]).await?;
                self.log(id).await
            }
            Ok(_) => self.log(id).await,
            Err(error) => Err(error),
        };
        match renewed {
            Err(error @ SubscribersError::Corrupt { .. }) => {
                warn!(%error, "subscriber left out of the log");
                Ok(())
            }
            other => other,
        }
    }

    async fn mark(&self) -> Result<Option<Mark>, SubscribersError> {
        let fields: HashMap<String, String> = self.ask(redis::cmd("HGETALL").arg(LOGGED)).await?;
        let place = |name: &str| fields.get(name).and_then(|place| place.parse().ok()).unwrap_or(0);
        Ok(fields.get("made").map(|made| Mark {
            made: made.clone(),
            subscribers: place("subscribers"),
            deliveries: place("deliveries"),
        }))
    }

    async fn set_mark(&self, mark: &Mark) -> Result<(), SubscribersError> {
        let mut command = redis::cmd("HSET");
        command.arg(LOGGED).arg("made").arg(&mark.made);
        command.arg("subscribers").arg(mark.subscribers);
        self.ask(command.arg("deliveries").arg(mark.deliveries)).await
    }
}

async fn standings(log: &Journal) -> Result<(Standing, Standing), BusError> {
    futures::try_join!(log.standing(flow::SUBSCRIBERS), log.standing(flow::DELIVERIES))
}

/// When a subscriber from the log is due on a channel: at the slot that is running where its edition is not known to have
/// ended and its slots counted then already, else at the next one.
fn due(of: &Subscriber, channel: Channel, delivery: Option<&str>, now: Timestamp) -> Option<Timestamp> {
    if !of.is_due_on(channel) {
        return None;
    }
    let schedule = &of.preferences.schedule;
    let slot = schedule.current_slot(now);
    let agreed = of.webhook.as_ref().map(|webhook| webhook.since);
    let since = of.due_since.max(agreed.filter(|_| channel == Channel::Webhook));
    let counted = since.is_none_or(|since| since <= slot);
    let open = !matches!(delivery, Some("sent" | "failed" | "empty" | "expired"));
    Some(if counted && open { slot } else { schedule.next_slot(now) })
}

/// Keys and arguments of the script that puts a delivery back.
fn restoring(logged: &DeliveryLogged, slot: Timestamp) -> Result<([String; 3], Vec<Vec<u8>>), SubscribersError> {
    let id = &logged.subscriber_id;
    let picks: Vec<Pick> = logged.paper_ids.iter().map(|id| Pick::known_only(id)).collect();
    let channel = Channel::parse(&logged.channel);
    let keys = [channel.delivery_key(id, slot), channel.deliveries_key(id), seen_key(id)];
    let at = logged
        .time
        .and_then(|time| from_wire_time("time", time).ok())
        .unwrap_or(slot);
    let arguments = [
        slot.as_millisecond().to_string(),
        logged.state.clone(),
        to_json(&keys[0], &picks)?,
        logged.message_id.clone(),
        at.as_millisecond().to_string(),
    ];
    let mut arguments: Vec<Vec<u8>> = arguments.map(String::into_bytes).into();
    if logged.state == "sent" {
        arguments.push(seen::pack(logged.paper_ids.iter().map(String::as_str), slot));
    }
    Ok((keys, arguments))
}
