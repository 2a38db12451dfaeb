//! Every change of a subscriber: read, decide, write over the version that was read.
//!
//! When somebody else was faster it is read and decided again, so a decision always stands on the newest state. A change is
//! answered when the store and the log have it.

mod requests;

use std::sync::Arc;
use std::time::Duration;

use common::clock::Clock;
use domain::{EmailAddress, PaperId, Preferences};
use jiff::Timestamp;
use tracing::warn;

use super::suppressions::{SuppressionCause, SuppressionEntry, address_hash, mailbox_hash};
use super::{Channel, Consent, OptIn, Subscriber, SubscriberState};
use crate::ports::{NextDue, Placement, StoreError, SubscriberStore};

/// How long the store may take to end a subscription before the log does. The whole answer is to take less than a second.
const STORE_PATIENCE: Duration = Duration::from_millis(500);
/// How long an unsubscription that the store and the log have waits for the disk of the store.
const DISK_PATIENCE: Duration = Duration::from_secs(1);
/// Changes of one subscriber that may come in between, one after the other.
const MOST_CONFLICTS: usize = 64;
/// Pauses that are ended together.
const RESUMED_AT_ONCE: usize = 1_000;

/// What follows from a subscription with consent on record.
#[derive(Debug, PartialEq, Eq)]
pub enum SubscribeOutcome {
    /// The subscription holds.
    Active,
    /// Nothing: the operator's consent on record does not outweigh why the address is suppressed.
    Suppressed(SuppressionCause),
    /// Nothing: the reader ended the subscription after that consent.
    EndedSince(Timestamp),
}

/// What a change makes of a subscriber.
enum Change {
    None,
    To(Box<Subscriber>),
}

/// Whether a write whose answer was lost is tried again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OnLostAnswer {
    Retry,
    Fail,
}

/// Changes subscribers. Clones share the store.
#[derive(Clone)]
pub struct Subscriptions {
    store: Arc<dyn SubscriberStore>,
    pub(super) clock: Clock,
}

impl Subscriptions {
    /// Over a store.
    pub fn new(store: Arc<dyn SubscriberStore>, clock: Clock) -> Self {
        Self { store, clock }
    }

    /// A subscriber by id.
    pub async fn get(&self, id: &str) -> Result<Option<Subscriber>, StoreError> {
        self.store.get(id).await
    }

    /// A subscriber by address.
    pub async fn by_email(&self, email: &EmailAddress) -> Result<Option<Subscriber>, StoreError> {
        self.store.find(email).await
    }

    /// Subscribes an address whose reader's consent the operator has. `fresh` becomes the id of an address that was not known.
    pub async fn subscribe(
        &self,
        email: &EmailAddress,
        fresh: &str,
        preferences: &Preferences,
    ) -> Result<SubscribeOutcome, StoreError> {
        let consent = Consent {
            opt_in: OptIn::OnRecord,
            source: String::new(),
            time: self.clock.now(),
        };
        self.subscribe_with(email, fresh, preferences, &consent).await
    }

    /// The same with consent that was given earlier. Preferences of a reader who is subscribed already stay.
    pub async fn import(
        &self,
        email: &EmailAddress,
        fresh: &str,
        preferences: &Preferences,
        consent: &Consent,
    ) -> Result<SubscribeOutcome, StoreError> {
        let known = self.store.find(email).await?;
        let unsubscribed = known
            .as_ref()
            .filter(|known| known.state == SubscriberState::Unsubscribed);
        if let Some(ended) = unsubscribed
            .and_then(|known| known.ended)
            .filter(|ended| *ended >= consent.time)
        {
            return Ok(SubscribeOutcome::EndedSince(ended));
        }
        if let Some(known) = known.filter(is_subscribed) {
            self.store.ensure_logged(&known.id).await?;
            return Ok(SubscribeOutcome::Active);
        }
        self.subscribe_with(email, fresh, preferences, consent).await
    }

    async fn subscribe_with(
        &self,
        email: &EmailAddress,
        fresh: &str,
        preferences: &Preferences,
        consent: &Consent,
    ) -> Result<SubscribeOutcome, StoreError> {
        let begun = self.clock.now();
        self.store.ensure_complete().await?;
        match self.suppression(email).await? {
            Some(SuppressionCause::Bounce) => self.lift_suppression(email).await?,
            Some(cause) => return Ok(SubscribeOutcome::Suppressed(cause)),
            None => {}
        }
        let id = self.store.reserve_id(email, fresh).await?;
        let mut outcome = SubscribeOutcome::Active;
        let written = self.write_over(&id, OnLostAnswer::Fail, |known, now| {
            // Its reader left while this was under way.
            let ended = known.filter(|known| known.state == SubscriberState::Unsubscribed);
            if let Some(ended) = ended.and_then(|known| known.ended).filter(|ended| *ended > begun) {
                outcome = SubscribeOutcome::EndedSince(ended);
                return Change::None;
            }
            outcome = SubscribeOutcome::Active;
            Change::To(Box::new(subscribed(&id, email, known, preferences, consent, now)))
        });
        written.await?;
        Ok(outcome)
    }

    /// Changes what a subscriber wants. An error of `change` is the answer, and nothing is changed.
    pub async fn set_preferences<E>(
        &self,
        id: &str,
        change: impl Fn(&Subscriber) -> Result<Preferences, E> + Send + Sync,
    ) -> Result<Result<Option<Subscriber>, E>, StoreError>
    where
        E: Send,
    {
        // Many that grow would take the room that others need to leave.
        self.store.require_room()?;
        let mut refused = None;
        let changed = self.change(id, |known, _| match change(known) {
            Ok(preferences) => {
                known.preferences = preferences;
                // Whoever chooses mail instead of a webhook that is out of use wants to have it.
                if !known.takes_nothing() {
                    known.end_automatic_pause();
                }
            }
            Err(error) => refused = Some(error),
        });
        let changed = changed.await?;
        Ok(refused.map_or(Ok(changed), Err))
    }

    /// Changes a subscriber in a way that cannot be refused, given what is known and the time. None where there is nobody.
    pub async fn change(
        &self,
        id: &str,
        mut change: impl FnMut(&mut Subscriber, Timestamp) + Send,
    ) -> Result<Option<Subscriber>, StoreError> {
        self.write_over(id, OnLostAnswer::Retry, |known, now| {
            let Some(known) = known else {
                return Change::None;
            };
            let mut changed = known.clone();
            change(&mut changed, now);
            if changed == *known {
                Change::None
            } else {
                Change::To(Box::new(changed))
            }
        })
        .await
    }

    /// Sends nothing until resumed, or until a moment. Changes nothing in other states than active and paused.
    pub async fn pause(&self, id: &str, until: Option<Timestamp>) -> Result<Option<Subscriber>, StoreError> {
        let pause = |known: &mut Subscriber, _| {
            if is_subscribed(known) {
                known.state = SubscriberState::Paused;
                known.paused_until = until;
                known.pause_reason.clear();
            }
        };
        self.change(id, pause).await
    }

    /// Ends a pause. Changes nothing in any other state.
    pub async fn resume(&self, id: &str) -> Result<Option<Subscriber>, StoreError> {
        let resume = |known: &mut Subscriber, _| {
            if known.state == SubscriberState::Paused {
                known.state = SubscriberState::Active;
            }
        };
        self.change(id, resume).await
    }

    /// Resumes whose pauses have ended by themselves.
    pub async fn resume_due(&self) -> Result<(), StoreError> {
        for id in self.store.pauses_ending(self.clock.now(), RESUMED_AT_ONCE).await? {
            self.resume(&id).await?;
        }
        Ok(())
    }

    /// Ends a subscription. When it returns nothing more is sent, whatever crashes. Where the store does not answer in time the
    /// log alone takes it, and the store learns of it before the next digest is sent.
    pub async fn unsubscribe(&self, id: &str) -> Result<Option<Subscriber>, StoreError> {
        let end = |known: &mut Subscriber, now| known.end(SubscriberState::Unsubscribed, now);
        let ended = self.clock.timeout(STORE_PATIENCE, self.change(id, end)).await;
        let ended = ended.unwrap_or_else(|| {
            let problem = format!("no answer within {} ms", STORE_PATIENCE.as_millis());
            Err(StoreError::Unavailable(problem))
        });
        match ended {
            Ok(Some(ended)) => {
                // The log has it in any case.
                self.clock.timeout(DISK_PATIENCE, self.store.wait_for_disk()).await;
                Ok(Some(ended))
            }
            // Nobody, or somebody whom the store has lost.
            Ok(None) => self.store.end_in_log(id, self.clock.now()).await,
            Err(error @ (StoreError::Unavailable(_) | StoreError::ConnectionLost(_))) => {
                warn!(%error, subscriber = id, "ending the subscription in the log");
                let ended = self.store.end_in_log(id, self.clock.now()).await?;
                ended.map_or(Err(error), |ended| Ok(Some(ended)))
            }
            Err(error) => Err(error),
        }
    }

    /// Revokes all links of a subscriber but those that only unsubscribe.
    pub async fn revoke_links(&self, id: &str) -> Result<Option<Subscriber>, StoreError> {
        let epoch = self.store.get(id).await?.map_or(0, |known| known.link_epoch) + 1;
        // Not one more than the newest: of two who revoke at once neither revokes the fresh links of the other.
        let revoke = |known: &mut Subscriber, _| known.link_epoch = known.link_epoch.max(epoch);
        self.change(id, revoke).await
    }

    /// Records a vote, under the reader's pseudonym; none where there is no such reader.
    pub async fn vote(&self, id: &str, paper: &PaperId) -> Result<Option<String>, StoreError> {
        let vote = |known: &mut Subscriber, now| known.add_vote(paper, now);
        self.under_pseudonym(id, vote).await
    }

    /// Changes a subscriber who has a pseudonym from then on at the latest; answers it.
    pub async fn under_pseudonym(
        &self,
        id: &str,
        mut change: impl FnMut(&mut Subscriber, Timestamp) + Send,
    ) -> Result<Option<String>, StoreError> {
        let fresh = uuid::Uuid::new_v4().simple().to_string();
        let named = |known: &mut Subscriber, now| {
            if known.pseudonym.is_empty() {
                known.pseudonym.clone_from(&fresh);
            }
            change(known, now);
        };
        let changed = self.change(id, named).await?;
        Ok(changed.map(|changed| changed.pseudonym))
    }

    /// Why an address gets no mail; none where it may get some. What the reader of a mailbox declined holds for all its tags.
    pub async fn suppression(&self, email: &EmailAddress) -> Result<Option<SuppressionCause>, StoreError> {
        let (address, mailbox) = (address_hash(email), mailbox_hash(email));
        let cause = self.cause(&address).await?;
        if mailbox == address {
            return Ok(cause);
        }
        let declined = |of_mailbox: &SuppressionCause| *of_mailbox == SuppressionCause::Declined;
        let of_mailbox = self.cause(&mailbox).await?.filter(declined);
        Ok(of_mailbox.filter(|declined| declined.outweighs(cause)).or(cause))
    }

    async fn cause(&self, hash: &str) -> Result<Option<SuppressionCause>, StoreError> {
        Ok(self.store.suppression(hash).await?.and_then(|entry| entry.cause))
    }

    /// Sends nothing to a mailbox any more, whose reader declined it. Its subscriptions are ended by whoever knows them.
    pub async fn decline(&self, mailbox_hash: &str) -> Result<(), StoreError> {
        let cause = SuppressionCause::Declined;
        let decline = |known: Option<SuppressionCause>| cause.outweighs(known).then_some(Some(cause));
        self.write_suppression(mailbox_hash, decline).await
    }

    /// Sends nothing more to a subscriber.
    pub async fn suppress(&self, id: &str, cause: SuppressionCause) -> Result<(), StoreError> {
        let Some(known) = self.store.get(id).await? else {
            return Ok(());
        };
        match EmailAddress::parse(&known.email) {
            Ok(address) => self.suppress_address(&address, cause).await,
            Err(error) => Err(StoreError::corrupt(id, error)),
        }
    }

    /// Sends nothing to an address any more; ends its subscription, if there is one.
    pub async fn suppress_address(&self, email: &EmailAddress, cause: SuppressionCause) -> Result<(), StoreError> {
        let suppress = |known: Option<SuppressionCause>| cause.outweighs(known).then_some(Some(cause));
        self.write_suppression(&address_hash(email), suppress).await?;
        let Some(known) = self.store.find(email).await? else {
            return Ok(());
        };
        let end = |known: &mut Subscriber, now| known.end(SubscriberState::Suppressed, now);
        self.change(&known.id, end).await?;
        self.store.wait_for_disk().await;
        Ok(())
    }

    /// Allows mail to an address again. A subscription that it ended stays ended until there is new consent.
    pub async fn lift_suppression(&self, email: &EmailAddress) -> Result<(), StoreError> {
        self.write_suppression(&address_hash(email), |known| known.map(|_| None))
            .await?;
        let declined = |known: Option<SuppressionCause>| (known == Some(SuppressionCause::Declined)).then_some(None);
        self.write_suppression(&mailbox_hash(email), declined).await?;
        let Some(known) = self.store.find(email).await? else {
            return Ok(());
        };
        let end = |known: &mut Subscriber, _| {
            if known.state == SubscriberState::Suppressed {
                known.state = SubscriberState::Unsubscribed;
            }
        };
        self.change(&known.id, end).await.map(drop)
    }

    /// Forgets everything about a subscriber. A suppression of the address stays.
    pub async fn forget(&self, subscriber: &Subscriber) -> Result<(), StoreError> {
        self.store.forget(subscriber).await?;
        self.store.wait_for_disk().await;
        Ok(())
    }

    /// Writes what is said of an address from now on: why it gets no mail, or nothing where that is lifted. `decide`
    /// answers `None` where what is known stays.
    async fn write_suppression(
        &self,
        hash: &str,
        decide: impl Fn(Option<SuppressionCause>) -> Option<Option<SuppressionCause>> + Send,
    ) -> Result<(), StoreError> {
        for _ in 0..MOST_CONFLICTS {
            let known = self.store.suppression(hash).await?;
            let Some(cause) = decide(known.and_then(|known| known.cause)) else {
                return self.store.ensure_suppression_logged(hash).await;
            };
            let entry = SuppressionEntry {
                version: known.map_or(0, |known| known.version) + 1,
                cause,
                since: self.clock.now(),
            };
            if self.store.replace_suppression(hash, entry).await? {
                return Ok(());
            }
        }
        Err(StoreError::Contended(format!("the suppression of {hash}")))
    }

    /// Reads, decides, writes; answers what holds afterwards.
    async fn write_over(
        &self,
        id: &str,
        lost: OnLostAnswer,
        mut decide: impl FnMut(Option<&Subscriber>, Timestamp) -> Change + Send,
    ) -> Result<Option<Subscriber>, StoreError> {
        for _ in 0..MOST_CONFLICTS {
            let known = self.store.get(id).await?;
            let now = self.clock.now();
            let change = decide(known.as_ref(), now);
            let Change::To(mut changed) = change else {
                // An earlier call may have written it and not got as far as the log.
                self.store.ensure_logged(id).await?;
                return Ok(known);
            };
            let placement = place(known.as_ref(), &mut changed, now);
            match self.store.replace(&changed, placement).await {
                Ok(true) => return Ok(Some(*changed)),
                Ok(false) => {}
                Err(StoreError::ConnectionLost(_)) if lost == OnLostAnswer::Retry => {}
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Contended(format!("subscriber {id}")))
    }
}

fn is_subscribed(known: &Subscriber) -> bool {
    matches!(known.state, SubscriberState::Active | SubscriberState::Paused)
}

/// A subscriber who has given consent, over what was known before.
fn subscribed(
    id: &str,
    email: &EmailAddress,
    known: Option<&Subscriber>,
    preferences: &Preferences,
    consent: &Consent,
    now: Timestamp,
) -> Subscriber {
    let before = known.filter(|known| is_subscribed(known));
    Subscriber {
        id: id.to_owned(),
        email: email.as_str().to_owned(),
        state: SubscriberState::Active,
        preferences: preferences.clone(),
        unwanted: Vec::new(),
        created: known.map_or(now, |known| known.created),
        confirmed: before.and_then(|known| known.confirmed).or(Some(now)),
        ended: None,
        paused_until: None,
        asked: known.and_then(|known| known.asked),
        due_since: known.and_then(|known| known.due_since),
        consent: Some(consent.clone()),
        webhook: known.and_then(|known| known.webhook.clone()),
        pause_reason: String::new(),
        link_epoch: known.map_or(0, |known| known.link_epoch),
        pseudonym: known.map(|known| known.pseudonym.clone()).unwrap_or_default(),
        votes: known.map(|known| known.votes.clone()).unwrap_or_default(),
        version: known.map_or(0, |known| known.version),
    }
}

/// What follows from a change of a subscriber: the next version, the epoch of its links, since when slots count, when the next
/// digest is due, and whether the vectors of the interests still hold.
fn place(before: Option<&Subscriber>, changed: &mut Subscriber, now: Timestamp) -> Placement {
    changed.version = before.map_or(0, |before| before.version) + 1;
    // Whoever subscribes again is not bound by the links of the subscription that ended.
    if let Some(ended) = before.filter(|before| !before.state.is_open() && changed.state.is_open()) {
        changed.link_epoch = changed.link_epoch.max(ended.link_epoch + 1);
    }
    if changed.state != SubscriberState::Paused {
        changed.paused_until = None;
        changed.pause_reason.clear();
    }
    let same_schedule = |before: &&Subscriber| before.preferences.schedule == changed.preferences.schedule;
    let with_same_slots = before.filter(same_schedule);
    if changed.state == SubscriberState::Active
        && with_same_slots.is_none_or(|before| before.state != SubscriberState::Active)
    {
        changed.due_since = Some(now);
    }
    let due = Channel::ALL.map(|channel| {
        if !changed.is_due_on(channel) {
            NextDue::Never
        } else if with_same_slots.is_some_and(|before| before.is_due_on(channel)) {
            NextDue::Unchanged
        } else {
            NextDue::At(changed.preferences.schedule.next_slot(now))
        }
    });
    Placement {
        due,
        vectors_hold: before.is_some_and(|before| before.preferences.interests == changed.preferences.interests),
    }
}
