//! What fits a query, and what is merely the best of what there is.
//!
//! Lists that are not ordered by relevance begin with what fits, or else the newest of unrelated papers would come first. A paper
//! fits an operand of a query by meaning, if its cosine reaches the floor of the encoder ([`crate::selection::floor`]), or by
//! words, if its BM25 score reaches a share of what a paper of average length with every word once would have:
//!
//! ```text
//! cosine ≥ match floor           or   BM25 ≥ WORDS_SHARE · Σ weight · inverse document frequency       (words)
//! cosine ≥ match floor + ALIKE   or   BM25 ≥ ALIKE_SHARE · BM25 of the paper itself                    (papers alike)
//! ```
//!
//! Rare words weigh more, and words that no paper has weigh most, so a common word alone lets nothing in. Two abstracts have a
//! higher cosine than a query and an abstract, by [`ALIKE`]. tests/evaluation/README.md has what was measured.

use crate::fusion::{FusedPaper, ScorePart};
use crate::ranking::SetExpression;

/// The share of a query's words that a paper needs, where its cosine is below the floor.
pub const WORDS_SHARE: f64 = 0.35;
/// The share of a paper's own score that one like it needs, where its cosine is below the floor.
pub const ALIKE_SHARE: f64 = 0.1;
/// How much higher the floor is between two papers.
pub const ALIKE: f64 = 0.1;

/// From what on a paper fits an operand of a query; either is enough.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OperandFloor {
    /// The cosine.
    pub cosine: f64,
    /// The BM25 score.
    pub words: f64,
}

impl OperandFloor {
    fn reached(self, number: usize, parts: &[ScorePart]) -> bool {
        parts.iter().any(|part| {
            part.operand == number
                && match part.leg {
                    "dense" => part.raw >= self.cosine,
                    "sparse" => part.raw >= self.words,
                    _ => false,
                }
        })
    }
}

/// Whether a paper fits a query: all operands of AND, one of OR. What is not wanted decides nothing here; `floors` has one
/// for each operand.
pub fn fits(set: &SetExpression, paper: &FusedPaper, floors: &[OperandFloor]) -> bool {
    match set {
        SetExpression::Operand(number) => floors
            .get(*number)
            .is_none_or(|floor| floor.reached(*number, &paper.parts)),
        SetExpression::All(members) => members.iter().all(|member| fits(member, paper, floors)),
        SetExpression::Any(members) => members.iter().any(|member| fits(member, paper, floors)),
        SetExpression::Not(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PaperId, bm25};

    fn paper(parts: &[(usize, &'static str, f64)]) -> FusedPaper {
        let part = |(operand, leg, raw): &(usize, &'static str, f64)| ScorePart {
            leg,
            value: 1.0,
            rank: 1,
            raw: *raw,
            operand: *operand,
        };
        FusedPaper {
            id: PaperId::parse("x:a").expect("an id"),
            score: 1.0,
            parts: parts.iter().map(part).collect(),
        }
    }

    const FLOORS: [OperandFloor; 2] = [OperandFloor {
        cosine: 0.3,
        words: 5.0,
    }; 2];

    #[test]
    fn meaning_or_words_are_enough_and_feedback_is_not() {
        let operand = SetExpression::Operand(0);
        for (parts, expected) in [
            (&[(0, "dense", 0.3)][..], true),
            (&[(0, "dense", 0.29), (0, "sparse", 4.9), (0, "feedback", 0.9)], false),
            (&[(0, "dense", 0.1), (0, "sparse", 5.0)], true),
            (&[(1, "dense", 0.9)], false),
            (&[], false),
        ] {
            assert_eq!(fits(&operand, &paper(parts), &FLOORS), expected, "{parts:?}");
        }
    }

    #[test]
    fn and_needs_all_or_one_and_not_says_nothing() {
        let operands = || vec![SetExpression::Operand(0), SetExpression::Operand(1)];
        let first = paper(&[(0, "dense", 0.5), (1, "dense", 0.2)]);
        assert!(!fits(&SetExpression::All(operands()), &first, &FLOORS));
        assert!(fits(&SetExpression::Any(operands()), &first, &FLOORS));
        let without = SetExpression::Not(Box::new(SetExpression::Operand(1)));
        let set = SetExpression::All(vec![SetExpression::Operand(0), without]);
        assert!(fits(&set, &first, &FLOORS));
    }

    #[test]
    fn a_word_that_nobody_has_weighs_more_than_a_common_one() {
        let query = bm25::query_vector("lantern learning").expect("a sound vector");
        let learning = bm25::term_id("learn");
        let full = bm25::full_score(&query, 250, |term| if term == learning { 200 } else { 0 });
        let common = bm25::rarity(250, 200);
        assert!(common > 0.0 && common < WORDS_SHARE * full, "{common} of {full}");
        assert!(bm25::rarity(250, 3) > WORDS_SHARE * full);
        assert!(bm25::rarity(0, 0) > 0.0);
    }
}
