//! The sparse leg: exact BM25 over the inverted lists, term by term and segment by segment.
//!
//! Document frequencies count all live papers, whatever the filter. Sums are in double precision and in the order of
//! the terms, so that equal requests give equal scores.

use std::cell::RefCell;

use domain::fusion::Hit;
use domain::{SparseVector, bm25};

use super::bits::Bits;
use super::snapshot::{SegmentSnapshot, SlotAddress};
use super::top_k::TopK;

thread_local! {
    /// A cell for each slot of a segment, zeros between two uses.
    static SUMS: RefCell<Vec<f64>> = const { RefCell::new(Vec::new()) };
}

/// The best papers among those that pass.
pub fn search(snapshot: &SegmentSnapshot, passing: &[Bits], query: &SparseVector, limit: usize) -> Vec<Hit> {
    let terms = weighted(snapshot, query);
    let mut best = TopK::new(snapshot, limit);
    if terms.is_empty() || limit == 0 {
        return Vec::new();
    }
    SUMS.with_borrow_mut(|sums| {
        for (segment, passing) in passing.iter().enumerate() {
            search_segment(snapshot, segment, passing, &terms, sums, &mut best);
        }
    });
    best.hits()
}

/// The terms of the query that papers have, with what one unit of a paper's weight adds.
fn weighted(snapshot: &SegmentSnapshot, query: &SparseVector) -> Vec<(u32, f64)> {
    let papers = snapshot.with_terms() as u64;
    let mut terms = Vec::with_capacity(query.indices().len());
    for (term, weight) in query.iter() {
        let holding = snapshot.holding(term) as u64;
        if holding > 0 {
            terms.push((term, f64::from(weight) * bm25::rarity(papers, holding)));
        }
    }
    terms
}

fn search_segment(
    snapshot: &SegmentSnapshot,
    number: usize,
    passing: &Bits,
    terms: &[(u32, f64)],
    sums: &mut Vec<f64>,
    best: &mut TopK<'_>,
) {
    let segment = &*snapshot.segments[number].segment;
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
            best.offer(score, SlotAddress { segment: number, slot });
        }
    }
}
