//! What to highlight in a paper for a query: the sentence that fits best, the matching words, and whether phrases occur.
//!
//! Words are compared by their terms as in [`crate::bm25`], phrases letter by letter without case and accents. Nothing here
//! writes markup or changes text: all results are byte ranges of the text as given.

use std::collections::HashMap;
use std::ops::Range;

use crate::bm25::{self, PrefixFilter, term_id};
use crate::text;

mod excluded_term;
mod key_sentence;
mod sentences;

pub use excluded_term::{ExcludedTerm, PaperText};
pub use key_sentence::key_sentence;
pub use sentences::sentences;

/// The terms of a query with their weights.
#[derive(Debug, Clone, Default)]
pub struct QueryTerms {
    weights: HashMap<String, f32>,
    ids: WeightsById,
    prefixes: PrefixFilter,
}

/// Weights by term id, for looking up many ids of which few are present: a bit mask rejects most of them.
#[derive(Debug, Clone, Default)]
struct WeightsById {
    bits: u64,
    sorted: Vec<(u32, f32)>,
}

impl WeightsById {
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

/// The highlights of a paper for a query, as byte ranges at character boundaries, in order and without overlaps.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Highlight {
    /// The best sentence of the abstract; the first where none fits, empty without an abstract.
    pub sentence: Range<usize>,
    /// Query words in that sentence, as ranges of the abstract.
    pub sentence_spans: Vec<Range<usize>>,
    /// Query words in the title.
    pub title_spans: Vec<Range<usize>>,
}

impl QueryTerms {
    /// The terms of a query, all with the same weight.
    pub fn new(words: &str) -> Self {
        Self::weighted(words, |_| 1.0)
    }

    /// The weight of a term id; 0 where the query does not have it.
    fn weight_of(&self, id: u32) -> f32 {
        self.ids.weight(id).unwrap_or_default()
    }

    /// The terms of a query, weighted by term id, such as by rarity.
    pub fn weighted(words: &str, weight: impl Fn(u32) -> f32) -> Self {
        let terms = bm25::terms(words).into_iter();
        let weights: HashMap<String, f32> = terms
            .map(|term| (weight(term_id(&term)), term))
            .map(|(weight, term)| (term, weight))
            .collect();
        let prefixes = PrefixFilter::of(weights.keys().map(String::as_str));
        let ids = WeightsById::new(weights.iter().map(|(term, weight)| (term_id(term), *weight)).collect());
        Self { weights, ids, prefixes }
    }
}

/// An abstract split into sentences and terms, for many queries.
#[derive(Debug, Clone)]
pub struct PreparedAbstract {
    sentences: Vec<Range<usize>>,
    /// Of its terms, in order. Most are only looked up by id, so the ids lie in one array.
    ids: Vec<u32>,
    ranges: Vec<Range<usize>>,
}

impl PreparedAbstract {
    /// Prepares an abstract.
    pub fn new(abstract_text: &str) -> Self {
        let terms = bm25::terms_with_places(abstract_text).into_iter();
        let mut terms: Vec<(u32, Range<usize>)> = terms.map(|(term, place)| (term_id(&term), place)).collect();
        terms.sort_by_key(|(_, place)| (place.start, place.end));
        let (ids, ranges) = terms.into_iter().unzip();
        Self {
            sentences: sentences(abstract_text),
            ids,
            ranges,
        }
    }

    /// The sentence that [`highlight`] finds, without ranges in a title.
    pub fn highlight(&self, query: &QueryTerms) -> Highlight {
        let terms = self.ids.iter().zip(&self.ranges);
        let found = terms.filter(|(id, _)| query.ids.weight(**id).is_some());
        let found: Vec<(u32, Range<usize>)> = found.map(|(id, place)| (*id, place.clone())).collect();
        best(&self.sentences, &found, |id| query.weight_of(*id))
    }
}

/// Finds the sentence whose distinct query terms weigh most, the first of equal ones, and the matching words.
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

/// Whether a text contains a phrase: whole words in order, ignoring case, accents, punctuation and LaTeX. A phrase without
/// letters and digits is in every text.
pub fn contains_phrase(text: &str, phrase: &str) -> bool {
    contains(&folded(text), &folded(phrase))
}

/// Whether title or abstract contains each of `phrases`, and neither contains any of `without`.
///
/// In `without`, a single word stands for all of its forms, and several words, or a word that folds to several, for a
/// phrase; `GPT-4` also matches `GPT4`.
pub fn passes(title: &str, abstract_text: &str, phrases: &[String], without: &[String]) -> bool {
    if phrases.is_empty() && without.is_empty() {
        return true;
    }
    let text = PaperText::of(title, abstract_text);
    phrases.iter().all(|phrase| text.contains(&folded(phrase)))
        && !without.iter().any(|term| text.has(&ExcludedTerm::new(term)))
}

/// Query terms in a text with their ranges.
fn matches(query: &QueryTerms, text: &str) -> Vec<(String, Range<usize>)> {
    let mut found = bm25::terms_with_prefixes(text, &query.prefixes);
    found.retain(|(term, _)| query.weights.contains_key(term));
    // The joined form of a compound comes after its parts.
    found.sort_by_key(|(_, place)| (place.start, place.end));
    found
}

fn weight<T: Ord>(found: &[(T, Range<usize>)], weigh: &impl Fn(&T) -> f32) -> f32 {
    let mut terms: Vec<&T> = found.iter().map(|(term, _)| term).collect();
    terms.sort_unstable();
    terms.dedup();
    terms.into_iter().map(weigh).sum()
}

/// The ranges up to `end`, with overlapping ones merged.
fn merged<T>(found: &[(T, Range<usize>)], end: usize) -> Vec<Range<usize>> {
    let mut spans: Vec<Range<usize>> = Vec::new();
    for (_, range) in found.iter().filter(|(_, range)| range.end <= end) {
        match spans.last_mut() {
            Some(last) if range.start < last.end => last.end = last.end.max(range.end),
            _ => spans.push(range.clone()),
        }
    }
    spans
}

fn folded(text: &str) -> String {
    text::fold(&bm25::without_latex(text))
}

/// Whether folded text contains a folded phrase as whole words.
fn contains(folded_text: &str, phrase: &str) -> bool {
    let (Some(first), Some(last)) = (phrase.chars().next(), phrase.chars().next_back()) else {
        return true;
    };
    let mut from = 0;
    // Continue at the next character: an occurrence inside words can overlap one of whole words.
    while let Some(found) = folded_text[from..].find(phrase) {
        let at = from + found;
        let before = folded_text[..at].chars().next_back();
        let after = folded_text[at + phrase.len()..].chars().next();
        if is_bound(before, first) && is_bound(after, last) {
            return true;
        }
        from = at + first.len_utf8();
    }
    false
}

/// Whether a word boundary can lie between a character of a phrase and the one outside it; always in scripts without spaces.
fn is_bound(outside: Option<char>, inside: char) -> bool {
    let unspaced = |c: char| matches!(c, '\u{e00}'..='\u{eff}' | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}');
    outside.is_none_or(|outside| outside == ' ' || unspaced(inside) || unspaced(outside))
}

#[cfg(test)]
mod tests;
