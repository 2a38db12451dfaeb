//! Subscribers and their subscriptions: what there is to know of one, and what each change makes of it.
//!
//! [`Subscriptions`](subscriptions::Subscriptions) is the one place that changes a subscriber. It knows no database:
//! [`crate::ports`] says what it needs of one.

pub mod channel;
pub mod confirmations;
pub mod deliveries;
pub mod pending;
pub mod seen;
pub mod subscriptions;
pub mod suppressions;
pub mod unconfirmed;
pub mod webhook;
pub mod webhook_changes;

use domain::{PaperId, Preferences};
use jiff::Timestamp;
use proto::convert::to_wire_time;
use proto::subscriptions::v1 as wire;

pub use channel::Channel;
pub use subscriptions::Subscriptions;
use webhook::WebhookRegistration;

use crate::tokens::LinkHolder;

/// Votes that are kept of a reader: more than a reader gives while they count for trending.
const MAX_VOTES: usize = 200;

/// The state of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubscriberState {
    /// Waits for confirmation, kept by a version that had no [`pending`] requests; see [`unconfirmed`].
    Pending,
    /// Gets digests.
    Active,
    /// Gets nothing for a while.
    Paused,
    /// Ended by the reader.
    Unsubscribed,
    /// Ended because the address takes no mail, or must not get any.
    Suppressed,
}

/// A subscriber.
#[derive(Debug, Clone, PartialEq)]
pub struct Subscriber {
    /// Opaque id.
    pub id: String,
    /// Address, normalised.
    pub email: String,
    /// The state of the subscription.
    pub state: SubscriberState,
    /// What the reader wants.
    pub preferences: Preferences,
    /// Papers that a reader without interests wants nothing like.
    pub unwanted: Vec<PaperId>,
    /// When it was created.
    pub created: Timestamp,
    /// When it was confirmed.
    pub confirmed: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// When a pause ends by itself.
    pub paused_until: Option<Timestamp>,
    /// When a confirmation was last mailed, by a version that had no [`pending`] requests.
    pub asked: Option<Timestamp>,
    /// Since when its slots count: its confirmation, the end of its last pause, or the last change of its schedule.
    pub due_since: Option<Timestamp>,
    /// How consent was given; none while pending.
    pub consent: Option<Consent>,
    /// Takes digests where the preferences say so, and it has agreed.
    pub webhook: Option<WebhookRegistration>,
    /// Why the platform paused the subscription; empty where it did not.
    pub pause_reason: String,
    /// Grows when earlier links are revoked.
    pub link_epoch: u64,
    /// Under which votes are recorded: random, and nowhere else. Empty before the first vote.
    pub pseudonym: String,
    /// The newest votes, oldest first.
    pub votes: Vec<ReaderVote>,
    /// Grows with every change.
    pub version: u64,
}

/// A vote of a reader for a paper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReaderVote {
    /// The paper.
    pub paper: PaperId,
    /// When it was given first.
    pub time: Timestamp,
}

/// How consent was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    /// How.
    pub opt_in: OptIn,
    /// Where it comes from, in the operator's words; empty where the reader confirmed by mail.
    pub source: String,
    /// When.
    pub time: Timestamp,
}

/// The way in which consent is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptIn {
    /// By a mail that the reader confirms.
    DoubleOptIn,
    /// The operator has it. Ends an unsubscription or a bounce, too.
    OnRecord,
}

impl SubscriberState {
    const ALL: [Self; 5] = [
        Self::Pending,
        Self::Active,
        Self::Paused,
        Self::Unsubscribed,
        Self::Suppressed,
    ];

    /// The name in the store and in the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Unsubscribed => "unsubscribed",
            Self::Suppressed => "suppressed",
        }
    }

    /// By its name; none where no state has it.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether the subscription has not ended.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::Active | Self::Paused)
    }
}

impl Subscriber {
    /// Pauses a subscription that is active and has no channel left.
    pub fn pause_without_channels(&mut self, why: &str) {
        if self.state == SubscriberState::Active && self.takes_nothing() {
            self.state = SubscriberState::Paused;
            why.clone_into(&mut self.pause_reason);
        }
    }

    /// Ends a pause that the platform made, and none that a reader made.
    pub fn end_automatic_pause(&mut self) {
        if self.state == SubscriberState::Paused && !self.pause_reason.is_empty() {
            self.state = SubscriberState::Active;
        }
    }

    /// Whose links, as of now.
    pub fn link_holder(&self) -> LinkHolder<'_> {
        LinkHolder {
            id: &self.id,
            epoch: self.link_epoch,
        }
    }

    /// Keeps a vote among the newest; one for the same paper was counted already.
    pub fn add_vote(&mut self, paper: &PaperId, now: Timestamp) {
        if self.votes.iter().any(|vote| vote.paper == *paper) {
            return;
        }
        if self.votes.len() >= MAX_VOTES {
            self.votes.remove(0);
        }
        self.votes.push(ReaderVote {
            paper: paper.clone(),
            time: now,
        });
    }

    /// Ends a subscription that has not ended yet.
    pub fn end(&mut self, state: SubscriberState, now: Timestamp) {
        if self.state.is_open() {
            self.state = state;
            self.ended = Some(now);
        }
    }
}

impl From<&Consent> for wire::ConsentRecord {
    fn from(consent: &Consent) -> Self {
        let kind = match consent.opt_in {
            OptIn::DoubleOptIn => wire::Consent::DoubleOptIn,
            OptIn::OnRecord => wire::Consent::OnRecord,
        };
        Self {
            kind: kind.into(),
            source: consent.source.clone(),
            time: Some(to_wire_time(consent.time)),
        }
    }
}

#[cfg(test)]
mod tests;
