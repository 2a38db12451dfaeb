//! The sentence of an abstract that says most of a paper, for lists that have room for one.
//!
//! Nothing is written anew: the sentence is the authors' own. Sentences are compared by their words: those of the title weigh most,
//! then those that the abstract repeats; a sentence about the work itself ("we show") goes before its background, and of
//! equal ones the first is taken.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::sentences;

/// Shorter words are mostly grammar.
const SHORTEST: usize = 4;
/// Weight of a word of the title; a repetition weighs 1.
const TITLE: f32 = 2.0;
/// Repetitions that count.
const MOST_REPETITIONS: u8 = 3;
/// Factor for a sentence in which the authors speak of their work.
const OWN_WORK: f32 = 1.4;
/// What the last sentence loses against the first.
const POSITION: f32 = 0.2;
/// Words by which authors speak of their work.
const CUES: [&str; 12] = [
    "we",
    "our",
    "propose",
    "proposes",
    "present",
    "presents",
    "introduce",
    "introduces",
    "show",
    "shows",
    "demonstrate",
    "paper",
];

/// The range of the sentence; empty where there is no abstract.
pub fn key_sentence(title: &str, abstract_text: &str) -> Range<usize> {
    let title: HashSet<String> = words(title).filter(|word| is_telling(word)).collect();
    let sentences = sentences(abstract_text);
    let mut counts: HashMap<String, u8> = HashMap::new();
    for word in words(abstract_text) {
        let count = counts.entry(word).or_default();
        *count = count.saturating_add(1);
    }
    let weight = |word: &String| {
        let repetitions = counts.get(word).map_or(0, |count| (count - 1).min(MOST_REPETITIONS));
        f32::from(repetitions) + if title.contains(word) { TITLE } else { 0.0 }
    };
    let last = sentences.len().saturating_sub(1).max(1) as f32;
    let mut best = (f32::NEG_INFINITY, 0..0);
    for (place, sentence) in sentences.into_iter().enumerate() {
        let position = 1.0 - POSITION * place as f32 / last;
        let score = position * score(&abstract_text[sentence.clone()], weight);
        if score > best.0 {
            best = (score, sentence);
        }
    }
    best.1
}

/// The weights of the distinct words, as a mean that favours longer sentences.
fn score(sentence: &str, weight: impl Fn(&String) -> f32) -> f32 {
    let all: HashSet<String> = words(sentence).collect();
    let own_work = all.iter().any(|word| CUES.contains(&word.as_str()));
    let (mut count, mut sum) = (0.0_f32, 0.0);
    for word in all.iter().filter(|word| is_telling(word)) {
        count += 1.0;
        sum += weight(word);
    }
    sum / count.max(1.0).sqrt() * if own_work { OWN_WORK } else { 1.0 }
}

fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    let words = text.split(|c: char| !c.is_alphanumeric());
    words.filter(|word| !word.is_empty()).map(str::to_lowercase)
}

fn is_telling(word: &str) -> bool {
    word.chars().nth(SHORTEST - 1).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(title: &str, abstract_text: &'static str) -> &'static str {
        &abstract_text[key_sentence(title, abstract_text)]
    }

    #[test]
    fn the_work_goes_before_its_background() {
        let text = "Harbours are busy places. For decades, lights have been mended by hand, which is slow and costly. \
                    We present a network that finds broken lanterns in harbours from images of lanterns. Code is available.";
        assert_eq!(
            key("Finding broken lanterns in harbours", text),
            "We present a network that finds broken lanterns in harbours from images of lanterns."
        );
    }

    #[test]
    fn where_nothing_tells_them_apart_the_first_is_taken() {
        assert_eq!(key("Title", "One two. Three four."), "One two.");
        assert_eq!(key("", "深度学习。采购审批。"), "深度学习。");
        assert_eq!(key("Title", ""), "");
    }
}
