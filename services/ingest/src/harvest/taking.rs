//! Takes a page: each of its records to the register, and out of it what became of them.
//!
//! A page is safe when every record that it gave has been acknowledged; where the register does not answer the page counts
//! as not read, and reading it again does no harm. A record that cannot be used is set aside and ends nothing. It knows no
//! schedule.

use std::sync::Arc;

use common::bus::Bus;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use jiff::Timestamp;
use proto::attention::v1::{self as wire, SignalRecorded};
use proto::convert::to_wire_time;
use sources::{
    Cursor, Item, Page, Reading, Record, Remedy, SetAside, Signal, SignalKind, Source, SourceError, Withdrawal,
};

use super::state::{Aside, Tallies};
use crate::attention::signals::publish;
use crate::registry::{Registry, RegistryError, Verdict};
use domain::merging::{Claim, Withdrawn};

/// Takes records.
#[derive(Clone)]
pub struct Taker {
    /// Where papers go.
    pub registry: Arc<Registry>,
    /// Where signals go.
    pub bus: Bus,
    /// Records that are on their way to it at the same time.
    pub concurrency: usize,
}

/// What became of the records of a page.
#[derive(Debug, Default)]
pub struct Taken {
    /// Their numbers.
    pub tallies: Tallies,
    /// Papers that nobody had heard of.
    pub new: u64,
    /// Records that could not be used.
    pub aside: Vec<Aside>,
}

/// Why a page is not safe.
#[derive(Debug, thiserror::Error)]
pub enum TakingError {
    /// The source.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The register.
    #[error(transparent)]
    Register(#[from] RegistryError),
}

impl TakingError {
    /// What helps.
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Source(error) => error.remedy(),
            Self::Register(_) => Remedy::Retry(None),
        }
    }

    /// One word for metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Source(error) => error.label(),
            Self::Register(_) => "register",
        }
    }
}

/// What became of one record.
enum Outcome {
    Paper {
        verdict: Verdict,
        is_new: bool,
    },
    Withdrawn,
    /// Nothing to withdraw.
    Unheard,
    Signal,
    Aside(Aside),
}

impl Taker {
    /// Reads the page at a cursor. What was taken is said also where the page failed in the end.
    pub async fn page(&self, source: &Arc<dyn Source>, cursor: &Cursor) -> (Taken, Result<Page, TakingError>) {
        let mut taken = Taken::default();
        let read = self.read(source, cursor, &mut taken).await;
        (taken, read)
    }

    async fn read(&self, source: &Arc<dyn Source>, cursor: &Cursor, taken: &mut Taken) -> Result<Page, TakingError> {
        let mut reading = Reading::begin(Arc::clone(source), cursor.clone());
        let mut under_way = FuturesUnordered::new();
        let mut more = true;
        while more || !under_way.is_empty() {
            tokio::select! {
                item = reading.next(), if more && under_way.len() < self.concurrency => match item {
                    Some(item) => under_way.push(self.take(&**source, item)),
                    None => more = false,
                },
                Some(outcome) = under_way.next() => taken.note(outcome?),
            }
        }
        Ok(reading.finish().await?)
    }

    async fn take(&self, source: &dyn Source, item: Item) -> Result<Outcome, RegistryError> {
        match item {
            Item::Record(Record::Paper(claim)) => self.paper(*claim).await,
            Item::Record(Record::Withdrawn(withdrawal)) => self.withdraw(source, withdrawal).await,
            Item::Record(Record::Signal(signal)) => self.signal(source, &signal).await,
            Item::SetAside(aside) => Ok(Outcome::Aside(Aside {
                place: shown_place(&aside),
                reason: aside.reason,
                time: Timestamp::now(),
            })),
        }
    }

    async fn paper(&self, claim: Claim) -> Result<Outcome, RegistryError> {
        let place = claim.submission.id.clone();
        match self.registry.submit_claim(claim, Timestamp::now()).await? {
            Ok(decision) => Ok(Outcome::Paper {
                is_new: decision.verdict == Verdict::Accepted && decision.revision == 1,
                verdict: decision.verdict,
            }),
            Err(violations) => {
                let said = violations
                    .iter()
                    .map(|one| format!("{} {}", one.field, one.description));
                Ok(Outcome::Aside(Aside {
                    place,
                    reason: said.collect::<Vec<_>>().join("; "),
                    time: Timestamp::now(),
                }))
            }
        }
    }

    /// A count on another site goes the way of those that come by call.
    async fn signal(&self, source: &dyn Source, signal: &Signal) -> Result<Outcome, RegistryError> {
        let kind = match signal.kind {
            SignalKind::Upvotes => wire::SignalKind::Upvotes,
            SignalKind::Stars => wire::SignalKind::Stars,
            SignalKind::Citations => wire::SignalKind::Citations,
            SignalKind::Comments => wire::SignalKind::Mentions,
        };
        let recorded = SignalRecorded {
            paper_id: signal.id.to_string(),
            kind: kind.into(),
            provider: source.kind().as_str().replace('_', "-"),
            count: signal.count,
            count_time: Some(to_wire_time(signal.observed)),
            since_time: None,
        };
        publish(&self.bus, &recorded).await?;
        Ok(Outcome::Signal)
    }

    async fn withdraw(&self, source: &dyn Source, withdrawal: Withdrawal) -> Result<Outcome, RegistryError> {
        let said = Withdrawn {
            provider: source.kind().provider(),
            identifiers: withdrawal.identifiers,
            datestamp: withdrawal.datestamp,
        };
        let withdrawn = self
            .registry
            .withdraw_claim(source.name(), &withdrawal.id, &said, &withdrawal.reason)
            .await?;
        Ok(if withdrawn {
            Outcome::Withdrawn
        } else {
            Outcome::Unheard
        })
    }
}

impl Taken {
    fn note(&mut self, outcome: Outcome) {
        let tallies = &mut self.tallies;
        match outcome {
            Outcome::Paper { verdict, is_new } => {
                self.new += u64::from(is_new);
                match verdict {
                    Verdict::Accepted => tallies.accepted += 1,
                    Verdict::Unchanged => tallies.unchanged += 1,
                    Verdict::Duplicate => tallies.duplicate += 1,
                }
            }
            Outcome::Withdrawn => tallies.withdrawn += 1,
            Outcome::Unheard => tallies.unchanged += 1,
            Outcome::Signal => tallies.signals += 1,
            Outcome::Aside(aside) => {
                tallies.set_aside += 1;
                self.aside.push(aside);
            }
        }
    }
}

/// The id that a record has at its source, or where it stood on the page.
fn shown_place(aside: &SetAside) -> String {
    if aside.id.is_empty() {
        return format!("record {} of the page, byte {}", aside.place.record, aside.place.byte);
    }
    aside.id.clone()
}
