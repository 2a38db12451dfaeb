//! The identifiers that a source gives for a work, and how those of two works compare.

use std::collections::BTreeSet;

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
}
