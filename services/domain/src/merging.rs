//! One paper, many sources: which claims are about the same work, and what the work is by all that is claimed.
//!
//! A claim is what one source says about one work. Claims that share an arXiv id or a DOI are about the same work; with
//! neither, title and authors decide, with care ([`same_work`]). What all claims together say is a pure function of the
//! set of claims ([`merge`]): the order in which they came, and how often, makes no difference. Nothing here looks
//! anything up, and what only looks alike is reported, never merged.
//!
//! Whom to trust with which field is the table in [`trust`].

mod identifiers;
mod likeness;
mod merge;
#[cfg(test)]
mod tests;
pub mod trust;
mod withdrawing;

pub use identifiers::{Identifier, IdentifierError, Identifiers, Scheme};
pub use likeness::{Alike, By, Sameness, same_work, title_key};
pub use merge::{Conflict, Merged, Origin, merge};
pub use trust::{Field, Provider};
pub use withdrawing::{Standing, Withdrawn, honour};

use jiff::Timestamp;

use crate::Submission;

/// What one source says about one work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Who says it; decides how far it is trusted.
    pub provider: Provider,
    /// The paper in the source's words, complete and ready for ingest.
    pub submission: Submission,
    /// All names under which the source knows the work.
    pub identifiers: Identifiers,
    /// The version of the text, from 1, where the source counts versions.
    pub version: Option<u32>,
    /// When the source last changed what it says, by its own clock.
    pub datestamp: Option<Timestamp>,
}
