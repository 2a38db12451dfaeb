//! A set of papers of one segment: one bit for each slot.
//!
//! Bits behind the last slot are never set.

/// Slots in a word of bits, which is also how many papers are scored at a time.
pub const WORD: usize = 64;

/// A set of slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bits(Vec<u64>);

impl Bits {
    /// The empty set, with room for so many slots.
    pub fn none(slots: usize) -> Self {
        Self(vec![0; slots.div_ceil(WORD)])
    }

    /// Every one of so many slots.
    pub fn all(slots: usize) -> Self {
        let mut words = vec![u64::MAX; slots.div_ceil(WORD)];
        let rest = slots % WORD;
        if let (Some(last), 1..) = (words.last_mut(), rest) {
            *last = (1 << rest) - 1;
        }
        Self(words)
    }

    /// Those of so many slots for which a predicate holds.
    pub fn where_true(slots: usize, holds: impl Fn(usize) -> bool) -> Self {
        let mut bits = Self::none(slots);
        for slot in 0..slots {
            bits.0[slot / WORD] |= u64::from(holds(slot)) << (slot % WORD);
        }
        bits
    }

    /// Adds a slot.
    pub fn insert(&mut self, slot: usize) {
        self.0[slot / WORD] |= 1 << (slot % WORD);
    }

    /// Removes a slot; returns whether it was there.
    pub fn remove(&mut self, slot: usize) -> bool {
        let there = self.contains(slot);
        self.0[slot / WORD] &= !(1 << (slot % WORD));
        there
    }

    /// Whether a slot is in the set.
    pub fn contains(&self, slot: usize) -> bool {
        self.0[slot / WORD] >> (slot % WORD) & 1 == 1
    }

    /// Keeps only what is in the other set too.
    pub fn keep(&mut self, other: &Self) {
        for (word, other) in self.0.iter_mut().zip(&other.0) {
            *word &= other;
        }
    }

    /// Removes what is in the other set.
    pub fn drop_all(&mut self, other: &Self) {
        for (word, other) in self.0.iter_mut().zip(&other.0) {
            *word &= !other;
        }
    }

    /// How many slots are in the set.
    pub fn count(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// How many slots are in both sets.
    pub fn count_both(&self, other: &Self) -> usize {
        let both = self.0.iter().zip(&other.0).map(|(a, b)| (a & b).count_ones() as usize);
        both.sum()
    }

    /// The words, each of [`WORD`] slots.
    pub fn words(&self) -> &[u64] {
        &self.0
    }

    /// The slots, ascending.
    pub fn slots(&self) -> impl Iterator<Item = usize> + '_ {
        let words = self.0.iter().enumerate();
        words.flat_map(|(at, word)| ones(*word).map(move |bit| at * WORD + bit))
    }
}

/// The places of the ones in a word, ascending.
pub fn ones(mut word: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = word.trailing_zeros() as usize;
        word &= word.wrapping_sub(1);
        (bit < WORD).then_some(bit)
    })
}
