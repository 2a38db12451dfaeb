//! What readers see: all segments, and which of their papers still hold.
//!
//! A snapshot never changes. A write seals what it brings into a small segment, takes the older selves of its papers out of
//! the sets of those that hold, and makes a new snapshot that shares everything else; readers keep the one they began
//! with. Small segments of like size are merged eight at a time and those that are mostly dead are written anew, so that
//! there are few of them and a paper is moved only a few times. Both end at [`CAPACITY`], so that no write takes long.

use std::sync::Arc;

use domain::PaperId;

use super::bits::Bits;
use super::segment::{CAPACITY, Segment};

/// Segments of like size that are merged.
const FAN_IN: usize = 8;

/// A segment, and which of its papers still hold.
#[derive(Debug, Clone)]
pub struct Part {
    /// The papers.
    pub segment: Arc<Segment>,
    /// Those neither replaced nor withdrawn since.
    pub live: Arc<Bits>,
    papers: usize,
}

/// All segments at one moment.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// In no order that means anything.
    pub parts: Vec<Part>,
}

/// Where a paper is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Which part.
    pub part: usize,
    /// Which slot of its segment.
    pub slot: usize,
}

impl Part {
    fn new(segment: Segment) -> Self {
        Self {
            live: Arc::new(Bits::all(segment.len())),
            papers: segment.len(),
            segment: Arc::new(segment),
        }
    }

    fn take_out(&mut self, slot: usize) {
        if Arc::make_mut(&mut self.live).remove(slot) {
            self.papers -= 1;
        }
    }

    /// Parts of a level are of like size, within a factor of eight.
    fn level(&self) -> u32 {
        self.papers.max(1).ilog2() / 3
    }

    fn is_mostly_dead(&self) -> bool {
        self.papers * 2 < self.segment.len()
    }
}

impl Snapshot {
    /// Of segments whose papers all hold.
    pub fn of(segments: Vec<Segment>) -> Self {
        let mut it = Self {
            parts: segments.into_iter().map(Part::new).collect(),
        };
        it.tidy();
        it
    }

    /// The same without some papers and with new ones.
    pub fn changed<'a>(&self, gone: impl Iterator<Item = &'a PaperId>, new: Vec<Segment>) -> Self {
        let mut it = self.clone();
        for id in gone {
            if let Some(place) = self.find(id) {
                it.parts[place.part].take_out(place.slot);
            }
        }
        it.parts.extend(new.into_iter().map(Part::new));
        it.tidy();
        it
    }

    /// Where a paper is that can be found.
    pub fn find(&self, id: &PaperId) -> Option<Place> {
        self.parts.iter().enumerate().find_map(|(part, one)| {
            let slot = one.segment.ids.find(id.as_str())?;
            one.live.contains(slot).then_some(Place { part, slot })
        })
    }

    /// The id of a paper.
    pub fn id(&self, place: Place) -> &str {
        self.parts[place.part].segment.ids.get(place.slot)
    }

    /// Papers that can be found.
    pub fn papers(&self) -> usize {
        self.parts.iter().map(|part| part.papers).sum()
    }

    /// Papers that have any term.
    pub fn with_terms(&self) -> usize {
        let counts = self
            .parts
            .iter()
            .map(|part| part.live.count_both(&part.segment.has_terms));
        counts.sum()
    }

    /// Papers that have a term.
    pub fn holding(&self, term: u32) -> usize {
        let counts = self.parts.iter().map(|part| {
            let slots = part.segment.terms.postings(term).slots;
            if part.papers == part.segment.len() {
                return slots.len();
            }
            slots
                .iter()
                .filter(|slot| part.live.contains(usize::from(**slot)))
                .count()
        });
        counts.sum()
    }

    /// Merges until nothing is to be merged.
    fn tidy(&mut self) {
        self.parts.retain(|part| part.papers > 0);
        while let Some(chosen) = self.to_merge() {
            let held: Vec<(&Segment, &Bits)> = chosen
                .iter()
                .map(|at| (&*self.parts[*at].segment, &*self.parts[*at].live))
                .collect();
            let merged = Part::new(Segment::merge(&held));
            for at in chosen.into_iter().rev() {
                self.parts.remove(at);
            }
            self.parts.push(merged);
        }
    }

    /// Parts to make one of, ascending; together they fit.
    fn to_merge(&self) -> Option<Vec<usize>> {
        if let Some(dead) = self.parts.iter().position(Part::is_mostly_dead) {
            return Some(vec![dead]);
        }
        let mut levels: [Vec<usize>; 8] = Default::default();
        for (at, part) in self.parts.iter().enumerate() {
            if part.papers < CAPACITY / 2 {
                levels[part.level() as usize].push(at);
            }
        }
        let many = levels.into_iter().find(|level| level.len() >= FAN_IN)?;
        let mut papers = 0;
        let fitting = many.into_iter().take_while(|at| {
            papers += self.parts[*at].papers;
            papers <= CAPACITY
        });
        Some(fitting.collect())
    }
}
