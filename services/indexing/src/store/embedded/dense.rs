//! The dense leg: the exact cosine with every paper that passes, in two steps.
//!
//! The first step scans the codes, which take a quarter of the memory, and keeps every paper whose score may be among the
//! best according to the bound on the error; the second computes those scores in double precision. All requests that wait
//! at the same moment share one scan, which is divided among the cores.

use std::sync::{Arc, Mutex, PoisonError};

use domain::fusion::Hit;
use rayon::prelude::*;

use super::bits::{Bits, WORD, ones};
use super::kernel::DotKernel;
use super::snapshot::{SegmentSnapshot, SlotAddress};
use super::top_k::TopK;
use super::vectors::QueryVector;

/// Words of slots that one task scans: 2,048 papers.
const TASK_WORDS: usize = 32;
/// Where so few papers of a word pass, each is scored alone.
const FEW: u32 = 6;
/// Candidates that are kept before those that cannot be among the best any more are dropped.
const REMEMBERED: usize = 4_096;

/// Answers requests; those that wait at the same time share a scan.
pub struct DenseSearcher {
    kernel: DotKernel,
    waiting: Mutex<Vec<Arc<DenseRequest>>>,
    scanning: Mutex<()>,
}

/// A query vector under a filter.
pub struct DenseRequest {
    snapshot: Arc<SegmentSnapshot>,
    passing: Arc<Vec<Bits>>,
    vector: QueryVector,
    limit: usize,
    answer: Mutex<Option<Vec<Hit>>>,
}

/// A range of the papers of one segment, for one task.
#[derive(Clone, Copy)]
struct ScanRange {
    segment: usize,
    begin: usize,
    end: usize,
}

/// Papers that may be among the best.
#[derive(Debug, Default)]
struct Candidates {
    limit: usize,
    /// At least `limit` papers score this or more.
    floor: f32,
    at_least: Vec<f32>,
    found: Vec<(f32, SlotAddress)>,
    clear_at: usize,
}

impl DenseSearcher {
    /// With the fastest kernel.
    pub fn new() -> Self {
        let kernel = DotKernel::choose();
        tracing::debug!(kernel = kernel.name, "kernel for scans of dense vectors");
        Self {
            kernel,
            waiting: Mutex::default(),
            scanning: Mutex::default(),
        }
    }

    /// The best papers among those that pass.
    pub fn search(
        &self,
        snapshot: &Arc<SegmentSnapshot>,
        passing: &Arc<Vec<Bits>>,
        vector: QueryVector,
        limit: usize,
    ) -> Vec<Hit> {
        if limit == 0 {
            return Vec::new();
        }
        let request = Arc::new(DenseRequest {
            snapshot: Arc::clone(snapshot),
            passing: Arc::clone(passing),
            vector,
            limit,
            answer: Mutex::default(),
        });
        lock(&self.waiting).push(Arc::clone(&request));
        // The first one answers all requests that came until then; the others find their answer when they get the lock.
        let _turn = lock(&self.scanning);
        if let Some(answer) = lock(&request.answer).take() {
            return answer;
        }
        let mut requests = std::mem::take(&mut *lock(&self.waiting));
        if !requests.iter().any(|other| Arc::ptr_eq(other, &request)) {
            requests.push(Arc::clone(&request));
        }
        while let Some(first) = requests.first() {
            let snapshot = Arc::clone(&first.snapshot);
            let (together, rest): (Vec<_>, Vec<_>) = requests
                .into_iter()
                .partition(|request| Arc::ptr_eq(&request.snapshot, &snapshot));
            self.answer(&snapshot, &together);
            requests = rest;
        }
        lock(&request.answer).take().unwrap_or_default()
    }

    fn answer(&self, snapshot: &SegmentSnapshot, requests: &[Arc<DenseRequest>]) {
        let mut ranges = Vec::new();
        for (segment, one) in snapshot.segments.iter().enumerate() {
            let words = one.live.words().len();
            ranges.extend((0..words).step_by(TASK_WORDS).map(|begin| ScanRange {
                segment,
                begin,
                end: words.min(begin + TASK_WORDS),
            }));
        }
        let fresh = || {
            requests
                .iter()
                .map(|request| Candidates::new(request.limit))
                .collect::<Vec<_>>()
        };
        let scan = |mut candidates: Vec<Candidates>, range: &ScanRange| {
            self.scan(snapshot, *range, requests, &mut candidates);
            candidates
        };
        let candidates = if ranges.len() < 4 {
            ranges.iter().fold(fresh(), scan)
        } else {
            let halves = ranges.par_iter().with_min_len(4).fold(fresh, scan);
            halves.reduce(fresh, |mut left, right| {
                for (left, right) in left.iter_mut().zip(right) {
                    left.join(right);
                }
                left
            })
        };
        requests.par_iter().zip(candidates).for_each(|(request, candidates)| {
            let mut best = TopK::new(snapshot, request.limit);
            for address in candidates.addresses() {
                let vectors = &snapshot.segments[address.segment].segment.vectors;
                best.offer(vectors.cosine(address.slot, &request.vector), address);
            }
            *lock(&request.answer) = Some(best.hits());
        });
    }

    /// Scans a range for all requests, 64 papers at a time, so that their codes are read from memory once.
    fn scan(
        &self,
        snapshot: &SegmentSnapshot,
        range: ScanRange,
        requests: &[Arc<DenseRequest>],
        candidates: &mut [Candidates],
    ) {
        let vectors = &snapshot.segments[range.segment].segment.vectors;
        let mut dots = [0_i32; WORD];
        for word in range.begin..range.end {
            let meaning = vectors.has_meaning.words()[word];
            let begin = word * WORD;
            let end = vectors.sums.len().min(begin + WORD);
            for (request, candidates) in requests.iter().zip(candidates.iter_mut()) {
                let wanted = request.passing[range.segment].words()[word] & meaning;
                let query = &request.vector;
                let mut dots_of = |slots: std::ops::Range<usize>| {
                    let codes = &vectors.codes[slots.start * vectors.stride..slots.end * vectors.stride];
                    let out = &mut dots[slots.start - begin..slots.end - begin];
                    self.kernel.dots(&query.codes, codes, &vectors.sums[slots], out);
                };
                if wanted.count_ones() > FEW {
                    dots_of(begin..end);
                } else {
                    ones(wanted).for_each(|bit| dots_of(begin + bit..begin + bit + 1));
                }
                let (scales, errors) = (&vectors.scales[begin..end], &vectors.errors[begin..end]);
                for bit in ones(wanted) {
                    let near = dots[bit] as f32 * (scales[bit] * query.scale);
                    let bound = query.bound(errors[bit]);
                    if near + bound >= candidates.floor {
                        let slot = begin + bit;
                        let segment = range.segment;
                        candidates.take(near, bound, SlotAddress { segment, slot });
                    }
                }
            }
        }
    }
}

impl Candidates {
    fn new(limit: usize) -> Self {
        Self {
            limit,
            floor: f32::NEG_INFINITY,
            at_least: Vec::new(),
            found: Vec::new(),
            clear_at: REMEMBERED,
        }
    }

    /// Adds a paper whose score is within `bound` of `near`.
    fn take(&mut self, near: f32, bound: f32, address: SlotAddress) {
        self.found.push((near + bound, address));
        if near - bound > self.floor {
            self.at_least.push(near - bound);
            if self.at_least.len() >= self.limit.saturating_mul(2) {
                self.raise();
            }
        }
        if self.found.len() >= self.clear_at {
            self.clear();
        }
    }

    /// Raises the floor as far as the scores so far allow.
    fn raise(&mut self) {
        if self.at_least.len() >= self.limit {
            let (_, last, _) = self
                .at_least
                .select_nth_unstable_by(self.limit - 1, |a, b| b.total_cmp(a));
            self.floor = last.max(self.floor);
            self.at_least.truncate(self.limit);
        }
    }

    fn clear(&mut self) {
        let floor = self.floor;
        self.found.retain(|(at_most, _)| *at_most >= floor);
        self.clear_at = (self.found.len() * 2).max(REMEMBERED);
    }

    fn join(&mut self, other: Self) {
        self.floor = self.floor.max(other.floor);
        self.at_least.extend(other.at_least);
        self.found.extend(other.found);
        self.raise();
        self.clear();
    }

    fn addresses(mut self) -> impl Iterator<Item = SlotAddress> {
        self.raise();
        self.clear();
        self.found.into_iter().map(|(_, address)| address)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
