//! What a page of a source is made of: papers, withdrawals, signals, and what had to be set aside.
//!
//! Everything here is plain data. What becomes of it is decided by whoever harvests.

use domain::merging::{Claim, Identifiers};
use jiff::Timestamp;

/// One thing that a page says, in the order of the page.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// A sound record.
    Record(Record),
    /// A record that could not be used; the rest of the page goes on.
    SetAside(SetAside),
}

/// A sound record.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// A paper, new or changed: what this source says about it. `claim.submission` is complete and ready for ingest.
    Paper(Box<Claim>),
    /// A paper that its source has taken back.
    Withdrawn(Withdrawal),
    /// Attention that was counted elsewhere.
    Signal(Signal),
}

impl Record {
    /// When the source last changed the record, by the source's own clock.
    pub fn datestamp(&self) -> Option<Timestamp> {
        match self {
            Self::Paper(claim) => claim.datestamp,
            Self::Withdrawn(withdrawal) => withdrawal.datestamp,
            Self::Signal(signal) => Some(signal.observed),
        }
    }
}

/// A paper that its source has taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withdrawal {
    /// Canonical id of the paper.
    pub id: domain::PaperId,
    /// All names under which the source knows it.
    pub identifiers: Identifiers,
    /// When it was taken back, if the source says so.
    pub datestamp: Option<Timestamp>,
    /// Why, in the source's words; empty if it does not say.
    pub reason: String,
}

/// Attention that was counted elsewhere. A later count of the same kind replaces an earlier one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signal {
    /// Canonical id of the paper.
    pub id: domain::PaperId,
    /// What was counted.
    pub kind: SignalKind,
    /// How many there are in all, not how many more.
    pub count: u64,
    /// When it was counted, by the source's clock.
    pub observed: Timestamp,
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

impl SignalKind {
    /// As it is written in settings, metrics and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Upvotes => "upvotes",
            Self::Stars => "stars",
            Self::Comments => "comments",
            Self::Citations => "citations",
        }
    }
}

/// A record that could not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAside {
    /// Why, with field, value and what is allowed.
    pub reason: String,
    /// Where on the page it stood.
    pub place: Place,
    /// Its id in the source's own words; empty where none could be read.
    pub id: String,
    /// When the source last changed it.
    pub datestamp: Option<Timestamp>,
    /// The first part of the record as it came, at most [`SetAside::EXCERPT_BYTES`], for whoever looks into it.
    pub excerpt: String,
}

impl SetAside {
    /// Most bytes of an excerpt.
    pub const EXCERPT_BYTES: usize = 2_048;
}

/// Where on a page a record stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// Its number on the page, from 1.
    pub record: u64,
    /// Where it begins, in bytes of the page as it was read (unpacked, in UTF-8).
    pub byte: u64,
}
