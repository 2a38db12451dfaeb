//! One paper, many sources: which source records describe the same work, and what the merged paper is.
//!
//! A source record is what one source says about one work. Records that share an arXiv id or a DOI describe the same work;
//! without either, title and authors decide, conservatively ([`same_work`]). The merged paper is a pure function of the set
//! of records ([`merge`]): their order, and how often each arrives, makes no difference. Nothing here looks anything up, and
//! records that are merely similar are reported, never merged.
//!
//! Whom to trust with which field is the table in [`trust`].

mod identifiers;
mod linkage;
mod merge;
#[cfg(test)]
mod tests;
pub mod trust;
mod withdrawal;

pub use crate::identity::{Identifier, IdentifierError, Scheme};
pub use identifiers::Identifiers;
pub use linkage::{MatchBasis, PossibleMatch, WorkMatch, same_work, title_key};
pub use merge::{FieldOrigin, IdentifierConflict, MergedWork, merge};
pub use trust::{Field, Provider};
pub use withdrawal::{SourceWithdrawal, WorkState, apply_withdrawals, withdrawal_notice};

use jiff::Timestamp;

use crate::Submission;

/// What one source says about one work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceRecord {
    /// Who provides it; decides how far each field is trusted.
    pub provider: Provider,
    /// The paper as the source describes it, ready for ingest.
    pub submission: Submission,
    /// Every identifier the source gives for the work.
    pub identifiers: Identifiers,
    /// Version of the text, from 1; `None` where the source does not count versions.
    pub version: Option<u32>,
    /// When the source last changed the record, by its own clock.
    pub datestamp: Option<Timestamp>,
}

impl SourceRecord {
    /// When the source says that the work was published. The month that the arXiv id names is none of its own: it says nothing
    /// that other records do not say better.
    pub fn own_date(&self) -> Option<Timestamp> {
        let published = self.submission.published?;
        let by_id = |id| identifiers::month_of_arxiv(id) == Some(published);
        (!self.identifiers.of(Scheme::Arxiv).any(by_id)).then_some(published)
    }

    /// The record with the date of another one of the same source, if that is better: later versions often lack it.
    #[must_use]
    pub fn with_date_of(mut self, other: &Self) -> Self {
        let published = self.own_date().or(other.own_date());
        self.submission.published = published.or(self.submission.published).or(other.submission.published);
        self
    }
}
