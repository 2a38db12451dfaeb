//! Exclusions prepared once for many papers, and papers prepared once for many exclusions.
//!
//! With a million readers and a thousand papers, each word is stemmed once per reader and each paper once for all readers.

use std::collections::HashSet;
use std::sync::OnceLock;

use super::{Exclusions, is_in};
use crate::Paper;
use crate::highlight::{ExcludedTerm, PaperText};
use crate::names;

/// A paper whose words and authors are prepared on first use.
#[derive(Debug, Clone)]
pub struct PreparedPaper<'a> {
    paper: &'a Paper,
    text: PaperText<'a>,
    authors: OnceLock<HashSet<String>>,
}

/// Exclusions with prepared words and names.
#[derive(Debug, Clone)]
pub struct PreparedExclusions<'a> {
    words: Vec<ExcludedTerm>,
    authors: Vec<String>,
    categories: &'a [String],
}

impl<'a> PreparedPaper<'a> {
    /// Wraps a paper; nothing is prepared yet.
    pub fn new(paper: &'a Paper) -> Self {
        Self {
            paper,
            text: PaperText::of(&paper.title, &paper.abstract_text),
            authors: OnceLock::new(),
        }
    }

    fn authors(&self) -> &HashSet<String> {
        let keys = || self.paper.authors.iter().flat_map(names::keys).collect();
        self.authors.get_or_init(keys)
    }
}

impl<'a> PreparedExclusions<'a> {
    pub(super) fn new(exclusions: &'a Exclusions) -> Self {
        Self {
            words: exclusions.words.iter().map(|word| ExcludedTerm::new(word)).collect(),
            authors: exclusions
                .authors
                .iter()
                .flat_map(|name| names::search_keys(name))
                .collect(),
            categories: &exclusions.categories,
        }
    }

    /// Whether a paper is excluded. `Lovelace` excludes every Lovelace, `Ada Lovelace` only her.
    pub fn exclude(&self, paper: &PreparedPaper<'_>) -> bool {
        self.categories.iter().any(|one| is_in(paper.paper, one))
            || self.authors.iter().any(|name| paper.authors().contains(name))
            || self.words.iter().any(|word| paper.text.has(word))
    }
}
