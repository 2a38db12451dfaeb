//! What is recorded of a digest: which papers it holds, who is sending it, how it ended.
//!
//! | state | means | next |
//! |---|---|---|
//! | `intended` | its papers are fixed, an owner has it under a lease | `sending`, `empty`, `deferred` |
//! | `sending` | it is being handed over | `sent`, `failed`, `deferred` |
//! | `deferred` | to be tried again | `intended`, `expired` |
//! | `sent`, `failed` | accepted, or refused for good | final |
//! | `empty`, `expired` | nothing to send, or too late | the next slot follows |
//!
//! Of two owners only the one whose lease the record names gets on, and none after a later one. A lease that ran out while
//! `sending` leaves open whether the digest was accepted: the next attempt is counted as a resend, in the record, too. A
//! digest that goes on two channels has a record for each.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Channel;
use super::seen::SeenPapers;

/// The state of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeliveryStage {
    /// There is no record.
    #[default]
    None,
    /// Composed, not handed over yet.
    Intended,
    /// Being handed over.
    Sending,
    /// The mail server or the webhook has it.
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

impl DeliveryStage {
    /// All that a record can be in.
    const RECORDED: [Self; 7] = [
        Self::Intended,
        Self::Sending,
        Self::Sent,
        Self::Failed,
        Self::Empty,
        Self::Deferred,
        Self::Expired,
    ];

    /// The name in the store, in logs and in metrics.
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

    /// By its name in a record; nothing where none has it, such as one that a later version wrote.
    pub fn parse(name: &str) -> Option<Self> {
        Self::RECORDED.into_iter().find(|stage| stage.name() == name)
    }

    /// True when no attempt follows.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Sent | Self::Failed)
    }
}

/// The record of sending one digest.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DeliveryRecord {
    /// How far it is.
    pub stage: DeliveryStage,
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
    /// Attempts after one that ended without saying whether the digest was accepted.
    pub resent: u32,
    /// When the stage was reached.
    pub at: Timestamp,
    /// When the first attempt began.
    pub begun: Option<Timestamp>,
}

/// What happened before an attempt at a digest.
#[derive(Debug, Default)]
pub struct DeliveryHistory {
    /// The record of this digest.
    pub record: DeliveryRecord,
    /// The papers of earlier ones.
    pub seen: SeenPapers,
}

/// A fencing token: the right to act, of one owner. Every later step of an attempt brings it along, and none lets an owner
/// act on a digest that a later owner has leased, however long the earlier one was paused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FencingToken {
    /// Grows with every claim.
    pub epoch: u64,
    /// Unique: the epoch and the process, in case the store forgot an epoch that it gave.
    pub owner: String,
}

/// Subscribers that are due and were claimed together.
#[derive(Debug)]
pub struct DueBatch {
    /// Under what they are held.
    pub token: FencingToken,
    /// Their ids, the longest due first.
    pub ids: Vec<String>,
}

/// One attempt at one digest.
#[derive(Debug, Clone, Copy)]
pub struct DeliveryAttempt<'a> {
    /// Who tries.
    pub token: &'a FencingToken,
    /// On which channel.
    pub channel: Channel,
    /// The subscriber.
    pub id: &'a str,
    /// The digest's slot.
    pub slot: Timestamp,
}

/// A digest that is to be leased.
#[derive(Debug, Clone, Copy)]
pub struct LeaseRequest<'a> {
    /// By whom, and which.
    pub attempt: DeliveryAttempt<'a>,
    /// The papers that were chosen for it.
    pub papers: &'a [Pick],
    /// The same at every attempt.
    pub message_id: &'a str,
}

/// Whether a digest was leased.
#[derive(Debug, PartialEq)]
pub enum LeaseOutcome {
    /// Yes; with these papers, where an earlier attempt fixed some.
    Granted(Option<Vec<Pick>>),
    /// No: another owner has it, or a later one had it before.
    Busy,
    /// No: it is done.
    Done,
}

/// Whether a leased digest may be handed over.
#[derive(Debug, PartialEq, Eq)]
pub enum BeginOutcome {
    /// Yes.
    Begun,
    /// Yes; an earlier attempt ended without saying how, so the receiver may have the digest already.
    BegunAgain,
    /// No: another owner took over.
    LeaseLost,
    /// No: the subscription is not active, or takes nothing on this channel any more.
    NotWanted,
}

/// What an attempt that did not succeed left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptEffect {
    /// The receiver does not have the digest.
    NotAccepted,
    /// The receiver may have the digest.
    Unknown,
    /// The receiver was not asked. This is no attempt, and the pause before the next one does not grow by it.
    NotTried,
}

/// A paper of a digest, with what the reader is told about it. The same at every attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pick {
    /// The paper's id.
    pub id: String,
    /// Its score for this subscriber.
    pub score: f32,
    /// Why it is there, in words.
    pub reason: String,
    /// Of its score, what trending adds; the rest is the match with the interest that brought it.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub trending: f32,
    /// The index of that interest among the subscriber's, where one brought it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interest: Option<u16>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_nothing(value: &f32) -> bool {
    value.to_bits() == 0
}

impl Pick {
    /// A paper of which the log knows the id alone.
    pub fn known_only(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            score: 0.0,
            reason: String::new(),
            trending: 0.0,
            interest: None,
        }
    }

    /// What the score is made of; the parts add up to it.
    pub fn parts(&self) -> impl Iterator<Item = ScorePart> {
        let interest = self.interest.map(|place| ScorePart {
            name: "interest",
            value: self.score - self.trending,
            interest: 1 + u32::from(place),
        });
        let trending = (self.trending > 0.0).then_some(ScorePart {
            name: "trending",
            value: self.trending,
            interest: 0,
        });
        interest.into_iter().chain(trending)
    }
}

/// A part of the score of a paper, as interfaces call it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScorePart {
    /// What gave it: `interest` or `trending`.
    pub name: &'static str,
    /// What it adds.
    pub value: f32,
    /// Which of the subscriber's interests it was, counted from 1; else 0.
    pub interest: u32,
}
