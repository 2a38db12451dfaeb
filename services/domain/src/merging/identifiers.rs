//! The identifiers that a source gives for a work, and how those of two works compare.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::Offset;

use crate::identity::{Identifier, IdentifierError, PaperId, Scheme};

/// All identifiers that a source gives for a work.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identifiers(BTreeSet<Identifier>);

impl Identifiers {
    /// An empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an identifier, and the one that it implies.
    pub fn insert(&mut self, identifier: Identifier) {
        self.0.extend(identifier.implied());
        self.0.insert(identifier);
    }

    /// Adds an identifier as a source wrote it; an invalid one is refused.
    pub fn insert_raw(&mut self, scheme: Scheme, raw: &str) -> Result<(), IdentifierError> {
        self.insert(Identifier::new(scheme, raw)?);
        Ok(())
    }

    /// Adds every identifier of another set.
    pub fn extend(&mut self, others: &Self) {
        self.0.extend(others.0.iter().cloned());
    }

    /// All identifiers, in the order of [`Scheme`].
    pub fn iter(&self) -> impl Iterator<Item = &Identifier> {
        self.0.iter()
    }

    /// The identifiers of one scheme.
    pub fn of(&self, scheme: Scheme) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(move |identifier| identifier.scheme() == scheme)
            .map(Identifier::value)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Compares the identifiers of two works in one scheme.
    pub(super) fn overlap(&self, other: &Self, scheme: Scheme) -> IdentifierOverlap {
        let mut both = false;
        for mine in self.of(scheme) {
            for theirs in other.of(scheme) {
                if mine == theirs {
                    return IdentifierOverlap::Shared;
                }
                both = true;
            }
        }
        if both {
            IdentifierOverlap::Conflicting
        } else {
            IdentifierOverlap::Missing
        }
    }

    /// The paper id: the first identifier in the order of [`Scheme`]. `None` where there is none.
    pub fn paper_id(&self) -> Option<PaperId> {
        self.0.first().cloned().map(PaperId::from)
    }
}

/// The beginning of the month that an arXiv id names: `2402.14776` and `hep-th/9901001` say year and month.
pub(super) fn month_of_arxiv(id: &str) -> Option<Timestamp> {
    let digits = id.rsplit_once('/').map_or(id, |(_, number)| number);
    let year: i16 = digits.get(..2)?.parse().ok()?;
    let month = digits.get(2..4)?.parse().ok()?;
    let century = if year >= 91 { 1_900 } else { 2_000 };
    let first = Date::new(century + year, month, 1).ok()?;
    Offset::UTC.to_timestamp(first.at(0, 0, 0, 0)).ok()
}

/// How the identifiers of two works in one scheme compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IdentifierOverlap {
    /// They share one.
    Shared,
    /// Both have one, and none is shared.
    Conflicting,
    /// One of them has none.
    Missing,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_paper_id_prefers_arxiv_to_doi() {
        let mut names = Identifiers::new();
        names.insert_raw(Scheme::OpenAlex, "W1").expect("an id");
        names.insert_raw(Scheme::Doi, "10.1145/1").expect("an id");
        assert_eq!(names.paper_id().expect("an id").as_str(), "doi:10.1145/1");
        names.insert_raw(Scheme::Arxiv, "2402.14776").expect("an id");
        assert_eq!(names.paper_id().expect("an id").as_str(), "arxiv:2402.14776");
    }

    #[test]
    fn a_doi_of_the_anthology_brings_its_id_along() {
        let mut names = Identifiers::new();
        names.insert_raw(Scheme::Doi, "10.18653/v1/P19-1001").expect("an id");
        let all: Vec<String> = names.iter().map(ToString::to_string).collect();
        assert_eq!(all, ["doi:10.18653/v1/p19-1001", "acl:P19-1001"]);
    }

    #[test]
    fn an_arxiv_id_names_a_month() {
        let month = |id| month_of_arxiv(id).map(|time| time.to_string());
        assert_eq!(month("2402.14776").as_deref(), Some("2024-02-01T00:00:00Z"));
        assert_eq!(month("hep-th/9901001").as_deref(), Some("1999-01-01T00:00:00Z"));
        assert_eq!((month("2413.00001"), month("x")), (None, None));
    }
}
