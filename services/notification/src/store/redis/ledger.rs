//! [`DeliveryLedger`] over Redis and the log: the record of each digest, the papers each reader was sent, and which mails
//! came back softly.

use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;

use async_trait::async_trait;
use common::bus::BusError;
use common::journal::NewEntry;
use common::tasks::Tasks;
use domain::preferences::Channels;
use jiff::{SignedDuration, Timestamp};
use proto::convert::to_wire_time;
use proto::subscriptions::v1::DeliveryLogged;
use redis::{Script, Value};
use tracing::warn;

use super::batches::{Batcher, ScriptBatcher, ScriptCall, call_in_batches, script_batcher};
use super::connection::{RedisConnection, corrupt, millis, parse};
use super::due_queue::Wakeups;
use super::keys;
use super::log::SubscriberLog;
use crate::metrics::UNLOGGED;
use crate::ports::{DeliveryLedger, Each, StoreError, StoreTimes};
use crate::subscribers::Channel;
use crate::subscribers::deliveries::{
    AttemptEffect, BeginOutcome, DeliveryAttempt, DeliveryHistory, DeliveryRecord, DeliveryStage, LeaseOutcome,
    LeaseRequest, Pick,
};
use crate::subscribers::seen::{self, SeenPapers};

/// So much of a lease the log may take to answer.
const LOG_SHARE_OF_LEASE: u32 = 8;

static LEASE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lease.lua")));
static BEGIN: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("begin.lua")));
static SETTLE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("settle.lua")));

/// What the script that settles says.
const SETTLED: u8 = 1;
const WITHOUT_RECORD: u8 = 2;

/// Records of deliveries in Redis. The requests of digests that are sent at the same time go to Redis and the log together.
pub struct RedisLedger {
    log: SubscriberLog,
    wakeups: Wakeups,
    times: StoreTimes,
    begin: ScriptBatcher<String>,
    settle: ScriptBatcher<u8>,
    /// Endings on their way into the log, where there is one.
    endings: Option<Batcher<NewEntry<DeliveryLogged>, Result<(), BusError>>>,
}

/// Whether papers go along with an ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Papers {
    OnRecord,
    Included,
}

impl RedisLedger {
    /// Beside a log.
    pub fn new(log: SubscriberLog, wakeups: Wakeups, times: StoreTimes, tasks: &Tasks) -> Self {
        let connection = &log.connection;
        let endings = log.journal().cloned().map(|journal| {
            Batcher::start(
                tasks,
                "log of deliveries",
                move |endings: Vec<NewEntry<DeliveryLogged>>| {
                    let journal = journal.clone();
                    async move {
                        let added = journal.add_all(endings).await;
                        UNLOGGED.inc_by(added.iter().filter(|added| added.is_err()).count() as u64);
                        added
                    }
                },
            )
        });
        Self {
            begin: script_batcher(tasks, "begin of deliveries", connection, &BEGIN),
            settle: script_batcher(tasks, "end of deliveries", connection, &SETTLE),
            endings,
            log,
            wakeups,
            times,
        }
    }

    fn connection(&self) -> &RedisConnection {
        &self.log.connection
    }

    fn lease_call(&self, request: &LeaseRequest<'_>, now: i64) -> Result<ScriptCall, StoreError> {
        let attempt = request.attempt;
        let key = attempt_key(&attempt);
        let arguments = [
            attempt.token.owner.clone(),
            attempt.token.epoch.to_string(),
            now.to_string(),
            (now + millis(self.times.lease)).to_string(),
            picks_to_json(&key, request.papers)?,
            request.message_id.to_owned(),
            attempt.slot.as_millisecond().to_string(),
            millis(self.times.retention).to_string(),
        ];
        Ok(ScriptCall {
            keys: vec![key, slots_key(&attempt), other_channel_key(&attempt)],
            arguments: arguments.map(String::into_bytes).into(),
        })
    }

    async fn settle_in_redis(
        &self,
        attempt: DeliveryAttempt<'_>,
        record: &DeliveryRecord,
        due: Timestamp,
        effect: AttemptEffect,
        papers: Papers,
    ) -> Result<u8, StoreError> {
        let key = attempt_key(&attempt);
        let (mut picks, mut packed) = (String::new(), Vec::new());
        if record.stage == DeliveryStage::Sent {
            packed = seen::pack(record.picks.iter().map(|pick| pick.id.as_str()), attempt.slot);
            if papers == Papers::Included {
                picks = picks_to_json(&key, &record.picks)?;
            }
        }
        let forgotten = attempt.slot.saturating_sub(self.times.retention).unwrap_or_default();
        let effect = match effect {
            AttemptEffect::NotAccepted => "",
            AttemptEffect::Unknown => "unknown",
            AttemptEffect::NotTried => "untried",
        };
        let arguments: Vec<Vec<u8>> = vec![
            attempt.id.into(),
            attempt.slot.as_millisecond().to_string().into(),
            attempt.token.owner.clone().into(),
            attempt.token.epoch.to_string().into(),
            record.stage.name().into(),
            record.detail.clone().into(),
            record.at.as_millisecond().to_string().into(),
            record.message_id.clone().into(),
            picks.into(),
            due.as_millisecond().to_string().into(),
            effect.into(),
            packed,
            seen::minutes(forgotten).to_string().into(),
            millis(self.times.retention).to_string().into(),
        ];
        let keys = vec![
            key,
            slots_key(&attempt),
            keys::seen(attempt.id),
            keys::due(attempt.channel).to_owned(),
            other_channel_key(&attempt),
        ];
        let answer = self.settle.ask(ScriptCall { keys, arguments }).await;
        answer.ok_or(StoreError::Ending)?
    }

    /// Logs how a digest ended before Redis has it: should the process end in between, the log tells the next start. A log
    /// that does not answer soon holds nobody up: it goes on being tried, and until it answers Redis alone knows.
    async fn log_end(&self, attempt: DeliveryAttempt<'_>, record: &DeliveryRecord) {
        let Some(endings) = &self.endings else {
            return;
        };
        let papers = record.picks.iter().map(|pick| pick.id.clone()).collect();
        let ending = log_entry(&attempt, record, papers, self.log.clock().now());
        let limit = self.times.lease.unsigned_abs() / LOG_SHARE_OF_LEASE;
        match tokio::time::timeout(limit, endings.ask(ending)).await {
            Ok(Some(Ok(()))) => {}
            Ok(Some(Err(error))) => {
                warn!(%error, subscriber = attempt.id, slot = %attempt.slot, "how a digest ended is not in the log");
            }
            Ok(None) | Err(_) => {
                warn!(subscriber = attempt.id, slot = %attempt.slot, "the log is slow, a digest is settled before it is there");
            }
        }
    }

    /// Slots whose digests were mailed, oldest first.
    async fn mailed_between(&self, id: &str, from: i64, to: i64) -> Result<Vec<Timestamp>, StoreError> {
        let mut command = redis::cmd("ZRANGEBYSCORE");
        command.arg(keys::deliveries(Channel::Mail, id)).arg(from).arg(to);
        let slots: Vec<i64> = self.connection().ask(&command).await?;
        let mut mailed = Vec::with_capacity(slots.len());
        for slot in slots {
            let Ok(slot) = Timestamp::from_millisecond(slot) else {
                continue;
            };
            // A bounce may be faster than our record of the mail.
            let stage = self.record(Channel::Mail, id, slot).await?.stage;
            if matches!(stage, DeliveryStage::Sent | DeliveryStage::Sending) {
                mailed.push(slot);
            }
        }
        Ok(mailed)
    }
}

#[async_trait]
impl DeliveryLedger for RedisLedger {
    async fn record(&self, channel: Channel, id: &str, slot: Timestamp) -> Result<DeliveryRecord, StoreError> {
        let key = keys::delivery(channel, id, slot);
        let fields = self.connection().ask(redis::cmd("HGETALL").arg(&key)).await?;
        read_record(&key, &fields)
    }

    async fn histories(&self, channel: Channel, digests: &[(&str, Timestamp, Channels)]) -> Each<DeliveryHistory> {
        let mut pipeline = redis::pipe();
        for (id, slot, channels) in digests {
            pipeline.cmd("HGETALL").arg(keys::delivery(channel, id, *slot));
            pipeline.cmd("GET").arg(keys::seen(id));
            if *channels == Channels::Both {
                pipeline.cmd("HGETALL").arg(keys::delivery(channel.other(), id, *slot));
            }
        }
        let mut answers = self.connection().read_all(&mut pipeline).await?.into_iter();
        let mut next = || answers.next().unwrap_or(Value::Nil);
        let read = |(id, slot, channels): &(&str, Timestamp, Channels)| {
            let (fields, packed) = (next(), next());
            let other = (*channels == Channels::Both).then(&mut next);
            let packed: Option<Vec<u8>> = parse(packed)?;
            let mut history = DeliveryHistory {
                record: read_record(&keys::delivery(channel, id, *slot), &parse(fields)?)?,
                seen: SeenPapers::unpack(&packed.unwrap_or_default()),
            };
            if let Some(fields) = other.filter(|_| history.record.picks.is_empty()) {
                let key = keys::delivery(channel.other(), id, *slot);
                history.record.picks = read_record(&key, &parse(fields)?)?.picks;
            }
            Ok(history)
        };
        Ok(digests.iter().map(read).collect())
    }

    async fn lease(&self, requests: &[LeaseRequest<'_>], now: Timestamp) -> Each<LeaseOutcome> {
        let mut calls = Vec::with_capacity(requests.len());
        for request in requests {
            calls.push(self.lease_call(request, now.as_millisecond())?);
        }
        let answers = call_in_batches(self.connection(), &LEASE, calls).await?;
        let outcome = |(request, answer): (&LeaseRequest<'_>, Result<(String, String), StoreError>)| {
            let (answer, papers) = answer?;
            let key = attempt_key(&request.attempt);
            match answer.as_str() {
                "go" if papers.is_empty() => Ok(LeaseOutcome::Granted(None)),
                "go" => Ok(LeaseOutcome::Granted(Some(picks_from_json(&key, &papers)?))),
                "busy" => Ok(LeaseOutcome::Busy),
                "done" => Ok(LeaseOutcome::Done),
                other => Err(corrupt(&key, format!("the lease script answered {other:?}"))),
            }
        };
        Ok(requests.iter().zip(answers).map(outcome).collect())
    }

    async fn begin(&self, attempt: DeliveryAttempt<'_>, now: Timestamp) -> Result<BeginOutcome, StoreError> {
        self.log.flush_pending_ends().await?;
        let now = now.as_millisecond();
        let arguments = [
            attempt.token.owner.clone(),
            now.to_string(),
            (now + millis(self.times.lease)).to_string(),
            attempt.channel.code().to_owned(),
        ];
        let call = ScriptCall {
            keys: vec![attempt_key(&attempt), keys::subscriber(attempt.id)],
            arguments: arguments.map(String::into_bytes).into(),
        };
        let answer = self.begin.ask(call).await.ok_or(StoreError::Ending)??;
        match answer.as_str() {
            "go" => Ok(BeginOutcome::Begun),
            "again" => Ok(BeginOutcome::BegunAgain),
            "ended" => Ok(BeginOutcome::NotWanted),
            "lost" => Ok(BeginOutcome::LeaseLost),
            other => {
                let key = attempt_key(&attempt);
                Err(corrupt(&key, format!("the begin script answered {other:?}")))
            }
        }
    }

    async fn settle(
        &self,
        attempt: DeliveryAttempt<'_>,
        record: &DeliveryRecord,
        due: Timestamp,
        effect: AttemptEffect,
    ) -> Result<bool, StoreError> {
        if record.stage.is_final() {
            self.log_end(attempt, record).await;
        }
        let papers = if record.fixed {
            Papers::OnRecord
        } else {
            Papers::Included
        };
        let mut settled = self.settle_in_redis(attempt, record, due, effect, papers).await?;
        if settled == WITHOUT_RECORD {
            settled = self
                .settle_in_redis(attempt, record, due, effect, Papers::Included)
                .await?;
        }
        if record.stage == DeliveryStage::Deferred {
            // The scheduler may be waiting for a later moment.
            self.wakeups.wake();
        }
        Ok(settled == SETTLED)
    }

    async fn slots(&self, id: &str, before: Option<Timestamp>, most: usize) -> Result<Vec<Timestamp>, StoreError> {
        let from = before.map_or("+inf".to_owned(), |before| format!("({}", before.as_millisecond()));
        let mut slots = BTreeSet::new();
        for channel in Channel::ALL {
            let mut command = redis::cmd("ZREVRANGEBYSCORE");
            command.arg(keys::deliveries(channel, id)).arg(&from).arg("-inf");
            let some: Vec<i64> = self.connection().ask(command.arg("LIMIT").arg(0).arg(most)).await?;
            slots.extend(some);
        }
        let newest = slots.into_iter().rev().take(most);
        Ok(newest
            .filter_map(|slot| Timestamp::from_millisecond(slot).ok())
            .collect())
    }

    async fn record_soft_bounce(
        &self,
        id: &str,
        slot: Timestamp,
        within: SignedDuration,
    ) -> Result<Vec<(Timestamp, bool)>, StoreError> {
        let (key, at) = (keys::soft_bounces(id), slot.as_millisecond());
        let (kept, retention) = (2 * millis(within), millis(self.times.retention));
        let mut recording = redis::pipe();
        recording.cmd("ZADD").arg(&key).arg(at).arg(at).ignore();
        recording
            .cmd("ZREMRANGEBYSCORE")
            .arg(&key)
            .arg("-inf")
            .arg(at - kept)
            .ignore();
        recording.cmd("PEXPIRE").arg(&key).arg(retention).ignore();
        recording.cmd("ZRANGE").arg(&key).arg(0).arg(-1);
        let (bounced,): (Vec<i64>,) = self.connection().pipeline(&recording).await?;
        let mailed = self.mailed_between(id, at - kept, at + kept).await?;
        let came_back = |slot: Timestamp| (slot, bounced.contains(&slot.as_millisecond()));
        Ok(mailed.into_iter().map(came_back).collect())
    }
}

fn attempt_key(attempt: &DeliveryAttempt<'_>) -> String {
    keys::delivery(attempt.channel, attempt.id, attempt.slot)
}

/// The same digest on the other channel.
fn other_channel_key(attempt: &DeliveryAttempt<'_>) -> String {
    keys::delivery(attempt.channel.other(), attempt.id, attempt.slot)
}

fn slots_key(attempt: &DeliveryAttempt<'_>) -> String {
    keys::deliveries(attempt.channel, attempt.id)
}

fn picks_from_json(key: &str, papers: &str) -> Result<Vec<Pick>, StoreError> {
    serde_json::from_str(papers).map_err(|error| corrupt(key, error))
}

/// The papers of a digest as Redis has them.
pub fn picks_to_json(key: &str, picks: &[Pick]) -> Result<String, StoreError> {
    serde_json::to_string(picks).map_err(|error| corrupt(key, error))
}

/// A record from its hash; one that is not there is a record of nothing. A stage that this version does not know is
/// refused: taken for none, the digest would be sent again.
fn read_record(key: &str, fields: &HashMap<String, String>) -> Result<DeliveryRecord, StoreError> {
    let Some(stage) = fields.get("state") else {
        return Ok(DeliveryRecord::default());
    };
    let text = |name: &str| fields.get(name).cloned().unwrap_or_default();
    let number = |name: &str| match fields.get(name) {
        Some(value) => value
            .parse::<u32>()
            .map_err(|_| corrupt(key, format!("{name} is {value:?}"))),
        None => Ok(0),
    };
    let time = |name: &str| {
        let parse = |value: &String| Timestamp::from_millisecond(value.parse().ok()?).ok();
        let time = fields.get(name).map(|value| (value, parse(value)));
        match time {
            Some((value, None)) => Err(corrupt(key, format!("{name} is {value:?}"))),
            Some((_, moment)) => Ok(moment),
            None => Ok(None),
        }
    };
    Ok(DeliveryRecord {
        stage: DeliveryStage::parse(stage).ok_or_else(|| corrupt(key, format!("state is {stage:?}")))?,
        picks: match fields.get("papers") {
            Some(papers) => picks_from_json(key, papers)?,
            None => Vec::new(),
        },
        fixed: false,
        message_id: text("message_id"),
        detail: text("detail"),
        attempts: number("attempts")?,
        resent: number("resent")?,
        at: time("at")?.unwrap_or_default(),
        begun: time("begun")?,
    })
}

/// How a digest ended, as it goes into the log.
pub fn log_entry(
    attempt: &DeliveryAttempt<'_>,
    record: &DeliveryRecord,
    paper_ids: Vec<String>,
    now: Timestamp,
) -> NewEntry<DeliveryLogged> {
    let DeliveryAttempt { channel, id, slot, .. } = *attempt;
    let (slot_name, stage) = (slot.as_millisecond(), record.stage.name());
    // Mail has no name in the log.
    let (channel, once) = match channel {
        Channel::Mail => (String::new(), format!("{id}.{slot_name}.{stage}")),
        Channel::Webhook => {
            let name = channel.name();
            (name.to_owned(), format!("{id}.{slot_name}.{name}.{stage}"))
        }
    };
    NewEntry {
        key: id.to_owned(),
        id: once,
        message: DeliveryLogged {
            subscriber_id: id.to_owned(),
            slot_time: Some(to_wire_time(slot)),
            state: stage.to_owned(),
            paper_ids,
            message_id: record.message_id.clone(),
            time: Some(to_wire_time(now)),
            channel,
        },
    }
}
