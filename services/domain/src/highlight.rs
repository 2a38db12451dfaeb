//! What of a paper's text fits a query: the sentence that fits best, the words that fit, whether phrases are in it.
//!
//! Words are compared by their terms as in [`crate::bm25`], phrases letter by letter without case and accents. Nothing
//! here writes markup, and nothing is cut out or changed: all answers are places in the text as it was given.

use std::collections::HashMap;
use std::ops::Range;

use crate::bm25::{self, Beginnings, term_id};
use crate::text;

mod sentences;
mod unwanted;

pub use sentences::sentences;
pub use unwanted::{Text, Unwanted};

/// The terms of a query and what each weighs.
#[derive(Debug, Clone, Default)]
pub struct QueryTerms {
    weights: HashMap<String, f32>,
    ids: Ids,
    beginnings: Beginnings,
}

/// Weights by the ids of terms, for asking about many ids of which nearly none is there: a bit tells most of them.
#[derive(Debug, Clone, Default)]
struct Ids {
    bits: u64,
    sorted: Vec<(u32, f32)>,
}

impl Ids {
    fn new(mut weights: Vec<(u32, f32)>) -> Self {
        weights.sort_unstable_by_key(|(id, _)| *id);
        Self {
            bits: weights.iter().fold(0, |bits, (id, _)| bits | Self::bit(*id)),
            sorted: weights,
        }
    }

    fn weight(&self, id: u32) -> Option<f32> {
        if self.bits & Self::bit(id) == 0 {
            return None;
        }
        let found = self.sorted.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        Some(self.sorted[found].1)
    }

    fn bit(id: u32) -> u64 {
        1 << (id % u64::BITS)
    }
}

/// What of a paper's text fits a query. Places are in bytes at the bounds of characters, in order, and do not overlap.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Highlight {
    /// The sentence of the abstract that fits best; the first where none fits, empty where there is none.
    pub sentence: Range<usize>,
    /// Words of the query in that sentence, as places in the abstract.
    pub sentence_spans: Vec<Range<usize>>,
    /// Words of the query in the title.
    pub title_spans: Vec<Range<usize>>,
}

impl QueryTerms {
    /// The terms of the words of a query, all of which weigh the same.
    pub fn new(words: &str) -> Self {
        Self::weighted(words, |_| 1.0)
    }

    /// What a term with this id weighs; 0 where it is none of the query's.
    fn weight_of(&self, id: u32) -> f32 {
        self.ids.weight(id).unwrap_or_default()
    }

    /// The terms of the words of a query, weighed by the id of each, such as by how rare it is.
    pub fn weighted(words: &str, weight: impl Fn(u32) -> f32) -> Self {
        let terms = bm25::terms(words).into_iter();
        let weights: HashMap<String, f32> = terms
            .map(|term| (weight(term_id(&term)), term))
            .map(|(weight, term)| (term, weight))
            .collect();
        let beginnings = Beginnings::of(weights.keys().map(String::as_str));
        let ids = Ids::new(weights.iter().map(|(term, weight)| (term_id(term), *weight)).collect());
        Self {
            weights,
            ids,
            beginnings,
        }
    }
}

/// An abstract whose sentences and terms are known, for many queries.
#[derive(Debug, Clone)]
pub struct Prepared {
    sentences: Vec<Range<usize>>,
    /// Of its terms, in their order. Most are looked at for their ids alone, so these lie beside each other.
    ids: Vec<u32>,
    places: Vec<Range<usize>>,
}

impl Prepared {
    /// Of an abstract.
    pub fn new(abstract_text: &str) -> Self {
        let terms = bm25::terms_with_places(abstract_text).into_iter();
        let mut terms: Vec<(u32, Range<usize>)> = terms.map(|(term, place)| (term_id(&term), place)).collect();
        terms.sort_by_key(|(_, place)| (place.start, place.end));
        let (ids, places) = terms.into_iter().unzip();
        Self {
            sentences: sentences(abstract_text),
            ids,
            places,
        }
    }

    /// The sentence that [`highlight`] finds, without places in a title.
    pub fn highlight(&self, query: &QueryTerms) -> Highlight {
        let terms = self.ids.iter().zip(&self.places);
        let found = terms.filter(|(id, _)| query.ids.weight(**id).is_some());
        let found: Vec<(u32, Range<usize>)> = found.map(|(id, place)| (*id, place.clone())).collect();
        best(&self.sentences, &found, |id| query.weight_of(*id))
    }
}

/// Finds the sentence whose different terms weigh most in a query, the first of equal ones, and the words that fit.
pub fn highlight(query: &QueryTerms, title: &str, abstract_text: &str) -> Highlight {
    let found = matches(query, abstract_text);
    let weigh = |term: &String| query.weights.get(term).copied().unwrap_or_default();
    Highlight {
        title_spans: merged(&matches(query, title), title.len()),
        ..best(&sentences(abstract_text), &found, weigh)
    }
}

fn best<T: Ord>(sentences: &[Range<usize>], found: &[(T, Range<usize>)], weigh: impl Fn(&T) -> f32) -> Highlight {
    let mut best = Highlight::default();
    let mut best_weight = -1.0;
    let mut rest = found;
    for sentence in sentences {
        let end = rest.iter().take_while(|(_, place)| place.start < sentence.end).count();
        let (here, behind) = rest.split_at(end);
        rest = behind;
        let weight = weight(here, &weigh);
        if weight > best_weight {
            best_weight = weight;
            best.sentence_spans = merged(here, sentence.end);
            best.sentence = sentence.clone();
        }
    }
    best
}

/// True when a text holds a phrase: its words in their order and whole, without case, accents, punctuation and LaTeX.
/// A phrase without letters and digits is in every text.
pub fn contains_phrase(text: &str, phrase: &str) -> bool {
    holds(&folded(text), &folded(phrase))
}

/// True when the title or the abstract holds each of `phrases`, and neither holds any of `without`.
///
/// Of `without`, one word is meant in any of its forms, and several, or what folds to several, as a phrase; `GPT-4` is
/// `GPT4` too.
pub fn passes(title: &str, abstract_text: &str, phrases: &[String], without: &[String]) -> bool {
    if phrases.is_empty() && without.is_empty() {
        return true;
    }
    let text = Text::of(title, abstract_text);
    phrases.iter().all(|phrase| text.holds(&folded(phrase)))
        && !without.iter().any(|unwanted| text.has(&Unwanted::new(unwanted)))
}

/// Terms of the query in a text and their places.
fn matches(query: &QueryTerms, text: &str) -> Vec<(String, Range<usize>)> {
    let mut found = bm25::terms_with_beginnings(text, &query.beginnings);
    found.retain(|(term, _)| query.weights.contains_key(term));
    // The joined form of a compound is found behind its parts.
    found.sort_by_key(|(_, place)| (place.start, place.end));
    found
}

fn weight<T: Ord>(found: &[(T, Range<usize>)], weigh: &impl Fn(&T) -> f32) -> f32 {
    let mut terms: Vec<&T> = found.iter().map(|(term, _)| term).collect();
    terms.sort_unstable();
    terms.dedup();
    terms.into_iter().map(weigh).sum()
}

/// The places, those that overlap as one, without any that go beyond `end`.
fn merged<T>(found: &[(T, Range<usize>)], end: usize) -> Vec<Range<usize>> {
    let mut spans: Vec<Range<usize>> = Vec::new();
    for (_, place) in found.iter().filter(|(_, place)| place.end <= end) {
        match spans.last_mut() {
            Some(last) if place.start < last.end => last.end = last.end.max(place.end),
            _ => spans.push(place.clone()),
        }
    }
    spans
}

fn folded(text: &str) -> String {
    text::fold(&bm25::without_latex(text))
}

/// Whether folded text holds a folded phrase as whole words.
fn holds(folded_text: &str, phrase: &str) -> bool {
    let (Some(first), Some(last)) = (phrase.chars().next(), phrase.chars().next_back()) else {
        return true;
    };
    let mut from = 0;
    // Found again from the next character on, because an occurrence inside words can hide one of whole words.
    while let Some(found) = folded_text[from..].find(phrase) {
        let at = from + found;
        let before = folded_text[..at].chars().next_back();
        let behind = folded_text[at + phrase.len()..].chars().next();
        if is_bound(before, first) && is_bound(behind, last) {
            return true;
        }
        from = at + first.len_utf8();
    }
    false
}

/// Whether a word can end between a character of a phrase and the one outside it. Scripts without spaces never say.
fn is_bound(outside: Option<char>, inside: char) -> bool {
    let unspaced = |c: char| matches!(c, '\u{e00}'..='\u{eff}' | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}');
    outside.is_none_or(|outside| outside == ' ' || unspaced(inside) || unspaced(outside))
}

#[cfg(test)]
mod tests;
