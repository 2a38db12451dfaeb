//! Fuses the legs of a hybrid search into one deterministic ranking and reports what each leg contributed.
//!
//! The legs' scores have different scales: cosines, sums of term weights. Each leg is normalised by the spread of its scores
//! among the candidates, and papers are ranked by the weighted sum:
//!
//! ```text
//! part(leg, paper) = weight · (score(paper) − lowest) / spread        score(paper) = Σ parts
//! ```
//!
//! `lowest` and `spread` (the standard deviation) are taken over all candidates: over every paper that any leg found.
//! This is the z-score ("standard") fusion of Renda and Straccia (SAC 2003) in the weighted sums of Bruch, Gai and Ingber
//! (TOIS 2023), moved so that no part is below zero, which changes no order. Unlike reciprocal rank fusion it keeps how far
//! apart two papers are. Scores compare papers of one answer; they mean nothing across answers.
//!
//! [`feedback_centre`] turns the best papers of a first fusion into a further leg: pseudo-relevance feedback after Rocchio
//! (1971). Nothing here knows a store.

use std::collections::HashMap;

use crate::{DenseVector, PaperId};

/// Number of best papers of the first fusion used for feedback.
pub const FEEDBACK_PAPERS: usize = 10;
/// Weight of the feedback relative to all other legs together.
const FEEDBACK_SHARE: f64 = 0.4;
/// A spread below this part of the largest score is rounding, not a difference.
const ROUNDING: f64 = 1e-6;

/// One leg of a search: its name, weight and hits.
#[derive(Debug, Clone)]
pub struct Leg {
    /// Name, such as `dense`.
    pub name: &'static str,
    /// Factor on its contribution.
    pub weight: f64,
    /// Papers with the leg's own scores, in any order, each at most once.
    pub hits: Vec<Hit>,
    /// The score assumed for candidates the leg did not find, in the leg's own units. Never above the lowest hit, or the
    /// paper would have been found. See [`unseen`].
    pub unseen: f64,
}

/// One paper a leg found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// The paper.
    pub id: PaperId,
    /// The leg's own score; higher is better.
    pub score: f64,
}

/// One paper of the fused ranking.
#[derive(Debug, Clone, PartialEq)]
pub struct FusedPaper {
    /// The paper.
    pub id: PaperId,
    /// Sum of its parts, in spreads; zero for a paper that every leg puts last.
    pub score: f64,
    /// The parts of the legs that found it, in the order of the legs.
    pub parts: Vec<ScorePart>,
}

/// One part of a paper's score.
#[derive(Debug, Clone, PartialEq)]
pub struct ScorePart {
    /// The leg, or the step that added it.
    pub leg: &'static str,
    /// What it adds to the score; never below zero for a leg of positive weight.
    pub value: f64,
    /// Rank in the leg, from 1. Equal scores share the rank of the first of them. 0 where nothing was ranked.
    pub rank: u32,
    /// The leg's own score.
    pub raw: f64,
    /// The operand of the query that the leg belongs to; 0 where there is only one.
    pub operand: usize,
}

/// The score to assume for papers that a leg asked for `limit` papers did not find: the lowest hit where the list was cut,
/// or `least`, the lowest possible score, where the leg returned everything.
pub fn unseen(hits: &[Hit], limit: usize, least: f64) -> f64 {
    if hits.len() < limit {
        return least;
    }
    hits.iter().map(|hit| hit.score).reduce(f64::min).unwrap_or(least)
}

/// The fused ranking, best first; equal scores by paper id.
pub fn fuse(legs: Vec<Leg>) -> Vec<FusedPaper> {
    let mut by_id: HashMap<PaperId, FusedPaper> = HashMap::new();
    for hit in legs.iter().flat_map(|leg| &leg.hits) {
        by_id.entry(hit.id.clone()).or_insert_with(|| FusedPaper {
            id: hit.id.clone(),
            score: 0.0,
            parts: Vec::with_capacity(legs.len()),
        });
    }
    for mut leg in legs {
        // Sorted before summing too: sums of floating point numbers depend on their order.
        leg.hits
            .sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.id.cmp(&b.id)));
        let scale = Scale::of(&leg, by_id.len());
        for (hit, rank) in leg.hits.iter().zip(ranks(&leg.hits)) {
            let Some(fused) = by_id.get_mut(&hit.id) else { continue };
            let value = leg.weight * scale.normalise(hit.score);
            fused.score += value;
            fused.parts.push(ScorePart {
                leg: leg.name,
                value,
                rank,
                raw: hit.score,
                operand: 0,
            });
        }
    }
    let mut ranking: Vec<FusedPaper> = by_id.into_values().collect();
    ranking.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.id.cmp(&b.id)));
    ranking
}

/// The query vector of the feedback leg: the mean of the best papers' vectors, best first, weighted by one over the rank, so
/// that a single wrong paper far down has little effect. Only the first [`FEEDBACK_PAPERS`] count. `None` where the vectors
/// cancel out.
pub fn feedback_centre(best: &[DenseVector]) -> Option<DenseVector> {
    let ranked = (1_u8..).zip(best.iter().take(FEEDBACK_PAPERS));
    DenseVector::mean(ranked.map(|(rank, vector)| (1.0 / f32::from(rank), vector)))
}

/// The weight of a feedback leg beside these legs.
pub fn feedback_weight(legs: &[Leg]) -> f64 {
    FEEDBACK_SHARE * legs.iter().map(|leg| leg.weight).sum::<f64>()
}

/// The scale of a leg's scores among the candidates.
struct Scale {
    lowest: f64,
    spread: f64,
}

impl Scale {
    /// Over the leg's hits, best first, and the candidates it did not find.
    fn of(leg: &Leg, candidates: usize) -> Self {
        let found = || leg.hits.iter().map(|hit| hit.score);
        let missing = candidates.saturating_sub(leg.hits.len()) as f64;
        let worst = leg.hits.last().map_or(leg.unseen, |hit| hit.score);
        let lowest = if missing > 0.0 { leg.unseen.min(worst) } else { worst };
        let count = (candidates as f64).max(1.0);
        // Above the lowest, so that papers not found add nothing to the sums.
        let mean = found().map(|score| score - lowest).sum::<f64>() / count;
        let squares = found().map(|score| (score - lowest - mean).powi(2)).sum::<f64>() + missing * mean.powi(2);
        let largest = found().chain([lowest]).map(f64::abs).fold(0.0, f64::max);
        let spread = (squares / count).sqrt();
        Self {
            lowest,
            spread: if spread > ROUNDING * largest {
                spread
            } else {
                f64::INFINITY
            },
        }
    }

    /// Spreads above the lowest; zero where the leg scores all papers alike.
    fn normalise(&self, score: f64) -> f64 {
        (score - self.lowest) / self.spread
    }
}

/// The ranks of hits sorted best first.
fn ranks(hits: &[Hit]) -> impl Iterator<Item = u32> + '_ {
    let mut current = 1;
    let mut last = f64::INFINITY;
    (1_u32..).zip(hits).map(move |(position, hit)| {
        if hit.score < last {
            current = position;
            last = hit.score;
        }
        current
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hits(list: &[(&str, f64)]) -> Vec<Hit> {
        list.iter()
            .map(|(id, score)| Hit {
                id: PaperId::parse(id).expect("an id"),
                score: *score,
            })
            .collect()
    }

    fn leg(name: &'static str, list: &[(&str, f64)]) -> Leg {
        Leg {
            name,
            weight: 1.0,
            hits: hits(list),
            unseen: 0.0,
        }
    }

    fn ids(ranking: &[FusedPaper]) -> Vec<&str> {
        ranking.iter().map(|f| f.id.as_str()).collect()
    }

    fn values(ranking: &[FusedPaper]) -> Vec<f64> {
        ranking.iter().map(|f| f.score).collect()
    }

    fn close(found: &[f64], expected: &[f64]) -> bool {
        found.len() == expected.len() && found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9)
    }

    #[test]
    fn a_paper_both_legs_like_wins() {
        let dense = leg("dense", &[("x:a", 0.9), ("x:b", 0.8)]);
        let sparse = leg("sparse", &[("x:b", 7.0), ("x:c", 6.0)]);
        assert_eq!(ids(&fuse(vec![dense, sparse])), ["x:b", "x:a", "x:c"]);
    }

    #[test]
    fn parts_are_spreads_above_the_lowest() {
        let ranking = fuse(vec![leg("dense", &[("x:a", 0.5), ("x:b", 0.3), ("x:c", 0.1)])]);
        let step = 0.2 / (0.08_f64 / 3.0).sqrt();
        assert!(close(&values(&ranking), &[2.0 * step, step, 0.0]), "{ranking:?}");
    }

    #[test]
    fn how_far_ahead_a_paper_is_counts() {
        // By ranks, a and b would be equal.
        let dense = leg("dense", &[("x:a", 0.9), ("x:b", 0.4), ("x:c", 0.39), ("x:d", 0.38)]);
        let sparse = leg("sparse", &[("x:b", 8.1), ("x:a", 8.0), ("x:c", 2.0), ("x:d", 1.0)]);
        assert_eq!(ids(&fuse(vec![dense, sparse])), ["x:a", "x:b", "x:c", "x:d"]);
    }

    #[test]
    fn equal_scores_rank_equally_and_order_by_id() {
        let forwards = fuse(vec![leg("dense", &[("x:a", 0.5), ("x:b", 0.5), ("x:c", 0.4)])]);
        let backwards = fuse(vec![leg("dense", &[("x:c", 0.4), ("x:b", 0.5), ("x:a", 0.5)])]);
        assert_eq!(forwards, backwards);
        assert_eq!(ids(&forwards), ["x:a", "x:b", "x:c"]);
        assert_eq!(forwards.iter().map(|f| f.parts[0].rank).collect::<Vec<_>>(), [1, 1, 3]);
    }

    #[test]
    fn a_leg_to_which_all_are_alike_says_nothing() {
        let alike = leg("dense", &[("x:a", 0.5), ("x:b", 0.500_000_01), ("x:c", 0.5)]);
        assert!(close(&values(&fuse(vec![alike.clone()])), &[0.0, 0.0, 0.0]));
        let sparse = leg("sparse", &[("x:c", 3.0), ("x:b", 2.0), ("x:a", 1.0)]);
        assert_eq!(ids(&fuse(vec![alike, sparse])), ["x:c", "x:b", "x:a"]);
    }

    #[test]
    fn one_candidate_is_ranked_with_nothing_to_compare() {
        let ranking = fuse(vec![leg("dense", &[("x:a", 0.7)]), leg("sparse", &[("x:a", 4.0)])]);
        assert_eq!(ids(&ranking), ["x:a"]);
        assert!(close(&values(&ranking), &[0.0]));
        let raw: Vec<f64> = ranking[0].parts.iter().map(|part| part.raw).collect();
        assert!(close(&raw, &[0.7, 4.0]));
    }

    #[test]
    fn an_empty_leg_changes_nothing() {
        let dense = leg("dense", &[("x:a", 0.9), ("x:b", 0.2), ("x:c", 0.4)]);
        let alone = fuse(vec![dense.clone()]);
        assert_eq!(alone, fuse(vec![dense, leg("sparse", &[])]));
        assert_eq!(fuse(vec![leg("dense", &[]), leg("sparse", &[])]), []);
        assert_eq!(fuse(vec![]), []);
    }

    #[test]
    fn a_paper_a_leg_did_not_find_stands_where_the_leg_ended() {
        let found = hits(&[("x:a", 9.0), ("x:b", 8.0)]);
        let ends = [unseen(&found, 2, 0.0), unseen(&found, 3, 0.0), unseen(&[], 0, 0.0)];
        assert!(close(&ends, &[8.0, 0.0, 0.0]));

        let dense = leg("dense", &[("x:a", 0.5), ("x:b", 0.5), ("x:c", 0.5)]);
        let sparse = |unseen| Leg {
            unseen,
            ..leg("sparse", &[("x:a", 9.0), ("x:b", 8.0)])
        };
        let cut = values(&fuse(vec![dense.clone(), sparse(8.0)]));
        assert!(cut[0] > 1.0 && close(&cut[1..], &[0.0, 0.0]), "{cut:?}");
        let whole = values(&fuse(vec![dense, sparse(0.0)]));
        assert!(whole[1] > 1.0 && close(&whole[2..], &[0.0]), "{whole:?}");
    }

    #[test]
    fn weights_multiply() {
        let half = Leg {
            weight: 0.5,
            ..leg("dense", &[("x:a", 1.0)])
        };
        assert_eq!(ids(&fuse(vec![half, leg("sparse", &[("x:b", 1.0)])])), ["x:b", "x:a"]);
    }

    #[test]
    fn feedback_weighs_a_share_of_the_legs() {
        let legs = [leg("dense", &[]), leg("sparse", &[])];
        assert!((feedback_weight(&legs) - 0.8).abs() < 1e-12);
    }

    #[test]
    fn the_best_papers_turn_the_feedback_most() {
        let unit = |at: usize| {
            let mut values = vec![0.0; 12];
            values[at] = 1.0;
            DenseVector::new(values).expect("a sound vector")
        };
        let best: Vec<DenseVector> = (0..12).map(unit).collect();
        let centre = feedback_centre(&best).expect("a centre");
        let values = centre.as_slice();
        assert!((values[0] / values[1] - 2.0).abs() < 1e-5);
        assert!((values[0] / values[9] - 10.0).abs() < 1e-4);
        assert!(values[10..].iter().all(|value| value.abs() < 1e-6));
        assert_eq!(feedback_centre(&[]), None);
    }

    fn any_hits() -> impl Strategy<Value = Vec<Hit>> {
        let scores = prop_oneof![-50.0..50.0, Just(0.0), Just(1.0), (0..4).prop_map(f64::from)];
        prop::collection::btree_map(0..40_u8, scores, 0..30).prop_map(|list| {
            let hit = |(number, score)| Hit {
                id: PaperId::parse(&format!("x:{number}")).expect("an id"),
                score,
            };
            list.into_iter().map(hit).collect()
        })
    }

    fn any_legs() -> impl Strategy<Value = Vec<Leg>> {
        let one = (any_hits(), 0.0..2.0, -60.0..10.0).prop_map(|(hits, weight, unseen)| Leg {
            name: "leg",
            weight,
            hits,
            unseen,
        });
        prop::collection::vec(one, 0..4)
    }

    proptest! {
        #[test]
        fn parts_sum_to_the_score_and_none_is_negative(legs in any_legs()) {
            for fused in fuse(legs) {
                let sum: f64 = fused.parts.iter().map(|part| part.value).sum();
                prop_assert!((sum - fused.score).abs() < 1e-9, "{} {}", sum, fused.score);
                prop_assert!(fused.parts.iter().all(|part| part.value >= 0.0 && part.value.is_finite()));
            }
        }

        #[test]
        fn every_paper_found_is_ranked_once_and_best_first(legs in any_legs()) {
            let mut expected: Vec<PaperId> = legs.iter().flat_map(|leg| &leg.hits).map(|hit| hit.id.clone()).collect();
            expected.sort();
            expected.dedup();
            let ranking = fuse(legs);
            prop_assert!(ranking.is_sorted_by(|a, b| (-a.score, &a.id) < (-b.score, &b.id)));
            let mut found: Vec<PaperId> = ranking.into_iter().map(|fused| fused.id).collect();
            found.sort();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn the_order_of_hits_does_not_matter(legs in any_legs()) {
            let mut turned = legs.clone();
            for leg in &mut turned {
                leg.hits.reverse();
            }
            prop_assert_eq!(fuse(legs), fuse(turned));
        }

        #[test]
        fn the_unit_of_a_leg_does_not_matter(hits in any_hits(), factor in 0.01..100.0) {
            let leg = |factor: f64| Leg {
                name: "leg",
                weight: 1.0,
                hits: hits.iter().map(|hit| Hit { score: hit.score * factor, ..hit.clone() }).collect(),
                unseen: 0.0,
            };
            let by_id = |mut ranking: Vec<FusedPaper>| {
                ranking.sort_by(|a, b| a.id.cmp(&b.id));
                ranking
            };
            for (one, other) in by_id(fuse(vec![leg(1.0)])).iter().zip(by_id(fuse(vec![leg(factor)]))) {
                prop_assert!((one.score - other.score).abs() < 1e-6);
            }
        }
    }
}
