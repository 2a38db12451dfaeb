//! The record of each edition: who has it in hand, which papers it holds, how it ended.
//!
//! `intended` (papers fixed, under a lease) -> `sending` (with the mail server) -> `sent`, `failed`, `deferred` or
//! `empty`; `expired` where its turn came too late. Of two owners only the one under whose lease the record is gets on,
//! and none after a later one (see [`super::claims`]); `sent` and `failed` are final. A lease that ran out while `sending`
//! leaves open whether the mail was taken: the next attempt is counted as a resend, in the record, too. An edition that
//! goes on two ways has a record for each; what is said of mails here holds for the requests of webhooks.

use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;

use common::bus::BusError;
use common::journal::{Added, Journal};
use jiff::Timestamp;
use proto::subscriptions::v1::DeliveryLogged;
use redis::Script;
use redis::aio::ConnectionManager;
use tracing::warn;

use super::claims::Fence;
use super::groups::{Call, Calls, Group, call_in_groups, calls};
use super::logging::delivery_entry;
use super::reading::seen_key;
use super::{Channel, Subscribers, SubscribersError, corrupt, millis, seen, subscriber_key};
use crate::metrics::UNLOGGED;

pub use super::picks::{Pick, ScorePart};

/// So much of a lease the log may take to answer.
const LOG_SHARE_OF_LEASE: u32 = 8;

static INTEND: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("intend.lua")));
static BEGIN: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("begin.lua")));
static SETTLE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("settle.lua")));

/// What of editions gathers: last looks, endings on their way into the log, endings.
#[derive(Clone)]
pub(super) struct Gathered {
    begin: Calls<String>,
    settle: Calls<u8>,
    log: Option<Group<Added<DeliveryLogged>, Result<(), BusError>>>,
}

impl Gathered {
    /// Over a connection.
    pub(super) fn start(redis: &ConnectionManager) -> Self {
        Self {
            begin: calls(redis, &BEGIN),
            settle: calls(redis, &SETTLE),
            log: None,
        }
    }

    /// With a log for how editions end.
    pub(super) fn log_to(&mut self, log: &Journal) {
        let log = log.clone();
        self.log = Some(Group::start(move |endings: Vec<Added<DeliveryLogged>>| {
            let log = log.clone();
            async move {
                let added = log.add_all(endings).await;
                UNLOGGED.inc_by(added.iter().filter(|added| added.is_err()).count() as u64);
                added
            }
        }));
    }
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stage {
    /// There is no record.
    #[default]
    None,
    /// Composed, not handed over yet.
    Intended,
    /// Being handed over.
    Sending,
    /// The mail server has it.
    Sent,
    /// Refused for good.
    Failed,
    /// There was nothing to send.
    Empty,
    /// To be tried again.
    Deferred,
    /// Its turn came too late, after downtime; the next slot follows.
    Expired,
}

impl Stage {
    /// The name in Redis, in logs and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Intended => "intended",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Empty => "empty",
            Self::Deferred => "deferred",
            Self::Expired => "expired",
        }
    }

    /// True when no attempt follows.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Sent | Self::Failed)
    }

    fn parse(name: &str) -> Self {
        let stages = [
            Self::Intended,
            Self::Sending,
            Self::Sent,
            Self::Failed,
            Self::Empty,
            Self::Deferred,
            Self::Expired,
        ];
        stages
            .into_iter()
            .find(|stage| stage.name() == name)
            .unwrap_or_default()
    }
}

/// The record of sending one edition.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Record {
    /// Where it stands.
    pub stage: Stage,
    /// The papers, fixed at the first attempt.
    pub picks: Vec<Pick>,
    /// Whether the store is known to have just these.
    pub fixed: bool,
    /// The same at every attempt.
    pub message_id: String,
    /// What happened, in words.
    pub detail: String,
    /// Attempts that were put off so far.
    pub attempts: u32,
    /// Attempts after one that ended without saying whether the mail was taken.
    pub resent: u32,
    /// When the stage was reached.
    pub at: Timestamp,
    /// When the first attempt began.
    pub begun: Option<Timestamp>,
}

/// One attempt at one edition.
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'a> {
    /// Who tries.
    pub fence: &'a Fence,
    /// On which way.
    pub channel: Channel,
    /// The subscriber.
    pub id: &'a str,
    /// The edition's slot.
    pub slot: Timestamp,
}

impl Attempt<'_> {
    fn key(&self) -> String {
        self.channel.delivery_key(self.id, self.slot)
    }

    /// The same edition on the other way.
    fn beside(&self) -> String {
        self.channel.other().delivery_key(self.id, self.slot)
    }

    fn slots_key(&self) -> String {
        self.channel.deliveries_key(self.id)
    }
}

/// An edition that is to be taken in hand.
#[derive(Debug, Clone, Copy)]
pub struct Intention<'a> {
    /// By whom, and which.
    pub attempt: Attempt<'a>,
    /// The papers that were chosen for it.
    pub papers: &'a [Pick],
    /// The same at every attempt.
    pub message_id: &'a str,
}

/// Whether an edition may be prepared.
#[derive(Debug, PartialEq)]
pub enum Claim {
    /// Yes; with these papers, where an earlier attempt fixed some.
    Go(Option<Vec<Pick>>),
    /// Somebody else is doing it.
    Busy,
    /// It is done.
    Done,
}

/// Whether a mail may be handed over.
#[derive(Debug, PartialEq, Eq)]
pub enum Begin {
    /// Yes.
    Go,
    /// Yes; an earlier attempt ended without saying how, so the mail server may have the mail already.
    Again,
    /// Somebody else took over.
    Lost,
    /// The subscription is not active, or takes nothing on this way any more.
    Ended,
}

/// Whether papers go along with an ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Papers {
    OnRecord,
    Told,
}

/// What the script that settles says.
const SETTLED: u8 = 1;
const WITHOUT_RECORD: u8 = 2;

/// What the mail server did with an attempt that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certainty {
    /// It has no mail.
    Untaken,
    /// It may have the mail.
    Unknown,
    /// It was not asked. This is no attempt, and the pause before the next one does not grow by it.
    Untried,
}

impl Subscribers {
    /// The record of an edition on a way.
    pub async fn record(&self, channel: Channel, id: &str, slot: Timestamp) -> Result<Record, SubscribersError> {
        let key = channel.delivery_key(id, slot);
        record(&key, &self.ask(redis::cmd("HGETALL").arg(&key)).await?)
    }

    /// Takes editions in hand for the length of the lease, and fixes their papers: those of the other way, where they are
    /// fixed already. Answers in their order.
    pub async fn intend(
        &self,
        intentions: &[Intention<'_>],
        now: Timestamp,
    ) -> Result<Vec<Result<Claim, SubscribersError>>, SubscribersError> {
        let mut calls = Vec::with_capacity(intentions.len());
        for one in intentions {
            calls.push(self.intending(one, now.as_millisecond())?);
        }
        let answers = call_in_groups(&self.redis, &INTEND, calls).await?;
        let claim = |(one, answer): (&Intention<'_>, Result<(String, String), SubscribersError>)| {
            let (answer, papers) = answer?;
            Ok(match answer.as_str() {
                "go" if papers.is_empty() => Claim::Go(None),
                "go" => Claim::Go(Some(picks(&one.attempt.key(), &papers)?)),
                "busy" => Claim::Busy,
                _ => Claim::Done,
            })
        };
        Ok(intentions.iter().zip(answers).map(claim).collect())
    }

    fn intending(&self, one: &Intention<'_>, now: i64) -> Result<Call, SubscribersError> {
        let attempt = one.attempt;
        let key = attempt.key();
        let arguments = [
            attempt.fence.owner.clone(),
            attempt.fence.epoch.to_string(),
            now.to_string(),
            (now + millis(self.terms.lease)).to_string(),
            to_json(&key, one.papers)?,
            one.message_id.to_owned(),
            attempt.slot.as_millisecond().to_string(),
            millis(self.terms.retention).to_string(),
        ];
        Ok(Call {
            keys: vec![key, attempt.slots_key(), attempt.beside()],
            arguments: arguments.map(String::into_bytes).into(),
        })
    }

    /// The last look before the mail server: the subscription and the lease, in one step.
    pub async fn begin(&self, attempt: Attempt<'_>, now: Timestamp) -> Result<Begin, SubscribersError> {
        self.pay_what_is_owed().await?;
        let now = now.as_millisecond();
        let arguments = [
            attempt.fence.owner.clone(),
            now.to_string(),
            (now + millis(self.terms.lease)).to_string(),
            attempt.channel.letter().to_owned(),
        ];
        let call = Call {
            keys: vec![attempt.key(), subscriber_key(attempt.id)],
            arguments: arguments.map(String::into_bytes).into(),
        };
        let answer = self.editions.begin.ask(call).await.ok_or(SubscribersError::CutOff)??;
        Ok(match answer.as_str() {
            "go" => Begin::Go,
            "again" => Begin::Again,
            "ended" => Begin::Ended,
            _ => Begin::Lost,
        })
    }

    /// Records that the mail server has the mail; its papers count as sent from now on. False when that was on record.
    pub async fn sent(&self, attempt: Attempt<'_>, record: &Record, next: Timestamp) -> Result<bool, SubscribersError> {
        self.settle(attempt, record, next, Certainty::Untaken).await
    }

    /// Records how an attempt ended; false when the record belongs to somebody else. `due` is when the subscriber is
    /// looked at next.
    pub async fn settle(
        &self,
        attempt: Attempt<'_>,
        record: &Record,
        due: Timestamp,
        certainty: Certainty,
    ) -> Result<bool, SubscribersError> {
        if record.stage.is_final() {
            self.log_end(attempt, record).await;
        }
        let papers = if record.fixed { Papers::OnRecord } else { Papers::Told };
        let mut settled = self.settle_in_redis(attempt, record, due, certainty, papers).await?;
        if settled == WITHOUT_RECORD {
            settled = self
                .settle_in_redis(attempt, record, due, certainty, Papers::Told)
                .await?;
        }
        if record.stage == Stage::Deferred {
            // The scheduler may be waiting for a later moment.
            self.wake();
        }
        Ok(settled == SETTLED)
    }

    async fn settle_in_redis(
        &self,
        attempt: Attempt<'_>,
        record: &Record,
        due: Timestamp,
        certainty: Certainty,
        told: Papers,
    ) -> Result<u8, SubscribersError> {
        let key = attempt.key();
        let (mut papers, mut packed) = (String::new(), Vec::new());
        if record.stage == Stage::Sent {
            packed = seen::pack(record.picks.iter().map(|pick| pick.id.as_str()), attempt.slot);
            if told == Papers::Told {
                papers = to_json(&key, &record.picks)?;
            }
        }
        let forgotten = attempt.slot.saturating_sub(self.terms.retention).unwrap_or_default();
        let certainty = match certainty {
            Certainty::Untaken => "",
            Certainty::Unknown => "unknown",
            Certainty::Untried => "untried",
        };
        let arguments: Vec<Vec<u8>> = vec![
            attempt.id.into(),
            attempt.slot.as_millisecond().to_string().into(),
            attempt.fence.owner.clone().into(),
            attempt.fence.epoch.to_string().into(),
            record.stage.name().into(),
            record.detail.clone().into(),
            record.at.as_millisecond().to_string().into(),
            record.message_id.clone().into(),
            papers.into(),
            due.as_millisecond().to_string().into(),
            certainty.into(),
            packed,
            seen::minutes(forgotten).to_string().into(),
            millis(self.terms.retention).to_string().into(),
        ];
        let keys = vec![
            key,
            attempt.slots_key(),
            seen_key(attempt.id),
            attempt.channel.due_key().to_owned(),
            attempt.beside(),
        ];
        let answer = self.editions.settle.ask(Call { keys, arguments }).await;
        answer.ok_or(SubscribersError::CutOff)?
    }

    /// Logs how an edition ended before Redis has it: should the process end in between, the log tells the next start. A log
    /// that does not answer soon holds nobody up: it goes on being tried, and until it answers Redis alone knows.
    async fn log_end(&self, attempt: Attempt<'_>, record: &Record) {
        let Some(log) = &self.editions.log else {
            return;
        };
        let papers = record.picks.iter().map(|pick| pick.id.clone()).collect();
        let ending = delivery_entry(
            (attempt.channel, attempt.id, attempt.slot),
            record.stage,
            papers,
            &record.message_id,
        );
        let patience = self.terms.lease.unsigned_abs() / LOG_SHARE_OF_LEASE;
        match tokio::time::timeout(patience, log.ask(ending)).await {
            Ok(Some(Ok(()))) => {}
            Ok(Some(Err(error))) => {
                warn!(%error, subscriber = attempt.id, slot = %attempt.slot, "how an edition ended is not in the log");
            }
            Ok(None) | Err(_) => {
                warn!(subscriber = attempt.id, slot = %attempt.slot, "the log is slow, an edition is settled before it is there");
            }
        }
    }

    /// Slots with a record on any way, newest first, older than a given one.
    pub async fn slots(
        &self,
        id: &str,
        before: Option<Timestamp>,
        most: usize,
    ) -> Result<Vec<Timestamp>, SubscribersError> {
        let from = before.map_or("+inf".to_owned(), |before| format!("({}", before.as_millisecond()));
        let mut slots = BTreeSet::new();
        for channel in Channel::ALL {
            let mut command = redis::cmd("ZREVRANGEBYSCORE");
            command.arg(channel.deliveries_key(id)).arg(&from).arg("-inf");
            let some: Vec<i64> = self.ask(command.arg("LIMIT").arg(0).arg(most)).await?;
            slots.extend(some);
        }
        let newest = slots.into_iter().rev().take(most);
        Ok(newest
            .filter_map(|slot| Timestamp::from_millisecond(slot).ok())
            .collect())
    }
}

fn picks(key: &str, papers: &str) -> Result<Vec<Pick>, SubscribersError> {
    serde_json::from_str(papers).map_err(|error| corrupt(key, &error))
}

pub(super) fn to_json(key: &str, picks: &[Pick]) -> Result<String, SubscribersError> {
    serde_json::to_string(picks).map_err(|error| corrupt(key, &error))
}

pub(super) fn record(key: &str, fields: &HashMap<String, String>) -> Result<Record, SubscribersError> {
    let field = |name: &str| fields.get(name).cloned().unwrap_or_default();
    let time = |name: &str| Timestamp::from_millisecond(field(name).parse().ok()?).ok();
    Ok(Record {
        stage: Stage::parse(&field("state")),
        picks: match fields.get("papers") {
            Some(papers) => picks(key, papers)?,
            None => Vec::new(),
        },
        fixed: false,
        message_id: field("message_id"),
        detail: field("detail"),
        attempts: field("attempts").parse().unwrap_or(0),
        resent: field("resent").parse().unwrap_or(0),
        at: time("at").unwrap_or_default(),
        begun: time("begun"),
    })
}
