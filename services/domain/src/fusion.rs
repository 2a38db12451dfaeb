//! Fuses the legs of a hybrid search into one ranking that is the same at every call, and says what each leg gave.
//!
//! Reciprocal rank fusion (Cormack, Clarke, Buettcher, SIGIR 2009): a paper at rank r of a leg gets weight / (k + r).
//! The store's own fusion is not used because it breaks ties at random. Nothing here knows a store.

use std::collections::HashMap;

use crate::PaperId;

/// Smoothing constant of reciprocal rank fusion, the value of the paper.
pub const K: f64 = 60.0;

/// One leg of a search: what it is called, what it weighs, what it found.
#[derive(Debug, Clone)]
pub struct Leg {
    /// Name, such as `dense`.
    pub name: &'static str,
    /// Factor on what it adds.
    pub weight: f64,
    /// Papers with the leg's own scores, in any order.
    pub hits: Vec<Hit>,
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
pub struct Fused {
    /// The paper.
    pub id: PaperId,
    /// Sum of its parts.
    pub score: f64,
    /// What each leg gave.
    pub parts: Vec<Part>,
}

/// What one leg gave to one paper.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// The leg.
    pub leg: &'static str,
    /// What it adds to the score.
    pub value: f64,
    /// Rank in the leg, from 1. Equal scores share the rank of the first of them.
    pub rank: u32,
    /// The leg's own score.
    pub raw: f64,
}

/// The fused ranking, best first; equal scores by paper id.
pub fn fuse(legs: Vec<Leg>) -> Vec<Fused> {
    let mut by_id: HashMap<PaperId, Fused> = HashMap::new();
    for mut leg in legs {
        leg.hits
            .sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.id.cmp(&b.id)));
        let mut rank = 0;
        let mut last = f64::INFINITY;
        for (position, hit) in (1_u32..).zip(leg.hits) {
            if hit.score < last {
                rank = position;
                last = hit.score;
            }
            let value = leg.weight / (K + f64::from(rank.max(1)));
            let fused = by_id.entry(hit.id.clone()).or_insert_with(|| Fused {
                id: hit.id,
                score: 0.0,
                parts: Vec::new(),
            });
            fused.score += value;
            fused.parts.push(Part {
                leg: leg.name,
                value,
                rank: rank.max(1),
                raw: hit.score,
            });
        }
    }
    let mut ranking: Vec<Fused> = by_id.into_values().collect();
    ranking.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.id.cmp(&b.id)));
    ranking
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hits(list: &[(&str, f64)]) -> Vec<Hit> {
        list.iter()
            .map(|(id, score)| Hit {
                id: PaperId::parse(id).expect("an id"),
                score: *score,
            })
            .collect()
    }

    fn ids(ranking: &[Fused]) -> Vec<&str> {
        ranking.iter().map(|f| f.id.as_str()).collect()
    }

    #[test]
    fn a_paper_both_legs_like_wins() {
        let dense = Leg {
            name: "dense",
            weight: 1.0,
            hits: hits(&[("x:a", 0.9), ("x:b", 0.8)]),
        };
        let sparse = Leg {
            name: "sparse",
            weight: 1.0,
            hits: hits(&[("x:b", 7.0), ("x:c", 6.0)]),
        };
        let ranking = fuse(vec![dense, sparse]);
        assert_eq!(ids(&ranking), ["x:b", "x:a", "x:c"]);
        for fused in ranking {
            let sum: f64 = fused.parts.iter().map(|part| part.value).sum();
            assert!((sum - fused.score).abs() < 1e-12);
        }
    }

    #[test]
    fn equal_scores_rank_equally_and_order_by_id() {
        let leg = |list| {
            vec![Leg {
                name: "dense",
                weight: 1.0,
                hits: hits(list),
            }]
        };
        let forwards = fuse(leg(&[("x:a", 0.5), ("x:b", 0.5), ("x:c", 0.4)]));
        let backwards = fuse(leg(&[("x:c", 0.4), ("x:b", 0.5), ("x:a", 0.5)]));
        assert_eq!(forwards, backwards);
        assert_eq!(ids(&forwards), ["x:a", "x:b", "x:c"]);
        assert_eq!(forwards.iter().map(|f| f.parts[0].rank).collect::<Vec<_>>(), [1, 1, 3]);
    }

    #[test]
    fn weights_multiply() {
        let legs = vec![
            Leg {
                name: "dense",
                weight: 0.5,
                hits: hits(&[("x:a", 1.0)]),
            },
            Leg {
                name: "sparse",
                weight: 1.0,
                hits: hits(&[("x:b", 1.0)]),
            },
        ];
        assert_eq!(ids(&fuse(legs)), ["x:b", "x:a"]);
    }
}
