//! The last step, and the check just before a digest goes out: what the ledger is told of an attempt, how it ended, and when
//! the reader is looked at next.

use std::sync::Arc;
use std::time::Duration;

use common::clock::Clock;
use jiff::{SignedDuration, Timestamp};
use tracing::{error, info, warn};

use super::choose::EmptyReason;
use super::lease::{LeasedDigest, SendDecision};
use super::plan::DraftDecision;
use super::{DeliveryOutcome, DigestError, SettledDigest};
use crate::metrics::{DIGESTS, EMPTY_SLOTS, RESENT};
use crate::ports::{DeliveryLedger, StoreError};
use crate::subscribers::Channel;
use crate::subscribers::deliveries::{AttemptEffect, BeginOutcome, DeliveryRecord, DeliveryStage};

const LONGEST_PAUSE: SignedDuration = SignedDuration::from_hours(1);
/// Between attempts to record that a digest was accepted.
const RECORD_PAUSE: Duration = Duration::from_millis(200);

/// Records how digests end.
#[derive(Clone)]
pub struct Settler {
    pub ledger: Arc<dyn DeliveryLedger>,
    pub clock: Clock,
    /// Before the second attempt; doubles after that.
    pub first_pause: SignedDuration,
    /// No attempt at handing a digest over takes longer.
    pub send_timeout: Duration,
}

impl Settler {
    /// Checks the subscription and the lease just before a digest goes out.
    pub async fn begin(&self, mut digest: Box<LeasedDigest>) -> Result<SendDecision, DigestError> {
        let begun = self.clock.instant();
        match self.ledger.begin(digest.attempt(), self.clock.now()).await? {
            BeginOutcome::Begun => {}
            BeginOutcome::BegunAgain => {
                RESENT.inc();
                digest.record.resent += 1;
                let (id, slot) = (&digest.subscriber.id, digest.slot);
                warn!(subscriber = %id, %slot, "an earlier attempt ended without an answer; sending the same digest again");
            }
            BeginOutcome::LeaseLost => {
                return Ok(SendDecision::Settled(self.settled_by_another(&digest).await?));
            }
            BeginOutcome::NotWanted => {
                return Ok(SendDecision::Settled(
                    self.empty(*digest, EmptyReason::NotActive).await?,
                ));
            }
        }
        // With the longest attempt the lease would run out under it, and somebody else would send the same digest.
        if self.clock.elapsed(begun) > self.send_timeout / 4 {
            let detail = "the store was too slow for the lease".to_owned();
            let settled = self.defer(*digest, detail, AttemptEffect::NotAccepted).await?;
            return Ok(SendDecision::Settled(settled));
        }
        Ok(SendDecision::Send(digest))
    }

    /// Records the end of a digest that is not sent.
    pub async fn settle_unsent(
        &self,
        digest: LeasedDigest,
        decision: DraftDecision,
    ) -> Result<SettledDigest, DigestError> {
        match decision {
            DraftDecision::Empty(reason) => self.empty(digest, reason).await,
            DraftDecision::Expired(detail) => self.end(digest, DeliveryStage::Expired, &detail).await,
            DraftDecision::Defer(detail) => self.defer(digest, detail, AttemptEffect::NotAccepted).await,
            DraftDecision::Send(_) | DraftDecision::Ended => {
                Ok(found_settled(digest.channel, digest.slot, digest.record))
            }
        }
    }

    /// Records that there was nothing to send.
    pub async fn empty(&self, digest: LeasedDigest, reason: EmptyReason) -> Result<SettledDigest, DigestError> {
        EMPTY_SLOTS.with_label_values(&[reason.name()]).inc();
        self.end(digest, DeliveryStage::Empty, reason.detail()).await
    }

    /// Records that a digest ended; the next slot follows.
    pub async fn end(
        &self,
        mut digest: LeasedDigest,
        stage: DeliveryStage,
        detail: &str,
    ) -> Result<SettledDigest, DigestError> {
        digest.record.stage = stage;
        detail.clone_into(&mut digest.record.detail);
        let due = digest.next;
        self.settle(digest, due, AttemptEffect::NotAccepted).await
    }

    /// Tries again after a pause that doubles, and at the next slot at the latest.
    pub async fn defer(
        &self,
        digest: LeasedDigest,
        detail: String,
        effect: AttemptEffect,
    ) -> Result<SettledDigest, DigestError> {
        let pause = pause(self.first_pause, digest.record.attempts);
        let due = digest.record.at.saturating_add(pause).unwrap_or(digest.next);
        let due = due.min(digest.next);
        self.defer_until(due, digest, detail, effect).await
    }

    /// Tries again at a moment.
    pub async fn defer_until(
        &self,
        due: Timestamp,
        mut digest: LeasedDigest,
        detail: String,
        effect: AttemptEffect,
    ) -> Result<SettledDigest, DigestError> {
        digest.record.stage = DeliveryStage::Deferred;
        digest.record.detail = detail;
        self.settle(digest, due, effect).await
    }

    /// Records that the receiver has the digest. A record that is lost here would be a second digest, so it is tried for as
    /// long as an attempt may take.
    pub async fn accepted(&self, mut digest: LeasedDigest) -> Result<SettledDigest, DigestError> {
        digest.record.stage = DeliveryStage::Sent;
        digest.record.detail.clear();
        let begun = self.clock.instant();
        loop {
            let recorded = self
                .ledger
                .settle(
                    digest.attempt(),
                    &digest.record,
                    digest.next,
                    AttemptEffect::NotAccepted,
                )
                .await;
            match recorded {
                Ok(true) => return Ok(settled(digest)),
                Ok(false) => return Ok(self.settled_by_another(&digest).await?),
                Err(error) if self.clock.elapsed(begun) < self.send_timeout => {
                    warn!(%error, "a digest that was accepted is not on record yet, trying again");
                    self.clock.sleep(RECORD_PAUSE).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn settle(
        &self,
        digest: LeasedDigest,
        due: Timestamp,
        effect: AttemptEffect,
    ) -> Result<SettledDigest, DigestError> {
        let recorded = self.ledger.settle(digest.attempt(), &digest.record, due, effect);
        if recorded.await? {
            Ok(settled(digest))
        } else {
            Ok(self.settled_by_another(&digest).await?)
        }
    }

    /// What the record says, which belongs to another owner by now.
    pub async fn settled_by_another(&self, digest: &LeasedDigest) -> Result<SettledDigest, StoreError> {
        let record = self.ledger.record(digest.channel, &digest.subscriber.id, digest.slot);
        Ok(found_settled(digest.channel, digest.slot, record.await?))
    }
}

/// Counts and logs how a digest ended.
fn settled(digest: LeasedDigest) -> SettledDigest {
    let LeasedDigest {
        channel,
        subscriber,
        slot,
        record,
        ..
    } = digest;
    let (state, detail) = (record.stage.name(), record.detail.as_str());
    let channel = channel.name();
    DIGESTS.with_label_values(&[channel, state]).inc();
    if record.stage == DeliveryStage::Failed {
        error!(subscriber = %subscriber.id, %slot, channel, detail, "digest failed");
    } else {
        info!(subscriber = %subscriber.id, %slot, channel, state, detail, papers = record.picks.len(), "digest settled");
    }
    SettledDigest {
        slot,
        record,
        before: false,
    }
}

/// Counts what another owner settled or has leased.
pub fn found_settled(channel: Channel, slot: Timestamp, record: DeliveryRecord) -> SettledDigest {
    let before = record.stage == DeliveryStage::Sent;
    let outcome = if record.stage.is_final() {
        "already_delivered"
    } else {
        "busy"
    };
    DIGESTS.with_label_values(&[channel.name(), outcome]).inc();
    SettledDigest { slot, record, before }
}

/// What became of one subscriber's digest; counts and logs what could not be made or recorded.
pub fn outcome(
    channel: Channel,
    id: &str,
    email: String,
    result: Result<SettledDigest, DigestError>,
) -> DeliveryOutcome {
    if let Err(error) = &result {
        DIGESTS.with_label_values(&[channel.name(), "error"]).inc();
        error!(subscriber = %id, %error, "a digest was not made or not recorded; it is due again after the lease");
    }
    DeliveryOutcome { email, channel, result }
}

/// Before the attempt that follows so many.
pub fn pause(first: SignedDuration, attempts: u32) -> SignedDuration {
    first.saturating_mul(2_i32.saturating_pow(attempts)).min(LONGEST_PAUSE)
}
