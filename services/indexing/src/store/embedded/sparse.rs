//! By words: exact BM25 over the inverted lists, term by term and segment by segment.
//!
//! Numbers of papers count all that can be found, whatever the filter. Sums are in double precision and in the order of
//! the terms, so that equal requests give equal scores.

use std::cell::RefCell;

use domain::SparseVector;
use domain::fusion::Hit;

use super::best::Best;
use super::bits::Bits;
use super::snapshot::{Place, Snapshot};

thread_local! {
    /// A cell for each slot of a segment, zeros between two uses.
    static SUMS: RefCell<Vec<f64>> = const { RefCell::new(Vec::new()) };
}

/// The best papers among those that pass.
pub fn search(snapshot: &Snapshot, passing: &[Bits], asked: &SparseVector, limit: usize) -> Vec<Hit> {
    let terms = weighted(snapshot, asked);
    let mut best = Best::new(snapshot, limit);
    if terms.is_empty() || limit == 0 {
        return Vec::new();
    }
    SUMS.with_borrow_mut(|sums| {
        for (part, passing) in passing.iter().enumerate() {
            search_part(snapshot, part, passing, &terms, sums, &mut best);
        }
    });
    best.hits()
}

/// Terms that papers have, with what one unit of a paper's weight adds.
fn weighted(snapshot: &Snapshot, asked: &SparseVector) -> Vec<(u32, f64)> {
    let papers = snapshot.with_terms() as f64;
    let mut terms = Vec::with_capacity(asked.indices().len());
    for (term, weight) in asked.iter() {
        let holding = snapshot.holding(term) as f64;
        if holding > 0.0 {
            let rarity = ((papers - holding + 0.5) / (holding + 0.5)).ln_1p();
            terms.push((term, f64::from(weight) * rarity));
        }
    }
    terms
}

fn search_part(
    snapshot: &Snapshot,
    part: usize,
    passing: &Bits,
    terms: &[(u32, f64)],
    sums: &mut Vec<f64>,
    best: &mut Best<'_>,
) {
    let segment = &*snapshot.parts[part].segment;
    if sums.len() < segment.len() {
        sums.resize(segment.len(), 0.0);
    }
    let mut touched = false;
    for (term, factor) in terms {
        let postings = segment.terms.postings(*term);
        touched |= !postings.slots.is_empty();
        for (slot, weight) in postings.slots.iter().zip(postings.weights) {
            sums[usize::from(*slot)] += factor * f64::from(*weight);
        }
    }
    if !touched {
        return;
    }
    for (slot, sum) in sums[..segment.len()].iter_mut().enumerate() {
        let score = std::mem::take(sum);
        if score > 0.0 && score >= best.floor() && passing.contains(slot) {
            best.offer(score, Place { part, slot });
        }
    }
}
