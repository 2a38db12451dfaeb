//! What readers see: all segments, and which of their papers are live, that is neither replaced nor withdrawn.
//!
//! A snapshot never changes. A write seals its papers into a small segment, removes their older revisions from the sets of
//! live papers, and makes a new snapshot that shares everything else; readers keep the one they began with. Small segments
//! of similar size are merged eight at a time, and those that are mostly dead are compacted, so that there are few of them
//! and a paper is moved only a few times. No segment exceeds [`CAPACITY`], so that no write takes long.

use std::sync::Arc;

use domain::PaperId;

use super::bits::Bits;
use super::segment::{CAPACITY, Segment};

/// Segments of similar size that are merged.
const FAN_IN: usize = 8;

/// A segment, and which of its papers are live.
#[derive(Debug, Clone)]
pub struct LiveSegment {
    /// The papers.
    pub segment: Arc<Segment>,
    /// Those neither replaced nor withdrawn since.
    pub live: Arc<Bits>,
    papers: usize,
}

/// All segments at one moment.
#[derive(Debug, Clone, Default)]
pub struct SegmentSnapshot {
    /// In no particular order.
    pub segments: Vec<LiveSegment>,
}

/// Where a paper is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotAddress {
    /// The number of its segment in the snapshot.
    pub segment: usize,
    /// Its slot in the segment.
    pub slot: usize,
}

impl LiveSegment {
    fn new(segment: Segment) -> Self {
        Self {
            live: Arc::new(Bits::all(segment.len())),
            papers: segment.len(),
            segment: Arc::new(segment),
        }
    }

    fn remove(&mut self, slot: usize) {
        if Arc::make_mut(&mut self.live).remove(slot) {
            self.papers -= 1;
        }
    }

    /// Segments of one level are of similar size, within a factor of eight.
    fn level(&self) -> u32 {
        self.papers.max(1).ilog2() / 3
    }

    fn is_mostly_dead(&self) -> bool {
        self.papers * 2 < self.segment.len()
    }
}

impl SegmentSnapshot {
    /// Over segments whose papers are all live.
    pub fn of(segments: Vec<Segment>) -> Self {
        let mut it = Self {
            segments: segments.into_iter().map(LiveSegment::new).collect(),
        };
        it.tidy();
        it
    }

    /// The same snapshot without some papers and with new ones.
    pub fn changed<'a>(&self, gone: impl Iterator<Item = &'a PaperId>, new: Vec<Segment>) -> Self {
        let mut it = self.clone();
        for id in gone {
            if let Some(address) = self.find(id) {
                it.segments[address.segment].remove(address.slot);
            }
        }
        it.segments.extend(new.into_iter().map(LiveSegment::new));
        it.tidy();
        it
    }

    /// Where a live paper is.
    pub fn find(&self, id: &PaperId) -> Option<SlotAddress> {
        self.segments.iter().enumerate().find_map(|(segment, one)| {
            let slot = one.segment.ids.find(id.as_str())?;
            one.live.contains(slot).then_some(SlotAddress { segment, slot })
        })
    }

    /// The id of a paper.
    pub fn id(&self, address: SlotAddress) -> &str {
        self.segments[address.segment].segment.ids.get(address.slot)
    }

    /// How many papers are live.
    pub fn papers(&self) -> usize {
        self.segments.iter().map(|one| one.papers).sum()
    }

    /// How many live papers have any term.
    pub fn with_terms(&self) -> usize {
        let counts = self
            .segments
            .iter()
            .map(|one| one.live.count_both(&one.segment.has_terms));
        counts.sum()
    }

    /// How many live papers have a term.
    pub fn holding(&self, term: u32) -> usize {
        let counts = self.segments.iter().map(|one| {
            let slots = one.segment.terms.postings(term).slots;
            if one.papers == one.segment.len() {
                return slots.len();
            }
            slots
                .iter()
                .filter(|slot| one.live.contains(usize::from(**slot)))
                .count()
        });
        counts.sum()
    }

    /// Merges until nothing is to be merged.
    fn tidy(&mut self) {
        self.segments.retain(|one| one.papers > 0);
        while let Some(chosen) = self.to_merge() {
            let held: Vec<(&Segment, &Bits)> = chosen
                .iter()
                .map(|at| (&*self.segments[*at].segment, &*self.segments[*at].live))
                .collect();
            let merged = LiveSegment::new(Segment::merge(&held));
            for at in chosen.into_iter().rev() {
                self.segments.remove(at);
            }
            self.segments.push(merged);
        }
    }

    /// The numbers of segments to merge, ascending; together they fit into one.
    fn to_merge(&self) -> Option<Vec<usize>> {
        if let Some(dead) = self.segments.iter().position(LiveSegment::is_mostly_dead) {
            return Some(vec![dead]);
        }
        let mut levels: [Vec<usize>; 8] = Default::default();
        for (at, one) in self.segments.iter().enumerate() {
            if one.papers < CAPACITY / 2 {
                levels[one.level() as usize].push(at);
            }
        }
        let many = levels.into_iter().find(|level| level.len() >= FAN_IN)?;
        let mut papers = 0;
        let fitting = many.into_iter().take_while(|at| {
            papers += self.segments[*at].papers;
            papers <= CAPACITY
        });
        Some(fitting.collect())
    }
}
