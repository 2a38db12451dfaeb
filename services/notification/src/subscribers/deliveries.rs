//! The record of each edition: who has it in hand, which papers it holds, how it ended.
//!
//! `intended` (papers fixed, under a lease) -> `sending` (with the mail server) -> `sent`, `failed`, `deferred` or
//! `empty`. Of two owners only the one under whose lease the record is gets on; `sent` and `failed` are final. A lease
//! that ran out while `sending` leaves open whether the mail was taken: the next attempt is counted as a resend.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use domain::PaperId;
use jiff::Timestamp;
use redis::Script;
use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::metrics::UNLOGGED;

use super::{DUE, LEASE, Subscribers, SubscribersError, corrupt, millis, subscriber_key};

static INTEND: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("intend.lua")));
static BEGIN: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("begin.lua")));
static SETTLE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("settle.lua")));

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
        ];
        stages
            .into_iter()
            .find(|stage| stage.name() == name)
            .unwrap_or_default()
    }
}

/// A paper of an edition, with what the reader is told about it. The same at every attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pick {
    /// The paper's id.
    pub id: String,
    /// Its score for this subscriber.
    pub score: f32,
    /// Why it is there, in words.
    pub reason: String,
}

impl Pick {
    /// One of which the log knows no more than the paper.
    pub(super) fn known_only(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            score: 0.0,
            reason: String::new(),
        }
    }
}

/// The record of sending one edition.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Record {
    /// Where it stands.
    pub stage: Stage,
    /// The papers, fixed at the first attempt.
    pub picks: Vec<Pick>,
    /// The same at every attempt.
    pub message_id: String,
    /// What happened, in words.
    pub detail: String,
    /// Attempts that were put off so far.
    pub attempts: u32,
    /// When the stage was reached.
    pub at: Timestamp,
}

/// One attempt at one edition.
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'a> {
    /// Who tries; unique per attempt.
    pub owner: &'a str,
    /// The subscriber.
    pub id: &'a str,
    /// The edition's slot.
    pub slot: Timestamp,
}

/// Whether an edition may be prepared.
#[derive(Debug, PartialEq)]
pub enum Claim {
    /// Yes, with these papers.
    Go(Vec<Pick>),
    /// Yes, with these papers; an earlier attempt ended without saying how.
    Again(Vec<Pick>),
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
    /// Somebody else took over.
    Lost,
    /// The subscription is not active.
    Ended,
}

/// What the mail server did with an attempt that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certainty {
    /// It has no mail.
    Untaken,
    /// It may have the mail.
    Unknown,
}

impl Subscribers {
    /// Papers a subscriber was sent before.
    pub async fn sent_papers(&self, id: &str) -> Result<HashSet<PaperId>, SubscribersError> {
        let ids: Vec<String> = self.ask(redis::cmd("SMEMBERS").arg(sent_key(id))).await?;
        Ok(ids.iter().filter_map(|id| PaperId::parse(id).ok()).collect())
    }

    /// The record of an edition.
    pub async fn record(&self, id: &str, slot: Timestamp) -> Result<Record, SubscribersError> {
        let key = delivery_key(id, slot);
        let fields: HashMap<String, String> = self.ask(redis::cmd("HGETALL").arg(&key)).await?;
        let field = |name: &str| fields.get(name).cloned().unwrap_or_default();
        let at = field("at").parse().ok();
        Ok(Record {
            stage: Stage::parse(&field("state")),
            picks: match fields.get("papers") {
                Some(papers) => picks(&key, papers)?,
                None => Vec::new(),
            },
            message_id: field("message_id"),
            detail: field("detail"),
            attempts: field("attempts").parse().unwrap_or(0),
            at: at
                .and_then(|at| Timestamp::from_millisecond(at).ok())
                .unwrap_or_default(),
        })
    }

    /// Takes an edition in hand for the length of the lease, and fixes its papers.
    pub async fn intend(
        &self,
        attempt: Attempt<'_>,
        papers: &[Pick],
        message_id: &str,
        now: Timestamp,
    ) -> Result<Claim, SubscribersError> {
        let key = delivery_key(attempt.id, attempt.slot);
        let papers = to_json(&key, papers)?;
        let now = now.as_millisecond();
        let arguments = [
            attempt.owner.to_owned(),
            now.to_string(),
            (now + millis(LEASE)).to_string(),
            papers,
            message_id.to_owned(),
            attempt.slot.as_millisecond().to_string(),
        ];
        let keys = [key.clone(), deliveries_key(attempt.id)];
        let (answer, papers): (String, String) =
            self.script(&INTEND, &keys, &arguments.map(String::into_bytes)).await?;
        Ok(match answer.as_str() {
            "go" => Claim::Go(picks(&key, &papers)?),
            "again" => Claim::Again(picks(&key, &papers)?),
            "busy" => Claim::Busy,
            _ => Claim::Done,
        })
    }

    /// The last look before the mail server: the subscription and the lease, in one step.
    pub async fn begin(&self, attempt: Attempt<'_>, now: Timestamp) -> Result<Begin, SubscribersError> {
        self.pay_what_is_owed().await?;
        let now = now.as_millisecond();
        let arguments = [
            attempt.owner.to_owned(),
            now.to_string(),
            (now + millis(LEASE)).to_string(),
        ];
        let keys = [delivery_key(attempt.id, attempt.slot), subscriber_key(attempt.id)];
        let answer: String = self.script(&BEGIN, &keys, &arguments.map(String::into_bytes)).await?;
        Ok(match answer.as_str() {
            "go" => Begin::Go,
            "ended" => Begin::Ended,
            _ => Begin::Lost,
        })
    }

    /// Records how an attempt ended; false when the record belongs to somebody else. Papers of a sent edition count as
    /// sent from now on. `due` is when a deferred one is tried again.
    pub async fn settle(
        &self,
        attempt: Attempt<'_>,
        record: &Record,
        due: Option<Timestamp>,
        certainty: Certainty,
    ) -> Result<bool, SubscribersError> {
        let key = delivery_key(attempt.id, attempt.slot);
        let sent = record.stage == Stage::Sent;
        if record.stage.is_final() {
            self.log_end(attempt, record).await;
        }
        let mut arguments = vec![
            attempt.id.to_owned(),
            attempt.slot.as_millisecond().to_string(),
            attempt.owner.to_owned(),
            record.stage.name().to_owned(),
            record.detail.clone(),
            record.at.as_millisecond().to_string(),
            record.message_id.clone(),
            if sent {
                to_json(&key, &record.picks)?
            } else {
                String::new()
            },
            due.map_or(String::new(), |due| due.as_millisecond().to_string()),
            if certainty == Certainty::Unknown {
                "unknown".to_owned()
            } else {
                String::new()
            },
        ];
        if sent {
            arguments.extend(record.picks.iter().map(|pick| pick.id.clone()));
        }
        let arguments: Vec<Vec<u8>> = arguments.into_iter().map(String::into_bytes).collect();
        let keys = [key, deliveries_key(attempt.id), sent_key(attempt.id), DUE.to_owned()];
        let settled = self.script(&SETTLE, &keys, &arguments).await?;
        if due.is_some() {
            // The scheduler may be waiting for a later moment.
            self.changed.notify_one();
        }
        Ok(settled)
    }

    /// Logs how an edition ended before Redis has it: should the process end in between, the log tells the next start. A log
    /// that does not answer holds nobody up; Redis alone knows it then.
    async fn log_end(&self, attempt: Attempt<'_>, record: &Record) {
        let papers: Vec<String> = record.picks.iter().map(|pick| pick.id.clone()).collect();
        let logged = self.journal_delivery(attempt.id, attempt.slot, record.stage, &papers, &record.message_id);
        if let Err(error) = logged.await {
            UNLOGGED.inc();
            warn!(%error, subscriber = attempt.id, slot = %attempt.slot, "how an edition ended is not in the log");
        }
    }

    /// Slots with a record, newest first, older than a given one.
    pub async fn slots(
        &self,
        id: &str,
        before: Option<Timestamp>,
        most: usize,
    ) -> Result<Vec<Timestamp>, SubscribersError> {
        let from = before.map_or("+inf".to_owned(), |before| format!("({}", before.as_millisecond()));
        let mut command = redis::cmd("ZREVRANGEBYSCORE");
        command
            .arg(deliveries_key(id))
            .arg(from)
            .arg("-inf")
            .arg("LIMIT")
            .arg(0)
            .arg(most);
        let slots: Vec<i64> = self.ask(&command).await?;
        Ok(slots
            .into_iter()
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

/// What the key of a delivery begins with.
pub(super) const DELIVERY_KEY: &str = "broadsheet:delivery:";

pub(super) fn delivery_key(id: &str, slot: Timestamp) -> String {
    format!("{DELIVERY_KEY}{id}:{}", slot.as_millisecond())
}

pub(super) fn deliveries_key(id: &str) -> String {
    format!("broadsheet:deliveries:{id}")
}

pub(super) fn sent_key(id: &str) -> String {
    format!("broadsheet:sent:{id}")
}
