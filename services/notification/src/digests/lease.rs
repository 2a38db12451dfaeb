//! A digest that a process has leased, so that nobody else sends it meanwhile.

use jiff::Timestamp;

use super::{DigestPaper, SettledDigest};
use crate::subscribers::deliveries::{DeliveryAttempt, DeliveryRecord, FencingToken, LeaseRequest, Pick};
use crate::subscribers::{Channel, Subscriber};

/// A digest that this process has leased, or is about to.
#[derive(Debug)]
pub struct LeasedDigest {
    /// Under what.
    pub token: FencingToken,
    /// On which channel it goes.
    pub channel: Channel,
    /// Whom it is for.
    pub subscriber: Subscriber,
    /// The moment it is due.
    pub slot: Timestamp,
    /// The moment after that.
    pub next: Timestamp,
    /// What will be its record.
    pub record: DeliveryRecord,
    /// Its papers.
    pub papers: Vec<DigestPaper>,
}

/// Whether a leased digest goes out.
pub enum SendDecision {
    /// Yes.
    Send(Box<LeasedDigest>),
    /// No, and this is what became of it.
    Settled(SettledDigest),
}

impl LeasedDigest {
    /// With papers, which its record then names.
    pub fn with(mut self, papers: Vec<DigestPaper>) -> Self {
        self.record.picks = papers.iter().map(Pick::of).collect();
        self.papers = papers;
        self
    }

    /// What the ledger is asked.
    pub fn lease_request(&self) -> LeaseRequest<'_> {
        LeaseRequest {
            attempt: self.attempt(),
            papers: &self.record.picks,
            message_id: &self.record.message_id,
        }
    }

    /// As the ledger knows it.
    pub fn attempt(&self) -> DeliveryAttempt<'_> {
        DeliveryAttempt {
            token: &self.token,
            channel: self.channel,
            id: &self.subscriber.id,
            slot: self.slot,
        }
    }
}

impl Pick {
    /// What the record holds of a paper.
    pub fn of(one: &DigestPaper) -> Self {
        Self {
            id: one.paper.id.to_string(),
            score: one.score,
            reason: one.reason.clone(),
            trending: one.trending,
            interest: one.interest,
        }
    }
}
