//! Matches interests with papers by words: for those that the encoder cannot read, whose vectors are zero.

use std::collections::HashMap;

use super::Match;
use crate::relevance::WORDS_SHARE;
use crate::{SparseVector, bm25};

/// For each term the papers that have it, by their places in the panel, with their weights.
#[derive(Debug, Clone, Default)]
pub struct WordIndex {
    postings: HashMap<u32, Vec<(u32, f32)>>,
    papers: u32,
}

impl WordIndex {
    /// Of the term weights of papers, in the order of the panel.
    pub fn new<'a>(papers: impl IntoIterator<Item = &'a SparseVector>) -> Self {
        let mut index = Self::default();
        for vector in papers {
            for (term, weight) in vector.iter() {
                index.postings.entry(term).or_default().push((index.papers, weight));
            }
            index.papers += 1;
        }
        index
    }

    /// The papers that fit some words, best first, of equal scores the one that comes first. A score is the share of the
    /// words that a paper has, weighed by how rare they are; those below [`WORDS_SHARE`] do not fit.
    pub fn matches(&self, words: &str) -> Vec<Match> {
        let Ok(query) = bm25::query_vector(words) else {
            return Vec::new();
        };
        let papers = u64::from(self.papers);
        let holding = |term| self.postings.get(&term).map_or(0, |postings| postings.len() as u64);
        let full = bm25::full_score(&query, papers, holding);
        let mut scores: HashMap<u32, f64> = HashMap::new();
        for (term, weight) in query.iter() {
            let rarity = f64::from(weight) * bm25::rarity(papers, holding(term));
            for (paper, weight) in self.postings.get(&term).into_iter().flatten() {
                *scores.entry(*paper).or_default() += rarity * f64::from(*weight);
            }
        }
        #[expect(clippy::cast_possible_truncation, reason = "a share")]
        let one = |(paper, score): (u32, f64)| Match {
            paper,
            score: (score / full) as f32,
        };
        let mut matches: Vec<Match> = scores.into_iter().map(one).collect();
        matches.retain(|one| f64::from(one.score) >= WORDS_SHARE);
        matches.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.paper.cmp(&b.paper)));
        for one in &mut matches {
            one.score = one.score.min(1.0);
        }
        matches
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(texts: &[&str]) -> WordIndex {
        let vectors: Vec<SparseVector> = texts
            .iter()
            .map(|text| bm25::document_vector(text).expect("a sound vector"))
            .collect();
        WordIndex::new(&vectors)
    }

    #[test]
    fn papers_with_the_words_fit_and_no_others() {
        let index = index(&[
            "🔥🔥🔥",
            "基于深度学习的采购订单自动审批流程",
            "深度学习",
            "Lanterns in harbours",
        ]);
        let papers = |words: &str| index.matches(words).iter().map(|one| one.paper).collect::<Vec<_>>();
        assert_eq!(papers("采购审批"), [1]);
        assert_eq!(papers("lantern"), [3]);
        assert_eq!(papers("🔥"), [] as [u32; 0]);
        assert_eq!(papers("学习")[0], 2, "the shorter one says it more often");
        assert!(index.matches("深度学习").iter().all(|one| one.score <= 1.0));
    }
}
