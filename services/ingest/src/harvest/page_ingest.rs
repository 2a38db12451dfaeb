//! Ingests a page of a source: submits each of its records to the registry, and tallies the outcomes.
//!
//! A page is safe when every record has been acknowledged. If the registry does not answer, the page counts as not read;
//! reading it again does no harm. A record that cannot be used is quarantined and the page goes on. It knows no schedule.

use std::sync::Arc;

use common::bus::Bus;
use common::clock::Clock;
use common::tasks;
use domain::merging::{SourceRecord, SourceWithdrawal};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use proto::attention::v1::{self as wire, SignalRecorded};
use proto::convert::to_wire_time;
use sources::{
    Cursor, PageItem, PageSummary, QuarantinedRecord, Remedy, Signal, SignalKind, Source, SourceError, Withdrawal,
    read_page,
};

use super::state::{QuarantineEntry, RecordTally};
use crate::attention::signals::publish;
use crate::registry::{Registry, RegistryError, Verdict};

/// Ingests pages.
#[derive(Clone)]
pub struct PageIngester {
    /// Where papers go.
    pub registry: Arc<Registry>,
    /// Where signals go.
    pub bus: Bus,
    /// Records that are submitted at the same time.
    pub concurrency: usize,
    /// Tells when a record was quarantined.
    pub clock: Clock,
}

/// What became of the records of a page.
#[derive(Debug, Default)]
pub struct PageResult {
    /// Their numbers by outcome.
    pub tally: RecordTally,
    /// Papers that were not known before.
    pub new_papers: u64,
    /// Records that could not be used.
    pub quarantined: Vec<QuarantineEntry>,
}

/// Why a page is not safe.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// The source failed.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// A mistake in this program; the log has the message.
    #[error("ingesting the page panicked; see the log")]
    Panicked,
}

impl PageError {
    /// What to do about it.
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Source(error) => error.remedy(),
            Self::Registry(_) | Self::Panicked => Remedy::Retry(None),
        }
    }

    /// One word for metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Source(error) => error.label(),
            Self::Registry(_) => "registry",
            Self::Panicked => "panicked",
        }
    }
}

/// What became of one record.
enum RecordOutcome {
    Paper {
        verdict: Verdict,
        is_new: bool,
    },
    Withdrawn,
    /// There was nothing to withdraw.
    NothingToWithdraw,
    Signal,
    Quarantined(QuarantineEntry),
}

impl PageIngester {
    /// Ingests the page at a cursor. The result counts what was done even if the page failed in the end. A panic fails this
    /// page alone, and no other source.
    pub async fn ingest(
        &self,
        source: &Arc<dyn Source>,
        cursor: &Cursor,
    ) -> (PageResult, Result<PageSummary, PageError>) {
        let mut result = PageResult::default();
        let read = tasks::contained("page of a source", self.read(source, cursor, &mut result)).await;
        (result, read.unwrap_or(Err(PageError::Panicked)))
    }

    async fn read(
        &self,
        source: &Arc<dyn Source>,
        cursor: &Cursor,
        result: &mut PageResult,
    ) -> Result<PageSummary, PageError> {
        let mut items = read_page(Arc::clone(source), cursor.clone());
        let mut in_flight = FuturesUnordered::new();
        let mut more = true;
        while more || !in_flight.is_empty() {
            tokio::select! {
                item = items.next(), if more && in_flight.len() < self.concurrency => match item {
                    Some(item) => in_flight.push(self.submit(&**source, item)),
                    None => more = false,
                },
                Some(outcome) = in_flight.next() => result.add(outcome?),
            }
        }
        Ok(items.finish().await?)
    }

    async fn submit(&self, source: &dyn Source, item: PageItem) -> Result<RecordOutcome, RegistryError> {
        match item {
            PageItem::Paper(record) => self.submit_paper(*record).await,
            PageItem::Withdrawal(withdrawal) => self.withdraw(source, withdrawal).await,
            PageItem::Signal(signal) => self.publish_signal(source, &signal).await,
            PageItem::Quarantined(record) => Ok(self.quarantine(location_of(&record), record.reason)),
        }
    }

    async fn submit_paper(&self, record: SourceRecord) -> Result<RecordOutcome, RegistryError> {
        let location = record.submission.id.clone();
        match self.registry.submit_record(record).await? {
            Ok(decision) => Ok(RecordOutcome::Paper {
                is_new: decision.verdict == Verdict::Accepted && decision.revision == 1,
                verdict: decision.verdict,
            }),
            Err(violations) => {
                let violations = violations
                    .iter()
                    .map(|violation| format!("{} {}", violation.field, violation.description));
                let reason = violations.collect::<Vec<_>>().join("; ");
                Ok(self.quarantine(location, reason))
            }
        }
    }

    /// A count of another site is published in the same way as those that come by call.
    async fn publish_signal(&self, source: &dyn Source, signal: &Signal) -> Result<RecordOutcome, RegistryError> {
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
            since_time: signal.since.map(to_wire_time),
        };
        publish(&self.bus, &recorded).await?;
        Ok(RecordOutcome::Signal)
    }

    async fn withdraw(&self, source: &dyn Source, withdrawal: Withdrawal) -> Result<RecordOutcome, RegistryError> {
        let withdrawn = SourceWithdrawal {
            provider: source.kind().provider(),
            identifiers: withdrawal.identifiers,
            datestamp: withdrawal.datestamp,
        };
        let withdrew = self
            .registry
            .withdraw_record(source.name(), &withdrawal.id, &withdrawn, &withdrawal.reason)
            .await?;
        Ok(if withdrew {
            RecordOutcome::Withdrawn
        } else {
            RecordOutcome::NothingToWithdraw
        })
    }

    fn quarantine(&self, location: String, reason: String) -> RecordOutcome {
        RecordOutcome::Quarantined(QuarantineEntry {
            location,
            reason,
            time: self.clock.now(),
        })
    }
}

impl PageResult {
    fn add(&mut self, outcome: RecordOutcome) {
        let tally = &mut self.tally;
        match outcome {
            RecordOutcome::Paper { verdict, is_new } => {
                self.new_papers += u64::from(is_new);
                match verdict {
                    Verdict::Accepted => tally.accepted += 1,
                    Verdict::Unchanged => tally.unchanged += 1,
                    Verdict::Duplicate => tally.duplicate += 1,
                }
            }
            RecordOutcome::Withdrawn => tally.withdrawn += 1,
            RecordOutcome::NothingToWithdraw => tally.unchanged += 1,
            RecordOutcome::Signal => tally.signals += 1,
            RecordOutcome::Quarantined(record) => {
                tally.quarantined += 1;
                self.quarantined.push(record);
            }
        }
    }
}

/// The id of a record at its source, or where it was on the page.
fn location_of(record: &QuarantinedRecord) -> String {
    if record.id.is_empty() {
        let location = record.location;
        return format!("record {} of the page, byte {}", location.record, location.byte);
    }
    record.id.clone()
}
