//! Keeps the best of many papers: higher scores first, equal scores by id, also where the list is cut.

use domain::PaperId;
use domain::fusion::Hit;

use super::snapshot::{SegmentSnapshot, SlotAddress};

/// The best so far.
pub struct TopK<'a> {
    snapshot: &'a SegmentSnapshot,
    limit: usize,
    floor: f64,
    kept: Vec<(f64, SlotAddress)>,
}

impl<'a> TopK<'a> {
    /// Keeps at most `limit` papers.
    pub fn new(snapshot: &'a SegmentSnapshot, limit: usize) -> Self {
        Self {
            snapshot,
            limit,
            floor: f64::NEG_INFINITY,
            kept: Vec::new(),
        }
    }

    /// Papers with a lower score cannot be among the best any more.
    pub fn floor(&self) -> f64 {
        self.floor
    }

    /// Considers a paper.
    pub fn offer(&mut self, score: f64, address: SlotAddress) {
        if self.limit == 0 || score < self.floor {
            return;
        }
        self.kept.push((score, address));
        if self.kept.len() >= self.limit.saturating_mul(2).saturating_add(64) {
            self.cut();
        }
    }

    /// Ids of the best, in order.
    pub fn ids(self) -> Vec<PaperId> {
        self.hits().into_iter().map(|hit| hit.id).collect()
    }

    /// The best, in order.
    pub fn hits(mut self) -> Vec<Hit> {
        self.cut();
        let snapshot = self.snapshot;
        self.kept.sort_unstable_by(|a, b| order(snapshot, a, b));
        let hit = |(score, address): (f64, SlotAddress)| {
            // What was stored was an id.
            let id = PaperId::parse(snapshot.id(address)).ok()?;
            Some(Hit { id, score })
        };
        self.kept.into_iter().filter_map(hit).collect()
    }

    fn cut(&mut self) {
        if self.kept.len() <= self.limit || self.limit == 0 {
            return;
        }
        let snapshot = self.snapshot;
        let (_, last, _) = self
            .kept
            .select_nth_unstable_by(self.limit - 1, |a, b| order(snapshot, a, b));
        self.floor = last.0;
        self.kept.truncate(self.limit);
    }
}

fn order(snapshot: &SegmentSnapshot, a: &(f64, SlotAddress), b: &(f64, SlotAddress)) -> std::cmp::Ordering {
    b.0.total_cmp(&a.0).then_with(|| snapshot.id(a.1).cmp(snapshot.id(b.1)))
}
