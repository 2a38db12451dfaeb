//! What papers of a segment have in common: for each value (a category, an author's key, …) the papers that have it.
//!
//! Immutable and compact: all texts are in one string, all slots in one list. It cannot list the values of a paper.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::bits::Bits;

/// Texts one behind the other.
#[derive(Debug, Default)]
pub struct TextColumn {
    bytes: String,
    ends: Vec<u32>,
}

/// Slots by value, values ascending.
#[derive(Debug, Default)]
pub struct ValueIndex {
    texts: TextColumn,
    ends: Vec<u32>,
    slots: Vec<u16>,
}

impl TextColumn {
    /// Appends a text.
    pub fn push(&mut self, text: &str) {
        self.bytes.push_str(text);
        self.ends.push(number(self.bytes.len()));
    }

    /// The text at a place.
    pub fn get(&self, at: usize) -> &str {
        let begin = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[begin as usize..self.ends[at] as usize]
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Where a text is, when the texts ascend.
    pub fn find(&self, text: &str) -> Option<usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = usize::midpoint(low, high);
            match self.get(middle).cmp(text) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Some(middle),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// Frees memory that was reserved for more texts.
    pub fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
        self.ends.shrink_to_fit();
    }
}

impl ValueIndex {
    /// Inverts what papers have, given by ascending slot; a value that a paper has twice counts once.
    pub fn invert<'a>(held: impl Iterator<Item = (&'a str, u16)>) -> Self {
        let mut numbers: HashMap<&str, u32, RandomState> = HashMap::default();
        let mut pairs: Vec<(u32, u16)> = Vec::new();
        for (value, slot) in held {
            let next = number(numbers.len());
            pairs.push((*numbers.entry(value).or_insert(next), slot));
        }
        let mut sorted: Vec<(&str, u32)> = numbers.into_iter().collect();
        sorted.sort_unstable();
        let mut rank = vec![0; sorted.len()];
        let mut texts = TextColumn::default();
        for (place, (value, number)) in sorted.iter().enumerate() {
            rank[*number as usize] = place;
            texts.push(value);
        }
        texts.shrink();
        let (ends, slots) = group(
            sorted.len(),
            pairs.iter().map(|(number, slot)| (rank[*number as usize], *slot)),
        );
        Self { texts, ends, slots }
    }

    /// Merges the values of several segments; `renumber` says the new slot of a paper, `None` where it is not live.
    pub fn merge(segments: &[&Self], renumber: &[Vec<Option<u16>>]) -> Self {
        let mut all: Vec<(&str, usize, usize)> = Vec::new();
        for (segment, values) in segments.iter().enumerate() {
            all.extend((0..values.len()).map(|at| (values.text(at), segment, at)));
        }
        all.sort_unstable();
        let mut merged = Self::default();
        for same in all.chunk_by(|a, b| a.0 == b.0) {
            let begin = merged.slots.len();
            for (_, segment, at) in same {
                let moved = segments[*segment].slots(*at).iter();
                merged
                    .slots
                    .extend(moved.filter_map(|slot| renumber[*segment][usize::from(*slot)]));
            }
            if merged.slots.len() > begin {
                merged.slots[begin..].sort_unstable();
                merged.texts.push(same[0].0);
                merged.ends.push(number(merged.slots.len()));
            }
        }
        merged.texts.shrink();
        merged.ends.shrink_to_fit();
        merged.slots.shrink_to_fit();
        merged
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// A value.
    pub fn text(&self, at: usize) -> &str {
        self.texts.get(at)
    }

    /// The papers that have a value, ascending.
    pub fn slots(&self, at: usize) -> &[u16] {
        let begin = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.slots[begin as usize..self.ends[at] as usize]
    }

    /// The papers among as many that have at least one of some values.
    pub fn any_of(&self, wanted: &[String], among: usize) -> Bits {
        let mut bits = Bits::none(among);
        for at in wanted.iter().filter_map(|value| self.texts.find(value)) {
            for slot in self.slots(at) {
                bits.insert(usize::from(*slot));
            }
        }
        bits
    }

    /// Each value with how many papers of a set have it; values of none are left out.
    pub fn counts<'a>(&'a self, among: &'a Bits) -> impl Iterator<Item = (&'a str, u64)> {
        (0..self.len()).filter_map(|at| {
            let papers = self.slots(at).iter().filter(|slot| among.contains(usize::from(**slot)));
            let papers = papers.count() as u64;
            (papers > 0).then(|| (self.text(at), papers))
        })
    }
}

/// Slots grouped by the place of their value, in the order they came and each once: where each group ends, and the slots.
fn group(places: usize, pairs: impl Iterator<Item = (usize, u16)> + Clone) -> (Vec<u32>, Vec<u16>) {
    let mut last: Vec<Option<u16>> = vec![None; places];
    let mut ends = vec![0_u32; places];
    for (place, slot) in pairs.clone() {
        ends[place] += u32::from(last[place].replace(slot) != Some(slot));
    }
    let mut total = 0;
    for end in &mut ends {
        total += std::mem::replace(end, total);
    }
    // Now each is where its group begins; filling moves it to the end.
    let mut slots = vec![0; total as usize];
    last.fill(None);
    for (place, slot) in pairs {
        if last[place].replace(slot) != Some(slot) {
            slots[ends[place] as usize] = slot;
            ends[place] += 1;
        }
    }
    (ends, slots)
}

/// Counts within a segment are far below this limit.
pub fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
