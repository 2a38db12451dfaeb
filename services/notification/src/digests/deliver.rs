//! The third step: drafts are leased under a fencing token, checked once more, and handed over by mail or to a webhook, so
//! many at the same time as there are connections.
//!
//! A panic or an error over one digest ends that digest alone.

pub mod mail;
pub mod webhook;

use std::sync::Arc;

use common::tasks;
use futures::future::join_all;
use jiff::Timestamp;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span};

use self::mail::MailChannel;
use self::webhook::WebhookChannel;
use super::choose::EmptyReason;
use super::lease::{LeasedDigest, SendDecision};
use super::plan::{Draft, DraftDecision};
use super::settle::{Settler, found_settled, outcome};
use super::{DeliveryOutcome, DigestError};
use crate::ports::{DueQueue, StoreError};
use crate::subscribers::Channel;
use crate::subscribers::deliveries::{FencingToken, LeaseOutcome, LeaseRequest};
use crate::window::SharedWindow;

/// What is to be done for a batch of subscribers.
#[derive(Debug, Default)]
pub struct PreparedBatch {
    /// To be sent; nobody else does it for the length of the lease.
    pub leased: Vec<LeasedDigest>,
    /// What ended without being sent.
    pub outcomes: Vec<DeliveryOutcome>,
}

/// Sends what is leased.
pub struct Deliverer {
    pub due_queue: Arc<dyn DueQueue>,
    pub window: SharedWindow,
    pub settler: Settler,
    pub mail: Arc<MailChannel>,
    pub webhook: Arc<WebhookChannel>,
}

impl Deliverer {
    /// Settles drafts that are not sent, and leases the others.
    pub async fn prepare(
        &self,
        channel: Channel,
        drafts: Vec<Draft>,
        token: &FencingToken,
        now: Timestamp,
    ) -> Result<PreparedBatch, DigestError> {
        let (mut sending, mut ending, mut ended) = (Vec::new(), Vec::new(), Vec::new());
        for draft in drafts {
            match self.leasable(channel, draft, token, now) {
                (digest, DraftDecision::Send(papers)) => sending.push(digest.with(papers)),
                (digest, DraftDecision::Ended) => ended.push(digest),
                (digest, decision) => ending.push(self.settle_unsent(digest, decision)),
            }
        }
        let mut batch = PreparedBatch::default();
        let due: Vec<(&str, Timestamp)> = ended.iter().map(|one| (one.subscriber.id.as_str(), one.next)).collect();
        self.due_queue.reschedule(channel, &due).await?;
        for one in ended {
            let (id, email) = (one.subscriber.id, one.subscriber.email);
            let found = found_settled(channel, one.slot, one.record);
            batch.outcomes.push(outcome(channel, &id, email, Ok(found)));
        }
        // All at once on one connection: one round trip, not one for each.
        batch.outcomes.extend(join_all(ending).await);
        self.lease(channel, sending, now, &mut batch).await?;
        Ok(batch)
    }

    fn leasable(
        &self,
        channel: Channel,
        draft: Draft,
        token: &FencingToken,
        now: Timestamp,
    ) -> (LeasedDigest, DraftDecision) {
        let mut digest = LeasedDigest {
            token: token.clone(),
            channel,
            subscriber: draft.subscriber,
            slot: draft.slot,
            next: draft.next,
            record: draft.record,
            papers: Vec::new(),
        };
        if !matches!(draft.decision, DraftDecision::Ended) {
            let (id, slot) = (&digest.subscriber.id, digest.slot);
            digest.record.message_id = match channel {
                Channel::Mail => self.mail.message_id(id, &slot.as_millisecond().to_string()),
                Channel::Webhook => webhook::request_id(id, slot),
            };
            digest.record.at = now;
        }
        (digest, draft.decision)
    }

    async fn settle_unsent(&self, digest: LeasedDigest, decision: DraftDecision) -> DeliveryOutcome {
        let channel = digest.channel;
        let (id, email) = (digest.subscriber.id.clone(), digest.subscriber.email.clone());
        // Where nothing was attempted that is nobody's failure but ours.
        let failed = matches!(decision, DraftDecision::Expired(_)) && digest.record.attempts > 0;
        if failed && channel == Channel::Webhook {
            let last = digest.record.detail.clone();
            self.webhook.record_failed(&digest, &last).await;
        }
        let settled = self.settler.settle_unsent(digest, decision).await;
        outcome(channel, &id, email, settled)
    }

    /// Leases digests together.
    async fn lease(
        &self,
        channel: Channel,
        digests: Vec<LeasedDigest>,
        now: Timestamp,
        batch: &mut PreparedBatch,
    ) -> Result<(), DigestError> {
        let requests: Vec<LeaseRequest<'_>> = digests.iter().map(LeasedDigest::lease_request).collect();
        let leases = self.settler.ledger.lease(&requests, now).await?;
        for (digest, lease) in digests.into_iter().zip(leases) {
            let (id, email) = (digest.subscriber.id.clone(), digest.subscriber.email.clone());
            match self.leased(digest, lease).await {
                Ok(SendDecision::Send(digest)) => batch.leased.push(*digest),
                Ok(SendDecision::Settled(settled)) => {
                    batch.outcomes.push(outcome(channel, &id, email, Ok(settled)));
                }
                Err(error) => batch.outcomes.push(outcome(channel, &id, email, Err(error))),
            }
        }
        Ok(())
    }

    /// With the papers that an earlier attempt fixed, where one did.
    async fn leased(
        &self,
        mut digest: LeasedDigest,
        lease: Result<LeaseOutcome, StoreError>,
    ) -> Result<SendDecision, DigestError> {
        match lease? {
            LeaseOutcome::Granted(None) => digest.record.fixed = true,
            LeaseOutcome::Granted(Some(fixed)) => {
                if fixed != digest.record.picks {
                    let papers = self.window.find(&fixed);
                    digest = digest.with(papers);
                }
                digest.record.fixed = fixed == digest.record.picks;
            }
            LeaseOutcome::Busy | LeaseOutcome::Done => {
                return Ok(SendDecision::Settled(self.settler.settled_by_another(&digest).await?));
            }
        }
        if digest.papers.is_empty() {
            let settled = self.settler.empty(digest, EmptyReason::Withdrawn).await?;
            return Ok(SendDecision::Settled(settled));
        }
        Ok(SendDecision::Send(Box::new(digest)))
    }

    /// Sends what is leased, and says what became of everything. What is not begun at the stop is left out, and due again
    /// after the lease.
    pub async fn deliver(
        &self,
        channel: Channel,
        batch: PreparedBatch,
        stop: &CancellationToken,
    ) -> Vec<DeliveryOutcome> {
        let mut outcomes = batch.outcomes;
        // Dropped with this future: its tasks end with whoever waits for them.
        let mut sending = JoinSet::new();
        for digest in batch.leased {
            let permit = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                permit = Arc::clone(self.permits(channel)).acquire_owned() => permit,
            };
            let (mail, webhook) = (Arc::clone(&self.mail), Arc::clone(&self.webhook));
            let sent = async move {
                let (id, email) = (digest.subscriber.id.clone(), digest.subscriber.email.clone());
                let sending = Box::pin(async {
                    match channel {
                        Channel::Mail => mail.send(digest).await,
                        Channel::Webhook => webhook.send(digest).await,
                    }
                });
                let result = tasks::contained("delivery of a digest", sending).await;
                drop(permit);
                outcome(channel, &id, email, result.unwrap_or(Err(DigestError::Panicked)))
            };
            sending.spawn(sent.instrument(Span::current()));
            while let Some(done) = sending.try_join_next() {
                outcomes.extend(done);
            }
        }
        outcomes.extend(sending.join_all().await);
        outcomes
    }

    fn permits(&self, channel: Channel) -> &Arc<Semaphore> {
        match channel {
            Channel::Mail => &self.mail.permits,
            Channel::Webhook => &self.webhook.permits,
        }
    }
}
