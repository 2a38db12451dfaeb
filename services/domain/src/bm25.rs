//! Sparse vectors: BM25 term weights of documents and queries, by stable term ids.
//!
//! A document's weight is BM25 without the inverse document frequency, which the store applies. This module keeps no corpus
//! statistics and stores no words: a term is identified by its id alone.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use crate::SparseVector;
use crate::vectors::VectorError;

mod latex;
mod stems;
mod stop_words;
mod terms;

pub(crate) use latex::without_latex;
pub(crate) use terms::{PrefixFilter, terms_with_prefixes};
pub use terms::{terms, terms_with_places};

/// Saturation of the term frequency.
const K1: f32 = 1.6;
/// Strength of the length normalisation.
const B: f32 = 0.75;
/// Weight of a term in the title. Adding up fields before saturation is the simple BM25F of Robertson, Zaragoza and Taylor
/// (CIKM 2004).
const TITLE: f32 = 2.0;
/// Terms in an average document, those of the title counted [`TITLE`] times: 74,728 arXiv papers of 2025 and 2026 have 152
/// terms in title and abstract and 10 in the title, by [`terms`]. A constant, so that a document's weights do not depend on
/// when it was indexed.
const AVERAGE_TERMS: f32 = 162.0;

/// The term weights of a paper, without the inverse document frequency. `content` is its whole text including the title.
/// Empty without words.
pub fn paper_vector(title: &str, content: &str) -> Result<SparseVector, VectorError> {
    let counted = terms(content).into_iter().map(|term| (term, 1.0));
    let again = terms(title).into_iter().map(|term| (term, TITLE - 1.0));
    let counts = counts(counted.chain(again));
    let length = counts.values().sum();
    vector(counts, |count| document_weight(count, length))
}

/// The term weights of a document with an unknown title, without the inverse document frequency; empty without words.
pub fn document_vector(content: &str) -> Result<SparseVector, VectorError> {
    paper_vector("", content)
}

/// The term weights of a query: the count of each term, so that a pasted abstract emphasises its main terms. Empty without
/// words.
pub fn query_vector(content: &str) -> Result<SparseVector, VectorError> {
    let counted = terms(content).into_iter().map(|term| (term, 1.0));
    vector(counts(counted), |count| count)
}

/// The query for papers similar to these, from their stored vectors. A stored weight determines the term's count up to a
/// factor common to the paper, `weight / (K1 + 1 - weight) = count / (K1 · length norm)`, so each paper contributes its
/// counts, and long papers do not dominate.
pub fn query_like(papers: &[SparseVector]) -> Result<SparseVector, VectorError> {
    let mut weights: BTreeMap<u32, f32> = BTreeMap::new();
    for (id, weight) in papers.iter().flat_map(SparseVector::iter) {
        // Two terms that share an id may weigh more than a single term can.
        *weights.entry(id).or_default() += weight / (K1 + 1.0 - weight).max(0.01);
    }
    let (indices, values) = weights.into_iter().unzip();
    SparseVector::new(indices, values)
}

/// The inverse document frequency of a term that so many of the papers have.
pub fn rarity(papers: u64, holding: u64) -> f64 {
    let (papers, holding) = (papers.max(holding) as f64, holding as f64);
    ((papers - holding + 0.5) / (holding + 0.5)).ln_1p()
}

/// The score of a paper of average length that has every term of a query once, given how many papers there are and how many
/// of them have each term.
pub fn full_score(query: &SparseVector, papers: u64, holding: impl Fn(u32) -> u64) -> f64 {
    let terms = query.iter();
    terms
        .map(|(term, weight)| f64::from(weight) * rarity(papers, holding(term)))
        .sum()
}

fn counts(counted: impl IntoIterator<Item = (String, f32)>) -> BTreeMap<String, f32> {
    let mut counts = BTreeMap::new();
    for (term, count) in counted {
        *counts.entry(term).or_default() += count;
    }
    counts
}

fn vector(counts: BTreeMap<String, f32>, weight: impl Fn(f32) -> f32) -> Result<SparseVector, VectorError> {
    let mut weights: BTreeMap<u32, f32> = BTreeMap::new();
    for (term, count) in counts {
        // Terms that share an id add up.
        *weights.entry(term_id(&term)).or_default() += weight(count);
    }
    let (indices, values) = weights.into_iter().unzip();
    SparseVector::new(indices, values)
}

/// The id of a stemmed term: the first four bytes of its SHA-256, little-endian. Stored vectors depend on it, so it never
/// changes. Of a million terms about one in four thousand shares its id with another; such terms match each other, which is
/// harmless.
pub fn term_id(term: &str) -> u32 {
    let digest = Sha256::digest(term.as_bytes());
    u32::from_le_bytes([digest[0], digest[1], digest[2], digest[3]])
}

fn document_weight(count: f32, length: f32) -> f32 {
    count * (K1 + 1.0) / (count + K1 * (1.0 - B + B * length / AVERAGE_TERMS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn document(content: &str) -> SparseVector {
        document_vector(content).expect("a sound vector")
    }

    fn query(content: &str) -> SparseVector {
        query_vector(content).expect("a sound vector")
    }

    fn weight(vector: &SparseVector, term: &str) -> f32 {
        let id = term_id(term);
        vector.iter().find(|(i, _)| *i == id).map_or(0.0, |(_, weight)| weight)
    }

    #[test]
    fn term_ids_never_change() {
        assert_eq!(term_id("transform"), 2_739_806_634);
        assert_eq!(term_id("gpt4"), 1_039_010_020);
    }

    #[test]
    fn the_terms_of_a_text_never_change() {
        let ids = |content| query(content).indices().to_vec();
        assert_eq!(
            ids("Pre-training the Transformers"),
            [706_336_136, 2_739_806_634, 3_293_867_793, 4_132_590_185]
        );
        assert_eq!(ids("Нейронные сети"), [2_253_933_238, 2_287_364_927]);
        assert_eq!(
            ids("深度学习"),
            [
                630_672_098,
                918_942_677,
                2_503_505_108,
                2_739_497_354,
                3_251_312_673,
                3_867_411_852,
                4_162_630_609
            ]
        );
        assert_eq!(
            ids(r"Erd\H{o}s–Rényi graphs in C++"),
            [490_666_478, 504_273_801, 1_295_676_074, 2_887_506_894]
        );
    }

    #[test]
    fn repeating_a_term_adds_ever_less() {
        let filler = "one two three four five six seven eight nine";
        let once = weight(&document(&format!("graph {filler}")), "graph");
        let twice = weight(&document(&format!("graph graph {filler}")), "graph");
        assert!(once > 1.0 && twice > once && twice < 2.0 * once, "{once} {twice}");
        let often = document(&"graph ".repeat(1000));
        assert!(weight(&often, "graph") < K1 + 1.0);
    }

    #[test]
    fn a_term_once_in_an_average_document_weighs_one() {
        let average = document(&format!("graph{}", " word".repeat(161)));
        assert!((weight(&average, "graph") - 1.0).abs() < 0.01);
    }

    #[test]
    fn query_terms_weigh_as_often_as_they_come() {
        let asked = query("graphs, a graph and the Transformers");
        assert_eq!(asked.indices().len(), 2);
        assert!((weight(&asked, "graph") - 2.0).abs() < 1e-6);
        assert!((weight(&asked, "transform") - 1.0).abs() < 1e-6);
    }

    #[test]
    fn a_term_of_the_title_counts_twice() {
        let body = "one two three four five six seven eight nine";
        let titled = paper_vector("Graph", &format!("Graph. {body}")).expect("a sound vector");
        let twice = document(&format!("graph graph {body}"));
        assert_eq!(titled, twice);
        let untitled = paper_vector("", body).expect("a sound vector");
        assert_eq!(untitled, document(body));
    }

    #[test]
    fn papers_alike_are_asked_for_by_their_counts() {
        let asked = query_like(&[document("graph graph graph model model attention")]).expect("a sound vector");
        let once = weight(&asked, "attent");
        assert!((weight(&asked, "graph") / once - 3.0).abs() < 1e-4);
        assert!((weight(&asked, "model") / once - 2.0).abs() < 1e-4);
        assert!(query_like(&[]).expect("a sound vector").is_empty());
    }

    #[test]
    fn a_long_paper_asks_no_louder_than_a_short_one() {
        let average = |text: &str| document(&format!("{text} {}", "filler ".repeat(150)));
        let long = document(&format!("graph {}", "filler ".repeat(600)));
        let asked = query_like(&[average("model"), long]).expect("a sound vector");
        assert!(weight(&asked, "model") > weight(&asked, "graph"));
    }

    #[test]
    fn text_without_words_has_an_empty_vector() {
        assert!(document("the of and … $$ ---").is_empty());
    }

    proptest! {
        #[test]
        fn any_text_has_a_sound_vector(content in any::<String>()) {
            let titled = paper_vector(&content, &content).expect("a sound vector");
            let like = query_like(&[titled.clone(), document(&content)]).expect("a sound vector");
            for vector in [query(&content), document(&content), titled, like] {
                prop_assert!(vector.indices().is_sorted_by(|a, b| a < b));
                prop_assert!(vector.values().iter().all(|weight| *weight > 0.0));
            }
        }

        #[test]
        fn spacing_and_case_do_not_matter(words in prop::collection::vec("[a-zA-Z]{1,9}|[0-9]{1,4}", 1..20)) {
            let plain = document(&words.join(" "));
            let odd = format!("\n {} \t", words.join("  \n").to_uppercase());
            prop_assert_eq!(plain, document(&odd));
        }

        #[test]
        fn the_order_of_words_does_not_matter(words in prop::collection::vec("[a-z]{2,9}", 1..20)) {
            let mut reversed = words.clone();
            reversed.reverse();
            let there = document(&words.join(" "));
            prop_assert_eq!(there, document(&reversed.join(" ")));
        }
    }
}
