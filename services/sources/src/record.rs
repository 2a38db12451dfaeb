//! What a page of a source holds: papers, withdrawals, signals, and records that had to be quarantined.
//!
//! Plain data. What happens to it is up to the harvester.

use domain::merging::{Identifiers, SourceRecord};
use jiff::Timestamp;

/// One item of a page, in page order.
#[derive(Debug, Clone, PartialEq)]
pub enum PageItem {
    /// A new or changed paper. `submission` is complete and ready for ingest.
    Paper(Box<SourceRecord>),
    /// A paper that its source has withdrawn.
    Withdrawal(Withdrawal),
    /// Attention that another site counted.
    Signal(Signal),
    /// A record that could not be used; the rest of the page is still read.
    Quarantined(QuarantinedRecord),
}

/// A paper that its source has withdrawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withdrawal {
    /// Canonical id of the paper.
    pub id: domain::PaperId,
    /// Every identifier the source has for it.
    pub identifiers: Identifiers,
    /// When it was withdrawn, if the source says so.
    pub datestamp: Option<Timestamp>,
    /// Why, in the source's words; empty if it gives no reason.
    pub reason: String,
}

/// Attention that another site counted. A later count of the same kind replaces an earlier one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signal {
    /// Canonical id of the paper.
    pub id: domain::PaperId,
    /// What was counted.
    pub kind: SignalKind,
    /// The total, not the increase.
    pub count: u64,
    /// When it was counted, by the source's clock.
    pub observed: Timestamp,
    /// Since when there was something to count: since the paper appeared. With it the first count already says how much
    /// attention the paper gets.
    pub since: Option<Timestamp>,
}

/// What a signal counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SignalKind {
    /// Votes of readers for the paper.
    Upvotes,
    /// Stars of the paper's code.
    Stars,
    /// Comments on the paper.
    Comments,
    /// Works that cite it.
    Citations,
}

/// A record that could not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantinedRecord {
    /// Why: the field, its value and what is allowed.
    pub reason: String,
    /// Where it is on the page.
    pub location: RecordLocation,
    /// Its id as the source writes it; empty if none could be read.
    pub id: String,
    /// When the source last changed it.
    pub datestamp: Option<Timestamp>,
    /// The beginning of the record as received, at most [`Self::EXCERPT_BYTES`], for whoever investigates.
    pub excerpt: String,
}

impl QuarantinedRecord {
    /// Maximum size of an excerpt.
    pub const EXCERPT_BYTES: usize = 2_048;
}

/// Where a record is on its page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RecordLocation {
    /// Its number on the page, from 1.
    pub record: u64,
    /// Its first byte in the page as read (decompressed, in UTF-8).
    pub byte: u64,
    /// Its first line, from 1; 0 where lines are not counted.
    pub line: u64,
}
