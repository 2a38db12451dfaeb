//! What this service needs of a store, in its own terms: subscribers, what was delivered, who is due, how fast things may
//! come. [`crate::store`] has the adapters, one over Redis and one in memory, and one suite that both pass.
//!
//! No rule is kept here: what a change means is decided in [`crate::subscribers`] and [`crate::digests`].

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use common::bus::BusError;
use domain::preferences::Channels;
use domain::{EmailAddress, EncoderId, Int8Vector};
use jiff::{SignedDuration, Timestamp};

use crate::subscribers::deliveries::{
    AttemptEffect, BeginOutcome, DeliveryAttempt, DeliveryHistory, DeliveryRecord, DueBatch, FencingToken,
    LeaseOutcome, LeaseRequest,
};
use crate::subscribers::pending::{ConfirmedRequest, PendingState, PendingSubscription};
use crate::subscribers::suppressions::{Suppression, SuppressionEntry};
use crate::subscribers::{Channel, Subscriber};

/// The store or the log beside it does not answer, or holds what it should not. Callers try again.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No answer.
    #[error("the store of subscribers does not answer: {0}")]
    Unavailable(String),
    /// The connection broke before the answer came: what was asked may have been done.
    #[error("the connection to the store of subscribers broke: {0}")]
    ConnectionLost(String),
    /// The log does not have it.
    #[error("the log of subscribers does not answer: {0}")]
    Log(#[from] BusError),
    /// What was asked together failed together.
    #[error("{0}")]
    Shared(Arc<StoreError>),
    /// The process is ending.
    #[error("the process is ending")]
    Ending,
    /// Others changed it before every attempt.
    #[error("{0} is changed by others again and again")]
    Contended(String),
    /// A value that does not parse.
    #[error("the store holds {key} that does not parse: {problem}")]
    Corrupt {
        /// Where.
        key: String,
        /// Why.
        problem: String,
    },
}

impl StoreError {
    /// A value that does not parse.
    pub fn corrupt(key: &str, problem: impl std::fmt::Display) -> Self {
        Self::Corrupt {
            key: key.to_owned(),
            problem: problem.to_string(),
        }
    }
}

/// How long things hold.
#[derive(Debug, Clone, Copy)]
pub struct StoreTimes {
    /// A lease whose owner falls silent. Longer than any attempt to send.
    pub lease: SignedDuration,
    /// Records of deliveries and the papers in them; longer than papers can be chosen for digests.
    pub retention: SignedDuration,
}

impl StoreTimes {
    /// Records outlive the window of papers by this much: a paper that comes back in a new revision is still known.
    const BEYOND_WINDOW: SignedDuration = SignedDuration::from_hours(24 * 35);

    /// For a window of papers of this length.
    pub fn new(lease: SignedDuration, window: SignedDuration) -> Self {
        Self {
            lease,
            retention: window.saturating_add(Self::BEYOND_WINDOW),
        }
    }
}

/// When a changed subscriber is due next, on one channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextDue {
    /// As before.
    Unchanged,
    /// Never.
    Never,
    /// Then.
    At(Timestamp),
}

/// What is to be written with a subscriber.
#[derive(Debug, Clone, Copy)]
pub struct Placement {
    /// One for each channel, in their order.
    pub due: [NextDue; 2],
    /// Whether the kept vectors are still those of the interests.
    pub vectors_hold: bool,
}

/// A subscriber with the kept vectors of the interests.
#[derive(Debug, Clone)]
pub struct SubscriberProfile {
    /// The subscriber.
    pub subscriber: Subscriber,
    /// Whose they are, and one per interest; none where they have to be made.
    pub vectors: Option<InterestVectors>,
}

/// Whose vectors, and one per interest.
pub type InterestVectors = (EncoderId, Vec<Int8Vector>);

/// Many answers in the order of what was asked: one that fails takes no other along.
pub type Each<T> = Result<Vec<Result<T, StoreError>>, StoreError>;

/// Keeps subscribers, and which addresses must get no mail. Every change is in the log, too, when it is answered.
#[async_trait]
pub trait SubscriberStore: Send + Sync {
    /// A subscriber by id.
    async fn get(&self, id: &str) -> Result<Option<Subscriber>, StoreError>;

    /// A subscriber by address.
    async fn find(&self, email: &EmailAddress) -> Result<Option<Subscriber>, StoreError>;

    /// Gets back what the store has lost, where it has, so that nobody who is known is taken for new.
    async fn ensure_complete(&self) -> Result<(), StoreError>;

    /// The id that stands for an address: `fresh` where there was none.
    async fn reserve_id(&self, email: &EmailAddress, fresh: &str) -> Result<String, StoreError>;

    /// Whether there is room for more than what is kept; an error where what is left is for ends, pauses and the like.
    fn require_room(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Writes a subscriber of the next version over the one before; false where another version is there. `now` is when.
    async fn replace(&self, subscriber: &Subscriber, placement: Placement) -> Result<bool, StoreError>;

    /// Puts the state of a subscriber into the log where that has an older one: an earlier call may have written it and not
    /// got as far.
    async fn ensure_logged(&self, id: &str) -> Result<(), StoreError>;

    /// Ends a subscription in the log alone, because the store does not answer or has lost it. It is ended in the store
    /// before anything is sent. None where the log knows nobody either.
    async fn end_in_log(&self, id: &str, now: Timestamp) -> Result<Option<Subscriber>, StoreError>;

    /// Returns when everything written before is on a disk, or when that cannot be known.
    async fn wait_for_disk(&self);

    /// Forgets everything about a subscriber. A suppression of the address stays.
    async fn forget(&self, subscriber: &Subscriber) -> Result<(), StoreError>;

    /// Subscribers in the order of their last changes, at most `size`, from where an earlier page ended; and where to go
    /// on.
    async fn page(&self, after: u64, size: usize) -> Result<(Vec<Subscriber>, Option<u64>), StoreError>;

    /// Active ids of a channel from a cursor on, and the next cursor; 0 at the end. An id may come twice.
    async fn active(&self, channel: Channel, cursor: u64) -> Result<(u64, Vec<String>), StoreError>;

    /// Paused subscribers whose pauses end by themselves until a moment, at most so many.
    async fn pauses_ending(&self, until: Timestamp, most: usize) -> Result<Vec<String>, StoreError>;

    /// Subscribers by id with the vectors of their interests; none where there is nobody.
    async fn profiles(&self, ids: &[String]) -> Each<Option<SubscriberProfile>>;

    /// Keeps the vectors of a subscriber's interests, unless the subscriber changed meanwhile.
    async fn keep_vectors(&self, subscriber: &Subscriber, vectors: &InterestVectors) -> Result<(), StoreError>;

    /// What is said of an address, by its hash.
    async fn suppression(&self, address_hash: &str) -> Result<Option<SuppressionEntry>, StoreError>;

    /// Writes what is said of an address over the version before; false where another version is there.
    async fn replace_suppression(&self, address_hash: &str, entry: SuppressionEntry) -> Result<bool, StoreError>;

    /// Puts what is said of an address into the log where that has an older word.
    async fn ensure_suppression_logged(&self, address_hash: &str) -> Result<(), StoreError>;

    /// About so many addresses that get no mail, from a cursor on, and the next cursor; 0 at the end.
    async fn suppressions(&self, cursor: u64, about: usize) -> Result<(u64, Vec<Suppression>), StoreError>;
}

/// Keeps requests to subscribe until they are confirmed or their time is up. They are in the log, too, for as long.
#[async_trait]
pub trait PendingStore: Send + Sync {
    /// Keeps a request. The oldest make room where all of them would take more bytes than the budget. Answers how many bytes
    /// they take now.
    async fn keep(&self, pending: &PendingSubscription, budget: u64, now: Timestamp) -> Result<u64, StoreError>;

    /// What is known of a request whose time is not up.
    async fn pending(&self, id: &str, now: Timestamp) -> Result<Option<PendingState>, StoreError>;

    /// The same for all requests of a mailbox, by its hash.
    async fn pending_of(&self, mailbox_hash: &str, now: Timestamp) -> Result<Vec<PendingState>, StoreError>;

    /// Leaves no more of a request than whose subscription it became, until its time is up.
    async fn mark_confirmed(
        &self,
        pending: &PendingSubscription,
        confirmed: &ConfirmedRequest,
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// Forgets a request.
    async fn drop_pending(&self, pending: &PendingSubscription) -> Result<(), StoreError>;
}

/// Records which digests were sent, so that each reader gets one per slot whatever crashes.
#[async_trait]
pub trait DeliveryLedger: Send + Sync {
    /// The record of a digest on a channel; its stage is [`None`](crate::subscribers::deliveries::DeliveryStage::None)
    /// where there is none.
    async fn record(&self, channel: Channel, id: &str, slot: Timestamp) -> Result<DeliveryRecord, StoreError>;

    /// What is known of these digests on a channel, and what their readers were sent before. Papers that the other channel
    /// has fixed are those of a digest that has none yet.
    async fn histories(&self, channel: Channel, digests: &[(&str, Timestamp, Channels)]) -> Each<DeliveryHistory>;

    /// Leases digests and fixes their papers: those of the other channel, where they are fixed already.
    async fn lease(&self, requests: &[LeaseRequest<'_>], now: Timestamp) -> Each<LeaseOutcome>;

    /// Checks the subscription and the lease just before a digest is handed over, in one step.
    async fn begin(&self, attempt: DeliveryAttempt<'_>, now: Timestamp) -> Result<BeginOutcome, StoreError>;

    /// Records how an attempt ended; false where the record belongs to somebody else. `due` is when the subscriber is
    /// looked at next.
    async fn settle(
        &self,
        attempt: DeliveryAttempt<'_>,
        record: &DeliveryRecord,
        due: Timestamp,
        effect: AttemptEffect,
    ) -> Result<bool, StoreError>;

    /// Slots with a record on any channel, newest first, older than a given one.
    async fn slots(&self, id: &str, before: Option<Timestamp>, most: usize) -> Result<Vec<Timestamp>, StoreError>;

    /// Records that the digest of a slot came back as a soft bounce; answers, for the digests that were mailed about that
    /// time, whether they did, oldest first.
    async fn record_soft_bounce(
        &self,
        id: &str,
        slot: Timestamp,
        within: SignedDuration,
    ) -> Result<Vec<(Timestamp, bool)>, StoreError>;
}

/// Who is due for a digest, and when.
#[async_trait]
pub trait DueQueue: Send + Sync {
    /// Takes up to `most` subscribers that are due on a channel; nobody else gets them for the length of the lease.
    async fn claim(&self, channel: Channel, now: Timestamp, most: usize) -> Result<DueBatch, StoreError>;

    /// A fencing token for an attempt that nobody was due for, such as an operator's.
    async fn token(&self) -> Result<FencingToken, StoreError>;

    /// Sets when subscribers are due next on a channel, unless their subscriptions ended meanwhile.
    async fn reschedule(&self, channel: Channel, due: &[(&str, Timestamp)]) -> Result<(), StoreError>;

    /// When a subscriber is due next, on any channel.
    async fn due(&self, id: &str) -> Result<Option<Timestamp>, StoreError>;

    /// When the next digest of anybody is due on a channel.
    async fn next_due(&self, channel: Channel) -> Result<Option<Timestamp>, StoreError>;

    /// Returns when somebody became due earlier through this process since the last time.
    async fn changed(&self, channel: Channel);
}

/// A bucket of tokens, which fills by itself.
#[derive(Debug, Clone)]
pub struct TokenBucket {
    /// Its name.
    pub name: String,
    /// Tokens it holds.
    pub capacity: u32,
    /// From empty to full.
    pub filled_in: Duration,
}

/// Limits how often things happen, across replicas.
#[async_trait]
pub trait RateLimiter: Send + Sync {
    /// Takes a token from each bucket, or none from any; the answer is after how long to try again where one is empty.
    async fn take(&self, buckets: &[TokenBucket], now: Timestamp) -> Result<Option<Duration>, StoreError>;

    /// Counts an event in each window, or in none: the answer is the first one that is full. The same event that comes again
    /// at once is counted once.
    async fn count(
        &self,
        windows: &[SlidingWindow],
        event: &str,
        now: Timestamp,
    ) -> Result<Option<FullWindow>, StoreError>;

    /// The first window that is full, without counting anything.
    async fn full_window(&self, windows: &[SlidingWindow], now: Timestamp) -> Result<Option<FullWindow>, StoreError>;

    /// Takes back an event that was counted then and did not happen.
    async fn uncount(&self, windows: &[SlidingWindow], event: &str, counted: Timestamp) -> Result<(), StoreError>;
}

/// At most so many events within any period of a length. Unlike a bucket of tokens it remembers each event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlidingWindow {
    /// Its name.
    pub name: String,
    /// Events in it.
    pub most: u32,
    /// The length of the period.
    pub length: Duration,
}

/// A window without room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FullWindow {
    /// Its place among those that were asked for.
    pub index: usize,
    /// After how long it has room.
    pub wait: Duration,
}

/// How much of the log a recovery reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecoveryExtent {
    /// What is newer than what the store is known to have had; else everything.
    SinceMark,
    /// Everything, and everything in the store is logged.
    Everything,
}

/// How far a recovery is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RecoveryProgress {
    /// Entries read.
    pub read: u64,
    /// Entries there were when it began.
    pub total: u64,
    /// Subscribers, suppressions and deliveries that the store did not have, or had in an older version.
    pub restored: u64,
    /// Subscribers and suppressions of the store that were compared with the log, and put there where it had older ones.
    pub logged: u64,
}

/// Brings a store that lost something up to the log.
#[async_trait]
pub trait StoreRecovery: Send + Sync {
    /// Brings the store up to the log, and the log up to the store. Done again it changes nothing.
    async fn recover(
        &self,
        extent: RecoveryExtent,
        report: &mut (dyn FnMut(RecoveryProgress) + Send),
    ) -> Result<RecoveryProgress, StoreError>;
}
