//! The first step: which digest each subscriber is owed, and whether papers have to be chosen for it.
//!
//! Everything is read in two round trips for all of them. It chooses, sends and records nothing.

use std::sync::Arc;

use domain::Preferences;
use domain::preferences::Channels;
use jiff::{SignedDuration, Timestamp};

use super::choose::EmptyReason;
use super::{DigestError, DigestPaper};
use crate::ports::{DeliveryLedger, StoreError, SubscriberProfile, SubscriberStore};
use crate::subscribers::deliveries::{DeliveryHistory, DeliveryRecord, DeliveryStage};
use crate::subscribers::{Channel, Subscriber, SubscriberState};
use crate::window::SharedWindow;

/// Why digests are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DigestTrigger {
    /// Their slots came.
    Schedule,
    /// An operator asked.
    Operator,
    /// To be looked at: what was sent or refused before does not matter.
    Preview,
}

/// A digest whose papers have to be chosen.
#[derive(Debug)]
pub struct OpenDigest {
    pub profile: SubscriberProfile,
    /// The moment it is due.
    pub slot: Timestamp,
    /// The moment after that.
    pub next: Timestamp,
    pub history: DeliveryHistory,
}

/// A digest with what is to become of it.
#[derive(Debug)]
pub struct Draft {
    /// Whom it is for.
    pub subscriber: Subscriber,
    /// The moment it is due.
    pub slot: Timestamp,
    /// The moment after that.
    pub next: Timestamp,
    /// What is known of it.
    pub record: DeliveryRecord,
    /// What is to become of it.
    pub decision: DraftDecision,
}

/// What is to become of a digest.
#[derive(Debug)]
pub enum DraftDecision {
    /// To be sent with these papers.
    Send(Vec<DigestPaper>),
    /// There is nothing to send.
    Empty(EmptyReason),
    /// Its turn came too late.
    Expired(String),
    /// Not now.
    Defer(String),
    /// It ended before.
    Ended,
}

/// What the first step says of a subscriber.
#[derive(Debug)]
pub enum PlannedDigest {
    /// Papers have to be chosen.
    Open(Box<OpenDigest>),
    /// Nothing has to be chosen.
    Decided(Box<Draft>),
    /// There is no such subscriber.
    NoSubscriber,
    /// What is kept of the subscriber cannot be read.
    Failed(DigestError),
}

/// Plans digests.
pub struct Planner {
    pub store: Arc<dyn SubscriberStore>,
    pub ledger: Arc<dyn DeliveryLedger>,
    pub window: SharedWindow,
    /// Digests whose turn comes later than this after their slot are not sent.
    pub expire: SignedDuration,
}

impl Planner {
    /// Plans the digests of the current slots for a channel, in the order of the ids.
    pub async fn plan(
        &self,
        channel: Channel,
        ids: &[String],
        trigger: DigestTrigger,
        now: Timestamp,
    ) -> Result<Vec<PlannedDigest>, DigestError> {
        let mut profiles = self.store.profiles(ids).await?;
        let known = profiles.iter().filter_map(|one| one.as_ref().ok()?.as_ref());
        let slots: Vec<(String, Timestamp, Channels)> = known
            .map(|one| &one.subscriber)
            .map(|one| (one.id.clone(), slots(one, now).0, one.preferences.channels))
            .collect();
        let digests: Vec<_> = slots
            .iter()
            .map(|(id, slot, channels)| (id.as_str(), *slot, *channels))
            .collect();
        let mut histories = self.ledger.histories(channel, &digests).await?.into_iter();
        let plan = |profile: Result<Option<SubscriberProfile>, StoreError>| match profile {
            Ok(Some(profile)) => match histories.next() {
                Some(Ok(history)) => self.decide(channel, OpenDigest::new(profile, history, now), trigger, now),
                Some(Err(error)) => PlannedDigest::Failed(error.into()),
                None => PlannedDigest::NoSubscriber,
            },
            Ok(None) => PlannedDigest::NoSubscriber,
            Err(error) => PlannedDigest::Failed(error.into()),
        };
        Ok(profiles.drain(..).map(plan).collect())
    }

    /// The digest that somebody would get with these preferences, where `known` is who that is.
    pub async fn plan_sample(
        &self,
        known: Option<&Subscriber>,
        preferences: Preferences,
        now: Timestamp,
    ) -> Result<OpenDigest, DigestError> {
        let Some(known) = known else {
            return Ok(OpenDigest::first(nobody(preferences, now), now));
        };
        let reader = Subscriber {
            preferences,
            // No version is kept as 0, so vectors of interests that nobody saved are not kept either.
            version: 0,
            ..known.clone()
        };
        let mut open = OpenDigest::first(reader, now);
        // What was seen is the same on every channel.
        let digest = [(known.id.as_str(), open.slot, Channels::Mail)];
        for history in self.ledger.histories(Channel::Mail, &digest).await? {
            open.history.seen = history?.seen;
        }
        Ok(open)
    }

    fn decide(&self, channel: Channel, open: OpenDigest, trigger: DigestTrigger, now: Timestamp) -> PlannedDigest {
        match self.decision(channel, &open, trigger, now) {
            Some(decision) => PlannedDigest::Decided(Box::new(open.decided(decision))),
            None => PlannedDigest::Open(Box::new(open)),
        }
    }

    /// What is to become of a digest for which nothing has to be chosen.
    fn decision(
        &self,
        channel: Channel,
        open: &OpenDigest,
        trigger: DigestTrigger,
        now: Timestamp,
    ) -> Option<DraftDecision> {
        let (record, subscriber) = (&open.history.record, &open.profile.subscriber);
        if trigger != DigestTrigger::Preview {
            if record.stage.is_final() {
                return Some(DraftDecision::Ended);
            }
            if subscriber.state != SubscriberState::Active {
                return Some(DraftDecision::Empty(EmptyReason::NotActive));
            }
            if !subscriber.takes(channel) {
                return Some(DraftDecision::Empty(EmptyReason::OtherChannel));
            }
        }
        if trigger == DigestTrigger::Schedule
            && let Some(detail) = self.too_late(open, now)
        {
            return Some(DraftDecision::Expired(detail));
        }
        if record.picks.is_empty() || record.stage == DeliveryStage::Sent {
            return None;
        }
        let papers = self.window.find(&record.picks);
        Some(if papers.is_empty() {
            DraftDecision::Empty(EmptyReason::Withdrawn)
        } else {
            DraftDecision::Send(papers)
        })
    }

    /// An operator may ask for a digest long after its slot; the first attempt counts then.
    fn too_late(&self, open: &OpenDigest, now: Timestamp) -> Option<String> {
        let record = &open.history.record;
        let age = now.duration_since(record.begun.map_or(open.slot, |begun| begun.max(open.slot)));
        if age <= self.expire {
            return None;
        }
        let detail = format!(
            "its turn came {} hours after its slot; notification.expire_hours is {}",
            now.duration_since(open.slot).as_hours(),
            self.expire.as_hours()
        );
        Some(match record.detail.as_str() {
            "" => detail,
            last => format!("{detail}; the last answer was: {last}"),
        })
    }
}

impl OpenDigest {
    fn new(profile: SubscriberProfile, history: DeliveryHistory, now: Timestamp) -> Self {
        let (slot, next) = slots(&profile.subscriber, now);
        Self {
            profile,
            slot,
            next,
            history,
        }
    }

    /// Of somebody who was never sent anything.
    fn first(subscriber: Subscriber, now: Timestamp) -> Self {
        let profile = SubscriberProfile {
            subscriber,
            vectors: None,
        };
        Self::new(profile, DeliveryHistory::default(), now)
    }

    /// With what is to become of it.
    pub fn decided(self, decision: DraftDecision) -> Draft {
        Draft {
            subscriber: self.profile.subscriber,
            slot: self.slot,
            next: self.next,
            record: self.history.record,
            decision,
        }
    }
}

/// Somebody who is not subscribed.
fn nobody(preferences: Preferences, now: Timestamp) -> Subscriber {
    Subscriber {
        id: "nobody".to_owned(),
        email: "reader@example.org".to_owned(),
        state: SubscriberState::Pending,
        preferences,
        unwanted: Vec::new(),
        created: now,
        confirmed: None,
        ended: None,
        paused_until: None,
        asked: None,
        due_since: None,
        consent: None,
        webhook: None,
        pause_reason: String::new(),
        link_epoch: 0,
        pseudonym: String::new(),
        votes: Vec::new(),
        version: 0,
    }
}

/// The slot a digest sent now belongs to, and the one after it.
fn slots(subscriber: &Subscriber, now: Timestamp) -> (Timestamp, Timestamp) {
    let schedule = &subscriber.preferences.schedule;
    (schedule.current_slot(now), schedule.next_slot(now))
}
