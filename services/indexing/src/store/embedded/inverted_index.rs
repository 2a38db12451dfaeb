//! The inverted lists of a segment: for each term the papers that have it, with their weights.
//!
//! It knows no inverse document frequency: that depends on all segments together.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::value_index::number;

/// Slots and weights by term, terms ascending.
#[derive(Debug, Default)]
pub struct InvertedIndex {
    ids: Vec<u32>,
    ends: Vec<u32>,
    slots: Vec<u16>,
    weights: Vec<f32>,
}

/// The papers that have a term.
#[derive(Debug, Clone, Copy, Default)]
pub struct Postings<'a> {
    /// Slots, ascending.
    pub slots: &'a [u16],
    /// A weight for each.
    pub weights: &'a [f32],
}

/// Hashes a term id by little more than itself, because term ids are parts of a hash already.
#[derive(Default)]
struct IdentityHasher(u64);

impl Hasher for IdentityHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 << 8) | u64::from(*byte);
        }
    }

    fn write_u32(&mut self, term: u32) {
        // The map uses the highest bits, too.
        self.0 = u64::from(term).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

impl InvertedIndex {
    /// Inverts the terms of papers, given by ascending slot, each term of a paper once.
    pub fn invert(held: impl Iterator<Item = (u32, u16, f32)> + Clone) -> Self {
        let mut places: HashMap<u32, u32, BuildHasherDefault<IdentityHasher>> = HashMap::default();
        for (term, _, _) in held.clone() {
            *places.entry(term).or_default() += 1;
        }
        let mut ids: Vec<u32> = places.keys().copied().collect();
        ids.sort_unstable();
        let mut total = 0;
        for term in &ids {
            let place = places.entry(*term).or_default();
            total += std::mem::replace(place, total);
        }
        let (mut slots, mut weights) = (vec![0; total as usize], vec![0.0; total as usize]);
        for (term, slot, weight) in held {
            let place = places.entry(term).or_default();
            slots[*place as usize] = slot;
            weights[*place as usize] = weight;
            *place += 1;
        }
        // Filling has moved each place to the end of its term.
        let ends = ids.iter().map(|term| places[term]).collect();
        Self {
            ids,
            ends,
            slots,
            weights,
        }
    }

    /// Merges the terms of several segments; `renumber` says the new slot of a paper, `None` where it is not live.
    pub fn merge(segments: &[&Self], renumber: &[Vec<Option<u16>>]) -> Self {
        let mut all: Vec<(u32, usize, usize)> = Vec::new();
        for (segment, one) in segments.iter().enumerate() {
            all.extend(one.ids.iter().enumerate().map(|(at, term)| (*term, segment, at)));
        }
        all.sort_unstable();
        let mut merged = Self::default();
        let mut moved: Vec<(u16, f32)> = Vec::new();
        for same in all.chunk_by(|a, b| a.0 == b.0) {
            moved.clear();
            for (_, segment, at) in same {
                let postings = segments[*segment].at(*at);
                for (slot, weight) in postings.slots.iter().zip(postings.weights) {
                    moved.extend(renumber[*segment][usize::from(*slot)].map(|slot| (slot, *weight)));
                }
            }
            if moved.is_empty() {
                continue;
            }
            moved.sort_unstable_by_key(|(slot, _)| *slot);
            merged.ids.push(same[0].0);
            merged.slots.extend(moved.iter().map(|(slot, _)| *slot));
            merged.weights.extend(moved.iter().map(|(_, weight)| *weight));
            merged.ends.push(number(merged.slots.len()));
        }
        merged.ids.shrink_to_fit();
        merged.ends.shrink_to_fit();
        merged.slots.shrink_to_fit();
        merged.weights.shrink_to_fit();
        merged
    }

    /// The papers that have a term.
    pub fn postings(&self, term: u32) -> Postings<'_> {
        let found = self.ids.binary_search(&term);
        found.map(|at| self.at(at)).unwrap_or_default()
    }

    fn at(&self, at: usize) -> Postings<'_> {
        let begin = at.checked_sub(1).map_or(0, |before| self.ends[before]) as usize;
        let end = self.ends[at] as usize;
        Postings {
            slots: &self.slots[begin..end],
            weights: &self.weights[begin..end],
        }
    }
}
