//! Exclusions made ready once for many papers, and papers made ready once for many exclusions.
//!
//! A million readers with a few words each meet a dozen papers each out of a thousand: each word is stemmed once for its
//! reader, and each paper once for all.

use std::collections::HashSet;
use std::sync::OnceLock;

use super::{Exclusions, is_in};
use crate::Paper;
use crate::highlight::{Text, Unwanted};
use crate::text::{author_keys, fold};

/// A paper whose words and authors are made ready when they are first asked for.
#[derive(Debug, Clone)]
pub struct Legible<'a> {
    paper: &'a Paper,
    text: Text<'a>,
    authors: OnceLock<HashSet<String>>,
}

/// Exclusions with their words and names made ready.
#[derive(Debug, Clone)]
pub struct Excluding<'a> {
    words: Vec<Unwanted>,
    authors: Vec<String>,
    categories: &'a [String],
}

impl<'a> Legible<'a> {
    /// Nothing is made ready yet.
    pub fn new(paper: &'a Paper) -> Self {
        Self {
            paper,
            text: Text::of(&paper.title, &paper.abstract_text),
            authors: OnceLock::new(),
        }
    }

    fn authors(&self) -> &HashSet<String> {
        let keys = || self.paper.authors.iter().flat_map(|name| author_keys(name)).collect();
        self.authors.get_or_init(keys)
    }
}

impl<'a> Excluding<'a> {
    pub(super) fn new(exclusions: &'a Exclusions) -> Self {
        Self {
            words: exclusions.words.iter().map(|word| Unwanted::new(word)).collect(),
            authors: exclusions.authors.iter().map(|name| fold(name)).collect(),
            categories: &exclusions.categories,
        }
    }

    /// Whether a paper has what it must not have. `Lovelace` leaves out every Lovelace, `Ada Lovelace` only her.
    pub fn exclude(&self, paper: &Legible<'_>) -> bool {
        self.categories.iter().any(|one| is_in(paper.paper, one))
            || self.authors.iter().any(|name| paper.authors().contains(name))
            || self.words.iter().any(|word| paper.text.has(word))
    }
}
