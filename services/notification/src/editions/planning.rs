//! Drafts become plans: what is to be sent is taken in hand under the fence, what ends without a mail is recorded at once.

use std::time::Instant;

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use tracing::{error, info, warn};

use super::composing::Draft;
use super::{Delivered, EditionError, EditionPaper, Editions, Emptiness, Occasion, Outcome, Verdict};
use crate::metrics::{EDITIONS, EMPTY_SLOTS, RESENT};
use crate::subscribers::claims::Fence;
use crate::subscribers::deliveries::{Attempt, Begin, Certainty, Claim, Intention, Pick, Record, Stage};
use crate::subscribers::{Channel, Subscriber, SubscribersError};

/// What is to be done for a chunk of subscribers.
#[derive(Debug, Default)]
pub struct Plan {
    /// To be sent; nobody else does it for the length of the lease.
    pub editions: Vec<Planned>,
    /// What ended without a mail.
    pub outcomes: Vec<Outcome>,
}

/// An edition in hand.
#[derive(Debug)]
pub struct Planned {
    /// Under what.
    pub fence: Fence,
    /// On which way it goes.
    pub channel: Channel,
    /// Whom it is for.
    pub subscriber: Subscriber,
    /// The moment it is due.
    pub slot: Timestamp,
    /// The moment after that.
    pub next: Timestamp,
    /// What will be its record.
    pub record: Record,
    /// Its papers.
    pub papers: Vec<EditionPaper>,
}

/// Whether an edition in hand may go out.
pub(super) enum Leave {
    /// Yes.
    Go(Box<Planned>),
    /// No, and this is what became of it.
    Ended(Delivered),
}

enum Step {
    Send(Box<Planned>),
    Ended(Delivered),
}

const LONGEST_PAUSE: SignedDuration = SignedDuration::from_hours(1);

impl Editions {
    /// Composes the editions of subscribers for a way and takes them in hand.
    pub async fn plan(
        &self,
        channel: Channel,
        ids: Vec<String>,
        fence: Fence,
        occasion: Occasion,
        now: Timestamp,
    ) -> Result<Plan, EditionError> {
        let drafts = self.drafts(channel, ids, occasion, now).await?;
        let mut plan = Plan::default();
        let (mut sending, mut ending, mut known) = (Vec::new(), Vec::new(), Vec::new());
        for (id, draft) in drafts {
            match draft {
                Ok(Some(draft)) => match self.planned(channel, draft, &fence, now) {
                    (planned, Verdict::Send(papers)) => sending.push(planned.with(papers)),
                    (planned, Verdict::Known) => known.push(planned),
                    (planned, verdict) => ending.push(self.end_as(planned, verdict)),
                },
                Ok(None) => {}
                Err(error) => plan.outcomes.push(ended_on(channel, &id, String::new(), Err(error))),
            }
        }
        let due: Vec<(&str, Timestamp)> = known.iter().map(|one| (one.subscriber.id.as_str(), one.next)).collect();
        self.parts.subscribers.set_all_due(channel, &due).await?;
        for one in known {
            let (id, email) = (one.subscriber.id, one.subscriber.email);
            let known = not_mine(channel, one.slot, one.record);
            plan.outcomes.push(ended_on(channel, &id, email, Ok(known)));
        }
        // All at once on one connection: one round trip, not one for each.
        plan.outcomes.extend(join_all(ending).await);
        self.intend(sending, now, &mut plan).await?;
        Ok(plan)
    }

    fn planned(&self, channel: Channel, draft: Draft, fence: &Fence, now: Timestamp) -> (Planned, Verdict) {
        let mut planned = Planned {
            fence: fence.clone(),
            channel,
            subscriber: draft.subscriber,
            slot: draft.slot,
            next: draft.next,
            record: draft.record,
            papers: Vec::new(),
        };
        if !matches!(draft.verdict, Verdict::Known) {
            let (id, slot) = (&planned.subscriber.id, planned.slot);
            planned.record.message_id = match channel {
                Channel::Mail => self.message_id(id, &slot.as_millisecond().to_string()),
                Channel::Webhook => super::calling::edition_id(id, slot),
            };
            planned.record.at = now;
        }
        (planned, draft.verdict)
    }

    /// Records the end of an edition that is not sent.
    async fn end_as(&self, planned: Planned, verdict: Verdict) -> Outcome {
        let channel = planned.channel;
        let (id, email) = (planned.subscriber.id.clone(), planned.subscriber.email.clone());
        let result = match verdict {
            Verdict::Empty(why) => self.end_empty(planned, why).await,
            Verdict::Expired(detail) => {
                // Where nothing was attempted that is nobody's failure but ours.
                if channel == Channel::Webhook && planned.record.attempts > 0 {
                    let last = planned.record.detail.clone();
                    self.note_failed(&planned, &last).await;
                }
                self.end(planned, Stage::Expired, &detail).await
            }
            Verdict::PutOff(detail) => self.put_off(planned, detail, Certainty::Untaken).await,
            Verdict::Send(_) | Verdict::Known => Ok(not_mine(channel, planned.slot, planned.record)),
        };
        ended_on(channel, &id, email, result)
    }

    /// Takes editions in hand together.
    async fn intend(&self, editions: Vec<Planned>, now: Timestamp, plan: &mut Plan) -> Result<(), EditionError> {
        let intentions: Vec<Intention<'_>> = editions.iter().map(Planned::intention).collect();
        let claims = self.parts.subscribers.intend(&intentions, now).await?;
        for (planned, claim) in editions.into_iter().zip(claims) {
            let channel = planned.channel;
            let (id, email) = (planned.subscriber.id.clone(), planned.subscriber.email.clone());
            match self.step(planned, claim).await {
                Ok(Step::Send(planned)) => plan.editions.push(*planned),
                Ok(Step::Ended(delivered)) => plan.outcomes.push(ended_on(channel, &id, email, Ok(delivered))),
                Err(error) => plan.outcomes.push(ended_on(channel, &id, email, Err(error))),
            }
        }
        Ok(())
    }

    async fn step(&self, mut planned: Planned, claim: Result<Claim, SubscribersError>) -> Result<Step, EditionError> {
        match claim? {
            Claim::Go(None) => planned.record.fixed = true,
            Claim::Go(Some(fixed)) => {
                if fixed != planned.record.picks {
                    let papers = self.find(&fixed);
                    planned = planned.with(papers);
                }
                planned.record.fixed = fixed == planned.record.picks;
            }
            Claim::Busy | Claim::Done => return Ok(Step::Ended(self.of_somebody_else(&planned).await?)),
        }
        if planned.papers.is_empty() {
            let ended = self.end_empty(planned, Emptiness::Withdrawn).await?;
            return Ok(Step::Ended(ended));
        }
        Ok(Step::Send(Box::new(planned)))
    }

    /// The last look before an edition goes out.
    pub(super) async fn leave(&self, mut planned: Box<Planned>) -> Result<Leave, EditionError> {
        let asked = Instant::now();
        let begun = self.parts.subscribers.begin(planned.attempt(), Timestamp::now());
        match begun.await? {
            Begin::Go => {}
            Begin::Again => {
                RESENT.inc();
                planned.record.resent += 1;
                let (id, slot) = (&planned.subscriber.id, planned.slot);
                warn!(subscriber = %id, %slot, "an earlier attempt ended without a word; sending the same edition again");
            }
            Begin::Lost => return Ok(Leave::Ended(self.of_somebody_else(&planned).await?)),
            Begin::Ended => return Ok(Leave::Ended(self.end_empty(*planned, Emptiness::NotActive).await?)),
        }
        // With the longest attempt the lease would run out under it, and somebody else would send the same edition.
        if asked.elapsed() > self.parts.send_timeout / 4 {
            let detail = "the store was too slow for the lease".to_owned();
            let ended = self.put_off(*planned, detail, Certainty::Untaken).await?;
            return Ok(Leave::Ended(ended));
        }
        Ok(Leave::Go(planned))
    }

    pub(super) async fn end_empty(&self, planned: Planned, why: Emptiness) -> Result<Delivered, EditionError> {
        EMPTY_SLOTS.with_label_values(&[why.name()]).inc();
        self.end(planned, Stage::Empty, why.detail()).await
    }

    /// Records that an edition ended; the next slot follows.
    pub(super) async fn end(
        &self,
        mut planned: Planned,
        stage: Stage,
        detail: &str,
    ) -> Result<Delivered, EditionError> {
        planned.record.stage = stage;
        detail.clone_into(&mut planned.record.detail);
        let due = planned.next;
        self.settle(planned, due, Certainty::Untaken).await
    }

    /// Tries again after a pause that doubles, and at the next slot at the latest.
    pub(super) async fn put_off(
        &self,
        planned: Planned,
        detail: String,
        certainty: Certainty,
    ) -> Result<Delivered, EditionError> {
        let pause = pause(self.parts.first_pause, planned.record.attempts);
        let due = planned.record.at.saturating_add(pause).unwrap_or(planned.next);
        let due = due.min(planned.next);
        self.put_off_until(due, planned, detail, certainty).await
    }

    /// Tries again at a moment.
    pub(super) async fn put_off_until(
        &self,
        due: Timestamp,
        mut planned: Planned,
        detail: String,
        certainty: Certainty,
    ) -> Result<Delivered, EditionError> {
        planned.record.stage = Stage::Deferred;
        planned.record.detail = detail;
        self.settle(planned, due, certainty).await
    }

    async fn settle(&self, planned: Planned, due: Timestamp, certainty: Certainty) -> Result<Delivered, EditionError> {
        let settled = self
            .parts
            .subscribers
            .settle(planned.attempt(), &planned.record, due, certainty);
        if settled.await? {
            Ok(settled_as(planned))
        } else {
            Ok(self.of_somebody_else(&planned).await?)
        }
    }

    pub(super) async fn of_somebody_else(&self, planned: &Planned) -> Result<Delivered, SubscribersError> {
        let subscribers = &self.parts.subscribers;
        let channel = planned.channel;
        let record = subscribers
            .record(channel, &planned.subscriber.id, planned.slot)
            .await?;
        Ok(not_mine(channel, planned.slot, record))
    }
}

impl Planned {
    fn with(mut self, papers: Vec<EditionPaper>) -> Self {
        self.record.picks = papers.iter().map(Pick::of).collect();
        self.papers = papers;
        self
    }

    fn intention(&self) -> Intention<'_> {
        Intention {
            attempt: self.attempt(),
            papers: &self.record.picks,
            message_id: &self.record.message_id,
        }
    }

    /// As the store knows it.
    pub(super) fn attempt(&self) -> Attempt<'_> {
        Attempt {
            fence: &self.fence,
            channel: self.channel,
            id: &self.subscriber.id,
            slot: self.slot,
        }
    }
}

/// Counts and logs how an edition ended.
pub(super) fn settled_as(planned: Planned) -> Delivered {
    let Planned {
        channel,
        subscriber,
        slot,
        record,
        ..
    } = planned;
    let (state, detail) = (record.stage.name(), record.detail.as_str());
    let channel = channel.name();
    EDITIONS.with_label_values(&[channel, state]).inc();
    if record.stage == Stage::Failed {
        error!(subscriber = %subscriber.id, %slot, channel, detail, "edition failed");
    } else {
        info!(subscriber = %subscriber.id, %slot, channel, state, detail, papers = record.picks.len(), "edition settled");
    }
    Delivered {
        slot,
        record,
        before: false,
    }
}

/// Counts and logs what could not be done by mail.
pub(super) fn ended(id: &str, email: String, result: Result<Delivered, EditionError>) -> Outcome {
    ended_on(Channel::Mail, id, email, result)
}

/// Counts and logs what could not be done.
pub(super) fn ended_on(channel: Channel, id: &str, email: String, result: Result<Delivered, EditionError>) -> Outcome {
    if let Err(error) = &result {
        EDITIONS.with_label_values(&[channel.name(), "error"]).inc();
        error!(subscriber = %id, %error, "edition not made or not recorded, it is looked at again after the lease");
    }
    Outcome { email, channel, result }
}

fn not_mine(channel: Channel, slot: Timestamp, record: Record) -> Delivered {
    let before = record.stage == Stage::Sent;
    let outcome = if record.stage.is_final() {
        "already_delivered"
    } else {
        "busy"
    };
    EDITIONS.with_label_values(&[channel.name(), outcome]).inc();
    Delivered { slot, record, before }
}

/// Before the attempt that follows so many.
pub(super) fn pause(first: SignedDuration, attempts: u32) -> SignedDuration {
    first.saturating_mul(2_i32.saturating_pow(attempts)).min(LONGEST_PAUSE)
}

impl Pick {
    /// What the record holds of a paper.
    pub fn of(one: &EditionPaper) -> Self {
        Self {
            id: one.paper.id.to_string(),
            score: one.score,
            reason: one.reason.clone(),
            trending: one.trending,
            interest: one.interest,
        }
    }
}
