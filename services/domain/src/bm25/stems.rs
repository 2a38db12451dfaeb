//! Stems a word with the stemmer of its script.
//!
//! The script is all that a single word reveals, and queries are often one word: with a guessed document language, documents
//! would be stemmed differently from the queries for them. So Latin letters are always treated as English, which leaves most
//! words of similar languages nearly unchanged. Words of scripts without a stemmer are kept.

use std::ops::RangeInclusive;
use std::sync::LazyLock;

use rust_stemmers::{Algorithm, Stemmer};

/// Longer sequences of letters are not words.
const MAX_STEMMED_BYTES: usize = 64;

/// A stemmer and the letters it applies to.
struct Script {
    letters: &'static [RangeInclusive<char>],
    stemmer: LazyLock<Stemmer>,
}

static SCRIPTS: [Script; 5] = [
    Script {
        letters: &['a'..='z', '\''..='\''],
        stemmer: LazyLock::new(|| Stemmer::create(Algorithm::English)),
    },
    Script {
        letters: &['а'..='я'],
        stemmer: LazyLock::new(|| Stemmer::create(Algorithm::Russian)),
    },
    Script {
        letters: &['α'..='ω'],
        stemmer: LazyLock::new(|| Stemmer::create(Algorithm::Greek)),
    },
    Script {
        letters: &['\u{621}'..='\u{652}'],
        stemmer: LazyLock::new(|| Stemmer::create(Algorithm::Arabic)),
    },
    Script {
        letters: &['\u{b80}'..='\u{bff}'],
        stemmer: LazyLock::new(|| Stemmer::create(Algorithm::Tamil)),
    },
];

/// The stem of a lower-case word; the word itself without a stemmer, or if nothing would be left.
pub fn stem(word: &str) -> String {
    if word.len() > MAX_STEMMED_BYTES {
        return word.to_owned();
    }
    let script = SCRIPTS.iter().find(|script| script.spells(word));
    let stemmed = script.map(|script| script.stemmer.stem(word).into_owned());
    stemmed
        .filter(|stem| !stem.is_empty())
        .unwrap_or_else(|| word.to_owned())
}

impl Script {
    fn spells(&self, word: &str) -> bool {
        word.chars()
            .all(|c| self.letters.iter().any(|range| range.contains(&c)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_of_one_stem_meet_in_each_script() {
        for words in [
            ["transformers", "transformer"],
            ["нейронные", "нейронных"],
            ["υπολογιστης", "υπολογιστες"],
            ["النماذج", "نماذج"],
            ["மரங்கள்", "மரங்களை"],
        ] {
            let [one, other] = words.map(stem);
            assert_eq!(one, other, "{words:?}");
            assert_ne!(one, words[0]);
        }
    }

    #[test]
    fn mixed_and_other_scripts_are_left_alone() {
        for word in ["gpt4", "größe", "глава2", "モデル", "שלום", &"a".repeat(65)] {
            assert_eq!(stem(word), word);
        }
    }

    proptest! {
        #[test]
        fn stemming_never_leaves_nothing(
            word in "[a-z']{1,20}|[а-я]{1,20}|[α-ω]{1,20}|[\u{621}-\u{652}]{1,20}|[\u{b80}-\u{bff}]{1,20}",
        ) {
            prop_assert!(!stem(&word).is_empty());
        }
    }
}
