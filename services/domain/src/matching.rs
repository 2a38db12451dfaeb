//! Which papers of a window a subscriber should see: the best dot product of any interest with each paper.
//!
//! Exact. It never compares vectors of different encoders; callers pass vectors of one encoder. It knows no subscriber.

use std::collections::HashSet;

use crate::vectors::dot;
use crate::{DenseVector, PaperId};

/// One paper of the window.
#[derive(Debug, Clone)]
pub struct Candidate<'a> {
    /// Its id.
    pub id: &'a PaperId,
    /// Its dense vector.
    pub dense: &'a DenseVector,
    /// When it became searchable, in milliseconds since the epoch; breaks ties, newest first.
    pub indexed_ms: i64,
}

/// One paper chosen for a subscriber.
#[derive(Debug, Clone, PartialEq)]
pub struct Match {
    /// The paper's place in the window.
    pub candidate: usize,
    /// Cosine with the interest that fits best; 0 without interests.
    pub score: f32,
    /// That interest's place in the list; `None` without interests.
    pub interest: Option<usize>,
}

/// The best papers for a subscriber, best first, without those seen before. Without interests the newest ones.
pub fn best_papers(
    window: &[Candidate<'_>],
    interests: &[DenseVector],
    seen: &HashSet<PaperId>,
    limit: usize,
) -> Vec<Match> {
    let mut matches: Vec<Match> = window
        .iter()
        .enumerate()
        .filter(|(_, candidate)| !seen.contains(candidate.id))
        .map(|(index, candidate)| best_interest(index, candidate, interests))
        .collect();
    matches.sort_by(|a, b| {
        let (left, right) = (&window[a.candidate], &window[b.candidate]);
        b.score
            .total_cmp(&a.score)
            .then(right.indexed_ms.cmp(&left.indexed_ms))
            .then_with(|| left.id.cmp(right.id))
    });
    matches.truncate(limit);
    matches
}

fn best_interest(candidate: usize, paper: &Candidate<'_>, interests: &[DenseVector]) -> Match {
    let mut best = Match {
        candidate,
        score: 0.0,
        interest: None,
    };
    for (index, interest) in interests.iter().enumerate() {
        let score = dot(interest.as_slice(), paper.dense.as_slice());
        if best.interest.is_none() || score > best.score {
            best = Match {
                candidate,
                score,
                interest: Some(index),
            };
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(values: [f32; 2]) -> DenseVector {
        DenseVector::new(values.to_vec()).expect("a vector")
    }

    #[test]
    fn interests_decide_and_seen_papers_stay_out() {
        let ids: Vec<PaperId> = ["x:a", "x:b", "x:c"]
            .map(|id| PaperId::parse(id).expect("an id"))
            .into();
        let vectors = [vector([1.0, 0.0]), vector([0.0, 1.0]), vector([0.6, 0.8])];
        let window: Vec<Candidate<'_>> = (0..3)
            .map(|i| Candidate {
                id: &ids[i],
                dense: &vectors[i],
                indexed_ms: i64::try_from(i).expect("small"),
            })
            .collect();
        let order = |interests: &[DenseVector], seen: &HashSet<PaperId>| -> Vec<usize> {
            best_papers(&window, interests, seen, 10)
                .iter()
                .map(|m| m.candidate)
                .collect()
        };
        assert_eq!(order(&[vector([0.0, 1.0])], &HashSet::new()), [1, 2, 0]);
        assert_eq!(order(&[], &HashSet::new()), [2, 1, 0], "newest first without interests");
        assert_eq!(order(&[vector([0.0, 1.0])], &HashSet::from([ids[1].clone()])), [2, 0]);
        let both = best_papers(&window, &[vector([1.0, 0.0]), vector([0.0, 1.0])], &HashSet::new(), 2);
        assert_eq!(both.iter().map(|m| m.interest).collect::<Vec<_>>(), [Some(1), Some(0)]);
    }
}
