//! Excluded words and phrases, prepared once for many texts, and texts prepared once for many exclusions.

use std::collections::HashSet;
use std::sync::OnceLock;

use super::{contains, folded};
use crate::bm25;

/// A title and an abstract; derived forms are computed on first use.
#[derive(Debug, Clone)]
pub struct PaperText<'a> {
    parts: [&'a str; 2],
    folded: OnceLock<[String; 2]>,
    terms: OnceLock<HashSet<String>>,
}

/// A word in all of its forms, or a phrase.
#[derive(Debug, Clone)]
pub struct ExcludedTerm {
    folded: String,
    stem: Option<String>,
    /// Whether it is also searched letter by letter.
    literally: bool,
}

impl<'a> PaperText<'a> {
    /// The text of a paper.
    pub fn of(title: &'a str, abstract_text: &'a str) -> Self {
        Self {
            parts: [title, abstract_text],
            folded: OnceLock::new(),
            terms: OnceLock::new(),
        }
    }

    /// Whether title or abstract has an excluded word or phrase.
    pub fn has(&self, excluded: &ExcludedTerm) -> bool {
        let by_stem = excluded.stem.as_ref().is_some_and(|stem| self.terms().contains(stem));
        by_stem || excluded.literally && self.contains(&excluded.folded)
    }

    /// Whether title or abstract contains a folded phrase.
    pub(super) fn contains(&self, phrase: &str) -> bool {
        let folded = self.folded.get_or_init(|| self.parts.map(folded));
        folded.iter().any(|text| contains(text, phrase))
    }

    /// Computed only when needed: stemming is slow, and phrases do not need it.
    fn terms(&self) -> &HashSet<String> {
        let all = || self.parts.iter().flat_map(|part| bm25::terms(part)).collect();
        self.terms.get_or_init(all)
    }
}

impl ExcludedTerm {
    /// Several words, or a word that folds to several, are a phrase; `GPT-4` also matches `GPT4`.
    pub fn new(excluded: &str) -> Self {
        let folded = folded(excluded);
        let parts = folded.split(' ').count();
        let spaced = excluded.trim().contains(char::is_whitespace);
        let stems = match parts {
            1 => bm25::terms(excluded),
            2 if !spaced => bm25::terms(&folded.replace(' ', "")),
            _ => Vec::new(),
        };
        let literally = (stems.len() != 1 || parts > 1) && !folded.is_empty();
        // Several terms of one word are Chinese characters, which only match together.
        let stem = <[String; 1]>::try_from(stems).ok().map(|[stem]| stem);
        Self {
            folded,
            stem,
            literally,
        }
    }
}
